//! The probe's incoherent modes to begin with.

use num_complex::Complex64;

use crate::compute::cpu::transformed;
use crate::compute::{Direction, shift_ramp};
use crate::optics::fft_index;
use crate::optics::hermitian::{Eigen, eigen};

/// `modes` modes (ky, kx): those of `probe_hat`, and such as [`add_modes`] makes where they are too few; those that are too many give their electrons to the others.
pub fn with_modes(mut probe_hat: Vec<Complex64>, window: [usize; 2], modes: usize, power: f64) -> Vec<Complex64> {
    let total = electrons(&probe_hat);
    probe_hat.truncate(modes * window[0] * window[1]);
    let scale = (total / electrons(&probe_hat)).sqrt();
    probe_hat.iter_mut().for_each(|p| *p *= scale);
    add_modes(probe_hat, window, modes, power)
}

/// Modes (ky, kx) after those of `probe_hat` up to `modes`, each with `power` of the first one's electrons; Σ|P̂|² stays as it is.
///
/// They are the first mode times k_y, k_x, k_y², …, made orthogonal to all before: what a source of finite size adds to a probe, whose shifts are derivatives
/// (Hermite's polynomials of the momentum; cf. Thibault & Menzel, Nature 494 (2013) 68).
fn add_modes(mut probe_hat: Vec<Complex64>, window: [usize; 2], modes: usize, power: f64) -> Vec<Complex64> {
    let pixels = window[0] * window[1];
    let total = electrons(&probe_hat);
    let first = electrons(&probe_hat[..pixels]);
    let mut orders = (1u32..).flat_map(|order| (0..=order).map(move |x| [order - x, x]));
    while probe_hat.len() < modes * pixels {
        let Some([y_order, x_order]) = orders.next() else { break };
        let mut mode: Vec<Complex64> = (0..pixels)
            .map(|k| {
                let (y, x) = (fft_index(k / window[1], window[0]), fft_index(k % window[1], window[1]));
                let scale = [window[0], window[1]].map(|n| 2.0 / n as f64);
                probe_hat[k] * (y * scale[0]).powi(y_order as i32) * (x * scale[1]).powi(x_order as i32)
            })
            .collect();
        let own = electrons(&mode);
        // Twice, for what rounding leaves of the first time.
        for _ in 0..2 {
            for before in probe_hat.chunks_exact(pixels) {
                let overlap: Complex64 = before.iter().zip(&mode).map(|(b, m)| b.conj() * m).sum::<Complex64>() / electrons(before);
                mode.iter_mut().zip(before).for_each(|(m, b)| *m -= overlap * b);
            }
        }
        let left = electrons(&mode);
        if left > 1e-9 * own {
            let scale = (power * first / left).sqrt();
            probe_hat.extend(mode.iter().map(|m| m * scale));
        }
    }
    let scale = (total / electrons(&probe_hat)).sqrt();
    probe_hat.iter_mut().for_each(|p| *p *= scale);
    probe_hat
}

/// A probe blurred by its source, as modes.
#[derive(Debug, Clone, PartialEq)]
pub struct Blurred {
    /// (mode, ky, kx); Σ|P̂|² is that of the sharp probe.
    pub probe_hat: Vec<Complex64>,
    /// The part of the electrons that so many modes would hold by themselves.
    pub held: f64,
}

/// The abscissae and weights of Gauss and Hermite's quadrature with 7 points for the normal distribution of variance 1 (M. Abramowitz and I. A. Stegun, Handbook of
/// Mathematical Functions, table 25.10, abscissae times √2 and weights over √π).
const NORMAL: [(f64, f64); 7] = [
    (0.0, 0.457_142_857_142_857_1),
    (1.154_405_394_739_968, 0.240_123_178_605_012_7),
    (-1.154_405_394_739_968, 0.240_123_178_605_012_7),
    (2.366_759_410_734_541, 0.030_757_123_967_586_5),
    (-2.366_759_410_734_541, 0.030_757_123_967_586_5),
    (3.750_439_717_725_742, 0.000_548_268_855_972_2),
    (-3.750_439_717_725_742, 0.000_548_268_855_972_2),
];

