//! Synthetic datasets with their truth.
//!
//! The smallest honest one: a thin slab of Na₃Ni₂SbO₆ as a pure phase object (one slice, no absorption, no thermal diffuse scattering),
//! scanned by an aberrated probe, with Poisson counts. [`Spec::demo`] is what `ronchi demo` looks at.

mod cif;
mod coherence;
mod counting;
mod crystal;
mod defects;
mod elements;
mod error;
mod instrument;
mod kirkland;
mod lobato;
mod multislice;
mod scan;
mod slices;
mod specimen;
mod structure;

pub use counting::counts;
pub use crystal::Column;
pub use defects::{Defect, Layering};
pub use elements::{Element, Parametrisation};
pub use error::Error;
pub use instrument::{Instrument, Layout, Method, Vibration};
pub use multislice::{Exposed, diffract, needed_bytes, projected_phase};
pub use scan::{Simulated, Spec, Truth, simulate};
pub use slices::{Grid, Scattering, slice_phases, transmission};
pub use specimen::{Atom, Cut, Specimen, Standing};
pub use structure::{Cell, NAMES, Site, Structure};

pub type Result<T> = std::result::Result<T, Error>;
