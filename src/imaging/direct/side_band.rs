//! Single side-band and optimum bright field: the side bands of all pixels, put into phase and added.

use num_complex::Complex64;

use crate::compute::{Backend, BrightField, SideBandSums};
use crate::imaging::Result;

use super::disk::Disk;
use super::spectra::Spectra;

/// Frequencies at which the side bands cover less than this part of the disk are left out of SSB: their noise would be the image.
const FEWEST: f64 = 0.01;

/// The sums at one focus, over half a spectrum.
pub(super) struct SideBands {
    /// SSB's and OBF's numerators.
    numerators: [Vec<Complex64>; 2],
    /// Σ|Γ| and Σ|Γ|².
    weights: [Vec<f64>; 2],
}

/// Adds up the side bands with each focus of the bright field.
pub(super) fn sums<B: Backend>(
    backend: &B,
    spectra: &mut Spectra<B>,
    disk: &Disk,
    bright: &BrightField,
    device: &B::BrightField,
) -> Result<Vec<SideBands>> {
    let len = 2 * bright.foci.len() * bright.half_len();
    let mut sums = SideBandSums { numerators: backend.complex_zeros(len)?, weights: backend.real_zeros(len)? };
    spectra.visit(disk.count, |range, part| Ok(backend.side_bands(part, device, range, &mut sums)?))?;
    let (numerators, weights) = (backend.read_complexes(&sums.numerators)?, backend.read_reals(&sums.weights)?);
    let (nx, foci) = (bright.output[1], bright.foci.len());
    let pick = |focus: usize, method: usize| {
        (0..bright.half_rows()).flat_map(move |row| {
            let first = ((row * foci + focus) * 2 + method) * nx;
            first..first + nx
        })
    };
    Ok((0..foci)
        .map(|focus| SideBands {
            numerators: [0, 1].map(|method| pick(focus, method).map(|k| numerators[k]).collect()),
            weights: [0, 1].map(|method| pick(focus, method).map(|k| weights[k]).collect()),
        })
        .collect())
}

impl SideBands {
    /// What SSB's numerator is multiplied by: 1/Σ|Γ|.
    pub(super) fn ssb_filter(&self) -> Vec<f64> {
        self.weights[0].iter().map(|&w| if w > FEWEST { 1.0 / w } else { 0.0 }).collect()
    }

    /// What OBF's numerator is multiplied by: 1/√Σ|Γ|².
    pub(super) fn obf_filter(&self) -> Vec<f64> {
        self.weights[1].iter().map(|&w| if w > 0.0 { 1.0 / w.sqrt() } else { 0.0 }).collect()
    }

    /// Σ(−iĨΓ*/|Γ|)/Σ|Γ|: gain 1.
    pub(super) fn ssb(&self) -> Vec<Complex64> {
        self.numerators[0].iter().zip(self.ssb_filter()).map(|(n, f)| n * f).collect()
    }

    /// Σ(−iĨΓ*)/√Σ|Γ|²: gain √Σ|Γ|², flat noise.
    pub(super) fn obf(&self) -> Vec<Complex64> {
        self.numerators[1].iter().zip(self.obf_filter()).map(|(n, f)| n * f).collect()
    }
}
