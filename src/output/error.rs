//! What can go wrong with an output.

use std::io;
use std::path::Path;

/// An error of the output room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{path} could not be read as a grey image: {reason}.")]
    Raster { path: String, reason: String },
    #[error("{path} exists already. Give --force to replace it, or another output path.")]
    Exists { path: String },
    #[error("{path} is a directory, but the output is one file. Give a file name, such as {path}/result.emd.")]
    IsDirectory { path: String },
    #[error("there is no directory {directory} for the output {path}. Create it, or give another output path.")]
    NoDirectory { directory: String, path: String },
    #[error(
        "nothing can be written in {directory}, where the output {path} belongs: {reason}. Give another output path, or get the permission."
    )]
    Unwritable { directory: String, path: String, reason: String },
    #[error("{path} could not be written: {reason}. Nothing of it is left on the disk; make room and run again.")]
    NoSpace { path: String, reason: &'static str },
    #[error("{path} could not be written: {reason}.")]
    Write { path: String, reason: String },
    #[error("{path} could not be read: {reason}.")]
    Read { path: String, reason: String },
    #[error("{file} holds no {wanted}. It holds: {held}.")]
    Missing { file: String, wanted: String, held: String },
    #[error("{file}:{dataset} is {found}, but {expected} was expected.")]
    Unfit { file: String, dataset: String, found: String, expected: String },
    #[error("{path} {problem}.")]
    Earlier { path: String, problem: String },
    #[error("the array {path} cannot be written: {reason}.")]
    Array { path: String, reason: String },
}

impl Error {
    /// 2 where the output's path is bad usage, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exists { .. } | Self::IsDirectory { .. } | Self::NoDirectory { .. } => 2,
            _ => 1,
        }
    }

    pub(super) fn array(path: &str, reason: impl Into<String>) -> Self {
        Self::Array { path: path.to_owned(), reason: reason.into() }
    }

    /// An I/O error of writing `path`.
    pub(super) fn write_io(path: &Path, error: &io::Error) -> Self {
        Self::of_write(path, error.kind(), error.to_string())
    }

    /// An HDF5 error of writing `path`.
    pub(super) fn write_hdf(path: &Path, error: &hdf5::Error) -> Self {
        let text = hdf_text(error);
        let kind = errno(&text).map_or(io::ErrorKind::Other, |code| io::Error::from_raw_os_error(code).kind());
        Self::of_write(path, kind, error.to_string())
    }

    pub(super) fn read_hdf(path: &Path, error: &hdf5::Error) -> Self {
        Self::Read { path: path.display().to_string(), reason: error.to_string() }
    }

    fn of_write(path: &Path, kind: io::ErrorKind, reason: String) -> Self {
        let path = path.display().to_string();
        match kind {
            io::ErrorKind::StorageFull => Self::NoSpace { path, reason: "the disk is full" },
            io::ErrorKind::QuotaExceeded => Self::NoSpace { path, reason: "the disk quota is used up" },
            io::ErrorKind::FileTooLarge => Self::NoSpace { path, reason: "it grew beyond the largest file that the system allows here" },
            _ => Self::Write { path, reason },
        }
    }
}

/// Every message of HDF5's error stack: the cause is on an inner frame.
fn hdf_text(error: &hdf5::Error) -> String {
    match error.stack() {
        Some(stack) => stack.iter().map(|frame| format!("{} {}\n", frame.desc(), frame.description())).collect(),
        None => error.to_string(),
    }
}

/// HDF5's file drivers write the system's error number as `errno = 28`.
fn errno(text: &str) -> Option<i32> {
    let (_, rest) = text.split_once("errno = ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
