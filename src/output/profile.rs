//! A profile with its confidence band as a PNG.

use std::path::{Path, PathBuf};

use super::axes::Axes;
use super::plot::{BLACK, WHITE, save};
use super::shapes::{Window, disc, line};
use super::text::{Canvas, GLYPH, width};
use super::{Error, Result};

/// Of the picture, and of the box of the profile in it: (y, x).
const SIZE: [usize; 2] = [600, 900];
const CORNER: [usize; 2] = [88, 112];
const BOX: [usize; 2] = [428, 756];
const BLUE: [u8; 3] = [30, 90, 180];
const BAND: [u8; 3] = [150, 190, 235];
/// How much of the band hides the grid.
const SHARE: f64 = 0.55;
const REFERENCE: [u8; 3] = [90; 3];
/// Of a dash and of the gap behind it, in pixels.
const DASH: [f64; 2] = [12.0, 8.0];
const RADIUS: f64 = 5.5;
/// Half the length of the caps of error bars.
const CAP: f64 = 6.0;
/// The share of the range that is left free at each end of an axis.
const FREE: f64 = 0.05;

/// A value with the ends of its band.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    pub at: f64,
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Band {
    fn is_finite(&self) -> bool {
        [self.at, self.value, self.low, self.high].iter().all(|x| x.is_finite())
    }
}

/// Values along a line with the bands they lie in.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    pub title: String,
    /// With the units, such as `depth (Å)`.
    pub x_label: String,
    pub y_label: String,
    /// What the bands are, such as `mean of a row, 95 % band`.
    pub band_label: String,
    /// In the order in which they are joined; those with a number that is none are left out, and leave a gap.
    pub points: Vec<Band>,
    /// A dashed line with its name, such as 1 and `full`.
    pub reference: Option<(f64, String)>,
}

/// Writes the points of a profile with error bars over a shaded band; the axes hold all bands and the reference.
///
/// # Errors
/// A band that does not hold its value, a reference that is no number, and what the file system reports.
pub fn write_profile_png(path: &Path, force: bool, profile: &Profile) -> Result<PathBuf> {
    let bad = |reason: String| Err(Error::Write { path: path.display().to_string(), reason });
    if let Some(band) = profile.points.iter().find(|band| band.is_finite() && !(band.low <= band.value && band.value <= band.high)) {
        return bad(format!("the band from {} to {} at {} does not hold its value {}", band.low, band.high, band.at, band.value));
    }
    if let Some((at, name)) = profile.reference.as_ref().filter(|(at, _)| !at.is_finite()) {
        return bad(format!("the reference `{name}` lies at {at}"));
    }
    save(path, force, &render(profile).0)
}

fn render(profile: &Profile) -> (Canvas, Axes) {
    let points: Vec<Option<&Band>> = profile.points.iter().map(|band| band.is_finite().then_some(band)).collect();
    let shown = || points.iter().flatten();
    let axes = Axes {
        corner: CORNER,
        size: BOX,
        x: range(shown().map(|band| band.at)),
        y: range(shown().flat_map(|band| [band.low, band.high]).chain(profile.reference.iter().map(|(at, _)| *at))),
    };
    let mut canvas = Canvas::new(SIZE[1], SIZE[0], WHITE);
    let [top, left] = CORNER;
    axes.draw(&mut canvas, &profile.x_label);
    canvas.text([12, left], 1, BLACK, &profile.title);
    canvas.text_upwards([top + (BOX[0] + width(&profile.y_label)) / 2, 20], 1, BLACK, &profile.y_label);

    for pair in points.windows(2) {
        if let [Some(from), Some(to)] = *pair {
            shade(&mut canvas, &axes, from, to);
        }
    }
    if let Some((at, _)) = profile.reference {
        dashes(&mut canvas, &axes.window(), axes.point(at, axes.x.0), axes.point(at, axes.x.1)[1]);
    }
    for pair in points.windows(2) {
        if let [Some(from), Some(to)] = *pair {
            line(&mut canvas, &axes.window(), axes.point(from.value, from.at), axes.point(to.value, to.at), 2.0, BLUE);
        }
    }
    for band in shown() {
        point(&mut canvas, &axes.window(), [band.low, band.value, band.high].map(|y| axes.point(y, band.at)));
    }
    keys(&mut canvas, profile);
    (canvas, axes)
}

