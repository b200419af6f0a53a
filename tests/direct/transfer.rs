//! The gain of each method at each frequency.

use std::f64::consts::TAU;

use num_complex::Complex64;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use ronchi::compute::cpu::Cpu;
use ronchi::imaging::{Direct, DirectPlan, Method, direct};
use ronchi::optics::{Aberration, Aberrations};

use crate::memory::{Memory, fresh, listened};
use crate::weak::{Weak, amplitude};

/// The images of a plan by the single-precision engine.
fn images(weak: &Weak, plan: &DirectPlan) -> Direct {
    let engine = Cpu::<f32>::new();
    let patterns = Memory::new(&engine, weak.frames(), 64);
    listened(0, |run| direct(run, &engine, &patterns, plan).unwrap()).0
}

/// Orientations, defoci and astigmatism that differ from test to test.
fn cases(rng: &mut ChaCha8Rng) -> Vec<Weak> {
    let mut cases = Vec::new();
    for (transpose, turned) in [(false, false), (false, true), (true, true)] {
        for in_focus in [true, false] {
            let mut weak = Weak::new([24, 20], 1.4, rng).with_waves(60, 2e-4, rng);
            weak.scan.transpose = transpose;
            weak.scan.rotation_deg = if turned { rng.random_range(-180.0..180.0) } else { 0.0 };
            if !in_focus {
                weak.defocus = rng.random_range(30.0..80.0) * if rng.random() { 1.0 } else { -1.0 };
                let term = |n, m, magnitude_A, angle_deg| Aberration { n, m, magnitude_A, angle_deg };
                weak.aberrations = Aberrations {
                    terms: vec![term(1, 2, rng.random_range(5.0..20.0), rng.random_range(0.0..180.0)), term(2, 1, 300.0, 40.0)],
                };
            }
            cases.push(weak);
        }
    }
    cases
}

/// Compares the gain with what theory says, to 2 % where that is above a tenth of its largest: what is neglected is the square of the waves' heights.
fn compare(weak: &Weak, found: &Direct, method: Method, theory: impl Fn(&[Complex64], [f64; 2]) -> Complex64) {
    let image = &found.images.iter().find(|i| i.method == method).unwrap().values;
    let mut compared = 0;
    // OBF's gain is smaller the more pixels there are.
    let largest = weak.waves.iter().map(|w| w.at.map(f64::from)).map(|at| theory(&weak.gamma(at), at).norm()).fold(0.0, f64::max);
    for w in &weak.waves {
        let at = w.at.map(f64::from);
        let gain = amplitude(image, weak.scan.shape, at) / Complex64::from_polar(0.5 * w.height, w.phase);
        let expected = theory(&weak.gamma(at), at);
        if expected.norm() > 0.1 * largest {
            assert!((gain - expected).norm() < 0.02 * expected.norm(), "{method:?} at {at:?}: {gain} for {expected}; {weak:?}");
            compared += 1;
        }
    }
    assert!(compared > 5, "{method:?}: only {compared} frequencies have contrast; {weak:?}");
}

#[test]
fn ssb_obf_and_parallax_have_the_transfer_of_linear_theory_in_every_orientation_in_and_out_of_focus() {
    let mut rng = fresh();
    for weak in cases(&mut rng) {
        let mut plan = weak.plan();
        plan.methods = vec![Method::Parallax, Method::Ssb, Method::Obf];
        let found = images(&weak, &plan);
        assert!((found.incident - 1.0).abs() < 1e-5);
        let real = |x: f64| Complex64::new(x, 0.0);
        // Where the side bands cover more than a hundredth of the disk.
        compare(&weak, &found, Method::Ssb, |gamma, _| real(f64::from(u8::from(gamma.iter().map(|g| g.norm()).sum::<f64>() > 0.011))));
        compare(&weak, &found, Method::Obf, |gamma, _| real(gamma.iter().map(|g| g.norm_sqr()).sum::<f64>().sqrt()));
        if weak.defocus != 0.0 {
            compare(&weak, &found, Method::Parallax, |gamma, at| parallax(&weak, gamma, at));
        }
    }
}

#[test]
fn in_focus_half_a_turn_too_much_inverts_the_image_and_the_wrong_transposition_spoils_it() {
    let mut rng = fresh();
    let mut weak = Weak::new([24, 20], 1.2, &mut rng).with_waves(40, 2e-4, &mut rng);
    weak.scan.rotation_deg = rng.random_range(-180.0..180.0);
    let mut plan = weak.plan();
    plan.methods = vec![Method::Ssb];
    let gains = |plan: &DirectPlan| {
        let image = images(&weak, plan).images.remove(0).values;
        let gain = |w: &crate::weak::Wave| {
            (amplitude(&image, weak.scan.shape, w.at.map(f64::from)) / Complex64::from_polar(0.5 * w.height, w.phase)).re
        };
        weak.waves.iter().map(gain).sum::<f64>() / weak.waves.len() as f64
    };
    let right = gains(&plan);
    plan.scan.rotation_deg += 180.0;
    let turned = gains(&plan);
    plan.scan.rotation_deg -= 180.0;
    plan.scan.transpose = true;
    let transposed = gains(&plan);
    println!("{right:.3}, turned {turned:.3}, transposed {transposed:.3}");
    assert!(right > 0.95 && turned < -0.95 && transposed.abs() < 0.6, "{right} {turned} {transposed}");
}

