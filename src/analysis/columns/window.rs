//! Part of an image, faded towards its edges, and what its noise makes of it: with D the weights and P the noise's spectrum, D·F⁻¹(1/P)F·D is how pixels count.

use num_complex::Complex64;
use rayon::prelude::*;

use super::lattice::Field;
use super::noise::SIDES;
use crate::analysis::Result;
use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::optics::smooth;

/// Weights rise from 0 to 1 over this length.
const FADE_A: f64 = 1.0;
/// Room around a window, so that its edges do not meet.
const ROOM_A: f64 = 8.0;
/// Frequencies whose noise is below this part of the median count as if they had that.
const FLOOR: f64 = 0.05;

/// Part of a field with the weights of its pixels.
pub(super) struct Window {
    pub(super) first: [usize; 2],
    pub(super) shape: [usize; 2],
    pub(super) padded: [usize; 2],
    pub(super) weights: Vec<f64>,
}

impl Window {
    /// The pixels from `first` to `last` along each axis. Towards the field's edge a margin has no weight; cuts through the field fade too.
    pub(super) fn new(field: &Field<'_>, margin_A: f64, first: [usize; 2], last: [usize; 2]) -> Self {
        let (pixel, end) = (field.pixel_A, field.end_A());
        let shape = [0, 1].map(|a| last[a] - first[a] + 1);
        let padded = [0, 1].map(|a| smooth((shape[a] + (ROOM_A / pixel[a]) as usize).max(16), &SIDES));
        let ramp = |a: usize| {
            (0..shape[a]).map(move |k| {
                let at = (first[a] + k) as f64 * pixel[a];
                let (low, high) = (first[a] as f64 * pixel[a], (first[a] + shape[a] - 1) as f64 * pixel[a]);
                let inner = (at - low.max(margin_A)).min(high.min(end[a] - margin_A) - at);
                let part = ((inner + 0.5 * pixel[a]) / FADE_A).clamp(0.0, 1.0);
                0.5 - 0.5 * (std::f64::consts::PI * part).cos()
            })
        };
        let [wy, wx] = [0, 1].map(|a| ramp(a).collect::<Vec<f64>>());
        let weights = wy.iter().flat_map(|y| wx.iter().map(move |x| x * y)).collect();
        Self { first, shape, padded, weights }
    }

    pub(super) fn pixels(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    /// Where a pixel lies along an axis, from −½ to ½.
    pub(super) fn along(&self, axis: usize, at: usize) -> f64 {
        [at / self.shape[1], at % self.shape[1]][axis] as f64 / self.shape[axis] as f64 - 0.5
    }

    /// Its pixels out of those of a field of this width.
    pub(super) fn cut(&self, values: &[f64], width: usize) -> Vec<f64> {
        (0..self.shape[0]).flat_map(|i| values[(self.first[0] + i) * width + self.first[1]..][..self.shape[1]].iter().copied()).collect()
    }

    /// Images on the window, their spectra times a real gain: two real images in a complex one.
    pub(super) fn filtered(&self, images: &[Vec<f64>], gain: &[f64]) -> Result<Vec<Vec<f64>>> {
        let pairs: Vec<Vec<Vec<f64>>> = images.par_chunks(2).map(|pair| self.pair(pair, gain)).collect::<Result<_>>()?;
        Ok(pairs.into_iter().flatten().collect())
    }

    fn pair(&self, pair: &[Vec<f64>], gain: &[f64]) -> Result<Vec<Vec<f64>>> {
        let mut wide = vec![Complex64::ZERO; self.padded[0] * self.padded[1]];
        let place = |at: usize| at / self.shape[1] * self.padded[1] + at % self.shape[1];
        for (at, &value) in pair[0].iter().enumerate() {
            wide[place(at)].re = value;
        }
        for (at, &value) in pair.get(1).into_iter().flatten().enumerate() {
            wide[place(at)].im = value;
        }
        let mut spectrum = transformed(&wide, self.padded, Direction::Forward)?;
        spectrum.iter_mut().zip(gain).for_each(|(s, g)| *s *= g);
        let back = transformed(&spectrum, self.padded, Direction::Inverse)?;
        let mut images = vec![(0..self.pixels()).map(|at| back[place(at)].re).collect::<Vec<f64>>()];
        if pair.len() > 1 {
            images.push((0..self.pixels()).map(|at| back[place(at)].im).collect());
        }
        Ok(images)
    }
}

/// One over a spectrum that is nowhere far below its median over the frequencies that have noise.
pub(super) fn inverse(spectrum: &[f64]) -> Vec<f64> {
    let largest = spectrum.iter().copied().fold(0.0, f64::max);
    let mut present: Vec<f64> = spectrum.iter().copied().filter(|p| *p > 1e-3 * largest).collect();
    if present.is_empty() {
        return vec![1.0; spectrum.len()];
    }
    let half = present.len() / 2;
    let (_, median, _) = present.select_nth_unstable_by(half, f64::total_cmp);
    let floor = FLOOR * *median;
    spectrum.iter().map(|p| 1.0 / p.max(floor)).collect()
}
