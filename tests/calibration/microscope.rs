//! A scan made up of what a calibration has to find.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Poisson};
use ronchi::compute::cpu::Cpu;
use ronchi::compute::{HostFrames, SampleType};
use ronchi::imaging::calibrate::{Calibration, CalibrationPlan, calibrate};
use ronchi::optics::{ScanGrid, apply};
use ronchi::run::{CancelToken, RngState, Run};
use ronchi::stream::Memory;
use std::sync::Arc;

use crate::memory::frames;

/// A microscope whose every property is known.
#[derive(Debug, Clone)]
pub(crate) struct Microscope {
    pub(crate) scan: [usize; 2],
    pub(crate) frame: [usize; 2],
    pub(crate) centre: [f64; 2],
    pub(crate) radius: f64,
    pub(crate) rotation_deg: f64,
    pub(crate) transpose: bool,
    /// The centre of mass's root mean square in pixels, from the specimen.
    pub(crate) deflection: f64,
    /// Electrons a frame.
    pub(crate) electrons: f64,
    /// Counts an electron.
    pub(crate) gain: f64,
    /// The centre of mass (y, x) in pixels that the scan adds at (i, j).
    pub(crate) descan: fn(f64, f64) -> [f64; 2],
}

impl Microscope {
    pub(crate) fn usual() -> Self {
        Self {
            scan: [28, 32],
            frame: [40, 36],
            centre: [19.3, 17.8],
            radius: 9.0,
            rotation_deg: 0.0,
            transpose: false,
            deflection: 0.3,
            electrons: 4000.0,
            gain: 1.0,
            descan: |_, _| [0.0; 2],
        }
    }

    pub(crate) fn random(rng: &mut impl Rng) -> Self {
        let usual = Self::usual();
        Self {
            scan: [rng.random_range(20..40), rng.random_range(20..40)],
            centre: [rng.random_range(16.0..22.0), rng.random_range(15.0..20.0)],
            rotation_deg: rng.random_range(-180.0..180.0),
            transpose: rng.random_bool(0.5),
            ..usual
        }
    }

    /// Counts of all frames: a disk that is brighter on one side, as far as its centre of mass is to be moved, in a dark field that is brightest at atoms.
    pub(crate) fn counts(&self, rng: &mut impl Rng) -> Vec<f64> {
        let [ni, nj] = self.scan;
        let atoms: Vec<[f64; 2]> =
            (0..ni * nj / 12).map(|_| [rng.random_range(-2.0..ni as f64 + 2.0), rng.random_range(-2.0..nj as f64 + 2.0)]).collect();
        let width: f64 = 1.6;
        let at = |i: f64, j: f64| {
            atoms.iter().fold([0.0; 3], |[f, di, dj], [y, x]| {
                let (u, v) = ((i - y) / width, (j - x) / width);
                let peak = (-0.5 * (u * u + v * v)).exp();
                [f + peak, di - u / width * peak, dj - v / width * peak]
            })
        };
        let field: Vec<[f64; 3]> = (0..ni * nj).map(|k| at((k / nj) as f64, (k % nj) as f64)).collect();
        let mean_square = field.iter().map(|f| 0.5 * (f[1] * f[1] + f[2] * f[2])).sum::<f64>() / (ni * nj) as f64;
        let scale = if mean_square > 0.0 { self.deflection / mean_square.sqrt() } else { 0.0 };
        let turn =
            ScanGrid { shape: self.scan, step_A: [1.0; 2], rotation_deg: self.rotation_deg, transpose: self.transpose }.scan_to_object();
        let [ny, nx] = self.frame;
        let offset = |k: usize| (k as f64 + 0.5) / 8.0 - 0.5;
        let disk: Vec<f64> = (0..ny * nx)
            .map(|p| {
                let (y, x) = ((p / nx) as f64 - self.centre[0], (p % nx) as f64 - self.centre[1]);
                (0..64).filter(|k| (y + offset(k / 8)).hypot(x + offset(k % 8)) < self.radius).count() as f64 / 64.0
            })
            .collect();
        let area: f64 = disk.iter().sum();
        let halo: Vec<f64> = disk
            .iter()
            .enumerate()
            .map(|(p, inside)| {
                let (y, x) = ((p / nx) as f64 - self.centre[0], (p % nx) as f64 - self.centre[1]);
                (1.0 - inside) * (-0.5 * ((y.hypot(x) - self.radius) / 6.0).powi(2)).exp()
            })
            .collect();
        let mut counts = Vec::with_capacity(ni * nj * ny * nx);
        for (k, [f, di, dj]) in field.iter().enumerate() {
            let moved = apply(turn, [di * scale, dj * scale]);
            let descan = (self.descan)((k / nj) as f64, (k % nj) as f64);
            let dark = 0.0006 * self.deflection.min(1.0) * f / 0.3 + 1e-5;
            // ∫ y²/R² over the disk is a quarter of its area; what is scattered into the dark field weighs the frame down.
            let weight = 1.0 + dark * halo.iter().sum::<f64>();
            let slope = [0, 1].map(|a| 4.0 * weight * (moved[a] + descan[a]) / (self.radius * self.radius));
            for (p, inside) in disk.iter().enumerate() {
                let (y, x) = ((p / nx) as f64 - self.centre[0], (p % nx) as f64 - self.centre[1]);
                let bright = inside / area * (1.0 + slope[0] * y + slope[1] * x).max(0.0);
                let mean = self.electrons * (bright + dark * halo[p]);
                counts.push(self.gain * Poisson::new(mean).map_or(0.0, |p| p.sample(rng)));
            }
        }
        counts
    }

    pub(crate) fn calibrated(&self, dtype: SampleType, counts: &[f64]) -> Calibration {
        calibrated(frames(dtype, self.frame, counts), &CalibrationPlan::new(self.scan)).unwrap()
    }
}

/// The calibration of frames in memory.
pub(crate) fn calibrated(frames: HostFrames, plan: &CalibrationPlan) -> ronchi::imaging::Result<Calibration> {
    let engine = Arc::new(Cpu::<f32>::new());
    let patterns = Memory::new(engine.clone(), Arc::new(frames)).unwrap();
    let cancel = CancelToken::default();
    calibrate(&Run { events: &|_| (), cancel: &cancel, rng: RngState::new(0) }, &*engine, &patterns, plan)
}
