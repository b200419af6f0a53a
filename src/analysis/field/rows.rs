//! The rows of one layer in a profile over depth: sodium, oxygen, transition metal, oxygen, sodium, each a Gaussian.

use num_complex::Complex64;

use super::dense::{inverse, times};

/// Rows of a layer, from its upper to its lower side.
pub(super) const ROWS: usize = 5;
pub(super) const METAL: usize = 2;
/// Sodium's and oxygen's rows above and below.
pub(super) const SODIUM: [usize; 2] = [0, 4];
pub(super) const OXYGEN: [usize; 2] = [1, 3];
/// Which of the widths (transition metal, oxygen, sodium) a row has.
const KIND: [usize; ROWS] = [2, 1, 0, 1, 2];

/// What is known beforehand of places: deviations in Å of the transition metals from where they are looked for, of oxygen from its distance
/// to them, and of sodium from the middle between layers.
const PRIOR_A: [f64; 3] = [0.4, 0.2, 0.25];
/// Columns are about so wide (a Gaussian's deviation), to this factor's logarithm.
const USUAL_WIDTH_A: f64 = 0.4;
const WIDTH_SCATTER: f64 = 0.3;
/// A profile ends so far beyond the sodium rows: other layers' oxygen lies 1.5 Å beyond.
const BEYOND_A: f64 = 0.45;
/// Rounds of Levenberg and Marquardt's method at most, and the step in Å at which they end.
const ROUNDS: usize = 60;
const SMALL_A: f64 = 1e-6;
/// An estimate that owes more than the rest to what was assumed beforehand is none.
const INFORMED: f64 = 0.8;
/// Its error is below this part of what was known beforehand.
const LEARNED: f64 = 0.5;
/// A row's own harmonic serves where it is so many errors high.
const STEADY: f64 = 3.0;
/// What the weights of samples take for white: this part of the noise's variance, and what columns that are no Gaussians leave of the
/// profile's range.
const WHITE_SHARE: f64 = 0.25;
const MISFIT: f64 = 0.01;

/// A part of a profile around one layer, and the covariance of its samples by distance.
pub(super) struct Stretch<'a> {
    pub(super) first: usize,
    pub(super) depth_A: Vec<f64>,
    pub(super) values: Vec<f64>,
    pub(super) covariance: &'a [f64],
}

/// Where the rows of a layer are looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess {
    pub(super) metal_A: f64,
    pub(super) oxygen_A: f64,
    /// Sodium above and below.
    pub(super) sodium_A: [f64; 2],
}

/// The fitted rows of a layer. Weights are those of the profile's samples in each number, so that errors of sums and differences can be
/// told.
///
/// Areas are read from the mean over v. A place is read, where the row's harmonic is strong, from the profile p_0 + 2·Re(p_f·e^{−i·phase}):
/// its columns count three times in it, noise √3 times, and rows that lie a third of the spacing aside not at all.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) first: usize,
    /// Of the harmonic by which each place was read.
    phase: [Option<f64>; ROWS],
    /// NaN for rows outside of the image.
    pub(super) at_A: [f64; ROWS],
    /// Height times width times √2π.
    pub(super) area: [f64; ROWS],
    pub(super) at_weights: Vec<Vec<f64>>,
    pub(super) area_weights: Vec<Vec<f64>>,
    /// How much of each place comes from the data.
    informed: [f64; ROWS],
    /// Of transition metal, oxygen and sodium.
    pub(super) widths_A: [f64; 3],
}

/// The covariances of the samples of a profile by their distance: of the mean over v, and of the harmonic (E|δ|², both parts together).
pub(super) struct Covariances {
    pub(super) mean: Vec<f64>,
    pub(super) harmonic: Vec<f64>,
}

impl Covariances {
    /// Of places that were read from profiles with these phases.
    fn between(&self, a: Option<f64>, b: Option<f64>) -> Vec<f64> {
        match (a, b) {
            (Some(a), Some(b)) => self.mean.iter().zip(&self.harmonic).map(|(m, h)| m + 2.0 * (a - b).cos() * h).collect(),
            _ => self.mean.clone(),
        }
    }
}

impl Rows {
    /// The covariance of the place of row `r` with that of row `s` of another layer or this one.
    pub(super) fn shared(&self, r: usize, other: &Self, s: usize, by_distance: &Covariances) -> f64 {
        let between = by_distance.between(self.phase[r], other.phase[s]);
        covariance((self.first, &self.at_weights[r]), (other.first, &other.at_weights[s]), &between)
    }

