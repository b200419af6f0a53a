//! Job files: schema, plan, run.

mod error;
mod schema;
mod source;
mod values;

pub use error::{Error, Place};
pub use schema::{Entry, Job, KeyDoc, SECTIONS, SectionDoc, Shown};
pub use values::{Algorithm, Annulus, Coefficients, DetectorList, DetectorSpec, Pair, Reference};
