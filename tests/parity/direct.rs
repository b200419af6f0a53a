use num_complex::Complex64;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use ronchi::compute::gpu::Gpu;
use ronchi::compute::{Backend, BrightField, Direction, Response, SideBandSums};
use ronchi::optics::{Aberration, Aberrations, Polynomial, fft_index};
use std::sync::Arc;

use crate::Promise;
use crate::inputs::{DTYPES, complexes, engines, frames, random, read};

pub(crate) const PROMISES: &[Promise] = &[
    ("gathered pixels are the frames' counts at their scan positions, and margins hold their mean", gathering),
    ("side bands agree with f64 at every focus", side_bands),
    ("shifted tilts add up as in f64", tilts),
    ("detector windows and overlaps agree with f64, and so does what is deconvolved of them", deconvolution),
    ("responses, their squares and what they weigh agree with f64", responses),
];

const FRAME: [usize; 2] = [40, 43];

/// A disk of 11.4 pixels with aberrations up to an order that is drawn, a turned scan, an output of twice the scan's frequencies.
fn bright(rng: &mut ChaCha8Rng, positions: [usize; 2], scan: [usize; 2], upsample: usize) -> BrightField {
    let radius = 11.4;
    let centre = [19.3, 20.8];
    let mut places: Vec<usize> = (0..FRAME[0] * FRAME[1]).collect();
    let angle = |p: usize| [(p / FRAME[1]) as f64, (p % FRAME[1]) as f64].map(f64::from);
    let tilt = |p: usize| [0, 1].map(|a| (angle(p)[a] - centre[a]) / radius);
    places.retain(|&p| tilt(p)[0].hypot(tilt(p)[1]) < 1.0 + 0.5 / radius);
    let output = scan.map(|n| n * upsample);
    let term = |n, m, magnitude_A, angle_deg| Aberration { n, m, magnitude_A, angle_deg };
    let orders = [
        vec![term(1, 2, 40.0, 20.0)],
        vec![term(1, 2, 30.0, 70.0), term(2, 3, 900.0, 11.0)],
        vec![term(3, 0, 2e4, 0.0), term(5, 6, 9e6, 5.0)],
    ];
    let turns: Polynomial = Aberrations { terms: orders[rng.random_range(0..3)].clone() }.polynomial(0.0197, 25.0).unwrap();
    let (sin, cos) = rng.random_range(0.0..6.0f64).sin_cos();
    let window = [27, 28];
    BrightField {
        frame_shape: FRAME,
        tilts: places.iter().map(|&p| tilt(p)).collect(),
        places: places.iter().map(|&p| ((p / FRAME[1] - 6) * window[1] + p % FRAME[1] - 7) as u32).collect(),
        pixels: places.iter().map(|&p| p as u32).collect(),
        positions,
        scan,
        output,
        frequencies: [0, 1].map(|a| (0..output[a]).map(|k| fft_index(k, output[a]) * 2.2 / output[a] as f64).collect()),
        turn: [[cos, -sin], [sin, cos]],
        radius_px: radius,
        scale: 1.0 / 400.0,
        turns,
        foci: vec![rng.random_range(-1.0..1.0), 0.0, 3.0],
        window,
        window_first: [(6.0 - centre[0]) / radius, (7.0 - centre[1]) / radius],
        window_step: [1.0 / radius; 2],
    }
}

/// Spectra of pairs of random real images, one more window than the pixels fill, rounded to f32.
fn spectra(rng: &mut ChaCha8Rng, bright: &BrightField) -> Vec<Complex64> {
    complexes(rng, bright.pixels.len().div_ceil(2) * bright.scan_len())
}

fn gathering(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    for dtype in DTYPES {
        let (positions, scan) = ([11, 17], [16, 18]);
        let plan = bright(&mut rng, positions, scan, 1);
        let stack = Arc::new(frames(&mut rng, dtype, FRAME, positions[0] * positions[1], 1000));
        let (first, end) = (2 * rng.random_range(0..20), plan.pixels.len() - rng.random_range(0..2));
        let outputs = engines!(gpu, |engine| {
            let (field, pixels) = (engine.bright_field(&plan).unwrap(), first..end);
            let count = pixels.len().div_ceil(2);
            let mut out = engine.complexes(&vec![Complex64::new(7.0, 7.0); count * plan.scan_len()]).unwrap();
            let whole = engine.frames(stack.clone()).unwrap();
            for block in (0..stack.count as u32).collect::<Vec<_>>().chunks(64) {
                let frames = engine.gather(&whole, block).unwrap();
                engine.gather_pixels(&frames, block[0] as usize, &field, pixels.clone(), &mut out).unwrap();
            }
            let counts = read(engine, &out).unwrap();
            engine.fill_margins(&mut out, &field, count).unwrap();
            [counts, read(engine, &out).unwrap()].concat()
        });
        // Counts are exact; a mean of 187 numbers is rounded once a step.
        outputs.agree_within(3e-7);
        let half = outputs.gpu.len() / 2;
        assert!(outputs.gpu[..half] == outputs.oracle[..half], "{dtype:?}: counts are whole");
    }
}

