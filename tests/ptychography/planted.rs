//! Truths that are planted in simulated patterns, and found again.

use std::sync::Arc;

use libtest_mimic::Failed;
use num_complex::Complex64;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, Poisson};
use ronchi::compute::cpu::Cpu;
use ronchi::compute::{DetectorLayout, HostFrames, Likelihood, SampleType, Spread};
use ronchi::optics::{Aberrations, ProbeOptics, object_pixel_A, wavelength_A};
use ronchi::ptycho::{
    Affine, Grouping, Hooks, ObjectFrame, Options, PositionRefinement, Refinement, Rule, State, TiltRefinement, propagator, reconstruct,
    rewindowed, with_modes,
};
use ronchi::run::{CancelToken, RngState, Run};
use ronchi::stream::Memory;

use crate::check;
use crate::textbook::fft2;

const WINDOW: [usize; 2] = [64, 64];
const MRAD: f64 = 1.8;
const VOLTAGE: f64 = 200.0;
const SEMIANGLE: f64 = 22.0;

/// A specimen with patterns of it, calculated in plain f64 with direct formulas.
struct Planted {
    /// The places where the probe stood, in Å.
    positions_A: Vec<[f64; 2]>,
    frames: Arc<HostFrames>,
    probe: Vec<Complex64>,
    /// What each position's defocus has more than the mean one.
    wander_A: Vec<f64>,
    pixel_A: f64,
    seed: u64,
}

/// What is planted.
struct Truth {
    dose_e_per_A2: f64,
    defocus_A: f64,
    jitter_A: f64,
    /// How far y moves for each unit of x.
    shear: f64,
    /// How far y and x move for each unit of y, the slow axis: a steady drift.
    drift: [f64; 2],
    slices: usize,
    thickness_A: f64,
    step_A: f64,
    side: usize,
    /// The standard deviation of each position's defocus from `defocus_A`.
    wander_A: f64,
    /// The most that the specimen, then of equal slices, is tilted along y and x, in mrad.
    bend_mrad: f64,
    /// A second state of the probe: its part of the electrons, and its defocus beyond that of the first.
    second: Option<(f64, f64)>,
}

impl Default for Truth {
    fn default() -> Self {
        Self {
            dose_e_per_A2: crate::dose_e_per_A2(),
            defocus_A: 120.0,
            jitter_A: 0.0,
            shear: 0.0,
            drift: [0.0; 2],
            slices: 1,
            thickness_A: 0.0,
            step_A: 0.7,
            side: 16,
            wander_A: 0.0,
            bend_mrad: 0.0,
            second: None,
        }
    }
}

impl Truth {
    /// The tilt of a bent specimen: saddle-like waves as wide as the field.
    fn tilt_mrad(&self, place_A: &[f64; 2]) -> [f64; 2] {
        let turns = place_A.map(|x| std::f64::consts::TAU * x / (self.side as f64 * self.step_A));
        [self.bend_mrad * turns[1].sin(), self.bend_mrad * turns[0].cos()]
    }

    /// The states of the probe, one after the other.
    fn states(&self, defocus_A: f64, electrons: f64) -> Vec<Complex64> {
        let (share, further_A) = self.second.unwrap_or((0.0, 0.0));
        let mut states = probe(defocus_A, (1.0 - share) * electrons);
        if share > 0.0 {
            states.extend(probe(defocus_A + further_A, share * electrons));
        }
        states
    }
}

/// A probe of the tests' optics, Σ|P̂|² = `electrons`.
fn probe(defocus_A: f64, electrons: f64) -> Vec<Complex64> {
    let aberrations = Aberrations::defocus(defocus_A);
    ProbeOptics { voltage_kV: VOLTAGE, convergence_mrad: SEMIANGLE, aberrations }.spectrum(WINDOW, [MRAD; 2], [0.0; 2], electrons)
}

/// The regular raster.
fn raster(truth: &Truth) -> Vec<[f64; 2]> {
    (0..truth.side * truth.side).map(|n| [n / truth.side, n % truth.side].map(|i| i as f64 * truth.step_A)).collect()
}

