//! Where a known crystal lies in an image: its rotation, strain and origin, found without a first guess.

use std::f64::consts::TAU;

use num_complex::Complex64;
use rayon::prelude::*;

use super::coarse::{FINEST_A, coarse};
use super::projection::{Projection, length, reciprocal};
use super::simplex;
use super::template::{REACH_A, Template, around};
use super::waves::{Waves, turned};
use crate::analysis::Result;
use crate::optics::fft_index;

/// A real image (y, x): pixel (i, j) lies at (i, j) · `pixel_A`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field<'a> {
    pub values: &'a [f64],
    pub shape: [usize; 2],
    pub pixel_A: [f64; 2],
}

impl Field<'_> {
    /// The place of the last pixel.
    pub fn end_A(&self) -> [f64; 2] {
        [0, 1].map(|a| (self.shape[a] - 1) as f64 * self.pixel_A[a])
    }
}

/// What takes a place in the crystal to its place in the image, both (y, x) in Å: r = origin + matrix · c.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lattice {
    pub matrix: [[f64; 2]; 2],
    pub origin_A: [f64; 2],
}

/// A column of the crystal in the image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Its number among those of the projection.
    pub column: usize,
    pub kind: usize,
    /// Which repetition of the basis.
    pub cell: [i32; 2],
    pub at_A: [f64; 2],
}

/// A crystal that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub lattice: Lattice,
    /// The part of the image's variance, but for its finest waves, that columns of the crystal explain as they were thought to look, one height for each kind: 1 at most.
    pub explained: f64,
    /// How many times as much that is as what they explain laid over the image at random (the mean of many ways).
    pub times_chance: f64,
}

impl Lattice {
    /// Where a place of the crystal lies.
    pub fn place(&self, at: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|k| self.origin_A[k] + self.matrix[k][0] * at[0] + self.matrix[k][1] * at[1])
    }

    /// A direction of the crystal in the image.
    pub fn direction(&self, v: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|k| self.matrix[k][0] * v[0] + self.matrix[k][1] * v[1])
    }

    /// How far the crystal's y axis is turned from the image's, in degrees from y towards x.
    pub fn rotation_deg(&self) -> f64 {
        let down = self.direction([1.0, 0.0]);
        down[1].atan2(down[0]).to_degrees()
    }

    /// Is the image a mirror image of the crystal's projection?
    pub fn is_mirrored(&self) -> bool {
        self.matrix[0][0] * self.matrix[1][1] - self.matrix[0][1] * self.matrix[1][0] < 0.0
    }

    /// How much longer than the crystal's the image's lengths are, along its y and x axes.
    pub fn stretch(&self) -> [f64; 2] {
        [length(self.direction([1.0, 0.0])), length(self.direction([0.0, 1.0]))]
    }

    /// Every column within a field and up to `margin_A` beyond it, by rows of cells.
    pub fn places(&self, projection: &Projection, end_A: [f64; 2], margin_A: f64) -> Vec<Place> {
        let basis = projection.basis_A.map(|v| self.direction(v));
        let g = reciprocal(basis);
        let mut range = [[f64::INFINITY, f64::NEG_INFINITY]; 2];
        for corner in 0..4 {
            let at = [0, 1].map(|a| (if corner >> a & 1 == 0 { -margin_A } else { end_A[a] + margin_A }) - self.origin_A[a]);
            for (range, g) in range.iter_mut().zip(g) {
                let n = g[0] * at[0] + g[1] * at[1];
                *range = [range[0].min(n), range[1].max(n)];
            }
        }
        let cells = range.map(|[low, high]| low.floor() as i32 - 1..=high.ceil() as i32);
        let mut places = Vec::new();
        for i in cells[0].clone() {
            for j in cells[1].clone() {
                for (number, column) in projection.columns.iter().enumerate() {
                    let cell = [f64::from(i), f64::from(j)];
                    let at = [0, 1].map(|k| column.at_A[k] + cell[0] * projection.basis_A[0][k] + cell[1] * projection.basis_A[1][k]);
                    let at_A = self.place(at);
                    if (0..2).all(|a| at_A[a] >= -margin_A && at_A[a] <= end_A[a] + margin_A) {
                        places.push(Place { column: number, kind: column.kind, cell: [i, j], at_A });
                    }
                }
            }
        }
        places
    }
}

