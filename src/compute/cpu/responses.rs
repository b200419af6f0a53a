//! Kernel `responses`: what a count of each pixel does to an image.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::bright_field::{Aperture, CpuBrightField, with_degree};
use super::lanes::Scalar;
use super::planes::{PartMut, Planes};
use crate::compute::{FAINTEST, Response};

/// The spectra of two pixels' responses together in each window.
pub(super) fn responses<R: Scalar>(
    bright: &CpuBrightField<R>,
    response: Response,
    focus: usize,
    pixels: Range<usize>,
    filter: &[R],
    out: &mut Planes<R>,
) {
    with_degree!(bright.degree, DEGREE => fill::<R, DEGREE>(bright, response, focus, pixels, filter, out));
}

fn fill<R: Scalar, const DEGREE: usize>(
    bright: &CpuBrightField<R>,
    response: Response,
    focus: usize,
    pixels: Range<usize>,
    filter: &[R],
    out: &mut Planes<R>,
) {
    let (plan, aperture) = (&bright.plan, bright.aperture::<DEGREE>());
    let [ny, nx] = plan.output;
    out.windows_mut(plan.output_len(), pixels.len().div_ceil(2)).enumerate().for_each(|(w, mut window)| {
        let mut rows = [0; 4].map(|_| vec![R::zero(); nx]);
        for y in 0..plan.half_rows() {
            let filter = &filter[y * nx..(y + 1) * nx];
            for part in 0..2 {
                let p = pixels.start + 2 * w + part;
                let [re, im] = &mut rows[2 * part..2 * part + 2] else { continue };
                if p < pixels.end {
                    Arch::new().dispatch(
                        #[inline(always)]
                        || response_row(&aperture, bright, response, focus, p, y, filter, PartMut { re, im }),
                    );
                } else {
                    re.fill(R::zero());
                    im.fill(R::zero());
                }
            }
            let [a_re, a_im, b_re, b_im] = &rows;
            let row = window.range(y * nx..(y + 1) * nx);
            for x in 0..nx {
                (row.re[x], row.im[x]) = (a_re[x] - b_im[x], a_im[x] + b_re[x]);
            }
            if y > 0 && 2 * y != ny {
                let mirror = window.range((ny - y) * nx..(ny - y + 1) * nx);
                for x in 0..nx {
                    let m = (nx - x) % nx;
                    (mirror.re[m], mirror.im[m]) = (a_re[x] + b_im[x], b_re[x] - a_im[x]);
                }
            }
        }
    });
}

/// One pixel's response at a row of frequencies.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own, and there is one caller")]
fn response_row<R: Scalar, const DEGREE: usize>(
    aperture: &Aperture<R, DEGREE>,
    bright: &CpuBrightField<R>,
    response: Response,
    focus: usize,
    p: usize,
    y: usize,
    filter: &[R],
    out: PartMut<R>,
) {
    let (plan, focus) = (&bright.plan, bright.foci[focus]);
    let (fy, turn) = (bright.frequencies[0][y], plan.turn.map(|row| row.map(R::of)));
    let [ky, kx] = plan.tilts[p].map(R::of);
    let slope = [bright.slopes[p][0] + R::of(2.0) * focus * ky, bright.slopes[p][1] + R::of(2.0) * focus * kx];
    let (scale, turns) = (bright.amplitudes[p] * R::of(plan.scale), bright.turns[p] + focus * (ky * ky + kx * kx));
    let floor = R::of(FAINTEST * plan.scale);
    for (((re, im), &filter), &fx) in out.re.iter_mut().zip(out.im).zip(filter).zip(&bright.frequencies[1]) {
        let (qy, qx) = (turn[0][0] * fy + turn[0][1] * fx, turn[1][0] * fy + turn[1][1] * fx);
        (*re, *im) = match response {
            Response::Parallax => {
                let [cos, sin] = R::cis(-(slope[0] * qy + slope[1] * qx));
                (filter * cos, filter * sin)
            }
            Response::Ssb | Response::Obf => {
                let (below, above) = (aperture.at(ky - qy, kx - qx), aperture.at(ky + qy, kx + qx));
                let here = R::cis(turns - below.turns - focus * below.square);
                let there = R::cis(turns - above.turns - focus * above.square);
                let (a, b) = (scale * below.amplitude, scale * above.amplitude);
                let (g_re, g_im) = (a * here[0] - b * there[0], a * here[1] + b * there[1]);
                let size = (g_re * g_re + g_im * g_im).sqrt();
                let size = if size > floor { size } else { floor };
                let factor = if response == Response::Ssb { filter / size } else { filter };
                // −iΓ*
                (-g_im * factor, -g_re * factor)
            }
        };
    }
}
