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
    assert!(cy.len() == shape[0] * shape[1] && cx.len() == cy.len(), "a field of {}×{} positions", shape[0], shape[1]);
    let mut plane = Plane::new(shape, step, edges);
    let (fy, fx) = (plane.forward(cy, [-1.0, 1.0]), plane.forward(cx, [1.0, -1.0]));
    let high = highpass.unwrap_or(0.0).powi(2);
    let spectrum = plane.spectrum(|at, q, odd| {
        let (q2, divergence) = (q[0] * q[0] + q[1] * q[1], fy[at] * odd[0] + fx[at] * odd[1]);
        if q2 > 0.0 { -Complex64::i() * divergence / (TAU * (q2 + high)) } else { Complex64::ZERO }
    });
    without_mean(plane.inverse(spectrum))
}

/// The same where only some positions count: the mirrored image I whose gradient is nearest to the field in least squares over those alone, by conjugate gradients on
/// Dᵀ W D I = Dᵀ W C, preconditioned by the inverse of DᵀD, so that without holes one step suffices. Within holes I is as smooth as the rest allows.
///
/// # Panics
/// If fields or mask do not have the shape's length.
pub(super) fn integrate_where(
    cy: &[f64],
    cx: &[f64],
    counts: &[bool],
    shape: [usize; 2],
    step: [f64; 2],
    highpass: Option<f64>,
) -> Vec<f64> {
    /// Rounds at most, and the relative residual at which they end.
    const ROUNDS: usize = 300;
    const SMALL: f64 = 1e-9;
    let mut plane = Plane::new(shape, step, Edges::Mirror);
    let masked = |values: &[f64]| -> Vec<f64> { values.iter().zip(counts).map(|(v, &c)| if c { *v } else { 0.0 }).collect() };
    let mut residual = plane.adjoint(&masked(cy), &masked(cx));
    let start = dot(&residual, &residual);
    let mut image = vec![0.0; residual.len()];
    let mut calm = plane.inverse_laplacian(&residual);
    let mut search = calm.clone();
    let mut size = dot(&residual, &calm);
    for _ in 0..ROUNDS {
        if dot(&residual, &residual) <= SMALL * SMALL * start {
            break;
        }
        let [gy, gx] = plane.gradient(&search);
        let curved = plane.adjoint(&masked(&gy), &masked(&gx));
        let length = size / dot(&search, &curved);
        if !length.is_finite() {
            break;
        }
        image.iter_mut().zip(&search).for_each(|(v, s)| *v += length * s);
        residual.iter_mut().zip(&curved).for_each(|(r, c)| *r -= length * c);
        calm = plane.inverse_laplacian(&residual);
        let before = std::mem::replace(&mut size, dot(&residual, &calm));
        search.iter_mut().zip(&calm).for_each(|(s, c)| *s = c + size / before * *s);
    }
    if let Some(highpass) = highpass {
        let f = plane.forward(&image, [1.0, 1.0]);
        let spectrum = plane.spectrum(|at, q, _| {
            let q2 = q[0] * q[0] + q[1] * q[1];
            f[at] * q2 / (q2 + highpass * highpass)
        });
        image = plane.inverse(spectrum);
    }
    without_mean(image)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn without_mean(mut image: Vec<f64>) -> Vec<f64> {
    let mean = image.iter().sum::<f64>() / image.len().max(1) as f64;
    image.iter_mut().for_each(|v| *v -= mean);
    image
}

/// A field's spectra: of itself, or of its mirrored continuation.
struct Plane {
    shape: [usize; 2],
    whole: [usize; 2],
    step: [f64; 2],
    planner: FftPlanner<f64>,
}

impl Plane {
    fn new(shape: [usize; 2], step: [f64; 2], edges: Edges) -> Self {
        let whole = match edges {
            Edges::Mirror => shape.map(|n| 2 * n),
            Edges::Periodic => shape,
        };
        Self { shape, whole, step, planner: FftPlanner::new() }
    }

    /// The spectrum of values; `signs` (y, x) are those of their mirror images: the gradient of an even image is odd along its own axis and even along the other.
    fn forward(&mut self, values: &[f64], signs: [f64; 2]) -> Vec<Complex64> {
        let [ny, nx] = self.shape;
        let [my, mx] = self.whole;
        let place = |k: usize, n: usize, m: usize, sign: f64| if k < n { (k, 1.0) } else { (m - 1 - k, sign) };
        let mut spectrum = Vec::with_capacity(my * mx);
        for y in 0..my {
            let (row, sign_y) = place(y, ny, my, signs[0]);
            for x in 0..mx {
                let (col, sign_x) = place(x, nx, mx, signs[1]);
                spectrum.push(Complex64::from(sign_y * sign_x * values[row * nx + col]));
            }
        }
        fft2(&mut self.planner, &mut spectrum, my, mx, rustfft::FftDirection::Forward);
        spectrum
    }

    /// A spectrum by place, spatial frequency, and the one that an odd function has there.
    fn spectrum(&self, of: impl Fn(usize, [f64; 2], [f64; 2]) -> Complex64) -> Vec<Complex64> {
        let [my, mx] = self.whole;
        let mut spectrum = Vec::with_capacity(my * mx);
        for y in 0..my {
            let (qy, odd_y) = frequency(y, my, self.step[0]);
            for x in 0..mx {
                let (qx, odd_x) = frequency(x, mx, self.step[1]);
                spectrum.push(of(y * mx + x, [qy, qx], [odd_y, odd_x]));
            }
        }
        spectrum
    }

    /// The values of a spectrum, without their continuation.
    fn inverse(&mut self, mut spectrum: Vec<Complex64>) -> Vec<f64> {
        let [ny, nx] = self.shape;
        let [my, mx] = self.whole;
        fft2(&mut self.planner, &mut spectrum, my, mx, rustfft::FftDirection::Inverse);
        let norm = 1.0 / (my * mx) as f64;
        (0..ny).flat_map(|y| y * mx..y * mx + nx).map(|at| spectrum[at].re * norm).collect()
    }

    /// ∇ of an even image.
    fn gradient(&mut self, image: &[f64]) -> [Vec<f64>; 2] {
        let f = self.forward(image, [1.0, 1.0]);
        [0, 1].map(|a| {
            let spectrum = self.spectrum(|at, _, odd| Complex64::i() * TAU * odd[a] * f[at]);
            self.inverse(spectrum)
        })
    }

    /// The adjoint of [`Self::gradient`]: −∇·.
    fn adjoint(&mut self, y: &[f64], x: &[f64]) -> Vec<f64> {
        let (fy, fx) = (self.forward(y, [-1.0, 1.0]), self.forward(x, [1.0, -1.0]));
        let spectrum = self.spectrum(|at, _, odd| -Complex64::i() * TAU * (fy[at] * odd[0] + fx[at] * odd[1]));
        self.inverse(spectrum)
    }

    /// The inverse of the gradient and its adjoint, 0 for what has no gradient.
    fn inverse_laplacian(&mut self, image: &[f64]) -> Vec<f64> {
        let f = self.forward(image, [1.0, 1.0]);
        let spectrum = self.spectrum(|at, _, odd| {
            let q2 = odd[0] * odd[0] + odd[1] * odd[1];
            if q2 > 0.0 { f[at] / (TAU * TAU * q2) } else { Complex64::ZERO }
        });
        self.inverse(spectrum)
    }
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
