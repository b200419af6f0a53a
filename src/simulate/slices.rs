//! The potential of a specimen, slice by slice.

use std::f64::consts::{PI, TAU};

use num_complex::Complex64;
use rayon::prelude::*;

use super::Result;
use super::elements::{Element, Parametrisation};
use super::specimen::Atom;
use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::optics::{fft_index, smooth};

/// Where slices lie: square pixels, pixel (0, 0) at `origin_A` (y, x). The grid repeats itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    pub shape: [usize; 2],
    pub pixel_A: f64,
    pub origin_A: [f64; 2],
}

/// Points of the finer grid that an atom is spread over along an axis: with a grid finer by half the spectrum is right to 1e-6 (A. H. Barnett et al., SIAM J. Sci. Comput. 41 (2019) C479).
const SPREAD: usize = 9;
const FINER: f64 = 1.5;

/// Waves and slices have no frequencies beyond this part of Nyquist's, so that their products do not fold back (E. J. Kirkland, Advanced Computing in Electron Microscopy, section 6.8).
pub(super) const BAND: f64 = 2.0 / 3.0;

/// Spreads points over a grid and corrects the spectrum for it.
struct Spreading {
    fine: [usize; 2],
    /// Of each axis, one over the kernel's transform at the frequencies of the grid, FFT order.
    corrections: [Vec<f64>; 2],
}

impl Spreading {
    fn new(shape: [usize; 2]) -> Self {
        let fine = shape.map(|n| even((FINER * n as f64).ceil() as usize));
        let corrections = [0, 1].map(|axis| {
            // The kernel's transform by the midpoint rule, of which the kernel's flat ends leave nothing.
            const NODES: usize = 400;
            let width = SPREAD as f64;
            let nodes: Vec<(f64, f64)> = (0..NODES)
                .map(|i| (i as f64 + 0.5) / NODES as f64 - 0.5)
                .map(|u| (u * width, kernel(u * width) * width / NODES as f64))
                .collect();
            (0..shape[axis])
                .map(|k| {
                    let f = fft_index(k, shape[axis]) / fine[axis] as f64;
                    1.0 / nodes.iter().map(|(x, w)| w * (TAU * f * x).cos()).sum::<f64>()
                })
                .collect()
        });
        Self { fine, corrections }
    }

    /// Σ e^{−2πi k·r} over points r in parts of the grid, at the grid's frequencies, FFT order.
    fn spectrum(&self, points: &[[f64; 2]], shape: [usize; 2]) -> Result<Vec<Complex64>> {
        let [ny, nx] = self.fine;
        let mut grid = vec![Complex64::ZERO; ny * nx];
        for point in points {
            let [(first_y, along_y), (first_x, along_x)] = [0, 1].map(|axis| {
                let at = point[axis].rem_euclid(1.0) * self.fine[axis] as f64;
                let first = (at - SPREAD as f64 / 2.0).ceil();
                (first as i64, std::array::from_fn::<f64, SPREAD, _>(|i| kernel(first + i as f64 - at)))
            });
            for (j, wy) in along_y.iter().enumerate() {
                let row = (first_y + j as i64).rem_euclid(ny as i64) as usize * nx;
                for (i, wx) in along_x.iter().enumerate() {
                    grid[row + (first_x + i as i64).rem_euclid(nx as i64) as usize].re += wy * wx;
                }
            }
        }
        let fine = transformed(&grid, self.fine, Direction::Forward)?;
        let scale = ((ny * nx) as f64).sqrt();
        let place = |k: usize, axis: usize| (fft_index(k, shape[axis]) as i64).rem_euclid(self.fine[axis] as i64) as usize;
        let mut out = Vec::with_capacity(shape[0] * shape[1]);
        for ky in 0..shape[0] {
            let row = place(ky, 0) * nx;
            let factor = self.corrections[0][ky] * scale;
            out.extend((0..shape[1]).map(|kx| fine[row + place(kx, 1)] * (factor * self.corrections[1][kx])));
        }
        Ok(out)
    }
}

/// e^{β(√(1 − z²) − 1)}, z = 1 at the ends, of a distance in points of the finer grid.
fn kernel(x: f64) -> f64 {
    // Barnett et al.: β = γπw(1 − 1/2σ) with γ = 0.97.
    let beta = 0.97 * PI * SPREAD as f64 * (1.0 - 0.5 / FINER);
    let z = 2.0 * x / SPREAD as f64;
    if z.abs() >= 1.0 { 0.0 } else { (beta * ((1.0 - z * z).sqrt() - 1.0)).exp() }
}

/// The smallest even number from `n` on whose half has no prime factors above 5.
pub(super) fn even(n: usize) -> usize {
    2 * smooth(n.div_ceil(2), &[2, 3, 5])
}

