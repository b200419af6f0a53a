//! Gradients against finite differences of the misfit, in f64.

use std::sync::Arc;

use libtest_mimic::Failed;
use num_complex::Complex64;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ronchi::compute::cpu::Cpu;
use ronchi::compute::{
    Backend, BatchPlan, DetectorLayout, DeviceBlock, Gradients, HostFrames, Likelihood, Model, ModelShape, SampleType, Spread, Wanted,
};
use ronchi::optics::{Aberration, Aberrations, fft_index};
use ronchi::ptycho::{LENS_TERMS, propagator};

use crate::check;

const WINDOW: [usize; 2] = [16, 18];
const OBJECT: [usize; 2] = [24, 27];
const PIXEL: [f64; 2] = [0.3, 0.25];
const LAMBDA: f64 = 0.025;
const PATTERNS: usize = 5;

/// All that a misfit depends on.
#[derive(Clone)]
struct Point {
    object: Vec<Complex64>,
    /// Modes, and behind them variations.
    probe_hat: Vec<Complex64>,
    /// (position, variation)
    weights: Vec<f64>,
    positions: Vec<[f64; 2]>,
    /// Factors of the amplitude.
    strengths: Vec<f64>,
    thickness: f64,
    tilt: [f64; 2],
    /// Each position's shift from slice to slice in object pixels.
    shifts: Vec<[f64; 2]>,
}

struct Problem {
    shape: ModelShape,
    frames: Arc<HostFrames>,
    likelihood: Likelihood,
    valid: Option<Vec<bool>>,
    spread: Spread,
}

impl Problem {
    fn run(&self, point: &Point) -> (f64, Gradients<Cpu<f64>>) {
        let engine = Cpu::<f64>::new();
        let between = propagator(WINDOW, PIXEL, LAMBDA, point.thickness, point.tilt);
        let model = Model {
            shape: self.shape,
            object: point.object.chunks(self.shape.object_pixels()).map(|s| engine.complexes(s).unwrap()).collect(),
            probe_hat: engine.complexes(&point.probe_hat).unwrap(),
            propagator: engine.complexes(&between).unwrap(),
            detector: engine.detector(&self.detector()).unwrap(),
            floor: 0.0,
        };
        let ids: Vec<u32> = (0..PATTERNS as u32).collect();
        let mut plan = BatchPlan::new(&ids, &point.positions, WINDOW, OBJECT);
        plan.scale(|id| point.strengths[id as usize]);
        plan.weights = point.weights.clone();
        plan.tilt(|id| point.shifts[id as usize]);
        let batch = engine.batch(plan).unwrap();
        let block = DeviceBlock { ids, frames: engine.frames(self.frames.clone()).unwrap() };
        let mut work = engine.work(&self.shape, PATTERNS).unwrap();
        let mut out = Gradients::zeros(&engine, &self.shape, PATTERNS).unwrap();
        let wanted = Wanted { probe: true, moments: true, propagator: true, tilts: true, ..Wanted::default() };
        engine.gradients(&batch, &block, &model, self.likelihood, wanted, &mut work, &mut out).unwrap();
        let metrics = engine.read_reals(&out.metrics).unwrap();
        (metrics.iter().step_by(2).sum(), out)
    }

    fn detector(&self) -> DetectorLayout {
        let shape = WINDOW.map(|n| n / self.spread.upsample);
        DetectorLayout { shape, centre: [7, 9], valid: self.valid.clone(), spread: self.spread }
    }

    fn misfit(&self, point: &Point) -> f64 {
        self.run(point).0
    }
}

/// dL along a change of the point by ±h, by central differences.
fn difference(problem: &Problem, point: &Point, h: f64, change: impl Fn(&mut Point, f64)) -> f64 {
    let at = |h: f64| {
        let mut moved = point.clone();
        change(&mut moved, h);
        problem.misfit(&moved)
    };
    // Of fourth order: (8(L₊₁ − L₋₁) − (L₊₂ − L₋₂))/12h.
    (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h)
}

pub(crate) fn all() -> Result<(), Failed> {
    let seed = crate::seed();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for likelihood in [Likelihood::Amplitude, Likelihood::Poisson { epsilon: 0.2 }, Likelihood::Gaussian { variance: 3.0 }] {
        let (plain, blurred) = (Spread::default(), Spread { upsample: 1, blur_px: 0.9 });
        let wide = Spread { upsample: 2, blur_px: 0.6 };
        for (modes, slices, spread, variations) in [(1, 1, plain, 0), (2, 3, plain, 2), (1, 1, blurred, 0), (2, 2, wide, 1)] {
            one(&mut rng, likelihood, modes, slices, spread, variations).map_err(|failed| {
                Failed::from(format!("{likelihood:?}, {modes} modes, {slices} slices, {spread:?}, seed {seed}: {failed:?}"))
            })?;
        }
    }
    Ok(())
}