    /// The standard error of a row's place; `None` where the image does not tell the place.
    pub(super) fn placed(&self, r: usize, by_distance: &Covariances) -> Option<f64> {
        let se = self.shared(r, self, r, by_distance).max(0.0).sqrt();
        let told = self.at_A[r].is_finite() && self.informed[r] > INFORMED && se < LEARNED * PRIOR_A[KIND[r]];
        told.then_some(se)
    }

    /// The same with places read by the rows' own harmonics.
    pub(super) fn sharpened(
        mut self,
        guess: &Guess,
        depth: impl Fn(usize) -> f64,
        [mean, harmonics]: [&[Complex64]; 2],
        by_distance: &Covariances,
    ) -> Self {
        let Some(found) = harmonic(&self, &depth, harmonics, &by_distance.harmonic) else { return self };
        let both = by_distance.between(Some(0.0), Some(0.0));
        for r in 0..ROWS {
            let height = found.height[r];
            if self.at_A[r].is_nan() || height.norm_sqr() < STEADY * STEADY * found.variance[r] {
                continue;
            }
            let turn = height.conj() / height.norm();
            let profile: Vec<f64> = mean.iter().zip(harmonics).map(|(m, h)| m.re + 2.0 * (h * turn).re).collect();
            let Some(rows) = stretch(&depth, &profile, guess, &both).and_then(|s| s.fit(guess, Some(self.widths_A))) else { continue };
            if rows.first == self.first && rows.at_A[r].is_finite() {
                self.at_A[r] = rows.at_A[r];
                self.at_weights[r].clone_from(&rows.at_weights[r]);
                self.informed[r] = rows.informed[r];
                self.phase[r] = Some(height.arg());
            }
        }
        self
    }
}

/// The covariance of two sums over a profile's samples.
pub(super) fn covariance(a: (usize, &[f64]), b: (usize, &[f64]), by_distance: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (i, wa) in a.1.iter().enumerate() {
        for (j, wb) in b.1.iter().enumerate() {
            sum += wa * wb * by_distance.get((a.0 + i).abs_diff(b.0 + j)).copied().unwrap_or(0.0);
        }
    }
    sum
}

/// The samples around a layer that belong to it, as far as they are known without a gap; `None` where its own row is not within.
pub(super) fn stretch<'a>(depth: impl Fn(usize) -> f64, profile: &[f64], guess: &Guess, covariance: &'a [f64]) -> Option<Stretch<'a>> {
    let within =
        |i: &usize| profile[*i].is_finite() && depth(*i) > guess.sodium_A[0] - BEYOND_A && depth(*i) < guess.sodium_A[1] + BEYOND_A;
    let rows: Vec<usize> = (0..profile.len()).filter(within).collect();
    let (first, last) = (*rows.first()?, *rows.last()?);
    let core = guess.oxygen_A + 0.2;
    if rows.len() != last - first + 1 || depth(first) > guess.metal_A - core || depth(last) < guess.metal_A + core {
        return None;
    }
    Some(Stretch {
        first,
        depth_A: rows.iter().map(|&i| depth(i)).collect(),
        values: rows.iter().map(|&i| profile[i]).collect(),
        covariance,
    })
}

/// Parameters: of each row its place and height, then the background, then the logarithms of three widths.
const BACKGROUND: usize = 2 * ROWS;
const WIDTHS: usize = BACKGROUND + 1;
const ALL: usize = WIDTHS + 3;

