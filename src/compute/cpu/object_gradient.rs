//! Kernel `object_gradient`: the batch's object update, gathered tile by tile.

use num_complex::Complex;
use rayon::prelude::*;

use super::{Cpu, CpuBatch};
use crate::compute::{Real, TILE, Update};

/// `numerator = Σ_b P_b* Δψ_b` and `denominator = Σ_b |P_b|²` in the touched tiles, and the largest denominator.
pub(super) fn object_gradient<R: Real>(waves: &[Complex<R>], probes: &[Complex<R>], batch: &CpuBatch<R>, update: &mut Update<Cpu<R>>) {
    let width = batch.plan.object_shape[1];
    // A strip is a row of tiles: strips are written side by side, and within a strip each pixel sums its members in order.
    let peak = update
        .numerator
        .par_chunks_mut(TILE * width)
        .zip(update.denominator.par_chunks_mut(TILE * width))
        .enumerate()
        .map(|(strip, (numerator, denominator))| gather_strip(strip * TILE, waves, probes, batch, numerator, denominator))
        .reduce(R::zero, R::max);
    update.peak[0] = peak;
}

/// Gathers the rows `first_row..first_row + TILE` of the object.
fn gather_strip<R: Real>(
    first_row: usize,
    waves: &[Complex<R>],
    probes: &[Complex<R>],
    batch: &CpuBatch<R>,
    numerator: &mut [Complex<R>],
    denominator: &mut [R],
) -> R {
    let [ny, nx] = batch.plan.window;
    let width = batch.plan.object_shape[1];
    let rows = numerator.len() / width;
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
        numerator[y * width..][touched.clone()].fill(Complex::default());
        denominator[y * width..][touched.clone()].fill(R::zero());
    }
    for b in 0..batch.plan.len() {
        let [row, col] = batch.corner(b);
        for y in first_row.max(row)..(first_row + rows).min(row + ny) {
            let place = (y - first_row) * width + col;
            let source = (b * ny + y - row) * nx;
            let (p, d) = (&probes[source..source + nx], &waves[source..source + nx]);
            for (((n, den), p), d) in numerator[place..place + nx].iter_mut().zip(&mut denominator[place..place + nx]).zip(p).zip(d) {
                *n += p.conj() * d;
                *den += p.norm_sqr();
            }
        }
    }
    (0..rows).flat_map(|y| &denominator[y * width..][touched.clone()]).fold(R::zero(), |a, &d| a.max(d))
}
