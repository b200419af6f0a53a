//! Multislice simulation of scanning diffraction: probes through slices onto a detector, counted.

use std::f64::consts::PI;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::time::Instant;

use num_complex::Complex64;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::Distribution;
use rayon::prelude::*;

use super::counting::{counted, normal, read_out};
use super::instrument::{Instrument, Layout, Method, Vibration};
use super::slices::{BAND, Grid, Scattering, Slicing, slice_phases, transmission};
use super::specimen::{Atom, Specimen};
use super::{Error, Result};
use crate::compute::{Backend, BatchPlan, DetectorLayout, Exposure, Model, ModelShape, Sensor};
use crate::optics::{fft_index, interaction_constant, wavelength_A};
use crate::run::{Event, Run, Stage};

/// Frames one behind the other, row-major.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Exposed<'a> {
    Counts(&'a [u16]),
    /// Counts with the noise of reading, or mean electrons without any noise.
    Numbers(&'a [f32]),
}

/// Intensities that are kept at once where slices are made for each block, and where they are made once: then blocks are small, so that one is written while the next is calculated.
const BLOCK_BYTES: [usize; 2] = [256 << 20, 4 << 20];
/// The waves of a batch, here and behind the next slice.
const WAVE_BYTES: usize = 512 << 20;
/// Positions of a batch.
const BATCH: usize = 64;
/// Slices under the whole scan are kept if they are no larger; else those under a block of frames are made for each block.
const OBJECT_BYTES: usize = 1 << 30;

/// σ·∫V dz of the whole specimen in rad, as [`Layout::shape`] has it.
///
/// # Errors
/// If there is no room.
pub fn projected_phase(specimen: &Specimen, instrument: &Instrument, method: &Method, layout: &Layout) -> Result<Vec<f64>> {
    let scattering = scattering(instrument, method, method.vibration != Vibration::None);
    let mut all = slice_phases(&specimen.atoms, 1, specimen.thickness_A, &layout.grid(), scattering)?;
    Ok(all.pop().unwrap_or_default())
}

fn scattering(instrument: &Instrument, method: &Method, blurred: bool) -> Scattering {
    Scattering { fit: method.potential, blurred, interaction: interaction_constant(instrument.optics.voltage_kV) }
}

/// How a scan is divided.
struct Division {
    /// Positions of a batch.
    batch: usize,
    /// Frames of a block.
    block: usize,
    configurations: usize,
    /// One object under the whole scan serves all blocks.
    whole: bool,
}

impl Division {
    fn new(instrument: &Instrument, method: &Method, layout: &Layout, thickness_A: f64) -> Self {
        let pixels = layout.window * layout.window;
        let batch = BATCH.min((WAVE_BYTES / (16 * layout.modes() * pixels)).max(1));
        let frame_bytes = 4 * instrument.frame * instrument.frame;
        let configurations = match method.vibration {
            Vibration::FrozenPhonons { configurations } => configurations,
            _ => 1,
        };
        let whole = configurations == 1 && object_bytes(&layout.grid(), method.slices(thickness_A)) <= OBJECT_BYTES;
        let block = (BLOCK_BYTES[usize::from(whole)] / frame_bytes).max(1).next_multiple_of(batch).min(layout.positions_A.len());
        Self { batch, block, configurations, whole }
    }
}

/// What [`Exposed`] lends. Memory comes back when frames are written: new memory is slow to be had.
#[derive(Default)]
struct Frames {
    means: Vec<f32>,
    /// Of the means; none where they are not counted.
    counts: Vec<u16>,
}

impl Frames {
    fn exposed(&self) -> Exposed<'_> {
        if self.counts.is_empty() { Exposed::Numbers(&self.means) } else { Exposed::Counts(&self.counts) }
    }
}

/// What slices take on the device in f32.
fn object_bytes(grid: &Grid, slices: usize) -> usize {
    8usize.saturating_mul(slices).saturating_mul(grid.shape[0] * grid.shape[1])
}

/// About the bytes that a simulation needs at once: the slices under a block of frames, once more as the engine lays them out, or the projected potential of the truth, and the frames.
pub fn needed_bytes(specimen: &Specimen, instrument: &Instrument, method: &Method, layout: &Layout) -> usize {
    /// Of a pixel while its potential is made: on the finer grid in f64 with its transform, then on the grid itself.
    const MAKING: usize = 150;
    let Division { batch, block, whole, .. } = Division::new(instrument, method, layout, specimen.thickness_A);
    let slices = method.slices(specimen.thickness_A);
    let grids = || layout.positions_A.chunks(block).map(|positions| layout.grid_of(positions));
    let of_grid = |grid: &Grid| {
        object_bytes(grid, slices).saturating_mul(2).saturating_add(rayon::current_num_threads() * MAKING * grid.shape[0] * grid.shape[1])
    };
    let object = if whole { of_grid(&layout.grid()) } else { grids().map(|grid| of_grid(&grid)).max().unwrap_or(0) };
    let truth = MAKING * layout.shape[0] * layout.shape[1];
    let waves = 16 * batch * layout.modes() * layout.window * layout.window;
    object.max(truth).saturating_add(waves + 8 * block * instrument.frame * instrument.frame)
}

