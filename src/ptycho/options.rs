//! What a reconstruction is to do.

use super::batches::Grouping;
use super::refine::Refinement;
use crate::compute::Likelihood;

/// How an update is made of what the batches say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// ePIE (Maiden & Rodenburg, Ultramicroscopy 109 (2009) 1256), in mini-batches: every update is divided by the largest power that falls on the object or the
    /// probe.
    Epie,
    /// rPIE (Maiden, Johnson & Li, Optica 4 (2017) 736): the object's update is divided by (1 − α)·(power that falls on the pixel) + α·(the largest).
    Rpie { alpha: f64 },
    /// mPIE (the same paper): rPIE, and after every `every` batches object and probe go on along their mean way by `friction`.
    Mpie { alpha: f64, friction: f64, every: u32 },
    /// LSQ-ML (Odstrčil, Menzel & Guizar-Sicairos, Opt. Express 26 (2018) 3108) with one step a batch: the direction is that of rPIE, its length where the linearised misfit of
    /// the batch's waves is least; after each iteration object and probe go on along their mean way by `friction`.
    LsqMl { alpha: f64, friction: f64 },
    /// Gradient descent by Adam (Kingma & Ba, arXiv 1412.6980). Its steps are rad for the object, and parts of its brightest amplitude for the probe.
    Adam,
    /// The difference map (Thibault et al., Science 321 (2008) 379): every pattern keeps its exit wave.
    DifferenceMap { beta: f64 },
    /// Relaxed averaged alternating reflections (Luke, Inverse Problems 21 (2005) 37), likewise.
    Raar { beta: f64 },
}

impl Rule {
    /// Does it keep the exit wave of every pattern, so that its memory grows with their number?
    pub fn keeps_waves(self) -> bool {
        matches!(self, Self::DifferenceMap { .. } | Self::Raar { .. })
    }
}

/// Patterns that no update sees, to see whether what is reconstructed explains them, too.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// In ascending order.
    pub ids: Vec<u32>,
    /// Stop where so many iterations brought no better validation error, and keep the best state; 0 never stops.
    pub patience: u32,
}

/// The settings of [`super::reconstruct`].
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub rule: Rule,
    pub likelihood: Likelihood,
    pub iterations: u32,
    /// Positions that are updated together.
    pub batch: usize,
    pub grouping: Grouping,
    /// Object's step. With several slices each takes its part of it.
    pub step_object: f64,
    pub step_probe: f64,
    /// The part of both steps that is left in the last iteration; see [`Self::step_part`].
    pub step_end: f64,
    /// The first iteration, from 1, that refines the probe; 0 is never.
    pub probe_from: u32,
    pub wavelength_A: f64,
    pub refinement: Refinement,
    pub validation: Option<Validation>,
}

impl Options {
    /// ePIE in batches with both steps ½, from the first iteration on.
    pub fn epie(iterations: u32, batch: usize, wavelength_A: f64) -> Self {
        Self {
            rule: Rule::Epie,
            likelihood: Likelihood::Amplitude,
            iterations,
            batch,
            grouping: Grouping::Random,
            step_object: 0.5,
            step_probe: 0.5,
            step_end: 1.0,
            probe_from: 1,
            wavelength_A,
            refinement: Refinement::default(),
            validation: None,
        }
    }

    /// The part of the steps that is left in this iteration, counted from 1: they fall by the same factor from each to the next.
    pub(super) fn step_part(&self, iteration: u32) -> f64 {
        if self.iterations < 2 {
            return 1.0;
        }
        self.step_end.powf(f64::from(iteration - 1) / f64::from(self.iterations - 1))
    }

    /// Is the probe refined in this iteration, counted from 1?
    pub(super) fn probe_in(&self, iteration: u32) -> bool {
        self.probe_from > 0 && iteration >= self.probe_from
    }
}
