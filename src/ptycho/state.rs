//! The one thing that a reconstruction changes.

use num_complex::Complex64;

use crate::run::RngState;

/// Everything that a reconstruction has come to.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Iterations finished.
    pub iteration: u32,
    /// Where the random stream of the batch order stands.
    pub rng: RngState,
    /// (y, x) of `object_shape`.
    pub object: Vec<Complex64>,
    pub object_shape: [usize; 2],
    /// The probe's spectrum, FFT order, unitary: Σ|P̂|² is the mean electrons of a frame.
    pub probe_hat: Vec<Complex64>,
    pub window: [usize; 2],
    /// The normalised amplitude error Σ(|ψ̂| − √I)²/ΣI of each finished iteration.
    pub errors: Vec<f64>,
}

impl State {
    /// The start: an empty object, the given probe.
    pub fn start(object_shape: [usize; 2], probe_hat: Vec<Complex64>, window: [usize; 2], rng: RngState) -> Self {
        let object = vec![Complex64::new(1.0, 0.0); object_shape[0] * object_shape[1]];
        Self { iteration: 0, rng, object, object_shape, probe_hat, window, errors: Vec::new() }
    }
}

/// How a reconstruction ended: with all its iterations, or with those finished when it was asked to stop.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// As of the last finished iteration.
    pub state: State,
    pub interrupted: bool,
}
