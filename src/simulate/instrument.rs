//! What the beam does, what takes it in, and the sizes of the calculation that follow.

use num_complex::Complex64;
use rand::Rng;
use rand_distr::Distribution;

use super::coherence;
use super::counting::normal;
use super::elements::Parametrisation;
use super::slices::{BAND, Grid, even};
use super::{Error, Result};
use crate::compute::Spread;
use crate::optics::{ProbeOptics, ScanGrid, fft_index, smooth, wavelength_A};

/// How atoms move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vibration {
    /// Not at all.
    None,
    /// Their potentials are blurred: no thermal diffuse scattering.
    DebyeWaller,
    /// Patterns are means over so many pictures of atoms displaced at random, each by itself (Einstein's model).
    FrozenPhonons { configurations: usize },
}

/// What the beam does, and what takes it in.
#[derive(Debug, Clone, PartialEq)]
pub struct Instrument {
    pub optics: ProbeOptics,
    /// The standard deviation of the focus.
    pub focal_spread_A: f64,
    /// The full width at half maximum of the source's Gaussian image.
    pub source_size_A: f64,
    pub scan: ScanGrid,
    /// The standard deviation of a probe's place along each axis.
    pub jitter_A: f64,
    /// How far the specimen's image moves (y, x) from the first to the last frame.
    pub drift_A: [f64; 2],
    /// The side of a square frame, in pixels; the zero angle lies on pixel n/2.
    pub frame: usize,
    pub mrad_per_px: f64,
    /// Reciprocal pixels that a detector pixel takes in along an axis: the calculated field is so many times λ/pixel wide. Chosen where it is not said.
    pub oversampling: Option<usize>,
    /// The standard deviation of the detector's point spread.
    pub blur_px: f64,
    /// Electrons a scan pixel over its area; no counting noise where it is not said, the mean electron has weight 1 then.
    pub dose_e_per_A2: Option<f64>,
    pub counts_per_electron: f64,
    /// The standard deviation that reading adds to a pixel.
    pub readout_counts: f64,
}

/// How it is calculated.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    pub potential: Parametrisation,
    pub vibration: Vibration,
    /// About; slices are equally thick.
    pub slice_thickness_A: f64,
    /// The largest pixel.
    pub sampling_A: f64,
}

impl Method {
    /// The number of slices.
    pub fn slices(&self, thickness_A: f64) -> usize {
        // A thickness of whole slices is not one more for rounding.
        ((thickness_A / self.slice_thickness_A - 1e-6).ceil() as usize).max(1)
    }
}

/// The sizes that follow, every probe's place, and the probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Pixels of the calculated window, and their side.
    pub window: usize,
    pub pixel_A: f64,
    pub oversampling: usize,
    /// What the beam needs of the window's width, as far as rays tell.
    pub needed_A: f64,
    /// Of slices under the whole scan.
    pub shape: [usize; 2],
    pub origin_A: [f64; 2],
    /// (y, x) in the object's frame.
    pub positions_A: Vec<[f64; 2]>,
    /// Mean electrons on the specimen a frame.
    pub electrons: f64,
    /// Spectra of the window's shape in FFT order, one a mode, Σ over all |P̂|² = `electrons`.
    pub probe: Vec<Complex64>,
}

impl Layout {
    /// The number of coherent probes that the beam is made of.
    pub fn modes(&self) -> usize {
        self.probe.len() / (self.window * self.window)
    }

    /// Slices under the whole scan.
    pub(super) fn grid(&self) -> Grid {
        Grid { shape: self.shape, pixel_A: self.pixel_A, origin_A: self.origin_A }
    }

    /// Slices under some of the positions.
    pub(super) fn grid_of(&self, positions_A: &[[f64; 2]]) -> Grid {
        enclose(positions_A, self.window, self.pixel_A)
    }
}

/// The slices that windows at these positions need. A position is where the window's pixel N/2 sits; one pixel more on each side takes the rounding.
fn enclose(positions_A: &[[f64; 2]], window: usize, pixel_A: f64) -> Grid {
    let bound = |axis: usize, pick: fn(f64, f64) -> f64| positions_A.iter().map(|p| p[axis]).reduce(pick).unwrap_or_default();
    let low = [bound(0, f64::min), bound(1, f64::min)];
    let margin = (window / 2 + 1) as f64;
    let shape = [0, 1].map(|axis| even(((bound(axis, f64::max) - low[axis]) / pixel_A).ceil() as usize + window + 2));
    Grid { shape, pixel_A, origin_A: low.map(|v| v - margin * pixel_A) }
}

