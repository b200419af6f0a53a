//! Kernel `square_parts`: see `shaders/imaging/square_parts.wgsl`.

use super::{Kernel, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::GpuComplexes;
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "square_parts", text: include_str!("../../../../shaders/imaging/square_parts.wgsl"), example: &[], params: LAYOUT };

pub(in crate::compute::gpu) fn square_parts(device: &Device, x: &mut GpuComplexes, len: usize) -> Result<()> {
    for span in spans([&x.0.stack(device, 1)?], len) {
        let [(x, first)] = &span.at;
        let params = Params { count: span.count as u32, first: *first };
        device.dispatch(&KERNEL, &[], &params, &[x], groups_of(span.count), 16 * span.count as u64)?;
    }
    Ok(())
}
