//! What of the detector's geometry the job and the file leave open is measured from the frames.

use super::plan::Plan;
use super::schema::{Entry, Job};
use super::values::Pair;
use super::{Error, Place};
use crate::compute::Backend;
use crate::imaging;
use crate::run::Run;
use crate::stream::Stream;

/// The detector as the work sees it.
pub(super) struct Measured {
    /// The zero angle (y, x).
    pub(super) centre_px: [f64; 2],
    /// The mean sum of a frame, if frames had to be looked at.
    pub(super) incident: Option<f64>,
}

/// The pixels that count, (y, x) row-major: not those that the job calls bad nor those of `odd` samples. `None` where all do.
pub(super) fn valid(job: &Job, shape: [usize; 2], odd: &[bool]) -> Option<Vec<bool>> {
    let bad = job.data.bad_pixels.as_ref().map_or(&[][..], |entry| &entry.value.0);
    if bad.is_empty() && odd.is_empty() {
        return None;
    }
    let mut valid = if odd.is_empty() { vec![true; shape[0] * shape[1]] } else { odd.iter().map(|bad| !bad).collect() };
    bad.iter().for_each(|[y, x]| valid[y * shape[1] + x] = false);
    Some(valid)
}

/// Fills in the centre and the sampling of the detector. Looks at frames only where one of them is open.
pub(super) fn detector<B: Backend>(
    plan: &mut Plan,
    backend: &B,
    stream: &Stream<B>,
    valid: Option<&[bool]>,
    run: &Run,
) -> Result<Measured, Error> {
    let (optics, detector) = (&plan.job.optics, &mut plan.job.detector);
    let wants_sampling = detector.mrad_per_px.is_none() && optics.convergence_mrad.is_some();
    if let (Some(centre), false) = (&detector.centre_px, wants_sampling) {
        return Ok(Measured { centre_px: centre.value, incident: None });
    }
    let pixel = detector.mrad_per_px.as_ref().map_or([1.0; 2], |entry| entry.value.0);
    let survey = imaging::survey(run, backend, stream, valid, pixel)?;
    let disk = &survey.disk;
    if let Some(text) = disk.warning() {
        run.warn(text);
    }
    let origin = |what: &str| Place::Measured(format!("{what} of the bright-field disk in the mean of {} frames", survey.frames));
    if let (true, Some(convergence)) = (wants_sampling, &optics.convergence_mrad) {
        let mrad = convergence.value / disk.radius;
        let place = origin(&format!("optics.convergence_mrad over the radius ({:.2} px)", disk.radius));
        detector.mrad_per_px = Some(Entry { value: Pair([mrad; 2]), place });
    }
    let centre = detector.centre_px.get_or_insert_with(|| Entry { value: disk.centre, place: origin("the centre") });
    Ok(Measured { centre_px: centre.value, incident: Some(survey.incident) })
}

/// Patterns of one update that a job does not say: the default, or as many more as hold [`BATCH_ELECTRONS`], by doubling.
pub(super) fn batch<B: Backend>(
    plan: &mut Plan,
    measured: &Measured,
    backend: &B,
    stream: &Stream<B>,
    valid: Option<&[bool]>,
    run: &Run,
) -> Result<(), Error> {
    let batch = &mut plan.job.ptychography.batch;
    if plan.ptychography.is_none() || batch.place != Place::Default {
        return Ok(());
    }
    let incident = match measured.incident {
        Some(incident) => incident,
        None => imaging::sampled_incident(run, backend, stream, valid)?,
    };
    let wanted = enough(batch.value, incident).min(stream.info().frames());
    if wanted > batch.value {
        let place = Place::Measured(format!("for {BATCH_ELECTRONS} electrons an update; patterns hold {incident:.3}"));
        *batch = Entry { value: wanted, place };
    }
    Ok(())
}

/// Updates from fewer electrons follow the counting noise: at 40 electrons a pattern, batches of 32 ruin what those of 128 resolve (docs/quality.md).
const BATCH_ELECTRONS: f64 = 5000.0;

/// Larger batches are not chosen unasked.
const LARGEST_BATCH: usize = 1024;

/// `batch`, doubled until as many patterns of `incident` electrons hold [`BATCH_ELECTRONS`] or are [`LARGEST_BATCH`].
fn enough(batch: usize, incident: f64) -> usize {
    let doubled = std::iter::successors(Some(batch), |batch| Some(2 * batch));
    let enough = |batch: &usize| *batch as f64 * incident >= BATCH_ELECTRONS || *batch >= LARGEST_BATCH;
    doubled.take(64).find(enough).unwrap_or(LARGEST_BATCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_where_patterns_hold_few_electrons() {
        for (incident, expected) in
            [(1e6, 32), (157.0, 32), (156.0, 64), (40.0, 128), (5.0, 1024), (0.01, 1024), (0.0, 1024), (f64::NAN, 1024)]
        {
            assert_eq!(enough(32, incident), expected, "{incident} electrons");
        }
    }
}
