//! Kernel `tilt_sum`: see `shaders/imaging/tilt_sum.wgsl`.

use std::ops::Range;

use super::{Kernel, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBrightField, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_pixel: u32, first_ramp: u32, half: u32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "tilt_sum",
    text: include_str!("../../../../shaders/imaging/tilt_sum.wgsl"),
    example: &[("NY", 60.0), ("NX", 64.0), ("OUTPUT_NY", 120.0), ("OUTPUT_NX", 128.0)],
    params: LAYOUT,
};

pub(in crate::compute::gpu) fn tilt_sum(
    device: &Device,
    spectra: &GpuComplexes,
    first: usize,
    bright: &GpuBrightField,
    tilted: Range<usize>,
    [ramps_y, ramps_x]: [&GpuComplexes; 2],
    out: &mut GpuComplexes,
) -> Result<()> {
    let plan = &bright.plan;
    let (ramps_y, ramps_x, out) = (ramps_y.0.whole(device)?, ramps_x.0.whole(device)?, out.0.whole(device)?);
    let wanted = tilted.start - first..tilted.end - first;
    for span in spans([&spectra.0.stack(device, plan.scan_len())?], wanted.end.div_ceil(2)) {
        let [(spectra, first_window)] = &span.at;
        let here = wanted.start.max(2 * span.first)..wanted.end.min(2 * (span.first + span.count));
        if here.is_empty() {
            continue;
        }
        let params = Params {
            count: here.len() as u32,
            first_pixel: 2 * first_window + (here.start - 2 * span.first) as u32,
            first_ramp: (here.start - wanted.start) as u32,
            half: plan.half_len() as u32,
        };
        let cost = (32 * plan.half_len() * here.len()) as u64;
        let buffers = [spectra, &ramps_y, &ramps_x, &out];
        device.dispatch(&KERNEL, &bright.shapes(), &params, &buffers, groups_of(plan.half_len()), cost)?;
    }
    Ok(())
}
