//! Kernel `probe_sum_columns`: see `shaders/ptycho/probe_sum_columns.wgsl`.

use super::add_windows::add_windows;
use super::lines::{Axis, Lines, Room, Transforms, bands_example};
use super::{Kernel, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! {
    first: u32, count: u32, first_wave: u32, first_ramp_y: u32, first_ramp_x: u32, first_group: u32, first_sum: u32, groups: u32
}

pub(super) static KERNEL: Kernel = Kernel {
    name: "probe_sum_columns",
    text: include_str!("../../../../shaders/ptycho/probe_sum_columns.wgsl"),
    example: bands_example!(4, 2, "POINTS": 320.0, "GROUP": 8.0),
    params: LAYOUT,
};

/// Positions that a workgroup adds up.
const GROUP: usize = 8;

/// The lines of a workgroup.
pub(super) fn fit(device_bytes: u32, window: [usize; 2]) -> Option<Lines> {
    Lines::fit(device_bytes, window, Axis::Columns, Room { slots: 2, point_bytes: 8, invocation_bytes: 0 })
}

/// The groups of a batch: so many probes are its sums.
pub(super) fn groups_of_batch(batch: usize) -> usize {
    batch.div_ceil(GROUP)
}

/// What `probe_sum` leaves, of waves in (y, kx); `sums` holds a probe of each group.
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
pub(in crate::compute::gpu) fn probe_sum_columns(
    device: &Device,
    transforms: &Transforms,
    lines: &Lines,
    waves: &GpuComplexes,
    modes: usize,
    batch: &GpuBatch,
    fresh: bool,
    sums: &mut GpuComplexes,
    numerator: &mut GpuComplexes,
) -> Result<()> {
    let [ny, nx] = batch.window;
    let (windows, groups) = (modes + batch.variations, groups_of_batch(batch.len));
    let (weights, twiddles) = (batch.weights.whole(device)?, transforms.twiddles(device, lines.side)?);
    let (ramps_y, ramps_x) = (batch.ramps_y.stack(device, ny)?, batch.ramps_x.stack(device, nx)?);
    let (waves, stack) = (waves.0.stack(device, modes * ny * nx)?, sums.0.stack(device, windows * ny * nx)?);
    let own = [("GROUP", GROUP as f64), ("POINTS", (lines.lines * lines.side) as f64)];
    let [window_ny, window_nx, _, _, modes_of, variations] = batch.varied(modes);
    let constants = [&[window_ny, window_nx, modes_of, variations][..], &own, &lines.constants()].concat();
    for span in spans([&waves, &ramps_y, &ramps_x], batch.len) {
        let [(waves, first_wave), (ramps_y, first_ramp_y), (ramps_x, first_ramp_x)] = &span.at;
        let (begin, end) = (span.first / GROUP, (span.first + span.count).div_ceil(GROUP));
        for piece in spans([&stack], groups) {
            let [(sums, first_sum)] = &piece.at;
            let (first_group, last) = (begin.max(piece.first), end.min(piece.first + piece.count));
            let here = last.saturating_sub(first_group);
            let params = Params {
                first: span.first as u32,
                count: span.count as u32,
                first_wave: *first_wave,
                first_ramp_y: *first_ramp_y,
                first_ramp_x: *first_ramp_x,
                first_group: first_group as u32,
                first_sum: first_sum + (first_group - piece.first) as u32,
                groups: here as u32,
            };
            let buffers = [&twiddles, waves, ramps_y, ramps_x, &weights, sums];
            let cost = 8 * ((span.count * modes + here * windows) * ny * nx) as u64;
            device.dispatch(&KERNEL, &constants, &params, &buffers, (here * windows * lines.groups(batch.window)) as u64, cost)?;
        }
    }
    add_windows(device, sums, windows * ny * nx, groups, fresh, numerator)
}
