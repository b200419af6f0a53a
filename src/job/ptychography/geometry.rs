//! Can these positions, this probe and these slices be reconstructed at all?

use std::collections::HashMap;

use num_complex::Complex64;

use super::Stage;
use crate::job::{Error, Refusal};
use crate::ptycho::ObjectFrame;
use crate::run::Run;

/// Fewer patterns than this do not hold each other.
const FEWEST: usize = 10;
/// The part of a probe's electrons that says how wide it is.
const SHARE: f64 = 0.9;
/// Neighbouring probes should overlap by this part of their diameter (cf. Bunk et al., Ultramicroscopy 108 (2008) 481, who find 60 % best).
const OVERLAP: f64 = 0.5;
/// The rim of a window, as a part of its side, that a probe should leave empty, and the most that it may hold.
const RIM: usize = 16;
const MOST_AT_RIM: f64 = 0.1;
/// Slices thinner than this are thinner than the potential of an atom.
const THINNEST_A: f64 = 1.0;

/// Refuses scans and slices that cannot come to anything, whatever the probe.
pub(super) fn check(stages: &[Stage], frame: &ObjectFrame) -> Result<(), Error> {
    let count = frame.positions_px.len();
    if count < FEWEST {
        return Err(Error::TooFewPatterns { found: count, fewest: FEWEST });
    }
    for stage in stages {
        if let Some(thickness) = &stage.job.ptychography.slice_thickness_A
            && stage.job.ptychography.slices.value > 1
            && thickness.value < THINNEST_A
        {
            let refusal = Refusal {
                place: thickness.place.clone(),
                key: "ptychography.slice_thickness_A".to_owned(),
                found: thickness.value.to_string(),
                expected: format!("at least {THINNEST_A}: thinner slices are thinner than the potential of an atom"),
                remedy: "Take fewer slices; those of 5 to 20 Å are what patterns can tell apart.".to_owned(),
            };
            return Err(refusal.into());
        }
    }
    let places = places_A(frame);
    let extent_A = sides(&places).into_iter().fold(0.0, f64::max);
    if extent_A < frame.pixel_A[0].min(frame.pixel_A[1]) {
        return Err(Error::NoScan { extent_A, pixel_A: frame.pixel_A[0].min(frame.pixel_A[1]) });
    }
    let window_A = (0..2).map(|a| frame.window[a] as f64 * frame.pixel_A[a]).fold(0.0, f64::max);
    check_company(&places, window_A, "window of a pattern")
}

/// Refuses positions that lie farther than `reach_A` from all others.
fn check_company(places: &[[f64; 2]], reach_A: f64, what: &'static str) -> Result<(), Error> {
    let alone = alone(places, reach_A);
    match alone.first() {
        Some(&first) => Err(Error::Apart { count: alone.len(), all: places.len(), first, reach_A, what }),
        None => Ok(()),
    }
}

/// The places that no other one lies within `reach` of.
fn alone(places: &[[f64; 2]], reach: f64) -> Vec<usize> {
    let cell = |place: &[f64; 2]| place.map(|x| (x / reach).floor() as i64);
    let mut cells: HashMap<[i64; 2], Vec<usize>> = HashMap::new();
    places.iter().enumerate().for_each(|(n, place)| cells.entry(cell(place)).or_default().push(n));
    let near = |n: usize, place: &[f64; 2]| {
        let [row, col] = cell(place);
        let around = (row - 1..=row + 1).flat_map(|row| (col - 1..=col + 1).map(move |col| [row, col]));
        around
            .filter_map(|at| cells.get(&at))
            .flatten()
            .any(|&m| m != n && (0..2).map(|a| places[m][a] - place[a]).fold(0.0, f64::hypot) <= reach)
    };
    places.iter().enumerate().filter(|(n, place)| !near(*n, place)).map(|(n, _)| n).collect()
}

