//! Parallax: the images of all pixels, shifted back and added.

use num_complex::Complex64;

use crate::compute::{Backend, BrightField};
use crate::imaging::Result;
use crate::optics::apply;
use crate::run::Run;

use super::disk::Disk;
use super::spectra::Spectra;
use super::{ramps, turns_at};

/// Pixels whose ramps are made together.
const TOGETHER: usize = 256;

/// Half a spectrum for each focus of the bright field: Σ_k e^{−i∇χ(k)·q} sgn(sin χ(q)) Ĩ(q, k).
pub(super) fn sums<B: Backend>(
    run: &Run,
    backend: &B,
    spectra: &mut Spectra<B>,
    disk: &Disk,
    bright: &BrightField,
    device: &B::BrightField,
) -> Result<Vec<Vec<Complex64>>> {
    let mut sums = (0..bright.foci.len()).map(|_| backend.complex_zeros(bright.half_len())).collect::<crate::compute::Result<Vec<_>>>()?;
    spectra.visit(disk.count, |range, part| {
        for first in range.clone().step_by(TOGETHER) {
            let here = first..(first + TOGETHER).min(range.end);
            for (focus, sum) in bright.foci.iter().zip(&mut sums) {
                let shift = |&[y, x]: &[f64; 2]| {
                    let gradient = bright.turns.gradient(y, x);
                    [gradient[0] + 2.0 * focus * y, gradient[1] + 2.0 * focus * x]
                };
                let [ry, rx] = ramps(bright, &bright.tilts[here.clone()].iter().map(shift).collect::<Vec<_>>());
                let [ry, rx] = [backend.complexes(&ry)?, backend.complexes(&rx)?];
                backend.tilt_sum(part, range.start, device, here.clone(), [&ry, &rx], sum)?;
            }
        }
        Ok(())
    })?;
    let mut spectra = Vec::new();
    for (sum, &focus) in sums.iter().zip(&bright.foci) {
        let signs = signs(bright, focus);
        if signs.iter().all(|s| *s == 0.0) {
            run.warn("In focus parallax has no contrast: its image is 0. Use ssb or obf, or set optics.defocus_A.");
        }
        spectra.push(backend.read_complexes(sum)?.into_iter().zip(signs).map(|(z, s)| z * s).collect());
    }
    Ok(spectra)
}

/// sgn(sin χ(q)) over half a spectrum.
pub(super) fn signs(bright: &BrightField, focus: f64) -> Vec<f64> {
    let sign = |at: usize| {
        let along = [bright.frequencies[0][at / bright.output[1]], bright.frequencies[1][at % bright.output[1]]];
        let q = apply(bright.turn, along);
        // What is odd in q shifts the image and does not change its contrast.
        let even = 0.5 * (turns_at(bright, focus, q) + turns_at(bright, focus, q.map(|q| -q)));
        let sine = (std::f64::consts::TAU * even).sin();
        if sine == 0.0 { 0.0 } else { sine.signum() }
    };
    (0..bright.half_len()).map(sign).collect()
}
