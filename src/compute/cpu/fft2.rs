//! Kernel `fft2`: unitary 2-D transforms of stacks of windows.

use std::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::aligned::Aligned;
use super::fft1::{Columns, Fft1, Source};
use super::lanes::{Scalar, transposes_quads};
use super::planes::{Part, PartMut, Planes};
use super::tiles::{write_quads, write_tiles};
use crate::compute::Direction;

/// The most numbers that a register holds.
const MAX_LANES: usize = 16;

/// Numbers between the buffers of columns: were they whole pages apart, a load would wait for the store to the same place of another.
const APART: usize = 5 * MAX_LANES;

/// Sets of columns: a transform goes to and fro between two, and may come from a third.
const BUFFERS: usize = 3;

/// The work memory of one transform.
pub(super) struct Scratch<R: Scalar> {
    pub(super) transposed: Planes<R>,
    /// Real and imaginary parts of [`BUFFERS`] sets of columns.
    pub(super) columns: Aligned<R>,
}

/// A planned transform of one window shape.
pub(super) struct Fft2<R> {
    pub(super) shape: [usize; 2],
    pub(super) along_y: Fft1<R>,
    pub(super) along_x: Fft1<R>,
    /// 1/√(ny·nx).
    pub unitary: R,
}

impl<R: Scalar> Fft2<R> {
    pub(super) fn new(shape: [usize; 2]) -> Self {
        let unitary = R::of(1.0 / ((shape[0] * shape[1]) as f64).sqrt());
        Self { shape, along_y: Fft1::new(shape[0]), along_x: Fft1::new(shape[1]), unitary }
    }

    /// The work memory of one transform.
    pub(super) fn scratch(&self) -> Scratch<R> {
        let longest = self.shape[0].max(self.shape[1]);
        Scratch { transposed: Planes::zeros(self.shape[0] * self.shape[1]), columns: column_buffers(longest) }
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

    /// Numbers in a register, where windows consist of whole ones that [`write_tiles`] can transpose.
    pub(super) fn lanes(&self) -> Option<usize> {
        Arch::new().dispatch(Lanes { shape: self.shape, of: PhantomData::<R> })
    }

    /// `spectrum` (ky, kx) in the order that [`Self::through`] takes it in: the kx of `lanes` rows one behind the other, a register each. None where windows do not consist of
    /// whole registers.
    pub(super) fn in_registers(&self, spectrum: Part<R>) -> Option<Planes<R>> {
        let lanes = self.lanes()?;
        let nx = self.shape[1];
        let mut ordered = Planes::zeros(spectrum.re.len());
        for (to, from) in [(&mut ordered.re, spectrum.re), (&mut ordered.im, spectrum.im)] {
            for (group, rows) in to.chunks_exact_mut(lanes * nx).zip(from.chunks_exact(lanes * nx)) {
                for (kx, register) in group.chunks_exact_mut(lanes).enumerate() {
                    register.iter_mut().zip(rows[kx..].iter().step_by(nx)).for_each(|(to, from)| *to = *from);
                }
            }
        }
        Some(ordered)
    }

    /// Transforms a window, multiplies its spectrum by `way` of [`Self::in_registers`], or by its conjugate, and transforms it back. Not scaled: Σ|·|² grows by (ny·nx)².
    ///
    /// The spectrum is transposed once there and once back, and its rows stay in the nearest cache from their transform to that back.
    pub(super) fn through(&self, window: PartMut<R>, way: &Planes<R>, adjoint: bool, scratch: &mut Scratch<R>) {
        Arch::new().dispatch(Through { fft: self, window, way, adjoint, scratch });
    }
}

/// Numbers in a register, where windows consist of whole ones that [`write_tiles`] can transpose.
struct Lanes<R> {
    shape: [usize; 2],
    of: PhantomData<R>,
}

impl<R: Scalar> WithSimd for Lanes<R> {
    type Output = Option<usize>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Option<usize> {
        let lanes = size_of::<R::Lanes<S>>() / size_of::<R>();
        (self.shape.iter().all(|n| n.is_multiple_of(lanes)) && transposes_quads::<R, S>(simd)).then_some(lanes)
    }
}

/// [`Fft2::through`].
struct Through<'a, R: Scalar> {
    fft: &'a Fft2<R>,
    window: PartMut<'a, R>,
    way: &'a Planes<R>,
    adjoint: bool,
    scratch: &'a mut Scratch<R>,
}

