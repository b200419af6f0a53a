use std::f64::consts::TAU;

use num_complex::Complex64;
use ronchi::compute::cpu::Cpu;
use ronchi::compute::gpu::Gpu;
use ronchi::compute::{Backend, Direction, Error};

use crate::Promise;
use crate::inputs::{complexes, engines, parts, random, read, relative_rms};

pub(crate) const PROMISES: &[Promise] = &[
    ("the 2-D transform is the sum that defines it", is_the_sum_that_defines_it),
    ("2-D transforms of every kind of side agree with f64 and come back", agree_with_f64_and_come_back),
    ("a transform leaves the windows beyond its count alone", leaves_other_windows_alone),
    ("sides that are no product of 2, 3, 5 and 7 from 16 to 1024 are refused", refuses_other_sides),
];

/// One f32 butterfly stage adds about 3e-8 of relative error and a window of 512² has up to 6 in all; measured at most 2e-7.
const BOUND: f64 = 5e-7;

/// Unitary, by the definition.
fn dft2(x: &[Complex64], [ny, nx]: [usize; 2], sign: f64) -> Vec<Complex64> {
    let scale = 1.0 / ((ny * nx) as f64).sqrt();
    let turn = |n: usize, k: usize, side: usize| Complex64::cis(sign * TAU * (n * k % side) as f64 / side as f64);
    let rows: Vec<Complex64> = (0..ny * nx).map(|i| (0..nx).map(|x_| x[i / nx * nx + x_] * turn(x_, i % nx, nx)).sum()).collect();
    (0..ny * nx).map(|i| (0..ny).map(|y| rows[y * nx + i % nx] * turn(y, i / nx, ny)).sum::<Complex64>() * scale).collect()
}

fn is_the_sum_that_defines_it(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    for shape in [[16, 18], [20, 21], [35, 16], [24, 25]] {
        for (direction, sign) in [(Direction::Forward, -1.0), (Direction::Inverse, 1.0)] {
            let x = complexes(&mut rng, 2 * shape[0] * shape[1]);
            let mut on_gpu = gpu.complexes(&x).unwrap();
            gpu.fft2(&mut on_gpu, shape, 2, direction).unwrap();
            let expected: Vec<_> = x.chunks_exact(shape[0] * shape[1]).flat_map(|x| parts(&dft2(x, shape, sign))).collect();
            let error = relative_rms(&read(gpu, &on_gpu).unwrap(), &expected);
            assert!(error < BOUND, "{shape:?} {direction:?} is off by {error:.2e}");
        }
    }
}

fn agree_with_f64_and_come_back(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    // Every side once along each axis, with several windows where they are small.
    let shapes = [
        ([16, 1024], 2),
        ([1024, 18], 3),
        ([18, 16], 41),
        ([20, 21], 7),
        ([21, 20], 2),
        ([25, 60], 5),
        ([60, 25], 1),
        ([64, 81], 30),
        ([81, 64], 3),
        ([96, 100], 2),
        ([100, 96], 2),
        ([125, 128], 9),
        ([128, 125], 1),
        ([192, 210], 1),
        ([210, 192], 1),
        ([243, 256], 3),
        ([256, 243], 1),
        ([343, 360], 1),
        ([360, 343], 1),
        ([100, 729], 1),
    ];
    for (shape, count) in shapes {
        let x = complexes(&mut rng, count * shape[0] * shape[1]);
        for direction in [Direction::Forward, Direction::Inverse] {
            let outputs = engines!(gpu, |engine| {
                let mut array = engine.complexes(&x).unwrap();
                engine.fft2(&mut array, shape, count, direction).unwrap();
                read(engine, &array).unwrap()
            });
            outputs.agree_within(BOUND);
        }
        let mut there = gpu.complexes(&x).unwrap();
        gpu.fft2(&mut there, shape, count, Direction::Forward).unwrap();
        gpu.fft2(&mut there, shape, count, Direction::Inverse).unwrap();
        let error = relative_rms(&read(gpu, &there).unwrap(), &parts(&x));
        // Two transforms, each within the bound.
        assert!(error < 2.0 * BOUND, "{shape:?} comes back off by {error:.2e}");
    }
    // 512² is 2 MiB, more than the lowered limit.
    let x = complexes(&mut rng, 512 * 512);
    let Ok(mut on_gpu) = gpu.complexes(&x) else { return };
    match gpu.fft2(&mut on_gpu, [512, 512], 1, Direction::Forward) {
        Ok(()) => {
            let oracle = Cpu::<f64>::new();
            let mut expected = oracle.complexes(&x).unwrap();
            oracle.fft2(&mut expected, [512, 512], 1, Direction::Forward).unwrap();
            let error = relative_rms(&read(gpu, &on_gpu).unwrap(), &read(&oracle, &expected).unwrap());
            assert!(error < BOUND, "512² is off by {error:.2e}");
        }
        Err(error) => assert!(matches!(error, Error::TooLarge { needed_bytes: 2_097_152, limit_bytes: crate::LOW, .. }), "{error}"),
    }
}

fn leaves_other_windows_alone(gpu: &Gpu, seed: u64) {
    let x = complexes(&mut random(seed), 3 * 20 * 18);
    let outputs = engines!(gpu, |engine| {
        let mut array = engine.complexes(&x).unwrap();
        engine.fft2(&mut array, [20, 18], 2, Direction::Forward).unwrap();
        read(engine, &array).unwrap()
    });
    outputs.agree_within(BOUND);
    assert_eq!(outputs.gpu[2 * 2 * 20 * 18..], parts(&x)[2 * 2 * 20 * 18..]);
}

fn refuses_other_sides(gpu: &Gpu, _seed: u64) {
    for shape in [[17, 16], [16, 15], [22, 64], [1080, 16], [64, 2048], [0, 16]] {
        assert!(!gpu.supports_window(shape));
        let mut x = gpu.complex_zeros(shape[0] * shape[1]).unwrap();
        let refused = gpu.fft2(&mut x, shape, 1, Direction::Forward);
        assert!(matches!(refused, Err(Error::UnsupportedWindow { .. })));
    }
    for side in [16, 18, 20, 21, 24, 25, 64, 125, 192, 343, 512, 729, 972, 1000, 1024] {
        assert!(gpu.supports_window([side, 16]), "{side}");
    }
}
