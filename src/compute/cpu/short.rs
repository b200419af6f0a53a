//! Transforms of few numbers, of columns in the lanes of registers, that stay in the nearest cache on their way from where they are read to where they are taken.

use std::hint::black_box;

use pulp::Simd;

use super::butterfly::{Pair, radix_4, radix_5, radix_8, radix_odd, root, twiddle};
use super::fft1::{Columns, Fft1, Source};
use super::lanes::Scalar;

/// A planned transform e^{−2πi}, not scaled.
pub(super) enum Short<R> {
    /// Of a·b numbers: b transforms of a, then a of b.
    Two {
        n: usize,
        twiddles: Vec<[R; 2]>,
        roots: Vec<[R; 2]>,
    },
    Any(Fft1<R>),
}

/// Takes the numbers of a transform.
pub(super) trait Sink<R: Scalar, S: Simd> {
    /// Number `k`.
    fn put(&mut self, simd: S, k: usize, number: Pair<R, S>);
}

/// Lengths that are transformed in two steps, with their first.
const TWO: [(usize, usize); 4] = [(16, 4), (20, 4), (24, 8), (32, 8)];

impl<R: Scalar> Short<R> {
    pub(super) fn new(n: usize) -> Self {
        let Some((_, a)) = TWO.iter().find(|(of, _)| *of == n) else { return Self::Any(Fft1::new(n)) };
        let b = n / a;
        let twiddles = (0..b).flat_map(|q| (1..*a).map(move |k| q * k)).map(|j| root(j, n)).collect();
        Self::Two { n, twiddles, roots: (0..b).map(|j| root(j, b)).collect() }
    }

    /// The two factors of a length that are short themselves and as alike as can be.
    pub(super) fn factors(n: usize) -> [usize; 2] {
        let in_two = |n: &usize| TWO.iter().any(|(of, _)| of == n);
        let pairs = (1..=n).filter(|d| n.is_multiple_of(*d) && d * d <= n).map(|d| [n / d, d]);
        // The last of those that are best.
        pairs.max_by_key(|pair| pair.iter().filter(|n| in_two(n)).count()).unwrap_or([n, 1])
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Two { n, .. } => *n,
            Self::Any(fft) => fft.n,
        }
    }

    /// The first step of a transform of `from`, which is not looked at again: what [`Self::end`] goes on with, in one of the buffers.
    #[inline(always)]
    pub(super) fn begin<'a, S: Simd>(&self, simd: S, from: &Source<'_, R, S>, [here, there]: [Columns<'a, R, S>; 2]) -> Columns<'a, R, S> {
        match self {
            Self::Two { n, twiddles, .. } => {
                // Of what is behind the last number nothing is read.
                let numbers = ..(n - 1) * from.step + 1;
                let (re, im) = (&from.re[numbers], &from.im[numbers]);
                begin_two(
                    simd,
                    *n,
                    #[inline(always)]
                    |k| (re[k * from.step], im[k * from.step]),
                    here,
                    twiddles,
                )
            }
            Self::Any(fft) => {
                // Buffers are as long as the longest of several.
                let [here, there] = [here, there].map(|buffer| Columns { re: &mut buffer.re[..fft.n], im: &mut buffer.im[..fft.n] });
                fft.run(simd, Source { re: from.re, im: from.im, step: from.step }, here, there)
            }
        }
    }

    /// The same of numbers that lie at places of their own, with real and imaginary parts exchanged. They may be copied to `between`.
    #[inline(always)]
    pub(super) fn begin_exchanged<'a, S: Simd>(
        &self,
        simd: S,
        from: &Columns<'_, R, S>,
        places: &[usize],
        between: Columns<'_, R, S>,
        buffers: [Columns<'a, R, S>; 2],
    ) -> Columns<'a, R, S> {
        if let Self::Two { n, twiddles, .. } = self {
            let [here, _] = buffers;
            let places = &places[..*n];
            return begin_two(
                simd,
                *n,
                #[inline(always)]
                |k| (from.im[places[k]], from.re[places[k]]),
                here,
                twiddles,
            );
        }
        for (place, (re, im)) in places.iter().zip(between.re.iter_mut().zip(between.im.iter_mut())) {
            (*re, *im) = (from.im[*place], from.re[*place]);
        }
        self.begin(simd, &between.source(0, 1), buffers)
    }

    /// The second step.
    #[inline(always)]
    pub(super) fn end<S: Simd>(&self, simd: S, begun: &Columns<'_, R, S>, sink: &mut impl Sink<R, S>) {
        macro_rules! end {
            ($a:literal, $b:literal, $second:expr) => {
                end::<$a, $b, { $a * $b }, R, S>(
                    simd,
                    begun,
                    sink,
                    #[inline(always)]
                    $second,
                )
            };
        }
        match self {
            Self::Two { n: 16, .. } => end!(4, 4, |x| radix_4::<R, S>(simd, x)),
            Self::Two { n: 20, .. } => end!(4, 5, |x| radix_5::<R, S>(simd, x)),
            Self::Two { n: 24, roots, .. } => end!(8, 3, |x| radix_odd::<3, R, S>(simd, x, roots)),
            Self::Two { .. } => end!(8, 4, |x| radix_4::<R, S>(simd, x)),
            Self::Any(fft) => {
                for (k, (re, im)) in begun.re.iter().zip(begun.im.iter()).enumerate().take(fft.n) {
                    sink.put(simd, k, (*re, *im));
                }
            }
        }
    }
}

