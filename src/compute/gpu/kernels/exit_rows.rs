//! Kernel `exit_rows`: see `shaders/ptycho/exit_rows.wgsl`.

use super::lines::{Lines, Transforms, bands_example};
use super::{Kernel, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_incident: u32, first_out: u32, corners: u32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "exit_rows",
    text: include_str!("../../../../shaders/ptycho/exit_rows.wgsl"),
    example: bands_example!(8, 2),
    params: LAYOUT,
};

#[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
pub(in crate::compute::gpu) fn exit_rows(
    device: &Device,
    transforms: &Transforms,
    lines: &Lines,
    incident: &GpuComplexes,
    object: &GpuComplexes,
    modes: usize,
    batch: &GpuBatch,
    out: &mut GpuComplexes,
) -> Result<()> {
    let (object, lists, twiddles) = (object.0.whole(device)?, batch.lists.whole(device)?, transforms.twiddles(device, lines.side)?);
    let position = modes * batch.pixels();
    let incident = incident.0.stack(device, position)?;
    let constants = [&batch.constants(modes)[..], &lines.constants()].concat();
    for span in spans([&incident, &out.0.stack(device, position)?], batch.len) {
        let [(incident, first_incident), (out, first_out)] = &span.at;
        let corners = batch.corners() + 2 * span.first as u32;
        let params = Params { count: span.count as u32, first_incident: *first_incident, first_out: *first_out, corners };
        let buffers = [&twiddles, incident, &object, &lists, out];
        let groups = (span.count * modes * lines.groups(batch.window)) as u64;
        device.dispatch(&KERNEL, &constants, &params, &buffers, groups, 16 * (span.count * position) as u64)?;
    }
    Ok(())
}
