//! What ptychography promises: the published rule, the same on every engine, and images that are true.
//!
//! Trials that need `../shared/data` (or the folder that `RONCHI_SHARED_DATA` names) or a graphics adapter are ignored, with the
//! reason in their names, where these are missing. RONCHI_TEST_SEED=n repeats a failed run.
//! RONCHI_TEST_DOSE=10000 plants the truths at that many e⁻/Å² instead of 10⁵, for the figures that are printed then; the bounds are those of 10⁵.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(clippy::print_stderr, reason = "the figures are worth reading")]

#[path = "../common/mod.rs"]
mod common;
mod exit_wave;
mod gradients;
mod planted;
mod score;
mod simulated;
mod textbook;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use num_complex::Complex64;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ronchi::compute::cpu::Cpu;
use ronchi::compute::{Backend, BatchPlan, DetectorLayout, HostFrames, Patterns, SampleType};
use ronchi::data::{self, FrameSource, OpenOptions};
use ronchi::optics::{Aberrations, ProbeOptics, ScanGrid, object_pixel_A, wavelength_A};
use ronchi::output::{Datacube, write_datacube};
use ronchi::ptycho::{Ending, Grouping, Hooks, ObjectFrame, Options, Outcome, Rule, State, Validation, phase};
use ronchi::run::{CancelToken, RngState, Run};
use ronchi::stream::{Memory, Stream, StreamOptions};
use score::{Truth, blur, score};
use textbook::{Textbook, fft2};

fn main() {
    let arguments = Arguments::from_args();
    let root =
        std::env::var_os("RONCHI_SHARED_DATA").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let mut trials = vec![
        Trial::test("one position at a time is the published rule", || textbook_rule(1, 1.0)),
        Trial::test("a batch of five is the rule summed over its positions", || textbook_rule(5, 1.0)),
        Trial::test("steps that fall do so by the same factor from iteration to iteration", || textbook_rule(5, 0.09)),
        Trial::test("the result depends neither on threads nor on the run", repeatable),
        Trial::test("a run that is stopped ends with its last whole iteration", stopped),
        Trial::test("a run that goes wrong ends with its last good iteration and says what went wrong", gone_wrong),
        Trial::test("a run whose held-out patterns are explained no better ends, and the best iteration is kept", best_kept),
        Trial::test("streamed patterns give what resident ones do, whatever the rule and the grouping", streamed),
        Trial::test("gradients are those of finite differences, for every likelihood and all that is refined", gradients::all),
        Trial::test("a jitter of the positions is found", planted::jitter),
        Trial::test("a shear of the scan is found", planted::shear),
        Trial::test("a steady drift of the scan is found", planted::drift),
        Trial::test("the thickness of slices is found", planted::thickness),
        Trial::test("the tilts of a bent specimen are found", planted::bend),
        Trial::test("the powers of a probe's two states are found", planted::two_states),
        Trial::test("a wrong defocus is put right", planted::defocus),
        Trial::test("the difference map and RAAR come to what single updates come to", planted::kept_waves),
        Trial::test("the wave behind a thick specimen is abTEM's", exit_wave::cpu),
        Trial::test(
            "so it is through slices of our own of the same atoms by the same fit, and less so by another fit",
            exit_wave::own_slices,
        ),
        Trial::test("a probe that varies is found to vary as it does", planted::wandering_probe),
        Trial::test("added-up pixels are explained by an up-sampled window", planted::upsampled),
    ];
    let set = |name: &str| root.join(format!("na3ni2sbo6/na3ni2sbo6_{name}.h5"));
    let mut shared = |name: &str, path: PathBuf, test: fn(&Path) -> Result<(), Failed>| {
        let missing = !path.exists();
        let name = if missing { format!("{name} [{} is not here]", path.display()) } else { name.to_owned() };
        trials.push(Trial::test(name, move || test(&path)).with_ignored_flag(missing));
    };
    shared("sodium counts come out of 010 one position at a time", set("010_100000"), |p| scored(p, 1, 0.0, 0.71, 0.94));
    shared("sodium counts come out of 010 in batches of 32", set("010_100000"), |p| scored(p, 32, 0.0, 0.71, 0.97));
    shared("batches of 256 stay finite", set("010_100000"), |p| scored(p, 256, 0.0, 0.3, 0.5));
    shared("the turned scan of 100 is put right", set("100_100000"), |p| scored(p, 32, -12.0, 0.85, 0.94));
    shared("the turned scan of 100 gives no image when turned the wrong way", set("100_100000"), wrong_turn);
    for set_name in ["010_100000", "100_100000", "100thin_1000000", "100focus_1000000"] {
        shared(&format!("what abTEM simulated of {set_name} is simulated again from its atoms"), set(set_name), simulated::mean_pattern);
    }
    shared("rotavirus fits best in its own geometry", root.join("rotavirus/rotavirus_64x64x128x128_u8.h5"), rotavirus);
    let gpu = common::gpu(None);
    let ignored = gpu.is_err() && !common::gpu_is_required();
    for batch in [1, 32] {
        let name = format!("both engines agree after 5 iterations in batches of {batch}");
        let name = if ignored { format!("{name} [no graphics adapter]") } else { name };
        trials.push(Trial::test(name, move || engines_agree(batch)).with_ignored_flag(ignored));
    }
    let crop = set("010_100000");
    let missing = if crop.exists() { None } else { Some(format!("{} is not here", crop.display())) };
    let why = if ignored { Some("no graphics adapter".to_owned()) } else { missing };
    let name = "both engines agree on a part of 010".to_owned();
    let name = why.as_ref().map_or(name.clone(), |why| format!("{name} [{why}]"));
    trials.push(Trial::test(name, move || engines_agree_on_data(&crop)).with_ignored_flag(why.is_some()));
    let name = "the wave behind a thick specimen is abTEM's on the GPU".to_owned();
    let name = if ignored { format!("{name} [no graphics adapter]") } else { name };
    trials.push(Trial::test(name, exit_wave::gpu).with_ignored_flag(ignored));
    drop(gpu);
    libtest_mimic::run(&arguments, trials).exit();
}

