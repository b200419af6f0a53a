//! Job files: schema, plan, run.

mod check;
mod describe;
mod error;
mod plan;
mod schema;
mod source;
mod values;

pub use describe::{page, template};
pub use error::{Error, Place, Refusal};
pub use plan::{Geometry, Plan, Scan, Tasks};
pub use schema::{Entry, Job, KeyDoc, Row, SECTIONS, SectionDoc, Shown};
pub use values::{Algorithm, Annulus, Coefficients, DetectorList, DetectorSpec, Pair, Reference};
