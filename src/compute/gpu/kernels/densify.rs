//! Kernel `densify`: see `shaders/imaging/densify.wgsl`.

use super::{Kernel, params};
use crate::compute::gpu::arrays::FrameStack;
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::{Array, spans};
use crate::compute::{Result, SparseFrames};

params! { count: u32, first_offset: u32, first_frame: u32, first_hit: u32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "densify",
    text: include_str!("../../../../shaders/imaging/densify.wgsl"),
    example: &[("PIXELS", 4096.0)],
    params: LAYOUT,
};

/// Writes the hits of the sparse frames to dense ones, which hold zeros.
pub(in crate::compute::gpu) fn densify(device: &Device, sparse: &SparseFrames, dense: &FrameStack) -> Result<()> {
    let pixels = dense.frame_words();
    let offsets = Array::of(device, "the offsets of sparse frames", &sparse.offsets, 1)?.whole(device)?;
    let most_hits = device.piece_bytes() / 4;
    for span in spans([&dense.words.stack(device, pixels)?], sparse.count) {
        let [(frames, first_frame)] = &span.at;
        // Frames are taken as long as their hits fit into one buffer; a single frame's do, for it has no more than pixels.
        let mut done = 0;
        while done < span.count {
            let first = span.first + done;
            let first_hit = sparse.offsets[first];
            let fits = |count: &usize| u64::from(sparse.offsets[first + count] - first_hit) <= most_hits;
            let count = (1..=span.count - done).rev().find(fits).unwrap_or(1);
            let hits = first_hit as usize..sparse.offsets[first + count] as usize;
            let hit_pixels = Array::of(device, "the hits of sparse frames", &sparse.pixels[hits.clone()], 1)?.whole(device)?;
            let hit_counts = Array::of(device, "the hits of sparse frames", &sparse.counts[hits.clone()], 1)?.whole(device)?;
            let params = Params { count: count as u32, first_offset: first as u32, first_frame: first_frame + done as u32, first_hit };
            let buffers = [&offsets, &hit_pixels, &hit_counts, frames];
            device.dispatch(&KERNEL, &[("PIXELS", pixels as f64)], &params, &buffers, count as u64, 12 * hits.len() as u64)?;
            done += count;
        }
    }
    Ok(())
}
