//! Kernel `probe_sum`: see `shaders/ptycho/probe_sum.wgsl`.

use super::{Kernel, WINDOWS, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_gradient: u32, first_ramp_y: u32, first_ramp_x: u32, fresh: u32, first: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "probe_sum", text: include_str!("../../../../shaders/ptycho/probe_sum.wgsl"), example: &WINDOWS, params: LAYOUT };

pub(in crate::compute::gpu) fn probe_sum(
    device: &Device,
    gradients: &GpuComplexes,
    modes: usize,
    batch: &GpuBatch,
    fresh: bool,
    numerator: &mut GpuComplexes,
) -> Result<()> {
    let [ny, nx] = batch.window;
    let (numerator, weights) = (numerator.0.whole(device)?, batch.weights.whole(device)?);
    let (ramps_y, ramps_x) = (batch.ramps_y.stack(device, ny)?, batch.ramps_x.stack(device, nx)?);
    for span in spans([&gradients.0.stack(device, modes * ny * nx)?, &ramps_y, &ramps_x], batch.len) {
        let [(gradients, first_gradient), (ramps_y, first_ramp_y), (ramps_x, first_ramp_x)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_gradient: *first_gradient,
            first_ramp_y: *first_ramp_y,
            first_ramp_x: *first_ramp_x,
            fresh: u32::from(fresh && span.first == 0),
            first: span.first as u32,
        };
        let cost = 8 * (span.count * modes * ny * nx) as u64;
        let buffers = [gradients, ramps_y, ramps_x, &weights, &numerator];
        let groups = groups_of((modes + batch.variations) * ny * nx);
        device.dispatch(&KERNEL, &batch.varied(modes), &params, &buffers, groups, cost)?;
    }
    Ok(())
}
