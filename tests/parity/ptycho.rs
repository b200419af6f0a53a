use rand::RngExt;
use ronchi::compute::gpu::Gpu;
use ronchi::compute::{AdamMoments, AdamStep, Backend, BatchPlan, DetectorLayout, Exposure, Likelihood, Sensor, Spread, TILE, Update};
use std::sync::Arc;

use crate::Promise;
use crate::inputs::{DTYPES, Outputs, complexes, engines, frames, parts, plan, random, read, tilted, varied};

pub(crate) const PROMISES: &[Promise] = &[
    ("shift_probe agrees with f64", shift_probe),
    ("exit_wave agrees with f64", exit_wave),
    ("propagate agrees with f64, there and back", propagate),
    ("probe_gradient agrees with f64", probe_gradient),
    ("residual agrees with f64 for every likelihood and type of frame, odd widths, masks and zero waves", residual),
    ("residual agrees with f64 where pixels are parts of the detector's and blurred", residual_spread),
    ("object_gradient agrees with f64, goes on from what is there, and leaves untouched tiles alone", object_gradient),
    ("probe_sum agrees with f64", probe_sum),
    ("object_power agrees with f64", object_power),
    ("moments agree with f64", moments),
    ("tilt_waves agree with f64, there and back", tilt_waves),
    ("tilt_moments agree with f64", tilt_moments),
    ("propagator_sums agree with f64", propagator_sums),
    ("updates agree with f64, and a peak of 0 changes nothing", updates),
    ("optimal steps agree with f64", optimal_steps),
    ("Adam agrees with f64, and leaves untouched tiles alone", adam),
    ("momentum and copy agree with f64", momentum),
    ("expose agrees with f64, for detectors of several pitches and reaches", expose),
    ("an empty batch changes nothing but the peaks", empty_batch),
];

/// Neither side is a multiple of the tile's.
const OBJECT: [usize; 2] = [150, 171];
const OBJECT_PIXELS: usize = OBJECT[0] * OBJECT[1];
const WINDOW: [usize; 2] = [60, 64];
const MODES: usize = 3;
/// 14 positions of 3 windows of 30 KiB are more than 1 MiB.
const BATCH: usize = 14;
/// Calculated amplitudes up to this are empty.
const FLOOR: f64 = 0.3;
const PIXELS: usize = WINDOW[0] * WINDOW[1];
const STACK: usize = BATCH * MODES * PIXELS;

/// A complex product rounds about twice, by 6e-8 at most each time.
const PRODUCTS: f64 = 3e-7;

/// Sums of 42 products in a fixed order: each addition rounds once more.
const SUMS: f64 = 1e-6;

fn shift_probe(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    for variations in [0, 2] {
        let plan = varied(&mut rng, BATCH, WINDOW, OBJECT, variations);
        let probe = complexes(&mut rng, (MODES + variations) * PIXELS);
        let outputs = engines!(gpu, |engine| {
            let mut out = engine.complex_zeros(STACK).unwrap();
            engine.shift_probe(&engine.complexes(&probe).unwrap(), MODES, &engine.batch(plan.clone()).unwrap(), &mut out).unwrap();
            read(engine, &out).unwrap()
        });
        outputs.agree_within(PRODUCTS);
    }
}

fn exit_wave(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = plan(&mut rng, BATCH, WINDOW, OBJECT);
    let (incident, object) = (complexes(&mut rng, STACK), complexes(&mut rng, OBJECT_PIXELS));
    let outputs = engines!(gpu, |engine| {
        let (incident, object) = (engine.complexes(&incident).unwrap(), engine.complexes(&object).unwrap());
        let mut out = engine.complex_zeros(STACK).unwrap();
        engine.exit_wave(&incident, &object, MODES, &engine.batch(plan.clone()).unwrap(), &mut out).unwrap();
        read(engine, &out).unwrap()
    });
    outputs.agree_within(PRODUCTS);
}

