//! The ptychography of a job.

mod constraints;
mod geometry;
mod keeper;
mod settings;
mod starts;

use std::sync::Arc;

use num_complex::Complex64;

pub(super) use self::keeper::Keeper;
pub(super) use self::settings::Stage;
use self::starts::Starts;
use super::measure::Measured;
use super::plan::{Geometry, Plan, Scan};
use super::schema::Job;
use super::{Error, arrays, direct, images, memory};
use crate::compute::cpu::Cpu;
use crate::compute::{Backend, DetectorLayout, Direction};
use crate::data::CubeInfo;
use crate::imaging;
use crate::optics::{self, Aberration, Aberrations, ProbeOptics, ScanGrid};
use crate::output::{self, Array};
use crate::ptycho::{self, Ending, ObjectFrame, State};
use crate::run::Run;
use crate::stream::Stream;

/// What a reconstruction reads besides the frames.
pub(super) struct Inputs {
    /// (y, x) in Å in the object's frame.
    positions: Option<Vec<[f64; 2]>>,
    starts: Starts,
}

impl Inputs {
    /// Reads the datasets that the job names.
    pub(super) fn read(plan: &Plan, info: &CubeInfo) -> Result<Self, Error> {
        let mut positions = None;
        let Some(needs) = &plan.ptychography else { return Ok(Self { positions, starts: Starts::read(plan, info)? }) };
        for stage in settings::stages(&plan.job)? {
            constraints::check(&stage.job)?;
            settings::check(&stage)?;
        }
        if let Scan::Measured(reference) = &needs.scan {
            let (shape, values) = output::read_complex(&reference.to_string())?;
            if shape != [info.frames(), 2] {
                let expected = format!("({}, 2): y and x of each pattern in Å", info.frames());
                return Err(Error::Shape { key: "scan.positions", reference: reference.clone(), found: shape, expected });
            }
            positions = Some(values.chunks_exact(2).map(|p| [p[0].re, p[1].re]).collect());
        }
        Ok(Self { positions, starts: Starts::read(plan, info)? })
    }

    /// The hash of the data and of all files that are read beside them.
    pub(super) fn hash(&self, data: &str) -> String {
        self.starts.hash(data)
    }
}

/// How a reconstruction ended.
pub(super) enum Ended {
    Whole,
    /// Asked to stop, after this many iterations of the stage that it was in.
    Stopped {
        iteration: u32,
        iterations: u32,
    },
    Diverged {
        iteration: u32,
        why: String,
    },
}

/// What a reconstruction came to.
pub(super) struct Reconstructed {
    pub(super) arrays: Vec<Array>,
    pub(super) ended: Ended,
}