impl<R: Scalar> WithSimd for Through<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { fft, window, way, adjoint, scratch: Scratch { transposed, columns } } = self;
        let lanes = size_of::<R::Lanes<S>>() / size_of::<R>();
        let [ny, nx] = fft.shape;
        let groups_x = nx / lanes;
        let mut transposed = PartMut { re: &mut transposed.re, im: &mut transposed.im };
        tiled(simd, &fft.along_y, window.as_part(), [1, groups_x], &mut transposed, [lanes, 1, nx], groups_x, columns);
        let (re, im) = (registers_mut::<R, S>(transposed.re), registers_mut::<R, S>(transposed.im));
        let (way_re, way_im) = (registers::<R, S>(&way.re), registers::<R, S>(&way.im));
        for group in 0..ny / lanes {
            let rows = group * nx..(group + 1) * nx;
            let numbers = rows.start * lanes..rows.end * lanes;
            // Where waves are limited to two thirds of Nyquist's frequency, a third of the rows ends here.
            if way.re[numbers.clone()].iter().chain(&way.im[numbers]).all(|x| *x == R::zero()) {
                re[rows.clone()].fill(R::splat(simd, R::zero()));
                im[rows].fill(R::splat(simd, R::zero()));
                continue;
            }
            let line = Columns { re: &mut re[rows.clone()], im: &mut im[rows.clone()] };
            there_and_back(simd, &fft.along_x, line, [&way_re[rows.clone()], &way_im[rows]], adjoint, columns);
        }
        let (out_re, out_im) = (registers_mut::<R, S>(window.re), registers_mut::<R, S>(window.im));
        for group in 0..groups_x {
            let [here, there, turned] = buffers::<R, S>(columns, ny);
            for tile in 0..ny / lanes {
                let from = tile * nx + group * lanes..tile * nx + (group + 1) * lanes;
                write_tiles::<R, S>(simd, &re[from.clone()], &mut turned.re[tile * lanes..], 1, 1);
                write_tiles::<R, S>(simd, &im[from], &mut turned.im[tile * lanes..], 1, 1);
            }
            let done = fft.along_y.run(simd, Source { re: turned.im, im: turned.re, step: 1 }, here, there);
            for (y, (x_im, x_re)) in done.re.iter().zip(done.im.iter()).enumerate() {
                (out_re[y * groups_x + group], out_im[y * groups_x + group]) = (*x_re, *x_im);
            }
        }
    }
}

/// Transforms columns, multiplies them by `way`, or by its conjugate, and transforms them back.
#[inline(always)]
pub(super) fn there_and_back<R: Scalar, S: Simd>(
    simd: S,
    fft: &Fft1<R>,
    line: Columns<R, S>,
    [way_re, way_im]: [&[R::Lanes<S>]; 2],
    adjoint: bool,
    columns: &mut [R],
) {
    let [here, there, turned] = buffers::<R, S>(columns, fft.n);
    let done = fft.run(simd, Source { re: line.re, im: line.im, step: 1 }, here, there);
    let factors = way_re.iter().zip(way_im);
    for (((to_re, to_im), (x, y)), (c, s)) in
        turned.re.iter_mut().zip(turned.im.iter_mut()).zip(done.re.iter().zip(done.im.iter())).zip(factors)
    {
        let (xc, ys) = (R::lanes_mul(simd, *x, *c), R::lanes_mul(simd, *y, *s));
        let (yc, xs) = (R::lanes_mul(simd, *y, *c), R::lanes_mul(simd, *x, *s));
        if adjoint {
            (*to_re, *to_im) = (R::lanes_add(simd, xc, ys), R::lanes_sub(simd, yc, xs));
        } else {
            (*to_re, *to_im) = (R::lanes_sub(simd, xc, ys), R::lanes_add(simd, xs, yc));
        }
    }
    // Back, with real and imaginary parts exchanged.
    let [here, there, turned] = buffers::<R, S>(columns, fft.n);
    let done = fft.run(simd, Source { re: turned.im, im: turned.re, step: 1 }, here, there);
    line.re.copy_from_slice(done.im);
    line.im.copy_from_slice(done.re);
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
        let [ny, nx] = fft.shape;
        if let Some(lanes) = (Lanes { shape: fft.shape, of: PhantomData::<R> }).with_simd(simd) {
            let (groups_y, groups_x) = (ny / lanes, nx / lanes);
            // In between, the columns that a register of the second pass holds lie one behind the other.
            tiled(simd, &fft.along_y, window.as_part(), [1, groups_x], &mut transposed, [lanes, 1, nx], groups_x, columns);
            tiled(simd, &fft.along_x, transposed.as_part(), [nx, 1], &mut window, [nx, groups_x, 1], groups_y, columns);
        } else {
            pass(simd, &fft.along_y, nx, window.as_part(), &mut transposed, columns);
            pass(simd, &fft.along_x, ny, transposed.as_part(), &mut window, columns);
        }
    }
}

