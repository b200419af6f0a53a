//! An object that absorbs nothing.

use rayon::prelude::*;

use super::Parts;
use super::polar::with_amplitude;

/// See [`super::Constraint::PurePhase`].
pub(super) fn apply(parts: &mut Parts<'_>, strength: f64) {
    parts.object.par_iter_mut().for_each(|o| *o = with_amplitude(*o, (1.0 - strength) * o.norm() + strength));
}

#[cfg(test)]
mod tests {
    use super::super::Constraint;
    use super::super::testing::Sample;

    #[test]
    fn every_amplitude_becomes_one_and_every_phase_stays() {
        let mut sample = Sample::random();
        let before = sample.object.clone();
        sample.apply(&Constraint::PurePhase, 1.0);
        for (old, new) in before.iter().zip(&sample.object) {
            assert!((new.norm() - 1.0).abs() < 1e-14 && (new * old.conj()).arg().abs() < 1e-14);
        }
    }

    #[test]
    fn amplitudes_go_towards_one_by_the_strength() {
        let mut sample = Sample::random();
        let before = sample.object.clone();
        sample.apply(&Constraint::PurePhase, 0.25);
        for (old, new) in before.iter().zip(&sample.object) {
            assert!((new.norm() - (0.75 * old.norm() + 0.25)).abs() < 1e-14);
        }
    }
}
