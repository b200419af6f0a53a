//! Kernel `modulus`: see `shaders/ptycho/modulus.wgsl`.

use super::{Kernel, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{FrameStack, GpuBatch, GpuComplexes, GpuDetector, GpuReals};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_wave: u32, first_frame: u32, ids: u32, centre_y: u32, centre_x: u32, floor: f32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "modulus",
    text: include_str!("../../../../shaders/ptycho/modulus.wgsl"),
    example: &[("NY", 64.0), ("NX", 97.0), ("DTYPE", 1.0), ("ROW_WORDS", 49.0)],
    params: LAYOUT,
};

/// # Panics
/// If the frames are not of the window's shape or fewer than the batch's positions.
pub(in crate::compute::gpu) fn modulus(
    device: &Device,
    waves: &mut GpuComplexes,
    frames: &FrameStack,
    detector: &GpuDetector,
    batch: &GpuBatch,
    metrics: &mut GpuReals,
) -> Result<()> {
    assert!(frames.shape == batch.window && detector.shape == batch.window, "frames and detector have the window's shape");
    assert!(frames.count >= batch.len, "each position has its frame");
    let (valid, lists, metrics) = (detector.valid.whole(device)?, batch.lists.whole(device)?, metrics.0.whole(device)?);
    let waves = waves.0.stack(device, batch.pixels())?;
    let words = frames.words.stack(device, frames.frame_words())?;
    let ([dtype, row_words], [ny, nx, ..]) = (frames.constants(), batch.constants());
    for span in spans([&waves, &words], batch.len) {
        let [(waves, first_wave), (frame_words, first_frame)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_wave: *first_wave,
            first_frame: *first_frame,
            ids: batch.ids() + span.first as u32,
            centre_y: detector.centre[0] as u32,
            centre_x: detector.centre[1] as u32,
            floor: detector.floor,
        };
        let cost = span.count as u64 * (16 * batch.pixels() as u64 + frames.frame_bytes());
        let buffers = [frame_words, &valid, &lists, waves, &metrics];
        device.dispatch(&KERNEL, &[ny, nx, dtype, row_words], &params, &buffers, span.count as u64, cost)?;
    }
    Ok(())
}