/// The dose of planted truths in e⁻/Å²: 10⁵, or that of RONCHI_TEST_DOSE.
pub(crate) fn dose_e_per_A2() -> f64 {
    std::env::var("RONCHI_TEST_DOSE").ok().and_then(|dose| dose.parse().ok()).unwrap_or(1e5)
}

/// A fresh seed, or that of RONCHI_TEST_SEED.
fn seed() -> u64 {
    std::env::var("RONCHI_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random)
}

/// A small dataset of random patterns at random places, and a random start.
struct Small {
    frame: ObjectFrame,
    frames: Arc<HostFrames>,
    detector: DetectorLayout,
    start: State,
}

fn small(seed: u64) -> Small {
    small_of(seed, 23)
}

/// [`small`] with so many patterns.
fn small_of(seed: u64, count: usize) -> Small {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let window = [24, 20];
    let positions: Vec<[f64; 2]> = (0..count).map(|_| [rng.random_range(0.0..4.0), rng.random_range(-3.0..3.0)]).collect();
    let frame = ObjectFrame::enclose(&positions, [0.2, 0.25], window).unwrap();
    let mut frames = HostFrames::zeros(SampleType::U16, window, count);
    for f in 0..count {
        for pixel in bytemuck::cast_slice_mut::<u8, u16>(frames.frame_bytes_mut(f)) {
            *pixel = rng.random_range(0..40);
        }
    }
    let mut random = |n: usize| (0..n).map(|_| Complex64::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0))).collect();
    let mut start = State::start(&frame, 1, 0.0, random(window[0] * window[1]), RngState::new(seed));
    start.object = random(frame.shape[0] * frame.shape[1]);
    Small {
        frame,
        frames: Arc::new(frames),
        detector: DetectorLayout { shape: window, centre: [11, 13], valid: None, ..DetectorLayout::default() },
        start,
    }
}

fn reconstruct<B: Backend>(backend: B, small: &Small, options: &Options, cancel: &CancelToken) -> Outcome {
    let backend = Arc::new(backend);
    let patterns = Memory::new(backend.clone(), small.frames.clone()).unwrap();
    let run = Run { events: &|_| (), cancel, rng: small.start.rng };
    ronchi::ptycho::reconstruct(&run, &*backend, &patterns, &small.frame, &small.detector, options, small.start.clone(), &mut ()).unwrap()
}

fn options(iterations: u32, batch: usize) -> Options {
    Options { probe_from: 2, ..Options::epie(iterations, batch, 0.02) }
}

