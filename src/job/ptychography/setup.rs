//! What a reconstruction has to know, whichever electrons it is of: geometry, stages, the start.

use std::sync::Arc;

use num_complex::Complex64;

use super::{Ended, Inputs, Keeper, Stage, constraints, frozen, further_aberrations, geometry, scan_grid, settings};
use crate::compute::cpu::transformed;
use crate::compute::{Backend, DetectorLayout, Direction, Spread};
use crate::data::{CubeInfo, FrameSource, Resized};
use crate::imaging::{self, Images};
use crate::job::measure::Measured;
use crate::job::plan::{Geometry, Plan, Scan};
use crate::job::schema::Job;
use crate::job::{Error, arrays, direct, images, memory};
use crate::optics::{self, Aberrations, ProbeOptics, ScanGrid};
use crate::output::Array;
use crate::ptycho::{self, Begin, Ending, ObjectFrame, State};
use crate::run::Run;
use crate::stream::Stream;

/// What the reconstructions of a job have in common.
pub(in crate::job) struct Setup<'a> {
    pub(super) job: &'a Job,
    plan: &'a Plan,
    needs: &'a Geometry,
    inputs: Inputs,
    pub(super) stages: Vec<Stage>,
    info: CubeInfo,
    /// (y, x) of frames with their padding.
    padded: [usize; 2],
    valid: Option<Vec<bool>>,
    centre_px: [f64; 2],
    mrad_per_px: [f64; 2],
    wavelength_A: f64,
    pub(super) grid: ScanGrid,
    /// With the largest window of a stage.
    frame: ObjectFrame,
}

/// The electrons that a reconstruction is of.
pub(super) struct Electrons<'a, B: Backend> {
    /// Frames as the file has them.
    pub(super) stream: &'a Stream<B>,
    /// The same frames once more.
    pub(super) source: &'a dyn Fn() -> Result<Box<dyn FrameSource>, Error>,
    /// The mean sum of a frame.
    pub(super) incident: f64,
    /// Are they all of the data's? An earlier object would make halves agree.
    pub(super) whole: bool,
}

/// The detector as a stage sees it.
struct View {
    window: [usize; 2],
    mrad_per_px: [f64; 2],
    /// Of the zero angle, from the layout's centre.
    remainder_px: [f64; 2],
    layout: DetectorLayout,
}

impl<'a> Setup<'a> {
    /// Refuses what cannot come to anything whatever the frames hold.
    pub(in crate::job) fn new(
        plan: &'a Plan,
        needs: &'a Geometry,
        inputs: Inputs,
        measured: &Measured,
        valid: Option<Vec<bool>>,
        info: &CubeInfo,
        run: &Run,
    ) -> Result<Self, Error> {
        let job = &plan.job;
        let Some(mrad_per_px) = job.detector.mrad_per_px.as_ref().map(|entry| entry.value.0) else {
            let why = "it could not be measured and ptychography needs it".to_owned();
            return Err(Error::Missing { key: "detector.mrad_per_px", why, example: "0.98" });
        };
        let stages = settings::stages(job)?;
        let frame = enclosing(job, needs, &inputs, &stages, mrad_per_px, info)?;
        check_sizes(&stages, &frame, info)?;
        let (wavelength_A, padded) = (optics::wavelength_A(needs.voltage_kV), padded(job, info));
        let grid = scan_grid(job, info.scan_shape);
        let (info, centre_px) = (info.clone(), measured.centre_px);
        let setup = Self { job, plan, needs, inputs, stages, info, padded, valid, centre_px, mrad_per_px, wavelength_A, grid, frame };
        setup.check_probe(run)?;
        Ok(setup)
    }

