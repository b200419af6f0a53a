//! The coarse verbs fused pattern by pattern, so that a pattern's work stays in one core's cache.

use num_complex::Complex;
use rayon::prelude::*;

use super::exit_wave::multiply_window;
use super::fft2::Fft2;
use super::modulus::{modulus_window, store};
use super::probe_gradient::gradient_window;
use super::probe_sum::probe_sum;
use super::shift_probe::shift_window;
use super::{Cpu, CpuBatch};
use crate::compute::{DeviceBlock, Direction, Model, Real, Update, Waves};

/// [`crate::compute::Backend::wave_gradient`]; the transforms' scales ride on the products beside them.
pub(super) fn wave_gradient<R: Real>(
    fft: &Fft2<R>,
    batch: &CpuBatch<R>,
    block: &DeviceBlock<Cpu<R>>,
    model: &Model<Cpu<R>>,
    work: &mut Waves<Cpu<R>>,
    metrics: &mut [R],
) {
    let n = batch.window_len();
    let used = batch.plan.len() * n;
    let sums: Vec<[R; 2]> = work.probes[..used]
        .par_chunks_exact_mut(n)
        .zip(work.waves[..used].par_chunks_exact_mut(n))
        .enumerate()
        .map_init(
            || fft.scratch(),
            |scratch, (b, (probe, wave))| {
                shift_window(&model.probe_hat, batch.ramps(b), fft.unitary, probe);
                fft.window(probe, Direction::Inverse, scratch);
                multiply_window(probe, &model.object, batch, b, fft.unitary, wave);
                fft.window(wave, Direction::Forward, scratch);
                let sums = modulus_window(wave, &block.frames, b, &model.detector, fft.unitary);
                fft.window(wave, Direction::Inverse, scratch);
                sums
            },
        )
        .collect();
    store(&sums, batch, metrics);
}

/// The numerator of [`crate::compute::Backend::accumulate_probe`].
pub(super) fn accumulate_probe<R: Real>(
    fft: &Fft2<R>,
    batch: &CpuBatch<R>,
    model: &Model<Cpu<R>>,
    work: &mut Waves<Cpu<R>>,
    update: &mut Update<Cpu<R>>,
) {
    let n = batch.window_len();
    let used = batch.plan.len() * n;
    work.probes[..used].par_chunks_exact_mut(n).zip(work.waves[..used].par_chunks_exact(n)).enumerate().for_each_init(
        || fft.scratch(),
        |scratch, (b, (gradient, wave))| {
            gradient_window(wave, &model.object, batch, b, gradient);
            fft.window(gradient, Direction::Forward, scratch);
            gradient.iter_mut().for_each(|z: &mut Complex<R>| *z = z.scale(fft.unitary));
        },
    );
    probe_sum(&work.probes, batch, &mut update.numerator);
}
