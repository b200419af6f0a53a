//! Transforms of n = n₁·n₂ numbers in two passes of short ones, each of which stays in the nearest cache. A spectrum is left, and taken, in the order in which it comes out: number
//! k₁ + n₁·k₂ lies at k₁·n₂ + k₂. What lies between a transform and the one back is done to the short ones on their way.

use std::f64::consts::TAU;

use pulp::Simd;

use super::butterfly::{Pair, times, twiddle};
use super::fft1::{Columns, Source};
use super::lanes::Scalar;
use super::short::{Short, Sink};

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

/// Two buffers of short transforms, and one that a third comes from.
pub(super) struct Near<'a, R: Scalar, S: Simd> {
    pub(super) here: Columns<'a, R, S>,
    pub(super) there: Columns<'a, R, S>,
    pub(super) between: Columns<'a, R, S>,
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

/// Numbers times registers, and real and imaginary parts exchanged, so that the next transform is the one back.
struct Times<'a, R: Scalar, S: Simd> {
    to: Columns<'a, R, S>,
    by: [&'a [R::Lanes<S>]; 2],
}

impl<R: Scalar, S: Simd> Sink<R, S> for Times<'_, R, S> {
    #[inline(always)]
    fn put(&mut self, simd: S, k: usize, number: Pair<R, S>) {
        (self.to.im[k], self.to.re[k]) = times::<R, S>(simd, number, (self.by[0][k], self.by[1][k]));
    }
}

/// Numbers i·n₂ + j of a column through a slice.
struct Through<'a, 's, R: Scalar, S: Simd> {
    to: Columns<'a, R, S>,
    slice: &'a Source<'s, R, S>,
    n2: usize,
    j: usize,
    /// Numbers go to i·`step`.
    step: usize,
}

impl<R: Scalar, S: Simd> Sink<R, S> for Through<'_, '_, R, S> {
    #[inline(always)]
    fn put(&mut self, simd: S, i: usize, (im, re): Pair<R, S>) {
        (self.to.re[i * self.step], self.to.im[i * self.step]) = self.slice.times(simd, i * self.n2 + self.j, (re, im));
    }
}

impl<R: Scalar> Split<R> {
    pub(super) fn new(n: usize) -> Self {
        let [n1, n2] = Short::<R>::factors(n);
        let root = |j: usize, k: usize| {
            let angle = -TAU * (j * k % n) as f64 / n as f64;
            [R::of(angle.cos()), R::of(angle.sin())]
        };
        let by_j = (0..n).map(|at| root(at / n1, at % n1)).collect();
        let by_k = (0..n).map(|at| root(at / n2, at % n2)).collect();
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

    /// A short transform of the first pass: numbers i·n₂ + `j` of a column to where they lie in `wide`.
    #[inline(always)]
    fn enter<S: Simd>(&self, simd: S, j: usize, from: &Source<'_, R, S>, wide: &mut Columns<R, S>, buffers: [Columns<'_, R, S>; 2]) {
        let (n1, n2) = (self.first.len(), self.second.len());
        let to = Columns { re: &mut wide.re[j..], im: &mut wide.im[j..] };
        self.first.run(simd, from, buffers, &mut Turned { to, step: n2, by: &self.by_j[j * n1..(j + 1) * n1] });
    }

    /// Transforms `line`, multiplies its spectrum by `by`, in the order in which it comes out, and transforms it back. By way of `wide`, of the same length.
    #[inline(always)]
    pub(super) fn there_and_back<S: Simd>(
        &self,
        simd: S,
        line: &mut Columns<R, S>,
        by: [&[R::Lanes<S>]; 2],
        wide: &mut Columns<R, S>,
        near: &mut Near<R, S>,
    ) {
        let (n1, n2) = (self.first.len(), self.second.len());
        for j in 0..n2 {
            let from = Source { re: &line.re[j..], im: &line.im[j..], step: n2 };
            let (buffers, _) = near.parts();
            self.enter(simd, j, &from, wide, buffers);
        }
        for k in 0..n1 {
            let places = k * n2..(k + 1) * n2;
            let (buffers, between) = near.parts();
            let from = Source { re: &wide.re[places.clone()], im: &wide.im[places.clone()], step: 1 };
            let by = [&by[0][places.clone()], &by[1][places.clone()]];
            self.second.run(simd, &from, buffers, &mut Times { to: between, by });
            let (buffers, between) = near.parts();
            let from = Source { re: between.re, im: between.im, step: 1 };
            let to = Columns { re: &mut wide.re[places.clone()], im: &mut wide.im[places.clone()] };
            self.second.run(simd, &from, buffers, &mut Turned { to, step: 1, by: &self.by_k[places] });
        }
        for j in 0..n2 {
            let from = Source { re: &wide.re[j..], im: &wide.im[j..], step: n2 };
            // Exchanged as they are.
            let to = Columns { re: &mut line.im[j..], im: &mut line.re[j..] };
            let (buffers, _) = near.parts();
            self.first.run(simd, &from, buffers, &mut Plain { to, step: n2 });
        }
    }