    /// Refuses a start whose probe cannot come to anything, and warns of one that hardly can.
    fn check_probe(&self, run: &Run) -> Result<(), Error> {
        // Where it is too wide for any window it is for the smallest.
        let smallest = self.stages.iter().map(|stage| self.view(stage)).min_by_key(|view| view.window[0] * view.window[1]);
        let Some(view) = smallest else { return Ok(()) };
        let frame = self.frame(view.window);
        // What there is to say of the probe itself is said where the reconstruction begins; how many electrons it has says nothing of where they are.
        let probe_hat = self.probe_hat(&view, &frame, 1.0, &Run { events: &|_| (), ..*run })?;
        let first_mode = &probe_hat[..view.window[0] * view.window[1]];
        geometry::check_probe(&frame, &transformed(first_mode, view.window, Direction::Inverse)?, run)
    }

    /// The object's grid with a stage's window.
    pub(super) fn frame(&self, window: [usize; 2]) -> ObjectFrame {
        ObjectFrame { window, ..self.frame.clone() }
    }

    /// The mean pattern, and its sum.
    pub(super) fn mean_frame<B: Backend>(&self, backend: &B, stream: &Stream<B>, run: &Run) -> Result<Images, Error> {
        Ok(imaging::image(run, backend, stream, &images::geometry(self.job, self.info.scan_shape, self.valid.clone()))?)
    }

    fn view(&self, stage: &Stage) -> View {
        let (pad, bin) = sizes(stage);
        let (shape, upsample) = (self.padded.map(|n| n / bin), stage.job.ptychography.upsample.value);
        let window = windowed(self.padded, stage);
        // The middle of a pixel is the middle of its parts.
        let centre = Resized::place_px(self.centre_px, pad, bin).map(|c| (c + 0.5) * upsample as f64 - 0.5);
        let whole = [0, 1].map(|a| centre[a].round().clamp(0.0, (window[a] - 1) as f64));
        let valid = Resized::valid(self.info.frame_shape, self.valid.as_deref(), pad, bin);
        let spread = Spread { upsample, blur_px: self.job.detector.blur_px.value / bin as f64 };
        View {
            window,
            mrad_per_px: self.mrad_per_px.map(|mrad| mrad * bin as f64 / upsample as f64),
            remainder_px: [0, 1].map(|a| centre[a] - centre[a].round()),
            layout: DetectorLayout { shape, centre: whole.map(|c| c as usize), valid, spread },
        }
    }

    fn optics(&self, aberrations: Aberrations) -> ProbeOptics {
        ProbeOptics { voltage_kV: self.needs.voltage_kV, convergence_mrad: self.needs.convergence_mrad, aberrations }
    }

