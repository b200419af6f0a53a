//! Crystals: a cell and what stands in it.

use super::elements::Element;
use super::{Error, Result, cif};

/// Edges in Å and angles in degrees: α between b and c, β between a and c, γ between a and b.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Cell {
    pub edges_A: [f64; 3],
    pub angles_deg: [f64; 3],
}

impl Cell {
    /// The cell's vectors in Å as rows (x, y, z): a along x, b in the plane of x and y.
    pub fn vectors_A(&self) -> [[f64; 3]; 3] {
        let [a, b, c] = self.edges_A;
        let [alpha, beta, gamma] = self.angles_deg.map(f64::to_radians);
        let along_y = (alpha.cos() - beta.cos() * gamma.cos()) / gamma.sin();
        let along_z = (1.0 - beta.cos().powi(2) - along_y * along_y).sqrt();
        [[a, 0.0, 0.0], [b * gamma.cos(), b * gamma.sin(), 0.0], [c * beta.cos(), c * along_y, c * along_z]]
    }
}

/// Atoms at a place of the cell. Several sites may share one place.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Site {
    pub element: Element,
    /// In parts of the cell's edges, from 0 up to 1.
    pub at: [f64; 3],
    /// The share of cells in which the atom is there.
    pub occupancy: f64,
    /// The Debye–Waller factor B = 8π²⟨u²⟩.
    pub b_A2: f64,
}

/// A crystal: its cell and every site in it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Structure {
    pub cell: Cell,
    pub sites: Vec<Site>,
}

/// The names of [`Structure::named`].
pub const NAMES: [&str; 6] = ["Na3Ni2SbO6", "P2-NaNiMnO2", "O3-NaNiFeMnO2", "SrTiO3", "MoS2", "graphene"];

