//! The virtual images of a job.

use super::plan::Plan;
use super::schema::Job;
use super::values::{Annulus, DetectorSpec, IntegrationRule};
use super::{Error, arrays, direct, mask};
use crate::compute::Backend;
use crate::imaging::{self, Angle, Detector, ImagingPlan, Integration, Kind, Method, Requested, Ring};
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
    let info = stream.info();
    let asked = ImagingPlan {
        detectors: requested(&plan.job, info.frame_shape)?,
        field: field(&plan.job, info.scan_shape)?,
        ..geometry(&plan.job, info.scan_shape, valid)
    };
    let images = imaging::image(run, backend, stream, &asked)?;
    let mut made: Vec<Array> = images.images.iter().flat_map(|image| arrays::image(image, &images, asked.step_A)).collect();
    made.extend(arrays::patterns(&images));
    made.extend(direct::make(plan, backend, stream, asked.grid(), asked.valid.clone(), images.incident, run)?);
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
        eabf_k: job.images.eabf_k.as_ref().map(|entry| entry.value),
        integration: match job.images.integration.value {
            IntegrationRule::Mirror => Integration::Mirror,
            IntegrationRule::Periodic => Integration::Periodic,
            IntegrationRule::LeastSquares => Integration::LeastSquares,
        },
        highpass_inverse_A: job.images.highpass_inverse_A.as_ref().map(|entry| entry.value),
        errors: job.images.errors.value,
        counts_per_electron: job.data.counts_per_electron.value,
        ..ImagingPlan::new(scan_shape)
    }
}

/// The detectors that the job asks for, for frames of this shape.
pub(super) fn requested(job: &Job, frame_shape: [usize; 2]) -> Result<Requested, Error> {
    let Some(list) = &job.images.detectors else { return Ok(Requested::Default) };
    let methods = direct::methods(job);
    if let Some(first) = methods.first() {
        direct::check(job, first.name())?;
    }
    if asks_for_all(job) {
        return Ok(Requested::All);
    }
    let mut detectors = Vec::new();
    for spec in &list.value.0 {
        match spec {
            // Those of direct ptychography have their own pass.
            DetectorSpec::Named(name) if Method::named(name).is_some() => {}
            DetectorSpec::Named(name) => detectors.extend(Detector::named(name)?),
            DetectorSpec::Annulus(ring) => detectors.extend(own(ring, frame_shape)?),
        }
    }
    Ok(Requested::Named(detectors))
}

/// Is every image asked for?
pub(super) fn asks_for_all(job: &Job) -> bool {
    job.images.detectors.as_ref().is_some_and(|list| list.value.0 == [DetectorSpec::Named("all".to_owned())])
}

/// The scan positions that the job chooses for integration.
pub(super) fn field(job: &Job, scan_shape: [usize; 2]) -> Result<Option<Vec<bool>>, Error> {
    job.images.field.as_ref().map(|entry| mask::read(&entry.value, "images.field", scan_shape)).transpose()
}

fn own(spec: &Annulus, frame_shape: [usize; 2]) -> Result<Vec<Detector>, Error> {
    let edge = |mrad: Option<f64>, disk: Option<f64>| mrad.map(Angle::Mrad).or(disk.map(Angle::Disk));
    let inner = edge(spec.inner_mrad, spec.inner_disk).unwrap_or(Angle::Px(0.0));
    let outer = edge(spec.outer_mrad, spec.outer_disk).unwrap_or(Angle::Edge);
    let ring = Ring { inner, outer };
    if let Some(count) = spec.segments {
        return Ok(Detector::segments(&spec.name, count, ring, spec.first_deg.unwrap_or(0.0)));
    }
    let kind = match &spec.mask {
        Some(path) => {
            Kind::Mask { pixels: mask::read(path, "images.detectors", frame_shape)?.into(), ring: spec.has_edge().then_some(ring) }
        }
        None => Kind::Annulus(ring),
    };
    Ok(vec![Detector { name: spec.name.clone(), kind }])
}
