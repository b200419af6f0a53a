//! Detector frames on their way to a device: dense or sparse stacks, where they come from, and the sums made of them.

use super::words::Words;
use super::{Backend, Result};

/// The type of a pixel, as on disk after byte swapping (i16, i32 and f64 become f32 on the host).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleType {
    U8,
    U16,
    U32,
    F32,
}

impl SampleType {
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::U32 | Self::F32 => 4,
        }
    }

    pub fn is_integer(self) -> bool {
        self != Self::F32
    }
}

/// A stack of frames in host memory: rows packed in their type, each padded to whole 4-byte words.
#[derive(Debug, Clone, PartialEq)]
pub struct HostFrames {
    pub dtype: SampleType,
    pub shape: [usize; 2],
    pub count: usize,
    /// `count` frames of `shape[0]` rows of [`HostFrames::row_words`] words, little-endian.
    pub words: Words,
}

impl HostFrames {
    /// Frames of zeros.
    pub fn zeros(dtype: SampleType, shape: [usize; 2], count: usize) -> Self {
        let words = Words::zeros(count * shape[0] * Self::row_words(dtype, shape[1]));
        Self { dtype, shape, count, words }
    }

    /// The words of a row of `nx` pixels.
    pub fn row_words(dtype: SampleType, nx: usize) -> usize {
        (nx * dtype.bytes()).div_ceil(4)
    }

    /// The words of one frame.
    pub fn frame_words(&self) -> usize {
        self.shape[0] * Self::row_words(self.dtype, self.shape[1])
    }

    /// One frame's bytes: `shape[0]` rows, each `4 · row_words` bytes of which the first `nx · dtype.bytes()` are pixels.
    pub fn frame_bytes(&self, index: usize) -> &[u8] {
        let n = self.frame_words();
        bytemuck::cast_slice(&self.words[index * n..(index + 1) * n])
    }

    pub fn frame_bytes_mut(&mut self, index: usize) -> &mut [u8] {
        let n = self.frame_words();
        bytemuck::cast_slice_mut(&mut self.words[index * n..(index + 1) * n])
    }
}

/// Frames as lists of hit pixels, as event detectors write them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparseFrames {
    pub shape: [usize; 2],
    pub count: usize,
    /// Frame f has the hits `offsets[f]..offsets[f + 1]`.
    pub offsets: Vec<u32>,
    /// Row-major pixel of each hit; no pixel twice in a frame.
    pub pixels: Vec<u32>,
    pub counts: Vec<u32>,
}

/// Frames on a device, with the scan positions they belong to.
pub struct DeviceBlock<B: Backend> {
    /// The pattern (scan position in scan order) of each frame.
    pub ids: Vec<u32>,
    pub frames: B::Frames,
}

/// Where an algorithm's frames come from; it sees nothing else of a file.
pub trait Patterns<B: Backend>: Sync {
    /// The number of patterns.
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn frame_shape(&self) -> [usize; 2];

    fn dtype(&self) -> SampleType;

    /// These patterns, in this order.
    fn batch(&self, ids: &[u32]) -> Result<DeviceBlock<B>>;

    /// Says which patterns `batch` will be asked for next, in this order.
    fn prefetch(&self, order: &[u32]);

    /// All patterns once, in scan order, in blocks of whole groups of 64 frames (the last may be shorter).
    fn pass(&self) -> Result<Box<dyn Iterator<Item = Result<DeviceBlock<B>>> + '_>>;

    /// Hands all patterns once to `take`, until it fails: in blocks of any size, in any order and on several threads at once where that is faster, so
    /// only for sums that do not depend on their order. With each block comes the number of its thread, below [`Patterns::visitors`].
    fn visit(&self, take: &(dyn Fn(usize, DeviceBlock<B>) -> Result<()> + Sync)) -> Result<()> {
        self.pass()?.try_for_each(|block| take(0, block?))
    }

    /// The threads that [`Patterns::visit`] may use at once.
    fn visitors(&self) -> usize {
        1
    }
}

