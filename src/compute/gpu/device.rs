//! The opened device: kernels recorded into submissions of a bounded time, uploads, read-backs, and the errors of it all.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::adapter::{self, AdapterSummary, GpuOptions, Selection};
use super::pipelines::{Constants, Pipelines};
use super::shaders::{Kernel, Uniforms};
use super::watch::{Watch, Watcher};
use crate::compute::{Error, Result};

/// How long a submission should keep the device busy.
const SUBMISSION: Duration = Duration::from_millis(50);
/// Submissions that the device may have not finished.
const IN_FLIGHT: usize = 2;
/// Bytes of memory traffic a second that an unknown device is trusted with.
const FIRST_RATE: f64 = 2e9;
/// Bytes of uniforms of a submission.
const ARENA_BYTES: u64 = 1 << 16;
/// Bytes uploaded or read back in one piece.
const STAGING_BYTES: u64 = 1 << 24;

/// An adapter in use.
pub(super) struct Device {
    device: wgpu::Device,
    queue: wgpu::Queue,
    summary: AdapterSummary,
    limits: wgpu::Limits,
    piece_bytes: u64,
    pipelines: Pipelines,
    faults: Arc<Mutex<Faults>>,
    recorder: Mutex<Recorder>,
}

/// The first error since the last look, and which kernel the device is busy with.
#[derive(Default)]
struct Faults {
    kernel: &'static str,
    first: Option<Error>,
}

/// What is recorded and not submitted, and what is submitted and not finished.
struct Recorder {
    encoder: Option<wgpu::CommandEncoder>,
    pass: Option<wgpu::ComputePass<'static>>,
    arena: wgpu::Buffer,
    uniforms: Vec<u8>,
    kernels: u32,
    /// Bytes that wait in host memory for the next submission.
    uploaded: u64,
    /// Bytes that the recorded work reads and writes, by estimate.
    cost: u64,
    /// Bytes a second that the device gets through, as measured.
    rate: f64,
    in_flight: VecDeque<Flight>,
    /// When the device became free, as far as is known.
    free_since: Instant,
    watcher: Watcher,
}

struct Flight {
    submission: wgpu::SubmissionIndex,
    cost: u64,
    submitted: Instant,
}

