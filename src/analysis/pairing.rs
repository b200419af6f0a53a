//! Columns of two tables that are the same.

use std::collections::HashMap;

/// The places of two lists that belong together, and those left alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairing {
    /// Of the first list and of the second, in the order of the first.
    pub pairs: Vec<[usize; 2]>,
    pub only_first: Vec<usize>,
    pub only_second: Vec<usize>,
}

/// Pairs the places (y, x) of two lists: each with the nearest of the other list that is its `like` (which is asked as often as places are near), within `tolerance`, if that one has none nearer itself.
pub fn paired(first: &[[f64; 2]], second: &[[f64; 2]], tolerance: f64, like: impl Fn(usize, usize) -> bool) -> Pairing {
    let there = nearest(first, second, tolerance, &like);
    let back = nearest(second, first, tolerance, |j, i| like(i, j));
    let mutual = |i: usize| there[i].filter(|&j| back[j] == Some(i));
    let pairs: Vec<[usize; 2]> = (0..first.len()).filter_map(|i| mutual(i).map(|j| [i, j])).collect();
    let mut taken = vec![false; second.len()];
    pairs.iter().for_each(|&[_, j]| taken[j] = true);
    Pairing {
        only_first: (0..first.len()).filter(|&i| mutual(i).is_none()).collect(),
        only_second: (0..second.len()).filter(|&j| !taken[j]).collect(),
        pairs,
    }
}

/// For each place the nearest of others that is its like; the first of equals.
fn nearest(places: &[[f64; 2]], others: &[[f64; 2]], tolerance: f64, like: impl Fn(usize, usize) -> bool) -> Vec<Option<usize>> {
    let cell = |p: [f64; 2]| p.map(|x| (x / tolerance).floor() as i64);
    let mut cells: HashMap<[i64; 2], Vec<usize>> = HashMap::new();
    for (j, other) in others.iter().enumerate() {
        cells.entry(cell(*other)).or_default().push(j);
    }
    let of = |(i, place): (usize, &[f64; 2])| {
        let [cy, cx] = cell(*place);
        let mut best: Option<(f64, usize)> = None;
        for near in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| [cy + dy, cx + dx])).filter_map(|c| cells.get(&c)) {
            for &j in near {
                let far = (place[0] - others[j][0]).hypot(place[1] - others[j][1]);
                if far <= tolerance && best.is_none_or(|b| (far, j) < b) && like(i, j) {
                    best = Some((far, j));
                }
            }
        }
        best.map(|(_, j)| j)
    };
    places.iter().enumerate().map(of).collect()
}

/// How far paired places lie from each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlaceErrors {
    /// The mean of first − second, (y, x).
    pub shift: [f64; 2],
    /// √(mean of the squared distances).
    pub rms: f64,
    /// The same about the mean shift.
    pub rms_about_shift: f64,
}

impl PlaceErrors {
    /// Of the pairs of two lists; `None` without any.
    pub fn of(first: &[[f64; 2]], second: &[[f64; 2]], pairs: &[[usize; 2]]) -> Option<Self> {
        let apart = |&[i, j]: &[usize; 2]| [0, 1].map(|a| first[i][a] - second[j][a]);
        let along = |axis: usize| Spread::of(pairs.iter().map(|pair| apart(pair)[axis]));
        let [y, x] = [along(0)?, along(1)?];
        Some(Self { shift: [y.mean, x.mean], rms: y.rms.hypot(x.rms), rms_about_shift: y.deviation.hypot(x.deviation) })
    }
}

/// Mean, root mean square and standard deviation (over n) of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub count: usize,
    pub mean: f64,
    pub rms: f64,
    pub deviation: f64,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.collect();
        if values.is_empty() {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let about = |middle: f64| (values.iter().map(|v| (v - middle).powi(2)).sum::<f64>() / n).sqrt();
        Some(Self { count: values.len(), mean, rms: about(0.0), deviation: about(mean) })
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn fresh_rng() -> ChaCha8Rng {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        ChaCha8Rng::seed_from_u64(seed)
    }

    #[test]
    fn jittered_columns_find_their_own_and_missing_ones_are_left_alone() {
        let mut rng = fresh_rng();
        let sites: Vec<[f64; 2]> = (0..200).map(|n| [(n / 20) as f64 * 1.9 - 3.0, (n % 20) as f64 * 1.6 - 7.0]).collect();
        let shift = [0.07, -0.11];
        let jitter: Vec<[f64; 2]> = sites.iter().map(|_| [0, 1].map(|_| rng.random_range(-0.1..0.1))).collect();
        let moved = |n: usize| [0, 1].map(|a| sites[n][a] + shift[a] + jitter[n][a]);
        // Every 7th is missing in the first list, every 11th in the second, whose order is another.
        let first: Vec<usize> = (0..200).filter(|n| n % 7 != 0).collect();
        let second: Vec<usize> = (0..200).rev().filter(|n| n % 11 != 0).collect();
        let places = [first.iter().map(|&n| moved(n)).collect::<Vec<_>>(), second.iter().map(|&n| sites[n]).collect()];
        let found = paired(&places[0], &places[1], 0.5, |_, _| true);
        assert!(found.pairs.iter().all(|&[i, j]| first[i] == second[j]));
        assert_eq!(found.pairs.len(), (0..200).filter(|n| n % 7 != 0 && n % 11 != 0).count());
        assert!(
            found.only_first.iter().all(|&i| first[i].is_multiple_of(11)) && found.only_second.iter().all(|&j| second[j].is_multiple_of(7))
        );
        assert_eq!(found.only_first.len() + found.pairs.len(), first.len());
        assert_eq!(found.only_second.len() + found.pairs.len(), second.len());
        let errors = PlaceErrors::of(&places[0], &places[1], &found.pairs).unwrap();
        // The error of the mean of 150 numbers within ±0.1, five times; their own spread is 0.1·√(2/3).
        assert!((0..2).all(|a| (errors.shift[a] - shift[a]).abs() < 0.03), "{errors:?}");
        assert!((errors.rms_about_shift - 0.0816).abs() < 0.015 && (errors.rms - 0.0816f64.hypot(0.1304)).abs() < 0.03, "{errors:?}");
    }

    #[test]
    fn only_likes_pair_and_of_two_that_want_the_same_one_the_nearer_has_it() {
        let (first, second) = ([[0.0, 0.0], [0.0, 0.3], [5.0, 5.0]], [[0.0, 0.1], [5.0, 5.2], [0.0, 0.34]]);
        let any = paired(&first, &second, 0.5, |_, _| true);
        assert_eq!(any.pairs, [[0, 0], [1, 2], [2, 1]]);
        let elements = [[11, 11, 8], [11, 28, 8]];
        let alike = paired(&first, &second, 0.5, |i, j| elements[0][i] == elements[1][j]);
        assert_eq!(alike, Pairing { pairs: vec![[0, 0]], only_first: vec![1, 2], only_second: vec![1, 2] });
        let far = paired(&first, &second, 0.05, |_, _| true);
        assert_eq!((far.pairs.len(), far.only_first.len(), far.only_second.len()), (1, 2, 2), "the third lies just within: {far:?}");
        assert_eq!(paired(&[], &second, 0.5, |_, _| true).only_second, [0, 1, 2]);
        assert_eq!(PlaceErrors::of(&first, &second, &[]), None);
    }
}
