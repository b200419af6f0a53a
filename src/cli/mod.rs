//! The command line: everything that is typed and printed.
//!
//! Machine output goes to stdout, words to stderr. Exit codes: 0 done, 1 the input or the run failed, 2 bad usage, job file or device,
//! 130 interrupted.

mod bench;
mod calibrate;
mod compare;
mod demo;
mod devices;
mod guard;
mod image;
mod info;
mod init;
mod interrupt;
mod map;
mod page;
mod progress;
mod quiet;
mod reconstruct;
mod run;
mod session;
mod simulate;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use words::Words;

/// 4D-STEM datacubes in, phase images out: virtual detectors, iDPC and ptychography on any GPU, or none.
#[derive(Parser)]
#[command(name = "ronchi", version, max_term_width = 110, after_help = "Example: ronchi demo")]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(clap::Args)]
struct Common {
    /// Set a key of the job, whatever its file says; the value is TOML or bare text
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", global = true, help_heading = "Job")]
    sets: Vec<String>,
    /// Where to compute: auto, cpu, gpu, gpu:N or an adapter's name
    #[arg(long, global = true, help_heading = "Job")]
    device: Option<String>,
    /// Replace outputs that exist
    #[arg(long, global = true, help_heading = "Job")]
    force: bool,
    /// Say nothing but warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say every value of the job with its origin, and what happens inside
    #[arg(short, long, global = true)]
    verbose: bool,
}

impl Common {
    fn words(&self) -> Words {
        match (self.quiet, self.verbose) {
            (true, _) => Words::Few,
            (_, true) => Words::Many,
            _ => Words::Usual,
        }
    }
}

#[derive(Subcommand)]
enum Command {
    Devices(devices::Args),
    Info(info::Args),
    Init(init::Args),
    Calibrate(calibrate::Args),
    Image(image::Args),
    Reconstruct(reconstruct::Args),
    Map(map::Args),
    Run(run::Args),
    Compare(compare::Args),
    Simulate(simulate::Args),
    Bench(bench::Args),
    Demo(demo::Args),
    #[command(name = "job-file-page", hide = true)]
    Page,
}

/// Bad usage that clap cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// The program.
pub fn main() -> ExitCode {
    quiet::quiet_drivers();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody listening is no error.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    log(cli.common.words());
    match guard::unwinding(|| dispatch(&cli)) {
        Ok(code) => code,
        Err(error) => {
            words::say(&format!("error: {error}"));
            ExitCode::from(exit_code(&error))
        }
    }
}

fn dispatch(cli: &Cli) -> anyhow::Result<ExitCode> {
    let common = &cli.common;
    match &cli.command {
        Command::Devices(args) => devices::run(args),
        Command::Info(args) => info::run(args, common),
        Command::Init(args) => init::run(args, common),
        Command::Calibrate(args) => calibrate::run(args, common),
        Command::Image(args) => image::run(args, common),
        Command::Reconstruct(args) => reconstruct::run(args, common),
        Command::Map(args) => map::run(args, common),
        Command::Run(args) => run::run(args, common),
        Command::Compare(args) => compare::run(args),
        Command::Simulate(args) => simulate::run(args, common),
        Command::Bench(args) => bench::run(args, common),
        Command::Demo(args) => demo::run(args, common),
        Command::Page => page::run(),
    }
}

/// The exit code that an error means.
fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() {
        return 2;
    }
    error.downcast_ref::<crate::job::Error>().map_or(1, crate::job::Error::exit_code)
}

/// What the rooms log goes to stderr if it was asked for.
fn log(words: Words) {
    if words == Words::Many {
        let filter = tracing_subscriber::EnvFilter::new("ronchi=debug");
        // A second logger is refused; there is none.
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().try_init();
    }
}
