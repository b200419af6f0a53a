//! Kernels `optimal_object_step` and `optimal_probe_step`: how far an update is best taken.

use rayon::prelude::*;

use super::lanes::Scalar;
use super::{Cpu, CpuBatch};
use crate::compute::{TILE, Update};

/// Sets the gain to Σ|n|²/D over Σ|n|²d/D² with the numerators n, the denominators d and D = own·d + (1 − own)·peak.
pub(super) fn optimal_object_step<R: Scalar>(update: &mut Update<Cpu<R>>, own: R, batch: &CpuBatch<R>) {
    let ([height, width], peak) = (batch.plan.object_shape, update.peak[0]);
    let tile = |&[row, col]: &[u32; 2]| {
        let (row, col) = (row as usize, col as usize);
        let mut sums = [R::zero(); 2];
        for y in row..(row + TILE).min(height) {
            for p in y * width + col..y * width + (col + TILE).min(width) {
                let (re, im, d) = (update.numerator.re[p], update.numerator.im[p], update.denominator[p]);
                let divisor = own * d + (R::one() - own) * peak;
                if divisor > R::zero() {
                    let gain = (re * re + im * im) / divisor;
                    sums[0] += gain;
                    sums[1] += gain * (d / divisor);
                }
            }
        }
        sums
    };
    let tiles: Vec<[R; 2]> = batch.plan.tiles.origins.par_iter().map(tile).collect();
    let [gain, cost] = tiles.into_iter().fold([R::zero(); 2], |[a, b], [x, y]| [a + x, b + y]);
    update.gain[0] = if cost > R::zero() { gain / cost } else { R::one() };
}

/// Sets the gain to the peak over the mean denominator.
pub(super) fn optimal_probe_step<R: Scalar>(update: &mut Update<Cpu<R>>) {
    // In stretches, so that single precision keeps its digits.
    let sum: R = update.denominator.chunks(256).map(|part| part.iter().copied().sum::<R>()).sum();
    update.gain[0] = if sum > R::zero() { update.peak[0] * R::of(update.denominator.len() as f64) / sum } else { R::one() };
}
