//! Flat areas with sharp edges.

use rayon::prelude::*;

use super::super::Result;
use super::Parts;
use super::polar::with_amplitude;

/// See [`super::Constraint::TotalVariation`].
pub(super) fn apply(parts: &mut Parts<'_>, phase_rad: f64, amplitude: f64, steps: u32, strength: f64) -> Result<()> {
    let shape = parts.object_shape;
    if amplitude > 0.0 {
        for slice in parts.object.chunks_mut(shape[0] * shape[1]) {
            let old: Vec<f64> = slice.iter().map(|o| o.norm()).collect();
            let new = denoised(&old, shape, amplitude, steps);
            for ((o, old), new) in slice.iter_mut().zip(old).zip(new) {
                *o = with_amplitude(*o, (1.0 - strength) * old + strength * new.max(0.0));
            }
        }
    }
    if phase_rad > 0.0 {
        parts.change_phases(strength, |phase, _| Ok(denoised(phase, shape, phase_rad, steps)))?;
    }
    Ok(())
}

/// The u with the least ½Σ(u − g)² + w·Σ|∇u|, near enough, ∇ being the differences to the next row and column, and 0 over the last.
///
/// It is u = g + w·div p with |p| ≤ 1 in each pixel, p being found by projected gradients with momentum: the steps of 1/8 that the
/// divergence's norm allows.
fn denoised(image: &[f64], shape: [usize; 2], weight: f64, steps: u32) -> Vec<f64> {
    let [rows, cols] = shape;
    // u at p; what lies before the first row or column, and in the last, is 0 by construction.
    let blurred = |field: &[[f64; 2]]| -> Vec<f64> {
        let at = |p: usize| {
            let [y, x] = field[p];
            let above = if p >= cols { field[p - cols][0] } else { 0.0 };
            let left = if !p.is_multiple_of(cols) { field[p - 1][1] } else { 0.0 };
            image[p] + weight * (y - above + x - left)
        };
        (0..image.len()).into_par_iter().with_min_len(4096).map(at).collect()
    };
    let mut dual = vec![[0.0; 2]; image.len()];
    let mut ahead = dual.clone();
    let mut time = 1.0_f64;
    for _ in 0..steps {
        let u = blurred(&ahead);
        let next_time = 0.5 * (1.0 + (1.0 + 4.0 * time * time).sqrt());
        let momentum = (time - 1.0) / next_time;
        ahead.par_iter_mut().zip(&mut dual).enumerate().with_min_len(4096).for_each(|(p, (ahead, dual))| {
            let down = if p / cols + 1 < rows { u[p + cols] - u[p] } else { 0.0 };
            let right = if (p + 1) % cols != 0 { u[p + 1] - u[p] } else { 0.0 };
            let [y, x] = [ahead[0] + down / (8.0 * weight), ahead[1] + right / (8.0 * weight)];
            let length = y.hypot(x).max(1.0);
            let new = [y / length, x / length];
            *ahead = [0, 1].map(|a| new[a] + momentum * (new[a] - dual[a]));
            *dual = new;
        });
        time = next_time;
    }
    blurred(&dual)
}

#[cfg(test)]
mod tests {
    use num_complex::Complex64;
    use rand::RngExt;

    use super::super::Constraint;
    use super::super::testing::{Sample, largest, rng};
    use super::*;

    #[test]
    fn a_step_is_lowered_on_both_sides_by_the_weight_over_their_widths() {
        // The known minimum: ½(a·d₁² + b·d₂²) + w(h − d₁ − d₂) a row is least at d = w/a and w/b.
        let (shape, weight, low, high) = ([6, 12], 0.4, -0.2, 0.9);
        let image: Vec<f64> = (0..72).map(|p| if p % 12 < 4 { low } else { high }).collect();
        let flat = denoised(&image, shape, weight, 200);
        for (p, u) in flat.iter().enumerate() {
            let expected = if p % 12 < 4 { low + weight / 4.0 } else { high - weight / 8.0 };
            // What 200 steps leave; without momentum it would be more.
            assert!((u - expected).abs() < 1e-3, "{p}: {u} {expected}");
        }
    }

