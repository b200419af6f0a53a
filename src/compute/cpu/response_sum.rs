//! Kernel `response_sum`: spectra of responses times spectra of pixels, added.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::bright_field::{CpuBrightField, spectrum_row};
use super::lanes::Scalar;
use super::planes::Planes;

/// `out[Y, X] += Σ_p R_p(Y, X)·Ĩ_p(Y, X)` over half a spectrum, row by row.
pub(super) fn response_sum<R: Scalar>(
    responses: &Planes<R>,
    spectra: &Planes<R>,
    first: usize,
    bright: &CpuBrightField<R>,
    pixels: Range<usize>,
    out: &mut Planes<R>,
) {
    let (plan, n, m) = (&bright.plan, bright.plan.scan_len(), bright.plan.output_len());
    let nx = plan.output[1];
    out.windows_mut(nx, plan.half_rows()).enumerate().for_each(|(y, out)| {
        let [mut re, mut im, mut own_re, mut own_im] = [0; 4].map(|_| vec![R::zero(); nx]);
        for p in pixels.clone() {
            let (place, own) = (p - first, p - pixels.start);
            spectrum_row(spectra.window(n, place / 2), plan.scan, y, place % 2 == 1, &mut re, &mut im);
            spectrum_row(responses.window(m, own / 2), plan.output, y, own % 2 == 1, &mut own_re, &mut own_im);
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    let inputs = re.iter().zip(&im).zip(own_re.iter().zip(&own_im));
                    for ((out_re, out_im), ((&sr, &si), (&r, &i))) in out.re.iter_mut().zip(&mut *out.im).zip(inputs) {
                        *out_re += sr * r - si * i;
                        *out_im += sr * i + si * r;
                    }
                },
            );
        }
    });
}
