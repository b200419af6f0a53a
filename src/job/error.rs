//! What can be wrong with a job, each in one sentence: what, where, what was expected and what to do.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::values::Reference;
use crate::{analysis, compute, data, imaging, output, ptycho, simulate};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of a job file, counted from 1.
    Line { file: Arc<str>, line: usize },
    /// The command line.
    Typed,
    /// The data file; where in it.
    File(String),
    /// The schema's default.
    Default,
    /// Measured from the frames; how.
    Measured(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{file}, line {line}"),
            Self::Typed => write!(f, "command line"),
            Self::File(place) => write!(f, "data file, {place}"),
            Self::Default => write!(f, "default"),
            Self::Measured(how) => write!(f, "measured, {how}"),
        }
    }
}

/// A value that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub place: Place,
    pub key: String,
    pub found: String,
    pub expected: String,
    /// A sentence that says what to do.
    pub remedy: String,
}

/// The refusal of a value.
pub(super) fn refusal(place: Place, key: &str, found: String, expected: &str, remedy: &str) -> Error {
    Refusal { place, key: key.to_owned(), found, expected: expected.to_owned(), remedy: remedy.to_owned() }.into()
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, key, found, expected, remedy } = self;
        write!(f, "{place}: {key} is {found}, expected {expected}. {remedy}")
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Invalid(Box::new(refusal))
    }
}