fn side_bands(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    for upsample in [1, 2] {
        let plan = bright(&mut rng, [16, 18], [16, 18], upsample);
        let spectra = spectra(&mut rng, &plan);
        let split = 2 * rng.random_range(1..100);
        for part in 0..2 {
            let outputs = engines!(gpu, |engine| {
                let (field, len) = (engine.bright_field(&plan).unwrap(), 2 * plan.foci.len() * plan.half_len());
                let mut sums = SideBandSums { numerators: engine.complex_zeros(len).unwrap(), weights: engine.real_zeros(len).unwrap() };
                for pixels in [0..split, split..plan.pixels.len()] {
                    let windows = &spectra[pixels.start / 2 * plan.scan_len()..pixels.end.div_ceil(2) * plan.scan_len()];
                    engine.side_bands(&engine.complexes(windows).unwrap(), &field, pixels, &mut sums).unwrap();
                }
                if part == 0 { read(engine, &sums.numerators).unwrap() } else { engine.read_reals(&sums.weights).unwrap() }
            });
            // Phases of some turns are right to 1e-6, and where both side bands nearly cancel that is a share of what is left.
            outputs.agree_within(1e-4);
        }
    }
}

fn tilts(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    for upsample in [1, 3] {
        let plan = bright(&mut rng, [16, 18], [16, 18], upsample);
        let spectra = spectra(&mut rng, &plan);
        let (from, to) = (rng.random_range(4..50), rng.random_range(60..plan.pixels.len()));
        let ramps = [0, 1].map(|a| complexes(&mut rng, (to - from) * plan.output[a]));
        let start = complexes(&mut rng, plan.half_len());
        let outputs = engines!(gpu, |engine| {
            let field = engine.bright_field(&plan).unwrap();
            let [y, x] = [0, 1].map(|a| engine.complexes(&ramps[a]).unwrap());
            let mut out = engine.complexes(&start).unwrap();
            let windows = engine.complexes(&spectra[2 * plan.scan_len()..]).unwrap();
            engine.tilt_sum(&windows, 4, &field, from..to, [&y, &x], &mut out).unwrap();
            read(engine, &out).unwrap()
        });
        outputs.agree_within(2e-6);
    }
}

fn deconvolution(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    let plan = bright(&mut rng, [16, 18], [16, 18], 1);
    let spectra = spectra(&mut rng, &plan);
    let first = rng.random_range(0..60);
    let frequencies = first..first + 200;
    let split = 2 * rng.random_range(1..100);
    for stage in 0..3 {
        let outputs = engines!(gpu, |engine| {
            let field = engine.bright_field(&plan).unwrap();
            let (len, count) = (plan.window_len(), frequencies.len());
            let zeros = || engine.complex_zeros(count * len).unwrap();
            let (mut patterns, mut overlaps, mut out) = (zeros(), zeros(), engine.complex_zeros(count).unwrap());
            for pixels in [0..split, split..plan.pixels.len()] {
                let windows = &spectra[pixels.start / 2 * plan.scan_len()..pixels.end.div_ceil(2) * plan.scan_len()];
                engine.detector_windows(&engine.complexes(windows).unwrap(), &field, pixels, frequencies.clone(), &mut patterns).unwrap();
            }
            engine.overlaps(&field, 2, frequencies.clone(), &mut overlaps).unwrap();
            match stage {
                0 => read(engine, &patterns).unwrap(),
                1 => read(engine, &overlaps).unwrap(),
                _ => {
                    if engine.supports_window(plan.window) {
                        engine.fft2(&mut patterns, plan.window, count, Direction::Forward).unwrap();
                        engine.fft2(&mut overlaps, plan.window, count, Direction::Forward).unwrap();
                    }
                    engine.wiener(&patterns, &overlaps, len, count, 1e-5, &mut out).unwrap();
                    read(engine, &out).unwrap()
                }
            }
        });
        outputs.agree_within(if stage == 2 { 1e-4 } else { 3e-6 });
    }
}

fn responses(gpu: &Gpu, seed: u64) {
    let mut rng = random(seed);
    for (upsample, response) in [(1, Response::Ssb), (2, Response::Obf), (1, Response::Parallax)] {
        let plan = bright(&mut rng, [16, 18], [16, 18], upsample);
        let spectra = spectra(&mut rng, &plan);
        let (first, from) = (4usize, 2 * rng.random_range(2usize..20));
        let to = from + rng.random_range(40..100);
        let filter: Vec<f64> = (0..plan.half_len()).map(|_| f64::from(rng.random_range(0.0f32..1.0))).collect();
        for stage in 0..3 {
            let outputs = engines!(gpu, |engine| {
                let field = engine.bright_field(&plan).unwrap();
                let windows = (to - from).div_ceil(2);
                let mut made = engine.complex_zeros(windows * plan.output_len()).unwrap();
                engine.responses(&field, response, 0, from..to, &engine.reals(&filter).unwrap(), &mut made).unwrap();
                if stage > 0 {
                    engine.square_parts(&mut made, windows * plan.output_len()).unwrap();
                }
                if stage < 2 {
                    read(engine, &made).unwrap()
                } else {
                    let mut out = engine.complex_zeros(plan.half_len()).unwrap();
                    let held = engine.complexes(&spectra[first / 2 * plan.scan_len()..]).unwrap();
                    engine.response_sum(&made, &held, first, &field, from..to, &mut out).unwrap();
                    read(engine, &out).unwrap()
                }
            });
            outputs.agree_within(1e-4);
        }
    }
}
