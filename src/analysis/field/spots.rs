//! The Fourier transform of an image: its spots, what they are worth against the noise, and diffraction of a chosen region.

use std::f64::consts::{PI, TAU};

use num_complex::Complex64;

use super::super::Window;
use super::{Error, Measured, Noise, Picture, Result};
use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::optics::fft_index;

/// Rounds of Newton's method at most, and the step in Fourier pixels at which it ends.
const ROUNDS: usize = 20;
const SMALL: f64 = 1e-6;
/// Its longest step in Fourier pixels.
const LONGEST: f64 = 0.3;
/// No more spots than this are listed.
const MOST: usize = 80;
/// Spots nearer to one direction than this do not span a plane.
const COLLINEAR_DEG: f64 = 15.0;
/// A spot within this of whole indices bears them.
const WHOLE: f64 = 0.08;

/// A spot of the Fourier transform.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bragg {
    /// (y, x).
    pub q_inverse_A: [f64; 2],
    pub q_se_inverse_A: [f64; 2],
    /// 1/|q|. Its error is the noise's; that of the pixel size comes on top of it.
    pub d_A: Measured,
    /// From +x towards +y.
    pub angle_deg: Measured,
    /// Of the wave a·cos(2πq·r + phase) in the image.
    pub amplitude: Measured,
    /// With the middle of pixel (0, 0) as origin.
    pub phase_rad: f64,
    /// |F| over the root of the noise's power in the spot's ring; noise alone exceeds 3 once in 8000 samples, 5 never.
    pub snr: f64,
    /// Its indices on the basis of [`Spectrum::basis`]: whole ones where they are within 0.08, fractions else (superlattices); NaN without
    /// a basis.
    pub hk: [f64; 2],
}

/// The Fourier transform of an image or a part of it under Hann's window, with its noise.
#[derive(Debug, Clone)]
pub struct Spectrum {
    /// The image less its mean, times the window.
    image: Vec<f64>,
    values: Vec<Complex64>,
    shape: [usize; 2],
    pixel_A: [f64; 2],
    /// The first pixel (y, x) in the picture.
    first: [usize; 2],
    noise: Noise,
    /// Σw, Σw², and along each axis in Å² ⟨x²⟩ under w and under w².
    sum: f64,
    squares: f64,
    spread_A2: [f64; 2],
    spread_of_squares_A2: [f64; 2],
}

/// A point of the transform with its derivatives, Σ i·w·e^{−2πi q·r} and its moments.
struct Point {
    value: Complex64,
    slope: [Complex64; 2],
    /// yy, yx, xx.
    bend: [Complex64; 3],
}

impl Spectrum {
    /// # Errors
    /// If there is no room.
    pub fn of(picture: &Picture<'_>) -> Result<Self> {
        Self::of_region(picture, [0, picture.shape[0], 0, picture.shape[1]])
    }

    /// Of the pixels [first y, end y, first x, end x].
    ///
    /// # Errors
    /// If the region lies outside of the image or is too small.
    pub fn of_region(picture: &Picture<'_>, [y0, y1, x0, x1]: [usize; 4]) -> Result<Self> {
        if y0 >= y1 || x0 >= x1 || y1 > picture.shape[0] || x1 > picture.shape[1] {
            return Err(Error::Number {
                what: "the region [first y, end y, first x, end x]",
                value: format!("{:?}", [y0, y1, x0, x1]),
                expected: "pixels within the image",
            });
        }
        let part: Vec<f64> =
            picture.values.chunks_exact(picture.shape[1]).take(y1).skip(y0).flat_map(|row| &row[x0..x1]).copied().collect();
        let part = Picture::new(&part, [y1 - y0, x1 - x0], picture.pixel_A)?;
        let shape = part.shape;
        let weights = shape.map(|n| Window::Hann.weights(n));
        let sums = [0, 1].map(|axis| weights[axis].iter().sum::<f64>());
        let squares = [0, 1].map(|axis| weights[axis].iter().map(|w| w * w).sum::<f64>());
        let spread = |power: i32| {
            [0, 1].map(|axis| {
                let middle = (shape[axis] - 1) as f64 / 2.0;
                let moment = |k: i32| -> f64 {
                    weights[axis].iter().enumerate().map(|(i, w)| w.powi(power) * ((i as f64 - middle) * part.pixel_A[axis]).powi(k)).sum()
                };
                moment(2) / moment(0)
            })
        };
        let mean = {
            let weighted: f64 =
                part.values.iter().enumerate().map(|(at, v)| v * weights[0][at / shape[1]] * weights[1][at % shape[1]]).sum();
            weighted / (sums[0] * sums[1])
        };
        let image: Vec<f64> =
            part.values.iter().enumerate().map(|(at, v)| (v - mean) * weights[0][at / shape[1]] * weights[1][at % shape[1]]).collect();
        let complex: Vec<Complex64> = image.iter().map(|&v| v.into()).collect();
        let values = transformed(&complex, shape, Direction::Forward)?;
        Ok(Self {
            noise: Noise::of(&part)?,
            image,
            values,
            shape,
            pixel_A: part.pixel_A,
            first: [y0, x0],
            sum: sums[0] * sums[1],
            squares: squares[0] * squares[1],
            spread_A2: spread(1),
            spread_of_squares_A2: spread(2),
        })
    }

