//! Images as 8-bit PNG with a title, a scale bar and a colour bar.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::text::{Canvas, GLYPH, width};
use super::{Array, Axis, Claim, ColorMap, Error, Result};

const WHITE: [u8; 3] = [255; 3];
const BLACK: [u8; 3] = [0; 3];
const FRAME: [u8; 3] = [128; 3];

/// The share of pixels beyond the contrast range, at each end.
const TAIL: f64 = 0.001;
/// Images are enlarged to at least this many pixels on their long side.
const LONG_SIDE: f64 = 512.0;
/// No picture is stretched beyond this for its pixels' aspect.
const LARGEST_SIDE: f64 = 16_384.0;

/// How values become colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    pub map: ColorMap,
    /// The values of the map's two ends; `None` for the range of all but the outermost 0.1 % at each end.
    pub range: Option<(f64, f64)>,
}

impl Look {
    /// What suits an image of this name.
    pub fn of(name: &str) -> Self {
        Self { map: ColorMap::of(name), range: None }
    }
}

/// A ring around something in an image, in pixels of the image; the middle of the first pixel is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ring {
    /// (row, col).
    pub centre: [f64; 2],
    pub radius: f64,
    pub color: [u8; 3],
}

impl Ring {
    /// `pixel` is the size of an image's pixel on the canvas.
    fn draw(&self, canvas: &mut Canvas, origin: [usize; 2], place: &Place, pixel: [f64; 2], line: usize) {
        let centre = [0, 1].map(|a| (self.centre[a] + 0.5) * pixel[a]);
        let radius = self.radius * pixel[0].min(pixel[1]);
        let reach = |a: usize, size: usize| {
            let last = (centre[a] + radius + line as f64).ceil().clamp(0.0, size as f64) as usize;
            (centre[a] - radius - line as f64).floor().max(0.0) as usize..last
        };
        for y in reach(0, place.height) {
            for x in reach(1, place.width) {
                let away = (y as f64 + 0.5 - centre[0]).hypot(x as f64 + 0.5 - centre[1]);
                if (away - radius).abs() <= line as f64 {
                    canvas.set(origin[0] + y, origin[1] + x, self.color);
                }
            }
        }
    }
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
    let picture = render(array, look, rings)?;
    let claim = Claim::new(path, force)?;
    let write = || -> std::result::Result<(), png::EncodingError> {
        let size = |n: usize| u32::try_from(n).map_err(|_| png::EncodingError::LimitsExceeded);
        let mut file = BufWriter::new(claim.file());
        let mut encoder = png::Encoder::new(&mut file, size(picture.width)?, size(picture.height)?);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.add_text_chunk("Software".into(), "ronchi".into())?;
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&picture.rgb)?;
        writer.finish()?;
        // Dropped, it would keep a full disk to itself.
        Ok(file.flush()?)
    };
    write().map_err(|error| match error {
        png::EncodingError::IoError(error) => Error::write_io(path, &error),
        error => Error::Write { path: path.display().to_string(), reason: error.to_string() },
    })?;
    claim.finish()
}

/// The values that all but the outermost 0.1 % of the finite pixels at each end lie between; (0, 1) where none is finite.
pub(super) fn robust_range(values: &[f64]) -> (f64, f64) {
    let mut finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    if finite.is_empty() {
        return (0.0, 1.0);
    }
    let last = finite.len() - 1;
    let tail = (last as f64 * TAIL).round() as usize;
    let (_, low, _) = finite.select_nth_unstable_by(tail, f64::total_cmp);
    let low = *low;
    let (_, high, _) = finite.select_nth_unstable_by(last - tail, f64::total_cmp);
    (low, *high)
}

fn render(array: &Array, look: Look, rings: &[Ring]) -> Result<Canvas> {
    let (rows, columns, values) = array.image()?;
    let (low, high) = contrast(&values, look);
    let place = Place::of(rows, columns, &array.axes[0], &array.axes[1]);
    let bar = ScaleBar::of(&array.axes[1], columns, place.width);
    let s = (place.height.max(place.width) / 1200).max(1);

    let [highest, middle, lowest] = bar_numbers(low, high);
    let beyond = |mark: &str, any: bool, number: String| if any { format!("{mark} {number}") } else { number };
    let labels = [beyond(">", values.iter().any(|&x| x > high), highest), middle, beyond("<", values.iter().any(|&x| x < low), lowest)];
    let holes = values.iter().any(|x| x.is_nan());
    let no_value = "no value";

    let (line, margin) = (GLYPH[0] * s, 12 * s);
    let wide = |text: &str| width(text) * s;
    let (top, left) = (margin + line + margin / 2, margin);
    let below = place.height + top + margin;
    let bar_width = 20 * s;
    let bar_left = left + place.width.max(wide(array.name())).max(bar.pixels + margin + wide(&bar.label)) + 2 * margin;
    let label_left = bar_left + bar_width + margin / 2;
    let widest = labels.iter().map(|label| wide(label)).max().unwrap_or(0).max(if holes { wide(no_value) } else { 0 });
    let right = (label_left + widest).max(bar_left + wide(&array.units)) + margin;

    let mut canvas = Canvas::new(right, below + line + margin, WHITE);
    canvas.text([margin, left], s, BLACK, array.name());
    canvas.text([margin, bar_left], s, BLACK, &array.units);

    frame(&mut canvas, [top, left], [place.height, place.width], s);
    for y in 0..place.height {
        let row = &values[y * rows / place.height * columns..][..columns];
        for x in 0..place.width {
            let t = (row[x * columns / place.width] - low) / (high - low);
            canvas.set(top + y, left + x, look.map.color(t));
        }
    }
    let pixel = [place.height as f64 / rows as f64, place.width as f64 / columns as f64];
    for ring in rings {
        ring.draw(&mut canvas, [top, left], &place, pixel, s);
    }

    frame(&mut canvas, [top, bar_left], [place.height, bar_width], s);
    for y in 0..place.height {
        let t = 1.0 - (y as f64 + 0.5) / place.height as f64;
        canvas.fill([top + y, bar_left], [1, bar_width], look.map.color(t));
    }
    // A bar too low for three labels shows its two ends.
    let middle = (place.height >= 3 * line).then_some((1, (place.height - line) / 2));
    for (n, y) in [(0, 0), (2, place.height.saturating_sub(line))].into_iter().chain(middle) {
        canvas.text([top + y, label_left], s, BLACK, &labels[n]);
    }

    canvas.fill([below + line / 2 - 3 * s, left], [6 * s, bar.pixels], BLACK);
    canvas.text([below, left + bar.pixels + margin], s, BLACK, &bar.label);
    if holes {
        canvas.fill([below, bar_left], [line, bar_width], look.map.no_value());
        canvas.text([below, label_left], s, BLACK, no_value);
    }
    Ok(canvas)
}

