//! The calibration of a job's data: what was measured, what it follows from, and the job file that says it.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::device::Device;
use super::plan::{Plan, Scan};
use super::run::open;
use super::schema::{Entry, Job};
use super::values::{DetectorSpec, Pair, PixelList};
use super::{Error, Place, measure, memory};
use crate::compute::Backend;
use crate::compute::cpu::Cpu;
use crate::imaging::calibrate::{Calibration, CalibrationPlan, Estimate, Rotation};
use crate::imaging::{self, Descan};
use crate::run::{CancelToken, Event, RngState, Run};
use crate::stream::{self, Stream, StreamOptions};

/// A value with its standard error (`None` where it has none of its own), whether it may be relied upon, and where it is from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found<T> {
    pub value: Option<T>,
    pub se: Option<T>,
    pub determined: bool,
    pub from: String,
}

impl<T> Found<T> {
    fn unknown(why: impl Into<String>) -> Self {
        Self { value: None, se: None, determined: false, from: why.into() }
    }

    fn measured(value: T, se: T, from: impl Into<String>) -> Self {
        Self { value: Some(value), se: Some(se), determined: true, from: from.into() }
    }

    fn known(value: T, from: impl Into<String>) -> Self {
        Self { value: Some(value), se: None, determined: true, from: from.into() }
    }
}

/// Whether half a turn of the rotation is settled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HalfTurn {
    pub settled: bool,
    pub sigmas: f64,
    /// Of the integrated centre of mass at the rotation given with the dark field.
    pub correlation: f64,
}

/// The plane or parabola of the centre of mass, [c, c_i, c_j(, c_ii, c_ij, c_jj)] in detector pixels per scan step, i and j from the scan's middle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DescanFound {
    pub value: Option<&'static str>,
    pub y_px: Vec<f64>,
    pub y_se: Vec<f64>,
    pub x_px: Vec<f64>,
    pub x_se: Vec<f64>,
    pub determined: bool,
    pub from: String,
}

/// Bad pixels (y, x) and what is wrong with each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BadPixels {
    pub value: Vec<[usize; 2]>,
    pub faults: Vec<imaging::calibrate::Fault>,
    pub determined: bool,
    pub from: String,
}

/// What a calibration found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(non_snake_case)]
pub struct Calibrated {
    pub path: String,
    pub frames: usize,
    pub empty_frames: usize,
    pub centre_px: Found<[f64; 2]>,
    pub radius_px: Found<f64>,
    /// e of r(φ) = R(1 + e cos 2(φ − long axis)).
    pub ellipticity: Found<f64>,
    pub long_axis_deg: Found<f64>,
    pub convergence_mrad: Found<f64>,
    /// (y, x).
    pub mrad_per_px: Found<[f64; 2]>,
    pub rotation_deg: Found<f64>,
    pub half_turn: Option<HalfTurn>,
    pub transpose: Found<bool>,
    pub counts_per_electron: Found<f64>,
    pub electrons_per_frame: Found<f64>,
    pub dose_e_per_A2: Found<f64>,
    pub descan: DescanFound,
    pub bad_pixels: BadPixels,
    /// Along the fast axis, from a row to the next, in scan steps.
    pub drift_px_per_row: Found<f64>,
    pub row_jitter_px: Found<f64>,
    pub flyback_columns: Found<usize>,
    /// What should be looked at.
    pub warnings: Vec<String>,
    /// A job file that says all this.
    #[serde(skip)]
    pub job_file: String,
}

/// Calibrates the data of a job: what the job or the file says is taken, the rest is measured.
pub fn calibrate(job: Job, events: &(dyn Fn(Event) + Sync), cancel: &CancelToken) -> Result<Calibrated, Error> {
    let source = open(&job)?;
    let mut plan = Plan::new(job, source.info(), super::Tasks { images: true, ptychography: false })?;
    memory::check_stream(&plan.job, source.info())?;
    let device = Device::open(&plan.job.compute.device.value)?;
    let run = Run { events, cancel, rng: RngState::new(0) };
    device.tell(&plan.job.compute.device.value, &run);
    let done = match device {
        Device::Cpu => on(&mut plan, source, Arc::new(Cpu::<f32>::new()), &run),
        Device::Gpu(gpu) => on(&mut plan, source, Arc::new(*gpu), &run),
    };
    match done {
        Err(error) if error.exit_code() == 130 => Err(Error::Cancelled),
        done => done,
    }
}