/// A site before the centring is applied: symbol, place, occupancy.
type Listed = (&'static str, [f64; 3], f64);

impl Structure {
    /// The crystal of a CIF's first block that lists atoms, from the file's text; `path` is for the errors, which tell the line.
    ///
    /// What is taken: the cell, the symmetry operations (none stand for P1), and of each atom its place, element, occupancy (1 where it is not said) and isotropic U or B.
    pub fn from_cif(text: &str, path: &str) -> Result<Self> {
        cif::parse(text, path)
    }

    /// The cell's volume in Å³.
    pub fn volume_A3(&self) -> f64 {
        let v = self.cell.vectors_A();
        v[0][0] * v[1][1] * v[2][2]
    }

    /// The atoms of a cell by element, in the order of the elements' symbols.
    pub fn atoms(&self) -> Vec<(Element, f64)> {
        let mut atoms: Vec<(Element, f64)> = Vec::new();
        for site in &self.sites {
            match atoms.iter_mut().find(|(element, _)| *element == site.element) {
                Some((_, count)) => *count += site.occupancy,
                None => atoms.push((site.element, site.occupancy)),
            }
        }
        atoms.sort_by_key(|(element, _)| element.symbol());
        atoms
    }

    /// One of the crystals of [`NAMES`].
    ///
    /// - Na₃Ni₂SbO₆, C2/m: Sb 2a; Ni 4g (y ⅔); Na 2d and 4h; O 4i (.744, 0, .196) and 8j (.725, .339, .195), idealised.
    /// - P2-Na₂⁄₃Ni₁⁄₃Mn₂⁄₃O₂, P6₃/mmc: TM 2a, O 4f (z .0905), Na 2b and 2d, its atoms in equal parts on both.
    /// - O3-NaNi₁⁄₃Fe₁⁄₃Mn₁⁄₃O₂, R-3m: Na 3a, TM 3b, O 6c (z .232).
    /// - SrTiO₃, cubic; MoS₂ and graphene, one layer 10 Å thick, S at ±1.56 Å.
    ///
    /// # Errors
    /// If it is none of them.
    pub fn named(name: &str) -> Result<Self> {
        let third = 1.0 / 3.0;
        let full = |symbol: &'static str, at: [f64; 3]| (symbol, at, 1.0);
        let (edges_A, angles_deg, centring, listed): (_, _, &[[f64; 3]], Vec<Listed>) = match name {
            "Na3Ni2SbO6" => {
                let mut sites = vec![full("Sb", [0.0; 3])];
                sites.extend([2.0 * third, third].map(|y| full("Ni", [0.0, y, 0.0])));
                sites.push(full("Na", [0.0, 0.5, 0.5]));
                sites.extend([third, 2.0 * third].map(|y| full("Na", [0.5, y, 0.5])));
                let (x4, z4, x8, y8, z8) = (0.744, 0.196, 0.725, 0.339, 0.195);
                sites.extend([[x4, 0.0, z4], [-x4, 0.0, -z4]].map(|at| full("O", at)));
                sites.extend([[x8, y8, z8], [-x8, y8, -z8], [-x8, -y8, -z8], [x8, -y8, z8]].map(|at| full("O", at)));
                ([5.305, 9.188, 5.628], [90.0, 108.3, 90.0], &[[0.0; 3], [0.5, 0.5, 0.0]], sites)
            }
            "P2-NaNiMnO2" => {
                let z = 0.0905;
                let mut sites = Vec::new();
                for at in [[0.0; 3], [0.0, 0.0, 0.5]] {
                    sites.extend([("Ni", at, third), ("Mn", at, 2.0 * third)]);
                }
                for at in [[third, 2.0 * third, z], [2.0 * third, third, z + 0.5], [2.0 * third, third, -z], [third, 2.0 * third, 0.5 - z]]
                {
                    sites.push(full("O", at));
                }
                for at in [[0.0, 0.0, 0.25], [0.0, 0.0, 0.75], [third, 2.0 * third, 0.75], [2.0 * third, third, 0.25]] {
                    sites.push(("Na", at, third));
                }
                ([2.885, 2.885, 11.15], [90.0, 90.0, 120.0], &[[0.0; 3]], sites)
            }
            "O3-NaNiFeMnO2" => {
                let mut sites = vec![full("Na", [0.0; 3])];
                sites.extend(["Ni", "Fe", "Mn"].map(|symbol| (symbol, [0.0, 0.0, 0.5], third)));
                sites.extend([0.232, -0.232].map(|z| full("O", [0.0, 0.0, z])));
                let centring: &[_] = &[[0.0; 3], [2.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0], [1.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0]];
                ([2.975, 2.975, 16.03], [90.0, 90.0, 120.0], centring, sites)
            }
            "SrTiO3" => {
                let mut sites = vec![full("Sr", [0.0; 3]), full("Ti", [0.5; 3])];
                sites.extend([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]].map(|at| full("O", at)));
                ([3.905; 3], [90.0; 3], &[[0.0; 3]], sites)
            }
            "MoS2" => {
                let s = [0.344, 0.656].map(|z| full("S", [2.0 * third, third, z]));
                let sites = [vec![full("Mo", [third, 2.0 * third, 0.5])], s.into()].concat();
                ([3.16, 3.16, 10.0], [90.0, 90.0, 120.0], &[[0.0; 3]], sites)
            }
            "graphene" => {
                let sites = [[third, 2.0 * third, 0.5], [2.0 * third, third, 0.5]].map(|at| full("C", at)).into();
                ([2.46, 2.46, 10.0], [90.0, 90.0, 120.0], &[[0.0; 3]], sites)
            }
            _ => return Err(Error::UnknownCrystal { name: name.into() }),
        };
        let mut sites = Vec::with_capacity(centring.len() * listed.len());
        for shift in centring {
            for &(symbol, at, occupancy) in &listed {
                let at = [0, 1, 2].map(|n| (at[n] + shift[n]).rem_euclid(1.0));
                sites.push(Site { element: Element::of(symbol)?, at, occupancy, b_A2: usual_b_A2(symbol) });
            }
        }
        Ok(Self { cell: Cell { edges_A, angles_deg }, sites })
    }
}

