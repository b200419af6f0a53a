//! Templates from images of crystals whose columns are known.

use nalgebra::{DMatrix, DVector};

use super::lattice::Field;
use super::template::{SPLINES, Template, around, splines};

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

/// What lessons come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    /// Of an atom of each kind of column.
    pub templates: Vec<Template>,
    /// The share of the images' variance that is left.
    pub left: f64,
}

/// What an image tells: the sums of least squares, the image's own plane as the last three unknowns.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    normal: DMatrix<f64>,
    right: DVector<f64>,
    /// The squares of pixels about their mean, and how many there are.
    total: f64,
    pixels: f64,
}

/// What is paid for roughness of templates and for their size, in parts of the mean weight: for what images do not tell.
const ROUGHNESS: f64 = 1e-6;
const SIZE: f64 = 1e-9;

impl Evidence {
    /// Of an image whose columns are of so many kinds.
    pub fn of(lesson: &Lesson<'_>, kinds: usize) -> Self {
        let field = &lesson.field;
        let (end, width) = (field.end_A(), field.shape[1]);
        let place = |at: usize| [(at / width) as f64 * field.pixel_A[0], (at % width) as f64 * field.pixel_A[1]];
        let inside = |at: usize| (0..2).all(|a| place(at)[a] >= lesson.margin_A && place(at)[a] <= end[a] - lesson.margin_A);
        let pixels: Vec<usize> = (0..field.values.len()).filter(|&at| inside(at)).collect();
        let mut row_of = vec![usize::MAX; field.values.len()];
        pixels.iter().enumerate().for_each(|(row, &at)| row_of[at] = row);
        let shared = kinds * SPLINES;
        let mut design = DMatrix::<f64>::zeros(pixels.len(), shared + 3);
        for column in lesson.columns {
            for (at, away) in around(field, column.at_A).filter(|(at, _)| row_of[*at] != usize::MAX) {
                splines(away[0].hypot(away[1]))
                    .for_each(|(k, value, _)| design[(row_of[at], column.kind * SPLINES + k)] += value * column.atoms);
            }
        }
        for (row, &at) in pixels.iter().enumerate() {
            design[(row, shared)] = 1.0;
            design[(row, shared + 1)] = (at / width) as f64 / field.shape[0] as f64 - 0.5;
            design[(row, shared + 2)] = (at % width) as f64 / width as f64 - 0.5;
        }
        let mean = pixels.iter().map(|&at| field.values[at]).sum::<f64>() / pixels.len().max(1) as f64;
        let values = DVector::from_iterator(pixels.len(), pixels.iter().map(|&at| field.values[at] - mean));
        let across = design.transpose();
        Self { normal: &across * &design, right: &across * &values, total: values.norm_squared(), pixels: pixels.len() as f64 }
    }
}

/// The templates of `kinds` kinds of column by least squares over images of known columns, each on a background of its own that is linear in y and x. `None` where the images tell nothing.
pub fn learn(lessons: &[&Evidence], kinds: usize) -> Option<Learnt> {
    let shared = kinds * SPLINES;
    let unknowns = shared + 3 * lessons.len();
    let mut normal = DMatrix::zeros(unknowns, unknowns);
    let mut right = DVector::zeros(unknowns);
    for (number, lesson) in lessons.iter().enumerate() {
        let at = |k: usize| if k < shared { k } else { k + 3 * number };
        for q in 0..shared + 3 {
            right[at(q)] += lesson.right[q];
            for p in 0..shared + 3 {
                normal[(at(p), at(q))] += lesson.normal[(p, q)];
            }
        }
    }
    let (total, pixels) = lessons.iter().fold((0.0, 0.0), |sum, lesson| (sum.0 + lesson.total, sum.1 + lesson.pixels));
    let weight = (0..shared).map(|k| normal[(k, k)]).sum::<f64>() / shared as f64;
    if pixels < unknowns as f64 || total <= 0.0 || weight <= 0.0 {
        return None;
    }
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
                terms.iter().for_each(|&(q, b)| ridged[(p, q)] += ROUGHNESS * weight * a * b);
            }
            ridged[(first + k, first + k)] += SIZE * weight;
        }
    }
    (shared..unknowns).for_each(|k| ridged[(k, k)] += 1e-9);
    let found = ridged.cholesky()?.solve(&right);
    let left = total - 2.0 * found.dot(&right) + found.dot(&(&normal * &found));
    let templates = (0..kinds).map(|kind| Template { coefficients: found.as_slice()[kind * SPLINES..][..SPLINES].to_vec() }).collect();
    Some(Learnt { templates, left: (left / total).max(0.0) })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

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
        let lesson = Lesson { field, columns: &columns, margin_A: 0.5 };
        let Learnt { templates: found, left } = learn(&[&Evidence::of(&lesson, 2)], 2).unwrap();
        assert!(left < 1e-4, "{left}");
        for (found, shape) in found.iter().zip(shapes) {
            for n in 0..20 {
                let r = f64::from(n) * 0.1;
                assert!((found.at(r).0 - shape(r)).abs() < 5e-3, "{} instead of {} at {r}", found.at(r).0, shape(r));
            }
        }
    }
}