/// Σ_k e^{−i∇χ·q} sgn(sin χ(q)) iΓ over the disk's pixels, with ∇χ by differences.
fn parallax(weak: &Weak, gamma: &[Complex64], at: [f64; 2]) -> Complex64 {
    let q = weak.frequency(at);
    let smooth = |[y, x]: [f64; 2]| {
        let lambda = ronchi::optics::wavelength_A(crate::weak::VOLTAGE);
        let (ty, tx) = (y * crate::weak::ALPHA * 1e-3, x * crate::weak::ALPHA * 1e-3);
        Aberrations::defocus(weak.defocus).chi(lambda, ty, tx) + weak.aberrations.chi(lambda, ty, tx)
    };
    let sign = (0.5 * (smooth(q) + smooth(q.map(|q| -q)))).sin().signum();
    let small = 1e-4;
    let tilts = weak.tilts();
    gamma
        .iter()
        .zip(&tilts)
        .filter(|(_, k)| weak.aperture(**k).norm() > 0.0)
        .map(|(g, k)| {
            let along =
                (smooth([k[0] + small * q[0], k[1] + small * q[1]]) - smooth([k[0] - small * q[0], k[1] - small * q[1]])) / (2.0 * small);
            Complex64::i() * g * Complex64::cis(-along) * sign
        })
        .sum()
}

#[test]
fn wdd_gives_what_lies_in_its_pass_band_with_a_gain_of_one() {
    let mut rng = fresh();
    for weak in cases(&mut rng) {
        let mut plan = weak.plan();
        plan.methods = vec![Method::Wdd];
        // The noise is small here, so that little is lost to the filter.
        plan.wdd_epsilon = 1e-4;
        let found = images(&weak, &plan);
        let image = &found.images[0].values;
        let mut gains = Vec::new();
        for w in &weak.waves {
            let at = w.at.map(f64::from);
            let q = weak.frequency(at);
            let q = q[0].hypot(q[1]);
            if (0.6..1.4).contains(&q) {
                gains.push(amplitude(image, weak.scan.shape, at) / Complex64::from_polar(0.5 * w.height, w.phase));
            }
        }
        let mean = gains.iter().sum::<Complex64>() / gains.len() as f64;
        println!("{} gains, mean {mean:.3}", gains.len());
        // What leaks of the opposite side band through the filter is a few percent, of either sign.
        assert!(gains.len() > 5 && (mean - 1.0).norm() < 0.1, "{mean}; {weak:?}");
        assert!(gains.iter().all(|g| (g - 1.0).norm() < 0.3), "{gains:?}; {weak:?}");
    }
}

#[test]
fn upsampled_parallax_resolves_frequencies_beyond_those_of_the_scan() {
    let mut rng = fresh();
    // The scan's finest frequency is half of k₀; waves up to k₀ alias.
    let mut weak = Weak::new([32, 30], 0.45, &mut rng);
    weak.defocus = rng.random_range(150.0..200.0);
    let places: Vec<[i32; 2]> = vec![[3, 5], [20, 4], [-7, 22], [21, 18]];
    for at in places {
        weak.waves.push(crate::weak::Wave { at, height: 2e-4, phase: rng.random_range(0.0..TAU) });
    }
    let mut plan = weak.plan();
    plan.methods = vec![Method::Parallax, Method::Obf];
    plan.upsample = 2;
    let found = images(&weak, &plan);
    assert_eq!(found.shape, [64, 60]);
    assert!((found.pixel_A[0] - 0.5 * weak.scan.step_A[0]).abs() < 1e-12);
    for w in &weak.waves {
        let at = w.at.map(f64::from);
        let gain = |method: Method, at: [f64; 2]| {
            let image = &found.images.iter().find(|i| i.method == method).unwrap().values;
            (amplitude(image, found.shape, at) / Complex64::from_polar(0.5 * w.height, w.phase)).re
        };
        let expected = parallax(&weak, &weak.gamma(at), at).norm();
        let alias = [0, 1].map(|a| at[a] - (at[a] / weak.scan.shape[a] as f64).round() * weak.scan.shape[a] as f64);
        println!("{at:?}: parallax {:.3} for {expected:.3}, obf {:.3}", gain(Method::Parallax, at), gain(Method::Obf, at));
        assert!((gain(Method::Parallax, at) - expected).abs() < 0.02 + 0.05 * expected, "{at:?}");
        if alias != at {
            let size = |at| {
                let image = &found.images[0].values;
                amplitude(image, found.shape, at).norm() / (0.5 * w.height)
            };
            assert!(size(alias) < 0.35 * size(at).max(0.1), "the alias at {alias:?} is suppressed: {} beside {}", size(alias), size(at));
        }
    }
}

#[test]
fn scans_of_awkward_sides_are_imaged_in_their_own_shape() {
    let mut rng = fresh();
    for shape in [[17, 22], [5, 31]] {
        let mut weak = Weak::new(shape, 1.2, &mut rng);
        weak.waves = vec![crate::weak::Wave { at: [1, 2], height: 1e-3, phase: 0.4 }];
        let mut plan = weak.plan();
        plan.methods = vec![Method::Ssb];
        let found = images(&weak, &plan);
        assert_eq!(found.shape, shape);
        let truth: Vec<f64> = (0..shape[0] * shape[1])
            .map(|p| (TAU * ((p / shape[1]) as f64 / shape[0] as f64 + 2.0 * (p % shape[1]) as f64 / shape[1] as f64) + 0.4).cos())
            .collect();
        let image = &found.images[0].values;
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let correlation = product(image, &truth) / (product(image, image) * product(&truth, &truth)).sqrt();
        // The padding cuts the wave off.
        println!("{shape:?}: correlation {correlation:.3}");
        assert!(correlation > 0.8, "{shape:?}: {correlation}");
    }
}
