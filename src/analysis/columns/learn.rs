//! Templates and backdrop from images of crystals whose columns are known.

use std::f64::consts::TAU;

use nalgebra::{DMatrix, DVector};
use num_complex::Complex64;

use super::backdrop::{Backdrop, waves};
use super::lattice::{Field, Lattice};
use super::projection::Projection;
use super::template::{SPLINES, Template, around, splines};

/// A column of known place and content, in an image that teaches templates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    pub kind: usize,
    pub at_A: [f64; 2],
    pub atoms: f64,
}

/// An image with its known columns, and how its crystal lies; pixels nearer to its edge than `margin_A` do not count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lesson<'a> {
    pub field: Field<'a>,
    pub columns: &'a [Known],
    pub lattice: Lattice,
    pub margin_A: f64,
}

/// What is to be learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Of columns.
    kinds: usize,
    /// Kinds of columns that have a part that does not grow with their atoms.
    standing: Vec<usize>,
    /// The waves of a backdrop, in 1/Å of the crystal.
    waves: Vec<[f64; 2]>,
}

/// What lessons come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    /// Of an atom of each kind of column.
    pub templates: Vec<Template>,
    pub backdrop: Backdrop,
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

/// Pixels for an unknown wave, at least.
const PIXELS: usize = 8;
/// What is paid for roughness of templates, for their size, for being others than without a backdrop, and for waves, in parts of the mean weight: for what images do not tell, and so that templates explain what they can.
const ROUGHNESS: f64 = 1e-6;
const SIZE: f64 = 1e-9;
const DRAWN: f64 = 1e-3;
const WAVE: f64 = 1e-2;

impl Plan {
    /// Templates of so many kinds of column and nothing else.
    pub fn of_templates(kinds: usize) -> Self {
        Self { kinds, standing: Vec::new(), waves: Vec::new() }
    }

    /// Templates of a crystal's columns and a backdrop, from images of so many pixels in all. Columns of the kinds `standing` have a part that does not grow with their atoms.
    pub fn with_backdrop(projection: &Projection, standing: Vec<usize>, pixels: usize) -> Self {
        let mut waves = waves(projection);
        waves.truncate(pixels / (2 * PIXELS));
        Self { kinds: projection.kinds.len(), standing, waves }
    }

    /// The unknowns that all images share.
    fn shared(&self) -> usize {
        (self.kinds + self.standing.len()) * SPLINES + 2 * self.waves.len()
    }
}

