//! Multislice simulation of scanning diffraction: probes through slices onto a detector, counted.

use std::f64::consts::PI;
use std::time::Instant;

use num_complex::Complex64;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, Poisson};
use rayon::prelude::*;

use super::elements::Parametrisation;
use super::slices::{BAND, Grid, Scattering, slice_phases, smooth, transmission};
use super::specimen::{Atom, Specimen};
use super::{Error, Result};
use crate::compute::{Backend, BatchPlan, DetectorLayout, Exposure, Model, ModelShape, Sensor, Spread};
use crate::optics::{ProbeOptics, ScanGrid, fft_index, interaction_constant, wavelength_A};
use crate::run::{Event, Run, Stage};

/// How atoms move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vibration {
    /// Not at all.
    None,
    /// Their potentials are blurred: no thermal diffuse scattering.
    DebyeWaller,
    /// Patterns are means over so many pictures of atoms displaced at random, each by itself (Einstein's model).
    FrozenPhonons { configurations: usize },
}

/// What the beam does, and what takes it in.
#[derive(Debug, Clone, PartialEq)]
pub struct Instrument {
    pub optics: ProbeOptics,
    /// The standard deviation of the focus.
    pub focal_spread_A: f64,
    /// The full width at half maximum of the source's Gaussian image.
    pub source_size_A: f64,
    pub scan: ScanGrid,
    /// The standard deviation of a probe's place along each axis.
    pub jitter_A: f64,
    /// How far the specimen's image moves (y, x) from the first to the last frame.
    pub drift_A: [f64; 2],
    /// The side of a square frame, in pixels; the zero angle lies on pixel n/2.
    pub frame: usize,
    pub mrad_per_px: f64,
    /// Reciprocal pixels that a detector pixel takes in along an axis: the calculated field is so many times λ/pixel wide. Chosen where it is not said.
    pub oversampling: Option<usize>,
    /// The standard deviation of the detector's point spread.
    pub blur_px: f64,
    /// Electrons a scan pixel over its area; no counting noise where it is not said, the mean electron has weight 1 then.
    pub dose_e_per_A2: Option<f64>,
    pub counts_per_electron: f64,
    /// The standard deviation that reading adds to a pixel.
    pub readout_counts: f64,
}

/// How it is calculated.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    pub potential: Parametrisation,
    pub vibration: Vibration,
    /// About; slices are equally thick.
    pub slice_thickness_A: f64,
    /// The largest pixel.
    pub sampling_A: f64,
}

/// The sizes that follow, and every probe's place.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Pixels of the calculated window, and their side.
    pub window: usize,
    pub pixel_A: f64,
    pub oversampling: usize,
    /// Of the slices.
    pub shape: [usize; 2],
    pub origin_A: [f64; 2],
    /// (y, x) in the object's frame.
    pub positions_A: Vec<[f64; 2]>,
    /// Mean electrons on the specimen a frame.
    pub electrons: f64,
}

