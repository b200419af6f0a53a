//! Kernel `moments`: see `shaders/ptycho/moments.wgsl`.

use super::{Kernel, WINDOWS, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes, GpuReals};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_ramp_y: u32, first_ramp_x: u32, first_gradient: u32, ids: u32, first: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "moments", text: include_str!("../../../../shaders/ptycho/moments.wgsl"), example: &WINDOWS, params: LAYOUT };

pub(in crate::compute::gpu) fn moments(
    device: &Device,
    probe_hat: &GpuComplexes,
    gradients: &GpuComplexes,
    modes: usize,
    batch: &GpuBatch,
    out: &mut GpuReals,
) -> Result<()> {
    let [ny, nx] = batch.window;
    let (probe_hat, lists, out) = (probe_hat.0.whole(device)?, batch.lists.whole(device)?, out.0.whole(device)?);
    let weights = batch.weights.whole(device)?;
    let (ramps_y, ramps_x) = (batch.ramps_y.stack(device, ny)?, batch.ramps_x.stack(device, nx)?);
    for span in spans([&ramps_y, &ramps_x, &gradients.0.stack(device, modes * ny * nx)?], batch.len) {
        let [(ramps_y, first_ramp_y), (ramps_x, first_ramp_x), (gradients, first_gradient)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_ramp_y: *first_ramp_y,
            first_ramp_x: *first_ramp_x,
            first_gradient: *first_gradient,
            ids: batch.ids() + span.first as u32,
            first: span.first as u32,
        };
        let cost = 8 * (span.count * modes * ny * nx) as u64;
        let buffers = [&probe_hat, ramps_y, ramps_x, gradients, &lists, &weights, &out];
        device.dispatch(&KERNEL, &batch.varied(modes), &params, &buffers, span.count as u64, cost)?;
    }
    Ok(())
}
