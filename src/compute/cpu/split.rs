//! Transforms of n = n₁·n₂ numbers in two passes of short ones, each of which stays in the nearest cache. A spectrum is left, and taken, in the order in which it comes out: number
//! k₁ + n₁·k₂ lies at k₁·n₂ + k₂. What lies between a transform and the one back is done to the short ones on their way.

use pulp::Simd;

use super::butterfly::{Pair, root, times, twiddle};
use super::fft1::Columns;
use super::lanes::Scalar;
use super::short::{Short, Sink};
use super::tiles::{fetch, write_tiles};

/// A planned transform e^{−2πi}, not scaled.
pub(super) struct Split<R> {
    pub(super) n: usize,
    /// Over i of number i·n₂ + j.
    first: Short<R>,
    /// Over j.
    second: Short<R>,
    /// e^{−2πi·j·k₁/n}: (j, k₁), and the same as (k₁, j).
    by_j: Vec<[R; 2]>,
    by_k: Vec<[R; 2]>,
}

/// Two buffers of short transforms, one between two of them, and what of a set of columns is at hand on its way from tiles and to them ([`Kept::ring`]).
pub(super) struct Near<'a, R: Scalar, S: Simd> {
    pub(super) here: Columns<'a, R, S>,
    pub(super) there: Columns<'a, R, S>,
    pub(super) between: Columns<'a, R, S>,
    pub(super) ring: Columns<'a, R, S>,
}

/// A register's columns from `column` on of `half`, which has `width`: transposed in tiles, kept rows in their lanes.
pub(super) struct InTiles<'a, R: Scalar, S: Simd> {
    pub(super) half: Columns<'a, R, S>,
    pub(super) width: usize,
    pub(super) column: usize,
}

/// Numbers times twiddles, one every `step` of a place.
struct Turned<'a, R: Scalar, S: Simd> {
    to: Columns<'a, R, S>,
    step: usize,
    by: &'a [[R; 2]],
}

impl<R: Scalar, S: Simd> Sink<R, S> for Turned<'_, R, S> {
    #[inline(always)]
    fn put(&mut self, simd: S, k: usize, number: Pair<R, S>) {
        (self.to.re[k * self.step], self.to.im[k * self.step]) = twiddle::<R, S>(simd, number, self.by[k]);
    }
}

/// Numbers as they are, one every `step` of a place.
struct Plain<'a, R: Scalar, S: Simd> {
    to: Columns<'a, R, S>,
    step: usize,
}

impl<R: Scalar, S: Simd> Sink<R, S> for Plain<'_, R, S> {
    #[inline(always)]
    fn put(&mut self, _: S, k: usize, number: Pair<R, S>) {
        (self.to.re[k * self.step], self.to.im[k * self.step]) = number;
    }
}

/// Numbers to places of their own.
struct Placed<'a, R: Scalar, S: Simd> {
    to: Columns<'a, R, S>,
    places: &'a [usize],
}

impl<R: Scalar, S: Simd> Sink<R, S> for Placed<'_, R, S> {
    #[inline(always)]
    fn put(&mut self, _: S, k: usize, number: Pair<R, S>) {
        let place = self.places[k];
        (self.to.re[place], self.to.im[place]) = number;
    }
}

/// Numbers of a row through free space, with real and imaginary parts exchanged, so that the next transform is the one back.
struct Propagated<'a, 'p, R: Scalar, S: Simd> {
    to: Columns<'a, R, S>,
    /// Of each number.
    along_x: &'p [Along<R>],
    row: &'p Row<R, S>,
}

/// What free space does to a number of a row along it: the propagator at (0, kx), and |kx|.
#[derive(Debug, Clone, Copy)]
pub(super) struct Along<R> {
    pub(super) factor: [R; 2],
    pub(super) away: R,
}

/// What free space does to rows that lie in the lanes of registers: the propagator at (ky, 0), and the largest |kx| that passes.
pub(super) struct Row<R: Scalar, S: Simd> {
    pub(super) factor: Pair<R, S>,
    pub(super) most: R::Lanes<S>,
}

