//! Kernel `update_probe`: see `shaders/ptycho/update_probe.wgsl`.

use super::{Kernel, groups_of, params};
use crate::compute::gpu::Gpu;
use crate::compute::gpu::arrays::GpuComplexes;
use crate::compute::gpu::device::Device;
use crate::compute::{Result, Update};

params! { step: f32, count: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "update_probe", text: include_str!("../../../../shaders/ptycho/update_probe.wgsl"), example: &[], params: LAYOUT };

pub(in crate::compute::gpu) fn update_probe(device: &Device, probe_hat: &mut GpuComplexes, update: &Update<Gpu>, step: f64) -> Result<()> {
    let count = probe_hat.0.len();
    let (probe_hat, numerator) = (probe_hat.0.whole(device)?, update.numerator.0.whole(device)?);
    let params = Params { step: step as f32, count: count as u32 };
    let buffers = [&numerator, &update.peak.0.whole(device)?, &update.gain.0.whole(device)?, &probe_hat];
    device.dispatch(&KERNEL, &[], &params, &buffers, groups_of(count), 24 * count as u64)
}