impl Device {
    pub(super) fn open(selection: &Selection, options: &GpuOptions) -> Result<Self> {
        let adapter::Opened { device, queue, summary, limits, piece_bytes, timed } = adapter::open(selection, options)?;
        let faults = Arc::new(Mutex::new(Faults { kernel: "(none)", first: None }));
        let sink = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error| lock(&sink).keep(error.to_string(), false)));
        let sink = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            // A device that we drop is lost, too; nobody looks any more.
            lock(&sink).keep(format!("{reason:?}: {message}"), true);
        });
        let arena = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("uniforms"),
            size: ARENA_BYTES,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let recorder = Mutex::new(Recorder {
            encoder: None,
            pass: None,
            arena,
            uniforms: Vec::new(),
            kernels: 0,
            uploaded: 0,
            cost: 0,
            rate: FIRST_RATE,
            in_flight: VecDeque::new(),
            free_since: Instant::now(),
            watcher: Watcher::new(&device, &queue, timed),
        });
        let opened = Self { device, queue, summary, limits, piece_bytes, pipelines: Pipelines::default(), faults, recorder };
        opened.check()?;
        Ok(opened)
    }

    pub(super) fn name(&self) -> &str {
        &self.summary.name
    }

    pub(super) fn summary(&self) -> &AdapterSummary {
        &self.summary
    }

    /// The largest buffer, in bytes.
    pub(super) fn piece_bytes(&self) -> u64 {
        self.piece_bytes
    }

    pub(super) fn limits(&self) -> &wgpu::Limits {
        &self.limits
    }

    /// A buffer of zeros.
    pub(super) fn buffer(&self, what: &'static str, bytes: u64) -> Result<wgpu::Buffer> {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let size = bytes.next_multiple_of(4).max(16);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor { label: Some(what), size, usage, mapped_at_creation: false });
        match pollster::block_on(scope.pop()) {
            Some(_) => Err(Error::OutOfMemory { device: self.name().to_owned(), what: what.to_owned(), needed_bytes: bytes }),
            None => self.check().map(|()| buffer),
        }
    }

    /// Writes the whole of a buffer that no recorded work uses yet.
    pub(super) fn upload(&self, buffer: &wgpu::Buffer, bytes: &[u8]) -> Result<()> {
        let mut recorder = lock(&self.recorder);
        for (n, piece) in bytes.chunks(STAGING_BYTES as usize).enumerate() {
            self.queue.write_buffer(buffer, n as u64 * STAGING_BYTES, piece);
            recorder.uploaded += piece.len() as u64;
            if recorder.uploaded >= STAGING_BYTES {
                self.submit(&mut recorder)?;
            }
        }
        self.check()
    }

    /// Records a kernel: `buffers` are bound whole, at 1, 2, … after the uniforms; `cost` is the memory traffic in bytes.
    pub(super) fn dispatch<P: Uniforms>(
        &self,
        kernel: &'static Kernel,
        constants: Constants<'_>,
        params: &P,
        buffers: &[&wgpu::Buffer],
        groups: u64,
        cost: u64,
    ) -> Result<()> {
        if groups == 0 {
            return Ok(());
        }
        let mut recorder = lock(&self.recorder);
        lock(&self.faults).kernel = kernel.name;
        let pipeline = self.pipelines.get(&self.device, kernel, constants);
        // A pipeline that could not be made must not be recorded: it would spoil the work of others.
        self.check()?;
        let offset = recorder.uniforms.len() as u64;
        recorder.uniforms.extend_from_slice(bytemuck::bytes_of(params));
        let aligned = recorder.uniforms.len().next_multiple_of(self.limits.min_uniform_buffer_offset_alignment as usize);
        recorder.uniforms.resize(aligned, 0);
        let uniforms = wgpu::BufferBinding { buffer: &recorder.arena, offset, size: wgpu::BufferSize::new(size_of::<P>() as u64) };
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(uniforms) }];
        for (binding, buffer) in (1..).zip(buffers) {
            entries.push(wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() });
        }
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(kernel.name),
            layout: &pipeline.bindings,
            entries: &entries,
        });
        let most = u64::from(self.limits.max_compute_workgroups_per_dimension);
        let rows = groups.div_ceil(most);
        let pass = recorder.pass(&self.device, kernel.name);
        pass.set_pipeline(&pipeline.compute);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(groups.div_ceil(rows) as u32, rows as u32, 1);
        recorder.kernels += 1;
        recorder.watcher.launched();
        let full = recorder.uniforms.len() as u64 + 256 > ARENA_BYTES || recorder.watcher.is_full();
        self.recorded(&mut recorder, cost, full)
    }

    /// Records copies (from, its first byte, to, its first byte, bytes).
    pub(super) fn copy(&self, copies: &[(&wgpu::Buffer, u64, &wgpu::Buffer, u64, u64)]) -> Result<()> {
        let mut recorder = lock(&self.recorder);
        let mut cost = 0;
        let encoder = recorder.encoder(&self.device);
        for &(from, from_byte, to, to_byte, bytes) in copies {
            encoder.copy_buffer_to_buffer(from, from_byte, to, to_byte, bytes);
            cost += 2 * bytes;
        }
        recorder.watcher.copied(copies.len());
        self.recorded(&mut recorder, cost, false)
    }

    /// Reads the first bytes of a buffer after all that is recorded before.
    pub(super) fn read(&self, buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>> {
        let mut recorder = lock(&self.recorder);
        let mut out = Vec::with_capacity(bytes as usize);
        let size = STAGING_BYTES.min(self.piece_bytes & !7).min(bytes.next_multiple_of(8)).max(8);
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read-back"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        while (out.len() as u64) < bytes {
            let first = out.len() as u64;
            let piece = (bytes - first).min(size);
            recorder.encoder(&self.device).copy_buffer_to_buffer(buffer, first, &staging, 0, piece);
            self.submit(&mut recorder)?;
            self.read_mapped(&mut recorder, &staging, piece, &mut out)?;
        }
        Ok(out)
    }

    /// Adds the first bytes of a buffer that can be mapped, after all submissions.
    fn read_mapped(&self, recorder: &mut Recorder, staging: &wgpu::Buffer, bytes: u64, out: &mut Vec<u8>) -> Result<()> {
        let slice = staging.slice(..bytes);
        // An error shows when the range is asked for.
        slice.map_async(wgpu::MapMode::Read, |_| {});
        if recorder.in_flight.is_empty() {
            // All is done already, but the buffer is mapped only while somebody waits.
            self.wait(None);
        }
        self.drain(recorder)?;
        match slice.get_mapped_range() {
            Ok(view) => out.extend_from_slice(&view),
            Err(error) => lock(&self.faults).keep(error.to_string(), false),
        }
        self.check()?;
        staging.unmap();
        Ok(())
    }

    /// Lets the watcher be told or asked.
    pub(super) fn watcher<T>(&self, ask: impl FnOnce(&mut Watcher) -> T) -> T {
        ask(&mut lock(&self.recorder).watcher)
    }

    /// Gives the device up: it is lost for all that comes after.
    pub(super) fn destroy(&self) {
        self.device.destroy();
    }

    /// Submits what is recorded and waits for all of it.
    pub(super) fn finish(&self) -> Result<()> {
        let mut recorder = lock(&self.recorder);
        self.submit(&mut recorder)?;
        self.drain(&mut recorder)
    }

    /// Submits once the recorded work is worth it.
    fn recorded(&self, recorder: &mut Recorder, cost: u64, full: bool) -> Result<()> {
        recorder.cost += cost;
        if full || recorder.cost as f64 >= recorder.rate * SUBMISSION.as_secs_f64() {
            self.submit(recorder)?;
        }
        self.check()
    }

    fn submit(&self, recorder: &mut Recorder) -> Result<()> {
        drop(recorder.pass.take());
        if !recorder.uniforms.is_empty() {
            self.queue.write_buffer(&recorder.arena, 0, &recorder.uniforms);
            recorder.uniforms.clear();
        }
        let encoder = recorder.encoder.take();
        let (commands, stamps) = match encoder {
            Some(mut encoder) => {
                let stamps = recorder.watcher.hand_out(&mut encoder);
                (Some(encoder.finish()), stamps)
            }
            None => (None, None),
        };
        let submission = self.queue.submit(commands);
        recorder.watcher.submitted(&self.device);
        tracing::debug!(kernels = recorder.kernels, bytes = recorder.cost, rate = recorder.rate, "submitted");
        let flight = Flight { submission, cost: recorder.cost, submitted: Instant::now() };
        recorder.kernels = 0;
        recorder.uploaded = 0;
        recorder.cost = 0;
        // One that was refused would be waited for in vain.
        self.check()?;
        recorder.in_flight.push_back(flight);
        if let Some((staging, bytes)) = stamps {
            let mut ticks = Vec::new();
            self.read_mapped(recorder, &staging, bytes, &mut ticks)?;
            recorder.watcher.take(&bytemuck::pod_collect_to_vec(&ticks));
        }
        while recorder.in_flight.len() > IN_FLIGHT {
            self.land(recorder)?;
        }
        self.check()
    }

    /// Waits for all submissions.
    fn drain(&self, recorder: &mut Recorder) -> Result<()> {
        while !recorder.in_flight.is_empty() {
            self.land(recorder)?;
        }
        self.check()
    }

    /// Waits for the oldest submission and learns from the time it took.
    fn land(&self, recorder: &mut Recorder) -> Result<()> {
        let Some(flight) = recorder.in_flight.pop_front() else {
            return Ok(());
        };
        let begin = Instant::now();
        self.wait(Some(flight.submission));
        let now = Instant::now();
        if now - begin > Duration::from_millis(1) {
            // The device was busy until now, from when it was handed this work or was done with the work before.
            let busy = (now - flight.submitted.max(recorder.free_since)).as_secs_f64();
            if flight.cost > 0 {
                recorder.rate = 0.5 * (recorder.rate + flight.cost as f64 / busy);
            }
        } else if flight.cost as f64 >= 0.5 * recorder.rate * SUBMISSION.as_secs_f64() {
            // It was done before anyone looked: faster than it was trusted to be.
            recorder.rate *= 1.25;
        }
        recorder.free_since = now;
        self.check()
    }

    /// Waits for a submission, or for all, and lets what was asked of it happen.
    fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) {
        let wait = wgpu::PollType::Wait { submission_index, timeout: None };
        // wgpu panics where a device is lost while it is waited for.
        match catch_unwind(AssertUnwindSafe(|| self.device.poll(wait))) {
            Ok(Ok(_)) => {}
            // A lost device takes no submissions and says so only here.
            Ok(Err(error)) => lock(&self.faults).keep(error.to_string(), true),
            Err(_) => lock(&self.faults).keep("it stopped answering".to_owned(), true),
        }
    }

    /// The first error since the last look. A lost device stays lost.
    fn check(&self) -> Result<()> {
        let mut faults = lock(&self.faults);
        match &faults.first {
            Some(Error::DeviceLost { kernel, message }) => Err(Error::DeviceLost { kernel: kernel.clone(), message: message.clone() }),
            _ => faults.first.take().map_or(Ok(()), Err),
        }
    }
}

