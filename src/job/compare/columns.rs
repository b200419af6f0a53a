//! The columns of two files: where each of them has them, and how many atoms are missing.

use serde::Serialize;

use super::files::File;
use crate::analysis::{PixelMap, PlaceErrors, Spread, paired};
use crate::job::Error;
use crate::output::{Frame, Table};
use crate::ptycho::Affine;
use crate::simulate::Element;

const MAP: &str = "map/columns";
const TRUTH: &str = "truth/columns";
/// A part of a pixel that rounding may come to.
const ROUNDING: f64 = 1e-6;

/// The columns of a file, along the scan.
pub(super) struct Columns {
    path: &'static str,
    places_A: Vec<[f64; 2]>,
    /// Standard errors of the places, (y, x), and of the occupancies; NaN where they are not told.
    places_se_A: Vec<[f64; 2]>,
    atomic_numbers: Vec<u32>,
    /// NaN where it is not known.
    occupancies: Vec<f64>,
    occupancies_se: Vec<f64>,
    untrusted: usize,
    /// The image that they stand in: its pixels, and the way from the scan's frame to them.
    field: Option<([usize; 2], Affine)>,
}

/// In what the columns of two files agree. Differences are A − B, in the scan's frame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnPair {
    /// The paths of the tables.
    pub first: String,
    pub second: String,
    pub tolerance_A: f64,
    /// All that are paired, then those of each element.
    pub elements: Vec<ElementErrors>,
    /// Columns that are not trusted in A and B, and not compared.
    pub untrusted: [usize; 2],
}

/// The errors of columns of an element, or of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ElementErrors {
    /// `None` of all.
    pub element: Option<&'static str>,
    pub pairs: usize,
    /// Columns of A and of B without a partner where the other file could have one.
    pub unmatched: [usize; 2],
    /// Root mean square of the distances, of those about the mean shift, and that shift (y, x).
    pub rms_pm: Option<f64>,
    pub rms_about_shift_pm: Option<f64>,
    pub shift_pm: Option<[f64; 2]>,
    /// Root mean square of what the places differ by, an axis at a time, over its standard error: 1 where error bars are right.
    pub place_over_se: Option<f64>,
    /// Pairs whose occupancies both files know.
    pub occupancies: usize,
    pub occupancy_rms: Option<f64>,
    pub occupancy_bias: Option<f64>,
    /// As `place_over_se`.
    pub occupancy_over_se: Option<f64>,
}

/// The columns of a file, if it has any.
pub(super) fn read(file: &File) -> Result<Option<Columns>, Error> {
    let tables = file.results.tables();
    let Some(path) = [MAP, TRUTH].into_iter().find(|path| tables.iter().any(|table| table == path)) else { return Ok(None) };
    let table = file.results.table(path)?;
    let rows = table.columns.first().map_or(0, |column| column.data.len());
    let of = |name: &str| numbers(&table, name);
    let or_nan = |values: Option<Vec<f64>>| values.unwrap_or_else(|| vec![f64::NAN; rows]);
    let either = |name: &str| of(&format!("{name}_A")).or_else(|| of(name));
    let (Some(y), Some(x)) = (either("y"), either("x")) else { return Ok(None) };
    let elements = match of("atomic_number").or_else(|| of("element")) {
        Some(numbers) => numbers.into_iter().map(|z| z as u32).collect(),
        None => {
            let symbols = file.results.texts(path, "element")?.unwrap_or_default();
            let mut numbers: Vec<u32> = symbols.iter().map(|name| element_of(name)).collect();
            numbers.resize(rows, 0);
            numbers
        }
    };
    let sites = || Some(of("atoms")?.iter().zip(of("sites")?).map(|(atoms, sites)| atoms / sites).collect());
    let occupancies = or_nan(of("occupancy").or_else(sites));
    let (y_se, x_se, occupancy_se) = (or_nan(of("y_se_A")), or_nan(of("x_se_A")), or_nan(of("occupancy_se")));
    let trusted = of("trusted").unwrap_or_else(|| vec![1.0; rows]);
    let kept: Vec<usize> = (0..rows).filter(|&n| trusted[n] != 0.0 && y[n].is_finite() && x[n].is_finite()).collect();
    let image = image_of(file, path)?;
    let turn = match &image {
        // A truth's columns lie along the object's axes.
        Some(Standing { frame: Frame::Object, object_to_scan, .. }) if path == TRUTH => *object_to_scan,
        _ => [[1.0, 0.0], [0.0, 1.0]],
    };
    let along_scan = |&n: &usize| turn.map(|row| row[0] * y[n] + row[1] * x[n]);
    // Turned standard errors would need what y and x share; a truth has none.
    Ok(Some(Columns {
        path,
        places_A: kept.iter().map(along_scan).collect(),
        places_se_A: kept.iter().map(|&n| [y_se[n], x_se[n]]).collect(),
        atomic_numbers: kept.iter().map(|&n| elements[n]).collect(),
        occupancies: kept.iter().map(|&n| occupancies[n]).collect(),
        occupancies_se: kept.iter().map(|&n| occupancy_se[n]).collect(),
        untrusted: rows - kept.len(),
        field: image.and_then(|standing| Some((standing.shape, standing.to_scan.inverse()?))),
    }))
}

/// The Z of the element that a name begins with, as that of a mixed column does; 0 without one.
fn element_of(name: &str) -> u32 {
    let symbol = |letters: usize| name.trim().get(..letters).and_then(|symbol| Element::of(symbol).ok());
    symbol(2).or_else(|| symbol(1)).map_or(0, |element| element.atomic_number() as u32)
}

