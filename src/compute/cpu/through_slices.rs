//! A wave on its way through the slices of a thick specimen. Its columns are transformed back from what passed between two slices, multiplied by the second slice, and transformed
//! again while they are in the nearest caches, so that between slices the wave is nowhere but in one transposed half-transform.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::aligned::Aligned;
use super::fft1::{Columns, Source};
use super::fft2::{Fft2, buffers, column_buffers, registers, registers_mut};
use super::lanes::Scalar;
use super::planes::{Part, PartMut, Planes};
use super::split::{Kept, Near, Split};
use super::tiles::write_tiles;
#[cfg(target_arch = "x86_64")]
use super::tiles::x86;

/// Slices under the windows of a batch, so laid out that a window's columns are read one behind the other: of as many columns as a register has lanes the rows, each the real and the imaginary part.
pub(super) struct Slices<R: Scalar> {
    /// Where the first column and row lie in the object.
    first: [usize; 2],
    rows: usize,
    of: Vec<Aligned<R>>,
}

impl<R: Scalar> Slices<R> {
    /// Of objects with rows of `width` numbers what lies under the windows at these corners.
    pub(super) fn new(way: &Way<R>, objects: &[Planes<R>], width: usize, corners: impl Iterator<Item = [usize; 2]> + Clone) -> Self {
        let (lanes, window) = (way.lanes, [way.along_y.n, way.along_x.n]);
        let [rows, columns] = [0, 1].map(|axis| {
            let along = corners.clone().map(|corner| corner[axis]);
            along.clone().min().unwrap_or(0)..along.max().map_or(0, |last| last + window[axis])
        });
        // A window that does not begin with a register's first lane reaches into one more.
        let blocks = columns.len().div_ceil(lanes) + 1;
        let of = objects.par_iter().map(|object| {
            let mut numbers = Aligned::zeros(2 * blocks * rows.len() * lanes);
            for (first, block) in columns.clone().step_by(lanes).zip(numbers.chunks_exact_mut(2 * rows.len() * lanes)) {
                let used = lanes.min(columns.end - first);
                for (row, to) in rows.clone().zip(block.chunks_exact_mut(2 * lanes)) {
                    let from = row * width + first..row * width + first + used;
                    to[..used].copy_from_slice(&object.re[from.clone()]);
                    to[lanes..lanes + used].copy_from_slice(&object.im[from]);
                }
            }
            numbers
        });
        Self { first: [rows.start, columns.start], rows: rows.len(), of: of.collect() }
    }
}

/// How waves of a window's shape come from each slice to the next.
pub(super) struct Way<R> {
    /// Of a register.
    lanes: usize,
    along_y: Split<R>,
    along_x: Split<R>,
    /// Rows of the spectrum that are not empty: where waves are limited to two thirds of Nyquist's frequency, a third of them is.
    kept: Kept,
    /// The propagator: of as many rows as a register has lanes a register each of kx, in the order in which transforms leave them.
    factors: Planes<R>,
}

impl<R: Scalar> Way<R> {
    /// Of a propagator (ky, kx), with what a transform there and back takes to be unitary. None where windows do not consist of whole registers.
    pub(super) fn new(fft: &Fft2<R>, propagator: Part<R>) -> Option<Self> {
        let scale = fft.unitary * fft.unitary;
        let lanes = fft.lanes()?;
        let [along_y, along_x] = fft.shape.map(Split::new);
        let nx = fft.shape[1];
        let passes =
            |ky: usize| propagator.re[ky * nx..(ky + 1) * nx].iter().chain(&propagator.im[ky * nx..(ky + 1) * nx]).any(|x| *x != R::zero());
        let kept = Kept::new(&along_y, lanes, passes);
        let mut factors = Planes::zeros(kept.numbers.len() * nx);
        for (tile, rows) in kept.numbers.chunks_exact(lanes).enumerate() {
            for place in 0..nx {
                let kx = along_x.number_at(place);
                let to = (tile * nx + place) * lanes;
                for (lane, ky) in rows.iter().enumerate() {
                    factors.re[to + lane] = scale * propagator.re[ky * nx + kx];
                    factors.im[to + lane] = scale * propagator.im[ky * nx + kx];
                }
            }
        }
        Some(Self { lanes, along_y, along_x, kept, factors })
    }

