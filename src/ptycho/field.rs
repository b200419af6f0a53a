//! What is shown of an object: its phase and amplitude, and the phase as it lies in the scan.

use std::f64::consts::TAU;
use std::ops::Range;

use num_complex::Complex64;

use super::{ObjectFrame, State};
use crate::optics::{ScanGrid, apply};

/// Bins of the phase histogram over a full turn.
const BINS: usize = 360;

/// The object's phase in radians, (y, x): the sum of those of its slices.
pub fn phase(state: &State, frame: &ObjectFrame) -> Vec<f64> {
    let mut slices = slice_phases(state, frame).into_iter();
    let first = slices.next().unwrap_or_default();
    slices.fold(first, |mut sum, slice| {
        sum.iter_mut().zip(slice).for_each(|(s, p)| *s += p);
        sum
    })
}

/// The phase of each slice in radians, (y, x); 0 is the direction of the mean slice of the scanned field.
///
/// A phase is known up to whole turns only, and heavy columns pass half a turn. The cut is laid where the fewest pixels of the
/// scanned field are, and opposite the mean where none is better, so that columns do not wrap to dark centres while it can be helped.
pub fn slice_phases(state: &State, frame: &ObjectFrame) -> Vec<Vec<f64>> {
    let slices = state.object.chunks_exact(state.shape.object_pixels());
    slices.map(|slice| relative_phase(slice, frame.shape, &frame.positions_px)).collect()
}

/// The phase of one slice (y, x), with the positions of the scan in its pixels.
pub(super) fn relative_phase(object: &[Complex64], shape: [usize; 2], positions_px: &[[f64; 2]]) -> Vec<f64> {
    let mean = mean_phasor(object, shape, positions_px).conj();
    let mut phase: Vec<f64> = object.iter().map(|o| (o * mean).arg()).collect();
    let cut = emptiest_phase(&phase, shape, positions_px);
    for p in &mut phase {
        if *p > cut {
            *p -= TAU;
        } else if *p <= cut - TAU {
            *p += TAU;
        }
    }
    phase
}

/// The phase in (0, 2π) that the fewest pixels of the scanned field have, seen in windows of 30°; the one nearest to π among equals.
fn emptiest_phase(phase: &[f64], shape: [usize; 2], positions_px: &[[f64; 2]]) -> f64 {
    let mut histogram = [0u64; BINS];
    let [rows, cols] = scanned_field(shape, positions_px);
    for row in rows {
        for p in &phase[row * shape[1]..][cols.clone()] {
            let turn = p.rem_euclid(TAU) / TAU;
            histogram[((turn * BINS as f64) as usize).min(BINS - 1)] += 1;
        }
    }
    let half = BINS / 24;
    let around = |bin: usize| (0..=2 * half).map(|k| histogram[(bin + BINS + k - half) % BINS]).sum::<u64>();
    let emptiest = (1..BINS).min_by_key(|&bin| (around(bin), bin.abs_diff(BINS / 2))).unwrap_or(BINS / 2);
    emptiest as f64 / BINS as f64 * TAU
}

/// The rows and the columns of the object that the scan spans.
pub fn scanned_field(shape: [usize; 2], positions_px: &[[f64; 2]]) -> [Range<usize>; 2] {
    [0, 1].map(|a| {
        let (low, high) = positions_px.iter().fold((f64::MAX, 0.0_f64), |(l, h), p| (l.min(p[a]), h.max(p[a])));
        low.round().max(0.0) as usize..(high.round() as usize + 1).min(shape[a])
    })
}

/// The product of the slices, (y, x).
pub fn projected(state: &State) -> Vec<Complex64> {
    let mut product = vec![Complex64::from(1.0); state.shape.object_pixels()];
    for slice in state.object.chunks_exact(product.len()) {
        product.iter_mut().zip(slice).for_each(|(p, o)| *p *= o);
    }
    product
}

/// The object's amplitude, (y, x): the product of those of its slices.
pub fn amplitude(state: &State) -> Vec<f64> {
    let mut amplitude = vec![1.0; state.shape.object_pixels()];
    for slice in state.object.chunks_exact(amplitude.len()) {
        amplitude.iter_mut().zip(slice).for_each(|(a, o)| *a *= o.norm());
    }
    amplitude
}