/// Diffracts the scan and hands its frames on in blocks, in scan order. Random numbers come from `run.rng`: one stream a configuration and one a frame, so that they do not
/// depend on threads. `take` has a thread of its own, and works while the next block is calculated.
///
/// # Errors
/// If the device has no room, a count does not fit into 16 bits, the run was cancelled, or `take` fails.
pub fn diffract<B: Backend, E: From<Error> + Send>(
    run: &Run,
    backend: &B,
    specimen: &Specimen,
    instrument: &Instrument,
    method: &Method,
    layout: &Layout,
    take: impl FnMut(Exposed<'_>) -> std::result::Result<(), E> + Send,
) -> std::result::Result<(), E> {
    let division = Division::new(instrument, method, layout, specimen.thickness_A);
    Work { run, backend, specimen, instrument, method, layout }.diffract(&division, take)
}

/// All that a simulation is made of.
struct Work<'a, B: Backend> {
    run: &'a Run<'a>,
    backend: &'a B,
    specimen: &'a Specimen,
    instrument: &'a Instrument,
    method: &'a Method,
    layout: &'a Layout,
}

impl<B: Backend> Work<'_, B> {
    /// [`diffract`].
    fn diffract<E: From<Error> + Send>(
        &self,
        division: &Division,
        mut take: impl FnMut(Exposed<'_>) -> std::result::Result<(), E> + Send,
    ) -> std::result::Result<(), E> {
        std::thread::scope(|scope| {
            let ((sender, receiver), (back, spare)) = (sync_channel::<Frames>(0), channel());
            let taker = scope.spawn(move || {
                receiver.iter().try_for_each(|frames| {
                    take(frames.exposed())?;
                    // After the last block nobody wants it.
                    let _ = back.send(frames);
                    Ok::<_, E>(())
                })
            });
            // Where nobody takes frames any more, the taker says why.
            let made = self.blocks(division, &spare, |frames| sender.send(frames).is_ok());
            drop(sender);
            taker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok(made?)
        })
    }

    /// Blocks of frames, in `spare` memory if there is any, until `give` says that there is no need for more.
    fn blocks(&self, division: &Division, spare: &Receiver<Frames>, mut give: impl FnMut(Frames) -> bool) -> Result<()> {
        let Self { run, backend, specimen, instrument, method, layout } = *self;
        let window = [layout.window; 2];
        if !backend.supports_window(window) {
            return Err(crate::compute::Error::UnsupportedWindow { device: backend.device_name(), shape: window }.into());
        }
        let Division { batch, block, configurations, whole } = *division;
        let (count, begun, stage) = (layout.positions_A.len(), Instant::now(), Stage::Simulate);
        run.emit(Event::StageStarted { stage, total: (count * configurations) as u64, unit: "frames" });
        let frame_pixels = instrument.frame * instrument.frame;
        let mut device = Device::new(self, batch)?;
        let mut kept = None;
        for (n, positions) in layout.positions_A.chunks(block).enumerate() {
            let first = n * block;
            let grid = if whole { layout.grid() } else { layout.grid_of(positions) };
            let in_pixels: Vec<[f64; 2]> = positions.iter().map(|p| [0, 1].map(|a| (p[a] - grid.origin_A[a]) / grid.pixel_A)).collect();
            let places: Vec<u32> = (0..positions.len() as u32).collect();
            let mut frames = spare.try_recv().unwrap_or_default();
            let Frames { means, counts } = &mut frames;
            means.clear();
            means.resize(positions.len() * frame_pixels, 0.0);
            for configuration in 0..configurations {
                let mut model = match kept.take() {
                    Some(model) => model,
                    None => device.model(self, &displaced(specimen, method, configuration, run.rng.seed)?, &grid)?,
                };
                for (places, means) in places.chunks(batch).zip(means.chunks_mut(batch * frame_pixels)) {
                    if run.is_cancelled() {
                        return Err(Error::Interrupted);
                    }
                    let plan = BatchPlan::new(places, &in_pixels, window, grid.shape);
                    device.expose(backend, plan, &mut model, 1.0 / configurations as f64, means)?;
                    let done = first * configurations + configuration * positions.len() + places[0] as usize + places.len();
                    run.emit(Event::Progress { stage, done: done as u64 });
                }
                kept = whole.then_some(model);
            }
            let ids: Vec<u32> = (first..first + positions.len()).map(|id| id as u32).collect();
            if instrument.dose_e_per_A2.is_some() {
                if instrument.readout_counts > 0.0 {
                    read_out(means, frame_pixels, &ids, instrument, run.rng.seed)?;
                } else {
                    counted(means, frame_pixels, &ids, instrument, run.rng.seed, counts)?;
                }
            }
            if !give(frames) {
                return Ok(());
            }
        }
        run.emit(Event::StageFinished { stage, seconds: begun.elapsed().as_secs_f64() });
        Ok(())
    }
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
    propagator: Vec<Complex64>,
    sensor: Sensor<B>,
    batch: usize,
    out: B::Reals,
}

