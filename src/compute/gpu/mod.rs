//! The GPU engine: kernels in WGSL, recorded into submissions of bounded time.
//!
//! A kernel's wrapper in `kernels/` says which parts of which arrays it binds; what it computes stands in its shader.

mod adapter;
mod arrays;
mod device;
mod fused;
mod kernels;
mod memory;
mod pipelines;
pub mod shaders;
mod watch;

use std::ops::Range;
use std::sync::Arc;

use num_complex::{Complex32, Complex64};

use super::{
    AdamMoments, AdamStep, Backend, BatchPlan, BlockSums, BrightField, DetectorLayout, DetectorSet, DeviceBlock, Direction, Exposure,
    Gradients, HostFrames, Likelihood, Model, ModelShape, Response, Result, SampleType, Sensor, SideBandSums, SparseFrames, Totals, Update,
    Wanted, WavePair, gradients_of_kernels,
};
pub use adapter::{AdapterSummary, GpuOptions, Selection, adapters};
use arrays::{FrameStack, narrow};
pub use arrays::{GpuBatch, GpuBrightField, GpuComplexes, GpuDetector, GpuDetectorSet, GpuFrames, GpuReals};
use device::Device;
pub use fused::GpuWork;
use kernels::lines::{Transforms, radices};
use memory::Array;
pub use watch::{KernelTime, MemoryPeak, Seen, Watch};

/// The engine on one graphics device, computing in f32.
pub struct Gpu {
    device: Device,
    transforms: Transforms,
}

impl Gpu {
    /// Opens a device.
    pub fn new(selection: &Selection, options: &GpuOptions) -> Result<Self> {
        Ok(Self { device: Device::open(selection, options)?, transforms: Transforms::default() })
    }

    /// What `ronchi devices` tells of the adapter.
    pub fn summary(&self) -> &AdapterSummary {
        self.device.summary()
    }

    /// Finishes all work, then keeps what is asked for; [`Watch::Counts`] begins anew.
    pub fn watch(&self, watch: Watch) -> Result<()> {
        self.device.watch(watch)
    }

    /// What was kept.
    pub fn seen(&self) -> Seen {
        self.device.seen()
    }

    /// Can kernels be timed? Only where [`GpuOptions::profile`] was set and the adapter has time stamps.
    pub fn has_clock(&self) -> bool {
        self.device.has_clock()
    }

    /// Gives the device up at once. Whatever is asked of it later fails as it does on a device that was lost.
    pub fn destroy(&self) {
        self.device.destroy();
    }
}

impl Backend for Gpu {
    type Real = f32;
    type Complexes = GpuComplexes;
    type Reals = GpuReals;
    type Passage = WavePair<Self>;
    type Frames = GpuFrames;
    type Batch = GpuBatch;
    type Detector = GpuDetector;
    type DetectorSet = GpuDetectorSet;
    type PixelSums = Option<BlockSums>;
    type BrightField = GpuBrightField;
    type Work = GpuWork;

    fn device_name(&self) -> String {
        self.device.name().to_owned()
    }

    fn supports_window(&self, shape: [usize; 2]) -> bool {
        shape.iter().all(|&side| radices(side).is_some())
    }

    fn complexes(&self, values: &[Complex64]) -> Result<GpuComplexes> {
        Array::of(&self.device, "an array of complex numbers", &narrow(values), 1).map(GpuComplexes)
    }

    fn complex_zeros(&self, len: usize) -> Result<GpuComplexes> {
        Array::zeros(&self.device, "an array of complex numbers", 8, len, 1).map(GpuComplexes)
    }

    fn read_complexes(&self, array: &GpuComplexes) -> Result<Vec<Complex64>> {
        let values: Vec<Complex32> = array.0.read(&self.device)?;
        Ok(values.iter().map(|z| Complex64::new(z.re.into(), z.im.into())).collect())
    }

    fn reals(&self, values: &[f64]) -> Result<GpuReals> {
        let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        Array::of(&self.device, "an array of numbers", &values, 1).map(GpuReals)
    }

    fn real_zeros(&self, len: usize) -> Result<GpuReals> {
        Array::zeros(&self.device, "an array of numbers", 4, len, 1).map(GpuReals)
    }

    fn read_reals(&self, array: &GpuReals) -> Result<Vec<f64>> {
        let values: Vec<f32> = array.0.read(&self.device)?;
        Ok(values.into_iter().map(f64::from).collect())
    }

