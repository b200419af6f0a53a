//! The only room that knows a device.
//!
//! [`Backend`] is what an algorithm sees of an engine. Its *kernels* are the vocabulary and exist twice: as
//! WGSL with a typed wrapper in [`gpu`], and as Rust in [`cpu`], where `Cpu<f32>` is the CPU engine and `Cpu<f64>`
//! the oracle of the tests. Its *coarse verbs* say what an algorithm wants of a whole batch; each has a default
//! made of kernels, and an engine may override it with a fused one, tested equal to the default.
//!
//! Arrays are (y, x), stacks of windows (batch, y, x). Reciprocal arrays are in FFT order (zero frequency first).

mod batch;
mod bright_field;
pub mod cpu;
mod error;
mod frames;
pub mod gpu;
mod words;

use std::ops::Range;

use num_complex::Complex64;

pub use batch::{BatchPlan, TILE, Tiles, shift_ramp};
pub use bright_field::{BrightField, FAINTEST, Response, SideBandSums};
pub use error::Error;
pub use frames::{BlockSums, DetectorSet, DeviceBlock, HostFrames, Patterns, PixelStatistics, SampleType, SparseFrames, Totals};
pub use words::Words;

pub type Result<T> = std::result::Result<T, Error>;

/// The floating-point type of an engine.
pub trait Real:
    num_traits::Float + num_traits::NumAssign + rustfft::FftNum + bytemuck::Pod + Default + std::iter::Sum + std::fmt::Display
{
    fn of(x: f64) -> Self;
    fn f64(self) -> f64;
}

impl Real for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }
    fn f64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }
    fn f64(self) -> f64 {
        self
    }
}

/// The sign of the exponent of a transform; both are unitary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// e^{−2πi}, from real to reciprocal space.
    Forward,
    /// e^{+2πi}.
    Inverse,
}

/// What the misfit of a wave and a pattern is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likelihood {
    /// Σ(|ψ̂| − √I)²: the projection of ePIE.
    Amplitude,
}

/// How the pixels of a frame lie in reciprocal space, and which of them count.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorLayout {
    pub shape: [usize; 2],
    /// The detector pixel (y, x) of the zero angle, rounded: reciprocal pixel (ky, kx) in FFT order is
    /// detector pixel ((ky + y) mod ny, (kx + x) mod nx).
    pub centre: [usize; 2],
    /// One a pixel in detector order, true where it counts; `None` where all do. A pixel that does not count
    /// leaves the wave as it is.
    pub valid: Option<Vec<bool>>,
    /// Calculated amplitudes up to this are 0 but for rounding, so their phase says nothing.
    pub floor: f64,
}

/// The wave model that a batch is compared with.
pub struct Model<B: Backend> {
    /// The object, (y, x).
    pub object: B::Complexes,
    pub object_shape: [usize; 2],
    /// The probe in reciprocal space, FFT order, unitary: Σ|P̂|² is the mean electrons of a frame.
    pub probe_hat: B::Complexes,
    pub window: [usize; 2],
    pub detector: B::Detector,
}

/// The work arrays of a batch: the shifted probes and the waves, each (batch, y, x).
pub struct Waves<B: Backend> {
    pub probes: B::Complexes,
    pub waves: B::Complexes,
}

/// A pending update: what several devices would sum before it is applied.
pub struct Update<B: Backend> {
    pub numerator: B::Complexes,
    pub denominator: B::Reals,
    /// One number: the largest denominator.
    pub peak: B::Reals,
}