/// Which detectors each pixel of a frame belongs to, and what else is summed in the same pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectorSet {
    pub shape: [usize; 2],
    /// At most [`DetectorSet::MOST`].
    pub detectors: usize,
    /// One a pixel: bit d is set where the pixel belongs to detector d; [`DetectorSet::VALID`] where it counts in the total, the moments
    /// and the sums of frames. A bad pixel has no bit.
    pub bits: Vec<u64>,
    /// Also sum Σ I·y², Σ I·x² and Σ I·y·x of each frame.
    pub second_moments: bool,
    /// Also make the sum of squares and the maximum of each pixel over the frames.
    pub statistics: bool,
}

impl DetectorSet {
    /// The bit of the pixels that count in the total and the moments.
    pub const VALID: u64 = 1 << 63;
    /// As many detectors fit one pass.
    pub const MOST: usize = 63;

    /// No detectors: only totals, first moments and the sum of the frames over the pixels that count (`None`: all do).
    pub fn sums_only(shape: [usize; 2], valid: Option<&[bool]>) -> Self {
        let bits = (0..shape[0] * shape[1]).map(|p| if valid.is_none_or(|v| v[p]) { Self::VALID } else { 0 }).collect();
        Self { shape, detectors: 0, bits, second_moments: false, statistics: false }
    }

    /// The numbers that a frame has in [`BlockSums::frames`].
    pub fn width(&self) -> usize {
        self.detectors + if self.second_moments { 6 } else { 3 }
    }
}

/// Sums that are exact where the pixels are integers.
#[derive(Debug, Clone, PartialEq)]
pub enum Totals {
    Integer(Vec<u64>),
    Float(Vec<f64>),
}

impl Totals {
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(v) => v.len(),
            Self::Float(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds others of the same kind, one by one.
    fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.iter_mut().zip(b).for_each(|(a, b)| *a += b),
            (Self::Float(a), Self::Float(b)) => a.iter_mut().zip(b).for_each(|(a, b)| *a += b),
            _ => {}
        }
    }

    /// One of the sums, as f64.
    pub fn get(&self, index: usize) -> f64 {
        match self {
            Self::Integer(v) => v[index] as f64,
            Self::Float(v) => v[index],
        }
    }
}

/// What one pass of the virtual detectors over a block gives.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockSums {
    /// (frame, [`DetectorSet::width`]): each detector's sum, then over the valid pixels Σ I, Σ I·y and Σ I·x with y and x the pixel's row and column, then, if
    /// asked for, Σ I·y², Σ I·x² and Σ I·y·x.
    pub frames: Totals,
    /// The sum of the block's frames, one a pixel (0 where a pixel is not valid).
    pub pattern: Totals,
    /// If [`DetectorSet::statistics`] are asked for.
    pub statistics: Option<PixelStatistics>,
}

impl BlockSums {
    /// Adds what other frames come to pixel by pixel.
    pub fn add_pixels(&mut self, other: &Self) {
        self.pattern.add(&other.pattern);
        if let (Some(a), Some(b)) = (&mut self.statistics, &other.statistics) {
            a.add(b);
        }
    }
}

/// What the frames of a block do pixel by pixel (0 where a pixel is not valid).
#[derive(Debug, Clone, PartialEq)]
pub struct PixelStatistics {
    /// Σ I² over the frames. Integers are exact as long as a sum stays below 2⁶⁴.
    pub squares: Totals,
    pub maxima: Totals,
}

impl PixelStatistics {
    /// Adds those of other frames.
    fn add(&mut self, other: &Self) {
        self.squares.add(&other.squares);
        match (&mut self.maxima, &other.maxima) {
            (Totals::Integer(a), Totals::Integer(b)) => a.iter_mut().zip(b).for_each(|(a, b)| *a = (*a).max(*b)),
            (Totals::Float(a), Totals::Float(b)) => a.iter_mut().zip(b).for_each(|(a, b)| *a = a.max(*b)),
            _ => {}
        }
    }
}
