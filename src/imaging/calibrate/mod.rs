//! What the frames themselves tell of the microscope: the disk, the scan's rotation, descan, dose, gain, bad pixels and the scan's distortion.

mod distortion;
mod gain;
mod pixels;
mod rotation;
mod waves;

use crate::compute::{Backend, DetectorSet, Patterns};
use crate::run::{Event, Run, Stage};

use super::descan::Trend;
use super::pass::{self, Pass};
use super::{Descan, Disk, Error, Result, find_disk, survey};
pub use distortion::Rows;
pub use pixels::{BadPixel, Fault};
use rotation::{Field, Fit, nearest_half_turn, wrapped};

/// A measured value with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    pub value: f64,
    pub se: f64,
}

/// What is known before, for [`calibrate`]; what is `None` is measured.
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct CalibrationPlan {
    /// (i, j), slow axis first.
    pub scan_shape: [usize; 2],
    /// The scan's step (y, x); only its proportion counts.
    pub step_A: Option<[f64; 2]>,
    /// A detector pixel's size (y, x) in any unit.
    pub pixel: [f64; 2],
    /// The zero angle (y, x), to which the centre of mass refers.
    pub centre_px: Option<[f64; 2]>,
    /// One a pixel, true where it counts; `None` where all do.
    pub valid: Option<Vec<bool>>,
    /// Where half a turn of the rotation is not settled, the angle nearest to this is taken.
    pub near_deg: f64,
    pub transpose: Option<bool>,
    /// The counts of an electron, where they are known.
    pub counts_per_electron: Option<f64>,
}

impl CalibrationPlan {
    /// A scan of which nothing else is known.
    pub fn new(scan_shape: [usize; 2]) -> Self {
        Self {
            scan_shape,
            step_A: None,
            pixel: [1.0; 2],
            centre_px: None,
            valid: None,
            near_deg: 0.0,
            transpose: None,
            counts_per_electron: None,
        }
    }

    /// A detector pixel's sides (y, x) with a geometric mean of 1.
    fn side(&self) -> [f64; 2] {
        self.pixel.map(|p| p / (self.pixel[0] * self.pixel[1]).sqrt())
    }
}

/// Which of two rotations half a turn apart is the scan's: with one, the integral of the centre of mass is bright where the dark field is (at
/// atoms), with the other it is dark there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HalfTurn {
    pub settled: bool,
    /// Of the integral at the angle given with the dark field, without what noise takes from it.
    pub correlation: f64,
    /// By how many standard errors the correlation is not 0.
    pub sigmas: f64,
}

/// How the scan lies on the detector's axes, as [`crate::optics::ScanGrid`] says it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    /// In degrees, in (−180, 180].
    pub angle_deg: Estimate,
    /// Its standard error from counting alone; [`Rotation::angle_deg`] has a larger one where parts of the scan disagree by more.
    pub counting_se_deg: f64,
    pub transpose: bool,
    /// By how many standard errors the hand taken leaves less curl than the other; `None` where the hand was known.
    pub hand_sigmas: Option<f64>,
    pub half_turn: HalfTurn,
}

impl Rotation {
    /// A worse known angle is none.
    const WORST_DEG: f64 = 7.5;
    const SURE_SIGMAS: f64 = 3.0;

    /// Is it known whether the scan is transposed?
    pub fn hand_is_determined(&self) -> bool {
        self.hand_sigmas.is_none_or(|s| s >= Self::SURE_SIGMAS)
    }

    /// Is the angle known, but for half a turn?
    pub fn is_determined(&self) -> bool {
        self.hand_is_determined() && self.angle_deg.se <= Self::WORST_DEG
    }
}

