//! A piece of a crystal under the beam: every atom of it, and the columns that they stand in.

use std::collections::HashMap;

use rand::{Rng, RngExt};

use super::defects::{self, Defect};
use super::elements::Element;
use super::structure::Structure;
use super::{Error, Result};

/// An atom. Lengths in the object's frame, relative to scan position (0, 0) and to the entrance surface.
#[derive(Debug, Clone, PartialEq)]
pub struct Atom {
    pub element: Element,
    /// Along the beam.
    pub z_A: f64,
    pub y_A: f64,
    pub x_A: f64,
    /// The Debye–Waller factor B = 8π²⟨u²⟩.
    pub b_A2: f64,
}

/// The atoms of one element in a column along the beam.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub element: Element,
    /// Where the column stands in the mean over its sites.
    pub y_A: f64,
    pub x_A: f64,
    /// What an undisturbed crystal has of the element there: a number of sites times their occupancy.
    pub sites: f64,
    /// What is there.
    pub atoms: u32,
}

impl Standing {
    /// The filled part of the sites.
    pub fn occupancy(&self) -> f64 {
        f64::from(self.atoms) / self.sites
    }
}

/// What lies under the beam.
#[derive(Debug, Clone, PartialEq)]
pub struct Specimen {
    pub atoms: Vec<Atom>,
    /// By rows; of a column of several elements each has its own. Empty where atoms were given one by one.
    pub columns: Vec<Standing>,
    pub thickness_A: f64,
}

/// How a crystal is cut, and what is done to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// Along the beam, in multiples of the cell's edges.
    pub zone_axis: [i32; 3],
    /// Miller indices of planes that the beam runs along: their normal lies along +y, the scan's rows. Where they are not said, (001) or else the first ones of small indices.
    pub planes: Option<[i32; 3]>,
    pub thickness_A: f64,
    /// Where a corner of the crystal's cell lies (y, x).
    pub offset_A: [f64; 2],
    /// How far columns lean (y, x): small angles.
    pub tilt_mrad: [f64; 2],
    /// [first y, end y, first x, end x] of the crystal in the object's frame, vacuum beyond; everywhere where it is not said.
    pub extent_A: Option<[f64; 4]>,
    /// In the order in which they are made.
    pub defects: Vec<Defect>,
}

/// A site on the way to a specimen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// What an undisturbed crystal has there on the mean.
    pub(super) expected: Vec<(Element, f64)>,
    pub(super) filled: Option<Element>,
    /// z, y, x in Å.
    pub(super) at: [f64; 3],
    pub(super) b_A2: f64,
    pub(super) column: usize,
}

/// Sites nearer to each other in projection than this stand in one column.
const COLUMN_A: f64 = 0.1;
/// What is built beyond the box, and cut off after everything was moved into its place.
const MARGIN_A: f64 = 8.0;
/// A layer of atoms is not thinner.
const LEAST_A: f64 = 0.1;
/// Places are no farther away.
const FARTHEST_A: f64 = 1e6;
/// Of small angles: sin and tan are right to 0.5 %.
const MOST_TILT_MRAD: f64 = 100.0;
/// A specimen is built of so many sites at most.
const MOST_SITES: f64 = 2e7;
/// Atoms at a surface belong to the crystal, whatever rounding says.
const ROUNDING_A: f64 = 1e-6;