/// The values of the two ends of the map.
fn contrast(values: &[f64], look: Look) -> (f64, f64) {
    let (low, high) = look.range.unwrap_or_else(|| robust_range(values));
    let (low, high) = match look.map {
        ColorMap::Diverging if look.range.is_none() => {
            let most = low.abs().max(high.abs());
            (-most, most)
        }
        _ => (low, high),
    };
    if high > low {
        return (low, high);
    }
    // One value: it lies in the middle of the map.
    let around = if low == 0.0 { 1.0 } else { low.abs() / 2.0 };
    (low - around, low + around)
}

fn frame(canvas: &mut Canvas, [y, x]: [usize; 2], [height, width]: [usize; 2], line: usize) {
    canvas.fill([y - line, x - line], [height + 2 * line, width + 2 * line], FRAME);
}

/// The size of the image on the canvas.
struct Place {
    height: usize,
    width: usize,
}

impl Place {
    fn of(rows: usize, columns: usize, y: &Axis, x: &Axis) -> Self {
        let steps = if y.units == x.units { [y.step.abs(), x.step.abs()] } else { [1.0, 1.0] };
        let finest = steps[0].min(steps[1]);
        let square = [rows as f64, columns as f64];
        let stretched = [square[0] * steps[0] / finest, square[1] * steps[1] / finest];
        let longest = |size: [f64; 2]| size[0].max(size[1]);
        let size = if longest(stretched) <= LARGEST_SIDE.max(longest(square)) { stretched } else { square };
        let enlarged = (LONG_SIDE / longest(size)).ceil().max(1.0);
        let [height, width] = size.map(|n| (n * enlarged).round().max(1.0) as usize);
        Self { height, width }
    }
}

/// A length of 1, 2 or 5 times a power of ten, about a fifth of the image.
struct ScaleBar {
    pixels: usize,
    label: String,
}

impl ScaleBar {
    /// For `columns` pixels of the axis drawn `width` pixels wide.
    fn of(axis: &Axis, columns: usize, width: usize) -> Self {
        let field = columns as f64 * axis.step.abs();
        let fifth = field / 5.0;
        let decade = 10_f64.powf(fifth.log10().floor());
        let distance = |length: &f64| (length / fifth).ln().abs();
        let lengths = [1.0, 2.0, 5.0, 10.0].map(|n| n * decade);
        let length = lengths.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(decade);
        let (told, unit) = match axis.units.as_str() {
            "Å" | "A" if length >= 10_000.0 => (length / 10_000.0, "µm"),
            "Å" | "A" if length >= 10.0 => (length / 10.0, "nm"),
            "Å" | "A" => (length, "Å"),
            "" => (length, "px"),
            unit => (length, unit),
        };
        Self { pixels: ((length / field * width as f64).round() as usize).max(1), label: format!("{} {unit}", number(told)) }
    }
}

/// The numbers at the top, middle and bottom of the colour bar, with as many decimals as tell them apart.
fn bar_numbers(low: f64, high: f64) -> [String; 3] {
    let largest = high.abs().max(low.abs());
    let digits = (largest / (high - low)).log10().max(0.0).ceil() as i32 + 2;
    let powers = !(1e-3..1e5).contains(&largest);
    let decimals = if powers { digits } else { digits - largest.log10().floor() as i32 }.clamp(0, 15) as usize;
    [high, (low + high) / 2.0, low].map(|x| {
        // The middle of nearly opposite ends is 0 but for rounding.
        if x.abs() < (high - low) / 2000.0 {
            "0".into()
        } else if powers {
            format!("{x:.decimals$e}")
        } else {
            format!("{x:.decimals$}")
        }
    })
}

/// A number with 4 digits at most, without needless ones.
fn number(x: f64) -> String {
    let size = x.abs();
    if size == 0.0 {
        return "0".into();
    }
    if !(1e-3..1e5).contains(&size) {
        return format!("{x:.2e}");
    }
    let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{x:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
