//! Kernel `shift_probe`: the spectra of each position's sub-pixel shifted probe.

use rayon::prelude::*;

use super::CpuBatch;
use super::lanes::Scalar;
use super::planes::{Part, PartMut, Planes};

/// `out[b, m] = P̂_m · ramp_b`.
pub(super) fn shift_probe<R: Scalar>(probe_hat: &Planes<R>, modes: usize, batch: &CpuBatch<R>, out: &mut Planes<R>) {
    let n = batch.window_len();
    out.windows_mut(n, batch.plan.len() * modes)
        .enumerate()
        .for_each(|(w, window)| shift_window(probe_hat.window(n, w % modes), batch.ramps(w / modes), R::one(), window));
}

/// One window of the kernel, times `scale`.
#[inline(always)]
pub(super) fn shift_window<R: Scalar>(probe_hat: Part<R>, (ramp_y, ramp_x): (Part<R>, Part<R>), scale: R, mut out: PartMut<R>) {
    let nx = ramp_x.re.len();
    for (y, (ry, iy)) in ramp_y.re.iter().zip(ramp_y.im).enumerate() {
        let row = y * nx..(y + 1) * nx;
        shift_row(probe_hat.range(row.clone()), [*ry * scale, *iy * scale], ramp_x, out.range(row));
    }
}

#[inline(always)]
fn shift_row<R: Scalar>(p: Part<R>, [ry, iy]: [R; 2], ramp: Part<R>, out: PartMut<R>) {
    let inputs = p.re.iter().zip(p.im).zip(ramp.re.iter().zip(ramp.im));
    for ((re, im), ((pr, pi), (rx, ix))) in out.re.iter_mut().zip(out.im).zip(inputs) {
        let (r, i) = (ry * *rx - iy * *ix, ry * *ix + iy * *rx);
        *re = *pr * r - *pi * i;
        *im = *pr * i + *pi * r;
    }
}