/// How atoms make a potential.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scattering {
    pub fit: Parametrisation,
    /// Blur each atom by its Debye–Waller factor.
    pub blurred: bool,
    /// The interaction constant in rad/(V·Å).
    pub interaction: f64,
}

/// Which of the slices an atom lies in.
pub(super) fn slice_of(atom: &Atom, thickness_A: f64, slices: usize) -> usize {
    ((atom.z_A / thickness_A * slices as f64).floor().max(0.0) as usize).min(slices - 1)
}

/// The slices of a specimen's potential, each made when it is asked for.
pub(super) struct Slicing<'a> {
    /// Of each slice, of each kind of atom, their places in parts of the grid.
    points: Vec<Vec<(usize, Vec<[f64; 2]>)>>,
    /// Atoms of one element that move alike scatter alike.
    kinds: Vec<Radial>,
    spreading: Spreading,
    frequencies: [Vec<f64>; 2],
    grid: &'a Grid,
}

impl<'a> Slicing<'a> {
    /// Atoms beyond the grid are left out.
    pub(super) fn new(atoms: &[Atom], slices: usize, thickness_A: f64, grid: &'a Grid, scattering: Scattering) -> Self {
        let [ny, nx] = grid.shape;
        let frequencies = grid.shape.map(|n| (0..n).map(|k| fft_index(k, n) / (n as f64 * grid.pixel_A)).collect::<Vec<_>>());
        // A unitary transform divides by √(pixels), the integral over the box by its area.
        let scale = scattering.interaction / (grid.pixel_A * grid.pixel_A * ((ny * nx) as f64).sqrt());
        let mut known: Vec<(Element, f64)> = Vec::new();
        let mut points: Vec<Vec<(usize, Vec<[f64; 2]>)>> = vec![Vec::new(); slices];
        for atom in atoms {
            let at =
                [(atom.y_A - grid.origin_A[0]) / (ny as f64 * grid.pixel_A), (atom.x_A - grid.origin_A[1]) / (nx as f64 * grid.pixel_A)];
            if at.iter().any(|x| !(0.0..1.0).contains(x)) {
                continue;
            }
            let kind = (atom.element, if scattering.blurred { atom.b_A2 } else { 0.0 });
            let kind = known.iter().position(|k| *k == kind).unwrap_or_else(|| {
                known.push(kind);
                known.len() - 1
            });
            let slice = &mut points[slice_of(atom, thickness_A, slices)];
            match slice.iter_mut().find(|of| of.0 == kind) {
                Some(of) => of.1.push(at),
                None => slice.push((kind, vec![at])),
            }
        }
        let kinds = known.iter().map(|&(element, b_A2)| Radial::new(element, scattering.fit, b_A2, scale, &frequencies)).collect();
        Self { points, kinds, spreading: Spreading::new(grid.shape), frequencies, grid }
    }

    /// σ·∫V dz of a slice in rad: φ̂(q) = σ Σ V̂(q)·e^{−2πi q·r} over its atoms, up to the grid's Nyquist frequency along each axis.
    ///
    /// # Errors
    /// If there is no room.
    pub(super) fn phase(&self, slice: usize) -> Result<Vec<f64>> {
        let shape @ [ny, nx] = self.grid.shape;
        let mut spectrum = vec![Complex64::ZERO; ny * nx];
        for (kind, points) in &self.points[slice] {
            let (structure, radial) = (self.spreading.spectrum(points, shape)?, &self.kinds[*kind]);
            for (ky, qy) in self.frequencies[0].iter().enumerate() {
                let row = ky * nx..(ky + 1) * nx;
                for ((sum, s), qx) in spectrum[row.clone()].iter_mut().zip(&structure[row]).zip(&self.frequencies[1]) {
                    *sum += s * radial.at(qy * qy + qx * qx);
                }
            }
        }
        Ok(transformed(&spectrum, shape, Direction::Inverse)?.iter().map(|v| v.re).collect())
    }
}

/// σ·∫V dz of all slices in rad; atoms beyond the grid are left out.
///
/// # Errors
/// If there is no room.
pub fn slice_phases(atoms: &[Atom], slices: usize, thickness_A: f64, grid: &Grid, scattering: Scattering) -> Result<Vec<Vec<f64>>> {
    let slicing = Slicing::new(atoms, slices, thickness_A, grid, scattering);
    (0..slices).into_par_iter().map(|slice| slicing.phase(slice)).collect()
}

/// What an atom adds to a phase's spectrum, tabulated by q.
struct Radial {
    values: Vec<f64>,
    per_step: f64,
}

