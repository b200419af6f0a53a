//! Kernel `update_object`: adds a pending update to the object.

use rayon::prelude::*;

use super::lanes::Scalar;
use super::planes::Planes;
use super::{Cpu, CpuBatch};
use crate::compute::{TILE, Update};

/// `object += step · numerator / peak` in the touched tiles.
pub(super) fn update_object<R: Scalar>(object: &mut Planes<R>, update: &Update<Cpu<R>>, step: R, batch: &CpuBatch<R>) {
    let peak = update.peak[0];
    if peak <= R::zero() {
        return;
    }
    add_tiles(&mut object.re, &update.numerator.re, step / peak, batch);
    add_tiles(&mut object.im, &update.numerator.im, step / peak, batch);
}

/// Adds `factor` times one plane to another in the touched tiles.
fn add_tiles<R: Scalar>(plane: &mut [R], numerator: &[R], factor: R, batch: &CpuBatch<R>) {
    let [height, width] = batch.plan.object_shape;
    let origins = &batch.plan.tiles.origins;
    plane.par_chunks_mut(TILE * width).enumerate().for_each(|(strip, rows)| {
        let first_row = (strip * TILE) as u32;
        let begin = origins.partition_point(|o| o[0] < first_row);
        for [_, col] in origins[begin..].iter().take_while(|o| o[0] == first_row) {
            let (col, end) = (*col as usize, (*col as usize + TILE).min(width));
            for y in 0..TILE.min(height - strip * TILE) {
                let numerator = &numerator[(strip * TILE + y) * width..][col..end];
                for (o, n) in rows[y * width..][col..end].iter_mut().zip(numerator) {
                    *o += *n * factor;
                }
            }
        }
    });
}
