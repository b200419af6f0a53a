//! What the probe varies by from position to position: the first mode is P̂_0 + Σ_k w_jk V̂_k with few V̂_k, found by alternating least squares and kept as a truncated singular value
//! decomposition (orthogonal probe relaxation: M. Odstrčil, P. Baksh, S. A. Boden, R. Card, J. E. Chad, J. G. Frey and W. S. Brocklesby, Opt. Express 24 (2016) 8360).

use num_complex::Complex64;
use rand::RngExt;

use super::State;
use crate::compute::MOMENTS;
use crate::optics::hermitian::{Eigen, eigen};
use crate::run::RngState;

/// Keeps the weights to begin with apart from the order of the patterns.
const WEIGHTS: u64 = 0x0b57_19e2_c4a8_6d33;
/// The part of the way that weights go in an iteration, in which variations and object move, too.
const STEP: f64 = 0.5;
/// No weight is larger than this times their root mean square: variations move by sums over batches, in which one position must not outweigh all others.
const LARGEST: f64 = 3.0;
/// What is added to a variation's power, as a part of the strongest one's: weak ones are mostly noise.
const WEAK: f64 = 0.01;
/// Variations with less than this part of the strongest one's power are rounding.
const LEAST: f64 = 1e-12;

/// Gives the patterns `ids` random weights: the variations, which begin as 0, then grow in directions that the patterns differ in.
pub(super) fn begin(state: &mut State, ids: &[u32]) {
    let count = state.shape.variations;
    if count == 0 || state.weights.iter().any(|&w| w != 0.0) {
        return;
    }
    let mut rng = RngState::new(state.rng.seed ^ WEIGHTS).generator();
    for &id in ids {
        for weight in &mut state.weights[id as usize * count..(id as usize + 1) * count] {
            *weight = rng.random_range(-1.0..1.0);
        }
    }
    tidy(state, ids);
}

/// Moves the weights of the patterns `ids` to where the misfit is least along each variation (Gauss–Newton, with the object taken as transparent), then makes variations and weights orthogonal again.
pub(super) fn refine(state: &mut State, moments: &[f64], ids: &[u32]) {
    let (count, pixels) = (state.shape.variations, state.shape.pixels());
    let powers: Vec<f64> = state.variations.chunks_exact(pixels).map(|v| v.iter().map(Complex64::norm_sqr).sum()).collect();
    let strongest = powers.iter().copied().fold(0.0, f64::max);
    for &id in ids {
        let id = id as usize;
        for (k, power) in powers.iter().enumerate().filter(|(_, power)| **power > LEAST * strongest) {
            let curvature = (power + WEAK * strongest) * state.intensities[id];
            let step = STEP * moments[state.shape.moments() * id + MOMENTS + k] / curvature;
            let weight = &mut state.weights[id * count + k];
            *weight = (*weight + step).clamp(-LARGEST, LARGEST);
        }
    }
    tidy(state, ids);
}

/// Weights with mean 0 and mean square 1 over the patterns `ids`, orthogonal to each other, as are the variations, the strongest first; the mean goes to the first mode.
fn tidy(state: &mut State, ids: &[u32]) {
    let (count, pixels, n) = (state.shape.variations, state.shape.pixels(), ids.len().max(1) as f64);
    let State { weights, variations, probe_hat, .. } = state;
    let before = variations.clone();
    for k in 0..count {
        let mean = ids.iter().map(|&id| weights[id as usize * count + k]).sum::<f64>() / n;
        ids.iter().for_each(|&id| weights[id as usize * count + k] -= mean);
        probe_hat[..pixels].iter_mut().zip(&variations[k * pixels..]).for_each(|(p, v)| *p += v * mean);
    }
    let weighted = |weights: &[f64], i: usize, j: usize| {
        ids.iter().map(|&id| weights[id as usize * count + i] * weights[id as usize * count + j]).sum::<f64>() / n
    };
    let gram: Vec<Vec<Complex64>> = (0..count).map(|i| (0..count).map(|j| weighted(weights, i, j).into()).collect()).collect();
    let Eigen { values, vectors } = eigen(&gram);
    // w′ = w·E·D^−½ and V′ = D^½·Eᵀ·V leave w·V as it is.
    let scales: Vec<f64> = values.iter().map(|&value| if value > LEAST * values[0] && value > 0.0 { value.sqrt() } else { 1.0 }).collect();
    turn(weights, variations, pixels, &vectors, &scales);
    let overlap = |variations: &[Complex64], i: usize, j: usize| {
        let of = |k: usize| &variations[k * pixels..(k + 1) * pixels];
        of(i).iter().zip(of(j)).map(|(a, b)| (a.conj() * b).re).sum::<f64>()
    };
    let gram: Vec<Vec<Complex64>> = (0..count).map(|i| (0..count).map(|j| overlap(variations, i, j).into()).collect()).collect();
    turn(weights, variations, pixels, &eigen(&gram).vectors, &vec![1.0; count]);
    // Of either sign the one that it had: what rules remember of it goes on.
    for (k, (variation, before)) in variations.chunks_exact_mut(pixels).zip(before.chunks_exact(pixels)).enumerate() {
        if variation.iter().zip(before).map(|(a, b)| (a.conj() * b).re).sum::<f64>() < 0.0 {
            variation.iter_mut().for_each(|v| *v = -*v);
            weights.iter_mut().skip(k).step_by(count).for_each(|w| *w = -*w);
        }
    }
}

