//! A probe on its way through the slices of a specimen and onto a detector. Its columns are transformed back from what passed between two slices, multiplied by the second slice, and
//! transformed again while they are in the nearest caches, so that the wave is nowhere but in one transposed half-transform; of its spectrum the rows that are empty are left out.

use num_complex::{Complex, Complex64};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::aligned::Aligned;
use super::butterfly::{Pair, root};
use super::fft1::Columns;
use super::fft2::{Fft2, buffers, column_numbers, registers, registers_mut};
use super::lanes::Scalar;
use super::planes::{Part, Planes};
use super::split::{Along, InTiles, Kept, Near, Row, Split};
use super::tiles::write_tiles;
use super::{Cpu, CpuBatch};
use crate::compute::{Exposure, Model, Sensor};

/// Slices so laid out that what lies under a window's columns is read one row behind the other: of as many columns as a register has lanes the rows. They are packed, so that they pass by
/// a wave in the cache without driving it out.
pub(super) struct Slices<R: Scalar> {
    /// Of an object.
    rows: usize,
    lanes: usize,
    /// Of all slices, one behind the other.
    numbers: Aligned<R::Packed>,
    /// What each slice's numbers are to be multiplied by.
    scales: Vec<R>,
}

impl<R: Scalar> Slices<R> {
    pub(super) fn new(way: &Way<R>, objects: &[Planes<R>], [rows, columns]: [usize; 2]) -> Self {
        let lanes = way.lanes;
        let slice = columns.div_ceil(lanes) * rows * lanes;
        let mut numbers = Aligned::large(objects.len() * slice);
        let pack = |object: &Planes<R>, slice: &mut [R::Packed]| {
            let parts = object.re.iter().chain(object.im.iter());
            let largest = parts.fold(R::zero(), |most, x| if x.abs() > most { x.abs() } else { most });
            let scale = if largest > R::zero() { R::largest_packed() / largest } else { R::one() };
            for (y, (re, im)) in object.re.chunks_exact(columns).zip(object.im.chunks_exact(columns)).enumerate() {
                for ((re, im), block) in re.chunks(lanes).zip(im.chunks(lanes)).zip(slice.chunks_exact_mut(rows * lanes)) {
                    let to = block[y * lanes..][..lanes].iter_mut();
                    to.zip(re.iter().zip(im)).for_each(|(to, (re, im))| *to = R::packed(*re * scale, *im * scale));
                }
            }
            R::one() / scale
        };
        let scales = numbers.par_chunks_exact_mut(slice).zip(objects).map(|(slice, object)| {
            Arch::new().dispatch(
                #[inline(always)]
                || pack(object, slice),
            )
        });
        Self { rows, lanes, scales: scales.collect(), numbers }
    }

    /// What of slice `s` lies in as many columns as a register has lanes, from column `from` on, a multiple of that, in `count` numbers from row `down` on.
    #[inline(always)]
    fn block(&self, s: usize, [down, from]: [usize; 2], count: usize) -> &[R::Packed] {
        let slice = &self.numbers[s * (self.numbers.len() / self.scales.len())..];
        &slice[from * self.rows + down * self.lanes..][..count]
    }
}

/// A window over slices, with its columns turned round until they lie in registers as those of the slices do: a column of the object lies at its number modulo the window's width.
struct TurnedWindow {
    down: usize,
    /// Of the window.
    rows: usize,
    columns: usize,
    /// The first column of the object that is a multiple of the window's width and no further right than the window.
    from: usize,
    /// How far right of it the window begins.
    by: usize,
}

impl TurnedWindow {
    fn new([down, right]: [usize; 2], [rows, columns]: [usize; 2]) -> Self {
        let by = right % columns;
        Self { down, rows, columns, from: right - by, by }
    }

    /// What of slice `s` lies under a register's columns from `column` on. Where the window both begins and ends among them, it is put together in `to`.
    #[inline(always)]
    fn under<'a, R: Scalar>(&self, slices: &'a Slices<R>, s: usize, column: usize, to: &'a mut [R::Packed]) -> &'a [R::Packed] {
        let (lanes, ends) = (slices.lanes, self.by.saturating_sub(column));
        if ends == 0 || ends >= lanes {
            return self.most_under(slices, s, column);
        }
        let [begin, end] = [0, self.columns].map(|more| slices.block(s, [self.down, self.from + more + column], to.len()));
        match lanes {
            16 => seam::<16, _>(begin, end, ends, to),
            8 => seam::<8, _>(begin, end, ends, to),
            4 => seam::<4, _>(begin, end, ends, to),
            _ => seam::<2, _>(begin, end, ends, to),
        }
        to
    }

