//! The standard workloads of ptychography, timed: what `ronchi bench` does.
//!
//! The engine itself runs, on simulated patterns in memory. Of each workload the first iteration warms up, those after it are timed; on a GPU one more is counted and one
//! more timed kernel by kernel, both untouched by the times before.

mod copy;
mod formulas;
mod metered;
mod report;
mod scene;
mod workload;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::device::Device;
use super::{Error, facts};
use crate::compute;
use crate::compute::cpu::Cpu;
use crate::compute::gpu::{GpuOptions, Watch};
use crate::ptycho::{self, Ending, Hooks, Options, State, reconstruct};
use crate::run::{Event, Run};
use crate::stream::Memory;

use formulas::Size;
use metered::Metered;
use report::{GpuReport, LeftOut, VERSION};
pub use report::{Report, WorkloadReport};
use scene::Scene;
pub use workload::{Depth, Extent, Wish};
use workload::{Plan, Workload};

/// Runs the workloads on the device of this name.
///
/// # Errors
/// If there is no such device, or it fails.
pub fn bench(run: &Run, device: &str, wish: &Wish) -> Result<Report, Error> {
    let opened = Device::open_with(device, &GpuOptions { profile: true, ..GpuOptions::default() })?;
    opened.tell(device, run);
    match opened {
        Device::Cpu => on(run, &Arc::new(Cpu::<f32>::new()), wish),
        Device::Gpu(gpu) => on(run, &Arc::new(*gpu), wish),
    }
}

fn on<B: Metered>(run: &Run, backend: &Arc<B>, wish: &Wish) -> Result<Report, Error> {
    let date = facts::timestamp(SystemTime::now());
    let plan = wish.plan(backend.by_host());
    let window = [plan.window; 2];
    if !backend.supports_window(window) {
        return Err(compute::Error::UnsupportedWindow { device: backend.device_name(), shape: window }.into());
    }
    let copies = backend.copy_rates(plan.copy_bytes)?;
    let bandwidth = copies.iter().map(|copy| copy.bytes_per_s).fold(0.0, f64::max);
    run.note(format!("{}: copies {:.1} GB/s, read and written", backend.device_name(), bandwidth / 1e9));
    let scene = Scene::new(run, plan.patterns, plan.window)?;
    let patterns = Memory::new(backend.clone(), scene.frames.clone())?;
    let bench = Bench { run, backend: &**backend, patterns, scene, plan, bandwidth };
    let (mut workloads, mut left_out) = (Vec::new(), Vec::new());
    for workload in &bench.plan.workloads {
        match bench.time(workload) {
            Ok(report) => {
                run.note(format!(
                    "{workload}: {:.4} s an iteration, {:.0} patterns/s, {:.2} × the floor",
                    report.median_s, report.patterns_per_s, report.over_floor
                ));
                workloads.push(report);
            }
            Err(error) if does_not_fit(&error) => {
                run.warn(format!("{workload} is left out: {error}"));
                left_out.push(LeftOut { workload: workload.to_string(), why: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Report {
        version: VERSION,
        ronchi: env!("CARGO_PKG_VERSION"),
        date,
        host: facts::host(),
        processor: facts::processor(),
        threads: rayon::current_num_threads(),
        device: backend.facts(),
        bandwidth_bytes_per_s: bandwidth,
        copies,
        workloads,
        left_out,
    })
}

fn does_not_fit(error: &Error) -> bool {
    use compute::Error::{OutOfMemory, TooLarge};
    matches!(error, Error::Ptycho(ptycho::Error::Compute(OutOfMemory { .. } | TooLarge { .. })))
}

/// Everything that workloads share.
struct Bench<'a, B: Metered> {
    run: &'a Run<'a>,
    backend: &'a B,
    patterns: Memory<B>,
    scene: Scene,
    plan: Plan,
    /// In bytes a second.
    bandwidth: f64,
}

impl<B: Metered> Bench<'_, B> {
    fn time(&self, workload: &Workload) -> Result<WorkloadReport, Error> {
        let Self { run, backend, patterns, scene, plan, bandwidth } = self;
        let afterwards = backend.afterwards();
        let timed = plan.iterations as usize;
        let iterations = 1 + plan.iterations + afterwards.len() as u32;
        let options = Options::epie(iterations, workload.batch, scene.wavelength_A);
        let start = scene.start(workload.depth.slices, workload.depth.modes, run);
        let shape = start.shape;

        let heard = Mutex::new(Vec::new());
        let hear = |event: Event| {
            if let Event::Iteration { seconds, .. } = event {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(seconds);
            }
        };
        let inner = Run { events: &hear, cancel: run.cancel, rng: run.rng };
        let mut phases = Phases { backend: *backend, timed: 1 + plan.iterations, afterwards };
        backend.watch(Watch::Nothing)?;
        let outcome = reconstruct(&inner, *backend, patterns, &scene.frame, &scene.detector, &options, start, &mut phases)?;
        match outcome.ending {
            Ending::Interrupted => return Err(Error::Cancelled),
            Ending::Diverged { iteration, why } => return Err(Error::Workload { workload: workload.to_string(), iteration, why }),
            Ending::Finished | Ending::Converged => {}
        }
        let heard = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
        let seconds: Vec<f64> = heard.into_iter().skip(1).take(timed).collect();

        let size = Size {
            patterns: plan.patterns as u64,
            batch: workload.batch as u64,
            slices: shape.slices as u64,
            modes: shape.modes as u64,
            pixels: shape.pixels() as u64,
            object: shape.object_pixels() as u64,
            sample_bytes: scene.frames.dtype.bytes() as u64,
        };
        let mut report = WorkloadReport::new(workload, &size, [shape.window, shape.object], seconds, *bandwidth);
        report.gpu = backend.seen().map(|seen| GpuReport::new(&seen, report.median_s, afterwards.contains(&Watch::Kernels)));
        Ok(report)
    }
}

/// Lets the device be watched after the timed iterations.
struct Phases<'a, B: Metered> {
    backend: &'a B,
    /// The last iteration that is timed.
    timed: u32,
    afterwards: &'static [Watch],
}

impl<B: Metered> Hooks for Phases<'_, B> {
    fn after_iteration(&mut self, state: &mut State) -> ptycho::Result<bool> {
        if let Some(done) = state.iteration.checked_sub(self.timed) {
            self.backend.watch(self.afterwards.get(done as usize).copied().unwrap_or(Watch::Nothing))?;
        }
        Ok(false)
    }
}
