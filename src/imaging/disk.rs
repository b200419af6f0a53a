//! The bright-field disk in a mean pattern: its centre and radius.

use std::f64::consts::{PI, TAU};

use super::{Error, Result};

/// The bright-field disk of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct Disk {
    /// (y, x) in pixels; the centre of the first pixel is 0.
    pub centre: [f64; 2],
    /// In pixels: of the disk's own circle, in units of the geometric mean of the pixel's sides.
    pub radius: f64,
    /// The standard deviation of the edge about the circle, in pixels: noise, crystalline contrast, ellipticity.
    pub roughness: f64,
    /// The part of the circle that lies inside the frame, from 0 to 1.
    pub inside: f64,
    /// The e of r(φ) = R(1 + e cos 2(φ − φ_e)), fitted to the edge.
    pub ellipticity: f64,
    /// φ_e, the azimuth of the long axis from +column towards +row, in [0, 180).
    pub long_axis_deg: f64,
    /// Standard errors, from how the edge strays from the ellipse (noise and crystalline contrast alike).
    pub se: DiskErrors,
}

/// Standard errors of a [`Disk`], in the units of its values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DiskErrors {
    /// (y, x).
    pub centre: [f64; 2],
    pub radius: f64,
    pub ellipticity: f64,
}

impl Disk {
    /// What cannot be done with a disk that the frame's edge cuts, and what still can.
    pub fn warning(&self) -> Option<String> {
        (self.inside < 0.999).then(|| {
            format!(
                "the bright-field disk (centre {:.1}, {:.1}; radius {:.1} px) is cut by the frame's edge: {:.0} % of its rim is inside. Centre and radius come from that part. \
                 Detectors beyond the disk do not fit, and centres of mass (com, idpc) are too small and depend on what is cut off; \
                 bf and abf by name (clipped, coverage told) and reconstruct remain possible.",
                self.centre[0],
                self.centre[1],
                self.radius,
                self.inside * 100.0
            )
        })
    }
}

/// Finds the disk in a mean pattern of `shape`, leaving out pixels that are not `valid`. `pixel` is the pixel's size (y, x) in any
/// unit: on a detector with oblong pixels the disk is an ellipse in pixels.
///
/// The first guess is the largest patch brighter than Otsu's threshold (IEEE Trans. SMC 9 (1979) 62). Then, sector by sector, the radius at which the disk
/// would have to end to hold the intensity found between a circle inside and a circle outside of its edge: the half-height radius of any
/// edge that is blurred evenly, without the noise of a crossing. Circle and levels are fitted in turn until the circle rests.
pub fn find_disk(pattern: &[f64], shape: [usize; 2], valid: Option<&[bool]>, pixel: [f64; 2]) -> Result<Disk> {
    let counts = |p: usize| valid.is_none_or(|v| v[p]) && pattern[p].is_finite();
    let calm = median_filtered(pattern, shape, &counts);
    let brightest = calm.iter().copied().filter(|v| v.is_finite()).fold(0.0, f64::max);
    if brightest <= 0.0 {
        return Err(Error::Dark { brightest });
    }
    let mean = (pixel[0] * pixel[1]).sqrt();
    let field = Field { pattern, shape, counts: &counts, scale: [pixel[0] / mean, pixel[1] / mean] };
    let mut circle = field.rest(field.first_guess(&calm)?, 1.0)?;
    if circle.roughness > 0.25 * circle.radius {
        return field.none(format!(
            "the brightest patch is no disk: its edge strays by {:.1} px from a circle of {:.1} px",
            circle.roughness, circle.radius
        ));
    }
    // What contrast does alike to all sectors shows in how the circle depends on the width of the bands.
    let others: Vec<Disk> = [0.7, 1.4].iter().filter_map(|width| field.rest(circle.clone(), *width).ok()).collect();
    let with = |se: f64, of: &dyn Fn(&Disk) -> f64| se.hypot(others.iter().map(|o| (of(o) - of(&circle)).abs()).fold(0.0, f64::max));
    let se = DiskErrors {
        centre: [0, 1].map(|a| with(circle.se.centre[a], &|d| d.centre[a])),
        radius: with(circle.se.radius, &|d| d.radius),
        ellipticity: with(circle.se.ellipticity, &|d| d.ellipticity),
    };
    circle.se = se;
    Ok(circle)
}

