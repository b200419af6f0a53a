use rand::RngExt;
use ronchi::compute::gpu::Gpu;
use ronchi::compute::{Backend, BatchPlan, DetectorLayout, TILE, Update};
use std::sync::Arc;

use crate::Promise;
use crate::inputs::{DTYPES, complexes, engines, frames, parts, plan, random, read};

pub(crate) const PROMISES: &[Promise] = &[
    ("shift_probe agrees with f64", shift_probe),
    ("exit_wave agrees with f64", exit_wave),
    ("probe_gradient agrees with f64", probe_gradient),
    ("modulus agrees with f64 for every type of frame, odd widths, masks and zero waves", modulus),
    ("object_gradient agrees with f64 and leaves untouched tiles alone", object_gradient),
    ("probe_sum agrees with f64", probe_sum),
    ("object_power agrees with f64", object_power),
    ("updates agree with f64, and a peak of 0 changes nothing", updates),
    ("an empty batch changes nothing but the peaks", empty_batch),
];

/// Neither side is a multiple of the tile's.
const OBJECT: [usize; 2] = [150, 171];
const WINDOW: [usize; 2] = [60, 64];
/// 40 windows of 30 KiB are more than 1 MiB.
const BATCH: usize = 40;
/// Calculated amplitudes up to this are empty.
const FLOOR: f64 = 0.3;
const PIXELS: usize = WINDOW[0] * WINDOW[1];

/// A complex product rounds about twice, by 6e-8 at most each time.
const PRODUCTS: f64 = 3e-7;

/// Sums of 40 products in a fixed order: each addition rounds once more.
const SUMS: f64 = 1e-6;

fn shift_probe(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let (plan, probe) = (plan(&mut rng, BATCH, WINDOW, OBJECT), complexes(&mut rng, PIXELS));
    let outputs = engines!(gpu, |engine| {
        let mut out = engine.complex_zeros(BATCH * PIXELS).unwrap();
        engine.shift_probe(&engine.complexes(&probe).unwrap(), &engine.batch(plan.clone()).unwrap(), &mut out).unwrap();
        read(engine, &out).unwrap()
    });
    outputs.agree_within(PRODUCTS);
}

fn exit_wave(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = plan(&mut rng, BATCH, WINDOW, OBJECT);
    let (probes, object) = (complexes(&mut rng, BATCH * PIXELS), complexes(&mut rng, OBJECT[0] * OBJECT[1]));
    let outputs = engines!(gpu, |engine| {
        let (probes, object) = (engine.complexes(&probes).unwrap(), engine.complexes(&object).unwrap());
        let mut out = engine.complex_zeros(BATCH * PIXELS).unwrap();
        engine.exit_wave(&probes, &object, &engine.batch(plan.clone()).unwrap(), &mut out).unwrap();
        read(engine, &out).unwrap()
    });
    outputs.agree_within(PRODUCTS);
}

fn probe_gradient(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = plan(&mut rng, BATCH, WINDOW, OBJECT);
    let (waves, object) = (complexes(&mut rng, BATCH * PIXELS), complexes(&mut rng, OBJECT[0] * OBJECT[1]));
    let outputs = engines!(gpu, |engine| {
        let (waves, object) = (engine.complexes(&waves).unwrap(), engine.complexes(&object).unwrap());
        let mut out = engine.complex_zeros(BATCH * PIXELS).unwrap();
        engine.probe_gradient(&waves, &object, &engine.batch(plan.clone()).unwrap(), &mut out).unwrap();
        read(engine, &out).unwrap()
    });
    outputs.agree_within(PRODUCTS);
}

fn modulus(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    // Rows of 63 u8 or u16 pixels end within a word.
    let shape = [60, 63];
    let pixels = shape[0] * shape[1];
    let plan = plan(&mut rng, BATCH, shape, OBJECT);
    for (dtype, masked) in DTYPES.into_iter().zip([false, true, true, false]) {
        let stack = Arc::new(frames(&mut rng, dtype, shape, BATCH, 3));
        let mut waves = complexes(&mut rng, BATCH * pixels);
        for wave in waves.iter_mut().step_by(7) {
            *wave = Default::default();
        }
        // The rule jumps at the floor: an amplitude that rounds across it is no disagreement, so none lies there.
        for wave in waves.iter_mut().filter(|wave| (wave.norm() - FLOOR).abs() < 1e-3) {
            *wave *= 1.25;
        }
        let valid = masked.then(|| (0..pixels).map(|_| rng.random_range(0..10) > 0).collect());
        let layout = DetectorLayout { shape, centre: [rng.random_range(0..60), rng.random_range(0..63)], valid, floor: FLOOR };
        let run = engines!(gpu, |engine| {
            let mut out = engine.complexes(&waves).unwrap();
            let mut metrics = engine.real_zeros(4 * BATCH).unwrap();
            let (frames, detector) = (engine.frames(stack.clone()).unwrap(), engine.detector(&layout).unwrap());
            engine.modulus(&mut out, &frames, &detector, &engine.batch(plan.clone()).unwrap(), &mut metrics).unwrap();
            let mut all = read(engine, &out).unwrap();
            all.extend(engine.read_reals(&metrics).unwrap());
            all
        });
        let (waves_of, metrics_of) = (|v: &[f64]| v[..2 * BATCH * pixels].to_vec(), |v: &[f64]| v[2 * BATCH * pixels..].to_vec());
        // A square root and two divisions of up to 3 units in the last place each.
        each(&run, waves_of).agree_within(1e-6);
        // Sums of 3780 squares in 15 + 8 partial sums.
        each(&run, metrics_of).agree_within(2e-6);
        assert!(
            run.oracle[2 * BATCH * pixels..].iter().filter(|m| **m == 0.0).count() == 2 * BATCH,
            "half of the patterns are in the batch"
        );
    }
}

