//! Every kernel of the GPU engine and of `Cpu<f32>` agrees with `Cpu<f64>` on fresh random input, at the adapter's limits and at 1 MiB.
//!
//! Without an adapter the tests are ignored, unless RONCHI_REQUIRE_GPU=1. RONCHI_TEST_SEED=n repeats a failed run.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "clippy knows no tests without libtest's harness")]

#[path = "../common/mod.rs"]
mod common;
mod direct;
mod fft;
mod imaging;
mod inputs;
mod limits;
mod ptycho;
mod simulation;
mod verbs;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use libtest_mimic::{Arguments, Failed, Trial};
use ronchi::compute::Backend;
use ronchi::compute::gpu::Gpu;

/// A promise, and the test of it.
type Promise = (&'static str, fn(&Gpu, u64));

/// The lowered limit: stacks of the tests' windows need several buffers, objects still fit into one.
const LOW: u64 = 1 << 20;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let seed = match std::env::var("RONCHI_TEST_SEED") {
        Ok(seed) => seed.parse().expect("RONCHI_TEST_SEED is a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_micros() as u64),
    };
    let mut trials = Vec::new();
    for (limit, words) in [(None, "at the adapter's limits"), (Some(LOW), "at a limit of 1 MiB")] {
        let gpu = common::gpu(limit).map(Arc::new);
        for (name, test) in promises() {
            trials.push(trial(format!("{name}, {words}"), test, gpu.clone(), seed));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn promises() -> Vec<Promise> {
    [fft::PROMISES, ptycho::PROMISES, verbs::PROMISES, imaging::PROMISES, direct::PROMISES, limits::PROMISES, simulation::PROMISES].concat()
}

fn trial(name: String, test: fn(&Gpu, u64), gpu: Result<Arc<Gpu>, String>, seed: u64) -> Trial {
    match gpu {
        Ok(gpu) => {
            let device = gpu.device_name();
            let run = move || {
                let outcome = catch_unwind(AssertUnwindSafe(|| test(&gpu, seed)));
                outcome.map_err(|panic| {
                    eprintln!("RONCHI_TEST_SEED={seed} repeats this failure");
                    resume_unwind(panic)
                })
            };
            Trial::test(name, run).with_kind(device)
        }
        Err(reason) if common::gpu_is_required() => Trial::test(name, move || Err(Failed::from(reason))),
        Err(reason) => Trial::test(name, || Ok(())).with_kind(reason).with_ignored_flag(true),
    }
}
