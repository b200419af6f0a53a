//! Kernel `add_metrics`: see `shaders/ptycho/add_metrics.wgsl`.

use super::{Kernel, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes, GpuReals};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_part: u32, parts: u32, ids: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "add_metrics", text: include_str!("../../../../shaders/ptycho/add_metrics.wgsl"), example: &[], params: LAYOUT };

/// `of_pattern`: the parts of each pattern.
pub(super) fn add_metrics(
    device: &Device,
    parts: &GpuComplexes,
    of_pattern: usize,
    batch: &GpuBatch,
    metrics: &mut GpuReals,
) -> Result<()> {
    let (lists, metrics) = (batch.lists.whole(device)?, metrics.0.whole(device)?);
    for span in spans([&parts.0.stack(device, of_pattern)?], batch.len) {
        let [(parts, first_part)] = &span.at;
        let ids = batch.ids() + span.first as u32;
        let params = Params { count: span.count as u32, first_part: *first_part, parts: of_pattern as u32, ids };
        let cost = 8 * (span.count * of_pattern) as u64;
        device.dispatch(&KERNEL, &[], &params, &[parts, &lists, &metrics], groups_of(span.count), cost)?;
    }
    Ok(())
}
