//! Patterns that are in memory already.

use std::sync::Arc;

use super::GROUP;
use crate::compute::{Backend, DeviceBlock, Error, HostFrames, Patterns, Result, SampleType, SparseFrames};

/// [`Patterns`] over frames in memory: all on the device, batches gathered from them.
pub struct Memory<B: Backend> {
    backend: Arc<B>,
    frames: B::Frames,
    dtype: SampleType,
    shape: [usize; 2],
    count: usize,
    block: usize,
}

impl<B: Backend> Memory<B> {
    pub fn new(backend: Arc<B>, frames: Arc<HostFrames>) -> Result<Self> {
        let (dtype, shape, count) = (frames.dtype, frames.shape, frames.count);
        Ok(Self { frames: backend.frames(frames)?, backend, dtype, shape, count, block: GROUP })
    }

    /// The same of sparse frames, which become dense u32 ones.
    pub fn sparse(backend: Arc<B>, frames: &SparseFrames) -> Result<Self> {
        let (shape, count) = (frames.shape, frames.count);
        Ok(Self { frames: backend.sparse_frames(frames)?, backend, dtype: SampleType::U32, shape, count, block: GROUP })
    }

    /// Lets a pass hand on blocks of so many frames, in whole groups of 64.
    #[must_use]
    pub fn with_block(self, frames: usize) -> Self {
        Self { block: frames.next_multiple_of(GROUP).max(GROUP), ..self }
    }
}

impl<B: Backend> Patterns<B> for Memory<B> {
    fn len(&self) -> usize {
        self.count
    }

    fn frame_shape(&self) -> [usize; 2] {
        self.shape
    }

    fn dtype(&self) -> SampleType {
        self.dtype
    }

    fn batch(&self, ids: &[u32]) -> Result<DeviceBlock<B>> {
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.count) {
            return Err(Error::Source(format!("pattern {id} was asked for, but there are only {}", self.count).into()));
        }
        Ok(DeviceBlock { ids: ids.to_vec(), frames: self.backend.gather(&self.frames, ids)? })
    }

    fn prefetch(&self, _order: &[u32]) {}

    fn pass(&self) -> Result<Box<dyn Iterator<Item = Result<DeviceBlock<B>>> + '_>> {
        let starts = (0..self.count).step_by(self.block);
        Ok(Box::new(starts.map(|first| {
            let ids: Vec<u32> = (first..(first + self.block).min(self.count)).map(|id| id as u32).collect();
            self.batch(&ids)
        })))
    }
}
