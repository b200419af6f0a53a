//! The finest lattice planes that an image shows.

use num_complex::Complex64;

use super::Result;
use super::difference::without_plane;
use super::frc::{Window, check, spectrum};
use crate::optics::fft_index;

/// The least ratio of a spot's amplitude to that of the noise around it.
pub const LEAST_SNR: f64 = 3.0;
/// Images of noise alone in which a spot is found, as a part of all.
const FALSE_ALARMS: f64 = 0.01;
/// The ring around a spot, in Fourier pixels from it: a spot under Hann's window reaches 2 pixels far.
const RING: [f64; 2] = [4.0, 12.0];
/// The ring of its frequency, in Fourier pixels from it: inwards, for beyond an edge of what was transferred there is no noise to be told from.
const INWARDS: [f64; 2] = [-3.0, 0.5];
/// Fourier pixels about the middle that no spot lies in: what is wider than an eighth of the image is no lattice.
const MIDDLE: f64 = 8.0;
/// The first Fourier pixel beyond a spot under Hann's window.
const NEAREST_LOBE: i64 = 3;
/// How much of a power's variance a sample of the plane shares with all under Hann's window: (1 + 2·(2/3)² + 2·(1/6)²)², the transform of its square.
const SHARED: f64 = 3.78;
/// n exponential powers tell their scale by their median as well as n/2.08 do by their mean: 1/ln²2.
const MEDIAN: f64 = 2.08;

/// A Bragg spot of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    /// The spacing of its planes.
    pub spacing_A: f64,
    /// (y, x) in 1/Å, its partner lies opposite.
    pub frequency_inverse_A: [f64; 2],
    pub snr: f64,
}

/// The Bragg spot of the highest frequency in an image (y, x) with pixels of `pixel_A` (y, x).
///
/// A spot is a local maximum of the power |F|² of the image, less its plane and under Hann's window, up to the lower of the axes' Nyquist frequencies, whose SNR = |F|/√N is above
/// [`LEAST_SNR`]. N is the mean power of the noise, of two estimates the larger: from the ring 4 to 12 Fourier pixels around the spot, and from all samples of its frequency (3 pixels inwards to half a
/// pixel outwards), where images fade alike. Each is the median of the powers over ln 2, for powers of noise fall off exponentially, and other spots do not count. Besides, a spot has to be so strong
/// that noise alone has one in an image of a hundred at most: of M samples one reaches t times its estimated mean by chance M·(1 + t/k)^−k times, if k independent samples told it, which for many is M·e^−t.
/// And it has to be above three times what the samples of its row and column, d pixels off, can leave there through the window's side lobes, Σ|F|/(d³ − d): those of Hann's window and of a ramp under it.
///
/// The spot lies between pixels where a parabola through the logarithms of the powers is highest. `None` where there is no spot, or fewer than 24 pixels along a side.
///
/// # Errors
/// Where the image holds NaN or infinity.
///
/// # Panics
/// If the image does not have the shape's length.
pub fn highest_bragg_spot(image: &[f64], shape: [usize; 2], pixel_A: [f64; 2]) -> Result<Option<Spot>> {
    let complex = |values: Vec<f64>| values.into_iter().map(Complex64::from).collect::<Vec<_>>();
    let image = complex(image.to_vec());
    check(&image, &image, shape)?;
    if shape.iter().any(|&n| (n as f64) < 2.0 * RING[1]) {
        return Ok(None);
    }
    let flat = complex(without_plane(&image.iter().map(|v| v.re).collect::<Vec<_>>(), shape));
    let plane = Powers { values: spectrum(&flat, shape, Window::Hann)?.iter().map(Complex64::norm_sqr).collect(), shape, pixel_A };
    let mut maxima: Vec<usize> = (0..plane.values.len()).filter(|&at| plane.may_be_spot(at)).collect();
    let searched = 0.5 * plane.values.len() as f64;
    maxima.sort_by(|&i, &j| plane.frequency(j).total_cmp(&plane.frequency(i)));
    Ok(maxima.into_iter().find_map(|at| {
        let stands_out = |noise: &Noise| {
            let by_chance = noise.samples * ((searched / FALSE_ALARMS).powf(1.0 / noise.samples) - 1.0);
            plane.values[at] > by_chance.max(LEAST_SNR * LEAST_SNR) * noise.power
        };
        // What is around is soon looked at, and few maxima stand out of it.
        let around = Some(plane.noise_around(at)).filter(stands_out)?;
        let of_frequency = Some(plane.noise_of_frequency(at)).filter(stands_out)?;
        if plane.values[at].sqrt() <= LEAST_SNR * plane.leaked(at) {
            return None;
        }
        let frequency_inverse_A = plane.between_pixels(at);
        let noise = around.power.max(of_frequency.power);
        let spacing_A = 1.0 / frequency_inverse_A[0].hypot(frequency_inverse_A[1]);
        Some(Spot { spacing_A, frequency_inverse_A, snr: (plane.values[at] / noise).sqrt() })
    }))
}

