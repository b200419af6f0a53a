//! Two images brought onto one grid, and in what they agree there.

use serde::Serialize;

use super::Comparing;
use super::files::Image;
use crate::analysis::{
    Difference, Field, Frc, Free, PixelMap, SSIM_WINDOW, Threshold, Window, blurred, common_field, displacement, frc_of_images,
    highest_bragg_spot, mapped, regridded, ssim, without_plane,
};
use crate::job::Error;
use crate::ptycho::Affine;

/// Images may lie so far apart where nobody says how far: well below half a lattice period.
const REACH_A: f64 = 0.5;
/// A field narrower than this says nothing.
const FEWEST_PX: usize = 4;
/// Times that the shift is measured, the image being brought to its place anew.
const ROUNDS: usize = 2;

/// In what two images agree. Lengths are in `length_unit`, Å or pixels where their size is not known; pairs are (y, x).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImagePair {
    /// The paths of the images.
    pub first: String,
    pub second: String,
    /// Is one of them a truth, and which?
    pub truth: Option<&'static str>,
    /// Of the values.
    pub units: String,
    pub length_unit: &'static str,
    /// Whose grid they are compared on, "A" or "B": that of the wider pixels.
    pub grid: &'static str,
    pub pixel: [f64; 2],
    pub shape: [usize; 2],
    /// The parts of both images that the common field makes.
    pub share: [f64; 2],
    /// The standard deviation of the Gaussian blur of the truth, or of both.
    pub blur: f64,
    /// How far B lies from A along the scan, and how far it was looked for.
    pub shift: [f64; 2],
    pub reach: f64,
    /// What was added to B: a constant, and a ramp a unit of length along the grid's axes; `None` where nothing is free.
    pub constant: Option<f64>,
    pub ramp: Option<[f64; 2]>,
    /// Pearson's.
    pub correlation: f64,
    /// Of A − B, and as a part of B's standard deviation.
    pub rms: f64,
    pub rms_of_deviation: Option<f64>,
    /// A = gain · B fits best.
    pub gain: Option<f64>,
    /// Were rms and ssim calculated with it?
    pub gain_applied: bool,
    pub rms_with_gain: f64,
    /// `None` where the field is narrower than the window.
    pub ssim: Option<f64>,
    pub ssim_range: f64,
    pub frc: RingCorrelation,
    /// Of A and of B.
    pub bragg: [Option<Bragg>; 2],
    /// What should be known of these numbers.
    pub notes: Vec<String>,
}

/// A Fourier ring correlation, with what it says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RingCorrelation {
    /// `None` where they agree nowhere.
    pub half_bit: Option<Agreement>,
    pub one_seventh: Option<Agreement>,
    /// Against a truth only.
    pub one_half: Option<Agreement>,
    pub frequency: Vec<f64>,
    pub correlation: Vec<f64>,
    /// Independent ones.
    pub samples: Vec<f64>,
    pub half_bit_threshold: Vec<f64>,
}

/// Up to where two images agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// The period.
    pub resolution: f64,
    /// Independent samples of the ring there.
    pub samples: f64,
    /// Do they agree up to the highest frequency there is?
    pub everywhere: bool,
}

/// The highest Bragg spot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bragg {
    pub spacing: f64,
    /// Along the image's axes.
    pub frequency: [f64; 2],
    pub snr: f64,
}

