//! Kernel `exit_wave`: the waves that fall on a slice, times the object under them.

use rayon::prelude::*;

use super::CpuBatch;
use super::lanes::Scalar;
use super::planes::{Part, PartMut, Planes};

/// `out[b, m] = ψ[b, m] · O[window of b]`.
pub(super) fn exit_wave<R: Scalar>(incident: &Planes<R>, object: &Planes<R>, modes: usize, batch: &CpuBatch<R>, out: &mut Planes<R>) {
    let n = batch.window_len();
    out.windows_mut(n, batch.plan.len() * modes)
        .enumerate()
        .for_each(|(w, wave)| multiply_window(incident.window(n, w), object, batch, w / modes, R::one(), wave));
}

/// One window of the kernel, times `scale`.
#[inline(always)]
pub(super) fn multiply_window<R: Scalar>(probe: Part<R>, object: &Planes<R>, batch: &CpuBatch<R>, b: usize, scale: R, mut out: PartMut<R>) {
    let [ny, nx] = batch.plan.window;
    for y in 0..ny {
        let row = y * nx..(y + 1) * nx;
        multiply_row(probe.range(row.clone()), object.part(batch.object_row(b, y)), scale, out.range(row));
    }
}

#[inline(always)]
fn multiply_row<R: Scalar>(p: Part<R>, o: Part<R>, scale: R, out: PartMut<R>) {
    let inputs = p.re.iter().zip(p.im).zip(o.re.iter().zip(o.im));
    for ((re, im), ((pr, pi), (or, oi))) in out.re.iter_mut().zip(out.im).zip(inputs) {
        *re = (*pr * *or - *pi * *oi) * scale;
        *im = (*pr * *oi + *pi * *or) * scale;
    }
}
