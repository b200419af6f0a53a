//! Defocus, astigmatism and rotation from the shifts of the tilted images.

use rand::{Rng, RngExt};
use ronchi::compute::SampleType;
use ronchi::compute::cpu::Cpu;
use ronchi::imaging::{Direct, DirectPlan, direct};
use ronchi::optics::{Aberration, Aberrations};

use crate::memory::{Memory, frames, fresh, listened, poisson, told};
use crate::weak::Weak;

fn made(weak: &Weak, plan: &DirectPlan, electrons: f64, rng: &mut impl Rng) -> (Direct, String) {
    let engine = Cpu::<f32>::new();
    let values: Vec<f64> = weak.patterns().concat().iter().map(|i| poisson(electrons * i, rng)).collect();
    let patterns = Memory::new(&engine, frames(SampleType::U16, [weak.side; 2], &values), 64);
    let (made, events) = listened(0, |run| direct(run, &engine, &patterns, plan).unwrap());
    (made, told(&events).join(" "))
}

#[test]
fn the_shifts_tell_defocus_astigmatism_and_rotation_within_their_errors() {
    let mut rng = fresh();
    // How many of its errors each value of each round lies off, squared.
    let mut squares = [0.0; 4];
    let rounds = 8;
    for _ in 0..rounds {
        let mut weak = Weak::new([32, 30], 1.1, &mut rng).with_waves(300, 0.004, &mut rng);
        // The search covers a quarter of the field, 118 Å.
        weak.defocus = rng.random_range(80.0..130.0) * if rng.random() { 1.0 } else { -1.0 };
        let (size, angle) = (rng.random_range(15.0..30.0), rng.random_range(0.0..180.0));
        weak.aberrations = Aberrations { terms: vec![Aberration { n: 1, m: 2, magnitude_A: size, angle_deg: angle }] };
        weak.scan.rotation_deg = rng.random_range(-180.0..180.0);
        weak.scan.transpose = rng.random();
        let mut plan = weak.plan();
        plan.fit = true;
        plan.defocus_A = 0.0;
        plan.aberrations = Aberrations::default();
        // Two degrees off.
        plan.scan.rotation_deg += 2.0;
        let (made, words) = made(&weak, &plan, 2000.0, &mut rng);
        let fit = made.fit.unwrap();
        assert!(fit.determined && words.contains("From the shifts"), "{fit:?}");
        assert_eq!(made.defocus_A, fit.defocus_A);
        let turned = |a: f64, b: f64, period: f64| (a - b) - ((a - b) / period).round() * period;
        let off = [
            (fit.defocus_A - weak.defocus, fit.defocus_error_A),
            (fit.C12_A - size, fit.C12_error_A),
            (turned(fit.phi12_deg, angle, 180.0), fit.phi12_error_deg),
            (turned(fit.rotation_deg, weak.scan.rotation_deg, 360.0), fit.rotation_error_deg),
        ];
        println!("{off:.2?}");
        // Cells of finite size and waves that interfere with each other leave a percent.
        assert!(off[0].0.abs() < 3.0 + 4.0 * off[0].1, "{fit:?} {weak:?}");
        assert!(off[1].0.abs() < 3.0 + 4.0 * off[1].1, "{fit:?} {weak:?}");
        assert!(off[3].0.abs() < 0.7 + 4.0 * off[3].1, "{fit:?} {weak:?}");
        squares.iter_mut().zip(off).for_each(|(s, (x, e))| *s += (x / e).powi(2) / f64::from(rounds));
    }
    println!("mean squares of deviations over errors: {squares:.2?}");
    // Of eight rounds the mean square is 1 ± 0.5; small systematic shares come on top.
    assert!(squares.iter().all(|s| (0.005..9.0).contains(s)), "{squares:?}");
}

#[test]
fn a_vacuum_tells_no_defocus_and_the_given_one_is_used_with_a_warning() {
    let mut rng = fresh();
    for _ in 0..10 {
        let weak = Weak::new([24, 24], 1.1, &mut rng);
        let mut plan = weak.plan();
        plan.fit = true;
        plan.defocus_A = 17.0;
        let (made, words) = made(&weak, &plan, 100.0, &mut rng);
        assert!(!made.fit.unwrap().determined, "{:?}", made.fit);
        assert_eq!(made.defocus_A, 17.0);
        assert!(words.contains("do not tell the defocus") && words.contains("with defocus 17 Å"), "{words}");
    }
}
