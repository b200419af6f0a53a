//! A wave on its way through the slices of a thick specimen. Its columns are transformed back from what passed between two slices, multiplied by the second slice, and transformed
//! again while they are in the nearest caches, so that between slices the wave is nowhere but in one transposed half-transform.

use pulp::{Arch, Simd, WithSimd};

use super::fft1::{Columns, Source};
use super::fft2::{Fft2, Scratch, buffers, registers, registers_mut, there_and_back};
use super::lanes::Scalar;
use super::planes::{PartMut, Planes};
use super::tiles::write_tiles;

/// Where the windows of all slices lie: their rows begin at `first`, one every `stride` numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Under {
    pub(super) first: usize,
    pub(super) stride: usize,
}

/// Takes the wave in `window` through `slices`, by `way` of [`Fft2::in_registers`] from each to the next. Transforms are not scaled; the wave is multiplied by `scales` at each slice but
/// the last, and there.
pub(super) fn through_slices<R: Scalar>(
    fft: &Fft2<R>,
    window: PartMut<R>,
    slices: &[Planes<R>],
    under: Under,
    way: &Planes<R>,
    scales: [R; 2],
    scratch: &mut Scratch<R>,
) {
    Arch::new().dispatch(ThroughSlices { fft, window, slices, under, way, scales, scratch });
}

struct ThroughSlices<'a, R: Scalar> {
    fft: &'a Fft2<R>,
    window: PartMut<'a, R>,
    slices: &'a [Planes<R>],
    under: Under,
    way: &'a Planes<R>,
    scales: [R; 2],
    scratch: &'a mut Scratch<R>,
}

impl<R: Scalar> WithSimd for ThroughSlices<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { fft, window, slices, under, way, scales, scratch } = self;
        let lanes = size_of::<R::Lanes<S>>() / size_of::<R>();
        let [ny, nx] = fft.shape;
        let (groups_x, tiles) = (nx / lanes, ny / lanes);
        let columns = &mut scratch.columns;
        let (half_re, half_im) = (registers_mut::<R, S>(&mut scratch.transposed.re), registers_mut::<R, S>(&mut scratch.transposed.im));
        let (way_re, way_im) = (registers::<R, S>(&way.re), registers::<R, S>(&way.im));
        let (wave_re, wave_im) = (registers_mut::<R, S>(window.re), registers_mut::<R, S>(window.im));
        // Where waves are limited to two thirds of Nyquist's frequency, the third of the rows that would lie in the middle is empty.
        let empty = |tile: &usize| {
            let numbers = tile * nx * lanes..(tile + 1) * nx * lanes;
            way.re[numbers.clone()].iter().chain(&way.im[numbers]).all(|x| *x == R::zero())
        };
        let low = (0..tiles).find(empty).unwrap_or(tiles);
        let high = (low..tiles).find(|tile| !empty(tile)).unwrap_or(tiles);

        for (s, slice) in slices.iter().enumerate() {
            let last = s + 1 == slices.len();
            let scale = scales[usize::from(last)];
            for group in 0..groups_x {
                let under = |y: usize| under.first + y * under.stride + group * lanes;
                let [here, there, turned] = buffers::<R, S>(columns, ny);
                if s == 0 {
                    for y in 0..ny {
                        let (re, im) = (wave_re[y * groups_x + group], wave_im[y * groups_x + group]);
                        (turned.re[y], turned.im[y]) = times::<R, S>(simd, re, im, slice, under(y), scale);
                    }
                } else {
                    for tile in (0..low).chain(high..tiles) {
                        let from = tile * nx + group * lanes..tile * nx + (group + 1) * lanes;
                        write_tiles::<R, S>(simd, &half_re[from.clone()], &mut turned.re[tile * lanes..], 1, 1);
                        write_tiles::<R, S>(simd, &half_im[from], &mut turned.im[tile * lanes..], 1, 1);
                    }
                    for numbers in [&mut turned.re[low * lanes..high * lanes], &mut turned.im[low * lanes..high * lanes]] {
                        numbers.fill(R::splat(simd, R::zero()));
                    }
                    // Back, with real and imaginary parts exchanged.
                    let done = fft.along_y.run(simd, Source { re: turned.im, im: turned.re, step: 1 }, here, there);
                    if last {
                        for (y, (im, re)) in done.re.iter().zip(done.im.iter()).enumerate() {
                            let at = y * groups_x + group;
                            (wave_re[at], wave_im[at]) = times::<R, S>(simd, *re, *im, slice, under(y), scale);
                        }
                    } else {
                        let to = turned.re.iter_mut().zip(turned.im.iter_mut());
                        for (y, ((to_re, to_im), (im, re))) in to.zip(done.re.iter().zip(done.im.iter())).enumerate() {
                            (*to_re, *to_im) = times::<R, S>(simd, *re, *im, slice, under(y), scale);
                        }
                    }
                }
                if last {
                    continue;
                }
                let [here, there, turned] = buffers::<R, S>(columns, ny);
                let done = fft.along_y.run(simd, Source { re: turned.re, im: turned.im, step: 1 }, here, there);
                for rows in [0..low, high..tiles] {
                    let from = rows.start * lanes..rows.end * lanes;
                    let to = rows.start * nx + group * lanes;
                    if !rows.is_empty() {
                        write_tiles::<R, S>(simd, &done.re[from.clone()], &mut half_re[to..], 1, nx);
                        write_tiles::<R, S>(simd, &done.im[from], &mut half_im[to..], 1, nx);
                    }
                }
            }
            if !last {
                for tile in (0..low).chain(high..tiles) {
                    let rows = tile * nx..(tile + 1) * nx;
                    let [re, im] = [&mut half_re[rows.clone()], &mut half_im[rows.clone()]];
                    there_and_back(simd, &fft.along_x, Columns { re, im }, [&way_re[rows.clone()], &way_im[rows]], false, columns);
                }
            }
        }
    }
}

