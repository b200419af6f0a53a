//! Defocus, astigmatism and scan rotation from the shifts of the images that parts of the disk make.
//!
//! Seen from tilt κ, an image lies ∇χ/2π aside, so that its spectrum has the phase 2π·S·κ·q with a matrix S that is diagonal for a defocus, symmetric with
//! astigmatism, and turned if the scan's rotation is another than was thought. The S that brings the images into step best is looked for over all
//! defoci, about the best of them with astigmatism, then refined by Newton's method on the power of their sum. Only frequencies at which both side bands lie in the disk take part: there the
//! phase is exactly that.

use std::f64::consts::TAU;

use num_complex::Complex64;
use rayon::prelude::*;

use crate::compute::Backend;
use crate::imaging::Result;
use crate::optics::{Aberration, Aberrations, Polynomial, apply, wavelength_A};

use super::DirectPlan;
use super::disk::Disk;
use super::spectra::Spectra;

/// What the shifts of the images tell, each with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(non_snake_case)]
pub struct Fit {
    pub defocus_A: f64,
    pub defocus_error_A: f64,
    pub C12_A: f64,
    pub C12_error_A: f64,
    pub phi12_deg: f64,
    /// Half a turn divided by two where there is no astigmatism to be seen.
    pub phi12_error_deg: f64,
    /// The scan's rotation by the matrix's antisymmetric part; nothing is done with it. Undetermined near focus, where its error is large.
    pub rotation_deg: f64,
    pub rotation_error_deg: f64,
    /// Do the images tell the defocus to a quarter of λ/α², and more than chance would?
    pub determined: bool,
}

/// The images of the disk's cells, at the frequencies that take part.
struct Tilted {
    /// Each cell's mean angle.
    tilts: Vec<[f64; 2]>,
    /// In the detector's frame, over k₀.
    frequencies: Vec<[f64; 2]>,
    /// (cell, frequency); 0 where one side band lies outside the disk.
    spectra: Vec<Vec<Complex64>>,
    /// The frequencies' places, brightest first.
    brightest: Vec<usize>,
}

/// The matrix S, row by row.
type Matrix = [f64; 4];

/// The most frequencies of a coarse search.
const MOST_FREQUENCIES: usize = 1600;

/// Steps of the search for astigmatism, in λ/α².
const ASTIGMATISM_STEP: f64 = 0.3;

/// How many standard deviations of chance the coherent power must exceed. The best of all matrices reaches 4.5 in a vacuum, rarely more than 5.
const SIGNIFICANT: f64 = 8.0;

/// So many of the best defoci are looked at with astigmatism.
const DEFOCI: usize = 3;

/// Looks for defocus and astigmatism. `known` are the aberrations of higher order, as turns.
pub(super) fn fit<B: Backend>(backend: &B, spectra: &mut Spectra<B>, disk: &Disk, plan: &DirectPlan, known: &Polynomial) -> Result<Fit> {
    let tilts: Vec<[f64; 2]> = disk
        .cells
        .iter()
        .map(|cell| {
            let sum = disk.bright.tilts[cell.clone()].iter().fold([0.0; 2], |s, t| [s[0] + t[0], s[1] + t[1]]);
            sum.map(|s| s / cell.len() as f64)
        })
        .collect();
    let places = places(disk, plan);
    // First with the known aberrations alone, then with the pixels of a cell shifted to its middle.
    let flat = |_: [f64; 2]| [0.0; 2];
    let tilted = Tilted::new(backend, spectra, disk, &tilts, &places, |t| known.gradient(t[0], t[1]), flat)?;
    let mut matrix = tilted.search(disk, plan);
    for reach in [0.4, 0.7, 1.0] {
        matrix = tilted.refine(matrix, reach);
    }
    let first = matrix;
    let tilted = Tilted::new(backend, spectra, disk, &tilts, &places, |t| known.gradient(t[0], t[1]), |t| times(first, t))?;
    matrix = tilted.refine(matrix, 1.0);
    Ok(tilted.report(matrix, disk, plan))
}

