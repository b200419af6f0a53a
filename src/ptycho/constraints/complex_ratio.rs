//! Absorption in proportion to phase.

use num_complex::Complex64;
use rayon::prelude::*;

use super::super::field::scanned_field;
use super::Parts;

/// See [`super::Constraint::ComplexRatio`].
pub(super) fn apply(parts: &mut Parts<'_>, ratio: f64, strength: f64) {
    let shape = parts.object_shape;
    let [rows, cols] = scanned_field(shape, parts.positions_px);
    let count = (rows.len() * cols.len()) as f64;
    if count == 0.0 {
        return;
    }
    let from = parts.logarithms();
    let mut to = from.clone();
    // The direction of the line in the plane of ln|O| and φ.
    let line = Complex64::new(-ratio, 1.0) / ratio.hypot(1.0);
    to.par_chunks_mut(parts.area()).for_each(|slice| {
        let mean = rows.clone().flat_map(|row| &slice[row * shape[1]..][cols.clone()]).sum::<Complex64>() / count;
        slice.iter_mut().for_each(|l| *l = mean + line * ((*l - mean) * line.conj()).re);
    });
    parts.change_logarithms(strength, &from, &to);
}

#[cfg(test)]
mod tests {
    use super::super::Constraint;
    use super::super::testing::{Sample, largest};
    use super::*;

    #[test]
    fn an_object_of_the_ratio_is_left_alone_whatever_the_phase_and_brightness_of_vacuum() {
        let mut sample = Sample::random();
        let vacuum = Complex64::from_polar(1.3, 2.0);
        sample.object.iter_mut().for_each(|o| *o = vacuum * (Complex64::new(-0.2, 1.0) * o.arg()).exp());
        let before = sample.object.clone();
        sample.apply(&Constraint::ComplexRatio { ratio: 0.2 }, 1.0);
        assert!(largest(&before, &sample.object) < 1e-13);
    }

    #[test]
    fn any_object_comes_to_the_nearest_line_of_the_ratio() {
        let mut sample = Sample::random();
        let before = sample.object.clone();
        let ratio = 0.3;
        sample.apply(&Constraint::ComplexRatio { ratio }, 1.0);
        let field = sample.field();
        for slice in 0..sample.slices {
            let ln = |object: &[Complex64], p: usize| object[slice * sample.area() + p].ln();
            let mean = field.iter().map(|&p| ln(&before, p)).sum::<Complex64>() / field.len() as f64;
            for &p in &field {
                let (old, new) = (ln(&before, p) - mean, ln(&sample.object, p) - mean);
                assert!((new.re + ratio * new.im).abs() < 1e-13, "on the line");
                let step = old - new;
                assert!((step.re * -ratio + step.im).abs() < 1e-13, "straight across it");
            }
        }
        let once = sample.object.clone();
        sample.apply(&Constraint::ComplexRatio { ratio }, 1.0);
        assert!(largest(&once, &sample.object) < 1e-13);
    }
}