    /// Runs all stages, or those that are left where there is a checkpoint.
    pub(super) fn reconstruct<B: Backend>(
        &self,
        backend: &Arc<B>,
        electrons: &Electrons<B>,
        keeper: &mut Keeper,
        run: &Run,
    ) -> Result<(State, Ended), Error> {
        let mut state = match keeper.resumed(&self.plan.resolved(), run)? {
            Some(state) => state,
            None => self.begin(&**backend, electrons, run)?,
        };
        let mut resized: Option<((usize, usize), Stream<B>)> = None;
        for (number, stage) in self.stages.iter().enumerate().skip(state.stage as usize) {
            let view = self.view(stage);
            if state.stage as usize != number {
                state = follow(state, number, stage, view.window)?;
            }
            let frame = self.frame(view.window);
            if state.iteration == 0 {
                constraints::remember(&mut state);
                let keys = &stage.job.ptychography;
                frozen::remember(&mut state, &frame, &self.grid, self.inputs.frozen.as_deref(), keys.frozen_below.value)?;
            }
            if !stage.name.is_empty() {
                run.note(format!("stage {} ({} of {})", stage.name, number + 1, self.stages.len()));
            }
            let sizes = sizes(stage);
            if sizes != (0, 1) && resized.as_ref().is_none_or(|(there, _)| *there != sizes) {
                // Only one of them at a time takes memory.
                drop(resized.take());
                let source = Resized::new((electrons.source)()?, sizes.0, sizes.1);
                resized = Some((sizes, Stream::new(Box::new(source), backend.clone(), electrons.stream.options().clone())));
            }
            let patterns = match &resized {
                Some((_, stream)) if sizes != (0, 1) => stream,
                _ => electrons.stream,
            };
            patterns.load(run)?;
            let disk = self.optics(Aberrations::default());
            // The mean count of a pixel of the disk.
            let disk = disk.spectrum(view.window, view.mrad_per_px, view.remainder_px, electrons.incident);
            let brightest = disk.iter().map(Complex64::norm_sqr).fold(0.0, f64::max);
            let options = settings::options(&stage.job, self.wavelength_A, self.info.frames(), brightest.max(1.0));
            let aperture_inverse_A = self.needs.convergence_mrad * 1e-3 / self.wavelength_A;
            keeper.impose(constraints::scheduled(&stage.job, &state, electrons.incident)?, &frame, aperture_inverse_A);
            let outcome = ptycho::reconstruct(run, &**backend, patterns, &frame, &view.layout, &options, state, keeper)?;
            state = outcome.state;
            match outcome.ending {
                Ending::Finished => {}
                Ending::Converged => {
                    run.note("the held-out patterns are explained no better any more: the best iteration is kept.");
                }
                Ending::Interrupted => {
                    let ended = Ended::Stopped { iteration: state.iteration, iterations: options.iterations };
                    return Ok((state, ended));
                }
                Ending::Diverged { iteration, why } => {
                    let advice = if options.rule.keeps_waves() {
                        "Set a smaller ptychography.beta, or refine the probe later (ptychography.probe_from)"
                    } else {
                        "Set smaller ptychography.step_object and step_probe"
                    };
                    return Ok((state, Ended::Diverged { iteration, why, advice }));
                }
            }
        }
        Ok((state, Ended::Whole))
    }

    /// The state that a reconstruction of these electrons begins with.
    fn begin<B: Backend>(&self, backend: &B, electrons: &Electrons<B>, run: &Run) -> Result<State, Error> {
        let (job, incident) = (self.job, electrons.incident);
        let first = &self.stages[0];
        let (keys, view) = (&first.job.ptychography, self.view(first));
        let frame = self.frame(view.window);
        let probe_hat = self.probe_hat(&view, &frame, incident, run)?;
        let first_mode = &probe_hat[..view.window[0] * view.window[1]];
        let (modes, source_A) = (keys.probe_modes.value, job.optics.source_size_A.value);
        // Modes of a file are blurred already.
        let probe_hat = if source_A > 0.0 && probe_hat.len() == first_mode.len() {
            // A Gaussian's full width at half maximum is √(8 ln 2) standard deviations.
            let sigma = source_A / (8.0 * std::f64::consts::LN_2).sqrt();
            let blurred = ptycho::blurred(&probe_hat, view.window, frame.pixel_A.map(|pixel| sigma / pixel), modes);
            let held = format!("{modes} modes of the probe hold {:.1} % of its blur by a source of {source_A} Å", 100.0 * blurred.held);
            if blurred.held < 0.9 {
                run.warn(format!("{held}: raise ptychography.probe_modes."))
            } else {
                run.note(format!("{held}."))
            }
            blurred.probe_hat
        } else {
            ptycho::with_modes(probe_hat, view.window, modes, keys.mode_power.value)
        };
        let thickness_A = keys.slice_thickness_A.as_ref().map_or(0.0, |entry| entry.value);
        let mut state =
            State::start(&frame, keys.slices.value, thickness_A, probe_hat, run.rng).with_variations(keys.probe_variations.value);
        state.tilt_mrad = keys.tilt_mrad.value;
        let (grid, valid) = (self.grid.clone(), self.valid.clone());
        if let Some(made) = direct::start(job, backend, electrons.stream, grid, valid, incident, run)?
            && let Some(image) = made.images.first()
        {
            let slices = state.shape.slices as f64;
            let phases: Vec<f64> = image.values.iter().map(|phase| phase / slices).collect();
            let slice = ptycho::object_of_phase(&phases, made.shape, made.pixel_A, &self.grid, &frame);
            state.object = slice.repeat(state.shape.slices);
        }
        if electrons.whole
            && let Some(object) = self.inputs.starts.object(self.plan, &frame, &self.grid, state.shape.slices, run)?
        {
            state.object = object;
        }
        Ok(state)
    }

