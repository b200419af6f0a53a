//! Two images of the same thing brought into the same place and phase.

use std::f64::consts::{PI, TAU};

use num_complex::Complex64;

use super::Result;
use super::frc::{Window, check, spectrum};
use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::optics::fft_index;

/// Rounds of Newton's method at most, and the step in pixels at which it ends.
const ROUNDS: usize = 20;
const SMALL: f64 = 1e-10;
/// Rounds at most in which an image is moved and measured again, and the rest in pixels at which they end.
const MOVES: usize = 10;
const REST: f64 = 1e-4;

/// How far image `b` (y, x) lies from image `a` in pixels (y, x), b(r) ≈ a(r − s), looked for up to `reach_px` along either axis: less than half a
/// lattice period where there is a lattice, or another cell may be found.
///
/// The peak is found by phase correlation (C. D. Kuglin and D. C. Hines, Proc. IEEE Conf. Cybernetics and Society (1975) 163) with half of its whitening,
/// A*B/√|A*B|: whitened wholly, the many samples of noise alone would count as much as those of the image. From there Newton's method climbs the Fourier series of
/// A*B·√|A*B|, where noise counts little and which is not bound to pixels. The window does not move with the image
/// and draws the peak towards 0, so the image is moved back by what was found and measured again until nothing is left. Of complex objects the constant phase and
/// the ramp between them have to be removed before, by [`without_ramp`].
///
/// # Errors
/// Where an image holds NaN or infinity.
///
/// # Panics
/// If the images do not have the shape's length.
pub fn displacement<T: Copy + Into<Complex64>>(a: &[T], b: &[T], shape: [usize; 2], window: Window, reach_px: f64) -> Result<[f64; 2]> {
    let [a, b] = [a, b].map(|image| image.iter().map(|&v| v.into()).collect::<Vec<Complex64>>());
    check(&a, &b, shape)?;
    let first = spectrum(&a, shape, window)?;
    let mut found = measured(&first, &spectrum(&b, shape, window)?, shape, reach_px)?;
    for _ in 0..MOVES {
        let back = displaced(&b, shape, found.map(|s| -s))?;
        let rest = measured(&first, &spectrum(&back, shape, window)?, shape, reach_px.min(1.0))?;
        found = [found[0] + rest[0], found[1] + rest[1]];
        if rest.iter().all(|r| r.abs() < REST) {
            break;
        }
    }
    Ok(found)
}

/// How far the image of the second spectrum lies from that of the first.
fn measured(a: &[Complex64], b: &[Complex64], shape: [usize; 2], reach_px: f64) -> Result<[f64; 2]> {
    // Nyquist's frequency stands for two, which a shift turns differently.
    let is_nyquist = |at: usize| (0..2).any(|axis| 2 * [at / shape[1], at % shape[1]][axis] == shape[axis]);
    let product = |(at, (a, b)): (usize, (&Complex64, &Complex64))| if is_nyquist(at) { Complex64::ZERO } else { a.conj() * b };
    let cross: Vec<Complex64> = a.iter().zip(b).enumerate().map(product).collect();
    let whitened: Vec<Complex64> = cross.iter().map(|c| if c.norm() > 0.0 { c / c.norm().sqrt() } else { *c }).collect();
    let weighted: Vec<Complex64> = cross.iter().map(|c| c * c.norm().sqrt()).collect();
    let map: Vec<f64> = transformed(&whitened, shape, Direction::Inverse)?.iter().map(|c| c.re).collect();
    let start = largest(&map, shape, reach_px);
    let frequencies = shape.map(|n| (0..n).map(|k| fft_index(k, n) / n as f64).collect());
    Ok(Series { values: &weighted, places: frequencies }.climb(start, Peak::Real))
}

/// An image (y, x) moved by so many pixels (y, x), by its Fourier series: what leaves at one edge enters at the opposite one. A real image stays real.
///
/// # Panics
/// If the image does not have the shape's length.
pub fn displaced<T: Copy + Into<Complex64>>(image: &[T], shape: [usize; 2], by_px: [f64; 2]) -> Result<Vec<Complex64>> {
    assert_eq!(image.len(), shape[0] * shape[1], "an image of {}×{} pixels", shape[0], shape[1]);
    let image: Vec<Complex64> = image.iter().map(|&v| v.into()).collect();
    let mut spectrum = transformed(&image, shape, Direction::Forward)?;
    let [ramp_y, ramp_x] = [0, 1].map(|axis| {
        let n = shape[axis];
        let of = |k: usize| match 2 * k == n {
            // The mean of the two frequencies that Nyquist's stands for.
            true => Complex64::from((PI * by_px[axis]).cos()),
            false => Complex64::cis(-TAU * fft_index(k, n) / n as f64 * by_px[axis]),
        };
        (0..n).map(of).collect::<Vec<_>>()
    });
    spectrum.iter_mut().enumerate().for_each(|(at, v)| *v *= ramp_y[at / shape[1]] * ramp_x[at % shape[1]]);
    Ok(transformed(&spectrum, shape, Direction::Inverse)?)
}

