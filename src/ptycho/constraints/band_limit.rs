//! An object of a limited band.

use super::super::Result;
use super::Parts;
use super::fourier::filter;

/// See [`super::Constraint::BandLimit`].
pub(super) fn apply(parts: &mut Parts<'_>, cutoff_inverse_A: f64, strength: f64) -> Result<()> {
    filter(parts.object, parts.object_shape, parts.pixel_A, |q| if q <= cutoff_inverse_A { 1.0 } else { 1.0 - strength })
}

#[cfg(test)]
mod tests {
    use super::super::Constraint;
    use super::super::testing::{Sample, largest};

    #[test]
    fn waves_within_the_band_stay_and_those_beyond_go() {
        for k in [[0, 0], [2, 3], [-1, 4], [5, -6], [-9, 0]] {
            let mut sample = Sample::random();
            let q = sample.put_wave(k);
            let mut expected = sample.object.clone();
            if q > 1.2 {
                expected.fill(0.0.into());
            }
            sample.apply(&Constraint::BandLimit { cutoff_inverse_A: 1.2 }, 1.0);
            assert!(largest(&expected, &sample.object) < 1e-13, "{k:?}");
        }
    }

    #[test]
    fn a_second_time_changes_nothing() {
        let mut sample = Sample::random();
        let limit = Constraint::BandLimit { cutoff_inverse_A: 1.0 };
        sample.apply(&limit, 1.0);
        let once = sample.object.clone();
        sample.apply(&limit, 1.0);
        assert!(largest(&once, &sample.object) < 1e-13);
    }
}