impl Specimen {
    /// Cuts what lies between the corners `low` and `high` (y, x in Å) out of a crystal.
    ///
    /// # Errors
    /// If the cut or a defect says what cannot be.
    pub fn cut(crystal: &Structure, cut: &Cut, low: [f64; 2], high: [f64; 2], rng: &mut impl Rng) -> Result<Self> {
        let axes = cut.axes_A(crystal)?;
        cut.check()?;
        let bounds = match cut.extent_A {
            Some([y0, y1, x0, x1]) => [[y0.max(low[0]), x0.max(low[1])], [y1.min(high[0]), x1.min(high[1])]],
            None => [low, high],
        };
        let lean = cut.tilt_mrad.map(|t| t * 1e-3);
        let reach = bounds.iter().flatten().fold(cut.thickness_A, |most, x| most.max(x.abs()));
        let moved: f64 = cut.defects.iter().map(|defect| defect.farthest_A(2.0 * reach)).sum();
        let margin = MARGIN_A + moved + cut.thickness_A * lean[0].abs().max(lean[1].abs());
        let from = [-margin, bounds[0][0] - margin, bounds[0][1] - margin];
        let to = [cut.thickness_A + margin, bounds[1][0] + margin, bounds[1][1] + margin];
        let of_volume = crystal.sites.len() as f64 / crystal.volume_A3();
        let expected: f64 = of_volume * (0..3).map(|k| (to[k] - from[k]).max(0.0)).product::<f64>();
        if expected.is_nan() || expected >= MOST_SITES {
            return Err(Error::BadNumber {
                what: "the specimen",
                value: format!("{:.0} × {:.0} × {:.0} Å large", to[0] - from[0], to[1] - from[1], to[2] - from[2]),
                expected: format!(
                    "it would have {expected:.1e} atoms, and at most {MOST_SITES:.0e} are built: lower thickness_A, the scan's field or the detector's oversampling"
                ),
            });
        }
        let mut places = sites(crystal, axes, cut.offset_A, from, to, rng);
        for defect in &cut.defects {
            defects::displace(defect, &mut places)?;
        }
        number_columns(&mut places);
        for place in &mut places {
            place.at[1] += place.at[0] * lean[0];
            place.at[2] += place.at[0] * lean[1];
        }
        let within = |x: f64, from: f64, to: f64| x >= from - ROUNDING_A && x < to - ROUNDING_A;
        places.retain(|p| {
            within(p.at[0], 0.0, cut.thickness_A)
                && within(p.at[1], bounds[0][0], bounds[1][0])
                && within(p.at[2], bounds[0][1], bounds[1][1])
        });
        if places.is_empty() {
            return Err(Error::BadNumber {
                what: "the specimen",
                value: "without an atom".into(),
                expected: "it needs some: raise its thickness_A, or let its extent_A reach into the scanned field".into(),
            });
        }
        let surface = cut.extent_A.map(|extent| extent[0]);
        for defect in &cut.defects {
            defects::substitute(defect, &mut places, surface, rng)?;
        }
        let columns = standing(&places);
        let atoms = places
            .into_iter()
            .filter_map(|p| Some(Atom { element: p.filled?, z_A: p.at[0], y_A: p.at[1], x_A: p.at[2], b_A2: p.b_A2 }))
            .collect();
        Ok(Self { atoms, columns, thickness_A: cut.thickness_A })
    }

    /// The atoms of an XYZ file: a number, a line of remarks, and of each atom its symbol, x, y and z in Å. z begins at the entrance surface; `offset_A` (y, x) is added.
    /// `path` is for errors, which tell the line.
    ///
    /// # Errors
    /// If a line is not like that.
    pub fn from_xyz(text: &str, path: &str, offset_A: [f64; 2], thickness_A: Option<f64>) -> Result<Self> {
        let refuse = |line: usize, what: String| {
            let remedy = "An XYZ file has a number of atoms, a line of remarks, and lines such as \"Na 1.25 0.5 3.0\".".to_owned();
            Err(Error::Atoms { path: path.to_owned(), line, what, remedy })
        };
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default().trim();
        let Ok(count) = first.parse::<usize>() else {
            return refuse(1, format!("\"{}\" is no number of atoms", first.chars().take(40).collect::<String>()));
        };
        let mut atoms = Vec::with_capacity(count.min(1 << 20));
        for (n, line) in lines.enumerate().skip(1).take(count) {
            let mut words = line.split_whitespace();
            let element = Element::of(words.next().unwrap_or_default());
            let at: Vec<f64> = words.take(3).filter_map(|w| w.parse().ok()).filter(|x: &f64| x.is_finite()).collect();
            let (Ok(element), [x, y, z]) = (element, at.as_slice()) else {
                return refuse(n + 2, format!("\"{}\" is no atom", line.chars().take(60).collect::<String>()));
            };
            let b_A2 = super::structure::usual_b_A2(element.symbol());
            atoms.push(Atom { element, z_A: *z, y_A: y + offset_A[0], x_A: x + offset_A[1], b_A2 });
        }
        if atoms.len() != count || count == 0 {
            return refuse(1, format!("it says {count} atoms, but {} follow", atoms.len()));
        }
        let deepest = atoms.iter().map(|a| a.z_A).fold(0.0, f64::max);
        let beyond = |z: f64| z < -ROUNDING_A || thickness_A.is_some_and(|t| z > t + ROUNDING_A);
        if let Some(n) = atoms.iter().position(|atom| beyond(atom.z_A)) {
            let remedy = "z runs from the entrance surface, 0, to thickness_A: move the atoms, or raise it or leave it out.".to_owned();
            return Err(Error::Atoms {
                path: path.to_owned(),
                line: n + 3,
                what: format!("an atom lies at z = {} Å", atoms[n].z_A),
                remedy,
            });
        }
        Ok(Self { atoms, columns: Vec::new(), thickness_A: thickness_A.unwrap_or((deepest + ROUNDING_A).max(LEAST_A)) })
    }
}

