//! The loop of a reconstruction: batches, what they say, and the rules that turn it into updates.

use std::time::Instant;

use num_complex::Complex64;

use super::batches::{Grouping, batches};
use super::memory::{Memory, lengths};
use super::options::{Options, Rule};
use super::pack::complex;
use super::projections::{Projections, agreed_object, agreed_probe};
use super::propagation::propagator;
use super::{Ending, Error, ObjectFrame, Outcome, Record, Result, State, lens, refine, scan_map, tilts, variations};
use crate::compute::{AdamStep, Backend, BatchPlan, DetectorLayout, Gradients, Model, Patterns, Update, Wanted};
use crate::run::{Event, Run, Stage};

/// Amplitudes below this part of the probe's brightest are what single precision makes of 0 (rounding is 6e-8, through four transforms
/// and their sums). Through an empty object the dark field is such a 0: to give it counts would give it random phases, other ones on
/// every device.
const ROUNDING: f64 = 1e-5;

/// An error so many times the best one so far is an explosion.
const EXPLODED: f64 = 4.0;

/// What is done after each iteration, before the next one.
pub trait Hooks {
    /// May change object, probe and what the probe's way through the slices depends on; says whether it did.
    ///
    /// # Errors
    /// What ends the reconstruction.
    fn after_iteration(&mut self, state: &mut State) -> Result<bool>;

    /// Iterations between two checkpoints; 0 keeps none.
    fn checkpoint_every(&self) -> u32 {
        0
    }

    /// Keeps a state from which the reconstruction goes on as if it had not been interrupted.
    ///
    /// # Errors
    /// What ends the reconstruction.
    fn checkpoint(&mut self, _state: State) -> Result<()> {
        Ok(())
    }
}

/// Nothing is done after an iteration.
impl Hooks for () {
    fn after_iteration(&mut self, _state: &mut State) -> Result<bool> {
        Ok(false)
    }
}

