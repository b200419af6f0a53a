//! What can be wrong with a job, each in one sentence: what, where, what was expected and what to do.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

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
    #[error("{what} {}: {remedy}", path.display())]
    Output { what: &'static str, path: PathBuf, remedy: String },
}

fn section_of(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

impl Error {
    /// 2: the job or the way it was called has to change.
    pub fn exit_code(&self) -> u8 {
        2
    }
}
