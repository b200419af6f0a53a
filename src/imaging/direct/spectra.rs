//! The scan's spectra of the disk's pixels, all at once or, where memory does not hold them, part by part in several passes.

use std::ops::Range;

use crate::compute::{Backend, DetectorSet, DeviceBlock, Direction, Patterns};
use crate::imaging::{Error, Result};
use crate::run::{Event, Run, Stage};

use super::disk::Disk;

/// Windows of which a part is a multiple, so that it is transformed efficiently.
const GRAIN: usize = 8;

/// Where spectra come from.
pub(super) struct Spectra<'a, B: Backend> {
    run: &'a Run<'a>,
    backend: &'a B,
    patterns: &'a dyn Patterns<B>,
    bright: B::BrightField,
    scan: [usize; 2],
    padded: bool,
    /// The pixels of one part; even.
    part: usize,
    pixels: usize,
    /// The last part.
    held: Option<(Range<usize>, B::Complexes)>,
    totals: Option<B::DetectorSet>,
    incident: Option<f64>,
}

impl<'a, B: Backend> Spectra<'a, B> {
    pub(super) fn new(
        run: &'a Run<'a>,
        backend: &'a B,
        patterns: &'a dyn Patterns<B>,
        disk: &Disk,
        valid: Option<&[bool]>,
        incident: Option<f64>,
        limit_bytes: u64,
    ) -> Result<Self> {
        let bright = &disk.bright;
        if !backend.supports_window(bright.scan) {
            return Err(crate::compute::Error::UnsupportedWindow { device: backend.device_name(), shape: bright.scan }.into());
        }
        let window_bytes = 2 * size_of::<B::Real>() as u64 * bright.scan_len() as u64;
        let windows = (limit_bytes / window_bytes) as usize / GRAIN * GRAIN;
        let part = 2 * windows.max(GRAIN);
        let shape = bright.frame_shape;
        let totals = match incident {
            Some(_) => None,
            None => Some(backend.detector_set(&DetectorSet::sums_only(shape, valid))?),
        };
        Ok(Self {
            run,
            backend,
            patterns,
            bright: backend.bright_field(bright)?,
            scan: bright.scan,
            padded: bright.scan != bright.positions,
            part,
            pixels: bright.pixels.len(),
            held: None,
            totals,
            incident,
        })
    }

    /// The mean sum of a frame; known after the first visit.
    pub(super) fn incident(&self) -> f64 {
        self.incident.unwrap_or(f64::NAN)
    }

    /// Hands on the spectra of the first `count` pixels, part by part.
    pub(super) fn visit(&mut self, count: usize, mut f: impl FnMut(Range<usize>, &B::Complexes) -> Result<()>) -> Result<()> {
        for first in (0..count).step_by(self.part) {
            let range = first..(first + self.part).min(self.pixels);
            if self.held.as_ref().is_none_or(|(held, _)| *held != range) {
                let buffer = self.held.take().map(|(_, buffer)| buffer);
                let filled = self.fill(range.clone(), buffer)?;
                self.held = Some((range.clone(), filled));
            }
            if let Some((_, spectra)) = &self.held {
                f(range.start..range.end.min(count), spectra)?;
            }
        }
        Ok(())
    }

    /// One pass over the patterns.
    fn fill(&mut self, range: Range<usize>, buffer: Option<B::Complexes>) -> Result<B::Complexes> {
        let windows = range.len().div_ceil(2);
        let mut spectra = match buffer {
            Some(buffer) => buffer,
            None => self.backend.complex_zeros(self.part.min(self.pixels).div_ceil(2) * self.scan[0] * self.scan[1])?,
        };
        let stage = Stage::Image;
        let begun = std::time::Instant::now();
        self.run.emit(Event::StageStarted { stage, total: self.patterns.len() as u64, unit: "frames" });
        let (mut total, mut done) = (0.0, 0);
        for block in self.patterns.pass()? {
            if self.run.is_cancelled() {
                return Err(Error::Interrupted);
            }
            let DeviceBlock { ids, frames } = block?;
            let Some(&first) = ids.first() else { continue };
            self.backend.gather_pixels(&frames, first as usize, &self.bright, range.clone(), &mut spectra)?;
            if let (Some(set), None) = (&self.totals, self.incident) {
                // One number a frame, added in the order of the scan.
                let sums = self.backend.virtual_detectors(&frames, set)?;
                (0..ids.len()).for_each(|k| total += sums.frames.get(3 * k));
            }
            done += ids.len() as u64;
            self.run.emit(Event::Progress { stage, done });
        }
        if self.incident.is_none() {
            self.incident = Some(total / self.patterns.len() as f64);
        }
        if self.padded {
            self.backend.fill_margins(&mut spectra, &self.bright, windows)?;
        }
        self.backend.fft2(&mut spectra, self.scan, windows, Direction::Forward)?;
        self.run.emit(Event::StageFinished { stage, seconds: begun.elapsed().as_secs_f64() });
        Ok(spectra)
    }
}