/// The order of the patterns is the engine's own; everything else is written anew from the paper.
fn textbook_rule(batch: usize, step_end: f64) -> Result<(), Failed> {
    let seed = seed();
    let small = small(seed);
    let options = Options { step_end, ..options(3, batch) };
    let ours = reconstruct(Cpu::<f64>::new(), &small, &options, &CancelToken::default());
    let [ny, nx] = small.frame.window;
    let patterns: Vec<Vec<f64>> = (0..small.frames.count)
        .map(|f| {
            let pixels: &[u16] = bytemuck::cast_slice(small.frames.frame_bytes(f));
            (0..ny * nx).map(|k| f64::from(pixels[(k / nx + 11) % ny * nx + (k % nx + 13) % nx])).collect()
        })
        .collect();
    let probe = fft2(&small.start.probe_hat, [ny, nx], true);
    let mut book = Textbook { window: [ny, nx], object: small.start.object.clone(), object_shape: small.frame.shape, probe };
    let total: f64 = patterns.iter().flatten().sum();
    let mut rng = small.start.rng;
    for iteration in 1..=3 {
        let (order, next) = ronchi::ptycho::shuffled(small.frames.count, rng);
        rng = next;
        let mut misfit = 0.0;
        // The second of three has the geometric mean of the first and the last.
        let step = 0.5 * [1.0, step_end.sqrt(), step_end][iteration - 1];
        for ids in order.chunks(batch) {
            let places: Vec<_> = ids.iter().map(|&i| small.frame.positions_px[i as usize]).collect();
            let frames: Vec<_> = ids.iter().map(|&i| patterns[i as usize].clone()).collect();
            misfit += book.step(&places, &frames, [step, step], iteration >= 2);
        }
        let ours = ours.state.history[iteration - 1].error;
        // Both sides are f64; a few thousand sums of rounding errors of 1e-16.
        check((ours / (misfit / total) - 1.0).abs() < 1e-10, || format!("error {ours} against {} (seed {seed})", misfit / total))?;
    }
    let difference = relative(&ours.state.object, &book.object);
    check(difference < 1e-10, || format!("object differs by {difference} (seed {seed})"))?;
    let difference = relative(&fft2(&ours.state.probe_hat, [ny, nx], true), &book.probe);
    check(difference < 1e-10, || format!("probe differs by {difference} (seed {seed})"))
}

fn repeatable() -> Result<(), Failed> {
    let small = small(rand::random());
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| reconstruct(Cpu::<f32>::new(), &small, &options(3, 7), &CancelToken::default())).state
    };
    let first = on(1);
    check(first == on(1) && first == on(2) && first == on(5), || "two runs differ".into())
}

fn stopped() -> Result<(), Failed> {
    let small = small(rand::random());
    let whole = reconstruct(Cpu::<f64>::new(), &small, &options(2, 4), &CancelToken::default()).state;
    let cancel = CancelToken::default();
    let backend = Arc::new(Cpu::<f64>::new());
    let patterns = Memory::new(backend.clone(), small.frames.clone()).unwrap();
    let events = |event| {
        if matches!(event, ronchi::run::Event::Iteration { iteration: 2, .. }) {
            cancel.cancel();
        }
    };
    let run = Run { events: &events, cancel: &cancel, rng: small.start.rng };
    let (frame, start) = (&small.frame, small.start.clone());
    let outcome = ronchi::ptycho::reconstruct(&run, &*backend, &patterns, frame, &small.detector, &options(9, 4), start, &mut ()).unwrap();
    check(outcome.ending == Ending::Interrupted && outcome.state.iteration == 2, || format!("stopped after {}", outcome.state.iteration))?;
    check(outcome.state.object == whole.object && outcome.state.rng == whole.rng, || "a part of an iteration is kept".into())
}

/// Multiplies the object by a number after these iterations.
struct Spoils {
    after: RangeInclusive<u32>,
    by: f64,
}

impl Hooks for Spoils {
    fn after_iteration(&mut self, state: &mut State) -> ronchi::ptycho::Result<bool> {
        let now = self.after.contains(&state.iteration);
        if now {
            state.object.iter_mut().for_each(|o| *o *= self.by);
        }
        Ok(now)
    }
}

