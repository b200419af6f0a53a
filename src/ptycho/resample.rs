//! An object and a probe of one grid on another.

use std::f64::consts::TAU;

use num_complex::Complex64;

use super::ObjectFrame;
use super::field::scanned_field;

/// Pixel sizes that differ by less than this part are one.
const SAME: f64 = 1e-3;
/// Holds a map where the places say nothing of it, as all along one line.
const HOLD: f64 = 1e-9;

/// A map of the plane, p ↦ linear·p + shift, both (row, col).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    pub linear: [[f64; 2]; 2],
    pub shift: [f64; 2],
}

impl Affine {
    /// The map that takes `from` to `to` with the least squares; where the places do not tell it is `guess`.
    ///
    /// # Panics
    /// If the lists are not of one length.
    pub fn fit(from: &[[f64; 2]], to: &[[f64; 2]], guess: [[f64; 2]; 2]) -> Self {
        assert_eq!(from.len(), to.len(), "each place has its image");
        let mean = |places: &[[f64; 2]]| [0, 1].map(|a| places.iter().map(|p| p[a]).sum::<f64>() / places.len().max(1) as f64);
        let (centre, image) = (mean(from), mean(to));
        let (mut scatter, mut cross) = ([[0.0; 2]; 2], [[0.0; 2]; 2]);
        for (p, q) in from.iter().zip(to) {
            let (p, q) = ([0, 1].map(|a| p[a] - centre[a]), [0, 1].map(|a| q[a] - image[a]));
            for i in 0..2 {
                for j in 0..2 {
                    scatter[i][j] += p[i] * p[j];
                    // What the guess leaves.
                    cross[i][j] += (q[i] - guess[i][0] * p[0] - guess[i][1] * p[1]) * p[j];
                }
            }
        }
        let hold = HOLD * (scatter[0][0] + scatter[1][1]) + f64::MIN_POSITIVE;
        scatter[0][0] += hold;
        scatter[1][1] += hold;
        let determinant = scatter[0][0] * scatter[1][1] - scatter[0][1] * scatter[1][0];
        let inverse = [[scatter[1][1], -scatter[0][1]], [-scatter[1][0], scatter[0][0]]].map(|row| row.map(|x| x / determinant));
        let linear = if determinant > 0.0 {
            [0, 1].map(|i| [0, 1].map(|j| guess[i][j] + cross[i][0] * inverse[0][j] + cross[i][1] * inverse[1][j]))
        } else {
            guess
        };
        Self { linear, shift: [0, 1].map(|i| image[i] - linear[i][0] * centre[0] - linear[i][1] * centre[1]) }
    }

    pub fn apply(&self, p: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|i| self.linear[i][0] * p[0] + self.linear[i][1] * p[1] + self.shift[i])
    }

    /// This map after `first`.
    #[must_use]
    pub fn after(&self, first: &Self) -> Self {
        let linear = [0, 1].map(|i| [0, 1].map(|j| self.linear[i][0] * first.linear[0][j] + self.linear[i][1] * first.linear[1][j]));
        Self { linear, shift: self.apply(first.shift) }
    }

    /// The way back, if there is one.
    pub fn inverse(&self) -> Option<Self> {
        let [[a, b], [c, d]] = self.linear;
        let determinant = a * d - b * c;
        if !determinant.is_normal() {
            return None;
        }
        let linear = [[d, -b], [-c, a]].map(|row| row.map(|x| x / determinant));
        let shift = [0, 1].map(|i| -(linear[i][0] * self.shift[0] + linear[i][1] * self.shift[1]));
        Some(Self { linear, shift })
    }

    /// The one of the eight turns and mirrorings of a grid that comes nearest to the linear part.
    pub fn turn(&self) -> [[f64; 2]; 2] {
        let m = self.linear;
        let straight = m[0][0].abs() + m[1][1].abs();
        let crossed = m[0][1].abs() + m[1][0].abs();
        if straight >= crossed {
            [[m[0][0].signum(), 0.0], [0.0, m[1][1].signum()]]
        } else {
            [[0.0, m[0][1].signum()], [m[1][0].signum(), 0.0]]
        }
    }
}

