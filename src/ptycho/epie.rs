//! The extended ptychographical iterative engine (Maiden & Rodenburg, Ultramicroscopy 109 (2009) 1256), one position at a
//! time as published, or in mini-batches.

use std::time::Instant;

use rand::seq::SliceRandom;

use super::{Error, ObjectFrame, Outcome, Result, State};
use crate::compute::{Backend, BatchPlan, DetectorLayout, Likelihood, Model, Patterns, Update, Waves};
use crate::run::{Event, RngState, Run, Stage};

/// Amplitudes below this part of the probe's brightest are what single precision makes of 0 (rounding is 6e-8, through four transforms
/// and their sums). Through an empty object the dark field is such a 0: to give it counts would give it random phases, other ones on
/// every device.
const ROUNDING: f64 = 1e-5;

/// The settings of [`epie`].
#[derive(Debug, Clone, PartialEq)]
pub struct EpieOptions {
    pub iterations: u32,
    /// Positions that are updated together; 1 is the published rule.
    pub batch: usize,
    /// α.
    pub step_object: f64,
    /// β.
    pub step_probe: f64,
    /// The first iteration, from 1, that refines the probe; 0 is never.
    pub probe_from: u32,
}

/// Runs `state` to `options.iterations`.
///
/// For each batch, both from the object and probe at its start:
/// O += α Σ_j P_j* Δψ_j / max Σ_j |P_j|² and P += β Σ_j O_j* Δψ_j / max Σ_j |O_j|².
///
/// # Errors
/// What the device or the source of the patterns reports, or divergence. Being asked to stop is no error.
pub fn epie<B: Backend>(
    run: &Run,
    backend: &B,
    patterns: &dyn Patterns<B>,
    frame: &ObjectFrame,
    detector: &DetectorLayout,
    options: &EpieOptions,
    mut state: State,
) -> Result<Outcome> {
    if patterns.len() != frame.positions_px.len() {
        return Err(Error::PositionCount { patterns: patterns.len(), positions: frame.positions_px.len() });
    }
    if !backend.supports_window(frame.window) {
        return Err(crate::compute::Error::UnsupportedWindow { device: backend.device_name(), shape: frame.window }.into());
    }
    let started = Instant::now();
    let remaining = u64::from(options.iterations.saturating_sub(state.iteration));
    run.emit(Event::StageStarted { stage: Stage::Reconstruct, total: remaining * patterns.len() as u64, unit: "patterns" });
    let mut device = Device::new(backend, frame, detector, options, &state)?;
    let mut done = 0;
    while state.iteration < options.iterations {
        let iteration = state.iteration + 1;
        let clock = Instant::now();
        let (order, rng) = shuffled(patterns.len(), state.rng);
        patterns.prefetch(&order);
        let refine_probe = options.probe_from > 0 && iteration >= options.probe_from;
        for ids in order.chunks(options.batch.max(1)) {
            if run.is_cancelled() {
                run.emit(Event::StageFinished { stage: Stage::Reconstruct, seconds: started.elapsed().as_secs_f64() });
                return Ok(Outcome { state, interrupted: true });
            }
            let plan = BatchPlan::new(ids, &frame.positions_px, frame.window, frame.shape);
            device.step(backend, patterns, plan, options, refine_probe)?;
            done += ids.len() as u64;
            run.emit(Event::Progress { stage: Stage::Reconstruct, done });
        }
        let error = device.error(backend)?;
        if !error.is_finite() {
            return Err(Error::Diverged { iteration });
        }
        device.read(backend, &mut state)?;
        state.iteration = iteration;
        state.rng = rng;
        state.errors.push(error);
        let seconds = clock.elapsed().as_secs_f64();
        run.emit(Event::Iteration { iteration, iterations: options.iterations, error, seconds });
    }
    run.emit(Event::StageFinished { stage: Stage::Reconstruct, seconds: started.elapsed().as_secs_f64() });
    Ok(Outcome { state, interrupted: false })
}

/// The state and the work arrays on the device.
struct Device<B: Backend> {
    model: Model<B>,
    work: Waves<B>,
    object_update: Update<B>,
    probe_update: Update<B>,
    /// Two numbers a pattern: its misfit and its counts.
    metrics: B::Reals,
}

impl<B: Backend> Device<B> {
    fn new(backend: &B, frame: &ObjectFrame, detector: &DetectorLayout, options: &EpieOptions, state: &State) -> Result<Self> {
        let (window, object) = (frame.window[0] * frame.window[1], frame.shape[0] * frame.shape[1]);
        let brightest = state.probe_hat.iter().map(|p| p.norm()).fold(0.0, f64::max);
        let batch = options.batch.clamp(1, frame.positions_px.len().max(1));
        let update = |len| -> Result<Update<B>> {
            Ok(Update { numerator: backend.complex_zeros(len)?, denominator: backend.real_zeros(len)?, peak: backend.real_zeros(1)? })
        };
        Ok(Self {
            model: Model {
                object: backend.complexes(&state.object)?,
                object_shape: frame.shape,
                probe_hat: backend.complexes(&state.probe_hat)?,
                window: frame.window,
                detector: backend.detector(&DetectorLayout { floor: ROUNDING * brightest, ..detector.clone() })?,
            },
            work: Waves { probes: backend.complex_zeros(batch * window)?, waves: backend.complex_zeros(batch * window)? },
            object_update: update(object)?,
            probe_update: update(window)?,
            metrics: backend.real_zeros(2 * frame.positions_px.len())?,
        })
    }

    /// One batch.
    fn step(&mut self, backend: &B, patterns: &dyn Patterns<B>, plan: BatchPlan, options: &EpieOptions, refine_probe: bool) -> Result<()> {
        let Self { model, work, object_update, probe_update, metrics } = self;
        let block = patterns.batch(&plan.ids)?;
        let batch = backend.batch(plan)?;
        backend.wave_gradient(&batch, &block, model, Likelihood::Amplitude, work, metrics)?;
        backend.accumulate_object(&batch, work, object_update)?;
        if refine_probe {
            backend.accumulate_probe(&batch, model, work, probe_update)?;
        }
        backend.update_object(&mut model.object, object_update, options.step_object, &batch)?;
        if refine_probe {
            backend.update_probe(&mut model.probe_hat, probe_update, options.step_probe)?;
        }
        Ok(())
    }

    /// Σ(|ψ̂| − √I)²/ΣI over the patterns, each as it was when its batch came.
    fn error(&self, backend: &B) -> Result<f64> {
        let metrics = backend.read_reals(&self.metrics)?;
        let (misfit, counts) = metrics.chunks_exact(2).fold((0.0, 0.0), |(m, c), pair| (m + pair[0], c + pair[1]));
        Ok(misfit / counts)
    }

    fn read(&self, backend: &B, state: &mut State) -> Result<()> {
        state.object = backend.read_complexes(&self.model.object)?;
        state.probe_hat = backend.read_complexes(&self.model.probe_hat)?;
        Ok(())
    }
}

/// The numbers 0..n in random order, and the random stream after them.
pub fn shuffled(n: usize, rng: RngState) -> (Vec<u32>, RngState) {
    let mut generator = rng.generator();
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.shuffle(&mut generator);
    (order, RngState { counter: generator.get_word_pos(), ..rng })
}
