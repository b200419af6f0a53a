//! The CPU engine: `Cpu<f32>` computes, `Cpu<f64>` is the oracle of the tests. One file a kernel.
//!
//! Work runs on the rayon pool of the caller. No result depends on the number of threads: every sum has a fixed order.

mod adam;
mod aligned;
mod bright_field;
mod butterfly;
mod combine;
mod densify;
mod detector_windows;
mod diffract;
mod exit_wave;
mod expose;
mod fft1;
mod fft2;
mod fill_margins;
mod fused;
mod gather_pixels;
mod host;
mod lanes;
mod moments;
mod momentum;
mod object_gradient;
mod object_power;
mod optimal_step;
mod overlaps;
mod pixel;
mod planes;
mod probe_gradient;
mod probe_sum;
mod propagate;
mod propagator_sums;
mod residual;
mod response_sum;
mod responses;
mod shift_probe;
mod short;
mod side_bands;
mod split;
mod spread;
mod square_parts;
mod through_slices;
mod tiles;
mod tilt_moments;
mod tilt_sum;
mod tilt_waves;
mod update_object;
mod update_probe;
mod virtual_detectors;
mod wiener;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use num_complex::Complex64;
use rayon::prelude::*;

use super::{
    AdamMoments, AdamStep, Backend, BatchPlan, BlockSums, BrightField, DetectorLayout, DetectorSet, DeviceBlock, Direction, Exposure,
    Gradients, HostFrames, Likelihood, Model, ModelShape, Response, Result, Sensor, SideBandSums, SparseFrames, Totals, Update, Wanted,
};
pub use bright_field::CpuBrightField;
use diffract::CpuPassage;
use fft2::Fft2;
pub use fused::CpuWork;
pub use host::transformed;
pub use lanes::Scalar;
use planes::Part;
pub use planes::Planes;
pub use virtual_detectors::{CpuDetectorSet, CpuPixelSums};

/// The CPU engine with numbers of type `R`.
pub struct Cpu<R: Scalar> {
    plans: Mutex<HashMap<[usize; 2], Arc<Fft2<R>>>>,
}

/// Frames that the CPU engine shares with their owner: a stack and the places in it.
#[derive(Debug, Clone)]
pub struct CpuFrames {
    stack: Arc<HostFrames>,
    slots: Option<Arc<[u32]>>,
}

/// A batch with its ramps in the engine's type.
#[derive(Debug)]
pub struct CpuBatch<R: Scalar> {
    plan: BatchPlan,
    ramps_y: Planes<R>,
    ramps_x: Planes<R>,
    weights: Vec<R>,
    tilts: [Planes<R>; 2],
}

impl<R: Scalar> Default for Cpu<R> {
    fn default() -> Self {
        Self { plans: Mutex::default() }
    }
}

impl<R: Scalar> Cpu<R> {
    pub fn new() -> Self {
        Self::default()
    }

    /// The transform of this shape, planned once.
    fn fft(&self, shape: [usize; 2]) -> Arc<Fft2<R>> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.entry(shape).or_insert_with(|| Arc::new(Fft2::new(shape))).clone()
    }
}

impl CpuFrames {
    fn len(&self) -> usize {
        self.slots.as_ref().map_or(self.stack.count, |s| s.len())
    }

    /// The bytes of the frame at place `index`.
    fn frame(&self, index: usize) -> &[u8] {
        self.stack.frame_bytes(self.slots.as_ref().map_or(index, |s| s[index] as usize))
    }
}

impl<R: Scalar> CpuBatch<R> {
    fn ramps(&self, b: usize) -> (Part<'_, R>, Part<'_, R>) {
        let [ny, nx] = self.plan.window;
        (self.ramps_y.window(ny, b), self.ramps_x.window(nx, b))
    }

    /// The ramps of the tilt at position b, where there are such.
    fn tilt_ramps(&self, b: usize) -> (Part<'_, R>, Part<'_, R>) {
        let [ny, nx] = self.plan.window;
        (self.tilts[0].window(ny, b), self.tilts[1].window(nx, b))
    }