/// Weights times the real matrix whose columns are `vectors`, over `scales`, and variations times its transpose, times `scales`.
fn turn(weights: &mut [f64], variations: &mut [Complex64], pixels: usize, vectors: &[Vec<Complex64>], scales: &[f64]) {
    let count = vectors.len();
    for row in weights.chunks_exact_mut(count.max(1)) {
        let turned: Vec<f64> =
            vectors.iter().zip(scales).map(|(vector, scale)| row.iter().zip(vector).map(|(w, e)| w * e.re).sum::<f64>() / scale).collect();
        row.copy_from_slice(&turned);
    }
    for p in 0..pixels {
        let turned: Vec<Complex64> = vectors
            .iter()
            .zip(scales)
            .map(|(vector, scale)| (0..count).map(|k| variations[k * pixels + p] * vector[k].re).sum::<Complex64>() * *scale)
            .collect();
        (0..count).for_each(|k| variations[k * pixels + p] = turned[k]);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::ptycho::ObjectFrame;

    #[test]
    fn tidying_leaves_every_position_its_probe_and_makes_variations_orthogonal() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let (window, count) = ([6, 5], 3);
        let places: Vec<[f64; 2]> = (0..9).map(|n| [n as f64, 0.0]).collect();
        let frame = ObjectFrame::enclose(&places, [1.0; 2], window).unwrap();
        let mut complexes = |n: usize| -> Vec<Complex64> {
            (0..n).map(|_| Complex64::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0))).collect()
        };
        let mut state = State::start(&frame, 1, 0.0, complexes(30), RngState::new(1)).with_variations(count);
        state.variations = complexes(count * 30);
        let ids: Vec<u32> = (0..9).filter(|id| *id != 4).collect();
        ids.iter().for_each(|&id| (0..count).for_each(|k| state.weights[id as usize * count + k] = rng.random_range(-2.0..5.0)));
        let probe = |state: &State, id: usize| -> Vec<Complex64> {
            (0..30)
                .map(|p| {
                    state.probe_hat[p] + (0..count).map(|k| state.variations[k * 30 + p] * state.weights[id * count + k]).sum::<Complex64>()
                })
                .collect()
        };
        let before: Vec<Vec<Complex64>> = ids.iter().map(|&id| probe(&state, id as usize)).collect();
        tidy(&mut state, &ids);
        for (&id, before) in ids.iter().zip(before) {
            assert!(probe(&state, id as usize).iter().zip(before).all(|(a, b)| (a - b).norm() < 1e-9));
        }
        let of = |k: usize| &state.variations[k * 30..(k + 1) * 30];
        let column = |k: usize| ids.iter().map(move |&id| id as usize * count + k);
        for k in 0..count {
            assert!(column(k).map(|at| state.weights[at]).sum::<f64>().abs() < 1e-9);
            for l in 0..=k {
                let (w, v) = (
                    column(k).zip(column(l)).map(|(a, b)| state.weights[a] * state.weights[b]).sum::<f64>() / ids.len() as f64,
                    of(k).iter().zip(of(l)).map(|(a, b)| (a.conj() * b).re).sum::<f64>(),
                );
                assert!((w - f64::from(u8::from(k == l))).abs() < 1e-9, "{k} {l}: {w}");
                assert!(k == l || v.abs() < 1e-9, "{k} {l}: {v}");
            }
        }
        assert!(state.weights[4 * count..5 * count].iter().all(|&w| w == 0.0), "a pattern that is held out has the mean probe");
    }
}
