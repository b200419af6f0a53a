//! Refinement of the lens: the probe stays A·e^{−iχ}, and only the coefficients of χ change.

use num_complex::Complex64;

use super::refine::due;
use super::{ObjectFrame, Refinement, State};
use crate::optics::{Aberration, Aberrations, fft_index};

/// The coefficients that are refined, in the order of [`State::lens_A`]: defocus, and of the others C_nm·cos(mφ_nm) and C_nm·sin(mφ_nm).
pub const LENS_TERMS: [(&str, u32, u32); 8] = [
    ("defocus", 1, 0),
    ("C12_cos", 1, 2),
    ("C12_sin", 1, 2),
    ("C21_cos", 2, 1),
    ("C21_sin", 2, 1),
    ("C23_cos", 2, 3),
    ("C23_sin", 2, 3),
    ("C30", 3, 0),
];

/// Gauge of the fit that is thrown away: a constant phase, and the probe's place, which the object's follows.
const GAUGE: usize = 3;
const UNKNOWNS: usize = LENS_TERMS.len() + GAUGE;

/// The name of the last change in the state's memory.
const MOVEMENT: &str = "lens_movement";
/// The part of the last change that is added: the object follows the lens. More of it swings.
const MOMENTUM: f64 = 0.8;

/// Are coefficients refined in this iteration?
pub(super) fn is_due(refinement: &Refinement, iteration: u32) -> bool {
    due(refinement.defocus_from, iteration) || due(refinement.aberrations_from, iteration)
}

/// Turns the change that the batches of an iteration made to the probe, from that of `before`, into one of the lens: of all changes of the coefficients the one that comes closest to the change of
/// phase (weighted least squares). The probe becomes the one of before with the changed lens.
pub(super) fn refine(
    refinement: &Refinement,
    iteration: u32,
    frame: &ObjectFrame,
    wavelength_A: f64,
    before: &[Complex64],
    state: &mut State,
) {
    let pixels = state.shape.pixels();
    let (defocus, others) = (due(refinement.defocus_from, iteration), due(refinement.aberrations_from, iteration));
    let wanted: Vec<usize> = (0..UNKNOWNS).filter(|&i| i >= LENS_TERMS.len() || if i == 0 { defocus } else { others }).collect();
    let mut matrix = vec![vec![0.0; wanted.len()]; wanted.len()];
    let mut right = vec![0.0; wanted.len()];
    let bases = bases(frame, wavelength_A);
    for ((was, is), basis) in before[..pixels].iter().zip(&state.probe_hat).zip(&bases) {
        let product = is * was.conj();
        let weight = product.norm();
        if weight == 0.0 {
            continue;
        }
        for (row, &i) in wanted.iter().enumerate() {
            right[row] += weight * basis[i] * product.arg();
            for (column, &j) in wanted.iter().enumerate() {
                matrix[row][column] += weight * basis[i] * basis[j];
            }
        }
    }
    let solved = solve(matrix, right);
    let last = state.memory.remove(MOVEMENT).unwrap_or_else(|| vec![0.0; LENS_TERMS.len()]);
    let mut moved = vec![0.0; LENS_TERMS.len()];
    for (&i, x) in wanted.iter().zip(solved).filter(|(i, _)| **i < LENS_TERMS.len()) {
        moved[i] = refinement.step * x + MOMENTUM * last[i];
    }
    let turn: Vec<Complex64> = bases.iter().map(|basis| Complex64::cis(basis.iter().zip(&moved).map(|(b, m)| b * m).sum())).collect();
    for (is, was) in state.probe_hat.chunks_exact_mut(pixels).zip(before.chunks_exact(pixels)) {
        for ((is, was), turn) in is.iter_mut().zip(was).zip(&turn) {
            *is = was * turn;
        }
    }
    state.lens_A.resize(LENS_TERMS.len(), 0.0);
    state.lens_A.iter_mut().zip(&moved).for_each(|(a, m)| *a += m);
    state.memory.insert(MOVEMENT.to_owned(), moved);
}

