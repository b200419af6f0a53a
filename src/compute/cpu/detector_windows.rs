//! Kernel `detector_windows`: the scan's spectra of pixels become detector windows, one a frequency.

use std::ops::Range;

use rayon::prelude::*;

use super::bright_field::{CpuBrightField, part};
use super::lanes::Scalar;
use super::planes::Planes;

/// Frequencies of one task: their numbers in a scan window share cache lines.
const TOGETHER: usize = 64;

/// `out[f][place of p] = Ĩ_p(f)`.
pub(super) fn detector_windows<R: Scalar>(
    spectra: &Planes<R>,
    bright: &CpuBrightField<R>,
    pixels: Range<usize>,
    frequencies: Range<usize>,
    out: &mut Planes<R>,
) {
    let (plan, n, len) = (&bright.plan, bright.plan.scan_len(), bright.plan.window_len());
    let ([ny, nx], columns, count) = (plan.scan, plan.output[1], frequencies.len());
    let (re, im) = (&mut out.re[..count * len], &mut out.im[..count * len]);
    re.par_chunks_mut(TOGETHER * len).zip(im.par_chunks_mut(TOGETHER * len)).enumerate().for_each(|(task, (re, im))| {
        let first = frequencies.start + task * TOGETHER;
        let places: Vec<[usize; 2]> = (first..first + re.len() / len)
            .map(|f| {
                let (y, x) = (f / columns % ny, f % columns % nx);
                [y * nx + x, (ny - y) % ny * nx + (nx - x) % nx]
            })
            .collect();
        for p in pixels.clone() {
            let place = p - pixels.start;
            let window = spectra.window(n, place / 2);
            let at = plan.places[p] as usize;
            for (f, &[here, mirrored]) in places.iter().enumerate() {
                let here = [window.re[here], window.im[here]];
                [re[f * len + at], im[f * len + at]] = part(place % 2 == 1, here, [window.re[mirrored], window.im[mirrored]]);
            }
        }
    });
}
