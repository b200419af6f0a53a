//! Curves over a common axis as a PNG.

use std::path::{Path, PathBuf};

use super::axes::Axes;
use super::plot::{BLACK, WHITE, save};
use super::shapes::line;
use super::text::{Canvas, GLYPH, width};
use super::{Axis, Result};

/// Of the picture, and of the box of the curves in it: (y, x).
const SIZE: [usize; 2] = [560, 900];
const CORNER: [usize; 2] = [56, 96];
const BOX: [usize; 2] = [420, 764];
/// Told apart also without colours by their brightness.
const COLORS: [[u8; 3]; 4] = [[0, 0, 0], [200, 60, 30], [60, 120, 220], [150, 150, 150]];
/// Of a curve, in pixels.
const WIDTH: f64 = 3.0;

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
    let axes = Axes { corner: CORNER, size: BOX, x: (first, last), y: (low, high) };
    let name =
        if axis.units.is_empty() { axis.name.replace('_', " ") } else { format!("{} ({})", axis.name.replace('_', " "), axis.units) };
    axes.draw(&mut canvas, &name);
    for (n, curve) in curves.iter().enumerate() {
        let color = COLORS[n % COLORS.len()];
        let points: Vec<Option<[f64; 2]>> = (0..curve.values.len())
            .map(|k| curve.values[k].is_finite().then(|| axes.point(curve.values[k], axis.origin + k as f64 * axis.step)))
            .collect();
        for pair in points.windows(2) {
            if let [Some(from), Some(to)] = *pair {
                line(&mut canvas, &axes.window(), from, to, WIDTH, color);
            }
        }
        let place = [top + 8 + n * (GLYPH[0] + 4), left + BOX[1] - 16 - width(curve.name)];
        canvas.fill([place[0] + GLYPH[0] / 2 - 1, place[1] - 40], [3, 32], color);
        canvas.text(place, 1, BLACK, curve.name);
    }
    canvas.text([16, left], 1, BLACK, title);
    save(path, force, &canvas)
}

#[cfg(test)]
mod tests {
    use super::*;

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
