//! Kernel `fill_margins`: see `shaders/imaging/fill_margins.wgsl`.

use super::{Kernel, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBrightField, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first: u32, ny: u32, nx: u32, rows: u32, columns: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "fill_margins", text: include_str!("../../../../shaders/imaging/fill_margins.wgsl"), example: &[], params: LAYOUT };

pub(in crate::compute::gpu) fn fill_margins(device: &Device, x: &mut GpuComplexes, bright: &GpuBrightField, count: usize) -> Result<()> {
    let ([ny, nx], [rows, columns]) = (bright.plan.scan.map(|n| n as u32), bright.plan.positions.map(|n| n as u32));
    for span in spans([&x.0.stack(device, bright.plan.scan_len())?], count) {
        let [(x, first)] = &span.at;
        let params = Params { count: span.count as u32, first: *first, ny, nx, rows, columns };
        let cost = 8 * (span.count * bright.plan.scan_len()) as u64;
        device.dispatch(&KERNEL, &[], &params, &[x], span.count as u64, cost)?;
    }
    Ok(())
}
