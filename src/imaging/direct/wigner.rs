//! Wigner distribution deconvolution: the object's spectrum from the interference at each frequency, the aperture's own divided out.
//!
//! Ĩ(q, k) is the convolution over k of D(b) = T(b + q)T*(b), with T the object's spectrum, and A*(k)A(k − q). It is undone by Wiener's filter in the space
//! that is reciprocal to the detector; D at b = 0 is the object's spectrum times a constant.

use num_complex::Complex64;
use rustfft::{FftDirection, FftPlanner};

use crate::compute::{Backend, BrightField, Direction};
use crate::imaging::{Error, Result, integrate};
use crate::run::Run;

use super::DirectPlan;
use super::spectra::Spectra;
use super::spectrum::Noise;

/// Frequencies at which the aperture covers less than this part of itself are left out.
const FEWEST: f64 = 0.01;
/// The noise is summed over so many frequencies at most, spread over all.
const SAMPLED: usize = 2048;
/// (√5 − 1)/2.
const GOLDEN_SECTION: f64 = 0.618_033_988_749_895;

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
    let epsilon = epsilon(bright, plan);
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
            if !is_kept(bright, at) {
                *value = Complex64::ZERO;
            }
        }
    }
    Ok(found)
}

/// The overlap at q = 0 is |A|², whose unitary transform is largest at 0: Σ|A|²/√len.
fn epsilon(bright: &BrightField, plan: &DirectPlan) -> f64 {
    plan.wdd_epsilon / bright.window_len() as f64
}

/// Does the aperture cover enough of itself at this frequency?
fn is_kept(bright: &BrightField, at: usize) -> bool {
    let [y, x] = [bright.frequencies[0][at / bright.output[1]], bright.frequencies[1][at % bright.output[1]]];
    common(y.hypot(x)) >= FEWEST
}

/// The counting noise of the first focus's spectrum, summed over its frequencies.
///
/// The filter does not depend on the counts: the spectrum is Σ_k w(q, k)·Ĩ(q, k), w(q, ·) being the transform of B*/(|B|² + ε) over its own gain. Ĩ has
/// the variance of the counts' mean Ī_k over the scan, alike at all frequencies, and Ĩ(−q) is the conjugate of Ĩ(q). So the noise of q and −q is
/// Σ_k Ī_k |w(q, k)|² and, of their product, Σ_k Ī_k w(q, k)w(−q, k).
pub(super) fn noise<B: Backend>(
    backend: &B,
    spectra: &mut Spectra<B>,
    bright: &BrightField,
    device: &B::BrightField,
    plan: &DirectPlan,
) -> Result<Noise> {
    let ([ny, nx], [rows, columns]) = (bright.window, bright.output);
    let len = bright.window_len();
    let mut first = backend.complex_zeros(len)?;
    spectra.visit(bright.pixels.len(), |range, part| Ok(backend.detector_windows(part, device, range, 0..1, &mut first)?))?;
    let positions = (bright.scan_len() as f64).sqrt();
    let mean: Vec<f64> = backend.read_complexes(&first)?[..len].iter().map(|z| z.re / positions).collect();

    // The counts' mean, at every multiple of the scan's frequencies, is not in the image.
    let mean_is_at = |at: usize| (at / columns).is_multiple_of(bright.scan[0]) && (at % columns).is_multiple_of(bright.scan[1]);
    let kept: Vec<usize> = (0..bright.output_len()).filter(|&at| !mean_is_at(at) && is_kept(bright, at)).collect();
    let count = kept.len().min(SAMPLED);
    // Steps of the golden section spread evenly however many there are.
    let spread = |n: usize| kept[((n as f64 * GOLDEN_SECTION).fract() * kept.len() as f64) as usize];
    let places: Vec<usize> = if count == kept.len() { kept.clone() } else { (0..count).map(spread).collect() };
    let epsilon = epsilon(bright, plan);
    let mut planner = FftPlanner::new();
    let mut overlap = backend.complex_zeros(len)?;
    let mut filter = |at: usize| -> Result<Vec<Complex64>> {
        backend.overlaps(device, 0, at..at + 1, &mut overlap)?;
        backend.fft2(&mut overlap, bright.window, 1, Direction::Forward)?;
        let mut filter = backend.read_complexes(&overlap)?;
        let gain: f64 = filter.iter().map(|b| b.norm_sqr() / (b.norm_sqr() + epsilon)).sum();
        // The transform back to the detector is unitary as well.
        let scale = 1.0 / (gain * (len as f64).sqrt());
        filter.iter_mut().for_each(|b| *b = b.conj() * scale / (b.norm_sqr() + epsilon));
        integrate::fft2(&mut planner, &mut filter, ny, nx, FftDirection::Forward);
        Ok(filter)
    };
    let (mut power, mut product) = (0.0, Complex64::ZERO);
    for &at in &places {
        let mirrored = (rows - at / columns) % rows * columns + (columns - at % columns) % columns;
        let (here, there) = (filter(at)?, filter(mirrored)?);
        for ((here, there), mean) in here.iter().zip(&there).zip(&mean) {
            power += mean * here.norm_sqr();
            product += mean * here * there;
        }
    }
    let all = kept.len() as f64 / count.max(1) as f64;
    Ok(Noise { power: power * all, product: product * all })
}

/// The part of a disk of radius 1 that another covers whose middle is at `distance`.
fn common(distance: f64) -> f64 {
    let half = 0.5 * distance;
    if half >= 1.0 { 0.0 } else { std::f64::consts::FRAC_2_PI * (half.acos() - half * (1.0 - half * half).sqrt()) }
}
