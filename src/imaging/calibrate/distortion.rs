//! What the scan does wrong: rows that are shifted against each other, and columns at the start of rows that differ from the rest.

use std::f64::consts::TAU;

use num_complex::Complex64;
use rustfft::FftPlanner;

use super::Estimate;

/// How rows follow each other along the fast axis, in scan steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The mean shift from a row to the next: drift, a slanted scan, or a specimen whose structure runs askew.
    pub shift: Estimate,
    /// The standard deviation of the shifts about their mean; what the specimen itself changes from row to row is in it.
    pub jitter: Estimate,
    /// The row that is shifted most against its neighbours, and its shift.
    pub worst: (usize, f64),
}

/// Rows need so much in common to be compared: with less, what differs is the specimen.
const LIKENESS: f64 = 0.8;

/// The shifts between rows of an image; `None` where rows show nothing to compare.
///
/// Of successive rows the shift that makes them most alike: the peak of their correlation, found to a fraction of a step by a parabola.
pub(super) fn rows(image: &[f64], [ni, nj]: [usize; 2]) -> Option<Rows> {
    if ni < 8 || nj < 16 {
        return None;
    }
    let mut planner = FftPlanner::new();
    let spectra: Vec<Vec<Complex64>> = image.chunks_exact(nj).map(|row| spectrum(row, &mut planner)).collect();
    let shifts: Vec<(f64, f64)> = (0..ni - 1).map(|i| shift(&spectra[i], &spectra[i + 1], nj, &mut planner)).collect();
    let mut likeness: Vec<f64> = shifts.iter().map(|s| s.1).collect();
    likeness.sort_by(f64::total_cmp);
    if likeness[likeness.len() / 2] < LIKENESS {
        return None;
    }
    let n = shifts.len() as f64;
    let mean = shifts.iter().map(|s| s.0).sum::<f64>() / n;
    let variance = shifts.iter().map(|s| (s.0 - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let off = |i: usize| 0.5 * ((shifts[i - 1].0 - mean) - (shifts[i].0 - mean));
    let worst = (1..ni - 1).map(|i| (i, off(i))).max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    Some(Rows {
        shift: Estimate { value: mean, se: (variance / n).sqrt() },
        jitter: Estimate { value: variance.sqrt(), se: (variance / (2.0 * n)).sqrt() },
        worst,
    })
}

/// The spectrum of a row about its mean, under a cosine window.
fn spectrum(row: &[f64], planner: &mut FftPlanner<f64>) -> Vec<Complex64> {
    let n = row.len();
    let mean = row.iter().sum::<f64>() / n as f64;
    let window = |j: usize| (0.5 * TAU * (j as f64 + 0.5) / n as f64).sin();
    let mut values: Vec<Complex64> = row.iter().enumerate().map(|(j, v)| Complex64::from((v - mean) * window(j))).collect();
    values.resize(2 * n, Complex64::ZERO);
    planner.plan_fft_forward(2 * n).process(&mut values);
    values
}

/// The shift of row b against row a, and how alike they then are.
fn shift(a: &[Complex64], b: &[Complex64], n: usize, planner: &mut FftPlanner<f64>) -> (f64, f64) {
    let power = |s: &[Complex64]| s.iter().map(Complex64::norm_sqr).sum::<f64>();
    let norm = (power(a) * power(b)).sqrt();
    if norm <= 0.0 {
        return (0.0, 0.0);
    }
    let mut product: Vec<Complex64> = a.iter().zip(b).map(|(a, b)| a.conj() * b).collect();
    planner.plan_fft_inverse(2 * n).process(&mut product);
    // Up to a step and a half: a lattice's rows are alike again further on.
    let at = |d: isize| product[d.rem_euclid(2 * n as isize) as usize].re;
    let best = [0, -1, 1].into_iter().max_by(|p, q| at(*p).total_cmp(&at(*q))).unwrap_or(0);
    let (l, m, r) = (at(best - 1), at(best), at(best + 1));
    let bend = l - 2.0 * m + r;
    let part = if bend < 0.0 { (0.5 * (l - r) / bend).clamp(-0.5, 0.5) } else { 0.0 };
    (best as f64 + part, m / norm)
}

/// The number of columns at the start of the rows whose mean strays from that of the other columns by more than six of their robust deviations, in any of the `images`.
pub(super) fn flyback(images: &[&[f64]], [ni, nj]: [usize; 2]) -> usize {
    if nj < 16 || ni < 4 {
        return 0;
    }
    let columns = |image: &[f64]| -> usize {
        let means: Vec<f64> = (0..nj).map(|j| (0..ni).map(|i| image[i * nj + j]).sum::<f64>() / ni as f64).collect();
        let middle = |values: &mut Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let centre = middle(&mut means[nj / 8..].to_vec());
        let deviation = 1.4826 * middle(&mut means[nj / 8..].iter().map(|m| (m - centre).abs()).collect());
        means[..nj / 8].iter().take_while(|m| deviation > 0.0 && (**m - centre).abs() > 6.0 * deviation).count()
    };
    images.iter().map(|image| columns(image)).max().unwrap_or(0)
}