fn propagate(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let (spectra, propagator) = (complexes(&mut rng, STACK), complexes(&mut rng, PIXELS));
    for adjoint in [false, true] {
        let outputs = engines!(gpu, |engine| {
            let mut out = engine.complexes(&spectra).unwrap();
            engine.propagate(&mut out, &engine.complexes(&propagator).unwrap(), BATCH * MODES - 1, adjoint).unwrap();
            read(engine, &out).unwrap()
        });
        outputs.agree_within(PRODUCTS);
        let (last, pixel) = (STACK - PIXELS, 77);
        let factor = if adjoint { propagator[pixel].conj() } else { propagator[pixel] };
        let expected = spectra[pixel] * factor;
        assert!((outputs.oracle[2 * pixel] - expected.re).abs() < 1e-15 && (outputs.oracle[2 * pixel + 1] - expected.im).abs() < 1e-15);
        assert_eq!(outputs.gpu[2 * last..], parts(&spectra[last..]), "a window too many is propagated");
    }
}

fn probe_gradient(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = plan(&mut rng, BATCH, WINDOW, OBJECT);
    let (waves, object) = (complexes(&mut rng, STACK), complexes(&mut rng, OBJECT_PIXELS));
    let outputs = engines!(gpu, |engine| {
        let (waves, object) = (engine.complexes(&waves).unwrap(), engine.complexes(&object).unwrap());
        let mut out = engine.complex_zeros(STACK).unwrap();
        engine.probe_gradient(&waves, &object, MODES, &engine.batch(plan.clone()).unwrap(), &mut out).unwrap();
        read(engine, &out).unwrap()
    });
    outputs.agree_within(PRODUCTS);
}

fn residual(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    // Rows of 63 u8 or u16 pixels end within a word.
    let shape = [60, 63];
    let pixels = shape[0] * shape[1];
    let plan = plan(&mut rng, BATCH, shape, OBJECT);
    let likelihoods = [Likelihood::Amplitude, Likelihood::Poisson { epsilon: 0.2 }, Likelihood::Gaussian { variance: 3.0 }];
    for (likelihood, modes) in likelihoods.into_iter().flat_map(|l| [(l, 1), (l, MODES)]) {
        for (dtype, masked) in DTYPES.into_iter().zip([false, true, true, false]) {
            let stack = Arc::new(frames(&mut rng, dtype, shape, BATCH, 3));
            let mut waves = complexes(&mut rng, BATCH * modes * pixels);
            for position in waves.chunks_exact_mut(modes * pixels) {
                for p in 0..pixels {
                    let at = |m: usize| m * pixels + p;
                    let size = (0..modes).map(|m| position[at(m)].norm_sqr()).sum::<f64>().sqrt();
                    // The rule jumps at the floor: an amplitude that rounds across it is no disagreement, so none lies there.
                    let scale = if p % 7 == 0 {
                        0.0
                    } else if (size - FLOOR).abs() < 1e-3 {
                        1.25
                    } else {
                        1.0
                    };
                    (0..modes).for_each(|m| position[at(m)] *= scale);
                }
            }
            let valid = masked.then(|| (0..pixels).map(|_| rng.random_range(0..10) > 0).collect());
            let layout =
                DetectorLayout { shape, centre: [rng.random_range(0..60), rng.random_range(0..63)], valid, ..DetectorLayout::default() };
            let run = engines!(gpu, |engine| {
                let mut out = engine.complexes(&waves).unwrap();
                let mut metrics = engine.real_zeros(4 * BATCH).unwrap();
                let (frames, detector) = (engine.frames(stack.clone()).unwrap(), engine.detector(&layout).unwrap());
                let batch = engine.batch(plan.clone()).unwrap();
                engine.residual(&mut out, modes, &frames, &detector, likelihood, FLOOR, &batch, &mut metrics).unwrap();
                let mut all = read(engine, &out).unwrap();
                all.extend(engine.read_reals(&metrics).unwrap());
                all
            });
            let (waves_of, metrics_of) = (|v: &[f64]| v[..2 * waves.len()].to_vec(), |v: &[f64]| v[2 * waves.len()..].to_vec());
            // Square roots and divisions of up to 3 units in the last place each, and a difference that can be smaller than its parts.
            each(&run, waves_of).agree_within(1e-6);
            // Sums of 3780 numbers in 15 + 8 partial sums.
            each(&run, metrics_of).agree_within(3e-6);
            let zeros = run.oracle[2 * waves.len()..].iter().filter(|m| **m == 0.0).count();
            assert_eq!(zeros, 2 * BATCH, "half of the patterns are in the batch");
        }
    }
}