impl Stretch<'_> {
    fn holds(&self, depth: f64) -> bool {
        let reach = 0.05;
        self.depth_A.first().is_some_and(|d| d + reach < depth) && self.depth_A.last().is_some_and(|d| d - reach > depth)
    }

    /// The likeliest rows, given the noise and what is known beforehand ([`PRIOR_A`]); widths are fitted where they are not given.
    pub(super) fn fit(&self, guess: &Guess, widths: Option<[f64; 3]>) -> Option<Rows> {
        let n = self.values.len();
        // Oxygen's places are offsets from the transition metals' row.
        let middle = [guess.sodium_A[0], -guess.oxygen_A, guess.metal_A, guess.oxygen_A, guess.sodium_A[1]];
        let present: [bool; ROWS] = [0, 1, 2, 3, 4].map(|r| r == METAL || OXYGEN.contains(&r) || self.holds(middle[r]));
        let start_widths = widths.unwrap_or([USUAL_WIDTH_A; 3]);
        let floor = self.values.iter().copied().fold(f64::INFINITY, f64::min);
        let height = self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - floor;
        if height.is_nan() || height <= 0.0 {
            return None;
        }
        // Samples count by the inverse of their covariance, which is no wider than it is well known.
        let white = WHITE_SHARE * self.covariance[0] + (MISFIT * height).powi(2);
        let shared = |i: usize, j: usize| self.covariance.get(i.abs_diff(j)).copied().unwrap_or(0.0);
        let matrix: Vec<f64> = (0..n * n).map(|ij| shared(ij / n, ij % n) + if ij / n == ij % n { white } else { 0.0 }).collect();
        let precision = inverse(&matrix, n)?;
        let mut theta = [0.0; ALL];
        for (r, (at, is_there)) in middle.iter().zip(present).enumerate() {
            theta[2 * r] = *at;
            theta[2 * r + 1] = if is_there { height * if r == METAL { 0.9 } else { 0.3 } } else { 0.0 };
        }
        theta[BACKGROUND] = floor;
        (0..3).for_each(|k| theta[WIDTHS + k] = start_widths[k].ln());
        let known = theta;
        let mut prior = [0.0; ALL];
        (0..ROWS).for_each(|r| prior[2 * r] = PRIOR_A[KIND[r]].powi(-2));
        (0..3).for_each(|k| prior[WIDTHS + k] = WIDTH_SCATTER.powi(-2));
        let free: Vec<usize> = (0..ALL)
            .filter(|&p| match p {
                BACKGROUND => true,
                WIDTHS.. => widths.is_none(),
                _ => present[p / 2],
            })
            .collect();
        let m = free.len();
        let cost = |theta: &[f64; ALL]| -> f64 {
            let rest: Vec<f64> = (0..n).map(|i| self.values[i] - model(theta, &present, self.depth_A[i])).collect();
            let misfit: f64 = times(&precision, n, &rest).iter().zip(&rest).map(|(p, r)| p * r).sum();
            misfit + (0..ALL).map(|p| prior[p] * (theta[p] - known[p]).powi(2)).sum::<f64>()
        };
        let mut here = cost(&theta);
        let mut damping = 1e-3;
        let mut normal = Vec::new();
        // The Jacobian (sample, parameter) times the precision.
        let mut weighed = Vec::new();
        for _ in 0..ROUNDS {
            let jacobian: Vec<f64> = (0..n).flat_map(|i| slopes(&theta, &present, self.depth_A[i], &free)).collect();
            weighed = vec![0.0; n * m];
            for (i, row) in precision.chunks_exact(n).enumerate() {
                for (p, slopes) in row.iter().zip(jacobian.chunks_exact(m)) {
                    weighed[i * m..(i + 1) * m].iter_mut().zip(slopes).for_each(|(w, s)| *w += p * s);
                }
            }
            let mut gradient = vec![0.0; m];
            normal = vec![0.0; m * m];
            for i in 0..n {
                let (row, weights) = (&jacobian[i * m..(i + 1) * m], &weighed[i * m..(i + 1) * m]);
                let rest = self.values[i] - model(&theta, &present, self.depth_A[i]);
                for (a, weight) in weights.iter().enumerate() {
                    gradient[a] += weight * rest;
                    (0..m).for_each(|b| normal[a * m + b] += weight * row[b]);
                }
            }
            for (a, &p) in free.iter().enumerate() {
                gradient[a] -= prior[p] * (theta[p] - known[p]);
                normal[a * m + a] += prior[p];
            }
            let mut moved = None;
            for _ in 0..12 {
                let mut damped = normal.clone();
                (0..m).for_each(|a| damped[a * m + a] *= 1.0 + damping);
                let step = times(&inverse(&damped, m)?, m, &gradient);
                let mut next = theta;
                free.iter().zip(&step).for_each(|(&p, s)| next[p] += s);
                let there = cost(&next);
                if there <= here {
                    let way =
                        free.iter().zip(&step).filter(|(p, _)| **p % 2 == 0 || **p >= WIDTHS).map(|(_, s)| s.abs()).fold(0.0, f64::max);
                    (theta, moved) = (next, Some((here - there, way)));
                    here = there;
                    damping = (damping * 0.2).max(1e-9);
                    break;
                }
                damping *= 5.0;
            }
            if moved.is_none_or(|(_, way)| way < SMALL_A) {
                break;
            }
        }
        let inverted = inverse(&normal, m)?;
        let weights_of = |p: usize| -> Vec<f64> {
            let Some(a) = free.iter().position(|&q| q == p) else { return vec![0.0; n] };
            let row = &inverted[a * m..(a + 1) * m];
            (0..n).map(|i| row.iter().zip(&weighed[i * m..(i + 1) * m]).map(|(h, w)| h * w).sum()).collect()
        };
        let sigma = |r: usize| theta[WIDTHS + KIND[r]].exp();
        let metal = weights_of(2 * METAL);
        let mut rows = Rows {
            first: self.first,
            phase: [None; ROWS],
            at_A: [f64::NAN; ROWS],
            area: [f64::NAN; ROWS],
            at_weights: Vec::new(),
            area_weights: Vec::new(),
            informed: [0.0; ROWS],
            widths_A: [0, 1, 2].map(|k| theta[WIDTHS + k].exp()),
        };
        let root = (2.0 * std::f64::consts::PI).sqrt();
        for (r, is_there) in present.into_iter().enumerate() {
            let mut at = weights_of(2 * r);
            if OXYGEN.contains(&r) {
                at.iter_mut().zip(&metal).for_each(|(a, m)| *a += m);
            }
            rows.at_weights.push(at);
            rows.area_weights.push(weights_of(2 * r + 1).into_iter().map(|w| w * sigma(r) * root).collect());
            if is_there {
                rows.at_A[r] = theta[2 * r] + if OXYGEN.contains(&r) { theta[2 * METAL] } else { 0.0 };
                rows.area[r] = theta[2 * r + 1] * sigma(r) * root;
                let a = free.iter().position(|&q| q == 2 * r);
                rows.informed[r] = a.map_or(0.0, |a| 1.0 - prior[2 * r] * inverted[a * m + a]);
            }
        }
        Some(rows)
    }
}

