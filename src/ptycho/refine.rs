//! What is refined beside object and probe, from what the batches leave behind: positions, intensities, the way between slices.

use std::f64::consts::{PI, TAU};

use num_complex::Complex64;

use super::propagation::frequencies;
use super::{Affine, ObjectFrame, State};
use crate::optics::fft_index;

/// How positions are refined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PositionRefinement {
    /// The first iteration, from 1, that moves positions one by one; 0 is never.
    pub from: u32,
    /// The first iteration that moves them all by one linear map of the scan (rotation and shear, but not its scale); 0 is never.
    pub affine_from: u32,
    /// The first iteration that widens or narrows them all by one factor; 0 is never.
    pub scale_from: u32,
    /// The farthest that a position may move from where it began, in Å; without a limit while the map is refined.
    pub limit_A: f64,
}

/// How each position's own tilt of the sample is refined: what a bent one has more than the common tilt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TiltRefinement {
    /// The first iteration, from 1; 0 is never.
    pub from: u32,
    /// The most that a position's tilt may differ from the common one, in mrad.
    pub limit_mrad: f64,
    /// The standard deviation of the Gaussian by which neighbours are heard, in Å; 0 hears each position alone.
    pub smooth_A: f64,
}

/// What is refined; nothing by default. Each number is the first iteration, from 1, that refines; 0 is never.
#[derive(Debug, Clone, PartialEq)]
pub struct Refinement {
    pub positions: Option<PositionRefinement>,
    /// The electrons of each pattern over those of the probe.
    pub intensities_from: u32,
    /// The distance of slices.
    pub thickness_from: u32,
    /// The sample's tilt.
    pub tilt_from: u32,
    pub tilts: TiltRefinement,
    /// The probe's defocus; while the lens is refined, the probe changes in nothing else.
    pub defocus_from: u32,
    /// The variations of the probe and their weights.
    pub variations_from: u32,
    /// The lens's further aberrations, see [`super::LENS_TERMS`].
    pub aberrations_from: u32,
    /// Of the Gauss–Newton step of positions, thickness and tilt.
    pub step: f64,
    /// Part of their last movement that is added to the next one: the object follows them slowly, so that steps alone do.
    pub momentum: f64,
}

/// Does something begun at `from` go on in `iteration`?
pub(super) fn due(from: u32, iteration: u32) -> bool {
    from > 0 && iteration >= from
}

impl Default for Refinement {
    fn default() -> Self {
        Self {
            positions: None,
            intensities_from: 0,
            thickness_from: 0,
            tilt_from: 0,
            tilts: TiltRefinement { from: 0, limit_mrad: 20.0, smooth_A: 5.0 },
            defocus_from: 0,
            aberrations_from: 0,
            variations_from: 0,
            step: 1.0,
            momentum: 0.9,
        }
    }
}

impl Refinement {
    /// Are the moments of positions needed in this iteration?
    pub(super) fn moments(&self, iteration: u32, variations: usize) -> bool {
        self.varies(iteration, variations)
            || due(self.intensities_from, iteration)
            || self.positions.is_some_and(|p| due(p.from, iteration))
    }

    /// Do the weights of so many variations change in this iteration?
    pub(super) fn varies(&self, iteration: u32, variations: usize) -> bool {
        variations > 0 && due(self.variations_from, iteration)
    }

    /// Are the moments of each position's tilt needed in this iteration?
    pub(super) fn tilts(&self, iteration: u32, slices: usize) -> bool {
        slices > 1 && due(self.tilts.from, iteration)
    }

    /// Are the sums of the propagator needed in this iteration?
    pub(super) fn propagator(&self, iteration: u32, slices: usize) -> bool {
        slices > 1 && (due(self.thickness_from, iteration) || due(self.tilt_from, iteration))
    }
}

/// The names of the last movements in the state's memory.
const MOVEMENT: &str = "position_movement";
const WAY: &str = "way_movement";

/// A movement over moment and power of the probe's derivative. A pattern's misfit changes by −2·moment a pixel; its second derivative is the power where half of a wave's
/// change changes its modulus, as it does on average, which makes the Gauss–Newton step 2. Neighbours that are displaced together take the object with them and come back
/// slowly: three times as much is as far as steps with momentum 0.9 do not overshoot (2·(1 + 0.9) is the limit), and needs half the iterations.
pub(super) const STEP: f64 = 6.0;