    #[test]
    fn the_mean_stays_and_slow_descent_finds_no_image_of_less_misfit_and_variation() {
        let mut rng = rng();
        let (shape, weight) = ([9, 7], 0.15);
        let image: Vec<f64> = (0..63).map(|_| rng.random_range(-1.0..1.0)).collect();
        let differences = |u: &[f64], p: usize| [if p < 56 { u[p + 7] - u[p] } else { 0.0 }, if p % 7 < 6 { u[p + 1] - u[p] } else { 0.0 }];
        let cost = |u: &[f64]| {
            let variation = |p| differences(u, p).iter().map(|d| d * d).sum::<f64>().sqrt();
            (0..63).map(|p| 0.5 * (u[p] - image[p]).powi(2) + weight * variation(p)).sum::<f64>()
        };
        let best = denoised(&image, shape, weight, 3000);
        let mean = |u: &[f64]| u.iter().sum::<f64>() / 63.0;
        assert!((mean(&best) - mean(&image)).abs() < 1e-13);

        // Gradient descent on √(|∇u|² + ε²), in steps of the inverse of the steepest curvature, 1 + 8w/ε.
        let epsilon = 1e-3;
        let mut slow = image.clone();
        for _ in 0..30_000 {
            let mut gradient: Vec<f64> = slow.iter().zip(&image).map(|(u, g)| u - g).collect();
            for p in 0..63 {
                let [down, right] = differences(&slow, p);
                let pull = weight / (down * down + right * right + epsilon * epsilon).sqrt();
                gradient[p] -= pull * (down + right);
                if p < 56 {
                    gradient[p + 7] += pull * down;
                }
                if p % 7 < 6 {
                    gradient[p + 1] += pull * right;
                }
            }
            slow.iter_mut().zip(gradient).for_each(|(u, g)| *u -= g / (1.0 + 8.0 * weight / epsilon));
        }
        // The descent ends above the minimum, by w·ε a pixel at most.
        let excess = cost(&slow) - cost(&best);
        assert!(excess > -1e-6 && excess < 63.0 * weight * epsilon, "{excess}");
    }

    #[test]
    fn phase_and_amplitude_are_flattened_each_by_its_own_weight() {
        for strength in [1.0, 0.5] {
            let mut sample = Sample::random();
            let (shape, before) = (sample.object_shape, sample.object.clone());
            let tv = Constraint::TotalVariation { phase_rad: 0.05, amplitude: 0.0, steps: 50 };
            sample.apply(&tv, strength);
            for (slice, old) in sample.object.chunks(sample.area()).zip(before.chunks(sample.area())) {
                let phases: Vec<f64> = old.iter().map(|o| o.arg()).collect();
                let flat = denoised(&phases, shape, 0.05, 50);
                let expected: Vec<_> = (old.iter().zip(&phases).zip(flat))
                    .map(|((o, p), f)| Complex64::from_polar(o.norm(), p + strength * (f - p)))
                    .collect();
                assert!(largest(&expected, slice) < 1e-12);
            }
            sample.object = before.clone();
            sample.apply(&Constraint::TotalVariation { phase_rad: 0.0, amplitude: 0.05, steps: 50 }, strength);
            for (slice, old) in sample.object.chunks(sample.area()).zip(before.chunks(sample.area())) {
                let amplitudes: Vec<f64> = old.iter().map(|o| o.norm()).collect();
                let flat = denoised(&amplitudes, shape, 0.05, 50);
                for (((new, old), a), f) in slice.iter().zip(old).zip(amplitudes).zip(flat) {
                    assert!((new - old * ((a + strength * (f - a)) / a)).norm() < 1e-13);
                }
            }
        }
    }
}
