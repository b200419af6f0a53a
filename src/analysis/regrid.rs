//! An image of one grid on another.

use std::f64::consts::PI;

use rayon::prelude::*;

/// Pixels of the wider grid that count on each side of a place.
const REACH: f64 = 16.0;
/// A part of a pixel that rounding may come to.
const ROUNDING: f64 = 1e-9;

/// A map of pixels (row, col) to (row′, col′): `row′ = m[0][0]·row + m[0][1]·col + m[0][2]`, and col′ with `m[1]`.
pub type PixelMap = [[f64; 3]; 2];

/// The place that a map takes a pixel to.
pub fn mapped(map: &PixelMap, [row, col]: [f64; 2]) -> [f64; 2] {
    map.map(|[a, b, c]| a * row + b * col + c)
}

/// An image (y, x) of `shape` on a grid of `to_shape`, whose pixels `map` takes to pixels of the image.
///
/// By sin(πx)/πx under a cosine window, cos²(πx/2·16), over 16 pixels of the wider grid on each side: what both grids resolve stays as it is but for the last eighth below the Nyquist frequency of
/// the wider one, which fades out, and what is finer does not come back as something coarser. Edges are mirrored.
///
/// # Panics
/// If the image does not have the shape's length.
pub fn regridded(image: &[f64], shape: [usize; 2], to_shape: [usize; 2], map: &PixelMap) -> Vec<f64> {
    assert_eq!(image.len(), shape[0] * shape[1], "an image of {}×{} pixels", shape[0], shape[1]);
    let width = map.map(|[a, b, _]| a.hypot(b).max(1.0));
    let place = |row: usize, col: usize| mapped(map, [row as f64, col as f64]);
    let mut made = vec![0.0; to_shape[0] * to_shape[1]];
    let columns = to_shape[1].max(1);
    if map[0][1] == 0.0 && map[1][0] == 0.0 {
        // Along the axes: first all rows by themselves, then all columns.
        let cols: Vec<Taps> = (0..to_shape[1]).map(|col| taps(place(0, col)[1], width[1], shape[1])).collect();
        let lines: Vec<Vec<f64>> =
            image.par_chunks(shape[1].max(1)).map(|row| cols.iter().map(|taps| summed(taps, |x| row[x])).collect()).collect();
        made.par_chunks_mut(columns).enumerate().for_each(|(row, line)| {
            let rows = taps(place(row, 0)[0], width[0], shape[0]);
            line.iter_mut().enumerate().for_each(|(col, value)| *value = summed(&rows, |y| lines[y][col]));
        });
        return made;
    }
    made.par_chunks_mut(columns).enumerate().for_each(|(row, line)| {
        for (col, value) in line.iter_mut().enumerate() {
            let place = place(row, col);
            let [rows, cols] = [0, 1].map(|a| taps(place[a], width[a], shape[a]));
            *value = summed(&rows, |y| summed(&cols, |x| image[y * shape[1] + x]));
        }
    });
    made
}

/// Pixels of a line and their shares.
type Taps = Vec<(usize, f64)>;

fn summed(taps: &Taps, value: impl Fn(usize) -> f64) -> f64 {
    taps.iter().map(|&(k, share)| share * value(k)).sum()
}

/// What makes the value at `place` of a line of `n` pixels.
fn taps(place: f64, width: f64, n: usize) -> Taps {
    let nearest = place.round();
    if width == 1.0 && (place - nearest).abs() < ROUNDING {
        return vec![(mirrored(nearest as i64, n), 1.0)];
    }
    let (first, last) = ((place - REACH * width).ceil() as i64, (place + REACH * width).floor() as i64);
    let share = |k: i64| {
        let x = (k as f64 - place) / width;
        let sinc = if x.abs() < ROUNDING { 1.0 } else { (PI * x).sin() / (PI * x) };
        sinc * (0.5 * PI * x / REACH).cos().powi(2)
    };
    let shares: Taps = (first..=last).map(|k| (mirrored(k, n), share(k))).collect();
    let total: f64 = shares.iter().map(|(_, share)| share).sum();
    shares.into_iter().map(|(k, share)| (k, share / total)).collect()
}