const MAX_ROUNDS: usize = 40;

struct Field<'a> {
    pattern: &'a [f64],
    shape: [usize; 2],
    counts: &'a dyn Fn(usize) -> bool,
    /// The pixel's sides (y, x) with a geometric mean of 1.
    scale: [f64; 2],
}

impl Field<'_> {
    fn none<T>(&self, reason: String) -> Result<T> {
        Err(Error::NoDisk { shape: self.shape, reason })
    }

    /// Centroid and equal-area radius of the largest patch over Otsu's threshold.
    fn first_guess(&self, calm: &[f64]) -> Result<Disk> {
        let Some(threshold) = otsu(calm) else {
            return self.none("all its pixels are alike".into());
        };
        let patch = largest_patch(calm, self.shape, threshold);
        let n = patch.len() as f64;
        let nx = self.shape[1];
        let centre = [patch.iter().map(|p| (p / nx) as f64).sum::<f64>() / n, patch.iter().map(|p| (p % nx) as f64).sum::<f64>() / n];
        let radius = (n / PI).sqrt();
        if radius < 1.5 {
            return self.none(format!("its brightest patch is only {n} pixels large"));
        }
        let se = DiskErrors::default();
        Ok(Disk { centre, radius, roughness: 0.0, inside: 1.0, ellipticity: 0.0, long_axis_deg: 0.0, se })
    }

    /// Refines a circle until it rests; `width` multiplies that of the bands.
    fn rest(&self, guess: Disk, width: f64) -> Result<Disk> {
        let mut circle = guess;
        for round in 0..MAX_ROUNDS {
            let next = self.refine(&circle, width)?;
            let moved = (next.centre[0] - circle.centre[0]).hypot(next.centre[1] - circle.centre[1]) + (next.radius - circle.radius).abs();
            circle = next;
            if moved < 1e-4 || (round > MAX_ROUNDS / 2 && moved < 1e-2) {
                break;
            }
        }
        Ok(circle)
    }

    /// One round of levels, edge radii by sector and circle.
    fn refine(&self, guess: &Disk, width: f64) -> Result<Disk> {
        let (centre, radius) = (guess.centre, guess.radius);
        // Wide enough for a blurred edge and its noise, narrow enough that the contrast inside is nearly flat across it.
        let half = ((0.12 * radius).clamp(2.0, 4.0) * width).min(0.5 * radius);
        let sectors = ((TAU * radius / 2.5) as usize).clamp(12, 90);
        let mut bands = vec![Bands::default(); sectors];
        self.visit(centre, radius + 2.5 * half, |value, r, phi| {
            let sector = ((phi / TAU).rem_euclid(1.0) * sectors as f64) as usize % sectors;
            bands[sector].add(value, r - radius, half);
        });
        let levels = smoothed(&bands, |b| b.inner, sectors).zip(smoothed(&bands, |b| b.outer, sectors));
        let Some((inner, outer)) = levels else {
            return self.none("the bright patch fills the frame, so that no edge of the disk is seen".into());
        };
        let contrast = (0..sectors).map(|s| inner[s] - outer[s]).sum::<f64>() / sectors as f64;
        let level = inner.iter().sum::<f64>() / sectors as f64;
        if contrast.is_nan() || contrast < 0.2 * level {
            return self
                .none(format!("its brightest patch fades into its surroundings ({level:.3} inside, {:.3} outside)", level - contrast));
        }
        let (low, high) = ((radius - half).powi(2), (radius + half).powi(2));
        let mut edges = Vec::with_capacity(sectors);
        for (s, band) in bands.iter().enumerate() {
            let step = inner[s] - outer[s];
            let phi = (s as f64 + 0.5) * TAU / sectors as f64;
            // A sector counts where the frame and the mask leave most of it and its own levels differ.
            if band.edge.1 > 0.0 && self.contains(centre, radius + half, phi) && band.full_enough() && step > 0.3 * contrast {
                let share = (band.edge.0 / band.edge.1 - outer[s]) / step;
                edges.push((phi, (low + share * (high - low)).max(0.0).sqrt()));
            }
        }
        let inside = (0..4 * sectors).filter(|k| self.contains(centre, radius, *k as f64 * TAU / (4 * sectors) as f64)).count() as f64
            / (4 * sectors) as f64;
        let Some(fit) = fit_circle(&edges, sectors) else {
            return self.none(format!("too little of its edge is inside the frame ({} of {sectors} sectors)", edges.len()));
        };
        // The levels belong to the guess: a step is at most the band's half width.
        let limit = |d: f64| d.clamp(-half, half);
        let moved = [centre[0] + limit(fit.shift[0]) / self.scale[0], centre[1] + limit(fit.shift[1]) / self.scale[1]];
        let radius = radius + limit(fit.radius - radius);
        let beyond = [0, 1].iter().any(|&a| moved[a] < -0.5 * self.shape[a] as f64 || moved[a] > 1.5 * self.shape[a] as f64);
        if beyond || !radius.is_finite() || radius < 1.0 {
            return self.none("the fit of a circle to its brightest patch runs out of the frame".into());
        }
        let (ellipticity, long_axis_deg, se) = fit_ellipse(&fit.kept, radius, sectors / 12, self.scale);
        Ok(Disk { centre: moved, radius, roughness: fit.spread, inside, ellipticity, long_axis_deg, se })
    }

    /// Calls `f(value, r, φ)` for each ninth of each counting pixel within `reach` of the centre.
    fn visit(&self, centre: [f64; 2], reach: f64, mut f: impl FnMut(f64, f64, f64)) {
        const THIRDS: [f64; 3] = [-1.0 / 3.0, 0.0, 1.0 / 3.0];
        let [ny, nx] = self.shape;
        let range = |c: f64, scale: f64, n: usize| {
            let first = (c - reach / scale).floor().max(0.0) as usize;
            first..((c + reach / scale).ceil().max(-1.0) + 1.0).min(n as f64) as usize
        };
        for y in range(centre[0], self.scale[0], ny) {
            for x in range(centre[1], self.scale[1], nx) {
                if !(self.counts)(y * nx + x) {
                    continue;
                }
                for dy in THIRDS {
                    for dx in THIRDS {
                        let (v, u) = ((y as f64 + dy - centre[0]) * self.scale[0], (x as f64 + dx - centre[1]) * self.scale[1]);
                        f(self.pattern[y * nx + x], v.hypot(u), v.atan2(u));
                    }
                }
            }
        }
    }

    /// Is the point at this radius and azimuth inside the frame?
    fn contains(&self, centre: [f64; 2], r: f64, phi: f64) -> bool {
        let (y, x) = (centre[0] + r * phi.sin() / self.scale[0], centre[1] + r * phi.cos() / self.scale[1]);
        y >= -0.5 && x >= -0.5 && y <= self.shape[0] as f64 - 0.5 && x <= self.shape[1] as f64 - 0.5
    }
}

