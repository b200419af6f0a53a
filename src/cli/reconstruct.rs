//! `ronchi reconstruct`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::session::{self, Session};
use super::{Common, Usage};
use crate::job::Tasks;

/// Reconstruct the object's phase by ptychography
#[derive(clap::Args)]
#[command(after_help = "Example: ronchi reconstruct job.toml -o phase.emd --set ptychography.iterations=20")]
pub(super) struct Args {
    /// A job file (.toml), or a data file that says all there is to know
    #[arg(value_name = "JOB")]
    input: PathBuf,
    /// The result file; by default that of the job
    #[arg(short)]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args, common: &Common) -> anyhow::Result<ExitCode> {
    let job = session::read(&args.input, &common.sets, args.output.as_deref(), common)?;
    if job.output.path.is_none() {
        return Err(Usage("no output is named: add -o phase.emd.".to_owned()).into());
    }
    Session::new(common)?.run(vec![(job, Tasks { images: false, ptychography: true, map: false })])
}
