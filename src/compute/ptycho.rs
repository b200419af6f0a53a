//! What ptychography says to an engine: the model of a pattern, what it is compared by, and the coarse verb that does it for a batch.

use super::{Backend, DeviceBlock, Direction, Result};

/// What the misfit of a calculated intensity C = Σ_modes|ψ̂|² and a measured one I is measured by: L, a sum over the pixels that count.
///
/// What is left in place of a wave is −∂L/∂ψ̂*.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Likelihood {
    /// Σ(√C − √I)²: the projection of ePIE, √I ψ̂/√C − ψ̂.
    Amplitude,
    /// Σ(C − I) − (I + ε) ln((C + ε)/(I + ε)): counting noise; (I − C)/(C + ε) ψ̂. ε in electrons keeps a count where nothing was expected from outweighing all
    /// others.
    Poisson { epsilon: f64 },
    /// Σ(C − I)²/2σ²: (I − C)/σ² ψ̂, σ² in electrons².
    Gaussian { variance: f64 },
}

/// How the pixels of a frame lie in reciprocal space, and which of them count.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DetectorLayout {
    /// (y, x) of a frame.
    pub shape: [usize; 2],
    /// The detector pixel (y, x) of the zero angle, rounded: reciprocal pixel (ky, kx) in FFT order is
    /// detector pixel ((ky + y) mod ny, (kx + x) mod nx). With up-sampling all of these are parts of detector pixels.
    pub centre: [usize; 2],
    /// One a pixel in detector order, true where it counts; `None` where all do. A pixel that does not count
    /// leaves the wave as it is.
    pub valid: Option<Vec<bool>>,
    pub spread: Spread,
}

/// What becomes of the calculated intensity before it is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// So many reciprocal pixels a side make a pixel of the detector: windows are so many times larger than frames (Batey et al., Phys. Rev. A 89 (2014) 043812).
    pub upsample: usize,
    /// The standard deviation of the detector's Gaussian point spread, in its pixels.
    pub blur_px: f64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { upsample: 1, blur_px: 0.0 }
    }
}

/// A Gaussian is cut off at so many standard deviations.
const CUT: f64 = 4.0;

impl Spread {
    /// Is every reciprocal pixel a pixel of the detector, and nothing spread?
    pub fn is_none(&self) -> bool {
        self.upsample == 1 && self.blur_px == 0.0
    }

    /// What of a reciprocal pixel's intensity comes to itself and to those 1, 2, … further along an axis; over both directions they add up to 1.
    pub fn weights(&self) -> Vec<f64> {
        let sigma = self.blur_px * self.upsample as f64;
        let mut weights: Vec<f64> =
            (0..=(CUT * sigma).ceil() as usize).map(|k| if k == 0 { 1.0 } else { (-0.5 * (k as f64 / sigma).powi(2)).exp() }).collect();
        let total = 2.0 * weights.iter().sum::<f64>() - 1.0;
        weights.iter_mut().for_each(|w| *w /= total);
        weights
    }
}

impl DetectorLayout {
    /// (y, x) of the windows that frames are compared with.
    pub fn window(&self) -> [usize; 2] {
        self.shape.map(|n| n * self.spread.upsample)
    }
}

/// The sizes of a wave model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelShape {
    /// Incoherent modes of the probe.
    pub modes: usize,
    /// What the first mode varies by from position to position, each with a weight of its own.
    pub variations: usize,
    /// Slices of the object.
    pub slices: usize,
    /// (y, x) of the probe and the frames.
    pub window: [usize; 2],
    /// (y, x) of a slice.
    pub object: [usize; 2],
}

impl ModelShape {
    /// The pixels of a window.
    pub fn pixels(&self) -> usize {
        self.window[0] * self.window[1]
    }

    /// The numbers of the probe: its modes and what the first of them varies by.
    pub fn probe_len(&self) -> usize {
        (self.modes + self.variations) * self.pixels()
    }

    /// The numbers of a position among the moments.
    pub fn moments(&self) -> usize {
        MOMENTS + self.variations
    }

    /// The pixels of a slice.
    pub fn object_pixels(&self) -> usize {
        self.object[0] * self.object[1]
    }
}

/// The wave model that a batch is compared with.
pub struct Model<B: Backend> {
    pub shape: ModelShape,
    /// The object's slices, (y, x) each, in the order in which the beam passes them.
    pub object: Vec<B::Complexes>,
    /// (mode, ky, kx): the probe's modes at the entrance of the first slice in reciprocal space, FFT order, unitary: Σ|P̂|² is the mean electrons of a
    /// frame. Behind them the variations V̂_k: the first mode of position j is P̂_0 + Σ_k w_jk V̂_k.
    pub probe_hat: B::Complexes,
    /// (ky, kx), FFT order: what a spectrum is multiplied by on its way to the next slice. Of one number where there is one slice.
    pub propagator: B::Complexes,
    pub detector: B::Detector,
    /// Calculated amplitudes √C up to this are 0 but for rounding, so their phase says nothing.
    pub floor: f64,
}

