//! A probe that an aperture formed.

use super::Parts;
use super::fourier::{frequency_inverse_A, soft_disc};

/// See [`super::Constraint::ApertureSupport`].
pub(super) fn apply(parts: &mut Parts<'_>, factor: f64, strength: f64) {
    let (window, pixel_A) = (parts.window, parts.pixel_A);
    let radius = factor * parts.aperture_inverse_A;
    // One pixel of the spectrum, as of the aperture that starting probes are made with.
    let edge = (0..2).map(|a| 1.0 / (window[a] as f64 * pixel_A[a])).product::<f64>().sqrt();
    for mode in parts.probe_hat.chunks_mut(window[0] * window[1]) {
        for (p, probe) in mode.iter_mut().enumerate() {
            let [y, x] = frequency_inverse_A(p, window, pixel_A);
            *probe *= 1.0 - strength * (1.0 - soft_disc(y.hypot(x), radius, edge));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Constraint;
    use super::super::testing::Sample;

    #[test]
    fn angles_within_the_aperture_stay_and_those_beyond_it_go() {
        for strength in [1.0, 0.25] {
            let mut sample = Sample::random();
            let before = sample.probe_hat.clone();
            sample.apply(&Constraint::ApertureSupport { factor: 1.2 }, strength);
            let radius = 1.2 * sample.aperture_inverse_A;
            let pixel = [8.0 * sample.pixel_A[0], 10.0 * sample.pixel_A[1]].map(|window| 1.0 / window);
            let mut met = [0; 2];
            for (p, (old, new)) in before.iter().zip(&sample.probe_hat).enumerate() {
                let [ky, kx] = [p / 10 % 8, p % 10];
                let y = [0.0, 1.0, 2.0, 3.0, -4.0, -3.0, -2.0, -1.0][ky] * pixel[0];
                let x = [0.0, 1.0, 2.0, 3.0, 4.0, -5.0, -4.0, -3.0, -2.0, -1.0][kx] * pixel[1];
                let (distance, half) = ((y * y + x * x).sqrt() - radius, 0.5 * (pixel[0] * pixel[1]).sqrt());
                if distance < -half {
                    assert_eq!(new, old);
                    met[0] += 1;
                } else if distance > half {
                    assert!((new - old * (1.0 - strength)).norm() < 1e-14);
                    met[1] += 1;
                } else {
                    let inside = 0.5 - distance / (2.0 * half);
                    assert!((new - old * (1.0 - strength + strength * inside)).norm() < 1e-13);
                }
            }
            assert!(met.iter().all(|&n| n > 20), "{met:?}");
        }
    }
}
