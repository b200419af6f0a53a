//! Kernel `object_gradient`: the batch's update of a slice, gathered tile by tile.

use pulp::Arch;
use rayon::prelude::*;

use super::lanes::Scalar;
use super::planes::{Part, PartMut, Planes};
use super::{Cpu, CpuBatch};
use crate::compute::{TILE, Update};

/// What windows add to a slice.
pub(super) trait Windows<R>: Sync {
    /// Adds row `y` of the windows of position `b`.
    fn add_row(&self, b: usize, y: usize, nx: usize, numerator: PartMut<R>, denominator: &mut [R]);
}

/// `numerator (+)= Σ ψ* Δψ` and `denominator (+)= Σ |ψ|²` in the touched tiles, and the largest denominator.
pub(super) fn object_gradient<R: Scalar>(
    waves: &Planes<R>,
    incident: &Planes<R>,
    modes: usize,
    batch: &CpuBatch<R>,
    fresh: bool,
    update: &mut Update<Cpu<R>>,
) {
    gather(&Products { waves, incident, modes, ny: batch.plan.window[0] }, batch, fresh, update);
}

/// Gathers what the windows of a batch add to a slice.
pub(super) fn gather<R: Scalar>(windows: &impl Windows<R>, batch: &CpuBatch<R>, fresh: bool, update: &mut Update<Cpu<R>>) {
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
                move || gather_strip(s * TILE, windows, batch, fresh, PartMut { re, im }, denominator),
            )
        })
        .reduce(R::zero, R::max);
    update.peak[0] = peak;
}

/// Gathers the rows `first_row..first_row + TILE` of the object.
#[inline(always)]
fn gather_strip<R: Scalar>(
    first_row: usize,
    windows: &impl Windows<R>,
    batch: &CpuBatch<R>,
    fresh: bool,
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
    if fresh {
        for y in 0..rows {
            let place = y * width + touched.start..y * width + touched.end;
            numerator.re[place.clone()].fill(R::zero());
            numerator.im[place.clone()].fill(R::zero());
            denominator[place].fill(R::zero());
        }
    }
    for b in 0..batch.plan.len() {
        let [row, col] = batch.corner(b);
        for y in first_row.max(row)..(first_row + rows).min(row + ny) {
            let place = (y - first_row) * width + col;
            windows.add_row(b, y - row, nx, numerator.range(place..place + nx), &mut denominator[place..place + nx]);
        }
    }
    (0..rows).flat_map(|y| &denominator[y * width..][touched.clone()]).fold(R::zero(), |a, &d| if d > a { d } else { a })
}

/// Waves and what falls on the slice, multiplied as they are gathered.
struct Products<'a, R> {
    waves: &'a Planes<R>,
    incident: &'a Planes<R>,
    modes: usize,
    ny: usize,
}

impl<R: Scalar> Windows<R> for Products<'_, R> {
    #[inline(always)]
    fn add_row(&self, b: usize, y: usize, nx: usize, mut numerator: PartMut<R>, denominator: &mut [R]) {
        for w in b * self.modes..(b + 1) * self.modes {
            let source = (w * self.ny + y) * nx;
            let row = source..source + nx;
            add_products(self.incident.part(row.clone()), self.waves.part(row), numerator.reborrow(), denominator);
        }
    }
}

/// Adds ψ*Δψ and |ψ|².
#[inline(always)]
pub(super) fn add_products<R: Scalar>(p: Part<R>, d: Part<R>, numerator: PartMut<R>, denominator: &mut [R]) {
    let inputs = p.re.iter().zip(p.im).zip(d.re.iter().zip(d.im));
    for (((re, im), den), ((pr, pi), (dr, di))) in numerator.re.iter_mut().zip(numerator.im).zip(denominator).zip(inputs) {
        *re += *pr * *dr + *pi * *di;
        *im += *pr * *di - *pi * *dr;
        *den += *pr * *pr + *pi * *pi;
    }
}

/// Products that are summed over the modes already, (batch, y, x).
pub(super) struct Summed<'a, R: Scalar> {
    pub(super) products: &'a Planes<R>,
    pub(super) powers: &'a [R],
    pub(super) ny: usize,
}

impl<R: Scalar> Windows<R> for Summed<'_, R> {
    #[inline(always)]
    fn add_row(&self, b: usize, y: usize, nx: usize, numerator: PartMut<R>, denominator: &mut [R]) {
        let source = (b * self.ny + y) * nx;
        let product = self.products.part(source..source + nx);
        let inputs = product.re.iter().zip(product.im).zip(&self.powers[source..source + nx]);
        for (((re, im), den), ((pr, pi), power)) in numerator.re.iter_mut().zip(numerator.im).zip(denominator).zip(inputs) {
            *re += *pr;
            *im += *pi;
            *den += *power;
        }
    }
}
