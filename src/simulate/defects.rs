//! What is done to a perfect crystal.

use rand::{Rng, RngExt};

use super::elements::Element;
use super::specimen::Place;
use super::{Error, Result};

/// How oxygen lies on the two sides of an alkali layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layering {
    /// Octahedra: staggered.
    O,
    /// Prisms: face to face.
    P,
}

/// A departure from the crystal. Places refer to the object's frame, y along the planes' normal.
#[derive(Debug, Clone, PartialEq)]
pub enum Defect {
    /// Each atom of the element is missing with this probability.
    Vacancies { element: Element, share: f64 },
    /// This share of the element's columns has lost one atom to all of them, in equal parts.
    Thinned { element: Element, columns: f64 },
    /// Atoms are missing with the probability share·e^{−depth/decay} of their depth below the surface at the first y of the crystal's extent.
    Gradient { element: Element, share: f64, decay_A: f64 },
    /// Of every so many layers of the element's columns along y one has every so many-th column along x empty.
    Ordered { element: Element, every: [usize; 2] },
    /// This share of the atoms `from` has left its site for one of `to`, which it takes or fills.
    Migration { from: Element, to: Element, share: f64 },
    /// The alkali layer nearest to a y becomes O or P: all that lies beyond it glides.
    Stacking { sodium: Element, near_y_A: f64, to: Layering },
    /// All beyond a y is moved (z, y, x).
    Shift { beyond_y_A: f64, by_A: [f64; 3] },
    /// From a y on, growing to its full size over a length: ∂u_y/∂y, ∂u_x/∂x, and ∂u_x/∂y.
    Strain { from_y_A: f64, over_A: f64, yy: f64, xx: f64, yx: f64 },
}

/// Lattices do not bear more.
const MOST_STRAIN: f64 = 0.3;
/// A layer glides by no more: the distance of two atoms of oxygen.
const GLIDE_A: f64 = 3.5;