/// Transforms `groups` of columns and transposes them, all in whole registers. `from`: registers from one group to the next and from one
/// number of a column to the next. `to`: registers from one group to the next, then those of [`write_tiles`].
#[expect(clippy::too_many_arguments, reason = "two places to read and to write")]
#[inline(always)]
fn tiled<R: Scalar, S: Simd>(
    simd: S,
    fft: &Fft1<R>,
    from: Part<R>,
    [from_group, step]: [usize; 2],
    to: &mut PartMut<R>,
    [to_group, row_step, tile_step]: [usize; 3],
    groups: usize,
    columns: &mut [R],
) {
    let (re, im) = (registers::<R, S>(from.re), registers::<R, S>(from.im));
    let (to_re, to_im) = (registers_mut::<R, S>(to.re), registers_mut::<R, S>(to.im));
    for group in 0..groups {
        let [here, there, _] = buffers::<R, S>(columns, fft.n);
        let source = Source { re: &re[group * from_group..], im: &im[group * from_group..], step };
        let done = fft.run(simd, source, here, there);
        write_tiles::<R, S>(simd, done.re, &mut to_re[group * to_group..], row_step, tile_step);
        write_tiles::<R, S>(simd, done.im, &mut to_im[group * to_group..], row_step, tile_step);
    }
}

/// Transforms `from` (n, width) of any size along its columns into `to` (width, n).
#[inline(always)]
fn pass<R: Scalar, S: Simd>(simd: S, fft: &Fft1<R>, width: usize, from: Part<R>, to: &mut PartMut<R>, columns: &mut [R]) {
    let (n, lanes) = (fft.n, size_of::<R::Lanes<S>>() / size_of::<R>());
    let quads = transposes_quads::<R, S>(simd) && n.is_multiple_of(4);
    for first in (0..width).step_by(lanes) {
        let used = lanes.min(width - first);
        let [here, there, loaded] = buffers::<R, S>(columns, n);
        for y in 0..n {
            let row = y * width + first..y * width + first + used;
            load::<R, S>(&mut loaded.re[y], &from.re[row.clone()]);
            load::<R, S>(&mut loaded.im[y], &from.im[row]);
        }
        let done = fft.run(simd, Source { re: loaded.re, im: loaded.im, step: 1 }, here, there);
        let rows = first * n..(first + used) * n;
        if quads && used == lanes {
            write_quads::<R, S>(simd, done.re, &mut to.re[rows.clone()], n, lanes);
            write_quads::<R, S>(simd, done.im, &mut to.im[rows], n, lanes);
        } else {
            write_transposed::<R, S>(done.re, &mut to.re[rows.clone()]);
            write_transposed::<R, S>(done.im, &mut to.im[rows]);
        }
    }
}

/// Numbers as whole registers.
#[inline(always)]
pub(super) fn registers<R: Scalar, S: Simd>(numbers: &[R]) -> &[R::Lanes<S>] {
    bytemuck::cast_slice(numbers)
}

