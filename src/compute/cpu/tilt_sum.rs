//! Kernel `tilt_sum`: the images of tilts, shifted and added.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::bright_field::{CpuBrightField, spectrum_row};
use super::lanes::Scalar;
use super::planes::Planes;

/// `out[Y, X] += Σ_p Ĩ_p(Y, X) · ramps_y[p][Y] · ramps_x[p][X]`, row by row of the frequencies.
pub(super) fn tilt_sum<R: Scalar>(
    spectra: &Planes<R>,
    first: usize,
    bright: &CpuBrightField<R>,
    tilted: Range<usize>,
    [ramps_y, ramps_x]: [&Planes<R>; 2],
    out: &mut Planes<R>,
) {
    let (plan, n) = (&bright.plan, bright.plan.scan_len());
    let [ny, nx] = plan.output;
    out.windows_mut(nx, plan.half_rows()).enumerate().for_each(|(y, out)| {
        let (mut re, mut im) = (vec![R::zero(); nx], vec![R::zero(); nx]);
        for (t, p) in tilted.clone().enumerate() {
            let place = p - first;
            spectrum_row(spectra.window(n, place / 2), plan.scan, y, place % 2 == 1, &mut re, &mut im);
            let (ry, iy) = (ramps_y.re[t * ny + y], ramps_y.im[t * ny + y]);
            let ramp = ramps_x.window(nx, t);
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    let inputs = re.iter().zip(&im).zip(ramp.re.iter().zip(ramp.im));
                    for ((out_re, out_im), ((&sr, &si), (&rx, &ix))) in out.re.iter_mut().zip(&mut *out.im).zip(inputs) {
                        let (r, i) = (ry * rx - iy * ix, ry * ix + iy * rx);
                        *out_re += sr * r - si * i;
                        *out_im += sr * i + si * r;
                    }
                },
            );
        }
    });
}
