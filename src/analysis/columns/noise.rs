//! What noise looks like that is the same everywhere: its power spectrum, from images of nothing but noise.

use num_complex::Complex64;

use super::lattice::Field;
use crate::analysis::Result;
use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::optics::smooth;

/// The prime factors of padded sides.
pub(super) const SIDES: [usize; 4] = [2, 3, 5, 7];

/// The autocovariance of stationary noise.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    /// Of lags (y, x), each from −reach to reach pixels.
    covariance: Vec<f64>,
    reach: [usize; 2],
    pub pixel_A: [f64; 2],
}

/// Lags beyond this are faded out, and end at the second one.
const FADES_A: [f64; 2] = [5.0, 8.0];

impl Noise {
    /// From images of one and the same thing that differ by noise alone, each pixel's mean taken out. `margin_A` is left out along the edges; `None` of fewer than two images or too small ones.
    ///
    /// # Errors
    /// If there is no room.
    pub fn of(draws: &[Field<'_>], margin_A: f64) -> Result<Option<Self>> {
        let Some(first) = draws.first().filter(|_| draws.len() > 1) else { return Ok(None) };
        let (pixel_A, full) = (first.pixel_A, first.shape);
        let margin = [0, 1].map(|a| (margin_A / pixel_A[a]).round() as usize);
        if (0..2).any(|a| full[a] < 2 * margin[a] + 8) {
            return Ok(None);
        }
        let shape = [0, 1].map(|a| full[a] - 2 * margin[a]);
        let cropped = |field: &Field<'_>| {
            (0..shape[0]).flat_map(|i| field.values[(i + margin[0]) * full[1] + margin[1]..][..shape[1]].to_vec()).collect::<Vec<f64>>()
        };
        let images: Vec<Vec<f64>> = draws.iter().map(cropped).collect();
        let count = images.len() as f64;
        let mean: Vec<f64> = (0..shape[0] * shape[1]).map(|at| images.iter().map(|v| v[at]).sum::<f64>() / count).collect();
        let padded = shape.map(|n| smooth(2 * n, &SIDES));
        let power = |values: &[f64]| -> Result<Vec<f64>> {
            let mut wide = vec![Complex64::ZERO; padded[0] * padded[1]];
            for (i, row) in values.chunks_exact(shape[1]).enumerate() {
                wide[i * padded[1]..][..row.len()].iter_mut().zip(row).for_each(|(w, v)| *w = Complex64::from(*v));
            }
            Ok(transformed(&wide, padded, Direction::Forward)?.iter().map(|z| z.norm_sqr()).collect())
        };
        let mut sum = vec![0.0; padded[0] * padded[1]];
        for image in &images {
            let rest: Vec<f64> = image.iter().zip(&mean).map(|(v, m)| v - m).collect();
            sum.iter_mut().zip(power(&rest)?).for_each(|(s, p)| *s += p);
        }
        let spectrum: Vec<Complex64> = sum.iter().map(|&p| Complex64::from(p)).collect();
        let products = transformed(&spectrum, padded, Direction::Inverse)?;
        let scale = ((padded[0] * padded[1]) as f64).sqrt() / (count - 1.0);
        let reach = [0, 1].map(|a| ((FADES_A[1] / pixel_A[a]) as usize).min(shape[a] - 1));
        let mut covariance = Vec::new();
        for dy in -(reach[0] as i64)..=reach[0] as i64 {
            for dx in -(reach[1] as i64)..=reach[1] as i64 {
                let at = [dy.rem_euclid(padded[0] as i64) as usize, dx.rem_euclid(padded[1] as i64) as usize];
                let pairs = ((shape[0] as i64 - dy.abs()) * (shape[1] as i64 - dx.abs())) as f64;
                let away = (dy as f64 * pixel_A[0]).hypot(dx as f64 * pixel_A[1]);
                let fade = ((FADES_A[1] - away) / (FADES_A[1] - FADES_A[0])).clamp(0.0, 1.0);
                covariance.push(products[at[0] * padded[1] + at[1]].re * scale / pairs * (0.5 - 0.5 * (std::f64::consts::PI * fade).cos()));
            }
        }
        Ok(Some(Self { covariance, reach, pixel_A }))
    }