/// A complex image (y, x) of `shape` on a grid of `to_shape`, whose pixels `map` takes to pixels of the image; 1 beyond it.
///
/// The numbers themselves are interpolated: their phases are known up to whole turns only. Cubic (Keys, IEEE Trans. ASSP 29 (1981) 1153, a = −½), as wide as a pixel
/// of the wider grid, so that what a wider one does not resolve is averaged.
pub fn resampled(image: &[Complex64], shape: [usize; 2], to_shape: [usize; 2], map: &Affine) -> Vec<Complex64> {
    let width = map.linear.map(|row| row[0].hypot(row[1]).max(1.0));
    let at = |p: usize| {
        let place = map.apply([(p / to_shape[1]) as f64, (p % to_shape[1]) as f64]);
        if (0..2).any(|a| place[a] < -0.5 || place[a] > shape[a] as f64 - 0.5) {
            return Complex64::new(1.0, 0.0);
        }
        let [rows, cols] = [0, 1].map(|a| taps(place[a], width[a], shape[a]));
        let (mut value, mut weight) = (Complex64::default(), 0.0);
        for (row, wy) in &rows {
            for (col, wx) in &cols {
                value += image[row * shape[1] + col] * (wy * wx);
                weight += wy * wx;
            }
        }
        value / weight
    };
    (0..to_shape[0] * to_shape[1]).map(at).collect()
}

/// The part of the power that an object (slice, y, x) of `shape` lets pass, the mean over the field that is scanned in `frame`, whose pixels `map` takes to its own.
pub fn transmission(object: &[Complex64], shape: [usize; 2], frame: &ObjectFrame, map: &Affine) -> f64 {
    let [rows, cols] = scanned_field(frame.shape, &frame.positions_px);
    let (mut sum, mut count) = (0.0, 0.0);
    for (row, col) in rows.flat_map(|row| cols.clone().map(move |col| (row, col))) {
        let [y, x] = map.apply([row as f64, col as f64]).map(f64::round);
        if y >= 0.0 && x >= 0.0 && y < shape[0] as f64 && x < shape[1] as f64 {
            let pixel = y as usize * shape[1] + x as usize;
            sum += object.iter().skip(pixel).step_by(shape[0] * shape[1]).map(Complex64::norm_sqr).product::<f64>();
            count += 1.0;
        }
    }
    sum / count
}

/// The pixels of a line of `n` that make the value at `place`, with their weights; edge pixels are repeated outwards.
fn taps(place: f64, width: f64, n: usize) -> Vec<(usize, f64)> {
    let (first, last) = ((place - 2.0 * width).ceil() as i64, (place + 2.0 * width).floor() as i64);
    let tap = |k: i64| (k.clamp(0, n as i64 - 1) as usize, keys((k as f64 - place) / width));
    (first..=last).map(tap).filter(|(_, weight)| *weight != 0.0).collect()
}

/// The cubic kernel that is 1 at 0 and 0 at all other whole numbers.
fn keys(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

/// Modes (mode, y, x) of a probe in real space, its axis at pixel N/2, in another window; 0 beyond the old one.
///
/// `turn` takes (row, col) in the new window to those in the old, as [`Affine::turn`] does. Where pixels are of one size they are taken as they are; else the modes are drawn out of their
/// spectrum (a window repeats itself), as far as both grids resolve it.
pub fn probe_in_window(
    modes: &[Complex64],
    window: [usize; 2],
    pixel_A: [f64; 2],
    to_window: [usize; 2],
    to_pixel_A: [f64; 2],
    turn: [[f64; 2]; 2],
) -> Vec<Complex64> {
    let crossed = turn[0][0] == 0.0;
    // The axis of the new window that lies along each axis of the old one.
    let along = if crossed { [1, 0] } else { [0, 1] };
    let weights = [0, 1].map(|a| {
        let new = along[a];
        let ratio = to_pixel_A[new] / pixel_A[a];
        let ratio = if (ratio - 1.0).abs() < SAME { 1.0 } else { ratio };
        line_weights(window[a], to_window[new], ratio, turn[a][new])
    });
    let mut made = Vec::with_capacity(modes.len() / (window[0] * window[1]).max(1) * to_window[0] * to_window[1]);
    for mode in modes.chunks_exact(window[0] * window[1]) {
        let rows: Vec<Vec<Complex64>> =
            mode.chunks_exact(window[1]).map(|row| weights[1].iter().map(|line| weighted(line, row.iter())).collect()).collect();
        for y in 0..to_window[0] {
            for x in 0..to_window[1] {
                let (along_y, along_x) = if crossed { (x, y) } else { (y, x) };
                made.push(weighted(&weights[0][along_y], rows.iter().map(|row| &row[along_x])));
            }
        }
    }
    made
}

fn weighted<'a>(weights: &[f64], values: impl Iterator<Item = &'a Complex64>) -> Complex64 {
    weights.iter().zip(values).map(|(w, v)| v * *w).sum()
}

