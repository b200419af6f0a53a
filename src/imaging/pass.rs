//! One pass over all patterns: what it gathers, frame by frame and pixel by pixel.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::compute::{self, Backend, BlockSums, DetectorSet, DeviceBlock, Patterns, Totals};
use crate::run::{Event, Run, Stage};

use super::{Error, Result};

/// Float sums are made in groups of so many frames, so that they do not depend on the size of a block.
pub(super) const GROUP: usize = 64;

/// Passes over all patterns once. The result does not depend on how the pass is cut into blocks.
pub(super) fn run<B: Backend>(
    run: &Run,
    backend: &B,
    patterns: &dyn Patterns<B>,
    set: &DetectorSet,
    scan_shape: [usize; 2],
) -> Result<Pass> {
    let stage = Stage::Image;
    let begun = Instant::now();
    run.emit(Event::StageStarted { stage, total: patterns.len() as u64, unit: "frames" });
    let mut pass = Pass::new(set, patterns.len());
    let set = backend.detector_set(set)?;
    if patterns.dtype().is_integer() {
        exactly(run, backend, patterns, &set, &mut pass)?;
    } else {
        for block in patterns.pass()? {
            stop_if_cancelled(run)?;
            let DeviceBlock { ids, frames } = block?;
            let slots: Vec<u32> = (0..ids.len() as u32).collect();
            for (ids, slots) in ids.chunks(GROUP).zip(slots.chunks(GROUP)) {
                pass.take(ids, &backend.virtual_detectors(&backend.gather(&frames, slots)?, &set)?);
            }
            if let Some(frame) = pass.not_finite {
                let at = frame as usize;
                return Err(Error::NotFinite { frame, position: [at / scan_shape[1], at % scan_shape[1]] });
            }
            run.emit(Event::Progress { stage, done: pass.frames as u64 });
        }
    }
    stop_if_cancelled(run)?;
    run.emit(Event::StageFinished { stage, seconds: begun.elapsed().as_secs_f64() });
    Ok(pass)
}

/// The pass over patterns of integers, whose sums do not depend on their order.
fn exactly<B: Backend>(run: &Run, backend: &B, patterns: &dyn Patterns<B>, set: &B::DetectorSet, pass: &mut Pass) -> Result<()> {
    // Progress is told so often in all.
    const TOLD: usize = 200;
    let pixels: Vec<Mutex<B::PixelSums>> = (0..patterns.visitors()).map(|_| Mutex::default()).collect();
    let pass = Mutex::new(pass);
    patterns.visit(&|thread, block| {
        if run.is_cancelled() {
            return Err(compute::Error::Interrupted);
        }
        let sums = {
            let mut pixels = pixels[thread].lock().unwrap_or_else(PoisonError::into_inner);
            backend.add_virtual_detectors(&block.frames, set, &mut pixels)?
        };
        let mut pass = pass.lock().unwrap_or_else(PoisonError::into_inner);
        let before = pass.frames;
        pass.take_frames(&block.ids, &sums);
        let step = patterns.len().div_ceil(TOLD);
        if pass.frames / step > before / step || pass.frames == patterns.len() {
            run.emit(Event::Progress { stage: Stage::Image, done: pass.frames as u64 });
        }
        Ok(())
    })?;
    let pass = pass.into_inner().unwrap_or_else(PoisonError::into_inner);
    for pixels in pixels {
        let pixels = pixels.into_inner().unwrap_or_else(PoisonError::into_inner);
        backend.pixel_sums(set, pixels).iter().for_each(|sums| pass.take_pixels(sums));
    }
    Ok(())
}

/// What a pass gathers.
pub(super) struct Pass {
    detectors: usize,
    width: usize,
    /// Patterns taken so far.
    pub(super) frames: usize,
    /// (frame, width), as [`BlockSums::frames`].
    sums: Vec<f64>,
    total: f64,
    /// The pixels of a frame.
    count: usize,
    /// What the frames come to pixel by pixel.
    pixels: Option<BlockSums>,
    not_finite: Option<u32>,
}

impl Pass {
    /// `keep` patterns have their sums kept; with 0 only the mean pattern is made.
    pub(super) fn new(set: &DetectorSet, keep: usize) -> Self {
        let (count, width) = (set.shape[0] * set.shape[1], set.width());
        Self {
            detectors: set.detectors,
            width,
            frames: 0,
            sums: vec![0.0; keep * width],
            total: 0.0,
            count,
            pixels: None,
            not_finite: None,
        }
    }

