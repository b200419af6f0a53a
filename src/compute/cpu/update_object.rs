//! Kernel `update_object`: adds a pending update to the object.

use rayon::prelude::*;

use super::lanes::Scalar;
use super::planes::{Part, PartMut, Planes};
use super::{Cpu, CpuBatch};
use crate::compute::{TILE, Update};

/// `object += step · gain · numerator / (own · denominator + (1 − own) · peak)` in the touched tiles.
pub(super) fn update_object<R: Scalar>(object: &mut Planes<R>, update: &Update<Cpu<R>>, step: R, own: R, batch: &CpuBatch<R>) {
    let [height, width] = batch.plan.object_shape;
    let (peak, origins) = (update.peak[0], &batch.plan.tiles.origins);
    if peak <= R::zero() {
        return;
    }
    let (step, others) = (step * update.gain[0], (R::one() - own) * peak);
    let (re, im) = (&mut object.re, &mut object.im);
    re.par_chunks_mut(TILE * width).zip(im.par_chunks_mut(TILE * width)).enumerate().for_each(|(strip, (re, im))| {
        let first_row = (strip * TILE) as u32;
        let begin = origins.partition_point(|o| o[0] < first_row);
        for [_, col] in origins[begin..].iter().take_while(|o| o[0] == first_row) {
            let (col, end) = (*col as usize, (*col as usize + TILE).min(width));
            for y in 0..TILE.min(height - strip * TILE) {
                let place = (strip * TILE + y) * width;
                let object = PartMut { re: &mut re[y * width + col..y * width + end], im: &mut im[y * width + col..y * width + end] };
                let denominator = if own == R::zero() { None } else { Some(&update.denominator[place + col..place + end]) };
                add_row(object, update.numerator.part(place + col..place + end), denominator, [step, own, others]);
            }
        }
    });
}

/// A row of a tile; without denominators all divisors are the same.
fn add_row<R: Scalar>(object: PartMut<R>, numerator: Part<R>, denominator: Option<&[R]>, [step, own, others]: [R; 3]) {
    let pixels = object.re.iter_mut().zip(object.im).zip(numerator.re.iter().zip(numerator.im));
    match denominator {
        None => {
            let factor = step / others;
            pixels.for_each(|((re, im), (nr, ni))| {
                *re += *nr * factor;
                *im += *ni * factor;
            });
        }
        Some(denominator) => pixels.zip(denominator).for_each(|(((re, im), (nr, ni)), den)| {
            let divisor = own * *den + others;
            let factor = if divisor > R::zero() { step / divisor } else { R::zero() };
            *re += *nr * factor;
            *im += *ni * factor;
        }),
    }
}
