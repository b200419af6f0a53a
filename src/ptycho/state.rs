//! The one thing that a reconstruction changes.

use std::collections::BTreeMap;

use num_complex::Complex64;

use super::ObjectFrame;
use crate::compute::ModelShape;
use crate::run::RngState;

/// What an iteration came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// Σ L / Σ I over the patterns, each as it was when its batch came; L is the likelihood's misfit.
    pub error: f64,
    /// The same over the patterns that are held out, after the iteration.
    pub validation: Option<f64>,
    /// The share of each of the probe's modes in its electrons.
    pub powers: Vec<f64>,
    /// How far positions lie from where they began, root mean square over the patterns, in Å.
    pub shift_rms_A: f64,
    pub slice_thickness_A: f64,
    /// (y, x) in mrad.
    pub tilt_mrad: [f64; 2],
    /// As [`State::lens_A`].
    pub lens_A: Vec<f64>,
}

/// Everything that a reconstruction has come to.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The stage of the job, counted from 0.
    pub stage: u32,
    /// Iterations of the stage that are finished.
    pub iteration: u32,
    /// Where the random stream of the batch order stands.
    pub rng: RngState,
    /// (slice, y, x), in the order in which the beam passes the slices.
    pub object: Vec<Complex64>,
    /// (mode, ky, kx): spectra at the entrance of the first slice, FFT order, unitary: Σ|P̂|² over all is the mean electrons of a frame.
    pub probe_hat: Vec<Complex64>,
    pub shape: ModelShape,
    /// From one slice to the next, in Å.
    pub slice_thickness_A: f64,
    /// Of the sample's normal, (y, x) in mrad: what a wave passes is shifted by its tangent a slice's thickness.
    pub tilt_mrad: [f64; 2],
    /// What each position's tilt has more than that, (y, x) in mrad; empty where none has.
    pub tilts_mrad: Vec<[f64; 2]>,
    /// What the refinement of the lens added to its coefficients in Å, see [`super::LENS_TERMS`]; empty where it was not refined.
    pub lens_A: Vec<f64>,
    /// Where each window's pixel N/2 sits, (row, col) in object pixels.
    pub positions_px: Vec<[f64; 2]>,
    /// The electrons of each pattern over those of the probe.
    pub intensities: Vec<f64>,
    /// (variation, ky, kx): what the first mode varies by from position to position, as spectra like it, the strongest first.
    pub variations: Vec<Complex64>,
    /// (position, variation): how much of each variation the first mode of a position has; their mean square is 1.
    pub weights: Vec<f64>,
    /// Of each finished iteration of all stages.
    pub history: Vec<Record>,
    /// The last Σ L / Σ I of each pattern.
    pub pattern_errors: Vec<f64>,
    /// The state that explained the held-out patterns best so far.
    pub best: Option<Box<State>>,
    /// What the rules remember from one iteration to the next, by name; complex numbers as re, im.
    pub memory: BTreeMap<String, Vec<f64>>,
}

impl State {
    /// The start: an empty object, the given modes of the probe, positions as planned.
    ///
    /// # Panics
    /// If the modes are not whole windows.
    pub fn start(frame: &ObjectFrame, slices: usize, slice_thickness_A: f64, probe_hat: Vec<Complex64>, rng: RngState) -> Self {
        let window = frame.window;
        let modes = probe_hat.len() / (window[0] * window[1]);
        assert_eq!(probe_hat.len(), modes * window[0] * window[1], "modes are whole windows");
        let shape = ModelShape { modes, variations: 0, slices, window, object: frame.shape };
        Self {
            stage: 0,
            iteration: 0,
            rng,
            object: vec![Complex64::new(1.0, 0.0); slices * shape.object_pixels()],
            probe_hat,
            shape,
            slice_thickness_A,
            tilt_mrad: [0.0; 2],
            tilts_mrad: Vec::new(),
            lens_A: Vec::new(),
            positions_px: frame.positions_px.clone(),
            intensities: vec![1.0; frame.positions_px.len()],
            variations: Vec::new(),
            weights: Vec::new(),
            history: Vec::new(),
            pattern_errors: Vec::new(),
            best: None,
            memory: BTreeMap::new(),
        }
    }

