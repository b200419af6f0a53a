//! A phase without a slope.

use num_complex::Complex64;
use rayon::prelude::*;

use super::super::Result;
use super::super::field::{relative_phase, scanned_field};
use super::Parts;
use super::fourier::transform;
use crate::compute::Direction;

/// See [`super::Constraint::PhaseRamp`].
pub(super) fn apply(parts: &mut Parts<'_>, strength: f64) -> Result<()> {
    let (shape, window) = (parts.object_shape, parts.window);
    let field = scanned_field(shape, parts.positions_px);
    if field.iter().any(|range| range.is_empty()) {
        return Ok(());
    }
    let middle = [0, 1].map(|a| 0.5 * (field[a].start + field[a].end - 1) as f64);
    let mut total = [0.0; 2];
    let area = parts.area();
    for slice in parts.object.chunks_mut(area) {
        // By neighbours first, which no number of turns across the field misleads; then what a plane finds in the rest.
        let steep = slope_of_neighbours(slice, shape[1], &field);
        let mut level = slice.to_vec();
        tilt(&mut level, shape[1], middle, steep.map(|a| -a));
        let rest = slope_of_plane(&relative_phase(&level, shape, parts.positions_px), shape[1], &field, middle);
        let slope = [0, 1].map(|a| strength * (steep[a] + rest[a]));
        tilt(slice, shape[1], middle, slope.map(|a| -a));
        total = [0, 1].map(|a| total[a] + slope[a]);
    }
    transform(parts.probe_hat, window, Direction::Inverse)?;
    for mode in parts.probe_hat.chunks_mut(window[0] * window[1]) {
        tilt(mode, window[1], window.map(|n| (n / 2) as f64), total);
    }
    transform(parts.probe_hat, window, Direction::Forward)
}

/// Multiplies by e^{i·slope·(r − middle)}, the slope being in rad a pixel.
fn tilt(image: &mut [Complex64], width: usize, middle: [f64; 2], slope: [f64; 2]) {
    let along_x: Vec<Complex64> = (0..width).map(|x| Complex64::cis(slope[1] * (x as f64 - middle[1]))).collect();
    image.par_chunks_mut(width).enumerate().for_each(|(y, row)| {
        let here = Complex64::cis(slope[0] * (y as f64 - middle[0]));
        row.iter_mut().zip(&along_x).for_each(|(o, x)| *o *= here * x);
    });
}

/// The phases of Σ O*(r)O(r + 1) along y and x.
fn slope_of_neighbours(slice: &[Complex64], width: usize, [rows, cols]: &[std::ops::Range<usize>; 2]) -> [f64; 2] {
    let mut sums = [Complex64::ZERO; 2];
    for p in rows.clone().flat_map(|y| cols.clone().map(move |x| y * width + x)) {
        if p / width + 1 < rows.end {
            sums[0] += slice[p].conj() * slice[p + width];
        }
        if p % width + 1 < cols.end {
            sums[1] += slice[p].conj() * slice[p + 1];
        }
    }
    sums.map(|s| s.arg())
}

/// The slope of the plane nearest to `phase` over the field, in least squares.
fn slope_of_plane(phase: &[f64], width: usize, [rows, cols]: &[std::ops::Range<usize>; 2], middle: [f64; 2]) -> [f64; 2] {
    // Over a rectangle the two axes do not mix.
    let (mut moments, mut lengths) = ([0.0; 2], [0.0; 2]);
    for (y, x) in rows.clone().flat_map(|y| cols.clone().map(move |x| (y, x))) {
        for (a, from_middle) in [y as f64 - middle[0], x as f64 - middle[1]].into_iter().enumerate() {
            moments[a] += from_middle * phase[y * width + x];
            lengths[a] += from_middle * from_middle;
        }
    }
    [0, 1].map(|a| if lengths[a] > 0.0 { moments[a] / lengths[a] } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::super::Constraint;
    use super::super::testing::{Sample, largest};
    use super::*;

    /// A sample without a slope of its phase, tilted by more than a turn.
    fn tilted() -> Sample {
        let mut sample = Sample::random();
        sample.apply(&Constraint::PhaseRamp, 1.0);
        add_slope(&mut sample, 1.0);
        sample
    }

    fn add_slope(sample: &mut Sample, times: f64) {
        for (p, o) in sample.object.iter_mut().enumerate() {
            let [y, x] = [p / sample.object_shape[1] % sample.object_shape[0], p % sample.object_shape[1]];
            *o *= Complex64::cis(times * (0.9 * y as f64 - 0.6 * x as f64));
        }
    }

    #[test]
    fn a_slope_of_several_turns_is_found_and_taken_away_by_the_strength() {
        for strength in [1.0, 0.4] {
            let mut sample = tilted();
            let before = sample.object.clone();
            sample.apply(&Constraint::PhaseRamp, strength);
            let once = sample.object.clone();
            add_slope(&mut sample, strength);
            for (new, old) in sample.object.chunks(sample.area()).zip(before.chunks(sample.area())) {
                // But for a constant.
                let constant = new[0] / old[0];
                let expected: Vec<_> = old.iter().map(|o| o * constant).collect();
                assert!(largest(&expected, new) < 1e-12 && (constant.norm() - 1.0).abs() < 1e-12);
            }
            if strength == 1.0 {
                sample.object = once.clone();
                sample.apply(&Constraint::PhaseRamp, 1.0);
                assert!(largest(&once, &sample.object) < 1e-12);
            }
        }
    }

    #[test]
    fn no_plane_comes_nearer_to_the_phase_that_is_left_than_a_level_one() {
        let mut sample = Sample::random();
        sample.apply(&Constraint::PhaseRamp, 1.0);
        let (field, width) = (sample.field(), sample.object_shape[1]);
        for (slice, mean) in sample.object.chunks(sample.area()).zip(sample.mean_directions()) {
            let phases: Vec<f64> = field.iter().map(|&p| (slice[p] * mean.conj()).arg()).collect();
            let level = phases.iter().sum::<f64>() / field.len() as f64;
            for axis in [|p: usize, width: usize| p / width, |p: usize, width: usize| p % width] {
                let slope: f64 = field.iter().zip(&phases).map(|(&p, phase)| axis(p, width) as f64 * (phase - level)).sum();
                assert!(slope.abs() < 1e-10, "{slope}");
            }
        }
    }

    #[test]
    fn the_probe_takes_the_slope_so_that_the_patterns_stay() {
        for strength in [1.0, 0.4] {
            let mut sample = tilted();
            // Between pixels the probe's shift carries the slope only as far as the probe ends within its window.
            sample.positions.iter_mut().for_each(|p| *p = p.map(f64::round));
            let before = sample.patterns();
            sample.apply(&Constraint::PhaseRamp, strength);
            assert!(largest(&before, &sample.patterns()) < 1e-10);
        }
    }
}
