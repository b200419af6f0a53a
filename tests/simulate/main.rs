//! What the simulator promises: the dose, the structure, repeatability, and a truth that reconstruction finds again.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and prints its seed")]

mod multislice;

use std::sync::Arc;

use rand::RngExt;
use ronchi::compute::{Backend, DetectorLayout, DeviceBlock, HostFrames, Patterns, SampleType, cpu::Cpu};
use ronchi::optics::{Aberrations, ScanGrid, interaction_constant};
use ronchi::ptycho::{ObjectFrame, Options, State, phase, reconstruct};
use ronchi::run::{CancelToken, RngState, Run};
use ronchi::simulate::{Column, Error, Simulated, Spec, Truth, simulate};

pub(crate) fn seed() -> u64 {
    let seed = std::env::var("RONCHI_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random::<u64>);
    println!("RONCHI_TEST_SEED={seed}");
    seed
}

fn small() -> Spec {
    Spec {
        scan: ScanGrid { shape: [20, 26], step_A: [0.5, 0.4], rotation_deg: 0.0, transpose: false },
        frame: 64,
        mrad_per_px: 2.0,
        ..Spec::demo()
    }
}

fn simulated(seed: u64, spec: &Spec) -> Result<Simulated, Error> {
    let cancel = CancelToken::default();
    simulate(&Run { events: &|_| {}, cancel: &cancel, rng: RngState::new(seed) }, &Cpu::<f32>::new(), spec)
}

fn counts(frames: &HostFrames) -> Vec<f64> {
    // Rows of 64 or 96 u16 pixels fill whole words.
    (0..frames.count).map(|k| frames.frame_bytes(k).chunks_exact(2).map(|b| f64::from(u16::from_le_bytes([b[0], b[1]]))).sum()).collect()
}

#[test]
fn the_mean_electrons_of_a_frame_are_the_dose_through_a_scan_pixel() {
    let spec = Spec { dose_e_per_A2: 5e3, ..small() };
    let made = simulated(seed(), &spec).unwrap();
    assert_eq!((made.frames.dtype, made.frames.count, made.frames.shape), (SampleType::U16, 520, [64, 64]));
    let counts = counts(&made.frames);
    let mean = counts.iter().sum::<f64>() / 520.0;
    let expected = 5e3 * 0.5 * 0.4;
    assert_eq!(made.truth.electrons, expected);
    // The mean of 520 Poisson numbers of 1000 strays by 1.4: five deviations. A phase object loses no electron inside the band.
    assert!((mean - expected).abs() < 7.0, "{mean}");
    let variance = counts.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / 519.0;
    assert!((variance / expected - 1.0).abs() < 0.4, "counts scatter as Poisson's: {variance} about {mean}");
}

#[test]
fn the_same_seed_gives_the_same_counts_on_any_number_of_threads_and_another_seed_others() {
    let (seed, spec) = (seed(), small());
    let on = |threads| rayon_pool(threads, || simulated(seed, &spec).unwrap());
    let one = on(1);
    assert!(on(3) == one);
    assert!(simulated(seed ^ 1, &spec).unwrap().frames != one.frames);
}

fn rayon_pool<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

/// The mean phase within 0.35 Å of a column, in `image` with pixel (0, 0) at `origin` Å.
fn at(image: &[f64], shape: [usize; 2], origin: [f64; 2], pixel: f64, column: &Column) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (p, value) in image.iter().enumerate() {
        let (y, x) = (origin[0] + (p / shape[1]) as f64 * pixel, origin[1] + (p % shape[1]) as f64 * pixel);
        if (y - column.y_A).hypot(x - column.x_A) < 0.35 {
            sum += value;
            count += 1.0;
        }
    }
    sum / count
}

/// The columns inside the scanned field.
fn inside<'a>(spec: &Spec, truth: &'a Truth, element: &str) -> Vec<&'a Column> {
    let size = [0, 1].map(|a| (spec.scan.shape[a] - 1) as f64 * spec.scan.step_A[a]);
    let columns = truth.columns.iter().filter(|c| c.element == element);
    columns.filter(|c| (0.0..size[0]).contains(&c.y_A) && (0.0..size[1]).contains(&c.x_A)).collect()
}

#[test]
fn the_phase_holds_every_atom_s_potential_and_thinned_sodium_columns_have_less_of_it() {
    let spec = Spec { thinned: 0.5, ..small() };
    let Truth { phase, phase_shape, pixel_A, origin_A, columns, .. } = simulated(seed(), &spec).unwrap().truth;
    assert!(origin_A[0] < 0.0 && origin_A[1] < 0.0 && phase.len() == phase_shape[0] * phase_shape[1]);
    // ∫σV = σ·47.878·f_e(0) an atom, with f_e(0) in Å of the International Tables C (table 4.3.1.1; Sb from the fit); fits agree within 3 %.
    let atom = |c: &Column| match c.element {
        "O" => 1.983,
        "Na" => 4.778,
        "Ni" => 6.569,
        _ => 10.99,
    };
    let expected: f64 = columns.iter().map(|c| f64::from(c.atoms) * atom(c)).sum::<f64>() * 47.878 * interaction_constant(300.0);
    let total = phase.iter().sum::<f64>() * pixel_A * pixel_A;
    println!("phase integral {total:.1} rad Å², expected {expected:.1}");
    assert!((total / expected - 1.0).abs() < 0.04, "{total} for {expected}");
    let sodium: Vec<&Column> =
        columns.iter().filter(|c| c.element == "Na" && c.y_A > origin_A[0] + 1.0 && c.x_A > origin_A[1] + 1.0).collect();
    let mean = |full: bool| {
        let of: Vec<f64> = sodium
            .iter()
            .filter(|c| (c.occupancy() == 1.0) == full)
            .map(|c| at(&phase, phase_shape, origin_A, pixel_A, c))
            .filter(|v| v.is_finite())
            .collect();
        (of.iter().sum::<f64>() / of.len() as f64, of.len())
    };
    let ((filled, n), (thinned, m)) = (mean(true), mean(false));
    println!("{n} full columns at {filled:.3} rad, {m} thinned at {thinned:.3} rad");
    assert!(n > 8 && m > 8 && thinned < 0.7 * filled);
}

