//! The calibration of a job's data: what was measured, what it follows from, and the job file that says it.

mod disk;
mod found;
mod rotation;
mod words;

use std::sync::Arc;

use super::device::Device;
use super::plan::{Plan, Scan};
use super::run::open;
use super::schema::{Entry, Job};
use super::values::DetectorSpec;
use super::{Error, Place, measure, memory};
use crate::compute::Backend;
use crate::compute::cpu::Cpu;
use crate::imaging;
use crate::imaging::calibrate::CalibrationPlan;
use crate::run::{CancelToken, Event, RngState, Run};
use crate::stream::{self, Stream, StreamOptions};

pub use found::{BadPixels, Calibrated, DescanFound, Found, HalfTurn};
use rotation::{half_turn_open, not_determined, rotation_origin};
use words::{bad_pixels_told, words};

/// Calibrates the data of a job: what the job or the file says is taken, the rest is measured.
pub fn calibrate(job: Job, events: &(dyn Fn(Event) + Sync), cancel: &CancelToken) -> Result<Calibrated, Error> {
    let source = open(&job)?;
    let mut plan = Plan::new(job, source.info(), super::Tasks { images: true, ptychography: false, map: false })?;
    memory::check_stream(&plan.job, source.info())?;
    let device = Device::open(&plan.job.compute.device.value)?;
    let run = Run { events, cancel, rng: RngState::new(0) };
    device.tell(&plan.job.compute.device.value, &run);
    let done = match device {
        Device::Cpu => on(&mut plan, source, Arc::new(Cpu::<f32>::new()), &run),
        Device::Gpu(gpu) => on(&mut plan, source, Arc::new(*gpu), &run),
    };
    match done {
        Err(error) if error.exit_code() == 130 => Err(Error::Cancelled),
        done => done,
    }
}

fn on<B: Backend>(plan: &mut Plan, source: Box<dyn crate::data::FrameSource>, backend: Arc<B>, run: &Run) -> Result<Calibrated, Error> {
    let samples = stream::survey(&*source, run)?;
    let valid = measure::valid(&plan.job, source.info().frame_shape, &samples.bad);
    let options = StreamOptions { memory_limit_bytes: memory::limit_bytes(&plan.job), ..StreamOptions::default() };
    let stream = Stream::new(source, backend.clone(), options);
    let measured = imaging::calibrate::calibrate(run, &*backend, &stream, &asked(&plan.job, stream.info().scan_shape, valid))?;
    let calibrated = Calibrated::new(&mut plan.job, &measured, stream.info().scan_shape);
    calibrated.warnings.iter().for_each(|text| run.warn(text.clone()));
    Ok(calibrated)
}

/// What is known before.
fn asked(job: &Job, scan_shape: [usize; 2], valid: Option<Vec<bool>>) -> CalibrationPlan {
    let said = |place: &Place| *place != Place::Default;
    CalibrationPlan {
        step_A: job.scan.step_A.as_ref().map(|entry| entry.value.0),
        pixel: job.detector.mrad_per_px.as_ref().map_or([1.0; 2], |entry| entry.value.0),
        centre_px: job.detector.centre_px.as_ref().map(|entry| entry.value),
        valid,
        near_deg: job.scan.rotation_deg.value,
        transpose: said(&job.scan.transpose.place).then_some(job.scan.transpose.value),
        counts_per_electron: said(&job.data.counts_per_electron.place).then_some(job.data.counts_per_electron.value),
        ..CalibrationPlan::new(scan_shape)
    }
}

/// Measures the rotation and the transposition that nobody said, where something depends on them. What does not stand out of the default stays the default.
pub(super) fn fill_in_rotation<B: Backend>(
    plan: &mut Plan,
    backend: &B,
    stream: &Stream<B>,
    valid: Option<&[bool]>,
    run: &Run,
) -> Result<(), Error> {
    if plan.job.scan.rotation_deg.place != Place::Default || !depends_on_rotation(plan) {
        return Ok(());
    }
    let scan_shape = stream.info().scan_shape;
    let measured = imaging::calibrate::calibrate(run, backend, stream, &asked(&plan.job, scan_shape, valid.map(<[bool]>::to_vec)))?;
    if !measured.bad_pixels.is_empty() {
        run.warn(bad_pixels_told(&measured));
    }
    let scan = &mut plan.job.scan;
    let rotation = match &measured.rotation {
        Ok(rotation) if rotation.is_determined() => rotation,
        other => {
            let why = other.as_ref().map_or_else(Clone::clone, not_determined);
            run.warn(format!(
                "the scan's rotation is not known, neither from the job nor from the frames ({why}): it is assumed to be {}° and transpose = {}. Set scan.rotation_deg and scan.transpose.",
                scan.rotation_deg.value, scan.transpose.value
            ));
            return Ok(());
        }
    };
    let angle = rotation.angle_deg;
    // So small an angle changes nothing that could be seen, and is what most data mean by saying none.
    let alike = angle.value.abs() < f64::max(1.0, 3.0 * angle.se) && rotation.transpose == scan.transpose.value;
    if !rotation.half_turn.settled {
        run.warn(half_turn_open(rotation));
    }
    if alike {
        run.note(format!("scan.rotation_deg = 0 agrees with the measured {}", words(angle, "°")));
        return Ok(());
    }
    let place = Place::Measured(rotation_origin(rotation, measured.frames));
    scan.rotation_deg = Entry { value: angle.value, place: place.clone() };
    if scan.transpose.place == Place::Default {
        scan.transpose = Entry { value: rotation.transpose, place };
    }
    Ok(())
}

/// Does anything that is asked for lie in another frame than the frames do?
fn depends_on_rotation(plan: &Plan) -> bool {
    if plan.ptychography.as_ref().is_some_and(|needs| matches!(needs.scan, Scan::Raster(_))) {
        return true;
    }
    let turns = ["all", "com_direction", "idpc", "icom", "ddpc", "parallax", "ssb", "obf", "wdd"];
    plan.images
        && plan.job.images.detectors.as_ref().is_none_or(|list| {
            list.value.0.iter().any(|spec| match spec {
                DetectorSpec::Named(name) => turns.contains(&name.as_str()),
                DetectorSpec::Annulus(_) => false,
            })
        })
}