/// Refuses a probe that cannot come to anything with these positions, and warns of one that hardly can. `probe` is the first mode in real space, its optic axis at pixel N/2.
pub(super) fn check_probe(frame: &ObjectFrame, probe: &[Complex64], run: &Run) -> Result<(), Error> {
    let extent = Extent::of(probe, frame.window, frame.pixel_A);
    if extent.at_rim > MOST_AT_RIM {
        let side = frame.window.map(|n| n as f64).iter().zip(frame.pixel_A).map(|(n, a)| n * a).fold(f64::INFINITY, f64::min);
        return Err(Error::WideProbe { percent: 100.0 * extent.at_rim, diameter_A: 2.0 * extent.radius_A, window_A: side });
    }
    let step = spacing_A(frame);
    let overlap = 1.0 - step / (2.0 * extent.radius_A);
    if overlap <= 0.0 {
        return Err(Error::NoOverlap { step_A: step, diameter_A: 2.0 * extent.radius_A });
    }
    check_company(&places_A(frame), 2.0 * extent.radius_A, "probe")?;
    if overlap < OVERLAP {
        run.warn(format!(
            "neighbouring probes overlap by {:.0} % of their diameter of {:.2} Å, where {:.0} % are needed for a sure result: the scan's step is {step:.2} Å. Check scan.step_A, \
             optics.defocus_A and optics.convergence_mrad.",
            100.0 * overlap,
            2.0 * extent.radius_A,
            100.0 * OVERLAP,
        ));
    }
    Ok(())
}

/// How wide a probe is.
struct Extent {
    /// Of the circle about pixel N/2 that holds [`SHARE`] of the electrons.
    radius_A: f64,
    /// The part of the electrons in the window's rim.
    at_rim: f64,
}

impl Extent {
    fn of(probe: &[Complex64], window: [usize; 2], pixel_A: [f64; 2]) -> Self {
        let [ny, nx] = window;
        let total: f64 = probe.iter().map(Complex64::norm_sqr).sum();
        let mut rings: Vec<(f64, f64)> = Vec::with_capacity(probe.len());
        let mut at_rim = 0.0;
        for (k, p) in probe.iter().enumerate() {
            let (y, x) = (k / nx, k % nx);
            let from = |n: usize, i: usize, a: usize| (i as f64 - (n / 2) as f64) * pixel_A[a];
            rings.push((from(ny, y, 0).hypot(from(nx, x, 1)), p.norm_sqr()));
            let rim = |n: usize, i: usize| i < n / RIM || i >= n - n / RIM;
            if rim(ny, y) || rim(nx, x) {
                at_rim += p.norm_sqr();
            }
        }
        rings.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut inside = 0.0;
        let reached = rings.iter().find(|(_, power)| {
            inside += power;
            inside >= SHARE * total
        });
        // No probe is narrower than a pixel.
        let radius_A = reached.map_or(0.0, |(radius, _)| *radius).max(0.5 * pixel_A[0].min(pixel_A[1]));
        Self { radius_A, at_rim: if total > 0.0 { at_rim / total } else { 0.0 } }
    }
}

fn places_A(frame: &ObjectFrame) -> Vec<[f64; 2]> {
    frame.positions_px.iter().map(|p| [0, 1].map(|a| p[a] * frame.pixel_A[a])).collect()
}

/// How far places reach along y and x.
fn sides(places: &[[f64; 2]]) -> [f64; 2] {
    [0, 1].map(|a| {
        let (low, high) = places.iter().map(|p| p[a]).fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p), h.max(p)));
        high - low
    })
}