fn plant(seed: u64, truth: &Truth) -> Planted {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let pixel_A = object_pixel_A(wavelength_A(VOLTAGE), WINDOW[0], MRAD);
    let jitter = Normal::new(0.0, truth.jitter_A / 2f64.sqrt()).unwrap();
    let [along, across] = truth.drift;
    let moved = |[y, x]: [f64; 2]| [y + along * y + truth.shear * x, x + across * y];
    let positions_A: Vec<[f64; 2]> =
        raster(truth).into_iter().map(|place| moved(place).map(|place| place + jitter.sample(&mut rng))).collect();
    let frame = ObjectFrame::enclose(&positions_A, [pixel_A; 2], WINDOW).unwrap();
    // Gaussian atoms at random, one in each cell of 10 pixels: what stands in a hole cannot be told from what stands beside.
    let [height, width] = frame.shape;
    let mut object = vec![vec![0.0; height * width]; truth.slices];
    for slice in &mut object {
        for cell in 0..(height / 10) * (width / 10) {
            let [row, col] = [cell / (width / 10) * 10, cell % (width / 10) * 10].map(|start| start as f64);
            let (y, x, peak) = (row + rng.random_range(0.0..10.0), col + rng.random_range(0.0..10.0), rng.random_range(0.3..0.8));
            for row in (y as usize).saturating_sub(8)..(y as usize + 9).min(height) {
                for col in (x as usize).saturating_sub(8)..(x as usize + 9).min(width) {
                    let distance = (row as f64 - y).hypot(col as f64 - x) * pixel_A;
                    slice[row * width + col] += peak * (-distance * distance / (2.0 * 0.35 * 0.35)).exp();
                }
            }
        }
    }
    if truth.bend_mrad > 0.0 {
        object = vec![object[0].clone(); truth.slices];
    }
    let electrons = truth.dose_e_per_A2 * truth.step_A * truth.step_A;
    let probe_hat = probe(truth.defocus_A, electrons);
    let wander = Normal::new(0.0, truth.wander_A).unwrap();
    let wander_A: Vec<f64> = positions_A.iter().map(|_| wander.sample(&mut rng)).collect();
    let between = propagator(WINDOW, [pixel_A; 2], wavelength_A(VOLTAGE), truth.thickness_A, [0.0; 2]);
    let mut frames = HostFrames::zeros(SampleType::U32, WINDOW, positions_A.len());
    let [ny, nx] = WINDOW;
    for (f, (position, position_A)) in frame.positions_px.iter().zip(&positions_A).enumerate() {
        let whole = position.map(f64::round);
        let mut intensity = vec![0.0; ny * nx];
        let here = truth.states(truth.defocus_A + wander_A[f], electrons);
        for mode in here.chunks_exact(ny * nx) {
            let shifted: Vec<Complex64> = mode.iter().enumerate().map(|(k, p)| p * ramp(k, position, &whole)).collect();
            let mut wave = fft2(&shifted, WINDOW, true);
            for (s, slice) in object.iter().enumerate() {
                if s > 0 {
                    let shift = truth.tilt_mrad(position_A).map(|t| truth.thickness_A * (t * 1e-3).tan() / pixel_A);
                    let spectrum: Vec<Complex64> = fft2(&wave, WINDOW, false)
                        .iter()
                        .zip(&between)
                        .enumerate()
                        .map(|(k, (w, h))| w * h * ramp(k, &shift, &[0.0; 2]))
                        .collect();
                    wave = fft2(&spectrum, WINDOW, true);
                }
                for (k, w) in wave.iter_mut().enumerate() {
                    let (row, col) = (whole[0] as usize - ny / 2 + k / nx, whole[1] as usize - nx / 2 + k % nx);
                    *w *= Complex64::cis(slice[row * width + col]);
                }
            }
            intensity.iter_mut().zip(fft2(&wave, WINDOW, false)).for_each(|(i, w)| *i += w.norm_sqr());
        }
        let counts: &mut [u32] = bytemuck::cast_slice_mut(frames.frame_bytes_mut(f));
        for (k, i) in intensity.iter().enumerate() {
            // Reciprocal pixel k of FFT order lies N/2 further on the detector.
            let pixel = (k / nx + ny / 2) % ny * nx + (k % nx + nx / 2) % nx;
            counts[pixel] = if *i > 0.0 { Poisson::new(*i).unwrap().sample(&mut rng) as u32 } else { 0 };
        }
    }
    Planted { positions_A, frames: Arc::new(frames), probe: probe_hat, wander_A, pixel_A, seed }
}

