//! What a reconstruction starts from beside [optics]: a probe, a vacuum measurement, an earlier object.

use std::path::PathBuf;

use num_complex::Complex64;

use super::setup::spectrum;
use crate::data::CubeInfo;
use crate::job::plan::{Plan, Scan};
use crate::job::schema::Job;
use crate::job::values::Reference;
use crate::job::{Error, ProbeStart, Start, facts};
use crate::optics::{ProbeOptics, ScanGrid};
use crate::output::{self, Earlier, EarlierObject, EarlierProbe};
use crate::ptycho::{self, Affine, ObjectFrame};
use crate::run::Run;

/// An earlier scan whose positions lie farther from ours than this part of the scan's size is another scan.
const ASTRAY: f64 = 0.1;
/// A vacuum measurement whose disk lies farther than this from that of the frames, in pixels, is told of.
const APART_PX: f64 = 1.0;

/// The files that a job starts from, read.
pub(super) struct Starts {
    object: Option<Earlier>,
    probe: Option<Probe>,
    /// (ky, kx), counts.
    vacuum: Option<Vec<f64>>,
    /// Hashes of the files' contents.
    hashes: Vec<String>,
}

enum Probe {
    /// (mode, y, x), in windows as ours.
    Window(Vec<Complex64>),
    Earlier {
        probe: EarlierProbe,
        /// May its axes be turned against ours?
        turned: bool,
        positions_px: Option<Vec<[f64; 2]>>,
    },
}

impl Starts {
    /// Reads what the job names.
    pub(super) fn read(plan: &Plan, info: &CubeInfo) -> Result<Self, Error> {
        let keys = &plan.job.ptychography;
        let mut starts = Self { object: None, probe: None, vacuum: None, hashes: Vec::new() };
        if plan.ptychography.is_none() {
            return Ok(starts);
        }
        if let Start::Earlier(path) = &keys.start.value {
            let earlier = output::read_earlier(path)?;
            if earlier.object.is_none() {
                return Err(useless("ptychography.start", &earlier, "no object", "Start from a state that has one"));
            }
            starts.object = Some(earlier);
        }
        if let Some(entry) = &keys.probe {
            starts.probe = Some(match &entry.value {
                ProbeStart::Dataset(reference) => Probe::Window(probe_of(reference, info)?),
                ProbeStart::Earlier(path) => {
                    let mut earlier = output::read_earlier(path)?;
                    match earlier.probe.take().filter(|probe| probe.values.iter().any(|p| p.norm_sqr() > 0.0)) {
                        Some(probe) => Probe::Earlier { probe, turned: earlier.turned, positions_px: earlier.positions_px },
                        None => {
                            let remedy = "Leave the key out to start from the probe of [optics]";
                            return Err(useless("ptychography.probe", &earlier, "no probe, or one that is 0 everywhere", remedy));
                        }
                    }
                }
            });
        }
        if let Some(entry) = &keys.vacuum {
            starts.vacuum = Some(vacuum_of(&entry.value, info)?);
        }
        let mut job = plan.job.clone();
        let positions = job.scan.positions.iter().map(|entry| entry.value.file.clone()).collect::<Vec<PathBuf>>();
        for path in job.start_files().map(|(path, _)| path.clone()).chain(positions) {
            starts.hashes.push(facts::input(&path)?.hash);
        }
        Ok(starts)
    }

    /// Does the probe come in windows as frames have them?
    pub(super) fn is_of_frames(&self) -> bool {
        matches!(self.probe, Some(Probe::Window(_))) || self.vacuum.is_some()
    }

    /// The hash of all that the result comes from: the data's, and with it those of the files started from.
    pub(super) fn hash(&self, data: &str) -> String {
        if self.hashes.is_empty() { data.to_owned() } else { facts::hash_of_text(&format!("{data}\n{}", self.hashes.join("\n"))) }
    }