/// Runs `state` to `options.iterations`.
///
/// # Errors
/// What the device or the source of the patterns reports, or positions that do not fit. Being asked to stop and divergence are no errors.
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
pub fn reconstruct<B: Backend>(
    run: &Run,
    backend: &B,
    patterns: &dyn Patterns<B>,
    frame: &ObjectFrame,
    detector: &DetectorLayout,
    options: &Options,
    mut state: State,
    hooks: &mut dyn Hooks,
) -> Result<Outcome> {
    if patterns.len() != frame.positions_px.len() {
        return Err(Error::PositionCount { patterns: patterns.len(), positions: frame.positions_px.len() });
    }
    if !backend.supports_window(frame.window) {
        return Err(crate::compute::Error::UnsupportedWindow { device: backend.device_name(), shape: frame.window }.into());
    }
    let held: &[u32] = options.validation.as_ref().map_or(&[], |v| &v.ids);
    let ids: Vec<u32> = (0..patterns.len() as u32).filter(|id| held.binary_search(id).is_err()).collect();
    let started = Instant::now();
    let remaining = u64::from(options.iterations.saturating_sub(state.iteration));
    run.emit(Event::StageStarted { stage: Stage::Reconstruct, total: remaining * ids.len() as u64, unit: "patterns" });
    // As the stage began with it, also where it goes on from a checkpoint.
    let brightest = state.probe_hat.iter().map(|p| p.norm()).fold(0.0, f64::max);
    state.memory.entry(BRIGHTEST.to_owned()).or_insert_with(|| vec![brightest]);
    let mut engine = Engine::new(backend, patterns, frame, detector, options, &state)?;
    let mut done = 0;
    let mut ending = Ending::Finished;
    while state.iteration < options.iterations {
        let iteration = state.iteration + 1;
        let clock = Instant::now();
        // Where patterns keep their waves, batches stay as they are.
        let grouping = if options.rule.keeps_waves() { Grouping::Sequential } else { options.grouping };
        if options.refinement.variations_from == iteration {
            variations::begin(&mut state, &ids);
        }
        let (groups, rng) = batches(grouping, &ids, &state.positions_px, options.batch, state.rng);
        patterns.prefetch(&groups.concat());
        let mut cancelled = false;
        engine.begin_iteration(&groups)?;
        for (number, group) in groups.iter().enumerate() {
            cancelled = run.is_cancelled();
            if cancelled {
                break;
            }
            engine.step(number, group, &state, iteration)?;
            done += group.len() as u64;
            run.emit(Event::Progress { stage: Stage::Reconstruct, done });
        }
        if cancelled {
            ending = Ending::Interrupted;
            break;
        }
        let mut next = engine.finish_iteration(&ids, &state, rng)?;
        let error = next.history.last().map_or(f64::NAN, |record| record.error);
        let smallest = state.stage_history().iter().map(|r| r.error).fold(f64::INFINITY, f64::min);
        if let Some(why) = what_went_wrong(error, smallest, &next) {
            ending = Ending::Diverged { iteration, why };
            break;
        }
        if scan_map::scale_is_due(&options.refinement, iteration)
            && !options.rule.keeps_waves()
            && !engine.rescale(run, &ids, &mut next, hooks)?
        {
            ending = Ending::Interrupted;
            break;
        }
        state = next;
        if hooks.after_iteration(&mut state)? {
            engine.write(&state)?;
        }
        let seconds = clock.elapsed().as_secs_f64();
        run.emit(Event::Iteration { iteration, iterations: options.iterations, error, seconds });
        if let Some(validation) = &options.validation {
            let error = engine.validate(&validation.ids, &state)?;
            if let Some(record) = state.history.last_mut() {
                record.validation = Some(error);
            }
            let least = state.best.as_ref().and_then(|best| best.history.last()?.validation);
            if least.is_none_or(|least| error < least) {
                state.best = None;
                state.best = Some(Box::new(state.clone()));
            } else if let Some(best) = &state.best
                && validation.patience > 0
                && iteration - best.iteration >= validation.patience
            {
                ending = Ending::Converged;
                break;
            }
        }
        let every = hooks.checkpoint_every();
        if every > 0 && iteration.is_multiple_of(every) && iteration < options.iterations {
            let mut whole = state.clone();
            engine.remember(&mut whole)?;
            hooks.checkpoint(whole)?;
        }
    }
    // What a rule remembers is by now that of a part of an iteration; of one that remembers nothing the state is all.
    if ending == Ending::Interrupted && hooks.checkpoint_every() > 0 && state.iteration > 0 && matches!(engine.memory, Memory::None) {
        hooks.checkpoint(state.clone())?;
    }
    if ending == Ending::Converged
        && let Some(best) = state.best.take()
    {
        let history = std::mem::take(&mut state.history);
        state = State { history, ..*best };
    }
    run.emit(Event::StageFinished { stage: Stage::Reconstruct, seconds: started.elapsed().as_secs_f64() });
    Ok(Outcome { state, ending })
}

/// What is wrong with an iteration, if anything.
fn what_went_wrong(error: f64, smallest: f64, state: &State) -> Option<String> {
    if !error.is_finite() {
        return Some("its error is not a number".to_owned());
    }
    if error > EXPLODED * smallest {
        return Some(format!("its error is {error:.3}, {:.0} times the smallest one before", error / smallest));
    }
    let finite = |values: &[Complex64]| values.iter().all(|z| z.re.is_finite() && z.im.is_finite());
    if !finite(&state.object) || !finite(&state.probe_hat) {
        return Some("the object or the probe is not a number everywhere".to_owned());
    }
    None
}

/// The model and all work arrays on the device.
struct Engine<'a, B: Backend> {
    backend: &'a B,
    patterns: &'a dyn Patterns<B>,
    frame: &'a ObjectFrame,
    options: &'a Options,
    model: Model<B>,
    work: B::Work,
    gradients: Gradients<B>,
    memory: Memory<B>,
    /// Batches done in all.
    steps: u64,
}

