//! Which patterns are taken together, and in which order.

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::run::RngState;

/// How the patterns of an iteration are divided into batches. The batches' order is random but for [`Grouping::Sequential`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// In the order of the scan.
    Sequential,
    /// By chance.
    Random,
    /// Positions as far from each other as can be, so that their windows hardly overlap.
    Sparse,
    /// Neighbours.
    Compact,
}

/// The batches of an iteration over the patterns `ids`, each of up to `batch`, and the random stream after them.
pub fn batches(grouping: Grouping, ids: &[u32], positions: &[[f64; 2]], batch: usize, rng: RngState) -> (Vec<Vec<u32>>, RngState) {
    let batch = batch.clamp(1, ids.len().max(1));
    let mut generator = rng.generator();
    let mut order = ids.to_vec();
    let groups = match grouping {
        Grouping::Sequential => chunks(&order, batch),
        Grouping::Random => {
            order.shuffle(&mut generator);
            chunks(&order, batch)
        }
        Grouping::Compact => {
            // The cuts begin elsewhere in each iteration, so that the groups' rims do.
            let first = generator.random_range(0..batch.min(order.len().max(1)));
            by_place(&mut order, positions);
            order.rotate_left(first);
            let mut groups = chunks(&order, batch);
            groups.shuffle(&mut generator);
            groups
        }
        Grouping::Sparse => {
            // Places that lie next to each other in the order lie next to each other in the scan: each group takes every n-th.
            by_place(&mut order, positions);
            let count = order.len().div_ceil(batch).max(1);
            let mut groups: Vec<Vec<u32>> = vec![Vec::new(); count];
            for run in order.chunks(count) {
                let mut run = run.to_vec();
                run.shuffle(&mut generator);
                groups.iter_mut().zip(run).for_each(|(group, id)| group.push(id));
            }
            groups.retain(|group| !group.is_empty());
            groups.shuffle(&mut generator);
            groups
        }
    };
    (groups, RngState { counter: generator.get_word_pos(), ..rng })
}

/// The numbers 0..n in random order, and the random stream after them.
pub fn shuffled(n: usize, rng: RngState) -> (Vec<u32>, RngState) {
    let ids: Vec<u32> = (0..n as u32).collect();
    let (groups, rng) = batches(Grouping::Random, &ids, &[], n, rng);
    (groups.concat(), rng)
}

fn chunks(order: &[u32], batch: usize) -> Vec<Vec<u32>> {
    order.chunks(batch).map(<[u32]>::to_vec).collect()
}

/// Orders patterns so that neighbours in the list are neighbours in the plane: the longer side is halved again and again.
fn by_place(ids: &mut [u32], positions: &[[f64; 2]]) {
    const LEAF: usize = 2;
    if ids.len() <= LEAF {
        return;
    }
    let extent = [0, 1].map(|axis| {
        let (low, high) = ids.iter().map(|&id| positions[id as usize][axis]).fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p), h.max(p)));
        high - low
    });
    let axis = usize::from(extent[1] > extent[0]);
    let middle = ids.len() / 2;
    ids.select_nth_unstable_by(middle, |&a, &b| positions[a as usize][axis].total_cmp(&positions[b as usize][axis]).then(a.cmp(&b)));
    let (low, high) = ids.split_at_mut(middle);
    by_place(low, positions);
    by_place(high, positions);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Grouping; 4] = [Grouping::Sequential, Grouping::Random, Grouping::Sparse, Grouping::Compact];

    proptest! {
        #[test]
        fn every_pattern_is_taken_once(count in 1usize..200, batch in 1usize..50, seed: u64, places in prop::collection::vec((0.0..50.0f64, 0.0..50.0f64), 200)) {
            let positions: Vec<[f64; 2]> = places.iter().map(|&(y, x)| [y, x]).collect();
            let ids: Vec<u32> = (0..count as u32).map(|n| (n * 7 + 3) % 200).collect();
            for grouping in ALL {
                let (groups, after) = batches(grouping, &ids, &positions, batch, RngState::new(seed));
                let mut taken = groups.concat();
                let mut wanted = ids.clone();
                taken.sort_unstable();
                wanted.sort_unstable();
                prop_assert_eq!(&taken, &wanted);
                prop_assert!(groups.iter().all(|g| !g.is_empty() && g.len() <= batch.max(1)));
                let again = batches(grouping, &ids, &positions, batch, RngState::new(seed));
                prop_assert_eq!((groups, after), again);
            }
        }
    }

    /// The mean distance of two members of a group.
    fn spread(groups: &[Vec<u32>], positions: &[[f64; 2]]) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for group in groups {
            for (n, &a) in group.iter().enumerate() {
                for &b in &group[..n] {
                    let (a, b) = (positions[a as usize], positions[b as usize]);
                    sum += (a[0] - b[0]).hypot(a[1] - b[1]);
                    count += 1.0;
                }
            }
        }
        sum / count
    }

    #[test]
    fn compact_groups_lie_together_and_sparse_ones_apart() {
        let positions: Vec<[f64; 2]> = (0..1024).map(|n| [f64::from(n / 32), f64::from(n % 32)]).collect();
        let ids: Vec<u32> = (0..1024).collect();
        let of = |grouping| batches(grouping, &ids, &positions, 16, RngState::new(3)).0;
        let nearest = |groups: &[Vec<u32>]| {
            let distance =
                |a: u32, b: u32| (0..2).map(|k| (positions[a as usize][k] - positions[b as usize][k]).powi(2)).sum::<f64>().sqrt();
            let each = groups.iter().map(|g| g.iter().flat_map(|&a| g.iter().filter(move |&&b| b != a).map(move |&b| (a, b))));
            each.map(|pairs| pairs.map(|(a, b)| distance(a, b)).fold(f64::MAX, f64::min)).sum::<f64>() / groups.len() as f64
        };
        // 16 of a square of side 4 lie 2.1 steps apart; two random places of a square of side 32 lie 0.52 sides, 16.7 steps, apart.
        assert!(spread(&of(Grouping::Compact), &positions) < 4.0);
        assert!((spread(&of(Grouping::Random), &positions) - 16.7).abs() < 1.0);
        // One in each cell of 8 × 8 steps, somewhere in it: seldom as near as two random ones of 16.
        assert!(nearest(&of(Grouping::Sparse)) > 1.3 * nearest(&of(Grouping::Random)));
    }
}
