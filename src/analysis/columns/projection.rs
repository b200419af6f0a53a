//! A crystal seen along its zone axis: the columns that repeat.

/// A column of a projected crystal.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectedColumn {
    /// The symbols of what stands in it, each with its atoms per Å of depth, most first.
    pub holds: Vec<(&'static str, f64)>,
    /// (y, x) in Å from the crystal's origin.
    pub at_A: [f64; 2],
    /// The columns that hold the same have the same number.
    pub kind: usize,
}

impl ProjectedColumn {
    /// Such as "Na" or "Ni/Sb".
    pub fn name(&self) -> String {
        self.holds.iter().map(|h| h.0).collect::<Vec<_>>().join("/")
    }

    /// Atoms of an element per Å of depth.
    pub fn per_A(&self, symbol: &str) -> f64 {
        self.holds.iter().filter(|h| h.0 == symbol).map(|h| h.1).sum()
    }
}

/// A crystal projected along the beam.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// The two vectors (y, x) in Å by which columns repeat, the shortest first.
    pub basis_A: [[f64; 2]; 2],
    pub columns: Vec<ProjectedColumn>,
    /// The name of each kind.
    pub kinds: Vec<String>,
}

/// A site of a crystal's cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellSite {
    pub symbol: &'static str,
    /// In parts of the cell's edges.
    pub at: [f64; 3],
    pub occupancy: f64,
}

/// Sites nearer than this in projection stand in one column.
const COLUMN_A: f64 = 0.1;

impl Projection {
    /// Projects a crystal whose edges are `axes` (each z, y, x in Å, z along the beam).
    pub fn new(axes: [[f64; 3]; 3], sites: &[CellSite]) -> Self {
        let [a, b, c] = axes;
        let volume = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0]);
        let basis_A = shortest(axes.map(|v| [v[1], v[2]]));
        let area = cross(basis_A[0], basis_A[1]).abs();
        let depth = volume.abs() / area;
        let mut columns: Vec<ProjectedColumn> = Vec::new();
        for site in sites {
            let at = [1, 2].map(|k| (0..3).map(|n| site.at[n] * axes[n][k]).sum::<f64>());
            let at = folded(at, basis_A);
            let per_A = site.occupancy / depth;
            match columns.iter_mut().find(|c| length(nearest([at[0] - c.at_A[0], at[1] - c.at_A[1]], basis_A)) < COLUMN_A) {
                Some(column) => match column.holds.iter_mut().find(|h| h.0 == site.symbol) {
                    Some(held) => held.1 += per_A,
                    None => column.holds.push((site.symbol, per_A)),
                },
                None => columns.push(ProjectedColumn { holds: vec![(site.symbol, per_A)], at_A: at, kind: 0 }),
            }
        }
        let mut kinds: Vec<String> = Vec::new();
        let mut known: Vec<Vec<(&'static str, f64)>> = Vec::new();
        for column in &mut columns {
            column.holds.sort_by(|p, q| q.1.total_cmp(&p.1).then(p.0.cmp(q.0)));
            let alike = |holds: &[(&'static str, f64)]| {
                holds.len() == column.holds.len()
                    && holds.iter().zip(&column.holds).all(|(p, q)| p.0 == q.0 && (p.1 / q.1 - 1.0).abs() < 1e-3)
            };
            column.kind = known.iter().position(|holds| alike(holds)).unwrap_or_else(|| {
                kinds.push(column.name());
                known.push(column.holds.clone());
                kinds.len() - 1
            });
        }
        Self { basis_A, columns, kinds }
    }

    /// The columns of this crystal's kind `kind` hold so many atoms per Å, of all elements.
    pub fn atoms_per_A(&self, kind: usize) -> f64 {
        self.columns.iter().find(|c| c.kind == kind).map_or(0.0, |c| c.holds.iter().map(|h| h.1).sum())
    }

    /// How strongly a kind shows, roughly: atoms per Å times Z^0.7 (projected potentials grow a little more slowly than the charge).
    pub fn weight(&self, kind: usize, atomic_number: impl Fn(&str) -> usize) -> f64 {
        let column = self.columns.iter().find(|c| c.kind == kind);
        column.map_or(0.0, |c| c.holds.iter().map(|(symbol, n)| n * (atomic_number(symbol) as f64).powf(0.7)).sum())
    }

    /// The reciprocal basis: g_i · basis_j = δ_ij, (y, x) in 1/Å.
    pub fn reciprocal(&self) -> [[f64; 2]; 2] {
        reciprocal(self.basis_A)
    }
}