/// What the scan does to the centre of mass.
#[derive(Debug, Clone, PartialEq)]
pub struct DescanFit {
    pub order: Descan,
    /// [c, c_i, c_j(, c_ii, c_ij, c_jj)] of the rows, then of the columns, in detector pixels per scan step (squared), i and j from the scan's middle. At least a plane.
    pub coefficients: [Vec<Estimate>; 2],
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    pub frames: usize,
    pub empty_frames: usize,
    pub first_empty: Option<usize>,
    /// The bright-field disk in the mean of all frames, or why there is none.
    pub disk: std::result::Result<Disk, String>,
    /// The mean sum of a frame in counts.
    pub incident: Estimate,
    /// Counts of an electron; `None` where the noise does not tell.
    pub counts_per_electron: Option<Estimate>,
    pub bad_pixels: Vec<BadPixel>,
    /// The rotation, or why it is not known.
    pub rotation: std::result::Result<Rotation, String>,
    pub descan: std::result::Result<DescanFit, String>,
    /// `None` where rows show nothing to compare.
    pub rows: Option<Rows>,
    /// Columns at the start of the rows that differ from the rest.
    pub flyback_columns: usize,
}

/// Dark-field masks begin at these shares of the disk's radius.
const DARK_FIELD: [f64; 2] = [1.2, 2.0];
/// A scan this wide and high has a curl to look at.
const LEAST_SCAN: usize = 6;

/// Measures what the frames tell, in a look at some pairs of frames, a survey and one pass over all of them, and in a second pass where bad pixels were found in the first. What cannot
/// be measured is told as such; only frames without any counts and frames that cannot be read are errors.
pub fn calibrate<B: Backend>(run: &Run, backend: &B, patterns: &dyn Patterns<B>, plan: &CalibrationPlan) -> Result<Calibration> {
    let events = |event| run.emit(renamed(event));
    let run = &Run { events: &events, cancel: run.cancel, rng: run.rng };
    let shape = patterns.frame_shape();
    if plan.scan_shape[0] * plan.scan_shape[1] != patterns.len() {
        return Err(Error::ScanShape { scan_shape: plan.scan_shape, patterns: patterns.len() });
    }
    let gain = gain::measure(run, backend, patterns, plan.scan_shape, plan.valid.as_deref())?;
    let g = plan.counts_per_electron.or(gain.map(|g| g.value)).unwrap_or(1.0);
    let mut valid = plan.valid.clone();
    let mut look = Look::take(run, backend, patterns, plan, valid.as_deref())?;
    let mean = look.pass.mean_pattern();
    let bad_pixels = pixels::bad(&mean, look.pass.variance_pattern().as_deref(), look.pass.frames, shape, valid.as_deref(), g);
    if !bad_pixels.is_empty() {
        let mask = valid.get_or_insert_with(|| vec![true; mean.len()]);
        bad_pixels.iter().for_each(|bad| mask[bad.place[0] * shape[1] + bad.place[1]] = false);
        look = Look::take(run, backend, patterns, plan, valid.as_deref())?;
    }
    let (pass, scan) = (&look.pass, plan.scan_shape);
    let mean = pass.mean_pattern();
    let disk = look.disk.and_then(|_| find_disk(&mean, shape, valid.as_deref(), plan.pixel).map_err(|e| e.to_string()));
    let incident = pass.incident();
    if incident <= 0.0 {
        return Err(Error::Dark { brightest: mean.iter().copied().fold(0.0, f64::max) });
    }
    let counts: Vec<bool> = pass.totals().map(|t| t > 0.0).collect();
    let empty = pass.empty();
    let com = [0, 1].map(|a| pass.centre_of_mass(a, look.centre[a], 1.0));

    let descan = if scan.iter().any(|n| *n < LEAST_SCAN) {
        Err(format!("a scan of {}×{} positions is too small for a plane", scan[0], scan[1]))
    } else {
        Ok(descan(&com, &counts, scan))
    };
    let order = descan.as_ref().map_or(Descan::None, |d| if d.order == Descan::Parabola { Descan::Parabola } else { Descan::Plane });
    let without = |values: &[f64]| Trend::fit(values, &counts, scan, order).removed(values, &counts);
    let side = plan.side();
    let field = [0, 1].map(|a| without(&com[a]).iter().map(|c| c * side[a]).collect::<Vec<f64>>());
    // Var C = g·(Σ I (p − C)²/Σ I)/Σ I of each component.
    let [yy, xx, _] = pass.second_moments(look.centre);
    let spread = |a: usize, moments: &[f64]| -> f64 {
        let each = pass.totals().zip(moments).zip(&com[a]).filter(|((t, _), _)| *t > 0.0);
        each.map(|((t, m), c)| (g * (m / t - c * c) / t).max(0.0)).sum::<f64>() * side[a] * side[a]
    };
    let lit = counts.iter().filter(|c| **c).count();
    let field = Field {
        com: [&field[0], &field[1]],
        shape: scan,
        step: plan.step_A.unwrap_or([1.0; 2]),
        noise: 0.5 * (spread(0, &yy) + spread(1, &xx)) / lit.max(1) as f64,
    };
    // The share of each frame that is scattered beyond the disk.
    let shares = [0, 1].map(|mask| -> (Vec<f64>, f64) {
        if disk.is_err() {
            return (vec![0.0; counts.len()], 0.0);
        }
        let share: Vec<f64> = pass.column(mask).zip(pass.totals()).map(|(s, t)| if t > 0.0 { s / t } else { 0.0 }).collect();
        let noise = pass.column(mask).zip(pass.totals()).filter(|(_, t)| *t > 0.0).map(|(s, t)| g * s / (t * t)).sum::<f64>();
        (without(&share), noise / lit.max(1) as f64)
    });
    let rotation = rotate(&field, plan, &shares, lit);
    let totals: Vec<f64> = pass.totals().collect();
    let dark_field: Vec<f64> = pass.column(0).collect();
    Ok(Calibration {
        frames: pass.frames,
        empty_frames: empty.map_or(0, |e| e.1),
        first_empty: empty.map(|e| e.0),
        rows: if disk.is_ok() { distortion::rows(&shares[0].0, scan) } else { None },
        flyback_columns: distortion::flyback(&[&totals, &dark_field, &com[0], &com[1]], scan),
        disk,
        incident: Estimate { value: incident, se: (g * incident / pass.frames as f64).sqrt() },
        counts_per_electron: gain,
        bad_pixels,
        rotation,
        descan,
    })
}

