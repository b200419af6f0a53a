//! Slices that differ no more than the data can tell.

use std::f64::consts::FRAC_2_PI;

use num_complex::Complex64;
use rayon::prelude::*;
use rustfft::FftPlanner;

use super::super::Result;
use super::Parts;
use super::fourier::{frequency_inverse_A, transform};
use crate::compute::Direction;
use crate::optics::fft_index;

/// See [`super::Constraint::KzFilter`].
pub(super) fn apply(parts: &mut Parts<'_>, beta: f64, strength: f64) -> Result<()> {
    let (slices, shape, area) = (parts.slices, parts.object_shape, parts.area());
    let from = parts.logarithms();
    let mut to = from.clone();
    transform(&mut to, shape, Direction::Forward)?;

    // The slices of each frequency side by side: (ky, kx, slice).
    let mut planner = FftPlanner::new();
    let (forward, inverse) = (planner.plan_fft_forward(slices), planner.plan_fft_inverse(slices));
    let depth_A = slices as f64 * parts.slice_thickness_A;
    let mut columns = vec![Complex64::ZERO; to.len()];
    columns.par_chunks_mut(slices).enumerate().for_each(|(p, column)| {
        column.iter_mut().enumerate().for_each(|(s, c)| *c = to[s * area + p]);
        forward.process(column);
        let [ky, kx] = frequency_inverse_A(p, shape, parts.pixel_A);
        for (s, c) in column.iter_mut().enumerate() {
            let kz = fft_index(s, slices) / depth_A;
            // rustfft does not scale.
            *c *= gain(beta, kz, ky.hypot(kx)) / slices as f64;
        }
        inverse.process(column);
    });
    to.par_chunks_mut(area).enumerate().for_each(|(s, slice)| {
        slice.iter_mut().enumerate().for_each(|(p, t)| *t = columns[p * slices + s]);
    });
    transform(&mut to, shape, Direction::Inverse)?;
    parts.change_logarithms(strength, &from, &to);
    Ok(())
}

/// 1 − (2/π)·atan(β²k_z²/(k_x² + k_y²)), 1 where all is 0.
fn gain(beta: f64, kz: f64, k: f64) -> f64 {
    let ratio = beta * kz;
    1.0 - FRAC_2_PI * (ratio * ratio).atan2(k * k)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{PI, TAU};

    use super::super::Constraint;
    use super::super::testing::{Sample, largest};
    use super::*;

    #[test]
    fn a_wave_through_the_slices_is_damped_by_the_published_gain() {
        for (k, kz, strength) in [([2, -3], 1, 1.0), ([1, 0], 2, 0.6), ([4, 5], 0, 1.0), ([0, 0], 1, 1.0)] {
            let mut sample = Sample::random().with_slices(5);
            let q = sample.put_wave(k);
            let waves = sample.object.clone();
            let area = sample.area();
            let object = |size: f64| -> Vec<Complex64> {
                let wave = |(p, w): (usize, &Complex64)| w * Complex64::cis(TAU * (kz * (p / area)) as f64 / 5.0);
                let (mean, size) = (Complex64::new(0.05, 0.3), size * Complex64::new(0.1, 0.5));
                waves.iter().enumerate().map(wave).map(|w| (mean + size * w.re).exp()).collect()
            };
            sample.object = object(1.0);
            sample.apply(&Constraint::KzFilter { beta: 0.7 }, strength);
            let kz = kz as f64 / (5.0 * sample.slice_thickness_A);
            let gain = match (kz == 0.0, q == 0.0) {
                (true, _) => 1.0,
                (_, true) => 0.0,
                _ => 1.0 - (0.49 * kz * kz / (q * q)).atan() * 2.0 / PI,
            };
            // The mean object, and with it the branch of the phase, comes with rounding only.
            assert!(largest(&object(1.0 - strength + strength * gain), &sample.object) < 1e-12, "{k:?} {kz}");
        }
    }

    #[test]
    fn what_all_slices_make_together_stays() {
        let mut sample = Sample::random().with_slices(4);
        let product = |sample: &Sample| -> Vec<Complex64> {
            (0..sample.area()).map(|p| (0..4).map(|s| sample.object[s * sample.area() + p]).product()).collect()
        };
        let before = product(&sample);
        sample.apply(&Constraint::KzFilter { beta: 1.0 }, 1.0);
        assert!(largest(&before, &product(&sample)) < 1e-12);
        let mut thin = Sample::random().with_slices(1);
        let before = thin.object.clone();
        thin.apply(&Constraint::KzFilter { beta: 1.0 }, 1.0);
        assert!(largest(&before, &thin.object) < 1e-12, "one slice has nothing along z");
    }
}
