//! Kernel `optimal_probe_step`: see `shaders/ptycho/optimal_probe_step.wgsl`.

use super::{Kernel, params};
use crate::compute::gpu::Gpu;
use crate::compute::gpu::device::Device;
use crate::compute::{Result, Update};

params! { count: u32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "optimal_probe_step",
    text: include_str!("../../../../shaders/ptycho/optimal_probe_step.wgsl"),
    example: &[],
    params: LAYOUT,
};

pub(in crate::compute::gpu) fn optimal_probe_step(device: &Device, update: &mut Update<Gpu>) -> Result<()> {
    let count = update.denominator.0.len();
    let buffers = [&update.denominator.0.whole(device)?, &update.peak.0.whole(device)?, &update.gain.0.whole(device)?];
    device.dispatch(&KERNEL, &[], &Params { count: count as u32 }, &buffers, 1, 4 * count as u64)
}