/// The reciprocal vectors (y, x) of two vectors.
pub(super) fn reciprocal([a, b]: [[f64; 2]; 2]) -> [[f64; 2]; 2] {
    let area = cross(a, b);
    [[b[1] / area, -b[0] / area], [-a[1] / area, a[0] / area]]
}

pub(super) fn cross(a: [f64; 2], b: [f64; 2]) -> f64 {
    a[0] * b[1] - a[1] * b[0]
}

pub(super) fn length(a: [f64; 2]) -> f64 {
    a[0].hypot(a[1])
}

fn combine(n: [f64; 2], basis: [[f64; 2]; 2]) -> [f64; 2] {
    [0, 1].map(|k| n[0] * basis[0][k] + n[1] * basis[1][k])
}

/// In parts of the basis.
pub(super) fn parts(at: [f64; 2], basis: [[f64; 2]; 2]) -> [f64; 2] {
    let g = reciprocal(basis);
    g.map(|g| g[0] * at[0] + g[1] * at[1])
}

/// The same place in the first cell.
fn folded(at: [f64; 2], basis: [[f64; 2]; 2]) -> [f64; 2] {
    // What lies a rounding below 1 lies at 0.
    combine(parts(at, basis).map(|p| (p + 1e-6).rem_euclid(1.0) - 1e-6), basis)
}

/// The shortest of the differences that repeat this one.
pub(super) fn nearest(difference: [f64; 2], basis: [[f64; 2]; 2]) -> [f64; 2] {
    let rest = combine(parts(difference, basis).map(|p| p - p.round()), basis);
    let mut best = rest;
    for i in -1..=1 {
        for j in -1..=1 {
            let step = combine([f64::from(i), f64::from(j)], basis);
            let other = [rest[0] + step[0], rest[1] + step[1]];
            if length(other) < length(best) {
                best = other;
            }
        }
    }
    best
}

