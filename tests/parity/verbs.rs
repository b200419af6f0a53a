use std::sync::Arc;

use num_complex::Complex64;
use rand::RngExt;
use ronchi::compute::cpu::Cpu;
use ronchi::compute::gpu::Gpu;
use ronchi::compute::{
    Backend, BatchPlan, DetectorLayout, DeviceBlock, Exposure, Gradients, HostFrames, KernelWork, Likelihood, Model, ModelShape, Sensor,
    Spread, Update, Wanted, WavePair, diffract_of_kernels, gradients_of_kernels,
};

use crate::inputs::{DTYPES, Outputs, complexes, engines, frames, random, read, relative_rms, tilted, varied};
use crate::{LOW, Promise, common};

pub(crate) const PROMISES: &[Promise] = &[
    ("the coarse verb equals the kernels it stands for, and agrees with f64", one_wave),
    ("so it does with several slices and modes, and goes on from sums that are there", several),
    ("so it does for windows, modes, slices and variations of all kinds", every_kind),
    ("so it does whatever is wanted of it", whatever_is_wanted),
    ("so it does where pixels are parts of the detector's and blurred", spread),
    ("the verb of simulations equals the kernels it stands for, and agrees with f64", diffraction),
    ("what the coarse verb leaves does not depend on the limits, to the last bit", limits_change_nothing),
];

const OBJECT: [usize; 2] = [150, 171];
const WINDOW: [usize; 2] = [48, 64];
/// 48 windows of 24 KiB are more than 1 MiB.
const BATCH: usize = 48;

const ALL: Wanted =
    Wanted { probe: true, moments: true, propagator: true, tilts: true, add: false, add_propagator: false, metrics_only: false };

struct Input {
    plans: Vec<BatchPlan>,
    shape: ModelShape,
    object: Vec<Complex64>,
    probe_hat: Vec<Complex64>,
    propagator: Vec<Complex64>,
    frames: Arc<HostFrames>,
    layout: DetectorLayout,
    likelihood: Likelihood,
    /// Of the first batch; the others add to it.
    wanted: Wanted,
}

/// Of so many batches of so many positions.
fn input(seed: u64, shape: ModelShape, spread: Spread, wanted: Wanted, batches: usize, batch: usize) -> Input {
    let mut rng = random(seed);
    let frame = shape.window.map(|n| n / spread.upsample);
    let phases = complexes(&mut rng, shape.pixels());
    let likelihoods = [Likelihood::Amplitude, Likelihood::Poisson { epsilon: 0.3 }, Likelihood::Gaussian { variance: 2.5 }];
    let valid = rng.random_bool(0.5).then(|| (0..frame[0] * frame[1]).map(|_| rng.random_range(0..10) > 0).collect());
    Input {
        plans: (0..batches)
            .map(|_| {
                let plan = varied(&mut rng, batch, shape.window, shape.object, shape.variations);
                if rng.random_bool(0.5) { tilted(&mut rng, plan) } else { plan }
            })
            .collect(),
        shape,
        object: complexes(&mut rng, shape.slices * shape.object_pixels()),
        probe_hat: complexes(&mut rng, shape.probe_len()),
        propagator: if shape.slices > 1 { phases.iter().map(|z| z / z.norm()).collect() } else { vec![Complex64::new(1.0, 0.0)] },
        frames: Arc::new(frames(&mut rng, DTYPES[(seed % 4) as usize], frame, batch, 5)),
        layout: DetectorLayout { shape: frame, centre: shape.window.map(|n| rng.random_range(0..n)), valid, spread },
        likelihood: likelihoods[rng.random_range(0..3)],
        wanted,
    }
}

/// A model in an object that is larger than the window by less than two tiles.
fn model(window: [usize; 2], modes: usize, slices: usize, variations: usize) -> ModelShape {
    ModelShape { modes, variations, slices, window, object: [window[0] + 19, window[1] + 26] }
}

fn one_wave(gpu: &Gpu, seed: u64) {
    let shape = ModelShape { modes: 1, variations: 0, slices: 1, window: WINDOW, object: OBJECT };
    check(gpu, &input(seed, shape, Spread::default(), ALL, 1, BATCH));
}

fn several(gpu: &Gpu, seed: u64) {
    let shape = ModelShape { modes: 3, variations: 2, slices: 2, window: WINDOW, object: OBJECT };
    check(gpu, &input(seed, shape, Spread::default(), ALL, 2, 11));
}

