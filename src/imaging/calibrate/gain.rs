//! How many counts an electron makes, from the noise.

use crate::compute::{Backend, DetectorSet, Patterns};
use crate::run::Run;

use super::Estimate;
use crate::imaging::Result;
use crate::imaging::pass::stop_if_cancelled;

/// Pairs of neighbouring frames that are looked at.
const PAIRS: usize = 256;
/// A gain that is not known to this part of it is not told.
const WORTH_TELLING: f64 = 0.1;
/// The part of the gain that contrast which looks like noise adds to its standard error: where specimens were made by chance, 2 of 500 gains were told 1.9 and 3.9 % too large.
const UNSEEN_CONTRAST: f64 = 0.01;
/// Pixels of alike brightness are taken together.
const CLASSES: usize = 24;

/// The counts of an electron, if the noise tells.
///
/// Half the squared difference of two frames side by side, v, is their noise and what contrast is between them: of pixels of mean m, v = g·m + c²·m² (and
/// the square of a readout noise, of pixels that are no integers). The noise rules where there are few electrons, contrast where there are many: pixels count by how much of
/// the largest contrast c² that is seen anywhere they could hide.
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
    /// Means of m, m² and v of its pixels.
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
        // About the line through the class: where there are few electrons, m and v are made by the same ones.
        let ratio = if mean > 0.0 { noise / mean } else { 0.0 };
        let scatter = part.iter().map(|(m, v)| (v - ratio * m).powi(2)).sum::<f64>() / (n - 1.0);
        // Of squares of differences: 2v² a reading, however alike the pixels happen to be.
        let counted = 2.0 * noise * noise / pairs as f64;
        Class { mean, square, noise, error: (scatter.max(counted) / n).sqrt() }
    };
    let size = readings.len().div_ceil(CLASSES);
    let classes: Vec<Class> = readings.chunks(size).filter(|part| part.len() > 1).map(of).collect();
    // First as if there were no contrast, in the pixels that see least of it.
    let (mut contrast, mut fit) = (1.0, None);
    for _ in 0..6 {
        let (gain, offset, se) = line(&classes, contrast, readout)?;
        let excess = |c: &Class| c.noise - gain * c.mean - offset;
        contrast = classes.iter().filter(|c| excess(c) > c.error).map(|c| excess(c) / c.square).fold(0.0, f64::max);
        fit = Some((gain, se));
    }
    let (gain, se) = fit?;
    let se = se.hypot(UNSEEN_CONTRAST * gain);
    (gain.is_finite() && gain > 0.0 && se < WORTH_TELLING * gain).then_some(Estimate { value: gain, se })
}

/// The line noise = gain·mean (+ offset) through the classes, and the gain's standard error, which holds the contrast.
fn line(classes: &[Class], contrast: f64, offset: bool) -> Option<(f64, f64, f64)> {
    let mut sums = [0.0; 7];
    for class in classes {
        let variance = class.error.powi(2) + (contrast * class.square).powi(2);
        if variance > 0.0 {
            let (m, v) = (class.mean, class.noise);
            sums.iter_mut().zip([1.0, m, m * m, v, m * v, class.square, m * class.square]).for_each(|(s, t)| *s += t / variance);
        }
    }
    let [one, m, mm, v, mv, square, cube] = sums;
    // Contrast only ever adds: what it may add on the whole is half of the gain that it would have by itself, give or take.
    let hidden = |gain: f64| 0.5 * contrast * gain;
    if !offset {
        return (mm > 0.0).then(|| (mv / mm, 0.0, (1.0 / mm.sqrt()).hypot(hidden(cube / mm))));
    }
    let determinant = one * mm - m * m;
    (determinant > 1e-12 * one * mm).then(|| {
        let (gain, offset) = ((one * mv - m * v) / determinant, (mm * v - m * mv) / determinant);
        (gain, offset, (one / determinant).sqrt().hypot(hidden((one * cube - m * square) / determinant)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gain_is_told_from_contrast_and_readout_noise() {
        let of = |gain: f64, contrast: f64, readout: f64| {
            let reading = |k: i32| {
                let mean = 0.01 * 1.002f64.powi(k);
                // Pixels of one brightness differ in contrast.
                let here = contrast * (1.0 + 0.5 * f64::from(k).sin());
                (gain * mean, gain * gain * (mean + here * mean * mean) + readout)
            };
            of_readings((0..4000).map(reading).collect(), 256, readout > 0.0)
        };
        for (gain, contrast, readout) in [(1.0, 0.0, 0.0), (1.0, 0.3, 0.0), (7.0, 0.05, 0.0), (30.0, 0.01, 2.0)] {
            let found = of(gain, contrast, readout).unwrap();
            assert!((found.value - gain).abs() < 3.0 * found.se && found.se < 0.05 * gain, "{gain} {contrast}: {found:?}");
        }
        // Nothing but contrast, even in the darkest pixels.
        assert!(of_readings((1..4000).map(|k| (f64::from(k), 0.1 * f64::from(k * k))).collect(), 256, false).is_none());
    }
}
