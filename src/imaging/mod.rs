//! Virtual detectors, centre of mass and integrated phase contrast.
//!
//! [`image`] makes them all in one pass over the patterns. It sees [`crate::compute::Patterns`] and numbers, no file.

pub mod calibrate;
mod descan;
mod detectors;
mod disk;
mod error;
mod image;
mod integrate;
mod pass;
mod plan;

pub use descan::Descan;
pub use detectors::{Angle, Detector, Kind, Requested, SamplingUnit};
pub use disk::{Disk, DiskErrors, find_disk};
pub use error::Error;
pub use image::{CentreOrigin, Image, Images, Survey, image, survey};
pub use integrate::{Edges, integrate};
pub use plan::ImagingPlan;

pub type Result<T> = std::result::Result<T, Error>;
