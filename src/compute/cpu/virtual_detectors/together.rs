//! The frames that are taken together: down their columns, then what the columns come to.

use std::ops::Range;

use pulp::Simd;

use super::small::{Counts, SmallSums};
use super::wide::{self, WideSums};
use super::{BAND, Band, CHUNK, CpuDetectorSet, Pixels, Sum, Summed, TOGETHER};

/// The sums of the frames that are taken together.
pub(super) struct Work<P: Summed> {
    /// (frame, column).
    columns: Vec<P::Sum>,
    counts: Counts,
    /// By class.
    small: Vec<SmallSums>,
    /// By class.
    wide: Vec<WideSums<P>>,
}

/// What the rows of a band of a column of chunks come to, (frame, lane).
pub(super) struct BandSums<P: Summed, const F: usize> {
    pub(super) once: [[P::Sum; CHUNK]; F],
    /// Row y of R rows, w = R − y times.
    pub(super) over: [[P::Sum; CHUNK]; F],
    /// Row y of R rows, w(w + 1)/2 times; 0 without second moments.
    pub(super) twice: [[P::Sum; CHUNK]; F],
}

impl<P: Summed, const F: usize> BandSums<P, F> {
    #[inline(always)]
    pub(super) fn none() -> Self {
        let none = [[P::Sum::default(); CHUNK]; F];
        Self { once: none, over: none, twice: none }
    }
}

impl<P: Summed> Work<P> {
    pub(super) fn new(set: &CpuDetectorSet) -> Self {
        Self {
            columns: vec![P::Sum::default(); TOGETHER * set.chunks_of_row() * CHUNK],
            counts: Counts::new(),
            small: vec![SmallSums::NONE; set.classes.len()],
            wide: set.classes.iter().map(|_| WideSums::none()).collect(),
        }
    }

    /// `F` frames: their sums over `set`'s detectors and moments into `sums`, (frame, sum); their pixels added to `pixels`.
    #[inline(always)]
    pub(super) fn sum_frames<S: Simd, const F: usize>(
        &mut self,
        simd: S,
        bytes: [&[u8]; F],
        set: &CpuDetectorSet,
        pixels: &mut Pixels<P>,
        sums: &mut [P::Sum],
    ) {
        let mut frames: [&[P]; F] = [&[]; F];
        for f in 0..F {
            frames[f] = bytemuck::cast_slice(bytes[f]);
        }
        let ny = set.shape[0];
        self.columns.fill(P::Sum::default());
        sums.fill(P::Sum::default());
        for c in 0..set.chunks_of_row() {
            for (b, top) in (0..ny).step_by(BAND).enumerate() {
                let rows = top..ny.min(top + BAND);
                let Band { members, apart } = &set.bands[c * ny.div_ceil(BAND) + b];
                let largest = if *apart { None } else { self.counts.take_in(simd, frames, set, c, rows.clone()) };
                if let Some(largest) = largest {
                    let band = self.counts.sum_band::<S, P, F>(simd, set, c, rows.clone(), largest, &mut pixels.small);
                    self.take_band(&band, set, c, rows, sums);
                    for members in members {
                        self.counts.add_members::<S, F>(simd, members, largest, &mut self.small[members.class]);
                    }
                } else {
                    let band = wide::sum_band(frames, set, c, rows.clone(), pixels);
                    self.take_band(&band, set, c, rows, sums);
                    for members in members {
                        self.wide[members.class].add_members(frames, set, c, top, members);
                    }
                }
            }
        }
        pixels.begun = true;
        self.take_columns(set, sums);
        self.take_classes(set, sums);
    }

    /// Adds what a band comes to, but for the moments along x, which the columns give.
    #[inline(always)]
    fn take_band<const F: usize>(
        &mut self,
        band: &BandSums<P, F>,
        set: &CpuDetectorSet,
        c: usize,
        rows: Range<usize>,
        sums: &mut [P::Sum],
    ) {
        let padded = set.chunks_of_row() * CHUNK;
        let end = P::Sum::index(rows.end);
        for (f, sums) in sums.chunks_mut(set.width()).enumerate() {
            let columns = &mut self.columns[f * padded + c * CHUNK..][..CHUNK];
            let [mut once, mut over, mut twice, mut across] = [P::Sum::default(); 4];
            for l in 0..CHUNK {
                let (sum, sum_over) = (band.once[f][l], band.over[f][l]);
                columns[l] += sum;
                once += sum;
                over += sum_over;
                if set.second_moments {
                    twice += band.twice[f][l];
                    across += (sum * end - sum_over) * P::Sum::index(c * CHUNK + l);
                }
            }
            let sums = &mut sums[set.detectors..];
            sums[0] += once;
            // Σ y I = Σ (R − w) I with R the row after the band's last.
            sums[1] += once * end - over;
            if set.second_moments {
                // Σ y² I = R² Σ I − 2R Σ w I + Σ w² I, and w² = 2·w(w + 1)/2 − w.
                sums[3] += once * end * end + twice + twice - over * (end + end + P::Sum::index(1));
                sums[5] += across;
            }
        }
    }

    #[inline(always)]
    fn take_columns(&mut self, set: &CpuDetectorSet, sums: &mut [P::Sum]) {
        let padded = set.chunks_of_row() * CHUNK;
        for (sums, columns) in sums.chunks_mut(set.width()).zip(self.columns.chunks(padded)) {
            let (mut first, mut second) = (P::Sum::default(), P::Sum::default());
            for (x, &column) in columns.iter().enumerate().take(set.shape[1]) {
                first += column * P::Sum::index(x);
                if set.second_moments {
                    second += column * P::Sum::index(x * x);
                }
            }
            sums[set.detectors + 2] += first;
            if set.second_moments {
                sums[set.detectors + 4] += second;
            }
        }
    }

    #[inline(always)]
    fn take_classes(&mut self, set: &CpuDetectorSet, sums: &mut [P::Sum]) {
        for ((detectors, small), wide) in set.classes.iter().zip(&mut self.small).zip(&mut self.wide) {
            let (small, wide) = (small.take(), wide.take());
            for ((sums, small), wide) in sums.chunks_mut(set.width()).zip(small).zip(wide) {
                let total = P::Sum::index(small as usize) + wide;
                detectors.iter().for_each(|&d| sums[d] += total);
            }
        }
    }
}

/// The chunk of pixels from `at`, which may reach into the next row; in `short`, with nothing at its end, where the frame ends before.
#[inline(always)]
pub(super) fn chunk_at<'a, P: Summed>(frame: &'a [P], at: usize, short: &'a mut [P; CHUNK]) -> &'a [P; CHUNK] {
    let pixels = &frame[at..];
    match pixels.first_chunk() {
        Some(whole) => whole,
        None => {
            short[..pixels.len()].copy_from_slice(pixels);
            short
        }
    }
}
