//! The coarse verbs fused pattern by pattern, so that a pattern's work stays in one core's cache.

use pulp::Arch;
use rayon::prelude::*;

use super::exit_wave::multiply_window;
use super::fft2::Fft2;
use super::lanes::Scalar;
use super::modulus::{modulus_window, store};
use super::probe_gradient::gradient_window;
use super::probe_sum::probe_sum;
use super::shift_probe::shift_window;
use super::{Cpu, CpuBatch};
use crate::compute::{DeviceBlock, Direction, Model, Update, Waves};

/// [`crate::compute::Backend::wave_gradient`]; the transforms' scales ride on the products beside them.
pub(super) fn wave_gradient<R: Scalar>(
    fft: &Fft2<R>,
    batch: &CpuBatch<R>,
    block: &DeviceBlock<Cpu<R>>,
    model: &Model<Cpu<R>>,
    work: &mut Waves<Cpu<R>>,
    metrics: &mut [R],
) {
    let (n, count) = (batch.window_len(), batch.plan.len());
    let arch = Arch::new();
    let sums: Vec<[R; 2]> = work
        .probes
        .windows_mut(n, count)
        .zip(work.waves.windows_mut(n, count))
        .enumerate()
        .map_init(
            || fft.scratch(),
            |scratch, (b, (mut probe, mut wave))| {
                arch.dispatch(
                    #[inline(always)]
                    || shift_window(model.probe_hat.window(n, 0), batch.ramps(b), fft.unitary, probe.reborrow()),
                );
                fft.window(probe.reborrow(), Direction::Inverse, scratch);
                arch.dispatch(
                    #[inline(always)]
                    || multiply_window(probe.as_part(), &model.object, batch, b, fft.unitary, wave.reborrow()),
                );
                fft.window(wave.reborrow(), Direction::Forward, scratch);
                let sums = arch.dispatch(
                    #[inline(always)]
                    || modulus_window(wave.reborrow(), &block.frames, b, &model.detector, fft.unitary),
                );
                fft.window(wave, Direction::Inverse, scratch);
                sums
            },
        )
        .collect();
    store(&sums, batch, metrics);
}

/// The numerator of [`crate::compute::Backend::accumulate_probe`].
pub(super) fn accumulate_probe<R: Scalar>(
    fft: &Fft2<R>,
    batch: &CpuBatch<R>,
    model: &Model<Cpu<R>>,
    work: &mut Waves<Cpu<R>>,
    update: &mut Update<Cpu<R>>,
) {
    let (n, count) = (batch.window_len(), batch.plan.len());
    let waves = &work.waves;
    work.probes.windows_mut(n, count).enumerate().for_each_init(
        || fft.scratch(),
        |scratch, (b, mut gradient)| {
            Arch::new().dispatch(
                #[inline(always)]
                || gradient_window(waves.window(n, b), &model.object, batch, b, fft.unitary, gradient.reborrow()),
            );
            fft.window(gradient, Direction::Forward, scratch);
        },
    );
    probe_sum(&work.probes, batch, &mut update.numerator);
}