fn every_kind(gpu: &Gpu, seed: u64) {
    // In workgroups of 32 KiB the spectra of seven modes stay there where columns have 24 points, those of columns of 60 and 128 do not, and rows of 1024 points
    // do not fit at all.
    let kinds = [
        ([16, 16], 1, 1, 2),
        ([16, 16], 7, 3, 0),
        ([24, 20], 7, 1, 2),
        ([21, 45], 3, 3, 2),
        ([60, 36], 7, 3, 2),
        ([36, 60], 1, 3, 0),
        ([128, 128], 7, 1, 0),
        ([128, 128], 3, 1, 0),
        ([16, 1024], 2, 1, 0),
    ];
    for (n, (window, modes, slices, variations)) in kinds.into_iter().enumerate() {
        let shape = model(window, modes, slices, variations);
        let batch = if shape.pixels() > 5000 { 3 } else { 19 };
        let wanted = Wanted { moments: false, propagator: false, ..ALL };
        check(gpu, &input(seed.wrapping_add(n as u64), shape, Spread::default(), wanted, 2, batch));
    }
}

fn whatever_is_wanted(gpu: &Gpu, seed: u64) {
    for n in 0..32u64 {
        let [metrics_only, probe, moments, propagator, two] = [0, 1, 2, 3, 4].map(|bit| n >> bit & 1 == 1);
        let tilts = n.count_ones() % 2 == 1;
        let wanted = Wanted { metrics_only, probe, moments, propagator, tilts, ..Wanted::default() };
        let shape = model([20, 18], if two { 2 } else { 3 }, 2, 0);
        check(gpu, &input(seed.wrapping_add(n), shape, Spread::default(), wanted, 2, 10));
    }
}

fn spread(gpu: &Gpu, seed: u64) {
    for (n, spread) in [Spread { upsample: 2, blur_px: 0.0 }, Spread { upsample: 1, blur_px: 0.8 }].into_iter().enumerate() {
        check(gpu, &input(seed.wrapping_add(n as u64), model([32, 36], 3, 2, 0), spread, ALL, 2, 9));
    }
}

fn diffraction(gpu: &Gpu, seed: u64) {
    let kinds = [([48, 64], 1, 3), ([60, 36], 2, 2), ([16, 16], 3, 1), ([16, 1024], 1, 2), ([64, 80], 1, 4)];
    for (n, (window, modes, slices)) in kinds.into_iter().enumerate() {
        let input = input(seed.wrapping_add(n as u64), model(window, modes, slices, 0), Spread::default(), ALL, 1, 9);
        // The verb knows no tilts of single positions.
        let plan = BatchPlan { tilts: [Vec::new(), Vec::new()], ..input.plans[0].clone() };
        let frame = [window[0] / 2 - 2, window[1] / 2 - 2];
        let outputs = [true, false].map(|verb| {
            engines!(gpu, |engine| {
                let shape = input.shape;
                let model = Model {
                    shape,
                    object: input.object.chunks_exact(shape.object_pixels()).map(|slice| engine.complexes(slice).unwrap()).collect(),
                    probe_hat: engine.complexes(&input.probe_hat).unwrap(),
                    propagator: engine.complexes(&input.propagator).unwrap(),
                    detector: engine.detector(&input.layout).unwrap(),
                    floor: 0.0,
                };
                let sensor = Sensor { frame, step: 2, taps: engine.reals(&[1.0, 0.5]).unwrap() };
                let batch = engine.batch(plan.clone()).unwrap();
                let len = plan.len() * shape.modes * shape.pixels();
                let mut out = engine.real_zeros(plan.len() * frame[0] * frame[1]).unwrap();
                let exposure = Exposure { weight: 1.5, fresh: false };
                if verb {
                    let mut passage = engine.passage(&model, &sensor, plan.len()).unwrap();
                    engine.diffract(&batch, &model, &sensor, exposure, &mut passage, &mut out).unwrap();
                } else {
                    let mut waves = WavePair::new(engine, len).unwrap();
                    diffract_of_kernels(engine, &batch, &model, &sensor, exposure, &mut waves, &mut out).unwrap();
                }
                engine.read_reals(&out).unwrap()
            })
        });
        let [verb, kernels] = outputs;
        // Eight transforms of 2e-7 each, and a square.
        kernels.agree_within(4e-6);
        assert!(relative_rms(&verb.gpu, &verb.oracle) < 4e-6, "the GPU");
        // The CPU engine's verb keeps slices with 16 bits a part: 1e-5 of a number each, twice in its square.
        assert!(relative_rms(&verb.cpu, &verb.oracle) < 3e-5 * (slices as f64).sqrt(), "Cpu<f32>");
        assert!(relative_rms(&verb.oracle, &kernels.oracle) < 1e-13, "the verb is not what it stands for");
    }
}

