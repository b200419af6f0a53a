//! Sums of small counts, in 16 bits.
//!
//! A band of a column is first copied to [`TOGETHER`]·[`BAND`] aligned chunks of 16 bits, with nothing where a pixel does not count; that tells the largest count as well.

use std::ops::Range;

use pulp::Simd;

use super::together::{BandSums, chunk_at};
use super::{BAND, CHUNK, CpuDetectorSet, Members, Summed, TOGETHER};

/// Rows that are summed in 16 bits before they are widened.
const STRIP: usize = 8;
/// The largest small count: summed over once for each of the rows from it to its strip's end, it stays below 2¹⁶.
const SMALL: u16 = u16::MAX / (STRIP * (STRIP + 1) / 2) as u16;
/// The same where these sums are summed over as well.
const SMALL_TWICE: u16 = u16::MAX / (STRIP * (STRIP + 1) * (STRIP + 2) / 6) as u16;
/// So many frames of small counts are summed in 16 bits.
const FRAMES: usize = (u16::MAX / SMALL) as usize;
/// The largest count whose squares, of [`TOGETHER`] frames, are summed in 16 bits.
const TINY: u16 = 127;
const _: () = assert!(TOGETHER * TINY as usize * TINY as usize <= u16::MAX as usize);
/// So many frames of squares of small counts are summed in 32 bits.
const SQUARED: usize = u32::MAX as usize / (SMALL as usize * SMALL as usize);

/// A chunk in 16 bits.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Lanes(pub(super) [u16; CHUNK]);

impl Lanes {
    pub(super) const NONE: Self = Self([0; CHUNK]);

    /// All bits of each lane whose bit is set, and none of the others.
    pub(super) fn of(bits: u32) -> Self {
        Self(std::array::from_fn(|l| if bits >> l & 1 != 0 { u16::MAX } else { 0 }))
    }

    /// In vectors of `S`, [`vectors`] of them.
    #[inline(always)]
    fn simd<S: Simd>(&self) -> &[S::u16s] {
        S::as_simd_u16s(&self.0).0
    }

    #[inline(always)]
    fn simd_mut<S: Simd>(&mut self) -> &mut [S::u16s] {
        S::as_mut_simd_u16s(&mut self.0).0
    }

    #[inline(always)]
    pub(super) fn copy<S: Simd>(&mut self, chunk: &[u16; CHUNK]) {
        self.simd_mut::<S>().copy_from_slice(S::as_simd_u16s(chunk).0);
    }

    #[inline(always)]
    pub(super) fn sum(&self) -> u32 {
        self.0.iter().map(|&lane| u32::from(lane)).sum()
    }
}

/// The vectors of a chunk.
#[inline(always)]
const fn vectors<S: Simd>() -> usize {
    CHUNK / S::U16_LANES
}

/// What frames of small counts come to, pixel by pixel, each (column of chunks, row).
pub(super) struct SmallPixels {
    pattern: Vec<Lanes>,
    /// Frames in `pattern`.
    frames: usize,
    squares: Vec<[u32; CHUNK]>,
    /// Frames in `squares`.
    squared: usize,
    maxima: Vec<Lanes>,
}

impl SmallPixels {
    pub(super) fn new(set: &CpuDetectorSet, used: bool) -> Self {
        let chunks = if used { set.valid.len() } else { 0 };
        let statistics = if set.statistics { chunks } else { 0 };
        Self {
            pattern: vec![Lanes::NONE; chunks],
            frames: 0,
            squares: vec![[0; CHUNK]; statistics],
            squared: 0,
            maxima: vec![Lanes::NONE; statistics],
        }
    }

