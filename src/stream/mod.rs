//! Frames from a source to a device in blocks, under a memory limit.
//!
//! [`Stream`] implements [`Patterns`] over a file: streamed, with a thread that reads ahead through a short channel of buffers that are
//! used again, or resident, where the cube fits the memory limit. [`Memory`] does so over frames that are in memory already. [`survey`]
//! looks at samples that can be negative or no numbers at all. What comes out depends neither on block size nor on memory limit.

mod feed;
mod memory;
mod survey;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use crate::compute::{Backend, DeviceBlock, Error, HostFrames, Patterns, Result, SampleType};
use crate::data::{self, CubeInfo, FrameSource};
use crate::run::{Event, Run, Stage};

use feed::{Feed, Order, Reader};
pub use memory::Memory;
pub use survey::{Survey, survey};

/// Blocks are whole groups of so many frames, since float sums are made in such groups.
const GROUP: usize = 64;
/// Frames that the file keeps together are read together up to so many bytes.
const TOGETHER_BYTES: u64 = 64 << 20;
/// A block that stays in a core's cache, and the frames it has at least.
const SMALL_BYTES: usize = 512 << 10;
const FEW: usize = 16;
/// Blocks that wait between the reader and whoever computes.
const WAITING: usize = 2;
/// Blocks that exist at a time: being read, waiting, being computed with.
const BLOCKS: u64 = 8;

/// How much memory a stream takes, and what it does to samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOptions {
    /// A cube that fits is kept in memory by [`Stream::load`]; the buffers of a larger one stay below.
    pub memory_limit_bytes: u64,
    /// A block is so large, in whole groups of 64 frames and at least one.
    pub block_bytes: usize,
    /// Hand NaN and infinity on as 0; [`survey`] says which pixels to mask.
    pub replace_nonfinite: bool,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { memory_limit_bytes: 4 << 30, block_bytes: 4 << 20, replace_nonfinite: true }
    }
}

/// The patterns of a file on a device.
pub struct Stream<B: Backend> {
    reader: Arc<Reader>,
    backend: Arc<B>,
    options: StreamOptions,
    resident: OnceLock<Memory<B>>,
    ahead: Mutex<Option<Ahead>>,
}

/// Frames read ahead of the batches that were announced.
struct Ahead {
    order: Arc<[u32]>,
    /// How many of `order` were handed on.
    at: usize,
    feed: Feed,
    /// The frames of `order` that came last, and the place of their first.
    current: Option<(usize, Arc<HostFrames>)>,
}

impl<B: Backend> Stream<B> {
    pub fn new(source: Box<dyn FrameSource>, backend: Arc<B>, options: StreamOptions) -> Self {
        let reader = Arc::new(Reader::new(source, options.replace_nonfinite));
        Self { reader, backend, options, resident: OnceLock::new(), ahead: Mutex::new(None) }
    }

    pub fn info(&self) -> &CubeInfo {
        self.reader.info()
    }

    pub fn options(&self) -> &StreamOptions {
        &self.options
    }

    /// The bytes of the whole cube as it lies in memory.
    pub fn total_bytes(&self) -> u64 {
        self.info().frames() as u64 * self.info().frame_bytes() as u64
    }

    /// Does the whole cube fit the memory limit?
    pub fn fits(&self) -> bool {
        self.total_bytes() <= self.options.memory_limit_bytes
    }

    /// Puts the whole cube on the device if it fits the memory limit, and says whether it is there.
    pub fn load(&self, run: &Run) -> Result<bool> {
        if self.resident.get().is_some() {
            return Ok(true);
        }
        let info = self.info();
        let gibibytes = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        if !self.fits() {
            run.note(format!(
                "the frames take {:.1} GiB, more than the memory limit of {:.1} GiB: they are read from {} again whenever they are needed",
                gibibytes(self.total_bytes()),
                gibibytes(self.options.memory_limit_bytes),
                info.path.display()
            ));
            return Ok(false);
        }
        let (begin, total) = (Instant::now(), info.frames());
        run.emit(Event::StageStarted { stage: Stage::Load, total: total as u64, unit: "frames" });
        let mut frames = HostFrames::zeros(info.dtype, info.frame_shape, total);
        let (mut first, block) = (0, self.block_frames());
        while first < total {
            if run.is_cancelled() {
                return Err(Error::Interrupted);
            }
            let count = block.min(total - first);
            self.reader.read(first, count, &mut frames, first).map_err(failed)?;
            first += count;
            run.emit(Event::Progress { stage: Stage::Load, done: first as u64 });
        }
        let memory = Memory::new(self.backend.clone(), Arc::new(frames))?.with_block(block);
        let _ = self.resident.set(memory);
        run.emit(Event::StageFinished { stage: Stage::Load, seconds: begin.elapsed().as_secs_f64() });
        Ok(true)
    }

    /// The frames of a block: whole groups, as many as its bytes and the memory limit allow; more of them where the file keeps more together.
    fn block_frames(&self) -> usize {
        let groups = |bytes: u64| (bytes / (self.info().frame_bytes() as u64).max(1)) as usize / GROUP * GROUP;
        let limit = self.options.memory_limit_bytes / BLOCKS;
        let together = self.reader.preferred_run().next_multiple_of(GROUP);
        groups(limit.min(self.options.block_bytes as u64)).max(together.min(groups(limit.min(TOGETHER_BYTES)))).max(GROUP)
    }

