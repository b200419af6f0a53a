//! Wigner distribution deconvolution: the object's spectrum from the interference at each frequency, the aperture's own divided out.
//!
//! Ĩ(q, k) is the convolution over k of D(b) = T(b + q)T*(b), with T the object's spectrum, and A*(k)A(k − q). It is undone by Wiener's filter in the space
//! that is reciprocal to the detector; D at b = 0 is the object's spectrum times a constant.

use num_complex::Complex64;

use crate::compute::{Backend, BrightField, Direction};
use crate::imaging::{Error, Result};
use crate::run::Run;

use super::DirectPlan;
use super::spectra::Spectra;

/// Frequencies at which the aperture covers less than this part of itself are left out.
const FEWEST: f64 = 0.01;

/// The spectrum of the complex object, (row, column) in FFT order, for each focus of the bright field.
pub(super) fn deconvolve<B: Backend>(
    run: &Run,
    backend: &B,
    spectra: &mut Spectra<B>,
    bright: &BrightField,
    device: &B::BrightField,
    plan: &DirectPlan,
    limit_bytes: u64,
) -> Result<Vec<Vec<Complex64>>> {
    if !backend.supports_window(bright.window) {
        return Err(crate::compute::Error::UnsupportedWindow { device: backend.device_name(), shape: bright.window }.into());
    }
    let (len, all) = (bright.window_len(), bright.output_len());
    let bytes = 2 * 2 * size_of::<B::Real>() as u64 * len as u64;
    let most = ((limit_bytes / bytes) as usize).clamp(64, all.max(64)).min(all);
    // The overlap at q = 0 is |A|², whose unitary transform is largest at 0: Σ|A|²/√len.
    let epsilon = plan.wdd_epsilon / len as f64;
    let mut overlaps = backend.complex_zeros(most * len)?;
    let mut out = backend.complex_zeros(most)?;
    let mut found = vec![Vec::with_capacity(all); bright.foci.len()];
    for first in (0..all).step_by(most) {
        if run.is_cancelled() {
            return Err(Error::Interrupted);
        }
        let here = first..(first + most).min(all);
        // Where no pixel lies nothing is written.
        let mut patterns = backend.complex_zeros(most * len)?;
        spectra
            .visit(bright.pixels.len(), |range, part| Ok(backend.detector_windows(part, device, range, here.clone(), &mut patterns)?))?;
        backend.fft2(&mut patterns, bright.window, here.len(), Direction::Forward)?;
        for (focus, found) in found.iter_mut().enumerate() {
            backend.overlaps(device, focus, here.clone(), &mut overlaps)?;
            backend.fft2(&mut overlaps, bright.window, here.len(), Direction::Forward)?;
            backend.wiener(&patterns, &overlaps, len, here.len(), epsilon, &mut out)?;
            found.extend_from_slice(&backend.read_complexes(&out)?[..here.len()]);
        }
    }
    for spectrum in &mut found {
        for (at, value) in spectrum.iter_mut().enumerate() {
            let [y, x] = [bright.frequencies[0][at / bright.output[1]], bright.frequencies[1][at % bright.output[1]]];
            if common(y.hypot(x)) < FEWEST {
                *value = Complex64::ZERO;
            }
        }
    }
    Ok(found)
}

/// The part of a disk of radius 1 that another covers whose middle is at `distance`.
fn common(distance: f64) -> f64 {
    let half = 0.5 * distance;
    if half >= 1.0 { 0.0 } else { std::f64::consts::FRAC_2_PI * (half.acos() - half * (1.0 - half * half).sqrt()) }
}
