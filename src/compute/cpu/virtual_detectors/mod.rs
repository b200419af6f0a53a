//! Kernel `virtual_detectors`: each frame's sums over all detectors, its moments, and the sums of the frames, in one pass.
//!
//! Frames are taken a few at a time and pixels in chunks of a row, down the columns of chunks, so that what is summed along a column stays in registers and the sums of
//! frames are loaded and stored once for all the frames taken together; each detector class gathers its chunks of a column while they are in the nearest cache. Every sum
//! runs in [`CHUNK`] lanes that are added up in a fixed order at the end: vectors of any width give the same result.
//!
//! Counts of electrons are small numbers, and sums of whole numbers are exact in any order. Where no count of a column is large it is summed in 16 bits ([`small`]), two to
//! four times as many pixels to a vector; else, and for real numbers, in wide registers ([`wide`]).

#![allow(clippy::needless_range_loop, reason = "loops over lanes of several arrays at once are what the compiler vectorises")]

mod small;
mod together;
mod wide;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::CpuFrames;
use super::pixel::{Pixel, with_pixel};
use crate::compute::{BlockSums, DetectorSet, PixelStatistics, SampleType, Totals};
use small::{Lanes, SmallPixels};
use together::Work;

/// Frames that one task sums; float sums are grouped by it, so it is part of the result.
const GROUP: usize = 64;
/// Pixels of a row that are taken together.
const CHUNK: usize = 32;
/// Frames that are taken together.
const TOGETHER: usize = 4;
/// Rows of a column that are taken together: summed twice over they fit into 32 bits (65535·128·129/2 < 2³²), and their small counts into the nearest cache.
const BAND: usize = 128;
/// So many of the largest u16 are summed in 32 bits before they are widened.
const NARROW: usize = 1 << 16;

/// A [`DetectorSet`] as classes of pixels, those of a class belonging to the same detectors.
#[derive(Debug)]
pub struct CpuDetectorSet {
    shape: [usize; 2],
    detectors: usize,
    second_moments: bool,
    statistics: bool,
    /// Which pixels of each chunk count, column by column.
    valid: Vec<u32>,
    /// The same as masks.
    valid_lanes: Vec<Lanes>,
    /// The detectors that the pixels of each class belong to.
    classes: Vec<Vec<usize>>,
    /// The classes that have pixels in each band of each column, column by column.
    bands: Vec<Band>,
}

/// What lies in some rows of a column of chunks.
#[derive(Debug, Default)]
struct Band {
    members: Vec<Members>,
    /// Has a pixel a detector without counting in the total?
    apart: bool,
}

/// The pixels of one class in a band of a column: in each of `rows`, counted from the band's first, those of `pixels`.
#[derive(Debug)]
struct Members {
    class: usize,
    rows: Vec<usize>,
    pixels: Vec<u32>,
    lanes: Vec<Lanes>,
}

impl CpuDetectorSet {
    pub(super) fn new(set: &DetectorSet) -> Self {
        let [ny, nx] = set.shape;
        let (chunks, bands_of_column) = (nx.div_ceil(CHUNK), ny.div_ceil(BAND));
        let mut valid = vec![0; chunks * ny];
        let mut classes = Vec::new();
        let mut bands: Vec<Band> = (0..chunks * bands_of_column).map(|_| Band::default()).collect();
        let mut class_of = std::collections::HashMap::new();
        for (row, bits) in set.bits.chunks(nx.max(1)).enumerate() {
            for (c, bits) in bits.chunks(CHUNK).enumerate() {
                let band = &mut bands[c * bands_of_column + row / BAND];
                for (lane, &bits) in bits.iter().enumerate() {
                    if bits & DetectorSet::VALID != 0 {
                        valid[c * ny + row] |= 1 << lane;
                    }
                    let detectors = bits & !DetectorSet::VALID;
                    if detectors == 0 {
                        continue;
                    }
                    let class = *class_of.entry(detectors).or_insert_with(|| {
                        classes.push((0..set.detectors).filter(|d| detectors >> d & 1 != 0).collect());
                        classes.len() - 1
                    });
                    band.apart |= bits & DetectorSet::VALID == 0;
                    let at = band.members.iter().position(|members| members.class == class).unwrap_or_else(|| {
                        band.members.push(Members { class, rows: Vec::new(), pixels: Vec::new(), lanes: Vec::new() });
                        band.members.len() - 1
                    });
                    let members = &mut band.members[at];
                    if members.rows.last() != Some(&(row % BAND)) {
                        members.rows.push(row % BAND);
                        members.pixels.push(0);
                    }
                    if let Some(pixels) = members.pixels.last_mut() {
                        *pixels |= 1 << lane;
                    }
                }
            }
        }
        for members in bands.iter_mut().flat_map(|band| &mut band.members) {
            members.lanes = members.pixels.iter().map(|&pixels| Lanes::of(pixels)).collect();
        }
        let valid_lanes = valid.iter().map(|&valid| Lanes::of(valid)).collect();
        let (detectors, second_moments, statistics) = (set.detectors, set.second_moments, set.statistics);
        Self { shape: set.shape, detectors, second_moments, statistics, valid, valid_lanes, classes, bands }
    }

