//! Kernel `shift_probe`: the spectrum of each position's sub-pixel shifted probe.

use num_complex::Complex;
use rayon::prelude::*;

use super::CpuBatch;
use crate::compute::Real;

/// `out[b] = P̂ · ramp_b`.
pub(super) fn shift_probe<R: Real>(probe_hat: &[Complex<R>], batch: &CpuBatch<R>, out: &mut [Complex<R>]) {
    let n = batch.window_len();
    out[..batch.plan.len() * n]
        .par_chunks_exact_mut(n)
        .enumerate()
        .for_each(|(b, window)| shift_window(probe_hat, batch.ramps(b), R::one(), window));
}

/// One window of the kernel, times `scale`.
pub(super) fn shift_window<R: Real>(
    probe_hat: &[Complex<R>],
    (ramp_y, ramp_x): (&[Complex<R>], &[Complex<R>]),
    scale: R,
    out: &mut [Complex<R>],
) {
    let nx = ramp_x.len();
    for ((row, p), ry) in out.chunks_exact_mut(nx).zip(probe_hat.chunks_exact(nx)).zip(ramp_y) {
        let ry = ry.scale(scale);
        for ((o, p), rx) in row.iter_mut().zip(p).zip(ramp_x) {
            *o = *p * (ry * rx);
        }
    }
}
