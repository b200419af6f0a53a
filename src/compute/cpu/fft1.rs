//! One-dimensional transforms, many columns at a time: the lanes of a register hold neighbouring columns.

use pulp::{NullaryFnOnce, Simd};

use super::butterfly::{Pair, radix_2, radix_4, radix_5, radix_8, radix_odd, root, twiddle};
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
    pub(super) fn reborrow(&mut self) -> Columns<'_, R, S> {
        Columns { re: self.re, im: self.im }
    }

    /// From number `first` on.
    #[inline(always)]
    pub(super) fn from(&mut self, first: usize) -> Columns<'_, R, S> {
        Columns { re: &mut self.re[first..], im: &mut self.im[first..] }
    }

    /// With real and imaginary parts exchanged.
    #[inline(always)]
    pub(super) fn exchanged(&mut self) -> Columns<'_, R, S> {
        Columns { re: self.im, im: self.re }
    }

    /// Every number `step` apart from `first` on.
    #[inline(always)]
    pub(super) fn source(&self, first: usize, step: usize) -> Source<'_, R, S> {
        Source { re: &self.re[first..], im: &self.im[first..], step }
    }
}

/// Complex lanes that are read, one every `step`.
pub(super) struct Source<'a, R: Scalar, S: Simd> {
    pub(super) re: &'a [R::Lanes<S>],
    pub(super) im: &'a [R::Lanes<S>],
    pub(super) step: usize,
}

impl<R: Scalar> Fft1<R> {
    pub(super) fn new(n: usize) -> Self {
        let (mut stages, mut rest, mut stride) = (Vec::new(), n, 1);
        while rest > 1 {
            let radix = next_radix(rest);
            let count = rest / radix;
            let twiddles = (0..count).flat_map(|p| (1..radix).map(move |k| (p, k))).map(|(p, k)| root(p * k, rest)).collect();
            stages.push(Stage { radix, count, stride, twiddles, roots: (0..radix).map(|j| root(j, radix)).collect() });
            stride *= radix;
            rest = count;
        }
        Self { n, stages }
    }

    /// Transforms `from` into one of the buffers and returns that one.
    #[inline(always)]
    pub(super) fn run<'a, S: Simd>(
        &self,
        simd: S,
        from: Source<'_, R, S>,
        here: Columns<'a, R, S>,
        there: Columns<'a, R, S>,
    ) -> Columns<'a, R, S> {
        simd.vectorize(Transform { simd, stages: &self.stages, from, here, there })
    }
}

/// A transform as a function of its own: all that calls it shares the code of its stages, which is long.
struct Transform<'f, 'a, R: Scalar, S: Simd> {
    simd: S,
    stages: &'f [Stage<R>],
    from: Source<'f, R, S>,
    here: Columns<'a, R, S>,
    there: Columns<'a, R, S>,
}

