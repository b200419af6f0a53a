//! From spectra to images.

use num_complex::Complex64;
use rustfft::{FftDirection, FftPlanner};

use crate::compute::BrightField;
use crate::imaging::integrate;

use super::DirectPlan;

/// The field that images show: what it is transformed from, and what of it is the scan.
pub(super) struct Field {
    output: [usize; 2],
    scan: [usize; 2],
    shape: [usize; 2],
    /// From sums of unitary spectra of counts to radians.
    factor: f64,
}

impl Field {
    pub(super) fn new(bright: &BrightField, plan: &DirectPlan, incident: f64) -> Self {
        let factor = 1.0 / ((bright.scan_len() as f64).sqrt() * incident);
        Self { output: bright.output, scan: bright.scan, shape: plan.scan.shape.map(|n| n * plan.upsample), factor }
    }

    /// (y, x) of an image.
    pub(super) fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// The real image of half a spectrum, with the mean 0.
    pub(super) fn image(&self, half: &[Complex64]) -> Vec<f64> {
        let [ny, nx] = self.output;
        let at = |y: usize, x: usize| half[y * nx + x];
        let mut full = Vec::with_capacity(ny * nx);
        for y in 0..ny {
            for x in 0..nx {
                let (my, mx) = ((ny - y) % ny, (nx - x) % nx);
                full.push(match (y <= ny / 2, my <= ny / 2) {
                    // Its own mirror row.
                    (true, true) => 0.5 * (at(y, x) + at(my, mx).conj()),
                    (true, false) => at(y, x),
                    _ => at(my, mx).conj(),
                });
            }
        }
        self.without_mean(&mut full, false);
        self.transform(&mut full);
        self.cropped(&full).map(|z| z.re * self.factor).collect()
    }

    /// The phase image of the complex object of a whole spectrum, with the mean 0.
    pub(super) fn phase(&self, spectrum: &[Complex64]) -> Vec<f64> {
        let mut full = spectrum.to_vec();
        self.without_mean(&mut full, true);
        let unit = Complex64::cis(-full[0].arg());
        self.transform(&mut full);
        let mut phase: Vec<f64> = self.cropped(&full).map(|z| (z * unit).arg()).collect();
        let mean = phase.iter().sum::<f64>() / phase.len().max(1) as f64;
        phase.iter_mut().for_each(|p| *p -= mean);
        phase
    }

    /// Leaves out the counts' mean, which repeats itself at every multiple of the scan's frequencies.
    fn without_mean(&self, full: &mut [Complex64], keep_zero: bool) {
        for y in (0..self.output[0]).step_by(self.scan[0]) {
            for x in (0..self.output[1]).step_by(self.scan[1]) {
                if !(keep_zero && y == 0 && x == 0) {
                    full[y * self.output[1] + x] = Complex64::ZERO;
                }
            }
        }
    }

    fn transform(&self, full: &mut [Complex64]) {
        integrate::fft2(&mut FftPlanner::new(), full, self.output[0], self.output[1], FftDirection::Inverse);
    }

    fn cropped<'a>(&self, full: &'a [Complex64]) -> impl Iterator<Item = Complex64> + 'a {
        let ([rows, columns], width) = (self.shape, self.output[1]);
        (0..rows).flat_map(move |y| full[y * width..y * width + columns].iter().copied())
    }
}
