//! HDF5 files: py4DSTEM's EMD 1.0, any 4-D dataset of numbers, and stempy's lists of electrons.

mod chunks;
mod cube;
mod emd;
mod events;
mod find;
mod scalar;

use std::io::Read;
use std::path::Path;

use hdf5::{File, MinorErrorCode};

use super::error::Error;
use super::{FrameSource, OpenOptions, Result};

const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// Opens the datacube of an HDF5 file.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn FrameSource>> {
    check_signature(path)?;
    let file = open_file(path)?;
    if let Some(events) = events::Events::open(path, &file, options)? {
        return Ok(Box::new(events));
    }
    Ok(Box::new(cube::Cube::open(path, file, options)?))
}

fn open_file(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| {
        let shown = path.display().to_string();
        if error.contains_minor(MinorErrorCode::Truncated) {
            return Error::Truncated { path: shown, detail: lengths(&error.to_string()) };
        }
        Error::Hdf5 { path: shown, reason: error.to_string() }
    })
}

/// What HDF5 says of a truncated file's lengths, `eof = 600, …, stored_eof = 3614676`, in words.
fn lengths(text: &str) -> String {
    let after = |name: &str| text.split_once(name)?.1.split(',').next()?.trim().parse::<u64>().ok();
    match (after(" eof = "), after("stored_eof = ")) {
        (Some(there), Some(expected)) => format!("it has {there} of the {expected} bytes that it says it has"),
        _ => format!("HDF5 says {text}"),
    }
}

/// Tells what a file is that is not HDF5, before HDF5 itself says less of it.
fn check_signature(path: &Path) -> Result<()> {
    let shown = || path.display().to_string();
    let unreadable = |e: std::io::Error| Error::Unreadable { path: shown(), reason: e.to_string() };
    let about = std::fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::Missing { path: shown() },
        _ => unreadable(e),
    })?;
    if about.is_dir() {
        return Err(Error::Directory { path: shown() });
    }
    if !about.is_file() {
        return Err(Error::Unreadable { path: shown(), reason: "it is not a regular file".into() });
    }
    let mut head = Vec::new();
    std::fs::File::open(path).map_err(unreadable)?.take(1 << 20).read_to_end(&mut head).map_err(unreadable)?;
    // The signature stands at the beginning, or after a user block of 512 bytes or a power of two more.
    let places = std::iter::once(0).chain((9..).map(|p| 1usize << p).take_while(|&p| p < head.len()));
    if places.into_iter().any(|p| head.get(p..p + 8) == Some(SIGNATURE)) {
        return Ok(());
    }
    let what = if head.is_empty() {
        "an empty file"
    } else if head.starts_with(b"PK\x03\x04") {
        "a ZIP archive (such as .zspy, .ndata or .npz)"
    } else if head.starts_with(b"HDR,") || head.starts_with(b"MQ1,") {
        "Merlin data (.hdr or .mib)"
    } else if head.starts_with(b"IMGBLO") {
        "a NanoMegas block file (.blo)"
    } else if head.starts_with(&[0, 0, 0, 3]) || head.starts_with(&[0, 0, 0, 4]) {
        "a Gatan file (.dm3 or .dm4)"
    } else if head.starts_with(b"\x93NUMPY") {
        "a NumPy array (.npy)"
    } else if head.starts_with(b"II*\0") || head.starts_with(b"MM\0*") {
        "a TIFF image"
    } else if head.trim_ascii_start().starts_with(b"<") {
        "an XML file"
    } else {
        "a file of another kind"
    };
    Err(Error::NotHdf5 { path: shown(), what: what.into() })
}