/// Object `b` (y, x) with the constant phase and the linear ramp that bring it nearest to object `a`: those for which |Σ w²·a·b*| is largest, w being the window.
///
/// # Errors
/// Where an object holds NaN or infinity.
///
/// # Panics
/// If the objects do not have the shape's length.
pub fn without_ramp(a: &[Complex64], b: &[Complex64], shape: [usize; 2], window: Window) -> Result<Vec<Complex64>> {
    check(a, b, shape)?;
    let [wy, wx] = shape.map(|n| window.weights(n));
    let product = a.iter().zip(b).enumerate().map(|(at, (a, b))| a * b.conj() * (wy[at / shape[1]] * wx[at % shape[1]]).powi(2));
    let product: Vec<Complex64> = product.collect();
    let map: Vec<f64> = transformed(&product, shape, Direction::Forward)?.iter().map(|c| c.norm()).collect();
    let start = largest(&map, shape, f64::INFINITY);
    let places = shape.map(|n| (0..n).map(|k| ((n / 2) as f64 - k as f64) / n as f64).collect());
    let series = Series { values: &product, places };
    let turns = series.climb(start, Peak::Absolute);
    let constant = series.at(turns).value.arg();
    let [ramp_y, ramp_x] = [0, 1].map(|a| series.places[a].iter().map(|p| Complex64::cis(-TAU * p * turns[a])).collect::<Vec<_>>());
    let constant = Complex64::cis(constant);
    Ok(b.iter().enumerate().map(|(at, b)| b * constant * ramp_y[at / shape[1]] * ramp_x[at % shape[1]]).collect())
}

/// The place of the largest value of a map in FFT order, up to `reach` from its origin along either axis, and between its pixels by a parabola
/// through the neighbours.
fn largest(map: &[f64], shape: [usize; 2], reach: f64) -> [f64; 2] {
    let signed = |at: usize| [fft_index(at / shape[1], shape[0]), fft_index(at % shape[1], shape[1])];
    let near = (0..map.len()).filter(|&at| signed(at).iter().all(|s| s.abs() <= reach));
    let Some(best) = near.max_by(|&i, &j| map[i].total_cmp(&map[j])) else { return [0.0; 2] };
    let place = [best / shape[1], best % shape[1]];
    [0, 1].map(|axis| {
        let neighbour = |by: usize| {
            let mut place = place;
            place[axis] = (place[axis] + by) % shape[axis];
            map[place[0] * shape[1] + place[1]]
        };
        let (before, here, after) = (neighbour(shape[axis] - 1), neighbour(0), neighbour(1));
        let bend = before - 2.0 * here + after;
        signed(best)[axis] + if bend < 0.0 { (0.5 * (before - after) / bend).clamp(-0.5, 0.5) } else { 0.0 }
    })
}

/// The function Σ values·e^{2πi(p_y·u_y + p_x·u_x)} of u, p being the places of the values.
struct Series<'a> {
    values: &'a [Complex64],
    places: [Vec<f64>; 2],
}

/// What a series is largest in: its real part, or half its absolute square.
#[derive(Clone, Copy)]
enum Peak {
    Real,
    Absolute,
}

/// A series at a point, with its derivatives.
struct Point {
    value: Complex64,
    slope: [Complex64; 2],
    /// yy, yx and xx.
    bend: [Complex64; 3],
}

