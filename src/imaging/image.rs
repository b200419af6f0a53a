//! All virtual images in one pass over the patterns.

use std::time::Instant;

use crate::compute::{Backend, DetectorSet, Patterns};
use crate::run::{Event, Run, Stage};

use super::fields::{Field, divergence_unit, phase_unit, tell_unit};
use super::geometry::{Geometry, SamplingUnit};
use super::layout::{Layout, Linear, Output};
use super::pass::{self, GROUP, Pass, stop_if_cancelled};
use super::{Angle, Detector, Disk, Error, ImagingPlan, Kind, Requested, Result, find_disk};

/// The frames of a [`survey`].
const SURVEYED: usize = 256;

/// A first look at a datacube.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// How many frames were looked at, spread over the scan.
    pub frames: usize,
    /// Their mean, (y, x); 0 where a pixel is not valid.
    pub pattern: Vec<f64>,
    /// The mean sum of a frame, in counts.
    pub incident: f64,
    pub disk: Disk,
}

/// Where the zero angle comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CentreOrigin {
    Given,
    /// The centre of the disk in a [`survey`].
    Disk,
}

/// An image along the scan, (i, j).
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub name: String,
    /// Such as `counts`, `mrad` or `rad`.
    pub unit: &'static str,
    pub values: Vec<f64>,
    /// The standard error of each value from counting statistics, if [`ImagingPlan::errors`] were asked for.
    pub errors: Option<Vec<f64>>,
    /// [inner, outer) in the unit of [`Images::sampling_unit`], of a virtual detector.
    pub range: Option<[f64; 2]>,
    /// The part of the detector that lies in the frame and counts; 1 of images that are no virtual detector.
    pub coverage: f64,
    /// The factor of eabf.
    pub k: Option<f64>,
}

/// What [`image`] makes.
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct Images {
    pub scan_shape: [usize; 2],
    /// In the order asked for. All lie along the scan. Virtual detectors are raw sums of counts; `com_y` and `com_x` are the
    /// components in the *detector's* frame (along its rows and columns), relative to [`Images::centre_px`], as measured; `com_direction` and `ddpc` are of the
    /// vectors turned into the scan's frame, `idpc` is integrated along the scan after that and
    /// without their mean, or what more is descan ([`ImagingPlan::descan`]).
    pub images: Vec<Image>,
    pub frame_shape: [usize; 2],
    /// The mean of all frames, (y, x), in counts; 0 where a pixel is not valid.
    pub pattern: Vec<f64>,
    /// The largest value of each pixel over the frames, if asked for.
    pub max_pattern: Option<Vec<f64>>,
    /// The variance of each pixel over the frames in counts², Σ(I − Ī)²/(N − 1), if asked for and there are two frames.
    pub variance_pattern: Option<Vec<f64>>,
    /// The mean sum of a frame over the valid pixels, in counts.
    pub incident: f64,
    /// Mean electrons of a frame ÷ (step_y·step_x).
    pub dose_e_per_A2: Option<f64>,
    /// The zero angle (y, x) that detectors and centres of mass refer to.
    pub centre_px: [f64; 2],
    pub centre_origin: CentreOrigin,
    /// The disk's radius that the detectors refer to, in pixels, where they need one.
    pub radius_px: Option<f64>,
    /// (y, x), as given or measured by the disk and the convergence angle.
    pub mrad_per_px: Option<[f64; 2]>,
    pub sampling_unit: SamplingUnit,
    /// The disk of the mean of all frames, if there is one to be found.
    pub disk: Option<Disk>,
    /// Frames whose sum is not above 0; their centre of mass is set to 0.
    pub empty_frames: usize,
}

/// Looks at up to 256 frames spread over the scan and finds the bright-field disk in their mean. `pixel` is a detector pixel's
/// size (y, x) in any unit.
pub fn survey<B: Backend>(run: &Run, backend: &B, patterns: &dyn Patterns<B>, valid: Option<&[bool]>, pixel: [f64; 2]) -> Result<Survey> {
    let pass = sampled(run, backend, patterns, valid)?;
    let pattern = pass.mean_pattern();
    let disk = find_disk(&pattern, patterns.frame_shape(), valid, pixel)?;
    Ok(Survey { frames: pass.frames, incident: pass.incident(), pattern, disk })
}

/// The mean sum of up to 256 frames spread over the scan over the valid pixels, in counts.
pub fn sampled_incident<B: Backend>(run: &Run, backend: &B, patterns: &dyn Patterns<B>, valid: Option<&[bool]>) -> Result<f64> {
    Ok(sampled(run, backend, patterns, valid)?.incident())
}

