//! Kernel `moments`: what each position says of the probe's strength and place.

use rayon::prelude::*;

use super::CpuBatch;
use super::lanes::Scalar;
use super::planes::{Part, Planes};
use crate::compute::MOMENTS;
use crate::optics::fft_index;

/// See [`crate::compute::Backend::moments`].
pub(super) fn moments<R: Scalar>(probe_hat: &Planes<R>, gradients: &Planes<R>, modes: usize, batch: &CpuBatch<R>, out: &mut [R]) {
    let n = batch.window_len();
    let frequencies = angular_frequencies(batch.plan.window);
    let sums: Vec<Vec<R>> = (0..batch.plan.len())
        .into_par_iter()
        .map(|b| {
            moments_of_position(probe_hat, gradients.part(b * modes * n..(b + 1) * modes * n), modes, batch, b, |probe, gradient, ramps| {
                moments_of_window(probe, gradient, ramps, &frequencies)
            })
        })
        .collect();
    store(&sums, batch, out);
}

/// The moments of position `b`, whose gradients (mode, ky, kx) these are; `of_window` makes those of a window.
pub(super) fn moments_of_position<R: Scalar>(
    probe_hat: &Planes<R>,
    gradients: Part<R>,
    modes: usize,
    batch: &CpuBatch<R>,
    b: usize,
    of_window: impl Fn(Part<R>, Part<R>, (Part<R>, Part<R>)) -> [R; MOMENTS],
) -> Vec<R> {
    let n = batch.window_len();
    let of = |window: usize, mode: usize| of_window(probe_hat.window(n, window), gradients.range(mode * n..(mode + 1) * n), batch.ramps(b));
    let mut sums = vec![R::zero(); MOMENTS];
    let mut add = |moments: [R; MOMENTS], weight: R| sums.iter_mut().zip(moments).for_each(|(s, x)| *s += x * weight);
    (0..modes).for_each(|m| add(of(m, m), R::one()));
    // X is linear in the variations, so its moments are.
    let mut of_weights = Vec::new();
    for (k, weight) in batch.weights(b).iter().enumerate() {
        let moments = of(modes + k, 0);
        add(moments, *weight);
        of_weights.push(moments[0]);
    }
    sums.extend(of_weights);
    sums
}

/// 2πf of a window's rows and columns, in FFT order.
pub(super) fn angular_frequencies<R: Scalar>(window: [usize; 2]) -> [Vec<R>; 2] {
    window.map(|n| (0..n).map(|k| R::of(std::f64::consts::TAU * fft_index(k, n) / n as f64)).collect())
}

/// Puts the moments of each position at its pattern's place.
pub(super) fn store<R: Scalar>(sums: &[Vec<R>], batch: &CpuBatch<R>, out: &mut [R]) {
    for (&id, sum) in batch.plan.ids.iter().zip(sums) {
        out[sum.len() * id as usize..][..sum.len()].copy_from_slice(sum);
    }
}

/// One mode of one position.
#[inline(always)]
pub(super) fn moments_of_window<R: Scalar>(
    probe_hat: Part<R>,
    gradient: Part<R>,
    (ramp_y, ramp_x): (Part<R>, Part<R>),
    [along_y, along_x]: &[Vec<R>; 2],
) -> [R; MOMENTS] {
    let nx = along_x.len();
    let mut total = [R::zero(); MOMENTS];
    for (y, fy) in along_y.iter().enumerate() {
        let row = y * nx..(y + 1) * nx;
        let RowSums(re, im, im_x) = row_sums(probe_hat.range(row.clone()), gradient.range(row), ramp_x, along_x);
        // X*Ĝ = ramp_y* · (what the row sums to): Re(i·f·z) = −f·Im z.
        let (ry, iy) = (ramp_y.re[y], ramp_y.im[y]);
        total[0] += ry * re + iy * im;
        total[1] -= *fy * (ry * im - iy * re);
        total[2] -= ry * im_x[1] - iy * im_x[0];
    }
    total
}

/// Σ (P̂·ramp_x)*Ĝ of a row, real and imaginary part, and the same times f_x.
#[inline(always)]
fn row_sums<R: Scalar>(p: Part<R>, g: Part<R>, ramp: Part<R>, along_x: &[R]) -> RowSums<R> {
    let mut sums = [[R::zero(); SIDE]; 4];
    let lanes = along_x.chunks(SIDE).zip(p.re.chunks(SIDE).zip(p.im.chunks(SIDE)));
    let others = g.re.chunks(SIDE).zip(g.im.chunks(SIDE)).zip(ramp.re.chunks(SIDE).zip(ramp.im.chunks(SIDE)));
    for ((along_x, (pr, pi)), ((gr, gi), (rr, ri))) in lanes.zip(others) {
        for (lane, fx) in along_x.iter().enumerate() {
            let (xr, xi) = (pr[lane] * rr[lane] - pi[lane] * ri[lane], pr[lane] * ri[lane] + pi[lane] * rr[lane]);
            let (re, im) = (xr * gr[lane] + xi * gi[lane], xr * gi[lane] - xi * gr[lane]);
            sums[0][lane] += re;
            sums[1][lane] += im;
            sums[2][lane] += *fx * re;
            sums[3][lane] += *fx * im;
        }
    }
    let [re, im, re_x, im_x] = sums.map(|lanes| lanes.into_iter().sum());
    RowSums(re, im, [re_x, im_x])
}

/// Running sums side by side, so that they fill the lanes of a register.
const SIDE: usize = 8;

/// See [`row_sums`].
struct RowSums<R>(R, R, [R; 2]);
