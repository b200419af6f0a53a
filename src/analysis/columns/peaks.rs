//! Bright spots of any image, without knowing a crystal.

use std::f64::consts::PI;

use num_complex::Complex64;

use super::lattice::{Field, frequency};
use super::noise::{Noise, SIDES};
use crate::analysis::Result;
use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::optics::smooth;

/// A bright spot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    pub at_A: [f64; 2],
    pub se_A: [f64; 2],
    /// Of the filtered image, and its standard error.
    pub height: f64,
    pub height_se: f64,
}

/// How many standard errors high a peak has to be.
const SIGNIFICANT: f64 = 4.0;
/// And which part of the height that nine of ten peaks do not reach.
const LEAST_PART: f64 = 0.1;

/// The local maxima of an image after a band-pass that suits columns of a Gaussian width (Å): it is correlated with a Gaussian of that width less one of three times the width, so that slow changes have
/// no say and noise little. A peak stands at the top of the paraboloid through the pixels around the maximum. What is lower than four standard errors of the filtered noise is none; neither is what is
/// nearer than the width to a brighter one or to the edge. Brightest first.
///
/// # Errors
/// If there is no room.
pub fn peaks(field: &Field<'_>, noise: &Noise, width_A: f64) -> Result<Vec<Peak>> {
    let shape = field.shape;
    let border = [0, 1].map(|a| (9.0 * width_A / field.pixel_A[a]).ceil() as usize);
    let padded = [0, 1].map(|a| smooth((shape[a] + border[a]).max(16), &SIDES));
    let mut wide = vec![Complex64::ZERO; padded[0] * padded[1]];
    // Beyond the edges the image goes on as its mirror image, half to each side.
    let mirrored = |k: usize, n: usize, full: usize| {
        let over = k as i64 - n as i64;
        let k = if over < 0 {
            k as i64
        } else if (over as usize) < (full - n) / 2 {
            n as i64 - 1 - over
        } else {
            full as i64 - 1 - k as i64
        };
        k.clamp(0, n as i64 - 1) as usize
    };
    for i in 0..padded[0] {
        for j in 0..padded[1] {
            let (y, x) = (mirrored(i, shape[0], padded[0]), mirrored(j, shape[1], padded[1]));
            wide[i * padded[1] + j] = Complex64::from(field.values[y * shape[1] + x]);
        }
    }
    let mut spectrum = transformed(&wide, padded, Direction::Forward)?;
    let power = noise.spectrum(padded)?;
    let (mut variance, mut slopes) = (0.0, [0.0; 2]);
    for (at, value) in spectrum.iter_mut().enumerate() {
        let q = [frequency(at / padded[1], padded[0], field.pixel_A[0]), frequency(at % padded[1], padded[1], field.pixel_A[1])];
        let q2 = q[0] * q[0] + q[1] * q[1];
        let gauss = |width: f64| (-2.0 * (PI * width).powi(2) * q2).exp();
        let gain = gauss(width_A) - gauss(3.0 * width_A);
        *value *= gain;
        let passed = power[at] * gain * gain / power.len() as f64;
        variance += passed;
        slopes = [0, 1].map(|a| slopes[a] + passed * (2.0 * PI * q[a]).powi(2));
    }
    let filtered = transformed(&spectrum, padded, Direction::Inverse)?;
    let value = |i: usize, j: usize| filtered[i * padded[1] + j].re;
    let reach = [0, 1].map(|a| ((width_A / field.pixel_A[a]).round() as usize).max(1));
    let mut found = Vec::new();
    for i in reach[0]..shape[0].saturating_sub(reach[0]) {
        for j in reach[1]..shape[1].saturating_sub(reach[1]) {
            let here = value(i, j);
            let beaten = (i - reach[0]..=i + reach[0]).any(|k| (j - reach[1]..=j + reach[1]).any(|l| value(k, l) > here));
            if beaten || here < SIGNIFICANT * variance.sqrt() || here <= 0.0 {
                continue;
            }
            // Curvatures per Å², slopes per Å.
            let [py, px] = field.pixel_A;
            let (gy, gx) = ((value(i + 1, j) - value(i - 1, j)) / (2.0 * py), (value(i, j + 1) - value(i, j - 1)) / (2.0 * px));
            let (hy, hx) = (
                (value(i + 1, j) - 2.0 * here + value(i - 1, j)) / (py * py),
                (value(i, j + 1) - 2.0 * here + value(i, j - 1)) / (px * px),
            );
            let hyx = (value(i + 1, j + 1) - value(i + 1, j - 1) - value(i - 1, j + 1) + value(i - 1, j - 1)) / (4.0 * py * px);
            let det = hy * hx - hyx * hyx;
            if hy >= 0.0 || hx >= 0.0 || det <= 0.0 {
                continue;
            }
            let by = [-(hx * gy - hyx * gx) / det, -(hy * gx - hyx * gy) / det];
            let by = [by[0].clamp(-py, py), by[1].clamp(-px, px)];
            found.push(Peak {
                at_A: [i as f64 * py + by[0], j as f64 * px + by[1]],
                se_A: [slopes[0].sqrt() / hy.abs(), slopes[1].sqrt() / hx.abs()],
                height: here + 0.5 * (gy * by[0] + gx * by[1]),
                height_se: variance.sqrt(),
            });
        }
    }
    found.sort_by(|p, q| q.height.total_cmp(&p.height));
    if let Some(usual) = found.get(found.len() / 10).map(|p| p.height) {
        found.retain(|p| p.height > LEAST_PART * usual);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::*;

    #[test]
    fn planted_columns_are_found_to_their_standard_errors_and_noise_makes_few() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let (shape, pixel_A, width) = ([120, 130], [0.2, 0.2], 0.45);
        let noise = Normal::new(0.0, 0.15).unwrap();
        let centres: Vec<[f64; 2]> = (0..8)
            .flat_map(|i| (0..8).map(move |j| [i, j]))
            .map(|[i, j]| [1.5 + 2.7 * f64::from(i) + rng.random_range(-0.2..0.2), 1.7 + 2.8 * f64::from(j) + rng.random_range(-0.2..0.2)])
            .collect();
        let values: Vec<f64> = (0..shape[0] * shape[1])
            .map(|at| {
                let (y, x) = ((at / shape[1]) as f64 * 0.2, (at % shape[1]) as f64 * 0.2);
                let sum: f64 = centres.iter().map(|c| (-((y - c[0]).powi(2) + (x - c[1]).powi(2)) / (2.0 * width * width)).exp()).sum();
                sum + 0.02 * y + noise.sample(&mut rng)
            })
            .collect();
        let field = Field { values: &values, shape, pixel_A };
        let found = peaks(&field, &Noise::white(0.15, pixel_A), width).unwrap();
        let nearest = |c: &[f64; 2]| found.iter().min_by(|p, q| away(p, c).total_cmp(&away(q, c))).unwrap();
        fn away(p: &Peak, c: &[f64; 2]) -> f64 {
            (p.at_A[0] - c[0]).hypot(p.at_A[1] - c[1])
        }
        let mut scores = Vec::new();
        for c in &centres {
            let p = nearest(c);
            assert!(away(p, c) < 0.3, "{c:?}: {p:?}");
            scores.extend([0, 1].map(|a| (p.at_A[a] - c[a]) / p.se_A[a]));
        }
        // 128 scores; neighbours' tails and the paraboloid add a little.
        let variance = scores.iter().map(|z| z * z).sum::<f64>() / scores.len() as f64;
        assert!((0.5..2.2).contains(&variance), "{variance}");
        let false_ones = found.iter().filter(|p| centres.iter().all(|c| away(p, c) > 0.6)).count();
        assert!(false_ones <= 4, "{false_ones}");
    }
}
