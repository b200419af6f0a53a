//! Kernel `reduce_max`: see `shaders/ptycho/reduce_max.wgsl`.

use super::{Kernel, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::GpuReals;
use crate::compute::gpu::device::Device;

params! { count: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "reduce_max", text: include_str!("../../../../shaders/ptycho/reduce_max.wgsl"), example: &[], params: LAYOUT };

/// `peak` = the largest of the first `count` values, which are not negative.
pub(super) fn reduce_max(device: &Device, values: &wgpu::Buffer, count: usize, peak: &GpuReals) -> Result<()> {
    let peak = peak.0.whole(device)?;
    device.dispatch(&KERNEL, &[], &Params { count: count as u32 }, &[values, &peak], 1, 4 * count as u64)
}