    /// Makes room for so many more frames: what there is no more room beside is handed to the functions, chunk by chunk.
    #[inline(always)]
    pub(super) fn make_room(
        &mut self,
        frames: usize,
        ny: usize,
        pattern: impl FnMut(usize, usize, &[u16; CHUNK]),
        squares: impl FnMut(usize, usize, &[u32; CHUNK]),
    ) {
        if self.frames + frames > FRAMES {
            take(&mut self.pattern, ny, Lanes::NONE, |lanes| &lanes.0, pattern);
            self.frames = 0;
        }
        if self.squared + frames > SQUARED {
            take(&mut self.squares, ny, [0; CHUNK], |squares| squares, squares);
            self.squared = 0;
        }
        self.frames += frames;
        self.squared += frames;
    }

    /// Hands out all that there is.
    pub(super) fn finish(
        &mut self,
        ny: usize,
        pattern: impl FnMut(usize, usize, &[u16; CHUNK]),
        squares: impl FnMut(usize, usize, &[u32; CHUNK]),
        maxima: impl FnMut(usize, usize, &[u16; CHUNK]),
    ) {
        take(&mut self.pattern, ny, Lanes::NONE, |lanes| &lanes.0, pattern);
        take(&mut self.squares, ny, [0; CHUNK], |squares| squares, squares);
        take(&mut self.maxima, ny, Lanes::NONE, |lanes| &lanes.0, maxima);
    }
}

/// Hands out the chunks with their columns and rows, and leaves `none`.
#[inline(always)]
fn take<T: Copy, L>(chunks: &mut [T], ny: usize, none: T, lanes: impl Fn(&T) -> &L, mut f: impl FnMut(usize, usize, &L)) {
    for (c, column) in chunks.chunks_mut(ny.max(1)).enumerate() {
        for (y, chunk) in column.iter_mut().enumerate() {
            f(c, y, lanes(chunk));
            *chunk = none;
        }
    }
}

/// The counts of the frames taken together, (frame, row of the band).
pub(super) struct Counts(Vec<Lanes>);

impl Counts {
    pub(super) fn new() -> Self {
        Self(vec![Lanes::NONE; TOGETHER * BAND])
    }

    #[inline(always)]
    fn frame(&self, f: usize, rows: usize) -> &[Lanes] {
        &self.0[f * BAND..][..rows]
    }

    /// Copies the counting pixels of chunk `c` of `rows`; the largest of them, if all are small.
    #[inline(always)]
    pub(super) fn take_in<S: Simd, P: Summed, const F: usize>(
        &mut self,
        simd: S,
        frames: [&[P]; F],
        set: &CpuDetectorSet,
        c: usize,
        rows: Range<usize>,
    ) -> Option<u16> {
        if !P::COUNTS {
            return None;
        }
        let ny = set.shape[0];
        let stride = frames[0].len() / ny;
        let (valid, masks) = (&set.valid[c * ny..][rows.clone()], &set.valid_lanes[c * ny..][rows.clone()]);
        for (frame, counts) in frames.iter().zip(self.0.chunks_exact_mut(BAND)) {
            let mut at = rows.start * stride + c * CHUNK;
            for ((counts, &valid), mask) in counts.iter_mut().zip(valid).zip(masks) {
                match frame[at..].first_chunk() {
                    Some(chunk) => P::counts::<S>(chunk, counts),
                    None => P::counts::<S>(chunk_at(frame, at, &mut [P::default(); CHUNK]), counts),
                }
                at += stride;
                if valid != u32::MAX {
                    for (count, &mask) in counts.simd_mut::<S>().iter_mut().zip(mask.simd::<S>()) {
                        *count = simd.and_u16s(*count, mask);
                    }
                }
            }
        }
        let mut largest = Lanes::NONE;
        for v in 0..vectors::<S>() {
            let mut most = simd.splat_u16s(0);
            for f in 0..F {
                for counts in self.frame(f, rows.len()) {
                    most = simd.max_u16s(most, counts.simd::<S>()[v]);
                }
            }
            largest.simd_mut::<S>()[v] = most;
        }
        let largest = largest.0.into_iter().fold(0, u16::max);
        (largest <= if set.second_moments { SMALL_TWICE } else { SMALL }).then_some(largest)
    }