/// Numbers as whole registers, to be written.
#[inline(always)]
pub(super) fn registers_mut<R: Scalar, S: Simd>(numbers: &mut [R]) -> &mut [R::Lanes<S>] {
    bytemuck::cast_slice_mut(numbers)
}

/// Memory for [`buffers`] of up to so many registers.
pub(super) fn column_buffers<R: Scalar>(longest: usize) -> Aligned<R> {
    Aligned::zeros(column_numbers(longest))
}

/// As many numbers.
pub(super) fn column_numbers(longest: usize) -> usize {
    2 * BUFFERS * (longest * MAX_LANES + APART)
}

/// The sets of `n` complex registers each.
#[inline(always)]
pub(super) fn buffers<R: Scalar, S: Simd>(columns: &mut [R], n: usize) -> [Columns<'_, R, S>; BUFFERS] {
    let each = columns.len() / BUFFERS;
    let (first, rest) = columns.split_at_mut(each);
    let (second, third) = rest.split_at_mut(each);
    [lanes_of::<R, S>(first, n), lanes_of::<R, S>(second, n), lanes_of::<R, S>(third, n)]
}

/// A buffer as `n` complex registers.
#[inline(always)]
fn lanes_of<R: Scalar, S: Simd>(buffer: &mut [R], n: usize) -> Columns<'_, R, S> {
    let len = n * size_of::<R::Lanes<S>>() / size_of::<R>();
    let middle = buffer.len() / 2;
    let (re, im) = buffer.split_at_mut(middle);
    Columns { re: bytemuck::cast_slice_mut(&mut re[..len]), im: bytemuck::cast_slice_mut(&mut im[..len]) }
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

#[cfg(test)]
mod tests {
    use num_complex::Complex64;
    use rustfft::FftPlanner;

    use super::*;

    #[test]
    fn transforms_of_any_size_equal_rustfft_in_double_precision() {
        for shape in
            [[16, 16], [64, 80], [32, 256], [128, 48], [1, 5], [7, 11], [18, 20], [26, 121], [64, 96], [60, 49], [127, 128], [243, 35]]
        {
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

    #[test]
    fn there_times_a_spectrum_and_back_equals_the_three_steps() {
        let mut whole = 0;
        for shape in [[32, 16], [64, 80], [128, 128], [24, 40], [20, 18]] {
            let n = shape[0] * shape[1];
            let fft = Fft2::<f64>::new(shape);
            let wave: Vec<Complex64> = (0..n).map(|i| Complex64::new((i as f64 * 1.3).sin(), (i as f64 * 0.7).cos())).collect();
            let mut way: Vec<Complex64> = (0..n).map(|i| Complex64::new((i as f64 * 0.9).cos(), (i as f64 * 0.41).sin())).collect();
            // Rows about Nyquist's frequency are let through as little as a band does.
            way[n / 3..n - n / 3].fill(Complex64::new(0.0, 0.0));
            let ordered = Planes::from_complex(&way);
            let Some(ordered) = fft.in_registers(ordered.window(n, 0)) else { continue };
            whole += 1;
            for adjoint in [false, true] {
                let mut steps = Planes::from_complex(&wave);
                fft.transform(&mut steps, 1, Direction::Forward);
                let turned: Vec<Complex64> =
                    steps.to_complex().iter().zip(&way).map(|(x, w)| x * if adjoint { w.conj() } else { *w }).collect();
                let mut steps = Planes::from_complex(&turned);
                fft.transform(&mut steps, 1, Direction::Inverse);
                let mut window = Planes::from_complex(&wave);
                fft.through(window.part_mut(0..n), &ordered, adjoint, &mut fft.scratch());
                let error = window.to_complex().iter().zip(steps.to_complex()).map(|(a, b)| (a / n as f64 - b).norm()).fold(0.0, f64::max);
                // As above.
                assert!(error < 1e-12, "{shape:?} {adjoint}: {error}");
            }
        }
        // 8 lanes at most.
        assert!(whole >= 3 || Fft2::<f64>::new([32, 16]).in_registers(Planes::zeros(512).window(512, 0)).is_none());
    }
}
