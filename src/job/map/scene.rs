//! What is mapped: an image of a result, and what its job says of how it came about.

use super::super::values::Pair;
use super::super::{Error, Job};
use crate::optics::{Aberrations, ProbeOptics, ScanGrid, wavelength_A};
use crate::output::{Array, Attr, Frame};
use crate::simulate::Instrument;

/// Images that are measured where the job names none, the best first.
const PREFERRED: [&str; 6] = ["ptychography/phase_scan", "images/ssb", "images/obf", "images/wdd", "images/parallax", "images/idpc"];

/// The image with its surroundings.
pub(super) struct Scene {
    /// Its path in the result.
    pub(super) path: String,
    pub(super) values: Vec<f64>,
    pub(super) shape: [usize; 2],
    pub(super) pixel_A: [f64; 2],
    pub(super) dose_e_per_A2: f64,
    pub(super) instrument: Instrument,
}

/// The arrays of a result.
pub(in crate::job) trait Arrays {
    fn names(&self) -> Vec<String>;
    fn get(&self, path: &str) -> Option<Array>;
}

impl Arrays for [Array] {
    fn names(&self) -> Vec<String> {
        self.iter().map(|a| a.path.clone()).collect()
    }

    fn get(&self, path: &str) -> Option<Array> {
        self.iter().find(|a| a.path == path).cloned()
    }
}

impl Arrays for crate::output::Results {
    fn names(&self) -> Vec<String> {
        self.arrays()
    }

    fn get(&self, path: &str) -> Option<Array> {
        self.array(path).ok()
    }
}

impl Scene {
    /// Looks up the image of a job in its result.
    pub(super) fn of(job: &Job, arrays: &(impl Arrays + ?Sized)) -> Result<Self, Error> {
        let image = chosen(job, arrays)?;
        let refuse = |why: String| Error::NoMap { image: image.path.clone(), why };
        if image.units != "rad" {
            let unit = if image.units.is_empty() { "no unit".to_owned() } else { format!("the unit {}", image.units) };
            let why = format!(
                "it has {unit}, so it is no phase. Phases are ptychography/phase_scan, ssb, obf, wdd, parallax, and idpc where the voltage is known: set map.image"
            );
            return Err(refuse(why));
        }
        let (&[rows, columns], Some(values), Frame::Scan) = (&image.shape[..], image.data.reals(), image.frame) else {
            return Err(refuse("it is no image along the scan: set map.image to one, such as \"ssb\"".to_owned()));
        };
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(refuse(format!(
                "its pixel (y, x) = ({}, {}) is no number: crop the scan to where it is known",
                at / columns,
                at % columns
            )));
        }
        let pixel_A = [image.axes[0].step, image.axes[1].step];
        let optics = &job.optics;
        let known = |value: Option<f64>, key: &'static str, example: &'static str| {
            value.ok_or_else(|| Error::Missing { key, why: "the simulated crystal needs it".to_owned(), example })
        };
        let voltage_kV = known(optics.voltage_kV.as_ref().map(|e| e.value), "optics.voltage_kV", "300")?;
        let convergence_mrad = known(optics.convergence_mrad.as_ref().map(|e| e.value), "optics.convergence_mrad", "25")?;
        let Some(Pair(step_A)) = job.scan.step_A.as_ref().map(|e| e.value) else {
            return Err(Error::Missing { key: "scan.step_A", why: "lengths have to be known".to_owned(), example: "0.4" });
        };
        if job.scan.positions.is_some() {
            return Err(refuse(
                "its scan has measured positions (scan.positions), which the simulated crystal is not scanned at".to_owned(),
            ));
        }
        let (frame, mrad_per_px) = detector(job, arrays, voltage_kV).ok_or_else(|| {
            refuse("the result does not tell the detector's size: it needs images/mean_pattern or ptychography/probe, and detector.mrad_per_px".to_owned())
        })?;
        let dose_e_per_A2 = dose(job, &image, arrays, step_A).ok_or_else(|| refuse("the result does not tell the dose".to_owned()))?;
        let mut aberrations = Aberrations::defocus(optics.defocus_A.value);
        aberrations.terms.extend(optics.aberrations.value.terms());
        let scanned = [0, 1].map(|a| (((if a == 0 { rows } else { columns }) - 1) as f64 * pixel_A[a] / step_A[a]).round() as usize + 1);
        let instrument = Instrument {
            optics: ProbeOptics { voltage_kV, convergence_mrad, aberrations },
            focal_spread_A: 0.0,
            source_size_A: optics.source_size_A.value,
            scan: ScanGrid { shape: scanned, step_A, rotation_deg: job.scan.rotation_deg.value, transpose: job.scan.transpose.value },
            jitter_A: 0.0,
            drift_A: [0.0; 2],
            frame,
            mrad_per_px,
            oversampling: None,
            blur_px: job.detector.blur_px.value,
            dose_e_per_A2: None,
            counts_per_electron: 1.0,
            readout_counts: 0.0,
        };
        Ok(Self { path: image.path.clone(), values, shape: [rows, columns], pixel_A, dose_e_per_A2, instrument })
    }

    /// Does the image come out of iterations, so that it is not linear in the counts?
    pub(super) fn is_iterative(&self) -> bool {
        self.path.starts_with("ptychography/")
    }

    /// The finest spacing that a thin object's bright field carries, λ/(2α) in Å.
    pub(super) fn limit_A(&self) -> f64 {
        wavelength_A(self.instrument.optics.voltage_kV) / (2e-3 * self.instrument.optics.convergence_mrad)
    }
}

