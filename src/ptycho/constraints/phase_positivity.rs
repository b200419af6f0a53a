//! Atoms are positive phase.

use std::f64::consts::{PI, TAU};

use super::super::Result;
use super::super::field::scanned_field;
use super::Parts;

/// Which phase is vacuum's, so that none is below it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Vacuum {
    /// That of O = 1, what a reconstruction starts from: lower phases are clipped to it.
    One,
    /// The phase that this share, in [0, 1), of the scanned field lies below: it becomes 0, with what is below. With a share of 0 it is
    /// the lowest phase, and the field is shifted and nothing else; a share of noisy vacuum makes the level steady.
    Lowest { share: f64 },
}

/// See [`super::Constraint::PhasePositivity`].
pub(super) fn apply(parts: &mut Parts<'_>, vacuum: Vacuum, strength: f64) -> Result<()> {
    let (shape, positions) = (parts.object_shape, parts.positions_px);
    parts.change_phases(strength, |phase, mean| {
        // Atoms have put the mean ahead of vacuum, a little noise may have put it back.
        let mean = if mean <= -PI / 2.0 { mean + TAU } else { mean };
        let level = match vacuum {
            Vacuum::One => -mean,
            Vacuum::Lowest { share } => {
                let [rows, cols] = scanned_field(shape, positions);
                let mut field: Vec<f64> = rows.flat_map(|row| &phase[row * shape[1]..][cols.clone()]).copied().collect();
                if field.is_empty() {
                    return Ok(phase.to_vec());
                }
                let place = ((share * field.len() as f64) as usize).min(field.len() - 1);
                *field.select_nth_unstable_by(place, f64::total_cmp).1
            }
        };
        // Phase 0 is that of O = 1 from here on: −mean relative to the mean object.
        Ok(phase.iter().map(|p| (p - level).max(0.0) - mean).collect())
    })
}

#[cfg(test)]
mod tests {
    use num_complex::Complex64;

    use super::super::Constraint;
    use super::super::testing::{Sample, largest};
    use super::*;

    #[test]
    fn negative_phases_become_zero_and_positive_ones_stay() {
        let mut sample = Sample::random();
        let before = sample.object.clone();
        sample.apply(&Constraint::PhasePositivity(Vacuum::One), 1.0);
        for (old, new) in before.iter().zip(&sample.object) {
            let expected = if old.arg() < 0.0 { Complex64::from(old.norm()) } else { *old };
            assert!((new - expected).norm() < 1e-14);
        }
        assert!(before.iter().any(|o| o.arg() < -0.1));
        let once = sample.object.clone();
        sample.apply(&Constraint::PhasePositivity(Vacuum::One), 1.0);
        assert!(largest(&once, &sample.object) < 1e-14);
    }

    #[test]
    fn columns_heavier_than_half_a_turn_are_not_taken_for_negative() {
        let mut sample = Sample::random();
        let [rows, cols] = sample.object_shape;
        sample.positions = (0..rows).flat_map(|y| (0..cols).map(move |x| [y, x].map(|p| p as f64))).collect();
        // All phases from vacuum to the columns' middles, most of them low: there is no gap but that beyond 4.
        for (p, o) in sample.object.iter_mut().enumerate() {
            *o = Complex64::cis(4.0 * ((p * 37 % 360) as f64 / 359.0).powi(3));
        }
        let before = sample.object.clone();
        for vacuum in [Vacuum::One, Vacuum::Lowest { share: 0.0 }] {
            sample.apply(&Constraint::PhasePositivity(vacuum), 1.0);
            // Vacuum is 0 already.
            assert!(largest(&before, &sample.object) < 1e-14, "{vacuum:?}");
        }
    }

    #[test]
    fn a_slice_of_half_a_turn_and_more_is_positive_as_a_whole() {
        let mut sample = Sample::random();
        // Phases of 2.8 to 4.8.
        sample.object.iter_mut().for_each(|o| *o *= Complex64::cis(3.3));
        let before = sample.object.clone();
        sample.apply(&Constraint::PhasePositivity(Vacuum::One), 1.0);
        assert!(largest(&before, &sample.object) < 1e-14);
    }

    #[test]
    fn the_lowest_phase_of_the_scanned_field_becomes_zero_by_a_shift() {
        let mut sample = Sample::random();
        let before = sample.object.clone();
        let positivity = Constraint::PhasePositivity(Vacuum::Lowest { share: 0.0 });
        sample.apply(&positivity, 1.0);
        let field = sample.field();
        for slice in 0..sample.slices {
            let at = |object: &[Complex64], p: usize| object[slice * sample.area() + p].arg();
            let lowest = field.iter().map(|&p| at(&before, p)).fold(f64::MAX, f64::min);
            assert!(field.iter().all(|&p| (at(&sample.object, p) - (at(&before, p) - lowest)).abs() < 1e-13));
            assert!((0..sample.area()).all(|p| at(&sample.object, p) > -1e-13), "beyond the field nothing is negative either");
        }
        let once = sample.object.clone();
        sample.apply(&positivity, 1.0);
        assert!(largest(&once, &sample.object) < 1e-13);
    }

    #[test]
    fn a_share_of_the_field_becomes_vacuum() {
        let mut sample = Sample::random();
        let positivity = Constraint::PhasePositivity(Vacuum::Lowest { share: 0.25 });
        sample.apply(&positivity, 1.0);
        let field = sample.field();
        for slice in 0..sample.slices {
            let dark = field.iter().filter(|&&p| sample.object[slice * sample.area() + p].arg().abs() < 1e-13).count();
            // The pixel at the level, and those below.
            assert_eq!(dark, field.len() / 4 + 1);
        }
        let once = sample.object.clone();
        sample.apply(&positivity, 1.0);
        assert!(largest(&once, &sample.object) < 1e-13);
    }
}