impl<R: Scalar, S: Simd> Sink<R, S> for Propagated<'_, '_, R, S> {
    #[inline(always)]
    fn put(&mut self, simd: S, k: usize, number: Pair<R, S>) {
        let Along { factor, away } = self.along_x[k];
        let (re, im) = times::<R, S>(simd, number, twiddle::<R, S>(simd, self.row.factor, factor));
        let away = R::splat(simd, away);
        let passed = |x| R::lanes_up_to(simd, away, self.row.most, x);
        (self.to.im[k], self.to.re[k]) = (passed(re), passed(im));
    }
}

/// Numbers i·n₂ + j of a column, whose real and imaginary parts are exchanged, through a slice.
struct Through<'a, R: Scalar, S: Simd> {
    to: Columns<'a, R, S>,
    /// What lies under the column from number j on.
    slice: &'a [R::Packed],
    n2: usize,
}

impl<R: Scalar, S: Simd> Sink<R, S> for Through<'_, R, S> {
    #[inline(always)]
    fn put(&mut self, simd: S, i: usize, (im, re): Pair<R, S>) {
        let lanes = size_of::<R::Lanes<S>>() / size_of::<R>();
        let slice = R::lanes_unpacked(simd, &self.slice[i * self.n2 * lanes..][..lanes]);
        (self.to.re[i], self.to.im[i]) = times::<R, S>(simd, (re, im), slice);
    }
}

/// |·|² of numbers.
struct Powers<'a, R: Scalar, S: Simd> {
    to: &'a mut [R::Lanes<S>],
}

impl<R: Scalar, S: Simd> Sink<R, S> for Powers<'_, R, S> {
    #[inline(always)]
    fn put(&mut self, simd: S, k: usize, (re, im): Pair<R, S>) {
        self.to[k] = R::lanes_mul_add(simd, re, re, R::lanes_mul(simd, im, im));
    }
}

impl<R: Scalar> Split<R> {
    pub(super) fn new(n: usize) -> Self {
        let [n1, n2] = Short::<R>::factors(n);
        let by_j = (0..n).map(|at| root(at / n1 * (at % n1), n)).collect();
        let by_k = (0..n).map(|at| root(at / n2 * (at % n2), n)).collect();
        Self { n, first: Short::new(n1), second: Short::new(n2), by_j, by_k }
    }

    /// The most numbers of a short transform.
    pub(super) fn longest(&self) -> usize {
        self.first.len().max(self.second.len())
    }

    /// Which number of a spectrum lies at a place of it.
    pub(super) fn number_at(&self, place: usize) -> usize {
        place / self.second.len() + self.first.len() * (place % self.second.len())
    }

    /// Where a number of a spectrum lies.
    pub(super) fn place_of(&self, number: usize) -> usize {
        number % self.first.len() * self.second.len() + number / self.first.len()
    }

    /// The first pass of a transform.
    #[inline(always)]
    pub(super) fn enter<S: Simd>(&self, simd: S, line: &mut Columns<R, S>, near: &mut Near<R, S>) {
        let (n1, n2) = (self.first.len(), self.second.len());
        for (j, by) in self.by_j.chunks_exact(n1).enumerate() {
            let begun = self.first.begin(simd, &line.source(j, n2), near.parts().0);
            self.first.end(simd, &begun, &mut Turned { to: line.from(j), step: n2, by });
        }
    }

    /// The second pass of a transform, free space, and the first pass of the transform back, which leaves real and imaginary parts exchanged.
    #[inline(always)]
    pub(super) fn propagate<S: Simd>(
        &self,
        simd: S,
        line: &mut Columns<R, S>,
        along_x: &[Along<R>],
        row: &Row<R, S>,
        near: &mut Near<R, S>,
    ) {
        let n2 = self.second.len();
        for ((k, by), along_x) in self.by_k.chunks_exact(n2).enumerate().zip(along_x.chunks_exact(n2)) {
            let (buffers, to) = near.parts();
            let begun = self.second.begin(simd, &line.source(k * n2, 1), buffers);
            self.second.end(simd, &begun, &mut Propagated { to, along_x, row });
            let (buffers, between) = near.parts();
            let begun = self.second.begin(simd, &between.source(0, 1), buffers);
            self.second.end(simd, &begun, &mut Turned { to: line.from(k * n2), step: 1, by });
        }
    }

