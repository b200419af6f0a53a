//! Vector fields as colour: direction as hue, length as brightness.

use std::path::{Path, PathBuf};

use super::colormap::vector_color;
use super::plot::{BLACK, Place, ScaleBar, WHITE, frame, number, save};
use super::text::{Canvas, GLYPH, width};
use super::{Array, Error, Result};

/// Of the wheel of the legend, in pixels.
const WHEEL: usize = 160;
const NO_VALUE: [u8; 3] = [190; 3];

/// A vector field: two images of the same shape and unit.
#[derive(Debug, Clone, Copy)]
pub struct Vectors<'a> {
    pub name: &'a str,
    /// The component along the rows: positive points down in the picture.
    pub y: &'a Array,
    /// The component along the columns: positive points to the right.
    pub x: &'a Array,
    /// What else the legend should say, a line each.
    pub notes: &'a [String],
}

/// A vector field, read and scaled.
pub(super) struct Arrows {
    pub(super) shape: [usize; 2],
    pub(super) y: Vec<f64>,
    pub(super) x: Vec<f64>,
    /// The length of the brightest colours: all but the longest 1 % are within.
    pub(super) longest: f64,
}

impl Arrows {
    pub(super) fn of(vectors: &Vectors) -> Result<Self> {
        let ((rows, columns, y), (_, _, x)) = (vectors.y.image()?, vectors.x.image()?);
        if vectors.y.shape != vectors.x.shape {
            let reason = format!("its shape is {:?}, but that of {} is {:?}", vectors.y.shape, vectors.x.path, vectors.x.shape);
            return Err(Error::array(&vectors.y.path, reason));
        }
        let lengths: Vec<f64> = y.iter().zip(&x).map(|(y, x)| y.hypot(*x)).collect();
        let longest = high(&lengths);
        Ok(Self { shape: [rows, columns], y, x, longest: if longest > 0.0 { longest } else { 1.0 } })
    }

    pub(super) fn color(&self, y: f64, x: f64) -> [u8; 3] {
        if y.is_nan() || x.is_nan() { NO_VALUE } else { vector_color(y.atan2(x), y.hypot(x) / self.longest) }
    }
}

/// What all but the highest 1 % of the finite values do not exceed; 0 where none is finite.
fn high(values: &[f64]) -> f64 {
    let mut finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    finite.sort_unstable_by(f64::total_cmp);
    finite.get((finite.len().saturating_sub(1) as f64 * 0.99).round() as usize).copied().unwrap_or(0.0)
}

/// Draws the colours of all vectors up to the longest, each where its arrow would end.
pub(super) fn draw_wheel(canvas: &mut Canvas, [top, left]: [usize; 2], size: usize) {
    let half = size as f64 / 2.0;
    for row in 0..size {
        for column in 0..size {
            let [y, x] = [row, column].map(|n| (n as f64 + 0.5 - half) / half);
            if y.hypot(x) <= 1.0 {
                canvas.set(top + row, left + column, vector_color(y.atan2(x), y.hypot(x)));
            }
        }
    }
}

/// Writes a picture of a vector field: hue is the direction, brightness the length, and 0 is black. A wheel beside it shows the colour of each vector where its
/// arrow would end, with the length at its rim: up in the wheel is up in the image, which is −row.
pub fn write_vector_png(path: &Path, force: bool, vectors: &Vectors) -> Result<PathBuf> {
    let arrows = Arrows::of(vectors)?;
    let ([rows, columns], axes) = (arrows.shape, &vectors.y.axes);
    let place = Place::of(rows, columns, &axes[0], &axes[1]);
    let bar = ScaleBar::of(&axes[1], columns, place.width);
    let s = (place.height.max(place.width) / 1200).max(1);

    let beyond = arrows.y.iter().zip(&arrows.x).any(|(y, x)| y.hypot(*x) > arrows.longest);
    let mut legend = vec![
        format!("rim: {} {}", number(arrows.longest), vectors.y.units).trim_end().to_owned() + if beyond { " or more" } else { "" },
        "centre: 0".to_owned(),
        "up: -row".to_owned(),
        "right: +column".to_owned(),
    ];
    legend.extend_from_slice(vectors.notes);

    let (line, margin, wheel) = (GLYPH[0] * s, 12 * s, WHEEL * s);
    let (top, left) = (margin + line + margin / 2, margin);
    let below = top + place.height + margin;
    let legend_left = left + place.width.max(width(vectors.name) * s).max(bar.width(s)) + 2 * margin;
    let widest = legend.iter().map(|text| width(text) * s).max().unwrap_or(0).max(wheel);
    let bottom = (below + line).max(top + wheel + margin + legend.len() * line);
    let mut canvas = Canvas::new(legend_left + widest + margin, bottom + margin, WHITE);

    canvas.text([margin, left], s, BLACK, vectors.name);
    frame(&mut canvas, [top, left], [place.height, place.width], s);
    place.draw(&mut canvas, [top, left], rows, columns, |at| arrows.color(arrows.y[at], arrows.x[at]));
    bar.draw(&mut canvas, [below, left], s);
    draw_wheel(&mut canvas, [top, legend_left], wheel);
    for (n, text) in legend.iter().enumerate() {
        canvas.text([top + wheel + margin + n * line, legend_left], s, BLACK, text);
    }
    save(path, force, &canvas)
}