/// The half of the frequencies within the disk's radius: their places in half a spectrum, and themselves in the detector's frame.
fn places(disk: &Disk, plan: &DirectPlan) -> Vec<(usize, [f64; 2])> {
    let bright = &disk.bright;
    let [ny, nx] = bright.scan;
    let unit = [0, 1].map(|a| bright.frequencies[a][1].abs());
    let mut places = Vec::new();
    for y in 0..=ny / 2 {
        for x in 0..nx {
            let [fy, fx] = [crate::optics::fft_index(y, ny), crate::optics::fft_index(x, nx)];
            // Of what is its own mirror image one half is enough; Nyquist's frequency has two signs.
            if (y == 0 && fx <= 0.0) || 2 * y == ny || 2 * x == nx {
                continue;
            }
            let q = apply(plan.scan.scan_to_object(), [fy * unit[0], fx * unit[1]]);
            if q[0].hypot(q[1]) < 1.0 {
                places.push((y * nx + x, q));
            }
        }
    }
    places
}

fn times(m: Matrix, [y, x]: [f64; 2]) -> [f64; 2] {
    [m[0] * y + m[1] * x, m[2] * y + m[3] * x]
}

fn dot(a: [f64; 2], b: [f64; 2]) -> f64 {
    a[0] * b[0] + a[1] * b[1]
}

impl Tilted {
    /// Adds up each cell's images, each pixel shifted back by the `known` gradient, and by what `model` says beyond the cell's middle.
    fn new<B: Backend>(
        backend: &B,
        spectra: &mut Spectra<B>,
        disk: &Disk,
        tilts: &[[f64; 2]],
        places: &[(usize, [f64; 2])],
        known: impl Fn([f64; 2]) -> [f64; 2],
        model: impl Fn([f64; 2]) -> [f64; 2],
    ) -> Result<Self> {
        let mut bright = disk.bright.clone();
        let unit = [0, 1].map(|a| bright.frequencies[a][1].abs());
        bright.output = bright.scan;
        bright.frequencies = [0, 1].map(|a| (0..bright.scan[a]).map(|k| crate::optics::fft_index(k, bright.scan[a]) * unit[a]).collect());
        let device = backend.bright_field(&bright)?;
        let frequencies: Vec<[f64; 2]> = places.iter().map(|(_, q)| *q).collect();
        let mut sums = vec![vec![Complex64::ZERO; places.len()]; tilts.len()];
        // The sum of a cell that goes on in the next part.
        let mut open = None;
        spectra.visit(disk.count, |range, part| {
            for (cell, (members, tilt)) in disk.cells.iter().zip(tilts).enumerate() {
                let here = members.start.max(range.start)..members.end.min(range.end);
                if here.is_empty() {
                    continue;
                }
                let middle = model(*tilt);
                let shifts = bright.tilts[here.clone()].iter().map(|&t| {
                    let (beside, known) = (model(t), known(t));
                    [0, 1].map(|a| beside[a] - middle[a] + known[a])
                });
                let ramps = super::ramps(&bright, &shifts.collect::<Vec<_>>());
                let [ry, rx] = [backend.complexes(&ramps[0])?, backend.complexes(&ramps[1])?];
                let mut out = match open.take() {
                    Some(out) => out,
                    None => backend.complex_zeros(bright.half_len())?,
                };
                let done = here.end == members.end;
                backend.tilt_sum(part, range.start, &device, here, [&ry, &rx], &mut out)?;
                if done {
                    let values = backend.read_complexes(&out)?;
                    sums[cell] = places.iter().map(|(place, _)| values[*place]).collect();
                } else {
                    open = Some(out);
                }
            }
            Ok(())
        })?;
        // Half a cell beside the middle.
        let rim = 1.0 - 1.0 / super::disk::CELLS;
        for (sums, tilt) in sums.iter_mut().zip(tilts) {
            for (sum, q) in sums.iter_mut().zip(&frequencies) {
                let both = [1.0, -1.0].iter().all(|s| (tilt[0] + s * q[0]).hypot(tilt[1] + s * q[1]) < rim);
                if !both {
                    *sum = Complex64::ZERO;
                }
            }
        }
        let mut brightest: Vec<usize> = (0..frequencies.len()).collect();
        let power: Vec<f64> = brightest.iter().map(|&f| sums.iter().map(|cell| cell[f].norm_sqr()).sum()).collect();
        brightest.sort_by(|&a, &b| power[b].total_cmp(&power[a]));
        Ok(Self { tilts: tilts.to_vec(), frequencies, spectra: sums, brightest })
    }