/// The distance of neighbours in Å: the median of that to the next position in the list, or what the area leaves to each where the list jumps.
fn spacing_A(frame: &ObjectFrame) -> f64 {
    let places = places_A(frame);
    let mut steps: Vec<f64> = places.windows(2).map(|pair| (pair[0][0] - pair[1][0]).hypot(pair[0][1] - pair[1][1])).collect();
    steps.sort_by(f64::total_cmp);
    let median = steps[steps.len() / 2];
    let [height, width] = sides(&places);
    // So many steps lie between n² places of a square raster along a side: n − 1.
    let share = (height * width).sqrt() / ((places.len() as f64).sqrt() - 1.0);
    if share > 0.0 { median.min(share) } else { median }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Job;
    use crate::optics::{Aberrations, ProbeOptics};
    use crate::ptycho::ObjectFrame;
    use crate::run::{CancelToken, RngState};

    const WINDOW: [usize; 2] = [64, 64];

    /// What is said of a raster of this step and a probe of this defocus, as words and warnings.
    fn said(side: usize, step_A: f64, defocus_A: f64, sets: &[&str]) -> (String, usize) {
        let optics = ProbeOptics { voltage_kV: 300.0, convergence_mrad: 20.0, aberrations: Aberrations::defocus(defocus_A) };
        let spectrum = optics.spectrum(WINDOW, [1.6; 2], [0.0; 2], 100.0);
        let probe = crate::compute::cpu::transformed(&spectrum, WINDOW, crate::compute::Direction::Inverse).unwrap();
        let pixel = crate::optics::object_pixel_A(crate::optics::wavelength_A(300.0), 64, 1.6);
        let places: Vec<[f64; 2]> = (0..side * side).map(|n| [(n / side) as f64 * step_A, (n % side) as f64 * step_A]).collect();
        let frame = ObjectFrame::enclose(&places, [pixel; 2], WINDOW).unwrap();
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        let stages = super::super::settings::stages(&Job::from_text("", "", &sets).unwrap()).unwrap();
        let (cancel, warnings) = (CancelToken::default(), std::sync::atomic::AtomicUsize::new(0));
        let events = |event| {
            if let crate::run::Event::Warning { .. } = event {
                warnings.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        };
        let run = Run { events: &events, cancel: &cancel, rng: RngState::new(1) };
        let checked = check(&stages, &frame).and_then(|()| check_probe(&frame, &probe, &run));
        let refused = checked.err().map_or(String::new(), |e| e.to_string());
        (refused, warnings.into_inner())
    }

    #[test]
    fn what_cannot_be_reconstructed_is_refused_and_what_hardly_can_is_warned_of() {
        // A defocus of 100 Å spreads 20 mrad over a disk of 4 Å.
        assert_eq!(said(6, 0.5, 100.0, &[]), (String::new(), 0));
        assert_eq!(said(6, 2.5, 100.0, &[]), (String::new(), 1));
        assert!(said(6, 8.0, 100.0, &[]).0.contains("do not overlap"));
        assert!(said(3, 0.5, 100.0, &[]).0.contains("9 patterns"));
        // The window is 12.3 Å wide, and 400 Å make a disk of 16 Å.
        assert!(said(6, 0.5, 400.0, &[]).0.contains("wider than its window"));
        let thin = ["ptychography.slices=4", "ptychography.slice_thickness_A=0.3"];
        assert!(said(6, 0.5, 100.0, &thin).0.contains("thinner than the potential of an atom"));
    }

    #[test]
    fn positions_that_no_other_pattern_reaches_are_refused_by_their_number() {
        let window_A = 12.0;
        let of = |places: &[[f64; 2]]| {
            let frame = ObjectFrame::enclose(places, [window_A / 64.0; 2], WINDOW).unwrap();
            let stages = super::super::settings::stages(&Job::from_text("", "", &[]).unwrap()).unwrap();
            check(&stages, &frame).err().map_or(String::new(), |e| e.to_string())
        };
        let mut places: Vec<[f64; 2]> = (0..36).map(|n| [(n / 6) as f64 * 2.0, (n % 6) as f64 * -3.0]).collect();
        assert_eq!(of(&places), "");
        places[20] = [0.0, 30.0];
        let told = of(&places);
        assert!(told.contains("1 of 36 scan positions") && told.contains("12.0 Å") && told.contains("position 20"), "{told}");
        // In company again, out of reach of the others.
        places[7] = [0.0, 41.0];
        assert_eq!(of(&places), "");
        let metres: Vec<[f64; 2]> = places.iter().map(|p| p.map(|x| x * 1e-10)).collect();
        assert!(of(&metres).contains("less than a pixel of the object"), "{}", of(&metres));
        let picometres: Vec<[f64; 2]> = places.iter().map(|p| p.map(|x| x * 100.0)).collect();
        assert!(of(&picometres).contains("36 of 36 scan positions"), "{}", of(&picometres));
    }
}