    /// The image's noise.
    pub fn noise(&self) -> &Noise {
        &self.noise
    }

    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// |F|² for each pixel, zero frequency at (n/2, n/2), so scaled that a wave a·cos(2πq·r) has a² at q: what a diffraction pattern of the region would show.
    pub fn centred_power(&self) -> Vec<f64> {
        // The transform is unitary.
        let scale = self.values.len() as f64 * (2.0 / self.sum).powi(2);
        let mut power = vec![0.0; self.values.len()];
        for (at, value) in self.values.iter().enumerate() {
            let [y, x] = [0, 1].map(|axis| ([at / self.shape[1], at % self.shape[1]][axis] + self.shape[axis] / 2) % self.shape[axis]);
            power[y * self.shape[1] + x] = scale * value.norm_sqr();
        }
        power
    }

    /// The size of a pixel (y, x).
    pub fn pixel_inverse_A(&self) -> [f64; 2] {
        [0, 1].map(|axis| 1.0 / (self.shape[axis] as f64 * self.pixel_A[axis]))
    }

    /// The power of the noise in |Σ i·w·e^{…}|².
    fn floor(&self, q: [f64; 2]) -> f64 {
        self.noise.density(q[0].hypot(q[1])) * self.squares
    }

    fn point(&self, q: [f64; 2]) -> Point {
        // Places from the middle keep the derivatives small.
        let factors = |axis: usize| {
            let middle = (self.shape[axis] - 1) as f64 / 2.0;
            (0..self.shape[axis]).map(move |i| {
                let place = (i as f64 - middle) * self.pixel_A[axis];
                (Complex64::new(0.0, -TAU * place), Complex64::cis(-TAU * q[axis] * place))
            })
        };
        let along: Vec<(Complex64, Complex64)> = factors(1).collect();
        let mut point = Point { value: Complex64::ZERO, slope: [Complex64::ZERO; 2], bend: [Complex64::ZERO; 3] };
        for (row, (by, wave)) in self.image.chunks_exact(self.shape[1]).zip(factors(0)) {
            let mut sums = [Complex64::ZERO; 3];
            for (value, (bx, wave)) in row.iter().zip(&along) {
                let term = wave * value;
                sums[0] += term;
                sums[1] += term * bx;
                sums[2] += term * bx * bx;
            }
            let [here, once, twice] = sums.map(|s| s * wave);
            point.value += here;
            point.slope[0] += here * by;
            point.slope[1] += once;
            point.bend[0] += here * by * by;
            point.bend[1] += once * by;
            point.bend[2] += twice;
        }
        point
    }

