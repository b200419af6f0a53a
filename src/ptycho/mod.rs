//! Iterative ptychography: the state, the rules that change it, the constraints between iterations, and what is read from it.

mod batches;
mod constraints;
mod engine;
mod error;
mod field;
mod frame;
mod lens;
mod memory;
mod modes;
mod options;
mod pack;
mod projections;
mod propagation;
mod refine;
mod resample;
mod scan_map;
mod state;
mod tilts;
mod variations;

pub use batches::{Grouping, batches, shuffled};
pub use constraints::{Constraint, Parts, Scheduled, Vacuum};
pub use engine::{Hooks, reconstruct};
pub use error::Error;
pub use field::{PhaseScan, amplitude, object_of_phase, phase, phase_in_scan_frame, projected, scanned_field, slice_phases};
pub use frame::ObjectFrame;
pub use lens::LENS_TERMS;
pub use modes::{Blurred, blurred, rewindowed, with_modes};
pub use options::{Options, Rule, Validation};
pub use pack::{Lists, STATE_VERSION};
pub use propagation::propagator;
pub use refine::{PositionRefinement, Refinement, TiltRefinement};
pub use resample::{Affine, probe_in_window, resampled, transmission};
pub use state::{Begin, Ending, Outcome, Record, State, resliced};

pub type Result<T> = std::result::Result<T, Error>;
