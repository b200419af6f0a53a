//! Kernel `propagate_columns`: see `shaders/ptycho/propagate_columns.wgsl`.

use super::lines::{Lines, Transforms, bands_example};
use super::{Kernel, params};
use crate::compute::Result;
use crate::compute::gpu::arrays::GpuComplexes;
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;

params! { count: u32, first: u32, sign: f32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "propagate_columns",
    text: include_str!("../../../../shaders/ptycho/propagate_columns.wgsl"),
    example: bands_example!(8, 2),
    params: LAYOUT,
};

#[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
pub(in crate::compute::gpu) fn propagate_columns(
    device: &Device,
    transforms: &Transforms,
    lines: &Lines,
    waves: &mut GpuComplexes,
    propagator: &GpuComplexes,
    window: [usize; 2],
    windows: usize,
    adjoint: bool,
) -> Result<()> {
    let pixels = window[0] * window[1];
    let (propagator, twiddles) = (propagator.0.whole(device)?, transforms.twiddles(device, lines.side)?);
    let constants = [&[("NY", window[0] as f64), ("NX", window[1] as f64)][..], &lines.constants()].concat();
    for span in spans([&waves.0.stack(device, pixels)?], windows) {
        let [(waves, first)] = &span.at;
        let params = Params { count: span.count as u32, first: *first, sign: if adjoint { -1.0 } else { 1.0 } };
        let groups = (span.count * lines.groups(window)) as u64;
        device.dispatch(&KERNEL, &constants, &params, &[&twiddles, &propagator, waves], groups, 16 * (span.count * pixels) as u64)?;
    }
    Ok(())
}
