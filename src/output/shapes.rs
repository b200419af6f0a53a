//! Discs, rings and lines with smooth edges: a pixel at an edge is mixed by the share of it that is covered.
//!
//! Places are (row, col) on the canvas, the middle of whose first pixel is 0.

use std::ops::Range;

use super::text::Canvas;

/// The rows and columns of the canvas that a shape may cover.
pub(super) type Window = [Range<usize>; 2];

pub(super) fn disc(canvas: &mut Canvas, window: &Window, centre: [f64; 2], radius: f64, color: [u8; 3]) {
    ring(canvas, window, centre, [0.0, radius], color);
}

/// What lies between an inner and an outer radius; an inner radius of 0 leaves no hole.
pub(super) fn ring(canvas: &mut Canvas, window: &Window, centre: [f64; 2], [inner, outer]: [f64; 2], color: [u8; 3]) {
    let bounds = [centre.map(|x| x - outer), centre.map(|x| x + outer)];
    cover(canvas, window, bounds, color, |at| {
        let away = (at[0] - centre[0]).hypot(at[1] - centre[1]);
        let within = |radius: f64| (radius - away + 0.5).clamp(0.0, 1.0);
        within(outer) - if inner > 0.0 { within(inner) } else { 0.0 }
    });
}

/// A straight line with round ends.
pub(super) fn line(canvas: &mut Canvas, window: &Window, from: [f64; 2], to: [f64; 2], width: f64, color: [u8; 3]) {
    let along = [to[0] - from[0], to[1] - from[1]];
    let length = along[0].hypot(along[1]);
    let bounds = [[0, 1].map(|a| from[a].min(to[a]) - width / 2.0), [0, 1].map(|a| from[a].max(to[a]) + width / 2.0)];
    cover(canvas, window, bounds, color, |at| {
        let off = [at[0] - from[0], at[1] - from[1]];
        let share = if length > 0.0 { ((off[0] * along[0] + off[1] * along[1]) / length.powi(2)).clamp(0.0, 1.0) } else { 0.0 };
        let away = (off[0] - share * along[0]).hypot(off[1] - share * along[1]);
        (width / 2.0 - away + 0.5).clamp(0.0, 1.0)
    });
}

/// Mixes a colour into the pixels from the first corner of `bounds` to the last by the share that is covered of each.
fn cover(canvas: &mut Canvas, window: &Window, bounds: [[f64; 2]; 2], color: [u8; 3], share: impl Fn([f64; 2]) -> f64) {
    let reach = |a: usize| {
        let clamped = |x: f64| x.clamp(window[a].start as f64, window[a].end as f64) as usize;
        clamped((bounds[0][a] - 0.5).floor())..clamped((bounds[1][a] + 0.5).ceil() + 1.0)
    };
    for y in reach(0) {
        for x in reach(1) {
            canvas.mix(y, x, color, share([y as f64, x as f64]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = [0..64, 0..64];

    /// The area that is black on a white canvas of 64 × 64 pixels.
    fn area(draw: impl Fn(&mut Canvas)) -> f64 {
        let mut canvas = Canvas::new(64, 64, [255; 3]);
        draw(&mut canvas);
        canvas.rgb.chunks(3).map(|pixel| 1.0 - f64::from(pixel[0]) / 255.0).sum()
    }

    #[test]
    fn shapes_cover_their_area_wherever_they_lie_between_pixels() {
        for _ in 0..20 {
            let centre = [0, 1].map(|_| 32.0 + rand::random::<f64>());
            let outer = 5.0 + 20.0 * rand::random::<f64>();
            let inner = outer - 1.0 - 3.0 * rand::random::<f64>();
            // Coverage is taken along an edge's normal, which is off by hundredths of a pixel at each of its pixels: of 6000 draws at most by 0.7 pixels more than a hundredth for rings, by
            // 1.8 for lines along rows. A radius half a pixel off is 15 and more.
            let near = |found: f64, area: f64| {
                assert!((found - area).abs() < 0.01 * area + 2.5, "{found}, not {area}: {centre:?} {inner} {outer}")
            };
            let round = std::f64::consts::PI * outer.powi(2);
            near(area(|canvas| disc(canvas, &WINDOW, centre, outer, [0; 3])), round);
            near(area(|canvas| ring(canvas, &WINDOW, centre, [inner, outer], [0; 3])), round - std::f64::consts::PI * inner.powi(2));
            let (angle, width) = (std::f64::consts::TAU * rand::random::<f64>(), 2.0 + 3.0 * rand::random::<f64>());
            let to = [centre[0] + outer * angle.sin(), centre[1] + outer * angle.cos()];
            near(
                area(|canvas| line(canvas, &WINDOW, centre, to, width, [0; 3])),
                outer * width + std::f64::consts::PI * (width / 2.0).powi(2),
            );
        }
    }

    #[test]
    fn nothing_is_drawn_beyond_the_window() {
        let window = [10..20, 30..40];
        let mut canvas = Canvas::new(64, 64, [255; 3]);
        disc(&mut canvas, &window, [15.0, 25.0], 200.0, [0; 3]);
        line(&mut canvas, &window, [-1e9, -1e9], [1e9, 1e9], 3.0, [0; 3]);
        for (n, pixel) in canvas.rgb.chunks(3).enumerate() {
            let inside = window[0].contains(&(n / 64)) && window[1].contains(&(n % 64));
            assert_eq!(pixel, if inside { [0; 3] } else { [255; 3] }, "{n}");
        }
    }
}
