//! Images that are made of the frames' centres of mass, and their standard errors.

use std::f64::consts::TAU;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::optics::apply;
use crate::run::Run;

use super::descan::Trend;
use super::geometry::{Geometry, SamplingUnit};
use super::integrate::integrate_where;
use super::pass::Pass;
use super::{Edges, ImagingPlan, Integration, integrate};

/// Fields of noise that the standard error of an integrated field is the root mean square of: 5 % of it in a pixel.
const DRAWS: usize = 200;

/// A vector for each scan position, with its covariance where it was asked for.
pub(super) struct Field {
    pub(super) y: Vec<f64>,
    pub(super) x: Vec<f64>,
    /// (y, y), (x, x) and (y, x).
    pub(super) covariance: Option<[Vec<f64>; 3]>,
}

impl Field {
    /// The centres of mass in the detector's frame and the geometry's unit, relative to the zero angle; 0 where a frame has no counts.
    ///
    /// The covariance is that of counting statistics: of n electrons, the second central moment over n.
    pub(super) fn centres_of_mass(geometry: &Geometry, pass: &Pass, counts_per_electron: f64, errors: bool) -> Self {
        let [y, x] = [0, 1].map(|a| pass.centre_of_mass(a, geometry.centre[a], geometry.scale[a]));
        let covariance = errors.then(|| {
            let second = pass.second_moments(geometry.centre);
            let mean = [&y, &x];
            [(0, 0, 0), (1, 1, 1), (2, 0, 1)].map(|(k, a, b)| {
                let scale = geometry.scale[a] * geometry.scale[b];
                let of = |((total, moment), (ma, mb)): ((f64, &f64), (&f64, &f64))| {
                    if total > 0.0 { counts_per_electron * (moment * scale / total - ma * mb) / total } else { 0.0 }
                };
                pass.totals().zip(&second[k]).zip(mean[a].iter().zip(mean[b])).map(of).collect()
            })
        });
        Self { y, x, covariance }
    }

    /// The same vectors along the scan's axes: an image along the scan u is f(M·u) with the orthogonal M = scan_to_object, so its gradient is Mᵀ·∇f.
    pub(super) fn turned(&self, plan: &ImagingPlan) -> Self {
        let turn = plan.grid().object_to_scan();
        let (y, x) = self.y.iter().zip(&self.x).map(|(&y, &x)| <(f64, f64)>::from(apply(turn, [y, x]))).unzip();
        let covariance = self.covariance.as_ref().map(|[yy, xx, yx]| {
            [(0, 0), (1, 1), (0, 1)].map(|(a, b)| {
                let of = |p: usize| {
                    turn[a][0] * turn[b][0] * yy[p]
                        + turn[a][1] * turn[b][1] * xx[p]
                        + (turn[a][0] * turn[b][1] + turn[a][1] * turn[b][0]) * yx[p]
                };
                (0..yy.len()).map(of).collect()
            })
        });
        Self { y, x, covariance }
    }

    /// Subtracts the trend over the positions that count and sets the others to 0. It is the descan's (or the centre's error), not the object's.
    pub(super) fn levelled(mut self, plan: &ImagingPlan, counts: &[bool]) -> Self {
        for field in [&mut self.y, &mut self.x] {
            *field = Trend::fit(field, counts, plan.scan_shape, plan.descan).removed(field, counts);
        }
        self
    }

    /// The vectors' lengths, and their standard errors.
    pub(super) fn magnitude(&self) -> (Vec<f64>, Option<Vec<f64>>) {
        let length: Vec<f64> = self.y.iter().zip(&self.x).map(|(y, x)| y.hypot(*x)).collect();
        let errors = self.covariance.as_ref().map(|c| (0..length.len()).map(|p| self.spread(c, p, [self.y[p], self.x[p]])).collect());
        (length, errors)
    }

    /// The vectors' azimuths in degrees, and their standard errors.
    pub(super) fn direction(&self) -> (Vec<f64>, Option<Vec<f64>>) {
        let azimuth = self.y.iter().zip(&self.x).map(|(y, x)| y.atan2(*x).to_degrees()).collect();
        let across = |c: &[Vec<f64>; 3], p: usize| (self.spread(c, p, [self.x[p], -self.y[p]]) / self.y[p].hypot(self.x[p])).to_degrees();
        let errors = self.covariance.as_ref().map(|c| (0..self.y.len()).map(|p| across(c, p)).collect());
        (azimuth, errors)
    }

    /// The standard deviation of a vector along `axis`; NaN where the axis has no length.
    fn spread(&self, [yy, xx, yx]: &[Vec<f64>; 3], p: usize, axis: [f64; 2]) -> f64 {
        let length = axis[0].hypot(axis[1]);
        let [a, b] = axis.map(|v| v / length);
        (a * a * yy[p] + b * b * xx[p] + 2.0 * a * b * yx[p]).max(0.0).sqrt()
    }

