//! One look at all samples, for what integers cannot be: negative, or no number.

use std::time::Instant;

use super::{GROUP, failed};
use crate::compute::{Error as ComputeError, HostFrames, Result, SampleType};
use crate::data::{Error, FrameSource};
use crate::run::{Event, Run, Stage};

/// Samples that are no numbers may be so many of all to be masked wherever they are.
const SHARE: f64 = 1e-3;
/// They may take so many of the detector's pixels.
const HIDDEN: f64 = 0.1;
const BLOCK_BYTES: usize = 4 << 20;

/// What a cube's samples are like. Unsigned integers are not looked at: nothing is wrong with them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Survey {
    /// The samples that were looked at.
    pub samples: u64,
    pub negative: u64,
    /// The smallest sample that is a number, in counts; 0 where none was looked at.
    pub minimum: f64,
    /// Samples that are NaN or infinite.
    pub nonfinite: u64,
    /// One a detector pixel (row-major), true where it is to be masked since it held NaN or infinity; empty where none did.
    pub bad: Vec<bool>,
}

/// The samples that are no numbers of one detector pixel.
#[derive(Clone, Copy, Default)]
struct Hole {
    frames: u32,
    first: u32,
    value: f32,
}

/// Looks at all samples of a cube that can be negative or no numbers, and tells the run once what it found.
///
/// NaN or infinity become bad pixels where they are in every frame, or if they are under 0.1 % of all samples; else the
/// cube is refused with the first frame that has one. So is a cube without any count.
pub fn survey(source: &dyn FrameSource, run: &Run) -> Result<Survey> {
    let info = source.info();
    if info.dtype != SampleType::F32 {
        return Ok(Survey::default());
    }
    let (begin, total, pixels) = (Instant::now(), info.frames(), info.frame_shape[0] * info.frame_shape[1]);
    run.emit(Event::StageStarted { stage: Stage::Survey, total: total as u64, unit: "frames" });
    let block = (BLOCK_BYTES / info.frame_bytes().max(1) / GROUP * GROUP).max(GROUP).min(total);
    let mut frames = HostFrames::zeros(info.dtype, info.frame_shape, block);
    let mut survey = Survey { samples: total as u64 * pixels as u64, minimum: f64::INFINITY, ..Survey::default() };
    let mut holes = vec![Hole::default(); pixels];
    let (mut lit, mut first) = (false, 0);
    while first < total {
        if run.is_cancelled() {
            return Err(ComputeError::Interrupted);
        }
        let count = block.min(total - first);
        source.read(first, count, &mut frames, 0).map_err(failed)?;
        for f in 0..count {
            let frame: &[f32] = bytemuck::cast_slice(frames.frame_bytes(f));
            lit |= look(frame, (first + f) as u32, &mut survey, &mut holes);
        }
        first += count;
        run.emit(Event::Progress { stage: Stage::Survey, done: first as u64 });
    }
    let path = info.path.display().to_string();
    if !lit {
        return Err(failed(Error::Dark { path, frames: total }));
    }
    if !survey.minimum.is_finite() {
        survey.minimum = 0.0;
    }
    settle(&mut survey, &holes, total, info.frame_shape, &path).map_err(failed)?;
    tell(&survey, run);
    run.emit(Event::StageFinished { stage: Stage::Survey, seconds: begin.elapsed().as_secs_f64() });
    Ok(survey)
}

/// Takes one frame into the survey; is there a count in it?
fn look(frame: &[f32], number: u32, survey: &mut Survey, holes: &mut [Hole]) -> bool {
    let (mut negative, mut minimum, mut lit, mut finite) = (0u32, f32::INFINITY, false, true);
    for &x in frame {
        negative += u32::from(x < 0.0 && x.is_finite());
        minimum = minimum.min(if x.is_finite() { x } else { f32::INFINITY });
        lit |= x != 0.0 && x.is_finite();
        finite &= x.is_finite();
    }
    survey.negative += u64::from(negative);
    survey.minimum = survey.minimum.min(f64::from(minimum));
    if !finite {
        for (hole, &x) in holes.iter_mut().zip(frame).filter(|(_, x)| !x.is_finite()) {
            if hole.frames == 0 {
                (hole.first, hole.value) = (number, x);
            }
            hole.frames += 1;
            survey.nonfinite += 1;
        }
    }
    lit
}

/// Masks what was no number, or refuses the cube.
fn settle(survey: &mut Survey, holes: &[Hole], frames: usize, shape: [usize; 2], path: &str) -> std::result::Result<(), Error> {
    if survey.nonfinite == 0 {
        return Ok(());
    }
    let sometimes = |h: &Hole| h.frames > 0 && (h.frames as usize) < frames;
    let sporadic: u64 = holes.iter().filter(|h| sometimes(h)).map(|h| u64::from(h.frames)).sum();
    let share = sporadic as f64 / survey.samples as f64;
    let places = holes.iter().filter(|h| h.frames > 0).count();
    let hidden = places as f64 / holes.len() as f64;
    let reason = if sporadic > 0 && share >= SHARE {
        format!("so do {:.2} % of all samples, in changing places: at most 0.1 % can be masked", 100.0 * share)
    } else if hidden > HIDDEN {
        format!("masking all pixels that are no number somewhere would hide {:.0} % of the detector", 100.0 * hidden)
    } else {
        survey.bad = holes.iter().map(|h| h.frames > 0).collect();
        return Ok(());
    };
    let changing = sporadic > 0;
    let first =
        holes.iter().enumerate().filter(|(_, h)| if changing { sometimes(h) } else { h.frames > 0 }).min_by_key(|(p, h)| (h.first, *p));
    let (pixel, hole) = first.map_or((0, Hole::default()), |(p, h)| (p, *h));
    let (y, x) = (pixel / shape[1], pixel % shape[1]);
    Err(Error::NotFinite { path: path.into(), frame: hole.first as usize, y, x, value: f64::from(hole.value), reason })
}

fn tell(survey: &Survey, run: &Run) {
    let percent = |n: u64| 100.0 * n as f64 / survey.samples as f64;
    if survey.negative > 0 {
        run.warn(format!(
            "{:.3} % of all samples are negative, the lowest is {}: virtual images keep them, reconstruction takes them as 0",
            percent(survey.negative),
            survey.minimum
        ));
    }
    if survey.nonfinite > 0 {
        let pixels = survey.bad.iter().filter(|&&b| b).count();
        run.warn(format!(
            "{:.4} % of all samples are NaN or infinite: the {pixels} detector pixels where they occur are masked as bad",
            percent(survey.nonfinite)
        ));
    }
}
