//! Two halves of the electrons, reconstructed each by itself: how far they agree, and how far halves without any structure would.

use std::sync::Arc;

use num_complex::Complex64;

use super::setup::{Electrons, Setup};
use super::{Ended, Keeper};
use crate::analysis::{Frc, Threshold, Window, displaced, displacement, frc_of_objects, without_ramp};
use crate::compute::Backend;
use crate::data::{FrameSource, Half, Thinned, Unstructured};
use crate::job::{Error, arrays};
use crate::output::{Array, Attr};
use crate::ptycho::{self, State};
use crate::run::Run;
use crate::stream::Stream;

/// Halves may lie so far from each other in Å: well below half a lattice period.
const REACH_A: f64 = 0.5;
/// Keeps the division of the electrons apart from other uses of the job's seed.
const DIVIDED: u64 = 0x4a1f_0dd5_91c3_7e26;

/// What the halves came to.
pub(super) enum Found {
    Arrays(Vec<Array>),
    Stopped(Ended),
}

/// Reconstructs both halves of `whole`, with `floor` also two halves of frames without structure, and correlates them.
pub(super) fn run<B: Backend>(
    setup: &Setup,
    backend: &Arc<B>,
    whole: &Electrons<B>,
    floor: bool,
    keeper: &mut Keeper,
    run: &Run,
) -> Result<Found, Error> {
    let (counts_per_electron, seed) = (setup.job.data.counts_per_electron.value, setup.job.ptychography.seed.value ^ DIVIDED);
    let thinned = |half: Half| {
        move || -> Result<Box<dyn FrameSource>, Error> { Ok(Box::new(Thinned::new((whole.source)()?, half, counts_per_electron, seed))) }
    };
    let (first, second) = (thinned(Half::First), thinned(Half::Second));
    let halves = Pair { parts: ["half_1", "half_2"], sources: [&first, &second], name: "half" };
    let states = match halves.reconstruct(setup, backend, whole, keeper, run)? {
        Ok(states) => states,
        Err(found) => return Ok(found),
    };
    let (frc, mut made) = (correlate(setup, &states)?, phases(setup, &states));
    let mut noise = None;
    if floor {
        let mean = setup.mean_frame(&**backend, whole.stream, run)?;
        let info = whole.stream.info();
        // Every frame has the same mean sum, so that nothing lies along the scan.
        let sums = vec![0.5 * whole.incident; info.frames()];
        let unstructured = |seed: u64| {
            let (info, pattern, sums) = (info.clone(), mean.pattern.clone(), sums.clone());
            move || -> Result<Box<dyn FrameSource>, Error> {
                Ok(Box::new(Unstructured::new(info.clone(), &pattern, &sums, counts_per_electron, seed)))
            }
        };
        let (first, second) = (unstructured(seed), unstructured(seed.wrapping_add(1)));
        let halves = Pair { parts: ["noise_1", "noise_2"], sources: [&first, &second], name: "half without structure" };
        match halves.reconstruct(setup, backend, whole, keeper, run)? {
            Ok(states) => noise = Some(correlate(setup, &states)?),
            Err(found) => return Ok(found),
        }
    }
    keeper.turn_to("");
    run.note(told(&frc, noise.as_ref()));
    made.extend(curves(&frc, noise.as_ref()));
    Ok(Found::Arrays(made))
}

/// Two halves to be reconstructed.
struct Pair<'a> {
    /// The names of their checkpoints.
    parts: [&'static str; 2],
    sources: [&'a dyn Fn() -> Result<Box<dyn FrameSource>, Error>; 2],
    name: &'a str,
}

impl Pair<'_> {
    /// Both states; or what is found where it does not come to them.
    fn reconstruct<B: Backend>(
        &self,
        setup: &Setup,
        backend: &Arc<B>,
        whole: &Electrons<B>,
        keeper: &mut Keeper,
        run: &Run,
    ) -> Result<Result<[State; 2], Found>, Error> {
        let mut states = Vec::new();
        for ((part, source), number) in self.parts.into_iter().zip(self.sources).zip(1..) {
            run.note(format!("{} {number} of 2", self.name));
            keeper.turn_to(part);
            let stream = Stream::new(source()?, backend.clone(), whole.stream.options().clone());
            let electrons = Electrons { stream: &stream, source, incident: 0.5 * whole.incident, whole: false };
            let (state, ended) = setup.reconstruct(backend, &electrons, keeper, run)?;
            match ended {
                Ended::Whole => {}
                Ended::Stopped { .. } => return Ok(Err(Found::Stopped(ended))),
                Ended::Diverged { iteration, why, .. } => {
                    run.warn(format!(
                        "{} {number} of 2 went wrong in iteration {iteration}: {why}. There is no Fourier ring correlation; half of the electrons are too few for these steps.",
                        self.name
                    ));
                    return Ok(Err(Found::Arrays(Vec::new())));
                }
            }
            keeper.keep_finished(&state, setup.stages.len())?;
            states.push(state);
        }
        match <[State; 2]>::try_from(states) {
            Ok(states) => Ok(Ok(states)),
            Err(_) => Ok(Err(Found::Arrays(Vec::new()))),
        }
    }
}