/// The pass is one of calibration, not of images.
fn renamed(event: Event) -> Event {
    let stage = Stage::Calibrate;
    match event {
        Event::StageStarted { stage: Stage::Image, total, unit } => Event::StageStarted { stage, total, unit },
        Event::Progress { stage: Stage::Image, done } => Event::Progress { stage, done },
        Event::StageFinished { stage: Stage::Image, seconds } => Event::StageFinished { stage, seconds },
        other => other,
    }
}

/// A pass with what it refers to.
struct Look {
    pass: Pass,
    /// The zero angle (y, x).
    centre: [f64; 2],
    /// Of the survey.
    disk: std::result::Result<Disk, String>,
}

impl Look {
    fn take<B: Backend>(
        run: &Run,
        backend: &B,
        patterns: &dyn Patterns<B>,
        plan: &CalibrationPlan,
        valid: Option<&[bool]>,
    ) -> Result<Self> {
        let shape = patterns.frame_shape();
        let disk = match survey(run, backend, patterns, valid, plan.pixel) {
            Ok(survey) => Ok(survey.disk),
            Err(e @ (Error::NoDisk { .. } | Error::Dark { .. })) => Err(e.to_string()),
            Err(e) => return Err(e),
        };
        let middle = shape.map(|n| (n as f64 - 1.0) / 2.0);
        let centre = plan.centre_px.unwrap_or_else(|| disk.as_ref().map_or(middle, |d| d.centre));
        let side = plan.side();
        let mut set = DetectorSet { second_moments: true, statistics: true, ..DetectorSet::sums_only(shape, valid) };
        set.detectors = DARK_FIELD.len();
        let radius = disk.as_ref().map_or(f64::INFINITY, |d| d.radius);
        for (p, bits) in set.bits.iter_mut().enumerate().filter(|(_, bits)| **bits != 0) {
            let angle = (((p / shape[1]) as f64 - centre[0]) * side[0]).hypot(((p % shape[1]) as f64 - centre[1]) * side[1]);
            for (d, share) in DARK_FIELD.iter().enumerate() {
                *bits |= u64::from(angle >= share * radius) << d;
            }
        }
        Ok(Self { pass: pass::run(run, backend, patterns, &set, plan.scan_shape)?, centre, disk })
    }
}

