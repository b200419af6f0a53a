//! Kernel `residual`: what the waves of each position lack to explain its pattern.

use rayon::prelude::*;

use super::lanes::Scalar;
use super::pixel::{Pixel, row, with_pixel};
use super::planes::{PartMut, Planes};
use super::spread::spread_rows;
use super::{CpuBatch, CpuFrames};
use crate::compute::{DetectorLayout, Likelihood};

/// What waves are compared by, in the engine's numbers.
#[derive(Debug, Clone)]
pub(super) struct Comparison<'a, R> {
    pub(super) detector: &'a DetectorLayout,
    rule: Rule<R>,
    /// The square of the floor.
    pub(super) faintest: R,
    /// See [`crate::compute::Spread::weights`]; empty where nothing is spread.
    pub(super) weights: Vec<R>,
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
        let weights = if detector.spread.is_none() { Vec::new() } else { detector.spread.weights().into_iter().map(R::of).collect() };
        Self { detector, rule, faintest: R::of(floor * floor), weights }
    }

    /// The work memory that a pattern with so many modes in windows of `n` pixels needs.
    pub(super) fn work_len(spread: bool, modes: usize, n: usize) -> usize {
        match (spread, modes) {
            (true, _) => 2 * n,
            (false, 1) => 0,
            (false, _) => n,
        }
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
            || vec![R::zero(); Comparison::<R>::work_len(!comparison.weights.is_empty(), modes, n)],
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

/// The windows of one position, its modes one after the other; the new waves are `scale` times them. `intensity` is work memory, see
/// [`Comparison::work_len`].
#[inline(always)]
pub(super) fn residual_windows<R: Scalar>(
    waves: PartMut<R>,
    frames: &CpuFrames,
    b: usize,
    comparison: &Comparison<R>,
    scale: R,
    intensity: &mut [R],
) -> [R; 2] {
    match comparison.rule {
        Rule::Amplitude => rows(
            waves,
            frames,
            b,
            comparison,
            intensity,
            #[inline(always)]
            |c, i| amplitude(c, i, scale),
        ),
        Rule::Poisson { epsilon } => rows(
            waves,
            frames,
            b,
            comparison,
            intensity,
            #[inline(always)]
            |c, i| poisson(c, i, epsilon, scale),
        ),
        Rule::Gaussian { inverse_variance } => rows(
            waves,
            frames,
            b,
            comparison,
            intensity,
            #[inline(always)]
            |c, i| gaussian(c, i, inverse_variance, scale),
        ),
    }
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
    [(measured - calculated) / over * scale, calculated - measured - under * R::natural_log(over / under)]
}

#[inline(always)]
fn gaussian<R: Scalar>(calculated: R, measured: R, inverse_variance: R, scale: R) -> [R; 2] {
    let lacking = measured - calculated;
    [lacking * inverse_variance * scale, lacking * lacking * inverse_variance * R::of(0.5)]
}

/// Numbers that are done together: enough to fill the lanes of a register, or the work memory of the counts.
const SUMS: usize = 16;
const STRETCH: usize = 256;

#[inline(always)]
fn rows<R: Scalar>(
    mut waves: PartMut<R>,
    frames: &CpuFrames,
    b: usize,
    comparison: &Comparison<R>,
    intensity: &mut [R],
    rule: impl Fn(R, R) -> [R; 2] + Copy,
) -> [R; 2] {
    if !comparison.weights.is_empty() {
        return spread_rows(waves, frames, b, comparison, intensity, rule);
    }
    let (detector, frame) = (comparison.detector, frames.frame(b));
    let ([ny, nx], [cy, cx]) = (detector.shape, detector.centre);
    let n = ny * nx;
    let several = waves.re.len() > n;
    if several {
        sum_powers(&waves, n, intensity);
    }
    let mut total = [R::zero(); 2];
    let mut buffer = [R::zero(); STRETCH];
    for ky in 0..ny {
        let y = (ky + cy) % ny;
        // Reciprocal columns 0.. begin at detector column cx and wrap around once.
        for (kx, columns) in [(0, cx..nx), (nx - cx, 0..cx)] {
            for first in columns.clone().step_by(STRETCH) {
                let columns = first..(first + STRETCH).min(columns.end);
                let start = ky * nx + kx + first - if kx == 0 { cx } else { 0 };
                let counts = &mut buffer[..columns.len()];
                with_pixel!(frames.stack.dtype, P => read_counts::<R, P>(&row::<P>(frame, detector.shape, y)[columns.clone()], counts));
                let valid = detector.valid.as_ref().map(|valid| &valid[y * nx..][columns]);
                let place = start..start + counts.len();
                let sums = match (several, valid) {
                    (false, None) => one_mode(waves.range(place), counts, comparison.faintest, rule),
                    (false, Some(valid)) => masked(waves.range(place), counts, valid, comparison.faintest, rule),
                    (true, valid) => factors(&mut intensity[place], counts, valid, comparison.faintest, rule),
                };
                total[0] += sums[0];
                total[1] += sums[1];
            }
        }
    }
    if several {
        multiply(&mut waves, n, intensity);
    }
    total
}

/// Counts in the engine's numbers, negative ones as 0.
#[inline(always)]
pub(super) fn read_counts<R: Scalar, P: Pixel>(from: &[P], to: &mut [R]) {
    for (to, from) in to.iter_mut().zip(from) {
        let count = from.real::<R>();
        *to = if count > R::zero() { count } else { R::zero() };
    }
}

#[inline(always)]
fn one_mode<R: Scalar>(wave: PartMut<R>, counts: &[R], faintest: R, rule: impl Fn(R, R) -> [R; 2] + Copy) -> [R; 2] {
    let (mut misfit, mut power) = ([R::zero(); SUMS], [R::zero(); SUMS]);
    let (re, re_tail) = wave.re.as_chunks_mut::<SUMS>();
    let (im, im_tail) = wave.im.as_chunks_mut::<SUMS>();
    let (counts, counts_tail) = counts.as_chunks::<SUMS>();
    for ((re, im), counts) in re.iter_mut().zip(im).zip(counts) {
        for i in 0..SUMS {
            misfit[i] += pixel(&mut re[i], &mut im[i], counts[i], faintest, rule);
            power[i] += counts[i];
        }
    }
    for ((re, im), count) in re_tail.iter_mut().zip(im_tail).zip(counts_tail) {
        misfit[0] += pixel(re, im, *count, faintest, rule);
        power[0] += *count;
    }
    [misfit.into_iter().sum(), power.into_iter().sum()]
}

/// The same where some pixels do not count.
#[inline(always)]
fn masked<R: Scalar>(wave: PartMut<R>, counts: &[R], valid: &[bool], faintest: R, rule: impl Fn(R, R) -> [R; 2] + Copy) -> [R; 2] {
    let mut sums = [R::zero(); 2];
    for (((re, im), count), valid) in wave.re.iter_mut().zip(wave.im).zip(counts).zip(valid) {
        if *valid {
            sums[0] += pixel(re, im, *count, faintest, rule);
            sums[1] += *count;
        } else {
            (*re, *im) = (R::zero(), R::zero());
        }
    }
    sums
}

/// One pixel of one mode, and its misfit.
#[inline(always)]
fn pixel<R: Scalar>(re: &mut R, im: &mut R, measured: R, faintest: R, rule: impl Fn(R, R) -> [R; 2]) -> R {
    let calculated = *re * *re + *im * *im;
    let [factor, misfit] = rule(calculated, measured);
    let factor = if calculated > faintest { factor } else { R::zero() };
    *re *= factor;
    *im *= factor;
    misfit
}

/// Σ_m |ψ̂_m|²
#[inline(always)]
pub(super) fn sum_powers<R: Scalar>(waves: &PartMut<R>, n: usize, intensity: &mut [R]) {
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
fn factors<R: Scalar>(
    intensity: &mut [R],
    counts: &[R],
    valid: Option<&[bool]>,
    faintest: R,
    rule: impl Fn(R, R) -> [R; 2] + Copy,
) -> [R; 2] {
    let (mut misfit, mut power) = ([R::zero(); SUMS], [R::zero(); SUMS]);
    let factor = |intensity: &mut R, count: R| {
        let [factor, misfit] = rule(*intensity, count);
        *intensity = if *intensity > faintest { factor } else { R::zero() };
        misfit
    };
    if let Some(valid) = valid {
        for ((intensity, count), valid) in intensity.iter_mut().zip(counts).zip(valid) {
            if *valid {
                misfit[0] += factor(intensity, *count);
                power[0] += *count;
            } else {
                *intensity = R::zero();
            }
        }
        return [misfit[0], power[0]];
    }
    let (chunks, tail) = intensity.as_chunks_mut::<SUMS>();
    let (counts, counts_tail) = counts.as_chunks::<SUMS>();
    for (intensity, counts) in chunks.iter_mut().zip(counts) {
        for i in 0..SUMS {
            misfit[i] += factor(&mut intensity[i], counts[i]);
            power[i] += counts[i];
        }
    }
    for (intensity, count) in tail.iter_mut().zip(counts_tail) {
        misfit[0] += factor(intensity, *count);
        power[0] += *count;
    }
    [misfit.into_iter().sum(), power.into_iter().sum()]
}

/// Each mode times the factors.
#[inline(always)]
pub(super) fn multiply<R: Scalar>(waves: &mut PartMut<R>, n: usize, factors: &[R]) {
    for part in waves.re.chunks_exact_mut(n).chain(waves.im.chunks_exact_mut(n)) {
        part.iter_mut().zip(factors).for_each(|(x, factor)| *x *= *factor);
    }
}