/// Sums (Σ value, samples) of one sector, in the bands inside of the edge, around it and outside of it.
#[derive(Debug, Clone, Copy, Default)]
struct Bands {
    inner: (f64, f64),
    edge: (f64, f64),
    outer: (f64, f64),
}

impl Bands {
    fn add(&mut self, value: f64, offset: f64, half: f64) {
        let band = if offset.abs() < half {
            &mut self.edge
        } else if offset < -half && offset >= -2.5 * half {
            &mut self.inner
        } else if offset > half && offset < 2.5 * half {
            &mut self.outer
        } else {
            return;
        };
        band.0 += value;
        band.1 += 1.0;
    }

    /// Masked pixels leave holes; an edge seen through less than half a sector would be biased.
    fn full_enough(&self) -> bool {
        self.edge.1 > 9.0
    }
}

/// A band's level over the azimuth, averaged over each sector and its neighbours up to a twelfth of a turn away; `None` if no sector has any.
fn smoothed(bands: &[Bands], band: impl Fn(&Bands) -> (f64, f64), sectors: usize) -> Option<Vec<f64>> {
    let reach = (sectors / 12).max(1);
    let all = bands.iter().map(&band).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    if all.1 < 9.0 * 12.0 {
        return None;
    }
    Some(
        (0..sectors)
            .map(|s| {
                let near = (0..=2 * reach)
                    .map(|k| band(&bands[(s + sectors + k - reach) % sectors]))
                    .fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
                if near.1 > 0.0 { near.0 / near.1 } else { f64::NAN }
            })
            .map(|level| if level.is_nan() { all.0 / all.1 } else { level })
            .collect(),
    )
}