impl Evidence {
    pub fn of(lesson: &Lesson<'_>, plan: &Plan) -> Self {
        let field = &lesson.field;
        let (end, width) = (field.end_A(), field.shape[1]);
        let place = |at: usize| [(at / width) as f64 * field.pixel_A[0], (at % width) as f64 * field.pixel_A[1]];
        let inside = |at: usize| (0..2).all(|a| place(at)[a] >= lesson.margin_A && place(at)[a] <= end[a] - lesson.margin_A);
        let pixels: Vec<usize> = (0..field.values.len()).filter(|&at| inside(at)).collect();
        let mut row_of = vec![usize::MAX; field.values.len()];
        pixels.iter().enumerate().for_each(|(row, &at)| row_of[at] = row);
        let shared = plan.shared();
        let mut design = DMatrix::<f64>::zeros(pixels.len(), shared + 3);
        for column in lesson.columns {
            let standing = plan.standing.iter().position(|kind| *kind == column.kind).map(|n| (plan.kinds + n) * SPLINES);
            for (at, away) in around(field, column.at_A).filter(|(at, _)| row_of[*at] != usize::MAX) {
                for (k, value, _) in splines(away[0].hypot(away[1])) {
                    design[(row_of[at], column.kind * SPLINES + k)] += value * column.atoms;
                    if let Some(first) = standing {
                        design[(row_of[at], first + k)] += value;
                    }
                }
            }
        }
        let first = shared - 2 * plan.waves.len();
        for (row, &at) in pixels.iter().enumerate() {
            let c = lesson.lattice.in_crystal(place(at));
            for (n, g) in plan.waves.iter().enumerate() {
                let (sin, cos) = (TAU * (g[0] * c[0] + g[1] * c[1])).sin_cos();
                (design[(row, first + 2 * n)], design[(row, first + 2 * n + 1)]) = (cos, -sin);
            }
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

/// Templates and backdrop by least squares over images of known columns, each on a background of its own that is linear in y and x. `None` where the images tell nothing.
pub fn learn(lessons: &[&Evidence], plan: &Plan) -> Option<Learnt> {
    let shared = plan.shared();
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
    let mean = |range: std::ops::Range<usize>| range.clone().map(|k| normal[(k, k)]).sum::<f64>() / range.len().max(1) as f64;
    let own = plan.kinds * SPLINES;
    let waves = shared - 2 * plan.waves.len();
    let (weight, standing, wave) = (mean(0..own), mean(own..waves), mean(waves..shared));
    if pixels < unknowns as f64 || total <= 0.0 || weight <= 0.0 {
        return None;
    }
    let mut rough = DMatrix::zeros(unknowns, unknowns);
    for function in 0..waves / SPLINES {
        let first = function * SPLINES;
        let weight = if first < own { weight } else { standing };
        for k in 0..SPLINES {
            // Second differences, mirrored at the centre and 0 beyond the end.
            let near = |by: i64| {
                let index = (k as i64 + by).unsigned_abs() as usize;
                (index < SPLINES).then_some(first + index)
            };
            let terms: Vec<(usize, f64)> =
                [(-1, 1.0), (0, -2.0), (1, 1.0)].into_iter().filter_map(|(by, w)| near(by).map(|at| (at, w))).collect();
            for &(p, a) in &terms {
                terms.iter().for_each(|&(q, b)| rough[(p, q)] += ROUGHNESS * weight * a * b);
            }
            rough[(first + k, first + k)] += SIZE * weight;
        }
    }
    (shared..unknowns).for_each(|k| rough[(k, k)] += 1e-9);
    // Templates alone, then all together: where hardly any column of a kind lacks atoms, what of it is template and what backdrop is told by templates alone.
    let alone: Vec<usize> = (0..own).chain(shared..unknowns).collect();
    let part = |m: &DMatrix<f64>| m.select_rows(&alone).select_columns(&alone);
    let first = (part(&normal) + part(&rough)).cholesky()?.solve(&right.select_rows(&alone));
    let mut found = DVector::zeros(unknowns);
    alone.iter().enumerate().for_each(|(k, &at)| found[at] = first[k]);
    if own < shared {
        let mut ridged = &normal + rough;
        let mut pulled = right.clone();
        for k in 0..shared {
            let by = if k < own {
                DRAWN * weight
            } else if k < waves {
                DRAWN * standing
            } else {
                WAVE * wave
            };
            ridged[(k, k)] += by;
            pulled[k] += by * found[k];
        }
        found = ridged.cholesky()?.solve(&pulled);
    }
    let left = total - 2.0 * found.dot(&right) + found.dot(&(&normal * &found));
    let template = |function: usize| Template { coefficients: found.as_slice()[function * SPLINES..][..SPLINES].to_vec() };
    let mut backdrop = Backdrop::default();
    if !plan.standing.is_empty() {
        backdrop.standing = vec![None; plan.kinds];
        plan.standing.iter().enumerate().for_each(|(n, &kind)| backdrop.standing[kind] = Some(template(plan.kinds + n)));
    }
    let heights = plan.waves.iter().enumerate().map(|(n, &g)| (g, Complex64::new(found[waves + 2 * n], found[waves + 2 * n + 1])));
    backdrop.waves = heights.collect();
    Some(Learnt { templates: (0..plan.kinds).map(template).collect(), backdrop, left: (left / total).max(0.0) })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::backdrop::Standing;
    use super::super::fit::Site;
    use super::super::projection::CellSite;
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
        let lattice = Lattice { matrix: [[1.0, 0.0], [0.0, 1.0]], origin_A: [0.0; 2] };
        let plan = Plan::of_templates(2);
        let evidence = Evidence::of(&Lesson { field, columns: &columns, lattice, margin_A: 0.5 }, &plan);
        let Learnt { templates: found, left, backdrop } = learn(&[&evidence], &plan).unwrap();
        assert!(backdrop.is_empty());
        assert!(left < 1e-4, "{left}");
        for (found, shape) in found.iter().zip(shapes) {
            for n in 0..20 {
                let r = f64::from(n) * 0.1;
                assert!((found.at(r).0 - shape(r)).abs() < 5e-3, "{} instead of {} at {r}", found.at(r).0, shape(r));
            }
        }
    }

    /// Two kinds of columns in a mesh of 4.1 × 3.1 Å that is not rectangular.
    fn mesh() -> Projection {
        let site = |symbol, y, x| CellSite { symbol, at: [0.0, y, x], occupancy: 1.0 };
        Projection::new([[5.0, 0.0, 0.0], [0.0, 4.1, 0.6], [0.0, 0.0, 3.1]], &[site("Sb", 0.0, 0.0), site("Na", 0.5, 0.45)])
    }

    #[test]
    fn what_repeats_beside_the_atoms_is_learnt_and_found_again_in_a_turned_crystal() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let projection = mesh();
        let shape_of = |kind: usize, r: f64| [0.3, 0.1][kind] * (-r * r / 0.4).exp();
        let standing = |r: f64| 0.4 * (-(r - 0.9f64).powi(2) / 0.3).exp();
        let waves: Vec<([f64; 2], Complex64)> = waves(&projection)
            .into_iter()
            .take(6)
            .map(|g| (g, Complex64::new(rng.random_range(-0.2..0.2), rng.random_range(-0.2..0.2))))
            .collect();
        let (side, pixel_A) = (70, [0.21; 2]);
        let empty = vec![0.0; side * side];
        let blank = Field { values: &empty, shape: [side; 2], pixel_A };
        let (sin, cos) = rng.random_range(0.0..TAU).sin_cos();
        // All of an image, and what of it is neither atoms nor a plane.
        let mut imaged = |lattice: &Lattice| {
            let mut beside = vec![0.0; side * side];
            for (at, value) in beside.iter_mut().enumerate() {
                let c = lattice.in_crystal([(at / side) as f64 * pixel_A[0], (at % side) as f64 * pixel_A[1]]);
                *value = waves.iter().map(|(g, h)| (h * Complex64::cis(TAU * (g[0] * c[0] + g[1] * c[1]))).re).sum();
            }
            let mut values = vec![0.7; side * side];
            let mut columns = Vec::new();
            for place in lattice.places(&projection, blank.end_A(), 3.0) {
                let atoms = if place.kind == 1 { f64::from(rng.random_range(0..6)) } else { 5.0 };
                columns.push(Known { kind: place.kind, at_A: place.at_A, atoms });
                for (at, away) in around(&blank, place.at_A) {
                    let r = away[0].hypot(away[1]);
                    values[at] += atoms * shape_of(place.kind, r);
                    beside[at] += if place.kind == 1 { standing(r) } else { 0.0 };
                }
            }
            values.iter_mut().zip(&beside).for_each(|(v, b)| *v += b);
            (values, columns, beside)
        };
        let straight = Lattice { matrix: [[1.0, 0.0], [0.0, 1.0]], origin_A: [0.3, 0.9] };
        let plan = Plan::with_backdrop(&projection, vec![1], 2 * side * side);
        let evidence: Vec<Evidence> = (0..2)
            .map(|n| {
                let lattice = Lattice { origin_A: [0.3 + 0.7 * f64::from(n), 0.9], ..straight };
                let (values, columns, _) = imaged(&lattice);
                let field = Field { values: &values, ..blank };
                Evidence::of(&Lesson { field, columns: &columns, lattice, margin_A: 1.5 }, &plan)
            })
            .collect();
        let learnt = learn(&evidence.iter().collect::<Vec<_>>(), &plan).unwrap();
        assert!(learnt.left < 1e-3, "{}", learnt.left);
        for k in 0..15 {
            let r = 0.1 * f64::from(k);
            // What an atom of sodium adds; of antimony, of which all columns hold the same, waves could be part.
            assert!((learnt.templates[1].at(r).0 - shape_of(1, r)).abs() < 5e-3, "{} at {r}", learnt.templates[1].at(r).0);
        }
        let turned = Lattice { matrix: [[cos, sin], [sin, -cos]], origin_A: [7.0, 8.0] };
        let (values, columns, _) = imaged(&turned);
        let site = |c: &Known| Standing { site: Site { kind: c.kind, at_A: c.at_A, expected: 5.0 }, moved_A: [0.0; 2], is_there: None };
        let backdrop = learnt.backdrop.image(&blank, &turned, &columns.iter().map(site).collect::<Vec<_>>());
        // With the atoms it is the image, but for a constant.
        let mut rest: Vec<f64> = values.iter().zip(&backdrop).map(|(v, b)| v - b).collect();
        for column in &columns {
            around(&blank, column.at_A)
                .for_each(|(at, away)| rest[at] -= column.atoms * learnt.templates[column.kind].at(away[0].hypot(away[1])).0);
        }
        let inside: Vec<f64> =
            (0..side * side).filter(|at| (16..54).contains(&(at / side)) && (16..54).contains(&(at % side))).map(|at| rest[at]).collect();
        let mean = inside.iter().sum::<f64>() / inside.len() as f64;
        let off = (inside.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / inside.len() as f64).sqrt();
        // Waves are drawn to 0 by 1 %, which templates do not make up for: of about 0.3 that is 0.003; columns beyond the field's edge by 3 Å were left out of it.
        assert!(off < 0.01, "{off}");
        // Half of the crystal is not there, and the rest has moved by 0.4 Å.
        let moved: Vec<Standing> = columns
            .iter()
            .map(|c| {
                let site = Site { kind: c.kind, at_A: [c.at_A[0], c.at_A[1] + 0.4], expected: 5.0 };
                Standing { site, moved_A: [0.0, 0.4], is_there: (c.kind == 0).then_some(c.at_A[0] < 7.0) }
            })
            .collect();
        let half = learnt.backdrop.image(&blank, &turned, &moved);
        let shifted = Lattice { origin_A: [turned.origin_A[0], turned.origin_A[1] + 0.4], ..turned };
        let there: Vec<Standing> = moved.iter().map(|s| Standing { moved_A: [0.0; 2], is_there: None, ..*s }).collect();
        let whole = learnt.backdrop.image(&blank, &shifted, &there);
        let most = whole.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        for at in (0..side * side).filter(|at| (16..54).contains(&(at % side))) {
            let y = (at / side) as f64 * pixel_A[0];
            // Two metals further the Gaussian of 2.5 Å has e^{-2}.
            match y {
                y if y < 1.5 => assert!((half[at] - whole[at]).abs() < 0.15 * most, "{} instead of {} at {y}", half[at], whole[at]),
                y if y > 12.5 => assert!(half[at].abs() < 0.15 * most, "{} at {y}", half[at]),
                _ => {}
            }
        }
    }
}
