//! `ronchi calibrate`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::session::{self, Session};
use super::{Common, Usage, words};
use crate::job;
use crate::output::Claim;
use crate::run::Event;

/// Measure the bright-field disk, the scan's rotation, descan, dose, gain and bad pixels; print them as a job file
#[derive(clap::Args)]
#[command(
    after_help = "Example: ronchi calibrate scan.h5 -o job.toml\nExample: ronchi calibrate job.toml --json\n\nWhat is printed is a job file: `ronchi run` takes it, and more keys can be added to it. What the frames do not tell stands in it as a comment, and with \"determined\": false in JSON."
)]
pub(super) struct Args {
    /// A data file, or a job file (.toml)
    #[arg(value_name = "FILE|JOB")]
    input: PathBuf,
    /// Write the job file here instead of to standard output
    #[arg(short)]
    output: Option<PathBuf>,
    /// Print JSON: each value with its standard error, whether it is determined, and where it is from
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, common: &Common) -> anyhow::Result<ExitCode> {
    let job = session::read(&args.input, &common.sets, None, common)?;
    let session = Session::new(common)?;
    if let (Some(path), Some(data)) = (&args.output, &job.data.path)
        && matches!((path.canonicalize(), data.value.canonicalize()), (Ok(a), Ok(b)) if a == b)
    {
        return Err(Usage(format!("{} is the data file: give -o another name.", path.display())).into());
    }
    // What cannot be written is refused before the work.
    let claim = args.output.as_ref().map(|path| Claim::new(path, common.force)).transpose().map_err(job::Error::from)?;
    let calibrated = session.calibrate(job)?;
    if args.json {
        words::print_json(&calibrated)?;
    } else if claim.is_none() {
        words::print(&calibrated.job_file)?;
    }
    if let Some(claim) = claim {
        let path = claim.write(calibrated.job_file.as_bytes()).map_err(job::Error::from)?;
        session.draw(Event::Written { path });
    }
    Ok(ExitCode::SUCCESS)
}