    /// The modes (mode, ky, kx) that the reconstruction starts with, Σ|P̂|² = `incident`.
    #[expect(clippy::too_many_arguments, reason = "each is a thing of its own, and there is one caller")]
    pub(super) fn probe_hat(
        &self,
        frame: &ObjectFrame,
        optics: &ProbeOptics,
        mrad_per_px: [f64; 2],
        centre_px: [f64; 2],
        valid: Option<&[bool]>,
        incident: f64,
        run: &Run,
    ) -> Result<Vec<Complex64>, Error> {
        let window = frame.window;
        let rounded = centre_px.map(f64::round);
        let remainder = [0, 1].map(|a| centre_px[a] - rounded[a]);
        match (&self.probe, &self.vacuum) {
            (Some(Probe::Window(modes)), _) => spectrum(modes, window, incident),
            (Some(Probe::Earlier { probe, turned, positions_px }), _) => {
                let turn = match positions_px {
                    // Other programs turn and mirror frames where we turn the scan.
                    Some(places) if *turned && places.len() == frame.positions_px.len() => fitted(frame, places, probe.pixel_A).turn(),
                    _ => [[1.0, 0.0], [0.0, 1.0]],
                };
                let modes = ptycho::probe_in_window(&probe.values, probe.window, probe.pixel_A, window, frame.pixel_A, turn);
                spectrum(&modes, window, incident)
            }
            (None, Some(counts)) => {
                let counts = mended(counts, window, valid);
                let apart = (0..2).map(|a| middle(&counts, window)[a] - centre_px[a]).fold(0.0, f64::hypot);
                if apart > APART_PX {
                    run.warn(format!(
                        "the disk of the vacuum measurement lies {apart:.1} pixels from that of the frames, as if the beam were tilted: check detector.centre_px and \
                         ptychography.vacuum."
                    ));
                }
                let zero = [0, 1].map(|a| rounded[a].clamp(0.0, (window[a] - 1) as f64) as usize);
                let amplitudes: Vec<f64> = (0..counts.len())
                    .map(|k| [(k / window[1] + zero[0]) % window[0], (k % window[1] + zero[1]) % window[1]])
                    .map(|[y, x]| counts[y * window[1] + x].sqrt())
                    .collect();
                Ok(optics.spectrum_of(&amplitudes, window, mrad_per_px, remainder, incident))
            }
            (None, None) => Ok(optics.spectrum(window, mrad_per_px, remainder, incident)),
        }
    }

    /// The earlier object (slice, y, x) in our frame, in so many slices, if the job starts from one.
    pub(super) fn object(
        &self,
        plan: &Plan,
        frame: &ObjectFrame,
        grid: &ScanGrid,
        slices: usize,
        run: &Run,
    ) -> Result<Option<Vec<Complex64>>, Error> {
        let Some(earlier) = &self.object else { return Ok(None) };
        let Some(object) = &earlier.object else { return Ok(None) };
        let map = self.map(earlier, object, plan, frame, grid)?;
        let inside = |p: &&[f64; 2]| {
            let place = map.apply(**p);
            (0..2).all(|a| place[a] >= -0.5 && place[a] <= object.shape[a] as f64 - 0.5)
        };
        let (reached, all) = (frame.positions_px.iter().filter(inside).count(), frame.positions_px.len());
        if reached == 0 {
            return Err(useless(
                "ptychography.start",
                earlier,
                "an object that none of this scan's positions reach",
                "Check data.crop_scan and scan.step_A",
            ));
        }
        if reached < all {
            run.warn(format!(
                "the object of {} ends before this scan does: beyond it, at {} of {all} positions, it starts empty.",
                earlier.path.display(),
                all - reached
            ));
        }
        // Our probe has all electrons of a frame, so that the object lets them pass; elsewhere they may share a factor otherwise.
        let passed = ptycho::transmission(&object.values, object.shape, frame, &map);
        let level = if passed.is_normal() { passed.powf(-0.5 / object.slices as f64) } else { 1.0 };
        let levelled = |slice: &[Complex64]| slice.iter().map(|o| o * level).collect::<Vec<Complex64>>();
        let resampled: Vec<Complex64> = object
            .values
            .chunks_exact(object.shape[0] * object.shape[1])
            .flat_map(|slice| ptycho::resampled(&levelled(slice), object.shape, frame.shape, &map))
            .collect();
        let thickness = |slices: usize, each: f64| slices as f64 * each;
        if let Some(entry) = &plan.job.ptychography.slice_thickness_A
            && slices > 1
            && object.slices > 1
            && (thickness(slices, entry.value) / thickness(object.slices, object.slice_thickness_A) - 1.0).abs() > 0.01
        {
            run.note(format!(
                "the object of {} is {:.1} Å thick, that of this job {:.1} Å: its phase is spread over them.",
                earlier.path.display(),
                thickness(object.slices, object.slice_thickness_A),
                thickness(slices, entry.value),
            ));
        }
        let same = slices == object.slices;
        Ok(Some(if same { resampled } else { ptycho::resliced(&resampled, frame.shape[0] * frame.shape[1], slices) }))
    }