fn ramp(k: usize, position: &[f64; 2], whole: &[f64; 2]) -> Complex64 {
    let f = |k: usize, n: usize| if k < n / 2 { k as f64 } else { k as f64 - n as f64 } / n as f64;
    let turns = f(k / WINDOW[1], WINDOW[0]) * (position[0] - whole[0]) + f(k % WINDOW[1], WINDOW[1]) * (position[1] - whole[1]);
    Complex64::cis(-std::f64::consts::TAU * turns)
}

impl Planted {
    /// Reconstructs from `start`, at first with positions of `places_A`.
    fn reconstruct(
        &self,
        places_A: &[[f64; 2]],
        options: &Options,
        start: impl Fn(&ObjectFrame) -> State,
        hooks: &mut dyn Hooks,
    ) -> (State, ObjectFrame) {
        let frame = ObjectFrame::enclose(places_A, [self.pixel_A; 2], WINDOW).unwrap().enlarged(8);
        let backend = Arc::new(Cpu::<f32>::new());
        let patterns = Memory::new(backend.clone(), self.frames.clone()).unwrap();
        let detector = DetectorLayout { shape: WINDOW, centre: WINDOW.map(|n| n / 2), ..DetectorLayout::default() };
        let cancel = CancelToken::default();
        let run = Run { events: &|_| (), cancel: &cancel, rng: RngState::new(self.seed) };
        let outcome = reconstruct(&run, &*backend, &patterns, &frame, &detector, options, start(&frame), hooks).unwrap();
        (outcome.state, frame)
    }
}

fn options(iterations: u32) -> Options {
    let rule = Rule::LsqMl { alpha: 0.25, friction: 0.5 };
    Options { rule, grouping: Grouping::Sparse, ..Options::epie(iterations, 64, wavelength_A(VOLTAGE)) }
}

/// The root mean square distance of positions from the truth in Å, but for a common shift.
fn distance_A(found: &[[f64; 2]], truth: &[[f64; 2]]) -> f64 {
    let n = found.len() as f64;
    let mean = |p: &[[f64; 2]]| [0, 1].map(|a| p.iter().map(|p| p[a]).sum::<f64>() / n);
    let (f, t) = (mean(found), mean(truth));
    let squares = found.iter().zip(truth).map(|(p, q)| (0..2).map(|a| (p[a] - f[a] - q[a] + t[a]).powi(2)).sum::<f64>());
    (squares.sum::<f64>() / n).sqrt()
}

fn places_A(state: &State, frame: &ObjectFrame) -> Vec<[f64; 2]> {
    state.positions_px.iter().map(|p| [0, 1].map(|a| (p[a] - frame.origin_px[a]) * frame.pixel_A[a])).collect()
}

/// A jitter of 0.3 Å rms is found to 0.05 Å; its own linear part, 0.03 Å, is not looked for (a gauge that `affine_from` frees) and left out. Beside it 0.019 to 0.025 Å were left in 25 runs.
pub(crate) fn jitter() -> Result<(), Failed> {
    let seed = crate::seed();
    let truth = Truth { jitter_A: 0.3, ..Truth::default() };
    let after = positions_found(seed, &truth, PositionRefinement { from: 4, affine_from: 0, scale_from: 0, limit_A: 1.5 }, 100);
    let linear = Affine::fit(&after.0, &after.1, [[1.0, 0.0], [0.0, 1.0]]);
    let after = distance_A(&after.0.iter().map(|p| linear.apply(*p)).collect::<Vec<_>>(), &after.1);
    eprintln!("jitter: {after:.4} Å left of 0.3 (seed {seed})");
    check(after < 0.05, || format!("positions are {after:.4} Å off (seed {seed})"))
}

