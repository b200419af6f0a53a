//! What can go wrong with a file of frames.

/// An error of the data room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("there is no file {path}. Check the path; a job file's paths are relative to the job file.")]
    Missing { path: String },
    #[error("{path} is a directory, not a file of frames. Name the file inside it.")]
    Directory { path: String },
    #[error("{path} cannot be opened: {reason}. Check that it is there, complete and readable for you.")]
    Unreadable { path: String, reason: String },
    #[error(
        "{path} is {what}, not HDF5. ronchi reads py4DSTEM EMD 1.0 files and any 4-D dataset of an HDF5 file; convert it to one of them."
    )]
    NotHdf5 { path: String, what: String },
    #[error("{path} is not complete: {detail}. Copy or download it again.")]
    Truncated { path: String, detail: String },
    #[error("{path} has no dataset {dataset}. {candidates}")]
    NoDataset { path: String, dataset: String, candidates: String },
    #[error("{path} holds no 4-D dataset of numbers. {found}")]
    NoCube { path: String, found: String },
    #[error("{path} holds {count} datasets that could be the datacube; name one with data.dataset: {candidates}.")]
    SeveralCubes { path: String, count: usize, candidates: String },
    #[error("dataset {dataset} of {path} has {} dimensions ({}); a datacube has 4 (scan, scan, detector, detector), or 3 with data.scan_shape. Name another dataset with data.dataset.", shape.len(), by(shape))]
    Dimensions { path: String, dataset: String, shape: Vec<usize> },
    #[error("dataset {dataset} of {path} is empty: its shape is {}. The acquisition may not have written any frame.", by(shape))]
    Empty { path: String, dataset: String, shape: Vec<usize> },
    #[error(
        "dataset {dataset} of {path} has a shape ({}) but no frame was ever written to it. The acquisition may have been stopped before it began.",
        by(shape)
    )]
    Unwritten { path: String, dataset: String, shape: Vec<usize> },
    #[error("dataset {dataset} of {path} is a stack of {frames} frames without a scan shape. Set data.scan_shape, rows first{hint}.")]
    NeedsScanShape { path: String, dataset: String, frames: usize, hint: String },
    #[error("data.scan_shape = [{}, {}] needs {} frames, but dataset {dataset} of {path} has {frames}. What fits, rows first{hint}.", shape[0], shape[1], (shape[0] as u128) * (shape[1] as u128))]
    ScanShape { path: String, dataset: String, shape: [usize; 2], frames: usize, hint: String },
    #[error("{key} = [{}, {}, {}, {}] does not lie inside the {} of {}×{} of {path}: it is [first row, end row, first column, end column], first below end, ends not counted in, at most [0, {}, 0, {}].", crop[0], crop[1], crop[2], crop[3], of, shape[0], shape[1], shape[0], shape[1])]
    Crop { path: String, key: &'static str, of: &'static str, crop: [usize; 4], shape: [usize; 2] },
    #[error(
        "dataset {dataset} of {path} stores {dtype}, which ronchi does not read as counts: expected integers of 8 to 64 bits, or 32-bit or 64-bit floats. Convert it first."
    )]
    SampleType { path: String, dataset: String, dtype: String },
    #[error(
        "frame {frame} of dataset {dataset} of {path} holds the integer {value}, and a 32-bit float is exact only up to ±16777216. Set data.allow_rounding to accept rounded counts."
    )]
    Rounding { path: String, dataset: String, frame: usize, value: i128 },
    #[error(
        "dataset {dataset} of {path} is compressed with {name} (HDF5 filter {id}), which this build of ronchi cannot decode. Rewrite the file with gzip or uncompressed, for example with `h5repack -f GZIP=1 IN OUT` where that filter is installed."
    )]
    Filter { path: String, dataset: String, name: String, id: i32 },
    #[error(
        "{link} in {path} points to {target}, which cannot be opened. Put that file beside this one, under the name that it was written with."
    )]
    Link { path: String, link: String, target: String },
    #[error(
        "dataset {dataset} of {path} claims {what}, which a file of {file_bytes} bytes does not justify. Its header may be damaged: copy or download it again."
    )]
    Implausible { path: String, dataset: String, what: String, file_bytes: u64 },
    #[error(
        "frames {first} to {last} of dataset {dataset} of {path} could not be read: {reason}. Check the disk and that the file is complete."
    )]
    Read { path: String, dataset: String, first: usize, last: usize, reason: String },
    #[error(
        "dataset {dataset} of {path} has {} frames, more than the 4294967295 that ronchi numbers. Its header may be damaged, or it has to be split.",
        by(scan)
    )]
    TooMany { path: String, dataset: String, scan: Vec<usize> },
    #[error("{path} could not be read: {reason}. Check that it is complete; `h5dump -H` shows what HDF5 makes of it.")]
    Hdf5 { path: String, reason: String },
    #[error(
        "frames {first} to {end} (not counted in) of {path} were asked for where {available} are: this is a mistake in ronchi, please report it."
    )]
    Range { path: String, first: usize, end: usize, available: usize },
    #[error(
        "{path}: frame {frame} holds {value} at detector pixel (y, x) = ({y}, {x}), and {reason}. Repair the frames, or leave them out with data.crop_scan or data.crop_detector."
    )]
    NotFinite { path: String, frame: usize, y: usize, x: usize, value: f64, reason: String },
    #[error(
        "{path}: frame {frame} holds {value} at detector pixel (y, x) = ({y}, {x}), which is no number of electrons of {counts_per_electron} counts each, and only electrons can be divided into two halves by chance. Set data.counts_per_electron to the counts that one electron makes, or take a file of counted electrons."
    )]
    NotCounts { path: String, frame: usize, y: usize, x: usize, value: f64, counts_per_electron: f64 },
    #[error(
        "{path}: not one of its {frames} frames has a count. Check that the detector was exposed and that data.dataset names the right dataset."
    )]
    Dark { path: String, frames: usize },
    #[error(
        "the reader of {path} stopped unexpectedly at frame {frame}. Try again; if it stays, please report it with the file's `ronchi info`."
    )]
    ReaderStopped { path: String, frame: usize },
}

impl Error {
    /// 2 where the job file asks for what the file does not have, else 1: the input failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoDataset { .. }
            | Self::SeveralCubes { .. }
            | Self::NeedsScanShape { .. }
            | Self::ScanShape { .. }
            | Self::Crop { .. }
            | Self::NotCounts { .. } => 2,
            _ => 1,
        }
    }
}

/// A shape as people write it: `64×64×128×128`.
pub(super) fn by(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×")
}
