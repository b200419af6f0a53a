//! Integrated phase contrast: its transfer, its sign in every orientation, its edges and its unit.

use std::f64::consts::{PI, TAU};

use rand::RngExt;
use ronchi::compute::{Backend, Direction, cpu::Cpu};
use ronchi::imaging::{Detector, Edges, Image, ImagingPlan, Integration, Requested, image, integrate};
use ronchi::optics::{Aberrations, ProbeOptics, ScanGrid, apply, wavelength_A};

use crate::memory::{Memory, fresh, listened, scan_of, told};

fn optics() -> ProbeOptics {
    ProbeOptics { voltage_kV: 300.0, convergence_mrad: 25.0, aberrations: Aberrations::default() }
}

fn plan_of(scan: &ScanGrid, n: usize, mrad: f64) -> ImagingPlan {
    let mut plan = ImagingPlan::new(scan.shape);
    plan.step_A = Some(scan.step_A);
    plan.rotation_deg = scan.rotation_deg;
    plan.transpose = scan.transpose;
    plan.voltage_kV = Some(300.0);
    plan.convergence_mrad = Some(25.0);
    plan.mrad_per_px = Some([mrad; 2]);
    plan.centre_px = Some([(n / 2) as f64; 2]);
    plan.detectors = Requested::Named(Detector::named("idpc").unwrap());
    plan
}

/// |ψ|² of the probe in its window, with a sum of 1.
fn intensity(n: usize, mrad: f64) -> Vec<f64> {
    let engine = Cpu::<f64>::new();
    let mut probe = engine.complexes(&optics().spectrum([n, n], [mrad; 2], [0.0; 2], 1.0)).unwrap();
    engine.fft2(&mut probe, [n, n], 1, Direction::Inverse).unwrap();
    engine.read_complexes(&probe).unwrap().iter().map(|v| v.norm_sqr()).collect()
}

fn idpc(plan: &ImagingPlan, patterns: &Memory<Cpu<f32>>) -> Image {
    listened(0, |run| image(run, patterns.backend, patterns, plan)).0.unwrap().images.remove(0)
}

#[test]
fn idpc_of_a_weak_phase_in_focus_has_the_transfer_of_an_ideal_aperture() {
    // The field is ten periods of k₀ = α/λ wide, so waves of m periods have q/k₀ = m/10, and repeats itself. Pixel = step.
    let (n, mrad, count) = (96, 25.0 / 24.0, 40);
    let width = 10.0 * wavelength_A(300.0) / 25e-3;
    let step = width / count as f64;
    let scan = ScanGrid { shape: [count; 2], step_A: [step; 2], rotation_deg: 0.0, transpose: false };
    // (m_y, m_x), and the autocorrelation of a disk, (2/π)(acos x − x√(1−x²)) at x = q/2k₀, to two digits.
    let waves = [([0.0, 1.0], 0.94), ([3.0, 4.0], 0.69), ([-8.0, 6.0], 0.39), ([16.0, 0.0], 0.10)];
    let amplitude = 2e-3;
    let phase = |y: f64, x: f64| waves.iter().map(|(m, _)| amplitude * (TAU * (m[0] * y + m[1] * x) / width).cos()).sum();
    let engine = Cpu::<f32>::new();
    let patterns = Memory::new(&engine, scan_of(&optics(), &scan, n, mrad, phase), 64);
    let mut plan = plan_of(&scan, n, mrad);
    plan.integration = Integration::Periodic;
    let found = idpc(&plan, &patterns);
    assert_eq!(found.unit, "rad");
    let probe = intensity(n, mrad);
    for (m, transfer) in waves {
        let (mut even, mut odd) = (0.0, 0.0);
        for (k, value) in found.values.iter().enumerate() {
            let angle = TAU * (m[0] * (k / count) as f64 + m[1] * (k % count) as f64) / count as f64;
            even += value * angle.cos();
            odd += value * angle.sin();
        }
        let scale = 2.0 / found.values.len() as f64 / amplitude;
        let ideal = {
            let x = m[0].hypot(m[1]) / 20.0;
            2.0 / PI * (x.acos() - x * (1.0 - x * x).sqrt())
        };
        // The probe at hand has a soft edge of one pixel: its own transfer is ∫|ψ|² cos 2πq·r, about the window's middle.
        let own: f64 = (0..n * n)
            .map(|p| probe[p] * (TAU * (m[0] * ((p / n) as f64 - 48.0) + m[1] * ((p % n) as f64 - 48.0)) / count as f64).cos())
            .sum();
        println!("q/k0 = {:.1}: transfer {:.4}, the probe's {own:.4}, ideal {ideal:.4}", m[0].hypot(m[1]) / 10.0, even * scale);
        // The weak phase's square is of relative size 10⁻³.
        assert!((even * scale - own).abs() < 1e-3, "{m:?}: {} for {own}", even * scale);
        // A disk of 24 pixels' radius with such an edge is an ideal one to about 1/48 of its width.
        assert!((even * scale - transfer).abs() < 0.02 && (even * scale - ideal).abs() < 0.02, "{m:?}: {}", even * scale);
        assert!((odd * scale).abs() < 0.005, "the image is not shifted: {}", odd * scale);
    }
}