    /// White noise of this standard deviation.
    pub fn white(deviation: f64, pixel_A: [f64; 2]) -> Self {
        Self { covariance: vec![deviation * deviation], reach: [0, 0], pixel_A }
    }

    /// The standard deviation of a pixel.
    pub fn deviation(&self) -> f64 {
        self.covariance[self.covariance.len() / 2].max(0.0).sqrt()
    }

    /// Of two pixels so many pixels apart (y, x).
    pub(super) fn covariance(&self, lag: [i64; 2]) -> f64 {
        if (0..2).any(|a| lag[a].unsigned_abs() as usize > self.reach[a]) {
            return 0.0;
        }
        let at = [0, 1].map(|a| (lag[a] + self.reach[a] as i64) as usize);
        self.covariance[at[0] * (2 * self.reach[1] + 1) + at[1]]
    }

    /// The variance of each Fourier coefficient (unitary) of a grid that repeats itself, FFT order; none below 0.
    ///
    /// # Errors
    /// If there is no room.
    pub fn spectrum(&self, shape: [usize; 2]) -> Result<Vec<f64>> {
        let mut kernel = vec![Complex64::ZERO; shape[0] * shape[1]];
        let width = 2 * self.reach[1] + 1;
        for (n, value) in self.covariance.iter().enumerate() {
            let lag = [n / width, n % width];
            let at = [0, 1].map(|a| (lag[a] as i64 - self.reach[a] as i64).rem_euclid(shape[a] as i64) as usize);
            kernel[at[0] * shape[1] + at[1]] += value;
        }
        let scale = ((shape[0] * shape[1]) as f64).sqrt();
        Ok(transformed(&kernel, shape, Direction::Forward)?.iter().map(|z| (z.re * scale).max(0.0)).collect())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::*;

    #[test]
    fn the_spectrum_of_correlated_noise_is_found_from_draws() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let normal = Normal::new(0.0, 1.0).unwrap();
        let (shape, pixel_A) = ([64, 60], [0.2, 0.2]);
        // A moving mean over three columns: variance 1/3 a pixel, covariances 2/9 and 1/9 along x.
        let draws: Vec<Vec<f64>> = (0..60)
            .map(|_| {
                let white: Vec<f64> = (0..64 * 62).map(|_| normal.sample(&mut rng)).collect();
                (0..64 * 60).map(|at| (0..3).map(|k| white[at / 60 * 62 + at % 60 + k]).sum::<f64>() / 3.0 + (at % 7) as f64).collect()
            })
            .collect();
        let fields: Vec<Field<'_>> = draws.iter().map(|values| Field { values, shape, pixel_A }).collect();
        let noise = Noise::of(&fields, 0.4).unwrap().unwrap();
        // 40000 pixels, a third of them independent.
        assert!((noise.deviation() - (1f64 / 3.0).sqrt()).abs() < 0.02, "{}", noise.deviation());
        let spectrum = noise.spectrum([90, 96]).unwrap();
        let mean = spectrum.iter().sum::<f64>() / spectrum.len() as f64;
        assert!((mean - 1.0 / 3.0).abs() < 0.03, "{mean}");
        for (k, expected) in [(0, 1.0), (24, 1.0 / 9.0), (48, 1.0 / 9.0)] {
            // (1 + 2 cos 2πk/96)²/9 along x, the mean over all rows: some 3000 independent numbers and those at far lags, which are few, within about 3 %.
            let found = (0..90).map(|row| spectrum[row * 96 + k]).sum::<f64>() / 90.0;
            assert!((found - expected).abs() < 0.12, "{k}: {found} instead of {expected}");
        }
    }
}
