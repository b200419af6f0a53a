//! What direct ptychography computes with: the pixels of the bright-field disk, the aberrated aperture, and the scan's spatial frequencies.

use crate::optics::Polynomial;

/// The bright-field pixels with the aperture and the frequencies that they are compared at.
///
/// Angles are divided by the convergence angle and frequencies by k₀ = α/λ, so that the aperture's edge is at 1. Two pixels share a complex scan
/// window: pixel 2w is the real part of window w and pixel 2w + 1 its imaginary part. Spectra (of what is real) are kept as their first half: rows 0 to
/// ⌊rows/2⌋.
#[derive(Debug, Clone, PartialEq)]
pub struct BrightField {
    pub frame_shape: [usize; 2],
    /// Where each pixel lies in the frame, row-major.
    pub pixels: Vec<u32>,
    /// The angle (y, x) of each.
    pub tilts: Vec<[f64; 2]>,
    /// The scan positions (rows, columns).
    pub positions: [usize; 2],
    /// The window that they are transformed in, which may be larger.
    pub scan: [usize; 2],
    /// The frequencies of a result: whole multiples of `scan`. Frequency (Y, X) takes the scan's frequency (Y mod rows, X mod columns).
    pub output: [usize; 2],
    /// Along the scan's two axes, in FFT order, as many as `output` says.
    pub frequencies: [Vec<f64>; 2],
    /// Turns a frequency along the scan into the detector's frame.
    pub turn: [[f64; 2]; 2],
    /// The aperture is clamp((1 − |κ|)·`radius_px` + ½, 0, 1) at angle κ: its edge is one pixel wide.
    pub radius_px: f64,
    /// What Γ is multiplied by: 1/Σ|A|² over the pixels.
    pub scale: f64,
    /// χ/2π.
    pub turns: Polynomial,
    /// For each focus of a sweep, the turns that it adds at the aperture's edge: `foci[f]·|κ|²` is added to χ/2π. At least one.
    pub foci: Vec<f64>,
    /// The window of the detector for deconvolution, and the place of each pixel in it, row-major.
    pub window: [usize; 2],
    pub places: Vec<u32>,
    /// The angle (y, x) of the window's first pixel, and of one pixel.
    pub window_first: [f64; 2],
    pub window_step: [f64; 2],
}

impl BrightField {
    /// Numbers of one scan window.
    pub fn scan_len(&self) -> usize {
        self.scan[0] * self.scan[1]
    }

    /// Frequencies of a result.
    pub fn output_len(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Rows of the first half of a result's spectrum.
    pub fn half_rows(&self) -> usize {
        self.output[0] / 2 + 1
    }

    /// Frequencies of that half.
    pub fn half_len(&self) -> usize {
        self.half_rows() * self.output[1]
    }

    /// Numbers of one detector window.
    pub fn window_len(&self) -> usize {
        self.window[0] * self.window[1]
    }

    /// The aperture's amplitude at an angle.
    pub fn aperture(&self, y: f64, x: f64) -> f64 {
        ((1.0 - y.hypot(x)) * self.radius_px + 0.5).clamp(0.0, 1.0)
    }

    /// The coefficients of [`BrightField::turns`] up to `degree` in the order of Horner's rule: powers of y from the highest, for each the powers of x from the
    /// highest.
    pub fn horner(&self, degree: usize) -> Vec<f64> {
        (0..=degree).rev().flat_map(|i| (0..=degree - i).rev().map(move |j| self.turns.coefficients[i][j])).collect()
    }
}

/// What side bands are summed into: for each row of half a spectrum, each focus and each of two methods (SSB, then OBF), one number a column.
pub struct SideBandSums<B: super::Backend> {
    /// SSB: Σ −iĨΓ*/|Γ|, OBF: Σ −iĨΓ*.
    pub numerators: B::Complexes,
    /// SSB: Σ|Γ|, OBF: Σ|Γ|².
    pub weights: B::Reals,
}

/// What a count of a pixel does to the spectrum of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    /// e^{−i∇χ·q}
    Parallax,
    /// −iΓ*/|Γ|
    Ssb,
    /// −iΓ*
    Obf,
}

/// |Γ| of SSB's phase factor Γ*/|Γ| is at least this part of a full overlap's, so that no rounding error is given a weight.
pub const FAINTEST: f64 = 1e-3;
