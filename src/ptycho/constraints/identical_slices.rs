//! A specimen that is alike at all depths.

use num_complex::Complex64;
use rayon::prelude::*;

use super::Parts;

/// See [`super::Constraint::IdenticalSlices`].
pub(super) fn apply(parts: &mut Parts<'_>, strength: f64) {
    let (area, slices) = (parts.area(), parts.slices);
    let from = parts.logarithms();
    let mean = |p| (0..slices).map(|s| from[s * area + p]).sum::<Complex64>() / slices as f64;
    let means: Vec<Complex64> = (0..area).into_par_iter().map(mean).collect();
    parts.change_logarithms(strength, &from, &means.repeat(slices));
}

#[cfg(test)]
mod tests {
    use super::super::Constraint;
    use super::super::testing::{Sample, largest};
    use super::*;

    #[test]
    fn all_slices_become_one_and_what_they_make_together_stays() {
        let mut sample = Sample::random().with_slices(3);
        let product = |sample: &Sample| -> Vec<Complex64> {
            (0..sample.area()).map(|p| (0..3).map(|s| sample.object[s * sample.area() + p]).product()).collect()
        };
        let before = product(&sample);
        sample.apply(&Constraint::IdenticalSlices, 1.0);
        assert!(largest(&before, &product(&sample)) < 1e-13);
        let area = sample.area();
        assert!(largest(&sample.object[..area], &sample.object[area..2 * area]) < 1e-13);
        assert!(largest(&sample.object[..area], &sample.object[2 * area..]) < 1e-13);
        let once = sample.object.clone();
        sample.apply(&Constraint::IdenticalSlices, 1.0);
        assert!(largest(&once, &sample.object) < 1e-13);
    }

    #[test]
    fn half_the_strength_halves_the_differences() {
        let mut sample = Sample::random().with_slices(2);
        let ratio = |sample: &Sample| -> Vec<Complex64> {
            (0..sample.area()).map(|p| (sample.object[p] / sample.object[sample.area() + p]).ln()).collect()
        };
        let before: Vec<_> = ratio(&sample).iter().map(|r| r * 0.5).collect();
        sample.apply(&Constraint::IdenticalSlices, 0.5);
        assert!(largest(&before, &ratio(&sample)) < 1e-13);
    }
}
