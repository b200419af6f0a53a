//! Kernel `residual`: see `shaders/ptycho/residual.wgsl`.

use super::residual_spread::residual_spread;
use super::{Kernel, params};
use crate::compute::gpu::arrays::{FrameStack, GpuBatch, GpuComplexes, GpuDetector, GpuReals};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;
use crate::compute::{Likelihood, Result};

params! { count: u32, first_wave: u32, first_frame: u32, ids: u32, centre_y: u32, centre_x: u32, faintest: f32, number: f32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "residual",
    text: include_str!("../../../../shaders/ptycho/residual.wgsl"),
    example: &[("NY", 64.0), ("NX", 97.0), ("MODES", 3.0), ("DTYPE", 1.0), ("ROW_WORDS", 49.0), ("LIKELIHOOD", 1.0)],
    params: LAYOUT,
};

/// The shaders' number of a likelihood, and the number that it comes with.
pub(super) fn numbers(likelihood: Likelihood) -> (f64, f64) {
    match likelihood {
        Likelihood::Amplitude => (0.0, 0.0),
        Likelihood::Poisson { epsilon } => (1.0, epsilon),
        Likelihood::Gaussian { variance } => (2.0, 1.0 / variance),
    }
}

/// # Panics
/// If the frames are not of the window's shape or fewer than the batch's positions.
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
pub(in crate::compute::gpu) fn residual(
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
    let upsample = detector.spread.upsample;
    assert!(
        frames.shape == detector.shape && batch.window == detector.shape.map(|n| n * upsample),
        "frames and windows are the detector's"
    );
    assert!(frames.count >= batch.len, "each position has its frame");
    if !detector.spread.is_none() {
        return residual_spread(device, waves, modes, frames, detector, likelihood, floor, batch, metrics);
    }
    let (kind, number) = numbers(likelihood);
    let (valid, lists, metrics) = (detector.valid.whole(device)?, batch.lists.whole(device)?, metrics.0.whole(device)?);
    let waves = waves.0.stack(device, modes * batch.pixels())?;
    let words = frames.words.stack(device, frames.frame_words())?;
    let ([dtype, row_words], [ny, nx, _, _, modes_of]) = (frames.constants(), batch.constants(modes));
    for span in spans([&waves, &words], batch.len) {
        let [(waves, first_wave), (frame_words, first_frame)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_wave: *first_wave,
            first_frame: *first_frame,
            ids: batch.ids() + span.first as u32,
            centre_y: detector.centre[0] as u32,
            centre_x: detector.centre[1] as u32,
            faintest: (floor * floor) as f32,
            number: number as f32,
        };
        let cost = span.count as u64 * ((16 * modes * batch.pixels()) as u64 + frames.frame_bytes());
        let buffers = [frame_words, &valid, &lists, waves, &metrics];
        let constants = [ny, nx, modes_of, dtype, row_words, ("LIKELIHOOD", kind)];
        device.dispatch(&KERNEL, &constants, &params, &buffers, span.count as u64, cost)?;
    }
    Ok(())
}
