//! Partial coherence: a beam that is not quite coherent as a few probes that are, whose intensities add up.
//!
//! A Gaussian source of standard deviation s multiplies P̂(k)P̂*(k′) by e^{−2π²s²|k−k′|²}, and a Gaussian spread Δ of the focus by e^{−½(πλΔ)²(k²−k′²)²} (W. O. Saxton, Optik 49 (1977) 51). Both are
//! sums of products of functions of one variable, k_y, k_x and k², which Mercer's theorem gives: the eigenfunctions of the kernel on the aperture, the strongest first.

use num_complex::Complex64;

use super::{Error, Result};
use crate::optics::hermitian::{Eigen, eigen};

/// How much of the beam the modes that are kept hold.
const KEPT: f64 = 0.999;
const MOST_MODES: usize = 256;
/// A kernel so many times narrower than the aperture has more modes than are calculated.
const NARROWEST: f64 = 60.0;

/// e^{−½s²(a−b)²} for a and b in an interval as a sum of products f(a)·f(b).
struct Mercer {
    sharpness: f64,
    nodes: Vec<f64>,
    /// (mode, node): what of the kernel about each node a mode is made of.
    weights: Vec<Vec<f64>>,
}

impl Mercer {
    fn new(sharpness: f64, [from, to]: [f64; 2]) -> Self {
        let kernel = |a: f64, b: f64| (-0.5 * (sharpness * (a - b)).powi(2)).exp();
        let half = (to - from) / 2.0;
        // Of a smooth kernel Gauss' rule gives all modes that count once it has about two nodes a width (E. J. Nyström, Acta Math. 54 (1930) 185).
        let (nodes, weights): (Vec<f64>, Vec<f64>) = gauss(16 + (1.5 * sharpness * 2.0 * half).ceil() as usize)
            .into_iter()
            .map(|(x, w)| (from + half * (1.0 + x), half * w))
            .unzip();
        let matrix: Vec<Vec<Complex64>> = nodes
            .iter()
            .zip(&weights)
            .map(|(&a, v)| nodes.iter().zip(&weights).map(|(&b, w)| Complex64::from((v * w).sqrt() * kernel(a, b))).collect())
            .collect();
        let Eigen { values, vectors } = eigen(&matrix);
        let least = 1e-7 * values.iter().sum::<f64>();
        let weights = values
            .iter()
            .zip(vectors)
            .filter(|(value, _)| **value > least)
            .map(|(value, v)| v.iter().zip(&weights).map(|(v, w)| v.re * (w / value).sqrt()).collect())
            .collect();
        Self { sharpness, nodes, weights }
    }

    /// The modes at `a`.
    fn at(&self, a: f64) -> Vec<f64> {
        let kernel: Vec<f64> = self.nodes.iter().map(|b| (-0.5 * (self.sharpness * (a - b)).powi(2)).exp()).collect();
        self.weights.iter().map(|w| w.iter().zip(&kernel).map(|(w, k)| w * k).sum()).collect()
    }
}