fn one(rng: &mut ChaCha8Rng, likelihood: Likelihood, modes: usize, slices: usize, spread: Spread, variations: usize) -> Result<(), Failed> {
    let shape = ModelShape { modes, variations, slices, window: WINDOW, object: OBJECT };
    let frame = WINDOW.map(|n| n / spread.upsample);
    let mut frames = HostFrames::zeros(SampleType::U8, frame, PATTERNS);
    for f in 0..PATTERNS {
        frames.frame_bytes_mut(f).iter_mut().for_each(|count| *count = rng.random_range(1..9));
    }
    let valid = (0..frame[0] * frame[1]).map(|_| rng.random_range(0..8) > 0).collect();
    let problem = Problem { shape, frames: Arc::new(frames), likelihood, valid: Some(valid), spread };
    let mut complexes = |n: usize, size: f64| -> Vec<Complex64> {
        (0..n).map(|_| Complex64::new(rng.random_range(-size..size), rng.random_range(-size..size))).collect()
    };
    let object = complexes(slices * shape.object_pixels(), 0.3).into_iter().map(|z| z + 1.0).collect();
    let probe_hat = complexes(shape.probe_len(), 2.5);
    // Not within reach of half a pixel: there the window steps to the next pixel, and the misfit is not smooth.
    let mut place = |first: u32, last: u32| f64::from(rng.random_range(first..=last)) + rng.random_range(-0.49..0.49);
    let positions = (0..PATTERNS).map(|_| [place(9, 15), place(10, 17)]).collect();
    let strengths = (0..PATTERNS).map(|_| rng.random_range(0.8..1.2)).collect();
    let weights: Vec<f64> = (0..PATTERNS * variations).map(|_| rng.random_range(-0.7..0.7)).collect();
    let shifts = (0..PATTERNS).map(|_| [rng.random_range(-0.7..0.7), rng.random_range(-0.7..0.7)]).collect();
    let point = Point { object, probe_hat, weights, positions, strengths, thickness: 9.0, tilt: [6.0, -4.0], shifts };

    let (_, out) = problem.run(&point);
    let engine = Cpu::<f64>::new();
    // Rounding of L (some hundred, to 1e-14) over steps of 3e-6, and what the fourth order leaves; an amplitude that passes near 0 bends L sharply.
    let close = |name: &str, analytic: f64, numeric: f64, size: f64| {
        check((analytic - numeric).abs() < 1e-5 * (size + numeric.abs()), || {
            format!("{name}: {analytic} by the gradient, {numeric} by differences")
        })
    };
    const H: f64 = 3e-6;
    for (name, updates, values) in
        [("object", out.object.iter().collect::<Vec<_>>(), &point.object), ("probe", vec![&out.probe], &point.probe_hat)]
    {
        let gradient: Vec<Complex64> = updates.iter().flat_map(|u| engine.read_complexes(&u.numerator).unwrap()).collect();
        let size = (gradient.iter().map(Complex64::norm_sqr).sum::<f64>() / gradient.len() as f64).sqrt();
        for _ in 0..12 {
            let n = rng.random_range(0..values.len());
            let turn = Complex64::cis(rng.random_range(0.0..6.3));
            let change = |point: &mut Point, h: f64| {
                let array = if name == "object" { &mut point.object } else { &mut point.probe_hat };
                array[n] += turn * h;
            };
            // dL = 2 Re (∂L/∂x*)* dx, and the numerator is −∂L/∂x*.
            close(name, -2.0 * (gradient[n].conj() * turn).re, difference(&problem, &point, H, change), size)?;
        }
    }
    lens(&problem, &point, &engine.read_complexes(&out.probe.numerator).unwrap(), close)?;
    let moments = engine.read_reals(&out.moments).unwrap();
    let size = (moments.iter().map(|m| m * m).sum::<f64>() / moments.len() as f64).sqrt();
    let stride = shape.moments();
    for i in 0..PATTERNS {
        for k in 0..variations {
            let by_weight = difference(&problem, &point, H, |p, h| p.weights[i * variations + k] += h);
            close("weight", -2.0 * moments[stride * i + 3 + k], by_weight, size)?;
        }
        // X is proportional to the strength.
        let by_strength = difference(&problem, &point, H, |p, h| p.strengths[i] += h);
        close("strength", -2.0 * moments[stride * i] / point.strengths[i], by_strength, size)?;
        for axis in 0..2 {
            let by_place = difference(&problem, &point, H, |p, h| p.positions[i][axis] += h);
            close("position", -2.0 * moments[stride * i + 1 + axis], by_place, size)?;
        }
    }
    if slices > 1 {
        let tilts = engine.read_reals(&out.tilts).unwrap();
        let size = (tilts.iter().map(|m| m * m).sum::<f64>() / tilts.len() as f64).sqrt();
        for i in 0..PATTERNS {
            for axis in 0..2 {
                let by_shift = difference(&problem, &point, H, |p, h| p.shifts[i][axis] += h);
                close("tilt of a position", -2.0 * tilts[2 * i + axis], by_shift, size)?;
            }
        }
        let numerator = engine.read_complexes(&out.propagator.numerator).unwrap();
        let frequency =
            |k: usize, n: usize, pixel: f64| (if k < n.div_ceil(2) { k as f64 } else { k as f64 - n as f64 }) / (n as f64 * pixel);
        // L changes by −2 Re Σ (dφ̂)*Δφ̂ with dφ̂ = −i·slope·φ̂.
        let analytic = |slope: &dyn Fn(f64, f64) -> f64| -> f64 {
            let term = |(k, n): (usize, &Complex64)| {
                let (y, x) = (frequency(k / WINDOW[1], WINDOW[0], PIXEL[0]), frequency(k % WINDOW[1], WINDOW[1], PIXEL[1]));
                slope(y, x) * n.im
            };
            2.0 * numerator.iter().enumerate().map(term).sum::<f64>()
        };
        let slopes = point.tilt.map(|t| (t * 1e-3).tan());
        let tau = std::f64::consts::TAU;
        let by_thickness = analytic(&|y, x| 0.5 * tau * LAMBDA * (y * y + x * x) + tau * (y * slopes[0] + x * slopes[1]));
        close("thickness", by_thickness, difference(&problem, &point, 1e-2, |p, h| p.thickness += h), by_thickness.abs())?;
        for axis in 0..2 {
            let by_slope = analytic(&|y, x| tau * point.thickness * [y, x][axis]);
            let tilted = |p: &mut Point, h: f64| p.tilt[axis] = (slopes[axis] + h).atan() * 1e3;
            close("tilt", by_slope, difference(&problem, &point, H, tilted), by_slope.abs())?;
        }
    }
    Ok(())
}

