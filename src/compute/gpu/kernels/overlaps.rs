//! Kernel `overlaps`: see `shaders/imaging/overlaps.wgsl`.

use std::ops::Range;

use super::{Kernel, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBrightField, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! {
    count: u32,
    first_frequency: u32,
    first_out: u32,
    output_nx: u32,
    ny: u32,
    nx: u32,
    rows: u32,
    columns: u32,
    focus: u32,
    first_y: f32,
    first_x: f32,
    step_y: f32,
    step_x: f32,
    turn_yy: f32,
    turn_yx: f32,
    turn_xy: f32,
    turn_xx: f32,
    scale: f32,
}

pub(super) static KERNEL: Kernel = Kernel {
    name: "overlaps",
    text: include_str!("../../../../shaders/imaging/overlaps.wgsl"),
    example: &[("DEGREE", 3.0), ("RADIUS", 25.5)],
    params: LAYOUT,
};

pub(in crate::compute::gpu) fn overlaps(
    device: &Device,
    bright: &GpuBrightField,
    focus: usize,
    frequencies: Range<usize>,
    out: &mut GpuComplexes,
) -> Result<()> {
    let plan = &bright.plan;
    let numbers = bright.numbers.whole(device)?;
    let [[turn_yy, turn_yx], [turn_xy, turn_xx]] = plan.turn.map(|row| row.map(|x| x as f32));
    let [[first_y, first_x], [step_y, step_x]] = [plan.window_first, plan.window_step].map(|v| v.map(|x| x as f32));
    for span in spans([&out.0.stack(device, plan.window_len())?], frequencies.len()) {
        let [(out, first_out)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_frequency: (frequencies.start + span.first) as u32,
            first_out: *first_out,
            output_nx: plan.output[1] as u32,
            ny: plan.window[0] as u32,
            nx: plan.window[1] as u32,
            rows: bright.rows(),
            columns: bright.columns(),
            focus: bright.foci() + focus as u32,
            first_y,
            first_x,
            step_y,
            step_x,
            turn_yy,
            turn_yx,
            turn_xy,
            turn_xx,
            scale: plan.scale as f32,
        };
        let elements = span.count * plan.window_len();
        device.dispatch(&KERNEL, &bright.constants(), &params, &[&numbers, out], groups_of(elements), 32 * elements as u64)?;
    }
    Ok(())
}