/// The modes (ky, kx) of a probe whose source is a Gaussian of standard deviation `sigma_px` (y, x) in object pixels: those `modes` orthogonal ones that hold most of the
/// electrons of the mixture of shifted probes (its density matrix's eigenvectors).
pub fn blurred(probe_hat: &[Complex64], window: [usize; 2], sigma_px: [f64; 2], modes: usize) -> Blurred {
    let mut shifted = Vec::with_capacity(NORMAL.len() * NORMAL.len());
    for (y, weight_y) in NORMAL {
        for (x, weight_x) in NORMAL {
            let ramps: [Vec<Complex64>; 2] = [0, 1].map(|a| shift_ramp(window[a], [y, x][a] * sigma_px[a]).collect());
            let amplitude = (weight_y * weight_x).sqrt();
            let at = |(k, p): (usize, &Complex64)| p * ramps[0][k / window[1]] * ramps[1][k % window[1]] * amplitude;
            shifted.push(probe_hat.iter().enumerate().map(at).collect::<Vec<_>>());
        }
    }
    let overlap = |a: &[Complex64], b: &[Complex64]| a.iter().zip(b).map(|(a, b)| a.conj() * b).sum::<Complex64>();
    let matrix: Vec<Vec<Complex64>> = shifted.iter().map(|a| shifted.iter().map(|b| overlap(a, b)).collect()).collect();
    let Eigen { values, vectors } = eigen(&matrix);
    let total: f64 = values.iter().sum();
    let held = values.iter().take(modes).sum::<f64>() / total;
    let scale = held.sqrt().recip();
    let mut mixed = Vec::with_capacity(modes * probe_hat.len());
    for vector in vectors.iter().take(modes) {
        let mut mode = vec![Complex64::ZERO; probe_hat.len()];
        for (shifted, weight) in shifted.iter().zip(vector) {
            mode.iter_mut().zip(shifted).for_each(|(m, s)| *m += s * weight * scale);
        }
        mixed.extend(mode);
    }
    Blurred { probe_hat: mixed, held }
}

/// Spectra of probes in another window: what lies beyond the smaller one is cut off or 0. Pixel N/2 stays pixel N/2.
///
/// # Errors
/// If there is no room for transforms.
pub fn rewindowed(probe_hat: &[Complex64], from: [usize; 2], to: [usize; 2]) -> super::Result<Vec<Complex64>> {
    let probes = transformed(probe_hat, from, Direction::Inverse)?;
    let mut moved = vec![Complex64::ZERO; probe_hat.len() / (from[0] * from[1]) * to[0] * to[1]];
    for (mode, old) in moved.chunks_exact_mut(to[0] * to[1]).zip(probes.chunks_exact(from[0] * from[1])) {
        for (p, new) in mode.iter_mut().enumerate() {
            let place = [p / to[1], p % to[1]];
            let there: Vec<usize> =
                (0..2).filter_map(|a| (place[a] + from[a] / 2).checked_sub(to[a] / 2).filter(|&x| x < from[a])).collect();
            if let [y, x] = there[..] {
                *new = old[y * from[1] + x];
            }
        }
    }
    Ok(transformed(&moved, to, Direction::Forward)?)
}

