//! Kernel `probe_gradient`: see `shaders/ptycho/probe_gradient.wgsl`.

use super::{Kernel, WINDOWS, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_wave: u32, first_out: u32, corners: u32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "probe_gradient",
    text: include_str!("../../../../shaders/ptycho/probe_gradient.wgsl"),
    example: &WINDOWS,
    params: LAYOUT,
};

pub(in crate::compute::gpu) fn probe_gradient(
    device: &Device,
    waves: &GpuComplexes,
    object: &GpuComplexes,
    modes: usize,
    batch: &GpuBatch,
    out: &mut GpuComplexes,
) -> Result<()> {
    let (object, lists) = (object.0.whole(device)?, batch.lists.whole(device)?);
    let position = modes * batch.pixels();
    let waves = waves.0.stack(device, position)?;
    for span in spans([&waves, &out.0.stack(device, position)?], batch.len) {
        let [(waves, first_wave), (out, first_out)] = &span.at;
        let corners = batch.corners() + 2 * span.first as u32;
        let params = Params { count: span.count as u32, first_wave: *first_wave, first_out: *first_out, corners };
        let elements = span.count * position;
        let buffers = [waves, &object, &lists, out];
        device.dispatch(&KERNEL, &batch.constants(modes), &params, &buffers, groups_of(elements), 24 * elements as u64)?;
    }
    Ok(())
}
