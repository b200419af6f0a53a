//! Standard errors against the spread of repeated Poisson draws.

use rand::RngExt;
use ronchi::compute::{SampleType, cpu::Cpu};
use ronchi::imaging::{Detector, Images, ImagingPlan, Integration, Requested, image};
use ronchi::optics::{Aberrations, ProbeOptics, ScanGrid};

use crate::memory::{Memory, disk, frames, fresh, listened, poisson, scan_of};

const DRAWS: usize = 50;

/// The images that each of the plans makes of each draw of these expected counts, (plan, draw).
fn draws(plans: &[ImagingPlan], shape: [usize; 2], expected: &[f64], rng: &mut impl rand::Rng) -> Vec<Vec<Images>> {
    let engine = Cpu::<f32>::new();
    let mut made = vec![Vec::new(); plans.len()];
    for _ in 0..DRAWS {
        let counts: Vec<f64> = expected.iter().map(|&mean| if mean > 0.0 { poisson(mean, rng) } else { 0.0 }).collect();
        let patterns = Memory::new(&engine, frames(SampleType::U16, shape, &counts), 64);
        for (made, plan) in made.iter_mut().zip(plans) {
            made.push(listened(0, |run| image(run, &engine, &patterns, plan)).0.unwrap());
        }
    }
    made
}

#[test]
fn the_standard_error_of_every_image_is_the_spread_of_repeated_draws() {
    let mut rng = fresh();
    let optics = ProbeOptics { voltage_kV: 300.0, convergence_mrad: 25.0, aberrations: Aberrations::default() };
    let (n, mrad) = (48, 2.0);
    let scan = ScanGrid { shape: [24, 20], step_A: [0.4, 0.5], rotation_deg: 25.0, transpose: true };
    let (ky, kx) = (rng.random_range(1.0..1.6), rng.random_range(1.0..1.6));
    let object = scan_of(&optics, &scan, n, mrad, |y, x| 0.8 * (ky * y).sin() * (kx * x).cos());
    let expected: Vec<f64> = (0..object.count)
        .flat_map(|f| {
            object.frame_bytes(f).chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect::<Vec<_>>()
        })
        .map(|v| 2.0 * v)
        .collect();
    let plans = [Integration::Mirror, Integration::Periodic, Integration::LeastSquares].map(|integration| {
        let mut plan = ImagingPlan::new(scan.shape);
        plan.step_A = Some(scan.step_A);
        plan.rotation_deg = scan.rotation_deg;
        plan.transpose = scan.transpose;
        plan.voltage_kV = Some(300.0);
        plan.convergence_mrad = Some(25.0);
        plan.mrad_per_px = Some([mrad; 2]);
        plan.centre_px = Some([24.0; 2]);
        plan.integration = integration;
        plan.errors = true;
        plan.detectors =
            if integration == Integration::Mirror { Requested::All } else { Requested::Named(Detector::named("idpc").unwrap()) };
        plan
    });
    for (made, plan) in draws(&plans, [n, n], &expected, &mut rng).iter().zip(&plans) {
        let integration = plan.integration;
        // Mean of the draws' lengths in units of their mean error; none where lengths are not among the images.
        let clearness: Vec<f64> = (0..object.count)
            .map(|p| {
                let lengths = made.iter().filter_map(|images| images.images.iter().find(|image| image.name == "com_magnitude"));
                let sums =
                    lengths.fold([0.0, 0.0], |[value, error], image| [value + image.values[p], error + image.errors.as_ref().unwrap()[p]]);
                sums[0] / sums[1]
            })
            .collect();
        for (k, first) in made[0].images.iter().enumerate() {
            // Lengths and azimuths of vectors that vanish in the noise are not normally distributed: at six standard errors no draw
            // comes near nothing, where an azimuth's error has no bound.
            let polar = first.name == "com_magnitude" || first.name == "com_direction";
            let clear = |p: &usize| !polar || clearness[*p] > 6.0;
            let chosen: Vec<usize> = (0..first.values.len()).filter(clear).collect();
            assert!(chosen.len() > 100, "{}", chosen.len());
            let count = chosen.len();
            // Azimuths lie around that of the first draw.
            let turns = if first.name == "com_direction" { 360.0 } else { f64::INFINITY };
            let of = |draw: usize, p: usize| {
                let value = made[draw].images[k].values[p];
                if (value - first.values[p]).abs() > turns / 2.0 { value + turns * (first.values[p] - value).signum() } else { value }
            };
            let mean: Vec<f64> = chosen.iter().map(|&p| (0..DRAWS).map(|d| of(d, p)).sum::<f64>() / DRAWS as f64).collect();
            let spreads: Vec<f64> = (0..DRAWS)
                .map(|d| {
                    let deviations = chosen.iter().zip(&mean).map(|(&p, mean)| (of(d, p) - mean).powi(2));
                    deviations.sum::<f64>() / count as f64 * DRAWS as f64 / (DRAWS - 1) as f64
                })
                .collect();
            let spread = spreads.iter().sum::<f64>() / DRAWS as f64;
            // How well the draws fix a spread, they tell themselves: to 0.5 % by 480 pixels × 50 draws, to 2 to 3 % of an integral,
            // whose noise lies in a few long waves.
            let scatter = spreads.iter().map(|s| (s / spread - 1.0).powi(2)).sum::<f64>() / (DRAWS - 1) as f64;
            let uncertain = (scatter / DRAWS as f64).sqrt() / 2.0;
            assert!(uncertain < 0.05, "{} ({integration:?}): {uncertain:.3} from the draws", first.name);
            let reported = (0..DRAWS)
                .map(|d| {
                    let errors = made[d].images[k].errors.as_ref().unwrap();
                    chosen.iter().map(|&p| errors[p].powi(2)).sum::<f64>() / count as f64
                })
                .sum::<f64>()
                / DRAWS as f64;
            let ratio = (reported / spread).sqrt();
            // Those of lengths and azimuths are to first order: at six standard errors their squares are off by 1/36.
            // Five standard deviations: 60 images are compared, and one of 20000 runs may fail.
            let bound = if polar { 0.05 } else { 0.01 } + 5.0 * uncertain;
            assert!((ratio - 1.0).abs() < bound, "{} ({integration:?}): reported over seen {ratio:.3}, bound {bound:.3}", first.name);
        }
    }
}

