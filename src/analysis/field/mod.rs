//! What an image of a layered oxide tells beside occupancy: the layers and what lies between them, their stacking, order along rows,
//! distances between columns, strain, and the spots of its Fourier transform.
//!
//! Images are phase-like, atoms bright, in the scan frame. Lengths are in Å; u is the depth along the layers' normal and v the place along
//! the layers, at right angles to it: normal (n_y, n_x), along (−n_x, n_y), both from the middle of pixel (0, 0). Standard errors are one
//! standard deviation; NaN stands for what the data do not tell.
//!
//! Errors of what is read straight from an image come from its own noise: the noise's spectrum is what lies between the crystal's spots
//! ([`Noise`]), and the variance of a number that is a sum Σ w(r)·I(r) is Σ_q |ŵ(q)|²·S(q). So correlated pixels (direct ptychography,
//! iDPC, oversampled scans) are allowed for.

mod dense;
mod distances;
mod error;
mod gpa;
mod layers;
mod noise;
mod order;
mod rows;
mod spots;
mod stacking;
mod unrolled;

#[cfg(test)]
mod testing;

pub use distances::{Distances, distances};
pub use error::Error;
pub use gpa::{Gpa, GpaOptions, gpa};
pub use layers::{Grid, Layers, measure_layers};
pub use noise::Noise;
pub use order::{Honeycomb, Migrated, honeycomb, migrated};
pub use spots::{Bragg, Spectrum};
pub use stacking::{Alkali, Glide, Layering, Slabs, Stacking, stacking};

pub type Result<T> = std::result::Result<T, Error>;

/// A column of atoms as it was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    pub element: &'static str,
    /// (y, x).
    pub at_A: [f64; 2],
    /// Standard errors of the place; NaN where they are not known.
    pub se_A: [f64; 2],
    pub amplitude: f64,
    /// NaN where it is not known.
    pub amplitude_se: f64,
}

impl Spot {
    /// Neither oxygen nor an alkali metal.
    fn is_metal(&self) -> bool {
        !self.is_oxygen() && !self.is_alkali()
    }

    fn is_oxygen(&self) -> bool {
        self.element == "O"
    }

    fn is_alkali(&self) -> bool {
        matches!(self.element, "Li" | "Na" | "K" | "Rb" | "Cs")
    }
}

/// A number and its standard error, both NaN where it cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    pub value: f64,
    pub se: f64,
}

impl Measured {
    pub const UNKNOWN: Self = Self { value: f64::NAN, se: f64::NAN };

    pub fn new(value: f64, se: f64) -> Self {
        Self { value, se }
    }

    pub fn is_known(&self) -> bool {
        self.value.is_finite() && self.se.is_finite()
    }

    /// The mean of those that are known, weighted by their errors. Where they scatter more than their errors say, its own grows by √(χ²/(n
    /// − 1)), as R. T. Birge proposed (Phys. Rev. 40 (1932) 207).
    pub fn mean(of: impl IntoIterator<Item = Self>) -> Self {
        let known: Vec<Self> = of.into_iter().filter(|m| m.is_known() && m.se > 0.0).collect();
        let total: f64 = known.iter().map(|m| m.se.powi(-2)).sum();
        if known.is_empty() {
            return Self::UNKNOWN;
        }
        let value = known.iter().map(|m| m.value * m.se.powi(-2)).sum::<f64>() / total;
        let free = known.len() as f64 - 1.0;
        let chi2: f64 = known.iter().map(|m| ((m.value - value) / m.se).powi(2)).sum();
        let grown = if free > 0.0 { (chi2 / free).sqrt().max(1.0) } else { 1.0 };
        Self { value, se: total.sqrt().recip() * grown }
    }
}

/// An image (y, x) and the size of its pixels (y, x) in Å.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    values: &'a [f64],
    shape: [usize; 2],
    pixel_A: [f64; 2],
}

/// Images of fewer pixels a side hold no layers.
const LEAST_SIDE: usize = 16;

impl<'a> Picture<'a> {
    /// # Errors
    /// If it holds what is no number, is too small, or its pixels have no size.
    ///
    /// # Panics
    /// If the values do not have the shape's length.
    pub fn new(values: &'a [f64], shape: [usize; 2], pixel_A: [f64; 2]) -> Result<Self> {
        assert_eq!(values.len(), shape[0] * shape[1], "an image of {}×{} pixels", shape[0], shape[1]);
        if shape.iter().any(|&n| n < LEAST_SIDE) {
            return Err(Error::Small { shape, least: LEAST_SIDE });
        }
        if pixel_A.iter().any(|p| !(p.is_finite() && *p > 0.0)) {
            return Err(Error::Number { what: "the pixel size", value: format!("{pixel_A:?} Å"), expected: "two lengths above 0" });
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::NotFinite { y: at / shape[1], x: at % shape[1], value: values[at] });
        }
        Ok(Self { values, shape, pixel_A })
    }

    /// Its sides in Å.
    fn side_A(&self) -> [f64; 2] {
        [0, 1].map(|axis| self.shape[axis] as f64 * self.pixel_A[axis])
    }

    /// The mean over a region of pixels.
    fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len() as f64
    }
}

/// What is known of the layers beforehand, from the structure and the zone axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layered {
    /// The unit vector (y, x) of the layers' normal in the image.
    pub normal: [f64; 2],
    /// From one transition metal layer to the next.
    pub repeat_A: f64,
    /// From column to column along a layer of transition metals, in projection.
    pub row_A: f64,
    /// Columns after which a row repeats itself: 3 for Sb–Ni–Ni, else 1.
    pub period: usize,
    /// How far oxygen's planes lie from that of the transition metals, about 1 Å.
    pub oxygen_A: f64,
}

impl Layered {
    fn check(&self) -> Result<()> {
        let refuse = |what, value: String, expected| Err(Error::Number { what, value, expected });
        let length = self.normal[0].hypot(self.normal[1]);
        if (length - 1.0).abs() > 1e-3 || !length.is_finite() {
            return refuse("the layers' normal", format!("{:?}", self.normal), "a vector of length 1");
        }
        if !(self.repeat_A.is_finite() && self.repeat_A > 2.0) {
            return refuse("the layers' repeat", format!("{} Å", self.repeat_A), "a length above 2 Å");
        }
        if !(self.row_A.is_finite() && self.row_A > 0.5) {
            return refuse("the spacing of columns along a layer", format!("{} Å", self.row_A), "a length above 0.5 Å");
        }
        if !(self.oxygen_A > 0.3 && self.oxygen_A < 0.4 * self.repeat_A) {
            return refuse(
                "oxygen's distance from the transition metals",
                format!("{} Å", self.oxygen_A),
                "a length from 0.3 Å to 0.4 of the repeat",
            );
        }
        if self.period == 0 {
            return refuse("the period of a row", "0".into(), "a number of columns from 1 on");
        }
        Ok(())
    }

    /// The unit vector (y, x) along the layers.
    pub fn along(&self) -> [f64; 2] {
        [-self.normal[1], self.normal[0]]
    }

    /// Depth and place along the layers of a point (y, x).
    fn unrolled(&self, at_A: [f64; 2]) -> [f64; 2] {
        [self.normal, self.along()].map(|axis| axis[0] * at_A[0] + axis[1] * at_A[1])
    }
}

/// Differences of angles in turns: from −½ up to ½.
fn wrapped(turns: f64) -> f64 {
    turns - turns.round()
}
