//! Kernel `virtual_detectors`: each frame's sums over all detectors, its moments, and the sums of the frames, in one pass.
//!
//! Pixels are taken in chunks of a row, several frames at a time. Every sum runs in [`CHUNK`] lanes that are added up in a fixed order at the end, so that
//! vectors of any width give the same result; the pixels' own sums are loaded and stored once for all the frames taken together.

use pulp::Arch;
use rayon::prelude::*;

use super::CpuFrames;
use super::pixel::{Pixel, row, with_pixel};
use crate::compute::{BlockSums, DetectorSet, PixelStatistics, Totals};

/// Frames that one task sums; float sums are grouped by it, so it is part of the result.
const GROUP: usize = 64;
/// Pixels of a row that are taken together.
const CHUNK: usize = 32;
/// Frames that are taken together.
const TOGETHER: usize = 4;
/// So many chunks of the largest u16 are summed in 32 bits before they are widened.
const NARROW_CHUNKS: usize = 1 << 16;

/// A [`DetectorSet`] as chunks of rows and their parts, each part's pixels belonging to the same detectors.
#[derive(Debug)]
pub struct CpuDetectorSet {
    shape: [usize; 2],
    detectors: usize,
    second_moments: bool,
    statistics: bool,
    /// Which pixels of each chunk count, row by row.
    valid: Vec<u32>,
    /// Chunk c has the parts `chunks[c]..chunks[c + 1]`.
    chunks: Vec<usize>,
    parts: Vec<Part>,
    /// Which detectors each class of pixels belongs to.
    classes: Vec<u64>,
}

/// Pixels of a chunk that belong to one class.
#[derive(Debug)]
struct Part {
    class: usize,
    pixels: u32,
}

impl CpuDetectorSet {
    pub(super) fn new(set: &DetectorSet) -> Self {
        let nx = set.shape[1];
        let (mut valid, mut chunks, mut parts) = (Vec::new(), vec![0], Vec::<Part>::new());
        let mut classes = Vec::new();
        let mut class_of = std::collections::HashMap::new();
        for chunk in set.bits.chunks(nx.max(1)).flat_map(|row| row.chunks(CHUNK)) {
            let mut counts = 0;
            let first = parts.len();
            for (lane, &bits) in chunk.iter().enumerate() {
                if bits & DetectorSet::VALID != 0 {
                    counts |= 1 << lane;
                }
                let detectors = bits & !DetectorSet::VALID;
                if detectors == 0 {
                    continue;
                }
                let class = *class_of.entry(detectors).or_insert_with(|| {
                    classes.push(detectors);
                    classes.len() - 1
                });
                match parts[first..].iter_mut().find(|part| part.class == class) {
                    Some(part) => part.pixels |= 1 << lane,
                    None => parts.push(Part { class, pixels: 1 << lane }),
                }
            }
            valid.push(counts);
            chunks.push(parts.len());
        }
        let (detectors, second_moments, statistics) = (set.detectors, set.second_moments, set.statistics);
        Self { shape: set.shape, detectors, second_moments, statistics, valid, chunks, parts, classes }
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
    with_pixel!(frames.stack.dtype, P => <P as Summed>::Sum::block::<P>(frames, set))
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
trait Sum: Copy + Default + Send + Sync + std::ops::AddAssign + std::ops::Add<Output = Self> + std::ops::Mul<Output = Self> {
    fn index(i: usize) -> Self;
    fn of_pixel<P: Pixel>(pixel: P) -> Self;
    fn totals(sums: Vec<Self>) -> Totals;

    /// The whole kernel for pixels of type `P`.
    fn block<P: Summed<Sum = Self>>(frames: &CpuFrames, set: &CpuDetectorSet) -> BlockSums {
        let width = set.width();
        let mut sums = vec![Self::default(); frames.len() * width];
        let groups: Vec<Pixels<P>> = sums
            .par_chunks_mut(GROUP * width)
            .enumerate()
            .map(|(g, sums)| {
                let mut pixels = Pixels::new(set);
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        let mut work = Work::new(set);
                        let mut at = g * GROUP;
                        for sums in sums.chunks_mut(TOGETHER * width) {
                            match sums.len() / width {
                                TOGETHER => work.sum_frames::<TOGETHER>(std::array::from_fn(|k| frames.frame(at + k)), set, &mut pixels, sums),
                                few => {
                                    for (k, sums) in (0..few).zip(sums.chunks_mut(width)) {
                                        work.sum_frames::<1>([frames.frame(at + k)], set, &mut pixels, sums);
                                    }
                                }
                            }
                            at += TOGETHER;
                        }
                    },
                );
                pixels
            })
            .collect();
        let count = set.shape[0] * set.shape[1];
        let mut pattern = vec![Self::default(); count];
        let mut statistics = set.statistics.then(|| (vec![Self::default(); count], vec![P::default(); count]));
        for (g, group) in groups.iter().enumerate() {
            pattern.iter_mut().zip(&group.pattern).for_each(|(total, &part)| *total += P::widen(part));
            if let Some((squares, maxima)) = &mut statistics {
                squares.iter_mut().zip(&group.squares).for_each(|(total, &part)| *total += part);
                maxima.iter_mut().zip(&group.maxima).for_each(|(most, &part)| *most = if g == 0 || part > *most { part } else { *most });
            }
        }
        let statistics = statistics.map(|(squares, maxima)| PixelStatistics {
            squares: Self::totals(squares),
            maxima: Self::totals(maxima.into_iter().map(Self::of_pixel).collect()),
        });
        BlockSums { frames: Self::totals(sums), pattern: Self::totals(pattern), statistics }
    }
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

/// What a group's frames come to, pixel by pixel.
struct Pixels<P: Summed> {
    pattern: Vec<P::Partial>,
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
            squares: vec![P::Sum::default(); statistics],
            maxima: vec![P::default(); statistics],
            begun: false,
        }
    }
}