fn electrons(probe_hat: &[Complex64]) -> f64 {
    probe_hat.iter().map(Complex64::norm_sqr).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optics::{Aberrations, ProbeOptics};

    #[test]
    fn modes_of_a_blurred_probe_add_up_to_the_blurred_intensity() {
        let (window, sigma) = ([40, 36], [0.6, 0.4]);
        // Twice the aperture lies within the window: the intensity is resolved.
        let optics = ProbeOptics { voltage_kV: 200.0, convergence_mrad: 8.0, aberrations: Aberrations::defocus(70.0) };
        let probe = optics.spectrum(window, [1.0; 2], [0.0; 2], 500.0);
        let blurred = blurred(&probe, window, sigma, 12);
        let pixels = window[0] * window[1];
        assert!((electrons(&blurred.probe_hat) - 500.0).abs() < 1e-9 && blurred.held > 0.99, "{}", blurred.held);
        let intensity = |spectra: &[Complex64]| -> Vec<f64> {
            let probes = transformed(spectra, window, Direction::Inverse).unwrap();
            (0..pixels).map(|p| probes.iter().skip(p).step_by(pixels).map(Complex64::norm_sqr).sum()).collect()
        };
        // |P|² convolved with the Gaussian: its spectrum times e^{−2π²σ²f²}.
        let sharp: Vec<Complex64> = intensity(&probe).into_iter().map(Complex64::from).collect();
        let mut spectrum = transformed(&sharp, window, Direction::Forward).unwrap();
        for (k, s) in spectrum.iter_mut().enumerate() {
            let f = [k / window[1], k % window[1]];
            let turns: f64 =
                (0..2).map(|a| (std::f64::consts::PI * sigma[a] * fft_index(f[a], window[a]) / window[a] as f64).powi(2)).sum();
            *s *= (-2.0 * turns).exp();
        }
        let expected: Vec<f64> = transformed(&spectrum, window, Direction::Inverse).unwrap().iter().map(|c| c.re).collect();
        let (found, most) = (intensity(&blurred.probe_hat), expected.iter().copied().fold(0.0, f64::max));
        let worst = found.iter().zip(&expected).map(|(f, e)| (f - e).abs()).fold(0.0, f64::max);
        assert!(worst < (1.0 - blurred.held + 1e-3) * most, "{worst} of {most}, {} held", blurred.held);
    }

    #[test]
    fn a_probe_in_a_larger_window_and_back_is_the_same() {
        let (small, large) = ([20, 17], [33, 40]);
        let optics = ProbeOptics { voltage_kV: 200.0, convergence_mrad: 12.0, aberrations: Aberrations::defocus(70.0) };
        let probe = optics.spectrum(small, [2.0; 2], [0.1, 0.2], 500.0);
        let there = rewindowed(&probe, small, large).unwrap();
        assert!((electrons(&there) - 500.0).abs() < 1e-9);
        let place = |spectrum: &[Complex64], window: [usize; 2]| {
            let probe = transformed(spectrum, window, Direction::Inverse).unwrap();
            let brightest = (0..probe.len()).max_by(|&a, &b| probe[a].norm().total_cmp(&probe[b].norm())).unwrap();
            [0, 1].map(|a| [brightest / window[1], brightest % window[1]][a] as i64 - (window[a] / 2) as i64)
        };
        assert_eq!(place(&there, large), place(&probe, small));
        let back = rewindowed(&there, large, small).unwrap();
        assert!(back.iter().zip(&probe).all(|(b, p)| (b - p).norm() < 1e-9));
    }

    #[test]
    fn modes_are_orthogonal_and_have_their_powers() {
        let window = [32, 40];
        let optics = ProbeOptics { voltage_kV: 200.0, convergence_mrad: 12.0, aberrations: Aberrations::defocus(70.0) };
        let probe = optics.spectrum(window, [1.0; 2], [0.2, 0.1], 500.0);
        let modes = add_modes(probe, window, 6, 0.03);
        let pixels = window[0] * window[1];
        assert!((electrons(&modes) - 500.0).abs() < 1e-9);
        let modes: Vec<&[Complex64]> = modes.chunks_exact(pixels).collect();
        assert_eq!(modes.len(), 6);
        for (n, a) in modes.iter().enumerate() {
            let expected = 500.0 / 1.15 * if n == 0 { 1.0 } else { 0.03 };
            assert!((electrons(a) - expected).abs() < 1e-9);
            for b in &modes[..n] {
                let overlap: Complex64 = a.iter().zip(*b).map(|(a, b)| a.conj() * b).sum();
                // Rounding of some thousand products of size 1.
                assert!(overlap.norm() < 1e-9, "{overlap}");
            }
        }
    }
}