/// Compares two images; or says what keeps them from being compared.
pub(super) fn compare(a: &Image, b: &Image, how: &Comparing) -> Result<Result<ImagePair, String>, Error> {
    let both = if a.path == b.path { a.path.clone() } else { format!("{} and {}", a.path, b.path) };
    let places = match (a.to_scan, b.to_scan) {
        (Some(to_scan_a), Some(to_scan_b)) => Some([to_scan_a, to_scan_b]),
        _ if a.shape == b.shape && a.frame == b.frame => None,
        _ => {
            let of = |image: &Image| format!("{}×{} pixels", image.shape[0], image.shape[1]);
            return Ok(Err(format!(
                "{both}: where their pixels lie is not known of both, and {} in A are not {} in B along the same axes (scan.step_A of the job says it)",
                of(a),
                of(b)
            )));
        }
    };
    let length_unit = if places.is_some() { "Å" } else { "px" };
    let free = if a.free() == Free::Plane && b.free() == Free::Plane { Free::Plane } else { Free::Nothing };
    let pixels = if places.is_some() { [a.pixel(), b.pixel()] } else { [[1.0; 2]; 2] };
    let (with_truth, blur) = (a.is_truth != b.is_truth, how.blur_A);
    let values = [(a, pixels[0]), (b, pixels[1])].map(|(image, pixel)| {
        let is_blurred = blur > 0.0 && places.is_some() && (!with_truth || image.is_truth);
        if is_blurred { blurred(&image.values, image.shape, pixel.map(|p| blur / p)) } else { image.values.clone() }
    });
    // The wider pixels are those that both resolve.
    let area = |pixel: [f64; 2]| pixel[0] * pixel[1];
    let on_b = area(pixels[1]) > area(pixels[0]) * (1.0 + 1e-6);
    let (grid, moved) = if on_b { (1, 0) } else { (0, 1) };
    let shapes = [a.shape, b.shape];
    let Some(map) = places.map_or(Some(IDENTITY), |places| between(&places[grid], &places[moved])) else {
        return Ok(Err(format!("{both}: the pixels of one of them have no place")));
    };
    let pair = Onto { grid: &values[grid], moved: &values[moved], shapes: [shapes[grid], shapes[moved]], map, free };
    let Some(field) = pair.field([0.0; 2]) else { return Ok(Err(apart(&both, [a, b]))) };
    if field.shape.iter().any(|&n| n < FEWEST_PX) {
        let [rows, columns] = field.shape;
        return Ok(Err(format!("{both}: only {rows}×{columns} pixels of them lie in one place, {FEWEST_PX} along a side are needed")));
    }
    let pixel = pixels[grid];
    let wide = pixel[0].max(pixel[1]);
    let reach = how.reach_A.filter(|_| places.is_some()).unwrap_or(if places.is_some() { wide.max(REACH_A) } else { 1.0 });
    let (shift_px, mut notes) = pair.shift(reach / wide)?;
    let Some(field) = pair.field(shift_px).filter(|field| field.shape.iter().all(|&n| n >= FEWEST_PX)) else {
        return Ok(Err(apart(&both, [a, b])));
    };
    let (on_grid, brought) = pair.brought(&field, shift_px);
    let (of_a, of_b) = if on_b { (brought, on_grid) } else { (on_grid, brought) };
    let plain = Difference::of(&of_a, &of_b, field.shape, free);
    let gain_applied = how.gain && plain.gain.is_some();
    let difference = match plain.gain.filter(|_| gain_applied) {
        Some(gain) => Difference::of(&of_a, &of_b.iter().map(|v| gain * v).collect::<Vec<_>>(), field.shape, free),
        None => plain.clone(),
    };
    let bounds = |values: &[f64]| values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let (low, high) = match (a.is_truth, b.is_truth) {
        (true, false) => bounds(&of_a),
        (false, true) => bounds(&difference.levelled),
        _ => {
            let (first, second) = (bounds(&of_a), bounds(&difference.levelled));
            (first.0.min(second.0), first.1.max(second.1))
        }
    };
    // The measure is made for images that begin at 0, and so does what has no 0 of its own.
    let base = if free == Free::Plane { low } else { 0.0 };
    let from_base = |values: &[f64]| values.iter().map(|v| v - base).collect::<Vec<_>>();
    let similarity = ssim(&from_base(&of_a), &from_base(&difference.levelled), field.shape, high - low);
    if similarity.is_none() && high > low {
        notes.push(format!("there is no SSIM: its window is {SSIM_WINDOW} pixels wide"));
    }
    let flat = |values: &[f64]| if free == Free::Plane { without_plane(values, field.shape) } else { values.to_vec() };
    let frc = frc_of_images(&flat(&of_a), &flat(&of_b), field.shape, pixel, Window::default())?;
    let on_moved = common_field(shapes[moved], field.shape, &pair.back(&field, shift_px));
    let spots = [(grid, Some(field)), (moved, on_moved)].map(|(which, part)| spot(&values[which], shapes[which], pixels[which], part));
    let [of_grid, of_moved] = spots;
    let (of_grid, of_moved) = (of_grid?, of_moved?);
    let bragg = if on_b { [of_moved, of_grid] } else { [of_grid, of_moved] };
    let size = |shape: [usize; 2], pixel: [f64; 2]| area([0, 1].map(|axis| shape[axis] as f64 * pixel[axis]));
    let along_scan = places.map_or(shift_px, |places| {
        let m = places[grid];
        [0, 1].map(|i| m[i][0] * shift_px[0] + m[i][1] * shift_px[1])
    });
    let sign = if on_b { -1.0 } else { 1.0 };
    let is_free = free == Free::Plane;
    Ok(Ok(ImagePair {
        first: a.path.clone(),
        second: b.path.clone(),
        truth: match (a.is_truth, b.is_truth) {
            (true, false) => Some("A"),
            (false, true) => Some("B"),
            _ => None,
        },
        units: if a.units == b.units { a.units.clone() } else { format!("{} and {}", unit(a), unit(b)) },
        length_unit,
        grid: if on_b { "B" } else { "A" },
        pixel,
        shape: field.shape,
        share: [0, 1].map(|i| (size(field.shape, pixel) / size(shapes[i], pixels[i])).min(1.0)),
        blur: if places.is_some() { blur } else { 0.0 },
        shift: along_scan.map(|s| sign * s),
        reach,
        constant: is_free.then_some(difference.free.constant),
        ramp: is_free.then(|| [0, 1].map(|i| difference.free.slope[i] / pixel[i])),
        correlation: plain.correlation,
        rms: difference.rms,
        rms_of_deviation: (difference.deviation > 0.0).then(|| difference.rms / difference.deviation),
        gain: plain.gain,
        gain_applied,
        rms_with_gain: plain.rms_with_gain,
        ssim: similarity,
        ssim_range: high - low,
        frc: told(frc, with_truth),
        bragg,
        notes,
    }))
}