/// An engine: device memory, kernels and coarse verbs.
///
/// Verbs and kernels may only record work; what they compute is there when a `read_*` returns. A device array must
/// be used with the backend that made it.
pub trait Backend: Send + Sync + Sized + 'static {
    type Real: Real;
    /// A device array of complex numbers.
    type Complexes: Send + Sync;
    /// A device array of real numbers.
    type Reals: Send + Sync;
    /// A stack of frames on the device, in the type they have on disk.
    type Frames: Send + Sync + Clone;
    /// A [`BatchPlan`] on the device.
    type Batch: Send + Sync;
    /// A [`DetectorLayout`] on the device.
    type Detector: Send + Sync;
    /// A [`DetectorSet`] on the device.
    type DetectorSet: Send + Sync;
    /// Sums of frames, pixel by pixel, that blocks are added to.
    type PixelSums: Default + Send;

    /// Does it compute in host memory, on the caller's threads? Then frames are best computed with by the thread that read them, while they are in
    /// its cache.
    const ON_HOST: bool = false;
    /// A [`BrightField`] on the device.
    type BrightField: Send + Sync;

    /// The device as the result file names it, such as `cpu (2 threads)` or the adapter's name.
    fn device_name(&self) -> String;

    /// Can [`Backend::fft2`] transform a window of this shape?
    fn supports_window(&self, shape: [usize; 2]) -> bool;

    // Memory.

    fn complexes(&self, values: &[Complex64]) -> Result<Self::Complexes>;
    fn complex_zeros(&self, len: usize) -> Result<Self::Complexes>;
    fn read_complexes(&self, array: &Self::Complexes) -> Result<Vec<Complex64>>;
    fn reals(&self, values: &[f64]) -> Result<Self::Reals>;
    fn real_zeros(&self, len: usize) -> Result<Self::Reals>;
    fn read_reals(&self, array: &Self::Reals) -> Result<Vec<f64>>;
    /// Puts frames on the device; the CPU engine shares them.
    fn frames(&self, frames: std::sync::Arc<HostFrames>) -> Result<Self::Frames>;
    /// The same of sparse frames: kernel `densify` makes them dense u32 frames.
    fn sparse_frames(&self, frames: &SparseFrames) -> Result<Self::Frames>;
    /// The frames at these places of the stack, in this order.
    fn gather(&self, frames: &Self::Frames, slots: &[u32]) -> Result<Self::Frames>;
    fn batch(&self, plan: BatchPlan) -> Result<Self::Batch>;
    /// The number of positions of a batch.
    fn batch_len(&self, batch: &Self::Batch) -> usize;
    fn detector(&self, layout: &DetectorLayout) -> Result<Self::Detector>;
    fn detector_set(&self, set: &DetectorSet) -> Result<Self::DetectorSet>;
    fn bright_field(&self, bright: &BrightField) -> Result<Self::BrightField>;
    /// Waits for all recorded work.
    fn finish(&self) -> Result<()>;

    // Kernels.

    /// Unitary 2-D transforms, in place, of the first `count` windows of `shape` in `x`.
    fn fft2(&self, x: &mut Self::Complexes, shape: [usize; 2], count: usize, direction: Direction) -> Result<()>;

    /// `out[b] = P̂ · ramp_b`: the spectrum of each position's sub-pixel shifted probe.
    fn shift_probe(&self, probe_hat: &Self::Complexes, batch: &Self::Batch, out: &mut Self::Complexes) -> Result<()>;

    /// `out[b] = P_b · O[window of b]`.
    fn exit_wave(&self, probes: &Self::Complexes, object: &Self::Complexes, batch: &Self::Batch, out: &mut Self::Complexes) -> Result<()>;

    /// Replaces each wave ψ̂ by √I ψ̂/|ψ̂| − ψ̂ (0/|0| is 0, up to the detector's floor; negative I is 0; 0 where a pixel does not count), and writes, for
    /// pattern id i of the batch, `metrics[2i]` = Σ(|ψ̂| − √I)² and `metrics[2i+1]` = Σ I over the pixels that count.
    /// `frames[b]` belongs to the batch's b-th position.
    fn modulus(
        &self,
        waves: &mut Self::Complexes,
        frames: &Self::Frames,
        detector: &Self::Detector,
        batch: &Self::Batch,
        metrics: &mut Self::Reals,
    ) -> Result<()>;

    /// Gathers, tile by tile of the batch's touched tiles, `numerator = Σ_b P_b* Δψ_b` and `denominator = Σ_b |P_b|²` (object-shaped arrays;
    /// overwritten in the touched tiles; what they hold elsewhere has no meaning), members in the order of the plan, and `peak` = the largest denominator of the touched tiles.
    fn object_gradient(
        &self,
        waves: &Self::Complexes,
        probes: &Self::Complexes,
        batch: &Self::Batch,
        update: &mut Update<Self>,
    ) -> Result<()>;

    /// `out[b] = O[window of b]* · Δψ_b`.
    fn probe_gradient(
        &self,
        waves: &Self::Complexes,
        object: &Self::Complexes,
        batch: &Self::Batch,
        out: &mut Self::Complexes,
    ) -> Result<()>;

    /// `numerator = Σ_b ramp_b* · Ĝ_b`, in reciprocal space.
    fn probe_sum(&self, gradients: &Self::Complexes, batch: &Self::Batch, numerator: &mut Self::Complexes) -> Result<()>;

    /// `denominator = Σ_b |O[window of b]|²`, window-shaped, and `peak` = its largest.
    fn object_power(
        &self,
        object: &Self::Complexes,
        batch: &Self::Batch,
        denominator: &mut Self::Reals,
        peak: &mut Self::Reals,
    ) -> Result<()>;

    /// `object += step · numerator / peak` in the batch's touched tiles; nothing where the peak is 0.
    fn update_object(&self, object: &mut Self::Complexes, update: &Update<Self>, step: f64, batch: &Self::Batch) -> Result<()>;

    /// `probe_hat += step · numerator / peak`; nothing where the peak is 0.
    fn update_probe(&self, probe_hat: &mut Self::Complexes, update: &Update<Self>, step: f64) -> Result<()>;

    /// The sums of each frame over each detector, its total and moments, and the sum of all the block's frames (with their squares and maxima, if asked for).
    fn virtual_detectors(&self, frames: &Self::Frames, detectors: &Self::DetectorSet) -> Result<BlockSums>;

    /// The same for one of several threads that share a pass over integers: the sums of each frame; those of the frames are added to `pixels`.
    fn add_virtual_detectors(&self, frames: &Self::Frames, detectors: &Self::DetectorSet, pixels: &mut Self::PixelSums) -> Result<Totals>;

    /// The sums of all the frames that were added, without sums of single frames; `None` if there were none.
    fn pixel_sums(&self, detectors: &Self::DetectorSet, pixels: Self::PixelSums) -> Option<BlockSums>;

    // Kernels of direct ptychography. `pixels` are places in the lists of the bright field, the first one even; window w of `spectra` holds
    // pixels.start + 2w and the next.

    /// Puts the counts of some pixels of successive frames, the first of which belongs to scan position `first`, to their places in scan windows.
    /// A last window with one pixel gets 0 as the other.
    fn gather_pixels(
        &self,
        frames: &Self::Frames,
        first: usize,
        bright: &Self::BrightField,
        pixels: Range<usize>,
        out: &mut Self::Complexes,
    ) -> Result<()>;

    /// Fills what lies beyond the scan in the first `count` windows with the mean of each part of what lies in it.
    fn fill_margins(&self, x: &mut Self::Complexes, bright: &Self::BrightField, count: usize) -> Result<()>;

    /// Adds the side bands of the pixels, one after the other, to the sums: Γ(q, k) = A*(k)A(k − q) − A(k)A*(k + q), see [`SideBandSums`].
    fn side_bands(
        &self,
        spectra: &Self::Complexes,
        bright: &Self::BrightField,
        pixels: Range<usize>,
        sums: &mut SideBandSums<Self>,
    ) -> Result<()>;

    /// `out[Y, X] += Σ_p Ĩ_p(Y, X) · ramps_y[p][Y] · ramps_x[p][X]` over half a spectrum, one pixel after the other. `tilted` are the pixels that are
    /// added, ramps are those of `tilted`, `first` is the first pixel of `spectra`.
    fn tilt_sum(
        &self,
        spectra: &Self::Complexes,
        first: usize,
        bright: &Self::BrightField,
        tilted: Range<usize>,
        ramps: [&Self::Complexes; 2],
        out: &mut Self::Complexes,
    ) -> Result<()>;

    /// `out[f][place of p] = Ĩ_p(f)` for the result's frequencies f of `frequencies` (row-major): detector windows, of which other places are left as they
    /// are.
    fn detector_windows(
        &self,
        spectra: &Self::Complexes,
        bright: &Self::BrightField,
        pixels: Range<usize>,
        frequencies: Range<usize>,
        out: &mut Self::Complexes,
    ) -> Result<()>;

    /// `out[f](k) = A*(k)A(k − f) / Σ|A|²` over detector windows, with the aberrations of `focus`.
    fn overlaps(&self, bright: &Self::BrightField, focus: usize, frequencies: Range<usize>, out: &mut Self::Complexes) -> Result<()>;

    /// `out[f] = Σ_ρ B*H/(|B|² + ε) / Σ_ρ |B|²/(|B|² + ε)` for the first `count` windows H of `patterns` and B of `overlaps` of `len` numbers (0 where the
    /// divisor is 0).
    fn wiener(
        &self,
        patterns: &Self::Complexes,
        overlaps: &Self::Complexes,
        len: usize,
        count: usize,
        epsilon: f64,
        out: &mut Self::Complexes,
    ) -> Result<()>;

    /// The spectra, over all frequencies of a result, of what a count of each pixel does to an image: what `response` says times `filter` (over half a
    /// spectrum, 0 at Nyquist's frequencies), two pixels in each window of `out`.
    fn responses(
        &self,
        bright: &Self::BrightField,
        response: Response,
        focus: usize,
        pixels: Range<usize>,
        filter: &Self::Reals,
        out: &mut Self::Complexes,
    ) -> Result<()>;

    /// `x = Re(x)² + i·Im(x)²` of the first `len` numbers.
    fn square_parts(&self, x: &mut Self::Complexes, len: usize) -> Result<()>;

    /// `out[Y, X] += Σ_p R_p(Y, X)·Ĩ_p(Y, X)` over half a spectrum, one pixel after the other; windows of `responses` are those of `pixels`, windows of
    /// `spectra` those from pixel `first` on, both even.
    fn response_sum(
        &self,
        responses: &Self::Complexes,
        spectra: &Self::Complexes,
        first: usize,
        bright: &Self::BrightField,
        pixels: Range<usize>,
        out: &mut Self::Complexes,
    ) -> Result<()>;

    // Coarse verbs.

    /// Compares the model's waves at the batch's positions with the patterns: leaves Δψ (real space) in `work.waves`, the shifted probes in `work.probes`,
    /// and the metrics as [`Backend::modulus`] does.
    fn wave_gradient(
        &self,
        batch: &Self::Batch,
        block: &DeviceBlock<Self>,
        model: &Model<Self>,
        likelihood: Likelihood,
        work: &mut Waves<Self>,
        metrics: &mut Self::Reals,
    ) -> Result<()> {
        wave_gradient_of_kernels(self, batch, block, model, likelihood, work, metrics)
    }

    /// The batch's object update of `work` into `update`.
    fn accumulate_object(&self, batch: &Self::Batch, work: &Waves<Self>, update: &mut Update<Self>) -> Result<()> {
        self.object_gradient(&work.waves, &work.probes, batch, update)
    }

    /// The batch's probe update of `work` into `update`; `work.probes` is lost.
    fn accumulate_probe(&self, batch: &Self::Batch, model: &Model<Self>, work: &mut Waves<Self>, update: &mut Update<Self>) -> Result<()> {
        accumulate_probe_of_kernels(self, batch, model, work, update)
    }
}

