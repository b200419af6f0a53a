//! A scan over the crystal: probe times object, diffracted, counted.

use std::f64::consts::TAU;
use std::time::Instant;

use num_complex::Complex64;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};
use rayon::prelude::*;

use super::crystal::{Column, Placed, columns};
use super::structure::{Site, Structure};
use super::{Error, Parametrisation, Result};
use crate::compute::cpu::transformed;
use crate::compute::{Backend, BatchPlan, Direction, HostFrames, SampleType};
use crate::optics::{Aberrations, ProbeOptics, ScanGrid, fft_index, interaction_constant, object_pixel_A, wavelength_A};
use crate::run::{Event, Run, Stage};

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct Spec {
    pub scan: ScanGrid,
    /// The side of a square frame, in pixels.
    pub frame: usize,
    pub mrad_per_px: f64,
    pub optics: ProbeOptics,
    pub dose_e_per_A2: f64,
    /// Atoms of a full column; one stands every 5.305 Å.
    pub atoms_per_column: u32,
    /// The share of sodium columns that have lost at least one atom.
    pub thinned: f64,
}

impl Spec {
    /// The dataset of `ronchi demo`: 64×64 positions 0.4 Å apart, 300 kV, 25 mrad, 50 Å of overfocus, 4 atoms (21 Å) deep.
    pub fn demo() -> Self {
        Self {
            scan: ScanGrid { shape: [64, 64], step_A: [0.4, 0.4], rotation_deg: 0.0, transpose: false },
            frame: 96,
            mrad_per_px: 1.5,
            optics: ProbeOptics { voltage_kV: 300.0, convergence_mrad: 25.0, aberrations: Aberrations::defocus(-50.0) },
            dose_e_per_A2: 2e4,
            atoms_per_column: 4,
            thinned: 0.3,
        }
    }

    fn check(&self) -> Result<()> {
        let refuse = |what, value: String, expected: &str| Err(Error::BadNumber { what, value, expected: expected.into() });
        let above = |v: f64| v.is_finite() && v > 0.0;
        if self.scan.shape.contains(&0) {
            return refuse("the scan's shape", format!("{:?}", self.scan.shape), "it needs at least one position");
        }
        for (what, value) in [
            ("the scan step", self.scan.step_A[0].min(self.scan.step_A[1])),
            ("the detector's sampling in mrad", self.mrad_per_px),
            ("the voltage in kV", self.optics.voltage_kV),
            ("the convergence angle in mrad", self.optics.convergence_mrad),
            ("the dose in e⁻/Å²", self.dose_e_per_A2),
        ] {
            if !above(value) {
                return refuse(what, value.to_string(), "it must be finite and above 0");
            }
        }
        if self.optics.convergence_mrad > 0.9 * self.frame as f64 / 2.0 * self.mrad_per_px {
            let expected = "it must leave room on the detector for scattered electrons: raise the frame's side or mrad_per_px";
            return refuse("the convergence angle in mrad", self.optics.convergence_mrad.to_string(), expected);
        }
        if self.atoms_per_column == 0 || !(0.0..=1.0).contains(&self.thinned) {
            let value = format!("{} atoms, {} thinned", self.atoms_per_column, self.thinned);
            return refuse("the columns' depth", value, "it must be at least one atom, with a thinned share from 0 to 1");
        }
        Ok(())
    }
}

/// What the frames were made from. Lengths are in the object's frame relative to scan position (0, 0).
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct Truth {
    /// σ·∫V dz in radians, (y, x).
    pub phase: Vec<f64>,
    pub phase_shape: [usize; 2],
    /// The side of a pixel of `phase`.
    pub pixel_A: f64,
    /// Where pixel (0, 0) of `phase` lies (y, x): at negative coordinates.
    pub origin_A: [f64; 2],
    /// Every column of `phase`, by rows.
    pub columns: Vec<Column>,
    /// Where the probe stood (y, x), in scan order.
    pub positions_A: Vec<[f64; 2]>,
    /// The probe's spectrum, FFT order, Σ|P̂|² = `electrons`.
    pub probe_hat: Vec<Complex64>,
    /// Mean electrons that fall on the object per frame.
    pub electrons: f64,
}