    /// The modes that a job starts with, in the window of its first stage.
    fn probe_hat(&self, view: &View, frame: &ObjectFrame, incident: f64, run: &Run) -> Result<Vec<Complex64>, Error> {
        let (starts, optics) = (&self.inputs.starts, self.optics(aberrations(self.job)));
        let window = self.info.frame_shape;
        if view.window == window || !starts.is_of_frames() {
            let centre_px = [0, 1].map(|a| view.layout.centre[a] as f64 + view.remainder_px[a]);
            return starts.probe_hat(frame, &optics, view.mrad_per_px, centre_px, self.valid.as_deref(), incident, run);
        }
        // What was measured in frames is brought from their window into that of the stage.
        let pixel_A = [0, 1].map(|a| optics::object_pixel_A(self.wavelength_A, window[a], self.mrad_per_px[a]));
        let of_frames = ObjectFrame { window, pixel_A, ..frame.clone() };
        let probe_hat = starts.probe_hat(&of_frames, &optics, self.mrad_per_px, self.centre_px, self.valid.as_deref(), incident, run)?;
        let probes = transformed(&probe_hat, window, Direction::Inverse)?;
        let probes = ptycho::probe_in_window(&probes, window, pixel_A, view.window, frame.pixel_A, [[1.0, 0.0], [0.0, 1.0]]);
        spectrum(&probes, view.window, incident)
    }

    /// Is there a field of the scan to crop images to?
    pub(super) fn is_raster(&self) -> bool {
        matches!(self.needs.scan, Scan::Raster(_))
    }

    /// What a finished state has to show, but for the phase along the scan.
    pub(super) fn arrays(&self, state: &State) -> Result<Vec<Array>, Error> {
        let (frame, window) = (self.frame(state.shape.window), state.shape.window);
        let probe = transformed(&state.probe_hat, window, Direction::Inverse)?;
        let mut arrays = arrays::reconstruction(state, &frame, &self.grid, self.is_raster(), &probe);
        if state.shape.variations > 0 {
            let variations = transformed(&state.variations, window, Direction::Inverse)?;
            arrays.extend(arrays::variations(state, &frame, &self.grid, &variations));
        }
        if state.tilts_mrad.iter().flatten().any(|&tilt| tilt != 0.0) {
            arrays.push(arrays::tilts(state));
        }
        Ok(arrays)
    }

    /// The phase along the scan, where positions are a raster.
    pub(super) fn phase_in_scan(&self, state: &State) -> Option<Array> {
        let frame = self.frame(state.shape.window);
        self.is_raster().then(|| arrays::phase_in_scan("ptychography/phase_scan", &ptycho::phase(state, &frame), &frame, &self.grid))
    }
}

/// Refuses what cannot come to anything whatever the frames hold, as far as the geometry is known.
pub(in crate::job) fn check(plan: &Plan, inputs: &Inputs, info: &CubeInfo) -> Result<(), Error> {
    let job = &plan.job;
    let (Some(needs), Some(mrad_per_px)) = (&plan.ptychography, &job.detector.mrad_per_px) else { return Ok(()) };
    let stages = settings::stages(job)?;
    let frame = enclosing(job, needs, inputs, &stages, mrad_per_px.value.0, info)?;
    check_sizes(&stages, &frame, info)
}

fn check_sizes(stages: &[Stage], frame: &ObjectFrame, info: &CubeInfo) -> Result<(), Error> {
    geometry::check(stages, frame)?;
    memory::check_reconstruction(stages, frame, info.frames())
}