    /// Takes the sums of the patterns `ids`.
    pub(super) fn take(&mut self, ids: &[u32], sums: &BlockSums) {
        self.take_frames(ids, &sums.frames);
        self.take_pixels(sums);
    }

    fn take_frames(&mut self, ids: &[u32], sums: &Totals) {
        let width = self.width;
        for (k, &id) in ids.iter().enumerate() {
            let total = sums.get(k * width + self.detectors);
            self.total += total;
            let at = id as usize * width;
            if at + width <= self.sums.len() {
                for (c, slot) in self.sums[at..at + width].iter_mut().enumerate() {
                    *slot = sums.get(k * width + c);
                }
            }
            if !total.is_finite() {
                self.not_finite.get_or_insert(id);
            }
        }
        self.frames += ids.len();
    }

    fn take_pixels(&mut self, sums: &BlockSums) {
        match &mut self.pixels {
            None => self.pixels = Some(sums.clone()),
            Some(pixels) => pixels.add_pixels(sums),
        }
    }

    /// The mean of the frames, one a pixel.
    pub(super) fn mean_pattern(&self) -> Vec<f64> {
        let n = self.frames.max(1) as f64;
        let of = |pixels: &BlockSums| (0..self.count).map(|p| pixels.pattern.get(p) / n).collect();
        self.pixels.as_ref().map_or_else(|| vec![0.0; self.count], of)
    }

    /// The variance of each pixel over the frames, Σ(I − Ī)²/(N − 1); `None` unless statistics were asked for and there are two frames.
    pub(super) fn variance_pattern(&self) -> Option<Vec<f64>> {
        let n = self.frames as f64;
        let pixels = self.pixels.as_ref().filter(|_| self.frames > 1)?;
        let squares = &pixels.statistics.as_ref()?.squares;
        // Σ I² − (ΣI)²/N, of integers with the one rounding of f64.
        let of = |(square, sum): (f64, f64)| ((square - sum * sum / n) / (n - 1.0)).max(0.0);
        Some((0..self.count).map(|p| of((squares.get(p), pixels.pattern.get(p)))).collect())
    }

    /// The largest value of each pixel over the frames; `None` unless statistics were asked for.
    pub(super) fn max_pattern(&self) -> Option<Vec<f64>> {
        let maxima = &self.pixels.as_ref()?.statistics.as_ref()?.maxima;
        Some((0..self.count).map(|p| maxima.get(p)).collect())
    }

    /// The mean sum of a frame.
    pub(super) fn incident(&self) -> f64 {
        self.total / self.frames.max(1) as f64
    }

    /// Column `c` of the sums, one a pattern.
    pub(super) fn column(&self, c: usize) -> impl Iterator<Item = f64> {
        self.sums.chunks_exact(self.width).map(move |row| row[c])
    }

    /// The sum of each frame.
    pub(super) fn totals(&self) -> impl Iterator<Item = f64> {
        self.column(self.detectors)
    }

    /// The first pattern with no counts, and how many there are.
    pub(super) fn empty(&self) -> Option<(usize, usize)> {
        let mut empty = self.totals().enumerate().filter(|(_, t)| *t <= 0.0).map(|(k, _)| k);
        empty.next().map(|first| (first, 1 + empty.count()))
    }

    /// The centre of mass along axis `a` relative to `centre`, in units of `scale` a pixel; 0 where a frame has no counts.
    pub(super) fn centre_of_mass(&self, a: usize, centre: f64, scale: f64) -> Vec<f64> {
        self.totals().zip(self.column(self.detectors + 1 + a)).map(|(t, m)| if t > 0.0 { (m / t - centre) * scale } else { 0.0 }).collect()
    }

    /// Σ I (p_a − c_a)(p_b − c_b) of each frame about `centre` in pixels, for (a, b) = (y, y), (x, x), (y, x). Needs second moments.
    pub(super) fn second_moments(&self, centre: [f64; 2]) -> [Vec<f64>; 3] {
        let first = self.detectors;
        [(3, 0, 0), (4, 1, 1), (5, 0, 1)].map(|(c, a, b)| {
            let of = |row: &[f64]| {
                row[first + c] - centre[a] * row[first + 1 + b] - centre[b] * row[first + 1 + a] + centre[a] * centre[b] * row[first]
            };
            self.sums.chunks_exact(self.width).map(of).collect()
        })
    }
}

pub(super) fn stop_if_cancelled(run: &Run) -> Result<()> {
    if run.is_cancelled() { Err(Error::Interrupted) } else { Ok(()) }
}
