//! Kernel `exit_wave`: see `shaders/ptycho/exit_wave.wgsl`.

use super::{Kernel, WINDOWS, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_incident: u32, first_out: u32, corners: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "exit_wave", text: include_str!("../../../../shaders/ptycho/exit_wave.wgsl"), example: &WINDOWS, params: LAYOUT };

pub(in crate::compute::gpu) fn exit_wave(
    device: &Device,
    incident: &GpuComplexes,
    object: &GpuComplexes,
    modes: usize,
    batch: &GpuBatch,
    out: &mut GpuComplexes,
) -> Result<()> {
    let (object, lists) = (object.0.whole(device)?, batch.lists.whole(device)?);
    let position = modes * batch.pixels();
    let incident = incident.0.stack(device, position)?;
    for span in spans([&incident, &out.0.stack(device, position)?], batch.len) {
        let [(incident, first_incident), (out, first_out)] = &span.at;
        let corners = batch.corners() + 2 * span.first as u32;
        let params = Params { count: span.count as u32, first_incident: *first_incident, first_out: *first_out, corners };
        let elements = span.count * position;
        let buffers = [incident, &object, &lists, out];
        device.dispatch(&KERNEL, &batch.constants(modes), &params, &buffers, groups_of(elements), 24 * elements as u64)?;
    }
    Ok(())
}
