//! 4D-STEM datacubes in, phase images out.
//!
//! The rooms of the crate and the directions between them are in `docs/architecture.md`.

pub mod analysis;
pub mod cli;
pub mod compute;
pub mod data;
pub mod imaging;
pub mod job;
pub mod optics;
pub mod output;
pub mod ptycho;
pub mod run;
pub mod simulate;
pub mod stream;