impl Defect {
    /// Refuses lengths and strains that cannot be.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |what, value: String, expected: &str| Err(Error::BadNumber { what, value, expected: expected.to_owned() });
        match *self {
            Self::Stacking { near_y_A, .. } if !near_y_A.is_finite() => refuse("near_y_A", near_y_A.to_string(), "it is a length"),
            Self::Shift { beyond_y_A, by_A } if !(beyond_y_A.is_finite() && by_A.iter().all(|x| x.abs() <= 100.0)) => {
                refuse("a shift in Å", format!("{by_A:?} beyond {beyond_y_A}"), "it is at most 100 Å along each axis")
            }
            Self::Strain { from_y_A, over_A, yy, xx, yx } => {
                if !(from_y_A.is_finite() && over_A.is_finite() && over_A >= 0.0) {
                    return refuse("a strain's beginning in Å", format!("{from_y_A} over {over_A}"), "they are lengths, over_A at least 0");
                }
                if [yy, xx, yx].iter().any(|e| e.is_nan() || e.abs() > MOST_STRAIN) {
                    return refuse("a strain", format!("yy = {yy}, xx = {xx}, yx = {yx}"), "each lies from -0.3 to 0.3");
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// How far it moves an atom at most, in a crystal that reaches so far.
    pub(super) fn farthest_A(&self, reach_A: f64) -> f64 {
        match *self {
            Self::Shift { by_A, .. } => by_A.iter().fold(0.0, |most, x| most.max(x.abs())),
            Self::Strain { yy, xx, yx, .. } => reach_A * (yy.abs() + xx.abs() + yx.abs()),
            Self::Stacking { .. } => GLIDE_A,
            _ => 0.0,
        }
    }
}

/// Atoms nearer than this along y lie in one plane.
const PLANE_A: f64 = 0.3;
/// Oxygen of a layer's faces lies within this of it.
const FACE_A: f64 = 2.6;

/// Moves the sites that a defect moves.
pub(super) fn displace(defect: &Defect, places: &mut [Place]) -> Result<()> {
    match *defect {
        Defect::Shift { beyond_y_A, by_A } => {
            places.iter_mut().filter(|p| p.at[1] > beyond_y_A).for_each(|p| (0..3).for_each(|k| p.at[k] += by_A[k]));
        }
        Defect::Strain { from_y_A, over_A, yy, xx, yx } => {
            for place in places {
                let beyond = place.at[1] - from_y_A;
                if beyond <= 0.0 {
                    continue;
                }
                let (grown, integral) =
                    if beyond < over_A { (beyond / over_A, beyond * beyond / (2.0 * over_A)) } else { (1.0, beyond - over_A / 2.0) };
                place.at[1] += yy * integral;
                place.at[2] += yx * integral + xx * grown * place.at[2];
            }
        }
        Defect::Stacking { sodium, near_y_A, to } => stack(places, sodium, near_y_A, to)?,
        _ => {}
    }
    Ok(())
}

/// Makes the layer of `sodium` nearest to `near` O or P.
fn stack(places: &mut [Place], sodium: Element, near: f64, to: Layering) -> Result<()> {
    let refuse =
        |value: String, expected: &str| Err(Error::BadNumber { what: "a stacking fault's layer", value, expected: expected.into() });
    let holds = |p: &Place, element: Element| p.expected.iter().any(|e| e.0 == element);
    let layers = places.iter().filter(|p| holds(p, sodium)).map(|p| p.at[1]);
    let Some(layer) = layers.min_by(|a, b| (a - near).abs().total_cmp(&(b - near).abs())) else {
        return refuse(sodium.symbol().to_owned(), "the crystal has no such element");
    };
    let oxygen = Element::of("O")?;
    let face = |side: f64| {
        let distance = |p: &&Place| (p.at[1] - layer) * side;
        let of: Vec<&Place> = places.iter().filter(|p| holds(p, oxygen) && (PLANE_A..FACE_A).contains(&distance(p))).collect();
        let nearest = of.iter().map(distance).fold(f64::INFINITY, f64::min);
        of.into_iter().filter(move |p| distance(p) < nearest + 2.0 * PLANE_A).map(|p| [p.at[0], p.at[2]]).collect::<Vec<_>>()
    };
    let (before, beyond) = (face(-1.0), face(1.0));
    let (Some(first), false) = (before.get(before.len() / 2), beyond.is_empty()) else {
        return refuse(format!("at y = {layer:.2} Å"), "it needs oxygen on both of its sides within the specimen");
    };
    let way = |there: &[f64; 2]| [first[0] - there[0], first[1] - there[1]];
    let length = |way: &[f64; 2]| way[0].hypot(way[1]);
    let shift = beyond.iter().map(way).min_by(|a, b| length(a).total_cmp(&length(b))).unwrap_or_default();
    let is_p = length(&shift) < 2.0 * PLANE_A;
    let shift = match (to, is_p) {
        (Layering::P, true) | (Layering::O, false) => return Ok(()),
        (Layering::P, false) => shift,
        // From face to face into the hollow of three oxygens: a third of the way between second neighbours, two thirds of the height of their triangle.
        (Layering::O, true) => {
            let mut ways: Vec<[f64; 2]> = before.iter().map(|o| [o[0] - first[0], o[1] - first[1]]).filter(|w| length(w) > 0.5).collect();
            ways.sort_by(|a, b| length(a).total_cmp(&length(b)));
            let Some(nearest) = ways.first().copied() else {
                return refuse(format!("at y = {layer:.2} Å"), "its oxygen has no neighbours within the specimen");
            };
            let turned = |w: &&[f64; 2]| ((nearest[0] * w[0] + nearest[1] * w[1]) / (length(&nearest) * length(w)) - 0.5).abs() < 0.1;
            let Some(next) = ways.iter().find(turned) else {
                return refuse(format!("at y = {layer:.2} Å"), "its oxygen forms no triangles");
            };
            [(nearest[0] + next[0]) / 3.0, (nearest[1] + next[1]) / 3.0]
        }
    };
    for place in places.iter_mut().filter(|p| p.at[1] > layer + PLANE_A) {
        place.at[0] += shift[0];
        place.at[2] += shift[1];
    }
    Ok(())
}

/// Takes atoms away and puts others in their place.
pub(super) fn substitute(defect: &Defect, places: &mut [Place], surface_y_A: Option<f64>, rng: &mut impl Rng) -> Result<()> {
    let share_of = |what, share: f64| match (0.0..=1.0).contains(&share) {
        true => Ok(share),
        false => Err(Error::BadNumber { what, value: share.to_string(), expected: "a share lies from 0 to 1".into() }),
    };
    let known = |element: Element| match places.iter().any(|p| p.expected.iter().any(|e| e.0 == element)) {
        true => Ok(()),
        false => Err(Error::BadNumber {
            what: "a defect's element",
            value: element.symbol().to_owned(),
            expected: "the specimen has none of it".into(),
        }),
    };
    match *defect {
        Defect::Vacancies { element, share } => {
            known(element)?;
            let share = share_of("the share of vacancies", share)?;
            for place in places.iter_mut().filter(|p| p.filled == Some(element)) {
                if rng.random_bool(share) {
                    place.filled = None;
                }
            }
        }
        Defect::Gradient { element, share, decay_A } => {
            known(element)?;
            let share = share_of("the share of vacancies at the surface", share)?;
            let Some(surface_y_A) = surface_y_A else {
                let expected =
                    "a gradient begins at a surface: say where the crystal begins with extent_A = [first y, end y, first x, end x]".into();
                return Err(Error::BadNumber { what: "the crystal's extent", value: "not said".into(), expected });
            };
            if !(decay_A > 0.0 && decay_A.is_finite()) {
                let expected = "it is a length above 0".into();
                return Err(Error::BadNumber { what: "the decay of a gradient in Å", value: decay_A.to_string(), expected });
            }
            for place in places.iter_mut().filter(|p| p.filled == Some(element)) {
                let depth = (place.at[1] - surface_y_A).max(0.0);
                if rng.random_bool(share * (-depth / decay_A).exp()) {
                    place.filled = None;
                }
            }
        }
        Defect::Thinned { element, columns } => {
            known(element)?;
            let share = share_of("the share of thinned columns", columns)?;
            for mut sites in by_column(places, element) {
                if !rng.random_bool(share) {
                    continue;
                }
                for _ in 0..rng.random_range(1..=sites.len()) {
                    places[sites.swap_remove(rng.random_range(0..sites.len()))].filled = None;
                }
            }
        }
        Defect::Ordered { element, every } => {
            known(element)?;
            if every.contains(&0) {
                let expected = "they count from 1".into();
                return Err(Error::BadNumber { what: "the steps of ordered vacancies", value: format!("{every:?}"), expected });
            }
            let mut columns: Vec<(f64, f64, Vec<usize>)> = by_column(places, element)
                .into_iter()
                .map(|sites| {
                    let mean = |axis: usize| sites.iter().map(|&n| places[n].at[axis]).sum::<f64>() / sites.len() as f64;
                    (mean(1), mean(2), sites)
                })
                .collect();
            columns.sort_by(|a, b| a.0.total_cmp(&b.0));
            let layers: Vec<Vec<(f64, f64, Vec<usize>)>> =
                columns.chunk_by(|a, b| b.0 - a.0 < PLANE_A).map(<[(f64, f64, Vec<usize>)]>::to_vec).collect();
            for mut layer in layers.into_iter().step_by(every[0]) {
                layer.sort_by(|a, b| a.1.total_cmp(&b.1));
                layer.iter().step_by(every[1]).flat_map(|column| &column.2).for_each(|&n| places[n].filled = None);
            }
        }
        Defect::Migration { from, to, share } => {
            known(from)?;
            known(to)?;
            let share = share_of("the share of migrated atoms", share)?;
            let mut targets: Vec<usize> =
                (0..places.len()).filter(|&n| places[n].filled != Some(from) && places[n].expected.iter().any(|e| e.0 == to)).collect();
            for n in 0..places.len() {
                if places[n].filled == Some(from)
                    && places[n].expected.iter().any(|e| e.0 == from)
                    && !targets.is_empty()
                    && rng.random_bool(share)
                {
                    let target = targets.swap_remove(rng.random_range(0..targets.len()));
                    places[target].filled = places[n].filled.take();
                }
            }
        }
        Defect::Stacking { .. } | Defect::Shift { .. } | Defect::Strain { .. } => {}
    }
    Ok(())
}

/// The sites that hold the element, column by column, in the order of the columns' numbers.
fn by_column(places: &[Place], element: Element) -> Vec<Vec<usize>> {
    let mut columns = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (n, place) in places.iter().enumerate().filter(|(_, p)| p.filled == Some(element)) {
        columns.entry(place.column).or_default().push(n);
    }
    columns.into_values().collect()
}