    /// The second pass of the transform, from `wide` to the places that `kept` names.
    #[inline(always)]
    pub(super) fn kept_of<S: Simd>(&self, simd: S, wide: &Columns<R, S>, kept: &Kept, to: &mut Columns<R, S>, near: &mut Near<R, S>) {
        let n2 = self.second.len();
        for (k, places) in kept.places.chunks_exact(n2).enumerate() {
            let (buffers, _) = near.parts();
            let from = Source { re: &wide.re[k * n2..(k + 1) * n2], im: &wide.im[k * n2..(k + 1) * n2], step: 1 };
            self.second.run(simd, &from, buffers, &mut Placed { to: to.reborrow(), places });
        }
    }

    /// The first pass of the transform back, from the places that `kept` names to `wide`; what is not kept is 0. Real and imaginary parts leave exchanged.
    #[inline(always)]
    pub(super) fn back_of_kept<S: Simd>(
        &self,
        simd: S,
        from: &mut Columns<R, S>,
        kept: &Kept,
        wide: &mut Columns<R, S>,
        near: &mut Near<R, S>,
    ) {
        let (n2, zero) = (self.second.len(), R::splat(simd, R::zero()));
        if let (Some(re), Some(im)) = (from.re.get_mut(kept.numbers.len()), from.im.get_mut(kept.numbers.len())) {
            (*re, *im) = (zero, zero);
        }
        for (k, places) in kept.places.chunks_exact(n2).enumerate() {
            let (buffers, between) = near.parts();
            for (place, (re, im)) in places.iter().zip(between.re.iter_mut().zip(between.im.iter_mut())) {
                (*re, *im) = (from.im[*place], from.re[*place]);
            }
            let to = Columns { re: &mut wide.re[k * n2..(k + 1) * n2], im: &mut wide.im[k * n2..(k + 1) * n2] };
            let from = Source { re: between.re, im: between.im, step: 1 };
            self.second.run(simd, &from, buffers, &mut Turned { to, step: 1, by: &self.by_k[k * n2..(k + 1) * n2] });
        }
    }

    /// The end of the transform back, in `wide` with exchanged parts, the product with a slice, and the first pass of the next transform.
    #[inline(always)]
    pub(super) fn through<S: Simd>(&self, simd: S, wide: &mut Columns<R, S>, slice: &Source<'_, R, S>, near: &mut Near<R, S>) {
        let n2 = self.second.len();
        for j in 0..n2 {
            let (buffers, between) = near.parts();
            let from = Source { re: &wide.re[j..], im: &wide.im[j..], step: n2 };
            self.first.run(simd, &from, buffers, &mut Through { to: between, slice, n2, j, step: 1 });
            let (buffers, between) = near.parts();
            let from = Source { re: between.re, im: between.im, step: 1 };
            self.enter(simd, j, &from, wide, buffers);
        }
    }

    /// The end of the transform back and the product with a slice, from `wide` with exchanged parts to a column whose numbers lie `step` apart.
    #[inline(always)]
    pub(super) fn behind<S: Simd>(
        &self,
        simd: S,
        wide: &Columns<R, S>,
        slice: &Source<'_, R, S>,
        to: &mut Columns<R, S>,
        step: usize,
        near: &mut Near<R, S>,
    ) {
        let n2 = self.second.len();
        for j in 0..n2 {
            let (buffers, _) = near.parts();
            let from = Source { re: &wide.re[j..], im: &wide.im[j..], step: n2 };
            let to = Columns { re: &mut to.re[j * step..], im: &mut to.im[j * step..] };
            self.first.run(simd, &from, buffers, &mut Through { to, slice, n2, j, step: n2 * step });
        }
    }

    /// The product with a slice, and the first pass of the transform, from a column whose numbers lie `step` apart to `wide`.
    #[inline(always)]
    pub(super) fn into<S: Simd>(
        &self,
        simd: S,
        column: &Columns<R, S>,
        step: usize,
        slice: &Source<'_, R, S>,
        wide: &mut Columns<R, S>,
        near: &mut Near<R, S>,
    ) {
        let (n1, n2) = (self.first.len(), self.second.len());
        for j in 0..n2 {
            let (buffers, between) = near.parts();
            for i in 0..n1 {
                let y = i * n2 + j;
                (between.re[i], between.im[i]) = slice.times(simd, y, (column.re[y * step], column.im[y * step]));
            }
            let from = Source { re: between.re, im: between.im, step: 1 };
            self.enter(simd, j, &from, wide, buffers);
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
    places: Vec<usize>,
    /// The numbers of the whole transform that are kept.
    pub(super) numbers: Vec<usize>,
}

impl Kept {
    /// Those of `split`'s numbers for which `keep` says so, and as many more as make a multiple of `lanes`.
    pub(super) fn new<R: Scalar>(split: &Split<R>, lanes: usize, keep: impl Fn(usize) -> bool) -> Self {
        let mut kept: Vec<bool> = (0..split.n).map(|place| keep(split.number_at(place))).collect();
        let count = kept.iter().filter(|k| **k).count();
        kept.iter_mut().filter(|k| !**k).take(count.next_multiple_of(lanes) - count).for_each(|k| *k = true);
        let numbers: Vec<usize> = (0..split.n).filter(|place| kept[*place]).map(|place| split.number_at(place)).collect();
        let mut next = 0..numbers.len();
        let places = kept.iter().map(|kept| if *kept { next.next() } else { None }.unwrap_or(numbers.len())).collect();
        Self { places, numbers }
    }
}
