//! The probe's incoherent modes to begin with.

use num_complex::Complex64;

use crate::optics::fft_index;

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

fn electrons(probe_hat: &[Complex64]) -> f64 {
    probe_hat.iter().map(Complex64::norm_sqr).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optics::{Aberrations, ProbeOptics};

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