fn limits_change_nothing(gpu: &Gpu, seed: u64) {
    // Pieces of the arrays end within the groups of positions that are added up together.
    let other = common::gpu(Some(LOW / 3)).unwrap();
    for modes in [1, 3] {
        let shape = ModelShape { modes, variations: modes - 1, slices: 2, window: [48, 60], object: [150, 171] };
        let wanted = Wanted { moments: modes == 3, propagator: modes == 3, ..ALL };
        let input = input(seed, shape, Spread::default(), wanted, 2, 45);
        assert!(run(gpu, &input, true) == run(&other, &input, true), "{modes} modes");
    }
}

fn check(gpu: &Gpu, input: &Input) {
    let [verbs, kernels] = [true, false].map(|verb| {
        let (gpu, cpu, oracle) = (run(gpu, input, verb), run(&Cpu::<f32>::new(), input, verb), run(&Cpu::<f64>::new(), input, verb));
        let parts = gpu.into_iter().zip(cpu).zip(oracle);
        parts.map(|((gpu, cpu), oracle)| Outputs { gpu, cpu, oracle }).collect::<Vec<_>>()
    });
    // Eight transforms of 2e-7 each at most, the residual, and products: 2e-6, of moments, which cancel, 5e-6 in 150 trials. Where the amplitude of all modes
    // together is a part d of its usual size, its residual is 1/d times as inexact. Of one mode a d occurs with the odds of d², and so do errors 1/d times the
    // usual: five hundred times what is usual passes in all but one of some hundred thousand trials. Of several modes d⁴ or less is the odds.
    let [bound, rounding] = if input.shape.modes == 1 && input.likelihood == Likelihood::Amplitude { [1e-3, 1e-12] } else { [2e-5, 1e-13] };
    for (part, (verbs, kernels)) in verbs.iter().zip(&kernels).enumerate() {
        let bounded = |outputs: &Outputs| {
            for (name, values) in [("the GPU", &outputs.gpu), ("Cpu<f32>", &outputs.cpu)] {
                let error = relative_rms(values, &outputs.oracle);
                assert!(error <= bound, "part {part} of {:?}: {name} is off by {error:.2e}", input.likelihood);
            }
        };
        bounded(verbs);
        bounded(kernels);
        // In f64 the two ways round differently, but no more.
        let error = relative_rms(&verbs.oracle, &kernels.oracle);
        assert!(error < rounding, "part {part}: the verb is off by {error:.2e}");
    }
}

/// Everything that the batches leave behind, part by part.
fn run<B: Backend>(engine: &B, input: &Input, verb: bool) -> Vec<Vec<f64>> {
    let shape = input.shape;
    let batch = input.plans[0].len();
    let model = Model {
        shape,
        object: input.object.chunks(shape.object_pixels()).map(|slice| engine.complexes(slice).unwrap()).collect(),
        probe_hat: engine.complexes(&input.probe_hat).unwrap(),
        propagator: engine.complexes(&input.propagator).unwrap(),
        detector: engine.detector(&input.layout).unwrap(),
        floor: 0.0,
    };
    let mut out = Gradients::zeros(engine, &shape, 2 * batch).unwrap();
    for (n, plan) in input.plans.iter().enumerate() {
        let block = DeviceBlock { ids: plan.ids.clone(), frames: engine.frames(input.frames.clone()).unwrap() };
        let device = engine.batch(plan.clone()).unwrap();
        let add = n > 0;
        let wanted = Wanted { add, add_propagator: add, ..input.wanted };
        if verb {
            let mut work = engine.work(&shape, batch).unwrap();
            engine.gradients(&device, &block, &model, input.likelihood, wanted, &mut work, &mut out).unwrap();
        } else {
            let mut work = KernelWork::new(engine, &shape, batch).unwrap();
            gradients_of_kernels(engine, &device, &block, &model, input.likelihood, wanted, &mut work, &mut out).unwrap();
        }
    }
    let mut parts = Vec::new();
    let mut update = |update: &Update<B>| {
        parts.push(read(engine, &update.numerator).unwrap());
        parts.push(engine.read_reals(&update.denominator).unwrap());
    };
    out.object.iter().for_each(&mut update);
    update(&out.probe);
    if shape.slices > 1 {
        update(&out.propagator);
    }
    let peaks = out.object.iter().chain([&out.probe]).flat_map(|update| engine.read_reals(&update.peak).unwrap()).collect();
    parts.push(peaks);
    parts.push(engine.read_reals(&out.metrics).unwrap());
    if shape.slices > 1 {
        parts.push(engine.read_reals(&out.tilts).unwrap());
    }
    // Each of a position's moments on its own: their sizes differ.
    let moments = engine.read_reals(&out.moments).unwrap();
    parts.extend((0..shape.moments()).map(|n| moments.iter().skip(n).step_by(shape.moments()).copied().collect()));
    parts
}
