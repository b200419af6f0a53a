//! Kernel `object_sum`: see `shaders/ptycho/object_sum.wgsl`.

use super::{Kernel, WINDOWS, params, reduce_max};
use crate::compute::gpu::Gpu;
use crate::compute::gpu::arrays::{GpuBatch, GpuComplexes, GpuReals};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;
use crate::compute::{Result, Update};

params! {
    first: u32,
    count: u32,
    first_product: u32,
    first_power: u32,
    corners: u32,
    origins: u32,
    offsets: u32,
    members: u32,
    tiles: u32,
    fresh: u32,
}

pub(super) static KERNEL: Kernel =
    Kernel { name: "object_sum", text: include_str!("../../../../shaders/ptycho/object_sum.wgsl"), example: &WINDOWS, params: LAYOUT };

pub(in crate::compute::gpu) fn object_sum(
    device: &Device,
    products: &GpuComplexes,
    powers: &GpuReals,
    batch: &GpuBatch,
    fresh: bool,
    update: &mut Update<Gpu>,
) -> Result<()> {
    let (numerator, denominator) = (update.numerator.0.whole(device)?, update.denominator.0.whole(device)?);
    let (lists, peaks) = (batch.lists.whole(device)?, batch.peaks.whole(device)?);
    let (products, powers) = (products.0.stack(device, batch.pixels())?, powers.0.stack(device, batch.pixels())?);
    for span in spans([&products, &powers], batch.len) {
        let [(products, first_product), (powers, first_power)] = &span.at;
        let params = Params {
            first: span.first as u32,
            count: span.count as u32,
            first_product: *first_product,
            first_power: *first_power,
            corners: batch.corners(),
            origins: batch.origins(),
            offsets: batch.offsets(),
            members: batch.members(),
            tiles: batch.tiles as u32,
            fresh: u32::from(fresh && span.first == 0),
        };
        let cost = 12 * (span.count * batch.pixels()) as u64;
        let buffers = [products, powers, &lists, &numerator, &denominator, &peaks];
        let [ny, nx, object_ny, object_nx, _] = batch.constants(1);
        device.dispatch(&KERNEL, &[ny, nx, object_ny, object_nx], &params, &buffers, batch.tiles as u64, cost)?;
    }
    reduce_max::reduce_max(device, &peaks, batch.tiles, &update.peak)
}
