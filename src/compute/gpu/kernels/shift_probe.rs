//! Kernel `shift_probe`: see `shaders/ptycho/shift_probe.wgsl`.

use super::{Kernel, WINDOWS, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_ramp_y: u32, first_ramp_x: u32, first_out: u32, first: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "shift_probe", text: include_str!("../../../../shaders/ptycho/shift_probe.wgsl"), example: &WINDOWS, params: LAYOUT };

pub(in crate::compute::gpu) fn shift_probe(
    device: &Device,
    probe_hat: &GpuComplexes,
    modes: usize,
    batch: &GpuBatch,
    out: &mut GpuComplexes,
) -> Result<()> {
    let [ny, nx] = batch.window;
    let (probe_hat, weights) = (probe_hat.0.whole(device)?, batch.weights.whole(device)?);
    let (ramps_y, ramps_x) = (batch.ramps_y.stack(device, ny)?, batch.ramps_x.stack(device, nx)?);
    for span in spans([&ramps_y, &ramps_x, &out.0.stack(device, modes * ny * nx)?], batch.len) {
        let [(ramps_y, first_ramp_y), (ramps_x, first_ramp_x), (out, first_out)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_ramp_y: *first_ramp_y,
            first_ramp_x: *first_ramp_x,
            first_out: *first_out,
            first: span.first as u32,
        };
        let elements = span.count * modes * ny * nx;
        let buffers = [&probe_hat, ramps_y, ramps_x, &weights, out];
        device.dispatch(&KERNEL, &batch.varied(modes), &params, &buffers, groups_of(elements), 8 * elements as u64)?;
    }
    Ok(())
}