fn on<B: Backend>(plan: &mut Plan, source: Box<dyn crate::data::FrameSource>, backend: Arc<B>, run: &Run) -> Result<Calibrated, Error> {
    let samples = stream::survey(&*source, run)?;
    let valid = measure::valid(&plan.job, source.info().frame_shape, &samples.bad);
    let options = StreamOptions { memory_limit_bytes: memory::limit_bytes(&plan.job), ..StreamOptions::default() };
    let stream = Stream::new(source, backend.clone(), options);
    let measured = imaging::calibrate::calibrate(run, &*backend, &stream, &asked(&plan.job, stream.info().scan_shape, valid))?;
    let calibrated = Calibrated::new(&mut plan.job, &measured, stream.info().scan_shape);
    calibrated.warnings.iter().for_each(|text| run.warn(text.clone()));
    Ok(calibrated)
}

/// What is known before.
fn asked(job: &Job, scan_shape: [usize; 2], valid: Option<Vec<bool>>) -> CalibrationPlan {
    let said = |place: &Place| *place != Place::Default;
    CalibrationPlan {
        step_A: job.scan.step_A.as_ref().map(|entry| entry.value.0),
        pixel: job.detector.mrad_per_px.as_ref().map_or([1.0; 2], |entry| entry.value.0),
        centre_px: job.detector.centre_px.as_ref().map(|entry| entry.value),
        valid,
        near_deg: job.scan.rotation_deg.value,
        transpose: said(&job.scan.transpose.place).then_some(job.scan.transpose.value),
        counts_per_electron: said(&job.data.counts_per_electron.place).then_some(job.data.counts_per_electron.value),
        ..CalibrationPlan::new(scan_shape)
    }
}

/// Measures the rotation and the transposition that nobody said, where something depends on them. What does not stand out of the default stays the default.
pub(super) fn fill_in_rotation<B: Backend>(
    plan: &mut Plan,
    backend: &B,
    stream: &Stream<B>,
    valid: Option<&[bool]>,
    run: &Run,
) -> Result<(), Error> {
    if plan.job.scan.rotation_deg.place != Place::Default || !depends_on_rotation(plan) {
        return Ok(());
    }
    let scan_shape = stream.info().scan_shape;
    let measured = imaging::calibrate::calibrate(run, backend, stream, &asked(&plan.job, scan_shape, valid.map(<[bool]>::to_vec)))?;
    if !measured.bad_pixels.is_empty() {
        run.warn(bad_pixels_told(&measured));
    }
    let scan = &mut plan.job.scan;
    let rotation = match &measured.rotation {
        Ok(rotation) if rotation.is_determined() => rotation,
        other => {
            let why = other.as_ref().map_or_else(Clone::clone, not_determined);
            run.warn(format!(
                "the scan's rotation is not known, neither from the job nor from the frames ({why}): it is assumed to be {}° and transpose = {}. Set scan.rotation_deg and scan.transpose.",
                scan.rotation_deg.value, scan.transpose.value
            ));
            return Ok(());
        }
    };
    let angle = rotation.angle_deg;
    // So small an angle changes nothing that could be seen, and is what most data mean by saying none.
    let alike = angle.value.abs() < f64::max(1.0, 3.0 * angle.se) && rotation.transpose == scan.transpose.value;
    if !rotation.half_turn.settled {
        run.warn(half_turn_open(rotation));
    }
    if alike {
        run.note(format!("scan.rotation_deg = 0 agrees with the measured {}", words(angle, "°")));
        return Ok(());
    }
    let place = Place::Measured(rotation_origin(rotation, measured.frames));
    scan.rotation_deg = Entry { value: angle.value, place: place.clone() };
    if scan.transpose.place == Place::Default {
        scan.transpose = Entry { value: rotation.transpose, place };
    }
    Ok(())
}

/// Does anything that is asked for lie in another frame than the frames do?
fn depends_on_rotation(plan: &Plan) -> bool {
    if plan.ptychography.as_ref().is_some_and(|needs| matches!(needs.scan, Scan::Raster(_))) {
        return true;
    }
    let turns = ["all", "com_direction", "idpc", "icom", "ddpc", "parallax", "ssb", "obf", "wdd"];
    plan.images
        && plan.job.images.detectors.as_ref().is_none_or(|list| {
            list.value.0.iter().any(|spec| match spec {
                DetectorSpec::Named(name) => turns.contains(&name.as_str()),
                DetectorSpec::Annulus(_) => false,
            })
        })
}

