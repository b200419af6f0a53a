//! The coarse verb of simulations fused pattern by pattern, so that a wave stays in one core's cache on its way through the slices.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pulp::Arch;
use rayon::prelude::*;

use super::exit_wave::multiply_window;
use super::expose::expose_window;
use super::fft2::{Fft2, Scratch};
use super::lanes::Scalar;
use super::planes::Planes;
use super::propagate::propagate_window;
use super::shift_probe::shift_mode;
use super::through_slices::{Between, Slices, Way, through_slices};
use super::{Cpu, CpuBatch};
use crate::compute::{Direction, Exposure, Model, Sensor};

/// Pieces of a batch for each thread, where a piece has work memory of its own.
const PIECES: usize = 8;

/// [`crate::compute::Backend::passage`]: none where there is but the way step by step.
pub struct CpuPassage<R: Scalar>(Option<Fused<R>>);

struct Fused<R: Scalar> {
    way: Way<R>,
    slices: Slices<R>,
    /// Work memory that no thread holds: new memory is slow to be had.
    spare: Mutex<Vec<Between<R>>>,
}

impl<R: Scalar> CpuPassage<R> {
    pub(super) fn new(fft: &Fft2<R>, model: &Model<Cpu<R>>, sensor: &Sensor<Cpu<R>>) -> Self {
        Self(Way::new(fft, model, sensor).map(|way| {
            let slices = Slices::new(&way, &model.object, model.shape.object);
            Fused { way, slices, spare: Mutex::default() }
        }))
    }
}

