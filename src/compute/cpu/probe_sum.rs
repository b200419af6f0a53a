//! Kernel `probe_sum`: the batch's probe update, shifted back and summed in reciprocal space.

use num_complex::Complex;
use rayon::prelude::*;

use super::CpuBatch;
use crate::compute::Real;

/// `numerator = Σ_b ramp_b* · Ĝ_b`, in the batch's order.
pub(super) fn probe_sum<R: Real>(gradients: &[Complex<R>], batch: &CpuBatch<R>, numerator: &mut [Complex<R>]) {
    let [ny, nx] = batch.plan.window;
    numerator.par_chunks_exact_mut(nx).enumerate().for_each(|(y, out)| {
        out.fill(Complex::default());
        for b in 0..batch.plan.len() {
            let row = &gradients[(b * ny + y) * nx..][..nx];
            add_row(row, y, batch.ramps(b), R::one(), out);
        }
    });
}

/// Adds one row of a gradient, shifted back, times `scale`.
pub(super) fn add_row<R: Real>(
    row: &[Complex<R>],
    y: usize,
    (ramp_y, ramp_x): (&[Complex<R>], &[Complex<R>]),
    scale: R,
    out: &mut [Complex<R>],
) {
    let ry = ramp_y[y].scale(scale);
    for ((o, g), rx) in out.iter_mut().zip(row).zip(ramp_x) {
        *o += (ry * rx).conj() * g;
    }
}
