//! Kernel `response_sum`: see `shaders/imaging/response_sum.wgsl`.

use std::ops::Range;

use super::{Kernel, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBrightField, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_window: u32, first_response: u32, half: u32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "response_sum",
    text: include_str!("../../../../shaders/imaging/response_sum.wgsl"),
    example: &[("NY", 60.0), ("NX", 64.0), ("OUTPUT_NY", 120.0), ("OUTPUT_NX", 128.0)],
    params: LAYOUT,
};

pub(in crate::compute::gpu) fn response_sum(
    device: &Device,
    responses: &GpuComplexes,
    spectra: &GpuComplexes,
    first: usize,
    bright: &GpuBrightField,
    pixels: Range<usize>,
    out: &mut GpuComplexes,
) -> Result<()> {
    let plan = &bright.plan;
    let out = out.0.whole(device)?;
    let (responses, spectra) = (responses.0.stack(device, plan.output_len())?, spectra.0.stack(device, plan.scan_len())?);
    let start = (pixels.start - first) / 2;
    for span in spans([&spectra], start + pixels.len().div_ceil(2)) {
        let [(spectra, first_window)] = &span.at;
        let skipped = start.saturating_sub(span.first);
        if skipped >= span.count {
            continue;
        }
        // These windows of the spectra, counted from the first that is wanted.
        let begin = span.first + skipped - start;
        for here in spans([&responses], begin + span.count - skipped) {
            let [(responses, first_response)] = &here.at;
            let from = begin.max(here.first);
            if from >= here.first + here.count {
                continue;
            }
            let windows = here.first + here.count - from;
            let params = Params {
                count: (2 * windows).min(pixels.len() - 2 * from) as u32,
                first_window: first_window + (from + start - span.first) as u32,
                first_response: first_response + (from - here.first) as u32,
                half: plan.half_len() as u32,
            };
            let cost = (64 * windows * plan.half_len()) as u64;
            device.dispatch(&KERNEL, &bright.shapes(), &params, &[spectra, responses, &out], groups_of(plan.half_len()), cost)?;
        }
    }
    Ok(())
}
