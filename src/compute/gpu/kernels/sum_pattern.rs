//! Kernel `sum_pattern`: see `shaders/imaging/sum_pattern.wgsl`.

use std::ops::Range;

use super::virtual_detectors::float;
use super::{Kernel, groups_of, params};
use crate::compute::gpu::arrays::FrameStack;
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::{Array, spans, too_large};
use crate::compute::{Result, Totals};

/// Frames whose f32 pixels are summed on the device; their sums are added in f64 here. Part of the result.
const GROUP: usize = 64;

params! { begin: u32, end: u32, first_frame: u32, first_group: u32, groups: u32 }

/// A group that holds any block.
const ALL_FRAMES: usize = 1 << 30;

pub(super) static KERNEL: Kernel = Kernel {
    name: "sum_pattern",
    text: include_str!("../../../../shaders/imaging/sum_pattern.wgsl"),
    example: &[("NY", 64.0), ("NX", 97.0), ("DTYPE", 3.0), ("ROW_WORDS", 97.0), ("GROUP", 64.0), ("OF", 0.0)],
    params: LAYOUT,
};

/// What is made of the frames, as the shader numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Sum,
    Squares,
    Maximum,
}

/// The sum (or what `of` says) of all frames, pixel by pixel, where bit 63 of `bits` is set.
pub(super) fn sum_pattern(device: &Device, frames: &FrameStack, bits: &wgpu::Buffer, of: Of) -> Result<Totals> {
    let pixels = frames.shape[0] * frames.shape[1];
    // Integers are exact in any grouping, so all frames are one group.
    let is_integer = frames.dtype.is_integer();
    let group = if is_integer { ALL_FRAMES } else { GROUP };
    let groups = frames.count.div_ceil(group);
    let most = (device.piece_bytes() / (8 * pixels as u64)) as usize;
    if most == 0 {
        return Err(too_large(device, "the sum of a block's frames", 8 * pixels as u64));
    }
    let (mut integers, mut floats) = (vec![0; pixels], vec![0.0; pixels]);
    for first_group in (0..groups).step_by(most) {
        let here = most.min(groups - first_group);
        let sums = sum_groups(device, frames, bits, of, group, first_group..first_group + here)?;
        for (g, place) in (first_group..).zip(sums.chunks_exact(pixels)) {
            for (p, &sum) in place.iter().enumerate() {
                match (is_integer, of) {
                    (true, Of::Maximum) => integers[p] = sum.max(integers[p]),
                    (true, _) => integers[p] += sum,
                    (false, Of::Maximum) if g == 0 => floats[p] = float(sum),
                    (false, Of::Maximum) => floats[p] = float(sum).max(floats[p]),
                    (false, _) => floats[p] += float(sum),
                }
            }
        }
    }
    Ok(if is_integer { Totals::Integer(integers) } else { Totals::Float(floats) })
}

/// The sums of these groups of frames, (group, pixel), as the shader leaves them.
fn sum_groups(device: &Device, frames: &FrameStack, bits: &wgpu::Buffer, of: Of, group: usize, groups: Range<usize>) -> Result<Vec<u64>> {
    let pixels = frames.shape[0] * frames.shape[1];
    let sums = Array::zeros(device, "the sum of a block's frames", 8, groups.len() * pixels, pixels)?;
    let sums_whole = sums.whole(device)?;
    let [dtype, row_words] = frames.constants();
    let [ny, nx] = [("NY", frames.shape[0] as f64), ("NX", frames.shape[1] as f64)];
    let constants = [ny, nx, dtype, row_words, ("GROUP", group as f64), ("OF", f64::from(of as u8))];
    let wanted = groups.start * group..frames.count.min(groups.end * group);
    let words = frames.words.stack(device, frames.frame_words())?;
    for span in spans([&words], frames.count) {
        let (begin, end) = (span.first.max(wanted.start), (span.first + span.count).min(wanted.end));
        if begin >= end {
            continue;
        }
        let [(words, first)] = &span.at;
        let params = Params {
            begin: begin as u32,
            end: end as u32,
            first_frame: first + (begin - span.first) as u32,
            first_group: groups.start as u32,
            groups: groups.len() as u32,
        };
        let cost = (end - begin) as u64 * frames.frame_bytes();
        device.dispatch(&KERNEL, &constants, &params, &[words, bits, &sums_whole], groups_of(groups.len() * pixels), cost)?;
    }
    sums.read(device)
}