    /// The first pass of the transform back of a spectrum, which leaves real and imaginary parts exchanged.
    #[inline(always)]
    pub(super) fn back<S: Simd>(&self, simd: S, line: &mut Columns<R, S>, near: &mut Near<R, S>) {
        let n2 = self.second.len();
        for (k, by) in self.by_k.chunks_exact(n2).enumerate() {
            let begun = self.second.begin(simd, &line.exchanged().source(k * n2, 1), near.parts().0);
            self.second.end(simd, &begun, &mut Turned { to: line.from(k * n2), step: 1, by });
        }
    }

    /// The second pass of the transform back, of a line whose real and imaginary parts are exchanged.
    #[inline(always)]
    pub(super) fn leave<S: Simd>(&self, simd: S, line: &mut Columns<R, S>, near: &mut Near<R, S>) {
        let n2 = self.second.len();
        for j in 0..n2 {
            let begun = self.first.begin(simd, &line.source(j, n2), near.parts().0);
            self.first.end(simd, &begun, &mut Plain { to: line.exchanged().from(j), step: n2 });
        }
    }

    /// The second pass of a transform: |·|² of its spectrum.
    #[inline(always)]
    pub(super) fn powers<S: Simd>(&self, simd: S, line: &Columns<R, S>, to: &mut [R::Lanes<S>], near: &mut Near<R, S>) {
        let n2 = self.second.len();
        for (k, to) in to.chunks_exact_mut(n2).enumerate() {
            let begun = self.second.begin(simd, &line.source(k * n2, 1), near.parts().0);
            self.second.end(simd, &begun, &mut Powers { to });
        }
    }

    /// The second pass of a transform, of which what `kept` names goes to `to`.
    #[inline(always)]
    pub(super) fn kept_of<S: Simd>(&self, simd: S, line: &Columns<R, S>, kept: &Kept, to: &mut InTiles<R, S>, near: &mut Near<R, S>) {
        let InTiles { half, width, column } = to;
        let (n2, lanes) = (self.second.len(), size_of::<R::Lanes<S>>() / size_of::<R>());
        let mut tile = 0;
        for (k, (slots, end)) in kept.slots.chunks_exact(n2).zip(&kept.ends).enumerate() {
            let Near { here, there, ring, .. } = near;
            let begun = self.second.begin(simd, &line.source(k * n2, 1), [here.reborrow(), there.reborrow()]);
            self.second.end(simd, &begun, &mut Placed { to: ring.reborrow(), places: slots });
            while (tile + 1) * lanes <= *end {
                let (from, to) = (tile * lanes % kept.ring, tile * *width + *column);
                write_tiles::<R, S>(simd, &ring.re[from..from + lanes], &mut half.re[to..to + lanes], 1, 1);
                write_tiles::<R, S>(simd, &ring.im[from..from + lanes], &mut half.im[to..to + lanes], 1, 1);
                tile += 1;
            }
        }
    }

    /// The first pass of the transform back of what `kept` names, from `from` to `line`; what is not kept is 0. Real and
    /// imaginary parts leave exchanged. Meanwhile `soon` is fetched to the nearest cache.
    #[inline(always)]
    pub(super) fn back_of_kept<S: Simd>(
        &self,
        simd: S,
        from: &InTiles<R, S>,
        kept: &Kept,
        line: &mut Columns<R, S>,
        soon: &[R::Packed],
        near: &mut Near<R, S>,
    ) {
        let InTiles { half, width, column } = from;
        let Near { here, there, between, ring } = near;
        let soon = soon.chunks_exact(soon.len() / self.first.len());
        let (n2, lanes, zero) = (self.second.len(), size_of::<R::Lanes<S>>() / size_of::<R>(), R::splat(simd, R::zero()));
        (ring.re[kept.ring], ring.im[kept.ring]) = (zero, zero);
        let mut tile = 0;
        let rows = kept.slots.chunks_exact(n2).zip(&kept.ends).zip(self.by_k.chunks_exact(n2)).zip(soon);
        for (k, (((slots, end), by), soon)) in rows.enumerate() {
            fetch::<true, R, S>(simd, soon);
            while tile * lanes < *end {
                let (from, to) = (tile * width + column, tile * lanes % kept.ring);
                write_tiles::<R, S>(simd, &half.re[from..from + lanes], &mut ring.re[to..to + lanes], 1, 1);
                write_tiles::<R, S>(simd, &half.im[from..from + lanes], &mut ring.im[to..to + lanes], 1, 1);
                tile += 1;
            }
            let begun = self.second.begin_exchanged(simd, ring, slots, between.reborrow(), [here.reborrow(), there.reborrow()]);
            self.second.end(simd, &begun, &mut Turned { to: line.from(k * n2), step: 1, by });
        }
    }