/// The width of the Gaussian that stands for a column of which nothing is known.
const COLUMN_A: f64 = 0.4;
/// The side of the middle of a field that is searched.
const SEARCHED_A: f64 = 36.0;
/// The search's steps in rotation (degrees) and scale, and the largest scale's distance from 1.
const TURN_DEG: f64 = 1.0;
const SCALE_STEP: f64 = 0.01;
const SCALE_MOST: f64 = 0.06;
/// Candidates that are looked at closely.
const CANDIDATES: usize = 6;

struct Reflection {
    g: [f64; 2],
    /// Of the crystal about its origin.
    factor: Complex64,
}

/// Gaussian columns as high as this, for each kind: what columns look like before anything is known.
pub fn plain(heights: &[f64]) -> Vec<Template> {
    heights.iter().map(|height| Template::of(|r| height * (-r * r / (2.0 * COLUMN_A * COLUMN_A)).exp())).collect()
}

/// Looks for a crystal in an image, whatever its rotation; lengths may be up to 6 % off. `looks` are the images of full columns of each kind. A lattice that was found before is looked at too.
///
/// Reflections of the crystal are laid over the image's power spectrum at every rotation, mirrored and not; the best are fitted in strain and origin to the phases too, Re Σ F*·Î largest, and the one
/// that explains most of the image is taken. `None` where the field has no reflection of the crystal.
///
/// # Errors
/// If there is no room for the transforms.
pub fn find_lattice(field: &Field<'_>, projection: &Projection, looks: &[Template], before: Option<&Lattice>) -> Result<Option<Found>> {
    let values = coarse(field)?;
    let shown = Field { values: &values, ..*field };
    let seen: Vec<Template> = looks.iter().map(Template::coarse).collect();
    let explained = |field: &Field<'_>, lattice: &Lattice| explained(field, projection, lattice, &seen);
    let (part, part_shown) = (middle(field, SEARCHED_A), middle(&shown, SEARCHED_A));
    let part = part.field();
    let reflections = reflections(projection, looks, part.pixel_A);
    if reflections.is_empty() {
        return Ok(None);
    }
    let waves = Waves::new(&part)?;
    let looked_at = candidates(&waves, &reflections).into_par_iter().filter_map(|matrix| {
        let lattice = refined(&waves, projection, &reflections, matrix)?;
        Some((lattice, explained(&part_shown.field(), &lattice)))
    });
    let best = looked_at.max_by(|p, q| p.1.total_cmp(&q.1));
    // From the middle's frame into the field's, and once more over all of it.
    let first = [0, 1].map(|a| first_pixel(field, a, SEARCHED_A) as f64 * field.pixel_A[a]);
    let moved = best.map(|(lattice, _)| Lattice { origin_A: [0, 1].map(|a| lattice.origin_A[a] + first[a]), ..lattice });
    let whole = Waves::new(field)?;
    let polished = moved.iter().chain(before).map(|&start| {
        let lattice = polished(&whole, &reflections, start);
        (lattice, explained(&shown, &lattice))
    });
    let Some((lattice, explained)) = polished.max_by(|p, q| p.1.total_cmp(&q.1)) else { return Ok(None) };
    let by_chance = by_chance(&shown, projection, &seen);
    Ok(Some(Found { lattice, explained, times_chance: explained / by_chance.max(f64::MIN_POSITIVE) }))
}

struct Middle {
    values: Vec<f64>,
    shape: [usize; 2],
    pixel_A: [f64; 2],
}

impl Middle {
    fn field(&self) -> Field<'_> {
        Field { values: &self.values, shape: self.shape, pixel_A: self.pixel_A }
    }
}

fn first_pixel(field: &Field<'_>, axis: usize, side_A: f64) -> usize {
    let n = ((side_A / field.pixel_A[axis]) as usize).min(field.shape[axis]);
    (field.shape[axis] - n) / 2
}

fn middle(field: &Field<'_>, side_A: f64) -> Middle {
    let first = [0, 1].map(|a| first_pixel(field, a, side_A));
    let shape = [0, 1].map(|a| ((side_A / field.pixel_A[a]) as usize).min(field.shape[a]));
    let row = |i: usize| &field.values[(first[0] + i) * field.shape[1] + first[1]..][..shape[1]];
    Middle { values: (0..shape[0]).flat_map(|i| row(i).to_vec()).collect(), shape, pixel_A: field.pixel_A }
}

