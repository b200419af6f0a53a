//! Kernel `momentum`: see `shaders/ptycho/momentum.wgsl`.

use super::{Kernel, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::GpuComplexes;
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_x: u32, first_previous: u32, first_velocity: u32, friction: f32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "momentum", text: include_str!("../../../../shaders/ptycho/momentum.wgsl"), example: &[], params: LAYOUT };

pub(in crate::compute::gpu) fn momentum(
    device: &Device,
    x: &mut GpuComplexes,
    previous: &mut GpuComplexes,
    velocity: &mut GpuComplexes,
    friction: f64,
) -> Result<()> {
    let stacks = [x.0.stack(device, 1)?, previous.0.stack(device, 1)?, velocity.0.stack(device, 1)?];
    for span in spans(stacks.each_ref(), x.0.len()) {
        let [(x, first_x), (previous, first_previous), (velocity, first_velocity)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_x: *first_x,
            first_previous: *first_previous,
            first_velocity: *first_velocity,
            friction: friction as f32,
        };
        device.dispatch(&KERNEL, &[], &params, &[x, previous, velocity], groups_of(span.count), 48 * span.count as u64)?;
    }
    Ok(())
}
