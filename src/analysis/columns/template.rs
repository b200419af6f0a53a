//! What one atom of a column looks like in an image: a function of the distance alone, as a cubic spline.

use std::f64::consts::{PI, TAU};

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::lattice::Field;

/// The spacing of the spline's knots.
const KNOT_A: f64 = 0.25;
/// Templates end at this distance from their column.
pub const REACH_A: f64 = 3.25;
/// Splines of a template: the last three would not end at 0.
const SPLINES: usize = (REACH_A / KNOT_A) as usize - 1;

/// An image per atom, as a function of the distance.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Of the B-spline centred at 0, at one knot's distance, ….
    coefficients: Vec<f64>,
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
fn splines(distance: f64) -> impl Iterator<Item = (usize, f64, f64)> {
    let t = distance / KNOT_A;
    let first = (t - 2.0).ceil() as i64;
    (first..first + 4).filter_map(move |k| {
        let (value, slope) = spline(t - k as f64);
        let index = k.unsigned_abs() as usize;
        (index < SPLINES && (value != 0.0 || slope != 0.0)).then_some((index, value, slope / KNOT_A))
    })
}

/// The mean of e^{ix cos θ} around a circle, the Bessel function J₀(x): the mean of so many points, exact to rounding as long as |x| is well below twice their number.
fn ring(x: f64) -> f64 {
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

    /// Its Fourier transform at a spatial frequency in 1/Å, ∫ T(r)·e^{−2πi g·r} d²r in (unit)·Å²: real, and the same in every direction.
    pub fn transform(&self, g: f64) -> f64 {
        // Eight to a knot.
        let n = 104;
        let step = REACH_A / n as f64;
        (0..n).map(|i| (i as f64 + 0.5) * step).map(|r| TAU * r * self.at(r).0 * ring(TAU * g * r) * step).sum()
    }

    /// So many times the template.
    pub fn times(&self, factor: f64) -> Self {
        Self { coefficients: self.coefficients.iter().map(|c| c * factor).collect() }
    }
}

/// A column of known place and content, in an image that teaches templates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    pub kind: usize,
    pub at_A: [f64; 2],
    pub atoms: f64,
}

/// An image with its known columns; pixels nearer to its edge than `margin_A` do not count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lesson<'a> {
    pub field: Field<'a>,
    pub columns: &'a [Known],
    pub margin_A: f64,
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