    /// The weights of the variations at position b.
    fn weights(&self, b: usize) -> &[R] {
        let variations = self.plan.variations();
        &self.weights[b * variations..(b + 1) * variations]
    }

    /// The first pixel of window b in the object.
    fn corner(&self, b: usize) -> [usize; 2] {
        self.plan.corners[b].map(|c| c as usize)
    }

    /// Where row y of window b lies in the object.
    fn object_row(&self, b: usize, y: usize) -> std::ops::Range<usize> {
        let [row, col] = self.corner(b);
        let start = (row + y) * self.plan.object_shape[1] + col;
        start..start + self.plan.window[1]
    }

    fn window_len(&self) -> usize {
        self.plan.window[0] * self.plan.window[1]
    }
}

impl<R: Scalar> Backend for Cpu<R> {
    type Real = R;
    type Complexes = Planes<R>;
    type Reals = Vec<R>;
    type Passage = CpuPassage<R>;
    type Frames = CpuFrames;
    type Batch = CpuBatch<R>;
    type Detector = DetectorLayout;
    type DetectorSet = CpuDetectorSet;
    type PixelSums = CpuPixelSums;

    const ON_HOST: bool = true;
    type BrightField = CpuBrightField<R>;
    type Work = CpuWork<R>;

    fn device_name(&self) -> String {
        match rayon::current_num_threads() {
            1 => "CPU, 1 thread".into(),
            n => format!("CPU, {n} threads"),
        }
    }

    fn supports_window(&self, shape: [usize; 2]) -> bool {
        shape.iter().all(|&n| n > 0)
    }

    fn complexes(&self, values: &[Complex64]) -> Result<Self::Complexes> {
        Ok(Planes::from_complex(values))
    }

    fn complex_zeros(&self, len: usize) -> Result<Self::Complexes> {
        Ok(Planes::zeros(len))
    }

    fn read_complexes(&self, array: &Self::Complexes) -> Result<Vec<Complex64>> {
        Ok(array.to_complex())
    }

    fn reals(&self, values: &[f64]) -> Result<Self::Reals> {
        Ok(values.iter().map(|&x| R::of(x)).collect())
    }

    fn real_zeros(&self, len: usize) -> Result<Self::Reals> {
        Ok(vec![R::zero(); len])
    }

    fn read_reals(&self, array: &Self::Reals) -> Result<Vec<f64>> {
        Ok(array.iter().map(|x| x.f64()).collect())
    }

    fn add_reals(&self, array: &Self::Reals, to: &mut [f32]) -> Result<()> {
        to.par_iter_mut().zip(array).with_min_len(1 << 14).for_each(|(sum, x)| *sum += x.f64() as f32);
        Ok(())
    }

    fn frames(&self, frames: Arc<HostFrames>) -> Result<Self::Frames> {
        Ok(CpuFrames { stack: frames, slots: None })
    }

    fn sparse_frames(&self, frames: &SparseFrames) -> Result<Self::Frames> {
        self.frames(Arc::new(densify::densify(frames)))
    }

    fn gather(&self, frames: &Self::Frames, slots: &[u32]) -> Result<Self::Frames> {
        let slots = match &frames.slots {
            None => slots.into(),
            Some(inner) => slots.iter().map(|&s| inner[s as usize]).collect(),
        };
        Ok(CpuFrames { stack: frames.stack.clone(), slots: Some(slots) })
    }

    fn batch(&self, plan: BatchPlan) -> Result<Self::Batch> {
        let ramps_y = Planes::from_complex(&plan.ramps_y);
        let ramps_x = Planes::from_complex(&plan.ramps_x);
        let weights = plan.weights.iter().map(|&w| R::of(w)).collect();
        let tilts = [0, 1].map(|axis| Planes::from_complex(&plan.tilts[axis]));
        Ok(CpuBatch { plan, ramps_y, ramps_x, weights, tilts })
    }

    fn batch_len(&self, batch: &Self::Batch) -> usize {
        batch.plan.len()
    }

