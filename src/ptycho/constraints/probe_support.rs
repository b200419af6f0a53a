//! A probe that ends within its window.

use rayon::prelude::*;

use super::super::Result;
use super::Parts;
use super::fourier::{soft_disc, transform};
use crate::compute::Direction;

/// See [`super::Constraint::ProbeSupport`].
pub(super) fn apply(parts: &mut Parts<'_>, radius_A: f64, edge_A: f64, strength: f64) -> Result<()> {
    let (window, pixel_A) = (parts.window, parts.pixel_A);
    transform(parts.probe_hat, window, Direction::Inverse)?;
    parts.probe_hat.par_chunks_mut(window[1]).enumerate().for_each(|(row, line)| {
        let y = ((row % window[0]) as f64 - (window[0] / 2) as f64) * pixel_A[0];
        for (col, p) in line.iter_mut().enumerate() {
            let x = (col as f64 - (window[1] / 2) as f64) * pixel_A[1];
            *p *= 1.0 - strength * (1.0 - soft_disc(y.hypot(x), radius_A, edge_A));
        }
    });
    transform(parts.probe_hat, window, Direction::Forward)
}

#[cfg(test)]
mod tests {
    use super::super::Constraint;
    use super::super::testing::{Sample, largest};

    #[test]
    fn the_probe_stays_inside_and_goes_beyond_and_falls_over_the_edge_between() {
        for (edge_A, strength) in [(0.4, 1.0), (0.0, 1.0), (0.4, 0.3)] {
            let mut sample = Sample::random();
            let mut expected = sample.probes();
            for (p, probe) in expected.iter_mut().enumerate() {
                let [y, x] = [p / sample.window[1] % sample.window[0], p % sample.window[1]];
                let [y, x] = [(y as f64 - 4.0) * sample.pixel_A[0], (x as f64 - 5.0) * sample.pixel_A[1]];
                let inside = match (y * y + x * x).sqrt() {
                    r if r <= 0.6 - 0.5 * edge_A => 1.0,
                    r if r < 0.6 + 0.5 * edge_A => (0.6 + 0.5 * edge_A - r) / edge_A,
                    _ => 0.0,
                };
                *probe *= 1.0 - strength + strength * inside;
            }
            let support = Constraint::ProbeSupport { radius_A: 0.6, edge_A };
            sample.apply(&support, strength);
            assert!(largest(&expected, &sample.probes()) < 1e-12);
            if edge_A == 0.0 {
                sample.apply(&support, 1.0);
                assert!(largest(&expected, &sample.probes()) < 1e-12);
            }
        }
    }
}
