//! Kernel `object_power`: the denominator of the probe's update.

use pulp::Arch;
use rayon::prelude::*;

use super::CpuBatch;
use super::lanes::Scalar;
use super::planes::{Part, Planes};

/// `denominator (+)= Σ_b |O[window of b]|²`, in the batch's order, and its largest value.
pub(super) fn object_power<R: Scalar>(object: &Planes<R>, batch: &CpuBatch<R>, fresh: bool, denominator: &mut [R], peak: &mut [R]) {
    peak[0] = denominator
        .par_chunks_exact_mut(batch.plan.window[1])
        .enumerate()
        .map(|(y, out)| {
            Arch::new().dispatch(
                #[inline(always)]
                move || sum_row(object, batch, fresh, y, out),
            )
        })
        .reduce(R::zero, R::max);
}

/// Row y of the window.
#[inline(always)]
fn sum_row<R: Scalar>(object: &Planes<R>, batch: &CpuBatch<R>, fresh: bool, y: usize, out: &mut [R]) -> R {
    if fresh {
        out.fill(R::zero());
    }
    for b in 0..batch.plan.len() {
        add_row(object.part(batch.object_row(b, y)), out);
    }
    out.iter().fold(R::zero(), |a, &d| if d > a { d } else { a })
}

#[inline(always)]
fn add_row<R: Scalar>(o: Part<R>, out: &mut [R]) {
    for ((out, re), im) in out.iter_mut().zip(o.re).zip(o.im) {
        *out += *re * *re + *im * *im;
    }
}