    /// The same but where it would be put together, of which it is what lies there at the window's beginning.
    #[inline(always)]
    fn most_under<'a, R: Scalar>(&self, slices: &'a Slices<R>, s: usize, column: usize) -> &'a [R::Packed] {
        let from = if column + slices.lanes <= self.by { self.from + self.columns } else { self.from };
        slices.block(s, [self.down, from + column], self.rows * slices.lanes)
    }
}

/// Of rows of `N` numbers the first `ends` from `end`, the others from `begin`.
#[inline(always)]
fn seam<const N: usize, T: Copy>(begin: &[T], end: &[T], ends: usize, to: &mut [T]) {
    let rows = begin.as_chunks::<N>().0.iter().zip(end.as_chunks::<N>().0);
    for (to, (begin, end)) in to.as_chunks_mut::<N>().0.iter_mut().zip(rows) {
        *to = std::array::from_fn(|lane| if lane < ends { end[lane] } else { begin[lane] });
    }
}

/// A number of a probe's spectrum.
struct Ray<R> {
    /// Where it lies in the transposed rows.
    at: usize,
    ky: usize,
    kx: usize,
    value: Complex<R>,
}

/// How probes come from one slice to the next and onto a detector's pixels.
pub(super) struct Way<R> {
    /// Of a register.
    lanes: usize,
    along_y: Split<R>,
    along_x: Split<R>,
    /// Rows of the spectrum that are not empty: where waves are limited to two thirds of Nyquist's frequency, a third of them is.
    kept: Kept,
    /// Free space: along x, in the order in which transforms leave numbers, and along y of the kept rows, with the largest |kx| that passes.
    propagated: Vec<Along<R>>,
    rows: Planes<R>,
    most: Aligned<R>,
    /// Of each mode's spectrum what is not 0.
    rays: Vec<Vec<Ray<R>>>,
    /// Of each pixel along x, and of as many as make whole registers, the places of the numbers that it takes in, one a tap.
    taken_x: Vec<usize>,
    /// Of each pixel along y the kept rows.
    taken_y: Vec<usize>,
    /// One for each of the numbers that a pixel takes in along an axis.
    taps: Vec<R>,
    /// e^{−2πi·j/n} along x.
    roots: Vec<Complex<R>>,
    /// What makes a transform unitary.
    unitary: R,
}

/// How far a product of factors along y and x may be from a propagator's number, for the rounding of f32.
const APART: f64 = 1e-5;