    /// Climbs |F|² from `start`; `None` where no maximum is within two Fourier pixels.
    fn climb(&self, start: [f64; 2]) -> Option<([f64; 2], Complex64)> {
        let unit = self.pixel_inverse_A();
        let mut q = start;
        for _ in 0..ROUNDS {
            let Point { value, slope, bend } = self.point(q);
            let [gy, gx] = slope.map(|s| (value.conj() * s).re);
            let pairs = [slope[0].conj() * slope[0], slope[0].conj() * slope[1], slope[1].conj() * slope[1]];
            let [yy, yx, xx] = [0, 1, 2].map(|k| (value.conj() * bend[k] + pairs[k]).re);
            let determinant = yy * xx - yx * yx;
            // Half a Fourier pixel from a maximum |F|² is hardly concave: steps are short, and uphill where it is not.
            let longest = unit.map(|u| LONGEST * u);
            let step = match yy < 0.0 && determinant > 0.0 {
                true => [(yx * gx - xx * gy) / determinant, (yx * gy - yy * gx) / determinant],
                false => [longest[0].copysign(gy), longest[1].copysign(gx)],
            };
            q = [0, 1].map(|a| q[a] + step[a].clamp(-longest[a], longest[a]));
            if (0..2).any(|a| (q[a] - start[a]).abs() > 2.0 * unit[a]) {
                return None;
            }
            if (0..2).all(|a| step[a].abs() < SMALL * unit[a]) {
                break;
            }
        }
        Some((q, self.point(q).value))
    }

    fn bragg(&self, q: [f64; 2], value: Complex64) -> Bragg {
        let floor = self.floor(q).max(f64::MIN_POSITIVE);
        let snr = value.norm() / floor.sqrt();
        // Where |F|² has its maximum: ⟨x²⟩_{w²} / (2·snr²·(2π)²·⟨x²⟩_w²) of variance.
        let se = [0, 1].map(|a| (self.spread_of_squares_A2[a] / 2.0).sqrt() / (snr * TAU * self.spread_A2[a]));
        let length = q[0].hypot(q[1]);
        let along = ((q[0] * se[0]).powi(2) + (q[1] * se[1]).powi(2)).sqrt() / length;
        let across = ((q[1] * se[0]).powi(2) + (q[0] * se[1]).powi(2)).sqrt() / length;
        let origin: f64 = (0..2).map(|a| q[a] * ((self.shape[a] - 1) as f64 / 2.0 + self.first[a] as f64) * self.pixel_A[a]).sum();
        let phase = (value * Complex64::cis(-TAU * origin)).arg();
        Bragg {
            q_inverse_A: q,
            q_se_inverse_A: se,
            d_A: Measured::new(1.0 / length, along / (length * length)),
            angle_deg: Measured::new(q[0].atan2(q[1]).to_degrees(), (across / length).to_degrees()),
            amplitude: Measured::new(2.0 * value.norm() / self.sum, (2.0 * floor).sqrt() / self.sum),
            phase_rad: phase,
            snr,
            hk: [f64::NAN; 2],
        }
    }

    /// What lies at a spatial frequency (y, x), whether there is a spot or not: superlattices are looked for so.
    pub fn at(&self, q_inverse_A: [f64; 2]) -> Bragg {
        self.bragg(q_inverse_A, self.point(q_inverse_A).value)
    }

    /// The strongest spot, refined below a Fourier pixel, within `reach_inverse_A` of a spatial frequency (y, x).
    pub fn near(&self, q_inverse_A: [f64; 2], reach_inverse_A: f64) -> Option<Bragg> {
        let unit = self.pixel_inverse_A();
        let mut best: Option<([f64; 2], f64)> = None;
        for at in 0..self.values.len() {
            let q = self.frequency(at);
            if (q[0] - q_inverse_A[0]).hypot(q[1] - q_inverse_A[1]) <= reach_inverse_A.max(unit[0].max(unit[1])) {
                let power = self.values[at].norm_sqr();
                if best.is_none_or(|b| power > b.1) {
                    best = Some((q, power));
                }
            }
        }
        let (q, value) = self.climb(best?.0)?;
        Some(self.bragg(q, value))
    }

    fn frequency(&self, at: usize) -> [f64; 2] {
        let unit = self.pixel_inverse_A();
        [0, 1].map(|axis| fft_index([at / self.shape[1], at % self.shape[1]][axis], self.shape[axis]) * unit[axis])
    }