/// Frames one behind the other, row-major.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Exposed<'a> {
    Counts(&'a [u16]),
    /// Without noise.
    Means(&'a [f32]),
}

/// Intensities that are kept at once.
const BLOCK_BYTES: usize = 256 << 20;
/// The waves of a batch, here and behind the next slice.
const WAVE_BYTES: usize = 512 << 20;
/// Positions of a batch.
const BATCH: usize = 64;

impl Instrument {
    /// Refuses what cannot be, and says what follows.
    ///
    /// # Errors
    /// If a number is out of its range.
    pub fn layout(&self, thickness_A: f64, method: &Method, rng: &mut impl Rng) -> Result<Layout> {
        self.check(method)?;
        let lambda = wavelength_A(self.optics.voltage_kV);
        let detector = self.frame as f64 * self.mrad_per_px * 1e-3;
        let defocus: f64 = self.optics.aberrations.terms.iter().filter(|t| t.n == 1).map(|t| t.magnitude_A.abs()).sum();
        // The cone of the beam over defocus and thickness on both sides, and what atoms scatter beyond it.
        let needed = 2.0 * self.optics.convergence_mrad * 1e-3 * (defocus + thickness_A) + 12.0;
        let field = |step: usize| step as f64 * lambda / (self.mrad_per_px * 1e-3);
        let oversampling = self.oversampling.unwrap_or_else(|| (1..8).find(|&step| field(step) >= needed).unwrap_or(8));
        let width = field(oversampling);
        // The band holds the whole detector.
        let least = (oversampling as f64 * self.frame as f64 / BAND).max(width / method.sampling_A);
        let window = smooth(least.ceil() as usize).next_multiple_of(16);
        let window = (window..).step_by(16).find(|&n| smooth(n) == n).unwrap_or(window);
        let pixel_A = width / window as f64;
        if detector / lambda > 1.0 / pixel_A || window > 4096 {
            let expected =
                format!("the calculated window would have {window} pixels a side: at most 4096 are allowed; lower the oversampling");
            return Err(Error::BadNumber { what: "the detector", value: format!("{detector:.3} rad wide"), expected });
        }
        let count = self.scan.shape[0] * self.scan.shape[1];
        let mut positions_A = self.scan.positions_A();
        let spread = normal(self.jitter_A)?;
        for (n, position) in positions_A.iter_mut().enumerate() {
            let part = n as f64 / (count - 1).max(1) as f64;
            for (place, drift) in position.iter_mut().zip(self.drift_A) {
                *place -= part * drift;
                if self.jitter_A > 0.0 {
                    *place += spread.sample(rng);
                }
            }
        }
        // A position is where the window's pixel N/2 sits; one pixel more on each side takes the rounding.
        let bound = |axis: usize, pick: fn(f64, f64) -> f64| positions_A.iter().map(|p| p[axis]).fold(positions_A[0][axis], pick);
        let low = [bound(0, f64::min), bound(1, f64::min)];
        let margin = (window / 2 + 1) as f64;
        let shape = [0, 1].map(|axis| smooth(((bound(axis, f64::max) - low[axis]) / pixel_A).ceil() as usize + window + 2));
        let origin_A = low.map(|v| v - margin * pixel_A);
        let electrons = self.dose_e_per_A2.map_or(1.0, |dose| dose * self.scan.step_A[0] * self.scan.step_A[1]);
        Ok(Layout { window, pixel_A, oversampling, shape, origin_A, positions_A, electrons })
    }

    fn check(&self, method: &Method) -> Result<()> {
        let refuse = |what, value: String, expected: &str| Err(Error::BadNumber { what, value, expected: expected.into() });
        if self.scan.shape.contains(&0) {
            return refuse("the scan's shape", format!("{:?}", self.scan.shape), "it needs at least one position");
        }
        if !(8..=1024).contains(&self.frame) {
            return refuse("the frame's side", self.frame.to_string(), "it has from 8 to 1024 pixels");
        }
        for (what, value) in [
            ("the scan step in Å", self.scan.step_A[0].min(self.scan.step_A[1])),
            ("the detector's sampling in mrad", self.mrad_per_px),
            ("the voltage in kV", self.optics.voltage_kV),
            ("the convergence angle in mrad", self.optics.convergence_mrad),
            ("the dose in e⁻/Å²", self.dose_e_per_A2.unwrap_or(1.0)),
            ("the counts of an electron", self.counts_per_electron),
            ("the slices' thickness in Å", method.slice_thickness_A),
            ("the largest pixel in Å", method.sampling_A),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return refuse(what, value.to_string(), "it must be finite and above 0");
            }
        }
        for (what, value) in [
            ("the focal spread in Å", self.focal_spread_A),
            ("the source size in Å", self.source_size_A),
            ("the jitter in Å", self.jitter_A),
            ("the detector's blur in pixels", self.blur_px),
            ("the noise of reading in counts", self.readout_counts),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return refuse(what, value.to_string(), "it must be finite and not below 0");
            }
        }
        if self.oversampling.is_some_and(|n| !(1..=16).contains(&n)) {
            return refuse(
                "the detector's oversampling",
                format!("{:?}", self.oversampling.unwrap_or(0)),
                "it is a whole number from 1 to 16",
            );
        }
        if self.blur_px > 4.0 {
            return refuse("the detector's blur in pixels", self.blur_px.to_string(), "more than 4 are not calculated");
        }
        if self.optics.convergence_mrad > 0.9 * self.frame as f64 / 2.0 * self.mrad_per_px {
            let expected = "it must leave room on the detector for scattered electrons: raise the frame's side or mrad_per_px";
            return refuse("the convergence angle in mrad", self.optics.convergence_mrad.to_string(), expected);
        }
        if method.vibration == (Vibration::FrozenPhonons { configurations: 0 }) {
            return refuse("the number of configurations", "0".into(), "frozen phonons need at least one");
        }
        Ok(())
    }

    /// The probe's spectra, one a mode, Σ over all |P̂|² = `electrons`: foci by Gauss and Hermite's three points, places of the source by three along each axis.
    pub fn probe(&self, layout: &Layout) -> Vec<Complex64> {
        let points = |deviation: f64| -> Vec<(f64, f64)> {
            if deviation > 0.0 {
                [-3f64.sqrt(), 0.0, 3f64.sqrt()]
                    .into_iter()
                    .zip([1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0])
                    .map(|(x, w)| (x * deviation, w))
                    .collect()
            } else {
                vec![(0.0, 1.0)]
            }
        };
        let source = points(self.source_size_A / (8.0 * 2f64.ln()).sqrt());
        let n = layout.window;
        let pixel_mrad = self.mrad_per_px / layout.oversampling as f64;
        let mut modes = Vec::new();
        for (focus, by_focus) in points(self.focal_spread_A) {
            let mut optics = self.optics.clone();
            optics.aberrations.terms.extend(crate::optics::Aberrations::defocus(focus).terms);
            let here = optics.spectrum([n; 2], [pixel_mrad; 2], [0.0; 2], layout.electrons);
            for (y, by_y) in &source {
                for (x, by_x) in &source {
                    let weight = (by_focus * by_y * by_x).sqrt();
                    let ramp = |shift: f64| crate::compute::shift_ramp(n, shift / layout.pixel_A).collect::<Vec<_>>();
                    let (ramp_y, ramp_x) = (ramp(*y), ramp(*x));
                    modes.extend(here.iter().enumerate().map(|(k, p)| p * ramp_y[k / n] * ramp_x[k % n] * weight));
                }
            }
        }
        modes
    }

    /// What of a reciprocal pixel 0, 1, 2, … away from its middle a detector pixel takes in along an axis: that between its edges (half of one on an edge), blurred.
    fn taps(&self, oversampling: usize) -> Vec<f64> {
        let half = oversampling / 2;
        let inside = |j: i64| match (j.unsigned_abs() as usize).cmp(&half) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal if oversampling.is_multiple_of(2) => 0.5,
            std::cmp::Ordering::Equal => 1.0,
            std::cmp::Ordering::Greater => 0.0,
        };
        let spread = Spread { upsample: oversampling, blur_px: self.blur_px };
        let blur = if self.blur_px > 0.0 { spread.weights() } else { vec![1.0] };
        let reach = half + blur.len() - 1;
        (0..=reach as i64)
            .map(|j| (1 - blur.len() as i64..blur.len() as i64).map(|d| blur[d.unsigned_abs() as usize] * inside(j - d)).sum())
            .collect()
    }
}

