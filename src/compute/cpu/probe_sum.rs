//! Kernel `probe_sum`: the batch's probe update, shifted back and summed in reciprocal space.

use pulp::Arch;
use rayon::prelude::*;

use super::CpuBatch;
use super::lanes::Scalar;
use super::planes::{Part, PartMut, Planes};

/// `numerator[m] (+)= Σ_b ramp_b* · Ĝ[b, m]`, in the batch's order; behind the modes the variations, `Σ_b w_bk · ramp_b* · Ĝ[b, 0]`.
pub(super) fn probe_sum<R: Scalar>(gradients: &Planes<R>, modes: usize, batch: &CpuBatch<R>, fresh: bool, numerator: &mut Planes<R>) {
    let [ny, nx] = batch.plan.window;
    numerator.windows_mut(nx, ny * (modes + batch.plan.variations())).enumerate().for_each(|(row, out)| {
        Arch::new().dispatch(
            #[inline(always)]
            move || sum_row(gradients, modes, batch, fresh, [row / ny, row % ny], out),
        );
    });
}

/// Row y of mode m, or of a variation behind the modes.
#[inline(always)]
fn sum_row<R: Scalar>(gradients: &Planes<R>, modes: usize, batch: &CpuBatch<R>, fresh: bool, [m, y]: [usize; 2], mut out: PartMut<R>) {
    let [ny, nx] = batch.plan.window;
    if fresh {
        out.re.fill(R::zero());
        out.im.fill(R::zero());
    }
    for b in 0..batch.plan.len() {
        let (ramp_y, ramp_x) = batch.ramps(b);
        let (mode, weight) = if m < modes { (m, R::one()) } else { (0, batch.weights(b)[m - modes]) };
        let factor = [ramp_y.re[y] * weight, ramp_y.im[y] * weight];
        add_row(gradients.window(nx, (b * modes + mode) * ny + y), factor, ramp_x, out.reborrow());
    }
}

#[inline(always)]
fn add_row<R: Scalar>(g: Part<R>, [ry, iy]: [R; 2], ramp: Part<R>, out: PartMut<R>) {
    let inputs = g.re.iter().zip(g.im).zip(ramp.re.iter().zip(ramp.im));
    for ((re, im), ((gr, gi), (rx, ix))) in out.re.iter_mut().zip(out.im).zip(inputs) {
        let (r, i) = (ry * *rx - iy * *ix, ry * *ix + iy * *rx);
        *re += *gr * r + *gi * i;
        *im += *gi * r - *gr * i;
    }
}
