//! Kernel `fft2`: see `shaders/fft/fft2.wgsl`. It runs twice, on the rows and on the columns.

use std::collections::HashMap;
use std::f64::consts::TAU;
use std::sync::{Arc, Mutex, PoisonError};

use num_complex::Complex64;

use super::{Kernel, params};
use crate::compute::gpu::arrays::{GpuComplexes, narrow};
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::{Array, spans};
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
        ("STORE", 1680.0),
    ],
    params: LAYOUT,
};

/// Most stages of a side up to 1024: 3⁶ = 729 has six.
const STAGES: usize = 6;

/// Workgroup memory that a transform uses where there is more.
const STORE_BYTES: u32 = 1 << 15;

/// Lines of a workgroup: so many columns fill a 64-byte line of memory.
const LINES: usize = 8;

/// The tables of twiddles made so far, one a side.
#[derive(Default)]
pub(in crate::compute::gpu) struct Transforms(Mutex<HashMap<usize, Arc<wgpu::Buffer>>>);

/// The radices of the stages that transform this side; unused ones are 1. `None` if it is not 2^a·3^b·5^c·7^d from 16 to 1024.
pub(in crate::compute::gpu) fn radices(side: usize) -> Option<[usize; STAGES]> {
    if !(16..=1024).contains(&side) {
        return None;
    }
    let mut radices = [1; STAGES];
    let (mut rest, mut stage) = (side, 0);
    while rest > 1 {
        // 8·2 would be two unequal stages where 4·4 does.
        let radix = [8, 7, 5, 4, 3, 2]
            .into_iter()
            .find(|&r| rest.is_multiple_of(r) && !(r == 8 && rest.is_multiple_of(16) && !rest.is_multiple_of(32)))?;
        radices[stage] = radix;
        rest /= radix;
        stage += 1;
    }
    Some(radices)
}

impl Transforms {
    /// e^{−2πi k/side} for k < side.
    fn twiddles(&self, device: &Device, side: usize) -> Result<Arc<wgpu::Buffer>> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&side) {
            return Ok(table.clone());
        }
        let values: Vec<Complex64> = (0..side).map(|k| Complex64::cis(-TAU * k as f64 / side as f64)).collect();
        let table = Arc::new(Array::of(device, "twiddles", &narrow(&values), 1)?.whole(device)?);
        tables.insert(side, table.clone());
        Ok(table)
    }
}

pub(in crate::compute::gpu) fn fft2(
    device: &Device,
    transforms: &Transforms,
    x: &mut GpuComplexes,
    shape: [usize; 2],
    count: usize,
    direction: Direction,
) -> Result<()> {
    let [ny, nx] = shape;
    let (Some(row_radices), Some(column_radices)) = (radices(nx), radices(ny)) else {
        return Err(Error::UnsupportedWindow { device: device.name().to_owned(), shape });
    };
    let sign = match direction {
        Direction::Forward => 1.0,
        Direction::Inverse => -1.0,
    };
    let stack = x.0.stack(device, ny * nx)?;
    for (side, columns, radices) in [(nx, 1, row_radices), (ny, nx, column_radices)] {
        let twiddles = transforms.twiddles(device, side)?;
        let store = device.limits().max_compute_workgroup_storage_size.min(STORE_BYTES) as usize;
        let lines = (store / (16 * side)).clamp(1, LINES);
        let threads = (lines * side / 8).next_multiple_of(32).clamp(64, 256);
        let constants = constants(side, radices, lines, threads);
        for span in spans([&stack], count) {
            let [(x, first)] = &span.at;
            let all_lines = span.count * ny * nx / side;
            let params = Params { first: first * (ny * nx) as u32, lines: all_lines as u32, columns: columns as u32, sign };
            let cost = 16 * (span.count * ny * nx) as u64;
            device.dispatch(&KERNEL, &constants, &params, &[&twiddles, x], all_lines.div_ceil(lines) as u64, cost)?;
        }
    }
    Ok(())
}

fn constants(side: usize, radices: [usize; STAGES], lines: usize, threads: usize) -> [(&'static str, f64); 11] {
    let radices = radices.map(|r| r as f64);
    [
        ("SIDE", side as f64),
        ("LINES", lines as f64),
        ("THREADS", threads as f64),
        ("RADIX_0", radices[0]),
        ("RADIX_1", radices[1]),
        ("RADIX_2", radices[2]),
        ("RADIX_3", radices[3]),
        ("RADIX_4", radices[4]),
        ("RADIX_5", radices[5]),
        ("SCALE", 1.0 / (side as f64).sqrt()),
        ("STORE", (2 * lines * side) as f64),
    ]
}
