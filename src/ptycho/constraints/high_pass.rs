//! A phase without its slow drift.

use num_complex::Complex64;

use super::super::Result;
use super::Parts;
use super::fourier::{butterworth, filter};

/// See [`super::Constraint::HighPass`].
pub(super) fn apply(parts: &mut Parts<'_>, cutoff_inverse_A: f64, order: u32, strength: f64) -> Result<()> {
    let (shape, pixel_A) = (parts.object_shape, parts.pixel_A);
    parts.change_phases(strength, |phase, _| {
        let mut image: Vec<Complex64> = phase.iter().map(|&p| p.into()).collect();
        filter(&mut image, shape, pixel_A, |q| if q > 0.0 { 1.0 - butterworth(q, cutoff_inverse_A, order) } else { 1.0 })?;
        Ok(image.iter().map(|p| p.re).collect())
    })
}

#[cfg(test)]
mod tests {
    use num_complex::Complex64;

    use super::super::Constraint;
    use super::super::testing::{Sample, largest};

    #[test]
    fn waves_of_the_phase_keep_what_butterworth_leaves_and_amplitude_and_mean_phase_stay() {
        for (k, order, strength) in [([1, 0], 1, 1.0), ([3, -2], 2, 0.3), ([-5, 6], 2, 1.0)] {
            let mut sample = Sample::random();
            let q = sample.put_wave(k);
            let wave = sample.object.clone();
            let object = |size: f64| wave.iter().map(|w| Complex64::from_polar(0.9, 0.5 + size * w.re)).collect::<Vec<_>>();
            sample.object = object(0.7);
            sample.apply(&Constraint::HighPass { cutoff_inverse_A: 0.5, order }, strength);
            let gain = 1.0 - 1.0 / (1.0 + (q / 0.5).powf(2.0 * f64::from(order)));
            assert!(largest(&object(0.7 * (1.0 - strength + strength * gain)), &sample.object) < 1e-13, "{k:?}");
        }
    }
}
