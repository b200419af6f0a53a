//! The modes of a probe as orthogonal ones, the strongest first.

use num_complex::Complex64;
use rayon::prelude::*;

use super::Parts;
use crate::optics::hermitian::eigen;

/// See [`super::Constraint::OrthogonalModes`].
pub(super) fn apply(parts: &mut Parts<'_>) {
    let n = parts.window[0] * parts.window[1];
    let modes: Vec<&[Complex64]> = parts.probe_hat.chunks(n).collect();
    let overlap = |a: &[Complex64], b: &[Complex64]| a.iter().zip(b).map(|(a, b)| a.conj() * b).sum::<Complex64>();
    let overlaps: Vec<Vec<Complex64>> = modes.par_iter().map(|a| modes.iter().map(|b| overlap(a, b)).collect()).collect();
    let mixed: Vec<Complex64> = eigen(&overlaps)
        .vectors
        .par_iter()
        .flat_map_iter(|vector| {
            let modes = &modes;
            (0..n).map(move |p| modes.iter().zip(vector).map(|(mode, v)| mode[p] * v).sum())
        })
        .collect();
    parts.probe_hat.copy_from_slice(&mixed);
}

#[cfg(test)]
mod tests {
    use num_complex::Complex64;

    use super::super::Constraint;
    use super::super::testing::{Sample, largest};

    #[test]
    fn modes_become_orthogonal_in_the_order_of_their_power_and_every_pattern_stays() {
        let mut sample = Sample::random().with_modes(4);
        let (patterns, n) = (sample.patterns(), sample.window[0] * sample.window[1]);
        let brightness = |sample: &Sample| -> Vec<Complex64> {
            (0..n).map(|p| sample.probe_hat.iter().skip(p).step_by(n).map(|m| m.norm_sqr()).sum::<f64>().into()).collect()
        };
        let bright = brightness(&sample);
        sample.apply(&Constraint::OrthogonalModes, 1.0);
        let modes: Vec<&[Complex64]> = sample.probe_hat.chunks(n).collect();
        let overlap = |i: usize, j: usize| modes[i].iter().zip(modes[j]).map(|(a, b)| a.conj() * b).sum::<Complex64>();
        for i in 0..4 {
            assert!((0..i).all(|j| overlap(i, j).norm() < 1e-12 * overlap(0, 0).re));
            assert!(i == 0 || overlap(i, i).re <= overlap(i - 1, i - 1).re);
        }
        assert!(largest(&bright, &brightness(&sample)) < 1e-12);
        assert!(largest(&patterns, &sample.patterns()) < 1e-10);
        let once = sample.probe_hat.clone();
        sample.apply(&Constraint::OrthogonalModes, 1.0);
        assert!(largest(&once, &sample.probe_hat) < 1e-12);
    }

    #[test]
    fn modes_that_are_the_same_become_one() {
        let mut sample = Sample::random();
        let n = sample.window[0] * sample.window[1];
        sample.probe_hat.copy_within(..n, n);
        let first: Vec<_> = sample.probe_hat[..n].iter().map(|p| p * 2f64.sqrt()).collect();
        sample.apply(&Constraint::OrthogonalModes, 1.0);
        let turn = sample.probe_hat[0] / first[0];
        let expected: Vec<_> = first.iter().map(|p| p * turn).collect();
        assert!((turn.norm() - 1.0).abs() < 1e-12 && largest(&expected, &sample.probe_hat[..n]) < 1e-12);
        assert!(sample.probe_hat[n..].iter().all(|p| p.norm() < 1e-12));
    }
}