/// The plane or parabola of the centre of mass, the higher only where it stands out.
fn descan(com: &[Vec<f64>; 2], counts: &[bool], scan: [usize; 2]) -> DescanFit {
    // Beyond an eighth of the scan the specimen is taken to be another.
    let part = (scan[0].max(scan[1]) / 8).max(1);
    let fitted = |order: Descan| {
        [0, 1].map(|a| {
            let trend = Trend::fit(&com[a], counts, scan, order);
            let errors = trend.standard_errors(&trend.removed(&com[a], counts), part);
            let of = |(k, (c, se)): (usize, (&f64, f64))| Estimate { value: c * trend.per_step(k), se: se * trend.per_step(k) };
            trend.coefficients.iter().zip(errors).enumerate().map(of).collect::<Vec<_>>()
        })
    };
    let (plane, parabola) = (fitted(Descan::Plane), fitted(Descan::Parabola));
    let stands_out = |of: &[Vec<Estimate>; 2], terms: std::ops::Range<usize>| {
        of.iter().any(|axis| axis[terms.clone()].iter().any(|c| c.value.abs() > 5.0 * c.se))
    };
    if stands_out(&parabola, 3..6) {
        DescanFit { order: Descan::Parabola, coefficients: parabola }
    } else {
        let order = if stands_out(&plane, 1..3) { Descan::Plane } else { Descan::None };
        DescanFit { order, coefficients: plane }
    }
}

/// The rotation of the better hand, and which half turn.
fn rotate(field: &Field, plan: &CalibrationPlan, shares: &[(Vec<f64>, f64); 2], lit: usize) -> std::result::Result<Rotation, String> {
    let [ni, nj] = field.shape;
    if ni < LEAST_SCAN || nj < LEAST_SCAN {
        return Err(format!("a scan of {ni}×{nj} positions has no curl; at least {LEAST_SCAN}×{LEAST_SCAN} are needed"));
    }
    if lit * 2 < ni * nj {
        return Err(format!("{} of {} frames have no counts", ni * nj - lit, ni * nj));
    }
    let flat = || "the centre of mass does not change over the scan by more than its noise".to_owned();
    let (fit, hand_sigmas) = match plan.transpose {
        Some(transpose) => (Fit::new(field, transpose).ok_or_else(flat)?, None),
        None => match (Fit::new(field, false), Fit::new(field, true)) {
            (Some(straight), Some(transposed)) => {
                let sigmas = transposed.sigmas_over(&straight, field.shape);
                // Where neither is better, the usual one is taken.
                let other = sigmas >= Rotation::SURE_SIGMAS;
                (if other { transposed } else { straight }, Some(if other { sigmas } else { -sigmas }))
            }
            _ => return Err(flat()),
        },
    };
    let se = fit.standard_error().to_degrees();
    let ((correlation, sigmas), (wide, wide_sigmas)) =
        (fit.likeness(field, &shares[0].0, shares[0].1), fit.likeness(field, &shares[1].0, shares[1].1));
    // Strongly scattered electrons that say the contrary: the contrast is not the atoms' own (a probe far out of focus in a thick specimen).
    let contrary = wide * correlation < 0.0 && wide.abs() >= 0.4 && wide_sigmas.abs() >= 5.0;
    let settled = correlation.abs() >= 0.4 && sigmas.abs() >= 5.0 && !contrary;
    let axis = fit.angle.to_degrees();
    let angle = match settled {
        true => wrapped(if correlation > 0.0 { axis } else { axis + 180.0 }),
        false => nearest_half_turn(fit.angle, plan.near_deg),
    };
    // At the other half turn the correlation has the other sign.
    let turned = (wrapped(angle - axis)).abs() > 90.0;
    let correlation = if turned { -correlation } else { correlation };
    Ok(Rotation {
        angle_deg: Estimate { value: angle, se },
        counting_se_deg: fit.counting.to_degrees(),
        transpose: fit.transpose,
        hand_sigmas,
        half_turn: HalfTurn { settled, correlation, sigmas: sigmas.abs() },
    })
}
