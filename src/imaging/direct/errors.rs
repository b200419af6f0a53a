//! The standard error of each pixel of an image by counting statistics.
//!
//! An image is linear in the counts: pixel k has its own response K_k(r), and counts are independent, so the variance is Σ_k K_k² ⋆ I_k, exactly.

use num_complex::Complex64;

use crate::compute::{Backend, BrightField, Direction, Response};
use crate::imaging::Result;

use super::disk::Disk;
use super::spectra::Spectra;

/// The least and the most windows of responses that are made together.
const WINDOWS: std::ops::RangeInclusive<usize> = 1..=32;

/// Half the spectrum of Σ_k K_k² ⋆ I_k, with responses that are `filter` (over half a spectrum) times what `response` says at the first focus; both
/// transforms unitary.
pub(super) fn variance<B: Backend>(
    backend: &B,
    spectra: &mut Spectra<B>,
    disk: &Disk,
    bright: &BrightField,
    device: &B::BrightField,
    response: Response,
    filter: &[f64],
) -> Result<Vec<Complex64>> {
    if !backend.supports_window(bright.output) {
        return Err(crate::compute::Error::UnsupportedWindow { device: backend.device_name(), shape: bright.output }.into());
    }
    // 64 MiB of work memory.
    let windows = ((64 << 20) / (16 * bright.output_len())).clamp(*WINDOWS.start(), *WINDOWS.end());
    let filter = backend.reals(filter)?;
    let mut responses = backend.complex_zeros(windows * bright.output_len())?;
    let mut out = backend.complex_zeros(bright.half_len())?;
    spectra.visit(disk.count, |range, part| {
        for first in range.clone().step_by(2 * windows) {
            let here = first..(first + 2 * windows).min(range.end);
            let count = here.len().div_ceil(2);
            backend.responses(device, response, 0, here.clone(), &filter, &mut responses)?;
            backend.fft2(&mut responses, bright.output, count, Direction::Inverse)?;
            backend.square_parts(&mut responses, count * bright.output_len())?;
            backend.fft2(&mut responses, bright.output, count, Direction::Forward)?;
            backend.response_sum(&responses, part, range.start, device, here, &mut out)?;
        }
        Ok(())
    })?;
    Ok(backend.read_complexes(&out)?)
}