#[test]
fn atoms_are_positive_and_in_their_place_whatever_the_rotation_transposition_and_step() {
    let mut rng = fresh();
    let (n, mrad) = (64, 1.4);
    let engine = Cpu::<f32>::new();
    for transpose in [false, true] {
        let scan = ScanGrid {
            shape: [22, 30],
            step_A: [rng.random_range(0.45..0.6), rng.random_range(0.3..0.45)],
            rotation_deg: rng.random_range(-180.0..180.0),
            transpose,
        };
        println!("{scan:?}");
        // Three blobs, wider than the probe and unlike each other, off the middle of the field.
        let blobs = [([0.3, 0.25], 0.30), ([0.65, 0.6], 0.18), ([0.3, 0.75], 0.10)];
        let placed = blobs.map(|(share, height)| {
            let along = [0, 1].map(|a| share[a] * scan.shape[a] as f64 * scan.step_A[a]);
            (apply(scan.scan_to_object(), along), height)
        });
        let phase = |y: f64, x: f64| {
            placed.iter().map(|(c, h)| h * (-((y - c[0]).powi(2) + (x - c[1]).powi(2)) / (2.0 * 0.7 * 0.7)).exp()).sum::<f64>()
        };
        let patterns = Memory::new(&engine, scan_of(&optics(), &scan, n, mrad, phase), 64);
        let truth: Vec<f64> = scan.positions_A().iter().map(|p| phase(p[0], p[1])).collect();
        let mut plan = plan_of(&scan, n, mrad);
        let found = idpc(&plan, &patterns).values;
        let (correlation, slope) = compare(&found, &truth);
        println!("transpose {transpose}: correlation {correlation:.4}, slope {slope:.3}");
        // The probe's transfer takes a few percent of blobs of 0.7 Å and blurs them.
        assert!(correlation > 0.99, "{correlation}");
        assert!((0.75..1.02).contains(&slope), "the phase is in radians: {slope}");
        plan.rotation_deg += 180.0;
        assert!(compare(&idpc(&plan, &patterns).values, &truth).0 < -0.99, "half a turn too much inverts the image");
        plan.rotation_deg -= 180.0;
        plan.transpose = !transpose;
        assert!(compare(&idpc(&plan, &patterns).values, &truth).0 < 0.9, "the wrong transposition shows");
    }
}

/// The correlation of two images, and the slope of the first on the second.
fn compare(found: &[f64], truth: &[f64]) -> (f64, f64) {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (mf, mt) = (mean(found), mean(truth));
    let product = |a: &[f64], ma: f64, b: &[f64], mb: f64| a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum::<f64>();
    let (ft, ff, tt) = (product(found, mf, truth, mt), product(found, mf, found, mf), product(truth, mt, truth, mt));
    (ft / (ff * tt).sqrt(), ft / tt)
}