    /// The matrix whose shifts bring the images into step best: first among defoci, then with astigmatism about a few of the best.
    fn search(&self, disk: &Disk, plan: &DirectPlan) -> Matrix {
        let k0 = plan.convergence_mrad * 1e-3 / wavelength_A(plan.voltage_kV);
        let field = [0, 1].map(|a| plan.scan.shape[a] as f64 * plan.scan.step_A[a] * k0).into_iter().fold(f64::INFINITY, f64::min);
        let highest = self.frequencies.iter().map(|q| q[0].hypot(q[1])).fold(0.0, f64::max);
        let step = 0.25 / highest.max(1e-9);
        let count = (0.25 * field / step).ceil().min(1000.0) as i64;
        // The middle of what was given, so that a large known defocus is found too.
        let given = 2.0 * disk.focus(plan.defocus_A);
        let defoci = (-2 * count..=2 * count).map(|n| {
            let s = if n.abs() <= count { n as f64 * step } else { given + (n - n.signum() * count) as f64 * step };
            [s, 0.0, 0.0, s]
        });
        let mut defoci = self.powers(defoci.collect(), MOST_FREQUENCIES);
        defoci.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut best: Vec<f64> = Vec::new();
        for (_, [s, ..]) in defoci {
            if best.len() < DEFOCI && best.iter().all(|b| (b - s).abs() > 2.5 * step) {
                best.push(s);
            }
        }
        let [around, astigmatic] = [-2..=2, -4..=4].map(|range: std::ops::RangeInclusive<i32>| range.map(f64::from).collect::<Vec<_>>());
        let mut near = Vec::new();
        for s in best {
            for n in &around {
                for a in &astigmatic {
                    for b in &astigmatic {
                        let (s, [a, b]) = (s + n * step, [a, b].map(|x| x * ASTIGMATISM_STEP));
                        near.push([s - a, b, b, s + a]);
                    }
                }
            }
        }
        // The first among equals.
        let powers = self.powers(near, MOST_FREQUENCIES / 4);
        powers.into_iter().fold((f64::NEG_INFINITY, [0.0; 4]), |best, here| if here.0 > best.0 { here } else { best }).1
    }

    /// Each matrix with its power at so many of the brightest frequencies.
    fn powers(&self, matrices: Vec<Matrix>, frequencies: usize) -> Vec<(f64, Matrix)> {
        let brightest = &self.brightest[..frequencies.min(self.brightest.len())];
        matrices.into_par_iter().map(|m| (self.power(m, brightest), m)).collect()
    }

    /// The shifted spectrum of a cell.
    fn shifted(&self, cell: usize, matrix: Matrix) -> impl Iterator<Item = Complex64> {
        let shift = times(matrix, self.tilts[cell]);
        self.spectra[cell]
            .iter()
            .zip(&self.frequencies)
            .map(move |(z, q)| if *z == Complex64::ZERO { *z } else { z * Complex64::cis(-TAU * dot(shift, *q)) })
    }

    fn sum(&self, matrix: Matrix) -> Vec<Complex64> {
        let mut sum = vec![Complex64::ZERO; self.frequencies.len()];
        for cell in 0..self.tilts.len() {
            sum.iter_mut().zip(self.shifted(cell, matrix)).for_each(|(s, z)| *s += z);
        }
        sum
    }

    /// The power of the images' sum at these frequencies.
    fn power(&self, matrix: Matrix, frequencies: &[usize]) -> f64 {
        let shifts: Vec<[f64; 2]> = self.tilts.iter().map(|t| times(matrix, *t)).collect();
        let sum = |f: usize| {
            let q = self.frequencies[f];
            let shown = self.spectra.iter().zip(&shifts).filter(|(cell, _)| cell[f] != Complex64::ZERO);
            shown.map(|(cell, shift)| cell[f] * Complex64::cis(-TAU * dot(*shift, q))).sum::<Complex64>()
        };
        frequencies.iter().map(|&f| sum(f).norm_sqr()).sum()
    }

