//! How good a phase is, against the truth of a simulated dataset: the scores that `benches/peers/score.py` gives.

use ronchi::ptycho::ObjectFrame;

/// The truth of a dataset.
pub(crate) struct Truth {
    /// V·Å, (y, x).
    pub potential: Vec<f64>,
    pub shape: [usize; 2],
    pub pixel_A: f64,
    /// (y, x) of each position in the potential's frame, in scan order.
    pub positions_A: Vec<[f64; 2]>,
    /// (y, x) of each Na column, and its atoms.
    pub sodium: Vec<([f64; 2], f64)>,
}

impl Truth {
    pub(crate) fn read(path: &std::path::Path) -> Self {
        let file = hdf5::File::open(path).unwrap();
        let pairs = |name: &str| {
            let numbers: Vec<f64> = file.dataset(name).unwrap().read_raw().unwrap();
            numbers.chunks_exact(2).map(|p| [p[0], p[1]]).collect::<Vec<_>>()
        };
        let potential = file.dataset("projected_potential").unwrap();
        let shape = potential.shape();
        let atoms: Vec<f64> = file.dataset("column_atoms").unwrap().read_raw().unwrap();
        let occupancy: Vec<f64> = file.dataset("column_occupancy").unwrap().read_raw().unwrap();
        let elements: Vec<hdf5::types::FixedAscii<2>> = file.dataset("column_element").unwrap().read_raw().unwrap();
        let sodium = pairs("column_yx")
            .into_iter()
            .zip(atoms.iter().zip(&occupancy))
            .zip(&elements)
            .filter(|(_, element)| element.as_str() == "Na")
            .map(|((place, (atoms, occupancy)), _)| (place, atoms * occupancy))
            .collect();
        Self {
            potential: potential.read_raw().unwrap(),
            shape: [shape[0], shape[1]],
            pixel_A: 40.0 / shape[0] as f64,
            positions_A: pairs("positions_yx"),
            sodium,
        }
    }
}

/// r and R² of a phase: see the module `benches/peers/score.py` for the definitions.
pub(crate) fn score(phase: &[f64], frame: &ObjectFrame, truth: &Truth) -> (f64, f64) {
    let blurred = blur(&truth.potential, truth.shape, 0.35 / truth.pixel_A);
    let bound = |pick: fn(f64, f64) -> f64, axis: usize| truth.positions_A.iter().map(|p| p[axis]).reduce(pick).unwrap();
    let low = [bound(f64::min, 0) + 1.0, bound(f64::min, 1) + 1.0];
    let high = [bound(f64::max, 0) - 1.0, bound(f64::max, 1) - 1.0];
    let first = truth.positions_A[0];
    // The phase at a place of the truth's frame.
    let at = |y: f64, x: f64| {
        let place = [(y - first[0]) / frame.pixel_A[0] + frame.origin_px[0], (x - first[1]) / frame.pixel_A[1] + frame.origin_px[1]];
        interpolate(phase, frame.shape, place)
    };
    let grid: Vec<[f64; 2]> = (0..)
        .map(|i| low[0] + f64::from(i) * truth.pixel_A)
        .take_while(|y| *y <= high[0])
        .flat_map(|y| (0..).map(|j| low[1] + f64::from(j) * truth.pixel_A).take_while(|x| *x <= high[1]).map(move |x| [y, x]))
        .collect();
    let seen = without_plane(&grid, grid.iter().map(|[y, x]| at(*y, *x)).collect());
    let mut best = (-1.0, [0.0; 2]);
    for step in [0.15, 0.05, 0.0167] {
        let centre = best.1;
        for i in -4..=4 {
            for j in -4..=4 {
                let shift = [centre[0] + f64::from(i) * step, centre[1] + f64::from(j) * step];
                if shift.iter().any(|s| s.abs() > 0.6) {
                    continue;
                }
                let values = grid
                    .iter()
                    .map(|[y, x]| interpolate(&blurred, truth.shape, [(y + shift[0]) / truth.pixel_A, (x + shift[1]) / truth.pixel_A]));
                let r = correlation(&seen, &without_plane(&grid, values.collect()));
                if r > best.0 {
                    best = (r, shift);
                }
            }
        }
    }
    let inside = |p: &[f64; 2]| (0..2).all(|a| p[a] >= low[a] + 0.8 && p[a] <= high[a] - 0.8);
    let (mut atoms, mut means) = (Vec::new(), Vec::new());
    for (place, count) in truth.sodium.iter().filter(|(place, _)| inside(place)) {
        let centre = [place[0] - best.1[0], place[1] - best.1[1]];
        let (mut sum, mut n) = (0.0, 0.0);
        for i in -11..=11 {
            for j in -11..=11 {
                let (dy, dx) = (f64::from(i) * 0.05, f64::from(j) * 0.05);
                if dy.hypot(dx) <= 0.55 {
                    sum += at(centre[0] + dy, centre[1] + dx);
                    n += 1.0;
                }
            }
        }
        atoms.push(*count);
        means.push(sum / n);
    }
    assert!(atoms.len() >= 20, "only {} Na columns lie inside", atoms.len());
    (best.0, correlation(&atoms, &means).powi(2))
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    ab / (aa * bb).sqrt()
}

