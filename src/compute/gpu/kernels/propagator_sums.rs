//! Kernel `propagator_sums`: see `shaders/ptycho/propagator_sums.wgsl`.

use super::{Kernel, groups_of, params};
use crate::compute::gpu::Gpu;
use crate::compute::gpu::arrays::GpuComplexes;
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;
use crate::compute::{Result, Update};

params! { count: u32, first_spectrum: u32, first_gradient: u32, pixels: u32, fresh: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "propagator_sums", text: include_str!("../../../../shaders/ptycho/propagator_sums.wgsl"), example: &[], params: LAYOUT };

pub(in crate::compute::gpu) fn propagator_sums(
    device: &Device,
    spectra: &GpuComplexes,
    gradients: &GpuComplexes,
    windows: usize,
    fresh: bool,
    update: &mut Update<Gpu>,
) -> Result<()> {
    let pixels = update.denominator.0.len();
    let (numerator, denominator) = (update.numerator.0.whole(device)?, update.denominator.0.whole(device)?);
    for span in spans([&spectra.0.stack(device, pixels)?, &gradients.0.stack(device, pixels)?], windows) {
        let [(spectra, first_spectrum), (gradients, first_gradient)] = &span.at;
        let params = Params {
            count: span.count as u32,
            first_spectrum: *first_spectrum,
            first_gradient: *first_gradient,
            pixels: pixels as u32,
            fresh: u32::from(fresh && span.first == 0),
        };
        let buffers = [spectra, gradients, &numerator, &denominator];
        device.dispatch(&KERNEL, &[], &params, &buffers, groups_of(pixels), 16 * (span.count * pixels) as u64)?;
    }
    Ok(())
}
