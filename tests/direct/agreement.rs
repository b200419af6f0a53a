//! The same numbers from both engines, dense and sparse, in whatever memory.

use std::sync::Arc;

use rand::Rng;
use ronchi::compute::cpu::Cpu;
use ronchi::compute::{Backend, HostFrames, Patterns, SampleType, SparseFrames};
use ronchi::imaging::{Direct, DirectPlan, Error, Method, direct};
use ronchi::run::Event;
use ronchi::stream;

use crate::memory::{Memory, frames, fresh, listened, poisson, told};
use crate::weak::Weak;

/// A scan of a few electrons a pixel.
fn counts(weak: &Weak, electrons: f64, rng: &mut impl Rng) -> HostFrames {
    let values: Vec<f64> = weak.patterns().concat().iter().map(|i| poisson(electrons * i, rng)).collect();
    frames(SampleType::U16, [weak.side; 2], &values)
}

fn all(weak: &Weak) -> DirectPlan {
    let mut plan = weak.plan();
    plan.methods = Method::ALL.to_vec();
    // Not in focus: there parallax's sign hangs on the fitted astigmatism alone, and a last bit may turn it.
    plan.sweep = Some([-50.0, 50.0, 100.0]);
    plan.fit = true;
    plan
}

fn made<B: Backend>(backend: &B, patterns: &dyn Patterns<B>, plan: &DirectPlan) -> Direct {
    listened(0, |run| direct(run, backend, patterns, plan).unwrap()).0
}

fn weak(rng: &mut impl Rng) -> Weak {
    let mut weak = Weak::new([18, 20], 1.2, rng).with_waves(30, 0.1, rng);
    weak.defocus = 60.0;
    weak
}

#[test]
fn images_do_not_depend_on_memory_blocks_or_threads() {
    let mut rng = fresh();
    let weak = weak(&mut rng);
    let frames = counts(&weak, 300.0, &mut rng);
    let engine = Cpu::<f32>::new();
    let mut plan = all(&weak);
    let whole = made(&engine, &Memory::new(&engine, frames.clone(), 512), &plan);
    // 20 KiB hold the spectra of 16 pixels.
    plan.memory_limit_bytes = 20_000;
    let parts = made(&engine, &Memory::new(&engine, frames.clone(), 64), &plan);
    assert!(whole == parts);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert!(whole == one.install(|| made(&engine, &Memory::new(&engine, frames, 128), &plan)));
}

#[test]
fn sparse_frames_make_the_images_of_the_dense_frames_they_stand_for() {
    let mut rng = fresh();
    let weak = weak(&mut rng);
    let dense = counts(&weak, 40.0, &mut rng);
    let mut sparse = SparseFrames { shape: dense.shape, count: dense.count, offsets: vec![0], pixels: Vec::new(), counts: Vec::new() };
    for f in 0..dense.count {
        for (p, bytes) in dense.frame_bytes(f).chunks_exact(2).enumerate() {
            let count = u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
            if count > 0 {
                sparse.pixels.push(p as u32);
                sparse.counts.push(count);
            }
        }
        sparse.offsets.push(sparse.pixels.len() as u32);
    }
    let engine = Arc::new(Cpu::<f32>::new());
    let plan = all(&weak);
    let from_dense = made(&*engine, &stream::Memory::new(engine.clone(), Arc::new(dense)).unwrap(), &plan);
    let from_sparse = made(&*engine, &stream::Memory::sparse(engine.clone(), &sparse).unwrap(), &plan);
    assert!(from_dense == from_sparse);
}

/// ‖a − b‖ ∕ ‖b‖
fn difference(a: &[f64], b: &[f64]) -> f64 {
    let square = |x: f64| x * x;
    (a.iter().zip(b).map(|(a, b)| square(a - b)).sum::<f64>() / b.iter().map(|b| square(*b)).sum::<f64>()).sqrt()
}