fn residual_spread(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let likelihoods = [Likelihood::Amplitude, Likelihood::Poisson { epsilon: 0.2 }, Likelihood::Gaussian { variance: 3.0 }];
    let spreads = [(1, 1.3), (2, 0.0), (3, 0.4)].map(|(upsample, blur_px)| Spread { upsample, blur_px });
    for (likelihood, spread) in likelihoods.into_iter().flat_map(|l| spreads.map(|s| (l, s))) {
        let (modes, dtype) = (rng.random_range(1..4), DTYPES[rng.random_range(0..4)]);
        let shape = [20, 17];
        let window = shape.map(|n| n * spread.upsample);
        let (pixels, frame_pixels) = (window[0] * window[1], shape[0] * shape[1]);
        let plan = plan(&mut rng, BATCH, window, OBJECT);
        let stack = Arc::new(frames(&mut rng, dtype, shape, BATCH, 3));
        let waves = complexes(&mut rng, BATCH * modes * pixels);
        let valid = (0..frame_pixels).map(|_| rng.random_range(0..10) > 0).collect();
        let centre = window.map(|n| rng.random_range(0..n));
        let layout = DetectorLayout { shape, centre, valid: Some(valid), spread };
        let run = engines!(gpu, |engine| {
            let mut out = engine.complexes(&waves).unwrap();
            let mut metrics = engine.real_zeros(4 * BATCH).unwrap();
            let (frames, detector) = (engine.frames(stack.clone()).unwrap(), engine.detector(&layout).unwrap());
            let batch = engine.batch(plan.clone()).unwrap();
            // No floor: sums round across it.
            engine.residual(&mut out, modes, &frames, &detector, likelihood, 0.0, &batch, &mut metrics).unwrap();
            let mut all = read(engine, &out).unwrap();
            all.extend(engine.read_reals(&metrics).unwrap());
            all
        });
        let n = 2 * waves.len();
        // The sums of a point spread of up to eleven pixels along each axis, twice.
        each(&run, |v| v[..n].to_vec()).agree_within(3e-6);
        each(&run, |v| v[n..].to_vec()).agree_within(3e-6);
    }
}

/// A part of each engine's output.
fn each(outputs: &Outputs, part: impl Fn(&[f64]) -> Vec<f64>) -> Outputs {
    Outputs { gpu: part(&outputs.gpu), cpu: part(&outputs.cpu), oracle: part(&outputs.oracle) }
}

/// One number of the object a pixel: is it in a touched tile?
fn touched(plan: &BatchPlan) -> Vec<bool> {
    let mut touched = vec![false; OBJECT_PIXELS];
    for origin in &plan.tiles.origins {
        let [row, col] = origin.map(|o| o as usize);
        for y in row..(row + TILE).min(OBJECT[0]) {
            touched[y * OBJECT[1] + col..y * OBJECT[1] + (col + TILE).min(OBJECT[1])].fill(true);
        }
    }
    touched
}

/// An update of these arrays, its gain 1.
fn update<B: Backend>(engine: &B, numerator: &[num_complex::Complex64], denominator: &[f64], peak: f64) -> Update<B> {
    Update {
        numerator: engine.complexes(numerator).unwrap(),
        denominator: engine.reals(denominator).unwrap(),
        peak: engine.reals(&[peak]).unwrap(),
        gain: engine.reals(&[1.0]).unwrap(),
    }
}

