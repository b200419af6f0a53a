//! The linear map of the scan (rotation, shear, scale): what moves all positions, and the object with them. A drift of constant speed is such a map, too.
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

/// Rotation, the two shears and the scale, as (row, col) matrices.
const GENERATORS: [[[f64; 2]; 2]; 4] =
    [[[0.0, 1.0], [-1.0, 0.0]], [[1.0, 0.0], [0.0, -1.0]], [[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]];
/// Those whose slope noise does not change, by symmetry: a wider object moves its noise to other angles, where it costs more or less.
const TRACELESS: usize = 3;
/// The scale's place among the generators.
const SCALE: usize = 3;
/// Iterations from one trial of the scale to the next.
const SCALE_EVERY: u32 = 10;
/// Iterations in which a wider and a narrower scan each find their object, so that the noise is theirs.
pub(super) const SETTLING: u32 = 6;

/// Is the map of the scan tried after this iteration?
pub(super) fn is_due(refinement: &Refinement, iteration: u32) -> bool {
    refinement.positions.is_some_and(|p| due(p.affine_from, iteration) && (iteration - p.affine_from).is_multiple_of(EVERY))
}

/// Is the scale of the scan tried after this iteration?
pub(super) fn scale_is_due(refinement: &Refinement, iteration: u32) -> bool {
    refinement.positions.is_some_and(|p| due(p.scale_from, iteration) && (iteration - p.scale_from).is_multiple_of(SCALE_EVERY))
}

/// Moves positions and object by the scale that `settled`, the misfit some iterations later, says is best (a Newton step). Where `settled` has no answer, nothing is moved and false
/// returned.
///
/// # Errors
/// What `settled` reports.
pub(super) fn rescale(frame: &ObjectFrame, state: &mut State, mut settled: impl FnMut(State) -> Result<Option<f64>>) -> Result<bool> {
    let strain = largest_strain(state);
    let mut at = |strain: f64| {
        let mut trial = state.clone();
        strained(frame, &strains(SCALE, strain), &mut trial, true);
        settled(trial)
    };
    let (Some(before), Some(after)) = (at(-strain)?, at(strain)?) else { return Ok(false) };
    // Iterations make good most of what interpolation spoils at both ends; what is left makes steps shorter.
    let Some(middle) = at(0.0)? else { return Ok(false) };
    strained(frame, &strains(SCALE, newton(strain, [before, after], middle)), state, false);
    Ok(true)
}

/// Half a pixel at a window's edge.
fn largest_strain(state: &State) -> f64 {
    1.0 / state.shape.window.iter().copied().min().unwrap_or(1).max(1) as f64
}

/// Only this generator, so strongly.
fn strains(generator: usize, strain: f64) -> [f64; 4] {
    let mut strains = [0.0; 4];
    strains[generator] = strain;
    strains
}

/// Where a parabola through −`strain`, 0 and `strain` is least, no farther than that.
fn newton(strain: f64, [before, after]: [f64; 2], middle: f64) -> f64 {
    let (slope, curvature) = ((after - before) / (2.0 * strain), (after + before - 2.0 * middle) / (strain * strain));
    let most = strain * slope.abs() * 0.5;
    // Where the misfit does not bend upwards by what it rises, the parabola is none.
    if curvature * strain > most { -slope / curvature } else { -strain * slope.signum() }.clamp(-strain, strain)
}

/// Moves positions and object by the map that `misfit` of the patterns asked says is best (one Newton step for each generator but the scale). The object in `state` is changed only where it moves by
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
    let strain = largest_strain(state);
    let mut trial = state.clone();
    let mut at = |generator: usize, strain: f64| {
        trial.positions_px.clone_from(&state.positions_px);
        trial.object.clone_from(&state.object);
        strained(frame, &strains(generator, strain), &mut trial, true);
        misfit(&asked, &trial)
    };
    let ends = (0..TRACELESS).map(|g| Ok([at(g, -strain)?, at(g, strain)?])).collect::<Result<Vec<_>>>()?;
    // Interpolation adds the same to all that are strained; so it is the one twice as far off that tells it from the curvature.
    let far = at(0, -2.0 * strain)? + at(0, 2.0 * strain)?;
    let middle = (4.0 * (ends[0][0] + ends[0][1]) - far) / 6.0;
    let mut strains = [0.0; 4];
    for (found, ends) in strains.iter_mut().zip(ends) {
        *found = newton(strain, ends, middle);
    }
    strained(frame, &strains, state, false);
    Ok(())
}

/// Strains positions, and the object where that moves it.
fn strained(frame: &ObjectFrame, strains: &[f64; 4], state: &mut State, always: bool) {
    let count = state.positions_px.len().max(1) as f64;
    let centre = [0, 1].map(|a| state.positions_px.iter().map(|p| p[a]).sum::<f64>() / count);
    let linear =
        [0, 1].map(|i| [0, 1].map(|j| f64::from(u8::from(i == j)) + (0..4).map(|g| strains[g] * GENERATORS[g][i][j]).sum::<f64>()));
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
