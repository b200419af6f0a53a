//! Fourier ring correlation: up to which spatial frequency two images agree.

use std::f64::consts::{PI, TAU};

use num_complex::Complex64;

use super::align::without_ramp;
use super::{Error, Result};
use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::optics::fft_index;

/// Fourier samples further apart than so many pixels are independent, whatever the window: they share less than 0.1 %.
const NEAR: usize = 4;
/// Rings of a running mean.
const RUN: usize = 5;

/// What the edges of an image are faded with before it is transformed. Opposite edges that do not match would put a cross of the same
/// power into both spectra, and make them agree where the images do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Window {
    /// Nothing: for images that repeat themselves.
    None,
    /// Tukey's: half a cosine over an eighth of the side at each edge, 1 between. It keeps most of the independent samples and is right for images of
    /// atoms.
    #[default]
    Tukey,
    /// Hann's: a cosine over the whole side. It leaks least, for images whose power falls by many orders, and keeps half as many independent
    /// samples.
    Hann,
}

impl Window {
    /// The weights of `n` pixels along an axis.
    pub(super) fn weights(self, n: usize) -> Vec<f64> {
        let edge = match self {
            Self::None => return vec![1.0; n],
            Self::Tukey => 0.125,
            Self::Hann => 0.5,
        };
        let weight = |i: usize| {
            let place = (i as f64 + 0.5) / n as f64;
            let inside = place.min(1.0 - place) / edge;
            if inside < 1.0 { 0.5 - 0.5 * (PI * inside).cos() } else { 1.0 }
        };
        (0..n).map(weight).collect()
    }

    /// How much of the variance two Fourier samples of an axis share that lie 0, 1, … pixels apart, up to [`NEAR`], in windowed white noise: |F[w²]|²,
    /// 1 for the sample itself.
    fn shared(self, n: usize) -> Vec<f64> {
        let squares: Vec<f64> = self.weights(n).iter().map(|w| w * w).collect();
        let at =
            |k: usize| squares.iter().enumerate().map(|(x, s)| s * Complex64::cis(-TAU * (k * x) as f64 / n as f64)).sum::<Complex64>();
        (0..=NEAR).map(|k| (at(k) / at(0)).norm_sqr()).collect()
    }
}

/// Where two images no longer agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// Half a bit of information a sample: (0.2071 + 1.9102/√n)/(1.2071 + 0.9102/√n) with n independent samples (M. van Heel and M. Schatz,
    /// J. Struct. Biol. 151 (2005) 250, eq. 17). It is for two halves of the data.
    HalfBit,
    /// 1/7 ≈ 0.143, whatever the samples.
    OneSeventh,
    /// 0.5, for an image against a truth without noise: two halves of the data that correlate with c make a whole that correlates with the truth with
    /// √(2c/(1 + c)), which is 0.5 where c is 1/7 (P. B. Rosenthal and R. Henderson, J. Mol. Biol. 333 (2003) 721).
    OneHalf,
}

impl Threshold {
    /// The threshold in a ring of so many independent samples.
    pub fn at(self, samples: f64) -> f64 {
        match self {
            Self::HalfBit => (0.2071 + 1.9102 / samples.sqrt()) / (1.2071 + 0.9102 / samples.sqrt()),
            Self::OneSeventh => 1.0 / 7.0,
            Self::OneHalf => 0.5,
        }
    }
}

/// The correlation of two spectra ring by ring, from the lowest frequency on.
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct Frc {
    /// The middle of each ring in 1/Å. Rings are as wide as the coarser of the two axes' Fourier pixels, and reach to the lower of their Nyquist
    /// frequencies; the first one lies about one width, what is below counts for nothing.
    pub frequency_inverse_A: Vec<f64>,
    /// Re Σ A·B* / √(Σ|A|²·Σ|B|²), from −1 to 1; 0 where an image has no power.
    pub correlation: Vec<f64>,
    /// The independent Fourier samples of each ring: n of those that lie in it, half of them where the images are real, times n/Σ_ij ρ_ij, ρ being the
    /// variance that two of them share because of the window. Two images of independent noise have correlations of standard deviation 1/√(2·samples).
    pub samples: Vec<f64>,
}

