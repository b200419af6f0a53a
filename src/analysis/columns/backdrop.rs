//! What the image of a crystal has beside what grows with the atoms of its columns.
//!
//! In thick specimens, or far out of focus, an image is not the sum of what its atoms add. Of the element that is counted a full column looks other than all that its atoms take away when they are missing, and waves
//! between columns run in directions that no function of a distance has. Both repeat with the lattice: φ = Σ_j n_j·T(|r − r_j|) + Σ_j S(|r − r_j|) + Σ_g b_g·e^{2πi g·r}, where S are columns of the element, whatever they hold.

use std::f64::consts::TAU;

use num_complex::Complex64;
use rayon::prelude::*;

use super::fit::Site;
use super::lattice::{Field, Lattice};
use super::projection::{Projection, length};
use super::template::{Template, around};

/// Waves finer than this take no part.
const FINEST_A: f64 = 0.65;
/// The most waves.
const WAVES: usize = 200;
/// How far columns tell of what is around them, and where that ends.
const AROUND_A: f64 = 2.5;
const REACH_A: f64 = 7.5;

/// What an image has beside what grows with its columns' atoms, for a crystal that is there everywhere.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Backdrop {
    /// Of each kind: what a column adds whatever it holds. Empty where there is none.
    pub(super) standing: Vec<Option<Template>>,
    /// Re(height·e^{2πi g·c}) of places c in the crystal, g in 1/Å.
    pub(super) waves: Vec<([f64; 2], Complex64)>,
}

/// A column of an image, as the backdrop sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    pub site: Site,
    /// How far from the lattice it lies, (y, x) in Å.
    pub moved_A: [f64; 2],
    /// Whether the crystal is there; `None` of columns that do not tell.
    pub is_there: Option<bool>,
}

/// Half of the waves of a crystal, the other half being their conjugates, without the constant one; the coarsest where there are too many.
pub(super) fn waves(projection: &Projection) -> Vec<[f64; 2]> {
    let (basis, most) = (projection.reciprocal(), 1.0 / FINEST_A);
    let reach = [0, 1].map(|n| (most * length(projection.basis_A[n])).ceil() as i32);
    let mut all: Vec<[f64; 2]> = (0..=reach[0])
        .flat_map(|h| (-reach[1]..=reach[1]).map(move |k| (h, k)))
        .filter(|&(h, k)| h > 0 || k > 0)
        .map(|(h, k)| [0, 1].map(|a| f64::from(h) * basis[0][a] + f64::from(k) * basis[1][a]))
        .filter(|g| length(*g) < most)
        .collect();
    all.sort_by(|p, q| length(*p).total_cmp(&length(*q)));
    all.truncate(WAVES);
    all
}

impl Backdrop {
    pub fn is_empty(&self) -> bool {
        self.waves.is_empty() && self.standing.iter().all(Option::is_none)
    }

    /// What a column of so many atoms looks like, all that repeats with it included; each atom as this template.
    pub fn look(&self, kind: usize, atom: &Template, atoms: f64) -> Template {
        let standing = self.standing.get(kind).and_then(Option::as_ref);
        let sum = |(k, c): (usize, &f64)| atoms * c + standing.map_or(0.0, |standing| standing.coefficients[k]);
        Template { coefficients: atom.coefficients.iter().enumerate().map(sum).collect() }
    }

    /// The backdrop in an image whose crystal lies so, with these columns: where columns around say that there is no crystal it is 0, and where they have moved it moves with them.
    pub fn image(&self, field: &Field<'_>, lattice: &Lattice, columns: &[Standing]) -> Vec<f64> {
        let mut standing = vec![0.0; field.values.len()];
        for column in columns {
            if let Some(Some(template)) = self.standing.get(column.site.kind) {
                around(field, column.site.at_A).for_each(|(at, away)| standing[at] += template.at(length(away)).0);
            }
        }
        let width = field.shape[1];
        let of = |at: usize| {
            let here = [(at / width) as f64 * field.pixel_A[0], (at % width) as f64 * field.pixel_A[1]];
            let (mut there, mut told, mut moved, mut sum) = (0.0, 0.0, [0.0; 2], 0.0);
            for column in columns {
                let away2 = (0..2).map(|a| (column.site.at_A[a] - here[a]).powi(2)).sum::<f64>();
                if away2 > REACH_A * REACH_A {
                    continue;
                }
                let weight = (-away2 / (2.0 * AROUND_A * AROUND_A)).exp();
                sum += weight;
                (0..2).for_each(|a| moved[a] += weight * column.moved_A[a]);
                if let Some(is_there) = column.is_there {
                    told += weight;
                    there += if is_there { weight } else { 0.0 };
                }
            }
            let share = if told > 0.0 { there / told } else { 1.0 };
            let from = if sum > 0.0 { [0, 1].map(|a| here[a] - moved[a] / sum) } else { here };
            let c = lattice.in_crystal(from);
            let wave = |(g, height): &([f64; 2], Complex64)| (height * Complex64::cis(TAU * (g[0] * c[0] + g[1] * c[1]))).re;
            share * (standing[at] + self.waves.iter().map(wave).sum::<f64>())
        };
        (0..field.values.len()).into_par_iter().map(of).collect()
    }
}
