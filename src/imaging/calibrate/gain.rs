//! How many counts an electron makes, from the noise.

use crate::compute::{Backend, DetectorSet, Patterns};
use crate::run::Run;

use super::Estimate;
use crate::imaging::Result;
use crate::imaging::pass::stop_if_cancelled;

/// Pairs of neighbouring frames that are looked at.
const PAIRS: usize = 256;
/// Pixels of alike brightness are taken together.
const CLASSES: usize = 24;

/// The counts of an electron, if the noise tells.
///
/// Half the squared difference of two frames side by side, v, is their noise and what contrast is between them: of pixels of mean m, v = g·m + c²·m² (and
/// the square of a readout noise, of pixels that are no integers). The noise rules where there are few electrons, contrast where there are many, so that g is told from
/// c² over the range of brightness on the detector.
pub(super) fn measure<B: Backend>(
    run: &Run,
    backend: &B,
    patterns: &dyn Patterns<B>,
    scan_shape: [usize; 2],
    valid: Option<&[bool]>,
) -> Result<Option<Estimate>> {
    let columns = scan_shape[1];
    let starts: Vec<u32> = (0..patterns.len().saturating_sub(1)).filter(|k| k % columns + 1 < columns).map(|k| k as u32).collect();
    if starts.is_empty() {
        return Ok(None);
    }
    let pairs = PAIRS.min(starts.len());
    let chosen: Vec<u32> = (0..pairs).map(|k| starts[k * starts.len() / pairs]).collect();
    let shape = patterns.frame_shape();
    let set = backend.detector_set(&DetectorSet { statistics: true, ..DetectorSet::sums_only(shape, valid) })?;
    let pixels = shape[0] * shape[1];
    let (mut mean, mut noise) = (vec![0.0; pixels], vec![0.0; pixels]);
    patterns.prefetch(&chosen.iter().flat_map(|k| [*k, k + 1]).collect::<Vec<_>>());
    for first in &chosen {
        stop_if_cancelled(run)?;
        let sums = backend.virtual_detectors(&patterns.batch(&[*first, first + 1])?.frames, &set)?;
        let Some(statistics) = &sums.statistics else { return Ok(None) };
        for p in 0..pixels {
            let sum = sums.pattern.get(p);
            mean[p] += sum;
            noise[p] += statistics.squares.get(p) - 0.5 * sum * sum;
        }
    }
    let scale = 1.0 / pairs as f64;
    let readings = (0..pixels)
        .filter(|&p| valid.is_none_or(|v| v[p]))
        .map(|p| (0.5 * mean[p] * scale, noise[p] * scale))
        .filter(|(m, v)| (*m > 0.0 || *v > 0.0) && m.is_finite() && v.is_finite())
        .collect();
    Ok(of_readings(readings, pairs, !patterns.dtype().is_integer()))
}

/// Pixels of one brightness.
struct Class {
    /// Means of m, m² and v.
    mean: f64,
    square: f64,
    noise: f64,
    /// The standard error of `noise`.
    error: f64,
}

/// The gain of (mean, noise) of each pixel over so many pairs.
pub(super) fn of_readings(mut readings: Vec<(f64, f64)>, pairs: usize, readout: bool) -> Option<Estimate> {
    if readings.len() < 4 * CLASSES {
        return None;
    }
    readings.sort_by(|a, b| a.0.total_cmp(&b.0));
    let of = |part: &[(f64, f64)]| {
        let n = part.len() as f64;
        let [mean, square, noise] = part.iter().fold([0.0; 3], |s, (m, v)| [s[0] + m / n, s[1] + m * m / n, s[2] + v / n]);
        let scatter = part.iter().map(|(_, v)| (v - noise).powi(2)).sum::<f64>() / (n - 1.0);
        // Of squares of differences: 2v² a reading, however alike the pixels happen to be.
        let counted = 2.0 * noise * noise / pairs as f64;
        Class { mean, square, noise, error: (scatter.max(counted) / n).sqrt() }
    };
    let size = readings.len().div_ceil(CLASSES);
    let classes: Vec<Class> = readings.chunks(size).filter(|part| part.len() > 1).map(of).collect();
    let columns = if readout { 3 } else { 2 };
    let mut fit: Option<[f64; 3]> = None;
    for _ in 0..5 {
        let contrast = fit.map_or(0.0, |f| f[1].max(0.0));
        let mut normal = [[0.0; 5]; 3];
        for class in &classes {
            // Contrast differs between pixels of one brightness, here by a third.
            let variance = class.error.powi(2) + (0.3 * contrast * class.square).powi(2);
            if variance <= 0.0 {
                continue;
            }
            let row = [class.mean, class.square, 1.0];
            for (i, line) in normal.iter_mut().enumerate().take(columns) {
                (0..columns).for_each(|j| line[j] += row[i] * row[j] / variance);
                line[3] += row[i] * class.noise / variance;
            }
        }
        fit = Some(solved(normal, columns)?);
    }
    let [gain, contrast, variance] = fit?;
    let se = variance.sqrt().max(1e-4 * gain);
    // Contrast that drowns the noise even where there is least of it leaves the gain open.
    let open = classes.iter().all(|c| gain * c.mean < 0.5 * contrast * c.square);
    (gain.is_finite() && gain > 0.0 && se < 0.05 * gain && !open).then_some(Estimate { value: gain, se })
}

/// The first two unknowns and the variance of the first.
fn solved(normal: [[f64; 5]; 3], columns: usize) -> Option<[f64; 3]> {
    let mut m = normal;
    m[0][4] = 1.0;
    for c in 0..columns {
        let pivot = m[c][c];
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        m[c].iter_mut().for_each(|v| *v /= pivot);
        let row = m[c];
        for (_, other) in m.iter_mut().enumerate().filter(|(r, _)| *r != c) {
            let factor = other[c];
            other.iter_mut().zip(row).for_each(|(a, b)| *a -= factor * b);
        }
    }
    Some([m[0][3], m[1][3], m[0][4]])
}
