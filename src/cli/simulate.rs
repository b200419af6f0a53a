//! `ronchi simulate`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::session::Session;
use super::words::{self, Words};
use super::{Common, Usage};
use crate::job::{SIMULATION_TEMPLATE, Simulation};

/// Simulate a 4D-STEM scan, with its truth and a job for it
#[derive(clap::Args)]
#[command(
    after_help = "Example: ronchi simulate --template > spec.toml\n         ronchi simulate spec.toml -o scan.h5\n         ronchi run scan_job.toml\n\n\
    Writes scan.h5 (EMD 1.0, compressed), scan_truth.emd (projected phase, columns with their atoms, positions, probe) and scan_job.toml."
)]
pub(super) struct Args {
    /// What is simulated; --template prints one with every key
    #[arg(required_unless_present = "template")]
    spec: Option<PathBuf>,
    /// The datacube to write
    #[arg(short, long, required_unless_present = "template")]
    output: Option<PathBuf>,
    /// Print a specification with every key
    #[arg(long)]
    template: bool,
}

pub(super) fn run(args: &Args, common: &Common) -> anyhow::Result<ExitCode> {
    if args.template {
        words::print(SIMULATION_TEMPLATE)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !common.sets.is_empty() {
        return Err(Usage("--set changes keys of a job, and a simulation has none: change its specification.".to_owned()).into());
    }
    let (Some(spec), Some(output)) = (&args.spec, &args.output) else {
        return Err(Usage("a simulation needs a specification and --output.".to_owned()).into());
    };
    let session = Session::new(common)?;
    let simulation = Simulation::new(spec, output, common.force)?;
    let written = simulation.run(common.device.as_deref().unwrap_or("auto"), &|event| session.draw(event), &session.cancel);
    session.clear();
    let files = written?;
    if common.words() != Words::Few {
        words::say(&format!("run its job with: ronchi run {}", files.job.display()));
    }
    Ok(ExitCode::SUCCESS)
}
