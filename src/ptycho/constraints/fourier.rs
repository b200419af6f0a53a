//! Transforms and filters of objects and probes on the host.

use num_complex::Complex64;
use rayon::prelude::*;

use super::super::Result;
use crate::compute::cpu::transformed;
use crate::compute::{Direction, shift_ramp};
use crate::optics::fft_index;

/// Unitary transforms, in place, of all windows (y, x) of `shape` in `values`.
pub(super) fn transform(values: &mut [Complex64], shape: [usize; 2], direction: Direction) -> Result<()> {
    values.copy_from_slice(&transformed(values, shape, direction)?);
    Ok(())
}

/// The frequency (y, x) in 1/Å of place `p` of a spectrum of `shape` in FFT order.
pub(super) fn frequency_inverse_A(p: usize, shape: [usize; 2], pixel_A: [f64; 2]) -> [f64; 2] {
    let k = [p / shape[1], p % shape[1]];
    [0, 1].map(|a| fft_index(k[a], shape[a]) / (shape[a] as f64 * pixel_A[a]))
}

/// Multiplies the spectra of all windows of `values` by the `gain` at |q| in 1/Å. Their edges are periodic.
pub(super) fn filter(values: &mut [Complex64], shape: [usize; 2], pixel_A: [f64; 2], gain: impl Fn(f64) -> f64 + Sync) -> Result<()> {
    transform(values, shape, Direction::Forward)?;
    let gains: Vec<f64> = (0..shape[0] * shape[1])
        .into_par_iter()
        .map(|p| {
            let [y, x] = frequency_inverse_A(p, shape, pixel_A);
            gain(y.hypot(x))
        })
        .collect();
    values.par_chunks_mut(gains.len()).for_each(|window| window.iter_mut().zip(&gains).for_each(|(v, g)| *v *= g));
    transform(values, shape, Direction::Inverse)
}

/// Multiplies all spectra of `shape` by the ramp that shifts their arrays by +`shift_px` (y, x), round their edges.
pub(super) fn shift_spectra(spectra: &mut [Complex64], shape: [usize; 2], shift_px: [f64; 2]) {
    let [along_y, along_x] = [0, 1].map(|a| shift_ramp(shape[a], shift_px[a]).collect::<Vec<_>>());
    spectra.par_chunks_mut(shape[1]).enumerate().for_each(|(row, line)| {
        let y = along_y[row % shape[0]];
        line.iter_mut().zip(&along_x).for_each(|(v, x)| *v *= y * x);
    });
}

/// Butterworth's low-pass 1/(1 + (q/q₀)^{2n}): ½ at the cut-off, as images are filtered with it (R. C. Gonzalez and R. E. Woods, Digital Image
/// Processing, ch. 4).
pub(super) fn butterworth(q: f64, cutoff: f64, order: u32) -> f64 {
    1.0 / (1.0 + (q / cutoff).powi(2 * order as i32))
}

/// 1 within `radius`, 0 beyond, falling linearly over `edge` about it.
pub(super) fn soft_disc(distance: f64, radius: f64, edge: f64) -> f64 {
    if edge > 0.0 { ((radius - distance) / edge + 0.5).clamp(0.0, 1.0) } else { f64::from(u8::from(distance <= radius)) }
}
