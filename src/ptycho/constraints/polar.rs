//! Objects by amplitude and phase.
//!
//! A phase is known up to whole turns. It is taken relative to the direction of the mean object of its slice and cut where the fewest pixels of the
//! scanned field are, as the phase images are, and changes multiply the object: what is left alone never wraps.

use num_complex::Complex64;
use rayon::prelude::*;

use super::super::Result;
use super::super::field::{mean_phasor, relative_phase};
use super::Parts;

/// The amplitude that darker pixels count as in logarithms.
const FAINTEST: f64 = 1e-6;

/// `o` with another amplitude; where it has none, its phase is 0.
pub(super) fn with_amplitude(o: Complex64, amplitude: f64) -> Complex64 {
    let norm = o.norm();
    if norm > 0.0 { o * (amplitude / norm) } else { Complex64::from(amplitude) }
}

impl Parts<'_> {
    /// The pixels of a slice.
    pub(super) fn area(&self) -> usize {
        self.object_shape[0] * self.object_shape[1]
    }

    /// φ ← (1 − s)φ + s·C(φ) in each slice, as O ← O·e^{is(C(φ) − φ)}.
    ///
    /// `change` is handed φ (y, x) in radians relative to the mean object, and the mean object's own phase in (−π, π].
    pub(super) fn change_phases(&mut self, strength: f64, change: impl Fn(&[f64], f64) -> Result<Vec<f64>> + Sync) -> Result<()> {
        let (shape, positions, area) = (self.object_shape, self.positions_px, self.area());
        self.object.par_chunks_mut(area).try_for_each(|slice| {
            let mean = mean_phasor(slice, shape, positions).arg();
            let phase = relative_phase(slice, shape, positions);
            for ((o, old), new) in slice.iter_mut().zip(&phase).zip(change(&phase, mean)?) {
                if new != *old {
                    *o *= Complex64::cis(strength * (new - old));
                }
            }
            Ok(())
        })
    }

    /// ln O = ln|O| + iφ, (slice, y, x), with each slice's phase on both sides of that of its mean object.
    pub(super) fn logarithms(&self) -> Vec<Complex64> {
        let (shape, positions) = (self.object_shape, self.positions_px);
        let mut logarithms = vec![Complex64::ZERO; self.object.len()];
        logarithms.par_chunks_mut(self.area()).zip(self.object.par_chunks(self.area())).for_each(|(out, slice)| {
            let mean = mean_phasor(slice, shape, positions).arg();
            let phase = relative_phase(slice, shape, positions);
            for ((l, o), p) in out.iter_mut().zip(slice).zip(phase) {
                *l = Complex64::new(o.norm().max(FAINTEST).ln(), mean + p);
            }
        });
        logarithms
    }

    /// ln O ← (1 − s)·ln O + s·`to`, as O ← O·e^{s(to − from)}, `from` being its [`Parts::logarithms`].
    pub(super) fn change_logarithms(&mut self, strength: f64, from: &[Complex64], to: &[Complex64]) {
        self.object.par_iter_mut().zip(from).zip(to).for_each(|((o, from), to)| *o *= (strength * (to - from)).exp());
    }
}