/// A pending update: what several devices would sum before it is applied.
pub struct Update<B: Backend> {
    pub numerator: B::Complexes,
    pub denominator: B::Reals,
    /// One number: the largest denominator.
    pub peak: B::Reals,
    /// One number that every step is multiplied by.
    pub gain: B::Reals,
}

impl<B: Backend> Update<B> {
    /// Of `numerator` complex and `denominator` real zeros.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn zeros(backend: &B, numerator: usize, denominator: usize) -> Result<Self> {
        Ok(Self {
            numerator: backend.complex_zeros(numerator)?,
            denominator: backend.real_zeros(denominator)?,
            peak: backend.real_zeros(1)?,
            gain: backend.reals(&[1.0])?,
        })
    }
}

/// What Adam remembers of the gradients.
pub struct AdamMoments<B: Backend> {
    pub first: B::Complexes,
    pub second: B::Reals,
}

/// The numbers of a step of Adam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    pub b1: f64,
    pub b2: f64,
    /// The step over 1 − b₁ᵗ in step t.
    pub length: f64,
    /// 1/(1 − b₂ᵗ).
    pub correction: f64,
    pub epsilon: f64,
}

impl AdamStep {
    /// Step `t`, counted from 1, with the usual b₁ = 0.9 and b₂ = 0.999.
    pub fn new(step: f64, t: u64) -> Self {
        let (b1, b2, t) = (0.9f64, 0.999f64, t as f64);
        Self { b1, b2, length: step / (1.0 - b1.powf(t)), correction: 1.0 / (1.0 - b2.powf(t)), epsilon: 1e-8 }
    }
}

/// What a batch is to leave behind besides the object's update and its metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Nothing but the metrics, not even the object's update.
    pub metrics_only: bool,
    /// The probe's update.
    pub probe: bool,
    /// The moments of each position.
    pub moments: bool,
    /// The sums that refine the propagator.
    pub propagator: bool,
    /// The moments of each position's tilt.
    pub tilts: bool,
    /// Go on from the sums for object and probe that are there instead of beginning at 0. The object's arrays have to be 0 in tiles that no batch touched.
    pub add: bool,
    /// The same for the propagator's sums.
    pub add_propagator: bool,
}

/// The numbers of a position among its moments, but for those of variations.
pub const MOMENTS: usize = 3;

/// What the comparison of batches leaves behind.
pub struct Gradients<B: Backend> {
    /// Of each slice Σ ψ*Δψ and Σ|ψ|² of the waves ψ that fall on it (over positions and modes) and of what they lack, Δψ: right in the touched tiles
    /// of the last batch (of all batches, where they are added).
    pub object: Vec<Update<B>>,
    /// (mode, ky, kx) Σ ramp* F[O* Δψ] in reciprocal space, for variations that of the first mode times their weights, and (y, x) Σ|O|² of the first slice.
    pub probe: Update<B>,
    /// For pattern i at (3 + variations)·i: Re Σ X*G and the same with the derivatives of X by the position's y and x in object pixels, and by the weight of each variation; X is the
    /// spectrum of the shifted probe, G that of −∂L/∂P*.
    pub moments: B::Reals,
    /// (ky, kx) Σ φ̂*Δφ̂ and Σ|φ̂|² of the spectra φ̂ of the waves that arrive at all slices but the first.
    pub propagator: Update<B>,
    /// For pattern i at 2i: over all ways from slice to slice, Re Σ φ̂*Δφ̂ with the derivatives of the arriving φ̂ by a shift (y, x) in object pixels.
    pub tilts: B::Reals,
    /// For pattern i at 2i: L and Σ I.
    pub metrics: B::Reals,
}

impl<B: Backend> Gradients<B> {
    /// Of a model, for `patterns` patterns.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn zeros(backend: &B, shape: &ModelShape, patterns: usize) -> Result<Self> {
        let (object, window) = (shape.object_pixels(), shape.pixels());
        let between = if shape.slices > 1 { window } else { 1 };
        Ok(Self {
            object: (0..shape.slices).map(|_| Update::zeros(backend, object, object)).collect::<Result<_>>()?,
            probe: Update::zeros(backend, shape.probe_len(), window)?,
            moments: backend.real_zeros(shape.moments() * patterns)?,
            propagator: Update::zeros(backend, between, between)?,
            tilts: backend.real_zeros(2 * patterns)?,
            metrics: backend.real_zeros(2 * patterns)?,
        })
    }
}