fn normal(deviation: f64) -> Result<Normal<f64>> {
    Normal::new(0.0, deviation).map_err(|_| Error::BadNumber {
        what: "a standard deviation",
        value: deviation.to_string(),
        expected: "it must be finite and not below 0".into(),
    })
}

/// σ·∫V dz of the whole specimen in rad, as [`Layout::shape`] has it.
///
/// # Errors
/// If there is no room.
pub fn projected_phase(specimen: &Specimen, instrument: &Instrument, method: &Method, layout: &Layout) -> Result<Vec<f64>> {
    let scattering = scattering(instrument, method, method.vibration != Vibration::None);
    let grid = grid(layout);
    let mut all = slice_phases(&specimen.atoms, 1, specimen.thickness_A, &grid, scattering)?;
    Ok(all.pop().unwrap_or_default())
}

fn grid(layout: &Layout) -> Grid {
    Grid { shape: layout.shape, pixel_A: layout.pixel_A, origin_A: layout.origin_A }
}

fn scattering(instrument: &Instrument, method: &Method, blurred: bool) -> Scattering {
    Scattering { fit: method.potential, blurred, interaction: interaction_constant(instrument.optics.voltage_kV) }
}

/// Diffracts the scan and hands its frames on in blocks, in scan order. Random numbers come from `run.rng`: one stream a configuration and one a frame, so that they do not
/// depend on threads or blocks.
///
/// # Errors
/// If the device has no room, a count does not fit into 16 bits, the run was cancelled, or `take` fails.
pub fn diffract<B: Backend, E: From<Error>>(
    run: &Run,
    backend: &B,
    specimen: &Specimen,
    instrument: &Instrument,
    method: &Method,
    layout: &Layout,
    mut take: impl FnMut(Exposed<'_>) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let window = [layout.window; 2];
    if !backend.supports_window(window) {
        return Err(Error::from(crate::compute::Error::UnsupportedWindow { device: backend.device_name(), shape: window }).into());
    }
    let configurations = match method.vibration {
        Vibration::FrozenPhonons { configurations } => configurations,
        _ => 1,
    };
    let (count, begun, stage) = (layout.positions_A.len(), Instant::now(), Stage::Simulate);
    run.emit(Event::StageStarted { stage, total: (count * configurations) as u64, unit: "frames" });
    let in_pixels: Vec<[f64; 2]> =
        layout.positions_A.iter().map(|p| [0, 1].map(|a| (p[a] - layout.origin_A[a]) / layout.pixel_A)).collect();
    let probe = instrument.probe(layout);
    let pixels = layout.window * layout.window;
    let modes = probe.len() / pixels;
    let batch = BATCH.min((WAVE_BYTES / (16 * modes * pixels)).max(1));
    let frame_pixels = instrument.frame * instrument.frame;
    let block = (BLOCK_BYTES / (4 * frame_pixels)).max(1).next_multiple_of(batch).min(count);
    let mut device = Device::new(backend, instrument, layout, method, specimen.thickness_A, &probe, batch)?;
    let mut ready: Option<(usize, Model<B>)> = None;
    for first in (0..count).step_by(block) {
        let ids: Vec<u32> = (first..count.min(first + block)).map(|id| id as u32).collect();
        let mut means = vec![0f32; ids.len() * frame_pixels];
        for configuration in 0..configurations {
            let model = match ready.take() {
                Some((of, model)) if of == configuration => model,
                _ => {
                    let atoms = displaced(specimen, method, configuration, run.rng.seed)?;
                    device.model(backend, &atoms, instrument, method, layout, specimen.thickness_A)?
                }
            };
            for (n, ids) in ids.chunks(batch).enumerate() {
                if run.is_cancelled() {
                    return Err(Error::Interrupted.into());
                }
                let plan = BatchPlan::new(ids, &in_pixels, window, layout.shape);
                let part = &mut means[n * batch * frame_pixels..][..ids.len() * frame_pixels];
                device.expose(backend, plan, &model, 1.0 / configurations as f64, part)?;
                let done = first * configurations + configuration * block.min(count - first) + n * batch + ids.len();
                run.emit(Event::Progress { stage, done: done as u64 });
            }
            ready = Some((configuration, model));
        }
        if instrument.dose_e_per_A2.is_some() {
            take(Exposed::Counts(&counted(&means, &ids, instrument, run.rng.seed)?))?;
        } else {
            take(Exposed::Means(&means))?;
        }
    }
    run.emit(Event::StageFinished { stage, seconds: begun.elapsed().as_secs_f64() });
    Ok(())
}

/// The atoms of a configuration.
fn displaced(specimen: &Specimen, method: &Method, configuration: usize, seed: u64) -> Result<Vec<Atom>> {
    let mut atoms = specimen.atoms.clone();
    if matches!(method.vibration, Vibration::FrozenPhonons { .. }) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Streams from 0 on belong to the specimen and the frames.
        rng.set_stream(u64::MAX - configuration as u64);
        let unit = normal(1.0)?;
        for atom in &mut atoms {
            let deviation = (atom.b_A2 / (8.0 * PI * PI)).sqrt();
            let mut moved = || deviation * unit.sample(&mut rng);
            (atom.z_A, atom.y_A, atom.x_A) = (atom.z_A + moved(), atom.y_A + moved(), atom.x_A + moved());
        }
    }
    Ok(atoms)
}

