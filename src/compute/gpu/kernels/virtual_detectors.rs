//! Kernel `virtual_detectors`: see `shaders/imaging/virtual_detectors.wgsl`.

use super::sum_pattern::{Of, sum_pattern};
use super::{Kernel, params};
use crate::compute::gpu::arrays::{FrameStack, GpuDetectorSet};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::{Array, spans};
use crate::compute::{BlockSums, PixelStatistics, Result, SampleType, Totals};

params! { count: u32, first_frame: u32, first_sum: u32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "virtual_detectors",
    text: include_str!("../../../../shaders/imaging/virtual_detectors.wgsl"),
    example: &[("NY", 64.0), ("NX", 97.0), ("DTYPE", 1.0), ("ROW_WORDS", 49.0), ("DETECTORS", 5.0), ("SUMS", 8.0), ("QUADS", 2.0)],
    params: LAYOUT,
};

/// # Panics
/// If the frames are not of the detectors' shape.
pub(in crate::compute::gpu) fn virtual_detectors(device: &Device, frames: &FrameStack, set: &GpuDetectorSet) -> Result<BlockSums> {
    assert_eq!(frames.shape, set.shape, "frames have the detectors' shape");
    let width = set.width;
    let quads = width.div_ceil(4);
    let sums = Array::zeros(device, "the sums of a block", 8, frames.count * width, width)?;
    let bits = set.bits.whole(device)?;
    let [ny, nx] = [("NY", frames.shape[0] as f64), ("NX", frames.shape[1] as f64)];
    let [dtype, row_words] = frames.constants();
    let constants = [ny, nx, dtype, row_words, ("DETECTORS", set.detectors as f64), ("SUMS", width as f64), ("QUADS", quads as f64)];
    let words = frames.words.stack(device, frames.frame_words())?;
    for span in spans([&words, &sums.stack(device, width)?], frames.count) {
        let [(words, first_frame), (sums, first_sum)] = &span.at;
        let params = Params { count: span.count as u32, first_frame: *first_frame, first_sum: *first_sum };
        let groups = span.count * quads;
        device.dispatch(&KERNEL, &constants, &params, &[words, &bits, sums], groups as u64, groups as u64 * frames.frame_bytes())?;
    }
    let pattern = sum_pattern(device, frames, &bits, Of::Sum)?;
    let statistics = if set.statistics {
        let squares = sum_pattern(device, frames, &bits, Of::Squares)?;
        Some(PixelStatistics { squares, maxima: sum_pattern(device, frames, &bits, Of::Maximum)? })
    } else {
        None
    };
    let sums: Vec<u64> = sums.read(device)?;
    let frames = match frames.dtype {
        SampleType::F32 => Totals::Float(sums.into_iter().map(float).collect()),
        _ => Totals::Integer(sums),
    };
    Ok(BlockSums { frames, pattern, statistics })
}

/// The f32 that a place of sums holds in its first word.
pub(super) fn float(place: u64) -> f64 {
    f32::from_bits(place as u32).into()
}