impl Cut {
    /// Refuses lengths and angles that cannot be.
    fn check(&self) -> Result<()> {
        let refuse = |what, value: String, expected: &str| Err(Error::BadNumber { what, value, expected: expected.to_owned() });
        if !(self.thickness_A > 0.0 && self.thickness_A.is_finite()) {
            return refuse("the thickness in Å", self.thickness_A.to_string(), "it must be finite and above 0");
        }
        if self.offset_A.iter().any(|x| x.is_nan() || x.abs() >= FARTHEST_A) {
            return refuse("the offset in Å", format!("{:?}", self.offset_A), "it must be a length of less than 1e6 Å");
        }
        if self.tilt_mrad.iter().any(|t| t.is_nan() || t.abs() > MOST_TILT_MRAD) {
            let expected = format!("columns lean by at most {MOST_TILT_MRAD} mrad: for more, say another zone axis");
            return refuse("the tilt in mrad", format!("{:?}", self.tilt_mrad), &expected);
        }
        if let Some(extent) = self.extent_A
            && !(extent[0] < extent[1] && extent[2] < extent[3] && extent.iter().all(|x| x.is_finite()))
        {
            return refuse(
                "the crystal's extent in Å",
                format!("{extent:?}"),
                "it is [first y, end y, first x, end x], each first below its end",
            );
        }
        self.defects.iter().try_for_each(Defect::check)
    }

    /// What a step along a, b and c is in z, y and x.
    ///
    /// # Errors
    /// If the zone axis has no direction or does not lie in the planes.
    pub fn axes_A(&self, crystal: &Structure) -> Result<[[f64; 3]; 3]> {
        let refuse = |what, value: &[i32; 3], expected: &str| {
            Err(Error::BadNumber { what, value: format!("{value:?}"), expected: expected.to_owned() })
        };
        let vectors = crystal.cell.vectors_A();
        let [a, b, c] = vectors;
        let volume = dot(a, cross(b, c));
        let reciprocal = [cross(b, c), cross(c, a), cross(a, b)].map(|v| v.map(|x| x / volume));
        let sum = |n: &[i32; 3], of: &[[f64; 3]; 3]| [0, 1, 2].map(|k| (0..3).map(|i| f64::from(n[i]) * of[i][k]).sum::<f64>());
        if self.zone_axis == [0; 3] {
            return refuse("the zone axis", &self.zone_axis, "it needs a direction");
        }
        let beam = unit(sum(&self.zone_axis, &vectors));
        let zone = |planes: [i32; 3]| (0..3).map(|k| i64::from(self.zone_axis[k]) * i64::from(planes[k])).sum::<i64>();
        let planes = self.planes.unwrap_or_else(|| small_planes(self.zone_axis));
        if planes == [0; 3] || zone(planes) != 0 {
            let expected =
                format!("h·u + k·v + l·w has to be 0 with the zone axis {:?}, so that the beam runs along the planes", self.zone_axis);
            return refuse("the planes' (hkl)", &planes, &expected);
        }
        let down = unit(sum(&planes, &reciprocal));
        let right = cross(down, beam);
        Ok([a, b, c].map(|v| [dot(v, beam), dot(v, down), dot(v, right)]))
    }
}