impl<'a, R: Scalar, S: Simd> NullaryFnOnce for Transform<'_, 'a, R, S> {
    type Output = Columns<'a, R, S>;

    #[inline(always)]
    fn call(self) -> Columns<'a, R, S> {
        let Self { simd, stages, from, mut here, mut there } = self;
        let Some((first, others)) = stages.split_first() else {
            (here.re[0], here.im[0]) = (from.re[0], from.im[0]);
            return here;
        };
        first.apply::<true, S>(simd, &from, &mut here);
        for stage in others {
            stage.apply::<false, S>(simd, &Source { re: here.re, im: here.im, step: 1 }, &mut there);
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
    /// `FIRST` where the stage is the first.
    #[inline(always)]
    fn apply<const FIRST: bool, S: Simd>(&self, simd: S, from: &Source<R, S>, to: &mut Columns<R, S>) {
        macro_rules! run {
            ($butterfly:expr) => {
                if FIRST {
                    self.run_first(
                        simd,
                        from,
                        to,
                        #[inline(always)]
                        $butterfly,
                    )
                } else {
                    self.run(
                        simd,
                        from,
                        to,
                        #[inline(always)]
                        $butterfly,
                    )
                }
            };
        }
        match self.radix {
            2 => run!(|x| radix_2::<R, S>(simd, x)),
            4 => run!(|x| radix_4::<R, S>(simd, x)),
            8 => run!(|x| radix_8::<R, S>(simd, x)),
            3 => run!(|x| radix_odd::<3, R, S>(simd, x, &self.roots)),
            5 => run!(|x| radix_5::<R, S>(simd, x)),
            7 => run!(|x| radix_odd::<7, R, S>(simd, x, &self.roots)),
            _ => self.run_any(simd, from, to),
        }
    }

    #[inline(always)]
    fn run<const N: usize, S: Simd>(
        &self,
        simd: S,
        from: &Source<R, S>,
        to: &mut Columns<R, S>,
        butterfly: impl Fn([Pair<R, S>; N]) -> [Pair<R, S>; N],
    ) {
        let (stride, step) = (self.stride, self.stride * self.count);
        let outs = to.re.chunks_exact_mut(N * stride).zip(to.im.chunks_exact_mut(N * stride));
        for (p, (out_re, out_im)) in outs.enumerate() {
            let twiddles = &self.twiddles[p * (N - 1)..(p + 1) * (N - 1)];
            let (re, im) = (lines::<N, _>(&from.re[p * stride..], step, stride), lines::<N, _>(&from.im[p * stride..], step, stride));
            let (out_re, out_im) = (lines_mut::<N, _>(out_re, stride), lines_mut::<N, _>(out_im, stride));
            for q in 0..stride {
                let mut x = [(re[0][q], im[0][q]); N];
                for k in 1..N {
                    x[k] = (re[k][q], im[k][q]);
                }
                let y = butterfly(x);
                (out_re[0][q], out_im[0][q]) = y[0];
                for k in 1..N {
                    (out_re[k][q], out_im[k][q]) = if p == 0 { y[k] } else { twiddle::<R, S>(simd, y[k], twiddles[k - 1]) };
                }
            }
        }
    }

    /// The first stage: every butterfly has twiddles of its own and writes side by side.
    #[inline(always)]
    fn run_first<const N: usize, S: Simd>(
        &self,
        simd: S,
        from: &Source<R, S>,
        to: &mut Columns<R, S>,
        butterfly: impl Fn([Pair<R, S>; N]) -> [Pair<R, S>; N],
    ) {
        let (count, step) = (self.count, from.step);
        let len = (count - 1) * step + 1;
        let (re, im) = (lines::<N, _>(from.re, count * step, len), lines::<N, _>(from.im, count * step, len));
        let outs = to.re.as_chunks_mut::<N>().0.iter_mut().zip(to.im.as_chunks_mut::<N>().0);
        for (p, ((out_re, out_im), twiddles)) in outs.zip(self.twiddles.chunks_exact(N - 1)).enumerate().take(count) {
            let p = p * step;
            let mut x = [(re[0][p], im[0][p]); N];
            for k in 1..N {
                x[k] = (re[k][p], im[k][p]);
            }
            let y = butterfly(x);
            (out_re[0], out_im[0]) = y[0];
            for k in 1..N {
                (out_re[k], out_im[k]) = twiddle::<R, S>(simd, y[k], twiddles[k - 1]);
            }
        }
    }

    /// A stage of any radix, straight from the definition.
    #[inline(always)]
    fn run_any<S: Simd>(&self, simd: S, from: &Source<R, S>, to: &mut Columns<R, S>) {
        let (n, stride, step) = (self.radix, self.stride, self.stride * self.count);
        let get = |i: usize| (from.re[i * from.step], from.im[i * from.step]);
        for p in 0..self.count {
            for q in 0..stride {
                for k in 0..n {
                    let mut sum = get(p * stride + q);
                    for j in 1..n {
                        let term = twiddle::<R, S>(simd, get(p * stride + q + j * step), self.roots[j * k % n]);
                        sum = (R::lanes_add(simd, sum.0, term.0), R::lanes_add(simd, sum.1, term.1));
                    }
                    let w = if k == 0 { [R::one(), R::zero()] } else { self.twiddles[p * (n - 1) + k - 1] };
                    let out = q + stride * (n * p + k);
                    (to.re[out], to.im[out]) = twiddle::<R, S>(simd, sum, w);
                }
            }
        }
    }
}

/// `N` stretches of `len`, `step` apart.
#[inline(always)]
fn lines<const N: usize, T>(from: &[T], step: usize, len: usize) -> [&[T]; N] {
    std::array::from_fn(|k| &from[k * step..][..len])
}

/// `N` stretches of `len` side by side.
#[inline(always)]
fn lines_mut<const N: usize, T>(mut rest: &mut [T], len: usize) -> [&mut [T]; N] {
    std::array::from_fn(|_| {
        let (line, tail) = std::mem::take(&mut rest).split_at_mut(len);
        rest = tail;
        line
    })
}
