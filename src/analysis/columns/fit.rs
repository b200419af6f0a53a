//! All columns of an image fitted together, with standard errors from the noise.
//!
//! φ = Σ_j a_j·T(|r − r_j|) + background + noise. Where the noise's spectrum P is known, the best weights are 1/P: with B = D·F⁻¹(1/P)F·D, D fading the edges out, the estimate is
//! â = (AᵀBA)⁻¹AᵀBφ (generalised least squares), and whatever B is, its covariance is (AᵀBA)⁻¹AᵀB·C·BA(AᵀBA)⁻¹ with the noise's covariance C. Large fields are fitted in overlapping tiles.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::lattice::Field;
use super::noise::Noise;
use super::template::{REACH_A, Template, around};
use super::window::{Window, inverse};
use crate::analysis::Result;

/// A column that is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Site {
    pub kind: usize,
    /// (y, x); it may lie up to a template's reach outside of the image.
    pub at_A: [f64; 2],
    /// The atoms that it would have if nothing were missing.
    pub expected: f64,
}

/// The atoms of every column, NaN where a column lies too near to the edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Amplitudes {
    pub atoms: Vec<f64>,
    pub se: Vec<f64>,
    /// What the standard error would be if all else were known.
    pub alone: Vec<f64>,
    /// Of two columns of one tile that lie within 6 Å: their numbers, the first below the second, and the covariance.
    pub covariances: Vec<(usize, usize, f64)>,
    /// The variance of what is left, where columns count, over the noise's: 1 if templates, places and noise are right. All standard errors are [`grown`] by it.
    pub misfit: f64,
    /// The part of the image's variance beyond the noise's, where columns count, that the columns explain: 1 if they are all there is, and below 0 where they are none of it.
    pub explained: f64,
    /// What is left of the image.
    pub residual: Vec<f64>,
}

impl Amplitudes {
    /// With errors so many times as large, for each kind of column.
    #[must_use]
    pub fn widened(mut self, sites: &[Site], by: &[f64]) -> Self {
        let of = |s: usize| by.get(sites[s].kind).copied().unwrap_or(1.0);
        self.se.iter_mut().enumerate().for_each(|(s, se)| *se *= of(s));
        self.covariances.iter_mut().for_each(|(a, b, covariance)| *covariance *= of(*a) * of(*b));
        self
    }
}

/// How far columns lie from where they were thought to be, (y, x) in Å; NaN near the edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Shifts {
    pub shift_A: Vec<[f64; 2]>,
    pub se_A: Vec<[f64; 2]>,
}

/// An image, what its columns look like, and its noise.
#[derive(Debug, Clone, Copy)]
pub struct Fit<'a> {
    pub field: Field<'a>,
    pub templates: &'a [Template],
    pub noise: &'a Noise,
    /// Pixels nearer to the edge have no weight; a column has to lie [`INSIDE_A`] further inside to count.
    pub margin_A: f64,
}

/// The side of the part of a field that a tile answers for, and what it sees around that.
const TILE_A: f64 = 22.0;
const BORDER_A: f64 = 5.0;
/// How far inside the weighted part a column has to lie.
pub const INSIDE_A: f64 = 1.0;
/// A shift's standard deviation before anything is known.
const SHIFT_A: f64 = 0.3;
const CORRELATED_A: f64 = 6.0;

/// What standard errors grow by where what is left has so many times the variance of the noise: √misfit, as R. T. Birge proposed (Phys. Rev. 40 (1932) 207), but for the fifth that
/// the noise is not known better.
pub fn grown(misfit: f64) -> f64 {
    (misfit - 0.2).max(1.0).sqrt()
}

/// Part of the field, with columns and weights.
struct Tile {
    window: Window,
    /// The sites that reach into it; those that it answers for are marked.
    sites: Vec<(usize, bool)>,
}

/// A sparse image on a tile's pixels.
type Sparse = Vec<(usize, f64)>;