    /// Sums the band that was taken in, and adds it to `pixels`.
    #[inline(always)]
    pub(super) fn sum_band<S: Simd, P: Summed, const F: usize>(
        &self,
        simd: S,
        set: &CpuDetectorSet,
        c: usize,
        rows: Range<usize>,
        largest: u16,
        pixels: &mut SmallPixels,
    ) -> BandSums<P, F> {
        let place = c * set.shape[0] + rows.start;
        let pattern = &mut pixels.pattern[place..][..rows.len()];
        let band = if set.second_moments { self.sum::<S, F, true>(simd, pattern) } else { self.sum::<S, F, false>(simd, pattern) };
        if set.statistics {
            let (squares, maxima) = (&mut pixels.squares[place..][..rows.len()], &mut pixels.maxima[place..][..rows.len()]);
            self.add_statistics::<S, F>(simd, largest <= TINY, squares, maxima);
        }
        let mut wide = BandSums::none();
        for (wide, narrow) in [(&mut wide.once, &band[0]), (&mut wide.over, &band[1]), (&mut wide.twice, &band[2])] {
            for f in 0..F {
                for l in 0..CHUNK {
                    wide[f][l] = P::Sum::from(narrow[f][l]);
                }
            }
        }
        wide
    }

    /// The sums of a [`BandSums`].
    #[inline(always)]
    fn sum<S: Simd, const F: usize, const TWICE: bool>(&self, simd: S, pattern: &mut [Lanes]) -> [[[u32; CHUNK]; F]; 3] {
        let none = [[0_u32; CHUNK]; F];
        let (mut once, mut over, mut twice) = (none, none, none);
        let rows = pattern.len();
        for (strip, pattern) in pattern.chunks_mut(STRIP).enumerate() {
            let mut frames: [&[Lanes]; F] = [&[]; F];
            for (f, frame) in frames.iter_mut().enumerate() {
                *frame = &self.frame(f, rows)[strip * STRIP..][..pattern.len()];
            }
            let none = [Lanes::NONE; F];
            let (mut strip_once, mut strip_over, mut strip_twice) = (none, none, none);
            for v in 0..vectors::<S>() {
                let none = [simd.splat_u16s(0); F];
                let (mut once, mut over, mut twice) = (none, none, none);
                for (k, pattern) in pattern.iter_mut().enumerate() {
                    let mut together = simd.splat_u16s(0);
                    for f in 0..F {
                        let counts = frames[f][k].simd::<S>()[v];
                        together = simd.add_u16s(together, counts);
                        once[f] = simd.add_u16s(once[f], counts);
                        over[f] = simd.add_u16s(over[f], once[f]);
                        if TWICE {
                            twice[f] = simd.add_u16s(twice[f], over[f]);
                        }
                    }
                    let sum = &mut pattern.simd_mut::<S>()[v];
                    *sum = simd.add_u16s(*sum, together);
                }
                for f in 0..F {
                    strip_once[f].simd_mut::<S>()[v] = once[f];
                    strip_over[f].simd_mut::<S>()[v] = over[f];
                    strip_twice[f].simd_mut::<S>()[v] = twice[f];
                }
            }
            // What lies before the strip is further from the band's end by its rows.
            let rows = pattern.len() as u32;
            for f in 0..F {
                for l in 0..CHUNK {
                    if TWICE {
                        twice[f][l] += rows * over[f][l] + rows * (rows + 1) / 2 * once[f][l] + u32::from(strip_twice[f].0[l]);
                    }
                    over[f][l] += rows * once[f][l] + u32::from(strip_over[f].0[l]);
                    once[f][l] += u32::from(strip_once[f].0[l]);
                }
            }
        }
        [once, over, twice]
    }