/// Frames with all that a file must say of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    pub spec: Spec,
    /// u16 counts in scan order.
    pub frames: HostFrames,
    /// The detector pixel (y, x) of the zero angle.
    pub centre_px: [f64; 2],
    pub truth: Truth,
}

/// Positions that are diffracted together.
const BATCH: usize = 64;

/// Simulates a scan. Random numbers come from `run.rng`: one stream for the columns, and one a frame, so that they do not depend on threads or batches.
pub fn simulate<B: Backend>(run: &Run, backend: &B, spec: &Spec) -> Result<Simulated> {
    spec.check()?;
    let window = [spec.frame; 2];
    if !backend.supports_window(window) {
        return Err(crate::compute::Error::UnsupportedWindow { device: backend.device_name(), shape: window }.into());
    }
    let stage = Stage::Simulate;
    let begun = Instant::now();
    let positions = spec.scan.positions_A();
    let count = positions.len();
    run.emit(Event::StageStarted { stage, total: count as u64, unit: "frames" });
    let pixel = object_pixel_A(wavelength_A(spec.optics.voltage_kV), spec.frame, spec.mrad_per_px);
    // A position is where the window's pixel N/2 sits; one pixel more on each side takes the rounding.
    let margin = (spec.frame / 2 + 1) as f64;
    let bound = |axis: usize, pick: fn(f64, f64) -> f64| positions.iter().map(|p| p[axis]).fold(0.0, pick);
    let low = [bound(0, f64::min), bound(1, f64::min)];
    let span = [bound(0, f64::max) - low[0], bound(1, f64::max) - low[1]];
    let shape = span.map(|s| (s / pixel).ceil() as usize + spec.frame + 2);
    let origin = low.map(|v| v - margin * pixel);
    let end = [0, 1].map(|a| origin[a] + shape[a] as f64 * pixel);
    let crystal = Structure::named("Na3Ni2SbO6")?;
    let placed = columns(&crystal, origin, end, spec.atoms_per_column, spec.thinned, &mut run.rng.generator());
    let phase = projected_phase(&placed, shape, pixel, origin, interaction_constant(spec.optics.voltage_kV))?;
    let electrons = spec.dose_e_per_A2 * spec.scan.step_A[0] * spec.scan.step_A[1];
    let probe_hat = spec.optics.spectrum(window, [spec.mrad_per_px; 2], [0.0; 2], electrons);
    let in_pixels: Vec<[f64; 2]> = positions.iter().map(|p| [0, 1].map(|a| (p[a] - origin[a]) / pixel)).collect();

    let object = backend.complexes(&phase.iter().map(|&p| Complex64::cis(p)).collect::<Vec<_>>())?;
    let probe = backend.complexes(&probe_hat)?;
    let mut probes = backend.complex_zeros(BATCH * spec.frame * spec.frame)?;
    let mut waves = backend.complex_zeros(BATCH * spec.frame * spec.frame)?;
    let mut frames = HostFrames::zeros(SampleType::U16, window, count);
    let ids: Vec<u32> = (0..count as u32).collect();
    for ids in ids.chunks(BATCH) {
        if run.is_cancelled() {
            return Err(Error::Interrupted);
        }
        let batch = backend.batch(BatchPlan::new(ids, &in_pixels, window, shape))?;
        backend.shift_probe(&probe, 1, &batch, &mut probes)?;
        backend.fft2(&mut probes, window, ids.len(), Direction::Inverse)?;
        backend.exit_wave(&probes, &object, 1, &batch, &mut waves)?;
        backend.fft2(&mut waves, window, ids.len(), Direction::Forward)?;
        count_electrons(&backend.read_complexes(&waves)?, ids, run.rng.seed, spec.frame, &mut frames)?;
        run.emit(Event::Progress { stage, done: u64::from(ids[0]) + ids.len() as u64 });
    }
    run.emit(Event::StageFinished { stage, seconds: begun.elapsed().as_secs_f64() });
    let columns = placed.into_iter().map(|p| p.column).collect();
    let truth =
        Truth { phase, phase_shape: shape, pixel_A: pixel, origin_A: origin, columns, positions_A: positions, probe_hat, electrons };
    Ok(Simulated { spec: spec.clone(), frames, centre_px: [(spec.frame / 2) as f64; 2], truth })
}

