//! What is learned from finished images: how far two of them agree, and in what they differ.

mod align;
mod bragg;
pub mod columns;
mod difference;
mod error;
pub mod field;
mod frc;
mod pairing;
mod regrid;
mod ssim;

pub use align::{displaced, displacement, without_ramp};
pub use bragg::{LEAST_SNR, Spot, highest_bragg_spot};
pub use difference::{Difference, Free, Plane, without_plane};
pub use error::Error;
pub use frc::{Frc, Threshold, Window, frc_of_images, frc_of_objects};
pub use pairing::{Pairing, PlaceErrors, Spread, paired};
pub use regrid::{Field, PixelMap, blurred, common_field, mapped, regridded};
pub use ssim::{SSIM_WINDOW, ssim};

pub type Result<T> = std::result::Result<T, Error>;