fn numbers(table: &Table, name: &str) -> Option<Vec<f64>> {
    table.columns.iter().find(|column| column.name == name)?.data.reals()
}

/// An image that columns stand in.
struct Standing {
    shape: [usize; 2],
    frame: Frame,
    to_scan: Affine,
    /// A vector in Å along the image's axes to one along the scan's.
    object_to_scan: [[f64; 2]; 2],
}

fn image_of(file: &File, table: &str) -> Result<Option<Standing>, Error> {
    let paths: &[&str] =
        if table == TRUTH { &["truth/phase"] } else { &["ptychography/phase_scan", "images/ssb", "images/idpc", "images/bf"] };
    for path in paths.iter().filter(|path| file.comparable.iter().any(|held| held == *path)) {
        let array = file.results.array(path)?;
        let (&[rows, columns], Some(m)) = (&array.shape[..], array.to_scan) else { continue };
        let m: PixelMap = m;
        let steps = [array.axes[0].step, array.axes[1].step];
        return Ok(Some(Standing {
            shape: [rows, columns],
            frame: array.frame,
            to_scan: Affine { linear: m.map(|[a, b, _]| [a, b]), shift: m.map(|[_, _, c]| c) },
            object_to_scan: m.map(|[a, b, _]| [a / steps[0], b / steps[1]]),
        }));
    }
    Ok(None)
}

impl Columns {
    /// Could it have a column at this place?
    fn covers(&self, place: [f64; 2]) -> bool {
        if let Some((shape, to_pixel)) = &self.field {
            let pixel = to_pixel.apply(place);
            return (0..2).all(|a| pixel[a] >= -ROUNDING && pixel[a] <= shape[a] as f64 - 1.0 + ROUNDING);
        }
        let bound = |axis: usize, pick: fn(f64, f64) -> f64, from: f64| self.places_A.iter().map(|p| p[axis]).fold(from, pick);
        (0..2).all(|a| place[a] >= bound(a, f64::min, f64::INFINITY) && place[a] <= bound(a, f64::max, f64::NEG_INFINITY))
    }
}

/// Pairs the columns of two files and tells their differences; `None` where neither has any.
pub(super) fn compare(a: &Columns, b: &Columns, tolerance_A: f64) -> Option<ColumnPair> {
    if a.places_A.is_empty() && b.places_A.is_empty() {
        return None;
    }
    let pairing = paired(&a.places_A, &b.places_A, tolerance_A, |i, j| a.atomic_numbers[i] == b.atomic_numbers[j]);
    let mut elements: Vec<u32> = a.atomic_numbers.iter().chain(&b.atomic_numbers).copied().collect();
    elements.sort_unstable();
    elements.dedup();
    let errors = |element: Option<u32>| {
        let is_of = |number: u32| element.is_none_or(|e| e == number);
        let pairs: Vec<[usize; 2]> = pairing.pairs.iter().filter(|[i, _]| is_of(a.atomic_numbers[*i])).copied().collect();
        let places = PlaceErrors::of(&a.places_A, &b.places_A, &pairs);
        let alone = |these: &Columns, others: &Columns, alone: &[usize]| {
            alone.iter().filter(|&&n| is_of(these.atomic_numbers[n]) && others.covers(these.places_A[n])).count()
        };
        let over_se = |axis: usize| {
            pairs.iter().map(move |&[i, j]| (a.places_A[i][axis] - b.places_A[j][axis], [a.places_se_A[i][axis], b.places_se_A[j][axis]]))
        };
        let occupancy = |&[i, j]: &[usize; 2]| (a.occupancies[i] - b.occupancies[j], [a.occupancies_se[i], b.occupancies_se[j]]);
        let known: Vec<(f64, [f64; 2])> = pairs.iter().map(occupancy).filter(|(apart, _)| apart.is_finite()).collect();
        let spread = Spread::of(known.iter().map(|(apart, _)| *apart));
        ElementErrors {
            element: element.map(|z| Element::numbered(z as usize).map_or("other", |e| e.symbol())),
            pairs: pairs.len(),
            unmatched: [alone(a, b, &pairing.only_first), alone(b, a, &pairing.only_second)],
            rms_pm: places.map(|p| 100.0 * p.rms),
            rms_about_shift_pm: places.map(|p| 100.0 * p.rms_about_shift),
            shift_pm: places.map(|p| p.shift.map(|s| 100.0 * s)),
            place_over_se: normalised(over_se(0).chain(over_se(1))),
            occupancies: known.len(),
            occupancy_rms: spread.map(|s| s.rms),
            occupancy_bias: spread.map(|s| s.mean),
            occupancy_over_se: normalised(known.iter().copied()),
        }
    };
    let rows: Vec<ElementErrors> = if elements.len() > 1 {
        std::iter::once(None).chain(elements.iter().copied().map(Some)).map(errors).collect()
    } else {
        elements.iter().copied().map(Some).map(errors).collect()
    };
    Some(ColumnPair {
        first: a.path.to_owned(),
        second: b.path.to_owned(),
        tolerance_A,
        elements: rows,
        untrusted: [a.untrusted, b.untrusted],
    })
}

/// The root mean square of differences over their standard errors, of those that have one; what has none is exact.
fn normalised(differences: impl Iterator<Item = (f64, [f64; 2])>) -> Option<f64> {
    let over = |(apart, errors): (f64, [f64; 2])| {
        let variance: f64 = errors.iter().filter(|e| e.is_finite()).map(|e| e * e).sum();
        (variance > 0.0).then(|| apart / variance.sqrt())
    };
    Spread::of(differences.filter_map(over)).map(|spread| spread.rms)
}
