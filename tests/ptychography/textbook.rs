//! ePIE as it is written in the paper, in plain f64: the oracle of the engine.

use std::f64::consts::TAU;

use num_complex::Complex64;
use rustfft::FftPlanner;

pub(crate) struct Textbook {
    pub window: [usize; 2],
    pub object: Vec<Complex64>,
    pub object_shape: [usize; 2],
    /// Real space.
    pub probe: Vec<Complex64>,
}

/// Unitary 2-D transform straight along rows and columns.
pub(crate) fn fft2(x: &[Complex64], [ny, nx]: [usize; 2], inverse: bool) -> Vec<Complex64> {
    let mut planner = FftPlanner::new();
    let mut plan = |n| if inverse { planner.plan_fft_inverse(n) } else { planner.plan_fft_forward(n) };
    let mut out = x.to_vec();
    plan(nx).process(&mut out);
    for column in 0..nx {
        let mut line: Vec<_> = (0..ny).map(|y| out[y * nx + column]).collect();
        plan(ny).process(&mut line);
        for (y, z) in line.into_iter().enumerate() {
            out[y * nx + column] = z / ((ny * nx) as f64).sqrt();
        }
    }
    out
}

impl Textbook {
    /// The probe moved by a fraction of a pixel, or an array moved back.
    fn moved(&self, array: &[Complex64], shift: [f64; 2]) -> Vec<Complex64> {
        let [ny, nx] = self.window;
        let mut hat = fft2(array, self.window, false);
        let frequency = |k: usize, n: usize| if k < n.div_ceil(2) { k as f64 } else { k as f64 - n as f64 } / n as f64;
        for y in 0..ny {
            for x in 0..nx {
                hat[y * nx + x] *= Complex64::cis(-TAU * (frequency(y, ny) * shift[0] + frequency(x, nx) * shift[1]));
            }
        }
        fft2(&hat, self.window, true)
    }

    /// One batch: positions in pixels of where each window's pixel N/2 sits, patterns in FFT order. Returns Σ(|ψ̂| − √I)².
    pub(crate) fn step(&mut self, positions: &[[f64; 2]], patterns: &[Vec<f64>], steps: [f64; 2], refine_probe: bool) -> f64 {
        let ([ny, nx], width) = (self.window, self.object_shape[1]);
        let mut object_sum = vec![Complex64::default(); self.object.len()];
        let mut probe_power = vec![0.0; self.object.len()];
        let mut probe_sum = vec![Complex64::default(); ny * nx];
        let mut object_power = vec![0.0; ny * nx];
        let mut misfit = 0.0;
        for (position, pattern) in positions.iter().zip(patterns) {
            let whole = position.map(f64::round);
            let shift = [position[0] - whole[0], position[1] - whole[1]];
            let place = |y: usize, x: usize| (whole[0] as usize - ny / 2 + y) * width + whole[1] as usize - nx / 2 + x;
            let probe = self.moved(&self.probe, shift);
            let mut wave = vec![Complex64::default(); ny * nx];
            for y in 0..ny {
                for x in 0..nx {
                    wave[y * nx + x] = probe[y * nx + x] * self.object[place(y, x)];
                }
            }
            let mut hat = fft2(&wave, self.window, false);
            for (z, intensity) in hat.iter_mut().zip(pattern) {
                misfit += (z.norm() - intensity.sqrt()).powi(2);
                *z = if z.norm() > 0.0 { *z / z.norm() * intensity.sqrt() } else { Complex64::default() };
            }
            let revised = fft2(&hat, self.window, true);
            let mut back = vec![Complex64::default(); ny * nx];
            for y in 0..ny {
                for x in 0..nx {
                    let (w, o) = (y * nx + x, place(y, x));
                    let difference = revised[w] - wave[w];
                    object_sum[o] += probe[w].conj() * difference;
                    probe_power[o] += probe[w].norm_sqr();
                    back[w] = self.object[o].conj() * difference;
                    object_power[w] += self.object[o].norm_sqr();
                }
            }
            for (sum, z) in probe_sum.iter_mut().zip(self.moved(&back, [-shift[0], -shift[1]])) {
                *sum += z;
            }
        }
        let largest = |v: &[f64]| v.iter().copied().fold(0.0, f64::max);
        let (most_probe, most_object) = (largest(&probe_power), largest(&object_power));
        for (o, sum) in self.object.iter_mut().zip(&object_sum) {
            *o += steps[0] * sum / most_probe;
        }
        if refine_probe {
            for (p, sum) in self.probe.iter_mut().zip(&probe_sum) {
                *p += steps[1] * sum / most_object;
            }
        }
        misfit
    }
}