/// σ·∫V dz of the columns on a grid that repeats itself: φ̂(q) = σ Σ n·V̂(q)·e^{−2πi q·r}, transformed in f64.
fn projected_phase(placed: &[Placed<'_>], shape: [usize; 2], pixel: f64, origin: [f64; 2], sigma: f64) -> Result<Vec<f64>> {
    let frequencies = shape.map(|n| (0..n).map(|k| fft_index(k, n) / (n as f64 * pixel)).collect::<Vec<_>>());
    let ramps = |axis: usize, at: f64| frequencies[axis].iter().map(|q| Complex64::cis(-TAU * q * at)).collect::<Vec<_>>();
    // Atoms of one element that move alike scatter alike.
    let alike = |a: &Site, b: &Site| a.element == b.element && a.b_A2 == b.b_A2;
    let mut kinds: Vec<&Site> = Vec::new();
    for p in placed {
        if !kinds.iter().any(|kind| alike(kind, p.site)) {
            kinds.push(p.site);
        }
    }
    let mut spectrum = vec![Complex64::ZERO; shape[0] * shape[1]];
    // A unitary transform divides by √(pixels), the integral over the box by its area.
    let scale = sigma / (pixel * pixel * ((shape[0] * shape[1]) as f64).sqrt());
    for kind in kinds {
        let ramped: Vec<_> = placed
            .iter()
            .filter(|p| alike(p.site, kind) && p.column.atoms > 0)
            .map(|p| (f64::from(p.column.atoms), ramps(0, p.column.y_A - origin[0]), ramps(1, p.column.x_A - origin[1])))
            .collect();
        spectrum.par_chunks_mut(shape[1]).enumerate().for_each(|(ky, row)| {
            let qy = frequencies[0][ky];
            let mut sums = vec![Complex64::ZERO; row.len()];
            for (atoms, y, x) in &ramped {
                let along = *atoms * y[ky];
                sums.iter_mut().zip(x).for_each(|(s, x)| *s += along * x);
            }
            for ((out, sum), qx) in row.iter_mut().zip(sums).zip(&frequencies[1]) {
                *out += sum * kind.element.potential(Parametrisation::Kirkland, qy * qy + qx * qx, kind.b_A2) * scale;
            }
        });
    }
    Ok(transformed(&spectrum, shape, Direction::Inverse)?.iter().map(|v| v.re).collect())
}

/// Draws the counts of each frame of a batch from its wave's intensity, the zero angle at pixel (n/2, n/2).
fn count_electrons(waves: &[Complex64], ids: &[u32], seed: u64, n: usize, frames: &mut HostFrames) -> Result<()> {
    let row_bytes = 4 * HostFrames::row_words(frames.dtype, n);
    let words = frames.frame_words();
    let first = ids[0] as usize * words;
    let stack = &mut frames.words[first..first + ids.len() * words];
    stack.par_chunks_mut(words).zip(waves.par_chunks(n * n)).zip(ids).try_for_each(|((frame, wave), &id)| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::from(id) + 1);
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(frame);
        for y in 0..n {
            for x in 0..n {
                let mean = wave[(y + n - n / 2) % n * n + (x + n - n / 2) % n].norm_sqr();
                // A mean of 0 (or one too small for the distribution) has no counts.
                let count = Poisson::new(mean).map_or(0.0, |p| p.sample(&mut rng));
                if count > f64::from(u16::MAX) {
                    return Err(Error::Overflow { frame: id, count });
                }
                bytes[y * row_bytes + 2 * x..][..2].copy_from_slice(&(count as u16).to_le_bytes());
            }
        }
        Ok(())
    })
}