    /// ∂y/∂row + ∂x/∂column by central differences (one-sided at the edges), and its standard error.
    pub(super) fn divergence(&self, shape: [usize; 2], step: [f64; 2]) -> (Vec<f64>, Option<Vec<f64>>) {
        let [ny, nx] = shape;
        // The neighbours along an axis of `n` places with their weights.
        let stencil = |at: usize, n: usize, step: f64| {
            let (before, after) = (at.saturating_sub(1), (at + 1).min(n - 1));
            let weight = 1.0 / ((after - before) as f64 * step);
            [(after, weight), (before, -weight)]
        };
        let places = (0..ny * nx).map(|p| {
            let (row, col) = (p / nx, p % nx);
            let along_y = stencil(row, ny, step[0]).map(|(r, w)| (r * nx + col, [w, 0.0]));
            let along_x = stencil(col, nx, step[1]).map(|(c, w)| (row * nx + c, [0.0, w]));
            [along_y[0], along_y[1], along_x[0], along_x[1]]
        });
        let (mut values, mut errors) = (Vec::with_capacity(ny * nx), self.covariance.as_ref().map(|_| Vec::with_capacity(ny * nx)));
        for terms in places {
            values.push(terms.iter().map(|&(p, [wy, wx])| wy * self.y[p] + wx * self.x[p]).sum());
            if let (Some(errors), Some([yy, xx, yx])) = (&mut errors, &self.covariance) {
                // Frames are independent, but one frame may come in twice.
                let mut variance = 0.0;
                for (k, &(p, [wy, wx])) in terms.iter().enumerate() {
                    variance += wy * wy * yy[p] + wx * wx * xx[p];
                    for &(other, [vy, vx]) in terms[..k].iter().filter(|(other, _)| *other == p) {
                        variance += 2.0 * (wy * vy * yy[other] + wx * vx * xx[other] + (wy * vx + wx * vy) * yx[other]);
                    }
                }
                errors.push(f64::max(variance, 0.0).sqrt());
            }
        }
        (values, errors)
    }

    /// The integral over the scan, as the plan wants it, and its standard error. `counts` says which positions count.
    pub(super) fn integral(&self, plan: &ImagingPlan, counts: &[bool]) -> (Vec<f64>, Option<Vec<f64>>) {
        let (shape, step) = (plan.scan_shape, plan.grid().step_A);
        let of = |y: &[f64], x: &[f64]| match plan.integration {
            Integration::Mirror => integrate(y, x, shape, step, Edges::Mirror, plan.highpass_inverse_A),
            Integration::Periodic => integrate(y, x, shape, step, Edges::Periodic, plan.highpass_inverse_A),
            Integration::LeastSquares => integrate_where(y, x, counts, shape, step, plan.highpass_inverse_A),
        };
        let errors = self.covariance.as_ref().map(|covariance| {
            // The integral is linear in the field, so its noise is the integral of noise. The seed is fixed: the same data give the same errors.
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            let mut squares = vec![0.0; self.y.len()];
            for _ in 0..DRAWS {
                let noise = Self::noise(covariance, counts, &mut rng).levelled(plan, counts);
                squares.iter_mut().zip(of(&noise.y, &noise.x)).for_each(|(s, v)| *s += v * v);
            }
            squares.into_iter().map(|s| (s / DRAWS as f64).sqrt()).collect()
        });
        (of(&self.y, &self.x), errors)
    }

    /// A field of normal noise of this covariance.
    fn noise([yy, xx, yx]: &[Vec<f64>; 3], counts: &[bool], rng: &mut ChaCha8Rng) -> Self {
        let (mut y, mut x) = (Vec::with_capacity(yy.len()), Vec::with_capacity(yy.len()));
        for p in 0..yy.len() {
            let [a, b]: [f64; 2] = [StandardNormal.sample(rng), StandardNormal.sample(rng)];
            let deviation = if counts[p] { yy[p].max(0.0).sqrt() } else { 0.0 };
            let slope = if deviation > 0.0 { yx[p] / yy[p] } else { 0.0 };
            y.push(deviation * a);
            x.push(slope * deviation * a + if counts[p] { (xx[p] - slope * yx[p]).max(0.0).sqrt() * b } else { 0.0 });
        }
        Self { y, x, covariance: None }
    }
}

/// The factor and the unit of the phase that a field in the geometry's unit integrates to, with the keys that are missing for radians.
pub(super) fn phase_unit(geometry: &Geometry, plan: &ImagingPlan) -> (f64, &'static str, Option<&'static str>) {
    // With C = θ/λ in Å⁻¹, ∇φ = 2πC.
    match (geometry.unit, plan.voltage_kV, plan.step_A) {
        (SamplingUnit::Mrad, Some(voltage), Some(_)) => (TAU * 1e-3 / crate::optics::wavelength_A(voltage), "rad", None),
        (SamplingUnit::Mrad, None, Some(_)) => (1.0, "mrad·Å", Some("optics.voltage_kV")),
        (SamplingUnit::Mrad, _, None) => (1.0, "mrad·px", Some("scan.step_A")),
        (SamplingUnit::Px, _, Some(_)) => (1.0, "px·Å", Some("detector.mrad_per_px")),
        (SamplingUnit::Px, _, None) => (1.0, "px·px", Some("detector.mrad_per_px and scan.step_A")),
    }
}

/// The unit of a divergence that [`phase_unit`]'s factor is multiplied with.
pub(super) fn divergence_unit(phase: &'static str) -> &'static str {
    match phase {
        "rad" => "rad/Å²",
        "mrad·Å" => "mrad/Å",
        "mrad·px" => "mrad/px",
        "px·Å" => "px/Å",
        _ => "px/px",
    }
}

/// Says why an image is not in the usual unit.
pub(super) fn tell_unit(run: &Run, name: &str, unit: &str, keys: Option<&str>) {
    if let Some(keys) = keys {
        run.note(format!("{name} is in {unit}, not in radians, because {keys} is not known. Set it in the job file."));
    }
}
