//! `ronchi run`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::session::{self, Session};
use super::{Common, Usage};
use crate::job::Tasks;

/// Run whole jobs, one after the other: images, and ptychography and the map of columns where a job has these sections
#[derive(clap::Args)]
#[command(after_help = "Example: ronchi run monday.toml tuesday.toml\n\nAll jobs are checked before the first begins.")]
pub(super) struct Args {
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<PathBuf>,
}

pub(super) fn run(args: &Args, common: &Common) -> anyhow::Result<ExitCode> {
    let mut jobs = Vec::new();
    for path in &args.jobs {
        let job = session::read_job(path, &common.sets, None, common)?;
        if let (Some(sweep), Some(output)) = (&job.sweep, &job.output.path) {
            if args.jobs.len() > 1 {
                return Err(Usage(format!("{} has a [sweep]: run it by itself.", path.display())).into());
            }
            return Session::new(common)?.sweep(&job, sweep, &output.value);
        }
        let tasks = Tasks { images: true, ptychography: job.ptychography.section.is_some(), map: job.map.section.is_some() };
        jobs.push((job, tasks));
    }
    Session::new(common)?.run(jobs)
}
