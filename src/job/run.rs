//! The run of a job: file → stream → images → ptychography → result, on whatever device.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::device::Device;
use super::plan::{Plan, Tasks};
use super::ptychography::{self, Ended, Inputs, Keeper, Setup};
use super::schema::{Job, Row};
use super::timings::Stopwatch;
use super::{Error, Place, calibrate, facts, images, map, measure, memory, pictures};
use crate::compute::cpu::Cpu;
use crate::compute::{self, Backend};
use crate::data::{self, FrameSource, OpenOptions};
use crate::output::{Array, Header, ResultFile, RunFacts, Table};
use crate::run::{CancelToken, Event, RngState, Run, Stage};
use crate::stream::{self, Stream, StreamOptions};

/// Opens the datacube of a job.
pub fn open(job: &Job) -> Result<Box<dyn FrameSource>, Error> {
    let data = &job.data;
    let options = OpenOptions {
        dataset: data.dataset.as_ref().map(|entry| entry.value.clone()),
        scan_shape: data.scan_shape.as_ref().map(|entry| entry.value),
        crop_scan: data.crop_scan.as_ref().map(|entry| entry.value),
        crop_detector: data.crop_detector.as_ref().map(|entry| entry.value),
        allow_rounding: data.allow_rounding.value,
    };
    Ok(data::open(job.data_path()?, &options)?)
}

/// A job that can run: its data are open, its plan is checked, its device is there, its place is claimed.
pub struct Prepared {
    device: Device,
    work: Work,
}

struct Work {
    plan: Plan,
    inputs: Inputs,
    source: Box<dyn FrameSource>,
    result: ResultFile,
    output: PathBuf,
    force: bool,
}

impl Prepared {
    /// Checks everything that can be checked before the work.
    pub fn new(job: Job, tasks: Tasks, force: bool) -> Result<Self, Error> {
        if let Some(sweep) = &job.sweep {
            return Err(Error::Sweep { place: sweep.place.clone() });
        }
        let source = open(&job)?;
        let plan = Plan::new(job, source.info(), tasks)?;
        let Some(output) = plan.job.output.path.as_ref().map(|entry| entry.value.clone()) else {
            let why = "a job needs a place for its result".to_owned();
            return Err(Error::Missing { key: "output.path", why, example: "\"result.emd\"" });
        };
        if same_file(&output, &source.info().path) {
            return Err(Error::OutputIsInput { path: output });
        }
        if plan.images {
            images::requested(&plan.job, source.info().frame_shape)?;
            images::field(&plan.job, source.info().scan_shape)?;
        }
        memory::check_stream(&plan.job, source.info())?;
        let inputs = Inputs::read(&plan, source.info())?;
        ptychography::check(&plan, &inputs, source.info())?;
        pictures::check(&plan.job.output, plan.ptychography.is_some(), &output, force)?;
        if plan.map {
            map::check(&plan.job, &output, force)?;
        }
        let device = Device::open(&plan.job.compute.device.value)?;
        let result = ResultFile::create(&output, force)?;
        Ok(Self { device, work: Work { plan, inputs, source, result, output, force } })
    }

    /// Each value of the job with its origin, a line each.
    pub fn values(&self) -> Vec<String> {
        let rows = self.work.plan.job.rows();
        rows.into_iter().map(|row| format!("{}.{} = {}  ({})", row.section, row.key, row.value, row.place)).collect()
    }

    /// Where the result goes.
    pub fn output(&self) -> &Path {
        &self.work.output
    }

    /// Does the work and writes the result.
    pub fn run(self, events: &(dyn Fn(Event) + Sync), cancel: &CancelToken) -> Result<(), Error> {
        let Self { device, work } = self;
        let job = &work.plan.job;
        let stopwatch = Stopwatch::default();
        let heard = |event: Event| {
            stopwatch.hear(&event);
            events(event);
        };
        let run = Run { events: &heard, cancel, rng: RngState::new(job.ptychography.seed.value) };
        device.tell(&job.compute.device.value, &run);
        let output = work.output.clone();
        let done = match device {
            Device::Cpu => work.on(Arc::new(Cpu::<f32>::new()), "cpu", &run, &stopwatch),
            Device::Gpu(gpu) => {
                let name = gpu.device_name();
                work.on(Arc::new(*gpu), &name, &run, &stopwatch)
            }
        };
        match done {
            Err(error @ Error::Stopped { .. }) => Err(error),
            Err(error) if error.exit_code() == 130 => Err(Error::Interrupted { path: output }),
            done => done,
        }
    }
}

