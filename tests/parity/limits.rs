use ronchi::compute::gpu::{Gpu, GpuOptions, Selection, Watch, adapters};
use ronchi::compute::{Backend, DetectorLayout, DetectorSet, Direction, Error, Likelihood, SampleType, Update};
use std::sync::Arc;

use crate::inputs::{complexes, frames, parts, plan, random, read};
use crate::{LOW, Promise, common};

pub(crate) const PROMISES: &[Promise] = &[
    ("arrays come back as they were put in", arrays_come_back),
    ("results do not depend on the limits, to the last bit", limits_change_nothing),
    ("an object beyond one binding is refused with its size", large_objects_are_refused),
    ("a device that is not there is refused with those that are", unknown_devices_are_refused),
    ("a lost device is an error that says so, not a panic", lost_devices_are_errors),
    ("a device that is watched computes the same, and every launch is counted and timed", watched),
    ("a software renderer is used only when it is named", software_is_named),
];

fn arrays_come_back(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    for len in [0, 1, 131_072, 131_073, 300_001] {
        let values = complexes(&mut rng, len);
        assert_eq!(gpu.read_complexes(&gpu.complexes(&values).unwrap()).unwrap(), values);
        assert_eq!(gpu.read_reals(&gpu.reals(&parts(&values)).unwrap()).unwrap(), parts(&values));
    }
    assert!(gpu.read_reals(&gpu.real_zeros(1000).unwrap()).unwrap().iter().all(|&x| x == 0.0));
}

fn limits_change_nothing(gpu: &Gpu, seed: u64) {
    let other = common::gpu(Some(LOW / 3)).unwrap();
    assert!(run(gpu, seed) == run(&other, seed));
}

/// A batch and a block of frames through the kernels that add up.
fn run(gpu: &Gpu, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let mut rng = random(seed);
    let (window, object_shape, len) = ([60, 63], [150, 171], 40);
    let pixels = window[0] * window[1];
    let batch = gpu.batch(plan(&mut rng, len, window, object_shape)).unwrap();
    let waves = complexes(&mut rng, len * pixels);
    let (mut waves, probes) = (gpu.complexes(&waves).unwrap(), gpu.complexes(&waves).unwrap());
    let stack = gpu.frames(Arc::new(frames(&mut rng, SampleType::F32, window, 150, 4))).unwrap();
    let detector = gpu.detector(&DetectorLayout { shape: window, centre: [3, 4], valid: None, ..DetectorLayout::default() }).unwrap();
    let mut metrics = gpu.real_zeros(4 * len).unwrap();
    gpu.residual(&mut waves, 1, &stack, &detector, Likelihood::Amplitude, 0.0, &batch, &mut metrics).unwrap();
    let object = object_shape[0] * object_shape[1];
    let mut update = Update::zeros(gpu, object, object).unwrap();
    gpu.object_gradient(&waves, &probes, 1, &batch, true, &mut update).unwrap();
    let mut probe = gpu.complex_zeros(pixels).unwrap();
    gpu.probe_sum(&waves, 1, &batch, true, &mut probe).unwrap();
    let mut all = [read(gpu, &update.numerator).unwrap(), read(gpu, &probe).unwrap()].concat();
    all.extend(gpu.read_reals(&update.denominator).unwrap());
    all.extend(gpu.read_reals(&metrics).unwrap());
    let set =
        DetectorSet { detectors: 1, bits: vec![DetectorSet::VALID | 1; pixels], statistics: true, ..DetectorSet::sums_only(window, None) };
    let sums = gpu.virtual_detectors(&stack, &gpu.detector_set(&set).unwrap()).unwrap();
    let totals = (0..sums.frames.len()).map(|n| sums.frames.get(n)).chain((0..pixels).map(|p| sums.pattern.get(p)));
    (all, totals.collect())
}

fn large_objects_are_refused(_gpu: &Gpu, seed: u64) {
    let gpu = common::gpu(Some(LOW)).unwrap();
    let object_shape = [400, 400];
    let batch = gpu.batch(plan(&mut random(seed), 1, [16, 16], object_shape)).unwrap();
    let object = gpu.complex_zeros(400 * 400).unwrap();
    let probes = gpu.complex_zeros(256).unwrap();
    let mut out = gpu.complex_zeros(256).unwrap();
    let refused = gpu.exit_wave(&probes, &object, 1, &batch, &mut out);
    assert!(matches!(refused, Err(Error::TooLarge { needed_bytes: 1_280_000, limit_bytes: LOW, .. })));
}

