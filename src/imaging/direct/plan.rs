//! What direct ptychography is asked for.

use crate::imaging::{Error, Result};
use crate::optics::{Aberrations, ScanGrid};

/// A method that makes an image of the bright-field disk's interference in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Tilt-corrected bright field.
    Parallax,
    /// Single side-band.
    Ssb,
    /// Optimum bright field.
    Obf,
    /// Wigner distribution deconvolution.
    Wdd,
}

impl Method {
    pub const ALL: [Self; 4] = [Self::Parallax, Self::Ssb, Self::Obf, Self::Wdd];

    /// Its name in job files and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parallax => "parallax",
            Self::Ssb => "ssb",
            Self::Obf => "obf",
            Self::Wdd => "wdd",
        }
    }

    /// The method of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }
}

/// The geometry and what is to be made.
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct DirectPlan {
    pub scan: ScanGrid,
    pub voltage_kV: f64,
    pub convergence_mrad: f64,
    /// (y, x).
    pub mrad_per_px: [f64; 2],
    /// The zero angle (y, x).
    pub centre_px: [f64; 2],
    /// One a detector pixel, row-major, true where it counts; `None` where all do.
    pub valid: Option<Vec<bool>>,
    /// In this order; none twice.
    pub methods: Vec<Method>,
    /// Of the probe; where the images are fitted, what holds if the fit is not determined.
    pub defocus_A: f64,
    /// All but defocus.
    pub aberrations: Aberrations,
    /// Fit defocus and twofold astigmatism to the shifts of the tilted images.
    pub fit: bool,
    /// Pixels of an image along a scan step.
    pub upsample: usize,
    /// Defocus from, to (included) and step in Å of a series with every method.
    pub sweep: Option<[f64; 3]>,
    /// The noise of Wigner distribution deconvolution, relative to the largest power of an overlap's transform.
    pub wdd_epsilon: f64,
    /// Make images of the standard error by counting statistics.
    pub errors: bool,
    pub counts_per_electron: f64,
    /// The mean sum of a frame over its valid pixels, if it is known already.
    pub incident: Option<f64>,
    /// Memory for the pixels of the disk. Results do not depend on it.
    pub memory_limit_bytes: u64,
}

/// The most foci of a series.
const MOST_FOCI: f64 = 256.0;

impl DirectPlan {
    /// A plan in focus with no image asked for.
    pub fn new(scan: ScanGrid, voltage_kV: f64, convergence_mrad: f64, mrad_per_px: [f64; 2], centre_px: [f64; 2]) -> Self {
        Self {
            scan,
            voltage_kV,
            convergence_mrad,
            mrad_per_px,
            centre_px,
            valid: None,
            methods: Vec::new(),
            defocus_A: 0.0,
            aberrations: Aberrations::default(),
            fit: false,
            upsample: 1,
            sweep: None,
            wdd_epsilon: 0.01,
            errors: false,
            counts_per_electron: 1.0,
            incident: None,
            memory_limit_bytes: 2 << 30,
        }
    }

    /// Refuses what cannot be.
    pub(super) fn check(&self, patterns: usize, frame_shape: [usize; 2]) -> Result<()> {
        let scan_shape = self.scan.shape;
        if scan_shape[0] * scan_shape[1] != patterns {
            return Err(Error::ScanShape { scan_shape, patterns });
        }
        if scan_shape.iter().any(|&n| n < 2) {
            return Err(Error::NoField { scan_shape });
        }
        let pixels = frame_shape[0] * frame_shape[1];
        if let Some(valid) = &self.valid
            && valid.len() != pixels
        {
            return Err(Error::MaskShape { found: valid.len(), expected: pixels });
        }
        let above_0 = |x: &f64| x.is_finite() && *x > 0.0;
        let refuse = |what, value: String, expected, key| Err(Error::BadNumber { what, value, expected, key });
        if !above_0(&self.voltage_kV) {
            return refuse("the voltage", self.voltage_kV.to_string(), "it must be a finite voltage above 0", "optics.voltage_kV");
        }
        if !above_0(&self.convergence_mrad) {
            let value = self.convergence_mrad.to_string();
            return refuse("the convergence angle", value, "it must be a finite half-angle above 0", "optics.convergence_mrad");
        }
        if !self.mrad_per_px.iter().all(above_0) {
            let value = format!("{:?}", self.mrad_per_px);
            return refuse("the detector's sampling", value, "it must be a finite angle above 0", "detector.mrad_per_px");
        }
        if !self.scan.step_A.iter().all(above_0) {
            return refuse("the scan step", format!("{:?}", self.scan.step_A), "it must be a finite length above 0", "scan.step_A");
        }
        if !self.scan.rotation_deg.is_finite() {
            return refuse("the scan rotation", self.scan.rotation_deg.to_string(), "it must be finite", "scan.rotation_deg");
        }
        if !self.defocus_A.is_finite() {
            return refuse("the defocus", self.defocus_A.to_string(), "it must be finite", "optics.defocus_A");
        }
        if !self.centre_px.iter().all(|c| c.is_finite()) {
            return refuse("the zero angle", format!("{:?}", self.centre_px), "it must be a pixel (y, x)", "detector.centre_px");
        }
        if self.upsample == 0 || self.upsample > 16 {
            return refuse("the upsampling", self.upsample.to_string(), "it must be a whole number from 1 to 16", "images.upsample");
        }
        if !above_0(&self.wdd_epsilon) {
            return refuse("the noise of wdd", self.wdd_epsilon.to_string(), "it must be a finite number above 0", "images.wdd_epsilon");
        }
        if let Some([from, to, step]) = self.sweep
            && !(from.is_finite() && to.is_finite() && above_0(&step) && to >= from && (to - from) / step < MOST_FOCI)
        {
            let value = format!("[{from}, {to}, {step}]");
            let expected = "it must be [from, to, step] in Å with from ≤ to, a step above 0 and at most 256 foci";
            return refuse("the series of defoci", value, expected, "images.defocus_sweep_A");
        }
        Ok(())
    }

    /// The defoci of the series.
    pub(super) fn foci_A(&self) -> Vec<f64> {
        self.sweep.map_or(Vec::new(), |[from, to, step]| {
            let last = ((to - from) / step + 1e-9).floor() as usize;
            (0..=last).map(|n| from + n as f64 * step).collect()
        })
    }
}