/// The crystal's reflections that an image of these pixels can have: of g and −g, whose waves are conjugates, one.
fn reflections(projection: &Projection, looks: &[Template], pixel_A: [f64; 2]) -> Vec<Reflection> {
    let most = (1.0 / FINEST_A).min(0.45 / pixel_A[0].max(pixel_A[1]));
    let basis = projection.reciprocal();
    let reach = [0, 1].map(|n| (most * length(projection.basis_A[n])).ceil() as i32);
    let mut all = Vec::new();
    for h in 0..=reach[0] {
        for k in -reach[1]..=reach[1] {
            let g = [0, 1].map(|a| f64::from(h) * basis[0][a] + f64::from(k) * basis[1][a]);
            if (h, k) <= (0, 0) || length(g) > most {
                continue;
            }
            let heights: Vec<f64> = looks.iter().map(|look| look.transform(length(g))).collect();
            let of =
                |c: &super::projection::ProjectedColumn| heights[c.kind] * Complex64::cis(-TAU * (g[0] * c.at_A[0] + g[1] * c.at_A[1]));
            let factor = projection.columns.iter().map(of).sum::<Complex64>();
            all.push(Reflection { g, factor });
        }
    }
    let strongest = all.iter().map(|r| r.factor.norm()).fold(0.0, f64::max);
    all.retain(|r| r.factor.norm() > 0.02 * strongest);
    all.sort_by(|p, q| q.factor.norm().total_cmp(&p.factor.norm()));
    all.truncate(60);
    all
}

fn rotation(deg: f64, scale: f64, mirrored: bool) -> [[f64; 2]; 2] {
    let (sin, cos) = deg.to_radians().sin_cos();
    let sign = if mirrored { -1.0 } else { 1.0 };
    [[scale * cos, -scale * sin * sign], [scale * sin, scale * cos * sign]]
}

/// The rotations at which the crystal's reflections meet the most power, best first, each with the one half a turn further.
fn candidates(waves: &Waves, reflections: &[Reflection]) -> Vec<[[f64; 2]; 2]> {
    let scales = (SCALE_MOST / SCALE_STEP).round() as i32;
    let turns = (180.0 / TURN_DEG) as usize;
    let mut scored: Vec<(f64, f64, bool, [[f64; 2]; 2])> = (0..2 * turns)
        .into_par_iter()
        .filter_map(|n| {
            let (deg, mirrored) = ((n % turns) as f64 * TURN_DEG, n >= turns);
            let of_scale = |s: i32| {
                let matrix = rotation(deg, 1.0 + f64::from(s) * SCALE_STEP, mirrored);
                let score: f64 =
                    waves.near(&turned_all(matrix, reflections)).iter().zip(reflections).map(|(z, r)| r.factor.norm() * z.norm()).sum();
                (score, deg, mirrored, matrix)
            };
            (-scales..=scales).map(of_scale).max_by(|p, q| p.0.total_cmp(&q.0))
        })
        .collect();
    scored.sort_by(|p, q| q.0.total_cmp(&p.0));
    let mut kept: Vec<(f64, bool, [[f64; 2]; 2])> = Vec::new();
    for (_, deg, mirrored, matrix) in scored {
        let apart = |&(other, m, _): &(f64, bool, _)| m != mirrored || ((deg - other + 90.0).rem_euclid(180.0) - 90.0).abs() > 3.0;
        if kept.iter().all(apart) {
            kept.push((deg, mirrored, matrix));
            if kept.len() == CANDIDATES {
                break;
            }
        }
    }
    kept.into_iter().flat_map(|(_, _, m)| [m, m.map(|row| row.map(|x| -x))]).collect()
}

/// Re Σ F*·Î·e^{2πi g·o}: how well the crystal's phases are met.
fn agreement(waves: &[Complex64], turned: &[[f64; 2]], reflections: &[Reflection], origin: [f64; 2]) -> f64 {
    let of = |((wave, g), r): ((&Complex64, &[f64; 2]), &Reflection)| {
        (wave * r.factor.conj() * Complex64::cis(TAU * (g[0] * origin[0] + g[1] * origin[1]))).re
    };
    waves.iter().zip(turned).zip(reflections).map(of).sum()
}

fn turned_all(matrix: [[f64; 2]; 2], reflections: &[Reflection]) -> Vec<[f64; 2]> {
    reflections.iter().map(|r| turned(matrix, r.g)).collect()
}