const IDENTITY: PixelMap = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];

fn unit(image: &Image) -> &str {
    if image.units.is_empty() { "no unit" } else { &image.units }
}

fn affine(map: &PixelMap) -> Affine {
    Affine { linear: map.map(|[a, b, _]| [a, b]), shift: map.map(|[_, _, c]| c) }
}

fn pixel_map(affine: &Affine) -> PixelMap {
    [0, 1].map(|i| [affine.linear[i][0], affine.linear[i][1], affine.shift[i]])
}

/// Pixels of one image to those of another, both being known along the scan. Rounding is not taken for a part of a pixel.
fn between(from: &PixelMap, to: &PixelMap) -> Option<PixelMap> {
    let map = pixel_map(&affine(to).inverse()?.after(&affine(from)));
    let near = |x: f64| if (x - x.round()).abs() < 1e-9 { x.round() } else { x };
    Some(map.map(|row| row.map(near)))
}

fn apart(both: &str, [a, b]: [&Image; 2]) -> String {
    let covers = |image: &Image| {
        let Some(map) = image.to_scan else { return format!("{}×{} pixels", image.shape[0], image.shape[1]) };
        let corners =
            [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]].map(|c| mapped(&map, [0, 1].map(|i| c[i] * (image.shape[i] as f64 - 1.0))));
        let [y, x] = [0, 1].map(|i| corners.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), c| (l.min(c[i]), h.max(c[i]))));
        format!("y from {:.1} to {:.1} Å and x from {:.1} to {:.1} Å", y.0, y.1, x.0, x.1)
    };
    format!("{both}: they show no place that both have; A covers {}, B {}", covers(a), covers(b))
}

/// An image that is brought onto the grid of another.
struct Onto<'a> {
    grid: &'a [f64],
    moved: &'a [f64],
    /// Of both.
    shapes: [[usize; 2]; 2],
    /// Pixels of the grid to those of the moved one.
    map: PixelMap,
    free: Free,
}