    /// What takes our object's pixels to those of the earlier one.
    fn map(&self, earlier: &Earlier, object: &EarlierObject, plan: &Plan, frame: &ObjectFrame, grid: &ScanGrid) -> Result<Affine, Error> {
        let (count, stored) = (frame.positions_px.len(), earlier.positions_px.as_ref().map_or(0, Vec::len));
        if let Some(places) = &earlier.positions_px
            && stored == count
        {
            let map = fitted(frame, places, object.pixel_A);
            let off = root_mean_square(frame.positions_px.iter().zip(places).map(|(p, q)| (map.apply(*p), *q)));
            let centre = [0, 1].map(|a| places.iter().map(|p| p[a]).sum::<f64>() / count as f64);
            let size = root_mean_square(places.iter().map(|p| (*p, centre)));
            if off > ASTRAY * size {
                let what = format!("{stored} positions in another order or of another scan: laid on ours they are {:.1} pixels off", off);
                return Err(useless("ptychography.start", earlier, &what, "Start from a reconstruction of these data"));
            }
            return Ok(map);
        }
        let Some(to_scan) = earlier.to_scan else {
            let what = if stored == 0 { "no positions".to_owned() } else { format!("{stored} positions") };
            let remedy = format!(
                "This job has {count} patterns, and a file of {} tells only by them where its object lies: take the same part of the scan (data.crop_scan), or start from a result of \
                 ronchi, which may be of another part",
                earlier.program
            );
            return Err(useless("ptychography.start", earlier, &what, &remedy));
        };
        let affine = |m: [[f64; 3]; 2]| Affine { linear: m.map(|[a, b, _]| [a, b]), shift: m.map(|[_, _, c]| c) };
        let Some(back) = affine(to_scan).inverse() else {
            return Err(useless(
                "ptychography.start",
                earlier,
                "an object without an area (its to_scan cannot be inverted)",
                "Write it again",
            ));
        };
        let first = frame.first_pixel_A();
        let [[a, b], [c, d]] = grid.object_to_scan();
        let ours = affine([[a, b], [c, d]].map(|[y, x]| [y * frame.pixel_A[0], x * frame.pixel_A[1], y * first[0] + x * first[1]]));
        // Positions count from the first that was used of the scan.
        let beyond = match plan.ptychography.as_ref().map(|needs| &needs.scan) {
            Some(Scan::Raster(step_A)) => {
                let from = first_position(&plan.job);
                [0, 1].map(|a| (from[a] as f64 - earlier.first_position[a] as f64) * step_A[a])
            }
            _ => [0.0; 2],
        };
        let moved = Affine { linear: [[1.0, 0.0], [0.0, 1.0]], shift: beyond };
        Ok(back.after(&moved).after(&ours))
    }
}

fn useless(key: &'static str, earlier: &Earlier, what: &str, remedy: &str) -> Error {
    Error::Earlier { key, path: earlier.path.clone(), why: format!("this file of {} has {what}. {remedy}", earlier.program) }
}

/// The first row and column of the scan that a job takes.
fn first_position(job: &Job) -> [usize; 2] {
    job.data.crop_scan.as_ref().map_or([0, 0], |entry| [entry.value[0], entry.value[2]])
}

/// The map of our planned positions to those of an earlier reconstruction.
fn fitted(frame: &ObjectFrame, places: &[[f64; 2]], pixel_A: [f64; 2]) -> Affine {
    let guess = [[frame.pixel_A[0] / pixel_A[0], 0.0], [0.0, frame.pixel_A[1] / pixel_A[1]]];
    Affine::fit(&frame.positions_px, places, guess)
}

