//! The comparison of kernel `residual` where several reciprocal pixels make one of the detector, or its point spread blurs them.
//!
//! Calculated intensities are C = S·Σ_m|ψ̂_m|² with a linear S; what is left of a wave is −∂L/∂ψ̂* = (Sᵀ(−∂L/∂C))·ψ̂.

use super::CpuFrames;
use super::lanes::Scalar;
use super::pixel::{row, with_pixel};
use super::planes::PartMut;
use super::residual::{Comparison, multiply, read_counts, sum_powers};

/// The windows of one position, as [`super::residual::residual_windows`] does them; `work` has two numbers a pixel of a window.
#[inline(always)]
pub(super) fn spread_rows<R: Scalar>(
    mut waves: PartMut<R>,
    frames: &CpuFrames,
    b: usize,
    comparison: &Comparison<R>,
    work: &mut [R],
    rule: impl Fn(R, R) -> [R; 2] + Copy,
) -> [R; 2] {
    let detector = comparison.detector;
    let (window, n) = (detector.window(), work.len() / 2);
    let (here, other) = work.split_at_mut(n);
    sum_powers(&waves, n, here);
    turn(here, other, window, detector.centre, false);
    blur(other, here, window, &comparison.weights);
    let sums = compare(other, frames, b, comparison, rule);
    blur(other, here, window, &comparison.weights);
    turn(other, here, window, detector.centre, true);
    multiply(&mut waves, n, here);
    sums
}

/// From FFT order to the detector's order, or back.
#[inline(always)]
fn turn<R: Scalar>(from: &[R], to: &mut [R], [ny, nx]: [usize; 2], [cy, cx]: [usize; 2], back: bool) {
    for ky in 0..ny {
        let (spectrum, on_detector) = (ky * nx, (ky + cy) % ny * nx);
        // Reciprocal columns 0.. begin at detector column cx and wrap around once.
        for (k, d, len) in [(0, cx, nx - cx), (nx - cx, 0, cx)] {
            let (k, d) = (spectrum + k, on_detector + d);
            let (source, target) = if back { (d, k) } else { (k, d) };
            to[target..target + len].copy_from_slice(&from[source..source + len]);
        }
    }
}

/// Spreads an image (y, x) along both axes; what leaves it is lost. Its matrix is its own transpose.
#[inline(always)]
fn blur<R: Scalar>(image: &mut [R], work: &mut [R], [ny, nx]: [usize; 2], weights: &[R]) {
    if weights.len() == 1 {
        return;
    }
    for y in 0..ny {
        let (from, to) = (&image[y * nx..(y + 1) * nx], &mut work[y * nx..(y + 1) * nx]);
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from * weights[0]);
        for (k, weight) in weights.iter().enumerate().skip(1).take_while(|(k, _)| *k < nx) {
            to[k..].iter_mut().zip(from).for_each(|(to, from)| *to += *from * *weight);
            to.iter_mut().zip(&from[k..]).for_each(|(to, from)| *to += *from * *weight);
        }
    }
    for y in 0..ny {
        let to = &mut image[y * nx..(y + 1) * nx];
        to.iter_mut().zip(&work[y * nx..(y + 1) * nx]).for_each(|(to, from)| *to = *from * weights[0]);
        for (k, weight) in weights.iter().enumerate().skip(1) {
            let rows = [y.checked_sub(k), Some(y + k).filter(|&row| row < ny)];
            for row in rows.into_iter().flatten() {
                to.iter_mut().zip(&work[row * nx..(row + 1) * nx]).for_each(|(to, from)| *to += *from * *weight);
            }
        }
    }
}

/// Intensities in the detector's order become factors, those of a detector pixel's parts alike.
#[inline(always)]
fn compare<R: Scalar>(
    intensity: &mut [R],
    frames: &CpuFrames,
    b: usize,
    comparison: &Comparison<R>,
    rule: impl Fn(R, R) -> [R; 2] + Copy,
) -> [R; 2] {
    let (detector, frame) = (comparison.detector, frames.frame(b));
    let (u, [ny, nx]) = (detector.spread.upsample, detector.shape);
    let mut total = [R::zero(); 2];
    let mut counts = vec![R::zero(); nx];
    for y in 0..ny {
        with_pixel!(frames.stack.dtype, P => read_counts::<R, P>(row::<P>(frame, detector.shape, y), &mut counts));
        for (x, count) in counts.iter().enumerate() {
            let parts = (0..u * u).map(|k| (y * u + k / u) * (nx * u) + x * u + k % u);
            let calculated = parts.clone().fold(R::zero(), |sum, at| sum + intensity[at]);
            let mut factor = R::zero();
            if detector.valid.as_ref().is_none_or(|valid| valid[y * nx + x]) {
                let [of_waves, misfit] = rule(calculated, *count);
                total[0] += misfit;
                total[1] += *count;
                if calculated > comparison.faintest {
                    factor = of_waves;
                }
            }
            parts.for_each(|at| intensity[at] = factor);
        }
    }
    total
}
