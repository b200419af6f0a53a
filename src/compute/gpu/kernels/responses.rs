//! Kernel `responses`: see `shaders/imaging/responses.wgsl`.

use std::ops::Range;

use super::{Kernel, groups_of, params};
use crate::compute::gpu::arrays::{GpuBrightField, GpuComplexes, GpuReals};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;
use crate::compute::{FAINTEST, Response, Result};

params! {
    count: u32,
    first_out: u32,
    first_tilt: u32,
    pixels: u32,
    ny: u32,
    nx: u32,
    response: u32,
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
    name: "responses",
    text: include_str!("../../../../shaders/imaging/responses.wgsl"),
    example: &[("DEGREE", 3.0), ("RADIUS", 25.5)],
    params: LAYOUT,
};

pub(in crate::compute::gpu) fn responses(
    device: &Device,
    bright: &GpuBrightField,
    response: Response,
    focus: usize,
    pixels: Range<usize>,
    filter: &GpuReals,
    out: &mut GpuComplexes,
) -> Result<()> {
    let plan = &bright.plan;
    let (numbers, filter) = (bright.numbers.whole(device)?, filter.0.whole(device)?);
    let [[turn_yy, turn_yx], [turn_xy, turn_xx]] = plan.turn.map(|row| row.map(|x| x as f32));
    for span in spans([&out.0.stack(device, plan.output_len())?], pixels.len().div_ceil(2)) {
        let [(out, first_out)] = &span.at;
        let first = 2 * span.first;
        let params = Params {
            count: span.count as u32,
            first_out: *first_out,
            first_tilt: bright.tilt(pixels.start + first),
            pixels: (pixels.len() - first) as u32,
            ny: plan.output[0] as u32,
            nx: plan.output[1] as u32,
            response: match response {
                Response::Parallax => 0,
                Response::Ssb => 1,
                Response::Obf => 2,
            },
            rows: bright.rows(),
            columns: bright.columns(),
            focus: bright.foci() + focus as u32,
            turn_yy,
            turn_yx,
            turn_xy,
            turn_xx,
            scale: plan.scale as f32,
            faintest: (FAINTEST * plan.scale) as f32,
        };
        let elements = span.count * plan.output_len();
        device.dispatch(&KERNEL, &bright.constants(), &params, &[&numbers, &filter, out], groups_of(elements), 32 * elements as u64)?;
    }
    Ok(())
}