impl Frc {
    /// The threshold of each ring.
    pub fn threshold(&self, threshold: Threshold) -> Vec<f64> {
        self.samples.iter().map(|&n| threshold.at(n)).collect()
    }

    /// The resolution in Å: 1 over the frequency where the correlation first falls below the threshold, both taken as straight between rings.
    /// `None` where it never does, or is below from the first ring on.
    #[allow(non_snake_case)]
    pub fn resolution_A(&self, threshold: Threshold) -> Option<f64> {
        let above: Vec<f64> = self.correlation.iter().zip(self.threshold(threshold)).map(|(c, t)| c - t).collect();
        let below = above.iter().position(|&d| d < 0.0).filter(|&k| k > 0)?;
        let (last, first) = (above[below - 1], above[below]);
        let (from, to) = (self.frequency_inverse_A[below - 1], self.frequency_inverse_A[below]);
        Some(1.0 / (from + (to - from) * last / (last - first)))
    }

    /// Up to where the images agree, in Å: 1 over the frequency where their correlation, as a running mean over [`RUN`] rings, first falls below the threshold (and, if it is known, below the `floor`
    /// of images without structure), after it was above. Infinity where it never is, the finest there is where it never falls.
    ///
    /// Crystals and defocus leave gaps, rings in which neither image has any signal. A running mean passes over them; [`Self::resolution_A`] ends at the first.
    #[allow(non_snake_case)]
    pub fn agreement_A(&self, threshold: Threshold, floor: Option<&Self>) -> f64 {
        let (correlation, mut least) = (running_mean(&self.correlation), running_mean(&self.threshold(threshold)));
        if let Some(floor) = floor {
            least.iter_mut().zip(running_mean(&floor.correlation)).for_each(|(least, floor)| *least = least.max(floor));
        }
        let above: Vec<f64> = correlation.iter().zip(&least).map(|(c, l)| c - l).collect();
        let frequency = &self.frequency_inverse_A;
        // The lowest frequencies are transferred worst.
        let Some(first) = above.iter().position(|&d| d >= 0.0) else { return f64::INFINITY };
        match (first..above.len()).find(|&k| above[k] < 0.0) {
            Some(k) => 1.0 / (frequency[k - 1] + (frequency[k] - frequency[k - 1]) * above[k - 1] / (above[k - 1] - above[k])),
            None => self.finest_A(),
        }
    }

    /// 1 over the highest frequency, in Å; infinity without any ring.
    #[allow(non_snake_case)]
    pub fn finest_A(&self) -> f64 {
        self.frequency_inverse_A.last().map_or(f64::INFINITY, |f| 1.0 / f)
    }
}

/// The mean of each value and those around it, [`RUN`] in all where there are so many.
fn running_mean(values: &[f64]) -> Vec<f64> {
    let around = |k: usize| &values[k.saturating_sub(RUN / 2)..(k + RUN / 2 + 1).min(values.len())];
    (0..values.len()).map(|k| around(k).iter().sum::<f64>() / around(k).len() as f64).collect()
}

/// The Fourier ring correlation of two real images (y, x) of one shape, their pixels `pixel_A` (y, x) in Å (W. O. Saxton and W. Baumeister,
/// J. Microsc. 127 (1982) 127). Their means, weighted by the window, are left out.
///
/// # Errors
/// Where an image holds NaN or infinity.
///
/// # Panics
/// If the images do not have the shape's length.
#[allow(non_snake_case)]
pub fn frc_of_images(a: &[f64], b: &[f64], shape: [usize; 2], pixel_A: [f64; 2], window: Window) -> Result<Frc> {
    let [a, b] = [a, b].map(|image| image.iter().map(|&v| Complex64::from(v)).collect::<Vec<_>>());
    correlate(&a, &b, shape, pixel_A, window, true)
}