/// From the least to the greatest with what is left free.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    match high - low {
        _ if low > high => (0.0, 1.0),
        0.0 => (low - 0.5, high + 0.5),
        span => (low - FREE * span, high + FREE * span),
    }
}

/// The band between two points.
fn shade(canvas: &mut Canvas, axes: &Axes, from: &Band, to: &Band) {
    let (from, to) = if from.at <= to.at { (from, to) } else { (to, from) };
    let ends = [from, to].map(|band| [band.low, band.high].map(|y| axes.point(y, band.at)));
    let [first, last] = ends.map(|[[_, x], _]| x);
    for column in first.ceil() as usize..last.ceil() as usize {
        let t = (column as f64 - first) / (last - first);
        let [bottom, top] = [0, 1].map(|edge| ends[0][edge][0] * (1.0 - t) + ends[1][edge][0] * t);
        for row in top.round() as usize..=bottom.round() as usize {
            let covered = (row as f64 + 0.5).min(bottom) - (row as f64 - 0.5).max(top);
            canvas.mix(row, column, BAND, SHARE * covered.clamp(0.0, 1.0));
        }
    }
}

/// A dashed line along a row.
fn dashes(canvas: &mut Canvas, window: &Window, [row, first]: [f64; 2], last: f64) {
    let mut column = first;
    while column < last {
        line(canvas, window, [row, column], [row, (column + DASH[0]).min(last)], 2.0, REFERENCE);
        column += DASH[0] + DASH[1];
    }
}

/// A point with its error bar, at the rows of its lower end, value and upper end.
fn point(canvas: &mut Canvas, window: &Window, [low, value, high]: [[f64; 2]; 3]) {
    line(canvas, window, low, high, 2.0, BLUE);
    for [row, column] in [low, high] {
        line(canvas, window, [row, column - CAP], [row, column + CAP], 2.0, BLUE);
    }
    disc(canvas, window, value, RADIUS + 1.5, WHITE);
    disc(canvas, window, value, RADIUS, BLUE);
}