fn root_mean_square(pairs: impl ExactSizeIterator<Item = ([f64; 2], [f64; 2])>) -> f64 {
    let count = pairs.len() as f64;
    (pairs.map(|(p, q)| (p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2)).sum::<f64>() / count).sqrt()
}

/// The modes of a dataset of windows as ours.
fn probe_of(reference: &Reference, info: &CubeInfo) -> Result<Vec<Complex64>, Error> {
    let (shape, values) = output::read_complex(&reference.to_string())?;
    let [y, x] = info.frame_shape;
    if !(2..=3).contains(&shape.len()) || shape[shape.len() - 2..] != [y, x] || values.is_empty() {
        let expected = format!("({y}, {x}), that of a frame, or (modes, {y}, {x})");
        return Err(Error::Shape { key: "ptychography.probe", reference: reference.clone(), found: shape, expected });
    }
    let wrong = values.iter().any(|z| !z.re.is_finite() || !z.im.is_finite()) || values.iter().all(|z| z.norm_sqr() == 0.0);
    if wrong {
        let why = format!(
            "{} is 0 everywhere or not a number somewhere. Leave the key out to start from the probe of [optics]",
            reference.dataset
        );
        return Err(Error::Earlier { key: "ptychography.probe", path: reference.file.clone(), why });
    }
    Ok(values)
}

/// The mean of a vacuum measurement, negative counts as 0.
fn vacuum_of(reference: &Reference, info: &CubeInfo) -> Result<Vec<f64>, Error> {
    let (shape, values) = output::read_complex(&reference.to_string())?;
    let [y, x] = info.frame_shape;
    if !(2..=3).contains(&shape.len()) || shape[shape.len() - 2..] != [y, x] || values.is_empty() {
        let expected = format!("({y}, {x}), that of a frame, or (frames, {y}, {x})");
        return Err(Error::Shape { key: "ptychography.vacuum", reference: reference.clone(), found: shape, expected });
    }
    let frames = values.len() / (y * x);
    let mut mean = vec![0.0; y * x];
    for frame in values.chunks_exact(y * x) {
        mean.iter_mut().zip(frame).for_each(|(m, v)| *m += v.re / frames as f64);
    }
    mean.iter_mut().for_each(|m| *m = m.max(0.0));
    if values.iter().any(|v| !v.re.is_finite() || v.im != 0.0) || mean.iter().sum::<f64>() <= 0.0 {
        let why = format!(
            "{} is no pattern of counts: it is complex, 0 everywhere or not a number somewhere. Give the mean frame of the beam without a sample",
            reference.dataset
        );
        return Err(Error::Earlier { key: "ptychography.vacuum", path: reference.file.clone(), why });
    }
    Ok(mean)
}

/// Counts (y, x) with the mean of the good neighbours in place of pixels that do not count.
fn mended(counts: &[f64], shape: [usize; 2], valid: Option<&[bool]>) -> Vec<f64> {
    let Some(valid) = valid else { return counts.to_vec() };
    let around = |p: usize| {
        let (y, x) = (p / shape[1], p % shape[1]);
        let rows = y.saturating_sub(1)..(y + 2).min(shape[0]);
        let places = rows.flat_map(|row| (x.saturating_sub(1)..(x + 2).min(shape[1])).map(move |col| row * shape[1] + col));
        let (sum, count) = places.filter(|&q| valid[q]).fold((0.0, 0.0), |(sum, count), q| (sum + counts[q], count + 1.0));
        if count > 0.0 { sum / count } else { 0.0 }
    };
    (0..counts.len()).map(|p| if valid[p] { counts[p] } else { around(p) }).collect()
}

/// The middle (y, x) of a pattern's disk: of the pixels above a quarter of its bright ones.
fn middle(counts: &[f64], shape: [usize; 2]) -> [f64; 2] {
    let mut sorted = counts.to_vec();
    sorted.sort_by(f64::total_cmp);
    let level = 0.25 * sorted[sorted.len() - 1 - sorted.len() / 100];
    let bright = || counts.iter().enumerate().filter(|(_, c)| **c > level).map(|(p, _)| [(p / shape[1]) as f64, (p % shape[1]) as f64]);
    let count = bright().count().max(1) as f64;
    [0, 1].map(|a| bright().map(|p| p[a]).sum::<f64>() / count)
}
