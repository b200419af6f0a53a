//! The integral of a vector field of centres of mass: iCoM, or iDPC.

use std::f64::consts::TAU;

use num_complex::Complex64;
use rustfft::FftPlanner;

/// What lies beyond the edges of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edges {
    /// The image continues mirrored, so that opposite edges need not match.
    #[default]
    Mirror,
    /// The image repeats itself: right for a scan over whole unit cells.
    Periodic,
}

/// The scalar field I (y, x) of mean 0 whose gradient is nearest (in least squares) to the field (`cy`, `cx`), sampled with `step` (y, x).
///
/// Î = Ĉ·q / (2πi q²), Î(0) = 0 (Lazić, Bosch & Lazar, Ultramicroscopy 160 (2016) 265, eq. 30, there with the 2π inside k). The unit is that of
/// the field times that of the step: with C in Å⁻¹, 2π·I is the phase in radians, deconvolved of nothing: its transfer is the probe's O₁(q).
///
/// `highpass` q_h, in inverse steps, multiplies by q²/(q² + q_h²).
///
/// # Panics
/// If the fields do not have the shape's length.
pub fn integrate(cy: &[f64], cx: &[f64], shape: [usize; 2], step: [f64; 2], edges: Edges, highpass: Option<f64>) -> Vec<f64> {
    let [ny, nx] = shape;
    assert!(cy.len() == ny * nx && cx.len() == ny * nx, "a field of {ny}×{nx} positions");
    let (my, mx) = match edges {
        Edges::Mirror => (2 * ny, 2 * nx),
        Edges::Periodic => (ny, nx),
    };
    // The gradient of an even image is odd along its own axis and even along the other.
    let (mut fy, mut fx) = (Vec::with_capacity(my * mx), Vec::with_capacity(my * mx));
    for y in 0..my {
        let (row, sign_y) = if y < ny { (y, 1.0) } else { (my - 1 - y, -1.0) };
        for x in 0..mx {
            let (col, sign_x) = if x < nx { (x, 1.0) } else { (mx - 1 - x, -1.0) };
            fy.push(Complex64::from(sign_y * cy[row * nx + col]));
            fx.push(Complex64::from(sign_x * cx[row * nx + col]));
        }
    }
    let mut planner = FftPlanner::new();
    fft2(&mut planner, &mut fy, my, mx, rustfft::FftDirection::Forward);
    fft2(&mut planner, &mut fx, my, mx, rustfft::FftDirection::Forward);
    let high = highpass.unwrap_or(0.0).powi(2);
    for y in 0..my {
        let (qy, odd_y) = frequency(y, my, step[0]);
        for x in 0..mx {
            let (qx, odd_x) = frequency(x, mx, step[1]);
            let (at, q2) = (y * mx + x, qy * qy + qx * qx);
            let divergence = fy[at] * odd_y + fx[at] * odd_x;
            fy[at] = if q2 > 0.0 { -Complex64::i() * divergence / (TAU * (q2 + high)) } else { Complex64::ZERO };
        }
    }
    fft2(&mut planner, &mut fy, my, mx, rustfft::FftDirection::Inverse);
    let norm = 1.0 / (my * mx) as f64;
    let mut image: Vec<f64> = (0..ny).flat_map(|y| y * mx..y * mx + nx).map(|at| fy[at].re * norm).collect();
    let mean = image.iter().sum::<f64>() / image.len().max(1) as f64;
    image.iter_mut().for_each(|v| *v -= mean);
    image
}

/// The spatial frequency of place `k` of FFT order, and the one that an odd function has there: 0 at the Nyquist frequency, where ±q are one.
fn frequency(k: usize, n: usize, step: f64) -> (f64, f64) {
    let q = crate::optics::fft_index(k, n) / (n as f64 * step);
    (q, if 2 * k == n { 0.0 } else { q })
}

/// An unnormalised transform of any size, in place.
pub(super) fn fft2(planner: &mut FftPlanner<f64>, data: &mut [Complex64], ny: usize, nx: usize, direction: rustfft::FftDirection) {
    planner.plan_fft(nx, direction).process(data);
    let mut columns = vec![Complex64::ZERO; data.len()];
    for (at, value) in data.iter().enumerate() {
        columns[(at % nx) * ny + at / nx] = *value;
    }
    planner.plan_fft(ny, direction).process(&mut columns);
    for (at, value) in data.iter_mut().enumerate() {
        *value = columns[(at % nx) * ny + at / nx];
    }
}