/// (001) if the beam may run along them, else planes of the smallest indices that it may run along.
fn small_planes([u, v, w]: [i32; 3]) -> [i32; 3] {
    if w == 0 {
        return [0, 0, 1];
    }
    // Two of them always serve: v·h = u·k with l = 0, which is what remains where none of small indices does.
    let (mut divisor, mut rest) = (i64::from(u).abs(), i64::from(v).abs());
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    let over = |n: i32| (i64::from(n) / divisor.max(1)) as i32;
    let fallback = if u == 0 && v == 0 { [1, 0, 0] } else { [over(v), -over(u), 0] };
    let range = || -4i32..=4;
    let all = range().flat_map(|l| range().flat_map(move |k| range().map(move |h| [h, k, l])));
    let serves = |[h, k, l]: &[i32; 3]| {
        let zone = [(*h, u), (*k, v), (*l, w)].iter().map(|(a, b)| i64::from(*a) * i64::from(*b)).sum::<i64>();
        zone == 0 && [*h, *k, *l] != [0; 3]
    };
    // Of equally small ones the one that is most along a, and with as few minus signs as may be.
    let size = |[h, k, l]: &[i32; 3]| (h * h + k * k + l * l, [*h, *k, *l].iter().filter(|n| **n < 0).count(), -h, -k);
    all.filter(serves).min_by_key(size).unwrap_or(fallback)
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|k| a[k] * b[k]).sum()
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [0, 1, 2].map(|k| {
        let (i, j) = ((k + 1) % 3, (k + 2) % 3);
        a[i] * b[j] - a[j] * b[i]
    })
}

fn unit(v: [f64; 3]) -> [f64; 3] {
    let length = dot(v, v).sqrt();
    v.map(|x| x / length)
}

/// All sites of the crystal in a box (z, y, x), each filled by one of its elements or, where they do not fill it, by chance by none.
fn sites(crystal: &Structure, axes: [[f64; 3]; 3], offset: [f64; 2], from: [f64; 3], to: [f64; 3], rng: &mut impl Rng) -> Vec<Place> {
    // Sites at one place share it.
    let mut shared: Vec<(usize, Vec<(Element, f64)>)> = Vec::new();
    for (n, site) in crystal.sites.iter().enumerate() {
        let alike = |&(first, _): &(usize, Vec<_>)| (0..3).all(|k| (crystal.sites[first].at[k] - site.at[k]).abs() < 1e-4);
        match shared.iter_mut().find(|s| alike(s)) {
            Some((_, elements)) => elements.push((site.element, site.occupancy)),
            None => shared.push((n, vec![(site.element, site.occupancy)])),
        }
    }
    let [a, b, c] = axes;
    let volume = dot(a, cross(b, c));
    let inverse = [cross(b, c), cross(c, a), cross(a, b)].map(|v| v.map(|x| x / volume));
    // The cells whose corners the box may hold.
    let mut range = [[f64::INFINITY, f64::NEG_INFINITY]; 3];
    for corner in 0..8 {
        let at = [0, 1, 2].map(|k| if corner >> k & 1 == 0 { from[k] } else { to[k] });
        let at = [at[0], at[1] - offset[0], at[2] - offset[1]];
        for (range, row) in range.iter_mut().zip(inverse) {
            let n = dot(row, at);
            *range = [range[0].min(n), range[1].max(n)];
        }
    }
    let cells = range.map(|[low, high]| low.floor() as i64 - 1..=high.ceil() as i64);
    let mut places = Vec::new();
    for i in cells[0].clone() {
        for j in cells[1].clone() {
            for k in cells[2].clone() {
                for (first, elements) in &shared {
                    let site = &crystal.sites[*first];
                    let n = [i as f64 + site.at[0], j as f64 + site.at[1], k as f64 + site.at[2]];
                    let along = |axis: usize| n[0] * a[axis] + n[1] * b[axis] + n[2] * c[axis];
                    let at = [along(0), along(1) + offset[0], along(2) + offset[1]];
                    if (0..3).any(|axis| at[axis] < from[axis] || at[axis] > to[axis]) {
                        continue;
                    }
                    let mut filled = Some(elements[0].0);
                    if elements.len() > 1 || elements[0].1 < 1.0 {
                        let mut drawn: f64 = rng.random();
                        filled = elements
                            .iter()
                            .find(|(_, share)| {
                                (drawn < *share) || {
                                    drawn -= share;
                                    false
                                }
                            })
                            .map(|e| e.0);
                    }
                    places.push(Place { expected: elements.clone(), filled, at, b_A2: site.b_A2, column: 0 });
                }
            }
        }
    }
    places
}