/// The templates of `kinds` kinds of column by least squares over images of known columns, each on a background of its own that is linear in y and x. A little roughness is paid for (1e-6 of the
/// mean weight), for what the images do not tell. Also the share of the images' variance that is left. `None` where the images tell nothing.
pub fn learn(lessons: &[Lesson<'_>], kinds: usize) -> Option<(Vec<Template>, f64)> {
    let unknowns = kinds * SPLINES + 3 * lessons.len();
    let mut normal = DMatrix::zeros(unknowns, unknowns);
    let mut right = DVector::zeros(unknowns);
    let (mut total, mut weight) = (0.0, 0.0);
    for (number, lesson) in lessons.iter().enumerate() {
        let field = &lesson.field;
        let end = field.end_A();
        let mut rows: Vec<Vec<(usize, f64)>> = vec![Vec::new(); field.values.len()];
        for column in lesson.columns {
            for (at, away) in around(field, column.at_A) {
                splines(away[0].hypot(away[1])).for_each(|(k, value, _)| rows[at].push((column.kind * SPLINES + k, value * column.atoms)));
            }
        }
        let inside = |at: usize| {
            let place = [(at / field.shape[1]) as f64 * field.pixel_A[0], (at % field.shape[1]) as f64 * field.pixel_A[1]];
            (0..2).all(|a| place[a] >= lesson.margin_A && place[a] <= end[a] - lesson.margin_A)
        };
        let pixels: Vec<usize> = (0..field.values.len()).filter(|&at| inside(at)).collect();
        let mean = pixels.iter().map(|&at| field.values[at]).sum::<f64>() / pixels.len().max(1) as f64;
        total += pixels.iter().map(|&at| (field.values[at] - mean).powi(2)).sum::<f64>();
        weight += pixels.len() as f64;
        let base = kinds * SPLINES + 3 * number;
        let (part, sums) = pixels
            .par_chunks(256)
            .map(|pixels| {
                let mut part: Vec<f64> = vec![0.0; unknowns * unknowns];
                let mut sums = vec![0.0; unknowns];
                let mut row = vec![0.0; unknowns];
                for &at in pixels {
                    row.fill(0.0);
                    rows[at].iter().for_each(|&(k, value)| row[k] += value);
                    row[base] = 1.0;
                    row[base + 1] = (at / field.shape[1]) as f64 / field.shape[0] as f64 - 0.5;
                    row[base + 2] = (at % field.shape[1]) as f64 / field.shape[1] as f64 - 0.5;
                    let used: Vec<usize> = (0..unknowns).filter(|&k| row[k] != 0.0).collect();
                    for &p in &used {
                        sums[p] += row[p] * (field.values[at] - mean);
                        used.iter().for_each(|&q| part[p * unknowns + q] += row[p] * row[q]);
                    }
                }
                (part, sums)
            })
            .collect::<Vec<_>>()
            .into_iter()
            .fold((vec![0.0; unknowns * unknowns], vec![0.0; unknowns]), |(mut part, mut sums), (p, s)| {
                part.iter_mut().zip(p).for_each(|(a, b)| *a += b);
                sums.iter_mut().zip(s).for_each(|(a, b)| *a += b);
                (part, sums)
            });
        normal += DMatrix::from_row_slice(unknowns, unknowns, &part);
        right += DVector::from_vec(sums);
    }
    let diagonal: f64 = (0..kinds * SPLINES).map(|k| normal[(k, k)]).sum::<f64>() / (kinds * SPLINES) as f64;
    if weight < unknowns as f64 || total <= 0.0 || diagonal <= 0.0 {
        return None;
    }
    let explained = {
        let mut ridged = normal.clone();
        for kind in 0..kinds {
            let first = kind * SPLINES;
            for k in 0..SPLINES {
                // Second differences, mirrored at the centre and 0 beyond the end.
                let near = |by: i64| {
                    let index = (k as i64 + by).unsigned_abs() as usize;
                    (index < SPLINES).then_some(first + index)
                };
                let terms: Vec<(usize, f64)> =
                    [(-1, 1.0), (0, -2.0), (1, 1.0)].into_iter().filter_map(|(by, w)| near(by).map(|at| (at, w))).collect();
                for &(p, a) in &terms {
                    terms.iter().for_each(|&(q, b)| ridged[(p, q)] += 1e-6 * diagonal * a * b);
                }
                ridged[(first + k, first + k)] += 1e-9 * diagonal;
            }
        }
        for k in kinds * SPLINES..unknowns {
            ridged[(k, k)] += 1e-9;
        }
        ridged.cholesky()?.solve(&right)
    };
    let left = total - 2.0 * explained.dot(&right) + explained.dot(&(&normal * &explained));
    let templates =
        (0..kinds).map(|kind| Template { coefficients: explained.as_slice()[kind * SPLINES..(kind + 1) * SPLINES].to_vec() }).collect();
    Some((templates, (left / total).max(0.0)))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

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
    }

    #[test]
    fn templates_are_learnt_from_columns_of_known_content() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let shapes: [&dyn Fn(f64) -> f64; 2] =
            [&|r| 0.3 * (-r * r / 0.3).exp(), &|r| 0.8 * (-r * r / 0.5).exp() - 0.02 * (-(r - 1.5f64).powi(2) / 0.2).exp()];
        let (shape, pixel) = ([60, 70], [0.2, 0.23]);
        let columns: Vec<Known> = (0..8)
            .flat_map(|i| (0..9).map(move |j| (i, j)))
            .map(|(i, j)| Known { kind: (i + j) % 2, at_A: [i as f64 * 1.7 + 0.1, j as f64 * 1.9], atoms: rng.random_range(2.0..6.0) })
            .collect();
        let mut values: Vec<f64> = (0..60 * 70).map(|at| 1.0 + 0.01 * (at / 70) as f64 - 0.02 * (at % 70) as f64).collect();
        let empty = vec![0.0; 60 * 70];
        for column in &columns {
            for (at, away) in around(&Field { values: &empty, shape, pixel_A: pixel }, column.at_A) {
                values[at] += column.atoms * shapes[column.kind](away[0].hypot(away[1]));
            }
        }
        let field = Field { values: &values, shape, pixel_A: pixel };
        let (found, left) = learn(&[Lesson { field, columns: &columns, margin_A: 0.5 }], 2).unwrap();
        assert!(left < 1e-4, "{left}");
        for (found, shape) in found.iter().zip(shapes) {
            for n in 0..20 {
                let r = f64::from(n) * 0.1;
                assert!((found.at(r).0 - shape(r)).abs() < 5e-3, "{} instead of {} at {r}", found.at(r).0, shape(r));
            }
        }
    }
}
