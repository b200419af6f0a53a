//! What every picture is made of: contrast, places, scale bars, numbers, and the PNG file.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::shapes::Window;
use super::text::Canvas;
use super::{Axis, Claim, ColorMap, Error, Look, Result};

pub(super) const WHITE: [u8; 3] = [255; 3];
pub(super) const BLACK: [u8; 3] = [0; 3];
const FRAME: [u8; 3] = [128; 3];

/// The share of pixels beyond the contrast range, at each end.
const TAIL: f64 = 0.001;
/// A logarithmic range spans no more than this.
const LOG_SPAN: f64 = 1e6;
/// Images are enlarged to at least this many pixels on their long side.
const LONG_SIDE: f64 = 512.0;
/// No picture is stretched beyond this for its pixels' aspect.
const LARGEST_SIDE: f64 = 16_384.0;

/// Writes the canvas as an 8-bit RGB PNG.
pub(super) fn save(path: &Path, force: bool, picture: &Canvas) -> Result<PathBuf> {
    let claim = Claim::new(path, force)?;
    let write = || -> std::result::Result<(), png::EncodingError> {
        let size = |n: usize| u32::try_from(n).map_err(|_| png::EncodingError::LimitsExceeded);
        let mut file = BufWriter::new(claim.file());
        let mut encoder = png::Encoder::new(&mut file, size(picture.width)?, size(picture.height)?);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
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

/// How the values of one image become colours.
pub(super) struct Shades {
    pub(super) map: ColorMap,
    /// The values of the map's two ends.
    pub(super) low: f64,
    pub(super) high: f64,
    /// Both ends are above 0 then.
    pub(super) log: bool,
}

impl Shades {
    pub(super) fn of(values: &[f64], units: &str, look: Look) -> Self {
        let (map, range) = (look.map, look.range);
        if look.log {
            let positive: Vec<f64> = values.iter().copied().filter(|&x| x > 0.0 && x.is_finite()).collect();
            let (low, high) = range.unwrap_or_else(|| robust_range(&positive));
            let low = low.max(high / LOG_SPAN);
            if !positive.is_empty() && 0.0 < low && low < high {
                return Self { map, low, high, log: true };
            }
        }
        let (low, high) = range.unwrap_or_else(|| match map {
            ColorMap::Cyclic => {
                let half_turn = if units == "rad" { std::f64::consts::PI } else { 180.0 };
                (-half_turn, half_turn)
            }
            ColorMap::Diverging => {
                let (low, high) = robust_range(values);
                let most = low.abs().max(high.abs());
                (-most, most)
            }
            ColorMap::Gray | ColorMap::Viridis | ColorMap::YellowToBlue => robust_range(values),
        });
        // One value: it lies in the middle of the map.
        let around = if high > low {
            0.0
        } else if low == 0.0 {
            1.0
        } else {
            low.abs() / 2.0
        };
        Self { map, low: low - around, high: high + around, log: false }
    }

    pub(super) fn color(&self, value: f64) -> [u8; 3] {
        let t = if self.log && value <= 0.0 {
            0.0
        } else if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.map.color(t)
    }

    /// The numbers at the top, middle and bottom of the colour bar; a `<` or `>` says that there are values beyond.
    pub(super) fn labels(&self, values: &[f64]) -> [String; 3] {
        let [highest, middle, lowest] =
            if self.log { [self.high, (self.low * self.high).sqrt(), self.low].map(number) } else { bar_numbers(self.low, self.high) };
        let beyond = |mark: &str, any: bool, number: String| if any { format!("{mark} {number}") } else { number };
        [beyond(">", values.iter().any(|&x| x > self.high), highest), middle, beyond("<", values.iter().any(|&x| x < self.low), lowest)]
    }
}

/// A gray line around a place on the canvas.
pub(super) fn frame(canvas: &mut Canvas, [y, x]: [usize; 2], [height, width]: [usize; 2], line: usize) {
    canvas.fill([y - line, x - line], [height + 2 * line, width + 2 * line], FRAME);
}

/// The size of an image on the canvas.
pub(super) struct Place {
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Place {
    /// Each pixel of the image as a rectangle of its true aspect, enlarged by an integer where pixels are square.
    pub(super) fn of(rows: usize, columns: usize, y: &Axis, x: &Axis) -> Self {
        Self::at_least(LONG_SIDE, rows, columns, y, x)
    }

    /// The same with so many pixels on the long side, or more.
    pub(super) fn at_least(side: f64, rows: usize, columns: usize, y: &Axis, x: &Axis) -> Self {
        let size = stretched(rows, columns, y, x);
        let enlarged = (side / size[0].max(size[1])).ceil().max(1.0);
        Self::scaled(size, enlarged)
    }

    /// As large as fits into a square of `side` pixels.
    pub(super) fn within(side: usize, rows: usize, columns: usize, y: &Axis, x: &Axis) -> Self {
        let size = stretched(rows, columns, y, x);
        Self::scaled(size, side as f64 / size[0].max(size[1]))
    }

    fn scaled(size: [f64; 2], by: f64) -> Self {
        let [height, width] = size.map(|n| (n * by).round().max(1.0) as usize);
        Self { height, width }
    }

    /// The colour of each of `rows` × `columns` pixels, drawn.
    pub(super) fn draw(&self, canvas: &mut Canvas, [top, left]: [usize; 2], rows: usize, columns: usize, color: impl Fn(usize) -> [u8; 3]) {
        for y in 0..self.height {
            let row = y * rows / self.height * columns;
            let mut last = (usize::MAX, BLACK);
            for x in 0..self.width {
                let at = row + x * columns / self.width;
                if at != last.0 {
                    last = (at, color(at));
                }
                canvas.set(top + y, left + x, last.1);
            }
        }
    }
}

/// Where an image lies on the canvas, for what is drawn over it.
pub(super) struct Over {
    /// Its upper left corner, (y, x).
    corner: [usize; 2],
    size: [usize; 2],
    /// The size of one of its pixels.
    pixel: [f64; 2],
}

impl Over {
    pub(super) fn new(corner: [usize; 2], place: &Place, rows: usize, columns: usize) -> Self {
        let size = [place.height, place.width];
        Self { corner, size, pixel: [place.height as f64 / rows as f64, place.width as f64 / columns as f64] }
    }

    /// The place on the canvas of one in the image, both (row, col) with the middle of the first pixel at 0.
    pub(super) fn point(&self, at: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|a| self.corner[a] as f64 + (at[a] + 0.5) * self.pixel[a] - 0.5)
    }

    /// A length in pixels of the image, of the shorter side where these are not square.
    pub(super) fn length(&self, pixels: f64) -> f64 {
        pixels * self.pixel[0].min(self.pixel[1])
    }

    pub(super) fn window(&self) -> Window {
        [0, 1].map(|a| self.corner[a]..self.corner[a] + self.size[a])
    }
}

/// Draws the colours of a map from 1 at the top to 0 at the bottom, in a gray line.
pub(super) fn color_bar(canvas: &mut Canvas, [top, left]: [usize; 2], [height, width]: [usize; 2], s: usize, map: ColorMap) {
    frame(canvas, [top, left], [height, width], s);
    for y in 0..height {
        let t = 1.0 - (y as f64 + 0.5) / height as f64;
        canvas.fill([top + y, left], [1, width], map.color(t));
    }
}

/// The size (y, x) of an image with its finest axis at one canvas pixel a pixel.
fn stretched(rows: usize, columns: usize, y: &Axis, x: &Axis) -> [f64; 2] {
    let steps = if y.units == x.units { [y.step.abs(), x.step.abs()] } else { [1.0, 1.0] };
    let finest = steps[0].min(steps[1]);
    let square = [rows as f64, columns as f64];
    let stretched = [square[0] * steps[0] / finest, square[1] * steps[1] / finest];
    let longest = |size: [f64; 2]| size[0].max(size[1]);
    if longest(stretched) <= LARGEST_SIDE.max(longest(square)) { stretched } else { square }
}

/// A length of 1, 2 or 5 times a power of ten, about a fifth of the image.
pub(super) struct ScaleBar {
    pub(super) pixels: usize,
    pub(super) label: String,
}

impl ScaleBar {
    /// For `columns` pixels of the axis drawn `width` pixels wide.
    pub(super) fn of(axis: &Axis, columns: usize, width: usize) -> Self {
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
            "1/Å" if length < 0.1 => (length * 10.0, "1/nm"),
            "" => (length, "px"),
            unit => (length, unit),
        };
        Self { pixels: ((length / field * width as f64).round() as usize).max(1), label: format!("{} {unit}", number(told)) }
    }

    /// Draws the bar and its label on a line of text.
    pub(super) fn draw(&self, canvas: &mut Canvas, [y, x]: [usize; 2], s: usize) {
        canvas.fill([y + super::text::GLYPH[0] * s / 2 - 3 * s, x], [6 * s, self.pixels], BLACK);
        canvas.text([y, x + self.pixels + 12 * s], s, BLACK, &self.label);
    }

    /// Of bar and label together.
    pub(super) fn width(&self, s: usize) -> usize {
        self.pixels + 12 * s + super::text::width(&self.label) * s
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
pub(super) fn number(x: f64) -> String {
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
