//! Counting statistics: the noise that theory gives each method, and the standard error that is reported.

use num_complex::Complex64;
use rand::Rng;
use ronchi::compute::SampleType;
use ronchi::compute::cpu::Cpu;
use ronchi::imaging::{Direct, DirectPlan, Method, direct};

use crate::memory::{Memory, frames, fresh, listened, poisson};
use crate::weak::{Weak, spectrum};

/// Images of as many draws of the counts, with this mean number of electrons a frame.
fn draws(weak: &Weak, plan: &DirectPlan, electrons: f64, count: usize, rng: &mut impl Rng) -> Vec<Direct> {
    let engine = Cpu::<f32>::new();
    let patterns = weak.patterns().concat();
    (0..count)
        .map(|_| {
            let values: Vec<f64> = patterns.iter().map(|i| poisson(electrons * i, rng)).collect();
            let memory = Memory::new(&engine, frames(SampleType::U16, [weak.side; 2], &values), 64);
            listened(0, |run| direct(run, &engine, &memory, plan).unwrap()).0
        })
        .collect()
}

fn small(rng: &mut impl Rng) -> Weak {
    let mut weak = Weak::new([16, 16], 1.2, rng);
    (weak.side, weak.radius, weak.centre) = (20, 6.3, [9.7, 9.4]);
    weak.defocus = 70.0;
    weak
}

/// With D electrons a frame and N positions, Ĩ(q, k) of the normalised frames has the variance I_k/(D·N). A sum Σ_k w_k(q)·Ĩ therefore has Σ|w|²I_k/(D·N):
/// OBF, w = −iΓ*/√Σ|Γ|², has that of the disk's mean at every q; SSB, w = −iΓ*/|Γ|/Σ|Γ|, more where few pixels take part (G. Varnavides et al.,
/// arXiv 2507.19476, give the same for a disk of equal pixels).
#[test]
fn the_noise_of_obf_is_flat_and_that_of_ssb_follows_its_closed_form() {
    let mut rng = fresh();
    let weak = small(&mut rng);
    let (electrons, count) = (500.0, 150);
    let mut plan = weak.plan();
    plan.methods = vec![Method::Ssb, Method::Obf];
    let made = draws(&weak, &plan, electrons, count, &mut rng);
    let shape = weak.scan.shape;
    let bright: Vec<f64> = {
        let power: Vec<f64> = weak.tilts().iter().map(|k| weak.aperture(*k).norm_sqr()).collect();
        let sum: f64 = power.iter().sum();
        power.iter().map(|p| p / sum).collect()
    };
    let positions = (shape[0] * shape[1]) as f64;
    let places: Vec<[f64; 2]> = spectrum(&made[0].images[0].values, shape).into_iter().map(|(place, _)| place).collect();
    let mut powers = vec![[0.0; 2]; places.len()];
    for draw in &made {
        for (m, image) in draw.images.iter().enumerate() {
            for (power, (_, z)) in powers.iter_mut().zip(spectrum(&image.values, shape)) {
                power[m] += z.norm_sqr() / count as f64;
            }
        }
    }
    // (|q|, measured, expected) of both methods.
    let mut all = Vec::new();
    for (place, power) in places.iter().zip(&powers) {
        let gamma = weak.gamma(*place);
        let nyquist = place.iter().zip(shape).any(|(k, n)| 2.0 * k.abs() == n as f64);
        let sizes: f64 = gamma.iter().map(|g| g.norm()).sum();
        if nyquist || sizes < 0.02 {
            continue;
        }
        let square: f64 = gamma.iter().map(Complex64::norm_sqr).sum();
        let there = |g: &Complex64| f64::from(u8::from(g.norm() > 1e-9));
        let ssb: f64 = gamma.iter().zip(&bright).map(|(g, i)| there(g) * i).sum::<f64>() / (sizes * sizes);
        let obf: f64 = gamma.iter().zip(&bright).map(|(g, i)| g.norm_sqr() * i).sum::<f64>() / square;
        let q = weak.frequency(*place);
        // Signal to noise at a given object is the gain over the noise. (SSB can gain a few percent of it where the noise of pixels differs, on the rim.)
        assert!(square / obf >= 0.9 / ssb, "OBF is no worse than SSB: at {place:?} {} and {}", square / obf, 1.0 / ssb);
        let unit = 1.0 / (electrons * positions);
        all.push((q[0].hypot(q[1]), power[0] / (ssb * unit), power[1] / (obf * unit), power[1]));
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mean =
        |part: &[(f64, f64, f64, f64)], pick: fn(&(f64, f64, f64, f64)) -> f64| part.iter().map(pick).sum::<f64>() / part.len() as f64;
    // Four rings of frequencies, of 50 numbers or so each over 150 draws: a hundredth or two of statistical spread.
    let flat = mean(&all, |a| a.3);
    for ring in all.chunks(all.len().div_ceil(4)) {
        let (ssb, obf, noise) = (mean(ring, |a| a.1), mean(ring, |a| a.2), mean(ring, |a| a.3) / flat);
        println!("to {:.2} k0: ssb {ssb:.3}, obf {obf:.3}, flat {noise:.3}", ring[ring.len() - 1].0);
        assert!((ssb - 1.0).abs() < 0.07 && (obf - 1.0).abs() < 0.07, "of theory: {ssb} and {obf}");
        // The pixels on the rim hold less, so that flatness is not perfect.
        assert!((noise - 1.0).abs() < 0.12, "{noise}");
    }
}

#[test]
fn the_standard_error_that_is_reported_is_the_spread_of_repeated_draws() {
    let mut rng = fresh();
    let mut weak = small(&mut rng).with_waves(12, 0.05, &mut rng);
    weak.scan.rotation_deg = 30.0;
    for upsample in [1, 2] {
        let mut plan = weak.plan();
        plan.methods = vec![Method::Parallax, Method::Ssb, Method::Obf, Method::Wdd];
        plan.upsample = upsample;
        plan.errors = true;
        // So many that the noise of WDD's complex image is small beside the image: its phase's error is told to first order.
        plan.incident = Some(800.0);
        let made = draws(&weak, &plan, 800.0, 50, &mut rng);
        for m in 0..plan.methods.len() {
            let pixels = made[0].images[m].values.len();
            let count = made.len() as f64;
            let (mut spread, mut reported) = (0.0, 0.0);
            for p in 0..pixels {
                let mean = made.iter().map(|d| d.images[m].values[p]).sum::<f64>() / count;
                spread += made.iter().map(|d| (d.images[m].values[p] - mean).powi(2)).sum::<f64>() / (count - 1.0);
                reported += made.iter().map(|d| d.images[m].error.as_ref().unwrap()[p].powi(2)).sum::<f64>() / count;
            }
            let ratio = (reported / spread).sqrt();
            println!("{:?} ×{upsample}: {ratio:.3} of {:.3} rad", plan.methods[m], (spread / pixels as f64).sqrt());
            // 256 pixels of 50 draws tell the spread to 1 %.
            assert!((ratio - 1.0).abs() < 0.05, "{:?}: {ratio}", plan.methods[m]);
        }
    }
}
