//! Result files, TIFF and PNG pictures, and the comparison of two result files.
//!
//! [`Array`] and [`Table`] are what a job hands over; [`ResultFile`] writes them into one HDF5 file, [`write_tiff`]
//! and [`write_png`] write single images. Every file is written beside its place and renamed when complete
//! ([`Claim`]): a reader sees the whole file or none, and nothing is overwritten unasked.

mod axes;
mod checkpoint;
mod claim;
mod colormap;
mod compare;
mod curves;
mod datacube;
mod earlier;
mod error;
mod events;
mod hdf;
mod model;
mod overlay;
mod picture;
mod plot;
mod profile;
mod raster;
mod read;
mod result;
mod shapes;
mod sheet;
mod spectrum;
mod text;
mod tiff;
mod vectors;

pub use checkpoint::Checkpoint;
pub use claim::Claim;
pub use colormap::ColorMap;
pub use compare::{Difference, Kind, compare_exact};
pub use curves::{Curve, write_curves_png};
pub use datacube::{Datacube, DatacubeWriter, write_datacube};
pub use earlier::{Earlier, EarlierObject, EarlierProbe, read_earlier};
pub use error::Error;
pub use events::EventsWriter;
pub use model::{Array, ArrayData, Attr, Axis, Column, Frame, Table};
pub use overlay::{Legend, Mark, RingWidth, write_overlay_png};
pub use picture::{Look, Ring, write_png, write_png_with_rings};
pub use profile::{Band, Profile, write_profile_png};
pub use raster::read_raster;
pub use read::{Results, read_complex};
pub use result::{Header, Input, ResultFile, RunFacts};
pub use sheet::{Tile, slices, write_sheet};
pub use tiff::write_tiff;
pub use vectors::{Vectors, write_vector_png};

pub type Result<T> = std::result::Result<T, Error>;