struct CircleFit {
    /// (y, x).
    shift: [f64; 2],
    radius: f64,
    spread: f64,
    /// The edges (φ, r) that it was fitted to, in rising φ.
    kept: Vec<(f64, f64)>,
}

/// Fits r(φ) = R + a sin φ + b cos φ by least squares, once more without what lies beyond three robust deviations; `None` if the
/// points span too little of the circle.
fn fit_circle(edges: &[(f64, f64)], sectors: usize) -> Option<CircleFit> {
    let mut kept = edges.to_vec();
    let mut fit = None;
    for _ in 0..3 {
        if kept.len() < 6 || kept.len() * 5 < sectors {
            return None;
        }
        let mut normal = [[0.0; 4]; 3];
        for &(phi, r) in &kept {
            let row = [1.0, phi.sin(), phi.cos()];
            for i in 0..3 {
                for j in 0..3 {
                    normal[i][j] += row[i] * row[j];
                }
                normal[i][3] += row[i] * r;
            }
        }
        let [radius, a, b] = solve3(normal)?;
        let residual = |&(phi, r): &(f64, f64)| (r - radius - a * phi.sin() - b * phi.cos()).abs();
        let mut sizes: Vec<f64> = kept.iter().map(residual).collect();
        let spread = (sizes.iter().map(|s| s * s).sum::<f64>() / sizes.len() as f64).sqrt();
        fit = Some(CircleFit { shift: [a, b], radius, spread, kept: kept.clone() });
        sizes.sort_by(f64::total_cmp);
        let limit = (3.0 * 1.4826 * sizes[sizes.len() / 2]).max(0.02);
        kept.retain(|e| residual(e) <= limit);
    }
    fit
}

/// Fits r(φ) = R + a sin φ + b cos φ + c cos 2φ + d sin 2φ by least squares: the ellipticity, its azimuth in degrees, and the standard errors. Edges up to
/// `reach` places apart are taken to stray together (Newey & West, Econometrica 55 (1987) 703): contrast and the levels on both sides do.
fn fit_ellipse(edges: &[(f64, f64)], radius: f64, reach: usize, scale: [f64; 2]) -> (f64, f64, DiskErrors) {
    const N: usize = 5;
    let row = |phi: f64| [1.0, phi.sin(), phi.cos(), (2.0 * phi).cos(), (2.0 * phi).sin()];
    let mut m = [[0.0; 2 * N + 1]; N];
    for &(phi, r) in edges {
        let row = row(phi);
        for i in 0..N {
            (0..N).for_each(|j| m[i][j] += row[i] * row[j]);
            m[i][2 * N] += row[i] * r;
        }
    }
    for c in 0..N {
        m[c][N + c] = 1.0;
    }
    for c in 0..N {
        let pivot = m[c][c];
        if edges.len() <= N || pivot.is_nan() || pivot <= 1e-6 * edges.len() as f64 {
            let unknown = f64::INFINITY;
            return (0.0, 0.0, DiskErrors { centre: [unknown; 2], radius: unknown, ellipticity: unknown });
        }
        m[c].iter_mut().for_each(|v| *v /= pivot);
        let line = m[c];
        for (_, other) in m.iter_mut().enumerate().filter(|(r, _)| *r != c) {
            let factor = other[c];
            other.iter_mut().zip(line).for_each(|(a, b)| *a -= factor * b);
        }
    }
    let fitted = |phi: f64| row(phi).iter().zip(&m).map(|(t, line)| t * line[2 * N]).sum::<f64>();
    // What each edge adds to each coefficient.
    let influence: Vec<[f64; N]> = edges
        .iter()
        .map(|&(phi, r)| {
            let (row, rest) = (row(phi), r - fitted(phi));
            std::array::from_fn(|k| rest * row.iter().zip(&m[k][N..2 * N]).map(|(t, w)| t * w).sum::<f64>())
        })
        .collect();
    let n = edges.len();
    let share = n as f64 / (n - N) as f64;
    let variance = |k: usize| {
        let together = |lag: usize| (0..n).map(|e| influence[e][k] * influence[(e + lag) % n][k]).sum::<f64>();
        let reach = reach.min(n / 3);
        let near: f64 = (1..=reach).map(|lag| 2.0 * (1.0 - lag as f64 / (reach + 1) as f64) * together(lag)).sum();
        share * (together(0) + near).max(0.0)
    };
    let (c, d) = (m[3][2 * N], m[4][2 * N]);
    let se = DiskErrors {
        centre: [variance(1).sqrt() / scale[0], variance(2).sqrt() / scale[1]],
        radius: variance(0).sqrt(),
        ellipticity: (0.5 * (variance(3) + variance(4))).sqrt() / radius,
    };
    (c.hypot(d) / radius, (0.5 * d.atan2(c)).to_degrees().rem_euclid(180.0), se)
}

