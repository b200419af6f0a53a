//! What is known of the object and the probe beforehand, imposed between iterations: one file a constraint.
//!
//! All work on the host in f64, on arrays as the state holds them. No result depends on the number of threads.

mod amplitude_clamp;
mod aperture_support;
mod band_limit;
mod centring;
mod complex_ratio;
mod fourier;
mod fourier_amplitude;
mod high_pass;
mod identical_slices;
mod kz_filter;
mod low_pass;
mod orthogonal_modes;
mod phase_positivity;
mod phase_ramp;
mod polar;
mod probe_intensity;
mod probe_support;
mod pure_phase;
mod sparsity;
#[cfg(test)]
mod testing;
mod total_variation;

use num_complex::Complex64;

use super::Result;
pub use phase_positivity::Vacuum;

/// The object and the probe, to be changed in place, and what lies about them.
pub struct Parts<'a> {
    /// (slice, y, x).
    pub object: &'a mut [Complex64],
    pub slices: usize,
    pub object_shape: [usize; 2],
    /// (mode, ky, kx), spectra in FFT order, unitary: Σ|P̂|² over all modes is the electrons of a frame.
    pub probe_hat: &'a mut [Complex64],
    pub modes: usize,
    pub window: [usize; 2],
    /// (y, x), that of the object.
    pub pixel_A: [f64; 2],
    pub slice_thickness_A: f64,
    /// Where each window's pixel N/2 sits, (row, col) in object pixels.
    pub positions_px: &'a [[f64; 2]],
    /// The aperture's radius α/λ in 1/Å.
    pub aperture_inverse_A: f64,
}

/// Something that the object or the probe has to obey.
///
/// Each makes C(x) of what x it acts on. With a strength s, x becomes (1 − s)·x + s·C(x); what x is stands with each.
///
/// Phases are in radians. They are known up to whole turns: each slice's is taken relative to the direction of its mean object under the
/// positions, and cut where the fewest pixels of the scanned field are, so that columns heavier than half a turn are one with their
/// surroundings. Changes multiply the object by e^{i(φ′ − φ)}, which makes no wraps. Spectral filters take the object as periodic.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// x is |O|: amplitudes lie between `low` and `high`, phases stay. Where O is 0 its phase is taken as 0.
    AmplitudeClamp { low: f64, high: f64 },
    /// x is φ: no phase is below vacuum's, which is taken as 0; amplitudes stay. Where vacuum is not O = 1 the slice is turned as a whole,
    /// which no pattern sees.
    PhasePositivity(Vacuum),
    /// x is |O|: all amplitudes are 1, phases stay.
    PurePhase,
    /// x is ln O: in each slice ln|O| and φ lie on the line ln|O| = l − `ratio`·(φ − c), as of a specimen whose absorption is everywhere
    /// proportional to its phase (J. N. Clark et al., Opt. Express 18 (2010) 1981). l and c are the means over the scanned field, so that
    /// neither the phase nor the brightness of vacuum need be known; C is the nearest point of the line.
    ComplexRatio { ratio: f64 },
    /// x is O: its spectrum is multiplied by 1/(1 + (q/q₀)^{2n}), Butterworth's low-pass of order n with the gain ½ at q₀.
    LowPass { cutoff_inverse_A: f64, order: u32 },
    /// x is φ: its spectrum is multiplied by 1 − 1/(1 + (q/q₀)^{2n}), but the mean phase stays. (A high-pass of O itself would take away
    /// the beam.)
    HighPass { cutoff_inverse_A: f64, order: u32 },
    /// x is O: no frequency is above the cut-off.
    BandLimit { cutoff_inverse_A: f64 },
    /// x is φ and |O|: each becomes the u with the least ½Σ(u − x)² + w·Σ|∇u| over the pixels of a slice (L. I. Rudin, S. Osher and E.
    /// Fatemi, Physica D 60 (1992) 259), |∇u| being the isotropic difference to the next row and column. `phase_rad` is w of the phase and
    /// `amplitude` that of the amplitude; 0 leaves it alone. By `steps` of projected gradients on the dual problem (A. Chambolle, J. Math.
    /// Imaging Vis. 20 (2004) 89) with momentum (A. Beck and M. Teboulle, IEEE Trans. Image Process. 18 (2009) 2419).
    TotalVariation { phase_rad: f64, amplitude: f64, steps: u32 },
    /// x is φ: phases come nearer to the mean object's by the threshold, and no further, which makes ½Σ(u − φ)² + threshold·Σ|u| least (I.
    /// Daubechies, M. Defrise and C. De Mol, Commun. Pure Appl. Math. 57 (2004) 1413).
    Sparsity { threshold_rad: f64 },
    /// x is ln O: its three-dimensional spectrum is multiplied by 1 − (2/π)·atan(β²k_z²/(k_x² + k_y²)) (Z. Chen et al., Science 372 (2021)
    /// 826, supplement), 1 at 0. It damps differences along the beam that the angles of the patterns cannot tell. The product of all slices
    /// stays. The stack is taken as periodic.
    KzFilter { beta: f64 },
    /// x is ln O: all slices become their geometric mean, so that their product stays.
    IdenticalSlices,
    /// x is the slope of φ, in rad a pixel: the plane nearest to each slice's phase over the scanned field is taken away from it and given
    /// to the probe, P ← P·e^{ia·(r − N/2)}.
    ///
    /// A ramp on the object shifts each pattern as a whole, and so does one on the probe. Exit waves keep their intensities: exactly where
    /// a thin object's positions lie on pixels; between pixels, as far as the probe ends within its window; through several slices, but for
    /// the λΔz·a/2π by which a tilted probe wanders aside. But no pattern may move on a detector whose centre is known: then the ramp is
    /// the probe's only if its aperture truly lies aside, and [`Constraint::ApertureSupport`] cuts what was given to it.
    PhaseRamp,
    /// x is P: the probe is multiplied by a disc of `radius_A` about the window's pixel N/2, 1 within and 0 beyond, falling linearly over
    /// `edge_A` about the radius. The electrons that it loses are not given back.
    ProbeSupport { radius_A: f64, edge_A: f64 },
    /// x is P̂: the same of the probe's spectrum, with a disc of `factor` times the aperture about the zero angle's pixel with an edge of one
    /// pixel. The zero angle may lie off its pixel by a half.
    ApertureSupport { factor: f64 },
    /// x is √Σ|P̂|²: the probe holds these electrons over all modes.
    ProbeIntensity { electrons: f64 },
    /// x is √Σ_m|P̂_m|² at each angle: it is this `amplitude`, (ky, kx) in FFT order, each mode with its phase and share. What is 0 stays
    /// 0, having no phase.
    FourierAmplitude { amplitude: Vec<f64> },
    /// x is the probe's place: the centre of mass of Σ_m|P_m|² comes to the window's pixel N/2, and the object is shifted by the same
    /// vector, so that exit waves move in their windows as a whole and patterns stay, as far as waves end within their windows.
    ///
    /// Both are shifted by Fourier ramps, round their edges: what the object loses at one side comes in at the other, and where it does not
    /// end smoothly it rings.
    Centring,
    /// The modes are mixed unitarily into orthogonal ones, the strongest first (P. Thibault and A. Menzel, Nature 494 (2013) 68):
    /// eigenvectors of their overlaps. Σ_m|P_m|² and every pattern stay. It acts in full at any strength above 0, as a blend of the two
    /// would keep neither.
    OrthogonalModes,
}

