//! What one atom of a column looks like in an image: a function of the distance alone, as a cubic spline.

use std::f64::consts::{PI, TAU};

use nalgebra::{DMatrix, DVector};

use super::lattice::Field;

/// The spacing of the spline's knots.
const KNOT_A: f64 = 0.25;
/// Templates end at this distance from their column.
pub const REACH_A: f64 = 3.25;
/// Splines of a template: the last three would not end at 0.
pub(super) const SPLINES: usize = (REACH_A / KNOT_A) as usize - 1;

/// An image per atom, as a function of the distance.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Of the B-spline centred at 0, at one knot's distance, ….
    pub(super) coefficients: Vec<f64>,
}

/// The cubic B-spline of unit knots, centred at 0, and its slope.
fn spline(t: f64) -> (f64, f64) {
    let a = t.abs();
    let (value, slope) = if a < 1.0 {
        (2.0 / 3.0 - a * a + a * a * a / 2.0, -2.0 * a + 1.5 * a * a)
    } else if a < 2.0 {
        ((2.0 - a).powi(3) / 6.0, -(2.0 - a).powi(2) / 2.0)
    } else {
        (0.0, 0.0)
    };
    (value, slope * t.signum())
}

/// The splines that reach a distance, each with value and slope (1/Å). Those beyond the centre are mirrored, so that every template is smooth there.
pub(super) fn splines(distance: f64) -> impl Iterator<Item = (usize, f64, f64)> {
    let t = distance / KNOT_A;
    let first = (t - 2.0).ceil() as i64;
    (first..first + 4).filter_map(move |k| {
        let (value, slope) = spline(t - k as f64);
        let index = k.unsigned_abs() as usize;
        (index < SPLINES && (value != 0.0 || slope != 0.0)).then_some((index, value, slope / KNOT_A))
    })
}

/// The mean of e^{ix cos θ} around a circle, the Bessel function J₀(x): the mean of so many points, exact to rounding as long as |x| is well below twice their number.
pub(super) fn ring(x: f64) -> f64 {
    let points = 16 + (x.abs() / 2.0) as usize;
    (0..points).map(|k| (x * (PI * (k as f64 + 0.5) / points as f64).cos()).cos()).sum::<f64>() / points as f64
}

impl Template {
    /// A template of a function of the distance in Å, taken at the knots (for tests and models; smooth functions only).
    pub fn of(function: impl Fn(f64) -> f64) -> Self {
        let samples = 4 * SPLINES;
        let mut matrix = DMatrix::zeros(samples, SPLINES);
        let mut right = DVector::zeros(samples);
        for n in 0..samples {
            let distance = n as f64 * KNOT_A / 4.0;
            splines(distance).for_each(|(k, value, _)| matrix[(n, k)] += value);
            right[n] = function(distance);
        }
        let normal = matrix.tr_mul(&matrix) + DMatrix::identity(SPLINES, SPLINES) * 1e-12;
        let solved = normal.cholesky().map(|c| c.solve(&matrix.tr_mul(&right)));
        Self { coefficients: solved.map_or_else(|| vec![0.0; SPLINES], |s| s.iter().copied().collect()) }
    }

    /// The value at a distance in Å, and the slope per Å.
    pub fn at(&self, distance: f64) -> (f64, f64) {
        splines(distance)
            .fold((0.0, 0.0), |sum, (k, value, slope)| (sum.0 + self.coefficients[k] * value, sum.1 + self.coefficients[k] * slope))
    }

    /// Its integral over the plane in (unit)·Å².
    pub fn integral(&self) -> f64 {
        self.transform(0.0)
    }

    /// The image of so many atoms.
    pub fn times(&self, atoms: f64) -> Self {
        Self { coefficients: self.coefficients.iter().map(|c| c * atoms).collect() }
    }

    /// Its Fourier transform at a spatial frequency in 1/Å, ∫ T(r)·e^{−2πi g·r} d²r in (unit)·Å²: real, and the same in every direction.
    pub fn transform(&self, g: f64) -> f64 {
        // Eight to a knot.
        let n = 104;
        let step = REACH_A / n as f64;
        (0..n).map(|i| (i as f64 + 0.5) * step).map(|r| TAU * r * self.at(r).0 * ring(TAU * g * r) * step).sum()
    }
}

/// The pixels of a field within the templates' reach of a place, each with its distance along y and x.
pub(super) fn around(field: &Field<'_>, at: [f64; 2]) -> impl Iterator<Item = (usize, [f64; 2])> {
    let range = |a: usize| {
        let low = ((at[a] - REACH_A) / field.pixel_A[a]).ceil().max(0.0) as usize;
        let high = ((at[a] + REACH_A) / field.pixel_A[a]).floor().min(field.shape[a] as f64 - 1.0);
        low..(high + 1.0).max(0.0) as usize
    };
    let (pixel, width, columns) = (field.pixel_A, field.shape[1], range(1));
    range(0).flat_map(move |i| {
        columns.clone().filter_map(move |j| {
            let away = [i as f64 * pixel[0] - at[0], j as f64 * pixel[1] - at[1]];
            (away[0].hypot(away[1]) < REACH_A).then_some((i * width + j, away))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_follows_the_function_that_it_was_made_of() {
        let gauss = |r: f64| (-r * r / (2.0 * 0.5f64.powi(2))).exp();
        let template = Template::of(gauss);
        for n in 0..300 {
            let r = n as f64 * 0.01;
            // A cubic spline's error: h⁴/384·f⁗ with f⁗ up to 3/σ⁴ = 48: 5e-4; least squares comes a little nearer or farther.
            assert!((template.at(r).0 - gauss(r)).abs() < 1e-3, "{r}");
            assert!((template.at(r).1 + r / 0.25 * gauss(r)).abs() < 2e-2, "{r}");
        }
        assert!((template.integral() - std::f64::consts::TAU * 0.25).abs() < 2e-3);
        // A Gaussian's transform: 2πσ²·e^{−2π²σ²g²}.
        for g in [0.3, 0.8, 1.5] {
            let expected = TAU * 0.25 * (-2.0 * (PI * 0.5 * g).powi(2)).exp();
            assert!((template.transform(g) - expected).abs() < 2e-3, "{} instead of {expected} at {g}", template.transform(g));
        }
    }
}