/// The best origin of a rotation, then strain and origin together.
fn refined(waves: &Waves, projection: &Projection, reflections: &[Reflection], matrix: [[f64; 2]; 2]) -> Option<Lattice> {
    /// Steps of the origin along each of the basis' vectors, in Å.
    const STEP_A: f64 = 0.25;
    let turned = turned_all(matrix, reflections);
    let found = waves.near(&turned);
    let lattice = Lattice { matrix, origin_A: [0.0; 2] };
    let basis = projection.basis_A.map(|v| lattice.direction(v));
    let steps = basis.map(|v| (length(v) / STEP_A).ceil() as usize);
    let origins = (0..steps[0]).flat_map(|i| (0..steps[1]).map(move |j| [i as f64 / steps[0] as f64, j as f64 / steps[1] as f64]));
    let centre = waves.side_A().map(|s| s / 2.0);
    let at = |p: [f64; 2]| [0, 1].map(|a| centre[a] + p[0] * basis[0][a] + p[1] * basis[1][a]);
    let scored = origins.map(|p| (agreement(&found, &turned, reflections, at(p)), p));
    let (_, part) = scored.max_by(|p, q| p.0.total_cmp(&q.0))?;
    Some(polished(waves, reflections, Lattice { matrix, origin_A: at(part) }))
}

/// Strain and origin where the agreement is largest.
fn polished(waves: &Waves, reflections: &[Reflection], start: Lattice) -> Lattice {
    // About the field's middle strain and origin hardly know of each other. Lengths at the field's edges, in Å, are the unit.
    let side = waves.side_A();
    let centre = side.map(|s| s / 2.0);
    let reach = 0.25 * (side[0] + side[1]);
    let lattice = |p: &[f64]| {
        let strain = [[1.0 + p[0] / reach, p[1] / reach], [p[2] / reach, 1.0 + p[3] / reach]];
        let apply = |v: [f64; 2]| [0, 1].map(|k| strain[k][0] * v[0] + strain[k][1] * v[1]);
        let columns = [0, 1].map(|c| apply([start.matrix[0][c], start.matrix[1][c]]));
        let from = apply([start.origin_A[0] - centre[0], start.origin_A[1] - centre[1]]);
        Lattice {
            matrix: [[columns[0][0], columns[1][0]], [columns[0][1], columns[1][1]]],
            origin_A: [centre[0] + from[0] + p[4], centre[1] + from[1] + p[5]],
        }
    };
    let near = |p: &[f64]| {
        let here = lattice(p);
        let turned = turned_all(here.matrix, reflections);
        -agreement(&waves.near(&turned), &turned, reflections, here.origin_A)
    };
    let first = simplex::least(near, &[0.0; 6], 0.15, 250);
    lattice(&simplex::least(near, &first, 0.03, 250))
}