fn gone_wrong() -> Result<(), Failed> {
    let small = small(rand::random());
    let cancel = CancelToken::default();
    let run = Run { events: &|_| (), cancel: &cancel, rng: small.start.rng };
    let backend = Arc::new(Cpu::<f32>::new());
    let patterns = Memory::new(backend.clone(), small.frames.clone()).unwrap();
    let of = |iterations: u32, by: f64| {
        let (frame, start, options) = (&small.frame, small.start.clone(), options(iterations, 4));
        let mut spoils = Spoils { after: 3..=3, by };
        ronchi::ptycho::reconstruct(&run, &*backend, &patterns, frame, &small.detector, &options, start, &mut spoils).unwrap()
    };
    for (by, words) in [(f64::NAN, "not a number"), (1e3, "times the smallest one before")] {
        // An object a thousand times as bright misses by a million electrons for each one.
        let (outcome, before) = (of(9, by), of(3, by).state);
        let told = matches!(&outcome.ending, Ending::Diverged { iteration: 4, why } if why.contains(words));
        check(told, || format!("an object {by} times as bright: {:?}", outcome.ending))?;
        let kept = outcome.state.iteration == 3 && outcome.state.history == before.history && outcome.state.probe_hat == before.probe_hat;
        check(kept, || format!("kept iteration {}", outcome.state.iteration))?;
    }
    check(of(9, 1.0).ending == Ending::Finished, || "what is not spoiled goes on".into())
}

fn best_kept() -> Result<(), Failed> {
    let small = small(rand::random());
    let cancel = CancelToken::default();
    let run = Run { events: &|_| (), cancel: &cancel, rng: small.start.rng };
    let backend = Arc::new(Cpu::<f32>::new());
    let patterns = Memory::new(backend.clone(), small.frames.clone()).unwrap();
    let of = |iterations: u32, patience: u32| {
        let validation = Some(Validation { ids: vec![2, 9, 16], patience });
        let (frame, start, options) = (&small.frame, small.start.clone(), Options { validation, ..options(iterations, 4) });
        // From the fourth iteration on the object is too dark by more than any iteration makes up for, but not by so much that the run is said to diverge.
        let mut spoils = Spoils { after: 4..=99, by: 0.3 };
        ronchi::ptycho::reconstruct(&run, &*backend, &patterns, frame, &small.detector, &options, start, &mut spoils).unwrap()
    };
    let validated = |outcome: &Outcome| outcome.state.history.iter().filter_map(|record| record.validation).collect::<Vec<f64>>();
    let stopped = of(30, 2);
    let errors = validated(&stopped);
    let best = (0..errors.len()).min_by(|&a, &b| errors[a].total_cmp(&errors[b])).unwrap() + 1;
    check(stopped.ending == Ending::Converged && errors.len() == best + 2 && best <= 3, || {
        format!("{:?} after {errors:?}", stopped.ending)
    })?;
    let short = of(best as u32, 0);
    let same = stopped.state.object == short.state.object && stopped.state.iteration == best as u32;
    check(same && short.ending == Ending::Finished, || "the best iteration is not what is kept".into())?;
    check(of(6, 0).ending == Ending::Finished, || "without patience it goes on".into())
}

fn streamed() -> Result<(), Failed> {
    let seed = seed();
    // More than two blocks of 64.
    let small = small_of(seed, 150);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("scan.h5");
    let cube = Datacube {
        scan_shape: [10, 15],
        frame_shape: small.frame.window,
        step_A: [0.4; 2],
        mrad_per_px: 1.0,
        voltage_kV: 200.0,
        convergence_mrad: 20.0,
        deflate: 1,
    };
    let counts: Vec<u16> = (0..150).flat_map(|f| bytemuck::cast_slice::<u8, u16>(small.frames.frame_bytes(f)).to_vec()).collect();
    write_datacube(&path, false, &cube, &counts).unwrap();
    let cancel = CancelToken::default();
    let run = Run { events: &|_| (), cancel: &cancel, rng: small.start.rng };
    let backend = Arc::new(Cpu::<f32>::new());
    for rule in [Rule::Epie, Rule::LsqMl { alpha: 0.5, friction: 0.5 }, Rule::Adam, Rule::Raar { beta: 0.8 }] {
        for grouping in [Grouping::Random, Grouping::Compact, Grouping::Sparse, Grouping::Sequential] {
            let validation = Some(Validation { ids: vec![3, 64, 149], patience: 0 });
            let options = Options { rule, grouping, validation, ..options(2, 11) };
            let of = |patterns: &dyn Patterns<Cpu<f32>>| {
                let (frame, start) = (&small.frame, small.start.clone());
                ronchi::ptycho::reconstruct(&run, &*backend, patterns, frame, &small.detector, &options, start, &mut ()).unwrap().state
            };
            let result = |state: State| (state.object, state.probe_hat, state.history);
            let resident = of(&Memory::new(backend.clone(), small.frames.clone()).unwrap());
            let source = data::open(&path, &OpenOptions::default()).unwrap();
            let limits = StreamOptions { memory_limit_bytes: 0, block_bytes: 1, ..StreamOptions::default() };
            let stream = Stream::new(source, backend.clone(), limits);
            check(!stream.load(&run).unwrap(), || "the frames are streamed".into())?;
            check(result(of(&stream)) == result(resident), || {
                format!("{rule:?}, {grouping:?}: streamed patterns give another state (seed {seed})")
            })?;
        }
    }
    Ok(())
}

