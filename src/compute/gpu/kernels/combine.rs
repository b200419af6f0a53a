//! Kernel `combine`: see `shaders/ptycho/combine.wgsl`.

use super::{Kernel, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::GpuComplexes;
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_out: u32, first_x: u32, first_y: u32, out_factor: f32, x_factor: f32, y_factor: f32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "combine", text: include_str!("../../../../shaders/ptycho/combine.wgsl"), example: &[], params: LAYOUT };

pub(in crate::compute::gpu) fn combine(
    device: &Device,
    out: &mut GpuComplexes,
    [out_factor, x_factor, y_factor]: [f64; 3],
    x: &GpuComplexes,
    y: &GpuComplexes,
    len: usize,
) -> Result<()> {
    let stacks = [out.0.stack(device, 1)?, x.0.stack(device, 1)?, y.0.stack(device, 1)?];
    for span in spans(stacks.each_ref(), len) {
        let [(out, first_out), (x, first_x), (y, first_y)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_out: *first_out,
            first_x: *first_x,
            first_y: *first_y,
            out_factor: out_factor as f32,
            x_factor: x_factor as f32,
            y_factor: y_factor as f32,
        };
        device.dispatch(&KERNEL, &[], &params, &[x, y, out], groups_of(span.count), 32 * span.count as u64)?;
    }
    Ok(())
}