impl Onto<'_> {
    /// The map where the moved image lies `shift` pixels of the grid from where it should, and the grid begins at `first`.
    fn shifted(&self, first: [f64; 2], shift: [f64; 2]) -> PixelMap {
        let begins = mapped(&self.map, [first[0] + shift[0], first[1] + shift[1]]);
        [0, 1].map(|i| [self.map[i][0], self.map[i][1], begins[i]])
    }

    fn field(&self, shift: [f64; 2]) -> Option<Field> {
        common_field(self.shapes[0], self.shapes[1], &self.shifted([0.0; 2], shift))
    }

    /// Both images in a field of the grid.
    fn brought(&self, field: &Field, shift: [f64; 2]) -> (Vec<f64>, Vec<f64>) {
        let map = self.shifted(field.first.map(|f| f as f64), shift);
        (field.of(self.grid, self.shapes[0][1]), regridded(self.moved, self.shapes[1], field.shape, &map))
    }

    /// Pixels of the moved image to those of the field.
    fn back(&self, field: &Field, shift: [f64; 2]) -> PixelMap {
        let map = affine(&self.shifted(field.first.map(|f| f as f64), shift));
        // One that could not be turned about has no field.
        map.inverse().map_or(IDENTITY, |back| pixel_map(&back))
    }

    /// How far the moved image lies from where it should, in pixels of the grid; none where that makes them no more alike.
    fn shift(&self, reach_px: f64) -> Result<([f64; 2], Vec<String>), Error> {
        let mut shift = [0.0; 2];
        if reach_px <= 0.0 {
            return Ok((shift, Vec::new()));
        }
        let (mut first, mut last) = (None, 0.0);
        for round in 0..=ROUNDS {
            let Some(field) = self.field(shift) else { return Ok(([0.0; 2], Vec::new())) };
            let (a, b) = self.brought(&field, shift);
            last = Difference::of(&a, &b, field.shape, self.free).correlation;
            first.get_or_insert(last);
            if round == ROUNDS {
                break;
            }
            let flat = |values: Vec<f64>| if self.free == Free::Plane { without_plane(&values, field.shape) } else { values };
            let reach = if round == 0 { reach_px } else { reach_px.min(1.0) };
            let found = displacement(&flat(a), &flat(b), field.shape, Window::default(), reach)?;
            shift = [0, 1].map(|i| shift[i] + found[i]);
        }
        let mut notes = Vec::new();
        if first.is_some_and(|first| last <= first) {
            return Ok(([0.0; 2], notes));
        }
        if shift.iter().any(|s| s.abs() > reach_px) {
            notes.push("no shift was removed: the one that fits best lies beyond what was looked for (--reach-A)".to_owned());
            return Ok(([0.0; 2], notes));
        }
        Ok((shift, notes))
    }
}

fn spot(values: &[f64], shape: [usize; 2], pixel: [f64; 2], part: Option<Field>) -> Result<Option<Bragg>, Error> {
    let Some(part) = part else { return Ok(None) };
    let found = highest_bragg_spot(&part.of(values, shape[1]), part.shape, pixel)?;
    Ok(found.map(|spot| Bragg { spacing: spot.spacing_A, frequency: spot.frequency_inverse_A, snr: spot.snr }))
}

fn told(frc: Frc, with_truth: bool) -> RingCorrelation {
    let up_to = |threshold: Threshold| {
        let resolution = frc.agreement_A(threshold, None);
        let ring = frc.frequency_inverse_A.iter().position(|f| *f >= (1.0 - 1e-9) / resolution)?;
        let finest = frc.finest_A();
        resolution.is_finite().then(|| Agreement { resolution, samples: frc.samples[ring], everywhere: resolution <= finest })
    };
    RingCorrelation {
        half_bit: up_to(Threshold::HalfBit),
        one_seventh: up_to(Threshold::OneSeventh),
        one_half: if with_truth { up_to(Threshold::OneHalf) } else { None },
        half_bit_threshold: frc.threshold(Threshold::HalfBit),
        frequency: frc.frequency_inverse_A,
        correlation: frc.correlation,
        samples: frc.samples,
    }
}
