//! Kernel `gather_pixels`: see `shaders/imaging/gather_pixels.wgsl`.

use std::ops::Range;

use super::{Kernel, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{FrameStack, GpuBrightField, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! {
    count: u32,
    first_frame: u32,
    first_position: u32,
    windows: u32,
    first_window: u32,
    first_pixel: u32,
    end_pixel: u32,
    columns: u32,
    window: u32,
    width: u32,
}

pub(super) static KERNEL: Kernel = Kernel {
    name: "gather_pixels",
    text: include_str!("../../../../shaders/imaging/gather_pixels.wgsl"),
    example: &[("FRAME_NY", 64.0), ("FRAME_NX", 97.0), ("DTYPE", 1.0), ("ROW_WORDS", 49.0)],
    params: LAYOUT,
};

/// Frames and windows of one dispatch together, so that its invocations can be counted.
const MOST: usize = 1 << 26;

pub(in crate::compute::gpu) fn gather_pixels(
    device: &Device,
    frames: &FrameStack,
    first: usize,
    bright: &GpuBrightField,
    pixels: Range<usize>,
    out: &mut GpuComplexes,
) -> Result<()> {
    let plan = &bright.plan;
    let places = bright.places.whole(device)?;
    let [dtype, row_words] = frames.constants();
    let constants = [("FRAME_NY", frames.shape[0] as f64), ("FRAME_NX", frames.shape[1] as f64), dtype, row_words];
    let words = frames.words.stack(device, frames.frame_words())?;
    let out = out.0.stack(device, plan.scan_len())?;
    for frames_here in spans([&words], frames.count) {
        let [(words, first_frame)] = &frames_here.at;
        for here in spans([&out], pixels.len().div_ceil(2)) {
            let [(out, first_window)] = &here.at;
            let most = (MOST / frames_here.count).max(1);
            for done in (0..here.count).step_by(most) {
                let windows = most.min(here.count - done);
                let params = Params {
                    count: frames_here.count as u32,
                    first_frame: *first_frame,
                    first_position: (first + frames_here.first) as u32,
                    windows: windows as u32,
                    first_window: first_window + done as u32,
                    first_pixel: (pixels.start + 2 * (here.first + done)) as u32,
                    end_pixel: pixels.end as u32,
                    columns: plan.positions[1] as u32,
                    window: plan.scan_len() as u32,
                    width: plan.scan[1] as u32,
                };
                let elements = frames_here.count * windows;
                device.dispatch(&KERNEL, &constants, &params, &[words, &places, out], groups_of(elements), 24 * elements as u64)?;
            }
        }
    }
    Ok(())
}
