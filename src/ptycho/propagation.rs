//! The way from one slice to the next.

use std::f64::consts::{PI, TAU};

use num_complex::Complex64;

use crate::optics::fft_index;

/// The frequencies of a window in 1/Å, along y and x, in FFT order.
pub(super) fn frequencies(window: [usize; 2], pixel_A: [f64; 2]) -> [Vec<f64>; 2] {
    [0, 1].map(|a| (0..window[a]).map(|k| fft_index(k, window[a]) / (window[a] as f64 * pixel_A[a])).collect())
}

/// The Fresnel propagator e^{−iπλq²Δz} over `thickness_A`, through a sample whose normal is tilted by `tilt_mrad` (y, x): e^{−2πi Δz q·tan θ}, a shift by Δz·tan θ.
/// (ky, kx), FFT order.
pub fn propagator(window: [usize; 2], pixel_A: [f64; 2], wavelength_A: f64, thickness_A: f64, tilt_mrad: [f64; 2]) -> Vec<Complex64> {
    let [along_y, along_x] = frequencies(window, pixel_A);
    let slope = tilt_mrad.map(|tilt| (tilt * 1e-3).tan());
    let phase = |y: f64, x: f64| -thickness_A * (PI * wavelength_A * (y * y + x * x) + TAU * (y * slope[0] + x * slope[1]));
    along_y.iter().flat_map(|&y| along_x.iter().map(move |&x| Complex64::cis(phase(y, x)))).collect()
}
