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

/// The noise of a complex object, alike at all its pixels.
pub(super) struct Noise {
    /// The mean of |n|².
    pub(super) power: f64,
    /// The mean of n².
    pub(super) product: Complex64,
}

impl Field {
    pub(super) fn new(bright: &BrightField, plan: &DirectPlan, incident: f64) -> Self {
        let factor = 1.0 / ((bright.scan_len() as f64).sqrt() * incident);
        Self { output: bright.output, scan: bright.scan, shape: plan.scan.shape.map(|n| n * plan.upsample), factor }
    }

    /// The standard error of an image from half the spectrum of its variance; `gain` are the counts of an electron.
    pub(super) fn error(&self, half: &[Complex64], gain: f64) -> Vec<f64> {
        let full = self.whole(half);
        // The responses are scaled by the image's factor and by the unitary transforms between them and the counts.
        let upsample = self.output[0] as f64 / self.scan[0] as f64;
        let factor = gain * upsample * self.factor * self.factor;
        self.real(full).map(|v| (v * factor).max(0.0).sqrt()).collect()
    }

    /// (y, x) of an image.
    pub(super) fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// The real image of half a spectrum, with the mean 0.
    pub(super) fn image(&self, half: &[Complex64]) -> Vec<f64> {
        let mut full = self.whole(half);
        self.without_mean(&mut full, false);
        for (at, value) in full.iter_mut().enumerate() {
            if has_two_signs(at, self.output) {
                *value = Complex64::ZERO;
            }
        }
        self.real(full).map(|v| v * self.factor).collect()
    }

    /// The whole spectrum of what is real.
    fn whole(&self, half: &[Complex64]) -> Vec<Complex64> {
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
        full
    }

    /// The sum of the waves of a spectrum, cropped to the scan.
    fn real(&self, mut full: Vec<Complex64>) -> impl Iterator<Item = f64> {
        self.transform(&mut full);
        self.cropped(&full).map(|z| z.re).collect::<Vec<_>>().into_iter()
    }

    /// The phase image of the complex object of a whole spectrum, with the mean 0.
    pub(super) fn phase(&self, spectrum: &[Complex64]) -> Vec<f64> {
        let (object, _) = self.object(spectrum);
        let mut phase: Vec<f64> = object.iter().map(|z| z.arg()).collect();
        let mean = phase.iter().sum::<f64>() / phase.len().max(1) as f64;
        phase.iter_mut().for_each(|p| *p -= mean);
        phase
    }

    /// The standard error of [`Field::phase`]: the part of the noise n across the object z, Im(n z*/|z|)/|z|, to first order; `gain` are the counts of an electron.
    /// The noise in z itself makes 1/|z|² larger by the part ⟨|n|²⟩/|z|² in the mean, which is taken off.
    pub(super) fn phase_error(&self, spectrum: &[Complex64], noise: &Noise, gain: f64) -> Vec<f64> {
        let (object, unit) = self.object(spectrum);
        let product = noise.product * unit * unit;
        let of = |z: &Complex64| {
            let across = 0.5 * gain * (noise.power - (product * z.conj() * z.conj()).re / z.norm_sqr());
            (across.max(0.0) / (z.norm_sqr() + gain * noise.power)).sqrt()
        };
        object.iter().map(of).collect()
    }

    /// The complex object of a whole spectrum, turned so that its mean is real, and what it was turned by.
    fn object(&self, spectrum: &[Complex64]) -> (Vec<Complex64>, Complex64) {
        let mut full = spectrum.to_vec();
        self.without_mean(&mut full, true);
        let unit = Complex64::cis(-full[0].arg());
        self.transform(&mut full);
        (self.cropped(&full).map(|z| z * unit).collect(), unit)
    }

    /// Makes a filter over half a spectrum 0 where images have nothing.
    pub(super) fn keep(&self, filter: &mut [f64]) {
        let ([ny, nx], width) = (self.scan, self.output[1]);
        for (at, value) in filter.iter_mut().enumerate() {
            let mean = (at / width).is_multiple_of(ny) && (at % width).is_multiple_of(nx);
            if mean || has_two_signs(at, self.output) {
                *value = 0.0;
            }
        }
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

/// Is this place of a spectrum at Nyquist's frequency of an axis? It stands for two frequencies of opposite sign, which have different side bands.
pub(super) fn has_two_signs(at: usize, [ny, nx]: [usize; 2]) -> bool {
    2 * (at / nx) == ny || 2 * (at % nx) == nx
}