impl Radial {
    fn new(element: Element, fit: Parametrisation, b_A2: f64, scale: f64, frequencies: &[Vec<f64>; 2]) -> Self {
        const STEPS: usize = 8192;
        let farthest = |axis: &Vec<f64>| axis.iter().fold(0.0f64, |most, q| most.max(q.abs()));
        let largest = farthest(&frequencies[0]).hypot(farthest(&frequencies[1]));
        let per_step = STEPS as f64 / largest;
        let values = (0..STEPS + 4).map(|i| scale * element.potential(fit, (i as f64 / per_step).powi(2), b_A2)).collect();
        Self { values, per_step }
    }

    /// By a parabola through three neighbours.
    fn at(&self, q2: f64) -> f64 {
        let at = q2.sqrt() * self.per_step;
        let n = (at as usize).clamp(1, self.values.len() - 2);
        let t = at - n as f64;
        let [a, b, c] = [self.values[n - 1], self.values[n], self.values[n + 1]];
        b + t * (0.5 * (c - a) + 0.5 * t * (a - 2.0 * b + c))
    }
}

/// e^{iφ} without the frequencies beyond two thirds of Nyquist's.
///
/// # Errors
/// If there is no room.
pub fn transmission(phase: &[f64], shape: [usize; 2]) -> Result<Vec<Complex64>> {
    let waves: Vec<Complex64> = phase.iter().map(|&p| Complex64::cis(p)).collect();
    let mut spectrum = transformed(&waves, shape, Direction::Forward)?;
    for ky in 0..shape[0] {
        let y = fft_index(ky, shape[0]) / shape[0] as f64;
        for kx in 0..shape[1] {
            let x = fft_index(kx, shape[1]) / shape[1] as f64;
            if y.hypot(x) > BAND / 2.0 {
                spectrum[ky * shape[1] + kx] = Complex64::ZERO;
            }
        }
    }
    Ok(transformed(&spectrum, shape, Direction::Inverse)?)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn slices_equal_the_sum_over_atoms_done_one_by_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let grid = Grid { shape: [60, 50], pixel_A: 0.13, origin_A: [-2.3, 1.1] };
        let elements = ["Na", "Sb", "O"].map(|s| Element::of(s).unwrap());
        let atoms: Vec<Atom> = (0..40)
            .map(|n| Atom {
                element: elements[n % 3],
                z_A: rng.random_range(0.0..6.0),
                y_A: rng.random_range(-2.3..5.4),
                x_A: rng.random_range(1.1..7.5),
                b_A2: [1.5, 0.4, 0.8][n % 3],
            })
            .collect();
        for (fit, blurred) in [(Parametrisation::Kirkland, true), (Parametrisation::Lobato, false)] {
            let scattering = Scattering { fit, blurred, interaction: 7e-4 };
            let found = slice_phases(&atoms, 3, 6.0, &grid, scattering).unwrap();
            for (s, found) in found.iter().enumerate() {
                let mut spectrum = vec![Complex64::ZERO; 60 * 50];
                for atom in atoms.iter().filter(|a| (2.0 * s as f64..2.0 * s as f64 + 2.0).contains(&a.z_A)) {
                    for (k, sum) in spectrum.iter_mut().enumerate() {
                        let q = [fft_index(k / 50, 60) / (60.0 * 0.13), fft_index(k % 50, 50) / (50.0 * 0.13)];
                        let turn = -TAU * (q[0] * (atom.y_A + 2.3) + q[1] * (atom.x_A - 1.1));
                        let v = atom.element.potential(fit, q[0] * q[0] + q[1] * q[1], if blurred { atom.b_A2 } else { 0.0 });
                        *sum += Complex64::from_polar(v * 7e-4 / (0.13 * 0.13 * 3000f64.sqrt()), turn);
                    }
                }
                let expected = transformed(&spectrum, grid.shape, Direction::Inverse).unwrap();
                let error = found.iter().zip(&expected).map(|(a, b)| (a - b.re).powi(2)).sum::<f64>();
                let size = expected.iter().map(|b| b.re * b.re).sum::<f64>();
                // What spreading leaves, 1e-6, and the table's steps.
                assert!((error / size).sqrt() < 5e-6, "slice {s}: {:.1e}", (error / size).sqrt());
            }
        }
    }

    #[test]
    fn a_transmission_function_has_nothing_beyond_its_band() {
        let phase: Vec<f64> = (0..48 * 36).map(|n| if n == 900 { 2.0 } else { 0.0 }).collect();
        let spectrum = transformed(&transmission(&phase, [48, 36]).unwrap(), [48, 36], Direction::Forward).unwrap();
        let beyond = |k: usize| (fft_index(k / 36, 48) / 48.0).hypot(fft_index(k % 36, 36) / 36.0) > 1.0 / 3.0;
        assert!(spectrum.iter().enumerate().all(|(k, v)| !beyond(k) || v.norm() < 1e-12));
        assert!(spectrum.iter().enumerate().any(|(k, v)| !beyond(k) && v.norm() > 0.01));
    }
}