/// A value and its error to the digits that the error leaves.
fn words(Estimate { value, se }: Estimate, unit: &str) -> String {
    let digits = digits(se);
    format!("{value:.digits$} ± {se:.digits$}{unit}")
}

/// Decimals with which a standard error shows two digits.
fn digits(se: f64) -> usize {
    if se > 0.0 && se.is_finite() { (1.0 - se.log10().floor()).clamp(0.0, 8.0) as usize } else { 3 }
}

fn not_determined(rotation: &Rotation) -> String {
    if !rotation.hand_is_determined() {
        let sigmas = rotation.hand_sigmas.unwrap_or(0.0);
        return format!("transposed and not transposed explain the centre of mass alike ({:.1} σ)", sigmas.abs());
    }
    format!("the centre of mass gives {}", words(rotation.angle_deg, "°"))
}

fn half_turn_open(rotation: &Rotation) -> String {
    let Estimate { value, .. } = rotation.angle_deg;
    let half = rotation.half_turn;
    format!(
        "whether the scan's rotation is {value:.2}° or {:.2}° is not settled (the integrated centre of mass and the dark field correlate by {:.2}, {:.1} σ): {value:.2}° is taken. With the other, phases change sign. Set scan.rotation_deg if it is known.",
        if value > 0.0 { value - 180.0 } else { value + 180.0 },
        half.correlation,
        half.sigmas
    )
}

fn rotation_origin(rotation: &Rotation, frames: usize) -> String {
    let half = rotation.half_turn;
    format!(
        "least curl of the centre of mass of {frames} frames, {}, {}",
        words(rotation.angle_deg, "°"),
        if half.settled {
            format!("half turn settled by the dark field ({:.0} σ)", half.sigmas)
        } else {
            "half turn not settled".to_owned()
        }
    )
}

fn bad_pixels_told(measured: &Calibration) -> String {
    let list = PixelList(measured.bad_pixels.iter().map(|bad| bad.place).collect());
    let shown: Vec<String> = list.0.iter().take(8).map(|[y, x]| format!("[{y}, {x}]")).collect();
    let more = if list.0.len() > 8 { ", …" } else { "" };
    format!(
        "{} detector pixels do not count as their neighbours do ({}{more}): set data.bad_pixels, such as from `ronchi calibrate`, to leave them out.",
        list.0.len(),
        shown.join(", ")
    )
}