impl<R: Scalar> Way<R> {
    /// None where windows do not consist of whole registers, the probe varies from position to position, or the propagator is no product of factors along y and x within a round band, as
    /// that of free space is.
    pub(super) fn new(fft: &Fft2<R>, model: &Model<Cpu<R>>, sensor: &Sensor<Cpu<R>>) -> Option<Self> {
        // No simulation's probe varies from position to position.
        let lanes = fft.lanes().filter(|_| model.shape.variations == 0)?;
        let [ny, nx] = fft.shape;
        let [along_y, along_x] = fft.shape.map(Split::new);
        let nothing = Planes::zeros(ny * nx);
        let propagator = if model.object.len() > 1 { &model.propagator } else { &nothing }.window(ny * nx, 0);
        let band = Band::of(propagator, [ny, nx])?;
        let reach = sensor.taps.len() as isize - 1;
        let taken = |axis: usize| {
            (0..sensor.frame[axis] as isize).flat_map(move |pixel| {
                let middle = sensor.step as isize * (pixel - sensor.frame[axis] as isize / 2);
                (-reach..=reach).map(move |tap| (middle + tap).rem_euclid(fft.shape[axis] as isize) as usize)
            })
        };
        let mut wanted: Vec<bool> = band.most.iter().map(|most| *most >= R::zero()).collect();
        taken(0).for_each(|ky| wanted[ky] = true);
        let is_ray = |spectrum: Part<R>, k: usize| spectrum.re[k] != R::zero() || spectrum.im[k] != R::zero();
        for mode in 0..model.shape.modes {
            let spectrum = model.probe_hat.window(ny * nx, mode);
            (0..ny * nx).filter(|k| is_ray(spectrum, *k)).for_each(|k| wanted[k / nx] = true);
        }
        let kept = Kept::new(&along_y, lanes, |ky| wanted[ky]);
        let row_of = |ky: usize| kept.places[along_y.place_of(ky)];
        // The transforms' scales: two transforms for each way between slices.
        let scale = fft.unitary * fft.unitary;
        let propagated = (0..nx).map(|place| {
            let kx = along_x.number_at(place);
            Along { factor: [propagator.re[kx], propagator.im[kx]], away: R::of(kx.min(nx - kx) as f64) }
        });
        let mut rows = Planes::zeros(kept.numbers.len());
        for (row, ky) in kept.numbers.iter().enumerate() {
            // Divided by what is at (0, 0), which is in the factors along x.
            let [re, im] = band.along_y[*ky];
            (rows.re[row], rows.im[row]) = (scale * re, scale * im);
        }
        let rays = (0..model.shape.modes).map(|mode| {
            let spectrum = model.probe_hat.window(ny * nx, mode);
            let mut rays: Vec<Ray<R>> = (0..ny * nx)
                .filter(|k| is_ray(spectrum, *k))
                .map(|k| {
                    let (ky, kx) = (k / nx, k % nx);
                    let at = (row_of(ky) / lanes * nx + along_x.place_of(kx)) * lanes + row_of(ky) % lanes;
                    Ray { at, ky, kx, value: Complex::new(spectrum.re[k], spectrum.im[k]).scale(fft.unitary) }
                })
                .collect();
            rays.sort_by_key(|ray| ray.at);
            rays
        });
        let mut taken_x: Vec<usize> = taken(1).map(|kx| along_x.place_of(kx)).collect();
        taken_x.resize(sensor.frame[1].next_multiple_of(lanes) * (2 * reach as usize + 1), 0);
        Some(Self {
            lanes,
            roots: (0..nx).map(|j| root(j, nx)).map(|[re, im]| Complex::new(re, im)).collect(),
            unitary: fft.unitary,
            propagated: propagated.collect(),
            most: Aligned::collect(kept.numbers.iter().map(|ky| band.most[*ky])),
            rows,
            rays: rays.collect(),
            taken_x,
            taken_y: taken(0).map(row_of).collect(),
            taps: (-reach..=reach).map(|tap| sensor.taps[tap.unsigned_abs()]).collect(),
            kept,
            along_y,
            along_x,
        })
    }

    /// Pixels of a detector's row, and as many as make whole registers.
    fn width(&self) -> usize {
        self.taken_x.len() / self.taps.len()
    }

    /// The work memory of one wave.
    pub(super) fn scratch(&self) -> Between<R> {
        let longest = self.along_y.longest().max(self.along_x.longest());
        let ([ny, nx], rows) = ([self.along_y.n, self.along_x.n], self.kept.numbers.len());
        let lengths = [
            2 * rows * nx,
            column_numbers(ny.max(self.kept.ring + 1)),
            column_numbers(longest),
            ny * self.lanes * (size_of::<R::Packed>() / size_of::<R>()),
            (nx + self.width()) * self.lanes,
            rows * self.width(),
        ];
        Between { all: Aligned::large(lengths.iter().map(|length| length.next_multiple_of(LINES)).sum()), lengths }
    }
}

/// A propagator as a product.
struct Band<R> {
    /// At (ky, 0), divided by what is at (0, 0).
    along_y: Vec<[R; 2]>,
    /// The largest |kx| of each row that passes, or −1.
    most: Vec<R>,
}

