//! `ronchi compare`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Usage, words};
use crate::{job, output};

/// Compare two result files
#[derive(clap::Args)]
#[command(after_help = "Example: ronchi compare --exact monday.emd tuesday.emd\n\n\
    Exit code 0: every dataset and attribute outside /ronchi/run is the same, bit by bit; 1: something differs, each thing on a line.")]
pub(super) struct Args {
    first: PathBuf,
    second: PathBuf,
    /// Bit by bit
    #[arg(long)]
    exact: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Comparison {
    same: bool,
    differences: Vec<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if !args.exact {
        let text = "this release compares bit by bit only: add --exact.";
        return Err(Usage(text.to_owned()).into());
    }
    let differences = output::compare_exact(&args.first, &args.second).map_err(job::Error::from)?;
    let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
    let same = lines.is_empty();
    if args.json {
        words::print_json(&Comparison { same, differences: lines })?;
    } else if same {
        words::say(&format!("{} and {} are the same", args.first.display(), args.second.display()));
    } else {
        words::print(&(lines.join("\n") + "\n"))?;
    }
    Ok(ExitCode::from(u8::from(!same)))
}
