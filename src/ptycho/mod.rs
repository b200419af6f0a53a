//! Iterative ptychography: the state, the rules that change it, the constraints between iterations, and what is read from it.

mod constraints;
mod epie;
mod error;
mod field;
mod frame;
mod hermitian;
mod state;

pub use constraints::{Constraint, Parts, Scheduled, Vacuum};
pub use epie::{EpieOptions, epie, shuffled};
pub use error::Error;
pub use field::{PhaseScan, amplitude, object_of_phase, phase, phase_in_scan_frame};
pub use frame::ObjectFrame;
pub use state::{Outcome, State};

pub type Result<T> = std::result::Result<T, Error>;