/// What is known of the noise's power.
struct Noise {
    power: f64,
    /// Independent exponential samples whose mean would tell as much.
    samples: f64,
}

impl Noise {
    fn of(mut powers: Vec<f64>) -> Self {
        let middle = powers.len() / 2;
        let count = powers.len() as f64;
        let median = if powers.is_empty() { 0.0 } else { *powers.select_nth_unstable_by(middle, f64::total_cmp).1 };
        Self { power: median / std::f64::consts::LN_2, samples: (count / (SHARED * MEDIAN)).max(1.0) }
    }
}

/// The powers of an image's Fourier samples.
struct Powers {
    values: Vec<f64>,
    shape: [usize; 2],
    pixel_A: [f64; 2],
}

impl Powers {
    fn signed(&self, at: usize) -> [f64; 2] {
        [fft_index(at / self.shape[1], self.shape[0]), fft_index(at % self.shape[1], self.shape[1])]
    }

    /// A Fourier pixel in 1/Å.
    fn pixel(&self, axis: usize) -> f64 {
        1.0 / (self.shape[axis] as f64 * self.pixel_A[axis])
    }

    fn frequency(&self, at: usize) -> f64 {
        let [ky, kx] = self.signed(at);
        (ky * self.pixel(0)).hypot(kx * self.pixel(1))
    }

    fn beside(&self, at: usize, [dy, dx]: [i64; 2]) -> usize {
        let place = [(at / self.shape[1], dy), (at % self.shape[1], dx)];
        let [y, x] = [0, 1].map(|a| (place[a].0 as i64 + place[a].1).rem_euclid(self.shape[a] as i64) as usize);
        y * self.shape[1] + x
    }

