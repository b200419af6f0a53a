//! The parts of the object that stay as a stage found them.

use num_complex::Complex64;

use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::job::Error;
use crate::optics::{ScanGrid, apply};
use crate::ptycho::{ObjectFrame, State};

/// The names of the frozen pixels and their values in the state's memory.
const PIXELS: &str = "frozen_pixels";
const VALUES: &str = "frozen_values";

/// Keeps the values of the pixels that stay as they are: those whose place in the scan is `masked`, and those that receive less than `below` of the largest exposure.
pub(super) fn remember(state: &mut State, frame: &ObjectFrame, grid: &ScanGrid, masked: Option<&[bool]>, below: f64) -> Result<(), Error> {
    if masked.is_none() && below == 0.0 {
        return Ok(());
    }
    let mut frozen = vec![false; state.shape.object_pixels()];
    if let Some(masked) = masked {
        let matrix = grid.object_to_scan();
        for (p, frozen) in frozen.iter_mut().enumerate() {
            let px = [(p / frame.shape[1]) as f64, (p % frame.shape[1]) as f64];
            let place = apply(matrix, [0, 1].map(|a| (px[a] - frame.origin_px[a]) * frame.pixel_A[a]));
            let [i, j] = [0, 1].map(|a| (place[a] / grid.step_A[a]).round());
            let inside = i >= 0.0 && j >= 0.0 && i < grid.shape[0] as f64 && j < grid.shape[1] as f64;
            *frozen = inside && masked[i as usize * grid.shape[1] + j as usize];
        }
    }
    if below > 0.0 {
        let exposure = exposure(state, frame)?;
        let least = below * exposure.iter().copied().fold(0.0, f64::max);
        frozen.iter_mut().zip(exposure).for_each(|(frozen, dose)| *frozen |= dose < least);
    }
    let pixels: Vec<usize> = (0..state.object.len()).filter(|p| frozen[p % frozen.len()]).collect();
    state.memory.insert(VALUES.to_owned(), pixels.iter().flat_map(|&p| [state.object[p].re, state.object[p].im]).collect());
    state.memory.insert(PIXELS.to_owned(), pixels.into_iter().map(|p| p as f64).collect());
    Ok(())
}

/// Puts the kept values back; false where there are none.
pub(super) fn restore(state: &mut State) -> bool {
    let State { memory, object, .. } = state;
    let (Some(pixels), Some(values)) = (memory.get(PIXELS), memory.get(VALUES)) else { return false };
    for (&p, value) in pixels.iter().zip(values.chunks_exact(2)) {
        object[p as usize] = Complex64::new(value[0], value[1]);
    }
    !pixels.is_empty()
}

/// Σ|P|² of all positions at each pixel of the object.
fn exposure(state: &State, frame: &ObjectFrame) -> Result<Vec<f64>, Error> {
    let [ny, nx] = frame.window;
    let probes = transformed(&state.probe_hat, frame.window, Direction::Inverse)?;
    let power: Vec<f64> = (0..ny * nx).map(|p| probes.iter().skip(p).step_by(ny * nx).map(Complex64::norm_sqr).sum()).collect();
    let mut exposure = vec![0.0; frame.shape[0] * frame.shape[1]];
    for place in &state.positions_px {
        let corner =
            [0, 1].map(|a| ((place[a].round() as usize).saturating_sub(frame.window[a] / 2)).min(frame.shape[a] - frame.window[a]));
        for (y, row) in power.chunks_exact(nx).enumerate() {
            let start = (corner[0] + y) * frame.shape[1] + corner[1];
            exposure[start..start + nx].iter_mut().zip(row).for_each(|(sum, p)| *sum += p);
        }
    }
    Ok(exposure)
}