/// What stays on the device from batch to batch.
struct Device<B: Backend> {
    shape: ModelShape,
    probe: Vec<Complex64>,
    propagator: Vec<Complex64>,
    sensor: Sensor<B>,
    waves: crate::compute::WavePair<B>,
    out: B::Reals,
}

impl<B: Backend> Device<B> {
    fn new(
        backend: &B,
        instrument: &Instrument,
        layout: &Layout,
        method: &Method,
        thickness_A: f64,
        probe: &[Complex64],
        batch: usize,
    ) -> Result<Self> {
        let pixels = layout.window * layout.window;
        let (modes, frame) = (probe.len() / pixels, [instrument.frame; 2]);
        let slices = ((thickness_A / method.slice_thickness_A - 1e-6).ceil() as usize).max(1);
        let shape = ModelShape { modes, variations: 0, slices, window: [layout.window; 2], object: layout.shape };
        let propagator = propagator(layout, wavelength_A(instrument.optics.voltage_kV), thickness_A / slices as f64);
        let sensor = Sensor { frame, step: layout.oversampling, taps: backend.reals(&instrument.taps(layout.oversampling))? };
        let waves = backend.wave_pair(batch * modes * pixels)?;
        let out = backend.real_zeros(batch * frame[0] * frame[1])?;
        Ok(Self { shape, probe: probe.to_vec(), propagator, sensor, waves, out })
    }