impl<B: Backend> Device<B> {
    fn new(work: &Work<'_, B>, batch: usize) -> Result<Self> {
        let Work { backend, specimen, instrument, method, layout, .. } = work;
        let (modes, slices, frame) = (layout.modes(), method.slices(specimen.thickness_A), [instrument.frame; 2]);
        let shape = ModelShape { modes, variations: 0, slices, window: [layout.window; 2], object: layout.shape };
        let lambda = wavelength_A(instrument.optics.voltage_kV);
        let propagator = propagator(layout, lambda, specimen.thickness_A / slices as f64);
        let sensor = Sensor { frame, step: layout.oversampling, taps: backend.reals(&instrument.taps(layout.oversampling))? };
        let out = backend.real_zeros(batch * frame[0] * frame[1])?;
        Ok(Self { shape, propagator, sensor, batch, out })
    }

    /// Slices of these atoms, made a few at a time, and the way through them.
    fn model(&self, work: &Work<'_, B>, atoms: &[Atom], grid: &Grid) -> Result<(Model<B>, B::Passage)> {
        let Work { run, backend, specimen, instrument, method, layout } = work;
        let scattering = scattering(instrument, method, method.vibration == Vibration::DebyeWaller);
        let slicing = Slicing::new(atoms, self.shape.slices, specimen.thickness_A, grid, scattering);
        let mut object = Vec::with_capacity(self.shape.slices);
        while object.len() < self.shape.slices {
            if run.is_cancelled() {
                return Err(Error::Interrupted);
            }
            let next = object.len()..self.shape.slices.min(object.len() + rayon::current_num_threads());
            let made: Vec<Vec<Complex64>> =
                next.into_par_iter().map(|slice| transmission(&slicing.phase(slice)?, grid.shape)).collect::<Result<_>>()?;
            for slice in made {
                object.push(backend.complexes(&slice)?);
            }
        }
        let detector = DetectorLayout { shape: self.shape.window, ..DetectorLayout::default() };
        let model = Model {
            shape: ModelShape { object: grid.shape, ..self.shape },
            object,
            probe_hat: backend.complexes(&layout.probe)?,
            propagator: backend.complexes(&self.propagator)?,
            detector: backend.detector(&detector)?,
            floor: 0.0,
        };
        let passage = backend.passage(&model, &self.sensor, self.batch)?;
        Ok((model, passage))
    }

