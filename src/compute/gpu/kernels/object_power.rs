//! Kernel `object_power`: see `shaders/ptycho/object_power.wgsl`.

use super::{Kernel, WINDOWS, params, reduce_max};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes, GpuReals};
use crate::compute::gpu::device::Device;

params! { count: u32, corners: u32, fresh: u32 }

/// The pixels of a workgroup: `PIXELS` of the shader.
const PIXELS: usize = 16;

pub(super) static KERNEL: Kernel =
    Kernel { name: "object_power", text: include_str!("../../../../shaders/ptycho/object_power.wgsl"), example: &WINDOWS, params: LAYOUT };

pub(in crate::compute::gpu) fn object_power(
    device: &Device,
    object: &GpuComplexes,
    batch: &GpuBatch,
    fresh: bool,
    denominator: &mut GpuReals,
    peak: &mut GpuReals,
) -> Result<()> {
    let (object, lists, denominator) = (object.0.whole(device)?, batch.lists.whole(device)?, denominator.0.whole(device)?);
    let params = Params { count: batch.len as u32, corners: batch.corners(), fresh: u32::from(fresh) };
    let cost = 8 * (batch.len * batch.pixels()) as u64;
    device.dispatch(
        &KERNEL,
        &batch.constants(1),
        &params,
        &[&object, &lists, &denominator],
        batch.pixels().div_ceil(PIXELS) as u64,
        cost,
    )?;
    reduce_max::reduce_max(device, &denominator, batch.pixels(), peak)
}