fn agree(a: &Direct, b: &Direct, bound: f64) {
    for (x, y) in a.images.iter().zip(&b.images) {
        let error = difference(&x.values, &y.values);
        println!("{:?}: {error:.1e}", x.method);
        assert!(error < bound, "{:?} is off by {error:.1e}", x.method);
        let (x, y) = (x.sweep.as_ref().unwrap(), y.sweep.as_ref().unwrap());
        assert!(difference(&x.values, &y.values) < bound && difference(&x.sharpness, &y.sharpness) < bound);
    }
    let (a, b) = (a.fit.unwrap(), b.fit.unwrap());
    assert!((a.defocus_A - b.defocus_A).abs() < 1e-2 && (a.C12_A - b.C12_A).abs() < 1e-2, "{a:?} {b:?}");
}

#[test]
fn single_and_double_precision_and_the_gpu_make_the_same_images() {
    let mut rng = fresh();
    let weak = weak(&mut rng);
    let frames = counts(&weak, 300.0, &mut rng);
    let plan = all(&weak);
    let oracle = Cpu::<f64>::new();
    let expected = made(&oracle, &Memory::new(&oracle, frames.clone(), 64), &plan);
    let engine = Cpu::<f32>::new();
    // Phases of f32 are right to a few 1e-7; sums of 300 pixels with cancelling signs lose two digits of it.
    agree(&made(&engine, &Memory::new(&engine, frames.clone(), 64), &plan), &expected, 1e-4);
    match crate::common::gpu(None) {
        Ok(gpu) => agree(&made(&gpu, &Memory::new(&gpu, frames, 64), &plan), &expected, 1e-4),
        Err(reason) if crate::common::gpu_is_required() => panic!("{reason}"),
        Err(reason) => println!("not on a GPU: {reason}"),
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_key_and_what_is_cut_is_told() {
    let mut rng = fresh();
    let weak = weak(&mut rng);
    let engine = Cpu::<f32>::new();
    let patterns = Memory::new(&engine, counts(&weak, 10.0, &mut rng), 64);
    let refused = |change: &dyn Fn(&mut DirectPlan)| {
        let mut plan = weak.plan();
        plan.methods = vec![Method::Ssb];
        change(&mut plan);
        listened(0, |run| direct(run, &engine, &patterns, &plan)).0.unwrap_err()
    };
    assert!(matches!(refused(&|p: &mut DirectPlan| p.scan.shape = [3, 5]), Error::ScanShape { .. }));
    let line = refused(&|p: &mut DirectPlan| p.scan.shape = [1, 360]);
    assert!(line.to_string().contains("at least 2×2 scan positions, this scan has 1×360"), "{line}");
    for (change, key) in [
        ((&|p: &mut DirectPlan| p.voltage_kV = -1.0) as &dyn Fn(&mut DirectPlan), "optics.voltage_kV"),
        (&|p: &mut DirectPlan| p.convergence_mrad = f64::NAN, "optics.convergence_mrad"),
        (&|p: &mut DirectPlan| p.mrad_per_px = [1.0, 0.0], "detector.mrad_per_px"),
        (&|p: &mut DirectPlan| p.scan.step_A = [0.0, 1.0], "scan.step_A"),
        (&|p: &mut DirectPlan| p.upsample = 0, "images.upsample"),
        (&|p: &mut DirectPlan| p.sweep = Some([3.0, 1.0, 1.0]), "images.defocus_sweep_A"),
        (&|p: &mut DirectPlan| p.wdd_epsilon = 0.0, "images.wdd_epsilon"),
    ] {
        let error = refused(change);
        assert!(error.to_string().contains(key) && error.exit_code() == 2, "{error}");
    }
    assert!(matches!(refused(&|p: &mut DirectPlan| p.centre_px = [300.0, 300.0]), Error::NoBrightField { .. }));
    let mut plan = weak.plan();
    plan.methods = vec![Method::Ssb];
    plan.centre_px[0] = 3.0;
    let (_, events): (_, Vec<Event>) = listened(0, |run| direct(run, &engine, &patterns, &plan).unwrap());
    assert!(told(&events).iter().any(|t| t.contains("of the bright-field disk")), "{events:?}");
}