fn object_gradient(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    for (batch, fresh) in [(BATCH, true), (2, true), (BATCH, false)] {
        let plan = plan(&mut rng, batch, WINDOW, OBJECT);
        let touched = touched(&plan);
        let (waves, incident) = (complexes(&mut rng, STACK), complexes(&mut rng, STACK));
        let before = complexes(&mut rng, OBJECT_PIXELS);
        let run = engines!(gpu, |engine| {
            let mut update = update(engine, &before, &parts(&before)[..OBJECT_PIXELS], 7.0);
            let (waves, incident) = (engine.complexes(&waves).unwrap(), engine.complexes(&incident).unwrap());
            engine.object_gradient(&waves, &incident, MODES, &engine.batch(plan.clone()).unwrap(), fresh, &mut update).unwrap();
            let mut all = read(engine, &update.numerator).unwrap();
            all.extend(engine.read_reals(&update.denominator).unwrap());
            all.extend(engine.read_reals(&update.peak).unwrap());
            all
        });
        let n = OBJECT_PIXELS;
        let inside = |v: &[f64]| -> Vec<f64> {
            let pixels = (0..n).filter(|&p| touched[p]).flat_map(|p| [v[2 * p], v[2 * p + 1], v[2 * n + p]]);
            pixels.chain([v[3 * n]]).collect()
        };
        each(&run, inside).agree_within(SUMS);
        for p in (0..n).filter(|&p| !touched[p]) {
            assert_eq!([run.gpu[2 * p], run.gpu[2 * p + 1], run.gpu[2 * n + p]], [before[p].re, before[p].im, parts(&before)[p]]);
        }
    }
}

fn probe_sum(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    for (variations, fresh) in [(0, true), (0, false), (2, true), (2, false)] {
        let plan = varied(&mut rng, BATCH, WINDOW, OBJECT, variations);
        let gradients = complexes(&mut rng, STACK);
        let outputs = engines!(gpu, |engine| {
            let mut out = engine.complexes(&gradients[..(MODES + variations) * PIXELS]).unwrap();
            let batch = engine.batch(plan.clone()).unwrap();
            engine.probe_sum(&engine.complexes(&gradients).unwrap(), MODES, &batch, fresh, &mut out).unwrap();
            read(engine, &out).unwrap()
        });
        outputs.agree_within(SUMS);
    }
}

fn object_power(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let (plan, object) = (plan(&mut rng, BATCH, WINDOW, OBJECT), complexes(&mut rng, OBJECT_PIXELS));
    for fresh in [true, false] {
        let outputs = engines!(gpu, |engine| {
            let (mut out, mut peak) = (engine.reals(&[0.7; PIXELS]).unwrap(), engine.real_zeros(1).unwrap());
            let batch = engine.batch(plan.clone()).unwrap();
            engine.object_power(&engine.complexes(&object).unwrap(), &batch, fresh, &mut out, &mut peak).unwrap();
            [engine.read_reals(&out).unwrap(), engine.read_reals(&peak).unwrap()].concat()
        });
        outputs.agree_within(SUMS);
    }
}

fn moments(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    for variations in [0, 2] {
        let plan = varied(&mut rng, BATCH, WINDOW, OBJECT, variations);
        let probe = complexes(&mut rng, (MODES + variations) * PIXELS);
        let gradients = complexes(&mut rng, STACK);
        let stride = 3 + variations;
        let run = engines!(gpu, |engine| {
            let mut out = engine.real_zeros(2 * stride * BATCH).unwrap();
            let (probe, gradients) = (engine.complexes(&probe).unwrap(), engine.complexes(&gradients).unwrap());
            engine.moments(&probe, &gradients, MODES, &engine.batch(plan.clone()).unwrap(), &mut out).unwrap();
            engine.read_reals(&out).unwrap()
        });
        for n in 0..stride {
            // Sums of 11520 and more numbers of either sign in 45 + 8 or more partial sums: the sum is as small as the root of their number.
            each(&run, |v| v.iter().skip(n).step_by(stride).copied().collect()).agree_within(2e-6);
        }
    }
}