/// A part of each engine's output.
fn each(outputs: &crate::inputs::Outputs, part: impl Fn(&[f64]) -> Vec<f64>) -> crate::inputs::Outputs {
    crate::inputs::Outputs { gpu: part(&outputs.gpu), cpu: part(&outputs.cpu), oracle: part(&outputs.oracle) }
}

/// One number of the object a pixel: is it in a touched tile?
fn touched(plan: &BatchPlan) -> Vec<bool> {
    let mut touched = vec![false; OBJECT[0] * OBJECT[1]];
    for origin in &plan.tiles.origins {
        let [row, col] = origin.map(|o| o as usize);
        for y in row..(row + TILE).min(OBJECT[0]) {
            touched[y * OBJECT[1] + col..y * OBJECT[1] + (col + TILE).min(OBJECT[1])].fill(true);
        }
    }
    touched
}

fn object_gradient(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    for batch in [BATCH, 2] {
        let plan = plan(&mut rng, batch, WINDOW, OBJECT);
        let touched = touched(&plan);
        let (waves, probes) = (complexes(&mut rng, BATCH * PIXELS), complexes(&mut rng, BATCH * PIXELS));
        let before = complexes(&mut rng, OBJECT[0] * OBJECT[1]);
        let run = engines!(gpu, |engine| {
            let mut update = Update {
                numerator: engine.complexes(&before).unwrap(),
                denominator: engine.reals(&parts(&before)[..OBJECT[0] * OBJECT[1]]).unwrap(),
                peak: engine.reals(&[7.0]).unwrap(),
            };
            let (waves, probes) = (engine.complexes(&waves).unwrap(), engine.complexes(&probes).unwrap());
            engine.object_gradient(&waves, &probes, &engine.batch(plan.clone()).unwrap(), &mut update).unwrap();
            let mut all = read(engine, &update.numerator).unwrap();
            all.extend(engine.read_reals(&update.denominator).unwrap());
            all.extend(engine.read_reals(&update.peak).unwrap());
            all
        });
        let n = OBJECT[0] * OBJECT[1];
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
    let (plan, gradients) = (plan(&mut rng, BATCH, WINDOW, OBJECT), complexes(&mut rng, BATCH * PIXELS));
    let outputs = engines!(gpu, |engine| {
        let mut out = engine.complexes(&gradients[..PIXELS]).unwrap();
        engine.probe_sum(&engine.complexes(&gradients).unwrap(), &engine.batch(plan.clone()).unwrap(), &mut out).unwrap();
        read(engine, &out).unwrap()
    });
    outputs.agree_within(SUMS);
}

fn object_power(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let (plan, object) = (plan(&mut rng, BATCH, WINDOW, OBJECT), complexes(&mut rng, OBJECT[0] * OBJECT[1]));
    let outputs = engines!(gpu, |engine| {
        let (mut out, mut peak) = (engine.real_zeros(PIXELS).unwrap(), engine.real_zeros(1).unwrap());
        engine.object_power(&engine.complexes(&object).unwrap(), &engine.batch(plan.clone()).unwrap(), &mut out, &mut peak).unwrap();
        [engine.read_reals(&out).unwrap(), engine.read_reals(&peak).unwrap()].concat()
    });
    outputs.agree_within(SUMS);
}

fn updates(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = plan(&mut rng, 3, WINDOW, OBJECT);
    let (object, numerator) = (complexes(&mut rng, OBJECT[0] * OBJECT[1]), complexes(&mut rng, OBJECT[0] * OBJECT[1]));
    for peak in [3.7f32, 0.0] {
        let outputs = engines!(gpu, |engine| {
            let update = Update {
                numerator: engine.complexes(&numerator).unwrap(),
                denominator: engine.real_zeros(1).unwrap(),
                peak: engine.reals(&[peak.into()]).unwrap(),
            };
            let (mut object, mut probe) = (engine.complexes(&object).unwrap(), engine.complexes(&object[..PIXELS]).unwrap());
            engine.update_object(&mut object, &update, 0.75, &engine.batch(plan.clone()).unwrap()).unwrap();
            engine.update_probe(&mut probe, &update, 0.75).unwrap();
            [read(engine, &object).unwrap(), read(engine, &probe).unwrap()].concat()
        });
        outputs.agree_within(PRODUCTS);
        if peak == 0.0 {
            assert_eq!(outputs.gpu, [parts(&object), parts(&object[..PIXELS])].concat());
        }
    }
}

fn empty_batch(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = plan(&mut rng, 0, WINDOW, OBJECT);
    let before = complexes(&mut rng, OBJECT[0] * OBJECT[1]);
    let batch = gpu.batch(plan).unwrap();
    let mut update = Update {
        numerator: gpu.complexes(&before).unwrap(),
        denominator: gpu.real_zeros(before.len()).unwrap(),
        peak: gpu.reals(&[7.0]).unwrap(),
    };
    let waves = gpu.complex_zeros(PIXELS).unwrap();
    gpu.object_gradient(&waves, &waves, &batch, &mut update).unwrap();
    assert_eq!(read(gpu, &update.numerator).unwrap(), parts(&before));
    assert_eq!(gpu.read_reals(&update.peak).unwrap(), [0.0]);
}
