//! Images as 8-bit PNG with a title, a scale bar and a colour bar, and their power spectrum beside them.

use std::path::{Path, PathBuf};

use super::plot::{BLACK, Over, Place, ScaleBar, Shades, WHITE, color_bar, frame, save};
use super::spectrum::Spectrum;
use super::text::{Canvas, GLYPH, width};
use super::{Array, ColorMap, Frame, Result, shapes};

/// How values become colours, and what is drawn beside them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    pub map: ColorMap,
    /// The values of the map's two ends; `None` for the range of all but the outermost 0.1 % at each end.
    pub range: Option<(f64, f64)>,
    /// Colours follow the logarithm of the value, over six decades at most; what is not above 0 is as the lowest.
    pub log: bool,
    /// The power spectrum stands beside the image, unless that has less than 16 pixels a side or shows angles.
    pub spectrum: bool,
}

impl Look {
    /// What suits an array by its name and frame: patterns of the detector in logarithmic colours, images with no spectrum.
    pub fn of(array: &Array) -> Self {
        if array.frame == Frame::Detector {
            return Self { map: ColorMap::Viridis, log: true, ..Self::plain(ColorMap::Viridis) };
        }
        Self::plain(ColorMap::of(array.name()))
    }

    /// A map over the robust range of the values, with nothing beside it.
    pub fn plain(map: ColorMap) -> Self {
        Self { map, range: None, log: false, spectrum: false }
    }
}

/// A ring around something in an image, in pixels of the image; the middle of the first pixel is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Ring {
    /// (row, col).
    pub centre: [f64; 2],
    pub radius: f64,
    pub color: [u8; 3],
    /// Beside it, where there is room and no other label.
    pub label: String,
}

/// Writes a picture of a real image (y, x).
///
/// Each pixel of the image is a rectangle of one colour, enlarged by an integer where pixels are square. The scale bar lies
/// below the image, where it hides nothing. A `<` or `>` at the colour bar says that there are values beyond its end.
pub fn write_png(path: &Path, force: bool, array: &Array, look: Look) -> Result<PathBuf> {
    write_png_with_rings(path, force, array, look, &[])
}

/// The same with rings drawn over the image.
pub fn write_png_with_rings(path: &Path, force: bool, array: &Array, look: Look, rings: &[Ring]) -> Result<PathBuf> {
    save(path, force, &render(array, look, rings)?)
}