/// A reconstruction of a shared dataset on the CPU engine.
struct Real {
    source: Box<dyn FrameSource>,
    frames: Arc<HostFrames>,
}

/// Voltage, convergence, defocus and scan of a shared dataset.
struct Geometry {
    voltage_kV: f64,
    convergence_mrad: f64,
    mrad_per_px: f64,
    defocus_A: f64,
    scan: ScanGrid,
    centre: [usize; 2],
    remainder: [f64; 2],
}

impl Real {
    fn open(path: &Path) -> Self {
        Self::open_part(path, None)
    }

    /// The rows and columns of the scan that `crop_scan` names, or all.
    fn open_part(path: &Path, crop_scan: Option<[usize; 4]>) -> Self {
        let source = data::open(path, &OpenOptions { crop_scan, ..OpenOptions::default() }).unwrap();
        let info = source.info().clone();
        let mut frames = HostFrames::zeros(info.dtype, info.frame_shape, info.frames());
        source.read(0, info.frames(), &mut frames, 0).unwrap();
        Self { source, frames: Arc::new(frames) }
    }

    fn epie(&self, geometry: &Geometry, iterations: u32, batch: usize) -> (State, ObjectFrame) {
        self.epie_on(Cpu::<f32>::new(), geometry, iterations, batch)
    }

    fn epie_on<B: Backend>(&self, backend: B, geometry: &Geometry, iterations: u32, batch: usize) -> (State, ObjectFrame) {
        let shape = self.source.info().frame_shape;
        let wavelength = wavelength_A(geometry.voltage_kV);
        let pixel = [0, 1].map(|a| object_pixel_A(wavelength, shape[a], geometry.mrad_per_px));
        let frame = ObjectFrame::enclose(&geometry.scan.positions_A(), pixel, shape).unwrap();
        let detector = DetectorLayout { shape, centre: geometry.centre, valid: None, ..DetectorLayout::default() };
        let backend = Arc::new(backend);
        let patterns = Memory::new(backend.clone(), self.frames.clone()).unwrap();
        let electrons = mean_counts(&self.frames);
        let optics = ProbeOptics {
            voltage_kV: geometry.voltage_kV,
            convergence_mrad: geometry.convergence_mrad,
            aberrations: Aberrations::defocus(geometry.defocus_A),
        };
        let probe = optics.spectrum(shape, [geometry.mrad_per_px; 2], geometry.remainder, electrons);
        let cancel = CancelToken::default();
        let run = Run { events: &|_| (), cancel: &cancel, rng: RngState::new(0) };
        let options = Options { probe_from: 3, ..Options::epie(iterations, batch, wavelength) };
        let start = State::start(&frame, 1, 0.0, probe, run.rng);
        (ronchi::ptycho::reconstruct(&run, &*backend, &patterns, &frame, &detector, &options, start, &mut ()).unwrap().state, frame)
    }
}

fn mean_counts(frames: &HostFrames) -> f64 {
    let total: u64 = (0..frames.count)
        .map(|f| match frames.dtype {
            SampleType::U8 => frames.frame_bytes(f).iter().map(|&x| u64::from(x)).sum::<u64>(),
            _ => bytemuck::cast_slice::<u8, u16>(frames.frame_bytes(f)).iter().map(|&x| u64::from(x)).sum(),
        })
        .sum();
    total as f64 / frames.count as f64
}