impl Fit<'_> {
    /// Does a column count?
    pub fn holds(&self, at_A: [f64; 2]) -> bool {
        let end = self.field.end_A();
        let least = self.margin_A + INSIDE_A;
        (0..2).all(|a| at_A[a] >= least && at_A[a] <= end[a] - least)
    }

    /// The atoms of every column at its place.
    ///
    /// # Errors
    /// If there is no room.
    pub fn amplitudes(&self, sites: &[Site]) -> Result<Amplitudes> {
        let n = sites.len();
        let mut found = Amplitudes {
            atoms: vec![f64::NAN; n],
            se: vec![f64::NAN; n],
            alone: vec![f64::NAN; n],
            covariances: Vec::new(),
            misfit: 0.0,
            explained: 0.0,
            residual: self.field.values.to_vec(),
        };
        for tile in self.tiles(sites) {
            let columns: Vec<Sparse> = tile.sites.iter().map(|&(s, _)| self.image(&tile, &sites[s])).collect();
            // Inside, ten times what is expected is no knowledge; what lies outside has to be about what it should be.
            let prior: Vec<(f64, f64)> = tile
                .sites
                .iter()
                .map(|&(s, _)| (sites[s].expected, (sites[s].expected + 1.0) * if self.holds(sites[s].at_A) { 10.0 } else { 0.5 }))
                .collect();
            let Some(solved) = self.solve(&tile, &columns, &prior)? else { continue };
            for (p, &(s, own)) in tile.sites.iter().enumerate() {
                if own && self.holds(sites[s].at_A) {
                    found.atoms[s] = solved.values[p];
                    found.se[s] = solved.covariance[(p, p)].max(0.0).sqrt();
                    found.alone[s] = solved.alone[p];
                    for (q, &(t, other)) in tile.sites.iter().enumerate().skip(p + 1) {
                        let away = (sites[s].at_A[0] - sites[t].at_A[0]).hypot(sites[s].at_A[1] - sites[t].at_A[1]);
                        if other && self.holds(sites[t].at_A) && away < CORRELATED_A {
                            found.covariances.push((s.min(t), s.max(t), solved.covariance[(p, q)]));
                        }
                    }
                }
            }
            self.subtract(&tile, &solved.rest, &mut found.residual);
        }
        let inside: Vec<usize> = (0..found.residual.len())
            .filter(|&at| {
                let place = [at / self.field.shape[1], at % self.field.shape[1]];
                self.holds([0, 1].map(|a| place[a] as f64 * self.field.pixel_A[a]))
            })
            .collect();
        let count = inside.len() as f64;
        let noise = self.noise.deviation().powi(2);
        let mean = inside.iter().map(|&at| self.field.values[at]).sum::<f64>() / count;
        let all = inside.iter().map(|&at| (self.field.values[at] - mean).powi(2)).sum::<f64>() / count;
        let left = inside.iter().map(|&at| found.residual[at].powi(2)).sum::<f64>() / count;
        found.misfit = left / noise;
        found.explained = 1.0 - (left - noise) / (all - noise);
        let by = grown(found.misfit);
        found.se.iter_mut().chain(&mut found.alone).for_each(|se| *se *= by);
        found.covariances.iter_mut().for_each(|(_, _, covariance)| *covariance *= by * by);
        Ok(found)
    }

    /// How far every column lies from its place, taking it to have `atoms`. Amplitudes, shifts and background are fitted together; before the fit a shift is 0 ± 0.3 Å.
    ///
    /// # Errors
    /// If there is no room.
    pub fn shifts(&self, sites: &[Site], atoms: &[f64]) -> Result<Shifts> {
        let mut found = Shifts { shift_A: vec![[f64::NAN; 2]; sites.len()], se_A: vec![[f64::NAN; 2]; sites.len()] };
        for tile in self.tiles(sites) {
            let mut columns = Vec::new();
            let mut prior = Vec::new();
            for &(s, _) in &tile.sites {
                let site = &sites[s];
                columns.push(self.image(&tile, site));
                prior.push((site.expected, (site.expected + 1.0) * if self.holds(site.at_A) { 10.0 } else { 0.5 }));
                columns.extend(self.slopes(&tile, site, atoms[s]));
                prior.extend([(0.0, SHIFT_A); 2]);
            }
            let Some(solved) = self.solve(&tile, &columns, &prior)? else { continue };
            for (p, &(s, own)) in tile.sites.iter().enumerate() {
                if own && self.holds(sites[s].at_A) {
                    found.shift_A[s] = [1, 2].map(|k| solved.values[3 * p + k]);
                    found.se_A[s] = [1, 2].map(|k| solved.spread[3 * p + k]);
                }
            }
        }
        Ok(found)
    }

    fn tiles(&self, sites: &[Site]) -> Vec<Tile> {
        let (pixel, full, end) = (self.field.pixel_A, self.field.shape, self.field.end_A());
        let count = [0, 1].map(|a| ((end[a] / TILE_A).ceil() as usize).max(1));
        let edges = |a: usize, n: usize| [n, n + 1].map(|k| k as f64 * end[a] / count[a] as f64);
        let mut tiles = Vec::new();
        for i in 0..count[0] {
            for j in 0..count[1] {
                let cores = [edges(0, i), edges(1, j)];
                let bounds = [0, 1].map(|a| {
                    let first = ((cores[a][0] - BORDER_A) / pixel[a]).floor().max(0.0) as usize;
                    let last = (((cores[a][1] + BORDER_A) / pixel[a]).ceil() as usize).min(full[a] - 1);
                    [first, last]
                });
                let first = bounds.map(|b| b[0]);
                let window = Window::new(&self.field, self.margin_A, first, bounds.map(|b| b[1]));
                let shape = window.shape;
                let within = |at: [f64; 2]| {
                    (0..2).all(|a| {
                        let (low, high) = (first[a] as f64 * pixel[a], (first[a] + shape[a] - 1) as f64 * pixel[a]);
                        at[a] > low - REACH_A && at[a] < high + REACH_A
                    })
                };
                let last = [i + 1 == count[0], j + 1 == count[1]];
                let own = |at: [f64; 2]| (0..2).all(|a| at[a] >= cores[a][0] && (at[a] < cores[a][1] || last[a]));
                let sites = sites.iter().enumerate().filter(|(_, s)| within(s.at_A)).map(|(n, s)| (n, own(s.at_A))).collect();
                tiles.push(Tile { window, sites });
            }
        }
        tiles
    }

    /// The tile's pixels around a site, each with its distance.
    fn pixels<'t>(&'t self, tile: &'t Tile, site: &Site) -> impl Iterator<Item = (usize, [f64; 2])> + 't {
        let width = self.field.shape[1];
        around(&self.field, site.at_A).filter_map(move |(at, away)| {
            let (i, j) = ((at / width).checked_sub(tile.window.first[0])?, (at % width).checked_sub(tile.window.first[1])?);
            (i < tile.window.shape[0] && j < tile.window.shape[1]).then_some((i * tile.window.shape[1] + j, away))
        })
    }

    fn image(&self, tile: &Tile, site: &Site) -> Sparse {
        let template = &self.templates[site.kind];
        self.pixels(tile, site).map(|(at, away)| (at, template.at(away[0].hypot(away[1])).0)).collect()
    }

    /// What a shift of 1 Å along y and x adds.
    fn slopes(&self, tile: &Tile, site: &Site, atoms: f64) -> [Sparse; 2] {
        let template = &self.templates[site.kind];
        let atoms = if atoms.is_finite() { atoms.max(0.3 * site.expected) } else { site.expected };
        [0, 1].map(|axis| {
            self.pixels(tile, site)
                .map(|(at, away)| {
                    let r = away[0].hypot(away[1]);
                    (at, if r > 0.0 { -atoms * template.at(r).1 * away[axis] / r } else { 0.0 })
                })
                .collect()
        })
    }

    fn subtract(&self, tile: &Tile, rest: &[f64], residual: &mut [f64]) {
        for (at, value) in rest.iter().enumerate() {
            let place = [tile.window.first[0] + at / tile.window.shape[1], tile.window.first[1] + at % tile.window.shape[1]];
            residual[place[0] * self.field.shape[1] + place[1]] = *value;
        }
    }

    /// Generalised least squares of the tile's pixels with these columns, each with mean and deviation of what is known before, and a plane.
    fn solve(&self, tile: &Tile, columns: &[Sparse], prior: &[(f64, f64)]) -> Result<Option<Solved>> {
        let window = &tile.window;
        let (pixels, weights) = (window.pixels(), &window.weights);
        let spectrum = self.noise.spectrum(window.padded)?;
        let mut design: Vec<Sparse> =
            columns.iter().map(|column| column.iter().map(|&(at, v)| (at, v * weights[at])).filter(|(_, v)| *v != 0.0).collect()).collect();
        let plane = |at: usize| [1.0, window.along(0, at), window.along(1, at)];
        design.extend((0..3).map(|k| (0..pixels).map(|at| (at, plane(at)[k] * weights[at])).collect::<Sparse>()));
        let count = design.len();
        let dense = |sparse: &Sparse| {
            let mut image = vec![0.0; pixels];
            sparse.iter().for_each(|&(at, v)| image[at] = v);
            image
        };
        // v = F⁻¹(1/P)F·D·a of every column.
        let images: Vec<Vec<f64>> = design.iter().map(dense).collect();
        let whitened = window.filtered(&images, &inverse(&spectrum))?;
        let target = window.cut(self.field.values, self.field.shape[1]);
        let rows: Vec<Vec<f64>> =
            design.par_iter().map(|a| whitened.iter().map(|v| a.iter().map(|&(at, x)| x * v[at]).sum::<f64>()).collect()).collect();
        let mut normal = DMatrix::from_fn(count, count, |p, q| 0.5 * (rows[p][q] + rows[q][p]));
        let mut right =
            DVector::from_iterator(count, whitened.iter().map(|v| v.iter().zip(&target).zip(weights).map(|((v, f), w)| v * f * w).sum()));
        let diagonal: Vec<f64> = (0..count).map(|k| normal[(k, k)]).collect();
        let largest = (0..count).map(|k| normal[(k, k)]).fold(0.0, f64::max);
        if largest <= 0.0 {
            return Ok(None);
        }
        for (k, &(mean, deviation)) in prior.iter().enumerate() {
            let weight = 1.0 / (deviation * deviation);
            normal[(k, k)] += weight;
            right[k] += weight * mean;
        }
        for k in columns.len()..count {
            normal[(k, k)] += 1e-12 * largest;
        }
        let Some(factor) = normal.cholesky() else { return Ok(None) };
        let values = factor.solve(&right);
        // What the estimate does with the noise: D·v of each column against the noise's covariance.
        let weighted: Vec<Vec<f64>> = whitened.par_iter().map(|v| v.iter().zip(weights).map(|(v, w)| v * w).collect()).collect();
        let covered = window.filtered(&weighted, &spectrum)?;
        let left = DMatrix::from_iterator(pixels, count, weighted.iter().flatten().copied()).transpose();
        let middle = times(&left, &covered);
        let alone = diagonal.iter().enumerate().map(|(k, d)| middle[(k, k)].max(0.0).sqrt() / d).collect();
        let bound = factor.inverse();
        let covariance = &bound * middle * &bound;
        let spread = (0..count).map(|k| covariance[(k, k)].max(bound[(k, k)]).max(0.0).sqrt()).collect();

        let mut rest = target.clone();
        for (column, value) in columns.iter().zip(values.iter()) {
            column.iter().for_each(|&(at, v)| rest[at] -= v * value);
        }
        for (at, rest) in rest.iter_mut().enumerate() {
            *rest -= plane(at).iter().enumerate().map(|(k, p)| values[count - 3 + k] * p).sum::<f64>();
        }
        Ok(Some(Solved { values: values.as_slice().to_vec(), covariance, alone, spread, rest }))
    }
}

