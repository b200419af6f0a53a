//! The least that a pass over a file in the page cache can take: reading it, and adding up its 16-bit counts.
//!
//!     cargo bench --bench read_floor -- FILE [OFFSET [BYTES [THREADS]]]
//!
//! Threads take blocks of 512 KiB in turn, copied out by `pread` (no file mapping), and sum them in the widest registers. By default all of the file
//! from 0 on, on two threads. Prints JSON: bytes, seconds, GB/s and the sum.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints, and may fail by panicking")]

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use pulp::Arch;

const BLOCK: u64 = 512 << 10;
/// So many 16-bit counts add up in 32 bits.
const SAFE: usize = 1 << 16;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let Some(path) = arguments.first() else {
        eprintln!("read_floor needs a file: cargo bench --bench read_floor -- FILE [OFFSET [BYTES [THREADS]]]");
        return;
    };
    let number = |at: usize| arguments.get(at).map(|text| text.parse::<u64>().unwrap());
    let file = File::open(path).unwrap();
    let first = number(1).unwrap_or(0);
    let bytes = number(2).unwrap_or(file.metadata().unwrap().len() - first) & !1;
    let threads = number(3).unwrap_or(2);

    let begin = Instant::now();
    let (next, total) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let (arch, mut block, mut sum) = (Arch::new(), vec![0_u16; BLOCK as usize / 2], 0);
                loop {
                    let from = next.fetch_add(BLOCK, Ordering::Relaxed);
                    if from >= bytes {
                        break;
                    }
                    let part = &mut block[..(bytes - from).min(BLOCK) as usize / 2];
                    read(&file, bytemuck::cast_slice_mut(part), first + from);
                    sum += arch.dispatch(|| add(part));
                }
                total.fetch_add(sum, Ordering::Relaxed);
            });
        }
    });
    let seconds = begin.elapsed().as_secs_f64();
    let (speed, sum) = (bytes as f64 / seconds / 1e9, total.into_inner());
    println!("{{\"bytes\": {bytes}, \"threads\": {threads}, \"seconds\": {seconds:.4}, \"GB_per_s\": {speed:.3}, \"sum\": {sum}}}");
}

#[cfg(unix)]
fn read(file: &File, bytes: &mut [u8], from: u64) {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, from).unwrap();
}

#[cfg(not(unix))]
fn read(mut file: &File, bytes: &mut [u8], from: u64) {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(from)).unwrap();
    file.read_exact(bytes).unwrap();
}

/// Inlined, so that it is compiled for the registers of its caller.
#[inline(always)]
fn add(counts: &[u16]) -> u64 {
    counts.chunks(SAFE).map(|part| u64::from(part.iter().map(|&count| u32::from(count)).sum::<u32>())).sum()
}
