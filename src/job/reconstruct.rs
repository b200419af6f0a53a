//! The ptychography of a job.

use std::sync::Arc;

use num_complex::Complex64;

use super::measure::Measured;
use super::plan::{Geometry, Plan, Scan};
use super::schema::Job;
use super::{Algorithm, Error, arrays, direct, images, memory};
use crate::compute::cpu::Cpu;
use crate::compute::{Backend, DetectorLayout, Direction};
use crate::data::CubeInfo;
use crate::imaging;
use crate::optics::{self, Aberration, Aberrations, ProbeOptics, ScanGrid};
use crate::output::{self, Array};
use crate::ptycho::{self, EpieOptions, ObjectFrame, State};
use crate::run::Run;
use crate::stream::Stream;

/// What a reconstruction reads besides the frames.
pub(super) struct Inputs {
    /// (y, x) in Å in the object's frame.
    positions: Option<Vec<[f64; 2]>>,
    /// In real space, of the frame's shape.
    probe: Option<Vec<Complex64>>,
}

impl Inputs {
    /// Reads the datasets that the job names.
    pub(super) fn read(plan: &Plan, info: &CubeInfo) -> Result<Self, Error> {
        let mut inputs = Self { positions: None, probe: None };
        let Some(needs) = &plan.ptychography else { return Ok(inputs) };
        if let Scan::Measured(reference) = &needs.scan {
            let (shape, values) = output::read_complex(&reference.to_string())?;
            if shape != [info.frames(), 2] {
                let expected = format!("({}, 2): y and x of each pattern in Å", info.frames());
                return Err(Error::Shape { key: "scan.positions", reference: reference.clone(), found: shape, expected });
            }
            inputs.positions = Some(values.chunks_exact(2).map(|p| [p[0].re, p[1].re]).collect());
        }
        if let Some(entry) = &plan.job.ptychography.probe {
            let (shape, values) = output::read_complex(&entry.value.to_string())?;
            let [y, x] = info.frame_shape;
            // The last two axes are the probe's; a result's has one of modes before them.
            let modes: usize = shape.iter().rev().skip(2).product();
            if shape.len() < 2 || shape[shape.len() - 2..] != [y, x] || modes != 1 {
                let expected = format!("({y}, {x}), that of a frame");
                return Err(Error::Shape { key: "ptychography.probe", reference: entry.value.clone(), found: shape, expected });
            }
            inputs.probe = Some(values);
        }
        Ok(inputs)
    }
}

/// What a reconstruction came to.
pub(super) struct Reconstructed {
    pub(super) arrays: Vec<Array>,
    /// The last whole iteration, where it was asked to stop before the end.
    pub(super) stopped_after: Option<u32>,
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
    run: &Run,
) -> Result<Reconstructed, Error> {
    let (job, info) = (&plan.job, stream.info());
    let window = info.frame_shape;
    let Some(mrad_per_px) = job.detector.mrad_per_px.as_ref().map(|entry| entry.value.0) else {
        let why = "it could not be measured and ptychography needs it".to_owned();
        return Err(Error::Missing { key: "detector.mrad_per_px", why, example: "0.98" });
    };
    let lambda = optics::wavelength_A(needs.voltage_kV);
    let pixel = [0, 1].map(|a| optics::object_pixel_A(lambda, window[a], mrad_per_px[a]));
    let grid = scan_grid(job, info.scan_shape);
    let positions = inputs.positions.unwrap_or_else(|| grid.positions_A());
    let frame = ObjectFrame::enclose(&positions, pixel, window)?;
    memory::check_object(job, frame.shape[0] * frame.shape[1], window[0] * window[1], info.frames())?;
    stream.load(run)?;

    let incident = match measured.incident {
        Some(incident) => incident,
        None => imaging::image(run, &**backend, stream, &images::geometry(job, info.scan_shape, valid.clone()))?.incident,
    };
    let rounded = measured.centre_px.map(f64::round);
    let remainder = [0, 1].map(|a| measured.centre_px[a] - rounded[a]);
    let probe_hat = match inputs.probe {
        Some(probe) => spectrum(probe, window, incident)?,
        None => {
            let (voltage_kV, convergence_mrad, aberrations) = (needs.voltage_kV, needs.convergence_mrad, aberrations(job));
            ProbeOptics { voltage_kV, convergence_mrad, aberrations }.spectrum(window, mrad_per_px, remainder, incident)
        }
    };
    let layout =
        DetectorLayout { shape: window, centre: [0, 1].map(|a| rounded[a].clamp(0.0, (window[a] - 1) as f64) as usize), valid, floor: 0.0 };
    let mut state = State::start(frame.shape, probe_hat, window, run.rng);
    if let Some(made) = direct::start(job, &**backend, stream, grid.clone(), layout.valid.clone(), incident, run)?
        && let Some(image) = made.images.first()
    {
        state.object = ptycho::object_of_phase(&image.values, made.shape, made.pixel_A, &grid, &frame);
    }
    let settings = &job.ptychography;
    let outcome = match settings.algorithm.value {
        Algorithm::Epie => {
            let options = EpieOptions {
                iterations: settings.iterations.value,
                batch: settings.batch.value,
                step_object: settings.step_object.value,
                step_probe: settings.step_probe.value,
                probe_from: settings.probe_from.value,
            };
            ptycho::epie(run, &**backend, stream, &frame, &layout, &options, state)?
        }
    };
    let finished = outcome.state.iteration;
    if outcome.interrupted && finished == 0 {
        return Err(crate::compute::Error::Interrupted.into());
    }
    let probe = transformed(&outcome.state.probe_hat, window, Direction::Inverse)?;
    let cropped = matches!(needs.scan, Scan::Raster(_));
    let arrays = arrays::reconstruction(&outcome.state, &frame, &grid, cropped, &probe);
    Ok(Reconstructed { arrays, stopped_after: outcome.interrupted.then_some(finished) })
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

/// The spectrum of a probe in real space, with Σ|P̂|² = `electrons`.
fn spectrum(probe: Vec<Complex64>, window: [usize; 2], electrons: f64) -> Result<Vec<Complex64>, Error> {
    let mut spectrum = transformed(&probe, window, Direction::Forward)?;
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