    /// Every spot of at least this signal to noise (5 is safe), one of each pair ±q, the strongest first; no more than 80.
    pub fn spots(&self, least_snr: f64) -> Vec<Bragg> {
        let scale = (self.shape[0] * self.shape[1]) as f64;
        let power = |y: i64, x: i64| {
            let [y, x] = [(y, 0), (x, 1)].map(|(k, axis)| k.rem_euclid(self.shape[axis] as i64) as usize);
            self.values[y * self.shape[1] + x].norm_sqr()
        };
        let unit = self.pixel_inverse_A();
        let mut found: Vec<Bragg> = Vec::new();
        let mut places: Vec<(f64, [f64; 2])> = (0..self.values.len())
            .filter_map(|at| {
                let q = self.frequency(at);
                let (y, x) = ((at / self.shape[1]) as i64, (at % self.shape[1]) as i64);
                // One half of the plane, without what the window makes of the mean.
                let upper = q[0] > 0.0 || (q[0] == 0.0 && q[1] > 0.0);
                let inner = (q[0] / unit[0]).hypot(q[1] / unit[1]) < 2.5;
                let here = power(y, x);
                let strong = here * scale > 0.5 * least_snr * least_snr * self.floor(q);
                let highest = (-1..=1).all(|j| (-1..=1).all(|i| power(y + j, x + i) <= here));
                (upper && !inner && strong && highest).then_some((here, q))
            })
            .collect();
        places.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, q) in places.into_iter().take(2 * MOST) {
            let Some((q, value)) = self.climb(q) else { continue };
            let spot = self.bragg(q, value);
            let near = |s: &Bragg| (0..2).all(|a| (s.q_inverse_A[a] - q[a]).abs() < unit[a]);
            if spot.snr >= least_snr && !found.iter().any(near) {
                found.push(spot);
            }
        }
        found.sort_by(|a, b| b.amplitude.value.total_cmp(&a.amplitude.value));
        found.truncate(MOST);
        if let Some(basis) = Self::basis(&found) {
            found.iter_mut().for_each(|spot| spot.hk = indices(spot.q_inverse_A, basis));
        }
        found
    }

    /// The two strongest spots that span the plane.
    pub fn basis(spots: &[Bragg]) -> Option<[[f64; 2]; 2]> {
        let first = spots.first()?.q_inverse_A;
        let sine = |q: [f64; 2]| (first[0] * q[1] - first[1] * q[0]).abs() / (first[0].hypot(first[1]) * q[0].hypot(q[1]));
        let second = spots.iter().map(|s| s.q_inverse_A).find(|&q| sine(q) > COLLINEAR_DEG.to_radians().sin())?;
        Some([first, second])
    }
}

/// The indices of q on a basis; near whole ones, those.
fn indices(q: [f64; 2], [a, b]: [[f64; 2]; 2]) -> [f64; 2] {
    let determinant = a[0] * b[1] - a[1] * b[0];
    let hk = [(q[0] * b[1] - q[1] * b[0]) / determinant, (a[0] * q[1] - a[1] * q[0]) / determinant];
    match hk.iter().all(|h| (h - h.round()).abs() < WHOLE) {
        // No negative zeros.
        true => hk.map(|h| h.round() + 0.0),
        false => hk,
    }
}