/// Reconstructs the object and the probe.
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own, and there is one caller")]
pub(super) fn run<B: Backend>(
    plan: &Plan,
    needs: &Geometry,
    inputs: Inputs,
    measured: &Measured,
    valid: Option<Vec<bool>>,
    backend: &Arc<B>,
    stream: &Stream<B>,
    keeper: &mut Keeper,
    run: &Run,
) -> Result<Reconstructed, Error> {
    let (job, info) = (&plan.job, stream.info());
    let window = info.frame_shape;
    let Some(mrad_per_px) = job.detector.mrad_per_px.as_ref().map(|entry| entry.value.0) else {
        let why = "it could not be measured and ptychography needs it".to_owned();
        return Err(Error::Missing { key: "detector.mrad_per_px", why, example: "0.98" });
    };
    let stages = settings::stages(job)?;
    let lambda = optics::wavelength_A(needs.voltage_kV);
    let pixel = [0, 1].map(|a| optics::object_pixel_A(lambda, window[a], mrad_per_px[a]));
    let grid = scan_grid(job, info.scan_shape);
    let positions = inputs.positions.unwrap_or_else(|| grid.positions_A());
    let frame = ObjectFrame::enclose(&positions, pixel, window)?.enlarged(margin_px(&stages, pixel));
    memory::check_reconstruction(&stages, &frame, info.frames())?;
    stream.load(run)?;

    let incident = match measured.incident {
        Some(incident) => incident,
        None => imaging::image(run, &**backend, stream, &images::geometry(job, info.scan_shape, valid.clone()))?.incident,
    };
    let rounded = measured.centre_px.map(f64::round);
    let remainder = [0, 1].map(|a| measured.centre_px[a] - rounded[a]);
    let layout = DetectorLayout { shape: window, centre: [0, 1].map(|a| rounded[a].clamp(0.0, (window[a] - 1) as f64) as usize), valid };
    let mut state = match keeper.resumed(&plan.resolved(), run)? {
        Some(state) => state,
        None => {
            let (voltage_kV, convergence_mrad, aberrations) = (needs.voltage_kV, needs.convergence_mrad, aberrations(job));
            let optics = ProbeOptics { voltage_kV, convergence_mrad, aberrations };
            let valid = layout.valid.as_deref();
            let probe_hat = inputs.starts.probe_hat(&frame, &optics, mrad_per_px, measured.centre_px, valid, incident, run)?;
            geometry::check(&stages, &frame, &transformed(&probe_hat[..window[0] * window[1]], window, Direction::Inverse)?, run)?;
            let mut state = start(&stages[0].job, &frame, probe_hat, run);
            if let Some(made) = direct::start(job, &**backend, stream, grid.clone(), layout.valid.clone(), incident, run)?
                && let Some(image) = made.images.first()
            {
                let slices = state.shape.slices as f64;
                let phases: Vec<f64> = image.values.iter().map(|phase| phase / slices).collect();
                let slice = ptycho::object_of_phase(&phases, made.shape, made.pixel_A, &grid, &frame);
                state.object = slice.repeat(state.shape.slices);
            }
            if let Some(object) = inputs.starts.object(plan, &frame, &grid, state.shape.slices, run)? {
                state.object = object;
            }
            state
        }
    };
    let (voltage_kV, convergence_mrad) = (needs.voltage_kV, needs.convergence_mrad);
    let disk = ProbeOptics { voltage_kV, convergence_mrad, aberrations: Aberrations::default() };
    // The mean count of a pixel of the disk.
    let brightest = disk.spectrum(window, mrad_per_px, remainder, incident).iter().map(Complex64::norm_sqr).fold(0.0, f64::max);
    let mut ended = Ended::Whole;
    for (number, stage) in stages.iter().enumerate().skip(state.stage as usize) {
        if state.stage as usize != number {
            state = follow(state, number, stage);
        }
        if state.iteration == 0 {
            constraints::remember(&mut state);
        }
        if !stage.name.is_empty() {
            run.note(format!("stage {} ({} of {})", stage.name, number + 1, stages.len()));
        }
        let options = settings::options(&stage.job, lambda, info.frames(), brightest.max(1.0));
        let aperture_inverse_A = needs.convergence_mrad * 1e-3 / lambda;
        keeper.impose(constraints::scheduled(&stage.job, &state, incident)?, &frame, aperture_inverse_A);
        let outcome = ptycho::reconstruct(run, &**backend, stream, &frame, &layout, &options, state, keeper)?;
        state = outcome.state;
        match outcome.ending {
            Ending::Finished => {}
            Ending::Converged => {
                let text = "the held-out patterns are explained no better any more: the best iteration is kept.";
                run.note(text);
            }
            Ending::Interrupted => {
                ended = Ended::Stopped { iteration: state.iteration, iterations: options.iterations };
                break;
            }
            Ending::Diverged { iteration, why } => {
                ended = Ended::Diverged { iteration, why };
                break;
            }
        }
    }
    if let Ended::Stopped { .. } = ended
        && state.history.is_empty()
    {
        return Err(crate::compute::Error::Interrupted.into());
    }
    let mut probe = Vec::with_capacity(state.probe_hat.len());
    for mode in state.probe_hat.chunks_exact(state.shape.pixels()) {
        probe.extend(transformed(mode, window, Direction::Inverse)?);
    }
    let cropped = matches!(needs.scan, Scan::Raster(_));
    let arrays = arrays::reconstruction(&state, &frame, &grid, cropped, &probe);
    Ok(Reconstructed { arrays, ended })
}

