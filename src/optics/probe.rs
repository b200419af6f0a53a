//! The probe that an aberrated aperture forms.

use std::f64::consts::TAU;

use num_complex::Complex64;

use super::{Aberrations, fft_index, wavelength_A};

/// What forms the probe.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeOptics {
    pub voltage_kV: f64,
    pub convergence_mrad: f64,
    pub aberrations: Aberrations,
}

impl ProbeOptics {
    /// The probe's spectrum A·e^{−iχ} on a detector of `shape` pixels of `mrad_per_px` (y, x), in FFT order, with Σ|P̂|² = `electrons`.
    ///
    /// Its inverse transform is the window with the optic axis at pixel N/2. The zero angle lies `remainder_px` (y, x) beyond FFT index (0, 0): what is left of the disk's centre after rolling frames by
    /// whole pixels. The aperture's edge is one pixel wide.
    pub fn spectrum(&self, shape: [usize; 2], mrad_per_px: [f64; 2], remainder_px: [f64; 2], electrons: f64) -> Vec<Complex64> {
        let pixel = (mrad_per_px[0] * mrad_per_px[1]).sqrt();
        let edge = |_, theta_mrad: f64| ((self.convergence_mrad - theta_mrad) / pixel + 0.5).clamp(0.0, 1.0);
        self.formed(shape, mrad_per_px, remainder_px, electrons, edge)
    }

    /// The same with measured amplitudes, in FFT order, in place of the aperture.
    ///
    /// # Panics
    /// If there are not as many as pixels.
    pub fn spectrum_of(
        &self,
        amplitudes: &[f64],
        shape: [usize; 2],
        mrad_per_px: [f64; 2],
        remainder_px: [f64; 2],
        electrons: f64,
    ) -> Vec<Complex64> {
        assert_eq!(amplitudes.len(), shape[0] * shape[1], "an amplitude a pixel");
        self.formed(shape, mrad_per_px, remainder_px, electrons, |k, _| amplitudes[k])
    }

    /// `amplitude` of the place in FFT order and the angle in mrad.
    fn formed(
        &self,
        shape: [usize; 2],
        mrad_per_px: [f64; 2],
        remainder_px: [f64; 2],
        electrons: f64,
        amplitude: impl Fn(usize, f64) -> f64,
    ) -> Vec<Complex64> {
        let lambda = wavelength_A(self.voltage_kV);
        let mut spectrum = Vec::with_capacity(shape[0] * shape[1]);
        for ky in 0..shape[0] {
            let y = (fft_index(ky, shape[0]) - remainder_px[0]) * mrad_per_px[0];
            for kx in 0..shape[1] {
                let x = (fft_index(kx, shape[1]) - remainder_px[1]) * mrad_per_px[1];
                let inside = amplitude(ky * shape[1] + kx, y.hypot(x));
                let chi = if inside > 0.0 { self.aberrations.chi(lambda, y * 1e-3, x * 1e-3) } else { 0.0 };
                // The shift by N/2 pixels that puts the probe in the window's middle.
                let middle = TAU * ((ky * (shape[0] / 2)) as f64 / shape[0] as f64 + (kx * (shape[1] / 2)) as f64 / shape[1] as f64);
                spectrum.push(Complex64::from_polar(inside, -chi - middle));
            }
        }
        let power: f64 = spectrum.iter().map(Complex64::norm_sqr).sum();
        let scale = if power > 0.0 { (electrons / power).sqrt() } else { 0.0 };
        spectrum.iter_mut().for_each(|p| *p *= scale);
        spectrum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_holds_the_electrons_of_a_frame_inside_its_aperture() {
        let optics = ProbeOptics { voltage_kV: 300.0, convergence_mrad: 20.0, aberrations: Aberrations::defocus(50.0) };
        let spectrum = optics.spectrum([64, 48], [1.0, 1.1], [0.3, -0.2], 1234.0);
        let power: f64 = spectrum.iter().map(Complex64::norm_sqr).sum();
        assert!((power - 1234.0).abs() < 1e-9);
        assert_eq!(spectrum[32 * 48].norm(), 0.0, "the corner of the band lies outside the aperture");
    }
}
