//! Kernel `tilt_waves`: see `shaders/ptycho/tilt_waves.wgsl`.

use super::{Kernel, WINDOWS, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_spectrum: u32, first_ramp_y: u32, first_ramp_x: u32, sign: f32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "tilt_waves", text: include_str!("../../../../shaders/ptycho/tilt_waves.wgsl"), example: &WINDOWS, params: LAYOUT };

pub(in crate::compute::gpu) fn tilt_waves(
    device: &Device,
    spectra: &mut GpuComplexes,
    modes: usize,
    batch: &GpuBatch,
    adjoint: bool,
) -> Result<()> {
    let Some([ramps_y, ramps_x]) = &batch.tilts else { return Ok(()) };
    let [ny, nx] = batch.window;
    let stacks = [&spectra.0.stack(device, modes * ny * nx)?, &ramps_y.stack(device, ny)?, &ramps_x.stack(device, nx)?];
    for span in spans(stacks, batch.len) {
        let [(spectra, first_spectrum), (ramps_y, first_ramp_y), (ramps_x, first_ramp_x)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_spectrum: *first_spectrum,
            first_ramp_y: *first_ramp_y,
            first_ramp_x: *first_ramp_x,
            sign: if adjoint { -1.0 } else { 1.0 },
        };
        let elements = span.count * modes * ny * nx;
        device.dispatch(
            &KERNEL,
            &batch.constants(modes),
            &params,
            &[ramps_y, ramps_x, spectra],
            groups_of(elements),
            16 * elements as u64,
        )?;
    }
    Ok(())
}