struct Memory(Arc<HostFrames>, Cpu<f32>);

impl Patterns<Cpu<f32>> for Memory {
    fn len(&self) -> usize {
        self.0.count
    }
    fn frame_shape(&self) -> [usize; 2] {
        self.0.shape
    }
    fn dtype(&self) -> SampleType {
        self.0.dtype
    }
    fn batch(&self, ids: &[u32]) -> ronchi::compute::Result<DeviceBlock<Cpu<f32>>> {
        Ok(DeviceBlock { ids: ids.to_vec(), frames: self.1.gather(&self.1.frames(self.0.clone())?, ids)? })
    }
    fn prefetch(&self, _: &[u32]) {}
    fn pass(&self) -> ronchi::compute::Result<Box<dyn Iterator<Item = ronchi::compute::Result<DeviceBlock<Cpu<f32>>>> + '_>> {
        let ids: Vec<u32> = (0..self.0.count as u32).collect();
        Ok(Box::new(std::iter::once(self.batch(&ids))))
    }
}

#[test]
fn ptychography_finds_the_simulated_columns_where_the_truth_has_them() {
    let seed = seed();
    let mut rng = <rand_chacha::ChaCha8Rng as rand::SeedableRng>::seed_from_u64(seed);
    let rotation_deg = rng.random_range(-30.0..30.0);
    let mut spec = Spec { frame: 64, mrad_per_px: 1.8, dose_e_per_A2: 2e5, ..small() };
    spec.scan.rotation_deg = rotation_deg;
    spec.scan.transpose = rng.random_bool(0.5);
    spec.optics.aberrations = Aberrations::defocus(rng.random_range(30.0..60.0));
    println!("{:?} {:?}", spec.scan, spec.optics.aberrations);
    let made = simulated(seed, &spec).unwrap();
    let truth = &made.truth;
    let frame = ObjectFrame::enclose(&truth.positions_A, [truth.pixel_A; 2], [64; 2]).unwrap();
    let detector = DetectorLayout { shape: [64; 2], centre: made.centre_px.map(|c| c as usize), valid: None, ..DetectorLayout::default() };
    let state = State::start(&frame, 1, 0.0, truth.probe_hat.clone(), RngState::new(seed));
    let options = Options { probe_from: 0, ..Options::epie(8, 8, 0.02) };
    let cancel = CancelToken::default();
    let run = Run { events: &|_| {}, cancel: &cancel, rng: RngState::new(seed) };
    let patterns = Memory(Arc::new(made.frames.clone()), Cpu::new());
    let found = reconstruct(&run, &Cpu::<f32>::new(), &patterns, &frame, &detector, &options, state, &mut ()).unwrap();
    let found = phase(&found.state, &frame);
    // Columns well inside the field, which is turned and mirrored with the scan.
    let size = [0, 1].map(|a| (spec.scan.shape[a] - 1) as f64 * spec.scan.step_A[a]);
    let within = |c: &&Column| {
        let along = ronchi::optics::apply(spec.scan.object_to_scan(), [c.y_A, c.x_A]);
        (0..2).all(|a| (0.5..size[a] - 0.5).contains(&along[a]))
    };
    let pairs: Vec<(f64, f64)> = truth
        .columns
        .iter()
        .filter(within)
        .map(|c| {
            (
                at(&found, frame.shape, frame.first_pixel_A(), truth.pixel_A, c),
                at(&truth.phase, truth.phase_shape, truth.origin_A, truth.pixel_A, c),
            )
        })
        .collect();
    let n = pairs.len() as f64;
    let (mf, mt) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let product = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>();
    let correlation = product(&|p| (p.0 - mf) * (p.1 - mt)) / (product(&|p| (p.0 - mf).powi(2)) * product(&|p| (p.1 - mt).powi(2))).sqrt();
    println!("{n} columns, correlation {correlation:.3}");
    assert!(n >= 20.0 && correlation > 0.95, "{n} columns, {correlation}");
}

#[test]
fn the_demo_shows_sodium_columns_of_which_some_are_thinned_and_stays_small() {
    let spec = Spec::demo();
    let made = simulated(1, &Spec { dose_e_per_A2: 10.0, ..spec.clone() }).unwrap();
    let sodium = inside(&spec, &made.truth, "Na");
    let thinned = sodium.iter().filter(|c| c.occupancy() < 1.0).count();
    assert!(sodium.len() >= 60 && thinned >= 10 && thinned * 2 < sodium.len(), "{thinned} of {}", sodium.len());
    assert!(made.frames.words.len() * 4 < 100 << 20, "frames stay below 100 MiB");
}

#[test]
fn what_cannot_be_simulated_is_refused_with_a_sentence() {
    let refused = |spec: Spec| {
        let error = simulated(0, &spec).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string()
    };
    assert!(refused(Spec { dose_e_per_A2: f64::NAN, ..small() }).contains("dose"));
    assert!(refused(Spec { mrad_per_px: 0.5, ..small() }).contains("convergence angle"));
    assert!(refused(Spec { atoms_per_column: 0, ..small() }).contains("atom"));
    assert!(refused(Spec { thinned: 1.5, ..small() }).contains("thinned"));
    assert!(refused(Spec { dose_e_per_A2: 1e10, ..small() }).contains("65535"));
}
