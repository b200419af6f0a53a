//! An image's waves, at any frequency.

use std::f64::consts::TAU;

use num_complex::Complex64;

use super::lattice::Field;

/// An image faded towards its edges, with the mean taken out, and where its pixels lie.
pub(super) struct Waves {
    pub(super) values: Vec<f64>,
    pub(super) shape: [usize; 2],
    pub(super) pixel_A: [f64; 2],
}

impl Waves {
    pub(super) fn new(field: &Field<'_>) -> Self {
        let [wy, wx] = field.shape.map(|n| (0..n).map(|i| 0.5 - 0.5 * (TAU * (i as f64 + 0.5) / n as f64).cos()).collect::<Vec<f64>>());
        let weight = |at: usize| wy[at / field.shape[1]] * wx[at % field.shape[1]];
        let sum: f64 = (0..field.values.len()).map(weight).sum();
        let mean = field.values.iter().enumerate().map(|(at, v)| v * weight(at)).sum::<f64>() / sum;
        let values: Vec<f64> = field.values.iter().enumerate().map(|(at, v)| (v - mean) * weight(at)).collect();
        let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        Self { values: values.iter().map(|v| v / norm).collect(), shape: field.shape, pixel_A: field.pixel_A }
    }

    /// Σ φ·e^{−2πi g·r}.
    pub(super) fn at(&self, g: [f64; 2]) -> Complex64 {
        let turn = |axis: usize| {
            let step = Complex64::cis(-TAU * g[axis] * self.pixel_A[axis]);
            std::iter::successors(Some(Complex64::ONE), move |z| Some(z * step))
        };
        let along: Vec<Complex64> = turn(1).take(self.shape[1]).collect();
        let row = |values: &[f64]| values.iter().zip(&along).map(|(v, z)| z * v).sum::<Complex64>();
        self.values.chunks_exact(self.shape[1]).zip(turn(0)).map(|(values, z)| z * row(values)).sum()
    }
}

/// The vectors of reciprocal space that a matrix takes those of the crystal to: M⁻ᵀ·g.
pub(super) fn turned(matrix: [[f64; 2]; 2], g: [f64; 2]) -> [f64; 2] {
    let det = matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0];
    [(matrix[1][1] * g[0] - matrix[1][0] * g[1]) / det, (matrix[0][0] * g[1] - matrix[0][1] * g[0]) / det]
}
