//! Kernel `probe_gradient`: what the waves that fall on a slice lack, given what those behind it lack.

use rayon::prelude::*;

use super::CpuBatch;
use super::lanes::Scalar;
use super::planes::{Part, PartMut, Planes};

/// `out[b, m] = O[window of b]* · Δψ[b, m]`.
pub(super) fn probe_gradient<R: Scalar>(waves: &Planes<R>, object: &Planes<R>, modes: usize, batch: &CpuBatch<R>, out: &mut Planes<R>) {
    let n = batch.window_len();
    out.windows_mut(n, batch.plan.len() * modes)
        .enumerate()
        .for_each(|(w, out)| gradient_window(waves.window(n, w), object, batch, w / modes, R::one(), out));
}

/// One window of the kernel, times `scale`.
#[inline(always)]
pub(super) fn gradient_window<R: Scalar>(wave: Part<R>, object: &Planes<R>, batch: &CpuBatch<R>, b: usize, scale: R, mut out: PartMut<R>) {
    let [ny, nx] = batch.plan.window;
    for y in 0..ny {
        let row = y * nx..(y + 1) * nx;
        gradient_row(wave.range(row.clone()), object.part(batch.object_row(b, y)), scale, out.range(row));
    }
}

#[inline(always)]
fn gradient_row<R: Scalar>(w: Part<R>, o: Part<R>, scale: R, out: PartMut<R>) {
    let inputs = w.re.iter().zip(w.im).zip(o.re.iter().zip(o.im));
    for ((re, im), ((wr, wi), (or, oi))) in out.re.iter_mut().zip(out.im).zip(inputs) {
        *re = (*or * *wr + *oi * *wi) * scale;
        *im = (*or * *wi - *oi * *wr) * scale;
    }
}