/// The part of the variance that the crystal's columns explain, with one factor from 0 on for each kind.
fn explained(field: &Field<'_>, projection: &Projection, lattice: &Lattice, looks: &[Template]) -> f64 {
    let mut images = vec![vec![0.0; field.values.len()]; looks.len()];
    for place in lattice.places(projection, field.end_A(), REACH_A) {
        for (at, away) in around(field, place.at_A) {
            images[place.kind][at] += looks[place.kind].at(length(away)).0;
        }
    }
    let centred = |v: &[f64]| {
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        v.iter().map(|x| x - mean).collect::<Vec<f64>>()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let values = centred(field.values);
    let total = dot(&values, &values);
    let images: Vec<Vec<f64>> = images.iter().map(|image| centred(image)).collect();
    let met: Vec<f64> = images.iter().map(|image| dot(image, &values)).collect();
    let shared: Vec<Vec<f64>> = images.iter().map(|a| images.iter().map(|b| dot(a, b)).collect()).collect();
    // Cyclic descent with the heights bound to be positive.
    let mut heights = vec![0.0; images.len()];
    for _ in 0..60 {
        for kind in (0..images.len()).filter(|&kind| shared[kind][kind] > 0.0) {
            let rest = met[kind] - dot(&shared[kind], &heights);
            heights[kind] = f64::max(0.0, heights[kind] + rest / shared[kind][kind]);
        }
    }
    let left = total - 2.0 * dot(&heights, &met) + heights.iter().zip(&shared).map(|(h, row)| h * dot(row, &heights)).sum::<f64>();
    if total > 0.0 { 1.0 - left / total } else { 0.0 }
}

/// What the crystal's columns explain of an image that they are laid over at random: the mean of many rotations, mirrored and not, each with an origin of its own.
fn by_chance(field: &Field<'_>, projection: &Projection, looks: &[Template]) -> f64 {
    const WAYS: usize = 128;
    let golden = |n: usize, part: f64| (n as f64 * part).fract();
    let way = |n: usize| {
        let matrix = rotation(360.0 * golden(n, 0.618_034), 1.0, n % 2 == 1);
        let [a, b] = projection.basis_A;
        let at = [golden(n, 0.754_878), golden(n, 0.569_840)];
        let origin_A =
            [0, 1].map(|k| at[0] * (matrix[k][0] * a[0] + matrix[k][1] * a[1]) + at[1] * (matrix[k][0] * b[0] + matrix[k][1] * b[1]));
        explained(field, projection, &Lattice { matrix, origin_A }, looks)
    };
    let all: Vec<f64> = (0..WAYS).into_par_iter().map(way).collect();
    all.iter().sum::<f64>() / WAYS as f64
}

/// The signed frequency of an FFT index in 1/Å.
pub(super) fn frequency(k: usize, n: usize, pixel_A: f64) -> f64 {
    fft_index(k, n) / (n as f64 * pixel_A)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::super::projection::CellSite;
    use super::*;

    /// A layered crystal without a mirror: heavy, middle and light columns.
    fn crystal() -> Projection {
        let site = |symbol, y, x| CellSite { symbol, at: [0.0, y, x], occupancy: 1.0 };
        let sites = [
            site("Sb", 0.0, 0.0),
            site("Ni", 0.05, 0.3),
            site("Ni", 0.0, 0.65),
            site("Na", 0.5, 0.1),
            site("Na", 0.5, 0.45),
            site("O", 0.25, 0.8),
        ];
        Projection::new([[5.0, 0.0, 0.0], [0.0, 5.34, 0.0], [0.0, 1.4, 9.19]], &sites)
    }

    /// Every column of the truth has one of its kind within so many Å of where the found lattice says.
    fn assert_placed(truth: &Lattice, found: &Found, projection: &Projection, end_A: [f64; 2], within_A: f64) {
        let all = found.lattice.places(projection, end_A, 3.0);
        for place in truth.places(projection, end_A, 0.0) {
            let away = all.iter().filter(|p| p.kind == place.kind).map(|p| length([p.at_A[0] - place.at_A[0], p.at_A[1] - place.at_A[1]]));
            let away = away.fold(f64::INFINITY, f64::min);
            assert!(away < within_A, "{away} Å off: {truth:?} {found:?}");
        }
    }

    #[test]
    fn a_turned_mirrored_and_strained_crystal_is_found_in_noise() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let projection = crystal();
        let weights = [15.0, 10.0, 5.0, 4.0];
        for mirrored in [false, true] {
            let (deg, scale) = (rng.random_range(-180.0..180.0), rng.random_range(0.96..1.04));
            let mut matrix = rotation(deg, scale, mirrored);
            matrix[0][1] += 0.01;
            let truth = Lattice { matrix, origin_A: [rng.random_range(5.0..9.0), rng.random_range(5.0..9.0)] };
            let (shape, pixel_A) = ([90, 100], [0.2; 2]);
            let mut values: Vec<f64> = Normal::new(0.0, 3.0).unwrap().sample_iter(&mut rng).take(9000).collect();
            let end_A = [89.0 * 0.2, 99.0 * 0.2];
            for place in truth.places(&projection, end_A, 2.0) {
                for (at, value) in values.iter_mut().enumerate() {
                    let (y, x) = ((at / 100) as f64 * 0.2 - place.at_A[0], (at % 100) as f64 * 0.2 - place.at_A[1]);
                    *value += weights[place.kind] * (-(y * y + x * x) / (2.0 * 0.45 * 0.45)).exp();
                }
            }
            let found = find_lattice(&Field { values: &values, shape, pixel_A }, &projection, &plain(&weights), None).unwrap().unwrap();
            assert_eq!(found.lattice.is_mirrored(), mirrored, "{truth:?} {found:?}");
            // In a corner, where Hann's window leaves nothing, the noise alone is worth 0.04 Å along each axis; other columns are 1.6 Å away.
            assert_placed(&truth, &found, &projection, end_A, 0.25);
            assert!(found.explained > 0.3, "{found:?}");
        }
    }

    #[test]
    fn a_crystal_whose_heavy_columns_are_dark_is_placed_by_what_its_columns_look_like() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let projection = crystal();
        // Far out of focus: dark middles with bright rings where columns are heavy, light columns bright.
        let heavy = |depth: f64| Template::of(move |r| depth * (0.6 * (-(r - 0.8f64).powi(2) / 0.08).exp() - (-r * r / 0.15).exp()));
        let looks = [heavy(3.0), heavy(2.0), plain(&[2.0]).remove(0), plain(&[1.5]).remove(0)];
        for mirrored in [false, true] {
            let matrix = rotation(rng.random_range(-180.0..180.0), rng.random_range(0.97..1.03), mirrored);
            let truth = Lattice { matrix, origin_A: [rng.random_range(5.0..9.0), rng.random_range(5.0..9.0)] };
            let (shape, pixel_A) = ([90, 90], [0.25; 2]);
            let mut values: Vec<f64> = Normal::new(0.0, 1.0).unwrap().sample_iter(&mut rng).take(8100).collect();
            let end_A = [89.0 * 0.25; 2];
            let empty = vec![0.0; 8100];
            for place in truth.places(&projection, end_A, REACH_A) {
                for (at, away) in around(&Field { values: &empty, shape, pixel_A }, place.at_A) {
                    values[at] += looks[place.kind].at(length(away)).0;
                }
            }
            // A first guess with everything half a row off.
            let off = Lattice { origin_A: truth.place([0.5 * projection.basis_A[0][0], 0.5 * projection.basis_A[0][1]]), ..truth };
            let found = find_lattice(&Field { values: &values, shape, pixel_A }, &projection, &looks, Some(&off)).unwrap().unwrap();
            assert_eq!(found.lattice.is_mirrored(), mirrored, "{truth:?} {found:?}");
            // In a corner, where Hann's window leaves nothing, the noise alone is worth 0.04 Å along each axis; other columns are 1.6 Å away.
            assert_placed(&truth, &found, &projection, end_A, 0.25);
            assert!(found.explained > 0.15, "{found:?}");
        }
    }

    #[test]
    fn noise_alone_has_no_lattice_and_a_crystal_far_below_it_has() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let projection = crystal();
        let weights = [15.0, 10.0, 5.0, 4.0];
        let (side, pixel_A) = (64, [0.25; 2]);
        let end_A = [63.0 * 0.25; 2];
        // White noise and the mean of 3 × 3 pixels of it.
        for wide in [0, 1] {
            let white: Vec<f64> = Normal::new(0.0, 1.0).unwrap().sample_iter(&mut rng).take(side * side).collect();
            let near = |at: usize, d: [i64; 2]| {
                let [i, j] = [(at / side) as i64 + d[0], (at % side) as i64 + d[1]].map(|k| k.rem_euclid(side as i64) as usize);
                white[i * side + j]
            };
            let mean = |at: usize| (-wide..=wide).flat_map(|i| (-wide..=wide).map(move |j| [i, j])).map(|d| near(at, d)).sum::<f64>();
            let noise: Vec<f64> = (0..side * side).map(mean).collect();
            let found = |values: &[f64]| {
                let field = Field { values, shape: [side; 2], pixel_A };
                find_lattice(&field, &projection, &plain(&weights), None).unwrap().unwrap()
            };
            // The best of all places in 48 images of noise explained 18 times as much as chance at most; less than 1 in 1000 gets to 30.
            let chance = found(&noise);
            assert!(chance.times_chance < 30.0 && chance.explained < 0.1, "{chance:?}");
            if wide > 0 {
                continue;
            }
            // A tenth of the variance is the crystal's: 49 times as much as chance or more in 24 images.
            let truth = Lattice { matrix: rotation(rng.random_range(-180.0..180.0), 1.0, false), origin_A: [7.0, 7.0] };
            let mut values = vec![0.0; side * side];
            for place in truth.places(&projection, end_A, 2.0) {
                for (at, value) in values.iter_mut().enumerate() {
                    let away = length([(at / side) as f64 * 0.25 - place.at_A[0], (at % side) as f64 * 0.25 - place.at_A[1]]);
                    *value += weights[place.kind] * (-away * away / (2.0 * COLUMN_A * COLUMN_A)).exp();
                }
            }
            let variance = |values: &[f64]| {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64
            };
            let by = (0.11 * variance(&noise) / variance(&values)).sqrt();
            values.iter_mut().zip(&noise).for_each(|(v, n)| *v = *v * by + n);
            let seen = found(&values);
            assert!(seen.times_chance > 30.0, "{seen:?}");
            // The noise is worth 2 % of strain here, and 0.27 Å in a corner at most in 25 fields.
            assert_placed(&truth, &seen, &projection, end_A, 0.6);
        }
    }
}