fn tilt_waves(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = plan(&mut rng, BATCH, WINDOW, OBJECT);
    let (plan, flat) = (tilted(&mut rng, plan.clone()), plan);
    let spectra = complexes(&mut rng, STACK);
    for adjoint in [false, true] {
        let run = |plan: &BatchPlan| {
            engines!(gpu, |engine| {
                let mut out = engine.complexes(&spectra).unwrap();
                engine.tilt_waves(&mut out, MODES, &engine.batch(plan.clone()).unwrap(), adjoint).unwrap();
                read(engine, &out).unwrap()
            })
        };
        let outputs = run(&plan);
        outputs.agree_within(PRODUCTS);
        let (b, y, x) = (BATCH - 1, 7, 5);
        let ramp = plan.tilts[0][b * WINDOW[0] + y] * plan.tilts[1][b * WINDOW[1] + x];
        let at = b * MODES * PIXELS + y * WINDOW[1] + x;
        let expected = spectra[at] * if adjoint { ramp.conj() } else { ramp };
        assert!((outputs.oracle[2 * at] - expected.re).abs() < 1e-14 && (outputs.oracle[2 * at + 1] - expected.im).abs() < 1e-14);
        assert_eq!(run(&flat).gpu, parts(&spectra), "a flat sample shifts nothing");
    }
}

fn tilt_moments(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = plan(&mut rng, BATCH, WINDOW, OBJECT);
    let (spectra, gradients) = (complexes(&mut rng, STACK), complexes(&mut rng, STACK));
    for fresh in [true, false] {
        let run = engines!(gpu, |engine| {
            let mut out = engine.reals(&vec![0.5; 4 * BATCH]).unwrap();
            let (spectra, gradients) = (engine.complexes(&spectra).unwrap(), engine.complexes(&gradients).unwrap());
            engine.tilt_moments(&spectra, &gradients, MODES, &engine.batch(plan.clone()).unwrap(), fresh, &mut out).unwrap();
            engine.read_reals(&out).unwrap()
        });
        for axis in 0..2 {
            // As of the other moments.
            each(&run, |v| v.iter().skip(axis).step_by(2).copied().collect()).agree_within(2e-6);
        }
    }
}

fn expose(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = plan(&mut rng, BATCH, WINDOW, OBJECT);
    let waves = complexes(&mut rng, STACK);
    for (frame, step, taps) in [([60, 64], 1, vec![1.0]), ([29, 30], 2, vec![1.0, 0.5]), ([13, 16], 3, vec![0.7, 0.4, 0.1, 0.05])] {
        let pixels = frame[0] * frame[1];
        let outputs = engines!(gpu, |engine| {
            let sensor = Sensor { frame, step, taps: engine.reals(&taps).unwrap() };
            let (waves, batch) = (engine.complexes(&waves).unwrap(), engine.batch(plan.clone()).unwrap());
            let mut out = engine.reals(&vec![9.0; BATCH * pixels]).unwrap();
            for fresh in [true, false] {
                engine.expose(&waves, MODES, &sensor, &batch, Exposure { weight: 0.3, fresh }, &mut out).unwrap();
            }
            engine.read_reals(&out).unwrap()
        });
        // Sums of up to 3·49 positive numbers.
        outputs.agree_within(SUMS);
        // One pixel by hand.
        let (b, k) = (BATCH - 1, [2, frame[1] - 1]);
        let mut expected = 0.0;
        for wave in waves.chunks_exact(PIXELS).skip(b * MODES) {
            let reach = taps.len() as i64 - 1;
            for (j, i) in (-reach..=reach).flat_map(|j| (-reach..=reach).map(move |i| (j, i))) {
                let [y, x] = [(0, j), (1, i)].map(|(axis, off): (usize, i64)| {
                    (step as i64 * (k[axis] as i64 - frame[axis] as i64 / 2) + off).rem_euclid(WINDOW[axis] as i64) as usize
                });
                expected += 0.6 * taps[j.unsigned_abs() as usize] * taps[i.unsigned_abs() as usize] * wave[y * WINDOW[1] + x].norm_sqr();
            }
        }
        let found = outputs.oracle[b * pixels + k[0] * frame[1] + k[1]];
        assert!((found - expected).abs() < 1e-12 * expected, "{found} instead of {expected}");
    }
}

