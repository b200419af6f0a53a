//! How much memory a job may take, and whether it suffices.

use super::plan::Plan;
use super::ptychography::Stage;
use super::schema::Job;
use super::values::HalvesKind;
use super::{Algorithm, Error, Place, Refusal, facts};
use crate::data::CubeInfo;
use crate::ptycho::ObjectFrame;

const GIB: f64 = (1u64 << 30) as f64;
/// Where the system does not tell what is free.
const UNKNOWN_FREE: u64 = 8 << 30;
/// A stream works with this many blocks of frames at once, each of at least so many frames.
const STREAM_FRAMES: u64 = 8 * 64;

/// The memory limit in bytes: what the job says, or half of what is free.
pub(super) fn limit_bytes(job: &Job) -> u64 {
    match &job.compute.memory_limit_GiB {
        Some(entry) => (entry.value * GIB) as u64,
        None => facts::free_memory_bytes().unwrap_or(UNKNOWN_FREE) / 2,
    }
}

/// What of the limit frames may take: half of it where a reconstruction makes others of them.
pub(super) fn frames_bytes(plan: &Plan) -> u64 {
    let keys = &plan.job.ptychography;
    let resized = keys.bin.value > 1 || keys.pad_px.value > 0 || keys.stages.is_some();
    let others = plan.ptychography.is_some() && (resized || keys.halves.value != HalvesKind::None);
    limit_bytes(&plan.job) / if others { 2 } else { 1 }
}

/// Refuses a limit that does not hold the blocks of a stream.
pub(super) fn check_stream(job: &Job, info: &CubeInfo) -> Result<(), Error> {
    check(job, STREAM_FRAMES * info.frame_bytes() as u64, "the blocks in which frames are read")
}

/// Refuses a limit that does not hold what one of the stages needs beside the frames, and says what it would hold.
pub(super) fn check_reconstruction(stages: &[Stage], frame: &ObjectFrame, frames: usize) -> Result<(), Error> {
    stages.iter().try_for_each(|stage| {
        let keys = &stage.job.ptychography;
        let waves = matches!(keys.algorithm.value, Algorithm::DifferenceMap | Algorithm::Raar);
        let size = Size {
            slices: keys.slices.value as u64,
            modes: keys.probe_modes.value as u64,
            variations: keys.probe_variations.value as u64,
            batch: keys.batch.value.min(frames) as u64,
            object: (frame.shape[0] * frame.shape[1]) as u64,
            window: (frame.window[0] * frame.window[1]) as u64,
            waves: if waves { frames as u64 } else { 0 },
            remembered: match keys.algorithm.value {
                Algorithm::Mpie | Algorithm::LsqMl => 4,
                Algorithm::Adam => 3,
                _ => 0,
            },
            states: if keys.validation.value > 0.0 { 2 } else { 1 },
            checkpoints: stage.job.output.checkpoint_every.value > 0,
        };
        let limit = limit_bytes(&stage.job);
        if size.bytes() <= limit {
            return Ok(());
        }
        let mut what = format!("an object of {} slices, {} modes of the probe and batches of {}", size.slices, size.modes, size.batch);
        if waves {
            what.push_str(&format!(", and the exit waves of {frames} patterns"));
        }
        if !stage.name.is_empty() {
            what.push_str(&format!(", in stage {}", stage.name));
        }
        let fitting: Vec<String> = [
            ("batch", most(size.batch, limit, |batch| Size { batch, ..size })),
            ("probe_modes", most(size.modes, limit, |modes| Size { modes, ..size })),
            ("slices", most(size.slices, limit, |slices| Size { slices, ..size })),
        ]
        .into_iter()
        .filter_map(|(key, most)| Some(format!("ptychography.{key} = {}", most?)))
        .collect();
        let remedy = if fitting.is_empty() {
            "Raise it, or use smaller batches, fewer slices and fewer modes at once, or a part of the data (data.crop_scan, data.crop_detector); none of them alone makes it fit."
                .to_owned()
        } else {
            format!("Raise it, or use a part of the data (data.crop_scan, data.crop_detector), or what would fit: {}.", fitting.join(", or "))
        };
        Err(refused(&stage.job, limit, size.bytes(), &what, remedy))
    })
}

