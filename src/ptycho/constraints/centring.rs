//! The probe in the middle of its window.

use std::f64::consts::TAU;

use num_complex::Complex64;

use super::super::Result;
use super::Parts;
use super::fourier::{shift_spectra, transform};
use crate::compute::Direction;

/// See [`super::Constraint::Centring`].
pub(super) fn apply(parts: &mut Parts<'_>, strength: f64) -> Result<()> {
    let Some(from_middle) = off_centre_px(parts)? else { return Ok(()) };
    let back = from_middle.map(|d| -strength * d);
    shift_spectra(parts.probe_hat, parts.window, back);
    transform(parts.object, parts.object_shape, Direction::Forward)?;
    shift_spectra(parts.object, parts.object_shape, back);
    transform(parts.object, parts.object_shape, Direction::Inverse)
}

/// Where the centre of mass of Σ|P|² over all modes lies, from the window's pixel N/2, in pixels; `None` of an empty probe.
fn off_centre_px(parts: &Parts<'_>) -> Result<Option<[f64; 2]>> {
    let window = parts.window;
    let mut probes = parts.probe_hat.to_vec();
    transform(&mut probes, window, Direction::Inverse)?;
    let mut profiles = window.map(|n| vec![0.0; n]);
    for (p, probe) in probes.iter().enumerate() {
        profiles[0][p / window[1] % window[0]] += probe.norm_sqr();
        profiles[1][p % window[1]] += probe.norm_sqr();
    }
    let power: f64 = profiles[0].iter().sum();
    Ok((power > 0.0).then(|| profiles.map(|profile| from_middle(&profile, power))))
}

/// The centre of mass of a profile from its place N/2. The profile goes round: distances are the shorter ones from its mean direction.
fn from_middle(profile: &[f64], power: f64) -> f64 {
    let n = profile.len() as f64;
    let near = |distance: f64| (distance + 0.5 * n).rem_euclid(n) - 0.5 * n;
    let direction: Complex64 = profile.iter().enumerate().map(|(x, i)| i * Complex64::cis(TAU * x as f64 / n)).sum();
    let about = direction.arg() / TAU * n;
    let rest: f64 = profile.iter().enumerate().map(|(x, i)| i * near(x as f64 - about)).sum();
    near(about + rest / power - (profile.len() / 2) as f64)
}

#[cfg(test)]
mod tests {
    use super::super::Constraint;
    use super::super::testing::{Sample, largest};

    /// A sample of a smooth object and of Gaussian modes whose centre of mass lies at (14, 10) + `aside`: all bands are limited, and probes end in their window.
    fn smooth(aside: [f64; 2]) -> Sample {
        let mut sample = Sample::random().with_window([28, 24]);
        let waves: Vec<_> = [[1, 2], [2, -1]]
            .map(|k| {
                sample.put_wave(k);
                sample.object.clone()
            })
            .concat();
        for (p, o) in sample.object.iter_mut().enumerate() {
            *o = 1.0 + 0.1 * waves[p] - 0.2 * waves[waves.len() / 2 + p].im;
        }
        let mut probes = sample.probes();
        for (p, probe) in probes.iter_mut().enumerate() {
            let (mode, y, x) = (p / 672, (p / 24 % 28) as f64, (p % 24) as f64);
            let [y, x] = [y - 14.0 - aside[0], x - 12.0 - aside[1]];
            let bell = (-(y * y + x * x) / (2.0 * 1.6 * 1.6)).exp();
            *probe = if mode == 0 { bell.into() } else { (0.3 * bell * y).into() };
        }
        sample.put_probes(&probes);
        sample
    }

    #[test]
    fn the_centre_of_mass_comes_to_the_middle_by_the_strength() {
        for strength in [1.0, 0.5] {
            let mut sample = smooth([1.3, -2.2]);
            let expected = smooth([1.3 * (1.0 - strength), -2.2 * (1.0 - strength)]);
            sample.apply(&Constraint::Centring, strength);
            // A Gaussian of 1.6 pixels has 3e-6 left at the edge of the band.
            assert!(largest(&expected.probe_hat, &sample.probe_hat) < 1e-4);
        }
        let mut sample = smooth([1.3, -2.2]);
        sample.apply(&Constraint::Centring, 1.0);
        let once = sample.probe_hat.clone();
        sample.apply(&Constraint::Centring, 1.0);
        assert!(largest(&once, &sample.probe_hat) < 1e-4);
    }

    #[test]
    fn it_is_the_centre_of_mass_of_lopsided_probes_too() {
        let mut sample = smooth([0.0, 0.0]);
        let mut probes = sample.probes();
        probes.iter_mut().enumerate().for_each(|(p, probe)| *probe *= 1.0 + 0.3 * ((p / 24 % 28) as f64 - 14.0));
        sample.put_probes(&probes);
        sample.apply(&Constraint::Centring, 1.0);
        let moment =
            |place: fn(usize) -> f64| sample.probes().iter().enumerate().map(|(p, probe)| place(p) * probe.norm_sqr()).sum::<f64>();
        let [power, y, x] = [moment(|_| 1.0), moment(|p| (p / 24 % 28) as f64 - 14.0), moment(|p| (p % 24) as f64 - 12.0)];
        // What bells of 1.6 pixels have left at the edges of window and band.
        assert!((y / power).abs() < 1e-6 && (x / power).abs() < 1e-6, "{} {}", y / power, x / power);
    }

    #[test]
    fn a_probe_across_the_edge_of_its_window_is_one_piece() {
        let mut sample = smooth([0.0, 0.0]);
        let centred = sample.probes();
        let mut moved = centred.clone();
        for (p, probe) in moved.iter_mut().enumerate() {
            let (mode, y, x) = (p / 672, p / 24 % 28, p % 24);
            *probe = centred[mode * 672 + (y + 17) % 28 * 24 + (x + 9) % 24];
        }
        sample.put_probes(&moved);
        sample.apply(&Constraint::Centring, 1.0);
        assert!(largest(&centred, &sample.probes()) < 1e-9);
    }

    #[test]
    fn the_object_goes_with_the_probe_so_that_the_patterns_stay() {
        for (aside, strength) in [([2.0, -3.0], 1.0), ([1.3, -0.7], 1.0), ([1.3, -0.7], 0.6)] {
            let mut sample = smooth(aside);
            let before = sample.patterns();
            sample.apply(&Constraint::Centring, strength);
            let brightest = before.iter().map(|i| i.re).fold(0.0, f64::max);
            // The bells' 1e-8 at the window's edge, and 3e-6 at the band's.
            assert!(largest(&before, &sample.patterns()) < 1e-4 * brightest);
        }
    }
}
