//! Kernel `virtual_detectors`: each frame's sums over all detectors, its moments, and the sums of the frames, in one pass.
//!
//! Frames are taken a few at a time and pixels in chunks of a row, down the columns of chunks, so that what is summed along a column stays in registers and the sums of
//! frames are loaded and stored once for all the frames taken together. Then each detector class gathers its chunks. Every sum runs in [`CHUNK`] lanes that are added up in
//! a fixed order at the end: vectors of any width give the same result.

#![allow(clippy::needless_range_loop, reason = "loops over lanes of several arrays at once are what the compiler vectorises")]

use pulp::Arch;
use rayon::prelude::*;

use super::CpuFrames;
use super::pixel::{Pixel, with_pixel};
use crate::compute::{BlockSums, DetectorSet, PixelStatistics, SampleType, Totals};

/// Frames that one task sums; float sums are grouped by it, so it is part of the result.
const GROUP: usize = 64;
/// Pixels of a row that are taken together.
const CHUNK: usize = 32;
/// Frames that are taken together.
const TOGETHER: usize = 4;
/// Rows that are summed twice over in 32 bits (65535·256·257/2 < 2³²) before sums are widened.
const BAND: usize = 256;
/// So many of the largest u16 are summed in 32 bits before they are widened.
const NARROW: usize = 1 << 16;

/// A [`DetectorSet`] as classes of pixels, those of a class belonging to the same detectors.
#[derive(Debug)]
pub struct CpuDetectorSet {
    shape: [usize; 2],
    detectors: usize,
    second_moments: bool,
    statistics: bool,
    /// Which pixels of each chunk count, row by row.
    valid: Vec<u32>,
    classes: Vec<Class>,
}

#[derive(Debug)]
struct Class {
    /// A bit for each detector that its pixels belong to.
    detectors: u64,
    parts: Vec<Part>,
}

/// Pixels of a chunk that belong to one class.
#[derive(Debug)]
struct Part {
    row: usize,
    chunk: usize,
    pixels: u32,
}

impl CpuDetectorSet {
    pub(super) fn new(set: &DetectorSet) -> Self {
        let nx = set.shape[1];
        let (mut valid, mut classes) = (Vec::new(), Vec::<Class>::new());
        let mut class_of = std::collections::HashMap::new();
        for (row, bits) in set.bits.chunks(nx.max(1)).enumerate() {
            for (chunk, bits) in bits.chunks(CHUNK).enumerate() {
                let mut counts = 0;
                for (lane, &bits) in bits.iter().enumerate() {
                    if bits & DetectorSet::VALID != 0 {
                        counts |= 1 << lane;
                    }
                    let detectors = bits & !DetectorSet::VALID;
                    if detectors == 0 {
                        continue;
                    }
                    let class = *class_of.entry(detectors).or_insert_with(|| {
                        classes.push(Class { detectors, parts: Vec::new() });
                        classes.len() - 1
                    });
                    match classes[class].parts.last_mut() {
                        Some(part) if (part.row, part.chunk) == (row, chunk) => part.pixels |= 1 << lane,
                        _ => classes[class].parts.push(Part { row, chunk, pixels: 1 << lane }),
                    }
                }
                valid.push(counts);
            }
        }
        let (detectors, second_moments, statistics) = (set.detectors, set.second_moments, set.statistics);
        Self { shape: set.shape, detectors, second_moments, statistics, valid, classes }
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
    let width = set.width();
    pixels.widen_before(sums.len() / width);
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            // Moved, so that the closure can be called but once and is inlined whole: a shim around it would not be vectorised.
            let (pixels, sums) = (pixels, sums);
            let mut work = Work::new(set);
            let mut at = first;
            for sums in sums.chunks_mut(TOGETHER * width) {
                if sums.len() == TOGETHER * width {
                    let mut together: [&[u8]; TOGETHER] = [&[]; TOGETHER];
                    for (k, frame) in together.iter_mut().enumerate() {
                        *frame = frames.frame(at + k);
                    }
                    work.sum_frames(together, set, pixels, sums);
                } else {
                    for (k, sums) in sums.chunks_mut(width).enumerate() {
                        work.sum_frames([frames.frame(at + k)], set, pixels, sums);
                    }
                }
                at += TOGETHER;
            }
        },
    );
}

