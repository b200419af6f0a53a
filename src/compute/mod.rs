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
mod diffract;
mod error;
mod frames;
pub mod gpu;
mod ptycho;
mod words;

use std::ops::Range;

use num_complex::Complex64;

pub use batch::{BatchPlan, TILE, Tiles, shift_ramp};
pub use bright_field::{BrightField, FAINTEST, Response, SideBandSums};
pub use diffract::{Exposure, Sensor, WavePair, diffract_of_kernels};
pub use error::Error;
pub use frames::{BlockSums, DetectorSet, DeviceBlock, HostFrames, Patterns, PixelStatistics, SampleType, SparseFrames, Totals};
pub use ptycho::{
    AdamMoments, AdamStep, DetectorLayout, Gradients, KernelWork, Likelihood, MOMENTS, Model, ModelShape, Spread, Update, Wanted,
    exit_waves_of_kernels, gradients_of_kernels,
};
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
    /// See [`Backend::passage`].
    type Passage: Send;
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
    /// Work memory of [`Backend::gradients`].
    type Work: Send;

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
    /// Adds an array's first numbers to as many on the host.
    fn add_reals(&self, array: &Self::Reals, to: &mut [f32]) -> Result<()> {
        to.iter_mut().zip(self.read_reals(array)?).for_each(|(sum, x)| *sum += x as f32);
        Ok(())
    }
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

    /// `out[b, m] = P̂_m · ramp_b`: the spectra of each position's sub-pixel shifted probe. Where the batch has weights, P̂_0 becomes P̂_0 + Σ_k w_bk V̂_k with the variations V̂_k behind
    /// the modes of `probe_hat`.
    fn shift_probe(&self, probe_hat: &Self::Complexes, modes: usize, batch: &Self::Batch, out: &mut Self::Complexes) -> Result<()>;

    /// `out[b, m] = ψ[b, m] · O[window of b]`.
    fn exit_wave(
        &self,
        incident: &Self::Complexes,
        object: &Self::Complexes,
        modes: usize,
        batch: &Self::Batch,
        out: &mut Self::Complexes,
    ) -> Result<()>;

    /// The first `windows` spectra times the propagator, or times its conjugate.
    fn propagate(&self, spectra: &mut Self::Complexes, propagator: &Self::Complexes, windows: usize, adjoint: bool) -> Result<()>;

    /// The spectra (batch, mode, ky, kx) times the ramps of their positions' tilts, or times their conjugates; as they are where the batch has none.
    fn tilt_waves(&self, spectra: &mut Self::Complexes, modes: usize, batch: &Self::Batch, adjoint: bool) -> Result<()>;

    /// For pattern id i of the batch, `out[2i..]` (+)= Σ_m Re Σ_k φ̂*Δφ̂ · {2πi·f_y, 2πi·f_x} with the frequencies f in cycles a pixel.
    fn tilt_moments(
        &self,
        spectra: &Self::Complexes,
        gradients: &Self::Complexes,
        modes: usize,
        batch: &Self::Batch,
        fresh: bool,
        out: &mut Self::Reals,
    ) -> Result<()>;

    /// Replaces the waves ψ̂ of each position by −∂L/∂ψ̂* of the likelihood (0 where √Σ_m|ψ̂|² is not above `floor`; negative I is 0; 0 where a pixel does not count), and
    /// writes, for pattern id i of the batch, `metrics[2i]` = L and `metrics[2i+1]` = Σ I over the pixels that count. `frames[b]` belongs to the batch's
    /// b-th position.
    #[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
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
    ) -> Result<()>;

    /// Gathers, tile by tile of the batch's touched tiles, `numerator = Σ ψ* Δψ` and `denominator = Σ |ψ|²` over positions and modes (object-shaped arrays; where
    /// `fresh`, overwritten in the touched tiles, and what they hold elsewhere has no meaning; else added to), members in the order of the plan, and `peak` = the
    /// largest denominator of the touched tiles.
    fn object_gradient(
        &self,
        waves: &Self::Complexes,
        incident: &Self::Complexes,
        modes: usize,
        batch: &Self::Batch,
        fresh: bool,
        update: &mut Update<Self>,
    ) -> Result<()>;

    /// `out[b, m] = O[window of b]* · Δψ[b, m]`.
    fn probe_gradient(
        &self,
        waves: &Self::Complexes,
        object: &Self::Complexes,
        modes: usize,
        batch: &Self::Batch,
        out: &mut Self::Complexes,
    ) -> Result<()>;

    /// `numerator[m] (+)= Σ_b ramp_b* · Ĝ[b, m]`, in reciprocal space, and behind the modes `Σ_b w_bk · ramp_b* · Ĝ[b, 0]` for each variation.
    fn probe_sum(
        &self,
        gradients: &Self::Complexes,
        modes: usize,
        batch: &Self::Batch,
        fresh: bool,
        numerator: &mut Self::Complexes,
    ) -> Result<()>;

    /// `denominator (+)= Σ_b |O[window of b]|²`, window-shaped, and `peak` = its largest.
    fn object_power(
        &self,
        object: &Self::Complexes,
        batch: &Self::Batch,
        fresh: bool,
        denominator: &mut Self::Reals,
        peak: &mut Self::Reals,
    ) -> Result<()>;

    /// For pattern id i of the batch, `out[(3 + variations)·i..]` = Σ_m Re Σ_k X*Ĝ · {1, 2πi·f_y, 2πi·f_x} with X as [`Backend::shift_probe`] makes it and the frequencies f in
    /// cycles a pixel, and behind them Re Σ_k (V̂_k · ramp_b)*Ĝ of the first mode for each variation.
    fn moments(
        &self,
        probe_hat: &Self::Complexes,
        gradients: &Self::Complexes,
        modes: usize,
        batch: &Self::Batch,
        out: &mut Self::Reals,
    ) -> Result<()>;

    /// `numerator (+)= Σ_w φ̂*Δφ̂` and `denominator (+)= Σ_w |φ̂|²` over the first `windows` spectra, window-shaped.
    fn propagator_sums(
        &self,
        spectra: &Self::Complexes,
        gradients: &Self::Complexes,
        windows: usize,
        fresh: bool,
        update: &mut Update<Self>,
    ) -> Result<()>;

    /// `out = out_factor · out + x + y` of the first `len` numbers, x and y times the factors beside them.
    fn combine(
        &self,
        out: &mut Self::Complexes,
        out_factor: f64,
        x: (&Self::Complexes, f64),
        y: (&Self::Complexes, f64),
        len: usize,
    ) -> Result<()>;

    /// The first `len` numbers of `from` into `to`.
    fn copy(&self, from: &Self::Complexes, to: &mut Self::Complexes, len: usize) -> Result<()>;

    /// `object += step · gain · numerator / (own · denominator + (1 − own) · peak)` in the batch's touched tiles; nothing where the divisor is 0.
    fn update_object(&self, object: &mut Self::Complexes, update: &Update<Self>, step: f64, own: f64, batch: &Self::Batch) -> Result<()>;

    /// `probe_hat += step · gain · numerator / peak`; nothing where the peak is 0.
    fn update_probe(&self, probe_hat: &mut Self::Complexes, update: &Update<Self>, step: f64) -> Result<()>;

    /// Sets the update's gain to the step along numerator / (own · denominator + (1 − own) · peak) at which ½Σ denominator·|x|² − Re Σ numerator*·x is least, over the
    /// batch's touched tiles; to 1 where there is nothing to go by.
    fn optimal_object_step(&self, update: &mut Update<Self>, own: f64, batch: &Self::Batch) -> Result<()>;

    /// Sets the update's gain to its peak over its mean denominator, or 1 where that is 0: the probe's curvature, taken as the same everywhere.
    fn optimal_probe_step(&self, update: &mut Update<Self>) -> Result<()>;

    /// Adam (Kingma & Ba, arXiv 1412.6980) with g = numerator / peak in the batch's touched tiles: first = b₁·first + (1 − b₁)·g, second =
    /// b₂·second + (1 − b₂)·|g|², `object += step · (first/c₁) / (√(second/c₂) + ε)`.
    fn adam_object(
        &self,
        object: &mut Self::Complexes,
        update: &Update<Self>,
        moments: &mut AdamMoments<Self>,
        step: &AdamStep,
        batch: &Self::Batch,
    ) -> Result<()>;

    /// The same for the probe.
    fn adam_probe(
        &self,
        probe_hat: &mut Self::Complexes,
        update: &Update<Self>,
        moments: &mut AdamMoments<Self>,
        step: &AdamStep,
    ) -> Result<()>;

    /// Momentum: `velocity = friction · velocity + (x − previous)`, `x += friction · velocity`, `previous = x`.
    fn momentum(
        &self,
        x: &mut Self::Complexes,
        previous: &mut Self::Complexes,
        velocity: &mut Self::Complexes,
        friction: f64,
    ) -> Result<()>;

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

    // A kernel of simulations.

    /// `out[b] (+)= weight · Σ_m |ψ̂[b, m]|²` of the waves in reciprocal space (batch, mode, ky, kx), taken in by the detector's pixels, none of which reaches farther than half of a
    /// window: (batch, y, x) of the sensor's frames.
    fn expose(
        &self,
        waves: &Self::Complexes,
        modes: usize,
        sensor: &Sensor<Self>,
        batch: &Self::Batch,
        exposure: Exposure,
        out: &mut Self::Reals,
    ) -> Result<()>;

    // Coarse verbs.

    /// What [`Backend::diffract`] needs beside a model for batches of up to `batch` positions.
    fn passage(&self, model: &Model<Self>, sensor: &Sensor<Self>, batch: usize) -> Result<Self::Passage>;

    /// What a detector receives of the batch's probes behind the object, see [`Backend::expose`]; `passage` is of this model and sensor.
    fn diffract(
        &self,
        batch: &Self::Batch,
        model: &Model<Self>,
        sensor: &Sensor<Self>,
        exposure: Exposure,
        passage: &mut Self::Passage,
        out: &mut Self::Reals,
    ) -> Result<()>;

    /// The work memory of [`Backend::gradients`] for batches of up to `batch` positions.
    fn work(&self, shape: &ModelShape, batch: usize) -> Result<Self::Work>;

    /// Compares the model with the patterns of a batch: leaves the updates of all that is wanted, and the metrics.
    #[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
    fn gradients(
        &self,
        batch: &Self::Batch,
        block: &DeviceBlock<Self>,
        model: &Model<Self>,
        likelihood: Likelihood,
        wanted: Wanted,
        work: &mut Self::Work,
        out: &mut Gradients<Self>,
    ) -> Result<()>;
}