/// The same of two complex objects. A reconstruction does not know its object's phase but for a constant and a ramp, so those between the
/// two are removed first, as [`without_ramp`] does.
///
/// # Errors
/// Where an object holds NaN or infinity.
///
/// # Panics
/// If the objects do not have the shape's length.
#[allow(non_snake_case)]
pub fn frc_of_objects(a: &[Complex64], b: &[Complex64], shape: [usize; 2], pixel_A: [f64; 2], window: Window) -> Result<Frc> {
    let b = without_ramp(a, b, shape, window)?;
    correlate(a, &b, shape, pixel_A, window, false)
}

#[allow(non_snake_case)]
fn correlate(a: &[Complex64], b: &[Complex64], shape: [usize; 2], pixel_A: [f64; 2], window: Window, real: bool) -> Result<Frc> {
    check(a, b, shape)?;
    let (a, b) = (spectrum(a, shape, window)?, spectrum(b, shape, window)?);
    let side = [0, 1].map(|axis| shape[axis] as f64 * pixel_A[axis]);
    let width = (1.0 / side[0]).max(1.0 / side[1]);
    let nyquist = 0.5 / pixel_A[0].max(pixel_A[1]);
    // A ring whose middle is the Nyquist frequency stays in, whatever the rounding.
    let rings = (nyquist / width * (1.0 + 1e-9)) as usize;
    let ring_of = |place: [usize; 2]| {
        let [qy, qx] = [0, 1].map(|axis| fft_index(place[axis], shape[axis]) / side[axis]);
        (qy.hypot(qx) / width).round() as usize
    };
    let numbers: Vec<usize> = (0..a.len()).map(|at| ring_of([at / shape[1], at % shape[1]])).collect();
    let neighbours = Neighbours::new(window, shape);
    let mut sums = vec![Ring::default(); rings + 1];
    for (at, (a, b)) in a.iter().zip(&b).enumerate() {
        let place = [at / shape[1], at % shape[1]];
        if let Some(ring) = sums.get_mut(numbers[at]) {
            ring.cross += (a * b.conj()).re;
            ring.powers[0] += a.norm_sqr();
            ring.powers[1] += b.norm_sqr();
            ring.samples += 1.0;
            ring.shared += neighbours.shared(place, |other| numbers[other] == numbers[at]);
            // A real image has the same sample, conjugated, at −q; some are their own partners.
            let is_own_partner = (0..2).all(|axis| (2 * place[axis]).is_multiple_of(shape[axis]));
            ring.independent += if !real || is_own_partner { 1.0 } else { 0.5 };
        }
    }
    let sums = &sums[1..];
    Ok(Frc {
        frequency_inverse_A: (1..=rings).map(|k| k as f64 * width).collect(),
        correlation: sums.iter().map(Ring::correlation).collect(),
        samples: sums.iter().map(|r| r.independent * r.samples / r.shared).collect(),
    })
}

/// The samples near another one, with what they share with it.
struct Neighbours {
    shape: [usize; 2],
    /// Along each axis: a distance modulo the axis' length, and the share.
    along: [Vec<(usize, f64)>; 2],
}

impl Neighbours {
    fn new(window: Window, shape: [usize; 2]) -> Self {
        let along = shape.map(|n| {
            let shared = window.shared(n);
            // Both ways, but none twice where the axis is short.
            let ahead = (0..=NEAR.min(n / 2)).map(|k| (k, shared[k]));
            let behind = (1..=NEAR.min((n - 1) / 2)).map(|k| (n - k, shared[k]));
            ahead.chain(behind).filter(|(_, share)| *share > 1e-6).collect()
        });
        Self { shape, along }
    }