    /// The second pass of the transform back, of a column whose real and imaginary parts are exchanged, the product with a slice, and the first pass of the next transform.
    /// Meanwhile `soon`, as long as `slice`, is fetched to a cache not far away.
    #[inline(always)]
    pub(super) fn through<S: Simd>(
        &self,
        simd: S,
        line: &mut Columns<R, S>,
        slice: &[R::Packed],
        soon: &[R::Packed],
        near: &mut Near<R, S>,
    ) {
        let (n1, n2, lanes) = (self.first.len(), self.second.len(), size_of::<R::Lanes<S>>() / size_of::<R>());
        for ((j, by), soon) in self.by_j.chunks_exact(n1).enumerate().zip(soon.chunks_exact(n1 * lanes)) {
            fetch::<false, R, S>(simd, soon);
            let (buffers, to) = near.parts();
            let begun = self.first.begin(simd, &line.source(j, n2), buffers);
            self.first.end(simd, &begun, &mut Through { to, slice: &slice[j * lanes..], n2 });
            let (buffers, between) = near.parts();
            let begun = self.first.begin(simd, &between.source(0, 1), buffers);
            self.first.end(simd, &begun, &mut Turned { to: line.from(j), step: n2, by });
        }
    }
}

impl<'a, R: Scalar, S: Simd> Near<'a, R, S> {
    /// The two buffers to go between, and the third.
    #[inline(always)]
    fn parts(&mut self) -> ([Columns<'_, R, S>; 2], Columns<'_, R, S>) {
        ([self.here.reborrow(), self.there.reborrow()], self.between.reborrow())
    }
}

/// Which numbers of a spectrum are kept, in the order in which they come out of the short transforms.
pub(super) struct Kept {
    /// Where each number that comes out is kept; behind all, if it is not.
    pub(super) places: Vec<usize>,
    /// The numbers of the whole transform that are kept.
    pub(super) numbers: Vec<usize>,
    /// As many of them as are at hand at once, whole registers.
    pub(super) ring: usize,
    /// Where each number that comes out lies among those, or behind them.
    slots: Vec<usize>,
    /// How many are kept of the short transforms up to each.
    ends: Vec<usize>,
}

impl Kept {
    /// Those of `split`'s numbers for which `keep` says so, and as many more as make a multiple of `lanes`.
    pub(super) fn new<R: Scalar>(split: &Split<R>, lanes: usize, keep: impl Fn(usize) -> bool) -> Self {
        let mut kept: Vec<bool> = (0..split.n).map(|place| keep(split.number_at(place))).collect();
        let count = kept.iter().filter(|k| **k).count();
        kept.iter_mut().filter(|k| !**k).take(count.next_multiple_of(lanes) - count).for_each(|k| *k = true);
        let numbers: Vec<usize> = (0..split.n).filter(|place| kept[*place]).map(|place| split.number_at(place)).collect();
        let mut next = 0..numbers.len();
        let places: Vec<usize> = kept.iter().map(|kept| if *kept { next.next() } else { None }.unwrap_or(numbers.len())).collect();
        let n2 = split.second.len();
        // Those of a short transform may begin within one tile and end within another.
        let ring = (n2 + 2 * lanes).next_multiple_of(lanes);
        let slots = places.iter().map(|place| if *place < numbers.len() { place % ring } else { ring }).collect();
        let counts = kept.chunks_exact(n2).map(|kept| kept.iter().filter(|kept| **kept).count());
        let ends = counts.scan(0, |end, count| {
            *end += count;
            Some(*end)
        });
        Self { ends: ends.collect(), slots, ring, places, numbers }
    }
}
