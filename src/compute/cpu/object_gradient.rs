//! Kernel `object_gradient`: the batch's object update, gathered tile by tile.

use pulp::Arch;
use rayon::prelude::*;

use super::lanes::Scalar;
use super::planes::{Part, PartMut, Planes};
use super::{Cpu, CpuBatch};
use crate::compute::{TILE, Update};

/// `numerator = Σ_b P_b* Δψ_b` and `denominator = Σ_b |P_b|²` in the touched tiles, and the largest denominator.
pub(super) fn object_gradient<R: Scalar>(waves: &Planes<R>, probes: &Planes<R>, batch: &CpuBatch<R>, update: &mut Update<Cpu<R>>) {
    let strip = TILE * batch.plan.object_shape[1];
    // A strip is a row of tiles: strips are written side by side, and within a strip each pixel sums its members in order.
    let peak = update
        .numerator
        .re
        .par_chunks_mut(strip)
        .zip(update.numerator.im.par_chunks_mut(strip))
        .zip(update.denominator.par_chunks_mut(strip))
        .enumerate()
        .map(|(s, ((re, im), denominator))| {
            Arch::new().dispatch(
                #[inline(always)]
                || gather_strip(s * TILE, waves, probes, batch, PartMut { re, im }, denominator),
            )
        })
        .reduce(R::zero, R::max);
    update.peak[0] = peak;
}

/// Gathers the rows `first_row..first_row + TILE` of the object.
#[inline(always)]
fn gather_strip<R: Scalar>(
    first_row: usize,
    waves: &Planes<R>,
    probes: &Planes<R>,
    batch: &CpuBatch<R>,
    mut numerator: PartMut<R>,
    denominator: &mut [R],
) -> R {
    let [ny, nx] = batch.plan.window;
    let width = batch.plan.object_shape[1];
    let rows = denominator.len() / width;
    let mut touched = width..0;
    for b in 0..batch.plan.len() {
        let [row, col] = batch.corner(b);
        if row < first_row + rows && first_row < row + ny {
            touched = touched.start.min(col / TILE * TILE)..touched.end.max((col + nx).next_multiple_of(TILE).min(width));
        }
    }
    if touched.is_empty() {
        return R::zero();
    }
    for y in 0..rows {
        let place = y * width + touched.start..y * width + touched.end;
        numerator.re[place.clone()].fill(R::zero());
        numerator.im[place.clone()].fill(R::zero());
        denominator[place].fill(R::zero());
    }
    for b in 0..batch.plan.len() {
        let [row, col] = batch.corner(b);
        for y in first_row.max(row)..(first_row + rows).min(row + ny) {
            let place = (y - first_row) * width + col;
            let source = (b * ny + y - row) * nx;
            add_row(
                probes.part(source..source + nx),
                waves.part(source..source + nx),
                numerator.range(place..place + nx),
                &mut denominator[place..place + nx],
            );
        }
    }
    (0..rows).flat_map(|y| &denominator[y * width..][touched.clone()]).fold(R::zero(), |a, &d| if d > a { d } else { a })
}

#[inline(always)]
fn add_row<R: Scalar>(p: Part<R>, d: Part<R>, numerator: PartMut<R>, denominator: &mut [R]) {
    let inputs = p.re.iter().zip(p.im).zip(d.re.iter().zip(d.im));
    for (((re, im), den), ((pr, pi), (dr, di))) in numerator.re.iter_mut().zip(numerator.im).zip(denominator).zip(inputs) {
        *re += *pr * *dr + *pi * *di;
        *im += *pr * *di - *pi * *dr;
        *den += *pr * *pr + *pi * *pi;
    }
}
