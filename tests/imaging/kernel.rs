//! The kernel of virtual detectors on the CPU against sums of 128 bits, pixel by pixel.

use std::sync::Arc;

use rand::{Rng, RngExt};
use ronchi::compute::cpu::Cpu;
use ronchi::compute::{Backend, BlockSums, DetectorSet, HostFrames, SampleType, Totals};

use crate::memory::{frames, fresh};

/// Bits of all kinds: bad pixels, pixels outside of every detector, and (`apart`) pixels of a detector that do not count in the total.
fn detectors(rng: &mut impl Rng, shape: [usize; 2], apart: bool) -> DetectorSet {
    let detectors = rng.random_range(0..=DetectorSet::MOST);
    let kinds: Vec<u64> = (0..rng.random_range(1..9)).map(|_| rng.random::<u64>() & ((1 << detectors) - 1)).collect();
    let bits = (0..shape[0] * shape[1])
        .map(|_| {
            let bits = kinds[rng.random_range(0..kinds.len())];
            if rng.random_bool(0.02) {
                0
            } else if apart && rng.random_bool(0.01) {
                bits
            } else {
                bits | DetectorSet::VALID
            }
        })
        .collect();
    DetectorSet { shape, detectors, bits, second_moments: rng.random(), statistics: rng.random() }
}

/// What the kernel promises, in the order of a frame's sums, then of the pixels.
fn naive(stack: &HostFrames, values: &[f64], set: &DetectorSet) -> [Vec<u128>; 4] {
    let [ny, nx] = set.shape;
    let counts = |set_bit: u64, p: usize, value: f64| if set.bits[p] & set_bit != 0 { value as u128 } else { 0 };
    let [mut sums, mut pattern, mut squares, mut maxima] = [Vec::new(), vec![0; ny * nx], vec![0; ny * nx], vec![0; ny * nx]];
    for frame in values.chunks(ny * nx).take(stack.count) {
        let total = |f: &dyn Fn(usize, usize) -> usize| {
            frame.iter().enumerate().map(|(p, &v)| counts(DetectorSet::VALID, p, v) * f(p / nx, p % nx) as u128).sum::<u128>()
        };
        sums.extend((0..set.detectors).map(|d| frame.iter().enumerate().map(|(p, &v)| counts(1 << d, p, v)).sum::<u128>()));
        sums.extend([total(&|_, _| 1), total(&|y, _| y), total(&|_, x| x)]);
        if set.second_moments {
            sums.extend([total(&|y, _| y * y), total(&|_, x| x * x), total(&|y, x| y * x)]);
        }
        for (p, &value) in frame.iter().enumerate() {
            let count = counts(DetectorSet::VALID, p, value);
            pattern[p] += count;
            squares[p] += count * count;
            maxima[p] = count.max(maxima[p]);
        }
    }
    [sums, pattern, squares, maxima]
}

fn equal(sums: &Totals, expected: &[u128]) -> bool {
    let Totals::Integer(sums) = sums else { return false };
    sums.len() == expected.len() && sums.iter().zip(expected).all(|(&sum, &expected)| u128::from(sum) == expected)
}

fn check(sums: &BlockSums, frames: &Totals, expected: &[Vec<u128>; 4], what: &str) {
    let [of_frames, pattern, squares, maxima] = expected;
    assert!(equal(frames, of_frames), "the sums of frames, {what}");
    assert!(equal(&sums.pattern, pattern), "the sums of pixels, {what}");
    if let Some(statistics) = &sums.statistics {
        assert!(equal(&statistics.squares, squares), "the sums of squares, {what}");
        assert!(equal(&statistics.maxima, maxima), "the largest values, {what}");
    }
}

/// One cube of `count` frames whose counts reach `most`; one pixel in a thousand, of `outliers`, reaches the type's end.
fn compare(rng: &mut impl Rng, dtype: SampleType, shape: [usize; 2], count: usize, most: u32, outliers: bool) {
    let top = match dtype {
        SampleType::U8 => 0xff,
        SampleType::U16 => 0xffff,
        // The widest counters of detectors have 24 bits. Sums of squares of larger counts need more than 64.
        _ => (1 << 24) - 1,
    };
    let most = most.min(top);
    let full = rng.random_bool(0.5);
    let values: Vec<f64> = (0..count * shape[0] * shape[1])
        .map(|_| match rng.random_range(0..1000) {
            0 if outliers => f64::from(top),
            // Sums of nothing but the largest count come nearest to the end of their registers.
            _ if full => f64::from(most),
            1..200 => f64::from(most),
            _ => f64::from(rng.random_range(0..=most)),
        })
        .collect();
    let apart = rng.random_bool(0.2);
    let set = detectors(rng, shape, apart);
    let what =
        format!("{dtype:?} {shape:?} × {count}, up to {most}, outliers {outliers}, {set:?}", set = (set.second_moments, set.statistics));
    let engine = Cpu::<f32>::new();
    let on_device = engine.detector_set(&set).unwrap();
    let stack = frames(dtype, shape, &values);
    let expected = naive(&stack, &values, &set);

    let whole = engine.virtual_detectors(&engine.frames(Arc::new(stack.clone())).unwrap(), &on_device).unwrap();
    check(&whole, &whole.frames, &expected, &what);

    // The same in blocks, as a pass over a file adds them.
    let (mut pixels, mut sums) = (Default::default(), Vec::new());
    let block = rng.random_range(1..=count);
    for values in values.chunks(block * shape[0] * shape[1]) {
        let frames = engine.frames(Arc::new(frames(dtype, shape, values))).unwrap();
        let Totals::Integer(part) = engine.add_virtual_detectors(&frames, &on_device, &mut pixels).unwrap() else {
            panic!("sums of {dtype:?} are integers")
        };
        sums.extend(part);
    }
    let added = engine.pixel_sums(&on_device, pixels).unwrap();
    check(&added, &Totals::Integer(sums), &expected, &format!("{what}, in blocks of {block}"));
}

#[test]
fn sums_of_integers_are_exact_for_any_shape_and_any_size_of_count() {
    let mut rng = fresh();
    for _ in 0..60 {
        let dtype = [SampleType::U8, SampleType::U16, SampleType::U32][rng.random_range(0..3)];
        let shape = [rng.random_range(1..150), rng.random_range(1..150)];
        let count = rng.random_range(1..12);
        // Around the bounds of each way to sum: squares in 16 bits, second moments in 16 bits, first moments in 16 bits.
        let most = [1, 20, 127, 128, 546, 547, 1820, 1821, 40_000, u32::MAX][rng.random_range(0..10)];
        let outliers = rng.random_bool(0.3);
        compare(&mut rng, dtype, shape, count, most, outliers);
    }
}

#[test]
fn sums_over_many_frames_do_not_run_over() {
    let mut rng = fresh();
    // More frames than 32 bits hold squares of, or 16 bits counts of.
    for most in [127, 546, 1820, 65_535] {
        let (shape, count) = ([rng.random_range(1..10), rng.random_range(1..40)], rng.random_range(1500..2000));
        compare(&mut rng, SampleType::U16, shape, count, most, false);
    }
    // More frames than 32 bits hold the largest u16 of.
    compare(&mut rng, SampleType::U16, [2, 3], 66_000, 65_535, false);
}
