//! Jobs from the command line to their end: read, checked all together, run one after the other.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::progress::Progress;
use super::words::{self, Words};
use super::{Common, Usage, exit_code, interrupt};
use crate::job::{self, Calibrated, Entry, Job, Mapping, Place, Prepared, Scored, Sweep, Tasks, Trials};
use crate::run::{CancelToken, Event};

/// Reads a job file, or makes a job of a data file.
pub(super) fn read(input: &Path, sets: &[String], output: Option<&Path>, common: &Common) -> anyhow::Result<Job> {
    if input.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml")) {
        return read_job(input, sets, output, common);
    }
    let mut job = Job::of_data(input, sets)?;
    apply(&mut job, output, common);
    Ok(job)
}

/// Reads a job file; its result lies beside it if it does not say where.
pub(super) fn read_job(path: &Path, sets: &[String], output: Option<&Path>, common: &Common) -> anyhow::Result<Job> {
    let mut job = Job::from_file(path, sets)?;
    apply(&mut job, output, common);
    job.output.path.get_or_insert_with(|| Entry { value: Job::default_output(path), place: Place::Default });
    Ok(job)
}

fn apply(job: &mut Job, output: Option<&Path>, common: &Common) {
    if let Some(path) = output {
        job.output.path = Some(Entry { value: path.to_owned(), place: Place::Typed });
    }
    if let Some(device) = &common.device {
        job.compute.device = Entry { value: device.clone(), place: Place::Typed };
    }
}

/// A run of one or several jobs.
pub(super) struct Session {
    force: bool,
    pub(super) words: Words,
    progress: Progress,
    pub(super) cancel: CancelToken,
}

impl Session {
    pub(super) fn new(common: &Common) -> anyhow::Result<Self> {
        let cancel = CancelToken::default();
        interrupt::watch(cancel.clone())?;
        Ok(Self { force: common.force, words: common.words(), progress: Progress::new(common.words()), cancel })
    }

    /// Draws an event.
    pub(super) fn draw(&self, event: Event) {
        self.progress.draw(event);
    }

    /// Takes down a bar that a failed stage left standing.
    pub(super) fn clear(&self) {
        self.progress.clear();
    }

    /// Calibrates the datacube of a job.
    pub(super) fn calibrate(&self, job: Job) -> anyhow::Result<Calibrated> {
        let pool = pool(&job)?;
        let calibrated = pool.install(|| job::calibrate(job, &|event| self.draw(event), &self.cancel));
        self.progress.clear();
        Ok(calibrated?)
    }

    /// Makes the map of a result.
    pub(super) fn map(&self, mapping: Mapping, device: Option<&str>) -> anyhow::Result<()> {
        let device = device.map_or_else(|| mapping.job().compute.device.value.clone(), str::to_owned);
        let pool = pool(mapping.job())?;
        let made = pool.install(|| mapping.run(&device, &|event| self.draw(event), &self.cancel));
        self.progress.clear();
        made?;
        Ok(())
    }

    /// Checks all jobs, then runs each. One that fails does not keep the next from running.
    pub(super) fn run(&self, jobs: Vec<(Job, Tasks)>) -> anyhow::Result<ExitCode> {
        refuse_shared_outputs(&jobs)?;
        let mut prepared = Vec::new();
        for (job, tasks) in jobs {
            prepared.push((pool(&job)?, Prepared::new(job, tasks, self.force)?));
        }
        let (mut code, several) = (0, prepared.len() > 1);
        for (pool, prepared) in prepared {
            if self.words == Words::Many {
                prepared.values().iter().for_each(|line| words::say(line));
            }
            let output = prepared.output().to_owned();
            let result = pool.install(|| prepared.run(&|event| self.draw(event), &self.cancel));
            self.progress.clear();
            if let Err(error) = result {
                if !several || self.cancel.is_cancelled() {
                    return Err(error.into());
                }
                let error = anyhow::Error::from(error);
                words::say(&format!("error: {} was not made: {error}", output.display()));
                code = code.max(exit_code(&error));
            }
        }
        Ok(ExitCode::from(code))
    }
}

impl Session {
    /// Runs the trials of a job's sweep, writes their table and the best job file, and prints the best ones.
    pub(super) fn sweep(&self, job: &Job, sweep: &Sweep, output: &Path) -> anyhow::Result<ExitCode> {
        let trials = Trials::new(job, sweep, output, self.force)?;
        trials.begin()?;
        self.draw(Event::Note { text: trials.note() });
        let count = trials.trials.len();
        let mut scored = Vec::new();
        for (n, trial) in trials.trials.iter().enumerate() {
            let values: Vec<String> = trial.values.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            self.draw(Event::Note { text: format!("trial {} of {count}: {}", n + 1, values.join(", ")) });
            let tasks = Tasks { images: false, ptychography: true, map: false };
            let prepared = Prepared::new(trial.job.clone(), tasks, self.force)?;
            let result = pool(&trial.job)?.install(|| prepared.run(&|event| self.draw(event), &self.cancel));
            self.progress.clear();
            match result.and_then(|()| trial.score()) {
                Ok(score) => scored.push(Scored { number: n + 1, score }),
                Err(error) if self.cancel.is_cancelled() => return Err(error.into()),
                Err(error) => words::say(&format!("error: trial {} has no score: {error}", n + 1)),
            }
        }
        let best = trials.finish(job, &scored, self.force)?;
        scored.sort_by(|a, b| a.score.total_cmp(&b.score));
        for Scored { number, score } in scored.iter().take(BEST) {
            let values: Vec<String> = trials.trials[number - 1].values.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            words::say(&format!("trial {number}: {} {score:.5}  {}", trials.score_name(), values.join(", ")));
        }
        match best {
            Some(_) => {
                words::say(&format!("all trials are in {}, the best one's job is best.toml there", trials.folder.display()));
                Ok(ExitCode::SUCCESS)
            }
            None => Ok(ExitCode::from(1)),
        }
    }
}

/// The trials that are printed after a sweep.
const BEST: usize = 10;

/// The threads that a job asks for, or as many as there are processors.
fn pool(job: &Job) -> anyhow::Result<rayon::ThreadPool> {
    let threads = job.compute.threads.as_ref().map_or(0, |entry| entry.value);
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).build()?)
}

fn refuse_shared_outputs(jobs: &[(Job, Tasks)]) -> Result<(), Usage> {
    let mut outputs: Vec<&PathBuf> = Vec::new();
    for path in jobs.iter().filter_map(|(job, _)| job.output.path.as_ref().map(|entry| &entry.value)) {
        if outputs.contains(&path) {
            return Err(Usage(format!("two jobs write {}: give each its own output.path.", path.display())));
        }
        outputs.push(path);
    }
    Ok(())
}