    /// Each cell's slope of the power with respect to the elements of S, and the curvature of all, of frequencies up to `reach`.
    fn slopes(&self, matrix: Matrix, reach: f64) -> (Vec<Matrix>, [[f64; 4]; 4]) {
        let sum = self.sum(matrix);
        let mut curvature = [[0.0; 4]; 4];
        let slopes = (0..self.tilts.len())
            .map(|cell| {
                let tilt = self.tilts[cell];
                let (mut slope, mut bend) = ([0.0; 2], [[0.0; 2]; 2]);
                for ((z, sum), q) in self.shifted(cell, matrix).zip(&sum).zip(&self.frequencies) {
                    if q[0].hypot(q[1]) > reach {
                        continue;
                    }
                    // Against all others.
                    let product = (sum - z).conj() * z;
                    for i in 0..2 {
                        slope[i] += TAU * q[i] * product.im;
                        for j in 0..2 {
                            bend[i][j] += TAU * TAU * q[i] * q[j] * product.re;
                        }
                    }
                }
                for a in 0..4 {
                    for b in 0..4 {
                        curvature[a][b] += bend[a / 2][b / 2] * tilt[a % 2] * tilt[b % 2];
                    }
                }
                [slope[0] * tilt[0], slope[0] * tilt[1], slope[1] * tilt[0], slope[1] * tilt[1]]
            })
            .collect();
        (slopes, curvature)
    }

    /// Newton's steps to the nearest maximum of the power, damped where it does not bend as a maximum does.
    fn refine(&self, mut matrix: Matrix, reach: f64) -> Matrix {
        let highest = self.frequencies.iter().map(|q| q[0].hypot(q[1])).fold(0.0, f64::max);
        let reach = reach * highest;
        for _ in 0..30 {
            let (slopes, curvature) = self.slopes(matrix, reach);
            let slope = slopes.iter().fold([0.0; 4], |s, t| std::array::from_fn(|i| s[i] + t[i]));
            let Some(inverse) = damped_inverse(curvature) else { break };
            let step: Matrix = std::array::from_fn(|i| (0..4).map(|j| inverse[i][j] * slope[j]).sum());
            let size = step.iter().fold(0.0, |m: f64, s| m.max(s.abs()));
            // A step shifts an image at the rim by no more than an eighth of the finest period.
            let limit = 0.125 / reach.max(1e-9);
            let share = if size > limit { limit / size } else { 1.0 };
            matrix = std::array::from_fn(|i| matrix[i] + share * step[i]);
            if size < 1e-7 {
                break;
            }
        }
        matrix
    }

