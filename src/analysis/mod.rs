//! What is learned from finished images: so far, how far two of them agree.

mod align;
mod error;
pub mod field;
mod frc;

pub use align::{displaced, displacement, without_ramp};
pub use error::Error;
pub use frc::{Frc, Threshold, Window, frc_of_images, frc_of_objects};

pub type Result<T> = std::result::Result<T, Error>;