    /// A local maximum off the middle, and of two partners the one above.
    fn may_be_spot(&self, at: usize) -> bool {
        let [ky, kx] = self.signed(at);
        let is_first = ky > 0.0 || (ky == 0.0 && kx > 0.0);
        let is_resolved = self.frequency(at) < 0.5 / self.pixel_A[0].max(self.pixel_A[1]);
        let around = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| [dy, dx])).filter(|d| *d != [0, 0]);
        is_first
            && is_resolved
            && ky.hypot(kx) >= MIDDLE
            && around.map(|d| self.beside(at, d)).all(|near| self.values[near] < self.values[at])
    }

    fn noise_around(&self, at: usize) -> Noise {
        let reach = RING[1] as i64;
        let places = (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| [dy, dx]));
        let in_ring = places.filter(|[dy, dx]| (RING[0]..=RING[1]).contains(&(*dy as f64).hypot(*dx as f64)));
        Noise::of(in_ring.map(|d| self.values[self.beside(at, d)]).collect())
    }

    fn noise_of_frequency(&self, at: usize) -> Noise {
        let [from, to] = INWARDS.map(|pixels| self.frequency(at) + pixels * self.pixel(0).max(self.pixel(1)));
        let in_ring = |other: &usize| self.signed(*other)[0] >= 0.0 && (from..=to).contains(&self.frequency(*other));
        Noise::of((0..self.values.len()).filter(in_ring).map(|other| self.values[other]).collect())
    }

    /// The most amplitude that all samples of its row and its column can leave at a sample, through the window's side lobes: where there is hardly any noise they stand out of it.
    fn leaked(&self, at: usize) -> f64 {
        let along = |axis: usize| {
            let half = (self.shape[axis] as i64 - 1) / 2;
            let lobe = |d: i64| {
                let far = d.unsigned_abs() as f64;
                let from = self.values[self.beside(at, if axis == 0 { [d, 0] } else { [0, d] })];
                from.sqrt() / (far * (far * far - 1.0))
            };
            (-half..=half).filter(|d| d.abs() >= NEAREST_LOBE).map(lobe).sum::<f64>()
        };
        along(0) + along(1)
    }

    /// The frequency (y, x) of the maximum at and between pixels.
    fn between_pixels(&self, at: usize) -> [f64; 2] {
        let here = self.values[at].ln();
        [0, 1].map(|axis| {
            let neighbour = |by: i64| self.values[self.beside(at, if axis == 0 { [by, 0] } else { [0, by] })].ln();
            let (before, after) = (neighbour(-1), neighbour(1));
            let bend = before - 2.0 * here + after;
            let off = if bend < 0.0 && bend.is_finite() { (0.5 * (before - after) / bend).clamp(-0.5, 0.5) } else { 0.0 };
            (self.signed(at)[axis] + off) * self.pixel(axis)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

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

    #[test]
    fn the_highest_spot_of_a_lattice_in_noise_has_its_spacing_and_its_snr() {
        let mut rng = fresh_rng();
        let mut by_chance = 0;
        let mut ratios = Vec::new();
        for _ in 0..12 {
            let (shape, pixel) = ([rng.random_range(80..120), rng.random_range(80..120)], [0.25, 0.2]);
            let angle: f64 = rng.random_range(0.0..TAU);
            let [low, high] = [rng.random_range(0.5..0.8), rng.random_range(1.2..1.5)];
            let along = |q: f64, at: usize| {
                let [y, x] = [(at / shape[1]) as f64 * pixel[0], (at % shape[1]) as f64 * pixel[1]];
                (TAU * q * (y * angle.sin() + x * angle.cos()) + 0.3).cos()
            };
            // Σw²·A²/4·n over 1: Hann's window in two dimensions, (3/8)² of its power against (1/4)² of a spot's.
            let n = (shape[0] * shape[1]) as f64;
            let amplitude = 0.5;
            let snr = amplitude / 2.0 * (n * (1.0f64 / 4.0).powi(2) / (3.0f64 / 8.0).powi(2)).sqrt();
            let white = noise(&mut rng, shape[0] * shape[1]);
            let image: Vec<f64> = (0..white.len()).map(|at| 2.0 * along(low, at) + amplitude * along(high, at) + white[at]).collect();
            let spot = highest_bragg_spot(&image, shape, pixel).unwrap().unwrap();
            if 1.0 / spot.spacing_A > high + 0.2 * 0.06 {
                // Noise alone has a spot in one image of a hundred.
                by_chance += 1;
                continue;
            }
            // A hundredth of a Fourier pixel of 0.05 /Å by the parabola, and of noise as much as 1/SNR of one.
            let off = (1.0 / spot.spacing_A - high).abs();
            assert!(off < 0.2 * 0.06, "{} for {}", spot.spacing_A, 1.0 / high);
            // Between pixels a spot has 0.72 of its amplitude at least; noise adds 1, and is known to an eighth.
            assert!(spot.snr > 0.4 * snr && spot.snr < 1.3 * snr + 2.0, "{} for {snr}", spot.snr);
            ratios.push(spot.snr / snr);
            let direction = spot.frequency_inverse_A[0] * angle.sin() + spot.frequency_inverse_A[1] * angle.cos();
            assert!((direction.abs() * spot.spacing_A - 1.0).abs() < 1e-3, "{spot:?} along {angle}");
        }
        // Binomial: more than three of twelve once in 2e5 runs.
        assert!(by_chance <= 3, "{by_chance} of 12");
        // On the mean it loses a seventh between pixels: 0.86 ± 0.08/√9.
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        assert!((0.7..1.02).contains(&mean), "{mean}");
    }

    #[test]
    fn noise_alone_white_or_limited_in_frequency_has_a_spot_in_one_image_of_a_hundred_at_most() {
        let mut rng = fresh_rng();
        let shape = [64, 72];
        let mut found = [0; 2];
        let images = 150;
        for _ in 0..images {
            let white = noise(&mut rng, shape[0] * shape[1]);
            // What a lens lets pass: nothing beyond 0.3 cycles a pixel.
            let complex: Vec<Complex64> = white.iter().map(|&v| v.into()).collect();
            let mut limited = crate::compute::cpu::transformed(&complex, shape, crate::compute::Direction::Forward).unwrap();
            for (at, v) in limited.iter_mut().enumerate() {
                let [qy, qx] = [(at / shape[1], shape[0]), (at % shape[1], shape[1])].map(|(k, n)| fft_index(k, n) / n as f64);
                *v *= if qy.hypot(qx) < 0.3 { 1.0 } else { 1e-6 };
            }
            let limited = crate::compute::cpu::transformed(&limited, shape, crate::compute::Direction::Inverse).unwrap();
            for (count, image) in found.iter_mut().zip([white, limited.iter().map(|v| v.re).collect()]) {
                *count += usize::from(highest_bragg_spot(&image, shape, [1.0; 2]).unwrap().is_some());
            }
        }
        println!("{found:?} of {images}");
        // 1.5 are expected at most; 8 come in less than one run of 5000.
        assert!(found.iter().all(|&n| n < 8), "{found:?} of {images}");
    }

    #[test]
    fn small_and_even_images_have_no_spot_and_no_number_is_refused() {
        assert_eq!(highest_bragg_spot(&[1.0; 100], [10, 10], [1.0; 2]).unwrap(), None);
        assert_eq!(highest_bragg_spot(&[1.0; 900], [30, 30], [1.0; 2]).unwrap(), None);
        let mut image = vec![0.0; 900];
        image[31] = f64::NAN;
        assert!(highest_bragg_spot(&image, [30, 30], [1.0; 2]).unwrap_err().to_string().contains("(1, 1)"));
    }
}
