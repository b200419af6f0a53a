//! Kernel `expose`: see `shaders/simulate/expose.wgsl`.

use super::{Kernel, WINDOWS, groups_of, params};
use crate::compute::gpu::Gpu;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes, GpuReals};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;
use crate::compute::{Exposure, Result, Sensor};

params! { count: u32, first_wave: u32, first_out: u32, frame_y: u32, frame_x: u32, step: u32, reach: u32, weight: f32, fresh: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "expose", text: include_str!("../../../../shaders/simulate/expose.wgsl"), example: &WINDOWS, params: LAYOUT };

pub(in crate::compute::gpu) fn expose(
    device: &Device,
    waves: &GpuComplexes,
    modes: usize,
    sensor: &Sensor<Gpu>,
    batch: &GpuBatch,
    exposure: Exposure,
    out: &mut GpuReals,
) -> Result<()> {
    let [frame_y, frame_x] = sensor.frame;
    let taps = sensor.taps.0.whole(device)?;
    for span in spans([&waves.0.stack(device, modes * batch.pixels())?, &out.0.stack(device, frame_y * frame_x)?], batch.len) {
        let [(waves, first_wave), (out, first_out)] = &span.at;
        let elements = span.count * frame_y * frame_x;
        let params = Params {
            count: elements as u32,
            first_wave: *first_wave,
            first_out: *first_out,
            frame_y: frame_y as u32,
            frame_x: frame_x as u32,
            step: sensor.step as u32,
            reach: (sensor.taps.0.len() - 1) as u32,
            weight: exposure.weight as f32,
            fresh: u32::from(exposure.fresh),
        };
        let cost = (8 * span.count * modes * batch.pixels() + 8 * elements) as u64;
        device.dispatch(&KERNEL, &batch.constants(modes), &params, &[waves, &taps, out], groups_of(elements), cost)?;
    }
    Ok(())
}
