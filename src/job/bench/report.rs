//! What a benchmark found. Its JSON is described in `docs/bench.md`; a change that is no mere addition raises [`VERSION`].

use serde::Serialize;

use super::copy::CopyRate;
use super::formulas::Size;
use super::workload::Workload;
use crate::compute::gpu::Seen;

pub(super) const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Of this form.
    pub version: u32,
    /// The program's.
    pub ronchi: &'static str,
    /// ISO 8601 in UTC.
    pub date: String,
    pub host: String,
    pub processor: String,
    pub threads: usize,
    pub device: DeviceFacts,
    /// The highest of the copies' rates.
    pub bandwidth_bytes_per_s: f64,
    pub copies: Vec<CopyRate>,
    pub workloads: Vec<WorkloadReport>,
    /// Those that did not fit the device.
    pub left_out: Vec<LeftOut>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceFacts {
    pub name: String,
    /// `cpu`, or as [`crate::compute::gpu::AdapterSummary`] has it.
    pub kind: &'static str,
    pub backend: Option<String>,
    pub driver: Option<String>,
    /// Kernels can be timed.
    pub timestamps: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOut {
    pub workload: String,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkloadReport {
    pub workload: String,
    pub patterns: usize,
    pub window: [usize; 2],
    pub object: [usize; 2],
    pub batch: usize,
    pub slices: usize,
    pub modes: usize,
    /// Of each timed iteration.
    pub seconds: Vec<f64>,
    pub best_s: f64,
    pub median_s: f64,
    /// Patterns over the median.
    pub patterns_per_s: f64,
    /// The least that an iteration moves.
    pub bytes: u64,
    pub flops: f64,
    /// Over the median.
    pub flops_per_s: f64,
    /// Bytes over bandwidth.
    pub floor_s: f64,
    /// The median over the floor.
    pub over_floor: f64,
    pub gpu: Option<GpuReport>,
}

/// What is known of an iteration on a GPU.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GpuReport {
    pub launches: u64,
    pub copies: u64,
    pub submissions: u64,
    /// The median over the launches.
    pub us_per_launch: f64,
    /// The most that was held at once of buffers, and of memory reserved for them; `None` where the driver's allocator does not tell.
    pub allocated_bytes: Option<u64>,
    pub reserved_bytes: Option<u64>,
    /// The longest first; `None` where the device has no time stamps.
    pub kernels: Option<Vec<KernelReport>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelReport {
    pub kernel: &'static str,
    pub launches: u64,
    pub total_s: f64,
    pub us_each: f64,
    /// Of the time of all kernels.
    pub share: f64,
}

impl WorkloadReport {
    pub(super) fn new(workload: &Workload, size: &Size, shapes: [[usize; 2]; 2], seconds: Vec<f64>, bandwidth: f64) -> Self {
        let [window, object] = shapes;
        let median_s = median(&seconds);
        let (bytes, flops) = (size.least_bytes(), size.flops());
        let floor_s = bytes as f64 / bandwidth;
        Self {
            workload: workload.to_string(),
            patterns: size.patterns as usize,
            window,
            object,
            batch: workload.batch,
            slices: workload.depth.slices,
            modes: workload.depth.modes,
            best_s: seconds.iter().copied().fold(f64::INFINITY, f64::min),
            median_s,
            seconds,
            patterns_per_s: size.patterns as f64 / median_s,
            bytes,
            flops,
            flops_per_s: flops / median_s,
            floor_s,
            over_floor: median_s / floor_s,
            gpu: None,
        }
    }
}

impl GpuReport {
    pub(super) fn new(seen: &Seen, median_s: f64, timed: bool) -> Self {
        let all: f64 = seen.kernels.values().map(|time| time.seconds).sum();
        let mut kernels: Vec<KernelReport> = seen
            .kernels
            .iter()
            .map(|(&kernel, time)| KernelReport {
                kernel,
                launches: time.launches,
                total_s: time.seconds,
                us_each: 1e6 * time.seconds / time.launches as f64,
                share: if all > 0.0 { time.seconds / all } else { 0.0 },
            })
            .collect();
        kernels.sort_by(|a, b| b.total_s.total_cmp(&a.total_s));
        Self {
            launches: seen.launches,
            copies: seen.copies,
            submissions: seen.submissions,
            us_per_launch: 1e6 * median_s / seen.launches as f64,
            allocated_bytes: seen.memory.map(|memory| memory.allocated),
            reserved_bytes: seen.memory.map(|memory| memory.reserved),
            kernels: timed.then_some(kernels),
        }
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => f64::NAN,
        _ => 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::gpu::KernelTime;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn kernels_come_by_their_time_with_their_shares() {
        let kernel = |launches, seconds| KernelTime { launches, seconds };
        let kernels = [("a", kernel(4, 1.0)), ("b", kernel(1, 3.0))].into();
        let report = GpuReport::new(&Seen { launches: 5, kernels, ..Seen::default() }, 10.0, true);
        let listed: Vec<_> = report.kernels.unwrap().iter().map(|k| (k.kernel, k.share, k.us_each)).collect();
        assert_eq!(listed, [("b", 0.75, 3e6), ("a", 0.25, 0.25e6)]);
        assert_eq!((report.us_per_launch, report.allocated_bytes), (2e6, None));
    }
}
