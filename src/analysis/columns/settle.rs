//! Columns moved from the lattice to where the image has them.

use super::fit::{Fit, Shifts, Site};
use crate::analysis::Result;

/// How far neighbours have a say in a column's place.
const NEIGHBOURS_A: f64 = 4.0;
/// How far a column may lie from where its neighbours have it, before it is measured.
const ALONE_A: f64 = 0.05;
/// No place is known better than this.
const LEAST_A: f64 = 0.01;
const ROUNDS: usize = 2;

/// Columns where they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// At the places at which amplitudes are best measured: each column's own, drawn towards its neighbours' by as much as its own is uncertain.
    pub sites: Vec<Site>,
    /// Each column's own place, measured alone, and its standard error; NaN near the edge.
    pub places_A: Vec<[f64; 2]>,
    pub se_A: Vec<[f64; 2]>,
}

/// Fits places and amplitudes in turn. A column's place is the smooth displacement of its surroundings (a Gaussian of 4 Å over its neighbours' displacements, weighted by 1/se²) plus its own difference
/// δ·τ²/(τ² + se²) with τ = 0.05 Å: the posterior mean if differences have that deviation.
///
/// # Errors
/// If there is no room.
pub fn settle(fit: &Fit<'_>, lattice: &[Site]) -> Result<Settled> {
    let mut sites = lattice.to_vec();
    let mut own = Shifts { shift_A: vec![[f64::NAN; 2]; sites.len()], se_A: vec![[f64::NAN; 2]; sites.len()] };
    for _ in 0..ROUNDS {
        let atoms = fit.amplitudes(&sites)?.atoms;
        let shifts = fit.shifts(&sites, &atoms)?;
        for (k, site) in sites.iter().enumerate() {
            own.shift_A[k] = [0, 1].map(|a| site.at_A[a] - lattice[k].at_A[a] + shifts.shift_A[k][a]);
        }
        own.se_A = shifts.se_A;
        for (k, site) in sites.iter_mut().enumerate() {
            for axis in 0..2 {
                let (mut sum, mut weights) = (0.0, 0.0);
                for (other, neighbour) in lattice.iter().enumerate() {
                    let (shift, se) = (own.shift_A[other][axis], own.se_A[other][axis]);
                    if !shift.is_finite() || !se.is_finite() {
                        continue;
                    }
                    let away2 = (0..2).map(|a| (neighbour.at_A[a] - lattice[k].at_A[a]).powi(2)).sum::<f64>();
                    if away2 < 9.0 * NEIGHBOURS_A * NEIGHBOURS_A {
                        let weight = (-away2 / (2.0 * NEIGHBOURS_A * NEIGHBOURS_A)).exp() / (se * se + LEAST_A * LEAST_A);
                        sum += weight * shift;
                        weights += weight;
                    }
                }
                let smooth = if weights > 0.0 { sum / weights } else { 0.0 };
                let (shift, se) = (own.shift_A[k][axis], own.se_A[k][axis]);
                let alone = if shift.is_finite() && se.is_finite() {
                    (shift - smooth) * ALONE_A * ALONE_A / (ALONE_A * ALONE_A + se * se)
                } else {
                    0.0
                };
                site.at_A[axis] = lattice[k].at_A[axis] + smooth + alone;
            }
        }
    }
    let places_A = lattice.iter().zip(&own.shift_A).map(|(l, s)| [0, 1].map(|a| l.at_A[a] + s[a])).collect();
    Ok(Settled { sites, places_A, se_A: own.se_A })
}