/// [`Backend::wave_gradient`] made of kernels.
pub fn wave_gradient_of_kernels<B: Backend>(
    backend: &B,
    batch: &B::Batch,
    block: &DeviceBlock<B>,
    model: &Model<B>,
    likelihood: Likelihood,
    work: &mut Waves<B>,
    metrics: &mut B::Reals,
) -> Result<()> {
    let (shape, count) = (model.window, block.ids.len());
    backend.shift_probe(&model.probe_hat, batch, &mut work.probes)?;
    backend.fft2(&mut work.probes, shape, count, Direction::Inverse)?;
    backend.exit_wave(&work.probes, &model.object, batch, &mut work.waves)?;
    backend.fft2(&mut work.waves, shape, count, Direction::Forward)?;
    match likelihood {
        Likelihood::Amplitude => backend.modulus(&mut work.waves, &block.frames, &model.detector, batch, metrics)?,
    }
    backend.fft2(&mut work.waves, shape, count, Direction::Inverse)
}

/// [`Backend::accumulate_probe`] made of kernels.
pub fn accumulate_probe_of_kernels<B: Backend>(
    backend: &B,
    batch: &B::Batch,
    model: &Model<B>,
    work: &mut Waves<B>,
    update: &mut Update<B>,
) -> Result<()> {
    let count = backend.batch_len(batch);
    backend.probe_gradient(&work.waves, &model.object, batch, &mut work.probes)?;
    backend.fft2(&mut work.probes, model.window, count, Direction::Forward)?;
    backend.probe_sum(&work.probes, batch, &mut update.numerator)?;
    backend.object_power(&model.object, batch, &mut update.denominator, &mut update.peak)
}