    fn frames(&self, frames: Arc<HostFrames>) -> Result<GpuFrames> {
        FrameStack::of(&self.device, &frames).map(|stack| GpuFrames(Arc::new(stack)))
    }

    fn sparse_frames(&self, frames: &SparseFrames) -> Result<GpuFrames> {
        let dense = FrameStack::zeros(&self.device, SampleType::U32, frames.shape, frames.count)?;
        kernels::densify::densify(&self.device, frames, &dense)?;
        Ok(GpuFrames(Arc::new(dense)))
    }

    fn gather(&self, frames: &GpuFrames, slots: &[u32]) -> Result<GpuFrames> {
        frames.0.gather(&self.device, slots).map(|stack| GpuFrames(Arc::new(stack)))
    }

    fn batch(&self, plan: BatchPlan) -> Result<GpuBatch> {
        GpuBatch::new(&self.device, &plan)
    }

    fn batch_len(&self, batch: &GpuBatch) -> usize {
        batch.len
    }

    fn detector(&self, layout: &DetectorLayout) -> Result<GpuDetector> {
        GpuDetector::new(&self.device, layout)
    }

    fn detector_set(&self, set: &DetectorSet) -> Result<GpuDetectorSet> {
        GpuDetectorSet::new(&self.device, set)
    }

    fn finish(&self) -> Result<()> {
        self.device.finish()
    }

    fn fft2(&self, x: &mut GpuComplexes, shape: [usize; 2], count: usize, direction: Direction) -> Result<()> {
        kernels::fft2::fft2(&self.device, &self.transforms, x, shape, count, direction)
    }

    fn shift_probe(&self, probe_hat: &GpuComplexes, modes: usize, batch: &GpuBatch, out: &mut GpuComplexes) -> Result<()> {
        kernels::shift_probe::shift_probe(&self.device, probe_hat, modes, batch, out)
    }

    fn exit_wave(
        &self,
        incident: &GpuComplexes,
        object: &GpuComplexes,
        modes: usize,
        batch: &GpuBatch,
        out: &mut GpuComplexes,
    ) -> Result<()> {
        kernels::exit_wave::exit_wave(&self.device, incident, object, modes, batch, out)
    }

    fn propagate(&self, spectra: &mut GpuComplexes, propagator: &GpuComplexes, windows: usize, adjoint: bool) -> Result<()> {
        kernels::propagate::propagate(&self.device, spectra, propagator, windows, adjoint)
    }

    fn tilt_waves(&self, spectra: &mut GpuComplexes, modes: usize, batch: &GpuBatch, adjoint: bool) -> Result<()> {
        kernels::tilt_waves::tilt_waves(&self.device, spectra, modes, batch, adjoint)
    }

    fn tilt_moments(
        &self,
        spectra: &GpuComplexes,
        gradients: &GpuComplexes,
        modes: usize,
        batch: &GpuBatch,
        fresh: bool,
        out: &mut GpuReals,
    ) -> Result<()> {
        kernels::tilt_moments::tilt_moments(&self.device, spectra, gradients, modes, batch, fresh, out)
    }

    fn residual(
        &self,
        waves: &mut GpuComplexes,
        modes: usize,
        frames: &GpuFrames,
        detector: &GpuDetector,
        likelihood: Likelihood,
        floor: f64,
        batch: &GpuBatch,
        metrics: &mut GpuReals,
    ) -> Result<()> {
        kernels::residual::residual(&self.device, waves, modes, &frames.0, detector, likelihood, floor, batch, metrics)
    }

    fn object_gradient(
        &self,
        waves: &GpuComplexes,
        incident: &GpuComplexes,
        modes: usize,
        batch: &GpuBatch,
        fresh: bool,
        update: &mut Update<Self>,
    ) -> Result<()> {
        kernels::object_gradient::object_gradient(&self.device, waves, incident, modes, batch, fresh, update)
    }

    fn probe_gradient(
        &self,
        waves: &GpuComplexes,
        object: &GpuComplexes,
        modes: usize,
        batch: &GpuBatch,
        out: &mut GpuComplexes,
    ) -> Result<()> {
        kernels::probe_gradient::probe_gradient(&self.device, waves, object, modes, batch, out)
    }

    fn probe_sum(&self, gradients: &GpuComplexes, modes: usize, batch: &GpuBatch, fresh: bool, numerator: &mut GpuComplexes) -> Result<()> {
        kernels::probe_sum::probe_sum(&self.device, gradients, modes, batch, fresh, numerator)
    }