    /// These patterns, from those that were read ahead if they are the next ones of the announced order.
    fn gather(&self, ids: &[u32]) -> data::Result<Arc<HostFrames>> {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        match ahead.as_mut() {
            Some(a) if a.order[a.at..].starts_with(ids) => {
                let taken = a.take(ids.len(), &self.reader);
                if taken.is_err() {
                    *ahead = None;
                }
                taken
            }
            _ => {
                drop(ahead);
                self.reader.fresh(ids.len(), |frames| self.reader.read_ids(ids, frames))
            }
        }
    }
}

impl Ahead {
    /// The next frames of the order.
    fn take(&mut self, count: usize, reader: &Reader) -> data::Result<Arc<HostFrames>> {
        reader.fresh(count, |out| {
            let words = out.frame_words();
            let mut done = 0;
            while done < count {
                let (start, frames) = match self.current.take() {
                    Some((start, frames)) if self.at < start + frames.count => (start, frames),
                    _ => (self.at, self.feed.next(self.order[self.at] as usize)?),
                };
                let from = self.at - start;
                let n = (frames.count - from).min(count - done);
                out.words[done * words..(done + n) * words].copy_from_slice(&frames.words[from * words..(from + n) * words]);
                done += n;
                self.at += n;
                self.current = Some((start, frames));
            }
            Ok(())
        })
    }
}

impl<B: Backend> Patterns<B> for Stream<B> {
    fn len(&self) -> usize {
        self.info().frames()
    }

    fn frame_shape(&self) -> [usize; 2] {
        self.info().frame_shape
    }

    fn dtype(&self) -> SampleType {
        self.info().dtype
    }

    fn batch(&self, ids: &[u32]) -> Result<DeviceBlock<B>> {
        if let Some(memory) = self.resident.get() {
            return memory.batch(ids);
        }
        let frames = self.gather(ids).map_err(failed)?;
        Ok(DeviceBlock { ids: ids.to_vec(), frames: self.backend.frames(frames)? })
    }

    fn prefetch(&self, order: &[u32]) {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        // The thread of the order before ends here.
        *ahead = None;
        if self.resident.get().is_some() || order.is_empty() || order.iter().any(|&id| id as usize >= self.len()) {
            return;
        }
        let order: Arc<[u32]> = order.into();
        let feed = Feed::start(self.reader.clone(), Order::List(order.clone()), self.block_frames(), WAITING);
        *ahead = Some(Ahead { order, at: 0, feed, current: None });
    }

    fn pass(&self) -> Result<Box<dyn Iterator<Item = Result<DeviceBlock<B>>> + '_>> {
        if let Some(memory) = self.resident.get() {
            return memory.pass();
        }
        let feed = Feed::start(self.reader.clone(), Order::All, self.block_frames(), WAITING);
        Ok(Box::new(Pass { stream: self, feed, next: 0, failed: false }))
    }

    fn visitors(&self) -> usize {
        if self.reads_where_it_computes() { rayon::current_num_threads() } else { 1 }
    }

    fn visit(&self, take: &(dyn Fn(usize, DeviceBlock<B>) -> Result<()> + Sync)) -> Result<()> {
        if !self.reads_where_it_computes() {
            return self.pass()?.try_for_each(|block| take(0, block?));
        }
        let block = (SMALL_BYTES / self.info().frame_bytes().max(1)).clamp(FEW, GROUP);
        let next = AtomicUsize::new(0);
        let worked = rayon::broadcast(|thread| {
            self.work(&next, block, &|b| take(thread.index(), b)).inspect_err(|_| next.store(usize::MAX / 2, Ordering::Relaxed))
        });
        worked.into_iter().collect()
    }
}

impl<B: Backend> Stream<B> {
    /// Does each thread read its own frames? Not where the file keeps frames together: the reader thread decodes each chunk once.
    fn reads_where_it_computes(&self) -> bool {
        B::ON_HOST && self.resident.get().is_none() && self.reader.preferred_run() <= 1
    }

    /// Reads blocks in turn with other threads and hands each on while it is in this thread's cache.
    fn work(&self, next: &AtomicUsize, block: usize, take: &dyn Fn(DeviceBlock<B>) -> Result<()>) -> Result<()> {
        let info = self.info();
        let mut frames = Arc::new(HostFrames::zeros(info.dtype, info.frame_shape, 0));
        loop {
            let first = next.fetch_add(block, Ordering::Relaxed);
            if first >= self.len() {
                return Ok(());
            }
            let count = block.min(self.len() - first);
            // A block that somebody keeps is theirs.
            if Arc::get_mut(&mut frames).is_none() {
                frames = Arc::new(HostFrames::zeros(info.dtype, info.frame_shape, 0));
            }
            if let Some(buffer) = Arc::get_mut(&mut frames) {
                buffer.count = count;
                buffer.words.set_len(count * buffer.frame_words());
                self.reader.read(first, count, buffer, 0).map_err(failed)?;
            }
            let ids = (first..first + count).map(|id| id as u32).collect();
            take(DeviceBlock { ids, frames: self.backend.frames(frames.clone())? })?;
        }
    }
}

/// All blocks of a stream, in scan order.
struct Pass<'a, B: Backend> {
    stream: &'a Stream<B>,
    feed: Feed,
    next: usize,
    failed: bool,
}

impl<B: Backend> Iterator for Pass<'_, B> {
    type Item = Result<DeviceBlock<B>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.next >= self.stream.len() {
            return None;
        }
        let block = self.feed.next(self.next).map_err(failed).and_then(|frames| {
            let ids = (self.next..self.next + frames.count).map(|id| id as u32).collect();
            self.next += frames.count;
            Ok(DeviceBlock { ids, frames: self.stream.backend.frames(frames)? })
        });
        self.failed = block.is_err();
        Some(block)
    }
}

/// An error of the data room on its way through the compute room.
fn failed(error: data::Error) -> Error {
    Error::Source(Box::new(error))
}
