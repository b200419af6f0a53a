//! Kernel `expose`: what detector pixels receive of waves in reciprocal space.

use rayon::prelude::*;

use super::lanes::Scalar;
use super::planes::{Part, Planes};
use super::{Cpu, CpuBatch};
use crate::compute::{Exposure, Sensor};

/// `out[b] (+)= weight · Σ_m |ψ̂[b, m]|²`, taken in by the detector's pixels.
pub(super) fn expose<R: Scalar>(
    waves: &Planes<R>,
    modes: usize,
    sensor: &Sensor<Cpu<R>>,
    batch: &CpuBatch<R>,
    exposure: Exposure,
    out: &mut [R],
) {
    let (n, pixels) = (batch.window_len(), sensor.frame[0] * sensor.frame[1]);
    out.par_chunks_exact_mut(pixels).take(batch.plan.len()).enumerate().for_each_init(
        || vec![R::zero(); sensor.frame[1]],
        |row, (b, frame)| {
            for m in 0..modes {
                let exposure = Exposure { fresh: exposure.fresh && m == 0, ..exposure };
                expose_window(waves.window(n, b * modes + m), batch.plan.window, sensor, exposure, row, frame);
            }
        },
    );
}

/// One window of the kernel. `row` is work memory of a frame's width.
#[inline(always)]
pub(super) fn expose_window<R: Scalar>(
    wave: Part<R>,
    [ny, nx]: [usize; 2],
    sensor: &Sensor<Cpu<R>>,
    exposure: Exposure,
    row: &mut [R],
    frame: &mut [R],
) {
    let Sensor { frame: [frame_y, frame_x], step, taps } = sensor;
    let weight = R::of(exposure.weight);
    let reach = taps.len() as isize - 1;
    // The caller sees to it that no detector pixel reaches farther than half of a window.
    let place = |k: usize, j: isize, frame: usize, n: usize| {
        ((*step as isize * (k as isize - frame as isize / 2) + j).rem_euclid(n as isize)) as usize
    };
    if exposure.fresh {
        frame.fill(R::zero());
    }
    for (y, out) in frame.chunks_exact_mut(*frame_x).take(*frame_y).enumerate() {
        for j in -reach..=reach {
            let start = place(y, j, *frame_y, ny) * nx;
            let (re, im) = (&wave.re[start..start + nx], &wave.im[start..start + nx]);
            row.fill(R::zero());
            for i in -reach..=reach {
                let tap = taps[i.unsigned_abs()];
                // The columns lie in two runs, each `step` apart.
                let first = place(0, i, *frame_x, nx);
                let before_wrap = (nx - first).div_ceil(*step).min(*frame_x);
                let again = (first + before_wrap * step) % nx;
                let (left, right) = row.split_at_mut(before_wrap);
                for (sums, at) in [(left, first), (right, again)] {
                    let powers = re[at..].iter().step_by(*step).zip(im[at..].iter().step_by(*step));
                    sums.iter_mut().zip(powers).for_each(|(sum, (re, im))| *sum += tap * (*re * *re + *im * *im));
                }
            }
            let factor = taps[j.unsigned_abs()] * weight;
            out.iter_mut().zip(row.iter()).for_each(|(out, sum)| *out += factor * *sum);
        }
    }
}