    fn object_power(
        &self,
        object: &GpuComplexes,
        batch: &GpuBatch,
        fresh: bool,
        denominator: &mut GpuReals,
        peak: &mut GpuReals,
    ) -> Result<()> {
        kernels::object_power::object_power(&self.device, object, batch, fresh, denominator, peak)
    }

    fn moments(
        &self,
        probe_hat: &GpuComplexes,
        gradients: &GpuComplexes,
        modes: usize,
        batch: &GpuBatch,
        out: &mut GpuReals,
    ) -> Result<()> {
        kernels::moments::moments(&self.device, probe_hat, gradients, modes, batch, out)
    }

    fn propagator_sums(
        &self,
        spectra: &GpuComplexes,
        gradients: &GpuComplexes,
        windows: usize,
        fresh: bool,
        update: &mut Update<Self>,
    ) -> Result<()> {
        kernels::propagator_sums::propagator_sums(&self.device, spectra, gradients, windows, fresh, update)
    }

    fn combine(
        &self,
        out: &mut GpuComplexes,
        out_factor: f64,
        (x, x_factor): (&GpuComplexes, f64),
        (y, y_factor): (&GpuComplexes, f64),
        len: usize,
    ) -> Result<()> {
        kernels::combine::combine(&self.device, out, [out_factor, x_factor, y_factor], x, y, len)
    }

    fn copy(&self, from: &GpuComplexes, to: &mut GpuComplexes, len: usize) -> Result<()> {
        from.0.copy_to(&self.device, &to.0, len)
    }

    fn update_object(&self, object: &mut GpuComplexes, update: &Update<Self>, step: f64, own: f64, batch: &GpuBatch) -> Result<()> {
        kernels::update_object::update_object(&self.device, object, update, step, own, batch)
    }

    fn update_probe(&self, probe_hat: &mut GpuComplexes, update: &Update<Self>, step: f64) -> Result<()> {
        kernels::update_probe::update_probe(&self.device, probe_hat, update, step)
    }

    fn optimal_object_step(&self, update: &mut Update<Self>, own: f64, batch: &GpuBatch) -> Result<()> {
        kernels::optimal_object_step::optimal_object_step(&self.device, update, own, batch)
    }

    fn optimal_probe_step(&self, update: &mut Update<Self>) -> Result<()> {
        kernels::optimal_probe_step::optimal_probe_step(&self.device, update)
    }

    fn adam_object(
        &self,
        object: &mut GpuComplexes,
        update: &Update<Self>,
        moments: &mut AdamMoments<Self>,
        step: &AdamStep,
        batch: &GpuBatch,
    ) -> Result<()> {
        kernels::adam_object::adam_object(&self.device, object, update, moments, step, batch)
    }

    fn adam_probe(
        &self,
        probe_hat: &mut GpuComplexes,
        update: &Update<Self>,
        moments: &mut AdamMoments<Self>,
        step: &AdamStep,
    ) -> Result<()> {
        kernels::adam_probe::adam_probe(&self.device, probe_hat, update, moments, step)
    }

    fn momentum(&self, x: &mut GpuComplexes, previous: &mut GpuComplexes, velocity: &mut GpuComplexes, friction: f64) -> Result<()> {
        kernels::momentum::momentum(&self.device, x, previous, velocity, friction)
    }

    fn expose(
        &self,
        waves: &GpuComplexes,
        modes: usize,
        sensor: &Sensor<Self>,
        batch: &GpuBatch,
        exposure: Exposure,
        out: &mut GpuReals,
    ) -> Result<()> {
        kernels::expose::expose(&self.device, waves, modes, sensor, batch, exposure, out)
    }

    fn passage(&self, model: &Model<Self>, _sensor: &Sensor<Self>, batch: usize) -> Result<Self::Passage> {
        WavePair::new(self, batch * model.shape.modes * model.shape.pixels())
    }

    fn diffract(
        &self,
        batch: &GpuBatch,
        model: &Model<Self>,
        sensor: &Sensor<Self>,
        exposure: Exposure,
        waves: &mut Self::Passage,
        out: &mut GpuReals,
    ) -> Result<()> {
        fused::diffract(self, batch, model, sensor, exposure, waves, out)
    }

    fn work(&self, shape: &ModelShape, batch: usize) -> Result<GpuWork> {
        GpuWork::new(self, shape, batch)
    }

