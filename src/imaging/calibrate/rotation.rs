//! The scan's rotation and transposition from the field of centres of mass, which is the gradient of an image along the scan.
//!
//! Along the scan the field is the gradient of an image (to first order: C = (1/2π)|ψ|² ⋆ ∇φ), in the detector's frame that gradient turned by the rotation. Its
//! components along and across the gradients of cosines, L and T, are then (cos θ, sin θ)·s with one s a wave; θ is where Σ w L′² is largest, half the argument
//! of Σ w (L² − T²) + 2i Σ w L T. Gradients of cosines need no matching edges: any gradient in the scanned field is a sum of them, so that a field without
//! curl gives its angle without bias. The weights w = P/(P + σ²) (Wiener), P being the power above the counting noise σ² smoothed over
//! neighbouring waves, keep noise out; they do not depend on θ.

use std::f64::consts::{PI, TAU};

use super::waves::Gradients;

/// The field of centres of mass along the scan.
pub(super) struct Field<'a> {
    /// Along the detector's rows and columns, in angle or in pixels of one size, 0 where a frame tells nothing, without what descan adds.
    pub(super) com: [&'a [f64]; 2],
    pub(super) shape: [usize; 2],
    /// (y, x) in any unit.
    pub(super) step: [f64; 2],
    /// The counting noise of one component of one frame, σ².
    pub(super) noise: f64,
}

/// Waves are smoothed over so many neighbours each way.
const NEAR: usize = 2;
/// The scan is cut into so many parts along each axis, to see how far they agree.
const PARTS: usize = 8;

/// The best rotation of one hand.
pub(super) struct Fit {
    pub(super) transpose: bool,
    /// Radians, known up to half a turn.
    pub(super) angle: f64,
    /// What counting makes of it.
    pub(super) counting: f64,
    /// What the disagreement between parts of the scan makes of it.
    pub(super) parts: f64,
    weights: Vec<f64>,
    /// Components along the gradients at the angle.
    along: Vec<f64>,
    gradients: Gradients,
    /// What each frame adds to Σ w L′² − its noise.
    explained: Vec<f64>,
}

impl Fit {
    /// Fits one hand; `None` where the field shows nothing at all.
    pub(super) fn new(field: &Field, transpose: bool) -> Option<Self> {
        let [ny, nx] = field.shape;
        let gradients = Gradients::new(field.shape, field.step);
        // A transposed scan's axes are the detector's exchanged: with the components exchanged, the rotation turns the other way.
        let ([a, b], sign) = if transpose { ([field.com[1], field.com[0]], -1.0) } else { (field.com, 1.0) };
        let turned = |c: f64, s: f64| -> [Vec<f64>; 2] {
            let y = a.iter().zip(b).map(|(a, b)| c * a + s * sign * b).collect();
            [y, a.iter().zip(b).map(|(a, b)| c * b - s * sign * a).collect()]
        };
        let noise = field.noise;
        let l = gradients.of_field(a, b);
        let [y, x] = turned(0.0, 1.0);
        let t = gradients.of_field(&y, &x);
        let power: Vec<f64> = l.iter().zip(&t).map(|(l, t)| l * l + t * t - 2.0 * noise).collect();
        let mut weights: Vec<f64> = smoothed(&power, [ny, nx]).iter().map(|p| if *p > 0.0 { p / (p + noise) } else { 0.0 }).collect();
        weights[0] = 0.0;
        let sum = |of: &dyn Fn(f64, f64) -> f64| weights.iter().zip(l.iter().zip(&t)).map(|(w, (l, t))| w * of(*l, *t)).sum::<f64>();
        let (difference, cross) = (sum(&|l, t| l * l - t * t), sum(&|l, t| l * t));
        let contrast = difference.hypot(2.0 * cross);
        if contrast.is_nan() || contrast <= 0.0 {
            return None;
        }
        let angle = 0.5 * (2.0 * cross).atan2(difference);
        let (sin, cos) = angle.sin_cos();
        let along: Vec<f64> = l.iter().zip(&t).map(|(l, t)| cos * l + sin * t).collect();
        // Var Σ w L′T′ = Σ w² σ² (L′² + T′² − σ²) with the noise in L′ and T′, and not less than that of noise alone.
        let seen: f64 = weights.iter().zip(l.iter().zip(&t)).map(|(w, (l, t))| w * w * (l * l + t * t - noise)).sum();
        let least: f64 = weights.iter().map(|w| w * w * noise).sum();
        let counting = (noise * seen.max(least)).sqrt() / contrast;

        let kept: Vec<f64> = along.iter().zip(&weights).map(|(a, w)| a * w).collect();
        let [gy, gx] = gradients.field(&kept);
        let [y, x] = turned(cos, sin);
        let across: Vec<f64> = (0..ny * nx).map(|k| gy[k] * x[k] - gx[k] * y[k]).collect();
        let parts = part_sums(&across, field.shape).iter().map(|s| s * s).sum::<f64>().sqrt() / contrast;
        let bias = weights.iter().sum::<f64>() * noise / (ny * nx) as f64;
        let explained = (0..ny * nx).map(|k| gy[k] * y[k] + gx[k] * x[k] - bias).collect();
        Some(Self { transpose, angle, counting, parts, weights, along, gradients, explained })
    }

