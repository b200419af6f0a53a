//! Kernel `object_power`: the denominator of the probe's update.

use num_complex::Complex;
use rayon::prelude::*;

use super::CpuBatch;
use super::exit_wave::object_row;
use crate::compute::Real;

/// `denominator = Σ_b |O[window of b]|²`, in the batch's order, and its largest value.
pub(super) fn object_power<R: Real>(object: &[Complex<R>], batch: &CpuBatch<R>, denominator: &mut [R], peak: &mut [R]) {
    let nx = batch.plan.window[1];
    peak[0] = denominator
        .par_chunks_exact_mut(nx)
        .enumerate()
        .map(|(y, out)| {
            out.fill(R::zero());
            for b in 0..batch.plan.len() {
                for (o, t) in out.iter_mut().zip(object_row(object, batch, b, y)) {
                    *o += t.norm_sqr();
                }
            }
            out.iter().fold(R::zero(), |a, &d| a.max(d))
        })
        .reduce(R::zero, R::max);
}