/// The name of the probe's brightest amplitude at the stage's start in the state's memory.
const BRIGHTEST: &str = "brightest";
/// The name of the count of batches in the state's memory.
const STEPS: &str = "steps";

impl<'a, B: Backend> Engine<'a, B> {
    fn new(
        backend: &'a B,
        patterns: &'a dyn Patterns<B>,
        frame: &'a ObjectFrame,
        detector: &DetectorLayout,
        options: &'a Options,
        state: &State,
    ) -> Result<Self> {
        let brightest = state.memory.get(BRIGHTEST).and_then(|b| b.first()).copied().unwrap_or(0.0);
        let batch = options.batch.clamp(1, frame.positions_px.len().max(1));
        let shape = state.shape;
        let model = Model {
            shape,
            object: state
                .object
                .chunks_exact(shape.object_pixels())
                .map(|slice| backend.complexes(slice))
                .collect::<std::result::Result<_, _>>()?,
            probe_hat: backend.complexes(&probes(state))?,
            propagator: backend.complexes(&way(state, frame, options))?,
            detector: backend.detector(detector)?,
            floor: ROUNDING * brightest,
        };
        let memory = Memory::new(backend, options.rule, state)?;
        let steps = state.memory.get(STEPS).and_then(|s| s.first()).map_or(0, |&s| s as u64);
        Ok(Self {
            backend,
            patterns,
            frame,
            options,
            model,
            work: backend.work(&shape, batch)?,
            gradients: Gradients::zeros(backend, &shape, frame.positions_px.len())?,
            memory,
            steps,
        })
    }

    /// The batch `ids` on the device, its probes as strong as its patterns.
    fn batch(&self, ids: &[u32], state: &State) -> Result<B::Batch> {
        let mut plan = BatchPlan::new(ids, &state.positions_px, self.frame.window, self.frame.shape);
        plan.scale(|id| state.intensities[id as usize].sqrt());
        if state.shape.slices > 1 && !state.tilts_mrad.is_empty() {
            plan.tilt(|id| tilts::shift_px(state, self.frame, id));
        }
        let count = state.shape.variations;
        plan.weights = ids.iter().flat_map(|&id| &state.weights[id as usize * count..(id as usize + 1) * count]).copied().collect();
        Ok(self.backend.batch(plan)?)
    }

    /// What has to be done before the batches of an iteration.
    fn begin_iteration(&mut self, groups: &[Vec<u32>]) -> Result<()> {
        let (backend, rule, shape) = (self.backend, self.options.rule, self.model.shape);
        let Memory::Waves { kept, of } = &mut self.memory else { return Ok(()) };
        if of.is_none() {
            let largest = groups.iter().map(Vec::len).max().unwrap_or(1);
            let mut projections = Projections::new(backend, rule, &shape, groups.len(), largest)?;
            for (waves, kept) in projections.waves.iter_mut().zip(std::mem::take(kept)) {
                *waves = Some(backend.complexes(&complex(&kept))?);
            }
            *of = Some(projections);
        }
        // The sums go over the whole iteration.
        self.gradients.object = vec![Update::zeros(backend, shape.object_pixels(), shape.object_pixels())?];
        self.gradients.probe = Update::zeros(backend, shape.probe_len(), shape.pixels())?;
        Ok(())
    }

    /// The batch of this number in its iteration.
    fn step(&mut self, number: usize, ids: &[u32], state: &State, iteration: u32) -> Result<()> {
        let (options, slices) = (self.options, self.model.shape.slices);
        let batch = self.batch(ids, state)?;
        let block = self.patterns.batch(ids)?;
        let probe = options.probe_in(iteration) || lens::is_due(&options.refinement, iteration);
        if let Memory::Waves { of: Some(projections), .. } = &mut self.memory {
            return projections.step(self.backend, number, batch, &block, &self.model, options.likelihood, &mut self.gradients);
        }
        let wanted = Wanted {
            probe,
            moments: options.refinement.moments(iteration, state.shape.variations),
            propagator: options.refinement.propagator(iteration, slices),
            tilts: options.refinement.tilts(iteration, slices),
            add_propagator: number > 0,
            ..Wanted::default()
        };
        self.backend.gradients(&batch, &block, &self.model, options.likelihood, wanted, &mut self.work, &mut self.gradients)?;
        self.steps += 1;
        self.update(&batch, probe, options.step_part(iteration))
    }

