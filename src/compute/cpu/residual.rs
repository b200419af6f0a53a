//! Kernel `residual`: what the waves of each position lack to explain its pattern.

use rayon::prelude::*;

use super::lanes::Scalar;
use super::pixel::{Pixel, row, with_pixel};
use super::planes::{PartMut, Planes};
use super::{CpuBatch, CpuFrames};
use crate::compute::{DetectorLayout, Likelihood};

/// What waves are compared by, in the engine's numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparison<'a, R> {
    pub(super) detector: &'a DetectorLayout,
    rule: Rule<R>,
    /// The square of the floor.
    faintest: R,
}

#[derive(Debug, Clone, Copy)]
enum Rule<R> {
    Amplitude,
    Poisson { epsilon: R },
    Gaussian { inverse_variance: R },
}

impl<'a, R: Scalar> Comparison<'a, R> {
    pub(super) fn new(detector: &'a DetectorLayout, likelihood: Likelihood, floor: f64) -> Self {
        let rule = match likelihood {
            Likelihood::Amplitude => Rule::Amplitude,
            Likelihood::Poisson { epsilon } => Rule::Poisson { epsilon: R::of(epsilon) },
            Likelihood::Gaussian { variance } => Rule::Gaussian { inverse_variance: R::of(1.0 / variance) },
        };
        Self { detector, rule, faintest: R::of(floor * floor) }
    }
}

/// Replaces the waves of each position by −∂L/∂ψ̂* and writes its L and Σ I.
pub(super) fn residual<R: Scalar>(
    waves: &mut Planes<R>,
    modes: usize,
    frames: &CpuFrames,
    comparison: &Comparison<R>,
    batch: &CpuBatch<R>,
    metrics: &mut [R],
) {
    let n = batch.window_len();
    let sums: Vec<[R; 2]> = waves
        .windows_mut(n * modes, batch.plan.len())
        .enumerate()
        .map_init(
            || vec![R::zero(); if modes > 1 { n } else { 0 }],
            |intensity, (b, waves)| residual_windows(waves, frames, b, comparison, R::one(), intensity),
        )
        .collect();
    store(&sums, batch, metrics);
}

/// Puts the sums of each position at its pattern's place.
pub(super) fn store<R: Scalar>(sums: &[[R; 2]], batch: &CpuBatch<R>, metrics: &mut [R]) {
    for (&id, sum) in batch.plan.ids.iter().zip(sums) {
        metrics[2 * id as usize..][..2].copy_from_slice(sum);
    }
}