/// An error of the job room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("cannot read the job file {}: {why}. Check the path and its permissions.", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("{place}: not valid TOML: {why}. Write `key = value` lines under a [section]; text stands in double quotes.")]
    Syntax { place: Place, why: String },
    #[error("{place}: {why}. `ronchi simulate --template` prints a specification with every key.")]
    Specification { place: Place, why: String },
    #[error("--set {text} is not of the form section.key=value, such as --set optics.voltage_kV=300.")]
    Assignment { text: String },
    #[error("{place}: unknown {kind} {name}; {nearest}.")]
    Unknown { place: Place, kind: &'static str, name: String, nearest: String },
    #[error("{place}: {key} is {found}, expected {expected}.")]
    Mistyped { place: Place, key: String, found: String, expected: String },
    #[error("{0}")]
    Invalid(Box<Refusal>),
    #[error("{key} is not known: {why}. Write it under [{}] of the job file or type --set {key}={example}.", section_of(key))]
    Missing { key: &'static str, why: String, example: &'static str },
    #[error("{reference} ({key}) has the shape {found:?}, expected {expected}. Check which part of the data is used.")]
    Shape { key: &'static str, reference: Reference, found: Vec<usize>, expected: String },
    #[error("{} ({key}) has {}×{} pixels, expected {}×{}. Draw it on the image or pattern that `ronchi image` writes of the same part of the data.", path.display(), found[0], found[1], expected[0], expected[1])]
    MaskShape { key: &'static str, path: PathBuf, found: [usize; 2], expected: [usize; 2] },
    #[error("{} ({key}) has no pixel above 0, so nothing is chosen. Draw what is wanted in white on black.", path.display())]
    MaskEmpty { key: &'static str, path: PathBuf },
    #[error("{}: {error}", path.display())]
    Simulation { path: PathBuf, error: simulate::Error },
    #[error("{} is what the simulation is made from: give the output another name.", path.display())]
    OutputIsRead { path: PathBuf },
    #[error("{} is the data file: give output.path another name.", path.display())]
    OutputIsInput { path: PathBuf },
    #[error(
        "ptychography.stages, stage {stage}: {why} Write each stage as a table of keys of [ptychography], such as {{ name = \"thick\", slices = 6 }}."
    )]
    Stage { stage: String, why: String },
    #[error("{} cannot be started from ({key}): {why}.", path.display())]
    Earlier { key: &'static str, path: PathBuf, why: String },
    #[error(
        "{}: the checkpoint belongs to {whose}. Delete it to begin anew, or give --force, or run the job that it belongs to.",
        path.display()
    )]
    ForeignCheckpoint { path: PathBuf, whose: &'static str },
    #[error("{}: the checkpoint cannot be read ({why}). Delete it, or give --force, to begin anew.", path.display())]
    BrokenCheckpoint { path: PathBuf, why: String },
    #[error(
        "the reconstruction went wrong in iteration {iteration}: {why}. {} holds it as it was before. {advice}, and check optics.defocus_A, optics.convergence_mrad and \
         scan.rotation_deg.",
        path.display()
    )]
    Diverged { path: PathBuf, iteration: u32, why: String, advice: &'static str },
    #[error("{place}: [sweep] makes several runs of one job, which `ronchi run` does. Use that, or take the section out.")]
    Sweep { place: Place },
    #[error(
        "ptychography needs at least {fewest} patterns that overlap, and the scan has {found} patterns. Check data.scan_shape and data.crop_scan."
    )]
    TooFewPatterns { found: usize, fewest: usize },
    #[error(
        "all scan positions lie within {extent_A:.2e} Å, less than a pixel of the object ({pixel_A:.3} Å). Check scan.step_A and scan.positions: they are in Å."
    )]
    NoScan { extent_A: f64, pixel_A: f64 },
    #[error(
        "{count} of {all} scan positions, the first of them position {first}, lie farther from all others than the {what} is wide ({reach_A:.1} Å), so that no other pattern sees the \
         object there. Check scan.step_A and scan.positions, which are in Å, or leave these positions out (data.crop_scan)."
    )]
    Apart { count: usize, all: usize, first: usize, reach_A: f64, what: &'static str },
    #[error(
        "neighbouring probes do not overlap: the scan's step is {step_A:.2} Å, the probe {diameter_A:.2} Å wide. Check scan.step_A (in Å), optics.defocus_A and \
         optics.convergence_mrad."
    )]
    NoOverlap { step_A: f64, diameter_A: f64 },
    #[error(
        "the probe is wider than its window of {window_A:.1} Å: {percent:.0} % of it lie at the rim (it is at least {diameter_A:.1} Å wide). Check optics.defocus_A and \
         detector.mrad_per_px; the window is the wavelength over the angle of a detector pixel."
    )]
    WideProbe { percent: f64, diameter_A: f64, window_A: f64 },
    #[error("ptychography.constraints, {kind}: {why} Write it as a table such as {example}.")]
    Constraint { kind: String, why: String, example: &'static str },
    #[error("the workload of {workload} went wrong in iteration {iteration}: {why}. Check the device with `ronchi demo --device NAME`.")]
    Workload { workload: String, iteration: u32, why: String },
    #[error("{image} cannot be mapped: {why}.")]
    NoMap { image: String, why: String },
    #[error("{file} holds no image {name} that could be compared; {nearest}.")]
    NoImage { file: String, name: String, nearest: String },
    #[error(
        "{first} and {second} hold nothing that could be compared: {why}. Choose images with --image, A's and B's name with a colon between them where they differ."
    )]
    NothingToCompare { first: String, second: String, why: String },
    #[error("interrupted: nothing was written.")]
    Cancelled,
    #[error("interrupted: nothing was written to {}.", path.display())]
    Interrupted { path: PathBuf },
    #[error(
        "interrupted after iteration {iteration} of {iterations}: {} holds what was finished until then{}.",
        path.display(),
        if *checkpoint { ", and a checkpoint beside it from which the same job goes on with --force" } else { "" }
    )]
    Stopped { path: PathBuf, iteration: u32, iterations: u32, checkpoint: bool },
    #[error("{} could not be {done}: {why}.", path.display())]
    Files { path: PathBuf, done: &'static str, why: String },
    #[error(transparent)]
    Compute(#[from] compute::Error),
    #[error(transparent)]
    Data(#[from] data::Error),
    #[error(transparent)]
    Analysis(#[from] analysis::Error),
    #[error(transparent)]
    Imaging(#[from] imaging::Error),
    #[error(transparent)]
    Ptycho(#[from] ptycho::Error),
    #[error(transparent)]
    Output(#[from] output::Error),
    #[error(transparent)]
    Simulate(#[from] simulate::Error),
}

fn section_of(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

impl Error {
    /// 2: the job, or the way it was called, has to change. 1: the input or the run failed. 130: interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Cancelled | Self::Interrupted { .. } | Self::Stopped { .. } => 130,
            Self::Files { .. }
            | Self::BrokenCheckpoint { .. }
            | Self::Diverged { .. }
            | Self::Workload { .. }
            | Self::NoImage { .. }
            | Self::NothingToCompare { .. } => 1,
            Self::Compute(e) => e.exit_code(),
            Self::Data(e) => e.exit_code(),
            Self::Analysis(e) => e.exit_code(),
            Self::Imaging(e) => e.exit_code(),
            Self::Ptycho(e) => e.exit_code(),
            Self::Output(e) => e.exit_code(),
            Self::Simulate(e) | Self::Simulation { error: e, .. } => e.exit_code(),
            _ => 2,
        }
    }
}
