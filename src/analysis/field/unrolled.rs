//! An image along its layers: rows of depth u, columns of the place v along the layers.

use std::f64::consts::TAU;

use num_complex::Complex64;

use super::{Layered, Picture};

/// Profiles over depth are smoothed by a Gaussian of so many samples: columns of fewer samples are no Gaussians where they are sampled, and
/// what scans with large steps fold into low frequencies would move them.
pub(super) const SMOOTHED: f64 = 1.0;
/// A row counts where so much of a segment's weight lies within the image.
const COVERED: f64 = 0.98;

/// Samples (u, v), NaN outside of the image.
pub(super) struct Unrolled {
    values: Vec<f64>,
    pub(super) shape: [usize; 2],
    pub(super) step_A: [f64; 2],
    /// u and v of the first sample.
    pub(super) first_A: [f64; 2],
}

/// A stretch along the layers: weights of samples v from `from` on, of sum 1.
pub(super) struct Segment {
    pub(super) centre_A: f64,
    from: usize,
    pub(super) weights: Vec<f64>,
}

impl Unrolled {
    /// Between pixels the image is interpolated by cubics (R. G. Keys, IEEE Trans. ASSP 29 (1981) 1153); where layers lie along pixels,
    /// samples are pixels.
    pub(super) fn of(picture: &Picture<'_>, layered: &Layered) -> Self {
        let (shape, pixel) = (picture.shape, picture.pixel_A);
        let axes = [layered.normal, layered.along()];
        let corners = [0, 1, 2, 3].map(|c| layered.unrolled([0, 1].map(|a| (c >> a & 1) as f64 * (shape[a] - 1) as f64 * pixel[a])));
        let bound = |axis: usize, pick: fn(f64, f64) -> f64| corners.iter().map(|c| c[axis]).reduce(pick).unwrap_or(0.0);
        let step_A = axes.map(|axis| (axis[0] * pixel[0]).hypot(axis[1] * pixel[1]));
        let first_A = [bound(0, f64::min), bound(1, f64::min)];
        let shape_of = [0, 1].map(|a| ((bound(a, f64::max) - first_A[a]) / step_A[a] + 1e-6) as usize + 1);
        let mut values = Vec::with_capacity(shape_of[0] * shape_of[1]);
        for i in 0..shape_of[0] {
            for j in 0..shape_of[1] {
                let (u, v) = (first_A[0] + i as f64 * step_A[0], first_A[1] + j as f64 * step_A[1]);
                let at = [0, 1].map(|a| (axes[0][a] * u + axes[1][a] * v) / pixel[a]);
                values.push(interpolated(picture, at));
            }
        }
        Self { values, shape: shape_of, step_A, first_A }
    }

    pub(super) fn depth_A(&self, row: usize) -> f64 {
        self.first_A[0] + row as f64 * self.step_A[0]
    }

    /// Segments side by side, each a box of about `length_A` (a whole number of periods) under a box of one period, so that what repeats
    /// itself along the layers sums to its mean. Where the image is shorter, one segment of what there is. Their number is the one of the
    /// two next to extent/length that leaves less of the image aside.
    pub(super) fn segments(&self, length_A: f64, period_A: f64) -> Vec<Segment> {
        let extent = (self.shape[1] - 1) as f64 * self.step_A[1];
        let room = (extent - period_A).max(0.0);
        let periods = |count: f64| (room / count / period_A + 1e-9).floor().max(1.0);
        let wanted = (room / length_A).max(1.0);
        let used = |count: &f64| count * periods(*count) * period_A;
        let fitting = [wanted.floor(), wanted.ceil()].into_iter().filter(|c| used(c) <= room + 1e-6);
        let count = fitting.max_by(|a, b| used(a).total_cmp(&used(b))).unwrap_or(1.0);
        let (count, length) = (count as usize, periods(count) * period_A);
        let margin = (extent - count as f64 * length) / 2.0;
        (0..count)
            .map(|n| {
                let centre = margin + (n as f64 + 0.5) * length;
                let half = ((length + period_A) / 2.0).min(extent / 2.0 + 0.5 * self.step_A[1]);
                let from = ((centre - half) / self.step_A[1]).ceil().max(0.0) as usize;
                let to = (((centre + half) / self.step_A[1]) as usize).min(self.shape[1] - 1);
                let weights: Vec<f64> = (from..=to)
                    .map(|v| ((half - (v as f64 * self.step_A[1] - centre).abs()) / period_A.min(half)).clamp(0.0, 1.0))
                    .collect();
                let sum: f64 = weights.iter().sum();
                Segment {
                    centre_A: self.first_A[1] + centre,
                    from,
                    weights: weights.into_iter().map(|w| w / sum.max(f64::MIN_POSITIVE)).collect(),
                }
            })
            .collect()
    }

    /// Σ_v w·I·e^{−2πifv} in each row, its v counted from the frame's origin, smoothed over depth; NaN where the segment leaves the image.
    pub(super) fn profile(&self, segment: &Segment, f_inverse_A: f64) -> Vec<Complex64> {
        let wave: Vec<Complex64> = (0..segment.weights.len())
            .map(|v| Complex64::cis(-TAU * f_inverse_A * (self.first_A[1] + (segment.from + v) as f64 * self.step_A[1])))
            .collect();
        let rows = self.values.chunks_exact(self.shape[1]);
        let raw: Vec<Complex64> = rows
            .map(|row| {
                let (mut sum, mut seen) = (Complex64::ZERO, 0.0);
                for ((value, weight), wave) in row[segment.from..].iter().zip(&segment.weights).zip(&wave) {
                    if value.is_finite() {
                        sum += wave * (value * weight);
                        seen += weight;
                    }
                }
                if seen >= COVERED { sum / seen } else { UNSEEN }
            })
            .collect();
        smoothed(&raw)
    }