/// Nodes and weights of Gauss' rule with `n` points from −1 to 1, by Newton's method on Legendre's polynomial.
fn gauss(n: usize) -> Vec<(f64, f64)> {
    (0..n)
        .map(|i| {
            let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
            let mut slope = 1.0;
            for _ in 0..8 {
                let (mut before, mut here) = (1.0, x);
                for k in 2..=n {
                    (before, here) = (here, ((2 * k - 1) as f64 * x * here - (k - 1) as f64 * before) / k as f64);
                }
                slope = n as f64 * (x * here - before) / (x * x - 1.0);
                x -= here / slope;
            }
            (x, 2.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

/// The coherent probes that stand for `spectrum` (y, x in FFT order, at these spatial frequencies along either axis) seen from a source of the standard deviation `source_A`
/// with a focus that strays by `focus_A`: spectra, the strongest first, as strong together as `spectrum`.
pub(super) fn modes(spectrum: &[Complex64], frequencies: &[f64], lambda: f64, source_A: f64, focus_A: f64) -> Result<Vec<Complex64>> {
    if source_A == 0.0 && focus_A == 0.0 {
        return Ok(spectrum.to_vec());
    }
    let n = frequencies.len();
    let inside: Vec<usize> = (0..n * n).filter(|&k| spectrum[k] != Complex64::ZERO).collect();
    let squared = |k: usize| frequencies[k / n].powi(2) + frequencies[k % n].powi(2);
    let farthest2 = inside.iter().map(|&k| squared(k)).fold(0.0, f64::max);
    let farthest = farthest2.sqrt();
    let (along, over) = (std::f64::consts::TAU * source_A, std::f64::consts::PI * lambda * focus_A);
    for (what, value, width) in
        [("the source size", source_A * (8.0 * 2f64.ln()).sqrt(), along * 2.0 * farthest), ("the focal spread", focus_A, over * farthest2)]
    {
        if width > NARROWEST {
            return refuse(what, value);
        }
    }
    let axis = Mercer::new(along, [-farthest, farthest]);
    let focus = Mercer::new(over, [0.0, farthest2]);
    let along_axis: Vec<Vec<f64>> =
        frequencies.iter().map(|&q| if q.abs() <= farthest { axis.at(q) } else { vec![0.0; axis.weights.len()] }).collect();
    let over_focus: Vec<Vec<f64>> = inside.iter().map(|&k| focus.at(squared(k))).collect();
    let (axes, foci) = (axis.weights.len(), focus.weights.len());
    let value = |place: usize, f: usize, y: usize, x: usize| {
        let k = inside[place];
        over_focus[place][f] * along_axis[k / n][y] * along_axis[k % n][x]
    };
    let total: f64 = spectrum.iter().map(Complex64::norm_sqr).sum();
    let mut found: Vec<(f64, [usize; 3])> = Vec::with_capacity(foci * axes * axes);
    for (f, y, x) in (0..foci).flat_map(|f| (0..axes).flat_map(move |y| (0..axes).map(move |x| (f, y, x)))) {
        let power: f64 = inside.iter().enumerate().map(|(place, &k)| spectrum[k].norm_sqr() * value(place, f, y, x).powi(2)).sum();
        found.push((power, [f, y, x]));
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut held = 0.0;
    let count = found.iter().take_while(|(power, _)| {
        let needed = held < KEPT * total;
        held += power;
        needed
    });
    let count = count.count();
    if count > MOST_MODES {
        return refuse("the source size and the focal spread", count as f64);
    }
    let scale = (total / found[..count].iter().map(|f| f.0).sum::<f64>()).sqrt();
    let mut modes = vec![Complex64::ZERO; count * n * n];
    for (mode, (_, [f, y, x])) in modes.chunks_exact_mut(n * n).zip(&found) {
        for (place, &k) in inside.iter().enumerate() {
            mode[k] = spectrum[k] * (scale * value(place, *f, *y, *x));
        }
    }
    Ok(modes)
}

fn refuse<T>(what: &'static str, value: f64) -> Result<T> {
    let expected =
        format!("such a beam has more than the {MOST_MODES} coherent modes that are calculated: lower source_size_A or focal_spread_A");
    Err(Error::BadNumber { what, value: format!("{value:.1}"), expected })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optics::fft_index;

    /// Σ over modes of P̂(k)P̂*(k′).
    fn coherence(modes: &[Complex64], n: usize, k: usize, l: usize) -> Complex64 {
        modes.chunks_exact(n * n).map(|m| m[k] * m[l].conj()).sum()
    }

    #[test]
    fn modes_add_up_to_the_coherence_that_the_source_and_the_focus_leave() {
        let (n, lambda, pixel) = (48, 0.0197, 0.15);
        let frequencies: Vec<f64> = (0..n).map(|k| fft_index(k, n) * 0.1).collect();
        let spectrum: Vec<Complex64> = (0..n * n)
            .map(|k| {
                let q2 = frequencies[k / n].powi(2) + frequencies[k % n].powi(2);
                if q2.sqrt() < 1.27 { Complex64::from_polar(pixel, 40.0 * lambda * q2 + frequencies[k % n]) } else { Complex64::ZERO }
            })
            .collect();
        let total: f64 = spectrum.iter().map(Complex64::norm_sqr).sum();
        for (source, focus) in [(0.0, 0.0), (0.3, 0.0), (0.0, 40.0), (0.2, 30.0)] {
            let modes = modes(&spectrum, &frequencies, lambda, source, focus).unwrap();
            let power: f64 = modes.iter().map(Complex64::norm_sqr).sum();
            assert!((power / total - 1.0).abs() < 1e-12, "the electrons are all there");
            assert!(source + focus > 0.0 || modes.len() == n * n, "a coherent beam is one mode");
            let (mut error, mut size) = (0.0, 0.0);
            for k in (0..n * n).step_by(7).filter(|&k| spectrum[k] != Complex64::ZERO) {
                for l in (0..n * n).step_by(11).filter(|&l| spectrum[l] != Complex64::ZERO) {
                    let [ky, kx, ly, lx] = [k / n, k % n, l / n, l % n].map(|i| frequencies[i]);
                    let apart = (ky - ly).powi(2) + (kx - lx).powi(2);
                    let by_source = (-2.0 * (std::f64::consts::PI * source).powi(2) * apart).exp();
                    let by_focus = std::f64::consts::PI * lambda * focus * (ky * ky + kx * kx - ly * ly - lx * lx);
                    let expected = spectrum[k] * spectrum[l].conj() * by_source * (-0.5 * by_focus * by_focus).exp();
                    error += (coherence(&modes, n, k, l) - expected).norm_sqr();
                    size += expected.norm_sqr();
                }
            }
            // A thousandth of the beam is left out: of the matrix that is less, as its strongest modes are all there.
            assert!((error / size).sqrt() < 5e-3, "{source}, {focus}: {:.1e} in {} modes", (error / size).sqrt(), modes.len() / (n * n));
        }
    }

    #[test]
    fn gauss_rule_is_exact_for_polynomials() {
        for n in [1, 2, 9, 40] {
            for power in [0, 2, 2 * n - 2].into_iter().filter(|power| *power < 2 * n) {
                let found: f64 = gauss(n).iter().map(|(x, w)| w * x.powi(power as i32)).sum();
                assert!((found - 2.0 / (power + 1) as f64).abs() < 1e-12, "{n} points, x^{power}: {found}");
            }
        }
    }

    #[test]
    fn a_beam_without_any_coherence_is_refused() {
        let frequencies: Vec<f64> = (0..32).map(|k| fft_index(k, 32) * 0.1).collect();
        let spectrum = vec![Complex64::from(1.0); 1024];
        for (source, focus) in [(50.0, 0.0), (3.0, 0.0), (0.0, 1e5)] {
            let error = modes(&spectrum, &frequencies, 0.02, source, focus).unwrap_err().to_string();
            assert!(error.contains("coherent modes"), "{error}");
        }
    }
}