fn render(array: &Array, look: Look, rings: &[Ring]) -> Result<Canvas> {
    let (rows, columns, values) = array.image()?;
    let shades = Shades::of(&values, &array.units, look);
    let place = Place::of(rows, columns, &array.axes[0], &array.axes[1]);
    let bar = ScaleBar::of(&array.axes[1], columns, place.width);
    let s = (place.height.max(place.width) / 1200).max(1);
    let beside = (look.spectrum && look.map != ColorMap::Cyclic).then(|| Spectrum::of(array, rows, columns, &values)).flatten();
    let beside = beside.map(|spectrum| Beside::new(spectrum, s));

    let labels = shades.labels(&values);
    let holes = values.iter().any(|x| x.is_nan());
    let no_value = "no value";
    let units = match (array.units.as_str(), shades.log) {
        (units, false) => units.to_owned(),
        ("", true) => "log".to_owned(),
        (units, true) => format!("{units}, log"),
    };

    let (line, margin) = (GLYPH[0] * s, 12 * s);
    let wide = |text: &str| width(text) * s;
    let (top, left) = (margin + line + margin / 2, margin);
    let below = place.height + top + margin;
    let bar_width = 20 * s;
    let bar_left = left + place.width.max(wide(array.name())).max(bar.width(s)) + 2 * margin;
    let label_left = bar_left + bar_width + margin / 2;
    let widest = labels.iter().map(|label| wide(label)).max().unwrap_or(0).max(if holes { wide(no_value) } else { 0 });
    let right = (label_left + widest).max(bar_left + wide(&units)) + margin;

    let (beside_left, lowest) = (right + 2 * margin, beside.as_ref().map_or(0, |beside| beside.place.height + top + margin).max(below));
    let full = beside.as_ref().map_or(right, |beside| beside_left + beside.width(s) + margin);
    let mut canvas = Canvas::new(full, lowest + line + margin, WHITE);
    canvas.text([margin, left], s, BLACK, array.name());
    canvas.text([margin, bar_left], s, BLACK, &units);

    frame(&mut canvas, [top, left], [place.height, place.width], s);
    place.draw(&mut canvas, [top, left], rows, columns, |at| shades.color(values[at]));
    let over = Over::new([top, left], &place, rows, columns);
    let mut written: Vec<[usize; 4]> = Vec::new();
    for Ring { centre, radius, color, label } in rings {
        let (middle, radius) = (over.point(*centre), over.length(*radius));
        shapes::ring(&mut canvas, &over.window(), middle, [radius - s as f64, radius + s as f64], *color);
        // A label that would leave the image stands on the left.
        let (beside, long) = (radius + 3.0 * s as f64, wide(label) as f64);
        let x = if middle[1] + beside + long < (left + place.width) as f64 { middle[1] + beside } else { middle[1] - beside - long };
        let y = middle[0] - line as f64 / 2.0;
        let inside = x >= left as f64 && y >= top as f64 && y + line as f64 <= (top + place.height) as f64;
        let [y, x, long] = [y, x, long].map(|v| v as usize);
        let free = written.iter().all(|[top, end, left, right]| y + line <= *top || y >= *end || x + long <= *left || x >= *right);
        if inside && free && !label.is_empty() {
            canvas.text([y, x], s, *color, label);
            written.push([y, y + line, x, x + long]);
        }
    }

    color_bar(&mut canvas, [top, bar_left], [place.height, bar_width], s, look.map);
    // A bar too low for three labels shows its two ends.
    let middle = (place.height >= 3 * line).then(|| (1, (place.height - line) / 2));
    for (n, y) in [(0, 0), (2, place.height.saturating_sub(line))].into_iter().chain(middle) {
        canvas.text([top + y, label_left], s, BLACK, &labels[n]);
    }

    bar.draw(&mut canvas, [below, left], s);
    if holes {
        canvas.fill([below, bar_left], [line, bar_width], look.map.no_value());
        canvas.text([below, label_left], s, BLACK, no_value);
    }
    if let Some(beside) = &beside {
        beside.draw(&mut canvas, [top, beside_left], s);
    }
    Ok(canvas)
}

/// The power spectrum on the right of its image.
struct Beside {
    spectrum: Spectrum,
    place: Place,
    bar: ScaleBar,
    title: String,
}

impl Beside {
    fn new(spectrum: Spectrum, s: usize) -> Self {
        let [rows, columns] = spectrum.shape;
        let [y, x] = &spectrum.axes;
        let place = Place::of(rows, columns, y, x);
        let bar = ScaleBar::of(x, columns, place.width);
        let (low, high) = spectrum.range;
        let title = ["power spectrum, log", "FFT, log"].into_iter().find(|title| width(title) * s <= place.width).unwrap_or("FFT");
        Self {
            title: title.to_owned(),
            bar: ScaleBar { label: format!("{}   Hann window, {:.1} decades", bar.label, high - low), ..bar },
            spectrum,
            place,
        }
    }

    fn width(&self, s: usize) -> usize {
        self.place.width.max(self.bar.width(s)).max(width(&self.title) * s)
    }

    fn draw(&self, canvas: &mut Canvas, [top, left]: [usize; 2], s: usize) {
        let ([rows, columns], (low, high)) = (self.spectrum.shape, self.spectrum.range);
        canvas.text([12 * s, left], s, BLACK, &self.title);
        frame(canvas, [top, left], [self.place.height, self.place.width], s);
        let gray = |at: usize| ColorMap::Gray.color((self.spectrum.log_power[at] - low) / (high - low).max(f64::MIN_POSITIVE));
        self.place.draw(canvas, [top, left], rows, columns, gray);
        self.bar.draw(canvas, [top + self.place.height + 12 * s, left], s);
    }
}
