//! A thread that reads blocks of frames ahead of whoever needs them, into buffers that are used again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::compute::{HostFrames, SampleType};
use crate::data::{CubeInfo, Error, FrameSource, Result};

/// Buffers that are kept to be used again.
const KEPT: usize = 8;

/// A source with the buffers that its frames are read into.
pub(super) struct Reader {
    source: Box<dyn FrameSource>,
    replace_nonfinite: bool,
    buffers: Mutex<Vec<Arc<HostFrames>>>,
}

impl Reader {
    pub(super) fn new(source: Box<dyn FrameSource>, replace_nonfinite: bool) -> Self {
        Self { source, replace_nonfinite, buffers: Mutex::default() }
    }

    pub(super) fn info(&self) -> &CubeInfo {
        self.source.info()
    }

    pub(super) fn preferred_run(&self) -> usize {
        self.source.preferred_run()
    }

    /// Frames `first..first + count` into places `at..` of `out`, with numbers in place of what is none if so asked.
    pub(super) fn read(&self, first: usize, count: usize, out: &mut HostFrames, at: usize) -> Result<()> {
        self.source.read(first, count, out, at)?;
        if self.replace_nonfinite && out.dtype == SampleType::F32 {
            let words = out.frame_words();
            for word in &mut out.words[at * words..(at + count) * words] {
                // All bits of the exponent are set in infinities and NaNs, and in nothing else.
                *word = if *word & 0x7f80_0000 == 0x7f80_0000 { 0 } else { *word };
            }
        }
        Ok(())
    }

    /// These frames into places 0.. of `out`; those that lie together in the file are read together.
    pub(super) fn read_ids(&self, ids: &[u32], out: &mut HostFrames) -> Result<()> {
        let mut places: Vec<usize> = (0..ids.len()).collect();
        places.sort_by_key(|&p| ids[p]);
        let follows = |&a: &usize, &b: &usize| b == a + 1 && u64::from(ids[b]) == u64::from(ids[a]) + 1;
        places.chunk_by(follows).try_for_each(|run| self.read(ids[run[0]] as usize, run.len(), out, run[0]))
    }

    /// A block of so many frames that `fill` has written.
    pub(super) fn fresh(&self, count: usize, fill: impl FnOnce(&mut HostFrames) -> Result<()>) -> Result<Arc<HostFrames>> {
        let info = self.info();
        let lock = || self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let free = {
            let mut buffers = lock();
            buffers.iter().position(|b| Arc::strong_count(b) == 1).map(|free| buffers.swap_remove(free))
        };
        let mut block = free.and_then(Arc::into_inner).unwrap_or_else(|| HostFrames::zeros(info.dtype, info.frame_shape, 0));
        block.count = count;
        block.words.set_len(count * block.frame_words());
        fill(&mut block)?;
        let block = Arc::new(block);
        let mut buffers = lock();
        if buffers.len() < KEPT {
            buffers.push(block.clone());
        }
        Ok(block)
    }
}

/// Which frames are read, in which order.
pub(super) enum Order {
    All,
    List(Arc<[u32]>),
}

/// Blocks of frames from a thread of their own. Dropping it ends the thread.
pub(super) struct Feed {
    blocks: Option<Receiver<Result<Arc<HostFrames>>>>,
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    reader: Arc<Reader>,
}

impl Feed {
    /// Reads blocks of `block` frames, the last one shorter, and lets `waiting` of them wait.
    pub(super) fn start(reader: Arc<Reader>, order: Order, block: usize, waiting: usize) -> Self {
        let (send, blocks) = sync_channel(waiting);
        let stop = Arc::new(AtomicBool::new(false));
        let work = {
            let (reader, stop) = (reader.clone(), stop.clone());
            move || read_all(&reader, &order, block, &stop, &send)
        };
        // Without a thread, the first block is asked for in vain and says so.
        let thread = std::thread::Builder::new().name("ronchi-reader".into()).spawn(work).ok();
        Self { blocks: Some(blocks), thread, stop, reader }
    }

    /// The next block, which begins with frame `first`.
    pub(super) fn next(&mut self, first: usize) -> Result<Arc<HostFrames>> {
        let block = self.blocks.as_ref().and_then(|b| b.recv().ok());
        block.unwrap_or_else(|| Err(Error::ReaderStopped { path: self.reader.info().path.display().to_string(), frame: first }))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A reader that waits for room in the channel is woken by its end.
        self.blocks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_all(reader: &Reader, order: &Order, block: usize, stop: &AtomicBool, send: &SyncSender<Result<Arc<HostFrames>>>) {
    let total = match order {
        Order::All => reader.info().frames(),
        Order::List(ids) => ids.len(),
    };
    let mut first = 0;
    while first < total && !stop.load(Ordering::Relaxed) {
        let count = block.min(total - first);
        let frames = reader.fresh(count, |out| match order {
            Order::All => reader.read(first, count, out, 0),
            Order::List(ids) => reader.read_ids(&ids[first..first + count], out),
        });
        let failed = frames.is_err();
        if send.send(frames).is_err() || failed {
            return;
        }
        first += count;
    }
}