impl Calibrated {
    /// Puts what was measured together with what `job` says, and into `job`.
    fn new(job: &mut Job, measured: &Calibration, scan_shape: [usize; 2]) -> Self {
        let mut warnings = Vec::new();
        let mut open: Vec<(&'static str, String)> = Vec::new();
        let mut facts: Vec<(&'static str, String)> = Vec::new();
        let frames = measured.frames;
        if let Some(first) = measured.first_empty {
            let [i, j] = [first / scan_shape[1], first % scan_shape[1]];
            warnings.push(format!(
                "{} of {frames} frames have no counts (the first at scan position {i}, {j}): they are left out of all that is measured here, and the dose is that of all frames.",
                measured.empty_frames
            ));
        }
        let disk = Disk::new(job, measured, &mut warnings, &mut facts, &mut open);
        let (rotation_deg, half_turn, transpose) = rotation(job, measured, &mut warnings, &mut open);

        let known_gain = job.data.counts_per_electron.place != Place::Default;
        let counts_per_electron = match measured.counts_per_electron {
            _ if known_gain => Found::known(job.data.counts_per_electron.value, job.data.counts_per_electron.place.to_string()),
            Some(gain) => {
                let from = "the noise: variance over mean of neighbouring frames";
                // Counts that are electrons within what can be told are electrons.
                let electrons = (gain.value - 1.0).abs() < f64::max(0.02, 3.0 * gain.se);
                let value = if electrons { 1.0 } else { rounded(gain.value, gain.se) };
                job.data.counts_per_electron = Entry { value, place: Place::Measured(format!("{from}, {}", words(gain, ""))) };
                Found::measured(gain.value, gain.se, from)
            }
            None => {
                open.push((
                    "data",
                    "counts_per_electron: contrast hides the noise, so that the dose is told as if counts were electrons".to_owned(),
                ));
                Found { value: Some(1.0), se: None, determined: false, from: "assumed: contrast hides the noise".to_owned() }
            }
        };
        let gain = Estimate { value: job.data.counts_per_electron.value, se: 0.0 };
        let gain_se = if gain.value == 1.0 || known_gain { 0.0 } else { counts_per_electron.se.unwrap_or(0.0) };
        let electrons = measured.incident.value / gain.value;
        let electrons_se = electrons * (measured.incident.se / measured.incident.value).hypot(gain_se / gain.value);
        let how = format!("the mean sum of {frames} frames{}", if gain.value == 1.0 { "" } else { " over counts_per_electron" });
        let sure = counts_per_electron.determined;
        let electrons_per_frame = Found { value: Some(electrons), se: Some(electrons_se), determined: sure, from: how.clone() };
        let dose_e_per_A2 = match &job.scan.step_A {
            Some(step) => {
                let area = step.value.0[0] * step.value.0[1];
                Found {
                    value: Some(electrons / area),
                    se: Some(electrons_se / area),
                    determined: sure,
                    from: format!("{how} over the step squared"),
                }
            }
            None => Found::unknown("scan.step_A is not known"),
        };
        facts.push(("data", format!("electrons a frame: {}", words(Estimate { value: electrons, se: electrons_se }, ""))));
        match (dose_e_per_A2.value, dose_e_per_A2.se) {
            (Some(value), Some(se)) => {
                facts.push(("data", format!("dose: {} (what reaches the detector)", words(Estimate { value, se }, " e⁻/Å²"))))
            }
            _ => open.push(("data", "the dose: scan.step_A is not known".to_owned())),
        }

        let bad_pixels = bad_pixels(job, measured, &mut warnings);
        let descan = descan(job, measured, &mut facts);
        let (drift_px_per_row, row_jitter_px) = match &measured.rows {
            Some(rows) => {
                facts.push((
                    "scan",
                    format!(
                        "rows follow each other shifted by {} steps (drift, a slanted scan, or a specimen that runs askew)",
                        words(rows.shift, "")
                    ),
                ));
                facts.push((
                    "scan",
                    format!("rows jitter by {} steps; most in row {}: {:.2}", words(rows.jitter, ""), rows.worst.0, rows.worst.1),
                ));
                // One scan cannot tell drift from a specimen that runs askew.
                let drift = Found {
                    value: Some(rows.shift.value),
                    se: Some(rows.shift.se),
                    determined: false,
                    from: "the shift between rows of the dark field: drift and a specimen that runs askew look alike".to_owned(),
                };
                let jitter = Found::measured(
                    rows.jitter.value,
                    rows.jitter.se,
                    "the spread of the shifts between rows of the dark field, with what the specimen itself changes from row to row",
                );
                (drift, jitter)
            }
            None => {
                let why = "rows of the dark field have too little in common to be compared";
                (Found::unknown(why), Found::unknown(why))
            }
        };
        if measured.flyback_columns > 0 {
            warnings.push(format!(
                "the first {} columns of the scan differ from the rest (flyback): crop them with data.crop_scan.",
                measured.flyback_columns
            ));
        }
        let path = job.data.path.as_ref().map_or(String::new(), |entry| entry.value.display().to_string());
        let job_file = job_file(job, &facts, &open);
        Self {
            path,
            frames,
            empty_frames: measured.empty_frames,
            centre_px: disk.centre_px,
            radius_px: disk.radius_px,
            ellipticity: disk.ellipticity,
            long_axis_deg: disk.long_axis_deg,
            convergence_mrad: disk.convergence_mrad,
            mrad_per_px: disk.mrad_per_px,
            rotation_deg,
            half_turn,
            transpose,
            counts_per_electron,
            electrons_per_frame,
            dose_e_per_A2,
            descan,
            bad_pixels,
            drift_px_per_row,
            row_jitter_px,
            flyback_columns: Found::known(measured.flyback_columns, "the first columns' means against those of the other columns"),
            warnings,
            job_file,
        }
    }
}

/// What the disk tells.
struct Disk {
    centre_px: Found<[f64; 2]>,
    radius_px: Found<f64>,
    ellipticity: Found<f64>,
    long_axis_deg: Found<f64>,
    convergence_mrad: Found<f64>,
    mrad_per_px: Found<[f64; 2]>,
}

impl Disk {
    fn new(
        job: &mut Job,
        measured: &Calibration,
        warnings: &mut Vec<String>,
        facts: &mut Vec<(&'static str, String)>,
        open: &mut Vec<(&'static str, String)>,
    ) -> Self {
        let known = |entry: &Option<Entry<f64>>| entry.as_ref().map(|e| Found::known(e.value, e.place.to_string()));
        let mut convergence_mrad = known(&job.optics.convergence_mrad);
        let mut mrad_per_px = job.detector.mrad_per_px.as_ref().map(|e| Found::known(e.value.0, e.place.to_string()));
        let disk = match &measured.disk {
            Ok(disk) => disk,
            Err(why) => {
                warnings.push(format!(
                    "the bright-field disk was not found, so that centre, radius and what follows from them stay open: {why}"
                ));
                open.push(("detector", "centre_px and the disk's radius: no disk was found".to_owned()));
                return Self {
                    centre_px: job
                        .detector
                        .centre_px
                        .as_ref()
                        .map_or_else(|| Found::unknown(why.clone()), |entry| Found::known(entry.value, entry.place.to_string())),
                    radius_px: Found::unknown(why.clone()),
                    ellipticity: Found::unknown(why.clone()),
                    long_axis_deg: Found::unknown(why.clone()),
                    convergence_mrad: convergence_mrad.unwrap_or_else(|| Found::unknown(why.clone())),
                    mrad_per_px: mrad_per_px.unwrap_or_else(|| Found::unknown(why.clone())),
                };
            }
        };
        warnings.extend(disk.warning());
        let from = format!("the bright-field disk in the mean of {} frames", measured.frames);
        let place = |what: String| Place::Measured(format!("{what} {from}"));
        let [y, x] = disk.se.centre;
        if job.detector.centre_px.is_none() {
            let centre = [rounded(disk.centre[0], y), rounded(disk.centre[1], x)];
            job.detector.centre_px = Some(Entry { value: centre, place: place(format!("± [{y:.3}, {x:.3}], the centre of")) });
        }
        let radius = Estimate { value: disk.radius, se: disk.se.radius };
        facts.push(("detector", format!("the disk's radius: {}", words(radius, " px"))));
        facts.push((
            "detector",
            format!(
                "its ellipticity e in r = R(1 + e cos 2(φ − φ_e)): {}, long axis at {:.0}° from +column towards +row",
                words(Estimate { value: disk.ellipticity, se: disk.se.ellipticity }, ""),
                disk.long_axis_deg
            ),
        ));
        let relative = radius.se / radius.value;
        let of_px = |pixel: [f64; 2]| (pixel[0] * pixel[1]).sqrt();
        match (&convergence_mrad, &mrad_per_px) {
            (Some(alpha), None) => {
                let mrad = alpha.value.unwrap_or(f64::NAN) / radius.value;
                let told = format!("± {:.5}, optics.convergence_mrad over the radius of", mrad * relative);
                job.detector.mrad_per_px = Some(Entry { value: Pair([rounded(mrad, mrad * relative); 2]), place: place(told) });
                mrad_per_px =
                    Some(Found::measured([mrad; 2], [mrad * relative; 2], format!("optics.convergence_mrad over the radius of {from}")));
            }
            (None, Some(pixel)) => {
                let alpha = radius.value * of_px(pixel.value.unwrap_or([f64::NAN; 2]));
                let told = format!("± {:.3}, detector.mrad_per_px times the radius of", alpha * relative);
                job.optics.convergence_mrad = Some(Entry { value: rounded(alpha, alpha * relative), place: place(told) });
                convergence_mrad =
                    Some(Found::measured(alpha, alpha * relative, format!("detector.mrad_per_px times the radius of {from}")));
            }
            (Some(alpha), Some(pixel)) => {
                let expected = alpha.value.unwrap_or(f64::NAN) / of_px(pixel.value.unwrap_or([f64::NAN; 2]));
                let ratio = radius.value / expected;
                facts.push(("detector", format!("which is {ratio:.4} of convergence_mrad over mrad_per_px ({expected:.2} px)")));
                if (ratio - 1.0).abs() > 0.05 {
                    warnings.push(format!(
                        "the disk's radius of {:.2} px is not the {expected:.2} px of optics.convergence_mrad over detector.mrad_per_px. Check both: every angle depends on them.",
                        radius.value
                    ));
                }
            }
            (None, None) => {
                open.push(("detector", "mrad_per_px: give optics.convergence_mrad to have it measured, or the reverse".to_owned()))
            }
        }
        let open_scale = "neither detector.mrad_per_px nor optics.convergence_mrad is known";
        Self {
            centre_px: Found::measured(disk.centre, disk.se.centre, format!("the centre of {from}")),
            radius_px: Found::measured(radius.value, radius.se, format!("the radius of {from}")),
            ellipticity: Found::measured(disk.ellipticity, disk.se.ellipticity, format!("the rim of {from}")),
            long_axis_deg: Found {
                value: Some(disk.long_axis_deg),
                // Half the phase's error of a vector e with the error se on each component.
                se: Some((0.5 * disk.se.ellipticity / disk.ellipticity).to_degrees()),
                determined: disk.ellipticity > 3.0 * disk.se.ellipticity,
                from: format!("the rim of {from}"),
            },
            convergence_mrad: convergence_mrad.unwrap_or_else(|| Found::unknown(open_scale)),
            mrad_per_px: mrad_per_px.unwrap_or_else(|| Found::unknown(open_scale)),
        }
    }
}

/// The rotation's part of a calibration.
fn rotation(
    job: &mut Job,
    measured: &Calibration,
    warnings: &mut Vec<String>,
    open: &mut Vec<(&'static str, String)>,
) -> (Found<f64>, Option<HalfTurn>, Found<bool>) {
    let said = job.scan.transpose.place != Place::Default;
    let known = Found::known(job.scan.transpose.value, job.scan.transpose.place.to_string());
    let rotation = match &measured.rotation {
        Ok(rotation) => rotation,
        Err(why) => {
            warnings.push(format!(
                "the scan's rotation and transposition are not determined: {why}. Virtual detectors need neither; idpc and ptychography do."
            ));
            open.push(("scan", format!("rotation_deg and transpose: {why}")));
            return (Found::unknown(why.clone()), None, if said { known } else { Found::unknown(why.clone()) });
        }
    };
    let half = rotation.half_turn;
    let angle = rotation.angle_deg;
    let from = rotation_origin(rotation, measured.frames);
    let determined = rotation.is_determined();
    if determined {
        let place = Place::Measured(from.clone());
        if job.scan.rotation_deg.place != Place::Default
            && (angle.value - job.scan.rotation_deg.value).abs() > f64::max(3.0, 5.0 * angle.se)
        {
            warnings.push(format!(
                "the measured rotation of {} is not the {}° of scan.rotation_deg ({}).",
                words(angle, "°"),
                job.scan.rotation_deg.value,
                job.scan.rotation_deg.place
            ));
        }
        if job.scan.rotation_deg.place == Place::Default {
            job.scan.rotation_deg = Entry { value: rounded(angle.value, angle.se), place: place.clone() };
        }
        if !said {
            let sigmas = rotation.hand_sigmas.unwrap_or(0.0);
            job.scan.transpose =
                Entry { value: rotation.transpose, place: Place::Measured(format!("the hand with less curl, {sigmas:.1} σ")) };
        }
        if !half.settled {
            warnings.push(half_turn_open(rotation));
        }
    } else {
        let why = not_determined(rotation);
        warnings.push(format!("the scan's rotation is not determined: {why}. Virtual detectors need none; idpc and ptychography do."));
        open.push(("scan", format!("rotation_deg and transpose: {why}")));
    }
    let transpose = match rotation.hand_sigmas {
        None => known,
        Some(sigmas) => Found {
            value: Some(rotation.transpose),
            se: None,
            determined: rotation.hand_is_determined(),
            from: format!("the hand with less curl, {sigmas:.1} σ"),
        },
    };
    let half_turn = HalfTurn { settled: half.settled, sigmas: half.sigmas, correlation: half.correlation };
    (Found { value: Some(angle.value), se: Some(angle.se), determined, from }, Some(half_turn), transpose)
}

fn bad_pixels(job: &mut Job, measured: &Calibration, warnings: &mut Vec<String>) -> BadPixels {
    let found: Vec<[usize; 2]> = measured.bad_pixels.iter().map(|bad| bad.place).collect();
    if !found.is_empty() {
        let mut all = job.data.bad_pixels.as_ref().map_or_else(Vec::new, |entry| entry.value.0.clone());
        all.extend(&found);
        all.sort_unstable();
        let place = Place::Measured("pixels that do not count as their neighbours do".to_owned());
        job.data.bad_pixels = Some(Entry { value: PixelList(all), place });
        warnings.push(format!("{} detector pixels do not count as their neighbours do and are left out (data.bad_pixels).", found.len()));
    }
    BadPixels {
        value: found,
        faults: measured.bad_pixels.iter().map(|bad| bad.fault).collect(),
        determined: true,
        from: "means and variances against those of the neighbours".to_owned(),
    }
}

fn descan(job: &mut Job, measured: &Calibration, facts: &mut Vec<(&'static str, String)>) -> DescanFound {
    let fit = match &measured.descan {
        Ok(fit) => fit,
        Err(why) => {
            let none = Vec::new;
            return DescanFound {
                value: None,
                y_px: none(),
                y_se: none(),
                x_px: none(),
                x_se: none(),
                determined: false,
                from: why.clone(),
            };
        }
    };
    if fit.order != Descan::None && job.images.descan.place == Place::Default {
        job.images.descan = Entry { value: fit.order.into(), place: Place::Measured("the centre of mass over the scan".to_owned()) };
    }
    let slopes: Vec<String> = fit.coefficients.iter().flat_map(|axis| &axis[1..3]).map(|c| words(*c, "")).collect();
    facts.push((
        "scan",
        format!(
            "descan in detector px a scan step: rows along i and j {}, columns {}",
            slopes[..2].join(" and "),
            slopes[2..].join(" and ")
        ),
    ));
    let of = |a: usize, pick: fn(&Estimate) -> f64| fit.coefficients[a].iter().map(pick).collect();
    DescanFound {
        value: Some(fit.order.name()),
        y_px: of(0, |c| c.value),
        y_se: of(0, |c| c.se),
        x_px: of(1, |c| c.value),
        x_se: of(1, |c| c.se),
        determined: true,
        from: "least squares over the centres of mass; a term counts that stands out by five standard errors".to_owned(),
    }
}

/// A value to two digits more than its error has.
fn rounded(value: f64, se: f64) -> f64 {
    if !(se > 0.0 && se.is_finite()) {
        return value;
    }
    let scale = 10f64.powi(digits(se) as i32 + 1);
    (value * scale).round() / scale
}

/// A job file of what is known, each value with its origin, what follows from it and what is open as comments.
fn job_file(job: &Job, facts: &[(&str, String)], open: &[(&str, String)]) -> String {
    let mut text = format!(
        "# Calibration by ronchi {}. This is a job file: ronchi run takes it.\n# Values carry ± one standard error. A line that begins with # has no effect.\n",
        env!("CARGO_PKG_VERSION")
    );
    let rows = job.rows();
    for section in ["data", "optics", "scan", "detector", "images"] {
        let values: Vec<String> = rows
            .iter()
            .filter(|row| row.section == section && row.place != Place::Default)
            .map(|row| {
                let value = match &row.value {
                    toml::Value::String(path) if (section, row.key) == ("data", "path") => toml::Value::String(absolute(path)),
                    value => value.clone(),
                };
                format!("{} = {value}{}\n", row.key, origin(&row.place))
            })
            .collect();
        let comments = |of: &[(&str, String)], mark: &str| -> Vec<String> {
            of.iter().filter(|(at, _)| *at == section).map(|(_, text)| format!("# {mark}{text}\n")).collect()
        };
        let lines = [values, comments(facts, ""), comments(open, "not determined: ")].concat();
        if !lines.is_empty() {
            text.push_str(&format!("\n[{section}]\n{}", lines.concat()));
        }
    }
    text
}

fn origin(place: &Place) -> String {
    match place {
        Place::Line { .. } | Place::Typed | Place::Default => String::new(),
        origin => format!("  # {origin}"),
    }
}

/// The path from the root, so that the job file may lie anywhere.
fn absolute(path: &str) -> String {
    Path::new(path).canonicalize().map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}