/// A drift by 2 % of the way along the slow axis, which draws the scan out, and by 1 % across it, which shears it, is found.
pub(crate) fn drift() -> Result<(), Failed> {
    let seed = crate::seed();
    let truth = Truth { drift: [0.02, 0.01], ..Truth::default() };
    let (found, planted) = positions_found(seed, &truth, PositionRefinement { from: 0, affine_from: 4, scale_from: 6, limit_A: 1.5 }, 60);
    let left = Affine::fit(&planted, &found, [[1.0, 0.0], [0.0, 1.0]]).linear;
    eprintln!("drift: {left:.4?} is left of 1.02 and 0.01 (seed {seed})");
    let off = (0..4).map(|n| (left[n / 2][n % 2] - f64::from(u8::from(n == 0 || n == 3))).abs()).fold(0.0, f64::max);
    check(off < 0.008, || format!("the scan is strained by {left:?} (seed {seed})"))
}

/// A shear of the scan by 1 % is found; at most 0.03 to 0.25 % of the map were off in 20 runs. The scale stays what it was.
pub(crate) fn shear() -> Result<(), Failed> {
    let seed = crate::seed();
    let truth = Truth { shear: 0.01, ..Truth::default() };
    let (found, planted) = positions_found(seed, &truth, PositionRefinement { from: 0, affine_from: 4, scale_from: 0, limit_A: 1.5 }, 60);
    let [before, after] = [raster(&truth), found].map(|places| Affine::fit(&planted, &places, [[1.0, 0.0], [0.0, 1.0]]).linear);
    let off = (0..4).map(|n| (after[n / 2][n % 2] - f64::from(u8::from(n == 0 || n == 3))).abs()).fold(0.0, f64::max);
    eprintln!("shear: {:.5} of 0.01 found, at most {off:.5} off (seed {seed})", after[0][1] - before[0][1]);
    check(off < 0.005, || format!("the scan is strained by {after:?} (seed {seed})"))
}

/// The places found from a regular raster, and those planted, in Å.
fn positions_found(seed: u64, truth: &Truth, rule: PositionRefinement, iterations: u32) -> (Vec<[f64; 2]>, Vec<[f64; 2]>) {
    let planted = plant(seed, truth);
    let options = options(iterations);
    // A scale is sought by counting statistics, with a probe that is known.
    let (likelihood, probe_from) =
        if rule.scale_from > 0 { (Likelihood::Poisson { epsilon: 0.1 }, 0) } else { (options.likelihood, options.probe_from) };
    let refinement = Refinement { positions: Some(rule), ..Refinement::default() };
    let options = Options { refinement, likelihood, probe_from, ..options };
    let start = |frame: &ObjectFrame| State::start(frame, 1, 0.0, planted.probe.clone(), RngState::new(seed));
    let (state, frame) = planted.reconstruct(&raster(truth), &options, start, &mut ());
    (places_A(&state, &frame), planted.positions_A)
}

/// The thickness of a slice is found to 10 %.
pub(crate) fn thickness() -> Result<(), Failed> {
    let seed = crate::seed();
    let truth = Truth { slices: 2, thickness_A: 60.0, ..Truth::default() };
    let planted = plant(seed, &truth);
    let options = Options { refinement: Refinement { thickness_from: 6, ..Refinement::default() }, probe_from: 0, ..options(160) };
    let (state, _) = planted.reconstruct(
        &raster(&truth),
        &options,
        |frame| State::start(frame, 2, 42.0, planted.probe.clone(), RngState::new(seed)),
        &mut (),
    );
    eprintln!("thickness: {:.2} Å of 60, begun at 42 (seed {seed})", state.slice_thickness_A);
    check((state.slice_thickness_A - 60.0).abs() < 6.0, || {
        format!("the thickness is found as {:.2} Å of 60 (seed {seed})", state.slice_thickness_A)
    })
}

