//! Few pixels with a phase.

use super::super::Result;
use super::Parts;

/// See [`super::Constraint::Sparsity`].
pub(super) fn apply(parts: &mut Parts<'_>, threshold_rad: f64, strength: f64) -> Result<()> {
    let shrunk = |p: &f64| p.signum() * (p.abs() - threshold_rad).max(0.0);
    parts.change_phases(strength, |phase, _| Ok(phase.iter().map(shrunk).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::Constraint;
    use super::super::testing::Sample;

    #[test]
    fn phases_come_nearer_to_the_mean_objects_by_the_threshold_and_end_there() {
        for strength in [1.0, 0.5] {
            let mut sample = Sample::random();
            let before = sample.object.clone();
            let means = sample.mean_directions();
            sample.apply(&Constraint::Sparsity { threshold_rad: 0.3 }, strength);
            for (p, (old, new)) in before.iter().zip(&sample.object).enumerate() {
                let mean = means[p / sample.area()].conj();
                let (old_phase, new_phase) = ((old * mean).arg(), (new * mean).arg());
                let moved = strength * old_phase.abs().min(0.3) * old_phase.signum();
                assert!((old_phase - new_phase - moved).abs() < 1e-13 && (old.norm() - new.norm()).abs() < 1e-13);
            }
        }
    }
}