    /// Applies what the batch left behind, with this part of the steps.
    fn update(&mut self, batch: &B::Batch, probe: bool, part: f64) -> Result<()> {
        let Self { backend, options, model, gradients, memory, .. } = self;
        // All slices change the exit wave alike: together they take one step.
        let (step_object, step_probe) = (part * options.step_object / model.shape.slices as f64, part * options.step_probe);
        if let (Rule::Adam, Memory::Adam { object, probe: of_probe }) = (options.rule, &mut *memory) {
            let brightest = model.floor / ROUNDING;
            for ((slice, update), moments) in model.object.iter_mut().zip(&gradients.object).zip(object) {
                backend.adam_object(slice, update, moments, &AdamStep::new(step_object, self.steps), batch)?;
            }
            if probe {
                let step = AdamStep::new(step_probe * brightest, self.steps);
                backend.adam_probe(&mut model.probe_hat, &gradients.probe, of_probe, &step)?;
            }
            return Ok(());
        }
        let own = match options.rule {
            Rule::Rpie { alpha } | Rule::Mpie { alpha, .. } | Rule::LsqMl { alpha, .. } => 1.0 - alpha,
            _ => 0.0,
        };
        for (slice, update) in model.object.iter_mut().zip(&mut gradients.object) {
            if let Rule::LsqMl { .. } = options.rule {
                backend.optimal_object_step(update, own, batch)?;
            }
            backend.update_object(slice, update, step_object, own, batch)?;
        }
        if probe {
            if let Rule::LsqMl { .. } = options.rule {
                backend.optimal_probe_step(&mut gradients.probe)?;
            }
            backend.update_probe(&mut model.probe_hat, &gradients.probe, step_probe)?;
        }
        if let Rule::Mpie { friction, every, .. } = options.rule
            && self.steps.is_multiple_of(u64::from(every.max(1)))
        {
            self.go_on(friction)?;
        }
        Ok(())
    }

    /// Object and probe go on along their mean way.
    fn go_on(&mut self, friction: f64) -> Result<()> {
        let Memory::Momentum { previous, velocity } = &mut self.memory else { return Ok(()) };
        let arrays = self.model.object.iter_mut().chain(std::iter::once(&mut self.model.probe_hat));
        for ((x, previous), velocity) in arrays.zip(previous).zip(velocity) {
            self.backend.momentum(x, previous, velocity, friction)?;
        }
        Ok(())
    }