/// Gives sites that lie above each other the same number.
fn number_columns(places: &mut [Place]) {
    let mut bins: HashMap<[i64; 2], Vec<(usize, [f64; 2])>> = HashMap::new();
    let mut count = 0;
    for place in places {
        let at = [place.at[1], place.at[2]];
        let bin = at.map(|x| (x / COLUMN_A).floor() as i64);
        let near = (-1..=1).flat_map(|j| (-1..=1).map(move |i| [j, i])).find_map(|[j, i]| {
            let listed = bins.get(&[bin[0] + j, bin[1] + i])?;
            listed.iter().find(|(_, there)| (there[0] - at[0]).hypot(there[1] - at[1]) < COLUMN_A).map(|found| found.0)
        });
        place.column = near.unwrap_or_else(|| {
            bins.entry(bin).or_default().push((count, at));
            count += 1;
            count - 1
        });
    }
}

/// Counts what stands in each column.
fn standing(places: &[Place]) -> Vec<Standing> {
    struct Sums {
        at: [f64; 2],
        places: f64,
        of: Vec<(Element, f64, u32)>,
    }
    let mut columns: HashMap<usize, Sums> = HashMap::new();
    for place in places {
        let sums = columns.entry(place.column).or_insert(Sums { at: [0.0; 2], places: 0.0, of: Vec::new() });
        sums.at = [sums.at[0] + place.at[1], sums.at[1] + place.at[2]];
        sums.places += 1.0;
        let mut add = |element: Element, sites: f64, atoms: u32| match sums.of.iter_mut().find(|of| of.0 == element) {
            Some(of) => (of.1, of.2) = (of.1 + sites, of.2 + atoms),
            None => sums.of.push((element, sites, atoms)),
        };
        place.expected.iter().for_each(|&(element, share)| add(element, share, 0));
        if let Some(element) = place.filled {
            add(element, 0.0, 1);
        }
    }
    let of = |sums: Sums| {
        let [y_A, x_A] = sums.at.map(|x| x / sums.places);
        sums.of.into_iter().map(move |(element, sites, atoms)| Standing { element, y_A, x_A, sites, atoms })
    };
    let mut all: Vec<Standing> = columns.into_values().flat_map(of).collect();
    // Rows that rounding has taken apart are still rows.
    let row = |s: &Standing| (s.y_A * 1e3).round();
    all.sort_by(|p, q| row(p).total_cmp(&row(q)).then(p.x_A.total_cmp(&q.x_A)).then(p.element.symbol().cmp(q.element.symbol())));
    all
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::defects::Layering;
    use super::*;

    fn cut(zone_axis: [i32; 3], planes: [i32; 3], thickness_A: f64) -> Cut {
        Cut { zone_axis, planes: Some(planes), thickness_A, offset_A: [0.0; 2], tilt_mrad: [0.0; 2], extent_A: None, defects: Vec::new() }
    }

    fn specimen(name: &str, cut: &Cut, size: f64) -> Specimen {
        let crystal = Structure::named(name).unwrap();
        Specimen::cut(&crystal, cut, [0.0; 2], [size; 2], &mut ChaCha8Rng::seed_from_u64(5)).unwrap()
    }

    #[test]
    fn a_piece_of_each_crystal_holds_as_many_atoms_as_its_volume() {
        for (name, zone, planes) in [
            ("Na3Ni2SbO6", [1, 0, 0], [0, 0, 1]),
            ("Na3Ni2SbO6", [0, 1, 0], [0, 0, 1]),
            ("Na3Ni2SbO6", [1, 1, 0], [0, 0, 1]),
            ("P2-NaNiMnO2", [1, 0, 0], [0, 0, 1]),
            ("O3-NaNiFeMnO2", [1, 0, 0], [0, 0, 1]),
            ("SrTiO3", [1, 1, 1], [1, -1, 0]),
        ] {
            let crystal = Structure::named(name).unwrap();
            let piece = specimen(name, &cut(zone, planes, 40.0), 60.0);
            let density: f64 = crystal.sites.iter().map(|s| s.occupancy).sum::<f64>() / crystal.volume_A3();
            let expected = density * 60.0 * 60.0 * 40.0;
            // Cut planes of atoms at the surfaces are at most 3 Å of 40 and 60.
            assert!((piece.atoms.len() as f64 / expected - 1.0).abs() < 0.06, "{name} {zone:?}: {} of {expected}", piece.atoms.len());
            let counted: u32 = piece.columns.iter().map(|c| c.atoms).sum();
            assert_eq!(counted as usize, piece.atoms.len());
            let sites: f64 = piece.columns.iter().map(|c| c.sites).sum();
            assert!((sites / expected - 1.0).abs() < 0.06);
        }
    }

    #[test]
    fn along_100_columns_of_antimony_nickel_and_sodium_are_pure_and_1_53_a_apart() {
        let piece = specimen("Na3Ni2SbO6", &cut([1, 0, 0], [0, 0, 1], 21.22), 30.0);
        let row = |y: f64| piece.columns.iter().filter(|c| (c.y_A - y).abs() < 0.01).collect::<Vec<_>>();
        let layer = 5.628 * 108.3f64.to_radians().sin();
        let metals: Vec<&str> = row(layer).iter().map(|c| c.element.symbol()).collect();
        assert!(metals.windows(3).all(|w| w.contains(&"Sb") && w.iter().filter(|e| **e == "Ni").count() == 2), "{metals:?}");
        let sodium = row(1.5 * layer);
        assert!(sodium.len() > 15 && sodium.iter().all(|c| c.element.symbol() == "Na" && c.atoms == 4 && c.sites == 4.0));
        assert!(sodium.windows(2).all(|w| (w[1].x_A - w[0].x_A - 9.188 / 6.0).abs() < 1e-3));
    }

    #[test]
    fn vacancies_gradients_order_and_migration_leave_the_shares_that_were_asked_for() {
        let sodium = Element::of("Na").unwrap();
        let count = |piece: &Specimen, keep: &dyn Fn(&Standing) -> bool| {
            let of: Vec<&Standing> = piece.columns.iter().filter(|c| c.element == sodium && keep(c)).collect();
            of.iter().map(|c| f64::from(c.atoms)).sum::<f64>() / of.iter().map(|c| c.sites).sum::<f64>()
        };
        let with = |defect: Defect| Cut { defects: vec![defect], ..cut([1, 0, 0], [0, 0, 1], 53.1) };
        let random = specimen("Na3Ni2SbO6", &with(Defect::Vacancies { element: sodium, share: 0.3 }), 80.0);
        // Of about 5000 sites: a standard deviation of 0.0065.
        assert!((count(&random, &|_| true) - 0.7).abs() < 0.03);
        let gradient = Defect::Gradient { element: sodium, share: 0.8, decay_A: 15.0 };
        let gradient = specimen("Na3Ni2SbO6", &Cut { extent_A: Some([0.0, 80.0, 0.0, 80.0]), ..with(gradient) }, 80.0);
        for (low, high) in [(0.0, 10.0), (10.0, 30.0), (30.0, 80.0)] {
            let of = gradient.columns.iter().filter(|c| c.element == sodium && (low..high).contains(&c.y_A));
            let (lost, n) = of.fold((0.0, 0.0), |(lost, n), c| (lost + 0.8 * (-c.y_A / 15.0).exp(), n + 1.0));
            let found = 1.0 - count(&gradient, &|c| (low..high).contains(&c.y_A));
            assert!((found - lost / n).abs() < 0.04, "{found} instead of {}", lost / n);
        }
        let ordered = specimen("Na3Ni2SbO6", &with(Defect::Ordered { element: sodium, every: [2, 3] }), 40.0);
        let empty: Vec<&Standing> = ordered.columns.iter().filter(|c| c.element == sodium && c.atoms == 0).collect();
        assert!(empty.windows(2).filter(|w| (w[0].y_A - w[1].y_A).abs() < 0.1).all(|w| (w[1].x_A - w[0].x_A - 9.188 / 2.0).abs() < 1e-3));
        assert!((count(&ordered, &|_| true) - 5.0 / 6.0).abs() < 0.05);
        let nickel = Element::of("Ni").unwrap();
        let moved = Defect::Migration { from: nickel, to: sodium, share: 0.1 };
        let moved = specimen("Na3Ni2SbO6", &with(moved), 80.0);
        let there: u32 = moved.columns.iter().filter(|c| c.element == nickel && c.sites == 0.0).map(|c| c.atoms).sum();
        let all: f64 = moved.columns.iter().filter(|c| c.element == nickel).map(|c| c.sites).sum();
        assert!((f64::from(there) / all - 0.1).abs() < 0.03);
    }

    #[test]
    fn a_p_layer_has_its_oxygen_face_to_face_and_strain_moves_the_layers_apart() {
        let sodium = Element::of("Na").unwrap();
        let faulted =
            Cut { defects: vec![Defect::Stacking { sodium, near_y_A: 13.0, to: Layering::P }], ..cut([1, 0, 0], [0, 0, 1], 30.0) };
        let piece = specimen("O3-NaNiFeMnO2", &faulted, 40.0);
        let oxygen: Vec<&Atom> = piece.atoms.iter().filter(|a| a.element.symbol() == "O").collect();
        let rows: Vec<f64> = piece.columns.iter().filter(|c| c.element == sodium).map(|c| c.y_A).collect();
        let mut layers = rows.clone();
        layers.dedup_by(|a, b| (*a - *b).abs() < 0.5);
        let nearest = layers.iter().copied().min_by(|a, b| (a - 13.0).abs().total_cmp(&(b - 13.0).abs())).unwrap();
        for layer in layers.iter().copied().filter(|y| (5.0..35.0).contains(y)) {
            let faces =
                |up: f64| oxygen.iter().filter(move |a| (0.5..2.5).contains(&((a.y_A - layer) * up)) && (8.0..22.0).contains(&a.z_A));
            let inside: Vec<_> = faces(-1.0).filter(|a| (8.0..32.0).contains(&a.x_A)).collect();
            assert!(inside.len() > 10);
            let facing = inside.iter().filter(|a| faces(1.0).any(|b| (a.z_A - b.z_A).hypot(a.x_A - b.x_A) < 0.05)).count();
            // Those at the ends of the range may have lost their partner.
            let share = facing as f64 / inside.len() as f64;
            assert!(if layer == nearest { share > 0.9 } else { share == 0.0 }, "{layer}: {share}");
        }
        let strained = Cut {
            defects: vec![Defect::Strain { from_y_A: 15.0, over_A: 5.0, yy: 0.02, xx: 0.0, yx: 0.0 }],
            ..cut([1, 0, 0], [0, 0, 1], 5.4)
        };
        let [plain, strained] = [&cut([1, 0, 0], [0, 0, 1], 5.4), &strained].map(|c| {
            let mut rows: Vec<f64> =
                specimen("Na3Ni2SbO6", c, 60.0).columns.iter().filter(|c| c.element == sodium).map(|c| c.y_A).collect();
            rows.dedup_by(|a, b| (*a - *b).abs() < 0.5);
            rows
        });
        assert!((strained[0] - plain[0]).abs() < 1e-9);
        // From the middle of the ramp on by 2 %.
        for n in 5..9 {
            assert!((strained[n] - plain[n] - 0.02 * (plain[n] - 17.5)).abs() < 1e-6, "{} {}", strained[n], plain[n]);
        }
    }

    #[test]
    fn columns_of_a_tilted_crystal_lean_and_keep_their_atoms() {
        let tilted = Cut { tilt_mrad: [5.0, -3.0], ..cut([1, 0, 0], [0, 0, 1], 53.05) };
        let piece = specimen("Na3Ni2SbO6", &tilted, 40.0);
        let inside: Vec<&Standing> = piece
            .columns
            .iter()
            .filter(|c| c.element.symbol() == "Na" && (5.0..35.0).contains(&c.y_A) && (5.0..35.0).contains(&c.x_A))
            .collect();
        assert!(!inside.is_empty() && inside.iter().all(|c| c.atoms == 10), "{inside:?}");
    }

    #[test]
    fn any_zone_axis_has_planes_that_the_beam_runs_along_and_the_layers_where_they_can_be() {
        assert_eq!(small_planes([1, 0, 0]), [0, 0, 1]);
        assert_eq!(small_planes([3, -7, 0]), [0, 0, 1]);
        assert_eq!(small_planes([0, 0, 1]), [1, 0, 0]);
        assert_eq!(small_planes([0, 0, -5]), [1, 0, 0]);
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        for range in [5, 40, 1_000_000_000] {
            for _ in 0..40 {
                let zone: [i32; 3] = std::array::from_fn(|_| rng.random_range(-range..=range));
                let planes = small_planes(zone);
                let product: i64 = (0..3).map(|k| i64::from(zone[k]) * i64::from(planes[k])).sum();
                assert!(planes != [0; 3] && product == 0, "{zone:?}: {planes:?}");
            }
        }
        // As many atoms as its volume holds, whatever the direction.
        let crystal = Structure::named("Na3Ni2SbO6").unwrap();
        let density: f64 = crystal.sites.len() as f64 / crystal.volume_A3();
        for zone in [[0, 0, 1], [1, 1, 1], [-2, 3, 5], [7, 1, -4]] {
            let piece = specimen("Na3Ni2SbO6", &Cut { planes: None, ..cut(zone, [0; 3], 30.0) }, 40.0);
            let expected = density * 30.0 * 1600.0;
            // As above.
            assert!((piece.atoms.len() as f64 / expected - 1.0).abs() < 0.06, "{zone:?}: {} of {expected}", piece.atoms.len());
        }
    }

    #[test]
    fn a_sequence_of_glides_a_shift_and_a_strain_leave_no_hole() {
        let sodium = Element::of("Na").unwrap();
        let mut defects: Vec<Defect> =
            (0..8).map(|n| Defect::Stacking { sodium, near_y_A: 4.0 + 5.3 * f64::from(n), to: Layering::P }).collect();
        defects.push(Defect::Shift { beyond_y_A: 20.0, by_A: [9.0, 0.0, -15.0] });
        defects.push(Defect::Strain { from_y_A: 10.0, over_A: 5.0, yy: -0.1, xx: -0.05, yx: 0.1 });
        let made = specimen("O3-NaNiFeMnO2", &Cut { defects, ..cut([1, 0, 0], [0, 0, 1], 30.0) }, 40.0);
        let plain = specimen("O3-NaNiFeMnO2", &cut([1, 0, 0], [0, 0, 1], 30.0), 40.0);
        // Boxes of 10 Å hold 60 to 110 atoms; a hole would leave few.
        let count = |piece: &Specimen, z: usize, y: usize, x: usize| {
            let within = |v: f64, n: usize| (10.0 * n as f64..10.0 * n as f64 + 10.0).contains(&v);
            piece.atoms.iter().filter(|a| within(a.z_A, z) && within(a.y_A, y) && within(a.x_A, x)).count() as f64
        };
        for (z, y, x) in (0..3).flat_map(|z| (0..4).flat_map(move |y| (0..4).map(move |x| (z, y, x)))) {
            let (found, expected) = (count(&made, z, y, x), count(&plain, z, y, x));
            assert!(found > 0.7 * expected && found < 1.6 * expected, "{z} {y} {x}: {found} of {expected}");
        }
    }

    #[test]
    fn what_cannot_be_cut_is_refused_with_the_reason() {
        let crystal = Structure::named("Na3Ni2SbO6").unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut refusal = |cut: &Cut| Specimen::cut(&crystal, cut, [0.0; 2], [20.0; 2], &mut rng).unwrap_err().to_string();
        assert!(refusal(&cut([0, 0, 0], [0, 0, 1], 10.0)).contains("the zone axis is [0, 0, 0]"));
        assert!(refusal(&cut([1, 0, 0], [1, 0, 1], 10.0)).contains("h·u + k·v + l·w has to be 0"));
        assert!(refusal(&Cut { extent_A: Some([50.0, 60.0, 0.0, 9.0]), ..cut([1, 0, 0], [0, 0, 1], 10.0) }).contains("without an atom"));
        let gold = Element::of("Au").unwrap();
        for defect in [
            Defect::Vacancies { element: gold, share: 0.1 },
            Defect::Thinned { element: gold, columns: 0.1 },
            Defect::Vacancies { element: Element::of("Na").unwrap(), share: 1.5 },
        ] {
            let text = refusal(&Cut { defects: vec![defect], ..cut([1, 0, 0], [0, 0, 1], 10.0) });
            assert!(text.contains("Au") || text.contains("1.5"), "{text}");
        }
        for (text, expected) in
            [("", "line 1"), ("2\n\nNa 0 0 0\n", "2 atoms"), ("1\nx\nQq 0 0 0\n", "line 3"), ("1\nx\nNa 0 zero 0\n", "line 3")]
        {
            let error = Specimen::from_xyz(text, "a.xyz", [0.0; 2], None).unwrap_err().to_string();
            assert!(error.contains("a.xyz") && error.contains(expected), "{error}");
        }
    }
}