/// The projected object of a state on the field of the scan, with its shape and pixel.
fn object(setup: &Setup, state: &State) -> (Vec<Complex64>, [usize; 2], [f64; 2]) {
    let frame = setup.frame(state.shape.window);
    let projected = ptycho::projected(state);
    if setup.is_raster() {
        let part =
            |of: fn(&Complex64) -> f64| ptycho::phase_in_scan_frame(&projected.iter().map(of).collect::<Vec<_>>(), &frame, &setup.grid);
        let (re, im) = (part(|z| z.re), part(|z| z.im));
        let values = re.phase.iter().zip(&im.phase).map(|(&re, &im)| Complex64::new(re, im)).collect();
        return (values, re.shape, re.pixel_A);
    }
    let [rows, columns] = ptycho::scanned_field(frame.shape, &frame.positions_px);
    let values = rows.clone().flat_map(|row| projected[row * frame.shape[1]..][columns.clone()].to_vec()).collect();
    (values, [rows.len(), columns.len()], frame.pixel_A)
}

/// The correlation of two objects, the second one moved onto the first.
fn correlate(setup: &Setup, states: &[State; 2]) -> Result<Frc, Error> {
    let (first, shape, pixel_A) = object(setup, &states[0]);
    let (second, ..) = object(setup, &states[1]);
    let window = Window::default();
    let level = without_ramp(&first, &second, shape, window)?;
    let reach = REACH_A / pixel_A[0].max(pixel_A[1]);
    let apart = displacement(&first, &level, shape, window, reach)?;
    let second = displaced(&level, shape, apart.map(|s| -s))?;
    Ok(frc_of_objects(&first, &second, shape, pixel_A, window)?)
}

/// The phases of both halves.
fn phases(setup: &Setup, states: &[State; 2]) -> Vec<Array> {
    let of = |(state, number): (&State, usize)| {
        let frame = setup.frame(state.shape.window);
        arrays::phase_in_scan(&format!("ptychography/phase_half_{number}"), &ptycho::phase(state, &frame), &frame, &setup.grid)
    };
    if setup.is_raster() { states.iter().zip(1..).map(of).collect() } else { Vec::new() }
}

fn told(frc: &Frc, floor: Option<&Frc>) -> String {
    let finest = frc.finest_A();
    let words = |resolution: f64| match resolution {
        r if r.is_infinite() => "nowhere".to_owned(),
        r if r <= finest => format!("up to {r:.2} Å, the finest there is"),
        r => format!("up to {r:.2} Å"),
    };
    let [half_bit, seventh] = [Threshold::HalfBit, Threshold::OneSeventh].map(|t| words(frc.agreement_A(t, None)));
    let over = floor.map_or(String::new(), |floor| {
        format!("; {} above halves without structure", words(frc.agreement_A(Threshold::HalfBit, Some(floor))))
    });
    let gap = match frc.resolution_A(Threshold::HalfBit) {
        Some(first) if first > 1.05 * frc.agreement_A(Threshold::HalfBit, None) => format!("; with a first gap at {first:.2} Å"),
        _ => String::new(),
    };
    format!("two halves of the electrons agree {half_bit} (half-bit), {seventh} (1/7){over}{gap}.")
}

/// The name of the attribute that a sweep is scored by.
pub(in crate::job) const RESOLUTION: &str = "resolution_half_bit_A";

fn curves(frc: &Frc, floor: Option<&Frc>) -> Vec<Array> {
    let frequency = &frc.frequency_inverse_A;
    let resolution = |name: &str, threshold, floor| (name.to_owned(), Attr::Number(frc.agreement_A(threshold, floor)));
    let mut resolutions =
        vec![resolution(RESOLUTION, Threshold::HalfBit, None), resolution("resolution_one_seventh_A", Threshold::OneSeventh, None)];
    if floor.is_some() {
        resolutions.push(resolution("resolution_over_floor_A", Threshold::HalfBit, floor));
    }
    if let Some(gap) = frc.resolution_A(Threshold::HalfBit) {
        resolutions.push(("first_gap_half_bit_A".to_owned(), Attr::Number(gap)));
    }
    let mut curves = vec![
        arrays::curve("frc", frequency, &frc.correlation, resolutions),
        arrays::curve("frc_half_bit", frequency, &frc.threshold(Threshold::HalfBit), Vec::new()),
    ];
    if let Some(floor) = floor {
        curves.push(arrays::curve("frc_noise_floor", frequency, &floor.correlation, Vec::new()));
    }
    curves
}