    /// The state after all batches of an iteration.
    fn finish_iteration(&mut self, ids: &[u32], before: &State, rng: crate::run::RngState) -> Result<State> {
        let iteration = before.iteration + 1;
        if let Rule::LsqMl { friction, .. } = self.options.rule
            && friction > 0.0
        {
            self.go_on(friction)?;
        }
        let metrics = self.backend.read_reals(&self.gradients.metrics)?;
        let mut state = State { iteration, rng, ..before.clone() };
        self.read(&mut state)?;
        if let Memory::Waves { .. } = self.memory {
            agreed_object(self.backend, &self.gradients.object[0], &mut state.object)?;
            self.write(&state)?;
            if (self.options.probe_in(iteration) || lens::is_due(&self.options.refinement, iteration))
                && let Memory::Waves { of: Some(projections), .. } = &mut self.memory
            {
                projections.probe_sums(self.backend, &self.model, &mut self.gradients.probe)?;
                agreed_probe(self.backend, &self.gradients.probe, state.shape.window, &mut state.probe_hat)?;
                self.write(&state)?;
            }
        }
        state.pattern_errors.resize(self.patterns.len(), f64::NAN);
        for id in ids.iter().map(|&id| id as usize) {
            state.pattern_errors[id] = metrics[2 * id] / metrics[2 * id + 1];
        }
        let refinement = &self.options.refinement;
        if refinement.moments(iteration, state.shape.variations) {
            let moments = self.backend.read_reals(&self.gradients.moments)?;
            refine::positions_and_intensities(refinement, iteration, self.frame, &moments, ids, &mut state);
            if refinement.varies(iteration, state.shape.variations) {
                variations::refine(&mut state, &moments, ids);
                self.write(&state)?;
                // The variations were turned into each other: the probe's way so far is none of theirs.
                if let Memory::Momentum { velocity, .. } = &mut self.memory
                    && let Some(of_probe) = velocity.last_mut()
                {
                    *of_probe = self.backend.complex_zeros(state.shape.probe_len())?;
                }
            }
        }
        if refinement.tilts(iteration, state.shape.slices) {
            let moments = self.backend.read_reals(&self.gradients.tilts)?;
            tilts::refine(refinement, self.frame, &moments, ids, &mut state);
        }
        if refinement.propagator(iteration, state.shape.slices) {
            let (numerator, denominator) = (&self.gradients.propagator.numerator, &self.gradients.propagator.denominator);
            let (numerator, denominator) = (self.backend.read_complexes(numerator)?, self.backend.read_reals(denominator)?);
            let (pixel_A, wavelength_A) = (self.frame.pixel_A, self.options.wavelength_A);
            refine::way_between_slices(refinement, iteration, pixel_A, wavelength_A, &numerator, &denominator, &mut state);
            self.model.propagator = self.backend.complexes(&way(&state, self.frame, self.options))?;
        }
        if lens::is_due(refinement, iteration) {
            lens::refine(refinement, iteration, self.frame, self.options.wavelength_A, &before.probe_hat, &mut state);
            self.write(&state)?;
        }
        if scan_map::is_due(refinement, iteration) && !self.options.rule.keeps_waves() {
            scan_map::refine(self.frame, ids, &mut state, |ids, trial| {
                self.write(trial)?;
                self.validate(ids, trial)
            })?;
            self.write(&state)?;
        }
        state.history.push(self.record(mean_error(&metrics, ids), &state));
        Ok(state)
    }

    /// Widens or narrows the scan, by what some iterations with a wider and a narrower one come to; false where it was asked to stop.
    fn rescale(&mut self, run: &Run, ids: &[u32], state: &mut State, hooks: &mut dyn Hooks) -> Result<bool> {
        let mut begun = state.clone();
        self.remember(&mut begun)?;
        let (frame, steps) = (self.frame, self.steps);
        let whole = scan_map::rescale(frame, state, |mut trial| {
            trial.memory.clone_from(&begun.memory);
            self.go_back_to(&trial, steps)?;
            self.settled(run, ids, trial, hooks)
        })?;
        begun.object.clone_from(&state.object);
        begun.positions_px.clone_from(&state.positions_px);
        self.go_back_to(&begun, steps)?;
        Ok(whole)
    }

    /// Goes on from this state, and from what the rule remembers in it.
    fn go_back_to(&mut self, state: &State, steps: u64) -> Result<()> {
        self.memory = Memory::new(self.backend, self.options.rule, state)?;
        self.steps = steps;
        self.write(state)
    }

    /// The error of all patterns in the last of some iterations that begin with `state`; none where it was asked to stop.
    fn settled(&mut self, run: &Run, ids: &[u32], mut state: State, hooks: &mut dyn Hooks) -> Result<Option<f64>> {
        for _ in 0..scan_map::SETTLING {
            let (groups, rng) = batches(self.options.grouping, ids, &state.positions_px, self.options.batch, state.rng);
            for (number, group) in groups.iter().enumerate() {
                if run.is_cancelled() {
                    return Ok(None);
                }
                self.step(number, group, &state, state.iteration + 1)?;
            }
            (state.iteration, state.rng) = (state.iteration + 1, rng);
            self.read(&mut state)?;
            if hooks.after_iteration(&mut state)? {
                self.write(&state)?;
            }
        }
        let metrics = self.backend.read_reals(&self.gradients.metrics)?;
        Ok(Some(mean_error(&metrics, ids)))
    }