/// What points and lines mean, below the title.
fn keys(canvas: &mut Canvas, profile: &Profile) {
    let everywhere = [0..canvas.height, 0..canvas.width];
    let (top, left) = (CORNER[0] - 16 - GLYPH[0], CORNER[1]);
    let (middle, centre) = ((top + GLYPH[0] / 2) as f64, left as f64 + 20.0);
    canvas.fill([top + 2, left], [GLYPH[0] - 4, 40], BAND.map(|c| (f64::from(c) * SHARE + 255.0 * (1.0 - SHARE)).round() as u8));
    line(canvas, &everywhere, [middle, left as f64], [middle, left as f64 + 39.0], 2.0, BLUE);
    point(canvas, &everywhere, [middle + 8.0, middle, middle - 8.0].map(|row| [row, centre]));
    canvas.text([top, left + 52], 1, BLACK, &profile.band_label);
    if let Some((_, name)) = &profile.reference {
        let left = left + 52 + width(&profile.band_label) + 32;
        dashes(canvas, &everywhere, [middle, left as f64], left as f64 + 40.0);
        canvas.text([top, left + 52], 1, BLACK, name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(points: Vec<Band>) -> Profile {
        Profile {
            title: "Na occupancy".into(),
            x_label: "depth (Å)".into(),
            y_label: "Na occupancy".into(),
            band_label: "mean of a row, 95 % band".into(),
            points,
            reference: Some((1.0, "full".into())),
        }
    }

    fn band(at: f64, value: f64, half: f64) -> Band {
        Band { at, value, low: value - half, high: value + half }
    }

    fn at(canvas: &Canvas, place: [f64; 2]) -> [u8; 3] {
        let [y, x] = place.map(|n| n.round() as usize);
        [0, 1, 2].map(|channel| canvas.rgb[(y * canvas.width + x) * 3 + channel])
    }

    #[test]
    fn points_bars_and_bands_are_where_their_values_are_and_what_is_no_number_leaves_a_gap() {
        for _ in 0..10 {
            let random = || rand::random::<f64>();
            let mut points: Vec<Band> = (0..8).map(|k| band(3.0 * f64::from(k), 0.2 + 0.6 * random(), 0.05 + 0.1 * random())).collect();
            points[4].value = f64::NAN;
            let (canvas, axes) = render(&profile(points.clone()));
            for (k, point) in points.iter().enumerate().filter(|&(k, _)| k != 4) {
                for y in [point.low, point.value, point.high] {
                    assert_eq!(at(&canvas, axes.point(y, point.at)), BLUE, "{k}: {y}");
                }
            }
            // Half-way between two points, just within the band's edge and just without; the grid lies under both.
            for pair in points.windows(2) {
                let middle = (pair[0].at + pair[1].at) / 2.0;
                let [_, column] = axes.point(0.0, middle);
                let edge = axes.point((pair[0].high + pair[1].high) / 2.0, middle)[0];
                let bluish = |row: f64| {
                    let [r, _, b] = at(&canvas, [row, column]);
                    b > r
                };
                let whole = pair.iter().all(Band::is_finite);
                assert_eq!([bluish(edge + 4.0), bluish(edge - 4.0)], [whole, false], "{pair:?}");
            }
        }
    }

    #[test]
    fn the_axes_hold_all_bands_and_the_reference_which_is_a_dashed_line() {
        let (canvas, axes) = render(&profile(vec![band(-2.0, 0.3, 0.1), band(5.0, 0.4, 0.6)]));
        assert!(axes.x.0 < -2.0 && axes.x.1 > 5.0 && axes.y.0 < -0.2 && axes.y.1 > 1.0, "{:?} {:?}", axes.x, axes.y);
        let row = axes.point(1.0, 0.0)[0];
        let dark = (0..BOX[1]).filter(|x| at(&canvas, [row, (CORNER[1] + x) as f64]) == REFERENCE).count() as f64 / BOX[1] as f64;
        assert!((0.5..0.75).contains(&dark), "{dark} of the line are dashes");
        let far = Profile { reference: Some((40.0, String::new())), ..profile(vec![band(0.0, 0.5, 0.0)]) };
        assert!(render(&far).1.y.1 > 40.0);
    }

    #[test]
    fn profiles_of_any_length_and_size_are_drawn() {
        for points in [
            vec![],
            vec![band(3.0, f64::NAN, 0.1)],
            vec![band(1.0, 1.0, 0.0)],
            vec![band(-1e-12, -1e-9, 1e-10); 3],
            vec![band(1e9, 1e7, 1e3)],
        ] {
            for reference in [None, Some((1.0, "full".to_owned()))] {
                render(&Profile { reference, ..profile(points.clone()) });
            }
        }
        let long = "x".repeat(300);
        render(&Profile { title: long.clone(), x_label: long.clone(), y_label: long.clone(), band_label: long, ..profile(vec![]) });
    }

    #[test]
    fn nothing_is_overwritten_unasked_and_a_band_beside_its_value_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.png");
        let good = profile(vec![band(0.0, 0.9, 0.1)]);
        let refused = |profile: &Profile| write_profile_png(&path, false, profile).unwrap_err().to_string();
        let swapped = profile(vec![Band { at: 2.5, value: 0.9, low: 1.0, high: 0.8 }]);
        assert!(refused(&swapped).contains("the band from 1 to 0.8 at 2.5 does not hold its value 0.9"));
        assert!(refused(&Profile { reference: Some((f64::NAN, "full".into())), ..good.clone() }).contains("`full` lies at NaN"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        write_profile_png(&path, false, &good).unwrap();
        assert!(refused(&good).contains("--force"));
        write_profile_png(&path, true, &good).unwrap();
    }
}