    /// The work memory of one wave.
    pub(super) fn scratch(&self) -> Between<R> {
        let longest = self.along_y.longest().max(self.along_x.longest());
        let [ny, nx] = [self.along_y.n, self.along_x.n];
        Between { half: Planes::zeros(self.factors.re.len()), columns: column_buffers(ny.max(nx)), near: column_buffers(longest) }
    }
}

/// The work memory of a wave between slices.
pub(super) struct Between<R: Scalar> {
    /// Half transformed: of as many ky as a register has lanes a register each of x.
    half: Planes<R>,
    /// Three sets of columns, and three of short ones.
    columns: Aligned<R>,
    near: Aligned<R>,
}

/// Takes the wave in `window`, whose first pixel lies at `corner` of the object, through `slices`. Transforms are not scaled, but for what `way` is.
pub(super) fn through_slices<R: Scalar>(
    window: PartMut<R>,
    slices: &Slices<R>,
    corner: [usize; 2],
    way: &Way<R>,
    scratch: &mut Between<R>,
) {
    Arch::new().dispatch(ThroughSlices { window, slices, corner, way, scratch });
}

struct ThroughSlices<'a, R: Scalar> {
    window: PartMut<'a, R>,
    slices: &'a Slices<R>,
    corner: [usize; 2],
    way: &'a Way<R>,
    scratch: &'a mut Between<R>,
}

impl<R: Scalar> WithSimd for ThroughSlices<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { window, slices, corner, way: Way { along_y, along_x, kept, factors, .. }, scratch: Between { half, columns, near } } =
            self;
        let lanes = size_of::<R::Lanes<S>>() / size_of::<R>();
        let [ny, nx] = [along_y.n, along_x.n];
        let (groups_x, tiles) = (nx / lanes, kept.numbers.len() / lanes);
        let (half_re, half_im) = (registers_mut::<R, S>(&mut half.re), registers_mut::<R, S>(&mut half.im));
        let (by_re, by_im) = (registers::<R, S>(&factors.re), registers::<R, S>(&factors.im));
        let (wave_re, wave_im) = (registers_mut::<R, S>(window.re), registers_mut::<R, S>(window.im));
        let [mut wide, mut turned, under] = buffers::<R, S>(columns, ny.max(nx));
        let [here, there, between] = buffers::<R, S>(near, along_y.longest().max(along_x.longest()));
        let mut near = Near { here, there, between };

        let [down, right] = [0, 1].map(|axis| corner[axis] - slices.first[axis]);
        for (s, slice) in slices.of.iter().enumerate() {
            let last = s + 1 == slices.of.len();
            let blocks = registers::<R, S>(slice);
            for group in 0..groups_x {
                let [low, high] = [0, 1].map(|next| &blocks[2 * ((right / lanes + group + next) * slices.rows + down)..][..2 * ny]);
                joined::<R, S>(low, high, right % lanes, &mut *under.re, &mut *under.im);
                let slice = Source { re: &*under.re, im: &*under.im, step: 1 };
                let mut column = Columns { re: &mut wave_re[group..], im: &mut wave_im[group..] };
                match (s == 0, last) {
                    (true, true) => {
                        for y in 0..ny {
                            let at = y * groups_x;
                            (column.re[at], column.im[at]) = slice.times(simd, y, (column.re[at], column.im[at]));
                        }
                        continue;
                    }
                    (true, false) => along_y.into(simd, &column, groups_x, &slice, &mut wide, &mut near),
                    (false, _) => {
                        for tile in 0..tiles {
                            let from = tile * nx + group * lanes..tile * nx + (group + 1) * lanes;
                            write_tiles::<R, S>(simd, &half_re[from.clone()], &mut turned.re[tile * lanes..], 1, 1);
                            write_tiles::<R, S>(simd, &half_im[from], &mut turned.im[tile * lanes..], 1, 1);
                        }
                        along_y.back_of_kept(simd, &mut turned, kept, &mut wide, &mut near);
                        if last {
                            along_y.behind(simd, &wide, &slice, &mut column, groups_x, &mut near);
                            continue;
                        }
                        along_y.through(simd, &mut wide, &slice, &mut near);
                    }
                }
                along_y.kept_of(simd, &wide, kept, &mut turned, &mut near);
                write_tiles::<R, S>(simd, &turned.re[..tiles * lanes], &mut half_re[group * lanes..], 1, nx);
                write_tiles::<R, S>(simd, &turned.im[..tiles * lanes], &mut half_im[group * lanes..], 1, nx);
            }
            if !last {
                for tile in 0..tiles {
                    let rows = tile * nx..(tile + 1) * nx;
                    let mut line = Columns { re: &mut half_re[rows.clone()], im: &mut half_im[rows.clone()] };
                    along_x.there_and_back(simd, &mut line, [&by_re[rows.clone()], &by_im[rows]], &mut wide, &mut near);
                }
            }
        }
    }
}

