//! What [`super::image`] is asked for.

use super::{Descan, Error, Requested, Result};
use crate::optics::ScanGrid;

/// How a field of centres of mass is integrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Integration {
    /// In Fourier space, the image continued mirrored beyond its edges, so that opposite edges need not match.
    #[default]
    Mirror,
    /// In Fourier space, the image repeating itself: right for a scan over whole unit cells.
    Periodic,
    /// As mirrored, but least squares over the positions that count alone: for scans with missing frames or a chosen field.
    LeastSquares,
}

/// The geometry of scan and detector, as far as it is known, and the images wanted. What is `None` is not guessed.
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct ImagingPlan {
    /// (i, j), slow axis first.
    pub scan_shape: [usize; 2],
    /// Along the scan's own axes (y, x).
    pub step_A: Option<[f64; 2]>,
    /// How the scan lies in the detector's frame, as [`ScanGrid`] says it.
    pub rotation_deg: f64,
    pub transpose: bool,
    pub voltage_kV: Option<f64>,
    pub convergence_mrad: Option<f64>,
    /// (y, x).
    pub mrad_per_px: Option<[f64; 2]>,
    /// The zero angle (y, x); measured by the disk where it is not given.
    pub centre_px: Option<[f64; 2]>,
    /// One a pixel, row-major, true where it counts; `None` where all do.
    pub valid: Option<Vec<bool>>,
    pub detectors: Requested,
    /// The factor of eabf where its detector has none.
    pub eabf_k: Option<f64>,
    /// What of the centre of mass is left out of idpc.
    pub descan: Descan,
    /// How idpc is integrated.
    pub integration: Integration,
    /// The scan positions that idpc looks at, true where one counts; `None`: all that have counts.
    pub field: Option<Vec<bool>>,
    /// Also make the standard error of each image.
    pub errors: bool,
    /// Multiplies idpc's spectrum by q²/(q² + q_h²).
    pub highpass_inverse_A: Option<f64>,
    /// For the dose and the standard errors.
    pub counts_per_electron: f64,
}

impl ImagingPlan {
    /// The default detectors of a scan of which nothing else is known.
    pub fn new(scan_shape: [usize; 2]) -> Self {
        Self {
            scan_shape,
            step_A: None,
            rotation_deg: 0.0,
            transpose: false,
            voltage_kV: None,
            convergence_mrad: None,
            mrad_per_px: None,
            centre_px: None,
            valid: None,
            detectors: Requested::Default,
            eabf_k: None,
            descan: Descan::None,
            integration: Integration::default(),
            field: None,
            errors: false,
            highpass_inverse_A: None,
            counts_per_electron: 1.0,
        }
    }

    /// The scan, in Å or, where the step is not known, in steps.
    pub fn grid(&self) -> ScanGrid {
        ScanGrid {
            shape: self.scan_shape,
            step_A: self.step_A.unwrap_or([1.0; 2]),
            rotation_deg: self.rotation_deg,
            transpose: self.transpose,
        }
    }

    /// Refuses numbers that cannot be.
    pub(super) fn check(&self, patterns: usize, frame_shape: [usize; 2]) -> Result<()> {
        if self.scan_shape[0] * self.scan_shape[1] != patterns {
            return Err(Error::ScanShape { scan_shape: self.scan_shape, patterns });
        }
        if let Some(field) = &self.field
            && (field.len() != patterns || !field.contains(&true))
        {
            return Err(Error::FieldMask { found: field.len(), scan_shape: self.scan_shape });
        }
        let pixels = frame_shape[0] * frame_shape[1];
        if let Some(valid) = &self.valid {
            if valid.len() != pixels {
                return Err(Error::MaskShape { found: valid.len(), expected: pixels });
            }
            if !valid.contains(&true) {
                return Err(Error::AllMasked { pixels });
            }
        }
        positive("the scan step", "scan.step_A", "it must be a finite length above 0", self.step_A)?;
        positive("the voltage", "optics.voltage_kV", "it must be a finite voltage above 0", self.voltage_kV.map(|v| [v]))?;
        positive(
            "the convergence angle",
            "optics.convergence_mrad",
            "it must be a finite half-angle above 0",
            self.convergence_mrad.map(|v| [v]),
        )?;
        positive("the detector's sampling", "detector.mrad_per_px", "it must be a finite angle above 0", self.mrad_per_px)?;
        positive(
            "the counts of an electron",
            "data.counts_per_electron",
            "it must be a finite number above 0",
            Some([self.counts_per_electron]),
        )?;
        positive(
            "idpc's high-pass",
            "images.highpass_inverse_A",
            "it must be a finite spatial frequency above 0",
            self.highpass_inverse_A.map(|v| [v]),
        )?;
        if let Some(centre) = self.centre_px
            && !(0..2).all(|a| centre[a] >= -0.5 && centre[a] <= frame_shape[a] as f64 - 0.5)
        {
            let expected = "it must be a pixel (y, x) inside the frame";
            return Err(Error::BadNumber { what: "the zero angle", value: format!("{centre:?}"), expected, key: "detector.centre_px" });
        }
        if !self.rotation_deg.is_finite() {
            let value = self.rotation_deg.to_string();
            return Err(Error::BadNumber { what: "the scan rotation", value, expected: "it must be finite", key: "scan.rotation_deg" });
        }
        Ok(())
    }
}

fn positive<const N: usize>(what: &'static str, key: &'static str, expected: &'static str, value: Option<[f64; N]>) -> Result<()> {
    match value {
        Some(v) if !v.iter().all(|x| x.is_finite() && *x > 0.0) => {
            let value = v.map(|x| x.to_string()).join(", ");
            Err(Error::BadNumber { what, value, expected, key })
        }
        _ => Ok(()),
    }
}