fn propagator_sums(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let (spectra, gradients) = (complexes(&mut rng, STACK), complexes(&mut rng, STACK));
    for fresh in [true, false] {
        let outputs = engines!(gpu, |engine| {
            let mut update = update(engine, &gradients[..PIXELS], &[0.3; PIXELS], 0.0);
            let (spectra, gradients) = (engine.complexes(&spectra).unwrap(), engine.complexes(&gradients).unwrap());
            engine.propagator_sums(&spectra, &gradients, BATCH * MODES, fresh, &mut update).unwrap();
            [read(engine, &update.numerator).unwrap(), engine.read_reals(&update.denominator).unwrap()].concat()
        });
        outputs.agree_within(SUMS);
    }
}

fn updates(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = plan(&mut rng, 3, WINDOW, OBJECT);
    let (object, numerator) = (complexes(&mut rng, OBJECT_PIXELS), complexes(&mut rng, OBJECT_PIXELS));
    let denominator: Vec<f64> = numerator.iter().map(|z| f64::from(z.norm() as f32)).collect();
    for (peak, own) in [(3.7f32, 0.0), (3.7, 0.75), (0.0, 0.0)] {
        let outputs = engines!(gpu, |engine| {
            let mut update = update(engine, &numerator, &denominator, peak.into());
            update.gain = engine.reals(&[1.25]).unwrap();
            let (mut object, mut probe) = (engine.complexes(&object).unwrap(), engine.complexes(&object[..PIXELS]).unwrap());
            engine.update_object(&mut object, &update, 0.75, own, &engine.batch(plan.clone()).unwrap()).unwrap();
            engine.update_probe(&mut probe, &update, 0.75).unwrap();
            [read(engine, &object).unwrap(), read(engine, &probe).unwrap()].concat()
        });
        outputs.agree_within(PRODUCTS);
        if peak == 0.0 {
            assert_eq!(outputs.gpu, [parts(&object), parts(&object[..PIXELS])].concat());
        }
    }
}

fn optimal_steps(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = plan(&mut rng, 3, WINDOW, OBJECT);
    let numerator = complexes(&mut rng, OBJECT_PIXELS);
    let denominator: Vec<f64> = complexes(&mut rng, OBJECT_PIXELS).iter().map(|z| f64::from(z.norm() as f32)).collect();
    let outputs = engines!(gpu, |engine| {
        let mut update = update(engine, &numerator, &denominator, 1.5);
        engine.optimal_object_step(&mut update, 0.75, &engine.batch(plan.clone()).unwrap()).unwrap();
        let object = engine.read_reals(&update.gain).unwrap();
        engine.optimal_probe_step(&mut update).unwrap();
        [object, engine.read_reals(&update.gain).unwrap()].concat()
    });
    // Sums of up to 25650 positive numbers in tiles or lanes of some 100 each.
    outputs.agree_within(2e-6);
    // The least of ½Σd|x|² − Re Σ n*x along x = n/D.
    let touched = touched(&plan);
    let (mut won, mut cost) = (0.0, 0.0);
    for p in (0..OBJECT_PIXELS).filter(|&p| touched[p]) {
        let divisor = 0.75 * denominator[p] + 0.25 * 1.5;
        won += numerator[p].norm_sqr() / divisor;
        cost += denominator[p] * numerator[p].norm_sqr() / (divisor * divisor);
    }
    assert!((outputs.oracle[0] / (won / cost) - 1.0).abs() < 1e-12);
    let mean = denominator.iter().sum::<f64>() / OBJECT_PIXELS as f64;
    assert!((outputs.oracle[1] / (1.5 / mean) - 1.0).abs() < 1e-12);
}

