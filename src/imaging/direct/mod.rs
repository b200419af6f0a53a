//! Direct ptychography: images of a thin object's phase from the interference in the bright-field disk, in one pass and without iteration.
//!
//! Parallax (tilt-corrected bright field), single side-band, optimum bright field and Wigner distribution deconvolution are all sums over the disk's
//! pixels k of the scan's spectra Ĩ(q, k), each times what the method makes of the aperture. Formulas and their sources are in `docs/theory.md`.

mod disk;
mod errors;
mod plan;
mod shifts;
mod side_band;
mod spectra;
mod spectrum;
mod tilts;
mod wigner;

use num_complex::Complex64;

use super::{Error, Result};
use crate::compute::{Backend, BrightField, Patterns, Response};
use crate::optics::{Aberrations, Polynomial, wavelength_A};
use crate::run::Run;

use disk::Disk;
pub use plan::{DirectPlan, Method};
pub use shifts::Fit;
use spectra::Spectra;
use spectrum::Field;

/// An image of one method.
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct DirectImage {
    pub method: Method,
    /// In radians, (y, x) along the scan.
    pub values: Vec<f64>,
    /// The standard error of each pixel by counting statistics, if it was asked for; of WDD to first order, with the counts' mean over the scan.
    pub error: Option<Vec<f64>>,
    pub sweep: Option<Sweep>,
}

/// A series of defoci of one method.
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct Sweep {
    pub defoci_A: Vec<f64>,
    /// (defocus, y, x) in radians.
    pub values: Vec<f64>,
    /// One a defocus, in rad²: the variance of the parallax image, of the others that of the optimum bright field, whose noise is the same at every defocus.
    pub sharpness: Vec<f64>,
    /// Where the sharpness is largest, between the foci by a parabola.
    pub best_defocus_A: f64,
}

/// What [`direct`] makes.
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct Direct {
    /// (y, x) of every image.
    pub shape: [usize; 2],
    pub pixel_A: [f64; 2],
    pub images: Vec<DirectImage>,
    /// The aberrations that the images are corrected for.
    pub defocus_A: f64,
    pub aberrations: Aberrations,
    /// What the images' shifts told, if they were asked.
    pub fit: Option<Fit>,
    /// The mean sum of a frame.
    pub incident: f64,
    /// Pixels of the bright-field disk that were used.
    pub pixels: usize,
}

/// Makes the images of `plan` from the bright-field disks of `patterns`, in one pass if the memory limit holds the disk's pixels, else in several.
///
/// Images are in radians, in the scan's frame, with the mean 0. They do not depend on the memory limit, on blocks or on threads.
///
/// # Errors
/// What the plan says that cannot be, dark frames, and what the device or the source of the patterns reports.
pub fn direct<B: Backend>(run: &Run, backend: &B, patterns: &dyn Patterns<B>, plan: &DirectPlan) -> Result<Direct> {
    let frame_shape = patterns.frame_shape();
    plan.check(patterns.len(), frame_shape)?;
    let lambda = wavelength_A(plan.voltage_kV);
    let wants = |method| plan.methods.contains(&method);
    let disk = Disk::new(plan, frame_shape, wants(Method::Wdd))?;
    disk.tell(run, plan);
    let turns = |aberrations: &Aberrations| {
        let without_focus = Aberrations { terms: aberrations.terms.iter().filter(|t| (t.n, t.m) != (1, 0)).copied().collect() };
        without_focus.polynomial(lambda, plan.convergence_mrad).ok_or(Error::UnknownAberration)
    };
    // Half for spectra, half for the windows of a deconvolution.
    let limit = if wants(Method::Wdd) { plan.memory_limit_bytes / 2 } else { plan.memory_limit_bytes };
    let mut spectra = Spectra::new(run, backend, patterns, &disk, plan.valid.as_deref(), plan.incident, limit)?;

    let (mut defocus_A, mut aberrations, mut fit) = (plan.defocus_A, plan.aberrations.clone(), None);
    if plan.fit {
        let high = Aberrations { terms: plan.aberrations.terms.iter().filter(|t| t.n > 1).copied().collect() };
        let found = shifts::fit(backend, &mut spectra, &disk, plan, &turns(&high)?)?;
        tell_fit(run, plan, &found);
        if found.determined {
            (defocus_A, aberrations) = (found.defocus_A, found.aberrations(&plan.aberrations));
        }
        fit = Some(found);
    }

    let sweep = plan.foci_A();
    let foci: Vec<f64> = std::iter::once(defocus_A).chain(sweep.iter().copied()).collect();
    let bright = disk.with(turns(&aberrations)?, foci.iter().map(|&d| disk.focus(d)).collect());
    let device = backend.bright_field(&bright)?;

    let side_bands = if wants(Method::Ssb) || wants(Method::Obf) || (wants(Method::Wdd) && !sweep.is_empty()) {
        Some(side_band::sums(backend, &mut spectra, &disk, &bright, &device)?)
    } else {
        None
    };
    let tilts = if wants(Method::Parallax) { Some(tilts::sums(run, backend, &mut spectra, &disk, &bright, &device)?) } else { None };
    let wigner = if wants(Method::Wdd) {
        Some(wigner::deconvolve(run, backend, &mut spectra, &bright, &device, plan, plan.memory_limit_bytes - limit)?)
    } else {
        None
    };
    let incident = spectra.incident();
    if incident.is_nan() || incident <= 0.0 {
        return Err(Error::Dark { brightest: incident });
    }
    let field = Field::new(&bright, plan, incident);
    let mut images = Vec::new();
    for &method in &plan.methods {
        let stack: Vec<Vec<f64>> = match method {
            Method::Parallax => tilts.iter().flatten().map(|half| field.image(half)).collect(),
            Method::Ssb => side_bands.iter().flatten().map(|s| field.image(&s.ssb())).collect(),
            Method::Obf => side_bands.iter().flatten().map(|s| field.image(&s.obf())).collect(),
            Method::Wdd => wigner.iter().flatten().map(|spectrum| field.phase(spectrum)).collect(),
        };
        let sharpness: Vec<f64> = match method {
            Method::Parallax => stack.iter().map(|image| variance(image)).collect(),
            _ => side_bands.iter().flatten().map(|s| variance(&field.image(&s.obf()))).collect(),
        };
        let mut stack = stack.into_iter();
        let Some(values) = stack.next() else { continue };
        let sweep = (!sweep.is_empty()).then(|| {
            let sharpness: Vec<f64> = sharpness.iter().skip(1).copied().collect();
            let best_defocus_A = best(&sweep, &sharpness);
            Sweep { defoci_A: sweep.clone(), values: stack.flatten().collect(), sharpness, best_defocus_A }
        });
        let error = match (plan.errors, response(method)) {
            (true, Some(response)) => {
                let mut filter = match method {
                    Method::Parallax => tilts::signs(&bright, bright.foci[0]),
                    Method::Ssb => side_bands.iter().flatten().next().map_or(Vec::new(), |s| s.ssb_filter()),
                    _ => side_bands.iter().flatten().next().map_or(Vec::new(), |s| s.obf_filter()),
                };
                field.keep(&mut filter);
                let half = errors::variance(backend, &mut spectra, &disk, &bright, &device, response, &filter)?;
                Some(field.error(&half, plan.counts_per_electron))
            }
            (true, None) => match wigner.iter().flatten().next() {
                Some(spectrum) => {
                    let noise = wigner::noise(backend, &mut spectra, &bright, &device, plan)?;
                    Some(field.phase_error(spectrum, &noise, plan.counts_per_electron))
                }
                None => None,
            },
            _ => None,
        };
        images.push(DirectImage { method, values, error, sweep });
    }
    Ok(Direct {
        shape: field.shape(),
        pixel_A: plan.scan.step_A.map(|s| s / plan.upsample as f64),
        images,
        defocus_A,
        aberrations,
        fit,
        incident,
        pixels: disk.count,
    })
}