    /// Adds the mean counts of a batch's frames to `out`.
    fn expose(
        &mut self,
        backend: &B,
        plan: BatchPlan,
        (model, passage): &mut (Model<B>, B::Passage),
        weight: f64,
        out: &mut [f32],
    ) -> Result<()> {
        let batch = backend.batch(plan)?;
        let exposure = Exposure { weight, fresh: true };
        backend.diffract(&batch, model, &self.sensor, exposure, passage, &mut self.out)?;
        Ok(backend.add_reals(&self.out, out)?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::cpu::Cpu;
    use crate::optics::{Aberrations, ProbeOptics, ScanGrid};
    use crate::run::{CancelToken, RngState};
    use crate::simulate::{Cut, Element, Parametrisation, Structure};

    fn instrument(shape: [usize; 2]) -> Instrument {
        Instrument {
            optics: ProbeOptics { voltage_kV: 80.0, convergence_mrad: 20.0, aberrations: Aberrations::defocus(20.0) },
            focal_spread_A: 0.0,
            source_size_A: 0.0,
            scan: ScanGrid { shape, step_A: [0.7, 0.9], rotation_deg: 0.0, transpose: false },
            jitter_A: 0.0,
            drift_A: [0.0; 2],
            frame: 24,
            mrad_per_px: 4.0,
            oversampling: Some(2),
            blur_px: 0.0,
            dose_e_per_A2: None,
            counts_per_electron: 1.0,
            readout_counts: 0.0,
        }
    }

    fn method(vibration: Vibration) -> Method {
        Method { potential: Parametrisation::Kirkland, vibration, slice_thickness_A: 2.0, sampling_A: 0.2 }
    }

    /// The means of all frames.
    fn means(specimen: &Specimen, instrument: &Instrument, method: &Method, divide: impl Fn(Division) -> Division) -> Vec<f32> {
        let cancel = CancelToken::default();
        let run = Run { events: &|_| (), cancel: &cancel, rng: RngState::new(1) };
        let layout = instrument.layout(specimen.thickness_A, method, &mut run.rng.generator()).unwrap();
        let division = divide(Division::new(instrument, method, &layout, specimen.thickness_A));
        let work = Work { run: &run, backend: &Cpu::<f32>::new(), specimen, instrument, method, layout: &layout };
        let mut means = Vec::new();
        work.diffract::<Error>(&division, |exposed| {
            let Exposed::Numbers(numbers) = exposed else { return Ok(()) };
            means.extend_from_slice(numbers);
            Ok(())
        })
        .unwrap();
        means
    }

    fn specimen() -> Specimen {
        let crystal = Structure::named("SrTiO3").unwrap();
        let cut = Cut {
            zone_axis: [1, 1, 0],
            planes: None,
            thickness_A: 11.0,
            offset_A: [0.3, 0.1],
            tilt_mrad: [4.0, 0.0],
            extent_A: None,
            defects: Vec::new(),
        };
        Specimen::cut(&crystal, &cut, [-14.0; 2], [20.0; 2], &mut ChaCha8Rng::seed_from_u64(1)).unwrap()
    }

    fn apart(a: &[f32], b: &[f32]) -> f64 {
        let square = |x: f32| f64::from(x) * f64::from(x);
        (a.iter().zip(b).map(|(a, b)| square(a - b)).sum::<f64>() / b.iter().map(|b| square(*b)).sum::<f64>()).sqrt()
    }

    #[test]
    fn frames_do_not_depend_on_how_the_scan_is_divided() {
        let (specimen, instrument) = (specimen(), instrument([3, 4]));
        for vibration in [Vibration::DebyeWaller, Vibration::FrozenPhonons { configurations: 2 }] {
            let method = method(vibration);
            let one = means(&specimen, &instrument, &method, |d| Division { block: 12, batch: 12, ..d });
            // Blocks of their own grids, whose pixels lie elsewhere: what is beyond their edges is missing.
            let parts = means(&specimen, &instrument, &method, |d| Division { block: 5, batch: 2, whole: false, ..d });
            assert!(apart(&parts, &one) < 2e-3, "{vibration:?}: {:.1e}", apart(&parts, &one));
            if vibration == Vibration::DebyeWaller {
                let kept = means(&specimen, &instrument, &method, |d| Division { block: 5, batch: 2, whole: true, ..d });
                assert!(kept == one, "on one grid they are the same to the last bit");
            }
        }
    }

    #[test]
    fn the_mean_potential_of_atoms_that_move_is_that_of_debye_and_waller() {
        // One slice of few atoms that all move much: φ's mean over configurations is φ blurred by e^{−Bq²/4}.
        let carbon = Element::of("Na").unwrap();
        let atoms: Vec<Atom> =
            (0..3).map(|n| Atom { element: carbon, z_A: 1.0, y_A: 2.0 + n as f64, x_A: 4.0 - n as f64, b_A2: 4.0 }).collect();
        let specimen = Specimen { atoms, columns: Vec::new(), thickness_A: 2.0 };
        let grid = Grid { shape: [40, 40], pixel_A: 0.2, origin_A: [-1.0, -1.0] };
        let scattering = |blurred| Scattering { fit: Parametrisation::Lobato, blurred, interaction: 1e-3 };
        const N: usize = 3000;
        let method = method(Vibration::FrozenPhonons { configurations: N });
        let seed = rand::random();
        let mut mean = vec![0.0; 1600];
        for configuration in 0..N {
            let atoms = displaced(&specimen, &method, configuration, seed).unwrap();
            let phase = Slicing::new(&atoms, 1, 2.0, &grid, scattering(false)).phase(0).unwrap();
            mean.iter_mut().zip(phase).for_each(|(m, p)| *m += p / N as f64);
        }
        let expected = Slicing::new(&specimen.atoms, 1, 2.0, &grid, scattering(true)).phase(0).unwrap();
        let (error, size) = mean.iter().zip(&expected).fold((0.0, 0.0), |(e, s), (a, b)| (e + (a - b).powi(2), s + b * b));
        // A single picture of three sharp atoms is about 1.5 times as far off as the blurred ones are strong, and the mean of N by √N less: 0.027; half as much again for chance.
        assert!((error / size).sqrt() < 0.04, "seed {seed}: {:.3}", (error / size).sqrt());
        let unmoved = Slicing::new(&specimen.atoms, 1, 2.0, &grid, scattering(false)).phase(0).unwrap();
        let sharp: f64 = unmoved.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum();
        assert!((sharp / size).sqrt() > 0.3, "or this test would see nothing: {}", (sharp / size).sqrt());
    }
}
