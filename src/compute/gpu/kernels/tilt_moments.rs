//! Kernel `tilt_moments`: see `shaders/ptycho/tilt_moments.wgsl`.

use super::{Kernel, WINDOWS, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes, GpuReals};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first_spectrum: u32, first_gradient: u32, ids: u32, fresh: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "tilt_moments", text: include_str!("../../../../shaders/ptycho/tilt_moments.wgsl"), example: &WINDOWS, params: LAYOUT };

pub(in crate::compute::gpu) fn tilt_moments(
    device: &Device,
    spectra: &GpuComplexes,
    gradients: &GpuComplexes,
    modes: usize,
    batch: &GpuBatch,
    fresh: bool,
    out: &mut GpuReals,
) -> Result<()> {
    let windows = modes * batch.pixels();
    let (lists, out) = (batch.lists.whole(device)?, out.0.whole(device)?);
    for span in spans([&spectra.0.stack(device, windows)?, &gradients.0.stack(device, windows)?], batch.len) {
        let [(spectra, first_spectrum), (gradients, first_gradient)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_spectrum: *first_spectrum,
            first_gradient: *first_gradient,
            ids: batch.ids() + span.first as u32,
            fresh: u32::from(fresh),
        };
        let cost = 16 * (span.count * windows) as u64;
        device.dispatch(&KERNEL, &batch.constants(modes), &params, &[spectra, gradients, &lists, &out], span.count as u64, cost)?;
    }
    Ok(())
}
