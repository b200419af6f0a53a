//! Values of places in an image, such as columns of atoms: coloured discs over the image in grey.

use std::path::{Path, PathBuf};

use super::axes::ticks;
use super::plot::{BLACK, Over, Place, ScaleBar, Shades, WHITE, color_bar, frame, number, save};
use super::shapes::{Window, disc, ring};
use super::text::{Canvas, GLYPH, width};
use super::{Array, ColorMap, Error, Look, Result};

/// The image is enlarged to at least this many pixels on its long side, and further until discs have a radius that can be read, but not for it beyond
/// a size that can be opened anywhere.
const LONG_SIDE: f64 = 900.0;
const READABLE_RADIUS: f64 = 12.0;
const LARGEST_SIDE: f64 = 3000.0;
const RED: [u8; 3] = [230, 25, 30];
/// Of the circle around what has no value.
const GREY: [u8; 3] = [190; 3];
/// The lightest shade of the image: white is left for what has no value.
const LIGHTEST: f64 = 0.94;
/// The widths of lines around a disc as shares of its radius; those around smaller discs or larger ones than these radii grow no further.
const HAIR: f64 = 0.04;
const CIRCLE: f64 = 0.08;
const THIN: f64 = 0.1;
const THICK: f64 = 0.24;
const NARROWEST: f64 = 14.0;
const WIDEST: f64 = 60.0;

/// The line around a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingWidth {
    Thin,
    Thick,
}

/// A place in an image with its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// (row, col) in pixels of the image; the middle of the first pixel is 0.
    pub centre: [f64; 2],
    /// Of the disc, in pixels of the image.
    pub radius: f64,
    /// NaN, for a value not to be trusted, is a hollow grey circle.
    pub value: f64,
    pub ring: Option<RingWidth>,
}

/// What the marks mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Legend {
    /// Stands at the colour bar, such as `Na occupancy`.
    pub title: String,
    /// The values of the map's two ends.
    pub range: (f64, f64),
    pub map: ColorMap,
    /// The words for a thin ring, a thick ring and a grey circle; empty, they are left out. Those of the circle are shown where there is one.
    pub thin: String,
    pub thick: String,
    pub untrusted: String,
}

/// Writes a real image (y, x) in grey with its scale bar and a disc over it for each mark, the colour bar on the right and what the lines around marks
/// mean below. A triangle at the end of the colour bar says that there are values beyond it.
///
/// # Errors
/// An array that is no real image, a mark whose place or radius is no number, a range that does not rise, and what the file system reports.
pub fn write_overlay_png(path: &Path, force: bool, array: &Array, marks: &[Mark], legend: &Legend) -> Result<PathBuf> {
    save(path, force, &render(array, marks, legend)?.0)
}

