//! Kernel `modulus`: what each wave lacks to have the measured amplitudes.

use num_complex::Complex;
use rayon::prelude::*;

use super::pixel::{Pixel, row, with_pixel};
use super::{CpuBatch, CpuFrames};
use crate::compute::{DetectorLayout, Real};

/// Replaces each wave ψ̂ by √I ψ̂/|ψ̂| − ψ̂ and writes its Σ(|ψ̂| − √I)² and Σ I.
pub(super) fn modulus<R: Real>(
    waves: &mut [Complex<R>],
    frames: &CpuFrames,
    detector: &DetectorLayout,
    batch: &CpuBatch<R>,
    metrics: &mut [R],
) {
    let n = batch.window_len();
    let sums: Vec<[R; 2]> = waves[..batch.plan.len() * n]
        .par_chunks_exact_mut(n)
        .enumerate()
        .map(|(b, wave)| modulus_window(wave, frames, b, detector, R::one()))
        .collect();
    store(&sums, batch, metrics);
}

/// Puts the sums of each position at its pattern's place.
pub(super) fn store<R: Real>(sums: &[[R; 2]], batch: &CpuBatch<R>, metrics: &mut [R]) {
    for (&id, sum) in batch.plan.ids.iter().zip(sums) {
        metrics[2 * id as usize..][..2].copy_from_slice(sum);
    }
}

/// One window of the kernel; the new wave is `scale` times it.
pub(super) fn modulus_window<R: Real>(
    wave: &mut [Complex<R>],
    frames: &CpuFrames,
    b: usize,
    detector: &DetectorLayout,
    scale: R,
) -> [R; 2] {
    with_pixel!(frames.stack.dtype, P => modulus_rows::<R, P>(wave, frames.frame(b), detector, scale))
}

fn modulus_rows<R: Real, P: Pixel>(wave: &mut [Complex<R>], frame: &[u8], detector: &DetectorLayout, scale: R) -> [R; 2] {
    let [ny, nx] = detector.shape;
    let [cy, cx] = detector.centre;
    let mut total = [R::zero(); 2];
    for (ky, wave) in wave.chunks_exact_mut(nx).enumerate() {
        let y = (ky + cy) % ny;
        let counts = row::<P>(frame, detector.shape, y);
        let valid = detector.valid.as_ref().map(|v| &v[y * nx..(y + 1) * nx]);
        // Reciprocal columns 0.. begin at detector column cx and wrap around once.
        let (head, tail) = wave.split_at_mut(nx - cx);
        for (part, span) in [(head, cx..nx), (tail, 0..cx)] {
            let sums = modulus_span(part, &counts[span.clone()], valid.map(|v| &v[span]), scale);
            total[0] += sums[0];
            total[1] += sums[1];
        }
    }
    total
}

fn modulus_span<R: Real, P: Pixel>(wave: &mut [Complex<R>], counts: &[P], valid: Option<&[bool]>, scale: R) -> [R; 2] {
    let mut sums = [R::zero(); 2];
    for (i, (z, count)) in wave.iter_mut().zip(counts).enumerate() {
        if valid.is_some_and(|v| !v[i]) {
            *z = Complex::default();
            continue;
        }
        let intensity = count.real::<R>().max(R::zero());
        let (amplitude, modulus) = (intensity.sqrt(), z.norm_sqr().sqrt());
        let factor = if modulus > R::zero() { amplitude / modulus - R::one() } else { R::zero() };
        *z = z.scale(factor * scale);
        sums[0] += (modulus - amplitude) * (modulus - amplitude);
        sums[1] += intensity;
    }
    sums
}