    fn detector(&self, layout: &DetectorLayout) -> Result<Self::Detector> {
        Ok(layout.clone())
    }

    fn detector_set(&self, set: &DetectorSet) -> Result<Self::DetectorSet> {
        Ok(CpuDetectorSet::new(set))
    }

    fn bright_field(&self, bright: &BrightField) -> Result<Self::BrightField> {
        Ok(CpuBrightField::new(bright))
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }

    fn fft2(&self, x: &mut Self::Complexes, shape: [usize; 2], count: usize, direction: Direction) -> Result<()> {
        self.fft(shape).transform(x, count, direction);
        Ok(())
    }

    fn shift_probe(&self, probe_hat: &Self::Complexes, modes: usize, batch: &Self::Batch, out: &mut Self::Complexes) -> Result<()> {
        shift_probe::shift_probe(probe_hat, modes, batch, out);
        Ok(())
    }

    fn exit_wave(
        &self,
        incident: &Self::Complexes,
        object: &Self::Complexes,
        modes: usize,
        batch: &Self::Batch,
        out: &mut Self::Complexes,
    ) -> Result<()> {
        exit_wave::exit_wave(incident, object, modes, batch, out);
        Ok(())
    }

    fn propagate(&self, spectra: &mut Self::Complexes, propagator: &Self::Complexes, windows: usize, adjoint: bool) -> Result<()> {
        propagate::propagate(spectra, propagator, windows, adjoint);
        Ok(())
    }

    fn tilt_waves(&self, spectra: &mut Self::Complexes, modes: usize, batch: &Self::Batch, adjoint: bool) -> Result<()> {
        tilt_waves::tilt_waves(spectra, modes, batch, adjoint);
        Ok(())
    }

    fn tilt_moments(
        &self,
        spectra: &Self::Complexes,
        gradients: &Self::Complexes,
        modes: usize,
        batch: &Self::Batch,
        fresh: bool,
        out: &mut Self::Reals,
    ) -> Result<()> {
        tilt_moments::tilt_moments(spectra, gradients, modes, batch, fresh, out);
        Ok(())
    }

    fn residual(
        &self,
        waves: &mut Self::Complexes,
        modes: usize,
        frames: &Self::Frames,
        detector: &Self::Detector,
        likelihood: Likelihood,
        floor: f64,
        batch: &Self::Batch,
        metrics: &mut Self::Reals,
    ) -> Result<()> {
        residual::residual(waves, modes, frames, &residual::Comparison::new(detector, likelihood, floor), batch, metrics);
        Ok(())
    }

    fn object_gradient(
        &self,
        waves: &Self::Complexes,
        incident: &Self::Complexes,
        modes: usize,
        batch: &Self::Batch,
        fresh: bool,
        update: &mut Update<Self>,
    ) -> Result<()> {
        object_gradient::object_gradient(waves, incident, modes, batch, fresh, update);
        Ok(())
    }

    fn probe_gradient(
        &self,
        waves: &Self::Complexes,
        object: &Self::Complexes,
        modes: usize,
        batch: &Self::Batch,
        out: &mut Self::Complexes,
    ) -> Result<()> {
        probe_gradient::probe_gradient(waves, object, modes, batch, out);
        Ok(())
    }

    fn probe_sum(
        &self,
        gradients: &Self::Complexes,
        modes: usize,
        batch: &Self::Batch,
        fresh: bool,
        numerator: &mut Self::Complexes,
    ) -> Result<()> {
        probe_sum::probe_sum(gradients, modes, batch, fresh, numerator);
        Ok(())
    }

    fn object_power(
        &self,
        object: &Self::Complexes,
        batch: &Self::Batch,
        fresh: bool,
        denominator: &mut Self::Reals,
        peak: &mut Self::Reals,
    ) -> Result<()> {
        object_power::object_power(object, batch, fresh, denominator, peak);
        Ok(())
    }

    fn moments(
        &self,
        probe_hat: &Self::Complexes,
        gradients: &Self::Complexes,
        modes: usize,
        batch: &Self::Batch,
        out: &mut Self::Reals,
    ) -> Result<()> {
        moments::moments(probe_hat, gradients, modes, batch, out);
        Ok(())
    }

