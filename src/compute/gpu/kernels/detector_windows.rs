//! Kernel `detector_windows`: see `shaders/imaging/detector_windows.wgsl`.

use std::ops::Range;

use super::{Kernel, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBrightField, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! {
    count: u32,
    first_window: u32,
    first_place: u32,
    frequencies: u32,
    first_frequency: u32,
    first_out: u32,
    window: u32,
}

pub(super) static KERNEL: Kernel = Kernel {
    name: "detector_windows",
    text: include_str!("../../../../shaders/imaging/detector_windows.wgsl"),
    example: &[("NY", 60.0), ("NX", 64.0), ("OUTPUT_NY", 120.0), ("OUTPUT_NX", 128.0)],
    params: LAYOUT,
};

/// Invocations of one dispatch.
const MOST: usize = 1 << 26;

pub(in crate::compute::gpu) fn detector_windows(
    device: &Device,
    spectra: &GpuComplexes,
    bright: &GpuBrightField,
    pixels: Range<usize>,
    frequencies: Range<usize>,
    out: &mut GpuComplexes,
) -> Result<()> {
    let plan = &bright.plan;
    let places = bright.places.whole(device)?;
    let (spectra, out) = (spectra.0.stack(device, plan.scan_len())?, out.0.stack(device, plan.window_len())?);
    for here in spans([&out], frequencies.len()) {
        let [(out, first_out)] = &here.at;
        for span in spans([&spectra], pixels.len().div_ceil(2)) {
            let [(spectra, first_window)] = &span.at;
            let most = (MOST / here.count / 2).max(1);
            for done in (0..span.count).step_by(most) {
                let first = 2 * (span.first + done);
                let count = (2 * most.min(span.count - done)).min(pixels.len() - first);
                let params = Params {
                    count: count as u32,
                    first_window: first_window + done as u32,
                    first_place: (plan.pixels.len() + pixels.start + first) as u32,
                    frequencies: here.count as u32,
                    first_frequency: (frequencies.start + here.first) as u32,
                    first_out: *first_out,
                    window: plan.window_len() as u32,
                };
                let elements = count * here.count;
                device.dispatch(&KERNEL, &bright.shapes(), &params, &[spectra, &places, out], groups_of(elements), 24 * elements as u64)?;
            }
        }
    }
    Ok(())
}