/// Moves positions and changes intensities by the moments of the patterns `ids`.
pub(super) fn positions_and_intensities(
    refinement: &Refinement,
    iteration: u32,
    frame: &ObjectFrame,
    moments: &[f64],
    ids: &[u32],
    state: &mut State,
) {
    let powers = derivative_powers(state);
    if due(refinement.intensities_from, iteration) {
        for &id in ids {
            let id = id as usize;
            // The derivative by the factor a of the amplitude is X/a: intensities change by twice as much.
            let relative = moments[state.shape.moments() * id] / (powers[0] * state.intensities[id]);
            state.intensities[id] *= (1.0 + relative.clamp(-0.2, 0.2)).powi(2);
        }
        let mean = state.intensities.iter().sum::<f64>() / state.intensities.len().max(1) as f64;
        state.intensities.iter_mut().for_each(|a| *a /= mean);
    }
    let Some(rule) = refinement.positions else { return };
    if !due(rule.from, iteration) {
        return;
    }
    let mut moved = vec![[0.0; 2]; state.positions_px.len()];
    for &id in ids {
        let id = id as usize;
        for axis in 0..2 {
            moved[id][axis] =
                STEP * refinement.step * moments[state.shape.moments() * id + 1 + axis] / (powers[1 + axis] * state.intensities[id]);
        }
    }
    // One pixel at a time: what is linearised does not hold farther.
    moved.iter_mut().flatten().for_each(|m| *m = m.clamp(-1.0, 1.0));
    let last = state.memory.remove(MOVEMENT).unwrap_or_else(|| vec![0.0; 2 * moved.len()]);
    for (moved, last) in moved.iter_mut().zip(last.chunks_exact(2)) {
        (0..2).for_each(|axis| moved[axis] += refinement.momentum * last[axis]);
    }
    // A common shift of all positions is one of the object; of what strains the scan [`super::scan_map`] knows more.
    let (places, movements): (Vec<_>, Vec<_>) = ids.iter().map(|&id| (frame.positions_px[id as usize], moved[id as usize])).unzip();
    let common = Affine::fit(&places, &movements, [[0.0; 2]; 2]);
    for (&id, place) in ids.iter().zip(places) {
        let common = common.apply(place);
        (0..2).for_each(|axis| moved[id as usize][axis] -= common[axis]);
    }
    let [first, last_px] = frame.reach_px();
    for (id, moved) in moved.iter().enumerate() {
        for axis in 0..2 {
            let (start, limit) = (frame.positions_px[id][axis], rule.limit_A / frame.pixel_A[axis]);
            let mut there = state.positions_px[id][axis] + moved[axis];
            if !due(rule.affine_from, iteration) && !due(rule.scale_from, iteration) {
                there = there.clamp(start - limit, start + limit);
            }
            state.positions_px[id][axis] = there.clamp(first[axis], last_px[axis]);
        }
    }
    state.memory.insert(MOVEMENT.to_owned(), moved.into_iter().flatten().collect());
}

/// Σ|P̂|², and Σ(2πf)²|P̂|² along y and x with f in cycles a pixel.
pub(super) fn derivative_powers(state: &State) -> [f64; 3] {
    let [ny, nx] = state.shape.window;
    let mut powers = [0.0; 3];
    for (k, p) in state.probe_hat.iter().enumerate() {
        let (fy, fx) = (fft_index(k / nx % ny, ny) / ny as f64, fft_index(k % nx, nx) / nx as f64);
        let power = p.norm_sqr();
        powers[0] += power;
        powers[1] += (TAU * fy).powi(2) * power;
        powers[2] += (TAU * fx).powi(2) * power;
    }
    powers.map(|p| p.max(f64::MIN_POSITIVE))
}

/// Changes thickness and tilt by what the spectra between slices say: Σ φ̂*Δφ̂ and Σ|φ̂|² (Gauss–Newton in all that is refined).
pub(super) fn way_between_slices(
    refinement: &Refinement,
    iteration: u32,
    pixel_A: [f64; 2],
    wavelength_A: f64,
    numerator: &[Complex64],
    denominator: &[f64],
    state: &mut State,
) {
    let [along_y, along_x] = frequencies(state.shape.window, pixel_A);
    let thickness = state.slice_thickness_A;
    let slopes = state.tilt_mrad.map(|t| (t * 1e-3).tan());
    let wanted = [due(refinement.thickness_from, iteration), due(refinement.tilt_from, iteration), due(refinement.tilt_from, iteration)];
    let (mut matrix, mut right) = ([[0.0; 3]; 3], [0.0; 3]);
    for (k, (n, d)) in numerator.iter().zip(denominator).enumerate() {
        let (y, x) = (along_y[k / along_x.len()], along_x[k % along_x.len()]);
        // dφ̂ = −i·slope·φ̂ for the thickness and the two slopes: Re(i·slope·φ̂*Δφ̂) = −slope·Im.
        let own = [PI * wavelength_A * (y * y + x * x) + TAU * (y * slopes[0] + x * slopes[1]), TAU * thickness * y, TAU * thickness * x];
        for i in (0..3).filter(|&i| wanted[i]) {
            right[i] -= own[i] * n.im;
            for j in (0..3).filter(|&j| wanted[j]) {
                matrix[i][j] += own[i] * own[j] * d;
            }
        }
    }
    let last = state.memory.remove(WAY).unwrap_or_else(|| vec![0.0; 3]);
    // A tenth at a time: the model is linear no farther.
    let most = [0.1 * thickness, 0.01, 0.01];
    let solved = solve(matrix, right, wanted);
    let moved = [0, 1, 2].map(|i| (refinement.step * solved[i] + refinement.momentum * last[i]).clamp(-most[i], most[i]));
    state.slice_thickness_A = thickness + moved[0];
    for axis in 0..2 {
        state.tilt_mrad[axis] = (slopes[axis] + moved[1 + axis]).atan() * 1e3;
    }
    state.memory.insert(WAY.to_owned(), moved.to_vec());
}

/// Solves the wanted part of a symmetric, positive system; 0 for what is not wanted or not determined.
fn solve(mut matrix: [[f64; 3]; 3], mut right: [f64; 3], wanted: [bool; 3]) -> [f64; 3] {
    let largest = (0..3).map(|i| matrix[i][i]).fold(0.0, f64::max);
    for i in 0..3 {
        if !wanted[i] || matrix[i][i] <= 1e-14 * largest {
            matrix[i] = [0.0; 3];
            (0..3).for_each(|j| matrix[j][i] = 0.0);
            matrix[i][i] = 1.0;
            right[i] = 0.0;
        }
    }
    for i in 0..3 {
        for j in i + 1..3 {
            let factor = matrix[j][i] / matrix[i][i];
            (i..3).for_each(|k| matrix[j][k] -= factor * matrix[i][k]);
            right[j] -= factor * right[i];
        }
    }
    let mut solution = [0.0; 3];
    for i in (0..3).rev() {
        let known: f64 = (i + 1..3).map(|k| matrix[i][k] * solution[k]).sum();
        solution[i] = (right[i] - known) / matrix[i][i];
    }
    solution
}
