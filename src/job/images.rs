//! The virtual images of a job.

use super::plan::Plan;
use super::schema::Job;
use super::values::{Annulus, DetectorSpec};
use super::{Error, arrays};
use crate::compute::Backend;
use crate::imaging::{self, Angle, Detector, ImagingPlan, Kind, Requested};
use crate::output::Array;
use crate::run::Run;
use crate::stream::Stream;

/// Makes all images in one pass; with them comes the mean sum of a frame.
pub(super) fn make<B: Backend>(
    plan: &Plan,
    backend: &B,
    stream: &Stream<B>,
    valid: Option<Vec<bool>>,
    run: &Run,
) -> Result<(Vec<Array>, f64), Error> {
    let asked = ImagingPlan { detectors: requested(&plan.job)?, ..geometry(&plan.job, stream.info().scan_shape, valid) };
    let images = imaging::image(run, backend, stream, &asked)?;
    let mut made: Vec<Array> = images.images.iter().map(|image| arrays::image(image, &images, asked.step_A)).collect();
    made.push(arrays::mean_pattern(&images));
    Ok((made, images.incident))
}

/// What imaging has to know, with no detector.
pub(super) fn geometry(job: &Job, scan_shape: [usize; 2], valid: Option<Vec<bool>>) -> ImagingPlan {
    ImagingPlan {
        step_A: job.scan.step_A.as_ref().map(|entry| entry.value.0),
        rotation_deg: job.scan.rotation_deg.value,
        transpose: job.scan.transpose.value,
        voltage_kV: job.optics.voltage_kV.as_ref().map(|entry| entry.value),
        convergence_mrad: job.optics.convergence_mrad.as_ref().map(|entry| entry.value),
        mrad_per_px: job.detector.mrad_per_px.as_ref().map(|entry| entry.value.0),
        centre_px: job.detector.centre_px.as_ref().map(|entry| entry.value),
        valid,
        detectors: Requested::Named(Vec::new()),
        descan: job.images.descan.value.into(),
        counts_per_electron: job.data.counts_per_electron.value,
        eabf_k: job.images.eabf_k.as_ref().map(|entry| entry.value),
        ..ImagingPlan::new(scan_shape)
    }
}

/// The detectors that the job asks for.
pub(super) fn requested(job: &Job) -> Result<Requested, Error> {
    let Some(list) = &job.images.detectors else { return Ok(Requested::Default) };
    let each = list.value.0.iter().map(|spec| match spec {
        DetectorSpec::Named(name) => Detector::named(name),
        DetectorSpec::Annulus(ring) => Ok(vec![annulus(ring)]),
    });
    Ok(Requested::Named(each.collect::<imaging::Result<Vec<_>>>()?.concat()))
}

fn annulus(ring: &Annulus) -> Detector {
    let edge = |mrad: Option<f64>, disk: Option<f64>| mrad.map(Angle::Mrad).or(disk.map(Angle::Disk));
    let inner = edge(ring.inner_mrad, ring.inner_disk).unwrap_or(Angle::Px(0.0));
    let outer = edge(ring.outer_mrad, ring.outer_disk).unwrap_or(Angle::Edge);
    Detector { name: ring.name.clone(), kind: Kind::Annulus { inner, outer } }
}
