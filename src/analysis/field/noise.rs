//! The noise of an image, read from between its spots.

use std::f64::consts::TAU;

use num_complex::Complex64;

use super::super::Window;
use super::{Picture, Result};
use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::optics::fft_index;

/// The share of a ring's samples below which lies the value that the noise is taken from. The crystal's spots fill less than the rest.
const QUANTILE: f64 = 0.25;
/// A ring of fewer samples goes by the next one that has them.
const LEAST_SAMPLES: usize = 12;

/// The spectral density of an image's noise by spatial frequency, the same in all directions.
///
/// |F|² of noise is exponentially distributed about S. In each ring of the spectrum under the square of Hann's window (strong spots leak least from it) the lower quartile is taken, which is S·ln(4/3)
/// for noise alone and hardly feels spots and streaks that fill a part of the ring. What a disordered crystal scatters between its spots
/// counts as noise. In fields of a few tens of Å spots fill much of the innermost rings, and errors from there are told up to twice too
/// large.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    step_inverse_A: f64,
    /// At 0, 1, 2, … steps: the variance of a pixel if the noise were white.
    density: Vec<f64>,
}

impl Noise {
    /// # Errors
    /// If there is no room.
    pub fn of(picture: &Picture<'_>) -> Result<Self> {
        let (shape, side) = (picture.shape, picture.side_A());
        let weights = shape.map(|n| Window::Hann.weights(n).into_iter().map(|w| w * w).collect::<Vec<f64>>());
        let weight = |at: usize| weights[0][at / shape[1]] * weights[1][at % shape[1]];
        let sums = weights.each_ref().map(|w| w.iter().sum::<f64>());
        let mean = picture.values.iter().enumerate().map(|(at, v)| v * weight(at)).sum::<f64>() / (sums[0] * sums[1]);
        let faded: Vec<Complex64> = picture.values.iter().enumerate().map(|(at, v)| ((v - mean) * weight(at)).into()).collect();
        let spectrum = transformed(&faded, shape, Direction::Forward)?;
        let squares = weights.each_ref().map(|w| w.iter().map(|w| w * w).sum::<f64>() / w.len() as f64);
        let scale = 1.0 / (squares[0] * squares[1]);
        let step = (1.0 / side[0]).max(1.0 / side[1]);
        let highest = (0.5 / picture.pixel_A[0]).hypot(0.5 / picture.pixel_A[1]);
        let mut rings = vec![Vec::new(); (highest / step).ceil() as usize + 2];
        for (at, value) in spectrum.iter().enumerate() {
            let q = [0, 1].map(|axis| fft_index([at / shape[1], at % shape[1]][axis], shape[axis]) / side[axis]);
            rings[(q[0].hypot(q[1]) / step).round() as usize].push(value.norm_sqr() * scale);
        }
        let quartile = |ring: &mut Vec<f64>| {
            (ring.len() >= LEAST_SAMPLES).then(|| {
                let at = (ring.len() as f64 * QUANTILE) as usize;
                *ring.select_nth_unstable_by(at, f64::total_cmp).1 / -(1.0 - QUANTILE).ln()
            })
        };
        let raw: Vec<Option<f64>> = rings.iter_mut().map(quartile).collect();
        // Below the first ring of enough samples goes that one, beyond the last one the last.
        let first = raw.iter().flatten().next().copied().unwrap_or(0.0);
        let mut last = first;
        let filled: Vec<f64> = raw
            .into_iter()
            .map(|ring| {
                last = ring.unwrap_or(last);
                last
            })
            .collect();
        // Rings of few samples scatter.
        let smooth = |k: usize| {
            let near = &filled[k.saturating_sub(1)..(k + 2).min(filled.len())];
            near.iter().sum::<f64>() / near.len() as f64
        };
        Ok(Self { step_inverse_A: step, density: (0..filled.len()).map(smooth).collect() })
    }

    /// The density at a spatial frequency in 1/Å: the variance of a pixel if noise were everywhere as it is there.
    pub fn density(&self, q_inverse_A: f64) -> f64 {
        let place = q_inverse_A / self.step_inverse_A;
        let last = self.density.len() - 1;
        let below = (place as usize).min(last);
        let part = (place - below as f64).clamp(0.0, 1.0);
        self.density[below] * (1.0 - part) + self.density[(below + 1).min(last)] * part
    }