    /// The state with so many variations of the probe: those that there are, and behind them such that are 0.
    #[must_use]
    pub fn with_variations(mut self, count: usize) -> Self {
        let (before, patterns) = (self.shape.variations, self.positions_px.len());
        if count != before {
            self.variations.resize(count * self.shape.pixels(), Complex64::ZERO);
            let kept = |id: usize, k: usize| if k < before { self.weights[id * before + k] } else { 0.0 };
            self.weights = (0..patterns * count).map(|n| kept(n / count, n % count)).collect();
            self.shape.variations = count;
        }
        self
    }

    /// The normalised misfit of each finished iteration.
    pub fn errors(&self) -> Vec<f64> {
        self.history.iter().map(|record| record.error).collect()
    }

    /// Of the finished iterations of this stage.
    pub fn stage_history(&self) -> &[Record] {
        &self.history[self.history.len().saturating_sub(self.iteration as usize)..]
    }

    /// The state as the next stage begins with it: with other windows and other numbers of slices and modes, and nothing remembered of the rule.
    ///
    /// The slices' phases and the logarithms of their amplitudes are divided evenly among the new slices, over the same thickness; modes beyond those there were are
    /// made by [`super::with_modes`], those that are left out give their electrons to the others. A probe in a larger window is 0 beyond the smaller one, about pixel N/2.
    ///
    /// # Errors
    /// If there is no room for transforms.
    pub fn next_stage(mut self, begin: &Begin) -> super::Result<Self> {
        if begin.slices != self.shape.slices {
            self.object = resliced(&self.object, self.shape.object_pixels(), begin.slices);
            self.slice_thickness_A *= self.shape.slices as f64 / begin.slices as f64;
            self.shape.slices = begin.slices;
        }
        let electrons = self.electrons();
        if begin.window != self.shape.window {
            self.probe_hat = super::rewindowed(&self.probe_hat, self.shape.window, begin.window)?;
            self.variations = super::rewindowed(&self.variations, self.shape.window, begin.window)?;
            self.shape.window = begin.window;
        }
        let scale = (electrons / self.electrons()).sqrt();
        if scale != 1.0 {
            self.probe_hat.iter_mut().for_each(|p| *p *= scale);
        }
        if begin.modes != self.shape.modes {
            self.probe_hat = super::with_modes(self.probe_hat, self.shape.window, begin.modes, begin.mode_power);
            self.shape.modes = begin.modes;
        }
        self = self.with_variations(begin.variations);
        Ok(Self { stage: begin.stage, iteration: 0, best: None, memory: BTreeMap::new(), ..self })
    }

    /// The electrons of a frame: Σ|P̂|².
    pub fn electrons(&self) -> f64 {
        self.probe_hat.iter().map(Complex64::norm_sqr).sum()
    }

    /// The share of each mode in the probe's electrons.
    pub fn mode_powers(&self) -> Vec<f64> {
        let total = self.electrons();
        self.probe_hat.chunks_exact(self.shape.pixels()).map(|mode| mode.iter().map(Complex64::norm_sqr).sum::<f64>() / total).collect()
    }
}

/// What a stage begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Begin {
    /// Counted from 0.
    pub stage: u32,
    /// (y, x) of probe and frames.
    pub window: [usize; 2],
    pub slices: usize,
    pub modes: usize,
    pub variations: usize,
    /// The electrons of each new mode, as a part of the first one's.
    pub mode_power: f64,
}

/// The product of the slices (slice, y, x) of so many pixels, divided evenly among `slices` slices.
pub fn resliced(object: &[Complex64], pixels: usize, slices: usize) -> Vec<Complex64> {
    let part = 1.0 / slices as f64;
    let slice: Vec<Complex64> = (0..pixels)
        .map(|p| {
            // The sum of phases, not the phase of the product, which would be cut at half a turn.
            let (mut amplitude, mut phase) = (1.0, 0.0);
            for o in object.iter().skip(p).step_by(pixels) {
                amplitude *= o.norm();
                phase += o.arg();
            }
            Complex64::from_polar(amplitude.powf(part), phase * part)
        })
        .collect();
    slice.repeat(slices)
}

/// Why a reconstruction ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// All iterations are done.
    Finished,
    /// It was asked to stop.
    Interrupted,
    /// The held-out patterns were no longer explained any better.
    Converged,
    /// Iteration `iteration` went wrong; the state is that of the iteration before. Says what went wrong.
    Diverged { iteration: u32, why: String },
}

/// How a reconstruction ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// As of the last good iteration.
    pub state: State,
    pub ending: Ending,
}

impl Outcome {
    /// Was it asked to stop?
    pub fn interrupted(&self) -> bool {
        self.ending == Ending::Interrupted
    }
}