impl Work {
    fn on<B: Backend>(self, backend: Arc<B>, device: &str, run: &Run, stopwatch: &Stopwatch) -> Result<(), Error> {
        let Self { mut plan, inputs, source, result, output, force } = self;
        let start = SystemTime::now();
        let info = source.info().clone();
        if plan.ptychography.is_some() && !backend.supports_window(info.frame_shape) {
            return Err(compute::Error::UnsupportedWindow { device: backend.device_name(), shape: info.frame_shape }.into());
        }
        let samples = stream::survey(&*source, run)?;
        let valid = measure::valid(&plan.job, info.frame_shape, &samples.bad);
        let options = StreamOptions { memory_limit_bytes: memory::frames_bytes(&plan), ..StreamOptions::default() };
        let stream = Stream::new(source, backend.clone(), options);
        let mut measured = measure::detector(&mut plan, &*backend, &stream, valid.as_deref(), run)?;
        calibrate::fill_in_rotation(&mut plan, &*backend, &stream, valid.as_deref(), run)?;
        measure::batch(&mut plan, &measured, &*backend, &stream, valid.as_deref(), run)?;
        tell_origins(&plan, run);

        let (mut made, mut ended) = (Vec::new(), Ended::Whole);
        let input = facts::input(&info.path)?;
        let all_input = inputs.hash(&input.hash);
        let setup = match &plan.ptychography {
            Some(needs) => Some(Setup::new(&plan, needs, inputs, &measured, valid.clone(), &info, run)?),
            None => None,
        };
        let mut keeper = Keeper::new(&output, plan.job.output.checkpoint_every.value, all_input.clone(), force);
        if plan.images {
            let (images, incident) = images::make(&plan, &*backend, &stream, valid, run)?;
            made.extend(images);
            measured.incident.get_or_insert(incident);
        }
        if let Some(setup) = &setup {
            let reconstructed = ptychography::run(setup, &measured, &backend, &stream, &mut keeper, run)?;
            made.extend(reconstructed.arrays);
            ended = reconstructed.ended;
        }

        // A map that cannot be made is no reason to lose what it would have been made of.
        let mut mapped = None;
        if plan.map && matches!(ended, Ended::Whole) {
            mapped = Some(map::map(&plan.job, made.as_slice(), &plan.job.compute.device.value, run));
            if let Some(Ok(outcome)) = &mapped {
                made.extend(outcome.arrays.iter().cloned());
            }
        }
        let tables = mapped.iter().flatten().flat_map(|outcome| &outcome.tables).collect::<Vec<_>>();

        let begin = Instant::now();
        run.emit(Event::StageStarted { stage: Stage::Write, total: made.len() as u64, unit: "arrays" });
        let job = plan.resolved();
        let header = Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uuid: facts::uuid(&job, &all_input),
            device: device.to_owned(),
            seed: plan.job.ptychography.seed.value,
            input: Some(input),
            job,
        };
        let timings = |seconds| stopwatch.report(seconds, &backend.device_name());
        let finished = write(result, &header, &made, &tables, start, timings, run)?;
        let folder = pictures::write(&plan.job, &output, &made, force)?;
        let aside = match &mapped {
            Some(Ok(outcome)) => Some(outcome.write_aside(&output, force)?),
            _ => None,
        };
        run.emit(Event::StageFinished { stage: Stage::Write, seconds: begin.elapsed().as_secs_f64() });
        for path in std::iter::once(finished).chain(folder).chain(aside) {
            run.emit(Event::Written { path });
        }
        match ended {
            Ended::Whole => {
                keeper.remove()?;
                mapped.transpose().map(|_| ())
            }
            Ended::Stopped { iteration, iterations } => {
                Err(Error::Stopped { path: output, iteration, iterations, checkpoint: keeper.has_checkpoint() })
            }
            Ended::Diverged { iteration, why, advice } => Err(Error::Diverged { path: output, iteration, why, advice }),
        }
    }
}

fn write(
    mut result: ResultFile,
    header: &Header,
    arrays: &[Array],
    tables: &[&Table],
    start: SystemTime,
    timings: impl Fn(f64) -> serde_json::Value,
    run: &Run,
) -> Result<PathBuf, Error> {
    result.header(header)?;
    for (done, array) in arrays.iter().enumerate() {
        result.array(array)?;
        run.emit(Event::Progress { stage: Stage::Write, done: done as u64 + 1 });
    }
    tables.iter().try_for_each(|table| result.table(table))?;
    let now = SystemTime::now();
    let seconds = now.duration_since(start).map_or(0.0, |d| d.as_secs_f64());
    result.run(&RunFacts {
        start: facts::timestamp(start),
        end: facts::timestamp(now),
        host: facts::host(),
        timings: timings(seconds).to_string(),
    })?;
    Ok(result.finish()?)
}

/// Says what the job did not: from the file, measured, assumed. Of what was assumed for ptychography, which has many keys, only what bears most on what is seen.
fn tell_origins(plan: &Plan, run: &Run) {
    const TOLD: [&str; 4] = ["algorithm", "iterations", "batch", "start"];
    let asked = |row: &Row| match row.section {
        "optics" | "scan" | "detector" => true,
        "images" => plan.images,
        "ptychography" => plan.ptychography.is_some() && (row.place != Place::Default || TOLD.contains(&row.key)),
        _ => false,
    };
    let rows: Vec<Row> = plan.job.rows().into_iter().filter(asked).collect();
    let origin_of = |place: &Place| match place {
        Place::File(_) => "from the data file",
        Place::Measured(_) => "measured",
        Place::Default => "assumed",
        Place::Line { .. } | Place::Typed => "said",
    };
    for origin in ["from the data file", "measured", "assumed"] {
        let of_it = rows.iter().filter(|row| origin_of(&row.place) == origin);
        let values: Vec<String> = of_it.map(|row| format!("{}.{} = {}", row.section, row.key, row.value)).collect();
        if !values.is_empty() {
            run.note(format!("{origin}: {}", values.join(", ")));
        }
    }
}

/// Are these one file, by whatever names?
pub(super) fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