/// The state that a reconstruction begins with.
fn start(job: &Job, frame: &ObjectFrame, probe_hat: Vec<Complex64>, run: &Run) -> State {
    let keys = &job.ptychography;
    let probe_hat = ptycho::with_modes(probe_hat, frame.window, keys.probe_modes.value, keys.mode_power.value);
    let thickness_A = keys.slice_thickness_A.as_ref().map_or(0.0, |entry| entry.value);
    let mut state = State::start(frame, keys.slices.value, thickness_A, probe_hat, run.rng);
    state.tilt_mrad = keys.tilt_mrad.value;
    state
}

/// The state that a stage begins with, after the one before.
fn follow(state: State, number: usize, stage: &Stage) -> State {
    let keys = &stage.job.ptychography;
    // One slice has no distance to the next; what was refined stays where the stage goes on refining it.
    let told = state.shape.slices == 1 || keys.thickness_from.value == 0;
    let mut state = state.next_stage(number as u32, keys.slices.value, keys.probe_modes.value, keys.mode_power.value);
    if let Some(thickness) = &keys.slice_thickness_A
        && told
    {
        state.slice_thickness_A = thickness.value;
    }
    state
}

/// How far positions may move beyond the planned ones, in pixels.
fn margin_px(stages: &[Stage], pixel_A: [f64; 2]) -> usize {
    let moves = |stage: &&Stage| stage.job.ptychography.positions_from.value > 0 || stage.job.ptychography.affine_from.value > 0;
    let farthest = stages.iter().filter(moves).map(|stage| stage.job.ptychography.positions_limit_A.value).fold(0.0, f64::max);
    (farthest / pixel_A[0].min(pixel_A[1])).ceil() as usize
}

/// The raster of the scan; its step counts only where positions are not measured.
pub(super) fn scan_grid(job: &Job, shape: [usize; 2]) -> ScanGrid {
    let step_A = job.scan.step_A.as_ref().map_or([1.0; 2], |entry| entry.value.0);
    ScanGrid { shape, step_A, rotation_deg: job.scan.rotation_deg.value, transpose: job.scan.transpose.value }
}

/// Defocus and the further coefficients.
fn aberrations(job: &Job) -> Aberrations {
    let mut aberrations = Aberrations::defocus(job.optics.defocus_A.value);
    aberrations.terms.extend(further_aberrations(job).terms);
    aberrations
}

/// The coefficients beyond defocus, C_nm under their names.
pub(super) fn further_aberrations(job: &Job) -> Aberrations {
    let coefficients = &job.optics.aberrations.value.0;
    let mut aberrations = Aberrations::default();
    for (name, &magnitude_A) in coefficients {
        let Some(nm) = name.strip_prefix('C').and_then(|name| name.strip_suffix("_A")) else { continue };
        let digits: Vec<u32> = nm.chars().filter_map(|c| c.to_digit(10)).collect();
        if let [n, m] = digits[..] {
            let angle_deg = coefficients.get(&format!("phi{nm}_deg")).copied().unwrap_or(0.0);
            aberrations.terms.push(Aberration { n, m, magnitude_A, angle_deg });
        }
    }
    aberrations
}

/// The spectra of a probe's modes in real space, with Σ|P̂|² = `electrons`.
fn spectrum(modes: &[Complex64], window: [usize; 2], electrons: f64) -> Result<Vec<Complex64>, Error> {
    let mut spectrum = Vec::with_capacity(modes.len());
    for mode in modes.chunks_exact(window[0] * window[1]) {
        spectrum.extend(transformed(mode, window, Direction::Forward)?);
    }
    let power: f64 = spectrum.iter().map(Complex64::norm_sqr).sum();
    let scale = if power > 0.0 { (electrons / power).sqrt() } else { 0.0 };
    spectrum.iter_mut().for_each(|p| *p *= scale);
    Ok(spectrum)
}

/// A unitary transform in f64, on the host.
fn transformed(values: &[Complex64], shape: [usize; 2], direction: Direction) -> Result<Vec<Complex64>, Error> {
    let host = Cpu::<f64>::new();
    let mut array = host.complexes(values)?;
    host.fft2(&mut array, shape, 1, direction)?;
    Ok(host.read_complexes(&array)?)
}