impl Series<'_> {
    fn at(&self, u: [f64; 2]) -> Point {
        let factors =
            |axis: usize| self.places[axis].iter().map(move |&p| (Complex64::new(0.0, TAU * p), Complex64::cis(TAU * p * u[axis])));
        let along_x: Vec<(Complex64, Complex64)> = factors(1).collect();
        let mut point = Point { value: Complex64::ZERO, slope: [Complex64::ZERO; 2], bend: [Complex64::ZERO; 3] };
        for (row, (ky, wave_y)) in self.values.chunks_exact(along_x.len().max(1)).zip(factors(0)) {
            let mut sums = [Complex64::ZERO; 3];
            for (value, (kx, wave_x)) in row.iter().zip(&along_x) {
                let term = value * wave_x;
                sums[0] += term;
                sums[1] += term * kx;
                sums[2] += term * kx * kx;
            }
            let [here, along, curved] = sums.map(|s| s * wave_y);
            point.value += here;
            point.slope[0] += here * ky;
            point.slope[1] += along;
            point.bend[0] += here * ky * ky;
            point.bend[1] += along * ky;
            point.bend[2] += curved;
        }
        point
    }

    /// The maximum next to `start`, by Newton's method; `start` where it leads away from there.
    fn climb(&self, start: [f64; 2], peak: Peak) -> [f64; 2] {
        let mut u = start;
        for _ in 0..ROUNDS {
            let Point { value, slope, bend } = self.at(u);
            let ([gy, gx], [yy, yx, xx]) = match peak {
                Peak::Real => (slope.map(|s| s.re), bend.map(|b| b.re)),
                Peak::Absolute => {
                    let pairs = [slope[0].conj() * slope[0], slope[0].conj() * slope[1], slope[1].conj() * slope[1]];
                    (slope.map(|s| (value.conj() * s).re), [0, 1, 2].map(|k| (value.conj() * bend[k] + pairs[k]).re))
                }
            };
            let step = if yy < 0.0 && yy * xx > yx * yx {
                let determinant = yy * xx - yx * yx;
                [(yx * gx - xx * gy) / determinant, (yx * gy - yy * gx) / determinant]
            } else {
                return start;
            };
            u = [u[0] + step[0], u[1] + step[1]];
            if (0..2).any(|a| (u[a] - start[a]).abs() > 1.0) {
                return start;
            }
            if step.iter().all(|s| s.abs() < SMALL) {
                break;
            }
        }
        u
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn fresh_rng() -> ChaCha8Rng {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        ChaCha8Rng::seed_from_u64(seed)
    }

    /// Atoms at random places, as a function of place; nowhere a lattice.
    fn atoms(rng: &mut ChaCha8Rng, shape: [usize; 2]) -> impl Fn(f64, f64) -> f64 + use<> {
        let reach = shape.map(|n| n as f64);
        let places: Vec<[f64; 3]> = (0..shape[0] * shape[1] / 60)
            .map(|_| [rng.random_range(-8.0..reach[0] + 8.0), rng.random_range(-8.0..reach[1] + 8.0), rng.random_range(0.2..1.0)])
            .collect();
        move |y, x| places.iter().map(|[py, px, height]| height * (-((y - py).powi(2) + (x - px).powi(2)) / 8.0).exp()).sum()
    }

    fn drawn(image: &impl Fn(f64, f64) -> f64, shape: [usize; 2], shift: [f64; 2]) -> Vec<f64> {
        (0..shape[0] * shape[1]).map(|at| image((at / shape[1]) as f64 - shift[0], (at % shape[1]) as f64 - shift[1])).collect()
    }

    #[test]
    fn a_displacement_is_found_below_a_pixel_with_and_without_noise() {
        let mut rng = fresh_rng();
        for shape in [[64, 64], [75, 48], [90, 101]] {
            let scene = atoms(&mut rng, shape);
            // Without noise: what enters at the edges, where the window is small. With it: the likeliest place has an error of σ√(2/Σ|∂I|²), here
            // 0.05 pixels at most, six times.
            for (noise, tolerance) in [(0.0, 0.15), (0.15, 0.3)] {
                let shift = [rng.random_range(-3.0..3.0), rng.random_range(-3.0..3.0)];
                let mut noisy = |shift| -> Vec<f64> {
                    drawn(&scene, shape, shift)
                        .iter()
                        .map(|v| {
                            let n: f64 = StandardNormal.sample(&mut rng);
                            v + noise * n
                        })
                        .collect()
                };
                let (a, b) = (noisy([0.0; 2]), noisy(shift));
                let found = displacement(&a, &b, shape, Window::Tukey, 10.0).unwrap();
                let off = [0, 1].map(|i| found[i] - shift[i]);
                assert!(off.iter().all(|o| o.abs() < tolerance), "{shape:?}, noise {noise}: {found:?}, expected {shift:?}");
            }
        }
    }

    #[test]
    fn a_moved_image_lies_where_it_was_moved_to_and_stays_real() {
        let mut rng = fresh_rng();
        for shape in [[16, 16], [9, 14], [1, 7]] {
            let image: Vec<f64> = (0..shape[0] * shape[1]).map(|_| rng.random_range(-1.0..1.0)).collect();
            let by = [rng.random_range(-20..20i64), rng.random_range(-20..20i64)];
            let whole = displaced(&image, shape, by.map(|b| b as f64)).unwrap();
            for (at, v) in whole.iter().enumerate() {
                let from = [0, 1].map(|a| ([at / shape[1], at % shape[1]][a] as i64 - by[a]).rem_euclid(shape[a] as i64) as usize);
                // Rounding of a transform there and back.
                assert!((v - image[from[0] * shape[1] + from[1]]).norm() < 1e-12, "{shape:?} by {by:?}");
            }
            let fraction = [rng.random_range(-3.0..3.0), rng.random_range(-3.0..3.0)];
            assert!(displaced(&image, shape, fraction).unwrap().iter().all(|v| v.im.abs() < 1e-12), "{shape:?}");
        }
    }

    #[test]
    fn an_image_that_repeats_itself_is_found_to_rounding() {
        let mut rng = fresh_rng();
        let shape = [48, 35];
        let noise: Vec<f64> = (0..shape[0] * shape[1]).map(|_| rng.random_range(-1.0..1.0)).collect();
        let shift = [rng.random_range(-20.0..20.0), rng.random_range(-15.0..15.0)];
        // Nyquist's frequency of the even axis cannot be shifted back: its half cosine is the only difference.
        let moved = displaced(&noise, shape, shift).unwrap();
        let image: Vec<Complex64> = noise.iter().map(|&v| v.into()).collect();
        let found = displacement(&image, &moved, shape, Window::None, f64::INFINITY).unwrap();
        assert!((0..2).all(|a| (found[a] - shift[a]).abs() < 1e-8), "{found:?}, expected {shift:?}");
    }

    #[test]
    fn on_a_lattice_the_displacement_within_reach_is_found() {
        let (shape, period) = ([64, 64], 8.0);
        let lattice = |y: f64, x: f64| (TAU * y / period).cos() + (TAU * x / period).cos();
        // One atom that the lattice does not repeat tells how far it really is.
        let scene = |y: f64, x: f64| lattice(y, x) + 6.0 * (-((y - 30.0).powi(2) + (x - 33.0).powi(2)) / 4.0).exp();
        let (a, b) = (drawn(&scene, shape, [0.0; 2]), drawn(&scene, shape, [6.0, -2.5]));
        for (reach, expected) in [(f64::INFINITY, [6.0, -2.5]), (3.5, [-2.0, -2.5])] {
            let found = displacement(&a, &b, shape, Window::Tukey, reach).unwrap();
            // The atom draws a little at the other peak.
            assert!((0..2).all(|a| (found[a] - expected[a]).abs() < 0.5), "within {reach}: {found:?}");
        }
    }

    #[test]
    fn the_ramp_and_the_constant_between_noisy_objects_are_removed() {
        let mut rng = fresh_rng();
        let shape = [40, 55];
        let n = shape[0] * shape[1];
        let object: Vec<Complex64> = (0..n).map(|_| Complex64::cis(rng.random_range(-0.8..0.8))).collect();
        let (constant, turns) = (rng.random_range(-3.0..3.0), [rng.random_range(-9.0..9.0), rng.random_range(-9.0..9.0)]);
        let place = |at: usize| [(at / shape[1]) as f64 / shape[0] as f64, (at % shape[1]) as f64 / shape[1] as f64];
        let ramp = |at: usize| Complex64::cis(constant + TAU * (turns[0] * place(at)[0] + turns[1] * place(at)[1]));
        let other: Vec<Complex64> =
            object.iter().enumerate().map(|(at, o)| o * ramp(at) * Complex64::cis(rng.random_range(-0.3..0.3))).collect();
        let back = without_ramp(&object, &other, shape, Window::Tukey).unwrap();
        let left: Vec<Complex64> = back.iter().zip(&object).map(|(b, o)| b * o.conj()).collect();
        // Noise of 0.17 rad in 2200 pixels leaves 0.004 rad of a constant and 0.02 rad of a ramp from edge to edge, under the window half more.
        let half = |keep: &dyn Fn([f64; 2]) -> bool| (0..n).filter(|&at| keep(place(at))).map(|at| left[at]).sum::<Complex64>().arg();
        let phases = [half(&|p| p[0] < 0.5), half(&|p| p[0] >= 0.5), half(&|p| p[1] < 0.5), half(&|p| p[1] >= 0.5)];
        assert!(phases.iter().all(|p| p.abs() < 0.05), "{phases:?}");
    }
}