    /// The sum of what the sample at `place` shares with itself and with those near it that `count`.
    fn shared(&self, place: [usize; 2], count: impl Fn(usize) -> bool) -> f64 {
        let mut sum = 0.0;
        for (dy, share_y) in &self.along[0] {
            let row = (place[0] + dy) % self.shape[0] * self.shape[1];
            for (dx, share_x) in &self.along[1] {
                if count(row + (place[1] + dx) % self.shape[1]) {
                    sum += share_y * share_x;
                }
            }
        }
        sum
    }
}

/// Sums over the Fourier samples of a ring.
#[derive(Clone, Copy, Default)]
struct Ring {
    cross: f64,
    powers: [f64; 2],
    samples: f64,
    /// Those without the partners of others.
    independent: f64,
    /// Σ_ij of the variance that samples i and j share.
    shared: f64,
}

impl Ring {
    fn correlation(&self) -> f64 {
        let power = self.powers[0].sqrt() * self.powers[1].sqrt();
        if power > 0.0 { self.cross / power } else { 0.0 }
    }
}

/// The spectrum of an image less its weighted mean, under the window.
pub(super) fn spectrum(image: &[Complex64], shape: [usize; 2], window: Window) -> Result<Vec<Complex64>> {
    let [wy, wx] = shape.map(|n| window.weights(n));
    let weight = |at: usize| wy[at / shape[1]] * wx[at % shape[1]];
    let total = wy.iter().sum::<f64>() * wx.iter().sum::<f64>();
    let mean = image.iter().enumerate().map(|(at, v)| v * weight(at)).sum::<Complex64>() / total;
    let faded: Vec<Complex64> = image.iter().enumerate().map(|(at, v)| (v - mean) * weight(at)).collect();
    Ok(transformed(&faded, shape, Direction::Forward)?)
}

