//! Images whose truth is known, for tests.

use std::f64::consts::PI;

use num_complex::Complex64;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::optics::fft_index;

pub(super) fn fresh_rng() -> ChaCha8Rng {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// White noise of a deviation `sigma` under a Gaussian of `blur_A`.
pub(super) fn smoothed_noise(rng: &mut impl Rng, shape: [usize; 2], pixel: [f64; 2], sigma: f64, blur: f64) -> Vec<f64> {
    let white: Vec<Complex64> = (0..shape[0] * shape[1])
        .map(|_| {
            let n: f64 = StandardNormal.sample(rng);
            (sigma * n).into()
        })
        .collect();
    filtered(&white, shape, pixel, |q| (-2.0 * (PI * blur * q).powi(2)).exp())
}

fn filtered(image: &[Complex64], shape: [usize; 2], pixel: [f64; 2], gain: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut spectrum = transformed(image, shape, Direction::Forward).unwrap();
    for (at, value) in spectrum.iter_mut().enumerate() {
        let q = [0, 1].map(|axis| fft_index([at / shape[1], at % shape[1]][axis], shape[axis]) / (shape[axis] as f64 * pixel[axis]));
        *value *= gain(q[0].hypot(q[1]));
    }
    transformed(&spectrum, shape, Direction::Inverse).unwrap().iter().map(|v| v.re).collect()
}

/// Noise as single side band ptychography has it in a weak object at a dose: its density is D⁻¹/(4·N(q)/A) a unit area, N/A being the share
/// of the bright-field disk of which one side band is seen alone (physics of `docs/theory.md`), and nothing beyond 2α/λ.
pub(super) fn side_band_noise(rng: &mut impl Rng, shape: [usize; 2], pixel: [f64; 2], dose: f64, k0: f64) -> Vec<f64> {
    let overlap = |s: f64| {
        // The overlap of two unit disks that lie s apart, over the area of one.
        if s >= 2.0 { 0.0 } else { (2.0 * (s / 2.0).acos() - s / 2.0 * (4.0 - s * s).sqrt()) / PI }
    };
    // Pixels where one side band and the direct beam overlap but not the other side band; both sides count.
    let seen = |s: f64| 2.0 * (overlap(s) - triple(s));
    let white: Vec<Complex64> = (0..shape[0] * shape[1])
        .map(|_| {
            let n: f64 = StandardNormal.sample(rng);
            n.into()
        })
        .collect();
    let electrons = dose * pixel[0] * pixel[1];
    filtered(&white, shape, pixel, |q| {
        let share = seen(q / k0);
        if share < 0.02 { 0.0 } else { (2.0 * electrons * share).sqrt().recip() }
    })
}

/// The part of a disk of radius 1 that lies within both of two others at ±s.
fn triple(s: f64) -> f64 {
    // Two disks 2s apart; the third lies between them and holds their lens.
    if s >= 1.0 { 0.0 } else { (2.0 * s.acos() - s * (4.0 - 4.0 * s * s).sqrt()) / PI }
}

/// A column: place (y, x), height, and the deviation of its Gaussian.
pub(super) type Blob = ([f64; 2], f64, f64);

/// Gaussian columns on a background of 0.
pub(super) fn drawn(blobs: &[Blob], shape: [usize; 2], pixel: [f64; 2]) -> Vec<f64> {
    let mut image = vec![0.0; shape[0] * shape[1]];
    for &(at, height, sigma) in blobs {
        let reach = |axis: usize| {
            let middle = at[axis] / pixel[axis];
            let half = 6.0 * sigma / pixel[axis];
            (middle - half).max(0.0) as usize..((middle + half + 1.0).max(0.0) as usize).min(shape[axis])
        };
        for y in reach(0) {
            for x in reach(1) {
                let square = (y as f64 * pixel[0] - at[0]).powi(2) + (x as f64 * pixel[1] - at[1]).powi(2);
                image[y * shape[1] + x] += height * (-square / (2.0 * sigma * sigma)).exp();
            }
        }
    }
    image
}

/// An oxide's layers along a close-packed row: the depth of each transition metal layer and its place along the layer in thirds of a row
/// (0, 1, 2), and the sense in which its oxygen lies. Heights of transition metal, oxygen and sodium, placed by `turn` (radians about the
/// origin).
pub(super) struct Oxide {
    pub(super) row: f64,
    pub(super) oxygen: f64,
    pub(super) heights: [f64; 3],
    pub(super) sigmas: [f64; 3],
    pub(super) turn: f64,
}

impl Oxide {
    pub(super) fn close_packed() -> Self {
        Self { row: 2.576, oxygen: 1.04, heights: [0.50, 0.17, 0.18], sigmas: [0.30, 0.32, 0.36], turn: 0.0 }
    }

    /// Blobs of the layers (depth, third, sense), from `first` to `last` along them.
    pub(super) fn blobs(&self, layers: &[(f64, i32, i32)], reach: [f64; 2]) -> Vec<Blob> {
        let mut blobs = Vec::new();
        let mut row = |depth: f64, third: i32, kind: usize| {
            let offset = f64::from(third.rem_euclid(3)) / 3.0 * self.row;
            let n = ((reach[1] - reach[0]) / self.row) as i64 + 2;
            for k in 0..n {
                let v = reach[0] + k as f64 * self.row + offset;
                let (sin, cos) = self.turn.sin_cos();
                let at = [cos * depth + sin * v, -sin * depth + cos * v];
                blobs.push((at, self.heights[kind], self.sigmas[kind]));
            }
        };
        for (k, &(depth, third, sense)) in layers.iter().enumerate() {
            row(depth, third, 0);
            row(depth - self.oxygen, third + sense, 1);
            row(depth + self.oxygen, third - sense, 1);
            if let Some(&(next, ..)) = layers.get(k + 1) {
                row((depth + next) / 2.0, third, 2);
            }
        }
        blobs
    }

    /// The layers' normal (y, x) in the image.
    pub(super) fn normal(&self) -> [f64; 2] {
        [self.turn.cos(), -self.turn.sin()]
    }
}