/// The geometry of a simulated set; its manifest has the numbers.
fn simulated(path: &Path, source: &dyn FrameSource, rotation_deg: f64) -> Geometry {
    let turned = path.to_string_lossy().contains("_100_");
    let step_A = if turned { 0.35 } else { 0.40 };
    Geometry {
        voltage_kV: if turned { 200.0 } else { 300.0 },
        convergence_mrad: if turned { 21.4 } else { 25.0 },
        mrad_per_px: if turned { 1.253_967_02 } else { 0.984_374_44 },
        defocus_A: if turned { 120.0 } else { -100.0 },
        scan: ScanGrid { shape: source.info().scan_shape, step_A: [step_A; 2], rotation_deg, transpose: false },
        centre: [64, 64],
        remainder: [0.0, 0.0],
    }
}

fn truth_of(path: &Path) -> Truth {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    Truth::read(&path.with_file_name(format!("{}_truth.h5", name.rsplit_once('_').unwrap().0)))
}

fn scores(path: &Path, batch: usize, rotation_deg: f64) -> (f64, f64) {
    let real = Real::open(path);
    let (state, frame) = real.epie(&simulated(path, &*real.source, rotation_deg), 10, batch);
    score(&phase(&state, &frame), &frame, &truth_of(path))
}

/// A plain NumPy ePIE by the same rule gives 0.722 and 0.956 at batch 1 of `_010`, 0.725 and 0.983 at batch 32, and 0.871 and 0.956 on
/// `_100`; the bounds lie below by the spread of seeds. (r is higher here: heavy columns pass π, and our phase does not wrap there.)
fn scored(path: &Path, batch: usize, rotation_deg: f64, least_r: f64, least_r2: f64) -> Result<(), Failed> {
    let (r, r2) = scores(path, batch, rotation_deg);
    eprintln!("{} batch {batch}: r {r:.4}, R² {r2:.4}", path.display());
    check(r >= least_r && r2 >= least_r2, || format!("r {r:.4} (at least {least_r}), R² {r2:.4} (at least {least_r2})"))
}

fn wrong_turn(path: &Path) -> Result<(), Failed> {
    let (r, _) = scores(path, 32, 12.0);
    check(r < 0.2, || format!("r {r:.4}, as if +12° were right"))
}

/// Three iterations at one seed, in the right geometry, a wrong rotation and a wrong sign of the defocus.
fn rotavirus(path: &Path) -> Result<(), Failed> {
    let real = Real::open(path);
    let geometry = |rotation_deg, defocus_A| Geometry {
        voltage_kV: 300.0,
        convergence_mrad: 1.03,
        mrad_per_px: 1.03 / 30.2,
        defocus_A,
        scan: ScanGrid { shape: [64, 64], step_A: [31.25; 2], rotation_deg, transpose: true },
        centre: [64, 63],
        remainder: [-0.4, 0.0],
    };
    let cases = [geometry(126.0, 135_000.0), geometry(-126.0, 135_000.0), geometry(126.0, -135_000.0)];
    let found = cases.map(|geometry| {
        let (state, frame) = real.epie(&geometry, 3, 32);
        (state.history[2].error, structure(&phase(&state, &frame), &frame))
    });
    eprintln!("rotavirus: (error, variance) {found:?}");
    let [right, others @ ..] = found;
    for (error, variance) in others {
        check(right.0 <= 0.99 * error, || format!("error {} in the right geometry, {error} in a wrong one", right.0))?;
        check(right.1 >= ROTAVIRUS_CONTRAST * variance, || format!("variance {} against {variance}", right.1))?;
    }
    Ok(())
}

/// By how much the particles' variance exceeds what a wrong geometry leaves. Measured: 1.73 times that of the wrong rotation and 1.58 times
/// that of the wrong defocus, the error being 1.4 % lower; an order of the patterns by another seed moves these by a few per cent.
const ROTAVIRUS_CONTRAST: f64 = 1.4;

/// The variance of the phase in the middle half of the scanned field, blurred by 15 Å: particles are 700 Å wide, their spikes 40 Å.
fn structure(phase: &[f64], frame: &ObjectFrame) -> f64 {
    let smooth = blur(phase, frame.shape, 15.0 / frame.pixel_A[0]);
    let bounds = [0, 1].map(|a| {
        let (low, high) = frame.positions_px.iter().fold((f64::MAX, 0.0_f64), |(l, h), p| (l.min(p[a]), h.max(p[a])));
        (0.75 * low + 0.25 * high) as usize..(0.25 * low + 0.75 * high) as usize
    });
    let values: Vec<f64> =
        bounds[0].clone().flat_map(|y| bounds[1].clone().map(move |x| (y, x))).map(|(y, x)| smooth[y * frame.shape[1] + x]).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64
}

