//! Kernel `exit_wave`: the shifted probe times the object under it.

use num_complex::Complex;
use rayon::prelude::*;

use super::CpuBatch;
use crate::compute::Real;

/// `out[b] = P_b · O[window of b]`.
pub(super) fn exit_wave<R: Real>(probes: &[Complex<R>], object: &[Complex<R>], batch: &CpuBatch<R>, out: &mut [Complex<R>]) {
    let n = batch.window_len();
    out[..batch.plan.len() * n]
        .par_chunks_exact_mut(n)
        .zip(probes.par_chunks_exact(n))
        .enumerate()
        .for_each(|(b, (wave, probe))| multiply_window(probe, object, batch, b, R::one(), wave));
}

/// One window of the kernel, times `scale`.
pub(super) fn multiply_window<R: Real>(
    probe: &[Complex<R>],
    object: &[Complex<R>],
    batch: &CpuBatch<R>,
    b: usize,
    scale: R,
    out: &mut [Complex<R>],
) {
    let nx = batch.plan.window[1];
    for (y, (row, p)) in out.chunks_exact_mut(nx).zip(probe.chunks_exact(nx)).enumerate() {
        for ((o, p), t) in row.iter_mut().zip(p).zip(object_row(object, batch, b, y)) {
            *o = (*p * *t).scale(scale);
        }
    }
}

/// Row y of the object under window b.
pub(super) fn object_row<'a, R: Real>(object: &'a [Complex<R>], batch: &CpuBatch<R>, b: usize, y: usize) -> &'a [Complex<R>] {
    let [row, col] = batch.corner(b);
    let start = (row + y) * batch.plan.object_shape[1] + col;
    &object[start..start + batch.plan.window[1]]
}
