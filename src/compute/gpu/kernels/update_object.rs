//! Kernel `update_object`: see `shaders/ptycho/update_object.wgsl`.

use super::{Kernel, WIDTH, WINDOWS, params};
use crate::compute::gpu::Gpu;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::{Result, Update};

params! { step: f32, own: f32, tiles: u32, origins: u32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "update_object",
    text: include_str!("../../../../shaders/ptycho/update_object.wgsl"),
    example: &WINDOWS,
    params: LAYOUT,
};

pub(in crate::compute::gpu) fn update_object(
    device: &Device,
    object: &mut GpuComplexes,
    update: &Update<Gpu>,
    step: f64,
    own: f64,
    batch: &GpuBatch,
) -> Result<()> {
    let (object, lists) = (object.0.whole(device)?, batch.lists.whole(device)?);
    let (numerator, peak) = (update.numerator.0.whole(device)?, update.peak.0.whole(device)?);
    let (denominator, gain) = (update.denominator.0.whole(device)?, update.gain.0.whole(device)?);
    let params = Params { step: step as f32, own: own as f32, tiles: batch.tiles as u32, origins: batch.origins() };
    let cost = 24 * (batch.tiles * WIDTH) as u64;
    device.dispatch(
        &KERNEL,
        &batch.constants(1),
        &params,
        &[&numerator, &denominator, &peak, &gain, &lists, &object],
        batch.tiles as u64,
        cost,
    )
}
