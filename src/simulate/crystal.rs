//! Na₃Ni₂SbO₆ along [100]: its columns in projection.

use rand::{Rng, RngExt};

use super::structure::{Site, Structure};

/// A column of atoms along the beam. Lengths refer to scan position (0, 0).
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct Column {
    pub element: &'static str,
    pub y_A: f64,
    pub x_A: f64,
    /// The column's sites.
    pub sites: u32,
    /// Those that hold an atom.
    pub atoms: u32,
}

impl Column {
    /// The filled part of the column's sites.
    pub fn occupancy(&self) -> f64 {
        f64::from(self.atoms) / f64::from(self.sites)
    }
}

/// A column of a crystal's site.
pub(super) struct Placed<'a> {
    pub(super) site: &'a Site,
    pub(super) column: Column,
}

/// All columns of a monoclinic crystal that stands with a along the beam between the corners `low` and `high` (y, x in Å), the layers' normal along y and b along x, `sites` atoms deep;
/// a `thinned` share of the sodium columns has lost one atom to all of them, at random.
pub(super) fn columns<'a>(
    crystal: &'a Structure,
    low: [f64; 2],
    high: [f64; 2],
    depth: u32,
    thinned: f64,
    rng: &mut impl Rng,
) -> Vec<Placed<'a>> {
    let [_, [_, b_A, _], [_, _, layer_A]] = crystal.cell.vectors_A();
    let cells = |low: f64, high: f64, period: f64| (low / period).floor() as i64 - 1..=(high / period).ceil() as i64 + 1;
    let mut placed = Vec::new();
    for row in cells(low[0], high[0], layer_A) {
        for col in cells(low[1], high[1], b_A) {
            for site in &crystal.sites {
                let (y_A, x_A) = ((row as f64 + site.at[2]) * layer_A, (col as f64 + site.at[1]) * b_A);
                if (low[0]..high[0]).contains(&y_A) && (low[1]..high[1]).contains(&x_A) {
                    placed.push(Placed { site, column: Column { element: site.element.symbol(), y_A, x_A, sites: depth, atoms: depth } });
                }
            }
        }
    }
    placed.sort_by(|a, b| a.column.y_A.total_cmp(&b.column.y_A).then(a.column.x_A.total_cmp(&b.column.x_A)));
    for p in placed.iter_mut().filter(|p| p.column.element == "Na") {
        if rng.random_bool(thinned) {
            p.column.atoms = rng.random_range(0..depth);
        }
    }
    placed
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn along_the_beam_antimony_and_nickel_alternate_and_sodium_lies_between_the_layers() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let crystal = Structure::named("Na3Ni2SbO6").unwrap();
        let all = columns(&crystal, [-1.0, -0.5], [6.0, 40.0], 4, 0.5, &mut rng);
        let row = |y: f64| -> Vec<&Column> { all.iter().map(|p| &p.column).filter(|c| (c.y_A - y).abs() < 1e-6).collect() };
        let metals: Vec<_> = row(0.0).iter().map(|c| c.element).collect();
        assert_eq!(&metals[..7], ["Sb", "Ni", "Ni", "Sb", "Ni", "Ni", "Sb"]);
        for line in [row(0.0), row(5.343_357 / 2.0)] {
            assert!(line.windows(2).all(|w| (w[1].x_A - w[0].x_A - 1.5313).abs() < 1e-3), "columns stand b/6 apart");
        }
        let sodium: Vec<_> = all.iter().filter(|p| p.column.element == "Na").collect();
        assert!(sodium.iter().all(|p| (p.column.y_A - 2.6717).abs() < 1e-3));
        assert!(sodium.iter().any(|p| p.column.atoms < 4) && sodium.iter().any(|p| p.column.atoms == 4));
        assert!(all.iter().all(|p| p.column.element == "Na" || p.column.atoms == 4), "only sodium is thinned");
    }
}
