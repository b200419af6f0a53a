use std::sync::Arc;

use num_complex::Complex64;
use rand::RngExt;
use ronchi::compute::cpu::Cpu;
use ronchi::compute::gpu::Gpu;
use ronchi::compute::{
    Backend, BatchPlan, DetectorLayout, DeviceBlock, Gradients, HostFrames, KernelWork, Likelihood, Model, ModelShape, SampleType, Update,
    Wanted, gradients_of_kernels,
};

use crate::Promise;
use crate::inputs::{Outputs, complexes, frames, random, read, relative_rms, varied};

pub(crate) const PROMISES: &[Promise] = &[
    ("the coarse verb equals the kernels it stands for, and agrees with f64", one_wave),
    ("so it does with several slices and modes, and goes on from sums that are there", several),
];

const OBJECT: [usize; 2] = [150, 171];
const WINDOW: [usize; 2] = [48, 64];
/// 48 windows of 24 KiB are more than 1 MiB.
const BATCH: usize = 48;

struct Input {
    plans: Vec<BatchPlan>,
    shape: ModelShape,
    object: Vec<Complex64>,
    probe_hat: Vec<Complex64>,
    propagator: Vec<Complex64>,
    frames: Arc<HostFrames>,
    layout: DetectorLayout,
    likelihood: Likelihood,
}

fn input(seed: u64, modes: usize, slices: usize, batches: usize, batch: usize) -> Input {
    let mut rng = random(seed);
    let shape = ModelShape { modes, variations: modes - 1, slices, window: WINDOW, object: OBJECT };
    let phases = complexes(&mut rng, shape.pixels());
    let likelihoods = [Likelihood::Amplitude, Likelihood::Poisson { epsilon: 0.3 }, Likelihood::Gaussian { variance: 2.5 }];
    let valid = rng.random_bool(0.5).then(|| (0..shape.pixels()).map(|_| rng.random_range(0..10) > 0).collect());
    Input {
        plans: (0..batches).map(|_| varied(&mut rng, batch, WINDOW, OBJECT, shape.variations)).collect(),
        shape,
        object: complexes(&mut rng, slices * shape.object_pixels()),
        probe_hat: complexes(&mut rng, shape.probe_len()),
        propagator: if slices > 1 { phases.iter().map(|z| z / z.norm()).collect() } else { vec![Complex64::new(1.0, 0.0)] },
        frames: Arc::new(frames(&mut rng, SampleType::U16, WINDOW, batch, 5)),
        layout: DetectorLayout { shape: WINDOW, centre: [23, 33], valid, ..DetectorLayout::default() },
        likelihood: likelihoods[rng.random_range(0..3)],
    }
}

fn one_wave(gpu: &Gpu, seed: u64) {
    check(gpu, &input(seed, 1, 1, 1, BATCH));
}

fn several(gpu: &Gpu, seed: u64) {
    check(gpu, &input(seed, 3, 2, 2, 11));
}

fn check(gpu: &Gpu, input: &Input) {
    let [verbs, kernels] = [true, false].map(|verb| {
        let (gpu, cpu, oracle) = (run(gpu, input, verb), run(&Cpu::<f32>::new(), input, verb), run(&Cpu::<f64>::new(), input, verb));
        let parts = gpu.into_iter().zip(cpu).zip(oracle);
        parts.map(|((gpu, cpu), oracle)| Outputs { gpu, cpu, oracle }).collect::<Vec<_>>()
    });
    // Eight transforms of 2e-7 each at most, the residual, and products: 2e-6, of moments, which cancel, 5e-6 in 150 trials. Where a wave is a
    // part d of its usual size, the amplitude's residual is 1/d times as inexact, and a d occurs with the odds of d²: so do errors beyond
    // the usual, by the square. Ten times what is usual passes in all but one of some thousand trials.
    const BOUND: f64 = 2e-5;
    for (part, (verbs, kernels)) in verbs.iter().zip(&kernels).enumerate() {
        let bounded = |outputs: &Outputs| {
            for (name, values) in [("the GPU", &outputs.gpu), ("Cpu<f32>", &outputs.cpu)] {
                let error = relative_rms(values, &outputs.oracle);
                assert!(error <= BOUND, "part {part} of {:?}: {name} is off by {error:.2e}", input.likelihood);
            }
        };
        bounded(verbs);
        bounded(kernels);
        // In f64 the two ways round differently, but no more.
        let error = relative_rms(&verbs.oracle, &kernels.oracle);
        assert!(error < 1e-13, "part {part}: the verb is off by {error:.2e}");
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
        let wanted = Wanted { probe: true, moments: true, propagator: true, add, add_propagator: add, metrics_only: false };
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
    // Each of a position's moments on its own: their sizes differ.
    let moments = engine.read_reals(&out.moments).unwrap();
    parts.extend((0..shape.moments()).map(|n| moments.iter().skip(n).step_by(shape.moments()).copied().collect()));
    parts
}