    #[inline(always)]
    fn add_statistics<S: Simd, const F: usize>(&self, simd: S, tiny: bool, squares: &mut [[u32; CHUNK]], maxima: &mut [Lanes]) {
        let rows = maxima.len();
        let mut frames: [&[Lanes]; F] = [&[]; F];
        for (f, frame) in frames.iter_mut().enumerate() {
            *frame = self.frame(f, rows);
        }
        for (k, (squares, maxima)) in squares.iter_mut().zip(maxima).enumerate() {
            let mut sums = Lanes::NONE;
            for v in 0..vectors::<S>() {
                let mut most = maxima.simd::<S>()[v];
                let mut sum = simd.splat_u16s(0);
                for f in 0..F {
                    let counts = frames[f][k].simd::<S>()[v];
                    most = simd.max_u16s(most, counts);
                    sum = simd.add_u16s(sum, simd.mul_u16s(counts, counts));
                }
                maxima.simd_mut::<S>()[v] = most;
                sums.simd_mut::<S>()[v] = sum;
            }
            if tiny {
                for l in 0..CHUNK {
                    squares[l] += u32::from(sums.0[l]);
                }
            } else {
                for f in 0..F {
                    let counts = &frames[f][k].0;
                    for l in 0..CHUNK {
                        squares[l] += u32::from(counts[l]) * u32::from(counts[l]);
                    }
                }
            }
        }
    }

    /// Adds the pixels of a class in the band that was taken in to the sums of the class. `largest`: the largest count.
    #[inline(always)]
    pub(super) fn add_members<S: Simd, const F: usize>(&self, simd: S, members: &Members, largest: u16, sums: &mut SmallSums) {
        let mut frames: [&[Lanes]; F] = [&[]; F];
        for (f, frame) in frames.iter_mut().enumerate() {
            *frame = self.frame(f, BAND);
        }
        let run = usize::from(u16::MAX / largest.max(1));
        for (rows, masks) in members.rows.chunks(run).zip(members.lanes.chunks(run)) {
            sums.make_room(rows.len() * usize::from(largest));
            for v in 0..vectors::<S>() {
                let mut lanes = [simd.splat_u16s(0); F];
                for f in 0..F {
                    lanes[f] = sums.lanes[f].simd::<S>()[v];
                }
                for (&row, mask) in rows.iter().zip(masks) {
                    let mask = mask.simd::<S>()[v];
                    for f in 0..F {
                        // A row of a band: the remainder spares the test.
                        let counts = frames[f][row % BAND].simd::<S>()[v];
                        lanes[f] = simd.add_u16s(lanes[f], simd.and_u16s(counts, mask));
                    }
                }
                for f in 0..F {
                    sums.lanes[f].simd_mut::<S>()[v] = lanes[f];
                }
            }
        }
    }
}

/// A class's sums of small counts of the frames taken together.
#[derive(Clone)]
pub(super) struct SmallSums {
    lanes: [Lanes; TOGETHER],
    /// No lane holds more.
    bound: usize,
    /// What the lanes came to before.
    sums: [u64; TOGETHER],
}

impl SmallSums {
    pub(super) const NONE: Self = Self { lanes: [Lanes::NONE; TOGETHER], bound: 0, sums: [0; TOGETHER] };

    #[inline(always)]
    fn make_room(&mut self, more: usize) {
        if self.bound + more > usize::from(u16::MAX) {
            self.add_up();
        }
        self.bound += more;
    }

    #[inline(always)]
    fn add_up(&mut self) {
        for (sum, lanes) in self.sums.iter_mut().zip(&mut self.lanes) {
            *sum += u64::from(lanes.sum());
            *lanes = Lanes::NONE;
        }
        self.bound = 0;
    }

    /// The sums of the frames; leaves none.
    #[inline(always)]
    pub(super) fn take(&mut self) -> [u64; TOGETHER] {
        if self.bound > 0 {
            self.add_up();
        }
        std::mem::take(&mut self.sums)
    }
}