/// The sums of the frames that are taken together.
struct Work<P: Summed> {
    /// (frame, class): sums in lanes, and what was widened of them.
    lanes: Vec<[P::Partial; CHUNK]>,
    classes: Vec<P::Sum>,
    /// (frame, chunk of a row).
    columns: Vec<[P::Partial; CHUNK]>,
    column_sums: Vec<P::Sum>,
}

impl<P: Summed> Work<P> {
    fn new(set: &CpuDetectorSet) -> Self {
        let none = [P::Partial::default(); CHUNK];
        Self {
            lanes: vec![none; TOGETHER * set.classes.len()],
            classes: vec![P::Sum::default(); TOGETHER * set.classes.len()],
            columns: vec![none; TOGETHER * set.chunks_of_row()],
            column_sums: vec![P::Sum::default(); TOGETHER * set.chunks_of_row() * CHUNK],
        }
    }

    /// `F` frames: their sums over `set`'s detectors and moments into `sums`, (frame, sum); their pixels added to `pixels`.
    #[inline(always)]
    fn sum_frames<const F: usize>(&mut self, frames: [&[u8]; F], set: &CpuDetectorSet, pixels: &mut Pixels<P>, sums: &mut [P::Sum]) {
        let [ny, nx] = set.shape;
        let (chunks, classes, width) = (set.chunks_of_row(), set.classes.len(), set.width());
        self.classes[..F * classes].fill(P::Sum::default());
        self.column_sums[..F * chunks * CHUNK].fill(P::Sum::default());
        // Σ I, Σ I·y, Σ I·y² and Σ I·y·x.
        let mut moments = [[P::Sum::default(); 4]; F];
        let band = (NARROW_CHUNKS / chunks.max(1)).max(1);
        for first in (0..ny).step_by(band) {
            self.lanes[..F * classes].fill([P::Partial::default(); CHUNK]);
            self.columns[..F * chunks].fill([P::Partial::default(); CHUNK]);
            for y in first..(first + band).min(ny) {
                let rows: [&[P]; F] = frames.map(|frame| row::<P>(frame, set.shape, y));
                let mut row_sums = [[P::Partial::default(); CHUNK]; F];
                for c in 0..chunks {
                    let start = c * CHUNK;
                    let len = CHUNK.min(nx - start);
                    let values: [[P; CHUNK]; F] = rows.map(|row| chunk(&row[start..start + len]));
                    let at = y * chunks + c;
                    self.sum_parts(&values, &set.parts[set.chunks[at]..set.chunks[at + 1]], classes);
                    let place = y * nx + start..y * nx + start + len;
                    self.sum_pixels(values, set, at, c, place, pixels, &mut row_sums);
                }
                for (moments, sums) in moments.iter_mut().zip(&row_sums) {
                    let sum = added::<P>(sums);
                    moments[0] += sum;
                    moments[1] += sum * P::Sum::index(y);
                    if set.second_moments {
                        moments[2] += sum * P::Sum::index(y * y);
                    }
                }
                if set.second_moments {
                    for (moments, row) in moments.iter_mut().zip(&rows) {
                        moments[3] += first_moment(row, &set.valid[y * chunks..(y + 1) * chunks]) * P::Sum::index(y);
                    }
                }
            }
            for (total, lanes) in self.classes[..F * classes].iter_mut().zip(&self.lanes) {
                *total += added::<P>(lanes);
            }
            for (total, &column) in self.column_sums[..F * chunks * CHUNK].iter_mut().zip(self.columns.as_flattened()) {
                *total += P::widen(column);
            }
        }
        pixels.begun = true;
        for (f, sums) in sums.chunks_exact_mut(width).enumerate() {
            let totals = &self.classes[f * classes..(f + 1) * classes];
            for (d, sum) in sums[..set.detectors].iter_mut().enumerate() {
                let members = set.classes.iter().zip(totals).filter(|(class, _)| *class >> d & 1 != 0);
                *sum = members.fold(P::Sum::default(), |sum, (_, &total)| sum + total);
            }
            let columns = self.column_sums[f * chunks * CHUNK..].iter().take(nx).enumerate();
            let along_x = |power: fn(usize) -> usize| columns.clone().fold(P::Sum::default(), |sum, (x, &c)| sum + c * P::Sum::index(power(x)));
            let [total, y, yy, yx] = moments[f];
            sums[set.detectors..set.detectors + 3].copy_from_slice(&[total, y, along_x(|x| x)]);
            if set.second_moments {
                sums[set.detectors + 3..].copy_from_slice(&[yy, along_x(|x| x * x), yx]);
            }
        }
    }

