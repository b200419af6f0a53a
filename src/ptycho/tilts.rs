//! Each position's own tilt of the sample: a bent one is tilted otherwise here than there.

use std::collections::BTreeMap;

use super::refine::{Refinement, STEP, derivative_powers};
use super::{ObjectFrame, State};

/// The name of the last movements in the state's memory.
const MOVEMENT: &str = "tilt_movement";

/// A Gaussian is cut off at so many standard deviations.
const CUT: f64 = 3.0;

/// How far (y, x) in object pixels a wave is shifted from slice to slice by what the tilt of pattern `id` has more than the common one.
pub(super) fn shift_px(state: &State, frame: &ObjectFrame, id: u32) -> [f64; 2] {
    let slope = |mrad: f64| (mrad * 1e-3).tan();
    [0, 1].map(|axis| {
        let common = state.tilt_mrad[axis];
        state.slice_thickness_A * (slope(common + state.tilts_mrad[id as usize][axis]) - slope(common)) / frame.pixel_A[axis]
    })
}

/// Changes the tilts by the moments of the patterns `ids`; a pattern that is not among them keeps its own.
///
/// The mean of all stays 0: a tilt that is everywhere the same is indistinguishable from slices that lie askew.
pub(super) fn refine(refinement: &Refinement, frame: &ObjectFrame, moments: &[f64], ids: &[u32], state: &mut State) {
    let (rule, patterns) = (refinement.tilts, state.positions_px.len());
    state.tilts_mrad.resize(patterns, [0.0; 2]);
    // A shift on each of the ways moves the exit wave by all of them.
    let ways = (state.shape.slices - 1) as f64;
    let powers = derivative_powers(state);
    let places: Vec<[f64; 2]> =
        ids.iter().map(|&id| [0, 1].map(|axis| frame.positions_px[id as usize][axis] * frame.pixel_A[axis])).collect();
    let sums: Vec<[f64; 3]> =
        ids.iter().map(|&id| [moments[2 * id as usize], moments[2 * id as usize + 1], state.intensities[id as usize]]).collect();
    let heard = smoothed(&places, &sums, rule.smooth_A);
    let last = state.memory.remove(MOVEMENT).unwrap_or_else(|| vec![0.0; 2 * patterns]);
    let mut moved = vec![[0.0; 2]; patterns];
    for (&id, sums) in ids.iter().zip(heard) {
        let id = id as usize;
        for axis in 0..2 {
            let shift_px = STEP * refinement.step * sums[axis] / (ways * ways * powers[1 + axis] * sums[2]);
            // Half a pixel at a time: what is linearised does not hold farther.
            let slope = shift_px.clamp(-0.5, 0.5) * frame.pixel_A[axis] / state.slice_thickness_A;
            moved[id][axis] = 1e3 * slope + refinement.momentum * last[2 * id + axis];
        }
    }
    let mean = [0, 1].map(|axis| moved.iter().map(|m| m[axis]).sum::<f64>() / ids.len().max(1) as f64);
    for &id in ids {
        for axis in 0..2 {
            let (moved, tilt) = (&mut moved[id as usize][axis], &mut state.tilts_mrad[id as usize][axis]);
            *moved -= mean[axis];
            *tilt = (*tilt + *moved).clamp(-rule.limit_mrad, rule.limit_mrad);
        }
    }
    state.memory.insert(MOVEMENT.to_owned(), moved.into_iter().flatten().collect());
}

/// Sums over the neighbours of each place, by a Gaussian of this standard deviation; as they are where it is 0.
fn smoothed(places: &[[f64; 2]], sums: &[[f64; 3]], sigma: f64) -> Vec<[f64; 3]> {
    if sigma == 0.0 {
        return sums.to_vec();
    }
    let cell = |place: &[f64; 2]| place.map(|x| (x / (CUT * sigma)).floor() as i64);
    let mut cells: BTreeMap<[i64; 2], Vec<usize>> = BTreeMap::new();
    places.iter().enumerate().for_each(|(n, place)| cells.entry(cell(place)).or_default().push(n));
    let around = |place: &[f64; 2]| {
        let [row, col] = cell(place);
        (row - 1..=row + 1).flat_map(move |row| (col - 1..=col + 1).map(move |col| [row, col])).filter_map(|at| cells.get(&at)).flatten()
    };
    let of = |place: &[f64; 2]| {
        let mut total = [0.0; 3];
        for &n in around(place) {
            let squared = (0..2).map(|axis| (places[n][axis] - place[axis]).powi(2)).sum::<f64>() / (sigma * sigma);
            if squared <= CUT * CUT {
                let weight = (-0.5 * squared).exp();
                (0..3).for_each(|k| total[k] += weight * sums[n][k]);
            }
        }
        total
    };
    places.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn neighbours_are_heard_by_their_distance() {
        let seed = rand::random();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let places: Vec<[f64; 2]> = (0..200).map(|_| [rng.random_range(-9.0..9.0), rng.random_range(-4.0..20.0)]).collect();
        let sums: Vec<[f64; 3]> = (0..200).map(|_| [0; 3].map(|_: i32| rng.random_range(-1.0..1.0))).collect();
        let sigma = rng.random_range(0.3..4.0);
        for (place, made) in places.iter().zip(smoothed(&places, &sums, sigma)) {
            let mut expected = [0.0; 3];
            for (other, sums) in places.iter().zip(&sums) {
                let distance = (place[0] - other[0]).hypot(place[1] - other[1]) / sigma;
                if distance <= CUT {
                    (0..3).for_each(|k| expected[k] += sums[k] * (-0.5 * distance * distance).exp());
                }
            }
            // Sums of 200 numbers of at most 1 in another order.
            assert!((0..3).all(|k| (made[k] - expected[k]).abs() < 1e-11), "seed {seed}");
        }
        assert_eq!(smoothed(&places, &sums, 0.0), sums);
    }
}