/// What B is about at room temperature in these oxides: of oxygen 0.8, of sodium 1.5, of heavier atoms 0.4 Å².
pub(super) fn usual_b_A2(symbol: &str) -> f64 {
    match symbol {
        "O" | "C" => 0.8,
        "Na" => 1.5,
        _ => 0.4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance_A(structure: &Structure, from: &Site, to: &Site) -> f64 {
        let vectors = structure.cell.vectors_A();
        let mut least = f64::INFINITY;
        for cell in 0..27 {
            let shift = [cell / 9, cell / 3 % 3, cell % 3].map(|n| n as f64 - 1.0);
            let way = [0, 1, 2].map(|n| to.at[n] - from.at[n] + shift[n]);
            let length = (0..3).map(|x| (0..3).map(|n| way[n] * vectors[n][x]).sum::<f64>().powi(2)).sum::<f64>().sqrt();
            if length > 1e-6 {
                least = least.min(length);
            }
        }
        least
    }

    #[test]
    fn every_named_crystal_has_its_formula_and_the_distances_that_its_bonds_have() {
        /// A name, the atoms of its cell, and where in Å the shortest bond between two elements lies.
        type Expected = (&'static str, &'static [(&'static str, f64)], [&'static str; 2], [f64; 2]);
        let expected: [Expected; 6] = [
            ("Na3Ni2SbO6", &[("Na", 6.0), ("Ni", 4.0), ("Sb", 2.0), ("O", 12.0)], ["Ni", "O"], [1.95, 2.15]),
            ("P2-NaNiMnO2", &[("Na", 4.0 / 3.0), ("Ni", 2.0 / 3.0), ("Mn", 4.0 / 3.0), ("O", 4.0)], ["Mn", "O"], [1.85, 2.0]),
            ("O3-NaNiFeMnO2", &[("Na", 3.0), ("Ni", 1.0), ("Fe", 1.0), ("Mn", 1.0), ("O", 6.0)], ["Fe", "O"], [1.95, 2.1]),
            ("SrTiO3", &[("Sr", 1.0), ("Ti", 1.0), ("O", 3.0)], ["Ti", "O"], [1.952, 1.953]),
            ("MoS2", &[("Mo", 1.0), ("S", 2.0)], ["Mo", "S"], [2.39, 2.43]),
            ("graphene", &[("C", 2.0)], ["C", "C"], [1.42, 1.421]),
        ];
        assert_eq!(NAMES, expected.map(|e| e.0));
        for (name, formula, [first, second], bond) in expected {
            let structure = Structure::named(name).unwrap();
            for &(symbol, atoms) in formula {
                let found: f64 = structure.sites.iter().filter(|s| s.element.symbol() == symbol).map(|s| s.occupancy).sum();
                assert!((found - atoms).abs() < 1e-12, "{name} has {found} {symbol}");
            }
            let total: f64 = structure.sites.iter().map(|s| s.occupancy).sum();
            assert!((total - formula.iter().map(|f| f.1).sum::<f64>()).abs() < 1e-12, "{name} holds nothing else");
            let of = |symbol: &str| structure.sites.iter().filter(|s| s.element.symbol() == symbol).collect::<Vec<_>>();
            for from in of(first) {
                let least = of(second).iter().map(|to| distance_A(&structure, from, to)).fold(f64::INFINITY, f64::min);
                assert!((bond[0]..bond[1]).contains(&least), "{name}: {first}–{second} {least} Å");
            }
        }
        let refusal = Structure::named("NaCl").unwrap_err().to_string();
        assert!(refusal.contains("\"NaCl\"") && refusal.contains("graphene"), "{refusal}");
    }

    #[test]
    fn a_skew_cells_vectors_have_its_edges_and_angles() {
        let cell = Cell { edges_A: [4.1, 5.2, 6.3], angles_deg: [81.0, 97.0, 112.0] };
        let v = cell.vectors_A();
        let dot = |a: [f64; 3], b: [f64; 3]| (0..3).map(|n| a[n] * b[n]).sum::<f64>();
        for n in 0..3 {
            assert!((dot(v[n], v[n]).sqrt() - cell.edges_A[n]).abs() < 1e-12);
            let (p, q) = ((n + 1) % 3, (n + 2) % 3);
            let angle = (dot(v[p], v[q]) / (cell.edges_A[p] * cell.edges_A[q])).acos().to_degrees();
            assert!((angle - cell.angles_deg[n]).abs() < 1e-10, "{angle}");
        }
    }
}
