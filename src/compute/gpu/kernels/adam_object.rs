//! Kernel `adam_object`: see `shaders/ptycho/adam_object.wgsl`.

use super::{Kernel, WIDTH, WINDOWS, params};
use crate::compute::gpu::Gpu;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::{AdamMoments, AdamStep, Result, Update};

params! { length: f32, b1: f32, b2: f32, correction: f32, epsilon: f32, tiles: u32, origins: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "adam_object", text: include_str!("../../../../shaders/ptycho/adam_object.wgsl"), example: &WINDOWS, params: LAYOUT };

pub(in crate::compute::gpu) fn adam_object(
    device: &Device,
    object: &mut GpuComplexes,
    update: &Update<Gpu>,
    moments: &mut AdamMoments<Gpu>,
    step: &AdamStep,
    batch: &GpuBatch,
) -> Result<()> {
    let (object, lists) = (object.0.whole(device)?, batch.lists.whole(device)?);
    let (numerator, peak) = (update.numerator.0.whole(device)?, update.peak.0.whole(device)?);
    let (first, second) = (moments.first.0.whole(device)?, moments.second.0.whole(device)?);
    let params = Params {
        length: step.length as f32,
        b1: step.b1 as f32,
        b2: step.b2 as f32,
        correction: step.correction as f32,
        epsilon: step.epsilon as f32,
        tiles: batch.tiles as u32,
        origins: batch.origins(),
    };
    let buffers = [&numerator, &peak, &lists, &object, &first, &second];
    device.dispatch(&KERNEL, &batch.constants(1), &params, &buffers, batch.tiles as u64, 48 * (batch.tiles * WIDTH) as u64)
}
