//! Kernel `modulus`: what each wave lacks to have the measured amplitudes.

use rayon::prelude::*;

use super::lanes::Scalar;
use super::pixel::{Pixel, row, with_pixel};
use super::planes::{PartMut, Planes};
use super::{CpuBatch, CpuFrames};
use crate::compute::DetectorLayout;

/// Replaces each wave ψ̂ by √I ψ̂/|ψ̂| − ψ̂ and writes its Σ(|ψ̂| − √I)² and Σ I.
pub(super) fn modulus<R: Scalar>(
    waves: &mut Planes<R>,
    frames: &CpuFrames,
    detector: &DetectorLayout,
    batch: &CpuBatch<R>,
    metrics: &mut [R],
) {
    let sums: Vec<[R; 2]> = waves
        .windows_mut(batch.window_len(), batch.plan.len())
        .enumerate()
        .map(|(b, wave)| modulus_window(wave, frames, b, detector, R::one()))
        .collect();
    store(&sums, batch, metrics);
}

/// Puts the sums of each position at its pattern's place.
pub(super) fn store<R: Scalar>(sums: &[[R; 2]], batch: &CpuBatch<R>, metrics: &mut [R]) {
    for (&id, sum) in batch.plan.ids.iter().zip(sums) {
        metrics[2 * id as usize..][..2].copy_from_slice(sum);
    }
}

/// One window of the kernel; the new wave is `scale` times it.
#[inline(always)]
pub(super) fn modulus_window<R: Scalar>(wave: PartMut<R>, frames: &CpuFrames, b: usize, detector: &DetectorLayout, scale: R) -> [R; 2] {
    with_pixel!(frames.stack.dtype, P => modulus_rows::<R, P>(wave, frames.frame(b), detector, scale))
}

#[inline(always)]
fn modulus_rows<R: Scalar, P: Pixel>(mut wave: PartMut<R>, frame: &[u8], detector: &DetectorLayout, scale: R) -> [R; 2] {
    let [ny, nx] = detector.shape;
    let floor = R::of(detector.floor);
    let [cy, cx] = detector.centre;
    let mut total = [R::zero(); 2];
    for ky in 0..ny {
        let y = (ky + cy) % ny;
        let counts = row::<P>(frame, detector.shape, y);
        // Reciprocal columns 0.. begin at detector column cx and wrap around once.
        for (columns, span) in [(0..nx - cx, cx..nx), (nx - cx..nx, 0..cx)] {
            let wave = wave.range(ky * nx + columns.start..ky * nx + columns.end);
            let sums = match &detector.valid {
                None => modulus_span(wave, &counts[span], scale, floor),
                Some(valid) => modulus_masked(wave, &counts[span.clone()], &valid[y * nx..][span], scale, floor),
            };
            total[0] += sums[0];
            total[1] += sums[1];
        }
    }
    total
}

/// Running sums side by side, so that they fill the lanes of a register.
const SUMS: usize = 16;

#[inline(always)]
fn modulus_span<R: Scalar, P: Pixel>(wave: PartMut<R>, counts: &[P], scale: R, floor: R) -> [R; 2] {
    let (mut misfit, mut power) = ([R::zero(); SUMS], [R::zero(); SUMS]);
    let (re, re_tail) = wave.re.as_chunks_mut::<SUMS>();
    let (im, im_tail) = wave.im.as_chunks_mut::<SUMS>();
    let (counts, counts_tail) = counts.as_chunks::<SUMS>();
    for ((re, im), counts) in re.iter_mut().zip(im).zip(counts) {
        for i in 0..SUMS {
            let (m, p) = modulus_pixel(&mut re[i], &mut im[i], counts[i].real(), scale, floor);
            misfit[i] += m;
            power[i] += p;
        }
    }
    for ((re, im), count) in re_tail.iter_mut().zip(im_tail).zip(counts_tail) {
        let (m, p) = modulus_pixel(re, im, count.real(), scale, floor);
        misfit[0] += m;
        power[0] += p;
    }
    [misfit.into_iter().sum(), power.into_iter().sum()]
}

/// The same where some pixels do not count.
fn modulus_masked<R: Scalar, P: Pixel>(wave: PartMut<R>, counts: &[P], valid: &[bool], scale: R, floor: R) -> [R; 2] {
    let mut sums = [R::zero(); 2];
    for (((re, im), count), valid) in wave.re.iter_mut().zip(wave.im).zip(counts).zip(valid) {
        if *valid {
            let (misfit, power) = modulus_pixel(re, im, count.real(), scale, floor);
            sums[0] += misfit;
            sums[1] += power;
        } else {
            (*re, *im) = (R::zero(), R::zero());
        }
    }
    sums
}

/// One pixel: (|ψ̂| − √I)² and I.
#[inline(always)]
fn modulus_pixel<R: Scalar>(re: &mut R, im: &mut R, intensity: R, scale: R, floor: R) -> (R, R) {
    let intensity = if intensity > R::zero() { intensity } else { R::zero() };
    let (amplitude, modulus) = (intensity.sqrt(), (*re * *re + *im * *im).sqrt());
    let factor = if modulus > floor { (amplitude / modulus - R::one()) * scale } else { R::zero() };
    *re *= factor;
    *im *= factor;
    ((modulus - amplitude) * (modulus - amplitude), intensity)
}