/// Refuses what is no number.
pub(super) fn check(a: &[Complex64], b: &[Complex64], shape: [usize; 2]) -> Result<()> {
    assert!(a.len() == shape[0] * shape[1] && b.len() == a.len(), "two images of {}×{} pixels", shape[0], shape[1]);
    for (which, image) in [("first", a), ("second", b)] {
        if let Some(at) = image.iter().position(|v| !v.is_finite()) {
            let value = if image[at].re.is_finite() { image[at].im } else { image[at].re };
            return Err(Error::NotFinite { which, y: at / shape[1], x: at % shape[1], value });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn fresh_rng() -> ChaCha8Rng {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        ChaCha8Rng::seed_from_u64(seed)
    }

    fn noise(rng: &mut ChaCha8Rng, n: usize) -> Vec<f64> {
        (0..n).map(|_| StandardNormal.sample(rng)).collect()
    }

    fn complex_noise(rng: &mut ChaCha8Rng, n: usize) -> Vec<Complex64> {
        noise(rng, n).into_iter().zip(noise(rng, n)).map(|(re, im)| Complex64::new(re, im)).collect()
    }

    /// Sample (ky, kx), signed, of the transform by its definition.
    fn sample(image: &[Complex64], [ny, nx]: [usize; 2], ky: i64, kx: i64) -> Complex64 {
        let turn = |at: usize| ky as f64 * (at / nx) as f64 / ny as f64 + kx as f64 * (at % nx) as f64 / nx as f64;
        image.iter().enumerate().map(|(at, v)| v * Complex64::cis(-TAU * turn(at))).sum()
    }

    /// Correlation and number of samples by ring, from the definition: the mean is left out by leaving out the zero frequency.
    fn by_definition(a: &[Complex64], b: &[Complex64], shape: [usize; 2], pixel: [f64; 2]) -> Vec<(f64, f64, usize)> {
        let [height, width] = [0, 1].map(|axis| shape[axis] as f64 * pixel[axis]);
        let step = 1.0 / height.min(width);
        let highest = (0.5 / pixel[0]).min(0.5 / pixel[1]);
        let signed = |n: usize| -(n as i64 / 2)..=(n as i64 - 1) / 2;
        (1..)
            .map(|k| f64::from(k) * step)
            .take_while(|q| *q <= highest + 1e-9)
            .map(|middle| {
                let (mut cross, mut pa, mut pb, mut n) = (Complex64::ZERO, 0.0, 0.0, 0);
                for ky in signed(shape[0]) {
                    for kx in signed(shape[1]) {
                        let q = ((ky as f64 / height).powi(2) + (kx as f64 / width).powi(2)).sqrt();
                        // Halves round up, as from 0.5 to 1.
                        if q >= middle - step / 2.0 && q < middle + step / 2.0 {
                            let (va, vb) = (sample(a, shape, ky, kx), sample(b, shape, ky, kx));
                            cross += va * vb.conj();
                            pa += va.norm_sqr();
                            pb += vb.norm_sqr();
                            n += 1;
                        }
                    }
                }
                (middle, cross.re / (pa * pb).sqrt(), n)
            })
            .collect()
    }

    #[test]
    fn a_curve_is_what_the_definition_says_for_any_shape_and_pixel() {
        let mut rng = fresh_rng();
        for _ in 0..12 {
            let shape = [rng.random_range(2..15), rng.random_range(2..15)];
            let pixel = [rng.random_range(0.1..2.0), rng.random_range(0.1..2.0)];
            let n = shape[0] * shape[1];
            let (a, b) = (noise(&mut rng, n), noise(&mut rng, n));
            let got = frc_of_images(&a, &b, shape, pixel, Window::None).unwrap();
            let complex = |v: &[f64]| v.iter().map(|&v| Complex64::from(v)).collect::<Vec<_>>();
            let expected = by_definition(&complex(&a), &complex(&b), shape, pixel);
            assert_eq!(got.correlation.len(), expected.len(), "{shape:?} {pixel:?}");
            for (k, (middle, correlation, samples)) in expected.into_iter().enumerate() {
                // Rounding of sums of a few hundred numbers of size 1.
                assert!((got.frequency_inverse_A[k] - middle).abs() < 1e-12);
                assert!((got.correlation[k] - correlation).abs() < 1e-9, "{shape:?} {pixel:?} ring {k}");
                // Each sample has a partner, or is its own: of these a plane has four at most, with that of its mean.
                let twice = 2.0 * got.samples[k];
                assert!(twice >= samples as f64 && twice <= samples as f64 + 3.0, "{shape:?} {pixel:?} ring {k}: {twice} of {samples}");
            }
        }
    }

    #[test]
    fn an_image_agrees_with_itself_in_every_ring_and_disagrees_with_its_negative() {
        let mut rng = fresh_rng();
        let shape = [37, 52];
        let a = noise(&mut rng, shape[0] * shape[1]);
        let lifted: Vec<f64> = a.iter().map(|v| 3.0 * v + 7.0).collect();
        let negative: Vec<f64> = a.iter().map(|v| -v).collect();
        for window in [Window::None, Window::Tukey, Window::Hann] {
            for (b, expected) in [(&a, 1.0), (&lifted, 1.0), (&negative, -1.0)] {
                let curve = frc_of_images(&a, b, shape, [0.3, 0.2], window).unwrap();
                // Rounding; a constant of 7 has to be taken away.
                assert!(curve.correlation.iter().all(|c| (c - expected).abs() < 1e-9), "{window:?} {expected}");
                if expected > 0.0 {
                    assert_eq!(curve.resolution_A(Threshold::HalfBit), None, "it never falls below");
                }
                assert_eq!(curve.resolution_A(Threshold::OneSeventh), None);
            }
        }
    }

    #[test]
    fn images_and_objects_of_independent_noise_correlate_as_much_as_their_samples_let_them() {
        let mut rng = fresh_rng();
        let shape = [96, 80];
        let n = shape[0] * shape[1];
        for window in [Window::None, Window::Tukey, Window::Hann] {
            let (mut scaled, mut rings) = (0.0, 0.0);
            for _ in 0..8 {
                let images = frc_of_images(&noise(&mut rng, n), &noise(&mut rng, n), shape, [1.0; 2], window).unwrap();
                let (a, b) = (complex_noise(&mut rng, n), complex_noise(&mut rng, n));
                let objects = correlate(&a, &b, shape, [1.0; 2], window, false).unwrap();
                for curve in [images, objects] {
                    for (c, n) in curve.correlation.iter().zip(&curve.samples).skip(4) {
                        // 3/√n is 4.2 standard deviations; 1200 draws pass 4.5 (3.2/√n) in one run of a hundred, 6 in none.
                        assert!(c.abs() < 4.3 / n.sqrt(), "{window:?}: {c} with {n} samples");
                        scaled += 2.0 * n * c * c;
                        rings += 1.0;
                    }
                }
            }
            // The mean of as many squares of standard deviation √2; neighbouring rings share some of it under a window.
            let tolerance = 5.0 * (4.0f64 / rings).sqrt();
            assert!((scaled / rings - 1.0).abs() < tolerance.max(0.1), "{window:?}: {}", scaled / rings);
        }
    }

    /// A real field whose power is `power` of the frequency in cycles a pixel.
    fn field(rng: &mut ChaCha8Rng, shape: [usize; 2], power: impl Fn(f64) -> f64) -> Vec<f64> {
        let white: Vec<Complex64> = noise(rng, shape[0] * shape[1]).into_iter().map(Complex64::from).collect();
        let mut spectrum = transformed(&white, shape, Direction::Forward).unwrap();
        for (at, v) in spectrum.iter_mut().enumerate() {
            let [qy, qx] = [(at / shape[1], shape[0]), (at % shape[1], shape[1])].map(|(k, n)| k.min(n - k) as f64 / n as f64);
            *v *= power(qy.hypot(qx)).sqrt();
        }
        transformed(&spectrum, shape, Direction::Inverse).unwrap().iter().map(|v| v.re).collect()
    }

    #[test]
    fn halves_of_known_signal_and_noise_follow_their_ratio_and_cross_where_it_says() {
        let mut rng = fresh_rng();
        let (shape, pixel) = ([256, 192], 0.25);
        // Power 100 at the centre, 1 at 0.25 cycles a pixel; noise has power 1.
        let signal_power = |q: f64| 100.0 * (-(q / 0.25).powi(2) * 100f64.ln()).exp();
        let signal = field(&mut rng, shape, signal_power);
        let halves: Vec<Vec<f64>> =
            (0..2).map(|_| noise(&mut rng, signal.len()).iter().zip(&signal).map(|(n, s)| n + s).collect()).collect();
        for window in [Window::None, Window::Tukey] {
            let curve = frc_of_images(&halves[0], &halves[1], shape, [pixel; 2], window).unwrap();
            for ((q, c), n) in curve.frequency_inverse_A.iter().zip(&curve.correlation).zip(&curve.samples).skip(3) {
                let s = signal_power(q * pixel);
                let rho = s / (s + 1.0);
                // Five standard deviations of a correlation, and the change of the ratio across a ring.
                let tolerance = 5.0 * (1.0 - rho * rho) / (2.0 * n).sqrt() + 0.02;
                assert!((c - rho).abs() < tolerance, "{window:?} at {q}: {c}, expected {rho}");
            }
            // S/(S+1) = 1/7 where S = 1/6. The slope there, d ln S/dq, is −2q·ln 100/0.25² = −40 a cycle: a deviation of 0.05 (some 200
            // independent samples) moves the crossing by 0.05/(40·6/49) = 0.01 of 0.295 cycles, and the first of several rings that dip below counts.
            let expected = 0.25 * (600f64.ln() / 100f64.ln()).sqrt();
            let crossing = pixel / curve.resolution_A(Threshold::OneSeventh).unwrap();
            assert!((crossing - expected).abs() < 0.03, "{window:?}: {crossing}, expected {expected}");
            let half_bit = pixel / curve.resolution_A(Threshold::HalfBit).unwrap();
            assert!(half_bit < crossing && half_bit > 0.24, "the half-bit threshold lies higher: {half_bit}");
        }
    }

    #[test]
    fn objects_are_compared_after_the_constant_and_the_ramp_between_them_are_removed() {
        let mut rng = fresh_rng();
        let shape = [64, 50];
        let phase = field(&mut rng, shape, |q| 20.0 * (-(q / 0.1).powi(2)).exp());
        let object: Vec<Complex64> = phase.iter().map(|&p| Complex64::cis(0.3 * p)).collect();
        let (constant, turns) = (rng.random_range(-3.0..3.0), [rng.random_range(-5.0..5.0), rng.random_range(-5.0..5.0)]);
        let ramp = |at: usize| turns[0] * (at / 50) as f64 / 64.0 + turns[1] * (at % 50) as f64 / 50.0;
        let other: Vec<Complex64> = object.iter().enumerate().map(|(at, o)| o * Complex64::cis(constant + TAU * ramp(at))).collect();
        let curve = frc_of_objects(&object, &other, shape, [1.0; 2], Window::Tukey).unwrap();
        // What Newton's method leaves of the ramp, 1e-10 turns, and rounding.
        assert!(curve.correlation.iter().all(|c| (c - 1.0).abs() < 1e-6), "{:?}", curve.correlation);
        let full = frc_of_images(&phase, &phase, shape, [1.0; 2], Window::Tukey).unwrap();
        assert!(curve.samples[5] > 1.9 * full.samples[5], "a complex spectrum has twice as many independent samples");
    }

    #[test]
    fn the_resolution_is_the_first_crossing_between_rings() {
        let curve = |correlation: &[f64]| Frc {
            frequency_inverse_A: (1..=correlation.len()).map(|k| 0.1 * k as f64).collect(),
            correlation: correlation.to_vec(),
            samples: vec![1e12; correlation.len()],
        };
        // With so many samples half a bit is 0.2071/1.2071.
        let half_bit = 0.2071 / 1.2071;
        let close = |a: Option<f64>, b: f64| (a.unwrap() - b).abs() < 1e-5 * b;
        assert!(close(curve(&[1.0, half_bit + 0.3, half_bit - 0.1, 1.0, 0.0]).resolution_A(Threshold::HalfBit), 1.0 / 0.275));
        assert!(close(curve(&[1.0, 1.0 / 7.0 + 0.1, 1.0 / 7.0 - 0.3]).resolution_A(Threshold::OneSeventh), 1.0 / 0.225));
        for never in [&[0.1, 0.9, 0.1][..], &[0.9, 0.8, 0.7], &[]] {
            assert_eq!(curve(never).resolution_A(Threshold::HalfBit), None);
        }
        // The published formula at n = 1 and n = 100.
        assert!((Threshold::HalfBit.at(1.0) - 1.0).abs() < 1e-12);
        assert!((Threshold::HalfBit.at(100.0) - 0.39812 / 1.29812).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_number_is_refused_with_its_pixel() {
        let (mut image, shape) = (vec![1.0; 12], [3, 4]);
        image[6] = f64::NAN;
        let message = frc_of_images(&[1.0; 12], &image, shape, [1.0; 2], Window::Tukey).unwrap_err().to_string();
        assert!(message.contains("second") && message.contains("(1, 2)"), "{message}");
    }

    proptest! {
        #[test]
        fn a_curve_of_any_images_is_within_its_bounds(ny in 1usize..12, nx in 1usize..12, seed: u64, flat: bool) {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let a = noise(rng, ny * nx);
            let b = if flat { vec![4.0; ny * nx] } else { noise(rng, ny * nx) };
            for window in [Window::None, Window::Tukey, Window::Hann] {
                let curve = frc_of_images(&a, &b, [ny, nx], [0.5, 0.7], window).unwrap();
                prop_assert!(curve.correlation.iter().all(|c| c.abs() <= 1.0 + 1e-12));
                prop_assert!(curve.samples.iter().all(|n| *n > 0.0));
                prop_assert_eq!(curve.correlation.len(), curve.samples.len());
            }
        }
    }
}