/// RAAR comes near to what single updates come to and stays there, and the difference map comes as near before counting noise makes it wander; the probe, out of focus by 5 Å, is
/// refined with the object.
pub(crate) fn kept_waves() -> Result<(), Failed> {
    let seed = crate::seed();
    let truth = Truth::default();
    let planted = plant(seed, &truth);
    let begun = probe(truth.defocus_A + 5.0, truth.dose_e_per_A2 * truth.step_A * truth.step_A);
    let of = |rule: Rule, iterations: u32| {
        let options = Options { rule, ..options(iterations) };
        let start = |frame: &ObjectFrame| State::start(frame, 1, 0.0, begun.clone(), RngState::new(seed));
        planted.reconstruct(&raster(&truth), &options, start, &mut ()).0.errors()
    };
    let [updates, map, raar] = [of(Rule::Epie, 30), of(Rule::DifferenceMap { beta: 0.9 }, 10), of(Rule::Raar { beta: 0.9 }, 30)];
    let told = |errors: &[f64]| errors.iter().map(|e| format!("{e:.4}")).collect::<Vec<_>>().join(" ");
    eprintln!("kept waves (seed {seed}): ePIE {}; difference map {}; RAAR {}", told(&updates), told(&map), told(&raar));
    let least = |errors: &[f64]| errors.iter().copied().fold(f64::INFINITY, f64::min);
    for (name, errors, iterations) in [("difference map", map, 10), ("RAAR", raar, 30)] {
        let (last, best) = (errors.last().copied().unwrap_or(f64::NAN), least(&errors));
        let holds = errors.len() == iterations && best < 1.5 * least(&updates) && last < 1.5 * best;
        check(holds, || format!("{name}: {} (seed {seed})", told(&errors)))?;
    }
    Ok(())
}

/// The powers of a probe's two states, of different focus as the energies of a beam have it, are found; 14 runs were off by 0.4 % of the electrons at most. (From a weak second mode and with
/// 0.1 electrons for epsilon a run in twenty was still 2 to 3 % off after 800 iterations. States that lie beside each other are not found: to a weak object they are what a blur of the object is.)
pub(crate) fn two_states() -> Result<(), Failed> {
    let seed = crate::seed();
    let truth = Truth { second: Some((0.2, 80.0)), ..Truth::default() };
    let planted = plant(seed, &truth);
    let begun = with_modes(planted.probe.clone(), WINDOW, 2, 0.3);
    let options = Options {
        rule: Rule::Epie,
        batch: 8,
        grouping: Grouping::Random,
        likelihood: Likelihood::Poisson { epsilon: 1.0 },
        ..options(600)
    };
    let start = |frame: &ObjectFrame| State::start(frame, 1, 0.0, begun.clone(), RngState::new(seed));
    let (state, _) = planted.reconstruct(&raster(&truth), &options, start, &mut PurePhase);
    let [begun, found, expected] = [&begun, &state.probe_hat, &truth.states(truth.defocus_A, 1.0)].map(|states| first_share(states));
    eprintln!("two states: {found:.4} of {expected:.4} in the first, begun at {begun:.4} (seed {seed})");
    check((found - expected).abs() < 0.02, || {
        format!("the first state has {found:.4} of the electrons, {expected:.4} were planted (seed {seed})")
    })
}

/// The share of the stronger one of the orthogonal states that make the same patterns as these two.
fn first_share(probe_hat: &[Complex64]) -> f64 {
    let (a, b) = probe_hat.split_at(probe_hat.len() / 2);
    let (aa, bb): (f64, f64) = (a.iter().map(Complex64::norm_sqr).sum(), b.iter().map(Complex64::norm_sqr).sum());
    let ab: Complex64 = a.iter().zip(b).map(|(a, b)| a.conj() * b).sum();
    let (half, root) = ((aa + bb) / 2.0, (((aa - bb) / 2.0).powi(2) + ab.norm_sqr()).sqrt());
    (half + root) / (2.0 * half)
}

