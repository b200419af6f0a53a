//! Kernel `side_bands`: the side bands of bright-field pixels, summed with the phases that the aperture gave them.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::Cpu;
use super::bright_field::{Aperture, CpuBrightField, Wave, spectrum_row, with_degree};
use super::lanes::Scalar;
use super::planes::Planes;
use crate::compute::{FAINTEST, SideBandSums};

/// Neighbouring frequencies that are worked on together: many registers' worth, and few enough that most lie in the side bands or none.
const NEAR: usize = 32;

/// Adds the pixels' side bands to the sums, row by row of the frequencies.
pub(super) fn side_bands<R: Scalar>(
    spectra: &Planes<R>,
    bright: &CpuBrightField<R>,
    pixels: Range<usize>,
    sums: &mut SideBandSums<Cpu<R>>,
) {
    let width = 2 * bright.foci.len() * bright.plan.output[1];
    let rows = bright.plan.half_rows();
    let (re, im) = (&mut sums.numerators.re[..rows * width], &mut sums.numerators.im[..rows * width]);
    let rows = re.par_chunks_exact_mut(width).zip(im.par_chunks_exact_mut(width)).zip(sums.weights.par_chunks_exact_mut(width)).enumerate();
    rows.for_each(|(y, ((re, im), weights))| {
        let mut row = Row { re, im, weights };
        let arch = Arch::new();
        with_degree!(bright.degree, DEGREE => arch.dispatch(
            #[inline(always)]
            || sum_row::<R, DEGREE>(spectra, bright, pixels.clone(), y, &mut row)
        ));
    });
}

/// A row of the sums: (focus, method, column).
struct Row<'a, R> {
    re: &'a mut [R],
    im: &'a mut [R],
    weights: &'a mut [R],
}

#[inline(always)]
fn sum_row<R: Scalar, const DEGREE: usize>(
    spectra: &Planes<R>,
    bright: &CpuBrightField<R>,
    pixels: Range<usize>,
    y: usize,
    row: &mut Row<R>,
) {
    let (plan, n, nx) = (&bright.plan, bright.plan.scan_len(), bright.plan.output[1]);
    let aperture = bright.aperture::<DEGREE>();
    let (mut re, mut im) = (vec![R::zero(); nx], vec![R::zero(); nx]);
    // The frequencies of the row in the detector's frame.
    let fy = bright.frequencies[0][y];
    let turned =
        |i: usize| bright.frequencies[1].iter().map(|&fx| R::of(plan.turn[i][0]) * fy + R::of(plan.turn[i][1]) * fx).collect::<Vec<R>>();
    let (qy, qx) = (turned(0), turned(1));
    // For each stretch of neighbours the middle and the radius of a circle that holds them, if they are neighbours and do not wrap around.
    let reach = 1.0 + 0.5 / plan.radius_px + 1e-6;
    let circles: Vec<([f64; 2], f64)> = qy
        .chunks(NEAR)
        .zip(qx.chunks(NEAR))
        .map(|(ys, xs)| {
            let middle = [ys, xs].map(|v| v.iter().map(|v| v.f64()).sum::<f64>() / v.len() as f64);
            let far = ys.iter().zip(xs).map(|(y, x)| (y.f64() - middle[0]).hypot(x.f64() - middle[1])).fold(0.0, f64::max);
            (middle, (far + reach).powi(2))
        })
        .collect();
    for p in pixels.clone() {
        let place = p - pixels.start;
        let [ky, kx] = plan.tilts[p];
        let near = |&([y, x], square): &([f64; 2], f64)| {
            (ky - y).powi(2) + (kx - x).powi(2) < square || (ky + y).powi(2) + (kx + x).powi(2) < square
        };
        if bright.amplitudes[p] == R::zero() || !circles.iter().any(near) {
            continue;
        }
        spectrum_row(spectra.window(n, place / 2), plan.scan, y, place % 2 == 1, &mut re, &mut im);
        let own = Own { y: R::of(ky), x: R::of(kx), scale: bright.amplitudes[p] * R::of(plan.scale), turns: bright.turns[p] };
        for (chunk, circle) in circles.iter().enumerate() {
            if !near(circle) {
                continue;
            }
            let span = chunk * NEAR..((chunk + 1) * NEAR).min(nx);
            sum_near(
                &aperture,
                &own,
                bright,
                [&qy[span.clone()], &qx[span.clone()]],
                [&re[span.clone()], &im[span.clone()]],
                span,
                nx,
                row,
            );
        }
    }
}

/// A pixel's own place in the aperture.
struct Own<R> {
    y: R,
    x: R,
    scale: R,
    turns: R,
}

/// Adds one pixel at neighbouring frequencies.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own, and there is one caller")]
fn sum_near<R: Scalar, const DEGREE: usize>(
    aperture: &Aperture<R, DEGREE>,
    own: &Own<R>,
    bright: &CpuBrightField<R>,
    q: [&[R]; 2],
    spectrum: [&[R]; 2],
    span: Range<usize>,
    nx: usize,
    row: &mut Row<R>,
) {
    let nothing = Wave { amplitude: R::zero(), turns: R::zero(), square: R::zero() };
    let (mut below, mut above) = ([nothing; NEAR], [nothing; NEAR]);
    for (((below, above), &qy), &qx) in below.iter_mut().zip(&mut above).zip(q[0]).zip(q[1]) {
        *below = aperture.at(own.y - qy, own.x - qx);
        *above = aperture.at(own.y + qy, own.x + qx);
    }
    let square = own.y * own.y + own.x * own.x;
    let floor = R::of(FAINTEST * bright.plan.scale);
    for (f, &focus) in bright.foci.iter().enumerate() {
        let turns = own.turns + focus * square;
        let place = |method: usize| (2 * f + method) * nx + span.start..(2 * f + method) * nx + span.end;
        let (ssb_re, obf_re) = row.re[place(0).start..place(1).end].split_at_mut(nx);
        let (ssb_im, obf_im) = row.im[place(0).start..place(1).end].split_at_mut(nx);
        let (ssb_weight, obf_weight) = row.weights[place(0).start..place(1).end].split_at_mut(nx);
        let ssb = ssb_re.iter_mut().zip(ssb_im).zip(ssb_weight);
        let obf = obf_re.iter_mut().zip(obf_im).zip(obf_weight);
        let inputs = below.iter().zip(&above).zip(spectrum[0].iter().zip(spectrum[1]));
        for ((ssb, obf), ((below, above), (&re, &im))) in ssb.zip(obf).zip(inputs) {
            let here = R::cis(turns - below.turns - focus * below.square);
            let there = R::cis(turns - above.turns - focus * above.square);
            let (a, b) = (own.scale * below.amplitude, own.scale * above.amplitude);
            // Γ = A*(k)A(k − q) − A(k)A*(k + q)
            let (g_re, g_im) = (a * here[0] - b * there[0], a * here[1] + b * there[1]);
            // −iĨΓ*
            let (re, im) = (im * g_re - re * g_im, -re * g_re - im * g_im);
            let power = g_re * g_re + g_im * g_im;
            let size = power.sqrt();
            let factor = R::one() / if size > floor { size } else { floor };
            let ((ssb_re, ssb_im), ssb_weight) = ssb;
            let ((obf_re, obf_im), obf_weight) = obf;
            *ssb_re += re * factor;
            *ssb_im += im * factor;
            *ssb_weight += power * factor;
            *obf_re += re;
            *obf_im += im;
            *obf_weight += power;
        }
    }
}
