//! What a device did, for those who measure: launches, memory, and the time of each kernel by the device's own clock.
//!
//! A kernel is timed in a compute pass of its own, between a time stamp before and one after it; so a timed piece of work takes longer than it would otherwise, and what
//! it took is asked of another one that is not timed. Copies lie outside of passes and are only counted.

use std::collections::BTreeMap;

use super::device::Device;
use crate::compute::Result;

/// What is kept of the work from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    Nothing,
    /// Launches, copies, submissions and the most memory held. Costs next to nothing.
    Counts,
    /// The time of each kernel.
    Kernels,
}

/// What was seen since [`super::Gpu::watch`] was last told [`Watch::Counts`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Kernels launched.
    pub launches: u64,
    /// Copies from one buffer to another.
    pub copies: u64,
    pub submissions: u64,
    /// `None` where the driver's allocator does not tell.
    pub memory: Option<MemoryPeak>,
    /// By name; empty unless [`Watch::Kernels`] was on.
    pub kernels: BTreeMap<&'static str, KernelTime>,
}

/// The most memory that was held at any submission, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryPeak {
    /// Of all buffers, those of uploads and read-backs among them.
    pub allocated: u64,
    /// What these lie in.
    pub reserved: u64,
}

/// The launches of a kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KernelTime {
    pub launches: u64,
    pub seconds: f64,
}

/// Kernels between two readings of the clock: each takes two time stamps.
const KERNELS: u32 = wgpu::QUERY_SET_MAX_QUERIES / 2;
const STAMP_BYTES: u64 = wgpu::QUERY_SIZE as u64;

/// The watcher of a device.
pub(super) struct Watcher {
    pub(super) watch: Watch,
    pub(super) seen: Seen,
    clock: Option<Clock>,
}

/// The device's clock.
struct Clock {
    stamps: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
    /// Of a tick.
    seconds: f64,
    /// The kernels recorded since the last reading.
    kernels: Vec<&'static str>,
}

impl Watcher {
    /// `timed`: the device was opened with time stamps.
    pub(super) fn new(device: &wgpu::Device, queue: &wgpu::Queue, timed: bool) -> Self {
        Self { watch: Watch::Nothing, seen: Seen::default(), clock: timed.then(|| Clock::new(device, queue)) }
    }

    /// Has the device a clock?
    pub(super) fn has_clock(&self) -> bool {
        self.clock.is_some()
    }

    pub(super) fn set(&mut self, watch: Watch) {
        if watch == Watch::Counts {
            self.seen = Seen::default();
        }
        self.watch = watch;
    }

    /// A kernel is about to be recorded: the time stamps of its pass, if it is to have one of its own.
    pub(super) fn stamps(&mut self, kernel: &'static str) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let clock = self.clock.as_mut().filter(|_| self.watch == Watch::Kernels)?;
        let first = 2 * clock.kernels.len() as u32;
        clock.kernels.push(kernel);
        Some(wgpu::ComputePassTimestampWrites {
            query_set: &clock.stamps,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        })
    }

    pub(super) fn launched(&mut self) {
        self.seen.launches += u64::from(self.watch == Watch::Counts);
    }

    pub(super) fn copied(&mut self, copies: usize) {
        self.seen.copies += if self.watch == Watch::Counts { copies as u64 } else { 0 };
    }

    /// Must the clock be read before another kernel?
    pub(super) fn is_full(&self) -> bool {
        self.clock.as_ref().is_some_and(|clock| clock.kernels.len() as u32 >= KERNELS)
    }

    /// Something was submitted; all that it uses is still held.
    pub(super) fn submitted(&mut self, device: &wgpu::Device) {
        if self.watch != Watch::Counts {
            return;
        }
        self.seen.submissions += 1;
        if let Some(report) = device.generate_allocator_report() {
            let most = self.seen.memory.get_or_insert_default();
            most.allocated = most.allocated.max(report.total_allocated_bytes);
            most.reserved = most.reserved.max(report.total_reserved_bytes);
        }
    }

    /// Records that the time stamps are handed out, and says where they will lie and how many bytes they are, if there are any.
    pub(super) fn hand_out(&self, encoder: &mut wgpu::CommandEncoder) -> Option<(wgpu::Buffer, u64)> {
        let clock = self.clock.as_ref().filter(|clock| !clock.kernels.is_empty())?;
        let count = 2 * clock.kernels.len() as u32;
        let bytes = u64::from(count) * STAMP_BYTES;
        encoder.resolve_query_set(&clock.stamps, 0..count, &clock.resolved, 0);
        encoder.copy_buffer_to_buffer(&clock.resolved, 0, &clock.staging, 0, bytes);
        Some((clock.staging.clone(), bytes))
    }

    /// Takes the ticks that were handed out: two a kernel.
    pub(super) fn take(&mut self, ticks: &[u64]) {
        let Some(clock) = &mut self.clock else { return };
        for (kernel, stamps) in clock.kernels.drain(..).zip(ticks.chunks_exact(2)) {
            let time = self.seen.kernels.entry(kernel).or_default();
            time.launches += 1;
            // Clocks of some drivers step back.
            time.seconds += stamps[1].saturating_sub(stamps[0]) as f64 * clock.seconds;
        }
    }
}

impl Clock {
    fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Self {
        let buffer = |label, usage| {
            let size = u64::from(2 * KERNELS) * STAMP_BYTES;
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        };
        let descriptor = wgpu::QuerySetDescriptor { label: Some("time stamps"), ty: wgpu::QueryType::Timestamp, count: 2 * KERNELS };
        Self {
            stamps: device.create_query_set(&descriptor),
            resolved: buffer("time stamps", wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            staging: buffer("read-back of time stamps", wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
            seconds: f64::from(queue.get_timestamp_period()) * 1e-9,
            kernels: Vec::new(),
        }
    }
}

impl Device {
    /// Finishes all work, then keeps what is asked for.
    pub(super) fn watch(&self, watch: Watch) -> Result<()> {
        self.finish()?;
        self.watcher(|watcher| watcher.set(watch));
        Ok(())
    }

    pub(super) fn seen(&self) -> Seen {
        self.watcher(|watcher| watcher.seen.clone())
    }

    /// Can kernels be timed?
    pub(super) fn has_clock(&self) -> bool {
        self.watcher(|watcher| watcher.has_clock())
    }
}
