//! What the scan itself does to the centre of mass: a plane or a parabola over the scan.

/// What of the centre of mass over the scan is taken as descan rather than as specimen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Descan {
    /// A constant.
    #[default]
    None,
    /// c + c_i i + c_j j.
    Plane,
    /// Also c_ii i² + c_ij ij + c_jj j².
    Parabola,
}

impl Descan {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Plane => "plane",
            Self::Parabola => "parabola",
        }
    }

    /// How many coefficients a component has.
    pub(super) fn terms(self) -> usize {
        match self {
            Self::None => 1,
            Self::Plane => 3,
            Self::Parabola => 6,
        }
    }
}

/// The terms at scan position `k`, with i and j counted from the scan's middle in units of half its extent.
fn terms(k: usize, [ni, nj]: [usize; 2]) -> [f64; 6] {
    let place = |k: usize, n: usize| (2 * k + 1) as f64 / n as f64 - 1.0;
    let (i, j) = (place(k / nj, ni), place(k % nj, nj));
    [1.0, i, j, i * i, i * j, j * j]
}

/// A polynomial over the scan, fitted by least squares.
pub(super) struct Trend {
    shape: [usize; 2],
    /// In the units of [`terms`], those that were fitted.
    pub(super) coefficients: Vec<f64>,
    /// The normal matrix's inverse.
    inverse: Vec<Vec<f64>>,
}

impl Trend {
    /// Fits the values where they count; terms that the scan cannot tell (on a line, on a point) are 0.
    pub(super) fn fit(values: &[f64], counts: &[bool], shape: [usize; 2], order: Descan) -> Self {
        let n = order.terms();
        let mut normal = vec![vec![0.0; 2 * n + 1]; n];
        for (k, &v) in values.iter().enumerate().filter(|(k, _)| counts[*k]) {
            let t = terms(k, shape);
            for r in 0..n {
                (0..n).for_each(|c| normal[r][c] += t[r] * t[c]);
                normal[r][2 * n] += t[r] * v;
            }
        }
        (0..n).for_each(|r| normal[r][n + r] = 1.0);
        solve(&mut normal, n);
        let coefficients = normal.iter().map(|row| row[2 * n]).collect();
        Self { shape, coefficients, inverse: normal.iter().map(|row| row[n..2 * n].to_vec()).collect() }
    }

    /// The values without the trend, 0 where they do not count.
    pub(super) fn removed(&self, values: &[f64], counts: &[bool]) -> Vec<f64> {
        (0..values.len()).map(|k| if counts[k] { values[k] - self.at(k) } else { 0.0 }).collect()
    }

    fn at(&self, k: usize) -> f64 {
        self.coefficients.iter().zip(terms(k, self.shape)).map(|(c, t)| c * t).sum()
    }

    /// The standard errors of the coefficients from what is left, taken as alike within `part` × `part` positions and independent beyond.
    pub(super) fn standard_errors(&self, rest: &[f64], part: usize) -> Vec<f64> {
        let ([ni, nj], n) = (self.shape, self.coefficients.len());
        let across = nj.div_ceil(part);
        let mut scores = vec![vec![0.0; n]; ni.div_ceil(part) * across];
        for (k, r) in rest.iter().enumerate() {
            let score = &mut scores[k / nj / part * across + k % nj / part];
            score.iter_mut().zip(terms(k, self.shape)).for_each(|(s, t)| *s += t * r);
        }
        let along = |row: &[f64], score: &[f64]| row.iter().zip(score).map(|(a, b)| a * b).sum::<f64>();
        self.inverse.iter().map(|row| scores.iter().map(|score| along(row, score).powi(2)).sum::<f64>().sqrt()).collect()
    }

    /// What a coefficient has to be multiplied by to be that of scan steps instead of half extents.
    pub(super) fn per_step(&self, term: usize) -> f64 {
        let [i, j] = self.shape.map(|n| 2.0 / n as f64);
        [1.0, i, j, i * i, i * j, j * j][term]
    }
}

/// Reduces n equations with their right sides by elimination with pivots; an unknown that they do not determine is 0.
fn solve(m: &mut [Vec<f64>], n: usize) {
    let scale = m.iter().enumerate().map(|(k, row)| row[k].abs()).fold(0.0, f64::max);
    for c in 0..n {
        // The matrix is symmetric and positive, so that its diagonal holds the pivots.
        let pivot = m[c][c];
        if pivot.abs() <= 1e-9 * scale {
            m.iter_mut().for_each(|row| row[c] = 0.0);
            m[c].fill(0.0);
            continue;
        }
        m[c].iter_mut().for_each(|v| *v /= pivot);
        let row = m[c].clone();
        for (_, other) in m.iter_mut().enumerate().filter(|(r, _)| *r != c) {
            let factor = other[c];
            other.iter_mut().zip(&row).for_each(|(a, b)| *a -= factor * b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_is_found_and_removed() {
        let shape = [7, 9];
        let of = |k: usize| {
            let (i, j) = ((k / 9) as f64, (k % 9) as f64);
            0.3 - 0.02 * i + 0.05 * j + 0.004 * i * i - 0.003 * i * j + 0.001 * j * j
        };
        let values: Vec<f64> = (0..63).map(of).collect();
        let mut counts = vec![true; 63];
        counts[20] = false;
        let trend = Trend::fit(&values, &counts, shape, Descan::Parabola);
        assert!(trend.removed(&values, &counts).iter().all(|r| r.abs() < 1e-12));
        assert!((trend.coefficients[3] * trend.per_step(3) - 0.004).abs() < 1e-12);
    }

    #[test]
    fn what_a_line_cannot_tell_is_nothing() {
        let values: Vec<f64> = (0..20).map(|k| 1.0 + 0.1 * f64::from(k)).collect();
        let trend = Trend::fit(&values, &[true; 20], [1, 20], Descan::Plane);
        assert!((trend.coefficients[2] * trend.per_step(2) - 0.1).abs() < 1e-12);
        assert!(trend.coefficients[1].abs() < 1e-12);
        let point = Trend::fit(&[3.0], &[true], [1, 1], Descan::Parabola);
        assert_eq!(point.coefficients[0], 3.0);
    }
}
