//! Kernel `fft2`: unitary 2-D transforms of stacks of windows.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::fft1::{Columns, Fft1};
use super::lanes::{Scalar, transposes_quads};
use super::planes::{Part, PartMut, Planes};
use crate::compute::Direction;

/// The most numbers that a register holds.
const MAX_LANES: usize = 16;

/// The work memory of one transform.
pub(super) struct Scratch<R> {
    transposed: Planes<R>,
    columns: [Planes<R>; 2],
}

/// A planned transform of one window shape.
pub(super) struct Fft2<R> {
    shape: [usize; 2],
    along_y: Fft1<R>,
    along_x: Fft1<R>,
    /// 1/√(ny·nx).
    pub(super) unitary: R,
}

impl<R: Scalar> Fft2<R> {
    pub(super) fn new(shape: [usize; 2]) -> Self {
        let unitary = R::of(1.0 / ((shape[0] * shape[1]) as f64).sqrt());
        Self { shape, along_y: Fft1::new(shape[0]), along_x: Fft1::new(shape[1]), unitary }
    }

    /// The work memory of one transform.
    pub(super) fn scratch(&self) -> Scratch<R> {
        let longest = self.shape[0].max(self.shape[1]);
        Scratch { transposed: Planes::zeros(self.shape[0] * self.shape[1]), columns: [(); 2].map(|()| Planes::zeros(longest * MAX_LANES)) }
    }

    /// Transforms the first `count` windows of the stack, unitary.
    pub(super) fn transform(&self, stack: &mut Planes<R>, count: usize, direction: Direction) {
        stack.windows_mut(self.shape[0] * self.shape[1], count).for_each_init(
            || self.scratch(),
            |scratch, mut window| {
                self.window(window.reborrow(), direction, scratch);
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        window.re.iter_mut().chain(window.im).for_each(|x| *x *= self.unitary);
                    },
                );
            },
        );
    }

    /// Transforms one window, not scaled: each direction grows Σ|·|² by ny·nx.
    pub(super) fn window(&self, window: PartMut<R>, direction: Direction, scratch: &mut Scratch<R>) {
        // The inverse transform is the forward one with real and imaginary parts exchanged.
        let window = match direction {
            Direction::Forward => window,
            Direction::Inverse => PartMut { re: window.im, im: window.re },
        };
        Arch::new().dispatch(Passes { fft: self, window, scratch });
    }
}

/// Both passes of a transform, each along the columns and written transposed.
struct Passes<'a, R: Scalar> {
    fft: &'a Fft2<R>,
    window: PartMut<'a, R>,
    scratch: &'a mut Scratch<R>,
}

impl<R: Scalar> WithSimd for Passes<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (fft, mut window, Scratch { transposed, columns }) = (self.fft, self.window, self.scratch);
        let mut transposed = PartMut { re: &mut transposed.re, im: &mut transposed.im };
        pass(simd, &fft.along_y, fft.shape[1], window.as_part(), &mut transposed, columns);
        pass(simd, &fft.along_x, fft.shape[0], transposed.as_part(), &mut window, columns);
    }
}

/// Transforms `from` (n, width) along its columns into `to` (width, n).
#[inline(always)]
fn pass<R: Scalar, S: Simd>(simd: S, fft: &Fft1<R>, width: usize, from: Part<R>, to: &mut PartMut<R>, columns: &mut [Planes<R>; 2]) {
    let (n, lanes) = (fft.n, size_of::<R::Lanes<S>>() / size_of::<R>());
    let quads = transposes_quads::<R, S>(simd) && n.is_multiple_of(4);
    for first in (0..width).step_by(lanes) {
        let used = lanes.min(width - first);
        let [here, there] = columns;
        let here = lanes_of::<R, S>(here, n);
        for y in 0..n {
            let row = y * width + first..y * width + first + used;
            load::<R, S>(&mut here.re[y], &from.re[row.clone()]);
            load::<R, S>(&mut here.im[y], &from.im[row]);
        }
        let done = fft.run(simd, here, lanes_of::<R, S>(there, n));
        let rows = first * n..(first + used) * n;
        if quads && used == lanes {
            write_quads::<R, S>(simd, done.re, &mut to.re[rows.clone()]);
            write_quads::<R, S>(simd, done.im, &mut to.im[rows]);
        } else {
            write_transposed::<R, S>(done.re, &mut to.re[rows.clone()]);
            write_transposed::<R, S>(done.im, &mut to.im[rows]);
        }
    }
}