impl Faults {
    fn keep(&mut self, message: String, lost: bool) {
        let kernel = self.kernel.to_owned();
        let was_lost = matches!(self.first, Some(Error::DeviceLost { .. }));
        if lost && !was_lost {
            self.first = Some(Error::DeviceLost { kernel, message });
        } else if self.first.is_none() {
            self.first = Some(Error::Kernel { kernel, message });
        }
    }
}

impl Recorder {
    fn encoder(&mut self, device: &wgpu::Device) -> &mut wgpu::CommandEncoder {
        drop(self.pass.take());
        self.encoder.get_or_insert_with(|| encoder(device))
    }

    /// The compute pass that is kept open until something else must be recorded; one of its own for a kernel that is timed.
    fn pass(&mut self, device: &wgpu::Device, kernel: &'static str) -> &mut wgpu::ComputePass<'static> {
        let open = self.pass.take().filter(|_| self.watcher.watch != Watch::Kernels);
        let pass = match open {
            Some(pass) => pass,
            None => {
                let encoder = self.encoder.get_or_insert_with(|| encoder(device));
                let timestamp_writes = self.watcher.stamps(kernel);
                encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes }).forget_lifetime()
            }
        };
        self.pass.insert(pass)
    }
}

fn encoder(device: &wgpu::Device) -> wgpu::CommandEncoder {
    device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("ronchi") })
}

/// The data of a lock whose holder panicked is still whole: all changes to it are single assignments.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