/// An angle between −90° and 90° of a direction without a sense.
pub(super) fn undirected(angle: f64) -> f64 {
    let angle = angle.rem_euclid(PI);
    if angle > PI / 2.0 { angle - PI } else { angle }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::super::testing::{fresh_rng, smoothed_noise};
    use super::*;

    #[test]
    fn spots_of_waves_in_correlated_noise_are_found_within_their_errors_and_bear_their_indices() {
        let mut rng = fresh_rng();
        let (shape, pixel) = ([240, 290], [0.3, 0.25]);
        let basis = [[rng.random_range(0.18..0.2), rng.random_range(-0.02..0.02)], [rng.random_range(0.05..0.07), 0.385]];
        // h, k, amplitude: the last one a third of the way.
        let waves = [(1.0, 0.0, 1.0), (0.0, 1.0, 0.8), (1.0, 1.0, 0.4), (2.0, 0.0, 0.3), (0.0, 1.0 / 3.0, 0.35)];
        let phases: Vec<f64> = waves.iter().map(|_| rng.random_range(-3.0..3.0)).collect();
        let at = |h: f64, k: f64| [0, 1].map(|a| h * basis[0][a] + k * basis[1][a]);
        let mut image = smoothed_noise(&mut rng, shape, pixel, 1.5, 0.3);
        for (place, value) in image.iter_mut().enumerate() {
            let (y, x) = ((place / shape[1]) as f64 * pixel[0], (place % shape[1]) as f64 * pixel[1]);
            for (&(h, k, a), phase) in waves.iter().zip(&phases) {
                let q = at(h, k);
                *value += a * (TAU * (q[0] * y + q[1] * x) + phase).cos();
            }
        }
        let picture = Picture::new(&image, shape, pixel).unwrap();
        let spectrum = Spectrum::of(&picture).unwrap();
        let spots = spectrum.spots(6.0);
        assert_eq!(spots.len(), waves.len(), "{spots:?}");
        for (&(h, k, a), phase) in waves.iter().zip(&phases) {
            let q = at(h, k);
            let sign = if q[0] < 0.0 { -1.0 } else { 1.0 };
            let close = |s: &&Bragg| (0..2).all(|i| (s.q_inverse_A[i] - sign * q[i]).abs() < 0.006);
            let spot = spots.iter().find(close).unwrap();
            // Five errors, which are known to a third, beside a hundredth of a Fourier pixel that neighbouring spots draw each other.
            (0..2).for_each(|i| {
                let off = (spot.q_inverse_A[i] - sign * q[i]).abs();
                assert!(off < 6.5 * spot.q_se_inverse_A[i] + 3e-4, "({h}, {k}): {off} of {}", spot.q_se_inverse_A[i]);
            });
            assert!((spot.d_A.value - 1.0 / q[0].hypot(q[1])).abs() < 6.5 * spot.d_A.se + 3e-3, "{spot:?}");
            assert!((spot.amplitude.value - a).abs() < 6.5 * spot.amplitude.se, "({h}, {k}): {spot:?}");
            assert!((spot.phase_rad - sign * phase).sin().abs() < 0.6, "({h}, {k}): {spot:?}");
            assert!((0..2).all(|i| (spot.hk[i] - sign * [h, k][i]).abs() < 0.05), "({h}, {k}): {spot:?}");
        }
        let nothing = spectrum.at([0.3, 0.3]);
        assert!(nothing.snr < 4.0, "{nothing:?}");
    }

    #[test]
    fn a_regions_diffraction_has_its_spot_where_the_wave_is_and_noise_alone_has_none() {
        let mut rng = fresh_rng();
        let (shape, pixel) = ([100, 120], [0.3, 0.3]);
        let mut image = smoothed_noise(&mut rng, shape, pixel, 0.4, 0.3);
        assert!(Spectrum::of(&Picture::new(&image, shape, pixel).unwrap()).unwrap().spots(6.0).is_empty());
        // A wave in the left half only.
        for (at, value) in image.iter_mut().enumerate().filter(|(at, _)| at % shape[1] < 60) {
            *value += (TAU * ((at / shape[1]) as f64 * 10.0 / 50.0)).cos();
        }
        let picture = Picture::new(&image, shape, pixel).unwrap();
        let [left, right] = [[0, 50, 0, 60], [50, 100, 60, 120]].map(|region| Spectrum::of_region(&picture, region).unwrap());
        assert_eq!((left.shape(), left.pixel_inverse_A()[0]), ([50, 60], 1.0 / 15.0));
        let place = (25 + 10) * 60 + 30;
        let [left, right] = [left, right].map(|spectrum| spectrum.centred_power());
        assert!(left[place] > 0.99 * left.iter().copied().fold(0.0, f64::max) && left[place] > 100.0 * right[place]);
        // The wave's amplitude is 1, but for what the noise of 0.3 rad adds.
        assert!((left[place] - 1.0).abs() < 0.2, "{}", left[place]);
        let refused = Spectrum::of_region(&picture, [0, 101, 0, 60]).unwrap_err().to_string();
        assert!(refused.contains("within the image"), "{refused}");
    }
}