/// The coefficients of the lens, by which all modes turn their phases: from the probe's gradient, as they are refined.
fn lens(
    problem: &Problem,
    point: &Point,
    numerator: &[Complex64],
    close: impl Fn(&str, f64, f64, f64) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let (pixels, modes) = (problem.shape.pixels(), problem.shape.modes);
    for (name, n, m) in LENS_TERMS {
        let angle_deg = if name.ends_with("_sin") { 90.0 / f64::from(m) } else { 0.0 };
        // Positive defocus is −C10.
        let magnitude_A = if name == "defocus" { -1.0 } else { 1.0 };
        let one = Aberrations { terms: vec![Aberration { n, m, magnitude_A, angle_deg }] };
        let angle = |k: usize, axis: usize| fft_index(k, WINDOW[axis]) * LAMBDA / (WINDOW[axis] as f64 * PIXEL[axis]);
        let chi: Vec<f64> = (0..pixels).map(|k| one.chi(LAMBDA, angle(k / WINDOW[1], 0), angle(k % WINDOW[1], 1))).collect();
        let widest = chi.iter().map(|x| x.abs()).fold(0.0, f64::max);
        // P̂ ∝ e^{−iχ}: dP̂ = −i·dχ·P̂.
        let analytic: f64 =
            (0..modes * pixels).map(|k| -2.0 * (numerator[k].conj() * Complex64::new(0.0, -chi[k % pixels]) * point.probe_hat[k]).re).sum();
        let change = |point: &mut Point, h: f64| {
            point.probe_hat.iter_mut().take(modes * pixels).enumerate().for_each(|(k, p)| *p *= Complex64::cis(-h * chi[k % pixels]));
        };
        close(name, analytic, difference(problem, point, 3e-6 / widest, change), analytic.abs() + widest)?;
    }
    Ok(())
}