    /// Adds a chunk of each frame to the classes that its parts belong to.
    #[inline(always)]
    fn sum_parts<const F: usize>(&mut self, values: &[[P; CHUNK]; F], parts: &[Part], classes: usize) {
        for part in parts {
            for (f, values) in values.iter().enumerate() {
                let lanes = &mut self.lanes[f * classes + part.class];
                if part.pixels == u32::MAX {
                    for l in 0..CHUNK {
                        lanes[l] += values[l].partial();
                    }
                } else {
                    for l in 0..CHUNK {
                        lanes[l] += values[l].where_set(part.pixels >> l & 1 != 0).partial();
                    }
                }
            }
        }
    }

    /// Adds the counting pixels of a chunk of each frame to its columns and its row, and to the pixels at `place`.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "a part of sum_frames, split for reading")]
    fn sum_pixels<const F: usize>(
        &mut self,
        mut values: [[P; CHUNK]; F],
        set: &CpuDetectorSet,
        at: usize,
        c: usize,
        place: std::ops::Range<usize>,
        pixels: &mut Pixels<P>,
        row_sums: &mut [[P::Partial; CHUNK]; F],
    ) {
        let valid = set.valid[at];
        if valid != u32::MAX {
            for values in &mut values {
                for l in 0..CHUNK {
                    values[l] = values[l].where_set(valid >> l & 1 != 0);
                }
            }
        }
        let chunks = set.chunks_of_row();
        let mut together = [P::Partial::default(); CHUNK];
        for (f, values) in values.iter().enumerate() {
            let (columns, row) = (&mut self.columns[f * chunks + c], &mut row_sums[f]);
            for l in 0..CHUNK {
                let value = values[l].partial();
                together[l] += value;
                columns[l] += value;
                row[l] += value;
            }
        }
        let len = place.len();
        if let Some(pattern) = pixels.pattern[place.clone()].first_chunk_mut::<CHUNK>() {
            for l in 0..CHUNK {
                pattern[l] += together[l];
            }
        } else {
            pixels.pattern[place.clone()].iter_mut().zip(together).for_each(|(total, value)| *total += value);
        }
        if !set.statistics {
            return;
        }
        let mut squares = [P::Sum::default(); CHUNK];
        let mut most = values[0];
        for values in &values {
            for l in 0..CHUNK {
                squares[l] += values[l].square();
                most[l] = if values[l] > most[l] { values[l] } else { most[l] };
            }
        }
        pixels.squares[place.clone()].iter_mut().zip(&squares[..len]).for_each(|(total, &square)| *total += square);
        let begun = pixels.begun;
        for (maximum, &value) in pixels.maxima[place].iter_mut().zip(&most[..len]) {
            *maximum = if !begun || value > *maximum { value } else { *maximum };
        }
    }
}

/// A chunk of a row, with nothing beyond its end.
#[inline(always)]
fn chunk<P: Summed>(pixels: &[P]) -> [P; CHUNK] {
    match pixels.first_chunk::<CHUNK>() {
        Some(whole) => *whole,
        None => {
            let mut padded = [P::default(); CHUNK];
            padded[..pixels.len()].copy_from_slice(pixels);
            padded
        }
    }
}

/// The sum of all lanes.
#[inline(always)]
fn added<P: Summed>(lanes: &[P::Partial; CHUNK]) -> P::Sum {
    lanes.iter().fold(P::Sum::default(), |sum, &lane| sum + P::widen(lane))
}

/// Σ I·x over the counting pixels of a row.
#[inline(always)]
fn first_moment<P: Summed>(row: &[P], valid: &[u32]) -> P::Sum {
    let mut lanes = [P::Sum::default(); CHUNK];
    for (c, (pixels, &valid)) in row.chunks(CHUNK).zip(valid).enumerate() {
        for (l, &pixel) in pixels.iter().enumerate() {
            lanes[l] += P::widen(pixel.where_set(valid >> l & 1 != 0).partial()) * P::Sum::index(c * CHUNK + l);
        }
    }
    lanes.iter().fold(P::Sum::default(), |sum, &lane| sum + lane)
}