/// (y, x) of frames with their padding.
fn padded(job: &Job, info: &CubeInfo) -> [usize; 2] {
    info.frame_shape.map(|n| n + 2 * job.ptychography.pad_px.value)
}

/// The grid of the object that all stages share, with the largest window of one.
fn enclosing(
    job: &Job,
    needs: &Geometry,
    inputs: &Inputs,
    stages: &[Stage],
    mrad_per_px: [f64; 2],
    info: &CubeInfo,
) -> Result<ObjectFrame, Error> {
    let (wavelength_A, padded) = (optics::wavelength_A(needs.voltage_kV), padded(job, info));
    let pixel = [0, 1].map(|a| optics::object_pixel_A(wavelength_A, padded[a], mrad_per_px[a]));
    let window = stages.iter().map(|stage| windowed(padded, stage)).max().unwrap_or(padded);
    let positions = inputs.positions.clone().unwrap_or_else(|| scan_grid(job, info.scan_shape).positions_A());
    Ok(ObjectFrame::enclose(&positions, pixel, window)?.enlarged(margin_px(stages, pixel)))
}

/// The pixels around frames, and those that become one.
fn sizes(stage: &Stage) -> (usize, usize) {
    (stage.job.ptychography.pad_px.value, stage.job.ptychography.bin.value)
}

/// The window of a stage, of padded frames of this shape.
fn windowed(padded: [usize; 2], stage: &Stage) -> [usize; 2] {
    let keys = &stage.job.ptychography;
    padded.map(|n| n / keys.bin.value * keys.upsample.value)
}

/// The state that a stage begins with, after the one before.
fn follow(state: State, number: usize, stage: &Stage, window: [usize; 2]) -> Result<State, Error> {
    let keys = &stage.job.ptychography;
    // One slice has no distance to the next; what was refined stays where the stage goes on refining it.
    let told = state.shape.slices == 1 || keys.thickness_from.value == 0;
    let begin = Begin {
        stage: number as u32,
        window,
        slices: keys.slices.value,
        modes: keys.probe_modes.value,
        variations: keys.probe_variations.value,
        mode_power: keys.mode_power.value,
    };
    let mut state = state.next_stage(&begin)?;
    if let Some(thickness) = &keys.slice_thickness_A
        && told
    {
        state.slice_thickness_A = thickness.value;
    }
    Ok(state)
}

/// How far positions may move beyond the planned ones, in pixels.
fn margin_px(stages: &[Stage], pixel_A: [f64; 2]) -> usize {
    let moves = |stage: &&Stage| {
        let keys = &stage.job.ptychography;
        [&keys.positions_from, &keys.affine_from, &keys.scale_from].iter().any(|entry| entry.value > 0)
    };
    let farthest = stages.iter().filter(moves).map(|stage| stage.job.ptychography.positions_limit_A.value).fold(0.0, f64::max);
    (farthest / pixel_A[0].min(pixel_A[1])).ceil() as usize
}

/// Defocus and the further coefficients.
fn aberrations(job: &Job) -> Aberrations {
    let mut aberrations = Aberrations::defocus(job.optics.defocus_A.value);
    aberrations.terms.extend(further_aberrations(job).terms);
    aberrations
}

/// The spectra of a probe's modes in real space, with Σ|P̂|² = `electrons`.
pub(super) fn spectrum(probe: &[Complex64], window: [usize; 2], electrons: f64) -> Result<Vec<Complex64>, Error> {
    let mut spectrum = transformed(probe, window, Direction::Forward)?;
    let power: f64 = spectrum.iter().map(Complex64::norm_sqr).sum();
    let scale = if power > 0.0 { (electrons / power).sqrt() } else { 0.0 };
    spectrum.iter_mut().for_each(|p| *p *= scale);
    Ok(spectrum)
}