/// The windows of one position, its modes one after the other; the new waves are `scale` times them. `intensity` is work memory of a window where there
/// are several modes.
#[inline(always)]
pub(super) fn residual_windows<R: Scalar>(
    waves: PartMut<R>,
    frames: &CpuFrames,
    b: usize,
    comparison: &Comparison<R>,
    scale: R,
    intensity: &mut [R],
) -> [R; 2] {
    with_pixel!(frames.stack.dtype, P => match comparison.rule {
        Rule::Amplitude => rows::<R, P>(waves, frames.frame(b), comparison, intensity, #[inline(always)] |c, i| amplitude(c, i, scale)),
        Rule::Poisson { epsilon } => rows::<R, P>(waves, frames.frame(b), comparison, intensity, #[inline(always)] |c, i| poisson(c, i, epsilon, scale)),
        Rule::Gaussian { inverse_variance } => {
            rows::<R, P>(waves, frames.frame(b), comparison, intensity, #[inline(always)] |c, i| gaussian(c, i, inverse_variance, scale))
        }
    })
}

/// The factor of the waves and the misfit of a pixel with the calculated intensity C and the measured one I.
#[inline(always)]
fn amplitude<R: Scalar>(calculated: R, measured: R, scale: R) -> [R; 2] {
    let (modulus, amplitude) = (calculated.sqrt(), measured.sqrt());
    [(amplitude / modulus - R::one()) * scale, (modulus - amplitude) * (modulus - amplitude)]
}

#[inline(always)]
fn poisson<R: Scalar>(calculated: R, measured: R, epsilon: R, scale: R) -> [R; 2] {
    let (over, under) = (calculated + epsilon, measured + epsilon);
    [(measured - calculated) / over * scale, calculated - measured - measured * R::natural_log(over / under)]
}

#[inline(always)]
fn gaussian<R: Scalar>(calculated: R, measured: R, inverse_variance: R, scale: R) -> [R; 2] {
    let lacking = measured - calculated;
    [lacking * inverse_variance * scale, lacking * lacking * inverse_variance * R::of(0.5)]
}

/// A stretch of the waves: where in the window, and where in the frame.
struct Span {
    start: usize,
    len: usize,
}

#[inline(always)]
fn rows<R: Scalar, P: Pixel>(
    mut waves: PartMut<R>,
    frame: &[u8],
    comparison: &Comparison<R>,
    intensity: &mut [R],
    rule: impl Fn(R, R) -> [R; 2] + Copy,
) -> [R; 2] {
    let detector = comparison.detector;
    let ([ny, nx], [cy, cx]) = (detector.shape, detector.centre);
    let n = ny * nx;
    let several = waves.re.len() > n;
    if several {
        sum_powers(&waves, n, intensity);
    }
    let mut total = [R::zero(); 2];
    for ky in 0..ny {
        let y = (ky + cy) % ny;
        let counts = row::<P>(frame, detector.shape, y);
        // Reciprocal columns 0.. begin at detector column cx and wrap around once.
        for (kx, first) in [(0, cx), (nx - cx, 0)] {
            let span = Span { start: ky * nx + kx, len: if kx == 0 { nx - cx } else { cx } };
            let counts = &counts[first..first + span.len];
            let valid = detector.valid.as_ref().map(|valid| &valid[y * nx + first..][..span.len]);
            let sums = match (several, valid) {
                (false, None) => one_mode(waves.range(span.start..span.start + span.len), counts, comparison.faintest, rule),
                (false, Some(valid)) => masked(waves.range(span.start..span.start + span.len), counts, valid, comparison.faintest, rule),
                (true, valid) => factors(&mut intensity[span.start..span.start + span.len], counts, valid, comparison.faintest, rule),
            };
            total[0] += sums[0];
            total[1] += sums[1];
        }
    }
    if several {
        multiply(&mut waves, n, intensity);
    }
    total
}

/// Running sums side by side, so that they fill the lanes of a register.
const SUMS: usize = 16;

#[inline(always)]
fn one_mode<R: Scalar, P: Pixel>(wave: PartMut<R>, counts: &[P], faintest: R, rule: impl Fn(R, R) -> [R; 2] + Copy) -> [R; 2] {
    let (mut misfit, mut power) = ([R::zero(); SUMS], [R::zero(); SUMS]);
    let (re, re_tail) = wave.re.as_chunks_mut::<SUMS>();
    let (im, im_tail) = wave.im.as_chunks_mut::<SUMS>();
    let (counts, counts_tail) = counts.as_chunks::<SUMS>();
    for ((re, im), counts) in re.iter_mut().zip(im).zip(counts) {
        for i in 0..SUMS {
            let (m, p) = pixel(&mut re[i], &mut im[i], counts[i].real(), faintest, rule);
            misfit[i] += m;
            power[i] += p;
        }
    }
    for ((re, im), count) in re_tail.iter_mut().zip(im_tail).zip(counts_tail) {
        let (m, p) = pixel(re, im, count.real(), faintest, rule);
        misfit[0] += m;
        power[0] += p;
    }
    [misfit.into_iter().sum(), power.into_iter().sum()]
}

/// The same where some pixels do not count.
fn masked<R: Scalar, P: Pixel>(wave: PartMut<R>, counts: &[P], valid: &[bool], faintest: R, rule: impl Fn(R, R) -> [R; 2]) -> [R; 2] {
    let mut sums = [R::zero(); 2];
    for (((re, im), count), valid) in wave.re.iter_mut().zip(wave.im).zip(counts).zip(valid) {
        if *valid {
            let (misfit, power) = pixel(re, im, count.real(), faintest, &rule);
            sums[0] += misfit;
            sums[1] += power;
        } else {
            (*re, *im) = (R::zero(), R::zero());
        }
    }
    sums
}

/// One pixel of one mode: its misfit and its counts.
#[inline(always)]
fn pixel<R: Scalar>(re: &mut R, im: &mut R, measured: R, faintest: R, rule: impl Fn(R, R) -> [R; 2]) -> (R, R) {
    let measured = if measured > R::zero() { measured } else { R::zero() };
    let calculated = *re * *re + *im * *im;
    let [factor, misfit] = rule(calculated, measured);
    let factor = if calculated > faintest { factor } else { R::zero() };
    *re *= factor;
    *im *= factor;
    (misfit, measured)
}

/// Σ_m |ψ̂_m|²
#[inline(always)]
fn sum_powers<R: Scalar>(waves: &PartMut<R>, n: usize, intensity: &mut [R]) {
    for (mode, (re, im)) in waves.re.chunks_exact(n).zip(waves.im.chunks_exact(n)).enumerate() {
        if mode == 0 {
            intensity.iter_mut().zip(re.iter().zip(im)).for_each(|(sum, (re, im))| *sum = *re * *re + *im * *im);
        } else {
            intensity.iter_mut().zip(re.iter().zip(im)).for_each(|(sum, (re, im))| *sum += *re * *re + *im * *im);
        }
    }
}

/// Intensities become factors.
#[inline(always)]
fn factors<R: Scalar, P: Pixel>(
    intensity: &mut [R],
    counts: &[P],
    valid: Option<&[bool]>,
    faintest: R,
    rule: impl Fn(R, R) -> [R; 2],
) -> [R; 2] {
    let mut sums = [[R::zero(); SUMS]; 2];
    let len = intensity.len();
    for first in (0..len).step_by(SUMS) {
        for lane in 0..SUMS.min(len - first) {
            let x = first + lane;
            if valid.is_some_and(|valid| !valid[x]) {
                intensity[x] = R::zero();
                continue;
            }
            let measured = counts[x].real::<R>();
            let measured = if measured > R::zero() { measured } else { R::zero() };
            let [factor, misfit] = rule(intensity[x], measured);
            intensity[x] = if intensity[x] > faintest { factor } else { R::zero() };
            sums[0][lane] += misfit;
            sums[1][lane] += measured;
        }
    }
    sums.map(|lanes| lanes.into_iter().sum())
}

/// Each mode times the factors.
#[inline(always)]
fn multiply<R: Scalar>(waves: &mut PartMut<R>, n: usize, factors: &[R]) {
    for part in waves.re.chunks_exact_mut(n).chain(waves.im.chunks_exact_mut(n)) {
        part.iter_mut().zip(factors).for_each(|(x, factor)| *x *= *factor);
    }
}
