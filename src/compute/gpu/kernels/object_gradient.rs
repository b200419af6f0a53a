//! Kernel `object_gradient`: see `shaders/ptycho/object_gradient.wgsl`.

use super::{Kernel, WINDOWS, params, reduce_max};
use crate::compute::gpu::Gpu;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;
use crate::compute::{Result, Update};

params! {
    first: u32,
    count: u32,
    first_wave: u32,
    first_incident: u32,
    corners: u32,
    origins: u32,
    offsets: u32,
    members: u32,
    tiles: u32,
    fresh: u32,
}

pub(super) static KERNEL: Kernel = Kernel {
    name: "object_gradient",
    text: include_str!("../../../../shaders/ptycho/object_gradient.wgsl"),
    example: &WINDOWS,
    params: LAYOUT,
};

pub(in crate::compute::gpu) fn object_gradient(
    device: &Device,
    waves: &GpuComplexes,
    incident: &GpuComplexes,
    modes: usize,
    batch: &GpuBatch,
    fresh: bool,
    update: &mut Update<Gpu>,
) -> Result<()> {
    let (numerator, denominator) = (update.numerator.0.whole(device)?, update.denominator.0.whole(device)?);
    let (lists, peaks) = (batch.lists.whole(device)?, batch.peaks.whole(device)?);
    let position = modes * batch.pixels();
    let (waves, incident) = (waves.0.stack(device, position)?, incident.0.stack(device, position)?);
    for span in spans([&waves, &incident], batch.len) {
        let [(waves, first_wave), (incident, first_incident)] = &span.at;
        let params = Params {
            first: span.first as u32,
            count: span.count as u32,
            first_wave: *first_wave,
            first_incident: *first_incident,
            corners: batch.corners(),
            origins: batch.origins(),
            offsets: batch.offsets(),
            members: batch.members(),
            tiles: batch.tiles as u32,
            fresh: u32::from(fresh && span.first == 0),
        };
        let cost = 16 * (span.count * position) as u64;
        let buffers = [waves, incident, &lists, &numerator, &denominator, &peaks];
        device.dispatch(&KERNEL, &batch.constants(modes), &params, &buffers, batch.tiles as u64, cost)?;
    }
    reduce_max::reduce_max(device, &peaks, batch.tiles, &update.peak)
}