/// Numbers of the wave times those of the slice from `first` on, times `scale`.
#[inline(always)]
fn times<R: Scalar, S: Simd>(
    simd: S,
    re: R::Lanes<S>,
    im: R::Lanes<S>,
    slice: &Planes<R>,
    first: usize,
    scale: R,
) -> (R::Lanes<S>, R::Lanes<S>) {
    let lanes = size_of::<R::Lanes<S>>() / size_of::<R>();
    let load = |numbers: &[R]| bytemuck::pod_read_unaligned::<R::Lanes<S>>(bytemuck::cast_slice(&numbers[first..first + lanes]));
    let (or, oi, scale) = (load(&slice.re), load(&slice.im), R::splat(simd, scale));
    let (re, im) = (R::lanes_mul(simd, re, scale), R::lanes_mul(simd, im, scale));
    let (ri, rr) = (R::lanes_mul(simd, re, oi), R::lanes_mul(simd, re, or));
    (R::lanes_negate_mul_add(simd, im, oi, rr), R::lanes_mul_add(simd, im, or, ri))
}

#[cfg(test)]
mod tests {
    use num_complex::Complex64;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::compute::Direction;

    #[test]
    fn a_wave_behind_slices_is_that_of_products_and_transforms_one_by_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::rng().random());
        let mut random = |n: usize| -> Vec<Complex64> {
            (0..n).map(|_| Complex64::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0))).collect()
        };
        for (shape @ [ny, nx], slices) in [([32, 16], 2), ([48, 80], 5), ([64, 64], 3)] {
            let (n, object, corner) = (ny * nx, [ny + 7, nx + 5], [3, 4]);
            let fft = Fft2::<f64>::new(shape);
            let (wave, mut way) = (random(n), random(n));
            // Rows about Nyquist's frequency are let through as little as a band does; in the last shape all are.
            if nx != ny {
                way[n / 3..n - n / 3].fill(Complex64::ZERO);
            }
            let objects: Vec<Vec<Complex64>> = (0..slices).map(|_| random(object[0] * object[1])).collect();
            let Some(ordered) = fft.in_registers(Planes::from_complex(&way).window(n, 0)) else { continue };
            let mut expected = wave.clone();
            for (s, slice) in objects.iter().enumerate() {
                if s > 0 {
                    let mut planes = Planes::from_complex(&expected);
                    fft.transform(&mut planes, 1, Direction::Forward);
                    let spectrum: Vec<Complex64> = planes.to_complex().iter().zip(&way).map(|(x, w)| x * w).collect();
                    planes = Planes::from_complex(&spectrum);
                    fft.transform(&mut planes, 1, Direction::Inverse);
                    expected = planes.to_complex();
                }
                let under = |k: usize| slice[(corner[0] + k / nx) * object[1] + corner[1] + k % nx];
                expected.iter_mut().enumerate().for_each(|(k, w)| *w *= under(k));
            }
            let slices: Vec<Planes<f64>> = objects.iter().map(|slice| Planes::from_complex(slice)).collect();
            let under = Under { first: corner[0] * object[1] + corner[1], stride: object[1] };
            let mut window = Planes::from_complex(&wave);
            let scales = [fft.unitary * fft.unitary, 1.0];
            through_slices(&fft, window.part_mut(0..n), &slices, under, &ordered, scales, &mut fft.scratch());
            let size = expected.iter().map(|z| z.norm()).fold(0.0, f64::max);
            let error = window.to_complex().iter().zip(&expected).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max);
            // Rounding of f64 over some hundred terms.
            assert!(error < 1e-12 * size, "{shape:?}: {error} of {size}");
        }
    }
}