/// An image (y, x) under a Gaussian of standard deviations `sigma_px` (y, x), cut at four of them; edges are mirrored.
///
/// # Panics
/// If the image does not have the shape's length.
pub fn blurred(image: &[f64], shape: [usize; 2], sigma_px: [f64; 2]) -> Vec<f64> {
    assert_eq!(image.len(), shape[0] * shape[1], "an image of {}×{} pixels", shape[0], shape[1]);
    let [down, along] = sigma_px.map(|sigma| {
        let reach = (4.0 * sigma).ceil() as i64;
        let weights: Vec<(i64, f64)> =
            (-reach..=reach).map(|k| (k, if k == 0 { 1.0 } else { (-0.5 * (k as f64 / sigma).powi(2)).exp() })).collect();
        let total: f64 = weights.iter().map(|(_, w)| w).sum();
        weights.into_iter().map(|(k, w)| (k, w / total)).collect::<Vec<_>>()
    });
    let width = shape[1].max(1);
    let lines: Vec<f64> = image
        .par_chunks(width)
        .flat_map_iter(|row| (0..row.len()).map(|x| along.iter().map(|(k, w)| w * row[mirrored(x as i64 + k, row.len())]).sum::<f64>()))
        .collect();
    let at = |p: usize| down.iter().map(|(k, w)| w * lines[mirrored((p / width) as i64 + k, shape[0]) * width + p % width]).sum();
    (0..image.len()).into_par_iter().map(at).collect()
}

/// The pixel of a line of `n` that pixel `k` repeats, the line being mirrored at its ends.
fn mirrored(k: i64, n: usize) -> usize {
    let n = n as i64;
    let k = k.rem_euclid(2 * n);
    k.min(2 * n - 1 - k) as usize
}

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The first pixel (row, col).
    pub first: [usize; 2],
    pub shape: [usize; 2],
}

impl Field {
    /// The part of an image (y, x) of `width` columns.
    pub fn of<T: Copy>(&self, image: &[T], width: usize) -> Vec<T> {
        let rows = self.first[0]..self.first[0] + self.shape[0];
        rows.flat_map(|row| &image[row * width + self.first[1]..][..self.shape[1]]).copied().collect()
    }
}