fn adam(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = plan(&mut rng, 3, WINDOW, OBJECT);
    let touched = touched(&plan);
    let (object, numerator, first) =
        (complexes(&mut rng, OBJECT_PIXELS), complexes(&mut rng, OBJECT_PIXELS), complexes(&mut rng, OBJECT_PIXELS));
    let second: Vec<f64> = numerator.iter().map(|z| f64::from(0.3 * z.norm() as f32)).collect();
    let step = AdamStep::new(0.05, 3);
    let run = engines!(gpu, |engine| {
        let update = update(engine, &numerator, &[0.0], 3.7f32.into());
        let mut all = Vec::new();
        for whole in [false, true] {
            let mut x = engine.complexes(&object).unwrap();
            let mut moments = AdamMoments { first: engine.complexes(&first).unwrap(), second: engine.reals(&second).unwrap() };
            if whole {
                engine.adam_probe(&mut x, &update, &mut moments, &step).unwrap();
            } else {
                engine.adam_object(&mut x, &update, &mut moments, &step, &engine.batch(plan.clone()).unwrap()).unwrap();
            }
            all.extend(
                [read(engine, &x).unwrap(), read(engine, &moments.first).unwrap(), engine.read_reals(&moments.second).unwrap()].concat(),
            );
        }
        all
    });
    // Some ten operations, a root and a division among them.
    run.agree_within(1e-6);
    let n = OBJECT_PIXELS;
    for p in (0..n).filter(|&p| !touched[p]) {
        assert_eq!(run.gpu[2 * p..2 * p + 2], parts(&object[p..=p]));
        assert_eq!(run.gpu[2 * n + 2 * p..][..2], parts(&first[p..=p]));
        assert_eq!(run.gpu[4 * n + p], second[p]);
    }
    // The paper's own formula, for one number of the probe.
    let (p, offset) = (4321, 5 * n);
    let g = numerator[p] / f64::from(3.7f32);
    let m = 0.9 * first[p] + 0.1 * g;
    let v = 0.999 * second[p] + 0.001 * g.norm_sqr();
    let expected = object[p] + 0.05 * (m / (1.0 - 0.9f64.powi(3))) / ((v / (1.0 - 0.999f64.powi(3))).sqrt() + 1e-8);
    assert!((run.oracle[offset + 2 * p] - expected.re).abs() < 1e-12 && (run.oracle[offset + 2 * p + 1] - expected.im).abs() < 1e-12);
}

fn momentum(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let arrays = [(); 3].map(|()| complexes(&mut rng, OBJECT_PIXELS));
    let run = engines!(gpu, |engine| {
        let [mut x, mut previous, mut velocity] = arrays.each_ref().map(|a| engine.complexes(a).unwrap());
        engine.momentum(&mut x, &mut previous, &mut velocity, 0.625).unwrap();
        let mut copy = engine.complexes(&arrays[1]).unwrap();
        engine.copy(&x, &mut copy, 1000).unwrap();
        [x, previous, velocity, copy].map(|a| read(engine, &a).unwrap()).concat()
    });
    run.agree_within(PRODUCTS);
    let n = 2 * OBJECT_PIXELS;
    assert_eq!(run.gpu[..n], run.gpu[n..2 * n], "the way goes on from where x is now");
    assert_eq!(run.gpu[3 * n..][..2000], run.gpu[..2000]);
    assert_eq!(run.gpu[3 * n + 2000..], parts(&arrays[1])[2000..]);
}

fn empty_batch(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = plan(&mut rng, 0, WINDOW, OBJECT);
    let before = complexes(&mut rng, OBJECT_PIXELS);
    let batch = gpu.batch(plan).unwrap();
    let mut update = update(gpu, &before, &vec![0.0; OBJECT_PIXELS], 7.0);
    let waves = gpu.complex_zeros(PIXELS).unwrap();
    gpu.object_gradient(&waves, &waves, 1, &batch, true, &mut update).unwrap();
    assert_eq!(read(gpu, &update.numerator).unwrap(), parts(&before));
    assert_eq!(gpu.read_reals(&update.peak).unwrap(), [0.0]);
}
