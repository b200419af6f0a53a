//! A box with a grid, and the numbers and names of its two axes.

use super::plot::{BLACK, number};
use super::shapes::Window;
use super::text::{Canvas, GLYPH, width};

const GRID: [u8; 3] = [208; 3];
const EDGE: [u8; 3] = [128; 3];
/// Grid lines along an axis, about.
const LINES: f64 = 8.0;

/// The upper left corner and the size of the box on the canvas, (y, x), and what its edges stand for.
pub(super) struct Axes {
    pub(super) corner: [usize; 2],
    pub(super) size: [usize; 2],
    /// From the left edge to the right one.
    pub(super) x: (f64, f64),
    /// From the lower edge to the upper one.
    pub(super) y: (f64, f64),
}

impl Axes {
    /// Where a point is on the canvas: (row, col).
    pub(super) fn point(&self, y: f64, x: f64) -> [f64; 2] {
        let ([top, left], [height, width]) = (self.corner, self.size);
        let row = top as f64 + (self.y.1 - y) / (self.y.1 - self.y.0) * height as f64;
        [row, left as f64 + (x - self.x.0) / (self.x.1 - self.x.0) * width as f64]
    }

    /// What is drawn within the box and on its lines.
    pub(super) fn window(&self) -> Window {
        [0, 1].map(|a| self.corner[a]..self.corner[a] + self.size[a] + 1)
    }

    /// Draws the grid, the two axes, the numbers at them and the name of the abscissa.
    pub(super) fn draw(&self, canvas: &mut Canvas, x_name: &str) {
        let ([top, left], [height, wide]) = (self.corner, self.size);
        for y in ticks(self.y.0, self.y.1) {
            let row = self.point(y, self.x.0)[0].round() as usize;
            canvas.fill([row, left], [1, wide], GRID);
            let label = number(y);
            canvas.text([row - GLYPH[0] / 2, left.saturating_sub(8 + width(&label))], 1, BLACK, &label);
        }
        for x in ticks(self.x.0, self.x.1) {
            let column = self.point(self.y.0, x)[1].round() as usize;
            canvas.fill([top, column], [height, 1], GRID);
            let label = number(x);
            canvas.text([top + height + 8, column - width(&label) / 2], 1, BLACK, &label);
        }
        canvas.fill([top, left], [height + 1, 1], EDGE);
        canvas.fill([top + height, left], [1, wide + 1], EDGE);
        canvas.text([top + height + 40, left + wide.saturating_sub(width(x_name)) / 2], 1, BLACK, x_name);
    }
}

/// Numbers from `low` to `high` at steps of 1, 2 or 5 times a power of ten.
pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / LINES;
    let decade = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * decade).into_iter().find(|step| *step >= 0.999 * rough).unwrap_or(rough);
    let (from, to) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (from..=to).map(|k| k as f64 * step).collect()
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
}