/// The object is known to absorb nothing.
struct PurePhase;

impl Hooks for PurePhase {
    fn after_iteration(&mut self, state: &mut State) -> ronchi::ptycho::Result<bool> {
        state.object.iter_mut().for_each(|o| *o /= o.norm());
        Ok(true)
    }
}

/// The tilts of a bent specimen of equal slices, 6 mrad rms, are found to a fifth; 0.34 to 0.55 mrad were left in 20 runs.
pub(crate) fn bend() -> Result<(), Failed> {
    let seed = crate::seed();
    let truth = Truth { slices: 2, thickness_A: 60.0, bend_mrad: 6.0, ..Truth::default() };
    let planted = plant(seed, &truth);
    let tilts = TiltRefinement { from: 6, limit_mrad: 20.0, smooth_A: 2.0 };
    let options = Options { refinement: Refinement { tilts, ..Refinement::default() }, probe_from: 0, ..options(100) };
    let start = |frame: &ObjectFrame| State::start(frame, 2, truth.thickness_A, planted.probe.clone(), RngState::new(seed));
    let (state, _) = planted.reconstruct(&raster(&truth), &options, start, &mut EqualSlices);
    let planted: Vec<[f64; 2]> = planted.positions_A.iter().map(|place| truth.tilt_mrad(place)).collect();
    let (before, after) = (distance_A(&vec![[0.0; 2]; planted.len()], &planted), distance_A(&state.tilts_mrad, &planted));
    eprintln!("bend: {after:.2} mrad left of {before:.2} (seed {seed})");
    check(after < 0.2 * before, || format!("tilts are {after:.2} mrad off (seed {seed})"))
}

/// Slices are known to be equal.
struct EqualSlices;

impl Hooks for EqualSlices {
    fn after_iteration(&mut self, state: &mut State) -> ronchi::ptycho::Result<bool> {
        let pixels = state.shape.object_pixels();
        let (first, second) = state.object.split_at_mut(pixels);
        for (a, b) in first.iter_mut().zip(second) {
            let mean = (*a + *b) / 2.0;
            (*a, *b) = (mean, mean);
        }
        Ok(true)
    }
}

/// A defocus that is wrong by a tenth is put right to 1 Å in 100 Å; 0.01 to 0.53 Å were left in 60 runs. (In batches of 64 up to 1.05 Å: the noise that the object has taken up holds the lens.)
pub(crate) fn defocus() -> Result<(), Failed> {
    let seed = crate::seed();
    let truth = Truth { defocus_A: 100.0, ..Truth::default() };
    let planted = plant(seed, &truth);
    for wrong_A in [-10.0, 10.0] {
        let refinement = Refinement { defocus_from: 2, ..Refinement::default() };
        let options = Options { refinement, batch: 128, ..options(120) };
        let electrons = truth.dose_e_per_A2 * truth.step_A * truth.step_A;
        let begun = probe(truth.defocus_A + wrong_A, electrons);
        let start = |frame: &ObjectFrame| State::start(frame, 1, 0.0, begun.clone(), RngState::new(seed));
        let (state, _) = planted.reconstruct(&raster(&truth), &options, start, &mut ());
        let found = truth.defocus_A + wrong_A + state.lens_A[0];
        eprintln!("defocus: {found:.2} Å of 100, begun at {} (seed {seed})", truth.defocus_A + wrong_A);
        check((found - truth.defocus_A).abs() < 1.0, || format!("the defocus is found as {found:.2} Å of 100 (seed {seed})"))?;
    }
    Ok(())
}