/// Solves three equations by elimination with pivots; `None` where they are (nearly) dependent.
fn solve3(mut m: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    let size = m[0][0];
    for c in 0..3 {
        let pivot = (c..3).max_by(|a, b| m[*a][c].abs().total_cmp(&m[*b][c].abs()))?;
        m.swap(c, pivot);
        if m[c][c].abs() < 1e-3 * size {
            return None;
        }
        for r in 0..3 {
            if r != c {
                let factor = m[r][c] / m[c][c];
                let row = m[c];
                m[r].iter_mut().zip(row).for_each(|(a, b)| *a -= factor * b);
            }
        }
    }
    Some([0, 1, 2].map(|i| m[i][3] / m[i][i]))
}

/// The median of each counting pixel's 3×3 neighbourhood, so that single hot or dead pixels move nothing; NaN where a pixel does not count.
fn median_filtered(pattern: &[f64], [ny, nx]: [usize; 2], counts: &dyn Fn(usize) -> bool) -> Vec<f64> {
    let mut near = Vec::with_capacity(9);
    let mut calm = vec![f64::NAN; pattern.len()];
    for y in 0..ny {
        for x in 0..nx {
            if !counts(y * nx + x) {
                continue;
            }
            near.clear();
            for v in y.saturating_sub(1)..(y + 2).min(ny) {
                near.extend((x.saturating_sub(1)..(x + 2).min(nx)).map(|u| v * nx + u).filter(|&p| counts(p)).map(|p| pattern[p]));
            }
            near.sort_by(f64::total_cmp);
            calm[y * nx + x] = near[near.len() / 2];
        }
    }
    calm
}

/// The threshold that separates the values (NaN left out) into two classes of the largest variance between them.
fn otsu(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let total: f64 = sorted.iter().sum();
    let n = sorted.len() as f64;
    let (mut below, mut best) = (0.0, None);
    for k in 1..sorted.len() {
        below += sorted[k - 1];
        if sorted[k] > sorted[k - 1] {
            let (w, m0) = (k as f64, below / k as f64);
            let m1 = (total - below) / (n - w);
            let between = w * (n - w) * (m1 - m0).powi(2);
            if best.is_none_or(|(b, _)| between > b) {
                best = Some((between, 0.5 * (sorted[k] + sorted[k - 1])));
            }
        }
    }
    best.map(|(_, threshold)| threshold)
}

/// The pixels of the largest connected patch brighter than the threshold.
fn largest_patch(values: &[f64], [ny, nx]: [usize; 2], threshold: f64) -> Vec<usize> {
    let mut seen = vec![false; values.len()];
    let mut largest = Vec::new();
    for start in 0..values.len() {
        if seen[start] || values[start].is_nan() || values[start] <= threshold {
            continue;
        }
        seen[start] = true;
        let (mut patch, mut next) = (vec![start], 0);
        while next < patch.len() {
            let (y, x) = (patch[next] / nx, patch[next] % nx);
            next += 1;
            let neighbours = [(y.wrapping_sub(1), x), (y + 1, x), (y, x.wrapping_sub(1)), (y, x + 1)];
            for (v, u) in neighbours {
                if v < ny && u < nx && !seen[v * nx + u] && values[v * nx + u] > threshold {
                    seen[v * nx + u] = true;
                    patch.push(v * nx + u);
                }
            }
        }
        if patch.len() > largest.len() {
            largest = patch;
        }
    }
    largest
}