/// The picture, and where the image lies on it.
fn render(array: &Array, marks: &[Mark], legend: &Legend) -> Result<(Canvas, Over)> {
    let (rows, columns, values) = array.image()?;
    check(array, marks, legend)?;
    let shades = Shades::of(&values, &array.units, Look::plain(ColorMap::Gray));
    let mut radii: Vec<f64> = marks.iter().map(|mark| mark.radius).collect();
    radii.sort_unstable_by(f64::total_cmp);
    let readable = radii.get(radii.len() / 2).map_or(0.0, |radius| READABLE_RADIUS / radius * rows.max(columns) as f64);
    let place = Place::at_least(readable.clamp(LONG_SIDE, LARGEST_SIDE), rows, columns, &array.axes[0], &array.axes[1]);
    let s = (place.height.max(place.width) / 1200).max(1);
    let scale = ScaleBar::of(&array.axes[1], columns, place.width);
    let [white, _, black] = shades.labels(&[]);
    let title = format!("{}: black {black}, white {white} {}", array.name().replace('_', " "), array.units);
    let bar = Bar::new(marks, legend, place.height, s);
    let keys = Keys::new(marks, legend, &values, s);

    let (line, margin) = (GLYPH[0] * s, 12 * s);
    let (top, left) = (margin + line + margin / 2, margin);
    let bar_left = left + place.width.max(width(title.trim_end()) * s).max(scale.width(s)) + 2 * margin;
    let right = bar_left + bar.width(s) + margin;
    let below = top + place.height + margin;
    let wide = right - left - margin;
    let mut canvas = Canvas::new(right.max(left + keys.widest(wide) + margin), below + line + margin + keys.height(wide), WHITE);

    canvas.text([margin, left], s, BLACK, title.trim_end());
    frame(&mut canvas, [top, left], [place.height, place.width], s);
    let grey = |value: f64| if value.is_nan() { WHITE } else { shades.color(value).map(|c| (f64::from(c) * LIGHTEST).round() as u8) };
    place.draw(&mut canvas, [top, left], rows, columns, |at| grey(values[at]));
    scale.draw(&mut canvas, [below, left], s);
    bar.draw(&mut canvas, [top, bar_left], s);
    keys.draw(&mut canvas, [below + line + margin, left], wide);

    let over = Over::new([top, left], &place, rows, columns);
    // Rings last, so that no neighbour's disc hides one.
    for mark in marks {
        draw_disc(&mut canvas, &over.window(), over.point(mark.centre), over.length(mark.radius), legend.color(mark.value), s);
    }
    for mark in marks {
        if let Some(width) = mark.ring {
            draw_ring(&mut canvas, &over.window(), over.point(mark.centre), over.length(mark.radius), width, s);
        }
    }
    Ok((canvas, over))
}

fn check(array: &Array, marks: &[Mark], legend: &Legend) -> Result<()> {
    let (low, high) = legend.range;
    if !(low.is_finite() && high.is_finite() && low < high) {
        return Err(Error::array(&array.path, format!("the colours over it would run from {low} to {high}, but must rise")));
    }
    let bad = |mark: &&Mark| !(mark.centre.iter().all(|x| x.is_finite()) && mark.radius.is_finite() && mark.radius > 0.0);
    match marks.iter().find(bad) {
        Some(Mark { centre: [row, column], radius, .. }) => {
            let reason = format!("a mark over it lies at ({row}, {column}) with the radius {radius}, which are no place and size");
            Err(Error::array(&array.path, reason))
        }
        None => Ok(()),
    }
}

impl Legend {
    /// `None` where there is no value.
    fn color(&self, value: f64) -> Option<[u8; 3]> {
        let (low, high) = self.range;
        (!value.is_nan()).then(|| self.map.color((value - low) / (high - low)))
    }
}

/// The width of a line around a disc: a share of the disc's radius on the canvas, within bounds.
fn line_width(radius: f64, share: f64, s: usize) -> f64 {
    share * radius.clamp(NARROWEST, WIDEST * s as f64)
}

/// A disc, or a hollow circle in a dark line where there is no colour.
fn draw_disc(canvas: &mut Canvas, window: &Window, centre: [f64; 2], radius: f64, color: Option<[u8; 3]>, s: usize) {
    if let Some(color) = color {
        disc(canvas, window, centre, radius, color);
        return;
    }
    let (wide, hair) = (line_width(radius, CIRCLE, s), line_width(radius, HAIR, s));
    ring(canvas, window, centre, [radius - wide - 2.0 * hair, radius], BLACK);
    ring(canvas, window, centre, [radius - wide - hair, radius - hair], GREY);
}

/// A red ring outside of a disc, within a fine white line.
fn draw_ring(canvas: &mut Canvas, window: &Window, centre: [f64; 2], radius: f64, width: RingWidth, s: usize) {
    let share = match width {
        RingWidth::Thin => THIN,
        RingWidth::Thick => THICK,
    };
    let (wide, hair) = (line_width(radius, share, s), line_width(radius, HAIR, s));
    ring(canvas, window, centre, [radius - hair, radius + wide + hair], WHITE);
    ring(canvas, window, centre, [radius, radius + wide], RED);
}