/// Positions of a scan, at most.
const MOST_POSITIONS: usize = 1 << 24;
/// The part by which pixels may be larger than asked for, for the digits of a wavelength: 400.001 of them are 400, not 432, the next length that transforms well.
const DIGITS: f64 = 1e-4;
/// Pixels of the calculated window along an axis, at most.
const MOST_WINDOW: usize = 4096;
/// Pixels of slices along an axis that a scan may reach over.
const MOST_FIELD: usize = 1 << 15;
/// Reciprocal pixels in a detector pixel along an axis, at most.
const MOST_OVERSAMPLING: usize = 16;
/// What the beam's tails and what atoms scatter need beyond its cone, on both sides together: with 12 Å patterns of SrTiO₃, in a field of 16.7 Å, were up to 1.7 % from abTEM's, those of crystals in fields of 26 Å and more 0.1 %.
const HALO_A: f64 = 20.0;

impl Instrument {
    /// Refuses what cannot be, and says what follows.
    ///
    /// # Errors
    /// If a number is out of its range.
    pub fn layout(&self, thickness_A: f64, method: &Method, rng: &mut impl Rng) -> Result<Layout> {
        self.check(thickness_A, method)?;
        let lambda = wavelength_A(self.optics.voltage_kV);
        let detector = self.frame as f64 * self.mrad_per_px * 1e-3;
        let alpha = self.optics.convergence_mrad * 1e-3;
        // Rays at the rim are moved by the gradient of χ, and on through the specimen.
        let moved: f64 = self.optics.aberrations.terms.iter().map(|t| t.magnitude_A.abs() * alpha.powi(t.n as i32)).sum();
        let needed_A = 2.0 * (moved + alpha * thickness_A) + HALO_A;
        let field = |step: usize| step as f64 * lambda / (self.mrad_per_px * 1e-3);
        let oversampling = match self.oversampling {
            Some(step) => step,
            None => {
                let fitting = (1..=MOST_OVERSAMPLING).find(|&step| field(step) >= needed_A);
                fitting.ok_or_else(|| Error::BadNumber {
                    what: "the detector's sampling in mrad",
                    value: self.mrad_per_px.to_string(),
                    expected: format!(
                        "the beam needs a field of {needed_A:.0} Å, which only {:.4} or less gives: lower mrad_per_px, the aberrations or the thickness, or say the oversampling and let the beam wrap around",
                        MOST_OVERSAMPLING as f64 * lambda / needed_A * 1e3
                    ),
                })?
            }
        };
        let width = field(oversampling);
        // The band holds the whole detector and what its blur takes in from beyond it.
        let beyond = self.taps(oversampling).len() - 1 - oversampling / 2;
        let least =
            ((oversampling as f64 * self.frame as f64 + 2.0 * beyond as f64) / BAND).max(width / method.sampling_A * (1.0 - DIGITS));
        if least.is_nan() || least > MOST_WINDOW as f64 {
            return Err(Error::BadNumber {
                what: "the detector",
                value: format!("{:.1} mrad wide at {oversampling} reciprocal pixels a pixel", 1e3 * detector),
                expected: format!(
                    "the calculated window would have {least:.0} pixels a side, and at most {MOST_WINDOW} are calculated: lower oversampling or side_px, or raise sampling_A or mrad_per_px"
                ),
            });
        }
        let window = 16 * smooth((least / 16.0).ceil() as usize, &[2, 3, 5]);
        let pixel_A = width / window as f64;
        let positions_A = self.positions_A(rng)?;
        if positions_A.iter().flatten().any(|p| p.is_nan() || p.abs() >= MOST_FIELD as f64 * pixel_A) {
            return Err(Error::BadNumber {
                what: "the scan",
                value: format!("{:?} steps of {:?} Å", self.scan.shape, self.scan.step_A),
                expected: format!("with drift and jitter it may reach at most {:.0} Å", MOST_FIELD as f64 * pixel_A),
            });
        }
        let Grid { shape, origin_A, .. } = enclose(&positions_A, window, pixel_A);
        let electrons = self.dose_e_per_A2.map_or(1.0, |dose| dose * self.scan.step_A[0] * self.scan.step_A[1]);
        let spectrum = self.optics.spectrum([window; 2], [self.mrad_per_px / oversampling as f64; 2], [0.0; 2], electrons);
        let frequencies: Vec<f64> = (0..window).map(|k| fft_index(k, window) / width).collect();
        let source_A = self.source_size_A / (8.0 * 2f64.ln()).sqrt();
        let probe = coherence::modes(&spectrum, &frequencies, lambda, source_A, self.focal_spread_A)?;
        Ok(Layout { window, pixel_A, oversampling, needed_A, shape, origin_A, positions_A, electrons, probe })
    }

