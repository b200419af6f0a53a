//! Many images on one sheet.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::plot::{BLACK, Place, ScaleBar, Shades, WHITE, frame, number, save};
use super::text::{Canvas, GLYPH, width};
use super::vectors::{Arrows, Vectors, draw_wheel};
use super::{Array, ArrayData, Axis, ColorMap, Look, Result};

/// A sheet is about this wide at most.
const WIDEST: usize = 2400;
/// The bounds of a tile's side.
const SIDES: [usize; 2] = [320, 480];
/// More columns than this no sheet has.
const COLUMNS: usize = 7;
const MARGIN: usize = 16;
/// Of the strip of colours below a tile.
const STRIP: usize = 70;

/// The most slices of a stack that a sheet shows.
const SLICES: usize = 49;

/// One image of a sheet.
#[derive(Debug, Clone, Copy)]
pub enum Tile<'a> {
    Image(&'a Array, Look),
    Vectors(Vectors<'a>),
}

/// Writes a sheet of images in rows, each with its name, its unit, a scale bar and the range of its colours. Each image has its own contrast. Where it
/// has more pixels than its tile, a pixel of the tile is the mean of those that it covers.
pub fn write_sheet(path: &Path, force: bool, title: &str, tiles: &[Tile]) -> Result<PathBuf> {
    let columns = (1..COLUMNS).find(|n| n * n >= tiles.len()).unwrap_or(COLUMNS);
    let side = ((WIDEST - MARGIN) / columns - MARGIN).clamp(SIDES[0], SIDES[1]);
    let drawn = tiles.par_iter().map(|tile| Drawn::of(tile, side)).collect::<Result<Vec<_>>>()?;
    let rows: Vec<&[Drawn]> = drawn.chunks(columns).collect();
    let line = GLYPH[0];
    let row_height = |row: &[Drawn]| row.iter().map(|tile| tile.place.height).max().unwrap_or(0) + 3 * line + 2 * MARGIN;
    let height = 2 * MARGIN + line + rows.iter().map(|row| row_height(row)).sum::<usize>();
    let mut canvas = Canvas::new(MARGIN + columns * (side + MARGIN), height, WHITE);
    canvas.text([MARGIN, MARGIN], 1, BLACK, &shortened(title, columns * (side + MARGIN) - MARGIN));
    let mut top = 2 * MARGIN + line;
    for row in rows {
        for (n, tile) in row.iter().enumerate() {
            tile.draw(&mut canvas, [top, MARGIN + n * (side + MARGIN)], side);
        }
        top += row_height(row);
    }
    save(path, force, &canvas)
}

/// Up to 49 slices of a stack (n, y, x), evenly spread, each named by its place along the first axis.
pub fn slices(stack: &Array) -> Vec<Array> {
    let (&[count, rows, columns], [axis, y, x], Some(values)) = (&stack.shape[..], &stack.axes[..], stack.data.reals()) else {
        return Vec::new();
    };
    let shown = count.min(SLICES);
    (0..shown)
        .map(|n| if shown > 1 { n * (count - 1) / (shown - 1) } else { 0 })
        .map(|n| {
            let at = number(axis.origin + n as f64 * axis.step);
            Array {
                path: format!("{} {at} {}", axis.name, axis.units).trim_end().to_owned(),
                shape: vec![rows, columns],
                data: ArrayData::F64(values[n * rows * columns..][..rows * columns].to_vec()),
                axes: vec![y.clone(), x.clone()],
                extra: Vec::new(),
                ..stack.clone()
            }
        })
        .collect()
}

/// A tile, ready for the canvas.
struct Drawn {
    title: String,
    place: Place,
    /// (y, x), as `place` says.
    pixels: Vec<[u8; 3]>,
    bar: ScaleBar,
    key: Key,
}

/// What the colours of a tile mean.
enum Key {
    Strip { map: ColorMap, low: String, high: String },
    Wheel { rim: String },
}

impl Drawn {
    fn of(tile: &Tile, side: usize) -> Result<Self> {
        let place = |rows: usize, columns: usize, axes: &[Axis]| Place::within(side, rows, columns, &axes[0], &axes[1]);
        match tile {
            Tile::Image(array, look) => {
                let (rows, columns, values) = array.image()?;
                let shades = Shades::of(&values, &array.units, *look);
                let place = place(rows, columns, &array.axes);
                // The mean of two angles is not an angle between them.
                let resampled = if look.map == ColorMap::Cyclic {
                    nearest(&values, [rows, columns], &place)
                } else {
                    resampled(&values, [rows, columns], &place)
                };
                let [high, _, low] = shades.labels(&values);
                let units = match (array.units.as_str(), shades.log) {
                    ("", false) => String::new(),
                    ("", true) => " (log)".to_owned(),
                    (units, false) => format!(" ({units})"),
                    (units, true) => format!(" ({units}, log)"),
                };
                let name = shortened(array.name(), side.saturating_sub(width(&units)));
                Ok(Self {
                    title: format!("{name}{units}"),
                    bar: ScaleBar::of(&array.axes[1], columns, place.width),
                    pixels: resampled.into_iter().map(|value| shades.color(value)).collect(),
                    place,
                    key: Key::Strip { map: look.map, low, high },
                })
            }
            Tile::Vectors(vectors) => {
                let arrows = Arrows::of(vectors)?;
                let axes = &vectors.y.axes;
                let place = place(arrows.shape[0], arrows.shape[1], axes);
                let [y, x] = [&arrows.y, &arrows.x].map(|values| resampled(values, arrows.shape, &place));
                Ok(Self {
                    title: shortened(&format!("{} ({})", vectors.name, vectors.y.units), side),
                    bar: ScaleBar::of(&axes[1], arrows.shape[1], place.width),
                    pixels: y.into_iter().zip(x).map(|(y, x)| arrows.color(y, x)).collect(),
                    place,
                    key: Key::Wheel { rim: format!("rim: {}, up: -row", number(arrows.longest)) },
                })
            }
        }
    }

    fn draw(&self, canvas: &mut Canvas, [top, left]: [usize; 2], side: usize) {
        let (line, gap) = (GLYPH[0], MARGIN / 2);
        canvas.text([top, left], 1, BLACK, &self.title);
        let image = top + line + gap / 2;
        let Place { height, width: wide } = self.place;
        frame(canvas, [image, left], [height, wide], 1);
        self.place.draw(canvas, [image, left], height, wide, |at| self.pixels[at]);
        let below = image + height + gap / 2;
        self.bar.draw(canvas, [below, left], 1);
        match &self.key {
            Key::Strip { map, low, high } => {
                let row = below + line;
                canvas.text([row, left], 1, BLACK, low);
                let strip = left + width(low) + gap;
                for x in 0..STRIP {
                    canvas.fill([row + 3, strip + x], [line - 6, 1], map.color((x as f64 + 0.5) / STRIP as f64));
                }
                canvas.text([row, strip + STRIP + gap], 1, BLACK, high);
            }
            Key::Wheel { rim } => {
                let size = 2 * line;
                draw_wheel(canvas, [below, left + side - size], size);
                canvas.text([below + line, left], 1, BLACK, rim);
            }
        }
    }
}

/// A text cut to so many pixels.
fn shortened(text: &str, pixels: usize) -> String {
    if width(text) <= pixels {
        return text.to_owned();
    }
    let kept = (pixels / GLYPH[1]).saturating_sub(3);
    format!("{}...", text.chars().take(kept).collect::<String>())
}

fn nearest(values: &[f64], [rows, columns]: [usize; 2], place: &Place) -> Vec<f64> {
    let at = |y: usize, x: usize| y * rows / place.height * columns + x * columns / place.width;
    (0..place.height).flat_map(|y| (0..place.width).map(move |x| (y, x))).map(|(y, x)| values[at(y, x)]).collect()
}

/// An image of another size: each pixel is the mean of what it covers, by area, without the pixels that have no value.
fn resampled(values: &[f64], [rows, columns]: [usize; 2], place: &Place) -> Vec<f64> {
    let (above, beside) = (covered(rows, place.height), covered(columns, place.width));
    let mut made = Vec::with_capacity(place.height * place.width);
    for rows in &above {
        for columns_of in &beside {
            let (mut sum, mut weights) = (0.0, 0.0);
            for &(row, of_row) in rows {
                for &(column, of_column) in columns_of {
                    let value = values[row * columns + column];
                    if value.is_finite() {
                        sum += of_row * of_column * value;
                        weights += of_row * of_column;
                    }
                }
            }
            made.push(if weights > 0.0 { sum / weights } else { f64::NAN });
        }
    }
    made
}

/// The pixels, and how much of each, that each of `drawn` equal parts of `count` pixels covers.
fn covered(count: usize, drawn: usize) -> Vec<Vec<(usize, f64)>> {
    let part = count as f64 / drawn as f64;
    (0..drawn)
        .map(|n| {
            let (begin, end) = (n as f64 * part, (n + 1) as f64 * part);
            let last = (end.ceil() as usize).min(count);
            (begin as usize..last)
                .map(|pixel| (pixel, end.min(pixel as f64 + 1.0) - begin.max(pixel as f64)))
                .filter(|&(_, share)| share > 1e-9)
                .collect()
        })
        .collect()
}