    fn width(&self) -> usize {
        self.detectors + if self.second_moments { 6 } else { 3 }
    }

    fn chunks_of_row(&self) -> usize {
        self.shape[1].div_ceil(CHUNK)
    }
}

/// The sums of each frame and the sums of the frames.
pub(super) fn virtual_detectors(frames: &CpuFrames, set: &CpuDetectorSet) -> BlockSums {
    with_pixel!(frames.stack.dtype, P => block::<P>(frames, set))
}

/// The sums of each frame; the sums of the frames are added to `pixels`. On the calling thread alone.
pub(super) fn add_virtual_detectors(frames: &CpuFrames, set: &CpuDetectorSet, pixels: &mut CpuPixelSums) -> Totals {
    macro_rules! add {
        ($P:ty, $kind:ident) => {{
            if !matches!(pixels.0, Sums::$kind(_)) {
                pixels.0 = Sums::$kind(Pixels::new(set));
            }
            let mut sums = vec![Default::default(); frames.len() * set.width()];
            if let Sums::$kind(pixels) = &mut pixels.0 {
                add::<$P>(frames, 0, set, pixels, &mut sums);
            }
            Sum::totals(sums)
        }};
    }
    match frames.stack.dtype {
        SampleType::U8 => add!(u8, U8),
        SampleType::U16 => add!(u16, U16),
        SampleType::U32 => add!(u32, U32),
        SampleType::F32 => add!(f32, F32),
    }
}

/// Sums of frames, pixel by pixel, that blocks are added to.
#[derive(Default)]
pub struct CpuPixelSums(Sums);

#[derive(Default)]
enum Sums {
    #[default]
    None,
    U8(Pixels<u8>),
    U16(Pixels<u16>),
    U32(Pixels<u32>),
    F32(Pixels<f32>),
}

impl CpuPixelSums {
    /// The sums, as those of a block without frames of its own; `None` where nothing was added.
    pub(super) fn finish(self, set: &CpuDetectorSet) -> Option<BlockSums> {
        match self.0 {
            Sums::None => None,
            Sums::U8(pixels) => Some(pixels_of(set, vec![pixels])),
            Sums::U16(pixels) => Some(pixels_of(set, vec![pixels])),
            Sums::U32(pixels) => Some(pixels_of(set, vec![pixels])),
            Sums::F32(pixels) => Some(pixels_of(set, vec![pixels])),
        }
    }
}

/// The whole kernel for pixels of type `P`.
fn block<P: Summed>(frames: &CpuFrames, set: &CpuDetectorSet) -> BlockSums {
    let width = set.width();
    let mut sums = vec![P::Sum::default(); frames.len() * width];
    let groups: Vec<Pixels<P>> = sums
        .par_chunks_mut(GROUP * width)
        .enumerate()
        .map(|(g, sums)| {
            let mut pixels = Pixels::new(set);
            add::<P>(frames, g * GROUP, set, &mut pixels, sums);
            pixels
        })
        .collect();
    BlockSums { frames: P::Sum::totals(sums), ..pixels_of(set, groups) }
}

/// Adds the frames from place `first`, as many as `sums` has room for.
fn add<P: Summed>(frames: &CpuFrames, first: usize, set: &CpuDetectorSet, pixels: &mut Pixels<P>, sums: &mut [P::Sum]) {
    Arch::new().dispatch(Add { frames, first, set, pixels, sums });
}

struct Add<'a, P: Summed> {
    frames: &'a CpuFrames,
    first: usize,
    set: &'a CpuDetectorSet,
    pixels: &'a mut Pixels<P>,
    sums: &'a mut [P::Sum],
}

