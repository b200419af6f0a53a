//! Cosine and sine series of a field: the derivatives of an image that continues mirrored beyond its edges.

use std::f64::consts::{FRAC_PI_2, PI};

use num_complex::Complex64;
use rustfft::FftPlanner;

/// An orthonormal basis of one axis, sampled at j + ½.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wave {
    /// √(2/n) cos(πk(j + ½)/n), 1/√n for k = 0.
    Cosine,
    /// √(2/n) sin(πk(j + ½)/n); k = 0 is nothing.
    Sine,
}

/// Gradients of images f = Σ f_k cos(πk_y(i + ½)/n_y) cos(πk_x(j + ½)/n_x): the orthonormal fields that they are sums of.
pub(super) struct Gradients {
    shape: [usize; 2],
    /// The direction (y, x) of each wave and its spatial frequency in inverse units of the step; the constant has none.
    pub(super) direction: Vec<[f64; 2]>,
    pub(super) frequency: Vec<f64>,
}

impl Gradients {
    /// Of a scan of `shape` with the step (y, x).
    pub(super) fn new(shape: [usize; 2], step: [f64; 2]) -> Self {
        let [ny, nx] = shape;
        let (mut direction, mut frequency) = (Vec::with_capacity(ny * nx), Vec::with_capacity(ny * nx));
        for k in 0..ny * nx {
            let q = [(k / nx) as f64 / (2.0 * ny as f64 * step[0]), (k % nx) as f64 / (2.0 * nx as f64 * step[1])];
            let length = q[0].hypot(q[1]);
            direction.push(if length > 0.0 { q.map(|q| q / length) } else { [0.0; 2] });
            frequency.push(length);
        }
        Self { shape, direction, frequency }
    }

    /// The component of the field (y, x) along each gradient.
    pub(super) fn of_field(&self, y: &[f64], x: &[f64]) -> Vec<f64> {
        let along_y = forward(y, self.shape, [Wave::Sine, Wave::Cosine]);
        let along_x = forward(x, self.shape, [Wave::Cosine, Wave::Sine]);
        self.direction.iter().zip(along_y.iter().zip(&along_x)).map(|(d, (y, x))| d[0] * y + d[1] * x).collect()
    }

    /// The field (y, x) of these components.
    pub(super) fn field(&self, components: &[f64]) -> [Vec<f64>; 2] {
        [([Wave::Sine, Wave::Cosine], 0), ([Wave::Cosine, Wave::Sine], 1)].map(|(waves, axis)| {
            let along: Vec<f64> = self.direction.iter().zip(components).map(|(d, c)| d[axis] * c).collect();
            inverse(&along, self.shape, waves)
        })
    }

    /// The components of an image along the cosines themselves.
    pub(super) fn of_image(&self, image: &[f64]) -> Vec<f64> {
        forward(image, self.shape, [Wave::Cosine; 2])
    }
}

fn forward(values: &[f64], [ny, nx]: [usize; 2], [wave_y, wave_x]: [Wave; 2]) -> Vec<f64> {
    let rows = lines(values, nx, |line, fft| analyse(line, wave_x, fft));
    transposed(&lines(&transposed(&rows, ny, nx), ny, |line, fft| analyse(line, wave_y, fft)), nx, ny)
}

fn inverse(values: &[f64], [ny, nx]: [usize; 2], [wave_y, wave_x]: [Wave; 2]) -> Vec<f64> {
    let rows = lines(values, nx, |line, fft| synthesise(line, wave_x, fft));
    transposed(&lines(&transposed(&rows, ny, nx), ny, |line, fft| synthesise(line, wave_y, fft)), nx, ny)
}

fn lines(values: &[f64], n: usize, f: impl Fn(&[f64], &mut FftPlanner<f64>) -> Vec<f64>) -> Vec<f64> {
    let mut planner = FftPlanner::new();
    values.chunks_exact(n).flat_map(|line| f(line, &mut planner)).collect()
}

fn transposed(values: &[f64], ny: usize, nx: usize) -> Vec<f64> {
    (0..ny * nx).map(|at| values[(at % ny) * nx + at / ny]).collect()
}

fn norm(k: usize, n: usize) -> f64 {
    let share = if k == 0 { 1.0 } else { 2.0 };
    (share / n as f64).sqrt()
}

/// What turns e^{iπk(j + ½)/n} into the wave by its real part.
fn turn(wave: Wave) -> f64 {
    match wave {
        Wave::Cosine => 0.0,
        Wave::Sine => -FRAC_PI_2,
    }
}

/// Σ_j x_j wave_k(j), by a transform of the line continued with zeros to twice its length.
fn analyse(line: &[f64], wave: Wave, planner: &mut FftPlanner<f64>) -> Vec<f64> {
    let n = line.len();
    let mut padded: Vec<Complex64> = line.iter().map(|&x| Complex64::from(x)).collect();
    padded.resize(2 * n, Complex64::ZERO);
    planner.plan_fft_inverse(2 * n).process(&mut padded);
    let of = |(k, sum): (usize, &Complex64)| match (k, wave) {
        (0, Wave::Sine) => 0.0,
        _ => norm(k, n) * (sum * Complex64::cis(PI * k as f64 / (2 * n) as f64 + turn(wave))).re,
    };
    padded[..n].iter().enumerate().map(of).collect()
}

/// Σ_k c_k wave_k(j).
fn synthesise(line: &[f64], wave: Wave, planner: &mut FftPlanner<f64>) -> Vec<f64> {
    let n = line.len();
    let of = |(k, &c): (usize, &f64)| match (k, wave) {
        (0, Wave::Sine) => Complex64::ZERO,
        _ => Complex64::cis(PI * k as f64 / (2 * n) as f64 + turn(wave)) * (norm(k, n) * c),
    };
    let mut padded: Vec<Complex64> = line.iter().enumerate().map(of).collect();
    padded.resize(2 * n, Complex64::ZERO);
    planner.plan_fft_inverse(2 * n).process(&mut padded);
    padded[..n].iter().map(|x| x.re).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_made_of_gradients_gives_their_components_back() {
        let gradients = Gradients::new([6, 9], [0.5, 0.7]);
        let components: Vec<f64> = (0..54).map(|k| if k == 0 { 0.0 } else { ((k * k) as f64).sin() }).collect();
        let [y, x] = gradients.field(&components);
        let again = gradients.of_field(&y, &x);
        components.iter().zip(&again).for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{a} {b}"));
    }

    #[test]
    fn the_gradient_of_a_wave_has_its_direction() {
        let gradients = Gradients::new([8, 8], [1.0; 2]);
        // f = cos(2πy′/16) cos(3·2πx′/16), y′ = i + ½.
        let at = |k: usize| ((k / 8) as f64 + 0.5, (k % 8) as f64 + 0.5);
        let (a, b) = (PI * 2.0 / 8.0, PI * 3.0 / 8.0);
        let y: Vec<f64> = (0..64).map(|k| -a * (a * at(k).0).sin() * (b * at(k).1).cos()).collect();
        let x: Vec<f64> = (0..64).map(|k| -b * (a * at(k).0).cos() * (b * at(k).1).sin()).collect();
        let found = gradients.of_field(&y, &x);
        let power: f64 = y.iter().chain(&x).map(|v| v * v).sum();
        assert!((found[2 * 8 + 3].powi(2) / power - 1.0).abs() < 1e-12 && found[19] < 0.0);
    }
}
