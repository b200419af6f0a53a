//! What imaging promises: sums, centres of mass, their integral, the disk, and words where something cannot be made.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and prints its seed")]

mod detectors;
mod disk;
mod kernel;
mod memory;
mod noise;
mod phase;
mod segments;
mod sums;
