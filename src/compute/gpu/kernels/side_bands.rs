//! Kernel `side_bands`: see `shaders/imaging/side_bands.wgsl`.

use std::ops::Range;

use super::{Kernel, groups_of, params};
use crate::compute::gpu::Gpu;
use crate::compute::gpu::arrays::{GpuBrightField, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;
use crate::compute::{FAINTEST, Result, SideBandSums};

params! {
    count: u32,
    first_window: u32,
    first_tilt: u32,
    half: u32,
    foci: u32,
    rows: u32,
    columns: u32,
    focus: u32,
    turn_yy: f32,
    turn_yx: f32,
    turn_xy: f32,
    turn_xx: f32,
    scale: f32,
    faintest: f32,
}

pub(super) static KERNEL: Kernel = Kernel {
    name: "side_bands",
    text: include_str!("../../../../shaders/imaging/side_bands.wgsl"),
    example: &[("DEGREE", 3.0), ("RADIUS", 25.5), ("NY", 60.0), ("NX", 64.0), ("OUTPUT_NY", 120.0), ("OUTPUT_NX", 128.0)],
    params: LAYOUT,
};

/// Windows of one dispatch: each is work for every frequency.
const WINDOWS: usize = 32;

pub(in crate::compute::gpu) fn side_bands(
    device: &Device,
    spectra: &GpuComplexes,
    bright: &GpuBrightField,
    pixels: Range<usize>,
    sums: &mut SideBandSums<Gpu>,
) -> Result<()> {
    let plan = &bright.plan;
    let [degree, radius] = bright.constants();
    let [ny, nx, output_ny, output_nx] = bright.shapes();
    let constants = [degree, radius, ny, nx, output_ny, output_nx];
    let numbers = bright.numbers.whole(device)?;
    let (numerators, weights) = (sums.numerators.0.whole(device)?, sums.weights.0.whole(device)?);
    let [[turn_yy, turn_yx], [turn_xy, turn_xx]] = plan.turn.map(|row| row.map(|x| x as f32));
    for span in spans([&spectra.0.stack(device, plan.scan_len())?], pixels.len().div_ceil(2)) {
        let [(spectra, first_window)] = &span.at;
        for done in (0..span.count).step_by(WINDOWS) {
            let windows = WINDOWS.min(span.count - done);
            let first = 2 * (span.first + done);
            let count = (2 * windows).min(pixels.len() - first);
            let params = Params {
                count: count as u32,
                first_window: first_window + done as u32,
                first_tilt: bright.tilt(pixels.start + first),
                half: plan.half_len() as u32,
                foci: plan.foci.len() as u32,
                rows: bright.rows(),
                columns: bright.columns(),
                focus: bright.foci(),
                turn_yy,
                turn_yx,
                turn_xy,
                turn_xx,
                scale: plan.scale as f32,
                faintest: (FAINTEST * plan.scale) as f32,
            };
            let elements = plan.half_len() * plan.foci.len();
            let cost = (32 * elements * count) as u64;
            device.dispatch(&KERNEL, &constants, &params, &[spectra, &numbers, &numerators, &weights], groups_of(elements), cost)?;
        }
    }
    Ok(())
}