impl<R: Scalar> Fused<R> {
    fn spare(&self) -> MutexGuard<'_, Vec<Between<R>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// [`crate::compute::Backend::diffract`].
pub(super) fn diffract<R: Scalar>(
    fft: &Fft2<R>,
    batch: &CpuBatch<R>,
    model: &Model<Cpu<R>>,
    sensor: &Sensor<Cpu<R>>,
    exposure: Exposure,
    passage: &CpuPassage<R>,
    out: &mut [R],
) {
    let modes = model.shape.modes;
    let pixels = sensor.frame[0] * sensor.frame[1];
    let frames = out.par_chunks_exact_mut(pixels).take(batch.plan.len()).enumerate();
    let of_mode = |m: usize| Exposure { fresh: exposure.fresh && m == 0, ..exposure };
    if let CpuPassage(Some(fused)) = passage {
        let Fused { way, slices, .. } = fused;
        frames.for_each(|(b, frame)| {
            let kept = fused.spare().pop();
            let mut between = kept.unwrap_or_else(|| way.scratch());
            (0..modes).for_each(|m| through_slices(way, slices, batch, [b, m], of_mode(m), &mut between, frame));
            fused.spare().push(between);
        });
    } else {
        let piece = batch.plan.len().div_ceil(PIECES * rayon::current_num_threads());
        frames.with_min_len(piece).for_each_init(
            || (fft.scratch(), Planes::zeros(2 * batch.window_len()), vec![R::zero(); sensor.frame[1]]),
            |(scratch, waves, row), (b, frame)| {
                (0..modes).for_each(|m| step_by_step(fft, [b, m], (batch, model, sensor), of_mode(m), (scratch, waves, row), frame));
            },
        );
    }
}

/// A probe through the slices and onto the detector in steps of their own, for windows and propagators of any kind. The transforms' scales ride on the products beside them.
fn step_by_step<R: Scalar>(
    fft: &Fft2<R>,
    [b, m]: [usize; 2],
    (batch, model, sensor): (&CpuBatch<R>, &Model<Cpu<R>>, &Sensor<Cpu<R>>),
    exposure: Exposure,
    (scratch, waves, row): (&mut Scratch<R>, &mut Planes<R>, &mut [R]),
    frame: &mut [R],
) {
    let (n, slices, arch) = (batch.window_len(), model.object.len(), Arch::new());
    let incident = waves.window_mut(n, 0);
    arch.dispatch(
        #[inline(always)]
        move || shift_mode(&model.probe_hat, model.shape.modes, m, batch, b, fft.unitary, incident),
    );
    fft.window(waves.window_mut(n, 0), Direction::Inverse, scratch);
    let [mut here, mut next] = [0, 1];
    for (s, slice) in model.object.iter().enumerate() {
        let last = s + 1 == slices;
        let scale = if last { fft.unitary } else { fft.unitary * fft.unitary };
        let (from, mut to) = waves.two_windows(n, here, next);
        let target = to.reborrow();
        arch.dispatch(
            #[inline(always)]
            move || multiply_window(from, slice, batch, b, scale, target),
        );
        if !last {
            fft.window(to.reborrow(), Direction::Forward, scratch);
            let (spectrum, propagator) = (to.reborrow(), model.propagator.window(n, 0));
            arch.dispatch(
                #[inline(always)]
                move || propagate_window(spectrum, propagator, R::one(), false),
            );
            fft.window(to, Direction::Inverse, scratch);
        }
        std::mem::swap(&mut here, &mut next);
    }
    fft.window(waves.window_mut(n, here), Direction::Forward, scratch);
    let wave = waves.window(n, here);
    arch.dispatch(
        #[inline(always)]
        move || expose_window(wave, batch.plan.window, sensor, exposure, row, frame),
    );
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use num_complex::Complex64;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::compute::{Backend, BatchPlan, DetectorLayout, ModelShape, WavePair, diffract_of_kernels};
    use crate::optics::fft_index;

    /// What the verb and the kernels that it stands for make of random slices, with free space limited to a round band if it is said so.
    fn both<R: Scalar>(seed: u64, [ny, nx]: [usize; 2], slices: usize, band: bool) -> [Vec<f64>; 2] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let engine = Cpu::<R>::new();
        let (object, modes, n) = ([ny + 21, nx + 87], 2, ny * nx);
        let mut random = |n: usize| -> Vec<Complex64> {
            (0..n).map(|_| Complex64::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0))).collect()
        };
        let objects: Vec<_> = (0..slices).map(|_| engine.complexes(&random(object[0] * object[1])).unwrap()).collect();
        let q2 = |k: usize| {
            let part = |k: usize, n: usize| fft_index(k, n) / n as f64;
            part(k / nx, ny).powi(2) + part(k % nx, nx).powi(2)
        };
        let mut probe = random(modes * n);
        probe.iter_mut().enumerate().filter(|(k, _)| band && q2(k % n) > 0.02).for_each(|(_, p)| *p = Complex64::ZERO);
        let most = if band { 1.0 / 9.0 } else { 1.0 };
        let propagator: Vec<_> = (0..n)
            .map(|k| {
                if q2(k) > most {
                    Complex64::ZERO
                } else {
                    0.7 * Complex64::cis(-40.0 * PI * q2(k) + 3.0 * fft_index(k % nx, nx) / nx as f64)
                }
            })
            .collect();
        let detector = engine.detector(&DetectorLayout { shape: [ny, nx], ..DetectorLayout::default() }).unwrap();
        let shape = ModelShape { modes, variations: 0, slices, window: [ny, nx], object };
        let model = Model {
            shape,
            object: objects,
            probe_hat: engine.complexes(&probe).unwrap(),
            propagator: engine.complexes(&propagator).unwrap(),
            detector,
            floor: 0.0,
        };
        let positions: Vec<[f64; 2]> =
            (0..5).map(|_| [rng.random_range(0.0..20.0) + (ny / 2) as f64, rng.random_range(0.0..86.0) + (nx / 2) as f64]).collect();
        let plan = BatchPlan::new(&[0, 1, 2, 3, 4], &positions, [ny, nx], object);
        let batch = engine.batch(plan).unwrap();
        let sensor = Sensor { frame: [ny / 3 - 1, nx / 3 - 2], step: 2, taps: engine.reals(&[1.0, 0.5]).unwrap() };
        let mut out = [0, 1].map(|_| engine.real_zeros(5 * sensor.frame[0] * sensor.frame[1]).unwrap());
        let [verb, kernels] = &mut out;
        let mut passage = engine.passage(&model, &sensor, 5).unwrap();
        for fresh in [true, false] {
            let exposure = Exposure { weight: 1.5, fresh };
            engine.diffract(&batch, &model, &sensor, exposure, &mut passage, verb).unwrap();
            let mut waves = WavePair::new(&engine, 5 * modes * n).unwrap();
            diffract_of_kernels(&engine, &batch, &model, &sensor, exposure, &mut waves, kernels).unwrap();
        }
        out.map(|out| engine.read_reals(&out).unwrap())
    }

    /// The root mean square of what they differ by, of that of the second.
    fn apart([a, b]: &[Vec<f64>; 2]) -> f64 {
        (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / b.iter().map(|b| b * b).sum::<f64>()).sqrt()
    }

    #[test]
    fn frames_behind_slices_are_those_of_the_steps_one_by_one() {
        let seed = rand::rng().random();
        for (shape, slices) in
            [([32, 16], 2), ([48, 80], 5), ([64, 64], 1), ([400, 384], 2), ([432, 352], 2), ([176, 512], 2), ([36, 60], 3)]
        {
            for band in [true, false] {
                let error = apart(&both::<f64>(seed, shape, slices, band));
                // Rounding of f64 over some hundred terms.
                assert!(error < 1e-12, "seed {seed}, {shape:?}, {slices} slices, band {band}: {error:.1e}");
                let error = apart(&both::<f32>(seed, shape, slices, band));
                // Slices of 16 bits a part: 32767 steps to the largest part, 1e-5 of a number's size each slice, twice in its square, as their roots' sum.
                assert!(error < 3e-5 * (slices as f64).sqrt(), "seed {seed}, {shape:?}, {slices} slices, band {band}: {error:.1e}");
            }
        }
    }
}