fn place(theta: &[f64; ALL], r: usize) -> f64 {
    theta[2 * r] + if OXYGEN.contains(&r) { theta[2 * METAL] } else { 0.0 }
}

fn model(theta: &[f64; ALL], present: &[bool; ROWS], depth: f64) -> f64 {
    let row = |r: usize| theta[2 * r + 1] * (-0.5 * ((depth - place(theta, r)) / theta[WIDTHS + KIND[r]].exp()).powi(2)).exp();
    theta[BACKGROUND] + (0..ROWS).filter(|&r| present[r]).map(row).sum::<f64>()
}

/// The model's derivatives by the free parameters.
fn slopes(theta: &[f64; ALL], present: &[bool; ROWS], depth: f64, free: &[usize]) -> Vec<f64> {
    let mut all = [0.0; ALL];
    all[BACKGROUND] = 1.0;
    for r in (0..ROWS).filter(|&r| present[r]) {
        let sigma = theta[WIDTHS + KIND[r]].exp();
        let away = (depth - place(theta, r)) / sigma;
        let bell = (-0.5 * away * away).exp();
        let value = theta[2 * r + 1] * bell;
        all[2 * r] += value * away / sigma;
        if OXYGEN.contains(&r) {
            all[2 * METAL] += value * away / sigma;
        }
        all[2 * r + 1] = bell;
        all[WIDTHS + KIND[r]] += value * away * away;
    }
    free.iter().map(|&p| all[p]).collect()
}

/// Complex heights of a layer's rows in a harmonic of the profile, and their covariances: E|δ|², both parts together.
pub(super) struct Harmonic {
    pub(super) height: [Complex64; ROWS],
    pub(super) variance: [f64; ROWS],
}

/// Least squares with places and widths known. `None` where the profile does not reach over the layer.
pub(super) fn harmonic(rows: &Rows, depth: impl Fn(usize) -> f64, profile: &[Complex64], by_distance: &[f64]) -> Option<Harmonic> {
    let n = rows.at_weights[METAL].len();
    let samples = profile.get(rows.first..rows.first + n)?;
    if samples.iter().any(|s| !s.is_finite()) {
        return None;
    }
    let present: Vec<usize> = (0..ROWS).filter(|&r| rows.at_A[r].is_finite()).collect();
    let m = present.len();
    let design: Vec<f64> = (0..n)
        .flat_map(|i| {
            let depth = depth(rows.first + i);
            present.iter().map(move |&r| (-0.5 * ((depth - rows.at_A[r]) / rows.widths_A[KIND[r]]).powi(2)).exp())
        })
        .collect();
    let mut normal = vec![0.0; m * m];
    for row in design.chunks_exact(m) {
        (0..m * m).for_each(|ab| normal[ab] += row[ab / m] * row[ab % m]);
    }
    let inverted = inverse(&normal, m)?;
    let mut found = Harmonic { height: [Complex64::ZERO; ROWS], variance: [f64::INFINITY; ROWS] };
    for (a, &r) in present.iter().enumerate() {
        let weights: Vec<f64> = design.chunks_exact(m).map(|row| (0..m).map(|b| inverted[a * m + b] * row[b]).sum()).collect();
        found.height[r] = weights.iter().zip(samples).map(|(w, s)| s * *w).sum();
        found.variance[r] = covariance((0, &weights), (0, &weights), by_distance);
    }
    Some(found)
}
