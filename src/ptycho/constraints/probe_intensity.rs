//! As many electrons in the probe as in a frame.

use num_complex::Complex64;

use super::Parts;

/// See [`super::Constraint::ProbeIntensity`].
pub(super) fn apply(parts: &mut Parts<'_>, electrons: f64, strength: f64) {
    let power: f64 = parts.probe_hat.iter().map(Complex64::norm_sqr).sum();
    if power > 0.0 {
        let scale = 1.0 + strength * ((electrons / power).sqrt() - 1.0);
        parts.probe_hat.iter_mut().for_each(|p| *p *= scale);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Constraint;
    use super::super::testing::{Sample, largest};

    #[test]
    fn the_modes_hold_the_electrons_together_and_keep_their_shares() {
        let mut sample = Sample::random();
        let before = sample.probe_hat.clone();
        sample.apply(&Constraint::ProbeIntensity { electrons: 4321.0 }, 1.0);
        let power: f64 = sample.probe_hat.iter().map(|p| p.norm_sqr()).sum();
        assert!((power - 4321.0).abs() < 1e-9);
        let ratio = sample.probe_hat[1] / before[1];
        assert!(ratio.im.abs() < 1e-14 * ratio.re);
        let expected: Vec<_> = before.iter().map(|p| p * ratio.re).collect();
        assert!(largest(&expected, &sample.probe_hat) < 1e-12);
        let once = sample.probe_hat.clone();
        sample.apply(&Constraint::ProbeIntensity { electrons: 4321.0 }, 1.0);
        assert!(largest(&once, &sample.probe_hat) < 1e-12);
    }

    #[test]
    fn half_the_strength_scales_half_the_way_and_an_empty_probe_stays_empty() {
        let mut sample = Sample::random();
        let before = sample.probe_hat.clone();
        let power: f64 = before.iter().map(|p| p.norm_sqr()).sum();
        sample.apply(&Constraint::ProbeIntensity { electrons: 4.0 * power }, 0.5);
        let expected: Vec<_> = before.iter().map(|p| p * 1.5).collect();
        assert!(largest(&expected, &sample.probe_hat) < 1e-12);
        sample.probe_hat.fill(0.0.into());
        sample.apply(&Constraint::ProbeIntensity { electrons: 5.0 }, 1.0);
        assert!(sample.probe_hat.iter().all(|p| p.norm() == 0.0));
    }
}