/// What makes a reconstruction large.
#[derive(Debug, Clone, Copy)]
struct Size {
    slices: u64,
    modes: u64,
    variations: u64,
    batch: u64,
    /// Pixels of a slice and of the probe's window.
    object: u64,
    window: u64,
    /// Patterns that keep their exit waves.
    waves: u64,
    /// Real numbers that the rule remembers of an object's pixel.
    remembered: u64,
    /// The state, and the best one so far where patterns are held out.
    states: u64,
    checkpoints: bool,
}

impl Size {
    /// The largest arrays at the fullest moment of an iteration, that of a checkpoint where there are any.
    fn bytes(self) -> u64 {
        let modes = self.modes + self.variations;
        let checkpoint = u64::from(self.checkpoints);
        // On the device in f32: the object, its numerator and denominator, and what is remembered. On the host in f64: states with their copies, and for a checkpoint what is remembered and the object as a list.
        let pixel = 8 + 8 + 4 + 4 * self.remembered + 2 * 16 * self.states + checkpoint * (8 * self.remembered + 16);
        // What each position adds to slices and modes; where waves are kept also those of the model, reflected ones and incident ones.
        let position = self.window * (12 * self.slices + 8 * modes + if self.waves > 0 { 24 * modes } else { 0 });
        self.slices * self.object * pixel + self.batch * position + self.waves * modes * self.window * (8 + 16 * checkpoint)
    }
}

/// The most below `now` of the number that `with` sets with which the limit is kept, if there is one above 0.
fn most(now: u64, limit: u64, with: impl Fn(u64) -> Size) -> Option<u64> {
    let (mut fits, mut too_many) = (0, now);
    while fits + 1 < too_many {
        let middle = fits + (too_many - fits) / 2;
        if with(middle).bytes() <= limit { fits = middle } else { too_many = middle }
    }
    (fits > 0).then_some(fits)
}

fn check(job: &Job, needed: u64, what: &str) -> Result<(), Error> {
    let limit = limit_bytes(job);
    if needed <= limit {
        return Ok(());
    }
    let remedy = "Raise it, or use a part of each frame (data.crop_detector).".to_owned();
    Err(refused(job, limit, needed, what, remedy))
}

fn refused(job: &Job, limit: u64, needed: u64, what: &str, remedy: String) -> Error {
    let place = job.compute.memory_limit_GiB.as_ref().map_or(Place::Default, |entry| entry.place.clone());
    Refusal {
        place,
        key: "compute.memory_limit_GiB".to_owned(),
        found: format!("{:.3}", limit as f64 / GIB),
        expected: format!("at least {:.3} for {what}", needed as f64 / GIB + 0.0005),
        remedy,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn what_would_fit_fits_and_one_more_does_not() {
        let mut rng = rand::rng();
        for _ in 0..200 {
            let mut any = |most: u64| rng.random_range(1..=most);
            let size = Size {
                slices: any(256),
                modes: any(64),
                variations: any(16) - 1,
                batch: any(1024),
                object: any(1 << 22),
                window: any(1 << 16),
                waves: any(5000) - 1,
                remembered: any(5) - 1,
                states: any(2),
                checkpoints: any(2) == 1,
            };
            let limit = any(size.bytes());
            let with = |modes: u64| Size { modes, ..size };
            match most(size.modes, limit, with) {
                Some(modes) => {
                    assert!(with(modes).bytes() <= limit && (modes + 1 == size.modes || with(modes + 1).bytes() > limit), "{size:?}")
                }
                None => assert!(size.modes == 1 || with(1).bytes() > limit, "{size:?}"),
            }
        }
    }
}
