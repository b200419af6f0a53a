//! The bandwidth of a device, as a copy of an array far larger than its caches has it.

use std::time::{Duration, Instant};

use num_complex::Complex64;
use rayon::prelude::*;
use serde::Serialize;

use crate::compute::{self, Backend, Error};

/// A way to copy, and how fast it was. A byte that is read and written counts twice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CopyRate {
    /// `threads` of the host, a `kernel` of the device, or its own copy `command`.
    pub way: &'static str,
    pub array_bytes: u64,
    pub bytes_per_s: f64,
}

/// The least time that is measured at once.
const LEAST: Duration = Duration::from_millis(50);
const ROUNDS: usize = 5;
/// The least array that is tried where memory is short, in bytes.
const SMALLEST: u64 = 1 << 22;

/// Of host memory, by all threads of the pool.
pub(super) fn on_host(array_bytes: u64) -> CopyRate {
    let len = array_bytes as usize / 8;
    let (from, mut to) = ((0..len as u64).collect::<Vec<_>>(), vec![0u64; len]);
    let part = len.div_ceil(rayon::current_num_threads()).max(1);
    let Ok(bytes_per_s) = fastest(array_bytes, |times| {
        for _ in 0..times {
            to.par_chunks_mut(part).zip(from.par_chunks(part)).for_each(|(to, from)| to.copy_from_slice(from));
            // What nobody looks at need not be copied.
            std::hint::black_box(&mut to);
        }
        Ok::<(), std::convert::Infallible>(())
    });
    CopyRate { way: "threads", array_bytes, bytes_per_s }
}

/// Of device memory, by kernel `combine` and by the device's copy command.
pub(super) fn on_device<B: Backend>(backend: &B, array_bytes: u64) -> compute::Result<Vec<CopyRate>> {
    match rates(backend, array_bytes) {
        Err(Error::OutOfMemory { .. } | Error::TooLarge { .. }) if array_bytes / 2 >= SMALLEST => on_device(backend, array_bytes / 2),
        rates => rates,
    }
}

fn rates<B: Backend>(backend: &B, array_bytes: u64) -> compute::Result<Vec<CopyRate>> {
    let len = array_bytes as usize / 8;
    // No zeros: some devices keep those apart.
    let from = backend.complexes(&(0..len).map(|n| Complex64::new(n as f64, 1.0)).collect::<Vec<_>>())?;
    let mut to = backend.complex_zeros(len)?;
    // x is there twice, and comes from the cache the second time.
    let kernel = fastest(array_bytes, |times| {
        (0..times).try_for_each(|_| backend.combine(&mut to, 0.0, (&from, 1.0), (&from, 0.0), len))?;
        backend.finish()
    })?;
    let command = fastest(array_bytes, |times| {
        (0..times).try_for_each(|_| backend.copy(&from, &mut to, len))?;
        backend.finish()
    })?;
    Ok([("kernel", kernel), ("command", command)].map(|(way, bytes_per_s)| CopyRate { way, array_bytes, bytes_per_s }).to_vec())
}

/// The highest rate of several rounds of `copies`, which copies an array so many times, in bytes read and written a second.
fn fastest<E>(array_bytes: u64, mut copies: impl FnMut(u32) -> Result<(), E>) -> Result<f64, E> {
    let mut time = |times| {
        let clock = Instant::now();
        copies(times).map(|()| clock.elapsed())
    };
    let mut times = 1;
    while time(times)? < LEAST && times < 1 << 16 {
        times *= 2;
    }
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        best = best.min(time(times)?);
    }
    Ok(2.0 * array_bytes as f64 * f64::from(times) / best.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_is_copied_counts_twice() {
        // 1000 bytes in 60 ms.
        let rate = fastest(1000, |times| {
            std::thread::sleep(Duration::from_millis(60) * times);
            Ok::<(), ()>(())
        });
        let rate = rate.unwrap();
        assert!(rate <= 2000.0 / 0.06 && rate > 0.5 * 2000.0 / 0.06, "{rate}");
    }
}
