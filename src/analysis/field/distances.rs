//! Distances between neighbouring columns of one kind.

use super::{Layered, Measured, Spot};

/// Neighbours whose distance lies within so many degrees of the layers' direction are neighbours along a row.
const ALONG_DEG: f64 = 20.0;
/// Neighbours across rows are looked for up to so many times the nearest distance.
const REACH: f64 = 1.6;

/// What a variance of distances along a row scatters more by than one of independent numbers.
const SHARED: f64 = 1.5;

/// Distances between neighbouring columns, each with its error, and what they are on the mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Distances {
    /// Where each distance has its middle (y, x).
    pub at_A: Vec<[f64; 2]>,
    pub distance_A: Vec<Measured>,
    /// The mean and its error by the scatter.
    pub mean_A: Measured,
    /// The standard deviation of what was measured, and its error sd·√(1.5/(2(n − 1))): neighbouring distances share a column and correlate by −½, which scatters their variance by 1 + 2·½² more.
    pub sd_A: Measured,
    /// The columns' own: √(sd² − mean se²), 0 where the errors explain it all; NaN where they are not known.
    pub own_sd_A: Measured,
}

impl Distances {
    fn of(list: Vec<([f64; 2], Measured)>) -> Self {
        let n = list.len() as f64;
        let mean = list.iter().map(|d| d.1.value).sum::<f64>() / n;
        let variance = list.iter().map(|d| (d.1.value - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let errors = list.iter().map(|d| d.1.se.powi(2)).sum::<f64>() / n;
        let known = list.len() > 1;
        let sd = variance.sqrt();
        let own = (variance - errors).max(0.0).sqrt();
        // The error of a variance, carried over to its root; where that is near 0, the root of it.
        let of_variance = variance * (2.0 * SHARED / (n - 1.0)).sqrt();
        let own_se = (of_variance / (2.0 * own)).min(of_variance.sqrt());
        let (at_A, distance_A) = list.into_iter().unzip();
        Self {
            at_A,
            distance_A,
            mean_A: if known { Measured::new(mean, sd / n.sqrt()) } else { Measured::UNKNOWN },
            sd_A: if known { Measured::new(sd, sd * (SHARED / (2.0 * (n - 1.0))).sqrt()) } else { Measured::UNKNOWN },
            own_sd_A: if known && errors.is_finite() { Measured::new(own, own_se) } else { Measured::UNKNOWN },
        }
    }

    /// How many lie in each of the bins of `width_A` from `from_A` on.
    pub fn histogram(&self, from_A: f64, width_A: f64, bins: usize) -> Vec<usize> {
        let mut counts = vec![0; bins];
        for distance in &self.distance_A {
            let bin = (distance.value - from_A) / width_A;
            if bin >= 0.0 && bin < bins as f64 {
                counts[bin as usize] += 1;
            }
        }
        counts
    }
}

/// Distances between neighbouring columns of the elements for which `of` is true (oxygen; transition metals): along the rows (within 20° of
/// the layers' direction, up to 1.6 rows) and across them (the nearest column of another row for each column, pairs counted once, up to 1.6
/// times the median of those). Errors are those of both places along the line between them; errors of places are taken as independent.
pub fn distances(spots: &[Spot], layered: &Layered, of: impl Fn(&str) -> bool) -> [Distances; 2] {
    let spots: Vec<&Spot> = spots.iter().filter(|s| of(s.element) && s.at_A.iter().all(|x| x.is_finite())).collect();
    let along = layered.along();
    let way = |a: &Spot, b: &Spot| [b.at_A[0] - a.at_A[0], b.at_A[1] - a.at_A[1]];
    let length = |w: [f64; 2]| w[0].hypot(w[1]);
    let is_along = |w: [f64; 2]| (w[0] * along[0] + w[1] * along[1]).abs() > ALONG_DEG.to_radians().cos() * length(w);
    let measured = |i: usize, j: usize| {
        let w = way(spots[i], spots[j]);
        let d = length(w);
        let variance: f64 = (0..2).map(|a| (w[a] / d).powi(2) * (spots[i].se_A[a].powi(2) + spots[j].se_A[a].powi(2))).sum();
        let middle = [0, 1].map(|a| (spots[i].at_A[a] + spots[j].at_A[a]) / 2.0);
        (middle, Measured::new(d, variance.sqrt()))
    };
    let nearest = |i: usize, wanted: &dyn Fn([f64; 2]) -> bool| {
        let near =
            (0..spots.len()).filter(|&j| j != i).map(|j| (j, way(spots[i], spots[j]))).filter(|(_, w)| length(*w) > 0.0 && wanted(*w));
        near.min_by(|a, b| length(a.1).total_cmp(&length(b.1))).map(|(j, w)| (i, j, length(w)))
    };
    // One step onwards along the row, so that each pair is seen once.
    let onwards = |w: [f64; 2]| is_along(w) && w[0] * along[0] + w[1] * along[1] > 0.0;
    let rows: Vec<(usize, usize, f64)> =
        (0..spots.len()).filter_map(|i| nearest(i, &onwards)).filter(|n| n.2 < REACH * layered.row_A).collect();
    let mut across: Vec<(usize, usize, f64)> =
        (0..spots.len()).filter_map(|i| nearest(i, &|w| !is_along(w))).map(|(i, j, d)| (i.min(j), i.max(j), d)).collect();
    across.sort_by_key(|n| (n.0, n.1));
    across.dedup_by_key(|n| (n.0, n.1));
    let mut lengths: Vec<f64> = across.iter().map(|n| n.2).collect();
    lengths.sort_by(f64::total_cmp);
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0.0);
    across.retain(|n| n.2 < REACH * median);
    [rows, across].map(|list| Distances::of(list.into_iter().map(|(i, j, _)| measured(i, j)).collect()))
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, Normal};