/// How a method's image responds to a count, if it is linear in them.
fn response(method: Method) -> Option<Response> {
    match method {
        Method::Parallax => Some(Response::Parallax),
        Method::Ssb => Some(Response::Ssb),
        Method::Obf => Some(Response::Obf),
        Method::Wdd => None,
    }
}

/// e^{−2πi g·q} for each shift g (in the detector's frame), as a ramp along each of the scan's axes: (shift, row) and (shift, column).
fn ramps(bright: &BrightField, shifts: &[[f64; 2]]) -> [Vec<Complex64>; 2] {
    [0, 1].map(|axis| {
        let along = |g: &[f64; 2]| bright.turn[0][axis] * g[0] + bright.turn[1][axis] * g[1];
        let frequencies = &bright.frequencies[axis];
        shifts.iter().flat_map(|g| frequencies.iter().map(move |f| Complex64::cis(-std::f64::consts::TAU * along(g) * f))).collect()
    })
}

fn variance(image: &[f64]) -> f64 {
    let n = image.len().max(1) as f64;
    let mean = image.iter().sum::<f64>() / n;
    image.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n
}

/// Where the largest of some values lies, by the parabola through it and its neighbours.
fn best(places: &[f64], values: &[f64]) -> f64 {
    let top = (0..values.len()).fold(0, |best, k| if values[k] > values[best] { k } else { best });
    let Some(&here) = places.get(top) else { return f64::NAN };
    if top == 0 || top + 1 == values.len() {
        return here;
    }
    let [a, b, c] = [values[top - 1], values[top], values[top + 1]];
    let bend = a - 2.0 * b + c;
    if bend < 0.0 { here + 0.5 * (a - c) / bend * (places[top + 1] - here) } else { here }
}

/// Says what the shifts told.
fn tell_fit(run: &Run, plan: &DirectPlan, fit: &Fit) {
    // Rounded here, and -0 made 0, which would be told as "-0".
    let rounded = |x: f64, per: f64| (per * x).round() / per + 0.0;
    let values = format!(
        "defocus {:.1} ± {:.1} Å, C12 {:.1} ± {:.1} Å at {:.0}°, scan rotation {:.1} ± {:.1}°",
        rounded(fit.defocus_A, 10.0),
        fit.defocus_error_A,
        fit.C12_A,
        fit.C12_error_A,
        rounded(fit.phi12_deg, 1.0),
        rounded(fit.rotation_deg, 10.0),
        fit.rotation_error_deg
    );
    if fit.determined {
        run.note(format!("From the shifts of the tilted images: {values}."));
    } else {
        run.warn(format!(
            "The shifts of the tilted images do not tell the defocus (best guess: {values}): the images are made with defocus {} Å. Set optics.defocus_A, or look at a series (images.defocus_sweep_A).",
            plan.defocus_A
        ));
    }
}

/// The turns of χ at an angle, with a focus.
fn turns_at(bright: &BrightField, focus: f64, [y, x]: [f64; 2]) -> f64 {
    let polynomial: &Polynomial = &bright.turns;
    polynomial.at(y, x) + focus * (y * y + x * x)
}
