//! `ronchi init`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Common, words};
use crate::job::{self, Job};

/// Print a commented job file, filled in with what the data file says
#[derive(clap::Args)]
#[command(after_help = "Example: ronchi init scan.h5 > job.toml")]
pub(super) struct Args {
    file: PathBuf,
}

pub(super) fn run(args: &Args, common: &Common) -> anyhow::Result<ExitCode> {
    let job = Job::of_data(&args.file, &common.sets)?;
    let source = job::open(&job)?;
    words::print(&job::template(job, source.info())?)?;
    Ok(ExitCode::SUCCESS)
}