/// A phase image along the scan's axes.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseScan {
    pub shape: [usize; 2],
    /// (y, x), that of the object.
    pub pixel_A: [f64; 2],
    /// Radians; its pixel (0, 0) is scan position (0, 0).
    pub phase: Vec<f64>,
}

/// Resamples the phase (cubic) to the scan's axes, cropped to the scanned field.
pub fn phase_in_scan_frame(phase: &[f64], frame: &ObjectFrame, scan: &ScanGrid) -> PhaseScan {
    let pixel = frame.pixel_A;
    let shape = [0, 1].map(|a| ((scan.shape[a].saturating_sub(1)) as f64 * scan.step_A[a] / pixel[a]).floor() as usize + 1);
    let matrix = scan.scan_to_object();
    let mut resampled = Vec::with_capacity(shape[0] * shape[1]);
    for row in 0..shape[0] {
        for col in 0..shape[1] {
            let place = apply(matrix, [row as f64 * pixel[0], col as f64 * pixel[1]]);
            resampled.push(cubic(phase, frame.shape, [0, 1].map(|a| place[a] / pixel[a] + frame.origin_px[a])));
        }
    }
    PhaseScan { shape, pixel_A: pixel, phase: resampled }
}

/// The object e^{iφ} of a phase image (y, x) in radians that lies along the scan with pixels of `pixel_A`, its pixel (0, 0) at scan position (0, 0);
/// 1 beyond the image.
pub fn object_of_phase(image: &[f64], shape: [usize; 2], pixel_A: [f64; 2], scan: &ScanGrid, frame: &ObjectFrame) -> Vec<Complex64> {
    let (matrix, width) = (scan.object_to_scan(), frame.shape[1]);
    let at = |p: usize| {
        let px = [(p / width) as f64, (p % width) as f64];
        let place = apply(matrix, [0, 1].map(|a| (px[a] - frame.origin_px[a]) * frame.pixel_A[a]));
        let pixel = [0, 1].map(|a| place[a] / pixel_A[a]);
        let inside = (0..2).all(|a| pixel[a] >= -0.5 && pixel[a] <= shape[a] as f64 - 0.5);
        if inside { Complex64::cis(cubic(image, shape, pixel)) } else { Complex64::new(1.0, 0.0) }
    };
    (0..frame.shape[0] * width).map(at).collect()
}

/// The direction of the mean of a slice under the probe positions.
pub(super) fn mean_phasor(object: &[Complex64], shape: [usize; 2], positions_px: &[[f64; 2]]) -> Complex64 {
    let sum: Complex64 = positions_px
        .iter()
        .map(|p| {
            let [row, col] = [0, 1].map(|a| (p[a].round() as usize).min(shape[a] - 1));
            object[row * shape[1] + col]
        })
        .sum();
    if sum.norm() > 0.0 { sum / sum.norm() } else { Complex64::new(1.0, 0.0) }
}

/// Catmull–Rom interpolation of an image at a fractional pixel, its edge pixels repeated outwards (Keys, IEEE Trans. ASSP 29 (1981)
/// 1153, a = −½).
fn cubic(image: &[f64], shape: [usize; 2], place: [f64; 2]) -> f64 {
    let weights = |t: f64| {
        let (t2, t3) = (t * t, t * t * t);
        [-0.5 * t3 + t2 - 0.5 * t, 1.5 * t3 - 2.5 * t2 + 1.0, -1.5 * t3 + 2.0 * t2 + 0.5 * t, 0.5 * t3 - 0.5 * t2]
    };
    let base = place.map(f64::floor);
    let (wy, wx) = (weights(place[0] - base[0]), weights(place[1] - base[1]));
    let index = |base: f64, k: usize, n: usize| (base as i64 + k as i64 - 1).clamp(0, n as i64 - 1) as usize;
    let mut value = 0.0;
    for (ky, wy) in wy.iter().enumerate() {
        let row = &image[index(base[0], ky, shape[0]) * shape[1]..];
        for (kx, wx) in wx.iter().enumerate() {
            value += wy * wx * row[index(base[1], kx, shape[1])];
        }
    }
    value
}