    fn propagator_sums(
        &self,
        spectra: &Self::Complexes,
        gradients: &Self::Complexes,
        windows: usize,
        fresh: bool,
        update: &mut Update<Self>,
    ) -> Result<()> {
        propagator_sums::propagator_sums(spectra, gradients, windows, fresh, update);
        Ok(())
    }

    fn combine(
        &self,
        out: &mut Self::Complexes,
        out_factor: f64,
        (x, x_factor): (&Self::Complexes, f64),
        (y, y_factor): (&Self::Complexes, f64),
        len: usize,
    ) -> Result<()> {
        combine::combine(out, [out_factor, x_factor, y_factor].map(R::of), x, y, len);
        Ok(())
    }

    fn copy(&self, from: &Self::Complexes, to: &mut Self::Complexes, len: usize) -> Result<()> {
        to.re[..len].copy_from_slice(&from.re[..len]);
        to.im[..len].copy_from_slice(&from.im[..len]);
        Ok(())
    }

    fn update_object(&self, object: &mut Self::Complexes, update: &Update<Self>, step: f64, own: f64, batch: &Self::Batch) -> Result<()> {
        update_object::update_object(object, update, R::of(step), R::of(own), batch);
        Ok(())
    }

    fn update_probe(&self, probe_hat: &mut Self::Complexes, update: &Update<Self>, step: f64) -> Result<()> {
        update_probe::update_probe(probe_hat, update, R::of(step));
        Ok(())
    }

    fn optimal_object_step(&self, update: &mut Update<Self>, own: f64, batch: &Self::Batch) -> Result<()> {
        optimal_step::optimal_object_step(update, R::of(own), batch);
        Ok(())
    }

    fn optimal_probe_step(&self, update: &mut Update<Self>) -> Result<()> {
        optimal_step::optimal_probe_step(update);
        Ok(())
    }

    fn adam_object(
        &self,
        object: &mut Self::Complexes,
        update: &Update<Self>,
        moments: &mut AdamMoments<Self>,
        step: &AdamStep,
        batch: &Self::Batch,
    ) -> Result<()> {
        adam::adam_object(object, update, moments, step, batch);
        Ok(())
    }

    fn adam_probe(
        &self,
        probe_hat: &mut Self::Complexes,
        update: &Update<Self>,
        moments: &mut AdamMoments<Self>,
        step: &AdamStep,
    ) -> Result<()> {
        adam::adam_probe(probe_hat, update, moments, step);
        Ok(())
    }

    fn momentum(
        &self,
        x: &mut Self::Complexes,
        previous: &mut Self::Complexes,
        velocity: &mut Self::Complexes,
        friction: f64,
    ) -> Result<()> {
        momentum::momentum(x, previous, velocity, R::of(friction));
        Ok(())
    }

    fn virtual_detectors(&self, frames: &Self::Frames, detectors: &Self::DetectorSet) -> Result<BlockSums> {
        Ok(virtual_detectors::virtual_detectors(frames, detectors))
    }

    fn add_virtual_detectors(&self, frames: &Self::Frames, detectors: &Self::DetectorSet, pixels: &mut Self::PixelSums) -> Result<Totals> {
        Ok(virtual_detectors::add_virtual_detectors(frames, detectors, pixels))
    }

    fn pixel_sums(&self, detectors: &Self::DetectorSet, pixels: Self::PixelSums) -> Option<BlockSums> {
        pixels.finish(detectors)
    }

    fn gather_pixels(
        &self,
        frames: &Self::Frames,
        first: usize,
        bright: &Self::BrightField,
        pixels: Range<usize>,
        out: &mut Self::Complexes,
    ) -> Result<()> {
        gather_pixels::gather_pixels(frames, first, bright, pixels, out);
        Ok(())
    }

    fn fill_margins(&self, x: &mut Self::Complexes, bright: &Self::BrightField, count: usize) -> Result<()> {
        fill_margins::fill_margins(x, bright, count);
        Ok(())
    }

