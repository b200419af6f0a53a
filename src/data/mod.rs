//! Datacubes on disk: their shape, type, calibration and frames; one file a format.

use std::path::{Path, PathBuf};

use crate::compute::{HostFrames, SampleType};

mod error;
mod h5;
mod raw;
mod resized;
mod sample;
mod thinned;
mod view;

pub use error::Error;
pub use resized::{MOST_BINNED, Resized};
pub use thinned::{Half, Thinned, Unstructured};

pub type Result<T> = std::result::Result<T, Error>;

/// A value with where it comes from, such as ``dataset `Q_pixel_size` of /datacube_root/metadatabundle/calibration``.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Known<T> {
    pub value: T,
    pub origin: String,
}

/// What a file says of its own geometry. Nothing is guessed: what it does not say is `None`.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Calibration {
    pub voltage_kV: Option<Known<f64>>,
    pub convergence_mrad: Option<Known<f64>>,
    /// Scan step (y, x).
    pub step_A: Option<Known<[f64; 2]>>,
    /// Detector sampling (y, x), where the file gives an angle.
    pub mrad_per_px: Option<Known<[f64; 2]>>,
    /// Detector sampling (y, x), where the file gives a spatial frequency; an angle follows with the voltage.
    pub inverse_A_per_px: Option<Known<[f64; 2]>>,
    /// The file's own scan rotation, in the file's convention.
    pub qr_rotation_deg: Option<Known<f64>>,
    /// The file's own scan transposition or flip, in the file's convention.
    pub qr_flip: Option<Known<bool>>,
    /// What else the file says, as `name = value`: nothing is made of it, since its unit or meaning is not certain.
    pub extra: Vec<Known<String>>,
}

/// What is known of a datacube before a frame is read.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct CubeInfo {
    pub path: PathBuf,
    /// Such as `py4DSTEM EMD 1.0` or `HDF5 dataset`.
    pub format: String,
    /// The dataset inside the file.
    pub dataset: String,
    /// The extents of the dataset, before cropping.
    pub stored_shape: Vec<usize>,
    /// (i, j), slow axis first, after cropping.
    pub scan_shape: [usize; 2],
    /// (ky, kx), after cropping.
    pub frame_shape: [usize; 2],
    /// The type on disk, such as `uint16, big-endian`.
    pub stored_dtype: String,
    /// The type that frames are handed on in.
    #[serde(skip)]
    pub dtype: SampleType,
    /// Chunk extents along the stored axes; `None` where contiguous.
    pub chunks: Option<Vec<usize>>,
    pub filters: Vec<String>,
    pub calibration: Calibration,
}

impl CubeInfo {
    pub fn frames(&self) -> usize {
        self.scan_shape[0] * self.scan_shape[1]
    }

    /// The bytes of one frame in host memory, rows padded to whole words.
    pub fn frame_bytes(&self) -> usize {
        4 * self.frame_shape[0] * HostFrames::row_words(self.dtype, self.frame_shape[1])
    }
}

/// Frames of a datacube in scan order. Readers may be called from several threads.
pub trait FrameSource: Send + Sync {
    fn info(&self) -> &CubeInfo;

    /// Reads frames `first..first + count` into places `at..at + count` of `out`, which has this cube's `dtype` and `frame_shape`.
    /// Bytes are swapped and i16, i32 and f64 turned into f32 on the way. The padding of rows is left as it is.
    fn read(&self, first: usize, count: usize, out: &mut HostFrames, at: usize) -> Result<()>;

    /// How many consecutive frames are read together at no extra cost (a chunk's extent); 1 where it does not matter.
    fn preferred_run(&self) -> usize;
}

/// Which part of a file is wanted, and what may be done to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The dataset inside the file; the only numeric 4-D one where `None`.
    pub dataset: Option<String>,
    /// Rows and columns of the scan: for stacks of frames, and for cubes stored under another shape.
    pub scan_shape: Option<[usize; 2]>,
    /// First row, end row, first column, end column of the scan; ends not counted in.
    pub crop_scan: Option<[usize; 4]>,
    /// First row, end row, first column, end column of the detector; ends not counted in.
    pub crop_detector: Option<[usize; 4]>,
    /// Round integers that a 32-bit float does not hold, instead of refusing them.
    pub allow_rounding: bool,
}

/// Opens the datacube of a file for reading; nothing is ever written to it.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn FrameSource>> {
    h5::open(path, options)
}

/// Refuses a request for frames that are not there, or for another kind of block than the cube's.
pub(crate) fn check_request(info: &CubeInfo, first: usize, count: usize, out: &HostFrames, at: usize) -> Result<()> {
    let fits = first.checked_add(count).is_some_and(|end| end <= info.frames())
        && at.checked_add(count).is_some_and(|end| end <= out.count)
        && (out.dtype, out.shape) == (info.dtype, info.frame_shape);
    if fits {
        return Ok(());
    }
    Err(Error::Range {
        path: info.path.display().to_string(),
        first,
        end: first.saturating_add(count),
        available: info.frames().min(out.count.saturating_sub(at)),
    })
}