/// A matrix times one of these columns, some of them at a time in parallel.
fn times(left: &DMatrix<f64>, columns: &[Vec<f64>]) -> DMatrix<f64> {
    const TOGETHER: usize = 64;
    let blocks: Vec<DMatrix<f64>> = columns
        .par_chunks(TOGETHER)
        .map(|block| left * DMatrix::from_iterator(left.ncols(), block.len(), block.iter().flatten().copied()))
        .collect();
    DMatrix::from_iterator(left.nrows(), columns.len(), blocks.iter().flat_map(|block| block.iter().copied()))
}

struct Solved {
    values: Vec<f64>,
    covariance: DMatrix<f64>,
    /// Standard deviations if all else were known.
    alone: Vec<f64>,
    /// Standard deviations, those from before the fit included.
    spread: Vec<f64>,
    rest: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::*;

    /// Columns 1.6 Å apart in a field of 14 Å, and noise of this deviation.
    fn scene(rng: &mut ChaCha8Rng, deviation: f64, side: usize) -> (Vec<f64>, Vec<Site>, Vec<f64>, Template) {
        let template = Template::of(|r| 0.2 * (-r * r / (2.0 * 0.45f64.powi(2))).exp());
        let normal = Normal::new(0.0, deviation).unwrap();
        let mut values: Vec<f64> = (0..side * side).map(|at| 3.0 + 1e-3 * (at % side) as f64 + normal.sample(rng)).collect();
        let (mut sites, mut atoms) = (Vec::new(), Vec::new());
        let field_side = side as f64 * 0.2;
        let count = (field_side / 1.6) as i32 + 3;
        for (i, j) in (-2..count).flat_map(|i| (-2..count).map(move |j| (i, j))) {
            let at_A = [0.33 + 1.6 * f64::from(i), 0.71 + 1.6 * f64::from(j)];
            let n: f64 = rng.random_range(0.0..5.0);
            sites.push(Site { kind: 0, at_A, expected: 4.0 });
            atoms.push(n);
            let shape = [side; 2];
            let empty = vec![0.0; side * side];
            for (at, away) in around(&Field { values: &empty, shape, pixel_A: [0.2; 2] }, at_A) {
                values[at] += n * template.at(away[0].hypot(away[1])).0;
            }
        }
        (values, sites, atoms, template)
    }