impl<R: Scalar> Band<R> {
    fn of(propagator: Part<R>, [ny, nx]: [usize; 2]) -> Option<Self> {
        let at = |ky: usize, kx: usize| Complex64::new(propagator.re[ky * nx + kx].f64(), propagator.im[ky * nx + kx].f64());
        let middle = at(0, 0);
        let mut band = Self { along_y: Vec::with_capacity(ny), most: Vec::with_capacity(ny) };
        for ky in 0..ny {
            let factor = if middle.norm() > 0.0 { at(ky, 0) / middle } else { Complex64::ZERO };
            let passes = |kx: usize| at(ky, kx).norm() > 0.0;
            let most = (0..nx).filter(|kx| passes(*kx)).map(|kx| kx.min(nx - kx)).max();
            let is_product = (0..nx).all(|kx| {
                let expected = if most.is_some_and(|most| kx.min(nx - kx) <= most) { factor * at(0, kx) } else { Complex64::ZERO };
                (at(ky, kx) - expected).norm() <= APART * middle.norm()
            });
            if !is_product {
                return None;
            }
            band.along_y.push([R::of(factor.re), R::of(factor.im)]);
            band.most.push(most.map_or(-R::one(), |most| R::of(most as f64)));
        }
        Some(band)
    }
}

/// The work memory of a wave between slices, all of it in one large page if it fits: a processor that has to look up where its pages lie waits for each.
pub(super) struct Between<R: Scalar> {
    all: Aligned<R>,
    /// Of the parts, in their order.
    lengths: [usize; 6],
}

/// What it is for.
struct Parts<'a, R: Scalar> {
    /// Half transformed: of as many ky as a register has lanes a register each of x; real parts, and behind them imaginary ones.
    half: &'a mut [R],
    /// Three sets of columns, and three of short ones.
    columns: &'a mut [R],
    near: &'a mut [R],
    /// What of a slice lies under the columns among which the window begins.
    seam: &'a mut [R::Packed],
    /// A register of rows' powers each of kx, and of detector pixels.
    powers: &'a mut [R],
    /// (kept row, detector pixel).
    taken: &'a mut [R],
}

/// Numbers of a few cache lines.
const LINES: usize = 64;

impl<R: Scalar> Between<R> {
    fn parts(&mut self) -> Parts<'_, R> {
        let mut rest: &mut [R] = &mut self.all;
        let [half, columns, near, seam, powers, taken] = self.lengths.map(|length| {
            let (part, others) = std::mem::take(&mut rest).split_at_mut(length.next_multiple_of(LINES));
            rest = others;
            &mut part[..length]
        });
        Parts { half, columns, near, seam: bytemuck::cast_slice_mut(seam), powers, taken }
    }
}

/// Adds to `frame` what the detector's pixels receive of mode `mode` of position `b` behind the slices.
pub(super) fn through_slices<R: Scalar>(
    way: &Way<R>,
    slices: &Slices<R>,
    batch: &CpuBatch<R>,
    [b, mode]: [usize; 2],
    exposure: Exposure,
    scratch: &mut Between<R>,
    frame: &mut [R],
) {
    Arch::new().dispatch(ThroughSlices { way, slices, batch, b, mode, exposure, scratch, frame });
}

struct ThroughSlices<'a, R: Scalar> {
    way: &'a Way<R>,
    slices: &'a Slices<R>,
    batch: &'a CpuBatch<R>,
    b: usize,
    mode: usize,
    exposure: Exposure,
    scratch: &'a mut Between<R>,
    frame: &'a mut [R],
}