    /// The standard error in radians: that of counting, or, where parts of the scan disagree by more than noise, that of the parts.
    pub(super) fn standard_error(&self) -> f64 {
        if self.parts > 1.5 * self.counting { self.parts } else { self.counting }
    }

    /// By how many standard errors this hand explains more of the field than the other does.
    pub(super) fn sigmas_over(&self, other: &Self, shape: [usize; 2]) -> f64 {
        let more: Vec<f64> = self.explained.iter().zip(&other.explained).map(|(a, b)| a - b).collect();
        let parts = part_sums(&more, shape);
        let n = parts.len() as f64;
        let mean = parts.iter().sum::<f64>() / n;
        let variance = parts.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        if variance > 0.0 { mean * n.sqrt() / variance.sqrt() } else { 0.0 }
    }

    /// How the integral of the field at this angle goes with an image that is bright at atoms, whose noise is `noise` (σ² a frame): the correlation without
    /// what noise takes from it, and by how many standard errors it is not 0. At the angle plus half a turn both change sign.
    pub(super) fn likeness(&self, field: &Field, image: &[f64], noise: f64) -> (f64, f64) {
        let image = self.gradients.of_image(image);
        let lowest = LOWEST / field.step[0].max(field.step[1]);
        let (mut product, mut power, mut brightness, mut variance) = (0.0, 0.0, 0.0, 0.0);
        for (k, (&w, &a)) in self.weights.iter().zip(&image).enumerate() {
            let q = TAU * self.gradients.frequency[k];
            if self.gradients.frequency[k] <= lowest {
                continue;
            }
            // f = Σ f_k cos has the gradient −2πq f_k sin.
            let phase = -self.along[k] / q;
            let phase_noise = field.noise / (q * q);
            product += w * phase * a;
            power += w * (phase * phase - phase_noise);
            brightness += w * (a * a - noise);
            variance += w * w * (noise * (phase * phase - phase_noise).max(0.0) + phase_noise * a * a);
        }
        let correlation = if power > 0.0 && brightness > 0.0 { (product / (power * brightness).sqrt()).clamp(-1.0, 1.0) } else { 0.0 };
        (correlation, if variance > 0.0 { product / variance.sqrt() } else { 0.0 })
    }
}

/// Waves longer than 1/LOWEST steps are left out where the field is compared with an image: they are descan, drift and thickness.
const LOWEST: f64 = 0.02;

/// The mean over each wave's neighbours, mirrored at the edges.
fn smoothed(values: &[f64], [ny, nx]: [usize; 2]) -> Vec<f64> {
    let mirrored = |k: usize, d: usize, n: usize| {
        let at = k + d;
        let at = if at < NEAR { NEAR - at - 1 } else { at - NEAR };
        (if at >= n { (2 * n - 1).saturating_sub(at) } else { at }).min(n - 1)
    };
    let width = 2 * NEAR + 1;
    let along_x: Vec<f64> = (0..ny * nx).map(|k| (0..width).map(|d| values[k / nx * nx + mirrored(k % nx, d, nx)]).sum::<f64>()).collect();
    (0..ny * nx).map(|k| (0..width).map(|d| along_x[mirrored(k / nx, d, ny) * nx + k % nx]).sum::<f64>() / (width * width) as f64).collect()
}

/// The sums over parts of the scan.
fn part_sums(values: &[f64], [ny, nx]: [usize; 2]) -> Vec<f64> {
    let (py, px) = (PARTS.min(ny), PARTS.min(nx));
    let mut sums = vec![0.0; py * px];
    for (k, v) in values.iter().enumerate() {
        sums[(k / nx) * py / ny * px + (k % nx) * px / nx] += v;
    }
    sums
}

/// The angle in degrees in (−180, 180], of those that differ by half turns the one nearest to `near`.
pub(super) fn nearest_half_turn(angle: f64, near_deg: f64) -> f64 {
    let off = (angle * 180.0 / PI - near_deg + 90.0).rem_euclid(180.0) - 90.0;
    wrapped(near_deg + off)
}

/// The angle in degrees in (−180, 180].
pub(super) fn wrapped(degrees: f64) -> f64 {
    180.0 - (180.0 - degrees).rem_euclid(360.0)
}
