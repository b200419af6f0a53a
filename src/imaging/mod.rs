//! Virtual detectors, centre of mass and integrated phase contrast.
//!
//! [`image`] makes them all in one pass over the patterns. It sees [`crate::compute::Patterns`] and numbers, no file.

mod detectors;
mod disk;
mod error;
mod fields;
mod geometry;
mod image;
mod integrate;
mod layout;
mod pass;
mod plan;

pub use detectors::{Angle, Detector, Kind, Requested, Ring};
pub use disk::{Disk, find_disk};
pub use error::Error;
pub use geometry::SamplingUnit;
pub use image::{CentreOrigin, Image, Images, Survey, image, survey};
pub use integrate::{Edges, integrate};
pub use plan::{ImagingPlan, Integration};

pub type Result<T> = std::result::Result<T, Error>;
