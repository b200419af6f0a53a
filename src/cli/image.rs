//! `ronchi image`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::session::{self, Session};
use super::{Common, Usage};
use crate::job::Tasks;

/// Make virtual images of a datacube
#[derive(clap::Args)]
#[command(
    after_help = "Example: ronchi image scan.h5 -o images.emd -d bf,abf,idpc,ssb\nExample: ronchi image scan.h5 -o images.emd -d all --set images.errors=true\nExample: ronchi image job.toml"
)]
pub(super) struct Args {
    /// A data file, or a job file (.toml)
    #[arg(value_name = "FILE|JOB")]
    input: PathBuf,
    /// The result file; by default that of the job
    #[arg(short)]
    output: Option<PathBuf>,
    /// The images to make, such as bf,abf,eabf,adf,haadf,com,idpc, or parallax,ssb,obf,wdd of direct ptychography; by default all that fit the frame
    #[arg(short, value_delimiter = ',')]
    detectors: Vec<String>,
}

pub(super) fn run(args: &Args, common: &Common) -> anyhow::Result<ExitCode> {
    let mut sets = common.sets.clone();
    if !args.detectors.is_empty() {
        let names: Vec<String> = args.detectors.iter().map(|name| toml::Value::from(name.trim()).to_string()).collect();
        sets.push(format!("images.detectors=[{}]", names.join(", ")));
    }
    let job = session::read(&args.input, &sets, args.output.as_deref(), common)?;
    if job.output.path.is_none() {
        return Err(Usage("no output is named: add -o images.emd.".to_owned()).into());
    }
    Session::new(common)?.run(vec![(job, Tasks { images: true, ptychography: false, map: false })])
}
