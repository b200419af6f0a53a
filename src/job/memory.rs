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

/// Refuses a limit that does not hold what one of the stages needs beside the frames.
pub(super) fn check_reconstruction(stages: &[Stage], frame: &ObjectFrame, frames: usize) -> Result<(), Error> {
    stages.iter().try_for_each(|stage| {
        let keys = &stage.job.ptychography;
        let modes = (keys.probe_modes.value + keys.probe_variations.value) as u64;
        let (slices, batch) = (keys.slices.value as u64, keys.batch.value.min(frames) as u64);
        let (object, window) = ((frame.shape[0] * frame.shape[1]) as u64, (frame.window[0] * frame.window[1]) as u64);
        // On the host in f64 with its copy, on the device the object, its numerator and its denominator; of each position what it adds to slices and modes.
        let mut bytes = slices * object * (2 * 16 + 8 + 8 + 4) + batch * window * (12 * slices + 8 * modes);
        let mut what = format!("an object of {slices} slices, {modes} modes of the probe and batches of {batch}");
        if matches!(keys.algorithm.value, Algorithm::DifferenceMap | Algorithm::Raar) {
            bytes += 8 * modes * window * frames as u64;
            what.push_str(&format!(", and the exit waves of {frames} patterns"));
        }
        check(&stage.job, bytes, &what)
    })
}

fn check(job: &Job, needed: u64, what: &str) -> Result<(), Error> {
    let limit = limit_bytes(job);
    if needed <= limit {
        return Ok(());
    }
    let place = job.compute.memory_limit_GiB.as_ref().map_or(Place::Default, |entry| entry.place.clone());
    Err(Refusal {
        place,
        key: "compute.memory_limit_GiB".to_owned(),
        found: format!("{:.3}", limit as f64 / GIB),
        expected: format!("at least {:.3} for {what}", needed as f64 / GIB + 0.0005),
        remedy: "Raise it, or use a smaller batch, fewer slices or modes, or a part of the data (ptychography.batch, slices and probe_modes, data.crop_scan, \
                 data.crop_detector)."
            .to_owned(),
    }
    .into())
}
