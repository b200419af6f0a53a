//! `ronchi bench`.

use std::process::ExitCode;

use super::session::Session;
use super::{Common, Usage, words};
use crate::job::{self, Depth, Extent, Report, Wish, WorkloadReport};
use crate::run::{RngState, Run};

/// Time the standard workloads of ptychography on this machine
///
/// ePIE with the probe refined, on simulated patterns in memory, with 1 slice and 1 mode, 6 slices and 6 modes, 6 slices and 12 modes, in batches of 16, 256 and 1024: seconds an
/// iteration, patterns a second, the least bytes and the flops of an iteration, and its time over the least bytes at the measured copy bandwidth. On a GPU also launches, memory
/// and the time of each kernel.
#[derive(clap::Args)]
#[command(
    after_help = "Example: ronchi bench\nExample: ronchi bench --full --json --device gpu > bench.json\nExample: ronchi bench --depth 4x3 --batch 64 --patterns 1000\n\n\
    The first iteration of each workload is not timed. Every number is explained in docs/bench.md."
)]
pub(super) struct Args {
    /// 16384 patterns and all workloads on whatever device; else a GPU gets 4096, the CPU 256 and no batch of 1024
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// Seconds of it, to see that it runs
    #[arg(long)]
    quick: bool,
    /// Patterns of an iteration
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    patterns: Option<u32>,
    /// The side of a pattern in pixels
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(16..=1024))]
    window: Option<u32>,
    /// Patterns of a batch, such as 16,256
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    batch: Vec<u32>,
    /// Slices of the object x modes of the probe, such as 1x1,6x12
    #[arg(long, value_name = "SxM,…", value_delimiter = ',')]
    depth: Vec<Depth>,
    /// Timed iterations of each workload
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    iterations: Option<u32>,
    /// Threads of the CPU, by default all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, common: &Common) -> anyhow::Result<ExitCode> {
    if !common.sets.is_empty() {
        let text = "ronchi bench has no job whose keys could be set: use its own options, such as --batch 64 or --threads 4.";
        return Err(Usage(text.to_owned()).into());
    }
    let session = Session::new(common)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads.unwrap_or(0) as usize).build()?;
    let run = Run { events: &|event| session.draw(event), cancel: &session.cancel, rng: RngState::new(SEED) };
    let device = common.device.as_deref().unwrap_or("auto");
    let report = pool.install(|| job::bench(&run, device, &args.wish()));
    session.clear();
    let report = report?;
    if args.json {
        words::print_json(&report)?;
    } else {
        words::print(&text(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Of the patterns and of their order.
const SEED: u64 = 1;

impl Args {
    fn wish(&self) -> Wish {
        let some = |n: Option<u32>| n.map(|n| n as usize);
        Wish {
            extent: match (self.quick, self.full) {
                (true, _) => Extent::Quick,
                (_, true) => Extent::Full,
                _ => Extent::Usual,
            },
            patterns: some(self.patterns),
            window: some(self.window),
            batches: (!self.batch.is_empty()).then(|| self.batch.iter().map(|&n| n as usize).collect()),
            depths: (!self.depth.is_empty()).then(|| self.depth.clone()),
            iterations: self.iterations,
        }
    }
}

fn text(report: &Report) -> String {
    let device = &report.device;
    let mut text = format!("\n{}", device.name);
    if let (Some(backend), Some(driver)) = (&device.backend, &device.driver) {
        text.push_str(&format!(" ({}, {backend}, {driver})", device.kind));
    }
    if !report.processor.is_empty() {
        text.push_str(&format!("; {} threads of {}", report.threads, report.processor));
    }
    text.push('\n');
    for copy in &report.copies {
        let (rate, size) = (copy.bytes_per_s / 1e9, copy.array_bytes >> 20);
        text.push_str(&format!("copy of {size} MiB by {}: {rate:.1} GB/s, read and written\n", copy.way));
    }
    if let Some(first) = report.workloads.first() {
        let ([ny, nx], [rows, cols]) = (first.window, first.object);
        text.push_str(&format!("{} patterns of {ny} × {nx} u8 counts, an object of {rows} × {cols} pixels\n", first.patterns));
    }
    text.push_str(&format!(
        "\n{:>6} {:>5} {:>5} {:>11} {:>9} {:>11} {:>8} {:>8} {:>9} {:>9} {:>7}",
        "slices", "modes", "batch", "s/iteration", "best", "patterns/s", "GB", "Tflop", "Gflop/s", "floor s", "over"
    ));
    let on_gpu = report.workloads.iter().any(|workload| workload.gpu.is_some());
    if on_gpu {
        text.push_str(&format!(" {:>8} {:>9} {:>9}", "launches", "µs/launch", "MiB held"));
    }
    text.push('\n');
    report.workloads.iter().for_each(|workload| text.push_str(&row(workload)));
    for left_out in &report.left_out {
        text.push_str(&format!("{} is left out: {}\n", left_out.workload, left_out.why));
    }
    text.push_str(&report.workloads.iter().filter_map(kernels).collect::<String>());
    if on_gpu && !device.timestamps {
        text.push_str("\nThe adapter has no time stamps: kernels were not timed.\n");
    }
    text
}

fn row(w: &WorkloadReport) -> String {
    let mut row = format!(
        "{:>6} {:>5} {:>5} {:>11.5} {:>9.5} {:>11.1} {:>8.3} {:>8.4} {:>9.1} {:>9.5} {:>7.2}",
        w.slices,
        w.modes,
        w.batch,
        w.median_s,
        w.best_s,
        w.patterns_per_s,
        w.bytes as f64 / 1e9,
        w.flops / 1e12,
        w.flops_per_s / 1e9,
        w.floor_s,
        w.over_floor
    );
    if let Some(gpu) = &w.gpu {
        let held = gpu.allocated_bytes.map_or("unknown".to_owned(), |bytes| format!("{:.0}", bytes as f64 / f64::from(1 << 20)));
        row.push_str(&format!(" {:>8} {:>9.2} {held:>9}", gpu.launches, gpu.us_per_launch));
    }
    row + "\n"
}

/// The kernels of a workload, the longest first.
fn kernels(workload: &WorkloadReport) -> Option<String> {
    let kernels = workload.gpu.as_ref()?.kernels.as_ref()?;
    let all: f64 = kernels.iter().map(|kernel| kernel.total_s).sum();
    let mut text = format!(
        "\n{}: kernels take {:.2} ms of an iteration by the device's clock\n{:>22} {:>8} {:>10} {:>10} {:>7}\n",
        workload.workload,
        1e3 * all,
        "kernel",
        "launches",
        "ms",
        "µs each",
        "share"
    );
    for kernel in kernels {
        let percent = 100.0 * kernel.share;
        text.push_str(&format!(
            "{:>22} {:>8} {:>10.3} {:>10.2} {percent:>5.1} %\n",
            kernel.kernel,
            kernel.launches,
            1e3 * kernel.total_s,
            kernel.us_each
        ));
    }
    Some(text)
}
