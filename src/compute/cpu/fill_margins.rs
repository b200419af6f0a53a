//! Kernel `fill_margins`: what lies beyond the scan in a window is set to the mean of what lies in it.

use rayon::prelude::*;

use super::bright_field::CpuBrightField;
use super::lanes::Scalar;
use super::planes::Planes;

/// Each part of each window on its own.
pub(super) fn fill_margins<R: Scalar>(x: &mut Planes<R>, bright: &CpuBrightField<R>, count: usize) {
    let (n, width, [rows, columns]) = (bright.plan.scan_len(), bright.plan.scan[1], bright.plan.positions);
    x.windows_mut(n, count).for_each(|window| {
        for part in [window.re, window.im] {
            let row_sums = part.chunks_exact(width).take(rows).map(|row| row[..columns].iter().copied().sum::<R>());
            let mean = row_sums.sum::<R>() / R::of((rows * columns) as f64);
            for (y, row) in part.chunks_exact_mut(width).enumerate() {
                row[if y < rows { columns } else { 0 }..].fill(mean);
            }
        }
    });
}