/// The colour bar with numbers, and triangles at its ends for values beyond.
struct Bar<'a> {
    legend: &'a Legend,
    height: usize,
    wide: usize,
    /// Are there values below, above?
    beyond: [bool; 2],
    ticks: Vec<(f64, String)>,
}

impl<'a> Bar<'a> {
    fn new(marks: &[Mark], legend: &'a Legend, height: usize, s: usize) -> Self {
        let (low, high) = legend.range;
        let beyond = [marks.iter().any(|mark| mark.value < low), marks.iter().any(|mark| mark.value > high)];
        let all = ticks(low, high);
        // A low bar has fewer numbers, none over another.
        let every = (all.len() * GLYPH[0] * s * 3 / 2).div_ceil(height).max(1);
        let ticks = all.into_iter().step_by(every).map(|value| (value, number(value))).collect();
        Self { legend, height, wide: 24 * s, beyond, ticks }
    }

    /// From its left edge to the name's right one.
    fn width(&self, s: usize) -> usize {
        self.labels(s) + GLYPH[0] * s
    }

    /// Of bar and numbers.
    fn labels(&self, s: usize) -> usize {
        self.wide + 14 * s + self.ticks.iter().map(|(_, label)| width(label) * s).max().unwrap_or(0) + 8 * s
    }

    fn draw(&self, canvas: &mut Canvas, [top, left]: [usize; 2], s: usize) {
        let tip = self.wide.min(self.height / 4);
        let [below, above] = self.beyond.map(|any| if any { tip } else { 0 });
        let (bar_top, bar_height) = (top + above, (self.height - above - below).max(1));
        color_bar(canvas, [bar_top, left], [bar_height, self.wide], s, self.legend.map);
        for n in 0..tip {
            // A triangle's row, from its tip on, in the colour of the end.
            let row = (self.wide * (n + 1)).div_ceil(tip);
            let column = left + (self.wide - row) / 2;
            for (any, y, t) in [(self.beyond[1], top + n, 1.0), (self.beyond[0], top + self.height - 1 - n, 0.0)] {
                if any {
                    canvas.fill([y, column.saturating_sub(s)], [1, row + 2 * s], [128; 3]);
                    canvas.fill([y, column], [1, row], self.legend.map.color(t));
                }
            }
        }
        let (low, high) = self.legend.range;
        for (value, label) in &self.ticks {
            let y = bar_top + ((high - value) / (high - low) * (bar_height - 1) as f64).round() as usize;
            canvas.fill([y, left + self.wide + s], [s, 6 * s], BLACK);
            canvas.text([y.saturating_sub(GLYPH[0] * s / 2), left + self.wide + 12 * s], s, BLACK, label);
        }
        let middle = top + (self.height + width(&self.legend.title) * s) / 2;
        canvas.text_upwards([middle, left + self.labels(s)], s, BLACK, &self.legend.title);
    }
}

/// What the lines around marks mean: symbols and words, in rows.
struct Keys<'a> {
    keys: Vec<(Symbol, &'a str)>,
    legend: &'a Legend,
    s: usize,
}

enum Symbol {
    Ringed(RingWidth),
    Hollow,
    /// Of the image.
    NoValue,
}

impl<'a> Keys<'a> {
    fn new(marks: &[Mark], legend: &'a Legend, values: &[f64], s: usize) -> Self {
        let all = [
            (Symbol::Ringed(RingWidth::Thin), legend.thin.as_str(), true),
            (Symbol::Ringed(RingWidth::Thick), legend.thick.as_str(), true),
            (Symbol::Hollow, legend.untrusted.as_str(), marks.iter().any(|mark| mark.value.is_nan())),
            (Symbol::NoValue, "no value in the image", values.iter().any(|x| x.is_nan())),
        ];
        let keys =
            all.into_iter().filter(|(_, words, shown)| *shown && !words.is_empty()).map(|(symbol, words, _)| (symbol, words)).collect();
        Self { keys, legend, s }
    }