/// The change of phase −χ of each pixel of a spectrum by 1 Å of each coefficient, and by the gauge.
fn bases(frame: &ObjectFrame, wavelength_A: f64) -> Vec<[f64; UNKNOWNS]> {
    let ones = LENS_TERMS.map(|(name, n, m)| {
        if n == 1 && m == 0 {
            return Aberrations::defocus(1.0);
        }
        let angle_deg = if name.ends_with("_sin") { 90.0 / f64::from(m) } else { 0.0 };
        Aberrations { terms: vec![Aberration { n, m, magnitude_A: 1.0, angle_deg }] }
    });
    let [ny, nx] = frame.window;
    let basis = |k: usize| {
        let fy = fft_index(k / nx, ny) / (ny as f64 * frame.pixel_A[0]);
        let fx = fft_index(k % nx, nx) / (nx as f64 * frame.pixel_A[1]);
        let mut basis = [0.0; UNKNOWNS];
        for (value, one) in basis.iter_mut().zip(&ones) {
            *value = -one.chi(wavelength_A, fy * wavelength_A, fx * wavelength_A);
        }
        basis[LENS_TERMS.len()..].copy_from_slice(&[1.0, fy, fx]);
        basis
    };
    (0..ny * nx).map(basis).collect()
}

/// Solves a symmetric system, its rows and columns scaled alike; what is not determined stays 0.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    let scale: Vec<f64> = (0..n).map(|i| if matrix[i][i] > 0.0 { matrix[i][i].sqrt().recip() } else { 0.0 }).collect();
    for i in 0..n {
        right[i] *= scale[i];
        (0..n).for_each(|j| matrix[i][j] *= scale[i] * scale[j]);
        // What is the same as another one but for rounding shares with it.
        matrix[i][i] += 1e-9;
    }
    for i in 0..n {
        for j in i + 1..n {
            let factor = matrix[j][i] / matrix[i][i];
            (i..n).for_each(|k| matrix[j][k] -= factor * matrix[i][k]);
            right[j] -= factor * right[i];
        }
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| matrix[i][k] * right[k]).sum();
        right[i] = (right[i] - known) / matrix[i][i];
    }
    right.iter().zip(&scale).map(|(x, s)| x * s).collect()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::optics::{ProbeOptics, object_pixel_A, wavelength_A};
    use crate::run::RngState;

    /// The change of a probe by other coefficients, a shift and a constant is told as those coefficients.
    #[test]
    fn a_change_of_the_lens_is_told_whatever_the_gauge() {
        let seed = rand::random();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (window, mrad, lambda) = ([48, 40], 1.1, wavelength_A(200.0));
        let pixel_A = window.map(|n| object_pixel_A(lambda, n, mrad));
        let places = [[0.0, 0.0], [4.0, 3.0]];
        let frame = ObjectFrame::enclose(&places, pixel_A, window).unwrap();
        let bases = bases(&frame, lambda);
        for _ in 0..10 {
            let change: Vec<f64> =
                LENS_TERMS.iter().map(|(_, n, _)| rng.random_range(-1.0..1.0) * [4.0, 150.0, 5000.0][*n as usize - 1]).collect();
            let optics =
                ProbeOptics { voltage_kV: 200.0, convergence_mrad: 18.0, aberrations: Aberrations::defocus(rng.random_range(-80.0..80.0)) };
            let before = optics.spectrum(window, [mrad; 2], [0.0; 2], 100.0);
            let gauge = [rng.random_range(-0.5..0.5), rng.random_range(-0.4..0.4), rng.random_range(-0.4..0.4)];
            let turned = |k: usize| -> f64 { bases[k].iter().zip(change.iter().chain(&gauge)).map(|(b, c)| b * c).sum() };
            let after: Vec<Complex64> = before.iter().enumerate().map(|(k, p)| p * Complex64::cis(turned(k))).collect();
            if (0..after.len()).any(|k| before[k].norm() > 0.0 && turned(k).abs() > 3.0) {
                continue;
            }
            let mut state = State::start(&frame, 1, 0.0, after, RngState::new(1));
            let refinement = Refinement { defocus_from: 1, aberrations_from: 1, ..Refinement::default() };
            refine(&refinement, 1, &frame, lambda, &before, &mut state);
            for ((found, planted), (name, n, _)) in state.lens_A.iter().zip(&change).zip(LENS_TERMS) {
                // What keeps the system solvable takes a part in 10⁹ of it, times its condition.
                let size = [4.0, 150.0, 5000.0][n as usize - 1];
                assert!((found - planted).abs() < 1e-4 * size, "seed {seed}, {name}: {found} for {planted}");
            }
        }
    }
}
