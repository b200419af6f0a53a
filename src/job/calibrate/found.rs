//! What a calibration found, put together with what the job says.

use serde::Serialize;

use super::disk::Disk;
use super::rotation::rotation;
use super::words::{job_file, rounded, words};
use crate::imaging::Descan;
use crate::imaging::calibrate::{Calibration, Estimate, Fault};
use crate::job::Place;
use crate::job::schema::{Entry, Job};
use crate::job::values::PixelList;

/// A value with its standard error (`None` where it has none of its own), whether it may be relied upon, and where it is from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found<T> {
    pub value: Option<T>,
    pub se: Option<T>,
    pub determined: bool,
    pub from: String,
}

impl<T> Found<T> {
    pub(super) fn unknown(why: impl Into<String>) -> Self {
        Self { value: None, se: None, determined: false, from: why.into() }
    }

    pub(super) fn measured(value: T, se: T, from: impl Into<String>) -> Self {
        Self { value: Some(value), se: Some(se), determined: true, from: from.into() }
    }

    pub(super) fn known(value: T, from: impl Into<String>) -> Self {
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
    pub faults: Vec<Fault>,
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

impl Calibrated {
    /// Puts what was measured together with what `job` says, and into `job`.
    pub(super) fn new(job: &mut Job, measured: &Calibration, scan_shape: [usize; 2]) -> Self {
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