    /// Of a symbol's square, which is the height of a row too.
    fn side(&self) -> usize {
        36 * self.s
    }

    fn width(&self, words: &str) -> usize {
        self.side() + (4 + width(words)) * self.s
    }

    /// The corner (y, x) of each key in rows of `wide` pixels.
    fn corners(&self, wide: usize) -> Vec<[usize; 2]> {
        let (mut y, mut x) = (0, 0);
        let place = |(_, words): &(Symbol, &str)| {
            if x > 0 && x + self.width(words) > wide {
                (y, x) = (y + self.side(), 0);
            }
            let corner = [y, x];
            x += self.width(words) + 24 * self.s;
            corner
        };
        self.keys.iter().map(place).collect()
    }

    /// Of all rows, with the margin below.
    fn height(&self, wide: usize) -> usize {
        self.corners(wide).last().map_or(0, |[y, _]| y + self.side() + 12 * self.s)
    }

    fn widest(&self, wide: usize) -> usize {
        self.corners(wide).iter().zip(&self.keys).map(|([_, x], (_, words))| x + self.width(words)).max().unwrap_or(0)
    }

    fn draw(&self, canvas: &mut Canvas, [top, left]: [usize; 2], wide: usize) {
        let (s, side) = (self.s, self.side());
        for ([y, x], (symbol, words)) in self.corners(wide).into_iter().zip(&self.keys) {
            let [y, x] = [top + y, left + x];
            let window = [y..y + side, x..x + side];
            let (centre, radius) = ([y, x].map(|a| a as f64 + (side - 1) as f64 / 2.0), side as f64 / 3.0);
            match symbol {
                Symbol::Ringed(width) => {
                    draw_disc(canvas, &window, centre, radius, Some(self.legend.map.color(0.0)), s);
                    draw_ring(canvas, &window, centre, radius, *width, s);
                }
                Symbol::Hollow => draw_disc(canvas, &window, centre, radius, None, s),
                Symbol::NoValue => {
                    let inner = [y + 8 * s, x + 8 * s];
                    frame(canvas, inner, [side - 16 * s; 2], s);
                    canvas.fill(inner, [side - 16 * s; 2], WHITE);
                }
            }
            canvas.text([y + (side - GLYPH[0] * s) / 2, x + side + 4 * s], s, BLACK, words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ArrayData, Axis, Frame};
    use super::*;

    fn image(shape: [usize; 2], values: Vec<f64>) -> Array {
        Array {
            path: "ptychography/phase_scan".into(),
            shape: shape.to_vec(),
            data: ArrayData::F64(values),
            axes: vec![Axis::new("y", "Å", 0.0, 0.2), Axis::new("x", "Å", 0.0, 0.2)],
            units: "rad".into(),
            frame: Frame::Scan,
            to_scan: None,
            extra: vec![],
        }
    }

    fn legend() -> Legend {
        Legend {
            title: "Na occupancy".into(),
            range: (0.0, 1.1),
            map: ColorMap::YellowToBlue,
            thin: "fewer atoms than full, q < 0.05".into(),
            thick: "q < 0.01".into(),
            untrusted: "not trusted".into(),
        }
    }

    fn mark(centre: [f64; 2], value: f64, ring: Option<RingWidth>) -> Mark {
        Mark { centre, radius: 4.0, value, ring }
    }

    fn at(canvas: &Canvas, y: usize, x: usize) -> [u8; 3] {
        [0, 1, 2].map(|channel| canvas.rgb[(y * canvas.width + x) * 3 + channel])
    }

    /// The places in the image on the canvas of the colours that `chosen` picks.
    fn places(canvas: &Canvas, over: &Over, chosen: impl Fn([u8; 3]) -> bool) -> Vec<[f64; 2]> {
        let [rows, columns] = over.window();
        let all = rows.flat_map(|y| columns.clone().map(move |x| [y, x]));
        all.filter(|&[y, x]| chosen(at(canvas, y, x))).map(|place| place.map(|n| n as f64)).collect()
    }

    fn mean(places: &[[f64; 2]]) -> [f64; 2] {
        [0, 1].map(|a| places.iter().map(|place| place[a]).sum::<f64>() / places.len() as f64)
    }

    fn coloured([r, g, b]: [u8; 3]) -> bool {
        r != g || g != b
    }

    #[test]
    fn a_disc_lies_over_the_pixel_that_its_mark_names_in_the_colour_of_its_value() {
        for _ in 0..4 {
            let shape @ [rows, columns] = [rand::random_range(30..90), rand::random_range(30..90)];
            let pixel = [rand::random_range(10..rows - 10), rand::random_range(10..columns - 10)];
            let mut values = vec![0.0; rows * columns];
            values[pixel[0] * columns + pixel[1]] = 1.0;
            let image = image(shape, values);
            let (bare, over) = render(&image, &[], &legend()).unwrap();
            let bright = places(&bare, &over, |color| color[0] > 128);
            let enlarged = (bright.len() as f64).sqrt();
            let value = 1.1 * rand::random::<f64>();
            let (canvas, over) = render(&image, &[mark(pixel.map(|n| n as f64), value, None)], &legend()).unwrap();
            let disc = places(&canvas, &over, coloured);
            let (found, expected) = (mean(&disc), mean(&bright));
            assert!((0..2).all(|a| (found[a] - expected[a]).abs() < 0.05), "{found:?}, not {expected:?}");
            // Its edge is coloured outwards to half a pixel more.
            let radius = (disc.len() as f64 / std::f64::consts::PI).sqrt();
            assert!((0.0..1.0).contains(&(radius - 4.0 * enlarged)), "{radius}, not {}", 4.0 * enlarged);
            let [y, x] = found.map(|n| n.round() as usize);
            assert_eq!(at(&canvas, y, x), ColorMap::YellowToBlue.color(value / 1.1));
            let [height, width] = over.window().map(|side| side.len());
            assert!(height.max(width) >= 900 && height % rows == 0 && width % columns == 0, "{height} × {width}");
        }
    }

    #[test]
    fn a_value_not_to_be_trusted_leaves_the_image_to_be_seen_within_a_grey_circle() {
        let image = image([60, 60], (0..3600).map(|n| f64::from(n % 7)).collect());
        let words_of = |value: f64| {
            let (canvas, over) = render(&image, &[mark([30.0, 20.0], value, None)], &legend()).unwrap();
            let below = over.window()[0].end + 1;
            (canvas.rgb.chunks(3 * canvas.width).skip(below).flatten().filter(|&&c| c == GREY[0]).count(), canvas, over)
        };
        let (bare, _) = render(&image, &[], &legend()).unwrap();
        let (grey_below, canvas, over) = words_of(f64::NAN);
        assert!(places(&canvas, &over, coloured).is_empty());
        let (centre, radius) = (over.point([30.0, 20.0]), over.length(4.0));
        let mut changed = 0;
        for place in places(&canvas, &over, |_| true) {
            let [y, x] = place.map(|n| n as usize);
            if at(&canvas, y, x) != at(&bare, y, x) {
                let away = (place[0] - centre[0]).hypot(place[1] - centre[1]);
                assert!((0.8 * radius..radius + 1.0).contains(&away), "{away} of {radius}");
                changed += 1;
            }
        }
        assert!(changed > 100);
        assert!(grey_below > words_of(1.0).0, "the words for it stand below only where there is one");
    }

    #[test]
    fn rings_are_red_lie_outside_of_their_disc_and_are_thick_for_the_surest() {
        let image = image([60, 60], vec![0.0; 3600]);
        let red = |ring: Option<RingWidth>| {
            let (canvas, over) = render(&image, &[mark([30.0, 30.0], 0.1, ring)], &legend()).unwrap();
            let (centre, radius) = (over.point([30.0, 30.0]), over.length(4.0));
            let red = places(&canvas, &over, |color| color == RED);
            assert!(red.iter().all(|place| (place[0] - centre[0]).hypot(place[1] - centre[1]) > radius));
            red.len() as f64 / radius.powi(2) / std::f64::consts::TAU
        };
        let [none, thin, thick] = [None, Some(RingWidth::Thin), Some(RingWidth::Thick)].map(red);
        assert!(none == 0.0 && thin > 0.05 && thick > 2.0 * thin && thick < 0.3, "{none} {thin} {thick} of the radius");
    }

    #[test]
    fn the_colour_bar_ends_with_the_range_and_points_to_what_lies_beyond() {
        let image = image([60, 60], vec![0.0; 3600]);
        let bar = |value: f64| {
            let (canvas, over) = render(&image, &[mark([30.0, 30.0], value, None)], &legend()).unwrap();
            let [rows, columns] = over.window();
            let left = (columns.end + 1..canvas.width).find(|&x| coloured(at(&canvas, rows.start + rows.len() / 2, x))).unwrap();
            [rows.start + 3, rows.end - 4].map(|y| [at(&canvas, y, left), at(&canvas, y, left + 12)])
        };
        let near = |found: [u8; 3], t: f64| (0..3).all(|c| found[c].abs_diff(ColorMap::YellowToBlue.color(t)[c]) <= 2);
        let [upper, lower] = bar(0.5);
        assert!(upper.iter().all(|&color| near(color, 1.0)) && lower.iter().all(|&color| near(color, 0.0)), "{upper:?} {lower:?}");
        let [upper, lower] = bar(1.2);
        assert!(upper[0] == WHITE && near(upper[1], 1.0) && near(lower[0], 0.0), "{upper:?} {lower:?}");
        let [upper, lower] = bar(-0.2);
        assert!(near(upper[0], 1.0) && lower[0] == WHITE && near(lower[1], 0.0), "{upper:?} {lower:?}");
    }

    #[test]
    fn marks_beyond_the_image_and_images_of_any_form_are_drawn() {
        let marks =
            [mark([-50.0, 3.0], 0.5, Some(RingWidth::Thick)), mark([1e9, -1e9], f64::NAN, None), mark([0.0, 0.0], f64::INFINITY, None)];
        for shape in [[1, 1], [1, 400], [400, 1], [2, 2000]] {
            let (canvas, over) = render(&image(shape, vec![f64::NAN; shape[0] * shape[1]]), &marks, &legend()).unwrap();
            assert!(over.window().iter().zip([canvas.height, canvas.width]).all(|(side, of)| side.end < of));
        }
    }

    #[test]
    fn nothing_is_overwritten_unasked_and_what_is_no_image_or_mark_is_refused_with_nothing_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.png");
        let flat = image([4, 4], vec![0.0; 16]);
        let refused =
            |array: &Array, marks: &[Mark], legend: &Legend| write_overlay_png(&path, false, array, marks, legend).unwrap_err().to_string();
        let cube = Array { shape: vec![2, 2, 4], axes: vec![Axis::index("n"); 3], ..flat.clone() };
        assert!(refused(&cube, &[], &legend()).contains("two dimensions"));
        assert!(refused(&Array { shape: vec![4, 5], ..flat.clone() }, &[], &legend()).contains("asks for 20 values"));
        for bad in [mark([f64::NAN, 0.0], 1.0, None), Mark { radius: 0.0, ..mark([1.0, 1.0], 1.0, None) }] {
            assert!(refused(&flat, &[bad], &legend()).contains("a mark over it"));
        }
        for range in [(1.0, 1.0), (1.0, 0.0), (0.0, f64::NAN)] {
            assert!(refused(&flat, &[], &Legend { range, ..legend() }).contains("must rise"));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        write_overlay_png(&path, false, &flat, &[], &legend()).unwrap();
        assert!(refused(&flat, &[], &legend()).contains("--force"));
        write_overlay_png(&path, true, &flat, &[], &legend()).unwrap();
    }
}
