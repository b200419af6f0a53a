//! Kernel `shift_probe`: the spectra of each position's sub-pixel shifted probe.

use rayon::prelude::*;

use super::CpuBatch;
use super::lanes::Scalar;
use super::planes::{Part, PartMut, Planes};

/// `out[b, m] = P̂_m · ramp_b`, the first mode with the position's variations.
pub(super) fn shift_probe<R: Scalar>(probe_hat: &Planes<R>, modes: usize, batch: &CpuBatch<R>, out: &mut Planes<R>) {
    let n = batch.window_len();
    out.windows_mut(n, batch.plan.len() * modes)
        .enumerate()
        .for_each(|(w, window)| shift_mode(probe_hat, modes, w % modes, batch, w / modes, R::one(), window));
}

/// Mode `m` of position `b`, times `scale`.
#[inline(always)]
pub(super) fn shift_mode<R: Scalar>(
    probe_hat: &Planes<R>,
    modes: usize,
    m: usize,
    batch: &CpuBatch<R>,
    b: usize,
    scale: R,
    mut out: PartMut<R>,
) {
    let (n, ramps) = (batch.window_len(), batch.ramps(b));
    shift_window(probe_hat.window(n, m), ramps, scale, out.reborrow(), false);
    if m == 0 {
        for (k, weight) in batch.weights(b).iter().enumerate() {
            shift_window(probe_hat.window(n, modes + k), ramps, *weight * scale, out.reborrow(), true);
        }
    }
}

/// A window times the ramps and `scale`, in place of what is there or added to it.
#[inline(always)]
fn shift_window<R: Scalar>(probe_hat: Part<R>, (ramp_y, ramp_x): (Part<R>, Part<R>), scale: R, mut out: PartMut<R>, add: bool) {
    let nx = ramp_x.re.len();
    for (y, (ry, iy)) in ramp_y.re.iter().zip(ramp_y.im).enumerate() {
        let row = y * nx..(y + 1) * nx;
        let factor = [*ry * scale, *iy * scale];
        if add {
            shift_row(
                probe_hat.range(row.clone()),
                factor,
                ramp_x,
                out.range(row),
                #[inline(always)]
                |there, more| there + more,
            );
        } else {
            shift_row(
                probe_hat.range(row.clone()),
                factor,
                ramp_x,
                out.range(row),
                #[inline(always)]
                |_, new| new,
            );
        }
    }
}

#[inline(always)]
fn shift_row<R: Scalar>(p: Part<R>, [ry, iy]: [R; 2], ramp: Part<R>, out: PartMut<R>, put: impl Fn(R, R) -> R) {
    let inputs = p.re.iter().zip(p.im).zip(ramp.re.iter().zip(ramp.im));
    for ((re, im), ((pr, pi), (rx, ix))) in out.re.iter_mut().zip(out.im).zip(inputs) {
        let (r, i) = (ry * *rx - iy * *ix, ry * *ix + iy * *rx);
        *re = put(*re, *pr * r - *pi * i);
        *im = put(*im, *pr * i + *pi * r);
    }
}