    /// The covariance, at distances of 0, 1, … `lags` − 1 steps of `step_A[0]`, of sums Σ_v w(v)·I(u, v)·e^{−2πifv} over rows of an image
    /// whose samples lie `step_A` apart, under a Gaussian of `smoothed` samples over depth.
    pub(super) fn along(&self, weights: &[f64], f_inverse_A: f64, step_A: [f64; 2], smoothed: f64, lags: usize) -> Vec<f64> {
        let (n_u, n_v) = (2 * lags.max(4), 2 * weights.len());
        let power: Vec<(f64, f64)> = (0..n_v)
            .map(|k| {
                let turns = fft_index(k, n_v) / n_v as f64;
                let beat = turns - f_inverse_A * step_A[1];
                let sum: Complex64 = weights.iter().enumerate().map(|(v, w)| w * Complex64::cis(-TAU * beat * v as f64)).sum();
                (turns / step_A[1], sum.norm_sqr())
            })
            .collect();
        let rows: Vec<(f64, f64)> = (0..n_u)
            .map(|k| {
                let turns = fft_index(k, n_u) / n_u as f64;
                let passed = (-(TAU * turns * smoothed).powi(2)).exp();
                (turns, passed * power.iter().map(|(q, p)| p * self.density((turns / step_A[0]).hypot(*q))).sum::<f64>())
            })
            .collect();
        let norm = 1.0 / (n_u * n_v) as f64;
        (0..lags).map(|lag| rows.iter().map(|(turns, power)| power * (TAU * turns * lag as f64).cos()).sum::<f64>() * norm).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::super::testing::{fresh_rng, smoothed_noise};
    use super::*;

    #[test]
    fn the_noise_between_a_crystals_spots_is_found_and_so_is_the_variance_of_sums_over_rows() {
        const IMAGES: usize = 24;
        let mut rng = fresh_rng();
        let (shape, pixel) = ([160, 120], [0.3, 0.25]);
        let noise = |rng: &mut _| smoothed_noise(rng, shape, pixel, 0.3, 0.35);
        let crystal = |at: usize| {
            let (y, x) = ((at / shape[1]) as f64 * pixel[0], (at % shape[1]) as f64 * pixel[1]);
            (TAU * y / 5.3).cos() + 0.5 * (TAU * (x / 2.6 + y / 16.0)).cos() + 0.5 * (TAU * (x / 2.6 - y / 8.0)).cos()
        };
        let told: Vec<Noise> = (0..IMAGES)
            .map(|_| {
                let image: Vec<f64> = noise(&mut rng).iter().enumerate().map(|(at, n)| n + crystal(at)).collect();
                Noise::of(&Picture::new(&image, shape, pixel).unwrap()).unwrap()
            })
            .collect();
        // White noise of 0.3² under a Gaussian of 0.35 Å. The quartile of a ring scatters by 20 to 40 % from image to image (Hann's window makes neighbouring samples one), so that the mean
        // of 24 is known to a twelfth; and spots fill a part: much of the ring at 0.15, next to the spot of the layers, whose noise is told too large.
        for (q, most) in [(0.15, 5.0), (0.3, 2.0), (0.5, 2.0)] {
            let expected = 0.09 * (-(2.0 * PI * 0.35f64 * q).powi(2)).exp();
            let ratio = told.iter().map(|found| found.density(q)).sum::<f64>() / (IMAGES as f64 * expected);
            assert!((0.55..most).contains(&ratio), "{q}: {ratio}");
        }
        // The scatter of sums over a strip, in many images of noise alone.
        let (from, length, f) = (20, 60, 0.385);
        let weights: Vec<f64> = (0..length).map(|v| (PI * (v as f64 + 0.5) / length as f64).sin()).collect();
        let mut expected = [0.0; 12];
        for found in &told {
            for (sum, value) in expected.iter_mut().zip(found.along(&weights, f, pixel, 0.0, 12)) {
                *sum += value / IMAGES as f64;
            }
        }
        let (mut squares, mut products, mut count) = (0.0, 0.0, 0.0);
        for _ in 0..IMAGES {
            let image = noise(&mut rng);
            let sums: Vec<Complex64> = image
                .chunks_exact(shape[1])
                .map(|row| {
                    let turn = |v: usize| Complex64::cis(-TAU * f * v as f64 * pixel[1]);
                    weights.iter().enumerate().map(|(v, w)| w * row[from + v] * turn(v)).sum()
                })
                .collect();
            for pair in sums.windows(3) {
                squares += pair[0].norm_sqr();
                products += (pair[0] * pair[2].conj()).re;
                count += 1.0;
            }
        }
        // 24 images of some 60 independent rows: 3 %; what is told is a fifth too large by the spots, known to 4 %.
        assert!((squares / count / expected[0] - 1.0).abs() < 0.4, "{} of {}", squares / count, expected[0]);
        assert!((products / count - expected[2]).abs() < 0.3 * expected[0], "{} of {}", products / count, expected[2]);
    }
}