/// The two shortest independent vectors of the lattice that three vectors of a plane make, the shorter first (Gauss's reduction; the three come from an edge each, so their lattice is discrete).
fn shortest(vectors: [[f64; 2]; 3]) -> [[f64; 2]; 2] {
    /// Å below which a vector is 0.
    const NOTHING: f64 = 1e-4;
    let mut list = vectors.to_vec();
    for _ in 0..200 {
        list.retain(|v| length(*v) > NOTHING);
        list.sort_by(|p, q| length(*p).total_cmp(&length(*q)));
        let mut changed = false;
        for high in (1..list.len()).rev() {
            for low in 0..high {
                let (p, q) = (list[low], list[high]);
                let n = ((p[0] * q[0] + p[1] * q[1]) / (p[0] * p[0] + p[1] * p[1])).round();
                if n != 0.0 {
                    let less = [q[0] - n * p[0], q[1] - n * p[1]];
                    if length(less) < length(q) - NOTHING {
                        list[high] = less;
                        changed = true;
                    }
                }
            }
        }
        // Three short vectors of one plane: the longest is a sum or difference of the others, or their fraction.
        if list.len() == 3 && !changed {
            let basis = [list[0], list[1]];
            let area = cross(basis[0], basis[1]);
            if area.abs() > NOTHING {
                let n = parts(list[2], basis);
                let rest = combine(n.map(|n| n - n.round()), basis);
                list[2] = if length(rest) < length(list[2]) - NOTHING { rest } else { list[2] };
                changed = length(rest) < NOTHING || list[2] == rest;
                if length(rest) < NOTHING {
                    list.pop();
                }
            }
        }
        if !changed {
            break;
        }
    }
    list.sort_by(|p, q| length(*p).total_cmp(&length(*q)));
    let first = list.first().copied().unwrap_or([1.0, 0.0]);
    let second = list.iter().copied().find(|v| cross(first, *v).abs() > NOTHING * length(first)).unwrap_or([0.0, 1.0]);
    [first, second]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Na3Ni2SbO6's metals and sodium, C2/m with β = 108.3°, along [100] with the layers' normal along y.
    fn na3() -> Projection {
        let (a, b, c, beta) = (5.305, 9.188, 5.628, 108.3f64.to_radians());
        // z along a, y along c*, x along b.
        let axes = [[a, 0.0, 0.0], [0.0, 0.0, b], [c * beta.cos(), c * beta.sin(), 0.0]];
        let full = |symbol, at| CellSite { symbol, at, occupancy: 1.0 };
        let mut sites = Vec::new();
        for [cx, cy] in [[0.0, 0.0], [0.5, 0.5]] {
            for (symbol, at) in
                [("Sb", [0.0, 0.0, 0.0]), ("Ni", [0.0, 1.0 / 3.0, 0.0]), ("Ni", [0.0, 2.0 / 3.0, 0.0]), ("Na", [0.0, 0.5, 0.5])]
            {
                sites.push(full(symbol, [at[0] + cx, at[1] + cy, at[2]]));
            }
            for y in [1.0 / 3.0, 2.0 / 3.0] {
                sites.push(full("Na", [0.5 + cx, y + cy, 0.5]));
            }
        }
        Projection::new(axes, &sites)
    }

    #[test]
    fn sodium_nickel_and_antimony_of_na3ni2sbo6_stand_alone_along_100_one_each_5_3_a() {
        let projection = na3();
        // b and c·sin β, and C-centring repeats after b/2 within the list of sites.
        let area = cross(projection.basis_A[0], projection.basis_A[1]).abs();
        assert!((area - 9.188 * 5.628 * 108.3f64.to_radians().sin()).abs() < 1e-9);
        assert_eq!(projection.columns.len(), 12);
        for column in &projection.columns {
            assert_eq!(column.holds.len(), 1, "{column:?}");
            assert!((column.holds[0].1 - 1.0 / 5.305).abs() < 1e-12, "{column:?}");
        }
        assert_eq!(projection.kinds.len(), 3);
        let sodium: Vec<_> = projection.columns.iter().filter(|c| c.holds[0].0 == "Na").collect();
        assert!(sodium.iter().all(|c| (c.at_A[0] - 5.628 * 108.3f64.to_radians().sin() / 2.0).abs() < 1e-9), "{sodium:?}");
    }

    #[test]
    fn a_rotated_crystal_has_the_same_columns() {
        let turn = 0.3f64;
        let rotated = |v: [f64; 3]| [v[0], v[1] * turn.cos() - v[2] * turn.sin(), v[1] * turn.sin() + v[2] * turn.cos()];
        let axes = [[0.0, 3.905, 0.0], [0.0, 0.0, 3.905], [3.905, 0.0, 0.0]];
        let sites: Vec<CellSite> =
            [("Sr", [0.0, 0.0, 0.0]), ("Ti", [0.5, 0.5, 0.5]), ("O", [0.5, 0.5, 0.0]), ("O", [0.5, 0.0, 0.5]), ("O", [0.0, 0.5, 0.5])]
                .map(|(symbol, at)| CellSite { symbol, at, occupancy: 1.0 })
                .to_vec();
        let found = Projection::new(axes.map(rotated), &sites);
        // Along c: Sr, Ti over O, and two O columns.
        assert_eq!(found.columns.len(), 4);
        assert!(found.basis_A.iter().all(|v| (length(*v) - 3.905).abs() < 1e-9));
        let mixed = found.columns.iter().find(|c| c.holds.len() == 2).unwrap();
        assert_eq!(mixed.name(), "O/Ti");
        assert!((mixed.per_A("Ti") - 1.0 / 3.905).abs() < 1e-12 && (mixed.per_A("O") - 1.0 / 3.905).abs() < 1e-12);
    }

    #[test]
    fn three_projected_edges_give_the_lattice_of_all_their_sums() {
        // [111] of a cube: edges project onto vectors 120° apart; the lattice is hexagonal with a·√(2/3).
        let a = 4.0f64;
        let radius = a * (2.0f64 / 3.0).sqrt();
        let at = |deg: f64| [radius * deg.to_radians().sin(), radius * deg.to_radians().cos()];
        let basis = shortest([at(0.0), at(120.0), at(240.0)]);
        assert!((cross(basis[0], basis[1]).abs() - radius * radius * 0.75f64.sqrt()).abs() < 1e-9);
        // Halves: (2, 0), (0, 3), (1, 1.5).
        let basis = shortest([[2.0, 0.0], [0.0, 3.0], [1.0, 1.5]]);
        assert!((cross(basis[0], basis[1]).abs() - 3.0).abs() < 1e-9, "{basis:?}");
    }
}