    /// Slices of these atoms.
    fn model(
        &self,
        backend: &B,
        atoms: &[Atom],
        instrument: &Instrument,
        method: &Method,
        layout: &Layout,
        thickness_A: f64,
    ) -> Result<Model<B>> {
        let scattering = scattering(instrument, method, method.vibration == Vibration::DebyeWaller);
        let object = slice_phases(atoms, self.shape.slices, thickness_A, &grid(layout), scattering)?
            .par_iter()
            .map(|phase| Ok(backend.complexes(&transmission(phase, layout.shape)?)?))
            .collect::<Result<Vec<_>>>()?;
        let detector = DetectorLayout { shape: self.shape.window, ..DetectorLayout::default() };
        Ok(Model {
            shape: self.shape,
            object,
            probe_hat: backend.complexes(&self.probe)?,
            propagator: backend.complexes(&self.propagator)?,
            detector: backend.detector(&detector)?,
            floor: 0.0,
        })
    }

    /// Adds the mean counts of a batch's frames to `out`.
    fn expose(&mut self, backend: &B, plan: BatchPlan, model: &Model<B>, weight: f64, out: &mut [f32]) -> Result<()> {
        let batch = backend.batch(plan)?;
        let exposure = Exposure { weight, fresh: true };
        backend.diffract(&batch, model, &self.sensor, exposure, &mut self.waves, &mut self.out)?;
        out.iter_mut().zip(backend.read_reals(&self.out)?).for_each(|(sum, x)| *sum += x as f32);
        Ok(())
    }
}

/// e^{−iπλq²Δz} within [`BAND`].
fn propagator(layout: &Layout, lambda: f64, distance_A: f64) -> Vec<Complex64> {
    let n = layout.window;
    let axis: Vec<f64> = (0..n).map(|k| fft_index(k, n) / (n as f64 * layout.pixel_A)).collect();
    let most = BAND / (2.0 * layout.pixel_A);
    axis.iter()
        .flat_map(|y| axis.iter().map(move |x| y * y + x * x))
        .map(|q2| if q2.sqrt() > most { Complex64::ZERO } else { Complex64::cis(-PI * lambda * q2 * distance_A) })
        .collect()
}

/// Draws counts of mean electrons.
fn counted(means: &[f32], ids: &[u32], instrument: &Instrument, seed: u64) -> Result<Vec<u16>> {
    let pixels = instrument.frame * instrument.frame;
    let (gain, readout) = (instrument.counts_per_electron, instrument.readout_counts);
    let noise = normal(readout)?;
    let mut counts = vec![0u16; means.len()];
    counts.par_chunks_mut(pixels).zip(means.par_chunks(pixels)).zip(ids).try_for_each(|((counts, means), &id)| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::from(id) + 1);
        for (count, &mean) in counts.iter_mut().zip(means) {
            let electrons = draw(f64::from(mean), &mut rng);
            let mut value = electrons;
            if gain != 1.0 || readout > 0.0 {
                value = (electrons * gain + if readout > 0.0 { noise.sample(&mut rng) } else { 0.0 }).round().max(0.0);
            }
            if value > f64::from(u16::MAX) {
                return Err(Error::Overflow { frame: id, count: value });
            }
            *count = value as u16;
        }
        Ok(())
    })?;
    Ok(counts)
}

/// A Poisson number. A mean of 0 (or one too small for the distribution) has none.
fn draw(mean: f64, rng: &mut impl Rng) -> f64 {
    // Most pixels expect far less than an electron: one number and no exponential where it says "none", as 1 − m ≤ e^{−m}.
    if mean < 0.5 {
        let u: f64 = rng.random();
        if u <= 1.0 - mean {
            return 0.0;
        }
        let (mut k, mut term) = (0.0, (-mean).exp());
        let mut below = term;
        while u > below && k < 40.0 {
            k += 1.0;
            term *= mean / k;
            below += term;
        }
        return k;
    }
    Poisson::new(mean).map_or(0.0, |p| p.sample(rng))
}