/// A constraint, when it acts and how strongly.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    pub constraint: Constraint,
    /// The first iteration, from 1.
    pub start: u32,
    /// It acts every so many iterations from the first.
    pub every: u32,
    /// The last iteration; `None` is that of the reconstruction.
    pub end: Option<u32>,
    /// From 0, nothing, to 1.
    pub strength: f64,
}

impl Scheduled {
    /// After every iteration, in full.
    pub fn always(constraint: Constraint) -> Self {
        Self { constraint, start: 1, every: 1, end: None, strength: 1.0 }
    }

    /// Does it act after this iteration, counted from 1?
    pub fn due(&self, iteration: u32) -> bool {
        iteration >= self.start && self.end.is_none_or(|end| iteration <= end) && (iteration - self.start).is_multiple_of(self.every.max(1))
    }

    /// Imposes the constraint on `parts`, whatever the iteration.
    ///
    /// # Errors
    /// If the host has not the memory for a transform.
    pub fn apply(&self, parts: &mut Parts<'_>) -> Result<()> {
        let strength = self.strength;
        if strength == 0.0 {
            return Ok(());
        }
        match &self.constraint {
            &Constraint::AmplitudeClamp { low, high } => amplitude_clamp::apply(parts, low, high, strength),
            &Constraint::PhasePositivity(vacuum) => phase_positivity::apply(parts, vacuum, strength)?,
            Constraint::PurePhase => pure_phase::apply(parts, strength),
            &Constraint::ComplexRatio { ratio } => complex_ratio::apply(parts, ratio, strength),
            &Constraint::LowPass { cutoff_inverse_A, order } => low_pass::apply(parts, cutoff_inverse_A, order, strength)?,
            &Constraint::HighPass { cutoff_inverse_A, order } => high_pass::apply(parts, cutoff_inverse_A, order, strength)?,
            &Constraint::BandLimit { cutoff_inverse_A } => band_limit::apply(parts, cutoff_inverse_A, strength)?,
            &Constraint::TotalVariation { phase_rad, amplitude, steps } => {
                total_variation::apply(parts, phase_rad, amplitude, steps, strength)?;
            }
            &Constraint::Sparsity { threshold_rad } => sparsity::apply(parts, threshold_rad, strength)?,
            &Constraint::KzFilter { beta } => kz_filter::apply(parts, beta, strength)?,
            Constraint::IdenticalSlices => identical_slices::apply(parts, strength),
            Constraint::PhaseRamp => phase_ramp::apply(parts, strength)?,
            &Constraint::ProbeSupport { radius_A, edge_A } => probe_support::apply(parts, radius_A, edge_A, strength)?,
            &Constraint::ApertureSupport { factor } => aperture_support::apply(parts, factor, strength),
            &Constraint::ProbeIntensity { electrons } => probe_intensity::apply(parts, electrons, strength),
            Constraint::FourierAmplitude { amplitude } => fourier_amplitude::apply(parts, amplitude, strength),
            Constraint::Centring => centring::apply(parts, strength)?,
            Constraint::OrthogonalModes => orthogonal_modes::apply(parts),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Sample;
    use super::*;

    #[test]
    fn a_constraint_acts_every_so_often_between_its_first_iteration_and_its_last() {
        let due = |start, every, end| {
            let scheduled = Scheduled { start, every, end, ..Scheduled::always(Constraint::PurePhase) };
            (1..=10).filter(|&i| scheduled.due(i)).collect::<Vec<u32>>()
        };
        assert_eq!(due(1, 1, None), (1..=10).collect::<Vec<_>>());
        assert_eq!(due(3, 2, Some(8)), [3, 5, 7]);
        assert_eq!(due(4, 3, Some(7)), [4, 7]);
        assert_eq!(due(9, 0, None), [9, 10]);
        assert!(due(5, 1, Some(4)).is_empty());
    }

    #[test]
    fn strength_0_changes_nothing_and_nothing_makes_a_number_that_is_none() {
        let amplitude = vec![1.0; 80];
        let all = [
            Constraint::AmplitudeClamp { low: 0.9, high: 1.0 },
            Constraint::PhasePositivity(Vacuum::One),
            Constraint::PhasePositivity(Vacuum::Lowest { share: 0.1 }),
            Constraint::PurePhase,
            Constraint::ComplexRatio { ratio: 0.1 },
            Constraint::LowPass { cutoff_inverse_A: 1.0, order: 2 },
            Constraint::HighPass { cutoff_inverse_A: 0.3, order: 2 },
            Constraint::BandLimit { cutoff_inverse_A: 1.0 },
            Constraint::TotalVariation { phase_rad: 0.1, amplitude: 0.1, steps: 10 },
            Constraint::Sparsity { threshold_rad: 0.1 },
            Constraint::KzFilter { beta: 1.0 },
            Constraint::IdenticalSlices,
            Constraint::PhaseRamp,
            Constraint::ProbeSupport { radius_A: 0.5, edge_A: 0.1 },
            Constraint::ApertureSupport { factor: 1.0 },
            Constraint::ProbeIntensity { electrons: 100.0 },
            Constraint::FourierAmplitude { amplitude },
            Constraint::Centring,
            Constraint::OrthogonalModes,
        ];
        for constraint in &all {
            let mut sample = Sample::random();
            let before = (sample.object.clone(), sample.probe_hat.clone());
            sample.apply(constraint, 0.0);
            assert!(before == (sample.object.clone(), sample.probe_hat.clone()), "{constraint:?}");
            sample.apply(constraint, 1.0);
            assert!(before != (sample.object, sample.probe_hat), "{constraint:?} does something");

            // Nothing lights the specimen, which is opaque or nothing.
            for value in [0.0, 1.0] {
                let mut empty = Sample::random();
                empty.object.fill(value.into());
                empty.probe_hat.fill(0.0.into());
                empty.apply(constraint, 1.0);
                assert!(empty.object.iter().chain(&empty.probe_hat).all(|v| v.is_finite()), "{constraint:?}");
                empty.positions.clear();
                empty.apply(constraint, 1.0);
                assert!(empty.object.iter().chain(&empty.probe_hat).all(|v| v.is_finite()), "{constraint:?} without positions");
            }
        }
    }
}