/// f32 on both sides: the difference grows with every batch, and is far below what counts leave uncertain.
fn engines_agree(batch: usize) -> Result<(), Failed> {
    let small = crop();
    let options = Options { probe_from: 3, ..Options::epie(5, batch, 0.02) };
    let cpu = reconstruct(Cpu::<f32>::new(), &small, &options, &CancelToken::default()).state;
    let gpu = reconstruct(common::gpu(None)?, &small, &options, &CancelToken::default()).state;
    let difference = relative(&gpu.object, &cpu.object);
    eprintln!("batch {batch}: the objects differ by {difference:.2e}");
    check(difference < 1e-3, || format!("the objects differ by {difference}"))
}

/// The same on measured counts, whose dark field is where single precision would show.
fn engines_agree_on_data(path: &Path) -> Result<(), Failed> {
    let real = Real::open_part(path, Some([10, 16, 20, 26]));
    let geometry = simulated(path, &*real.source, 0.0);
    let (cpu, _) = real.epie(&geometry, 4, 32);
    let (gpu, _) = real.epie_on(common::gpu(None)?, &geometry, 4, 32);
    let difference = relative(&gpu.object, &cpu.object);
    eprintln!("010, 6×6 positions: the objects differ by {difference:.2e}");
    check(difference < 1e-3, || format!("the objects differ by {difference}"))
}

/// Patterns of a random phase object on a small scan, from f64.
fn crop() -> Small {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let window = [48, 48];
    let scan = ScanGrid { shape: [6, 7], step_A: [0.5, 0.5], rotation_deg: -12.0, transpose: false };
    let frame = ObjectFrame::enclose(&scan.positions_A(), [0.2, 0.2], window).unwrap();
    let optics = ProbeOptics { voltage_kV: 300.0, convergence_mrad: 25.0, aberrations: Aberrations::defocus(60.0) };
    let mrad = wavelength_A(300.0) / (48.0 * 0.2) * 1e3;
    let probe = optics.spectrum(window, [mrad; 2], [0.0; 2], 2000.0);
    let noise: Vec<f64> = (0..frame.shape[0] * frame.shape[1]).map(|_| rng.random_range(-3.0..3.0)).collect();
    let object: Vec<Complex64> = blur(&noise, frame.shape, 1.5).into_iter().map(Complex64::cis).collect();
    let backend = Cpu::<f64>::new();
    let ids: Vec<u32> = (0..42).collect();
    let batch = backend.batch(BatchPlan::new(&ids, &frame.positions_px, window, frame.shape)).unwrap();
    let (hat, object) = (backend.complexes(&probe).unwrap(), backend.complexes(&object).unwrap());
    let mut probes = backend.complex_zeros(42 * 48 * 48).unwrap();
    let mut waves = backend.complex_zeros(42 * 48 * 48).unwrap();
    backend.shift_probe(&hat, 1, &batch, &mut probes).unwrap();
    backend.fft2(&mut probes, window, 42, ronchi::compute::Direction::Inverse).unwrap();
    backend.exit_wave(&probes, &object, 1, &batch, &mut waves).unwrap();
    backend.fft2(&mut waves, window, 42, ronchi::compute::Direction::Forward).unwrap();
    let mut frames = HostFrames::zeros(SampleType::U8, window, 42);
    let waves = backend.read_complexes(&waves).unwrap();
    for (f, wave) in waves.chunks_exact(48 * 48).enumerate() {
        for (k, z) in wave.iter().enumerate() {
            let (y, x) = ((k / 48 + 24) % 48, (k % 48 + 24) % 48);
            frames.frame_bytes_mut(f)[y * 48 + x] = (z.norm_sqr() + rng.random_range(0.0..1.0)) as u8;
        }
    }
    let start = State::start(&frame, 1, 0.0, probe, RngState::new(3));
    Small {
        frame,
        frames: Arc::new(frames),
        detector: DetectorLayout { shape: window, centre: [24, 24], valid: None, ..DetectorLayout::default() },
        start,
    }
}

/// ‖a − b‖/‖b‖.
fn relative(a: &[Complex64], b: &[Complex64]) -> f64 {
    let difference: f64 = a.iter().zip(b).map(|(a, b)| (a - b).norm_sqr()).sum();
    (difference / b.iter().map(Complex64::norm_sqr).sum::<f64>()).sqrt()
}

fn check(holds: bool, words: impl Fn() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(words().into()) }
}