/// Patterns whose pixels were added up in fours are explained as well as whole ones where the window is up-sampled, and far better than without.
pub(crate) fn upsampled() -> Result<(), Failed> {
    let seed = crate::seed();
    // A disk of 11 Å in a window of 17.5 Å, which frames of half the pixels make 8.7 Å wide.
    let truth = Truth { defocus_A: 250.0, ..Truth::default() };
    let planted = plant(seed, &truth);
    let binned = WINDOW.map(|n| n / 2);
    let mut frames = HostFrames::zeros(SampleType::U32, binned, planted.frames.count);
    for f in 0..frames.count {
        let whole: &[u32] = bytemuck::cast_slice(planted.frames.frame_bytes(f));
        let sums: &mut [u32] = bytemuck::cast_slice_mut(frames.frame_bytes_mut(f));
        for (pixel, count) in whole.iter().enumerate() {
            sums[pixel / WINDOW[1] / 2 * binned[1] + pixel % WINDOW[1] / 2] += count;
        }
    }
    let planted = Planted { frames: Arc::new(frames), ..planted };
    let frame = ObjectFrame::enclose(&raster(&truth), [planted.pixel_A; 2], WINDOW).unwrap();
    let of = |window: [usize; 2], upsample: usize| {
        let detector = DetectorLayout {
            shape: binned,
            centre: window.map(|n| n / 2),
            spread: Spread { upsample, blur_px: 0.0 },
            ..DetectorLayout::default()
        };
        let frame = ObjectFrame { window, ..frame.clone() };
        let probe_hat = rewindowed(&planted.probe, WINDOW, window).unwrap();
        let start = State::start(&frame, 1, 0.0, probe_hat, RngState::new(seed));
        let backend = Arc::new(Cpu::<f32>::new());
        let patterns = Memory::new(backend.clone(), planted.frames.clone()).unwrap();
        let cancel = CancelToken::default();
        let run = Run { events: &|_| (), cancel: &cancel, rng: RngState::new(seed) };
        let outcome = reconstruct(&run, &*backend, &patterns, &frame, &detector, &options(12), start, &mut ()).unwrap();
        *outcome.state.errors().last().unwrap()
    };
    let (plain, wide) = (of(binned, 1), of(WINDOW, 2));
    eprintln!("up-sampled: error {wide:.4}, without {plain:.4} (seed {seed})");
    check(wide < 0.7 * plain, || format!("error {wide:.4} up-sampled, {plain:.4} without (seed {seed})"))
}

/// A defocus that differs from position to position is what the probe is found to vary by: the weights of the strongest variation follow it. (One that drifts slowly is not: the object takes it up.)
pub(crate) fn wandering_probe() -> Result<(), Failed> {
    let seed = crate::seed();
    let truth = Truth { wander_A: 20.0, ..Truth::default() };
    let planted = plant(seed, &truth);
    let of = |variations: usize| {
        let options = Options { refinement: Refinement { variations_from: 3, ..Refinement::default() }, ..options(200) };
        let start =
            |frame: &ObjectFrame| State::start(frame, 1, 0.0, planted.probe.clone(), RngState::new(seed)).with_variations(variations);
        planted.reconstruct(&raster(&truth), &options, start, &mut ()).0
    };
    let (fixed, varied) = (of(0), of(2));
    let [without, with] = [&fixed, &varied].map(|state| *state.errors().last().unwrap());
    let weights: Vec<f64> = varied.weights.iter().step_by(2).copied().collect();
    let sums = weights.iter().zip(&planted.wander_A).fold([0.0; 3], |[a, b, c], (w, d)| [a + w * d, b + w * w, c + d * d]);
    let correlation = (sums[0] / (sums[1] * sums[2]).sqrt()).abs();
    eprintln!("wandering probe: error {with:.4} with variations, {without:.4} without, correlation {correlation:.4} (seed {seed})");
    // In 20 runs 0.80 to 0.91 of the error, most of which is counting noise, and correlations of 0.82 to 0.95; 0.75 once where columns were few.
    // Weights by chance give 0 ± 0.06.
    check(with < without && correlation > 0.3, || {
        format!("error {with:.4} with variations, {without:.4} without, correlation {correlation:.4} (seed {seed})")
    })
}