/// The sums of groups of frames, added up in their order.
fn pixels_of<P: Summed>(set: &CpuDetectorSet, groups: Vec<Pixels<P>>) -> BlockSums {
    let count = set.shape[0] * set.shape[1];
    let mut pattern = vec![P::Sum::default(); count];
    let mut statistics = set.statistics.then(|| (vec![P::Sum::default(); count], vec![P::default(); count]));
    for (g, group) in groups.iter().enumerate() {
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
    type Partial: Copy + Default + Send + Sync + std::ops::AddAssign + std::ops::Add<Output = Self::Partial>;
    fn partial(self) -> Self::Partial;
    fn widen(partial: Self::Partial) -> Self::Sum;
    fn square(self) -> Self::Sum;
    /// The pixel, or nothing.
    fn where_set(self, set: bool) -> Self {
        if set { self } else { Self::default() }
    }
}

macro_rules! summed {
    ($pixel:ty, $partial:ty, $sum:ty, |$p:ident| $square:expr) => {
        impl Summed for $pixel {
            type Sum = $sum;
            type Partial = $partial;
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
summed!(u8, u32, u64, |p| u32::from(p) * u32::from(p));
summed!(u16, u32, u64, |p| u32::from(p) * u32::from(p));
summed!(u32, u64, u64, |p| u64::from(p) * u64::from(p));
summed!(f32, f64, f64, |p| f64::from(p) * f64::from(p));

/// The type of a finished sum.
trait Sum:
    Copy
    + Default
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
        }
    }

    /// Makes room for so many more frames in the narrow sums.
    fn widen_before(&mut self, frames: usize) {
        if self.frames + frames > NARROW {
            self.wide.resize(self.pattern.len(), P::Sum::default());
            for (wide, part) in self.wide.iter_mut().zip(&mut self.pattern) {
                *wide += P::widen(std::mem::take(part));
            }
            self.frames = 0;
        }
        self.frames += frames;
    }
}

/// The sums of the frames that are taken together.
struct Work<P: Summed> {
    /// (frame, column).
    columns: Vec<P::Sum>,
}

impl<P: Summed> Work<P> {
    fn new(set: &CpuDetectorSet) -> Self {
        Self { columns: vec![P::Sum::default(); TOGETHER * set.chunks_of_row() * CHUNK] }
    }

    /// `F` frames: their sums over `set`'s detectors and moments into `sums`, (frame, sum); their pixels added to `pixels`.
    #[inline(always)]
    fn sum_frames<const F: usize>(&mut self, bytes: [&[u8]; F], set: &CpuDetectorSet, pixels: &mut Pixels<P>, sums: &mut [P::Sum]) {
        let (width, first) = (set.width(), set.detectors);
        let mut frames: [&[P]; F] = [&[]; F];
        for f in 0..F {
            frames[f] = bytemuck::cast_slice(bytes[f]);
        }
        let stride = frames[0].len() / set.shape[0].max(1);
        let padded = set.chunks_of_row() * CHUNK;
        self.columns[..F * padded].fill(P::Sum::default());
        sums.fill(P::Sum::default());
        for c in 0..set.chunks_of_row() {
            for top in (0..set.shape[0]).step_by(BAND) {
                let band = sum_column::<P, F>(frames, set, c, top, pixels);
                for f in 0..F {
                    let columns = &mut self.columns[f * padded + c * CHUNK..][..CHUNK];
                    let (mut once, mut over) = (P::Sum::default(), P::Sum::default());
                    for l in 0..CHUNK {
                        let sum = P::widen(band.once[f][l]);
                        columns[l] += sum;
                        once += sum;
                        over += P::widen(band.over[f][l]);
                    }
                    sums[f * width + first] += once;
                    // Row y of the band was added to `over` as often as there are rows from it to the band's end.
                    sums[f * width + first + 1] += once * P::Sum::index(top + band.rows) - over;
                }
            }
        }
        for class in &set.classes {
            let totals = sum_class(frames, stride, &class.parts);
            for (f, total) in totals.into_iter().enumerate() {
                for (d, sum) in sums[f * width..][..set.detectors].iter_mut().enumerate() {
                    if class.detectors >> d & 1 != 0 {
                        *sum += total;
                    }
                }
            }
        }
        for f in 0..F {
            let sums = &mut sums[f * width + first..];
            for (x, &column) in self.columns[f * padded..].iter().take(set.shape[1]).enumerate() {
                sums[2] += column * P::Sum::index(x);
                if set.second_moments {
                    sums[4] += column * P::Sum::index(x * x);
                }
            }
            if set.second_moments {
                for y in 0..set.shape[0] {
                    let [sum, moment] = moments_of_row(&frames[f][y * stride..][..set.shape[1]], &set.valid[y * set.chunks_of_row()..]);
                    sums[3] += sum * P::Sum::index(y * y);
                    sums[5] += moment * P::Sum::index(y);
                }
            }
        }
        pixels.begun = true;
    }
}

/// What a band of rows of a column of chunks comes to, (frame, lane).
struct Band<P: Summed, const F: usize> {
    rows: usize,
    once: [[P::Partial; CHUNK]; F],
    /// Row y of R rows, R − y times.
    over: [[P::Partial; CHUNK]; F],
}

/// Sums the counting pixels of chunk `c` of the rows from `top`, up to [`BAND`] of them, and adds them to `pixels`.
#[inline(always)]
fn sum_column<P: Summed, const F: usize>(
    frames: [&[P]; F],
    set: &CpuDetectorSet,
    c: usize,
    top: usize,
    pixels: &mut Pixels<P>,
) -> Band<P, F> {
    let [ny, nx] = set.shape;
    let (rows, stride) = (BAND.min(ny - top), frames[0].len() / ny);
    let none = [[P::Partial::default(); CHUNK]; F];
    let (mut once, mut over) = (none, none);
    let nothing = [P::default(); CHUNK];
    for y in top..top + rows {
        let valid = set.valid[y * set.chunks_of_row() + c];
        let (from, place) = (y * stride + c * CHUNK, y * nx + c * CHUNK);
        let mut values = [&nothing; F];
        let mut short = [[P::default(); CHUNK]; F];
        for ((values, frame), short) in values.iter_mut().zip(frames).zip(&mut short) {
            *values = chunk_at(frame, from, short);
        }
        if valid != u32::MAX {
            let mut counting = [[P::default(); CHUNK]; F];
            for f in 0..F {
                for l in 0..CHUNK {
                    counting[f][l] = values[f][l].where_set(valid >> l & 1 != 0);
                }
            }
            let mut values = [&nothing; F];
            for f in 0..F {
                values[f] = &counting[f];
            }
            add_row(values, &mut once, &mut over, set, place, CHUNK.min(nx - c * CHUNK), pixels);
        } else {
            add_row(values, &mut once, &mut over, set, place, CHUNK, pixels);
        }
    }
    Band { rows, once, over }
}

/// Adds a chunk of each frame to the band's sums and to the `len` pixels from `place`.
#[inline(always)]
fn add_row<P: Summed, const F: usize>(
    values: [&[P; CHUNK]; F],
    once: &mut [[P::Partial; CHUNK]; F],
    over: &mut [[P::Partial; CHUNK]; F],
    set: &CpuDetectorSet,
    place: usize,
    len: usize,
    pixels: &mut Pixels<P>,
) {
    let mut together = [P::Partial::default(); CHUNK];
    for f in 0..F {
        for l in 0..CHUNK {
            let value = values[f][l].partial();
            together[l] += value;
            once[f][l] += value;
            over[f][l] += once[f][l];
        }
    }
    let pattern = &mut pixels.pattern[place..];
    match pattern.first_chunk_mut::<CHUNK>() {
        // Beyond the row's end there is nothing to add.
        Some(pattern) => {
            for l in 0..CHUNK {
                pattern[l] += together[l];
            }
        }
        None => pattern.iter_mut().zip(together).for_each(|(total, value)| *total += value),
    }
    if set.statistics {
        let mut squares = [P::Sum::default(); CHUNK];
        let mut most = *values[0];
        for f in 0..F {
            for l in 0..CHUNK {
                squares[l] += values[f][l].square();
                most[l] = if values[f][l] > most[l] { values[f][l] } else { most[l] };
            }
        }
        pixels.squares[place..place + len].iter_mut().zip(squares).for_each(|(total, square)| *total += square);
        let begun = pixels.begun;
        for (maximum, value) in pixels.maxima[place..place + len].iter_mut().zip(most) {
            *maximum = if !begun || value > *maximum { value } else { *maximum };
        }
    }
}

/// The sum of a class's pixels of each frame.
#[inline(always)]
fn sum_class<P: Summed, const F: usize>(frames: [&[P]; F], stride: usize, parts: &[Part]) -> [P::Sum; F] {
    let mut totals = [P::Sum::default(); F];
    let nothing = [P::default(); CHUNK];
    for parts in parts.chunks(NARROW) {
        let mut lanes = [[P::Partial::default(); CHUNK]; F];
        for part in parts {
            let at = part.row * stride + part.chunk * CHUNK;
            let mut values = [&nothing; F];
            let mut short = [[P::default(); CHUNK]; F];
            for ((values, frame), short) in values.iter_mut().zip(frames).zip(&mut short) {
                *values = chunk_at(frame, at, short);
            }
            for f in 0..F {
                for l in 0..CHUNK {
                    lanes[f][l] += values[f][l].where_set(part.pixels >> l & 1 != 0).partial();
                }
            }
        }
        for f in 0..F {
            totals[f] += added::<P>(&lanes[f]);
        }
    }
    totals
}

/// The chunk of pixels from `at`, which may reach into the next row; in `short`, with nothing at its end, where the frame ends before.
#[inline(always)]
fn chunk_at<'a, P: Summed>(frame: &'a [P], at: usize, short: &'a mut [P; CHUNK]) -> &'a [P; CHUNK] {
    let pixels = &frame[at..];
    match pixels.first_chunk() {
        Some(whole) => whole,
        None => {
            short[..pixels.len()].copy_from_slice(pixels);
            short
        }
    }
}

/// The sum of all lanes.
#[inline(always)]
fn added<P: Summed>(lanes: &[P::Partial; CHUNK]) -> P::Sum {
    lanes.iter().fold(P::Sum::default(), |sum, &lane| sum + P::widen(lane))
}

/// Σ I and Σ I·x over the counting pixels of a row.
#[inline(always)]
fn moments_of_row<P: Summed>(row: &[P], valid: &[u32]) -> [P::Sum; 2] {
    let mut lanes = [[P::Sum::default(); CHUNK]; 2];
    for (c, (pixels, &valid)) in row.chunks(CHUNK).zip(valid).enumerate() {
        for (l, &pixel) in pixels.iter().enumerate() {
            let value = P::widen(pixel.where_set(valid >> l & 1 != 0).partial());
            lanes[0][l] += value;
            lanes[1][l] += value * P::Sum::index(c * CHUNK + l);
        }
    }
    let mut sums = [P::Sum::default(); 2];
    for k in 0..2 {
        for l in 0..CHUNK {
            sums[k] += lanes[k][l];
        }
    }
    sums
}
