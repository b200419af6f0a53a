//! What direct ptychography promises: the transfer and the noise that theory gives each method, the aberrations that made the data, and the same
//! numbers whatever the memory, the blocks and the engine.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and prints its seed")]

mod agreement;
#[path = "../common/mod.rs"]
mod common;
mod fit;
#[allow(dead_code, reason = "each test binary uses its own part")]
#[path = "../imaging/memory.rs"]
mod memory;
mod noise;
mod transfer;
mod weak;
