//! Kernel `add_windows`: see `shaders/ptycho/add_windows.wgsl`.

use super::{Kernel, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::GpuComplexes;
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first: u32, len: u32, fresh: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "add_windows", text: include_str!("../../../../shaders/ptycho/add_windows.wgsl"), example: &[], params: LAYOUT };

/// `out (+)=` the sum of the first `count` windows of `len` numbers.
pub(super) fn add_windows(
    device: &Device,
    windows: &GpuComplexes,
    len: usize,
    count: usize,
    fresh: bool,
    out: &mut GpuComplexes,
) -> Result<()> {
    let out = out.0.whole(device)?;
    for span in spans([&windows.0.stack(device, len)?], count) {
        let [(windows, first)] = &span.at;
        let params = Params { count: span.count as u32, first: *first, len: len as u32, fresh: u32::from(fresh && span.first == 0) };
        device.dispatch(&KERNEL, &[], &params, &[windows, &out], groups_of(len), 8 * (span.count * len) as u64)?;
    }
    Ok(())
}
