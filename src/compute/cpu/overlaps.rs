//! Kernel `overlaps`: the aperture times itself shifted by the scan's frequencies, over detector windows.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::bright_field::{CpuBrightField, Wave, with_degree};
use super::lanes::Scalar;
use super::planes::{PartMut, Planes};

/// `out[f](k) = A*(k)A(k − f) / Σ|A|²`.
pub(super) fn overlaps<R: Scalar>(bright: &CpuBrightField<R>, focus: usize, frequencies: Range<usize>, out: &mut Planes<R>) {
    with_degree!(bright.degree, DEGREE => fill::<R, DEGREE>(bright, focus, frequencies, out));
}

fn fill<R: Scalar, const DEGREE: usize>(bright: &CpuBrightField<R>, focus: usize, frequencies: Range<usize>, out: &mut Planes<R>) {
    let (plan, nx) = (&bright.plan, bright.plan.window[1]);
    let aperture = bright.aperture::<DEGREE>();
    let (focus, scale) = (bright.foci[focus], R::of(plan.scale));
    let angle = |axis: usize, k: usize| R::of(plan.window_first[axis] + k as f64 * plan.window_step[axis]);
    let [ys, xs]: [Vec<R>; 2] = [0, 1].map(|axis| (0..plan.window[axis]).map(|k| angle(axis, k)).collect());
    let own: Vec<Wave<R>> = ys.iter().flat_map(|&y| xs.iter().map(move |&x| (y, x))).map(|(y, x)| aperture.at(y, x)).collect();
    let line = |window: PartMut<R>, f: usize| {
        let (fy, fx) = (bright.frequencies[0][f / plan.output[1]], bright.frequencies[1][f % plan.output[1]]);
        let [qy, qx] = [0, 1].map(|i| R::of(plan.turn[i][0]) * fy + R::of(plan.turn[i][1]) * fx);
        let rows = window.re.chunks_exact_mut(nx).zip(window.im.chunks_exact_mut(nx)).zip(own.chunks_exact(nx).zip(&ys));
        for ((re, im), (own, &y)) in rows {
            for ((re, im), (own, &x)) in re.iter_mut().zip(im).zip(own.iter().zip(&xs)) {
                let shifted = aperture.at(y - qy, x - qx);
                let [cos, sin] = R::cis(own.turns - shifted.turns + focus * (own.square - shifted.square));
                let size = scale * own.amplitude * shifted.amplitude;
                (*re, *im) = (size * cos, size * sin);
            }
        }
    };
    out.windows_mut(plan.window_len(), frequencies.len()).enumerate().for_each(|(f, window)| {
        let arch = Arch::new();
        arch.dispatch(
            #[inline(always)]
            || line(window, frequencies.start + f),
        );
    });
}
