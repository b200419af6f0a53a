//! Kernel `gradient_rows`: see `shaders/ptycho/gradient_rows.wgsl`.

use super::lines::{Axis, Lines, Room, Transforms, bands_example};
use super::{Kernel, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes, GpuReals};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_wave: u32, first_incident: u32, first_product: u32, first_power: u32, corners: u32, back: u32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "gradient_rows",
    text: include_str!("../../../../shaders/ptycho/gradient_rows.wgsl"),
    example: bands_example!(4, 3, "POINTS": 320.0),
    params: LAYOUT,
};

/// The lines of a workgroup.
pub(super) fn fit(device_bytes: u32, window: [usize; 2], modes: usize) -> Option<Lines> {
    let point_bytes = if modes > 1 { 12 } else { 0 };
    // The stores of sums that are not needed have one number each.
    Lines::fit(device_bytes, window, Axis::Rows, Room { slots: 3, point_bytes, invocation_bytes: 1 })
}

/// `products` and `powers` hold a window of each position.
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
pub(in crate::compute::gpu) fn gradient_rows(
    device: &Device,
    transforms: &Transforms,
    lines: &Lines,
    waves: &mut GpuComplexes,
    incident: &GpuComplexes,
    object: &GpuComplexes,
    modes: usize,
    back: bool,
    batch: &GpuBatch,
    (products, powers): (&mut GpuComplexes, &mut GpuReals),
) -> Result<()> {
    let (object, lists, twiddles) = (object.0.whole(device)?, batch.lists.whole(device)?, transforms.twiddles(device, lines.side)?);
    let (pixels, position) = (batch.pixels(), modes * batch.pixels());
    let (waves, incident) = (waves.0.stack(device, position)?, incident.0.stack(device, position)?);
    let (products, powers) = (products.0.stack(device, pixels)?, powers.0.stack(device, pixels)?);
    let points = if modes > 1 { lines.lines * lines.side } else { 1 };
    let constants = [&batch.constants(modes)[..], &[("POINTS", points as f64)], &lines.constants()].concat();
    for span in spans([&waves, &incident, &products, &powers], batch.len) {
        let [(waves, first_wave), (incident, first_incident), (products, first_product), (powers, first_power)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_wave: *first_wave,
            first_incident: *first_incident,
            first_product: *first_product,
            first_power: *first_power,
            corners: batch.corners() + 2 * span.first as u32,
            back: u32::from(back),
        };
        let buffers = [&twiddles, incident, &object, &lists, waves, products, powers];
        let cost = (span.count * (if back { 24 } else { 16 } * position + 12 * pixels)) as u64;
        device.dispatch(&KERNEL, &constants, &params, &buffers, (span.count * lines.groups(batch.window)) as u64, cost)?;
    }
    Ok(())
}