/// The sums of up to 256 frames spread over the scan.
fn sampled<B: Backend>(run: &Run, backend: &B, patterns: &dyn Patterns<B>, valid: Option<&[bool]>) -> Result<Pass> {
    let ids = sample(patterns.len());
    let stage = Stage::Survey;
    let begun = Instant::now();
    run.emit(Event::StageStarted { stage, total: ids.len() as u64, unit: "frames" });
    let set = DetectorSet::sums_only(patterns.frame_shape(), valid);
    let mut pass = Pass::new(&set, 0);
    let set = backend.detector_set(&set)?;
    patterns.prefetch(&ids);
    for ids in ids.chunks(GROUP) {
        stop_if_cancelled(run)?;
        pass.take(&ids.iter().map(|_| 0).collect::<Vec<_>>(), &backend.virtual_detectors(&patterns.batch(ids)?.frames, &set)?);
        run.emit(Event::Progress { stage, done: pass.frames as u64 });
    }
    run.emit(Event::StageFinished { stage, seconds: begun.elapsed().as_secs_f64() });
    Ok(pass)
}

/// Makes the images of `plan` in one pass over `patterns`, after a [`survey`] unless the zero angle is given and either the disk's radius follows from the
/// convergence angle or no detector needs it. Memory: the images and the mean pattern. The results do not depend on how the pass is cut into blocks.
pub fn image<B: Backend>(run: &Run, backend: &B, patterns: &dyn Patterns<B>, plan: &ImagingPlan) -> Result<Images> {
    let shape = patterns.frame_shape();
    plan.check(patterns.len(), shape)?;
    let valid = plan.valid.as_deref();
    let aspect = plan.mrad_per_px.unwrap_or([1.0; 2]);
    let (geometry, centre_origin) = geometry(run, backend, patterns, plan)?;
    let layout = Layout::new(&geometry, plan)?;
    let wants_idpc = layout.images.iter().any(|image| image.output == Output::Idpc);
    if let (Some(highpass), None, true) = (plan.highpass_inverse_A, plan.step_A, wants_idpc) {
        return Err(Error::HighpassNeedsStep { highpass });
    }
    layout.told.iter().for_each(|event| run.emit(event.clone()));

    let pass = pass::run(run, backend, patterns, &layout.set, plan.scan_shape)?;

    let pattern = pass.mean_pattern();
    let disk = match find_disk(&pattern, shape, valid, aspect) {
        Ok(disk) => Some(disk),
        Err(e) => {
            run.note(format!("The disk could not be measured in the mean of all frames: {e}"));
            None
        }
    };
    let radius_px = geometry.radius.is_finite().then(|| geometry.radius / (geometry.scale[0] * geometry.scale[1]).sqrt());
    if let Some(disk) = &disk {
        tell_of_disk(run, plan, &geometry, radius_px, disk);
    }
    if let Some((first, count)) = pass.empty() {
        let [i, j] = [first / plan.scan_shape[1], first % plan.scan_shape[1]];
        run.warn(format!(
            "{count} of {} frames have no counts (the first at scan position {i}, {j}): their centre of mass is set to 0.",
            pass.frames
        ));
    }
    let incident = pass.incident();
    let wants = |output: &Output| layout.images.iter().any(|image| image.output == *output);
    Ok(Images {
        scan_shape: plan.scan_shape,
        images: finish(run, plan, &geometry, &layout, &pass),
        frame_shape: shape,
        pattern,
        max_pattern: pass.max_pattern().filter(|_| wants(&Output::MaxPattern)),
        variance_pattern: pass.variance_pattern().filter(|_| wants(&Output::VariancePattern)),
        incident,
        dose_e_per_A2: plan.step_A.map(|[y, x]| incident / plan.counts_per_electron / (y * x)),
        centre_px: geometry.centre,
        centre_origin,
        radius_px,
        mrad_per_px: (geometry.unit == SamplingUnit::Mrad).then_some(geometry.scale),
        sampling_unit: geometry.unit,
        disk,
        empty_frames: pass.empty().map_or(0, |(_, count)| count),
    })
}

