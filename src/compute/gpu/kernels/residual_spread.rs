//! Kernel `residual_spread`: see `shaders/ptycho/residual_spread.wgsl`.

use super::residual::numbers;
use super::{Kernel, params};
use crate::compute::gpu::arrays::{FrameStack, GpuBatch, GpuComplexes, GpuDetector, GpuReals};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::{Array, spans};
use crate::compute::{Likelihood, Result};

params! {
    count: u32, first_wave: u32, first_frame: u32, first_work: u32, ids: u32, centre_y: u32, centre_x: u32, weights: u32, faintest: f32, number: f32
}

pub(super) static KERNEL: Kernel = Kernel {
    name: "residual_spread",
    text: include_str!("../../../../shaders/ptycho/residual_spread.wgsl"),
    example: &[("NY", 64.0), ("NX", 98.0), ("MODES", 3.0), ("DTYPE", 1.0), ("ROW_WORDS", 25.0), ("LIKELIHOOD", 1.0), ("UPSAMPLE", 2.0)],
    params: LAYOUT,
};

#[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
pub(super) fn residual_spread(
    device: &Device,
    waves: &mut GpuComplexes,
    modes: usize,
    frames: &FrameStack,
    detector: &GpuDetector,
    likelihood: Likelihood,
    floor: f64,
    batch: &GpuBatch,
    metrics: &mut GpuReals,
) -> Result<()> {
    let (kind, number) = numbers(likelihood);
    let (valid, lists, metrics) = (detector.valid.whole(device)?, batch.lists.whole(device)?, metrics.0.whole(device)?);
    let weights = detector.weights.whole(device)?;
    let work = Array::zeros(device, "the spread intensities of a batch", 4, 2 * batch.len * batch.pixels(), 2 * batch.pixels())?;
    let work = work.stack(device, 2 * batch.pixels())?;
    let waves = waves.0.stack(device, modes * batch.pixels())?;
    let words = frames.words.stack(device, frames.frame_words())?;
    let ([dtype, row_words], [ny, nx, _, _, modes_of]) = (frames.constants(), batch.constants(modes));
    for span in spans([&waves, &words, &work], batch.len) {
        let [(waves, first_wave), (frame_words, first_frame), (work, first_work)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_wave: *first_wave,
            first_frame: *first_frame,
            first_work: *first_work,
            ids: batch.ids() + span.first as u32,
            centre_y: detector.centre[0] as u32,
            centre_x: detector.centre[1] as u32,
            weights: detector.weights.len() as u32,
            faintest: (floor * floor) as f32,
            number: number as f32,
        };
        // A blurred pixel is read from and written to the work array a few times, from the cache.
        let cost = span.count as u64 * ((16 * modes + 48) * batch.pixels()) as u64;
        let buffers = [frame_words, &valid, &lists, &weights, waves, &metrics, work];
        let constants = [ny, nx, modes_of, dtype, row_words, ("LIKELIHOOD", kind), ("UPSAMPLE", detector.spread.upsample as f64)];
        device.dispatch(&KERNEL, &constants, &params, &buffers, span.count as u64, cost)?;
    }
    Ok(())
}
