//! Kernel `adam_probe`: see `shaders/ptycho/adam_probe.wgsl`.

use super::{Kernel, groups_of, params};
use crate::compute::gpu::Gpu;
use crate::compute::gpu::arrays::GpuComplexes;
use crate::compute::gpu::device::Device;
use crate::compute::{AdamMoments, AdamStep, Result, Update};

params! { length: f32, b1: f32, b2: f32, correction: f32, epsilon: f32, count: u32 }

pub(super) static KERNEL: Kernel =
    Kernel { name: "adam_probe", text: include_str!("../../../../shaders/ptycho/adam_probe.wgsl"), example: &[], params: LAYOUT };

pub(in crate::compute::gpu) fn adam_probe(
    device: &Device,
    probe_hat: &mut GpuComplexes,
    update: &Update<Gpu>,
    moments: &mut AdamMoments<Gpu>,
    step: &AdamStep,
) -> Result<()> {
    let count = probe_hat.0.len();
    let (probe_hat, numerator, peak) = (probe_hat.0.whole(device)?, update.numerator.0.whole(device)?, update.peak.0.whole(device)?);
    let (first, second) = (moments.first.0.whole(device)?, moments.second.0.whole(device)?);
    let params = Params {
        length: step.length as f32,
        b1: step.b1 as f32,
        b2: step.b2 as f32,
        correction: step.correction as f32,
        epsilon: step.epsilon as f32,
        count: count as u32,
    };
    device.dispatch(&KERNEL, &[], &params, &[&numerator, &peak, &probe_hat, &first, &second], groups_of(count), 48 * count as u64)
}