impl<P: Summed> WithSimd for Add<'_, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { frames, first, set, pixels, sums } = self;
        let width = set.width();
        let mut work = pixels.work.take().unwrap_or_else(|| Work::new(set));
        let mut at = first;
        for sums in sums.chunks_mut(TOGETHER * width) {
            if sums.len() == TOGETHER * width {
                pixels.make_room(TOGETHER, set);
                let mut together: [&[u8]; TOGETHER] = [&[]; TOGETHER];
                for (k, frame) in together.iter_mut().enumerate() {
                    *frame = frames.frame(at + k);
                }
                work.sum_frames(simd, together, set, pixels, sums);
            } else {
                for (k, sums) in sums.chunks_mut(width).enumerate() {
                    pixels.make_room(1, set);
                    work.sum_frames(simd, [frames.frame(at + k)], set, pixels, sums);
                }
            }
            at += TOGETHER;
        }
        pixels.work = Some(work);
    }
}

/// The sums of groups of frames, added up in their order.
fn pixels_of<P: Summed>(set: &CpuDetectorSet, mut groups: Vec<Pixels<P>>) -> BlockSums {
    let count = set.shape[0] * set.shape[1];
    let mut pattern = vec![P::Sum::default(); count];
    let mut statistics = set.statistics.then(|| (vec![P::Sum::default(); count], vec![P::default(); count]));
    for (g, group) in groups.iter_mut().enumerate() {
        group.finish(set);
        pattern.iter_mut().zip(&group.pattern).for_each(|(total, &part)| *total += P::widen(part));
        pattern.iter_mut().zip(&group.wide).for_each(|(total, &part)| *total += part);
        if let Some((squares, maxima)) = &mut statistics {
            squares.iter_mut().zip(&group.squares).for_each(|(total, &part)| *total += part);
            maxima.iter_mut().zip(&group.maxima).for_each(|(most, &part)| *most = if g == 0 || part > *most { part } else { *most });
        }
    }
    let statistics = statistics.map(|(squares, maxima)| PixelStatistics {
        squares: P::Sum::totals(squares),
        maxima: P::Sum::totals(maxima.into_iter().map(P::Sum::of_pixel).collect()),
    });
    BlockSums { frames: P::Sum::totals(Vec::new()), pattern: P::Sum::totals(pattern), statistics }
}

/// A pixel type with the types its sums are made in.
trait Summed: Pixel + Default + PartialOrd {
    type Sum: Sum;
    /// A type that holds the sum of 65536 pixels exactly (or in floating point).
    type Partial: Copy + Default + From<u16> + Send + Sync + std::ops::AddAssign + std::ops::Add<Output = Self::Partial>;
    /// Are its values whole numbers, so that they may be small counts?
    const COUNTS: bool;
    /// A chunk in 16 bits; what does not fit becomes the largest number of 16 bits.
    fn counts<S: Simd>(chunk: &[Self; CHUNK], lanes: &mut Lanes);
    /// A pixel with a small count.
    fn of_count(count: u16) -> Self;
    fn partial(self) -> Self::Partial;
    fn widen(partial: Self::Partial) -> Self::Sum;
    fn square(self) -> Self::Sum;
    /// The pixel, or nothing.
    fn where_set(self, set: bool) -> Self {
        if set { self } else { Self::default() }
    }
}

macro_rules! summed {
    ($pixel:ty, counts: $counts:expr, |$chunk:ident, $lanes:ident| $copy:expr, $partial:ty, $sum:ty, |$p:ident| $square:expr) => {
        impl Summed for $pixel {
            type Sum = $sum;
            type Partial = $partial;
            const COUNTS: bool = $counts;
            #[inline(always)]
            fn counts<S: Simd>($chunk: &[Self; CHUNK], $lanes: &mut Lanes) {
                $copy
            }
            #[inline(always)]
            fn of_count(count: u16) -> Self {
                count as $pixel
            }
            #[inline(always)]
            fn partial(self) -> $partial {
                <$partial>::from(self)
            }
            #[inline(always)]
            fn widen(partial: $partial) -> $sum {
                <$sum>::from(partial)
            }
            #[inline(always)]
            fn square(self) -> $sum {
                let $p = self;
                <$sum>::from($square)
            }
        }
    };
}
summed!(u8, counts: true, |chunk, lanes| each_lane(chunk, lanes, u16::from), u32, u64, |p| u32::from(p) * u32::from(p));
summed!(u16, counts: true, |chunk, lanes| lanes.copy::<S>(chunk), u32, u64, |p| u32::from(p) * u32::from(p));
summed!(u32, counts: true, |chunk, lanes| each_lane(chunk, lanes, |p| p.min(0xffff) as u16), u64, u64, |p| u64::from(p) * u64::from(p));
summed!(f32, counts: false, |chunk, lanes| each_lane(chunk, lanes, |p| p as u16), f64, f64, |p| f64::from(p) * f64::from(p));