/// For each of `to` pixels, `ratio` times as wide as those of a line of `n`, the weights of the line's.
fn line_weights(n: usize, to: usize, ratio: f64, sign: f64) -> Vec<Vec<f64>> {
    let highest = (n as f64 / (2.0 * ratio.max(1.0)) + 1e-9).floor() as usize;
    let line = |pixel: usize| {
        let place = sign * ratio * (pixel as f64 - (to / 2) as f64) + (n / 2) as f64;
        if place < -0.5 || place > n as f64 - 0.5 {
            return vec![0.0; n];
        }
        if ratio == 1.0 {
            return (0..n).map(|k| if k as f64 == place { 1.0 } else { 0.0 }).collect();
        }
        // The highest frequency of an even line is both the positive and the negative one.
        let part = |k: usize| if 2 * k == n { 1.0 } else { 2.0 };
        (0..n)
            .map(|j| (1..=highest).map(|k| part(k) * (TAU * k as f64 * (place - j as f64) / n as f64).cos()).sum::<f64>())
            .map(|sum| (1.0 + sum) / n as f64)
            .collect()
    };
    (0..to).map(line).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A smooth object: phases and amplitudes of waves of some 10 Å.
    fn object(place_A: [f64; 2]) -> Complex64 {
        let [y, x] = place_A;
        let phase = 2.5 * (0.5 * y + 0.3).sin() * (0.6 * x).cos() + 0.02 * x * y;
        Complex64::from_polar(1.0 - 0.2 * (0.4 * x - 0.3 * y).sin(), phase)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn an_object_is_found_again_under_rotation_scale_and_transposition(
            angle in -180.0..180.0f64, pixel in 0.25..0.5f64, transposed in any::<bool>(),
        ) {
            // The old grid: pixels of 0.3 Å; the new one: turned, other pixels, or transposed.
            let (old_pixel, old_shape, shape) = (0.3, [120, 130], [40, 44]);
            let (sin, cos) = angle.to_radians().sin_cos();
            let turned = if transposed { [[sin, cos], [cos, -sin]] } else { [[cos, -sin], [sin, cos]] };
            let place = |p: [f64; 2]| [0, 1].map(|i| turned[i][0] * (p[0] - 20.0) * pixel + turned[i][1] * (p[1] - 22.0) * pixel);
            let old_place = |p: [f64; 2]| [p[0] / old_pixel + 60.0, p[1] / old_pixel + 65.0];
            let positions: Vec<[f64; 2]> = (0..49).map(|n| [5.0 + 5.0 * f64::from(n / 7), 6.0 + 5.0 * f64::from(n % 7)]).collect();
            let stored: Vec<[f64; 2]> = positions.iter().map(|&p| old_place(place(p))).collect();
            let map = Affine::fit(&positions, &stored, [[pixel / old_pixel, 0.0], [0.0, pixel / old_pixel]]);
            for (p, q) in positions.iter().zip(&stored) {
                let far = map.apply(*p);
                prop_assert!((far[0] - q[0]).hypot(far[1] - q[1]) < 1e-5);
            }
            let grid = |shape: [usize; 2]| (0..shape[0] * shape[1]).map(move |p| [(p / shape[1]) as f64, (p % shape[1]) as f64]);
            let old: Vec<Complex64> = grid(old_shape).map(|p| object([(p[0] - 60.0) * old_pixel, (p[1] - 65.0) * old_pixel])).collect();
            let new = resampled(&old, old_shape, shape, &map);
            let inside: Vec<f64> = grid(shape).zip(&new).map(|(p, found)| (found - object(place(p))).norm()).collect();
            let worst = inside.iter().fold(0.0, |a: f64, b| a.max(*b));
            // Cubic interpolation errs by the third derivative: waves of 10 Å over pixels of 0.3 Å.
            prop_assert!(worst < 0.03, "{worst}");
        }
    }

    #[test]
    fn a_grid_on_itself_stays_as_it_is_and_beyond_it_is_vacuum() {
        let image: Vec<Complex64> = (0..30 * 20).map(|n| Complex64::from_polar(1.0 + 0.1 * f64::from(n % 7), f64::from(n))).collect();
        let shifted = Affine { linear: [[1.0, 0.0], [0.0, 1.0]], shift: [3.0, -2.0] };
        let made = resampled(&image, [30, 20], [30, 20], &shifted);
        for (row, col) in [(0, 2), (5, 19), (26, 7)] {
            assert!((made[row * 20 + col] - image[(row + 3) * 20 + col - 2]).norm() < 1e-12);
        }
        assert_eq!(made[5 * 20], Complex64::new(1.0, 0.0));
        assert_eq!(made[28 * 20 + 9], Complex64::new(1.0, 0.0));
        let back = shifted.inverse().unwrap().after(&shifted).apply([4.0, 5.0]);
        assert!((back[0] - 4.0).abs() < 1e-12 && (back[1] - 5.0).abs() < 1e-12);
    }

    #[test]
    fn what_a_wider_grid_does_not_resolve_is_averaged() {
        let image: Vec<Complex64> = (0..64 * 64).map(|n| Complex64::new(if (n % 64 + n / 64) % 2 == 0 { 2.0 } else { 0.0 }, 0.0)).collect();
        let map = Affine { linear: [[2.0, 0.0], [0.0, 2.0]], shift: [0.0; 2] };
        let made = resampled(&image, [64, 64], [32, 32], &map);
        assert!((made[16 * 32 + 16] - 1.0).norm() < 0.1, "{}", made[16 * 32 + 16]);
    }

    /// A disk-limited probe of `window` pixels over `extent_A`, not round.
    fn probe(window: [usize; 2], pixel_A: [f64; 2], at: impl Fn([f64; 2]) -> [f64; 2]) -> Vec<Complex64> {
        let wave = |y: f64, x: f64| {
            let beams = [(0.0, 0.0), (0.2, 0.1), (-0.3, 0.2), (0.1, -0.3), (0.3, 0.3)];
            beams.iter().enumerate().map(|(n, (ky, kx))| Complex64::cis(TAU * (ky * y + kx * x) + n as f64 * n as f64)).sum::<Complex64>()
                * (-(y * y + 0.5 * x * x) / 8.0).exp()
        };
        let places = (0..window[0] * window[1]).map(|p| [p / window[1], p % window[1]]);
        places.map(|p| [0, 1].map(|a| (p[a] as f64 - (window[a] / 2) as f64) * pixel_A[a])).map(at).map(|[y, x]| wave(y, x)).collect()
    }

    #[test]
    fn a_probe_is_cropped_padded_resampled_and_turned_about_its_axis() {
        let straight = [[1.0, 0.0], [0.0, 1.0]];
        let old = probe([48, 64], [0.4, 0.3], |p| p);
        let same = probe_in_window(&old, [48, 64], [0.4, 0.3], [48, 64], [0.4001, 0.3], straight);
        assert_eq!(same, old);
        let small = probe_in_window(&old, [48, 64], [0.4, 0.3], [31, 40], [0.4, 0.3], straight);
        let expected = probe([31, 40], [0.4, 0.3], |p| p);
        assert!(small.iter().zip(&expected).all(|(a, b)| (a - b).norm() < 1e-12));
        let wide = probe_in_window(&small, [31, 40], [0.4, 0.3], [48, 64], [0.4, 0.3], straight);
        assert_eq!(wide[24 * 64 + 32], old[24 * 64 + 32]);
        assert_eq!(wide[0], Complex64::default());
        for (pixel, window) in [([0.5, 0.45], [36, 44]), ([0.25, 0.2], [64, 80])] {
            let made = probe_in_window(&old, [48, 64], [0.4, 0.3], window, pixel, straight);
            let expected = probe(window, pixel, |p| p);
            let worst = made.iter().zip(&expected).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max);
            assert!(worst < 1e-2, "{worst}");
        }
        // New rows run against the old columns.
        let turn = [[0.0, 1.0], [-1.0, 0.0]];
        let made = probe_in_window(&old, [48, 64], [0.4, 0.3], [40, 40], [0.35, 0.35], turn);
        let expected = probe([40, 40], [0.35, 0.35], |[y, x]| [x, -y]);
        let worst = made.iter().zip(&expected).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max);
        assert!(worst < 1e-2, "{worst}");
    }

    #[test]
    fn the_nearest_turn_of_a_grid_is_told() {
        let turn = |m| Affine { linear: m, shift: [0.0; 2] }.turn();
        assert_eq!(turn([[1.1, 0.2], [-0.1, 0.9]]), [[1.0, 0.0], [0.0, 1.0]]);
        assert_eq!(turn([[0.2, -1.3], [1.2, 0.1]]), [[0.0, -1.0], [1.0, 0.0]]);
        assert_eq!(turn([[-0.7, 0.1], [0.0, 0.8]]), [[-1.0, 0.0], [0.0, 1.0]]);
    }

    #[test]
    fn a_line_of_positions_keeps_the_pixels_that_are_known() {
        // Along (3, 7), drawn out by 2.
        let from: Vec<[f64; 2]> = (0..12).map(|n| [5.0 + 0.3 * f64::from(n), 0.7 * f64::from(n)]).collect();
        let to: Vec<[f64; 2]> = (0..12).map(|n| [9.0 + 0.6 * f64::from(n), 1.0 + 1.4 * f64::from(n)]).collect();
        let map = Affine::fit(&from, &to, [[1.9, 0.0], [0.0, 1.9]]);
        let (along, across) = (map.apply([5.6, 1.4]), map.apply([5.7, -0.3]));
        assert!((along[0] - 10.2).abs() < 1e-6 && (along[1] - 3.8).abs() < 1e-6, "{along:?}");
        assert!((across[0] - 10.33).abs() < 1e-5 && (across[1] - 0.43).abs() < 1e-5, "{across:?}");
    }

    #[test]
    fn what_an_object_lets_pass_is_that_of_the_scanned_field() {
        let frame = ObjectFrame::enclose(&[[0.0, 0.0], [0.0, 4.0], [4.0, 0.0]], [0.5; 2], [8, 8]).unwrap();
        // Two slices of amplitude 1.1 and 0.5 where the scan is, 7 beyond it; the old grid begins 3 pixels later.
        let map = Affine { linear: [[1.0, 0.0], [0.0, 1.0]], shift: [-3.0; 2] };
        let [rows, cols] = scanned_field(frame.shape, &frame.positions_px);
        let slice = |amplitude: f64| {
            let at = move |p: usize| if rows.contains(&(p / 20 + 3)) && cols.contains(&(p % 20 + 3)) { amplitude } else { 7.0 };
            (0..400).map(at).map(Complex64::from).collect::<Vec<Complex64>>()
        };
        let object = [slice.clone()(1.1), slice(0.5)].concat();
        assert!((transmission(&object, [20, 20], &frame, &map) - 0.55 * 0.55).abs() < 1e-12);
    }
}
