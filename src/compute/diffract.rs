//! What a simulation says to an engine: the detector that waves fall on, and the coarse verb from probes to what its pixels receive.

use super::{Backend, Direction, Model, Result};

/// A detector of pixels that take in several reciprocal pixels each. The zero angle lies on pixel (n/2, n/2).
pub struct Sensor<B: Backend> {
    /// (y, x) of a frame.
    pub frame: [usize; 2],
    /// Reciprocal pixels from one detector pixel to the next.
    pub step: usize,
    /// What of a reciprocal pixel 0, 1, 2, … away from its middle a detector pixel receives along an axis.
    pub taps: B::Reals,
}

/// How a batch is added to what is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exposure {
    /// The factor of its intensities.
    pub weight: f64,
    /// Begin at 0 instead of adding to what is there.
    pub fresh: bool,
}

/// The waves of a batch (batch, mode, y, x): here, and behind the next slice.
pub struct WavePair<B: Backend>(pub B::Complexes, pub B::Complexes);

impl<B: Backend> WavePair<B> {
    /// For so many windows of so many pixels.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn new(backend: &B, len: usize) -> Result<Self> {
        Ok(Self(backend.complex_zeros(len)?, backend.complex_zeros(len)?))
    }
}

/// [`Backend::diffract`] made of kernels.
pub fn diffract_of_kernels<B: Backend>(
    backend: &B,
    batch: &B::Batch,
    model: &Model<B>,
    sensor: &Sensor<B>,
    exposure: Exposure,
    waves: &mut WavePair<B>,
    out: &mut B::Reals,
) -> Result<()> {
    let window = model.shape.window;
    let (modes, windows) = (model.shape.modes, model.shape.modes * backend.batch_len(batch));
    let WavePair(here, next) = waves;
    backend.shift_probe(&model.probe_hat, modes, batch, here)?;
    backend.fft2(here, window, windows, Direction::Inverse)?;
    for (s, slice) in model.object.iter().enumerate() {
        backend.exit_wave(here, slice, modes, batch, next)?;
        backend.fft2(next, window, windows, Direction::Forward)?;
        std::mem::swap(here, next);
        if s + 1 < model.object.len() {
            backend.propagate(here, &model.propagator, windows, false)?;
            backend.fft2(here, window, windows, Direction::Inverse)?;
        }
    }
    backend.expose(here, modes, sensor, batch, exposure, out)
}
