//! Normal probabilities, and many tests at once.

/// The probability that a standard normal number lies below z.
pub(super) fn normal_below(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// The z that a standard normal number lies below with probability p, by halving (to 1e-12); infinite at 0 and 1.
pub(super) fn normal_quantile(p: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        return if p <= 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..90 {
        let middle = 0.5 * (low + high);
        if normal_below(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The q value of each p value: the smallest rate of false discoveries at which its test would count among the discoveries (Y. Benjamini & Y. Hochberg, J. R. Stat. Soc. B 57 (1995) 289). NaN stays NaN and
/// counts for nothing.
pub fn q_values(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).filter(|&k| p[k].is_finite()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let count = order.len() as f64;
    let mut q = vec![f64::NAN; p.len()];
    let mut least = 1.0f64;
    for (rank, &k) in order.iter().enumerate().rev() {
        least = least.min(p[k] * count / (rank + 1) as f64);
        q[k] = least;
    }
    q
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::*;

    #[test]
    fn normal_probabilities_are_those_of_tables() {
        // Abramowitz & Stegun, table 26.1.
        for (z, p) in [(0.0, 0.5), (1.0, 0.841_344_746_1), (1.96, 0.975_002_104_9), (-3.0, 0.001_349_898_0)] {
            assert!((normal_below(z) - p).abs() < 1e-9, "{z}");
            assert!((normal_quantile(p) - z).abs() < 1e-7, "{p}");
        }
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
    }

    #[test]
    fn q_values_are_those_of_the_step_up_rule() {
        // p·m/rank from the largest on, never rising towards the smallest.
        let q = q_values(&[0.01, f64::NAN, 0.04, 0.03, 0.5]);
        let expected = [0.04, f64::NAN, 0.16 / 3.0, 0.16 / 3.0, 0.5];
        for (q, e) in q.iter().zip(expected) {
            assert!((q - e).abs() < 1e-12 || (q.is_nan() && e.is_nan()), "{q} {e}");
        }
    }

    #[test]
    fn of_what_is_called_at_q_005_at_most_one_in_twenty_is_false() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let normal = Normal::new(0.0, 1.0).unwrap();
        let (mut share, rounds) = (0.0, 600);
        for _ in 0..rounds {
            let lacks: Vec<bool> = (0..60).map(|_| rng.random::<f64>() < 0.3).collect();
            let p: Vec<f64> = lacks.iter().map(|&l| normal_below(normal.sample(&mut rng) - if l { 3.0 } else { 0.0 })).collect();
            let called: Vec<usize> = q_values(&p).iter().enumerate().filter(|(_, q)| **q < 0.05).map(|(k, _)| k).collect();
            let wrong = called.iter().filter(|&&k| !lacks[k]).count();
            share += wrong as f64 / called.len().max(1) as f64 / f64::from(rounds);
        }
        // 0.05 · 0.7 = 0.035 in the mean, with a standard deviation of 0.002.
        assert!(share < 0.045 && share > 0.02, "{share}");
    }
}
