//! The linear map of the scan (rotation, shear): what moves all positions, and the object with them.
//!
//! The forces on single positions say little of it: inside a scan that is drawn out, the object is drawn out alike and each pattern is in its place; only the rim pulls. So
//! positions and object are moved together, and the misfit itself says which way: a pattern sees the object strained about its own middle.

use super::refine::due;
use super::{Affine, ObjectFrame, Refinement, Result, State, resampled};

/// Iterations from one trial to the next: the object settles.
const EVERY: u32 = 3;
/// Patterns that are asked, at most.
const ASKED: usize = 512;
/// An object is moved along where this would move its field's edge by so many pixels; interpolation blurs it.
const WORTH_MOVING_PX: f64 = 0.1;

/// Rotation and the two shears, as (row, col) matrices. Not the scale: a wider scan overlaps less and so fits the noise better, by some percent a hundred iterations at
/// 10⁵ e⁻/Å².
const GENERATORS: [[[f64; 2]; 2]; 3] = [[[0.0, 1.0], [-1.0, 0.0]], [[1.0, 0.0], [0.0, -1.0]], [[0.0, 1.0], [1.0, 0.0]]];

/// Is the map of the scan tried after this iteration?
pub(super) fn is_due(refinement: &Refinement, iteration: u32) -> bool {
    refinement.positions.is_some_and(|p| due(p.affine_from, iteration) && (iteration - p.affine_from).is_multiple_of(EVERY))
}

/// Moves positions and object by the map that `misfit` of the patterns asked says is best (one Newton step for each generator). The object in `state` is changed only where it moves by
/// [`WORTH_MOVING_PX`].
///
/// # Errors
/// What `misfit` reports.
pub(super) fn refine(
    frame: &ObjectFrame,
    ids: &[u32],
    state: &mut State,
    mut misfit: impl FnMut(&[u32], &State) -> Result<f64>,
) -> Result<()> {
    let asked: Vec<u32> = ids.iter().copied().step_by(ids.len().div_ceil(ASKED).max(1)).collect();
    // Half a pixel at a window's edge.
    let strain = 1.0 / state.shape.window.iter().copied().min().unwrap_or(1).max(1) as f64;
    let mut trial = state.clone();
    let mut at = |generator: usize, strain: f64| {
        let mut strains = [0.0; 3];
        strains[generator] = strain;
        trial.positions_px.clone_from(&state.positions_px);
        trial.object.clone_from(&state.object);
        strained(frame, &strains, &mut trial, true);
        misfit(&asked, &trial)
    };
    let ends = (0..3).map(|g| Ok([at(g, -strain)?, at(g, strain)?])).collect::<Result<Vec<_>>>()?;
    // Interpolation adds the same to all that are strained; so it is the one twice as far off that tells it from the curvature.
    let far = at(0, -2.0 * strain)? + at(0, 2.0 * strain)?;
    let middle = (4.0 * (ends[0][0] + ends[0][1]) - far) / 6.0;
    let mut strains = [0.0; 3];
    for (strains, [before, after]) in strains.iter_mut().zip(ends) {
        let (slope, curvature) = ((after - before) / (2.0 * strain), (after + before - 2.0 * middle) / (strain * strain));
        let most = strain * slope.abs() * 0.5;
        // Where the misfit does not bend upwards by what it rises, the parabola is none.
        *strains = if curvature * strain > most { -slope / curvature } else { -strain * slope.signum() }.clamp(-strain, strain);
    }
    strained(frame, &strains, state, false);
    Ok(())
}

/// Strains positions, and the object where that moves it.
fn strained(frame: &ObjectFrame, strains: &[f64; 3], state: &mut State, always: bool) {
    let count = state.positions_px.len().max(1) as f64;
    let centre = [0, 1].map(|a| state.positions_px.iter().map(|p| p[a]).sum::<f64>() / count);
    let linear =
        [0, 1].map(|i| [0, 1].map(|j| f64::from(u8::from(i == j)) + (0..3).map(|g| strains[g] * GENERATORS[g][i][j]).sum::<f64>()));
    let shift = [0, 1].map(|i| centre[i] - linear[i][0] * centre[0] - linear[i][1] * centre[1]);
    let map = Affine { linear, shift };
    let [first, last] = frame.reach_px();
    let mut farthest = 0.0f64;
    for position in &mut state.positions_px {
        let there = map.apply(*position);
        farthest = farthest.max((there[0] - position[0]).hypot(there[1] - position[1]));
        *position = [0, 1].map(|a| there[a].clamp(first[a], last[a]));
    }
    if (always || farthest >= WORTH_MOVING_PX)
        && let Some(back) = map.inverse()
    {
        let (shape, pixels) = (state.shape.object, state.shape.object_pixels());
        state.object = state.object.chunks_exact(pixels).flat_map(|slice| resampled(slice, shape, shape, &back)).collect();
    }
}