fn chosen(job: &Job, arrays: &(impl Arrays + ?Sized)) -> Result<Array, Error> {
    let names = arrays.names();
    let found = match &job.map.image {
        Some(entry) => {
            let wanted = &entry.value;
            [wanted.clone(), format!("images/{wanted}"), format!("ptychography/{wanted}")].into_iter().find(|path| names.contains(path))
        }
        None => PREFERRED.iter().find(|path| names.iter().any(|name| name == *path)).map(|path| (*path).to_owned()),
    };
    found.and_then(|path| arrays.get(&path)).ok_or_else(|| {
        let image = job.map.image.as_ref().map_or_else(|| "a phase".to_owned(), |entry| entry.value.clone());
        let why =
            format!("the result does not hold it. It holds: {}", if names.is_empty() { "nothing".to_owned() } else { names.join(", ") });
        Error::NoMap { image, why }
    })
}

/// The side of a frame, and the angle of its pixels.
fn detector(job: &Job, arrays: &(impl Arrays + ?Sized), voltage_kV: f64) -> Option<(usize, f64)> {
    if let Some(pattern) = arrays.get("images/mean_pattern") {
        let (frame, mrad) = (pattern.shape.iter().copied().max()?, pattern.axes.first()?);
        let mrad = if mrad.units == "mrad" { mrad.step } else { job.detector.mrad_per_px.as_ref()?.value.0[0] };
        return Some((frame, mrad));
    }
    let probe = arrays.get("ptychography/probe")?;
    let (window, pixel) = (*probe.shape.last()?, probe.axes.last()?.step);
    let (upsample, pad) = (job.ptychography.upsample.value, job.ptychography.pad_px.value);
    let frame = (window / upsample).checked_sub(2 * pad).filter(|n| *n > 0)?;
    let mrad = 1e3 * wavelength_A(voltage_kV) / (window as f64 * pixel) * upsample as f64;
    Some((frame, mrad))
}

/// Electrons per Å² of the scan.
fn dose(job: &Job, image: &Array, arrays: &(impl Arrays + ?Sized), step_A: [f64; 2]) -> Option<f64> {
    let attribute = |array: &Array, name: &str| {
        array.extra.iter().find(|(key, _)| key == name).and_then(|(_, value)| if let Attr::Number(x) = value { Some(*x) } else { None })
    };
    let area = step_A[0] * step_A[1];
    let gain = job.data.counts_per_electron.value;
    let of = |array: &Array| attribute(array, "dose_e_per_A2").or_else(|| attribute(array, "incident").map(|counts| counts / gain / area));
    let told = of(image).or_else(|| arrays.names().iter().filter(|n| n.starts_with("images/")).find_map(|name| of(&arrays.get(name)?)));
    let told = told.or_else(|| {
        let probe = arrays.get("ptychography/probe")?;
        Some(probe.data.complexes().iter().map(|z| z.norm_sqr()).sum::<f64>() / gain / area)
    });
    told.filter(|dose| *dose > 0.0 && dose.is_finite())
}
