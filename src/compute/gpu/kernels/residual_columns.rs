//! Kernel `residual_columns`: see `shaders/ptycho/residual_columns.wgsl`.

use super::add_metrics::add_metrics;
use super::lines::{Axis, Lines, Room, Transforms, bands_example};
use super::residual::numbers;
use super::{Kernel, params};
use crate::compute::gpu::arrays::{FrameStack, GpuBatch, GpuComplexes, GpuDetector, GpuReals};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;
use crate::compute::{Likelihood, Result};

params! {
    count: u32,
    first_wave: u32,
    first_frame: u32,
    first_part: u32,
    centre_y: u32,
    centre_x: u32,
    faintest: f32,
    number: f32,
    metrics_only: u32,
}

pub(super) static KERNEL: Kernel = Kernel {
    name: "residual_columns",
    text: include_str!("../../../../shaders/ptycho/residual_columns.wgsl"),
    example: bands_example!(4, 4, "DTYPE": 1.0, "ROW_WORDS": 40.0, "LIKELIHOOD": 1.0, "KEEP": 1.0, "POINTS": 320.0),
    params: LAYOUT,
};

/// Fewer columns of a workgroup than so many waste what a line of memory holds.
const FEW: usize = 4;

/// The lines of a workgroup, and whether the spectra of all modes stay in its memory.
pub(super) fn fit(device_bytes: u32, window: [usize; 2], modes: usize) -> Option<(Lines, bool)> {
    let with = |slots| Lines::fit(device_bytes, window, Axis::Columns, Room { slots, point_bytes: 4, invocation_bytes: 8 });
    match with(modes + 1) {
        Some(lines) if modes == 1 || lines.lines >= FEW => Some((lines, true)),
        _ => with(2).map(|lines| (lines, modes == 1)),
    }
}

/// `parts` holds two numbers of each workgroup of a batch.
///
/// # Panics
/// If the frames are not of the window's shape or fewer than the batch's positions.
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
pub(in crate::compute::gpu) fn residual_columns(
    device: &Device,
    transforms: &Transforms,
    (lines, keep): (&Lines, bool),
    waves: &mut GpuComplexes,
    modes: usize,
    frames: &FrameStack,
    detector: &GpuDetector,
    likelihood: Likelihood,
    floor: f64,
    metrics_only: bool,
    batch: &GpuBatch,
    parts: &mut GpuComplexes,
    metrics: &mut GpuReals,
) -> Result<()> {
    assert!(
        frames.shape == detector.shape && batch.window == detector.shape && detector.spread.is_none(),
        "frames and windows are the detector's"
    );
    assert!(frames.count >= batch.len, "each position has its frame");
    let (kind, number) = numbers(likelihood);
    let groups = lines.groups(batch.window);
    let (valid, twiddles) = (detector.valid.whole(device)?, transforms.twiddles(device, lines.side)?);
    let waves = waves.0.stack(device, modes * batch.pixels())?;
    let words = frames.words.stack(device, frames.frame_words())?;
    let [ny, nx, _, _, modes_of] = batch.constants(modes);
    let own = [ny, nx, modes_of, ("LIKELIHOOD", kind), ("KEEP", f64::from(u8::from(keep))), ("POINTS", (lines.lines * lines.side) as f64)];
    let constants = [&own[..], &frames.constants(), &lines.constants()].concat();
    for span in spans([&waves, &words, &parts.0.stack(device, groups)?], batch.len) {
        let [(waves, first_wave), (frame_words, first_frame), (parts, first_part)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_wave: *first_wave,
            first_frame: *first_frame,
            first_part: *first_part,
            centre_y: detector.centre[0] as u32,
            centre_x: detector.centre[1] as u32,
            faintest: (floor * floor) as f32,
            number: number as f32,
            metrics_only: u32::from(metrics_only),
        };
        let passes = if metrics_only { 1 } else { 2 } + if keep { 0 } else { 2 };
        let cost = span.count as u64 * ((8 * passes * modes * batch.pixels()) as u64 + frames.frame_bytes());
        let buffers = [&twiddles, frame_words, &valid, waves, parts];
        device.dispatch(&KERNEL, &constants, &params, &buffers, (span.count * groups) as u64, cost)?;
    }
    add_metrics(device, parts, groups, batch, metrics)
}