    /// Where the probe stands on the specimen: the scan's grid, less the specimen's drift, with the jitter.
    fn positions_A(&self, rng: &mut impl Rng) -> Result<Vec<[f64; 2]>> {
        let mut positions_A = self.scan.positions_A();
        let (last, spread) = (positions_A.len().saturating_sub(1).max(1), normal(self.jitter_A)?);
        for (n, position) in positions_A.iter_mut().enumerate() {
            let part = n as f64 / last as f64;
            for (place, drift) in position.iter_mut().zip(self.drift_A) {
                *place -= part * drift;
                if self.jitter_A > 0.0 {
                    *place += spread.sample(rng);
                }
            }
        }
        Ok(positions_A)
    }

    fn check(&self, thickness_A: f64, method: &Method) -> Result<()> {
        let refuse = |what, value: String, expected: &str| Err(Error::BadNumber { what, value, expected: expected.into() });
        if self.scan.shape.contains(&0) {
            return refuse("the scan's shape", format!("{:?}", self.scan.shape), "it needs at least one position");
        }
        if !(8..=1024).contains(&self.frame) {
            return refuse("the frame's side", self.frame.to_string(), "it has from 8 to 1024 pixels");
        }
        for (what, value) in [
            ("the scan step in Å", self.scan.step_A[0]),
            ("the scan step in Å", self.scan.step_A[1]),
            ("the detector's sampling in mrad", self.mrad_per_px),
            ("the voltage in kV", self.optics.voltage_kV),
            ("the convergence angle in mrad", self.optics.convergence_mrad),
            ("the dose in e⁻/Å²", self.dose_e_per_A2.unwrap_or(1.0)),
            ("the counts of an electron", self.counts_per_electron),
            ("the slices' thickness in Å", method.slice_thickness_A),
            ("the largest pixel in Å", method.sampling_A),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return refuse(what, value.to_string(), "it must be finite and above 0");
            }
        }
        for (what, value) in [
            ("the focal spread in Å", self.focal_spread_A),
            ("the source size in Å", self.source_size_A),
            ("the jitter in Å", self.jitter_A),
            ("the detector's blur in pixels", self.blur_px),
            ("the noise of reading in counts", self.readout_counts),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return refuse(what, value.to_string(), "it must be finite and not below 0");
            }
        }
        for (what, value) in [
            ("the thickness in Å", thickness_A),
            ("the scan's rotation in degrees", self.scan.rotation_deg),
            ("the drift in Å", self.drift_A[0] + self.drift_A[1]),
            ("an aberration", self.optics.aberrations.terms.iter().map(|t| t.magnitude_A + t.angle_deg).sum()),
        ] {
            if !value.is_finite() {
                return refuse(what, value.to_string(), "it must be finite");
            }
        }
        let count = self.scan.shape[0].checked_mul(self.scan.shape[1]);
        if count.is_none_or(|n| n > MOST_POSITIONS) {
            return refuse("the scan's shape", format!("{:?}", self.scan.shape), &format!("a scan has at most {MOST_POSITIONS} positions"));
        }
        if let Some(n) = self.oversampling.filter(|n| !(1..=MOST_OVERSAMPLING).contains(n)) {
            return refuse("the detector's oversampling", n.to_string(), &format!("it is a whole number from 1 to {MOST_OVERSAMPLING}"));
        }
        if self.blur_px > 4.0 {
            return refuse("the detector's blur in pixels", self.blur_px.to_string(), "more than 4 are not calculated");
        }
        if self.optics.convergence_mrad > 0.9 * self.frame as f64 / 2.0 * self.mrad_per_px {
            let expected = "it must leave room on the detector for scattered electrons: raise the frame's side or mrad_per_px";
            return refuse("the convergence angle in mrad", self.optics.convergence_mrad.to_string(), expected);
        }
        if method.vibration == (Vibration::FrozenPhonons { configurations: 0 }) {
            return refuse("the number of configurations", "0".into(), "frozen phonons need at least one");
        }
        Ok(())
    }

    /// What of a reciprocal pixel 0, 1, 2, … away from its middle a detector pixel takes in along an axis: that between its edges (half of one on an edge), blurred.
    pub(super) fn taps(&self, oversampling: usize) -> Vec<f64> {
        let half = oversampling / 2;
        let inside = |j: i64| match (j.unsigned_abs() as usize).cmp(&half) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal if oversampling.is_multiple_of(2) => 0.5,
            std::cmp::Ordering::Equal => 1.0,
            std::cmp::Ordering::Greater => 0.0,
        };
        let spread = Spread { upsample: oversampling, blur_px: self.blur_px };
        let blur = if self.blur_px > 0.0 { spread.weights() } else { vec![1.0] };
        let reach = half + blur.len() - 1;
        (0..=reach as i64)
            .map(|j| (1 - blur.len() as i64..blur.len() as i64).map(|d| blur[d.unsigned_abs() as usize] * inside(j - d)).sum())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optics::Aberrations;

    fn instrument(blur_px: f64) -> Instrument {
        Instrument {
            optics: ProbeOptics { voltage_kV: 300.0, convergence_mrad: 20.0, aberrations: Aberrations::defocus(0.0) },
            focal_spread_A: 0.0,
            source_size_A: 0.0,
            scan: ScanGrid { shape: [1, 1], step_A: [1.0; 2], rotation_deg: 0.0, transpose: false },
            jitter_A: 0.0,
            drift_A: [0.0; 2],
            frame: 64,
            mrad_per_px: 1.0,
            oversampling: None,
            blur_px,
            dose_e_per_A2: None,
            counts_per_electron: 1.0,
            readout_counts: 0.0,
        }
    }

    /// Zeroth and second moment of taps, both sides together.
    fn moments(taps: &[f64]) -> (f64, f64) {
        let both = |n: usize| if n == 0 { 1.0 } else { 2.0 };
        taps.iter().enumerate().fold((0.0, 0.0), |(sum, second), (n, t)| (sum + both(n) * t, second + both(n) * t * (n * n) as f64))
    }

    #[test]
    fn a_detector_pixel_takes_in_what_lies_between_its_edges_and_blur_spreads_it_by_its_variance() {
        // The detector of the sets that others simulated: [¼ ½ ¼] twice as large along each axis.
        assert_eq!(instrument(0.0).taps(2), [1.0, 0.5]);
        assert_eq!(instrument(0.0).taps(1), [1.0]);
        assert_eq!(instrument(0.0).taps(3), [1.0, 1.0]);
        assert_eq!(instrument(0.0).taps(4), [1.0, 1.0, 0.5]);
        for step in 1..=6 {
            let (all, sharp) = moments(&instrument(0.0).taps(step));
            assert!((all - step as f64).abs() < 1e-12, "every reciprocal pixel is taken in once");
            for blur_px in [0.5, 1.0, 2.5] {
                let (sum, second) = moments(&instrument(blur_px).taps(step));
                assert!((sum - all).abs() < 1e-12, "blur loses nothing");
                let variance = (second / sum - sharp / all) / (step * step) as f64;
                // A Gaussian that is sampled no coarser than its deviation, and cut off at four, has less than a hundredth of its variance less; at half of a reciprocal pixel, a seventh.
                let lacks = if blur_px * step as f64 >= 1.0 { 0.01 } else { 0.15 };
                assert!((variance / (blur_px * blur_px) - 1.0).abs() < lacks, "{step}, {blur_px}: {variance}");
            }
        }
    }
}
