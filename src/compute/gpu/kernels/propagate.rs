//! Kernel `propagate`: see `shaders/ptycho/propagate.wgsl`.

use super::{Kernel, groups_of, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::GpuComplexes;
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first: u32, pixels: u32, sign: f32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "propagate", text: include_str!("../../../../shaders/ptycho/propagate.wgsl"), example: &[], params: LAYOUT };

pub(in crate::compute::gpu) fn propagate(
    device: &Device,
    spectra: &mut GpuComplexes,
    propagator: &GpuComplexes,
    windows: usize,
    adjoint: bool,
) -> Result<()> {
    let pixels = propagator.0.len();
    let propagator = propagator.0.whole(device)?;
    for span in spans([&spectra.0.stack(device, pixels)?], windows) {
        let [(spectra, first)] = &span.at;
        let elements = span.count * pixels;
        let sign = if adjoint { -1.0 } else { 1.0 };
        let params = Params { count: elements as u32, first: first * pixels as u32, pixels: pixels as u32, sign };
        device.dispatch(&KERNEL, &[], &params, &[&propagator, spectra], groups_of(elements), 16 * elements as u64)?;
    }
    Ok(())
}