    /// The matrix in Å and degrees, with errors from the spread of the cells' slopes about their sum of 0.
    fn report(&self, matrix: Matrix, disk: &Disk, plan: &DirectPlan) -> Fit {
        let (slopes, curvature) = self.slopes(matrix, f64::INFINITY);
        let count = slopes.len() as f64;
        let inverse = inverse(curvature);
        let covariance = inverse.filter(|_| count > 4.0).map(|inverse| {
            let steps: Vec<Matrix> = slopes.iter().map(|s| std::array::from_fn(|i| (0..4).map(|j| inverse[i][j] * s[j]).sum())).collect();
            let product = |i: usize, j: usize| steps.iter().map(|s| s[i] * s[j]).sum::<f64>() * count / (count - 4.0);
            std::array::from_fn::<[f64; 4], 4, _>(|i| std::array::from_fn(|j| product(i, j)))
        });
        // Of a combination of the elements.
        let error = |weights: Matrix| {
            covariance.map_or(f64::INFINITY, |c| {
                let places = (0..4).flat_map(|i| (0..4).map(move |j| (i, j)));
                places.map(|(i, j)| weights[i] * weights[j] * c[i][j]).sum::<f64>().max(0.0).sqrt()
            })
        };
        let unit = disk.defocus_unit_A;
        let half = |weights: Matrix| weights.map(|w| 0.5 * w);
        let of = |weights: Matrix| (0..4).map(|i| weights[i] * matrix[i]).sum::<f64>();
        // S = α²/λ·[[C10 − a, b − w], [b + w, C10 + a]] with a, b = C12·(cos, sin) 2φ12 and w = C10·sin of the rotation that is left.
        let [focus, a, b, w] =
            [half([1.0, 0.0, 0.0, 1.0]), half([-1.0, 0.0, 0.0, 1.0]), half([0.0, 1.0, 1.0, 0.0]), half([0.0, -1.0, 1.0, 0.0])];
        let (c10, astigmatism) = (of(focus) * unit, [of(a) * unit, of(b) * unit]);
        let size = astigmatism[0].hypot(astigmatism[1]);
        let angle = astigmatism[1].atan2(astigmatism[0]);
        let (sin, cos) = angle.sin_cos();
        let along = |c: f64, s: f64| std::array::from_fn(|i| c * a[i] + s * b[i]);
        let across_error = error(along(-sin, cos)) * unit;
        let turned = (of(w) * unit).atan2(c10.abs()) * c10.signum();
        let focus_error = error(focus);
        // Sums of waves of random phases have a mean power of Σ|z|², which is also its standard deviation, frequency by frequency.
        let (mut coherent, mut chance) = (0.0, 0.0);
        for (f, sum) in self.sum(matrix).iter().enumerate() {
            let incoherent: f64 = self.spectra.iter().map(|cell| cell[f].norm_sqr()).sum();
            coherent += sum.norm_sqr() - incoherent;
            chance += incoherent * incoherent;
        }
        Fit {
            defocus_A: -c10,
            defocus_error_A: focus_error * unit,
            C12_A: size,
            C12_error_A: error(along(cos, sin)) * unit,
            phi12_deg: 0.5 * angle.to_degrees(),
            phi12_error_deg: (0.5 * (across_error / size.max(f64::MIN_POSITIVE)).to_degrees()).min(90.0),
            rotation_deg: plan.scan.rotation_deg - turned.to_degrees(),
            rotation_error_deg: (error(w) / of(focus).abs().max(f64::MIN_POSITIVE)).to_degrees().min(180.0),
            determined: focus_error < 0.25 && coherent > SIGNIFICANT * chance.sqrt(),
        }
    }
}

impl Fit {
    /// The aberrations of a plan with what was fitted in their place, without defocus.
    pub(super) fn aberrations(&self, given: &Aberrations) -> Aberrations {
        let kept = given.terms.iter().filter(|t| (t.n, t.m) != (1, 2) && (t.n, t.m) != (1, 0)).copied();
        let fitted = Aberration { n: 1, m: 2, magnitude_A: self.C12_A, angle_deg: self.phi12_deg };
        Aberrations { terms: kept.chain([fitted]).collect() }
    }
}

/// The inverse of a curvature, which away from a maximum need not be positive: as much of its largest element is added to the diagonal as makes it so.
fn damped_inverse(curvature: [[f64; 4]; 4]) -> Option<[[f64; 4]; 4]> {
    let largest = curvature.iter().flatten().fold(0.0, |m: f64, c| m.max(c.abs()));
    [0.0, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0].into_iter().find_map(|share| {
        let mut damped = curvature;
        (0..4).for_each(|i| damped[i][i] += share * largest);
        inverse(damped)
    })
}

/// The inverse of a positive definite matrix, by Gauss and Jordan.
fn inverse(mut a: [[f64; 4]; 4]) -> Option<[[f64; 4]; 4]> {
    let mut out = std::array::from_fn::<[f64; 4], 4, _>(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))));
    let largest = (0..4).map(|i| a[i][i]).fold(0.0, f64::max);
    for k in 0..4 {
        let pivot = a[k][k];
        if pivot.is_nan() || pivot <= 1e-12 * largest {
            return None;
        }
        for j in 0..4 {
            a[k][j] /= pivot;
            out[k][j] /= pivot;
        }
        for i in (0..4).filter(|i| *i != k) {
            let factor = a[i][k];
            for j in 0..4 {
                a[i][j] -= factor * a[k][j];
                out[i][j] -= factor * out[k][j];
            }
        }
    }
    Some(out)
}