fn unknown_devices_are_refused(_gpu: &Gpu, _seed: u64) {
    for selection in [Selection::Named("abacus".into()), Selection::Nth(99)] {
        match Gpu::new(&selection, &GpuOptions::default()) {
            Err(Error::NoSuchDevice { available, .. }) => assert!(available.contains(&adapters()[0].name) && available.ends_with("cpu")),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("{selection:?} was opened"),
        }
    }
}

fn software_is_named(_gpu: &Gpu, _seed: u64) {
    let found = adapters();
    let first = Gpu::new(&Selection::First, &GpuOptions::default());
    match found.iter().find(|a| !a.is_software) {
        Some(real) => assert_eq!(first.unwrap().device_name(), real.name),
        None => assert!(matches!(first, Err(Error::NoSuchDevice { .. }))),
    }
    for adapter in found {
        let name = adapter.name.to_uppercase();
        let named = Gpu::new(&Selection::Named(name), &GpuOptions::default()).unwrap();
        assert_eq!(named.device_name().to_lowercase(), adapter.name.to_lowercase());
    }
}

fn watched(gpu: &Gpu, seed: u64) {
    let name = gpu.device_name();
    let watched = Gpu::new(&Selection::Named(name), &GpuOptions { profile: true, ..GpuOptions::default() }).unwrap();
    let values = complexes(&mut random(seed), 500);
    let work = |gpu: &Gpu, times: usize| {
        let (x, mut out) = (gpu.complexes(&values).unwrap(), gpu.complexes(&values).unwrap());
        for _ in 0..times {
            gpu.combine(&mut out, 0.5, (&x, 0.3), (&x, -0.1), 500).unwrap();
        }
        let mut copy = gpu.complex_zeros(500).unwrap();
        gpu.copy(&out, &mut copy, 500).unwrap();
        gpu.fft2(&mut copy, [20, 25], 1, Direction::Forward).unwrap();
        gpu.read_complexes(&copy).unwrap()
    };
    // Beyond the time stamps that are kept at once.
    let (few, many) = (3, 2500);
    let expected = [work(gpu, few), work(gpu, many)];
    assert!(work(&watched, few) == expected[0]);
    assert_eq!(watched.seen().launches, 0, "nothing is kept unasked");

    watched.watch(Watch::Counts).unwrap();
    assert!(work(&watched, few) == expected[0]);
    watched.watch(Watch::Kernels).unwrap();
    assert!(work(&watched, many) == expected[1]);
    watched.watch(Watch::Nothing).unwrap();
    work(&watched, few);
    let seen = watched.seen();
    assert!(seen.launches > few as u64 && seen.submissions > 0, "{seen:?}");
    assert_eq!(seen.copies, 1);
    if let Some(memory) = seen.memory {
        assert!(memory.allocated >= 3 * 4000 && memory.reserved >= memory.allocated, "{memory:?}");
    }
    let timed = seen.kernels.get("combine").map(|time| time.launches);
    assert_eq!(timed, watched.has_clock().then_some(many as u64));
    assert!(seen.kernels.values().all(|time| time.seconds >= 0.0 && time.seconds < 60.0), "{:?}", seen.kernels);
    assert!(!gpu.has_clock(), "nobody asked for it");

    watched.watch(Watch::Counts).unwrap();
    assert_eq!(watched.seen().kernels.len(), 0, "it begins anew");
}

fn lost_devices_are_errors(_gpu: &Gpu, seed: u64) {
    let gpu = common::gpu(None).unwrap();
    let mut x = gpu.complexes(&complexes(&mut random(seed), 256)).unwrap();
    gpu.fft2(&mut x, [16, 16], 1, Direction::Forward).unwrap();
    gpu.destroy();
    let lost = |error| match error {
        Err(Error::DeviceLost { kernel, .. }) => assert_eq!(kernel, "fft2"),
        Err(error) => panic!("{error}"),
        Ok(()) => panic!("it goes on"),
    };
    lost(gpu.finish());
    lost(gpu.fft2(&mut x, [16, 16], 1, Direction::Forward));
    lost(gpu.read_complexes(&x).map(drop));
    lost(gpu.complex_zeros(7).map(drop));
}
