//! Direct ptychography of simulated data whose truth is known.
//!
//! The data are not part of the repository: they lie in `../shared/data`, or where `RONCHI_SHARED_DATA` says. Where they are missing the tests are
//! reported as ignored.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail by panicking, and tells its figures")]
#![allow(non_snake_case, reason = "units in names")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use ronchi::compute::cpu::Cpu;
use ronchi::data::{self, OpenOptions};
use ronchi::imaging::{Direct, DirectPlan, Method, direct};
use ronchi::optics::ScanGrid;
use ronchi::run::{CancelToken, Event, RngState, Run};
use ronchi::stream::{Stream, StreamOptions};

fn main() {
    let arguments = Arguments::from_args();
    let root =
        std::env::var_os("RONCHI_SHARED_DATA").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let folder = root.join("na3ni2sbo6");
    let mut trials = Vec::new();
    let mut add = |name: &str, set: &str, test: fn(&Path) -> Result<(), Failed>| {
        let path = folder.join(format!("na3ni2sbo6_{set}.h5"));
        let missing = !path.exists();
        let trial = Trial::test(format!("{name} ({set})"), move || test(&path));
        trials.push(if missing { trial.with_kind("no shared data").with_ignored_flag(true) } else { trial });
    };
    // The truth is that of the entrance surface; images are shifted by the focus at the depth of what they show, on the whole the middle of the slab
    // (of 50 and 80 Å).
    add("the overfocus is found", "010_100000", |p| focus(p, OVERFOCUS, -100.0 - 25.0));
    add("the overfocus is found at a hundredth of the dose", "010_1000", |p| focus(p, OVERFOCUS, -100.0 - 25.0));
    add("the underfocus of a turned scan is found", "100_100000", |p| focus(p, UNDERFOCUS, 120.0 - 40.0));
    add("the columns are bright in ssb", "100thin_1000000", |p| columns(p, Method::Ssb, 0.85));
    add("the columns are bright in wdd", "100thin_1000000", |p| columns(p, Method::Wdd, 0.75));
    add("fifty electrons a frame are enough to find the overfocus", "010_300", |p| focus(p, OVERFOCUS, -100.0 - 25.0));
    libtest_mimic::run(&arguments, trials).exit();
}

/// How a set was recorded.
#[derive(Clone, Copy)]
struct Set {
    side: usize,
    step_A: f64,
    voltage_kV: f64,
    convergence_mrad: f64,
    rotation_deg: f64,
    mrad_per_px: f64,
}

const OVERFOCUS: Set = Set { side: 60, step_A: 0.4, voltage_kV: 300.0, convergence_mrad: 25.0, rotation_deg: 0.0, mrad_per_px: 0.98437444 };
const UNDERFOCUS: Set =
    Set { side: 64, step_A: 0.35, voltage_kV: 200.0, convergence_mrad: 21.4, rotation_deg: -12.0, mrad_per_px: 1.25396702 };
const THIN: Set = Set { side: 64, step_A: 0.2, ..OVERFOCUS };

fn made(path: &Path, set: Set, change: impl FnOnce(&mut DirectPlan)) -> Direct {
    let source = data::open(path, &OpenOptions::default()).unwrap();
    let engine = Arc::new(Cpu::<f32>::new());
    let stream = Stream::new(source, engine.clone(), StreamOptions::default());
    let grid = ScanGrid { shape: [set.side; 2], step_A: [set.step_A; 2], rotation_deg: set.rotation_deg, transpose: false };
    let mut plan = DirectPlan::new(grid, set.voltage_kV, set.convergence_mrad, [set.mrad_per_px; 2], [64.0; 2]);
    change(&mut plan);
    let (cancel, events) = (CancelToken::default(), |_: Event| {});
    let begun = std::time::Instant::now();
    let made = direct(&Run { events: &events, cancel: &cancel, rng: RngState::new(0) }, &*engine, &stream, &plan).unwrap();
    println!("{} pixels, {:.2} s", made.pixels, begun.elapsed().as_secs_f64());
    made
}

fn focus(path: &Path, set: Set, truth: f64) -> Result<(), Failed> {
    let fit = made(path, set, |plan| plan.fit = true).fit.unwrap();
    println!("{fit:?}");
    assert!(fit.determined);
    assert!((fit.defocus_A - truth).abs() < 15.0 + 3.0 * fit.defocus_error_A, "{fit:?}");
    assert!(fit.C12_A < 10.0 + 3.0 * fit.C12_error_A, "{fit:?}");
    assert!((fit.rotation_deg - set.rotation_deg).abs() < 3.0 + 3.0 * fit.rotation_error_deg, "{fit:?}");
    Ok(())
}

fn columns(path: &Path, method: Method, least: f64) -> Result<(), Failed> {
    let found = made(path, THIN, |plan| plan.methods = vec![method]);
    let truth = hdf5::File::open(path.with_file_name("na3ni2sbo6_100thin_truth.h5")).unwrap();
    let potential: Vec<f64> = truth.dataset("projected_potential").unwrap().read_raw().unwrap();
    let positions: Vec<f64> = truth.dataset("positions_yx").unwrap().read_raw().unwrap();
    let side = (potential.len() as f64).sqrt().round() as usize;
    let pixel = 40.0 / side as f64;
    let blur = 0.2 / pixel;
    let seen: Vec<f64> = positions
        .chunks_exact(2)
        .map(|p| {
            // A Gauss of 0.2 Å about the position.
            let (mut sum, mut weight) = (0.0, 0.0);
            let [cy, cx] = [p[0] / pixel, p[1] / pixel];
            for y in (cy - 3.0 * blur).max(0.0) as usize..((cy + 3.0 * blur) as usize + 1).min(side) {
                for x in (cx - 3.0 * blur).max(0.0) as usize..((cx + 3.0 * blur) as usize + 1).min(side) {
                    let w = (-((y as f64 - cy).powi(2) + (x as f64 - cx).powi(2)) / (2.0 * blur * blur)).exp();
                    sum += w * potential[y * side + x];
                    weight += w;
                }
            }
            sum / weight
        })
        .collect();
    let r = correlation(&found.images[0].values, &seen);
    println!("{method:?}: correlation with the potential {r:.3}");
    assert!(r > least, "{r}");
    Ok(())
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let product = |a: &[f64], ma: f64, b: &[f64], mb: f64| a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum::<f64>();
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}
