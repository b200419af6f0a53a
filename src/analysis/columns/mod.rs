//! Atomic columns: where a known crystal lies in an image, and how many atoms its columns hold.

mod coarse;
mod fit;
mod integrate;
mod lattice;
mod learn;
mod noise;
mod occupancy;
mod peaks;
mod projection;
mod settle;
mod simplex;
mod statistics;
mod template;
mod waves;
mod window;

pub use coarse::coarse;
pub use fit::{Amplitudes, Fit, INSIDE_A, Shifts, Site, grown};
pub use integrate::{Integral, discs, voronoi};
pub use lattice::{Field, Found, Lattice, Place, find_lattice, plain};
pub use learn::{Evidence, Known, Learnt, Lesson, learn};
pub use noise::Noise;
pub use occupancy::{Calibration, Occupancy, Power, Row, occupancies, power, rows};
pub use peaks::{Peak, peaks};
pub use projection::{CellSite, ProjectedColumn, Projection};
pub use settle::{Settled, settle};
pub use statistics::q_values;
pub use template::{REACH_A, Template};
