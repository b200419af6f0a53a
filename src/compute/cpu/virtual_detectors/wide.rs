//! Sums of counts of any size, and of real numbers.

use std::ops::Range;

use super::together::{BandSums, chunk_at};
use super::{CHUNK, CpuDetectorSet, Members, NARROW, Pixels, Summed, TOGETHER};

/// Sums the counting pixels of chunk `c` of `rows`, and adds them to `pixels`.
#[inline(always)]
pub(super) fn sum_band<P: Summed, const F: usize>(
    frames: [&[P]; F],
    set: &CpuDetectorSet,
    c: usize,
    rows: Range<usize>,
    pixels: &mut Pixels<P>,
) -> BandSums<P, F> {
    let [ny, nx] = set.shape;
    let stride = frames[0].len() / ny;
    let none = [[P::Partial::default(); CHUNK]; F];
    let (mut once, mut over) = (none, none);
    let mut band = BandSums::none();
    let nothing = [P::default(); CHUNK];
    for y in rows {
        let valid = set.valid[c * ny + y];
        let (from, place) = (y * stride + c * CHUNK, y * nx + c * CHUNK);
        let mut values = [&nothing; F];
        let mut short = [[P::default(); CHUNK]; F];
        for ((values, frame), short) in values.iter_mut().zip(frames).zip(&mut short) {
            *values = chunk_at(frame, from, short);
        }
        let len = CHUNK.min(nx - c * CHUNK);
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
            add_row(values, &mut once, &mut over, set, place, len, pixels);
        } else {
            add_row(values, &mut once, &mut over, set, place, len, pixels);
        }
        if set.second_moments {
            for f in 0..F {
                for l in 0..CHUNK {
                    band.twice[f][l] += P::widen(over[f][l]);
                }
            }
        }
    }
    for f in 0..F {
        for l in 0..CHUNK {
            band.once[f][l] = P::widen(once[f][l]);
            band.over[f][l] = P::widen(over[f][l]);
        }
    }
    band
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

/// A class's sums of the frames taken together.
pub(super) struct WideSums<P: Summed> {
    lanes: [[P::Partial; CHUNK]; TOGETHER],
    /// Rows in the lanes.
    rows: usize,
    /// What the lanes came to before.
    sums: [P::Sum; TOGETHER],
}

impl<P: Summed> WideSums<P> {
    pub(super) fn none() -> Self {
        Self { lanes: [[P::Partial::default(); CHUNK]; TOGETHER], rows: 0, sums: [P::Sum::default(); TOGETHER] }
    }

    /// Adds the pixels of the class in the band of chunk `c` from row `top` on.
    #[inline(always)]
    pub(super) fn add_members<const F: usize>(&mut self, frames: [&[P]; F], set: &CpuDetectorSet, c: usize, top: usize, members: &Members) {
        if self.rows + members.rows.len() > NARROW {
            self.add_up();
        }
        self.rows += members.rows.len();
        let stride = frames[0].len() / set.shape[0];
        let nothing = [P::default(); CHUNK];
        let mut lanes = [[P::Partial::default(); CHUNK]; F];
        lanes.copy_from_slice(&self.lanes[..F]);
        for (&row, &pixels) in members.rows.iter().zip(&members.pixels) {
            let mut values = [&nothing; F];
            let mut short = [[P::default(); CHUNK]; F];
            for ((values, frame), short) in values.iter_mut().zip(frames).zip(&mut short) {
                *values = chunk_at(frame, (top + row) * stride + c * CHUNK, short);
            }
            for f in 0..F {
                for l in 0..CHUNK {
                    lanes[f][l] += values[f][l].where_set(pixels >> l & 1 != 0).partial();
                }
            }
        }
        self.lanes[..F].copy_from_slice(&lanes);
    }

    #[inline(always)]
    fn add_up(&mut self) {
        for (sum, lanes) in self.sums.iter_mut().zip(&mut self.lanes) {
            for lane in lanes {
                *sum += P::widen(std::mem::take(lane));
            }
        }
        self.rows = 0;
    }

    /// The sums of the frames; leaves none.
    #[inline(always)]
    pub(super) fn take(&mut self) -> [P::Sum; TOGETHER] {
        if self.rows > 0 {
            self.add_up();
        }
        std::mem::take(&mut self.sums)
    }
}
