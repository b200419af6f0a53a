use std::sync::Arc;

use num_complex::Complex64;
use ronchi::compute::gpu::Gpu;
use ronchi::compute::{
    Backend, BatchPlan, DetectorLayout, DeviceBlock, HostFrames, Likelihood, Model, SampleType, Update, Waves, accumulate_probe_of_kernels,
    wave_gradient_of_kernels,
};

use crate::Promise;
use crate::inputs::{complexes, engines, frames, plan, random, read};

pub(crate) const PROMISES: &[Promise] = &[("the coarse verbs equal the kernels they stand for, and agree with f64", verbs)];

const OBJECT: [usize; 2] = [150, 171];
const WINDOW: [usize; 2] = [48, 64];
/// 48 windows of 24 KiB are more than 1 MiB.
const BATCH: usize = 48;
const PIXELS: usize = WINDOW[0] * WINDOW[1];

struct Input {
    plan: BatchPlan,
    object: Vec<Complex64>,
    probe_hat: Vec<Complex64>,
    frames: Arc<HostFrames>,
    layout: DetectorLayout,
}

fn verbs(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let input = Input {
        plan: plan(&mut rng, BATCH, WINDOW, OBJECT),
        object: complexes(&mut rng, OBJECT[0] * OBJECT[1]),
        probe_hat: complexes(&mut rng, PIXELS),
        frames: Arc::new(frames(&mut rng, SampleType::U16, WINDOW, BATCH, 5)),
        layout: DetectorLayout { shape: WINDOW, centre: [23, 33], valid: None, floor: 0.0 },
    };
    let verbs = engines!(gpu, |engine| run(engine, &input, true));
    let kernels = engines!(gpu, |engine| run(engine, &input, false));
    // Three transforms of 2e-7 each, the modulus, and products; what the batch adds up is smaller than the sum of its errors.
    const BOUND: f64 = 2e-6;
    verbs.agree_within(BOUND);
    kernels.agree_within(BOUND);
    // In f64 the two ways round differently, but no more.
    let error = crate::inputs::relative_rms(&verbs.oracle, &kernels.oracle);
    assert!(error < 1e-14, "the verbs are off by {error:.2e}");
}

/// Everything that a batch leaves behind.
fn run<B: Backend>(engine: &B, input: &Input, verbs: bool) -> Vec<f64> {
    let batch = engine.batch(input.plan.clone()).unwrap();
    let block = DeviceBlock { ids: input.plan.ids.clone(), frames: engine.frames(input.frames.clone()).unwrap() };
    let model = Model {
        object: engine.complexes(&input.object).unwrap(),
        object_shape: OBJECT,
        probe_hat: engine.complexes(&input.probe_hat).unwrap(),
        window: WINDOW,
        detector: engine.detector(&input.layout).unwrap(),
    };
    let zeros = |len| engine.complex_zeros(len).unwrap();
    let mut work = Waves { probes: zeros(BATCH * PIXELS), waves: zeros(BATCH * PIXELS) };
    let mut metrics = engine.real_zeros(4 * BATCH).unwrap();
    let update = |len| Update { numerator: zeros(len), denominator: engine.real_zeros(len).unwrap(), peak: engine.real_zeros(1).unwrap() };
    let (mut to_object, mut to_probe) = (update(OBJECT[0] * OBJECT[1]), update(PIXELS));
    let gradient = if verbs { B::wave_gradient } else { wave_gradient_of_kernels };
    gradient(engine, &batch, &block, &model, Likelihood::Amplitude, &mut work, &mut metrics).unwrap();
    let mut all = [read(engine, &work.waves).unwrap(), read(engine, &work.probes).unwrap()].concat();
    engine.accumulate_object(&batch, &work, &mut to_object).unwrap();
    let accumulate_probe = if verbs { B::accumulate_probe } else { accumulate_probe_of_kernels };
    accumulate_probe(engine, &batch, &model, &mut work, &mut to_probe).unwrap();
    for update in [&to_object, &to_probe] {
        all.extend(read(engine, &update.numerator).unwrap());
        all.extend(engine.read_reals(&update.denominator).unwrap());
        all.extend(engine.read_reals(&update.peak).unwrap());
    }
    all.extend(engine.read_reals(&metrics).unwrap());
    all
}