    use super::super::testing::fresh_rng;
    use super::*;

    #[test]
    fn distances_of_jittered_columns_have_the_means_and_the_own_deviation_that_were_planted() {
        let mut rng = fresh_rng();
        let (own, error) = (0.04, 0.05);
        let jitter = Normal::new(0.0, f64::hypot(own, error)).unwrap();
        let mut spots = Vec::new();
        for row in 0..14 {
            for k in 0..20 {
                let (u, v) = (f64::from(row) * 2.1, f64::from(k) * 2.6 + f64::from(row % 2) * 1.3);
                // The normal lies 30° off y.
                let (sin, cos) = 0.5f64.sin_cos();
                let at_A = [cos * u + sin * v + jitter.sample(&mut rng), -sin * u + cos * v + jitter.sample(&mut rng)];
                spots.push(Spot { element: "O", at_A, se_A: [error; 2], amplitude: 1.0, amplitude_se: 0.1 });
            }
        }
        spots.push(Spot { element: "Ni", ..spots[5] });
        let layered = Layered { normal: [0.5f64.cos(), -0.5f64.sin()], repeat_A: 5.3, row_A: 2.6, period: 1, oxygen_A: 1.0 };
        let [rows, across] = distances(&spots, &layered, |e| e == "O");
        assert_eq!(rows.distance_A.len(), 14 * 19);
        // A distance of two columns has √2 of a column's error; the means scatter by 0.09/√266. Jitter across lengthens by 0.002.
        assert!((rows.mean_A.value - 2.6).abs() < 0.03, "{:?}", rows.mean_A);
        assert!(rows.distance_A.iter().all(|d| (d.se - error * 2f64.sqrt()).abs() < 1e-9));
        let planted = own * 2f64.sqrt();
        assert!((rows.own_sd_A.value - planted).abs() < 5.0 * rows.own_sd_A.se, "{:?}, planted {planted}", rows.own_sd_A);
        // The nearest of four neighbours is nearer than their mean of 2.47.
        assert!((2.3..2.48).contains(&across.mean_A.value), "{:?}", across.mean_A);
        assert_eq!(rows.histogram(2.0, 0.2, 8).iter().sum::<usize>(), rows.distance_A.len());
        let [none, _] = distances(&spots, &layered, |e| e == "Sb");
        assert!(none.distance_A.is_empty() && !none.mean_A.is_known());
    }
}
