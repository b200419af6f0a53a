//! Kernel `probe_columns`: see `shaders/ptycho/probe_columns.wgsl`.

use super::lines::{Lines, Transforms, bands_example};
use super::{Kernel, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_ramp_y: u32, first_ramp_x: u32, first_out: u32, first: u32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "probe_columns",
    text: include_str!("../../../../shaders/ptycho/probe_columns.wgsl"),
    example: bands_example!(8, 2),
    params: LAYOUT,
};

pub(in crate::compute::gpu) fn probe_columns(
    device: &Device,
    transforms: &Transforms,
    lines: &Lines,
    probe_hat: &GpuComplexes,
    modes: usize,
    batch: &GpuBatch,
    out: &mut GpuComplexes,
) -> Result<()> {
    let [ny, nx] = batch.window;
    let (probe_hat, weights, twiddles) =
        (probe_hat.0.whole(device)?, batch.weights.whole(device)?, transforms.twiddles(device, lines.side)?);
    let (ramps_y, ramps_x) = (batch.ramps_y.stack(device, ny)?, batch.ramps_x.stack(device, nx)?);
    let constants = [&batch.varied(modes)[..], &lines.constants()].concat();
    for span in spans([&ramps_y, &ramps_x, &out.0.stack(device, modes * ny * nx)?], batch.len) {
        let [(ramps_y, first_ramp_y), (ramps_x, first_ramp_x), (out, first_out)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_ramp_y: *first_ramp_y,
            first_ramp_x: *first_ramp_x,
            first_out: *first_out,
            first: span.first as u32,
        };
        let buffers = [&twiddles, &probe_hat, ramps_y, ramps_x, &weights, out];
        let (windows, cost) = (span.count * modes, 8 * (span.count * modes * ny * nx) as u64);
        device.dispatch(&KERNEL, &constants, &params, &buffers, (windows * lines.groups(batch.window)) as u64, cost)?;
    }
    Ok(())
}