/// Up to [`SURVEYED`] of `len` patterns in rising order, evenly spread but in step with no period of the scan.
fn sample(len: usize) -> Vec<u32> {
    let count = len.min(SURVEYED);
    let golden = 0.618_033_988_749_895;
    let place = |k: usize| (k as f64 + (k as f64 * golden).fract()) * len as f64 / count as f64;
    if count == len { (0..len as u32).collect() } else { (0..count).map(|k| place(k) as u32).collect() }
}

/// Where the detectors' angles lie: from the plan, and from a survey for what the plan leaves open.
fn geometry<B: Backend>(run: &Run, backend: &B, patterns: &dyn Patterns<B>, plan: &ImagingPlan) -> Result<(Geometry, CentreOrigin)> {
    let shape = patterns.frame_shape();
    let mean = |[y, x]: [f64; 2]| (y * x).sqrt();
    let too_wide = |convergence_mrad: f64, radius_px: f64| {
        if radius_px > shape[0].max(shape[1]) as f64 / 2.0 {
            Err(Error::ConvergenceTooWide { convergence_mrad, radius_px, shape })
        } else {
            Ok(())
        }
    };
    if let (Some(alpha), Some(mrad)) = (plan.convergence_mrad, plan.mrad_per_px) {
        too_wide(alpha, alpha / mean(mrad))?;
    }
    let of_disk = |d: &Detector| match d.kind {
        Kind::Annulus(ring) | Kind::Segment { ring, .. } | Kind::Mask { ring: Some(ring), .. } => {
            [ring.inner, ring.outer].iter().any(|a| matches!(a, Angle::Disk(_)))
        }
        Kind::Eabf { .. } | Kind::HalfPlanes { .. } | Kind::PhaseGradient { .. } => true,
        _ => false,
    };
    let needs_radius = match &plan.detectors {
        Requested::Default | Requested::All => true,
        Requested::Named(list) => list.iter().any(of_disk),
    };
    let radius_known = plan.convergence_mrad.is_some() && plan.mrad_per_px.is_some();
    let measured = if plan.centre_px.is_none() || (needs_radius && !radius_known) {
        Some(survey(run, backend, patterns, plan.valid.as_deref(), plan.mrad_per_px.unwrap_or([1.0; 2]))?.disk)
    } else {
        None
    };
    let mrad = match (plan.mrad_per_px, plan.convergence_mrad, &measured) {
        (None, Some(alpha), Some(disk)) => {
            let pixel = alpha / disk.radius;
            run.note(format!(
                "A pixel is taken as {pixel:.5} mrad, from the convergence angle of {alpha} mrad and the disk's radius of {:.2} px. Set detector.mrad_per_px if it is known.",
                disk.radius
            ));
            Some([pixel; 2])
        }
        (mrad, _, _) => mrad,
    };
    let (scale, unit) = mrad.map_or(([1.0; 2], SamplingUnit::Px), |m| (m, SamplingUnit::Mrad));
    let radius = match (plan.convergence_mrad, unit, &measured) {
        (Some(alpha), SamplingUnit::Mrad, _) => alpha,
        (_, _, Some(disk)) => disk.radius * mean(scale),
        _ => f64::NAN,
    };
    let (centre, origin) = match (plan.centre_px, &measured) {
        (Some(centre), _) => (centre, CentreOrigin::Given),
        (None, Some(disk)) => (disk.centre, CentreOrigin::Disk),
        // A survey is made wherever the centre is not given.
        (None, None) => ([0, 1].map(|a| (shape[a] as f64 - 1.0) / 2.0), CentreOrigin::Disk),
    };
    Ok((Geometry { shape, centre, scale, unit, radius }, origin))
}

/// Says where the disk of all frames is not what the images were made with.
fn tell_of_disk(run: &Run, plan: &ImagingPlan, geometry: &Geometry, radius_px: Option<f64>, disk: &Disk) {
    if let Some(text) = disk.warning() {
        run.warn(text);
    }
    let off = (disk.centre[0] - geometry.centre[0]).hypot(disk.centre[1] - geometry.centre[1]);
    if off > 0.5 {
        run.warn(format!(
            "The disk's centre in the mean of all frames ({:.2}, {:.2}) lies {off:.2} px from the zero angle used ({:.2}, {:.2}). Set detector.centre_px to change it.",
            disk.centre[0], disk.centre[1], geometry.centre[0], geometry.centre[1]
        ));
    }
    if let (Some(alpha), Some(_), Some(nominal)) = (plan.convergence_mrad, plan.mrad_per_px, radius_px)
        && (disk.radius - nominal).abs() > (0.05 * nominal).max(1.0)
    {
        run.warn(format!(
            "The disk's measured radius of {:.2} px is not the {nominal:.2} px of optics.convergence_mrad = {alpha} over detector.mrad_per_px. Check both: every angle depends on them.",
            disk.radius
        ));
    }
}

