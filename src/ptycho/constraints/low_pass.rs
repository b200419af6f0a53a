//! An object without its finest detail.

use super::super::Result;
use super::Parts;
use super::fourier::{butterworth, filter};

/// See [`super::Constraint::LowPass`].
pub(super) fn apply(parts: &mut Parts<'_>, cutoff_inverse_A: f64, order: u32, strength: f64) -> Result<()> {
    // A blend of x and its filtered self is a filter.
    let gain = |q| 1.0 - strength + strength * butterworth(q, cutoff_inverse_A, order);
    filter(parts.object, parts.object_shape, parts.pixel_A, gain)
}

#[cfg(test)]
mod tests {
    use super::super::Constraint;
    use super::super::testing::{Sample, largest};

    #[test]
    fn a_wave_in_the_object_is_damped_by_butterworths_gain_at_its_frequency() {
        for (k, order, strength) in [([0, 0], 1, 1.0), ([3, -2], 1, 1.0), ([3, -2], 4, 0.4), ([-5, 6], 2, 1.0)] {
            let mut sample = Sample::random();
            let q = sample.put_wave(k);
            let before = sample.object.clone();
            sample.apply(&Constraint::LowPass { cutoff_inverse_A: 0.8, order }, strength);
            let gain = 1.0 - strength + strength / (1.0 + (q / 0.8).powf(2.0 * f64::from(order)));
            let expected: Vec<_> = before.iter().map(|o| o * gain).collect();
            assert!(largest(&expected, &sample.object) < 1e-13, "{k:?}");
        }
    }
}
