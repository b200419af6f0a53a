use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use ronchi::compute::cpu::Cpu;
use ronchi::compute::gpu::Gpu;
use ronchi::compute::{Backend, BlockSums, DetectorSet, PixelStatistics, SampleType, SparseFrames, Totals};

use crate::Promise;
use crate::inputs::{DTYPES, frames, random, relative_rms};

pub(crate) const PROMISES: &[Promise] = &[
    ("virtual detectors sum integers exactly", integers_are_exact),
    ("virtual detectors sum f32 as f64 does", floats_agree),
    ("sparse frames sum as the dense frames they stand for", sparse_frames),
    ("gathered frames are the frames asked for, in their order", gather),
];

/// Rows of 63 u8 or u16 pixels end within a word.
const SHAPE: [usize; 2] = [48, 63];
/// More than two groups of 64, and more than 1 MiB even of u16.
const FRAMES: usize = 190;

/// Overlapping detectors, and a few bad pixels.
fn detectors(rng: &mut ChaCha8Rng, detectors: usize) -> DetectorSet {
    let mask = (1u64 << detectors) - 1;
    let bits = (0..SHAPE[0] * SHAPE[1])
        .map(|_| if rng.random_range(0..20) == 0 { 0 } else { (rng.random::<u64>() & mask) | DetectorSet::VALID })
        .collect();
    DetectorSet { shape: SHAPE, detectors, bits, second_moments: detectors.is_multiple_of(2), statistics: detectors > 3 }
}

fn sums<B: Backend>(engine: &B, frames: &B::Frames, set: &DetectorSet) -> BlockSums {
    engine.virtual_detectors(frames, &engine.detector_set(set).unwrap()).unwrap()
}

fn integers_are_exact(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    for (dtype, number) in [(SampleType::U8, 63), (SampleType::U16, 6), (SampleType::U32, 5)] {
        let stack = Arc::new(frames(&mut rng, dtype, SHAPE, FRAMES, u32::MAX));
        let set = detectors(&mut rng, number);
        let oracle = Cpu::<f64>::new();
        let expected = sums(&oracle, &oracle.frames(stack.clone()).unwrap(), &set);
        let on_gpu = sums(gpu, &gpu.frames(stack).unwrap(), &set);
        assert!(matches!(on_gpu.pattern, Totals::Integer(_)));
        assert!(on_gpu == expected, "{dtype:?}");
    }
}

fn floats_agree(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let stack = Arc::new(frames(&mut rng, SampleType::F32, SHAPE, FRAMES, 1000));
    let set = detectors(&mut rng, 4);
    let oracle = Cpu::<f64>::new();
    let expected = sums(&oracle, &oracle.frames(stack.clone()).unwrap(), &set);
    let on_gpu = sums(gpu, &gpu.frames(stack).unwrap(), &set);
    // A sum of 3000 pixels in 12 + 8 steps, and one of 64 frames in 64 steps: 6e-8 a step, random in sign.
    let statistics = |sums: &BlockSums| sums.statistics.clone().unwrap();
    let (PixelStatistics { squares, maxima }, of_oracle) = (statistics(&on_gpu), statistics(&expected));
    assert!(maxima == of_oracle.maxima);
    for (a, b) in [(&on_gpu.frames, &expected.frames), (&on_gpu.pattern, &expected.pattern), (&squares, &of_oracle.squares)] {
        let (Totals::Float(a), Totals::Float(b)) = (a, b) else { panic!("sums of f32 are no integers") };
        let error = relative_rms(a, b);
        assert!(error < 1e-6, "off by {error:.2e}");
    }
}

fn sparse_frames(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let mut sparse = SparseFrames { shape: SHAPE, count: FRAMES, offsets: vec![0], pixels: Vec::new(), counts: Vec::new() };
    for frame in 0..FRAMES {
        // Empty frames, full ones, and those between.
        let hits = [0, 1, 3, SHAPE[0] * SHAPE[1]][frame % 4].min(SHAPE[0] * SHAPE[1]);
        for hit in 0..hits {
            let pixel = if hits > 3 { hit } else { hit * 1000 + rng.random_range(0..1000) };
            sparse.pixels.push(pixel as u32);
            sparse.counts.push(rng.random_range(1..1000));
        }
        sparse.offsets.push(sparse.pixels.len() as u32);
    }
    let set = detectors(&mut rng, 5);
    let oracle = Cpu::<f64>::new();
    let expected = sums(&oracle, &oracle.sparse_frames(&sparse).unwrap(), &set);
    assert!(sums(gpu, &gpu.sparse_frames(&sparse).unwrap(), &set) == expected);
}

fn gather(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    for dtype in DTYPES {
        let stack = Arc::new(frames(&mut rng, dtype, SHAPE, FRAMES, 250));
        let slots: Vec<u32> = (0..2 * FRAMES).map(|_| rng.random_range(0..FRAMES as u32)).collect();
        let set = detectors(&mut rng, 2);
        let all = sums(gpu, &gpu.frames(stack.clone()).unwrap(), &set);
        let gathered = gpu.gather(&gpu.frames(stack).unwrap(), &slots).unwrap();
        let some = sums(gpu, &gathered, &set);
        for (n, &slot) in slots.iter().enumerate() {
            for s in 0..set.width() {
                let [a, b] = [n, slot as usize].map(|frame| frame * set.width() + s);
                assert_eq!(some.frames.get(a), all.frames.get(b), "{dtype:?}: frame {n}");
            }
        }
    }
}
