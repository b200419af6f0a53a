//! Job files: schema, plan, run. Emits events, prints nothing.
//!
//! A [`Job`] is what was written and typed; [`Plan`] is a job that fits its data; [`Prepared`] is a plan that can run.

mod arrays;
mod bench;
mod calibrate;
mod check;
mod compare;
mod crystal;
mod demo;
mod describe;
mod device;
mod direct;
mod error;
mod facts;
mod images;
mod map;
mod mask;
mod measure;
mod memory;
mod pictures;
mod plan;
mod ptychography;
mod run;
mod schema;
mod simulate;
mod source;
mod starts;
mod sweep;
mod timings;
mod trials;
mod values;

pub use bench::{Depth, Extent, Report, Wish, WorkloadReport, bench};
pub use calibrate::{BadPixels, Calibrated, DescanFound, Found, HalfTurn, calibrate};
pub use compare::{Agreement, Bragg, ColumnPair, Comparing, Comparison, ElementErrors, ImagePair, RingCorrelation, compare};
pub use crystal::crystal;
pub use demo::{Demo, Sodium};
pub use describe::{page, template};
pub use error::{Error, Place, Refusal};
pub use map::Mapping;
pub use plan::{Geometry, Plan, Scan, Tasks};
pub use run::{Prepared, open};
pub use schema::{Entry, Job, KeyDoc, Row, SECTIONS, SectionDoc, Shown};
pub use simulate::{Simulation, SimulationFiles, TEMPLATE as SIMULATION_TEMPLATE};
pub use starts::{ProbeStart, Start};
pub use sweep::{Axis, SWEEP, Search, Sweep, Values};
pub use trials::{Scored, Trial, Trials};
pub use values::{
    AberrationSource, Algorithm, Annulus, Coefficients, ConstraintKind, ConstraintList, ConstraintSpec, DescanOrder, DetectorList,
    DetectorSpec, GroupingKind, IntegrationRule, LikelihoodKind, Pair, PixelList, Reference, Score, SearchMode, StageList,
};

/// The file or folder beside `path` that has its name without the ending, and this one.
fn beside(path: &std::path::Path, ending: &str) -> std::path::PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}{ending}"))
}