#[test]
fn counts_of_a_detector_with_gain_have_larger_errors() {
    let mut plan = ImagingPlan::new([2, 2]);
    plan.convergence_mrad = Some(4.0);
    plan.mrad_per_px = Some([1.0; 2]);
    plan.centre_px = Some([5.0; 2]);
    plan.errors = true;
    plan.detectors = Requested::Named(Detector::named("bf").unwrap());
    let engine = Cpu::<f32>::new();
    let error = |plan: &ImagingPlan, gain: f64| {
        let patterns = Memory::new(&engine, frames(SampleType::U16, [11, 11], &vec![4.0 * gain; 4 * 121]), 64);
        listened(0, |run| image(run, &engine, &patterns, plan)).0.unwrap().images.remove(0).errors.unwrap()[0]
    };
    let one = error(&plan, 1.0);
    plan.counts_per_electron = 7.0;
    assert!((error(&plan, 7.0) / one - 7.0).abs() < 1e-12);
}

#[test]
fn vacuum_is_0_in_eabf_within_its_standard_error() {
    let mut rng = fresh();
    let mut plan = ImagingPlan::new([40, 40]);
    let centre = [rng.random_range(23.0..25.0), rng.random_range(23.0..25.0)];
    plan.convergence_mrad = Some(15.3);
    plan.mrad_per_px = Some([1.0; 2]);
    plan.centre_px = Some(centre);
    plan.errors = true;
    plan.detectors = Requested::Named(Detector::named("eabf").unwrap());
    let expected = disk([48, 48], centre, 15.3);
    let counts: Vec<f64> = (0..1600)
        .flat_map(|_| expected.iter().map(|&v| if v > 0.0 { poisson(3.0 * v, &mut rng) } else { 0.0 }).collect::<Vec<_>>())
        .collect();
    let engine = Cpu::<f32>::new();
    let patterns = Memory::new(&engine, frames(SampleType::U16, [48, 48], &counts), 64);
    let eabf = listened(0, |run| image(run, &engine, &patterns, &plan)).0.unwrap().images.remove(0);
    let mean = eabf.values.iter().sum::<f64>() / 1600.0;
    let error = eabf.errors.unwrap().iter().map(|e| e * e).sum::<f64>().sqrt() / 1600.0;
    // Beyond 4.5 of them once in 150 000 runs. The mean is also known to be small beside the ABF of about 1600 counts.
    assert!(mean.abs() < 4.5 * error && error < 3.0, "{mean:.3} ± {error:.3} counts");
}