/// Rows of real and imaginary parts from lane `from` of one block on, and so many of the next.
#[inline(always)]
fn joined<R: Scalar, S: Simd>(low: &[R::Lanes<S>], high: &[R::Lanes<S>], from: usize, re: &mut [R::Lanes<S>], im: &mut [R::Lanes<S>]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(v4) = x86::of_16::<R, S>() {
        return x86::join(v4, [low, high].map(bytemuck::cast_slice), from, bytemuck::cast_slice_mut(re), bytemuck::cast_slice_mut(im));
    }
    let lanes = size_of::<R::Lanes<S>>() / size_of::<R>();
    let join = |both: [R::Lanes<S>; 2]| {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(&bytemuck::cast_slice::<_, R>(&both)[from..from + lanes]))
    };
    let rows = low.as_chunks::<2>().0.iter().zip(high.as_chunks::<2>().0);
    for ((low, high), (re, im)) in rows.zip(re.iter_mut().zip(im)) {
        (*re, *im) = (join([low[0], high[0]]), join([low[1], high[1]]));
    }
}

#[cfg(test)]
mod tests {
    use num_complex::Complex64;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::compute::Direction;

    #[test]
    fn a_wave_behind_slices_is_that_of_products_and_transforms_one_by_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::rng().random());
        let mut random = |n: usize| -> Vec<Complex64> {
            (0..n).map(|_| Complex64::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0))).collect()
        };
        for (shape @ [ny, nx], slices) in [([32, 16], 2), ([48, 80], 5), ([64, 64], 3), ([400, 384], 2), ([432, 352], 2), ([176, 512], 2)] {
            let (n, object, corner) = (ny * nx, [ny + 7, nx + 5], [3, 4]);
            let fft = Fft2::<f64>::new(shape);
            let (wave, mut propagator) = (random(n), random(n));
            // Rows about Nyquist's frequency are let through as little as a band does; in the last shape all are.
            if nx != ny {
                propagator[n / 3..n - n / 3].fill(Complex64::ZERO);
            }
            let objects: Vec<Vec<Complex64>> = (0..slices).map(|_| random(object[0] * object[1])).collect();
            let Some(way) = Way::new(&fft, Planes::from_complex(&propagator).window(n, 0)) else { continue };
            let mut expected = wave.clone();
            for (s, slice) in objects.iter().enumerate() {
                if s > 0 {
                    let mut planes = Planes::from_complex(&expected);
                    fft.transform(&mut planes, 1, Direction::Forward);
                    let spectrum: Vec<Complex64> = planes.to_complex().iter().zip(&propagator).map(|(x, w)| x * w).collect();
                    planes = Planes::from_complex(&spectrum);
                    fft.transform(&mut planes, 1, Direction::Inverse);
                    expected = planes.to_complex();
                }
                let under = |k: usize| slice[(corner[0] + k / nx) * object[1] + corner[1] + k % nx];
                expected.iter_mut().enumerate().for_each(|(k, w)| *w *= under(k));
            }
            let slices: Vec<Planes<f64>> = objects.iter().map(|slice| Planes::from_complex(slice)).collect();
            // As in a batch of windows here and there.
            let slices = Slices::new(&way, &slices, object[1], [corner, [0, 0], [2, 5]].into_iter());
            let mut window = Planes::from_complex(&wave);
            through_slices(window.part_mut(0..n), &slices, corner, &way, &mut way.scratch());
            let size = expected.iter().map(|z| z.norm()).fold(0.0, f64::max);
            let error = window.to_complex().iter().zip(&expected).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max);
            // Rounding of f64 over some hundred terms.
            assert!(error < 1e-12 * size, "{shape:?}: {error} of {size}");
        }
    }
}
