//! One-dimensional transforms, many columns at a time: the lanes of a register hold neighbouring columns.

use std::f64::consts::TAU;

use pulp::Simd;

use super::butterfly::{Pair, radix_2, radix_4, radix_8, radix_odd, twiddle};
use super::lanes::Scalar;

/// A planned transform e^{−2πi} of length `n`, not scaled: Stockham's, decimated in frequency, so no reordering is needed.
pub(super) struct Fft1<R> {
    pub(super) n: usize,
    stages: Vec<Stage<R>>,
}

struct Stage<R> {
    radix: usize,
    /// Butterflies with different twiddles.
    count: usize,
    /// Butterflies with the same twiddles.
    stride: usize,
    /// (count, radix − 1).
    twiddles: Vec<[R; 2]>,
    /// e^{−2πij/radix}.
    roots: Vec<[R; 2]>,
}

/// A buffer of complex lanes.
pub(super) struct Columns<'a, R: Scalar, S: Simd> {
    pub(super) re: &'a mut [R::Lanes<S>],
    pub(super) im: &'a mut [R::Lanes<S>],
}

impl<R: Scalar, S: Simd> Columns<'_, R, S> {
    #[inline(always)]
    fn get(&self, i: usize) -> Pair<R, S> {
        (self.re[i], self.im[i])
    }

    #[inline(always)]
    fn set(&mut self, i: usize, x: Pair<R, S>) {
        (self.re[i], self.im[i]) = x;
    }
}

impl<R: Scalar> Fft1<R> {
    pub(super) fn new(n: usize) -> Self {
        let (mut stages, mut rest, mut stride) = (Vec::new(), n, 1);
        while rest > 1 {
            let radix = next_radix(rest);
            let count = rest / radix;
            let root = |k: usize, of: usize| {
                let angle = -TAU * (k % of) as f64 / of as f64;
                [R::of(angle.cos()), R::of(angle.sin())]
            };
            let twiddles = (0..count).flat_map(|p| (1..radix).map(move |k| (p, k))).map(|(p, k)| root(p * k, rest)).collect();
            stages.push(Stage { radix, count, stride, twiddles, roots: (0..radix).map(|j| root(j, radix)).collect() });
            stride *= radix;
            rest = count;
        }
        Self { n, stages }
    }

    /// Transforms `here` through `there` and returns the one that holds the transform.
    #[inline(always)]
    pub(super) fn run<'a, S: Simd>(&self, simd: S, mut here: Columns<'a, R, S>, mut there: Columns<'a, R, S>) -> Columns<'a, R, S> {
        for stage in &self.stages {
            match stage.radix {
                2 => stage.run(
                    simd,
                    &here,
                    &mut there,
                    #[inline(always)]
                    |x| radix_2::<R, S>(simd, x),
                ),
                4 => stage.run(
                    simd,
                    &here,
                    &mut there,
                    #[inline(always)]
                    |x| radix_4::<R, S>(simd, x),
                ),
                8 => stage.run(
                    simd,
                    &here,
                    &mut there,
                    #[inline(always)]
                    |x| radix_8::<R, S>(simd, x),
                ),
                3 => stage.run(
                    simd,
                    &here,
                    &mut there,
                    #[inline(always)]
                    |x| radix_odd::<3, R, S>(simd, x, &stage.roots),
                ),
                5 => stage.run(
                    simd,
                    &here,
                    &mut there,
                    #[inline(always)]
                    |x| radix_odd::<5, R, S>(simd, x, &stage.roots),
                ),
                7 => stage.run(
                    simd,
                    &here,
                    &mut there,
                    #[inline(always)]
                    |x| radix_odd::<7, R, S>(simd, x, &stage.roots),
                ),
                _ => stage.run_any(simd, &here, &mut there),
            }
            std::mem::swap(&mut here, &mut there);
        }
        here
    }
}

/// The factor to take next: eights and fours first, then the small primes, then whatever prime is left.
fn next_radix(n: usize) -> usize {
    // An eight leaves fewer stages, but 16 = 4·4 is better than 8·2.
    if n.is_multiple_of(8) && n != 16 {
        return 8;
    }
    [4, 2, 3, 5, 7]
        .into_iter()
        .find(|r| n.is_multiple_of(*r))
        .unwrap_or_else(|| (11..).step_by(2).find(|p| n.is_multiple_of(*p)).unwrap_or(n))
}

impl<R: Scalar> Stage<R> {
    #[inline(always)]
    fn run<const N: usize, S: Simd>(
        &self,
        simd: S,
        from: &Columns<R, S>,
        to: &mut Columns<R, S>,
        butterfly: impl Fn([Pair<R, S>; N]) -> [Pair<R, S>; N],
    ) {
        let (stride, step) = (self.stride, self.stride * self.count);
        for p in 0..self.count {
            let twiddles = &self.twiddles[p * (N - 1)..(p + 1) * (N - 1)];
            for q in 0..stride {
                let (first, out) = (p * stride + q, p * stride * N + q);
                let mut x = [from.get(first); N];
                for (k, x) in x.iter_mut().enumerate().skip(1) {
                    *x = from.get(first + k * step);
                }
                let y = butterfly(x);
                to.set(out, y[0]);
                for k in 1..N {
                    to.set(out + k * stride, if p == 0 { y[k] } else { twiddle::<R, S>(simd, y[k], twiddles[k - 1]) });
                }
            }
        }
    }

    /// A stage of any radix, straight from the definition.
    #[inline(always)]
    fn run_any<S: Simd>(&self, simd: S, from: &Columns<R, S>, to: &mut Columns<R, S>) {
        let (n, stride, step) = (self.radix, self.stride, self.stride * self.count);
        for p in 0..self.count {
            for q in 0..stride {
                for k in 0..n {
                    let mut sum = from.get(p * stride + q);
                    for j in 1..n {
                        let term = twiddle::<R, S>(simd, from.get(p * stride + q + j * step), self.roots[j * k % n]);
                        sum = (R::lanes_add(simd, sum.0, term.0), R::lanes_add(simd, sum.1, term.1));
                    }
                    let w = if k == 0 { [R::one(), R::zero()] } else { self.twiddles[p * (n - 1) + k - 1] };
                    to.set(q + stride * (n * p + k), twiddle::<R, S>(simd, sum, w));
                }
            }
        }
    }
}
