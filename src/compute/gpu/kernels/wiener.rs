//! Kernel `wiener`: see `shaders/imaging/wiener.wgsl`.

use super::{Kernel, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::GpuComplexes;
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_pattern: u32, first_overlap: u32, first_out: u32, window: u32, epsilon: f32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "wiener", text: include_str!("../../../../shaders/imaging/wiener.wgsl"), example: &[], params: LAYOUT };

pub(in crate::compute::gpu) fn wiener(
    device: &Device,
    patterns: &GpuComplexes,
    overlaps: &GpuComplexes,
    len: usize,
    count: usize,
    epsilon: f64,
    out: &mut GpuComplexes,
) -> Result<()> {
    let (patterns, overlaps) = (patterns.0.stack(device, len)?, overlaps.0.stack(device, len)?);
    for span in spans([&patterns, &overlaps, &out.0.stack(device, 1)?], count) {
        let [(patterns, first_pattern), (overlaps, first_overlap), (out, first_out)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_pattern: *first_pattern,
            first_overlap: *first_overlap,
            first_out: *first_out,
            window: len as u32,
            epsilon: epsilon as f32,
        };
        device.dispatch(&KERNEL, &[], &params, &[patterns, overlaps, out], span.count as u64, 16 * (span.count * len) as u64)?;
    }
    Ok(())
}