    fn side_bands(
        &self,
        spectra: &Self::Complexes,
        bright: &Self::BrightField,
        pixels: Range<usize>,
        sums: &mut SideBandSums<Self>,
    ) -> Result<()> {
        side_bands::side_bands(spectra, bright, pixels, sums);
        Ok(())
    }

    fn tilt_sum(
        &self,
        spectra: &Self::Complexes,
        first: usize,
        bright: &Self::BrightField,
        tilted: Range<usize>,
        ramps: [&Self::Complexes; 2],
        out: &mut Self::Complexes,
    ) -> Result<()> {
        tilt_sum::tilt_sum(spectra, first, bright, tilted, ramps, out);
        Ok(())
    }

    fn detector_windows(
        &self,
        spectra: &Self::Complexes,
        bright: &Self::BrightField,
        pixels: Range<usize>,
        frequencies: Range<usize>,
        out: &mut Self::Complexes,
    ) -> Result<()> {
        detector_windows::detector_windows(spectra, bright, pixels, frequencies, out);
        Ok(())
    }

    fn overlaps(&self, bright: &Self::BrightField, focus: usize, frequencies: Range<usize>, out: &mut Self::Complexes) -> Result<()> {
        overlaps::overlaps(bright, focus, frequencies, out);
        Ok(())
    }

    fn wiener(
        &self,
        patterns: &Self::Complexes,
        overlaps: &Self::Complexes,
        len: usize,
        count: usize,
        epsilon: f64,
        out: &mut Self::Complexes,
    ) -> Result<()> {
        wiener::wiener(patterns, overlaps, len, count, R::of(epsilon), out);
        Ok(())
    }

    fn responses(
        &self,
        bright: &Self::BrightField,
        response: Response,
        focus: usize,
        pixels: Range<usize>,
        filter: &Self::Reals,
        out: &mut Self::Complexes,
    ) -> Result<()> {
        responses::responses(bright, response, focus, pixels, filter, out);
        Ok(())
    }

    fn square_parts(&self, x: &mut Self::Complexes, len: usize) -> Result<()> {
        square_parts::square_parts(x, len);
        Ok(())
    }

    fn response_sum(
        &self,
        responses: &Self::Complexes,
        spectra: &Self::Complexes,
        first: usize,
        bright: &Self::BrightField,
        pixels: Range<usize>,
        out: &mut Self::Complexes,
    ) -> Result<()> {
        response_sum::response_sum(responses, spectra, first, bright, pixels, out);
        Ok(())
    }

    fn expose(
        &self,
        waves: &Self::Complexes,
        modes: usize,
        sensor: &Sensor<Self>,
        batch: &Self::Batch,
        exposure: Exposure,
        out: &mut Self::Reals,
    ) -> Result<()> {
        expose::expose(waves, modes, sensor, batch, exposure, out);
        Ok(())
    }

    fn passage(&self, model: &Model<Self>, sensor: &Sensor<Self>, _batch: usize) -> Result<Self::Passage> {
        Ok(CpuPassage::new(&self.fft(model.shape.window), model, sensor))
    }

    fn diffract(
        &self,
        batch: &Self::Batch,
        model: &Model<Self>,
        sensor: &Sensor<Self>,
        exposure: Exposure,
        passage: &mut Self::Passage,
        out: &mut Self::Reals,
    ) -> Result<()> {
        diffract::diffract(&self.fft(model.shape.window), batch, model, sensor, exposure, passage, out);
        Ok(())
    }

    fn work(&self, shape: &ModelShape, batch: usize) -> Result<Self::Work> {
        Ok(CpuWork::new(shape, batch))
    }

    fn gradients(
        &self,
        batch: &Self::Batch,
        block: &DeviceBlock<Self>,
        model: &Model<Self>,
        likelihood: Likelihood,
        wanted: Wanted,
        work: &mut Self::Work,
        out: &mut Gradients<Self>,
    ) -> Result<()> {
        fused::gradients(&self.fft(model.shape.window), batch, block, model, likelihood, wanted, work, out);
        Ok(())
    }
}
