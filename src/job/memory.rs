//! How much memory a job may take, and whether it suffices.

use super::schema::Job;
use super::{Error, Place, Refusal, facts};
use crate::data::CubeInfo;

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

/// Refuses a limit that does not hold the blocks of a stream.
pub(super) fn check_stream(job: &Job, info: &CubeInfo) -> Result<(), Error> {
    check(job, STREAM_FRAMES * info.frame_bytes() as u64, "the blocks in which frames are read")
}

/// Refuses a limit that does not hold an object of this many pixels and the work arrays of a batch.
pub(super) fn check_object(job: &Job, object: usize, window: usize, frames: usize) -> Result<(), Error> {
    // On the host in f64 with its copy, on the device the object, its numerator and its denominator; two waves a position.
    let bytes = object as u64 * (2 * 16 + 8 + 8 + 4) + 2 * 8 * (window * job.ptychography.batch.value.min(frames)) as u64;
    check(job, bytes, "the object and the waves of a batch")
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
        remedy: "Raise it, or use a smaller batch or a part of the data (ptychography.batch, data.crop_scan, data.crop_detector)."
            .to_owned(),
    }
    .into())
}