    /// The same over all that lies in a row, as far as it goes.
    pub(super) fn whole_profile(&self) -> Vec<f64> {
        let rows = self.values.chunks_exact(self.shape[1]);
        let raw: Vec<Complex64> = rows
            .map(|row| {
                let known = row.iter().filter(|v| v.is_finite());
                let count = known.clone().count();
                // Rows at a corner of a turned image hold too little of a period.
                if count * 4 < self.shape[1] { UNSEEN } else { (known.sum::<f64>() / count as f64).into() }
            })
            .collect();
        smoothed(&raw).into_iter().map(|v| v.re).collect()
    }

    /// The frequency near `f` at which Σ_u |Σ_v I·e^{−2πifv}|² is largest, whatever the layers' shifts against each other; `None` where
    /// nothing stands out.
    pub(super) fn row_frequency(&self, f: f64, reach: f64) -> Option<f64> {
        let extent = self.shape[1] as f64 * self.step_A[1];
        let step = 0.125 / extent;
        let count = (reach * f / step).ceil() as i64;
        let whole = (0..self.shape[1]).map(|v| 0.5 - 0.5 * (TAU * (v as f64 + 0.5) / self.shape[1] as f64).cos());
        let weights: Vec<f64> = whole.collect();
        let power = |f: f64| -> f64 {
            let wave: Vec<Complex64> =
                weights.iter().enumerate().map(|(v, w)| w * Complex64::cis(-TAU * f * v as f64 * self.step_A[1])).collect();
            let of = |row: &[f64]| {
                let known = row.iter().filter(|v| v.is_finite());
                let mean = known.clone().sum::<f64>() / known.count().max(1) as f64;
                row.iter().zip(&wave).filter(|(v, _)| v.is_finite()).map(|(v, w)| w * (v - mean)).sum::<Complex64>().norm_sqr()
            };
            self.values.chunks_exact(self.shape[1]).map(of).sum()
        };
        let powers: Vec<f64> = (-count..=count).map(|k| power(f + k as f64 * step)).collect();
        let best = (0..powers.len()).max_by(|&a, &b| powers[a].total_cmp(&powers[b]))?;
        if best == 0 || best + 1 == powers.len() {
            return None;
        }
        let (before, here, after) = (powers[best - 1], powers[best], powers[best + 1]);
        let bend = before - 2.0 * here + after;
        let part = if bend < 0.0 { 0.5 * (before - after) / bend } else { 0.0 };
        Some(f + (best as f64 - count as f64 + part) * step)
    }
}

const UNSEEN: Complex64 = Complex64::new(f64::NAN, f64::NAN);

/// A profile under a Gaussian of [`SMOOTHED`] samples; what is not known stays so and counts for nothing.
fn smoothed(profile: &[Complex64]) -> Vec<Complex64> {
    let reach = (4.0 * SMOOTHED).ceil() as i64;
    let kernel: Vec<f64> = (-reach..=reach).map(|k| (-0.5 * (k as f64 / SMOOTHED).powi(2)).exp()).collect();
    (0..profile.len())
        .map(|at| {
            if !profile[at].is_finite() {
                return UNSEEN;
            }
            let near = kernel.iter().zip(-reach..).filter_map(|(w, k)| {
                let value = usize::try_from(at as i64 + k).ok().and_then(|i| profile.get(i))?;
                value.is_finite().then_some((*w, *value))
            });
            let (sum, weight) = near.fold((Complex64::ZERO, 0.0), |(s, n), (w, v)| (s + v * w, n + w));
            sum / weight
        })
        .collect()
}

/// Keys' cubic at a place in pixels; NaN outside.
fn interpolated(picture: &Picture<'_>, at: [f64; 2]) -> f64 {
    const ROUNDING: f64 = 1e-6;
    let last = picture.shape.map(|n| (n - 1) as f64);
    if (0..2).any(|a| at[a] < -ROUNDING || at[a] > last[a] + ROUNDING) {
        return f64::NAN;
    }
    let near = at.map(f64::round);
    if (0..2).all(|a| (at[a] - near[a]).abs() < ROUNDING) {
        return picture.values[near[0] as usize * picture.shape[1] + near[1] as usize];
    }
    let base = [0, 1].map(|a| at[a].clamp(0.0, last[a]).floor().min(last[a] - 1.0));
    let weights = [0, 1].map(|a| {
        let t = at[a] - base[a];
        let (near, far) = (|x: f64| (1.5 * x - 2.5) * x * x + 1.0, |x: f64| ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0);
        [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)]
    });
    let index = |a: usize, k: usize| (base[a] + k as f64 - 1.0).clamp(0.0, last[a]) as usize;
    (0..4)
        .map(|j| {
            let row = index(0, j) * picture.shape[1];
            weights[0][j] * (0..4).map(|i| weights[1][i] * picture.values[row + index(1, i)]).sum::<f64>()
        })
        .sum()
}