/// The first step of a transform in two.
#[inline(always)]
fn begin_two<'a, R: Scalar, S: Simd>(
    simd: S,
    n: usize,
    from: impl Fn(usize) -> Pair<R, S>,
    to: Columns<'a, R, S>,
    twiddles: &[[R; 2]],
) -> Columns<'a, R, S> {
    macro_rules! begin {
        ($a:literal, $b:literal, $first:expr) => {
            begin::<$a, $b, { $a * $b }, R, S>(
                simd,
                from,
                to,
                twiddles,
                #[inline(always)]
                $first,
            )
        };
    }
    match n {
        16 => begin!(4, 4, |x| radix_4::<R, S>(simd, x)),
        20 => begin!(4, 5, |x| radix_4::<R, S>(simd, x)),
        24 => begin!(8, 3, |x| radix_8::<R, S>(simd, x)),
        _ => begin!(8, 4, |x| radix_8::<R, S>(simd, x)),
    }
}

/// The first step of a transform of `N` = `A`·`B` numbers. Its loops, and those of the second, are left as loops (`black_box`): unrolled, the numbers between the steps would be held in
/// more registers than there are.
#[inline(always)]
fn begin<'a, const A: usize, const B: usize, const N: usize, R: Scalar, S: Simd>(
    simd: S,
    from: impl Fn(usize) -> Pair<R, S>,
    to: Columns<'a, R, S>,
    twiddles: &[[R; 2]],
    first: impl Fn([Pair<R, S>; A]) -> [Pair<R, S>; A],
) -> Columns<'a, R, S> {
    let Columns { re: all_re, im: all_im } = to;
    if let (Some(re), Some(im)) = (all_re.first_chunk_mut::<N>(), all_im.first_chunk_mut::<N>()) {
        for q in 0..black_box(B).min(B) {
            let twiddles = &twiddles[q * (A - 1)..(q + 1) * (A - 1)];
            let mut x = [from(q); A];
            for (i, x) in x.iter_mut().enumerate().skip(1) {
                *x = from(i * B + q);
            }
            let y = first(x);
            (re[q], im[q]) = y[0];
            for k in 1..A {
                // The first twiddles are 1.
                (re[k * B + q], im[k * B + q]) = if q == 0 { y[k] } else { twiddle::<R, S>(simd, y[k], twiddles[k - 1]) };
            }
        }
    }
    Columns { re: all_re, im: all_im }
}

/// The second step of a transform of `N` = `A`·`B` numbers.
#[inline(always)]
fn end<const A: usize, const B: usize, const N: usize, R: Scalar, S: Simd>(
    simd: S,
    begun: &Columns<'_, R, S>,
    sink: &mut impl Sink<R, S>,
    second: impl Fn([Pair<R, S>; B]) -> [Pair<R, S>; B],
) {
    let (Some(re), Some(im)) = (begun.re.first_chunk::<N>(), begun.im.first_chunk::<N>()) else { return };
    for k in 0..black_box(A).min(A) {
        let mut x = [(re[k * B], im[k * B]); B];
        for q in 1..B {
            x[q] = (re[k * B + q], im[k * B + q]);
        }
        for (q, number) in second(x).into_iter().enumerate() {
            sink.put(simd, k + A * q, number);
        }
    }
}