/// The work arrays of a batch for verbs that are made of kernels: stacks of (batch, mode, y, x).
pub struct KernelWork<B: Backend> {
    /// The waves that fall on each slice.
    pub incident: Vec<B::Complexes>,
    pub waves: B::Complexes,
    /// Only used where the propagator or tilts are refined.
    pub spectra: Option<B::Complexes>,
}

impl<B: Backend> KernelWork<B> {
    /// For batches of up to `batch` positions.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn new(backend: &B, shape: &ModelShape, batch: usize) -> Result<Self> {
        let len = batch * shape.modes * shape.pixels();
        let incident = (0..shape.slices).map(|_| backend.complex_zeros(len)).collect::<Result<_>>()?;
        Ok(Self { incident, waves: backend.complex_zeros(len)?, spectra: None })
    }
}

/// The waves of a batch: those that fall on each slice into `work.incident`, those behind the last in real space into `work.waves`.
pub fn exit_waves_of_kernels<B: Backend>(backend: &B, batch: &B::Batch, model: &Model<B>, work: &mut KernelWork<B>) -> Result<()> {
    let ModelShape { modes, slices, window, .. } = model.shape;
    let windows = modes * backend.batch_len(batch);
    backend.shift_probe(&model.probe_hat, modes, batch, &mut work.incident[0])?;
    backend.fft2(&mut work.incident[0], window, windows, Direction::Inverse)?;
    for s in 0..slices {
        let (here, behind) = work.incident.split_at_mut(s + 1);
        let out = behind.first_mut().unwrap_or(&mut work.waves);
        backend.exit_wave(&here[s], &model.object[s], modes, batch, out)?;
        if s + 1 < slices {
            backend.fft2(out, window, windows, Direction::Forward)?;
            backend.propagate(out, &model.propagator, windows, false)?;
            backend.tilt_waves(out, modes, batch, false)?;
            backend.fft2(out, window, windows, Direction::Inverse)?;
        }
    }
    Ok(())
}

/// [`Backend::gradients`] made of kernels.
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
pub fn gradients_of_kernels<B: Backend>(
    backend: &B,
    batch: &B::Batch,
    block: &DeviceBlock<B>,
    model: &Model<B>,
    likelihood: Likelihood,
    wanted: Wanted,
    work: &mut KernelWork<B>,
    out: &mut Gradients<B>,
) -> Result<()> {
    let ModelShape { modes, slices, window, .. } = model.shape;
    let windows = modes * backend.batch_len(batch);
    exit_waves_of_kernels(backend, batch, model, work)?;
    backend.fft2(&mut work.waves, window, windows, Direction::Forward)?;
    backend.residual(&mut work.waves, modes, &block.frames, &model.detector, likelihood, model.floor, batch, &mut out.metrics)?;
    if wanted.metrics_only {
        return Ok(());
    }
    backend.fft2(&mut work.waves, window, windows, Direction::Inverse)?;
    let mut fresh = !wanted.add_propagator;
    for s in (0..slices).rev() {
        backend.object_gradient(&work.waves, &work.incident[s], modes, batch, !wanted.add, &mut out.object[s])?;
        let back = s > 0 || wanted.probe || wanted.moments;
        if !back {
            break;
        }
        if s > 0 && (wanted.propagator || wanted.tilts) {
            let len = windows * model.shape.pixels();
            let spectra = match &mut work.spectra {
                Some(spectra) => spectra,
                none => none.insert(backend.complex_zeros(len)?),
            };
            backend.copy(&work.incident[s], spectra, len)?;
            backend.fft2(spectra, window, windows, Direction::Forward)?;
        }
        backend.probe_gradient(&work.waves, &model.object[s], modes, batch, &mut work.incident[s])?;
        std::mem::swap(&mut work.waves, &mut work.incident[s]);
        backend.fft2(&mut work.waves, window, windows, Direction::Forward)?;
        if s > 0 {
            if let (true, Some(spectra)) = (wanted.propagator, &work.spectra) {
                backend.propagator_sums(spectra, &work.waves, windows, fresh, &mut out.propagator)?;
                fresh = false;
            }
            if let (true, Some(spectra)) = (wanted.tilts, &work.spectra) {
                backend.tilt_moments(spectra, &work.waves, modes, batch, s + 1 == slices, &mut out.tilts)?;
            }
            backend.tilt_waves(&mut work.waves, modes, batch, true)?;
            backend.propagate(&mut work.waves, &model.propagator, windows, true)?;
            backend.fft2(&mut work.waves, window, windows, Direction::Inverse)?;
        }
    }
    if wanted.probe {
        backend.probe_sum(&work.waves, modes, batch, !wanted.add, &mut out.probe.numerator)?;
        backend.object_power(&model.object[0], batch, !wanted.add, &mut out.probe.denominator, &mut out.probe.peak)?;
    }
    if wanted.moments {
        backend.moments(&model.probe_hat, &work.waves, modes, batch, &mut out.moments)?;
    }
    Ok(())
}
