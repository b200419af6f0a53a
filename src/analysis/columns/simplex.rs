//! The lowest point of a function of few variables (J. A. Nelder & R. Mead, Comput. J. 7 (1965) 308).

/// Goes down from `start`, first by steps of `size` along each variable, over at most `rounds` rounds or until the corners agree to 1e-9 of their mean.
pub(super) fn least(cost: impl Fn(&[f64]) -> f64, start: &[f64], size: f64, rounds: usize) -> Vec<f64> {
    let n = start.len();
    let mut corners: Vec<(f64, Vec<f64>)> = (0..=n)
        .map(|k| {
            let mut at = start.to_vec();
            if k > 0 {
                at[k - 1] += size;
            }
            (cost(&at), at)
        })
        .collect();
    for _ in 0..rounds {
        corners.sort_by(|p, q| p.0.total_cmp(&q.0));
        let (low, high) = (corners[0].0, corners[n].0);
        if (high - low).abs() <= 1e-9 * (high.abs() + low.abs()) {
            break;
        }
        let middle: Vec<f64> = (0..n).map(|k| corners[..n].iter().map(|c| c.1[k]).sum::<f64>() / n as f64).collect();
        let towards = |by: f64| -> (f64, Vec<f64>) {
            let at: Vec<f64> = middle.iter().zip(&corners[n].1).map(|(m, w)| m + by * (w - m)).collect();
            (cost(&at), at)
        };
        let reflected = towards(-1.0);
        if reflected.0 < low {
            let further = towards(-2.0);
            corners[n] = if further.0 < reflected.0 { further } else { reflected };
        } else if reflected.0 < corners[n - 1].0 {
            corners[n] = reflected;
        } else {
            let nearer = towards(if reflected.0 < high { -0.5 } else { 0.5 });
            if nearer.0 < high.min(reflected.0) {
                corners[n] = nearer;
            } else {
                let best = corners[0].1.clone();
                for corner in &mut corners[1..] {
                    corner.1.iter_mut().zip(&best).for_each(|(x, b)| *x = b + 0.5 * (*x - b));
                    corner.0 = cost(&corner.1);
                }
            }
        }
    }
    corners.into_iter().min_by(|p, q| p.0.total_cmp(&q.0)).map_or_else(|| start.to_vec(), |c| c.1)
}
