//! Transforms from the host's memory to it, in double precision.

use num_complex::Complex64;

use super::Cpu;
use crate::compute::{Backend, Direction, Result};

/// The unitary transforms of all windows (y, x) of `shape` in `values`.
///
/// # Errors
/// If there is no room.
pub fn transformed(values: &[Complex64], shape: [usize; 2], direction: Direction) -> Result<Vec<Complex64>> {
    let host = Cpu::<f64>::new();
    let mut array = host.complexes(values)?;
    host.fft2(&mut array, shape, values.len() / (shape[0] * shape[1]), direction)?;
    host.read_complexes(&array)
}
