//! A scan over a weak phase object, from the definition: the object is a few waves, the probe an aperture of f64.

use std::f64::consts::TAU;

use num_complex::Complex64;
use rand::{Rng, RngExt};
use ronchi::compute::{HostFrames, SampleType};
use ronchi::imaging::DirectPlan;
use ronchi::optics::{Aberrations, ScanGrid, apply, fft_index, wavelength_A};

use crate::memory::frames;

pub(crate) const VOLTAGE: f64 = 300.0;
pub(crate) const ALPHA: f64 = 25.0;

/// A weak wave of the object: its place (row, column) among the scan's frequencies, height and phase.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wave {
    pub(crate) at: [i32; 2],
    pub(crate) height: f64,
    pub(crate) phase: f64,
}

/// What the frames are made of.
#[derive(Debug, Clone)]
pub(crate) struct Weak {
    pub(crate) scan: ScanGrid,
    /// The aperture's radius in pixels of a frame of `side` pixels, about `centre`.
    pub(crate) radius: f64,
    pub(crate) side: usize,
    pub(crate) centre: [f64; 2],
    pub(crate) defocus: f64,
    pub(crate) aberrations: Aberrations,
    pub(crate) waves: Vec<Wave>,
}

impl Weak {
    /// A scan of `shape` whose finest frequency is `finest`·k₀, on a detector with a disk of 9.3 pixels.
    pub(crate) fn new(shape: [usize; 2], finest: f64, rng: &mut impl Rng) -> Self {
        let k0 = ALPHA * 1e-3 / wavelength_A(VOLTAGE);
        let step = 0.5 / (finest * k0);
        let scan = ScanGrid { shape, step_A: [step, 1.1 * step], rotation_deg: 0.0, transpose: false };
        let centre = [0, 1].map(|_| 15.5 + rng.random_range(-0.5..0.5));
        Self { scan, radius: 9.3, side: 32, centre, defocus: 0.0, aberrations: Aberrations::default(), waves: Vec::new() }
    }

    /// Waves of this height at some different frequencies below Nyquist's.
    pub(crate) fn with_waves(mut self, count: usize, height: f64, rng: &mut impl Rng) -> Self {
        while self.waves.len() < count {
            let at = self.scan.shape.map(|n| rng.random_range(-(n as i32 - 1) / 2..=(n as i32 - 1) / 2));
            let new = at != [0, 0] && self.waves.iter().all(|w| w.at != at && w.at != at.map(|k| -k));
            if new {
                self.waves.push(Wave { at, height, phase: rng.random_range(0.0..TAU) });
            }
        }
        self
    }

    pub(crate) fn plan(&self) -> DirectPlan {
        let mut plan = DirectPlan::new(self.scan.clone(), VOLTAGE, ALPHA, [ALPHA / self.radius; 2], self.centre);
        plan.defocus_A = self.defocus;
        plan.aberrations = self.aberrations.clone();
        plan
    }

    /// The pixels' angles over α, in detector order.
    pub(crate) fn tilts(&self) -> Vec<[f64; 2]> {
        let angle = |p: usize| [(p / self.side) as f64 - self.centre[0], (p % self.side) as f64 - self.centre[1]].map(|d| d / self.radius);
        (0..self.side * self.side).map(angle).collect()
    }

    /// A at an angle over α, with |A| = 1 inside.
    pub(crate) fn aperture(&self, [y, x]: [f64; 2]) -> Complex64 {
        let edge = ((1.0 - y.hypot(x)) * self.radius + 0.5).clamp(0.0, 1.0);
        let lambda = wavelength_A(VOLTAGE);
        let (ty, tx) = (y * ALPHA * 1e-3, x * ALPHA * 1e-3);
        let chi = Aberrations::defocus(self.defocus).chi(lambda, ty, tx) + self.aberrations.chi(lambda, ty, tx);
        Complex64::from_polar(edge, -chi)
    }

    /// The frequency (row, column) of the scan in the detector's frame, over k₀.
    pub(crate) fn frequency(&self, at: [f64; 2]) -> [f64; 2] {
        let k0 = ALPHA * 1e-3 / wavelength_A(VOLTAGE);
        let along = [0, 1].map(|a| at[a] / (self.scan.shape[a] as f64 * self.scan.step_A[a] * k0));
        apply(self.scan.scan_to_object(), along)
    }