impl<R: Scalar> WithSimd for ThroughSlices<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { way, slices, batch, b, mode, exposure, scratch, frame } = self;
        let Way { along_y, along_x, kept, .. } = way;
        let Parts { half, columns, near, seam, powers, taken } = scratch.parts();
        let lanes = size_of::<R::Lanes<S>>() / size_of::<R>();
        let [ny, nx] = [along_y.n, along_x.n];
        let (groups, tiles) = (nx / lanes, kept.numbers.len() / lanes);

        half.fill(R::zero());
        let (half_re, half_im) = half.split_at_mut(kept.numbers.len() * nx);
        let window = TurnedWindow::new(batch.corner(b), [ny, nx]);
        let (ramp_y, ramp_x) = batch.ramps(b);
        let ramp = |part: Part<R>, k: usize| Complex::new(part.re[k], part.im[k]);
        let ramp_x: Vec<Complex<R>> = (0..nx).map(|kx| ramp(ramp_x, kx) * way.roots[kx * window.by % nx]).collect();
        for Ray { at, ky, kx, value } in &way.rays[mode] {
            let Complex { re, im } = *value * (ramp(ramp_y, *ky) * ramp_x[*kx]);
            (half_re[*at], half_im[*at]) = (re, im);
        }

        let mut half = Columns::<R, S> { re: registers_mut::<R, S>(half_re), im: registers_mut::<R, S>(half_im) };
        let [mut wide, ring, _] = buffers::<R, S>(columns, ny.max(kept.ring + 1));
        let [here, there, between] = buffers::<R, S>(near, along_y.longest().max(along_x.longest()));
        let mut near = Near { here, there, between, ring };
        let (rows_re, rows_im, most) = (registers::<R, S>(&way.rows.re), registers::<R, S>(&way.rows.im), registers::<R, S>(&way.most));
        for tile in 0..tiles {
            let mut line = row_of(&mut half, nx, tile);
            along_x.back(simd, &mut line, &mut near);
            along_x.leave(simd, &mut line, &mut near);
        }

        for (s, scale) in slices.scales.iter().enumerate() {
            for group in 0..groups {
                let column = group * lanes;
                let under = window.under(slices, s, column, seam);
                let mut tiles = InTiles { half: half.reborrow(), width: nx, column };
                along_y.back_of_kept(simd, &tiles, kept, &mut wide, under, &mut near);
                // The next columns of this slice or, behind the last ones, the first ones of the next.
                let [next, next_column] = if group + 1 < groups { [s, column + lanes] } else { [(s + 1).min(slices.scales.len() - 1), 0] };
                along_y.through(simd, &mut wide, under, window.most_under(slices, next, next_column), &mut near);
                along_y.kept_of(simd, &wide, kept, &mut tiles, &mut near);
            }
            if s + 1 == slices.scales.len() {
                break;
            }
            let scale = R::splat(simd, *scale);
            for tile in 0..tiles {
                let factor: Pair<R, S> = (R::lanes_mul(simd, rows_re[tile], scale), R::lanes_mul(simd, rows_im[tile], scale));
                let row = Row { factor, most: most[tile] };
                let mut line = row_of(&mut half, nx, tile);
                along_x.enter(simd, &mut line, &mut near);
                along_x.propagate(simd, &mut line, &way.propagated, &row, &mut near);
                along_x.leave(simd, &mut line, &mut near);
            }
        }

        let (powers, sums) = registers_mut::<R, S>(powers).split_at_mut(nx);
        let row_step = way.width() / lanes;
        let (each, taps) = (way.taps.len(), &way.taps);
        for (tile, taken) in registers_mut::<R, S>(taken).chunks_exact_mut(way.width()).enumerate() {
            let mut line = row_of(&mut half, nx, tile);
            along_x.enter(simd, &mut line, &mut near);
            along_x.powers(simd, &line, powers, &mut near);
            for (sum, places) in sums.iter_mut().zip(way.taken_x.chunks_exact(each)) {
                *sum = R::splat(simd, R::zero());
                for (place, tap) in places.iter().zip(taps) {
                    *sum = R::lanes_mul_add(simd, R::splat(simd, *tap), powers[*place], *sum);
                }
            }
            write_tiles::<R, S>(simd, sums, taken, row_step, 1);
        }

        // Transforms there and back are scaled with the rows of free space and the probe; the last one and the last slice here.
        let scale = slices.scales.last().map_or(R::one(), |scale| *scale);
        let weight = R::of(exposure.weight) * scale * scale * way.unitary * way.unitary;
        if exposure.fresh {
            frame.fill(R::zero());
        }
        let width = frame.len() * each / way.taken_y.len();
        for (out, rows) in frame.chunks_exact_mut(width).zip(way.taken_y.chunks_exact(each)) {
            for (row, tap) in rows.iter().zip(taps) {
                let (factor, row) = (*tap * weight, &taken[row * way.width()..][..width]);
                out.iter_mut().zip(row).for_each(|(out, sum)| *out += factor * *sum);
            }
        }
    }
}

/// Row `tile` of registers.
#[inline(always)]
fn row_of<'a, R: Scalar, S: Simd>(half: &'a mut Columns<R, S>, nx: usize, tile: usize) -> Columns<'a, R, S> {
    Columns { re: &mut half.re[tile * nx..(tile + 1) * nx], im: &mut half.im[tile * nx..(tile + 1) * nx] }
}