/// A buffer as `n` registers.
#[inline(always)]
fn lanes_of<R: Scalar, S: Simd>(buffer: &mut Planes<R>, n: usize) -> Columns<'_, R, S> {
    let len = n * size_of::<R::Lanes<S>>() / size_of::<R>();
    Columns { re: bytemuck::cast_slice_mut(&mut buffer.re[..len]), im: bytemuck::cast_slice_mut(&mut buffer.im[..len]) }
}

/// Fills a register, or its first lanes where there are fewer numbers.
#[inline(always)]
fn load<R: Scalar, S: Simd>(register: &mut R::Lanes<S>, numbers: &[R]) {
    if size_of_val(numbers) == size_of::<R::Lanes<S>>() {
        *register = bytemuck::cast_slice::<R, R::Lanes<S>>(numbers)[0];
    } else {
        bytemuck::cast_slice_mut::<_, R>(std::slice::from_mut(register))[..numbers.len()].copy_from_slice(numbers);
    }
}

/// Lane l of the registers becomes row l of `to`.
#[inline(always)]
fn write_transposed<R: Scalar, S: Simd>(from: &[R::Lanes<S>], to: &mut [R]) {
    let n = from.len();
    for (k, register) in from.iter().enumerate() {
        for (row, x) in to.chunks_exact_mut(n).zip(bytemuck::cast_slice::<_, R>(std::slice::from_ref(register))) {
            row[k] = *x;
        }
    }
}

/// The same by four registers at a time, where the processor transposes them in groups of four lanes.
#[inline(always)]
fn write_quads<R: Scalar, S: Simd>(simd: S, from: &[R::Lanes<S>], to: &mut [R]) {
    let n = from.len();
    let (quads, _) = from.as_chunks::<4>();
    for (k, registers) in quads.iter().enumerate() {
        let shuffled = R::shuffle_4(simd, *registers);
        for (i, register) in shuffled.iter().enumerate() {
            let (groups, _) = bytemuck::cast_slice::<_, R>(std::slice::from_ref(register)).as_chunks::<4>();
            for (g, group) in groups.iter().enumerate() {
                let place = (4 * g + i) * n + 4 * k;
                to[place..place + 4].copy_from_slice(group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use num_complex::Complex64;
    use rustfft::FftPlanner;

    use super::*;

    #[test]
    fn transforms_of_any_size_equal_rustfft_in_double_precision() {
        for shape in [[16, 16], [1, 5], [7, 11], [18, 20], [26, 121], [64, 96], [60, 49], [127, 128], [243, 35]] {
            let n = shape[0] * shape[1];
            let input: Vec<Complex64> = (0..n).map(|i| Complex64::new((i as f64 * 1.7).sin(), (i as f64 * 0.37).cos())).collect();
            for direction in [Direction::Forward, Direction::Inverse] {
                let mut planner = FftPlanner::new();
                let mut plan = |n| match direction {
                    Direction::Forward => planner.plan_fft_forward(n),
                    Direction::Inverse => planner.plan_fft_inverse(n),
                };
                let mut expected = input.clone();
                plan(shape[1]).process(&mut expected);
                for x in 0..shape[1] {
                    let mut column: Vec<_> = (0..shape[0]).map(|y| expected[y * shape[1] + x]).collect();
                    plan(shape[0]).process(&mut column);
                    (0..shape[0]).for_each(|y| expected[y * shape[1] + x] = column[y] / (n as f64).sqrt());
                }
                let mut planes = Planes::from_complex(&input);
                Fft2::<f64>::new(shape).transform(&mut planes, 1, direction);
                let error = planes.to_complex().iter().zip(&expected).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max);
                // Rounding of f64 over at most a few hundred terms of size 1.
                assert!(error < 1e-12, "{shape:?} {direction:?}: {error}");
            }
        }
    }
}
