//! Virtual detectors, centre of mass, integrated phase contrast and direct ptychography.
//!
//! [`image`] makes the first three in one pass over the patterns, [`direct`] the last. They see [`crate::compute::Patterns`] and numbers, no file.

pub mod calibrate;
mod descan;
mod detectors;
mod direct;
mod disk;
mod error;
mod fields;
mod geometry;
mod image;
mod integrate;
mod layout;
mod pass;
mod plan;

pub use descan::Descan;
pub use detectors::{Angle, Detector, Kind, Requested, Ring};
pub use direct::{Direct, DirectImage, DirectPlan, Fit, Method, Sweep, direct};
pub use disk::{Disk, DiskErrors, find_disk};
pub use error::Error;
pub use geometry::SamplingUnit;
pub use image::{CentreOrigin, Image, Images, Survey, image, sampled_incident, survey};
pub use integrate::{Edges, integrate};
pub use plan::{ImagingPlan, Integration};

pub type Result<T> = std::result::Result<T, Error>;
