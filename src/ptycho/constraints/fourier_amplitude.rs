//! A probe of known brightness at every angle.

use super::Parts;

/// See [`super::Constraint::FourierAmplitude`].
pub(super) fn apply(parts: &mut Parts<'_>, amplitude: &[f64], strength: f64) {
    let n = parts.window[0] * parts.window[1];
    for (p, &wanted) in amplitude.iter().enumerate().take(n) {
        let total = parts.probe_hat.iter().skip(p).step_by(n).map(|mode| mode.norm_sqr()).sum::<f64>().sqrt();
        if total > 0.0 {
            let scale = 1.0 + strength * (wanted / total - 1.0);
            parts.probe_hat.iter_mut().skip(p).step_by(n).for_each(|mode| *mode *= scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::super::Constraint;
    use super::super::testing::{Sample, largest, rng};

    #[test]
    fn all_modes_together_have_the_amplitude_and_each_keeps_its_phase_and_share() {
        for strength in [1.0, 0.3] {
            let (mut sample, mut rng) = (Sample::random(), rng());
            let before = sample.probe_hat.clone();
            let amplitude: Vec<f64> = (0..80).map(|_| f64::max(0.0, rng.random_range(-1.0..3.0))).collect();
            let constraint = Constraint::FourierAmplitude { amplitude: amplitude.clone() };
            sample.apply(&constraint, strength);
            for p in 0..80 {
                let total = |probe: &[num_complex::Complex64]| (probe[p].norm_sqr() + probe[80 + p].norm_sqr()).sqrt();
                let wanted = (1.0 - strength) * total(&before) + strength * amplitude[p];
                assert!((total(&sample.probe_hat) - wanted).abs() < 1e-13);
                for mode in [p, 80 + p] {
                    assert!((sample.probe_hat[mode] * total(&before) - before[mode] * wanted).norm() < 1e-12);
                }
            }
            if strength == 1.0 {
                let once = sample.probe_hat.clone();
                sample.apply(&constraint, 1.0);
                assert!(largest(&once, &sample.probe_hat) < 1e-13);
            }
        }
    }

    #[test]
    fn angles_without_a_phase_stay_dark() {
        let mut sample = Sample::random();
        sample.probe_hat[7] = 0.0.into();
        sample.probe_hat[87] = 0.0.into();
        sample.apply(&Constraint::FourierAmplitude { amplitude: vec![1.0; 80] }, 1.0);
        assert_eq!((sample.probe_hat[7].norm(), sample.probe_hat[87].norm()), (0.0, 0.0));
    }
}