#[test]
fn the_integral_inverts_the_gradient_of_images_that_mirror_or_repeat_at_the_edges() {
    let mut rng = fresh();
    for shape in [[1, 9], [7, 1], [8, 11], [12, 6], [15, 15]] {
        for edges in [Edges::Mirror, Edges::Periodic] {
            let step = [rng.random_range(0.2..2.0), rng.random_range(0.2..2.0)];
            let (mut image, mut gy, mut gx) =
                (vec![0.0; shape[0] * shape[1]], vec![0.0; shape[0] * shape[1]], vec![0.0; shape[0] * shape[1]]);
            for _ in 0..5 {
                // One wave an axis below the Nyquist frequency, with the phase that the edges ask for: cosines about the field's outer
                // edge where it mirrors, any where it repeats.
                let height: f64 = rng.random_range(-1.0..1.0);
                let wave = [0, 1].map(|a: usize| match edges {
                    Edges::Mirror => (PI * f64::from(rng.random_range(0..shape[a] as u32)) / shape[a] as f64, 0.5, 0.0),
                    Edges::Periodic => (
                        TAU * f64::from(rng.random_range(0..(shape[a] as u32).div_ceil(2))) / shape[a] as f64,
                        0.0,
                        rng.random_range(0.0..TAU),
                    ),
                });
                let at = |a: usize, k: usize| wave[a].0 * (k as f64 + wave[a].1) + wave[a].2;
                for p in 0..image.len() {
                    let (y, x) = (at(0, p / shape[1]), at(1, p % shape[1]));
                    image[p] += height * y.cos() * x.cos();
                    gy[p] -= height * wave[0].0 / step[0] * y.sin() * x.cos();
                    gx[p] -= height * wave[1].0 / step[1] * y.cos() * x.sin();
                }
            }
            let mean = image.iter().sum::<f64>() / image.len() as f64;
            let found = integrate(&gy, &gx, shape, step, edges, None);
            for (f, i) in found.iter().zip(&image) {
                assert!((f - (i - mean)).abs() < 1e-10, "{shape:?} {edges:?}: {f} for {}", i - mean);
            }
        }
    }
}

#[test]
fn a_high_pass_halves_its_own_frequency() {
    let n = 32;
    let q = 4.0 / n as f64;
    let gradient: Vec<f64> = (0..n * n).map(|p| -TAU * q * (TAU * q * (p % n) as f64).sin()).collect();
    let zero = vec![0.0; n * n];
    let found = integrate(&zero, &gradient, [n, n], [1.0; 2], Edges::Periodic, Some(q));
    assert!((found[0] - 0.5).abs() < 1e-12, "{}", found[0]);
}

#[test]
fn the_unit_of_idpc_says_what_is_not_known_and_the_hint_names_the_key() {
    let (n, mrad) = (48, 2.0);
    let scan = ScanGrid { shape: [6, 6], step_A: [0.5; 2], rotation_deg: 0.0, transpose: false };
    let engine = Cpu::<f32>::new();
    let patterns = Memory::new(&engine, scan_of(&optics(), &scan, n, mrad, |y, x| 0.1 * (y - 2.0 * x).cos()), 64);
    let full = plan_of(&scan, n, mrad);
    let rad = idpc(&full, &patterns).values;
    let without = |change: &dyn Fn(&mut ImagingPlan)| {
        let mut plan = full.clone();
        change(&mut plan);
        let (images, events) = listened(0, |run| image(run, &engine, &patterns, &plan).unwrap());
        (images.images[0].clone(), told(&events).join(" "))
    };
    let (image, words) = without(&|p| p.voltage_kV = None);
    assert_eq!(image.unit, "mrad·Å");
    assert!(words.contains("optics.voltage_kV"), "{words}");
    let factor = TAU * 1e-3 / wavelength_A(300.0);
    assert!(image.values.iter().zip(&rad).all(|(a, b)| (a * factor - b).abs() < 1e-12), "mrad·Å times 2π/λ are radians");
    let (image, words) = without(&|p| p.step_A = None);
    assert_eq!(image.unit, "mrad·px");
    assert!(words.contains("scan.step_A"), "{words}");
    let (image, words) = without(&|p| (p.mrad_per_px, p.convergence_mrad) = (None, None));
    assert_eq!(image.unit, "px·Å");
    assert!(words.contains("detector.mrad_per_px"), "{words}");
    assert!(image.values.iter().zip(&rad).all(|(a, b)| (a * mrad * factor - b).abs() < 1e-9));
    let (image, _) = without(&|p| (p.mrad_per_px, p.convergence_mrad, p.step_A) = (None, None, None));
    assert_eq!(image.unit, "px·px");
}