/// The images of a finished pass.
fn finish(run: &Run, plan: &ImagingPlan, geometry: &Geometry, layout: &Layout, pass: &Pass) -> Vec<Image> {
    let of_com = layout.images.iter().any(|planned| planned.output.is_of_com());
    let com = of_com.then(|| Field::centres_of_mass(geometry, pass, plan.counts_per_electron, plan.errors));
    let turned = com.as_ref().map(|com| com.turned(plan));
    let counts: Vec<bool> = {
        let chosen = |p: usize| plan.field.as_ref().is_none_or(|field| field[p]);
        pass.totals().enumerate().map(|(p, total)| total > 0.0 && chosen(p)).collect()
    };
    let (factor, phase_unit, missing) = phase_unit(geometry, plan);
    let scaled = |(values, errors): (Vec<f64>, Option<Vec<f64>>)| {
        let scale = |values: Vec<f64>| values.into_iter().map(|v| v * factor).collect::<Vec<f64>>();
        (scale(values), errors.map(scale))
    };
    let along_scan = layout.images.iter().filter(|planned| planned.output.is_of_scan());
    let made = along_scan.filter_map(|planned| {
        let (com, turned) = (com.as_ref(), turned.as_ref());
        let name = &planned.name;
        let mut k = None;
        let ((values, errors), unit) = match &planned.output {
            Output::Linear(linear) => {
                k = linear.k;
                (linear_image(linear, pass, plan), linear.unit)
            }
            Output::Com { axis } => {
                let com = com?;
                let values = if *axis == 0 { &com.y } else { &com.x };
                let errors = com.covariance.as_ref().map(|c| c[*axis].iter().map(|v| v.max(0.0).sqrt()).collect());
                ((values.clone(), errors), geometry.unit.name())
            }
            Output::ComMagnitude => (com?.magnitude(), geometry.unit.name()),
            Output::ComDirection => (turned?.direction(), "deg"),
            Output::Idpc => {
                tell_unit(run, name, phase_unit, missing);
                let field = Field { covariance: turned?.covariance.clone(), y: turned?.y.clone(), x: turned?.x.clone() };
                (scaled(field.levelled(plan, &counts).integral(plan, &counts)), phase_unit)
            }
            Output::Ddpc => {
                let unit = divergence_unit(phase_unit);
                tell_unit(run, name, unit, missing);
                (scaled(turned?.divergence(plan.scan_shape, plan.grid().step_A)), unit)
            }
            Output::MaxPattern | Output::VariancePattern => return None,
        };
        Some(Image { name: name.clone(), unit, values, errors, range: planned.range, coverage: planned.coverage, k })
    });
    made.collect()
}

/// Σ w·S of each frame, over the frame's sum less a constant if so asked (0 where there is none), and its standard error: with g counts an electron, a sum S has the variance
/// g·S, and a mean r = Σ w·S ∕ T the variance g(Σ w²·S − r²·T)/T².
fn linear_image(linear: &Linear, pass: &Pass, plan: &ImagingPlan) -> (Vec<f64>, Option<Vec<f64>>) {
    let weighted = |power: i32| -> Vec<f64> {
        let mut sums = vec![0.0; pass.frames];
        for &(mask, weight) in &linear.weights {
            sums.iter_mut().zip(pass.column(mask)).for_each(|(sum, s)| *sum += weight.powi(power) * s);
        }
        sums
    };
    let mut values = weighted(1);
    if linear.over_total.is_some() {
        values.iter_mut().zip(pass.totals()).for_each(|(v, total)| *v = if total > 0.0 { *v / total } else { 0.0 });
    }
    let errors = plan.errors.then(|| {
        let mut variances = weighted(2);
        if linear.over_total.is_some() {
            for ((variance, value), total) in variances.iter_mut().zip(&values).zip(pass.totals()) {
                *variance = if total > 0.0 { (*variance - value * value * total) / (total * total) } else { 0.0 };
            }
        }
        variances.into_iter().map(|v| (plan.counts_per_electron * v).max(0.0).sqrt()).collect()
    });
    if let Some(offset) = linear.over_total {
        values.iter_mut().zip(pass.totals()).filter(|(_, total)| *total > 0.0).for_each(|(v, _)| *v -= offset);
    }
    (values, errors)
}