    /// Γ of every pixel at a frequency, Σ|A|² being 1.
    pub(crate) fn gamma(&self, at: [f64; 2]) -> Vec<Complex64> {
        let q = self.frequency(at);
        let power: f64 = self.tilts().iter().map(|k| self.aperture(*k).norm_sqr()).sum();
        let side = |[y, x]: [f64; 2]| {
            let (own, below, above) = (self.aperture([y, x]), self.aperture([y - q[0], x - q[1]]), self.aperture([y + q[0], x + q[1]]));
            (own.conj() * below - own * above.conj()) / power
        };
        self.tilts().into_iter().map(side).collect()
    }

    /// The patterns, whose mean sum is 1.
    pub(crate) fn patterns(&self) -> Vec<Vec<f64>> {
        let (tilts, [rows, columns]) = (self.tilts(), self.scan.shape);
        let own: Vec<Complex64> = tilts.iter().map(|k| self.aperture(*k)).collect();
        let sides: Vec<[Vec<Complex64>; 2]> = self
            .waves
            .iter()
            .map(|w| {
                let q = self.frequency(w.at.map(f64::from));
                [1.0, -1.0].map(|s| tilts.iter().map(|k| self.aperture([k[0] - s * q[0], k[1] - s * q[1]])).collect())
            })
            .collect();
        let mut all = Vec::new();
        for p in 0..rows * columns {
            let position = [(p / columns) as f64, (p % columns) as f64];
            let mut wave = own.clone();
            for (w, sides) in self.waves.iter().zip(&sides) {
                let turn = TAU * (0..2).map(|a| f64::from(w.at[a]) * position[a] / self.scan.shape[a] as f64).sum::<f64>() + w.phase;
                for (side, sign) in sides.iter().zip([1.0, -1.0]) {
                    let factor = Complex64::i() * 0.5 * w.height * Complex64::cis(sign * turn);
                    wave.iter_mut().zip(side).for_each(|(z, a)| *z += factor * a);
                }
            }
            all.push(wave.iter().map(|z| z.norm_sqr()).collect::<Vec<f64>>());
        }
        let mean = all.iter().flatten().sum::<f64>() / all.len() as f64;
        all.iter_mut().flatten().for_each(|i| *i /= mean);
        all
    }

    /// f32 frames of the patterns.
    pub(crate) fn frames(&self) -> HostFrames {
        frames(SampleType::F32, [self.side; 2], &self.patterns().concat())
    }
}

/// An image's amplitude at a frequency over that of a wave of height 1 and no phase: ½ is all of it.
pub(crate) fn amplitude(image: &[f64], shape: [usize; 2], at: [f64; 2]) -> Complex64 {
    let wave = |p: usize| {
        Complex64::cis(-TAU * (at[0] * (p / shape[1]) as f64 / shape[0] as f64 + at[1] * (p % shape[1]) as f64 / shape[1] as f64))
    };
    image.iter().enumerate().map(|(p, v)| v * wave(p)).sum::<Complex64>() / image.len() as f64
}

/// The whole spectrum of an image, each number over the number of pixels, with the signed place of each frequency.
pub(crate) fn spectrum(image: &[f64], shape: [usize; 2]) -> Vec<([f64; 2], Complex64)> {
    let places = (0..shape[0] * shape[1]).map(|p| [fft_index(p / shape[1], shape[0]), fft_index(p % shape[1], shape[1])]);
    let rows: Vec<Vec<Complex64>> =
        image.chunks(shape[1]).map(|row| (0..shape[1]).map(|x| amplitude(row, [1, shape[1]], [0.0, x as f64])).collect()).collect();
    let turn = |y: usize, k: usize| Complex64::cis(-TAU * (y * k % shape[0]) as f64 / shape[0] as f64);
    let at = |p: usize| (0..shape[0]).map(|y| rows[y][p % shape[1]] * turn(y, p / shape[1])).sum::<Complex64>() / shape[0] as f64;
    places.enumerate().map(|(p, place)| (place, at(p))).collect()
}
