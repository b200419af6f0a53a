//! An image's waves, at any frequency.

use std::f64::consts::TAU;

use num_complex::Complex64;
use rayon::prelude::*;

use super::lattice::Field;
use super::noise::SIDES;
use crate::analysis::Result;
use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::optics::smooth;

/// An image faded towards its edges, with the mean taken out, and where its pixels lie.
pub(super) struct Waves {
    values: Vec<f64>,
    shape: [usize; 2],
    pixel_A: [f64; 2],
    /// Fine enough to be interpolated; none of a field so large that it would take too much room.
    spectrum: Option<Spectrum>,
}

/// Σ φ·e^{−2πi g·(r − middle)} on a grid of frequencies four times as fine as the field's.
struct Spectrum {
    values: Vec<Complex64>,
    shape: [usize; 2],
}

/// The longest side of a spectrum.
const LONGEST: usize = 2304;

impl Waves {
    /// # Errors
    /// If there is no room for the transform.
    pub(super) fn new(field: &Field<'_>) -> Result<Self> {
        let [wy, wx] = field.shape.map(|n| (0..n).map(|i| 0.5 - 0.5 * (TAU * (i as f64 + 0.5) / n as f64).cos()).collect::<Vec<f64>>());
        let weight = |at: usize| wy[at / field.shape[1]] * wx[at % field.shape[1]];
        let sum: f64 = (0..field.values.len()).map(weight).sum();
        let mean = field.values.iter().enumerate().map(|(at, v)| v * weight(at)).sum::<f64>() / sum;
        let values: Vec<f64> = field.values.iter().enumerate().map(|(at, v)| (v - mean) * weight(at)).collect();
        let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        let values: Vec<f64> = values.iter().map(|v| v / norm).collect();
        let fine = field.shape.map(|n| smooth(4 * n, &SIDES));
        let spectrum = if fine.iter().all(|n| *n <= LONGEST) { Some(Spectrum::of(&values, field.shape, fine)?) } else { None };
        Ok(Self { values, shape: field.shape, pixel_A: field.pixel_A, spectrum })
    }

    /// The field's sides in Å.
    pub(super) fn side_A(&self) -> [f64; 2] {
        [0, 1].map(|a| self.shape[a] as f64 * self.pixel_A[a])
    }

    /// Waves to about a thousandth of the largest, in a time that does not grow with a field whose spectrum there is room for.
    pub(super) fn near(&self, of: &[[f64; 2]]) -> Vec<Complex64> {
        let Some(spectrum) = &self.spectrum else { return of.par_iter().map(|&g| self.at(g)).collect() };
        let wave = |g: &[f64; 2]| {
            let cycles = [0, 1].map(|a| g[a] * self.pixel_A[a]);
            let turns: f64 = (0..2).map(|a| cycles[a] * (self.shape[a] / 2) as f64).sum();
            spectrum.at(cycles) * Complex64::cis(-TAU * turns)
        };
        of.iter().map(wave).collect()
    }

    /// Σ φ·e^{−2πi g·r}.
    fn at(&self, g: [f64; 2]) -> Complex64 {
        let turn = |axis: usize| {
            let step = Complex64::cis(-TAU * g[axis] * self.pixel_A[axis]);
            std::iter::successors(Some(Complex64::ONE), move |z| Some(z * step))
        };
        let along: Vec<Complex64> = turn(1).take(self.shape[1]).collect();
        let row = |values: &[f64]| values.iter().zip(&along).map(|(v, z)| z * v).sum::<Complex64>();
        self.values.chunks_exact(self.shape[1]).zip(turn(0)).map(|(values, z)| z * row(values)).sum()
    }
}

impl Spectrum {
    fn of(values: &[f64], shape: [usize; 2], fine: [usize; 2]) -> Result<Self> {
        let mut padded = vec![Complex64::ZERO; fine[0] * fine[1]];
        let place = |k: usize, a: usize| (k + fine[a] - shape[a] / 2) % fine[a];
        for (at, value) in values.iter().enumerate() {
            padded[place(at / shape[1], 0) * fine[1] + place(at % shape[1], 1)] = Complex64::from(*value);
        }
        let scale = ((fine[0] * fine[1]) as f64).sqrt();
        let mut values = transformed(&padded, fine, Direction::Forward)?;
        values.iter_mut().for_each(|z| *z *= scale);
        Ok(Self { values, shape: fine })
    }

    /// By cubic polynomials through four points along each axis; frequencies in cycles a pixel.
    fn at(&self, cycles: [f64; 2]) -> Complex64 {
        let place = [0, 1].map(|a| cycles[a] * self.shape[a] as f64);
        let [y, x] = place.map(|p| {
            let t = p - p.floor();
            [
                -t * (t - 1.0) * (t - 2.0) / 6.0,
                (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
                -(t + 1.0) * t * (t - 2.0) / 2.0,
                (t + 1.0) * t * (t - 1.0) / 6.0,
            ]
        });
        let index = |a: usize, n: usize| (place[a].floor() as i64 + n as i64 - 1).rem_euclid(self.shape[a] as i64) as usize;
        let columns = [0, 1, 2, 3].map(|n| index(1, n));
        let row = |n: usize| {
            let row = &self.values[index(0, n) * self.shape[1]..][..self.shape[1]];
            columns.iter().zip(x).map(|(k, x)| row[*k] * x).sum::<Complex64>()
        };
        (0..4).map(|n| row(n) * y[n]).sum()
    }
}

/// The vectors of reciprocal space that a matrix takes those of the crystal to: M⁻ᵀ·g.
pub(super) fn turned(matrix: [[f64; 2]; 2], g: [f64; 2]) -> [f64; 2] {
    let det = matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0];
    [(matrix[1][1] * g[0] - matrix[1][0] * g[1]) / det, (matrix[0][0] * g[1] - matrix[0][1] * g[0]) / det]
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn waves_between_pixels_of_the_spectrum_are_interpolated() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let (shape, pixel_A) = ([61, 74], [0.2, 0.23]);
        let values: Vec<f64> = (0..61 * 74).map(|_| rng.random_range(-1.0..1.0)).collect();
        let waves = Waves::new(&Field { values: &values, shape, pixel_A }).unwrap();
        let all: Vec<[f64; 2]> = (0..200).map(|_| [rng.random_range(-2.4..2.4), rng.random_range(-2.1..2.1)]).collect();
        let size = (all.iter().map(|g| waves.at(*g).norm_sqr()).sum::<f64>() / 200.0).sqrt();
        for (g, near) in all.iter().zip(waves.near(&all)) {
            // 3/128·(π/4)⁴ = 0.009 of what lies at the field's edges, where Hann's window leaves next to nothing; the mean over the field is a twentieth of it.
            assert!((near - waves.at(*g)).norm() < 0.005 * size, "{g:?}: {near} instead of {}", waves.at(*g));
        }
    }
}
