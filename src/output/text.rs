//! A canvas of RGB pixels and text on it.

use std::convert::Infallible;

use embedded_graphics::Drawable;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::FONT_10X20;
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::text::{Baseline, Text};

/// Of a character at scale 1, in pixels.
pub(super) const GLYPH: [usize; 2] = [20, 10];

/// An 8-bit RGB picture (y, x, channel).
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) rgb: Vec<u8>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize, color: [u8; 3]) -> Self {
        Self { width, height, rgb: color.repeat(width * height) }
    }

    /// Sets a pixel; outside of the canvas nothing.
    pub(super) fn set(&mut self, y: usize, x: usize, color: [u8; 3]) {
        if y < self.height && x < self.width {
            let at = (y * self.width + x) * 3;
            self.rgb[at..at + 3].copy_from_slice(&color);
        }
    }

    /// Mixes a share of a colour, from 0 to 1, into a pixel; outside of the canvas nothing.
    pub(super) fn mix(&mut self, y: usize, x: usize, color: [u8; 3], share: f64) {
        if share > 0.0 && y < self.height && x < self.width {
            let at = (y * self.width + x) * 3;
            for (old, new) in self.rgb[at..at + 3].iter_mut().zip(color) {
                *old = (f64::from(*old) * (1.0 - share) + f64::from(new) * share).round() as u8;
            }
        }
    }

    pub(super) fn fill(&mut self, [y, x]: [usize; 2], [height, width]: [usize; 2], color: [u8; 3]) {
        for row in y..y + height {
            for column in x..x + width {
                self.set(row, column, color);
            }
        }
    }

    /// Draws a line of text with its upper left corner at (y, x), each pixel of the font `scale` pixels wide.
    pub(super) fn text(&mut self, at: [usize; 2], scale: usize, color: [u8; 3], text: &str) {
        self.write(at, scale, color, text, false);
    }

    /// The same from bottom to top, with its lower left corner at (y, x).
    pub(super) fn text_upwards(&mut self, at: [usize; 2], scale: usize, color: [u8; 3], text: &str) {
        self.write(at, scale, color, text, true);
    }

    fn write(&mut self, at: [usize; 2], scale: usize, color: [u8; 3], text: &str, upwards: bool) {
        let text = drawable(text);
        let style = MonoTextStyle::new(&FONT_10X20, BinaryColor::On);
        let mut pen = Pen { canvas: self, at, scale, color, upwards };
        let Ok(_) = Text::with_baseline(&text, Point::zero(), style, Baseline::Top).draw(&mut pen);
    }
}

/// The width of a text at scale 1, in pixels.
pub(super) fn width(text: &str) -> usize {
    drawable(text).chars().count() * GLYPH[1]
}

/// Puts what the font (ISO 8859-1) lacks into what it has: `Å⁻¹` becomes `Å^-1`, `e⁻` becomes `e-`.
fn drawable(text: &str) -> String {
    let mut drawn = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if let Some(first) = raised(c) {
            let mut power = String::from(first);
            while let Some(next) = rest.peek().copied().and_then(raised) {
                power.push(next);
                rest.next();
            }
            match power.as_str() {
                "-" => drawn.push('-'),
                "2" => drawn.push('²'),
                "3" => drawn.push('³'),
                _ => drawn.extend(["^", &power]),
            }
            continue;
        }
        match c {
            '\u{212b}' => drawn.push('Å'),
            '\u{3bc}' => drawn.push('µ'),
            '−' | '–' => drawn.push('-'),
            '⋅' => drawn.push('·'),
            'π' => drawn.push_str("pi"),
            'σ' => drawn.push_str("sigma"),
            ' '..='~' | '\u{a0}'..='ÿ' => drawn.push(c),
            _ => drawn.push('?'),
        }
    }
    drawn
}

/// What a superscript raises.
fn raised(c: char) -> Option<char> {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    match digits.iter().zip('0'..='9').find(|(superscript, _)| **superscript == c) {
        Some((_, digit)) => Some(digit),
        None => (c == '⁻').then_some('-'),
    }
}

/// Draws enlarged.
struct Pen<'a> {
    canvas: &'a mut Canvas,
    at: [usize; 2],
    scale: usize,
    color: [u8; 3],
    /// From bottom to top: a quarter turn about the text's corner.
    upwards: bool,
}

impl OriginDimensions for Pen<'_> {
    fn size(&self) -> Size {
        // Canvases are far below 2³² pixels wide.
        Size::new(self.canvas.width as u32, self.canvas.height as u32)
    }
}

impl DrawTarget for Pen<'_> {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = embedded_graphics::Pixel<BinaryColor>>,
    {
        for embedded_graphics::Pixel(point, on) in pixels {
            if let (BinaryColor::On, Ok(y), Ok(x)) = (on, usize::try_from(point.y), usize::try_from(point.x)) {
                let ([top, left], [y, x]) = (self.at, [y, x].map(|n| n * self.scale));
                let corner = if self.upwards { [top.saturating_sub(x + self.scale), left + y] } else { [top + y, left + x] };
                self.canvas.fill(corner, [self.scale; 2], self.color);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::drawable;

    #[test]
    fn units_are_told_in_letters_that_the_font_has() {
        for (unit, drawn) in [
            ("Å", "Å"),
            ("e⁻/Å²", "e-/Å²"),
            ("Å⁻¹", "Å^-1"),
            ("mrad·Å", "mrad·Å"),
            ("e⁻", "e-"),
            ("m⁻²", "m^-2"),
            ("µm", "µm"),
            ("10⁴", "10^4"),
        ] {
            assert_eq!(drawable(unit), drawn);
        }
    }
}
