//! Curves over a common axis as a PNG.

use std::path::{Path, PathBuf};

use super::plot::{BLACK, WHITE, number, save};
use super::text::{Canvas, GLYPH, width};
use super::{Axis, Result};

/// Of the picture, and of the box of the curves in it: (y, x).
const SIZE: [usize; 2] = [560, 900];
const CORNER: [usize; 2] = [56, 96];
const BOX: [usize; 2] = [420, 764];
const GRID: [u8; 3] = [208; 3];
/// Told apart also without colours by their brightness.
const COLORS: [[u8; 3]; 4] = [[0, 0, 0], [200, 60, 30], [60, 120, 220], [150, 150, 150]];
/// Grid lines along an axis, about.
const LINES: f64 = 8.0;

/// A curve with its name.
#[derive(Debug, Clone, Copy)]
pub struct Curve<'a> {
    pub name: &'a str,
    /// One number a step of the axis; what is no number is left out.
    pub values: &'a [f64],
}

/// Writes curves over an axis with a grid, the numbers along both axes and their names; the ordinate holds 0 and all values.
///
/// # Errors
/// What the file system reports.
pub fn write_curves_png(path: &Path, force: bool, title: &str, axis: &Axis, curves: &[Curve]) -> Result<PathBuf> {
    let mut canvas = Canvas::new(SIZE[1], SIZE[0], WHITE);
    let finite = curves.iter().flat_map(|c| c.values).copied().filter(|v| v.is_finite());
    let (low, high) = finite.fold((0.0_f64, f64::MIN_POSITIVE), |(l, h), v| (l.min(v), h.max(v)));
    let steps = curves.iter().map(|c| c.values.len()).max().unwrap_or(0).max(2) - 1;
    let (first, last) = (axis.origin, axis.origin + steps as f64 * axis.step);
    let [top, left] = CORNER;
    let x_of = |x: f64| left as f64 + (x - first) / (last - first) * BOX[1] as f64;
    let y_of = |y: f64| top as f64 + (high - y) / (high - low) * BOX[0] as f64;
    for y in ticks(low, high) {
        let row = y_of(y).round() as usize;
        canvas.fill([row, left], [1, BOX[1]], GRID);
        let label = number(y);
        canvas.text([row - GLYPH[0] / 2, left - 8 - width(&label)], 1, BLACK, &label);
    }
    for x in ticks(first, last) {
        let column = x_of(x).round() as usize;
        canvas.fill([top, column], [BOX[0], 1], GRID);
        let label = number(x);
        canvas.text([top + BOX[0] + 8, column - width(&label) / 2], 1, BLACK, &label);
    }
    for (n, curve) in curves.iter().enumerate() {
        let color = COLORS[n % COLORS.len()];
        let points: Vec<Option<[f64; 2]>> = (0..curve.values.len())
            .map(|k| curve.values[k].is_finite().then(|| [y_of(curve.values[k]), x_of(axis.origin + k as f64 * axis.step)]))
            .collect();
        for pair in points.windows(2) {
            if let [Some(from), Some(to)] = *pair {
                line(&mut canvas, from, to, color);
            }
        }
        let place = [top + 8 + n * (GLYPH[0] + 4), left + BOX[1] - 16 - width(curve.name)];
        canvas.fill([place[0] + GLYPH[0] / 2 - 1, place[1] - 40], [3, 32], color);
        canvas.text(place, 1, BLACK, curve.name);
    }
    canvas.text([16, left], 1, BLACK, title);
    let name =
        if axis.units.is_empty() { axis.name.replace('_', " ") } else { format!("{} ({})", axis.name.replace('_', " "), axis.units) };
    canvas.text([top + BOX[0] + 40, left + (BOX[1] - width(&name)) / 2], 1, BLACK, &name);
    save(path, force, &canvas)
}

/// Numbers from `low` to `high` at steps of 1, 2 or 5 times a power of ten.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / LINES;
    let decade = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * decade).into_iter().find(|step| *step >= 0.999 * rough).unwrap_or(rough);
    let (from, to) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (from..=to).map(|k| k as f64 * step).collect()
}

/// A line of three pixels' width.
fn line(canvas: &mut Canvas, from: [f64; 2], to: [f64; 2], color: [u8; 3]) {
    let steps = (to[0] - from[0]).abs().max((to[1] - from[1]).abs()).ceil().max(1.0) as usize;
    for k in 0..=steps {
        let t = k as f64 / steps as f64;
        let [y, x] = [0, 1].map(|a| (from[a] + t * (to[a] - from[a])).round() as usize);
        canvas.fill([y.saturating_sub(1), x.saturating_sub(1)], [3, 3], color);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_lie_inside() {
        assert_eq!(ticks(0.0, 1.0), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks(1.0, 13.0), [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        assert_eq!(ticks(-0.3, 0.95), [-0.2, 0.0, 0.2, 0.4, 0.6000000000000001, 0.8]);
    }

    #[test]
    fn a_curve_is_where_its_values_are() {
        let folder = tempfile::tempdir().unwrap();
        let axis = Axis::new("spatial_frequency", "1/Å", 0.1, 0.1);
        let flat = [0.5; 11];
        let path = write_curves_png(&folder.path().join("c.png"), false, "title", &axis, &[Curve { name: "frc", values: &flat }]).unwrap();
        let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        // All values are alike, so the curve lies at the top of a range from 0 to them.
        let at = |y: usize, x: usize| &pixels[(y * SIZE[1] + x) * 3..][..3];
        assert_eq!(at(CORNER[0], CORNER[1] + 300), COLORS[0]);
        assert_eq!(at(CORNER[0] + 210, CORNER[1] + 301), WHITE);
        // Values that are no numbers leave a gap, and nothing at all an empty box.
        let gaps = [0.1, f64::NAN, f64::INFINITY, 0.3];
        write_curves_png(&folder.path().join("d.png"), false, "", &axis, &[Curve { name: "a", values: &gaps }]).unwrap();
        write_curves_png(&folder.path().join("e.png"), false, "", &axis, &[]).unwrap();
    }
}