    fn record(&self, error: f64, state: &State) -> Record {
        let squared =
            |(now, start): (&[f64; 2], &[f64; 2])| (0..2).map(|a| ((now[a] - start[a]) * self.frame.pixel_A[a]).powi(2)).sum::<f64>();
        let sum: f64 = state.positions_px.iter().zip(&self.frame.positions_px).map(squared).sum();
        Record {
            error,
            validation: None,
            powers: state.mode_powers(),
            shift_rms_A: (sum / state.positions_px.len().max(1) as f64).sqrt(),
            slice_thickness_A: state.slice_thickness_A,
            tilt_mrad: state.tilt_mrad,
            lens_A: state.lens_A.clone(),
        }
    }

    /// The error of patterns as the state stands.
    fn validate(&mut self, ids: &[u32], state: &State) -> Result<f64> {
        for ids in ids.chunks(self.options.batch.max(1)) {
            let batch = self.batch(ids, state)?;
            let block = self.patterns.batch(ids)?;
            let wanted = Wanted { metrics_only: true, ..Wanted::default() };
            self.backend.gradients(&batch, &block, &self.model, self.options.likelihood, wanted, &mut self.work, &mut self.gradients)?;
        }
        let metrics = self.backend.read_reals(&self.gradients.metrics)?;
        Ok(mean_error(&metrics, ids))
    }

    fn read(&self, state: &mut State) -> Result<()> {
        state.object.clear();
        for slice in &self.model.object {
            state.object.extend(self.backend.read_complexes(slice)?);
        }
        state.probe_hat = self.backend.read_complexes(&self.model.probe_hat)?;
        state.variations = state.probe_hat.split_off(state.shape.modes * state.shape.pixels());
        Ok(())
    }

    /// Puts a changed state back on the device.
    fn write(&mut self, state: &State) -> Result<()> {
        for (slice, values) in self.model.object.iter_mut().zip(state.object.chunks_exact(state.shape.object_pixels())) {
            *slice = self.backend.complexes(values)?;
        }
        self.model.probe_hat = self.backend.complexes(&probes(state))?;
        self.model.propagator = self.backend.complexes(&way(state, self.frame, self.options))?;
        // What was imposed is no movement to go on by.
        if let Memory::Momentum { previous, .. } = &mut self.memory {
            let arrays = self.model.object.iter().chain(std::iter::once(&self.model.probe_hat));
            for ((previous, now), len) in previous.iter_mut().zip(arrays).zip(lengths(&self.model.shape)) {
                self.backend.copy(now, previous, len)?;
            }
        }
        Ok(())
    }

    /// Puts what the rule remembers into the state.
    fn remember(&self, state: &mut State) -> Result<()> {
        state.memory.insert(STEPS.to_owned(), vec![self.steps as f64]);
        self.memory.store(self.backend, &mut state.memory)
    }
}

/// The misfit of these patterns over their counts.
fn mean_error(metrics: &[f64], ids: &[u32]) -> f64 {
    let (misfit, counts) = ids.iter().map(|&id| id as usize).fold((0.0, 0.0), |(m, c), id| (m + metrics[2 * id], c + metrics[2 * id + 1]));
    misfit / counts
}

/// The propagator of a state; one number where there is one slice.
fn way(state: &State, frame: &ObjectFrame, options: &Options) -> Vec<Complex64> {
    if state.shape.slices == 1 {
        return vec![Complex64::new(1.0, 0.0)];
    }
    propagator(state.shape.window, frame.pixel_A, options.wavelength_A, state.slice_thickness_A, state.tilt_mrad)
}

/// The modes of the probe and what it varies by.
pub(super) fn probes(state: &State) -> Vec<Complex64> {
    state.probe_hat.iter().chain(&state.variations).copied().collect()
}
