//! `ronchi demo`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::session::{self, Session};
use super::{Common, words};
use crate::job::{Demo, Tasks};
use crate::run::{RngState, Run};

/// Simulate a datacube of a sodium-ion cathode, run a job on it and show what can be seen
#[derive(clap::Args)]
#[command(
    after_help = "Example: ronchi demo -o demo\n\nNeeds no input. Writes the data, their truth, a job file to start from, the result and its pictures."
)]
pub(super) struct Args {
    /// The folder to write into
    #[arg(short, default_value = "ronchi-demo")]
    output: PathBuf,
}

pub(super) fn run(args: &Args, common: &Common) -> anyhow::Result<ExitCode> {
    let session = Session::new(common)?;
    let run = Run { events: &|event| session.draw(event), cancel: &session.cancel, rng: RngState::new(SEED) };
    let demo = Demo::make(&args.output, common.force, &run)?;
    let job = session::read_job(&demo.job(), &common.sets, None, common)?;
    let code = session.run(vec![(job, Tasks { images: true, ptychography: true, map: false })])?;
    let (sodium, picture) = demo.judge(common.force)?;

    let mut text = String::from("\nThe phase of the sodium columns, from ptychography:\n");
    for group in &sodium {
        let [atoms, sites] = [group.atoms, group.sites];
        text.push_str(&format!(
            "  {atoms} of {sites} atoms  {:>6.3} ± {:.3} rad  in {} columns\n",
            group.mean, group.deviation, group.columns
        ));
    }
    text.push_str(&format!("The columns that miss atoms are ringed in {}.\n", picture.display()));
    text.push_str(&format!(
        "Everything is in {}; run its job again with: ronchi run {} --force\n",
        args.output.display(),
        demo.job().display()
    ));
    words::print(&text)?;
    Ok(code)
}

/// Of the demonstration's random numbers.
const SEED: u64 = 1;
