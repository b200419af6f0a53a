//! Kernel `fft2`: see `shaders/fft/fft2.wgsl`. It does one axis.

use super::lines::{Axis, Lines, Room, Transforms};
use super::{Kernel, params};
use crate::compute::gpu::arrays::GpuComplexes;
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::spans;
use crate::compute::{Direction, Error, Result};

params! { first: u32, lines: u32, columns: u32, sign: f32 }

pub(super) static KERNEL: Kernel = Kernel {
    name: "fft2",
    text: include_str!("../../../../shaders/fft/fft2.wgsl"),
    example: &[
        ("SIDE", 840.0),
        ("LINES", 1.0),
        ("THREADS", 128.0),
        ("RADIX_0", 8.0),
        ("RADIX_1", 7.0),
        ("RADIX_2", 5.0),
        ("RADIX_3", 3.0),
        ("RADIX_4", 1.0),
        ("RADIX_5", 1.0),
        ("SCALE", 0.1),
        ("ACROSS", 0.0),
        ("GAP", 16.0),
        ("SLOT", 893.0),
        ("STORE", 1786.0),
    ],
    params: LAYOUT,
};

const ROOM: Room = Room { slots: 2, point_bytes: 0, invocation_bytes: 0 };

/// Both axes.
pub(in crate::compute::gpu) fn fft2(
    device: &Device,
    transforms: &Transforms,
    x: &mut GpuComplexes,
    shape: [usize; 2],
    count: usize,
    direction: Direction,
) -> Result<()> {
    let fit = |axis| Lines::fit(device.limits().max_compute_workgroup_storage_size, shape, axis, ROOM);
    let (Some(rows), Some(columns)) = (fit(Axis::Rows), fit(Axis::Columns)) else {
        return Err(Error::UnsupportedWindow { device: device.name().to_owned(), shape });
    };
    transform(device, transforms, x, shape, count, direction, (Axis::Rows, rows))?;
    transform(device, transforms, x, shape, count, direction, (Axis::Columns, columns))
}

/// One axis.
pub(in crate::compute::gpu) fn fft_axis(
    device: &Device,
    transforms: &Transforms,
    x: &mut GpuComplexes,
    shape: [usize; 2],
    count: usize,
    direction: Direction,
    axis: Axis,
) -> Result<()> {
    let lines = Lines::fit(device.limits().max_compute_workgroup_storage_size, shape, axis, ROOM);
    let lines = lines.ok_or_else(|| Error::UnsupportedWindow { device: device.name().to_owned(), shape })?;
    transform(device, transforms, x, shape, count, direction, (axis, lines))
}

fn transform(
    device: &Device,
    transforms: &Transforms,
    x: &mut GpuComplexes,
    [ny, nx]: [usize; 2],
    count: usize,
    direction: Direction,
    (axis, lines): (Axis, Lines),
) -> Result<()> {
    let sign = match direction {
        Direction::Forward => 1.0,
        Direction::Inverse => -1.0,
    };
    let twiddles = transforms.twiddles(device, lines.side)?;
    for span in spans([&x.0.stack(device, ny * nx)?], count) {
        let [(x, first)] = &span.at;
        let all_lines = span.count * ny * nx / lines.side;
        let columns = if axis == Axis::Columns { nx } else { 1 };
        let params = Params { first: first * (ny * nx) as u32, lines: all_lines as u32, columns: columns as u32, sign };
        let cost = 16 * (span.count * ny * nx) as u64;
        device.dispatch(&KERNEL, &lines.constants(), &params, &[&twiddles, x], all_lines.div_ceil(lines.lines) as u64, cost)?;
    }
    Ok(())
}
