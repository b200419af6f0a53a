//! Kernel `fft2`: unitary 2-D transforms of stacks of windows.

use std::sync::Arc;

use num_complex::Complex;
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner};

use crate::compute::{Direction, Real};

/// A planned transform of one window shape.
pub(super) struct Fft2<R: Real> {
    shape: [usize; 2],
    /// Along x and along y, by direction.
    forward: [Arc<dyn Fft<R>>; 2],
    inverse: [Arc<dyn Fft<R>>; 2],
    /// 1/√(ny·nx).
    pub(super) unitary: R,
}

/// The work memory of one transform.
pub(super) struct Scratch<R: Real> {
    transposed: Vec<Complex<R>>,
    fft: Vec<Complex<R>>,
}

impl<R: Real> Fft2<R> {
    pub(super) fn new(shape: [usize; 2]) -> Self {
        let mut planner = FftPlanner::new();
        Self {
            shape,
            forward: [planner.plan_fft_forward(shape[1]), planner.plan_fft_forward(shape[0])],
            inverse: [planner.plan_fft_inverse(shape[1]), planner.plan_fft_inverse(shape[0])],
            unitary: R::of(1.0 / ((shape[0] * shape[1]) as f64).sqrt()),
        }
    }

    pub(super) fn scratch(&self) -> Scratch<R> {
        let zero = Complex::default();
        let longest = self.forward.iter().chain(&self.inverse).map(|f| f.get_inplace_scratch_len()).max().unwrap_or(0);
        Scratch { transposed: vec![zero; self.shape[0] * self.shape[1]], fft: vec![zero; longest] }
    }

    /// Transforms every window of the stack, unitary.
    pub(super) fn transform(&self, stack: &mut [Complex<R>], direction: Direction) {
        stack.par_chunks_exact_mut(self.shape[0] * self.shape[1]).for_each_init(
            || self.scratch(),
            |scratch, window| {
                self.window(window, direction, scratch);
                window.iter_mut().for_each(|z| *z = z.scale(self.unitary));
            },
        );
    }

    /// Transforms one window, not scaled: each direction grows Σ|·|² by ny·nx.
    pub(super) fn window(&self, window: &mut [Complex<R>], direction: Direction, scratch: &mut Scratch<R>) {
        let [along_x, along_y] = match direction {
            Direction::Forward => &self.forward,
            Direction::Inverse => &self.inverse,
        };
        let [ny, nx] = self.shape;
        along_x.process_with_scratch(window, &mut scratch.fft);
        transpose(window, &mut scratch.transposed, ny, nx);
        along_y.process_with_scratch(&mut scratch.transposed, &mut scratch.fft);
        transpose(&scratch.transposed, window, nx, ny);
    }
}

/// `to` (columns, rows) becomes the transpose of `from` (rows, columns), block by block to stay in cache.
fn transpose<T: Copy>(from: &[T], to: &mut [T], rows: usize, columns: usize) {
    const BLOCK: usize = 16;
    for row in (0..rows).step_by(BLOCK) {
        for column in (0..columns).step_by(BLOCK) {
            for r in row..(row + BLOCK).min(rows) {
                for c in column..(column + BLOCK).min(columns) {
                    to[c * rows + r] = from[r * columns + c];
                }
            }
        }
    }
}
