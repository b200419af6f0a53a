//! The object's amplitude between two bounds.

use rayon::prelude::*;

use super::Parts;
use super::polar::with_amplitude;

/// See [`super::Constraint::AmplitudeClamp`].
pub(super) fn apply(parts: &mut Parts<'_>, low: f64, high: f64, strength: f64) {
    parts.object.par_iter_mut().for_each(|o| {
        let old = o.norm();
        let new = old.max(low).min(high);
        if new != old {
            *o = with_amplitude(*o, old + strength * (new - old));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Sample, largest};
    use super::super::{Constraint, Scheduled};

    #[test]
    fn what_lies_inside_the_clamp_is_left_alone_and_what_lies_outside_comes_to_its_edge() {
        let mut sample = Sample::random();
        let before = sample.object.clone();
        let clamp = Constraint::AmplitudeClamp { low: 0.8, high: 1.1 };
        sample.apply(&clamp, 1.0);
        for (old, new) in before.iter().zip(&sample.object) {
            match old.norm() {
                a if a < 0.8 => assert!((new - old * (0.8 / a)).norm() < 1e-14),
                a if a > 1.1 => assert!((new - old * (1.1 / a)).norm() < 1e-14),
                _ => assert_eq!(new, old),
            }
        }
        assert!(before.iter().any(|o| o.norm() < 0.8) && before.iter().any(|o| o.norm() > 1.1), "the sample tries both bounds");
        let once = sample.object.clone();
        sample.apply(&clamp, 1.0);
        // An amplitude set to a bound may miss it by its rounding.
        assert!(largest(&once, &sample.object) < 1e-15);
    }

    #[test]
    fn half_the_strength_goes_half_the_way_and_a_dark_pixel_becomes_real() {
        let mut sample = Sample::random();
        sample.object[3] = 0.0.into();
        let clamp = Constraint::AmplitudeClamp { low: 0.5, high: 1.0 };
        Scheduled { strength: 0.5, ..Scheduled::always(clamp) }.apply(&mut sample.parts()).unwrap();
        assert_eq!(sample.object[3], 0.25.into());
    }
}