#[inline(always)]
fn each_lane<P: Copy>(chunk: &[P; CHUNK], lanes: &mut Lanes, of: impl Fn(P) -> u16) {
    for l in 0..CHUNK {
        lanes.0[l] = of(chunk[l]);
    }
}

/// The type of a finished sum.
trait Sum:
    Copy
    + Default
    + From<u32>
    + Send
    + Sync
    + std::ops::AddAssign
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
{
    fn index(i: usize) -> Self;
    fn of_pixel<P: Pixel>(pixel: P) -> Self;
    fn totals(sums: Vec<Self>) -> Totals;
}

impl Sum for u64 {
    fn index(i: usize) -> Self {
        i as u64
    }
    fn of_pixel<P: Pixel>(pixel: P) -> Self {
        // Pixels whose sums are integers are integers below 2³².
        pixel.real::<f64>() as u64
    }
    fn totals(sums: Vec<Self>) -> Totals {
        Totals::Integer(sums)
    }
}

impl Sum for f64 {
    fn index(i: usize) -> Self {
        i as f64
    }
    fn of_pixel<P: Pixel>(pixel: P) -> Self {
        pixel.real()
    }
    fn totals(sums: Vec<Self>) -> Totals {
        Totals::Float(sums)
    }
}

/// What frames come to, pixel by pixel.
struct Pixels<P: Summed> {
    pattern: Vec<P::Partial>,
    /// What was widened of the pattern, if anything was.
    wide: Vec<P::Sum>,
    /// Frames added since.
    frames: usize,
    squares: Vec<P::Sum>,
    maxima: Vec<P>,
    /// Has a frame been looked at?
    begun: bool,
    /// What small counts came to since it was last added to the others.
    small: SmallPixels,
    /// Room to work in, kept from block to block.
    work: Option<Work<P>>,
}

impl<P: Summed> Pixels<P> {
    fn new(set: &CpuDetectorSet) -> Self {
        let count = set.shape[0] * set.shape[1];
        let statistics = if set.statistics { count } else { 0 };
        Self {
            pattern: vec![P::Partial::default(); count],
            wide: Vec::new(),
            frames: 0,
            squares: vec![P::Sum::default(); statistics],
            maxima: vec![P::default(); statistics],
            begun: false,
            small: SmallPixels::new(set, P::COUNTS),
            work: None,
        }
    }

    /// Makes room for so many more frames in the narrow sums.
    #[inline(always)]
    fn make_room(&mut self, frames: usize, set: &CpuDetectorSet) {
        if self.frames + frames > NARROW {
            self.wide.resize(self.pattern.len(), P::Sum::default());
            for (wide, part) in self.wide.iter_mut().zip(&mut self.pattern) {
                *wide += P::widen(std::mem::take(part));
            }
            self.frames = 0;
        }
        self.frames += frames;
        let [ny, nx] = set.shape;
        let Self { small, pattern, squares, .. } = self;
        small.make_room(
            frames,
            ny,
            |c, y, sums| add_counts::<P>(pattern, nx, c, y, sums),
            |c, y, sums| add_squares::<P>(squares, nx, c, y, sums),
        );
    }

    /// Adds what small counts came to.
    fn finish(&mut self, set: &CpuDetectorSet) {
        let [ny, nx] = set.shape;
        let Self { small, pattern, squares, maxima, .. } = self;
        small.finish(
            ny,
            |c, y, sums| add_counts::<P>(pattern, nx, c, y, sums),
            |c, y, sums| add_squares::<P>(squares, nx, c, y, sums),
            |c, y, counts| {
                for (most, &count) in maxima[y * nx + c * CHUNK..].iter_mut().zip(counts).take(nx - c * CHUNK) {
                    let value = P::of_count(count);
                    *most = if value > *most { value } else { *most };
                }
            },
        );
    }
}

#[inline(always)]
fn add_counts<P: Summed>(pattern: &mut [P::Partial], nx: usize, c: usize, y: usize, sums: &[u16; CHUNK]) {
    pattern[y * nx + c * CHUNK..].iter_mut().zip(sums).take(nx - c * CHUNK).for_each(|(total, &sum)| *total += P::Partial::from(sum));
}

#[inline(always)]
fn add_squares<P: Summed>(squares: &mut [P::Sum], nx: usize, c: usize, y: usize, sums: &[u32; CHUNK]) {
    squares[y * nx + c * CHUNK..].iter_mut().zip(sums).take(nx - c * CHUNK).for_each(|(total, &sum)| *total += P::Sum::from(sum));
}
