//! Kernel `optimal_object_step`: see `shaders/ptycho/optimal_object_step.wgsl`.

use super::{Kernel, WIDTH, WINDOWS, params};
use crate::compute::gpu::Gpu;
use crate::compute::gpu::arrays::GpuBatch;
use crate::compute::gpu::device::Device;
use crate::compute::{Result, Update};

params! { own: f32, tiles: u32, origins: u32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "optimal_object_step",
    text: include_str!("../../../../shaders/ptycho/optimal_object_step.wgsl"),
    example: &WINDOWS,
    params: LAYOUT,
};

pub(in crate::compute::gpu) fn optimal_object_step(device: &Device, update: &mut Update<Gpu>, own: f64, batch: &GpuBatch) -> Result<()> {
    let (numerator, denominator) = (update.numerator.0.whole(device)?, update.denominator.0.whole(device)?);
    let (peak, gain, lists) = (update.peak.0.whole(device)?, update.gain.0.whole(device)?, batch.lists.whole(device)?);
    let params = Params { own: own as f32, tiles: batch.tiles as u32, origins: batch.origins() };
    let cost = 12 * (batch.tiles * WIDTH) as u64;
    device.dispatch(&KERNEL, &batch.constants(1), &params, &[&numerator, &denominator, &peak, &lists, &gain], 1, cost)
}