/// The values less the plane that fits them best; the grid is a full rectangle, so its axes are uncorrelated.
fn without_plane(grid: &[[f64; 2]], mut values: Vec<f64>) -> Vec<f64> {
    let n = values.len() as f64;
    let mean = |pick: &dyn Fn(usize) -> f64| (0..values.len()).map(pick).sum::<f64>() / n;
    let level = mean(&|i| values[i]);
    let centre = [0, 1].map(|a| mean(&|i| grid[i][a]));
    let slope = [0, 1].map(|a| mean(&|i| (grid[i][a] - centre[a]) * values[i]) / mean(&|i| (grid[i][a] - centre[a]).powi(2)));
    for (value, place) in values.iter_mut().zip(grid) {
        *value -= level + slope[0] * (place[0] - centre[0]) + slope[1] * (place[1] - centre[1]);
    }
    values
}

/// Gaussian blur of `sigma` pixels, edges repeated.
pub(crate) fn blur(image: &[f64], shape: [usize; 2], sigma: f64) -> Vec<f64> {
    let reach = (4.0 * sigma).ceil() as i64;
    let weights: Vec<f64> = (-reach..=reach).map(|k| (-0.5 * (k as f64 / sigma).powi(2)).exp()).collect();
    let total: f64 = weights.iter().sum();
    let pass = |image: &[f64], step: usize, n: usize, other: usize, stride: usize| {
        let mut out = vec![0.0; image.len()];
        for line in 0..other {
            for k in 0..n {
                let sum: f64 = weights
                    .iter()
                    .zip(-reach..)
                    .map(|(w, d)| w * image[line * stride + (k as i64 + d).clamp(0, n as i64 - 1) as usize * step])
                    .sum();
                out[line * stride + k * step] = sum / total;
            }
        }
        out
    };
    let rows = pass(image, 1, shape[1], shape[0], shape[1]);
    pass(&rows, shape[1], shape[0], shape[1], 1)
}

/// Catmull–Rom interpolation, edges repeated.
fn interpolate(image: &[f64], shape: [usize; 2], place: [f64; 2]) -> f64 {
    let base = place.map(f64::floor);
    let weights = [0, 1].map(|a| {
        let t: f64 = place[a] - base[a];
        [((-0.5 * t + 1.0) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1.0, ((-1.5 * t + 2.0) * t + 0.5) * t, (0.5 * t - 0.5) * t * t]
    });
    let at = |axis: usize, k: usize| (base[axis] as i64 + k as i64 - 1).clamp(0, shape[axis] as i64 - 1) as usize;
    (0..4)
        .flat_map(|i| (0..4).map(move |j| (i, j)))
        .map(|(i, j)| weights[0][i] * weights[1][j] * image[at(0, i) * shape[1] + at(1, j)])
        .sum()
}