/// The largest rectangle of a grid of `shape` that `map` takes into an image of `onto` pixels (between the middles of its outermost ones).
/// `None` where there is none.
pub fn common_field(shape: [usize; 2], onto: [usize; 2], map: &PixelMap) -> Option<Field> {
    let inside = |row: usize, col: usize| {
        let place = mapped(map, [row as f64, col as f64]);
        (0..2).all(|a| place[a] >= -ROUNDING && place[a] <= (onto[a] as f64 - 1.0) + ROUNDING)
    };
    // Of each column, how many pixels up to this row are inside; the largest rectangle below these heights that ends in this row.
    let mut heights = vec![0usize; shape[1]];
    let mut best: Option<Field> = None;
    for row in 0..shape[0] {
        for (col, height) in heights.iter_mut().enumerate() {
            *height = if inside(row, col) { *height + 1 } else { 0 };
        }
        // Columns that wait for a lower one: where each begins, and its height.
        let mut waiting: Vec<(usize, usize)> = Vec::new();
        for col in 0..=shape[1] {
            let height = heights.get(col).copied().unwrap_or(0);
            let mut begins = col;
            while let Some(&(start, tall)) = waiting.last()
                && tall >= height
            {
                let area = tall * (col - start);
                if area > best.map_or(0, |b| b.shape[0] * b.shape[1]) {
                    best = Some(Field { first: [row + 1 - tall, start], shape: [tall, col - start] });
                }
                begins = start;
                waiting.pop();
            }
            waiting.push((begins, height));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn fresh_rng() -> ChaCha8Rng {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        ChaCha8Rng::seed_from_u64(seed)
    }

    /// Waves of up to so many cycles a pixel, as a function of place.
    fn waves(rng: &mut ChaCha8Rng, highest: f64) -> impl Fn([f64; 2]) -> f64 + use<> {
        let waves: Vec<[f64; 4]> = (0..6)
            .map(|_| {
                let (q, angle) = (rng.random_range(0.0..highest), rng.random_range(0.0..TAU));
                [q * angle.sin(), q * angle.cos(), rng.random_range(0.0..TAU), rng.random_range(0.2..1.0)]
            })
            .collect();
        move |[y, x]| waves.iter().map(|[qy, qx, phase, size]| size * (TAU * (qy * y + qx * x) + phase).cos()).sum()
    }

    fn drawn(shape: [usize; 2], value: impl Fn([f64; 2]) -> f64) -> Vec<f64> {
        (0..shape[0] * shape[1]).map(|at| value([(at / shape[1]) as f64, (at % shape[1]) as f64])).collect()
    }

    #[test]
    fn what_both_grids_resolve_is_kept_under_shift_scale_and_rotation() {
        let mut rng = fresh_rng();
        for turn in [false, true, false, true, true] {
            let (scale, angle) = (rng.random_range(0.5..2.5f64), rng.random_range(-3.0..3.0f64));
            // Three quarters of the wider grid's Nyquist frequency.
            let scene = waves(&mut rng, 0.75 * 0.5 / scale.max(1.0));
            let (shape, to_shape) = ([180, 190], [24, 30]);
            // Along the axes, too.
            let angle = if turn { angle } else { 0.0 };
            let (sin, cos) = angle.sin_cos();
            let linear = [[scale * cos, -scale * sin], [scale * sin, scale * cos]];
            // The middle of one on that of the other, but for a part of a pixel.
            let shift = [0, 1].map(|a| [90.0, 95.0][a] + rng.random_range(-0.5..0.5) - linear[a][0] * 12.0 - linear[a][1] * 15.0);
            let map = [[linear[0][0], linear[0][1], shift[0]], [linear[1][0], linear[1][1], shift[1]]];
            let made = regridded(&drawn(shape, &scene), shape, to_shape, &map);
            let expected = drawn(to_shape, |p| scene(mapped(&map, p)));
            let worst = made.iter().zip(&expected).map(|(m, e)| (m - e).abs()).fold(0.0, f64::max);
            // Of waves of heights up to 6 in all; the window's leak.
            assert!(worst < 0.02, "scale {scale}, angle {angle}: {worst}");
        }
    }

    #[test]
    fn what_the_wider_grid_does_not_resolve_is_left_out() {
        let shape = [160, 160];
        let fine = drawn(shape, |[y, x]| 1.0 + (TAU * (0.31 * y + 0.22 * x)).cos());
        // Nyquist's frequency of the wider grid is 0.2 cycles a fine pixel.
        let made = regridded(&fine, shape, [30, 30], &[[2.5, 0.0, 43.3], [0.0, 2.5, 42.1]]);
        let worst = made.iter().map(|v| (v - 1.0).abs()).fold(0.0, f64::max);
        assert!(worst < 5e-3, "{worst}");
    }

    #[test]
    fn a_grid_on_itself_stays_as_it_is_to_the_last_bit() {
        let mut rng = fresh_rng();
        let image: Vec<f64> = (0..9 * 14).map(|_| rng.random_range(-1.0..1.0)).collect();
        assert_eq!(regridded(&image, [9, 14], [9, 14], &[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), image);
        let part = regridded(&image, [9, 14], [4, 5], &[[1.0, 0.0, 3.0], [0.0, 1.0, 7.0]]);
        assert_eq!(part, Field { first: [3, 7], shape: [4, 5] }.of(&image, 14));
    }

    #[test]
    fn a_blur_takes_from_a_wave_what_a_gaussian_does() {
        let (shape, sigma) = ([80, 90], [2.0, 1.2]);
        let (qy, qx) = (0.07, 0.11);
        let wave = drawn(shape, |[y, x]| 0.4 + (TAU * (qy * y + qx * x)).cos());
        let left = (-0.5 * (TAU * TAU) * ((qy * sigma[0]).powi(2) + (qx * sigma[1]).powi(2))).exp();
        let made = blurred(&wave, shape, sigma);
        for at in [40 * 90 + 45, 33 * 90 + 51] {
            let expected = 0.4 + left * (wave[at] - 0.4);
            // What four standard deviations leave out.
            assert!((made[at] - expected).abs() < 1e-3, "{} for {expected}", made[at]);
        }
        assert_eq!(blurred(&wave, shape, [0.0; 2]), wave);
    }

    #[test]
    fn the_common_field_is_the_largest_rectangle_that_lies_in_both() {
        let mut rng = fresh_rng();
        for _ in 0..20 {
            let (shape, onto) = ([rng.random_range(1..12), rng.random_range(1..12)], [rng.random_range(1..12), rng.random_range(1..12)]);
            let angle: f64 = rng.random_range(-3.0..3.0);
            let (sin, cos) = angle.sin_cos();
            let map = [[cos, -sin, rng.random_range(-4.0..8.0)], [sin, cos, rng.random_range(-4.0..8.0)]];
            let inside = |row: usize, col: usize| {
                let p = mapped(&map, [row as f64, col as f64]);
                (0..2).all(|a| p[a] >= 0.0 && p[a] <= onto[a] as f64 - 1.0)
            };
            // Every rectangle there is.
            let mut largest = 0;
            for (top, left) in (0..shape[0]).flat_map(|t| (0..shape[1]).map(move |l| (t, l))) {
                for (height, width) in (1..=shape[0] - top).flat_map(|h| (1..=shape[1] - left).map(move |w| (h, w))) {
                    if (top..top + height).all(|r| (left..left + width).all(|c| inside(r, c))) {
                        largest = largest.max(height * width);
                    }
                }
            }
            let found = common_field(shape, onto, &map);
            assert_eq!(found.map_or(0, |f| f.shape[0] * f.shape[1]), largest, "{shape:?} onto {onto:?} by {map:?}");
            if let Some(Field { first, shape }) = found {
                assert!((first[0]..first[0] + shape[0]).all(|r| (first[1]..first[1] + shape[1]).all(|c| inside(r, c))));
            }
        }
        assert_eq!(common_field([4, 4], [4, 4], &[[1.0, 0.0, 10.0], [0.0, 1.0, 0.0]]), None);
    }
}