    #[test]
    fn errors_that_are_widened_by_kind_keep_their_correlations() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let (values, mut sites, _, template) = scene(&mut rng, 0.1, 40);
        sites.iter_mut().enumerate().for_each(|(s, site)| site.kind = s % 2);
        let noise = Noise::white(0.1, [0.2; 2]);
        let templates = [template.clone(), template];
        let field = Field { values: &values, shape: [40; 2], pixel_A: [0.2; 2] };
        let plain = Fit { field, templates: &templates, noise: &noise, margin_A: 0.0 }.amplitudes(&sites).unwrap();
        let by = [rng.random_range(1.0..2.0), rng.random_range(1.0..2.0)];
        let wide = plain.clone().widened(&sites, &by);
        assert!(!plain.covariances.is_empty());
        for (&(a, b, before), &(_, _, after)) in plain.covariances.iter().zip(&wide.covariances) {
            let correlation = |covariance: f64, amplitudes: &Amplitudes| covariance / amplitudes.se[a] / amplitudes.se[b];
            assert!((correlation(before, &plain) - correlation(after, &wide)).abs() < 1e-12);
        }
        for s in (0..sites.len()).filter(|&s| plain.se[s].is_finite()) {
            assert!((wide.se[s] / plain.se[s] / by[s % 2] - 1.0).abs() < 1e-12);
            assert_eq!(wide.atoms[s], plain.atoms[s]);
        }
    }

    #[test]
    fn what_columns_do_not_explain_makes_their_errors_larger_and_columns_that_are_not_there_explain_nothing() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let side = 70;
        let (mut values, sites, atoms, template) = scene(&mut rng, 0.1, side);
        let noise = Noise::white(0.1, [0.2; 2]);
        let templates = [template];
        let amplitudes = |values: &[f64]| {
            let field = Field { values, shape: [side; 2], pixel_A: [0.2; 2] };
            Fit { field, templates: &templates, noise: &noise, margin_A: 0.0 }.amplitudes(&sites).unwrap()
        };
        let plain = amplitudes(&values);
        assert!(plain.explained > 0.95, "{}", plain.explained);
        // Three times the noise that is known of: errors grow by as much, but for the fifth of the variance.
        let more = Normal::new(0.0, 0.08f64.sqrt()).unwrap();
        values.iter_mut().for_each(|v| *v += more.sample(&mut rng));
        let noisy = amplitudes(&values);
        let mut scores = Vec::new();
        for s in (0..sites.len()).filter(|&s| plain.se[s].is_finite()) {
            assert!((noisy.se[s] / plain.se[s] - 8.8f64.sqrt()).abs() < 0.3, "{} and {}", noisy.se[s], plain.se[s]);
            scores.push((noisy.atoms[s] - atoms[s]) / noisy.se[s]);
        }
        let variance = scores.iter().map(|z| z * z).sum::<f64>() / scores.len() as f64;
        // Five deviations of so many squares.
        assert!((variance - 1.0).abs() < 5.0 * (2.0 / scores.len() as f64).sqrt() + 0.1, "{variance} of {}", scores.len());
        // Waves that have nothing to do with the columns.
        let waves: Vec<f64> = (0..side * side).map(|at| (0.9 * (at / side) as f64).sin() * (0.7 * (at % side) as f64).cos()).collect();
        let foreign = amplitudes(&waves);
        assert!(foreign.explained < 0.5 && foreign.misfit > 5.0, "{} {}", foreign.explained, foreign.misfit);
    }

    #[test]
    fn overlapping_columns_come_out_within_their_standard_errors() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let mut scores = Vec::new();
        for side in [70, 70, 70, 130] {
            let (values, sites, atoms, template) = scene(&mut rng, 0.1, side);
            let noise = Noise::white(0.1, [0.2; 2]);
            let fit = Fit {
                field: Field { values: &values, shape: [side; 2], pixel_A: [0.2; 2] },
                templates: &[template],
                noise: &noise,
                margin_A: 0.0,
            };
            let found = fit.amplitudes(&sites).unwrap();
            for s in 0..sites.len() {
                assert_eq!(found.atoms[s].is_finite(), fit.holds(sites[s].at_A));
                if found.atoms[s].is_finite() {
                    scores.push((found.atoms[s] - atoms[s]) / found.se[s]);
                }
            }
            // 3600 pixels, of which one in 64 is a column's: a deviation of 0.024.
            assert!((found.misfit - 0.98).abs() < 0.14, "{}", found.misfit);
        }
        let n = scores.len() as f64;
        assert!(n > 300.0, "{n}");
        let variance = scores.iter().map(|z| z * z).sum::<f64>() / n;
        // Standard deviation √(2/n) = 0.08.
        assert!((variance - 1.0).abs() < 0.4, "{variance} over {n} columns");
    }

    #[test]
    fn a_lone_columns_error_is_the_bound_of_white_noise() {
        let template = Template::of(|r| 0.2 * (-r * r / (2.0 * 0.45f64.powi(2))).exp());
        let values = vec![0.0; 90 * 90];
        let noise = Noise::white(0.1, [0.2; 2]);
        let field = Field { values: &values, shape: [90; 2], pixel_A: [0.2; 2] };
        let fit = Fit { field, templates: &[template], noise: &noise, margin_A: 0.0 };
        let found = fit.amplitudes(&[Site { kind: 0, at_A: [9.0, 9.0], expected: 1.0 }]).unwrap();
        // σ/√Σ T² with Σ T² = 0.04·πσ_T²/pixel area.
        let expected = 0.1 / (0.04 * std::f64::consts::PI * 0.45 * 0.45 / 0.04f64).sqrt();
        assert!((found.se[0] / expected - 1.0).abs() < 0.02, "{} instead of {expected}", found.se[0]);
    }

    #[test]
    fn shifted_columns_are_found_shifted() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let (values, sites, atoms, template) = scene(&mut rng, 0.01, 70);
        let by = [0.05, -0.08];
        let moved: Vec<Site> = sites.iter().map(|s| Site { at_A: [s.at_A[0] - by[0], s.at_A[1] - by[1]], ..*s }).collect();
        let noise = Noise::white(0.01, [0.2; 2]);
        let fit = Fit {
            field: Field { values: &values, shape: [70; 2], pixel_A: [0.2; 2] },
            templates: &[template],
            noise: &noise,
            margin_A: 0.0,
        };
        let found = fit.shifts(&moved, &atoms).unwrap();
        let (mut mean, mut n) = ([0.0; 2], 0.0);
        for s in (0..moved.len()).filter(|&s| found.shift_A[s][0].is_finite() && atoms[s] > 1.0) {
            for a in 0..2 {
                // Linear in a shift of a fifth of the width: a few per cent, and noise.
                assert!(
                    (found.shift_A[s][a] - by[a]).abs() < 0.02 + 4.0 * found.se_A[s][a],
                    "{:?} ± {:?}",
                    found.shift_A[s],
                    found.se_A[s]
                );
                mean[a] += found.shift_A[s][a];
            }
            n += 1.0;
        }
        assert!(n > 20.0 && (0..2).all(|a| (mean[a] / n - by[a]).abs() < 0.006), "{mean:?} of {n}");
    }
}
