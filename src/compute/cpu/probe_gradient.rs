//! Kernel `probe_gradient`: each position's probe update before it is shifted back.

use num_complex::Complex;
use rayon::prelude::*;

use super::CpuBatch;
use super::exit_wave::object_row;
use crate::compute::Real;

/// `out[b] = O[window of b]* · Δψ_b`.
pub(super) fn probe_gradient<R: Real>(waves: &[Complex<R>], object: &[Complex<R>], batch: &CpuBatch<R>, out: &mut [Complex<R>]) {
    let n = batch.window_len();
    out[..batch.plan.len() * n]
        .par_chunks_exact_mut(n)
        .zip(waves.par_chunks_exact(n))
        .enumerate()
        .for_each(|(b, (out, wave))| gradient_window(wave, object, batch, b, out));
}

/// One window of the kernel.
pub(super) fn gradient_window<R: Real>(wave: &[Complex<R>], object: &[Complex<R>], batch: &CpuBatch<R>, b: usize, out: &mut [Complex<R>]) {
    let nx = batch.plan.window[1];
    for (y, (out, wave)) in out.chunks_exact_mut(nx).zip(wave.chunks_exact(nx)).enumerate() {
        for ((o, w), t) in out.iter_mut().zip(wave).zip(object_row(object, batch, b, y)) {
            *o = t.conj() * w;
        }
    }
}