    fn gradients(
        &self,
        batch: &GpuBatch,
        block: &DeviceBlock<Self>,
        model: &Model<Self>,
        likelihood: Likelihood,
        wanted: Wanted,
        work: &mut GpuWork,
        out: &mut Gradients<Self>,
    ) -> Result<()> {
        match work {
            GpuWork::Fused(work) => fused::gradients(self, batch, block, model, likelihood, wanted, work, out),
            GpuWork::Kernels(work) => gradients_of_kernels(self, batch, block, model, likelihood, wanted, work, out),
        }
    }

    fn bright_field(&self, bright: &BrightField) -> Result<GpuBrightField> {
        GpuBrightField::new(&self.device, bright)
    }

    fn gather_pixels(
        &self,
        frames: &GpuFrames,
        first: usize,
        bright: &GpuBrightField,
        pixels: Range<usize>,
        out: &mut GpuComplexes,
    ) -> Result<()> {
        kernels::gather_pixels::gather_pixels(&self.device, &frames.0, first, bright, pixels, out)
    }

    fn fill_margins(&self, x: &mut GpuComplexes, bright: &GpuBrightField, count: usize) -> Result<()> {
        kernels::fill_margins::fill_margins(&self.device, x, bright, count)
    }

    fn side_bands(
        &self,
        spectra: &GpuComplexes,
        bright: &GpuBrightField,
        pixels: Range<usize>,
        sums: &mut SideBandSums<Self>,
    ) -> Result<()> {
        kernels::side_bands::side_bands(&self.device, spectra, bright, pixels, sums)
    }

    fn tilt_sum(
        &self,
        spectra: &GpuComplexes,
        first: usize,
        bright: &GpuBrightField,
        tilted: Range<usize>,
        ramps: [&GpuComplexes; 2],
        out: &mut GpuComplexes,
    ) -> Result<()> {
        kernels::tilt_sum::tilt_sum(&self.device, spectra, first, bright, tilted, ramps, out)
    }

    fn detector_windows(
        &self,
        spectra: &GpuComplexes,
        bright: &GpuBrightField,
        pixels: Range<usize>,
        frequencies: Range<usize>,
        out: &mut GpuComplexes,
    ) -> Result<()> {
        kernels::detector_windows::detector_windows(&self.device, spectra, bright, pixels, frequencies, out)
    }

    fn overlaps(&self, bright: &GpuBrightField, focus: usize, frequencies: Range<usize>, out: &mut GpuComplexes) -> Result<()> {
        kernels::overlaps::overlaps(&self.device, bright, focus, frequencies, out)
    }

    fn wiener(
        &self,
        patterns: &GpuComplexes,
        overlaps: &GpuComplexes,
        len: usize,
        count: usize,
        epsilon: f64,
        out: &mut GpuComplexes,
    ) -> Result<()> {
        kernels::wiener::wiener(&self.device, patterns, overlaps, len, count, epsilon, out)
    }

    fn responses(
        &self,
        bright: &GpuBrightField,
        response: Response,
        focus: usize,
        pixels: Range<usize>,
        filter: &GpuReals,
        out: &mut GpuComplexes,
    ) -> Result<()> {
        kernels::responses::responses(&self.device, bright, response, focus, pixels, filter, out)
    }

    fn square_parts(&self, x: &mut GpuComplexes, len: usize) -> Result<()> {
        kernels::square_parts::square_parts(&self.device, x, len)
    }

    fn response_sum(
        &self,
        responses: &GpuComplexes,
        spectra: &GpuComplexes,
        first: usize,
        bright: &GpuBrightField,
        pixels: Range<usize>,
        out: &mut GpuComplexes,
    ) -> Result<()> {
        kernels::response_sum::response_sum(&self.device, responses, spectra, first, bright, pixels, out)
    }

    fn virtual_detectors(&self, frames: &GpuFrames, detectors: &GpuDetectorSet) -> Result<BlockSums> {
        kernels::virtual_detectors::virtual_detectors(&self.device, &frames.0, detectors)
    }

    fn add_virtual_detectors(&self, frames: &GpuFrames, detectors: &GpuDetectorSet, pixels: &mut Option<BlockSums>) -> Result<Totals> {
        let mut sums = self.virtual_detectors(frames, detectors)?;
        let frames = std::mem::replace(&mut sums.frames, Totals::Integer(Vec::new()));
        match pixels {
            None => *pixels = Some(sums),
            Some(pixels) => pixels.add_pixels(&sums),
        }
        Ok(frames)
    }

    fn pixel_sums(&self, _detectors: &GpuDetectorSet, pixels: Option<BlockSums>) -> Option<BlockSums> {
        pixels
    }
}
