//! Random inputs, and the comparison of three engines.

use std::collections::BTreeMap;

use num_complex::{Complex32, Complex64};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ronchi::compute::{Backend, BatchPlan, HostFrames, Result, SampleType};

/// What the three engines made of the same input, as plain numbers.
pub(crate) struct Outputs {
    pub(crate) gpu: Vec<f64>,
    pub(crate) cpu: Vec<f64>,
    pub(crate) oracle: Vec<f64>,
}

/// Runs the same lines on the GPU, on `Cpu<f32>` and on `Cpu<f64>`.
macro_rules! engines {
    ($gpu:expr, |$engine:ident| $body:expr) => {{
        use ronchi::compute::cpu::Cpu;
        $crate::inputs::Outputs {
            gpu: {
                let $engine = $gpu;
                $body
            },
            cpu: {
                let $engine = &Cpu::<f32>::new();
                $body
            },
            oracle: {
                let $engine = &Cpu::<f64>::new();
                $body
            },
        }
    }};
}
pub(crate) use engines;

impl Outputs {
    /// Both f32 engines differ from f64 by at most this, relative and root mean square.
    pub(crate) fn agree_within(&self, bound: f64) {
        for (name, values) in [("the GPU", &self.gpu), ("Cpu<f32>", &self.cpu)] {
            let error = relative_rms(values, &self.oracle);
            assert!(error <= bound, "{name} is off by {error:.2e}, more than {bound:.1e}");
        }
    }
}

/// ‖a − b‖ ∕ ‖b‖
pub(crate) fn relative_rms(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().all(|x| x.is_finite()), "not finite");
    let difference: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    let size: f64 = b.iter().map(|b| b * b).sum();
    if difference == 0.0 { 0.0 } else { (difference / size).sqrt() }
}

pub(crate) fn random(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Complex numbers of the unit square around 0 that f32 holds exactly.
pub(crate) fn complexes(rng: &mut ChaCha8Rng, len: usize) -> Vec<Complex64> {
    let mut part = || f64::from(rng.random_range(-1.0f32..1.0));
    (0..len).map(|_| Complex64::new(part(), part())).collect()
}

pub(crate) fn parts(values: &[Complex64]) -> Vec<f64> {
    values.iter().flat_map(|z| [z.re, z.im]).collect()
}

/// A device array of complex numbers as plain numbers.
pub(crate) fn read<B: Backend>(engine: &B, array: &B::Complexes) -> Result<Vec<f64>> {
    Ok(parts(&engine.read_complexes(array)?))
}

/// A batch of random windows in an object, the patterns in another order than the scan's.
pub(crate) fn plan(rng: &mut ChaCha8Rng, len: usize, window: [usize; 2], object_shape: [usize; 2]) -> BatchPlan {
    let positions: Vec<[f64; 2]> = (0..2 * len)
        .map(|_| {
            [0, 1].map(|a| {
                let half = window[a] as f64 / 2.0 + 1.0;
                rng.random_range(half..object_shape[a] as f64 - half)
            })
        })
        .collect();
    let ids: Vec<u32> = (0..len as u32).map(|b| 2 * len as u32 - 1 - 2 * b).collect();
    let mut plan = BatchPlan::new(&ids, &positions, window, object_shape);
    // The engines round the ramps; here they start from the same numbers.
    for ramp in plan.ramps_y.iter_mut().chain(&mut plan.ramps_x) {
        let narrow = Complex32::new(ramp.re as f32, ramp.im as f32);
        *ramp = Complex64::new(narrow.re.into(), narrow.im.into());
    }
    plan
}

/// The same with shifts from slice to slice.
pub(crate) fn tilted(rng: &mut ChaCha8Rng, mut plan: BatchPlan) -> BatchPlan {
    let shifts: BTreeMap<u32, [f64; 2]> = plan.ids.iter().map(|&id| (id, [0; 2].map(|_: i32| rng.random_range(-2.0..2.0)))).collect();
    plan.tilt(|id| shifts[&id]);
    plan
}

/// The same with weights of so many variations of the probe.
pub(crate) fn varied(rng: &mut ChaCha8Rng, len: usize, window: [usize; 2], object_shape: [usize; 2], variations: usize) -> BatchPlan {
    let plan = plan(rng, len, window, object_shape);
    // Multiples of 1/256, which every engine holds.
    let weights = (0..len * variations).map(|_| f64::from(rng.random_range(-400..400i16)) / 256.0).collect();
    BatchPlan { weights, ..plan }
}

/// Frames of counts up to `most`, or of f32 from −most/4 to most.
pub(crate) fn frames(rng: &mut ChaCha8Rng, dtype: SampleType, shape: [usize; 2], count: usize, most: u32) -> HostFrames {
    let mut frames = HostFrames::zeros(dtype, shape, count);
    let row_bytes = 4 * HostFrames::row_words(dtype, shape[1]);
    for frame in 0..count {
        for row in frames.frame_bytes_mut(frame).chunks_exact_mut(row_bytes) {
            for pixel in row.chunks_exact_mut(dtype.bytes()).take(shape[1]) {
                match dtype {
                    SampleType::U8 => pixel[0] = rng.random_range(0..=most.min(255)) as u8,
                    SampleType::U16 => pixel.copy_from_slice(&(rng.random_range(0..=most.min(65535)) as u16).to_le_bytes()),
                    SampleType::U32 => pixel.copy_from_slice(&rng.random_range(0..=most).to_le_bytes()),
                    SampleType::F32 => {
                        let most = most as f32;
                        pixel.copy_from_slice(&rng.random_range(-0.25 * most..most).to_le_bytes());
                    }
                }
            }
        }
    }
    frames
}

pub(crate) const DTYPES: [SampleType; 4] = [SampleType::U8, SampleType::U16, SampleType::U32, SampleType::F32];
