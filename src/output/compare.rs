//! Are two result files the same? Every link, dataset and attribute outside `/ronchi/run`, bit by bit.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use hdf5::types::{FixedAscii, FixedUnicode, FloatSize, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Container, Group, H5Type, LinkType, LocationType};

use super::{ArrayData, Error, Result, hdf, read};

/// What differs from run to run by its nature.
const RUN: &str = "/ronchi/run";

/// One thing in which two files differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Of the group, dataset or link inside the files.
    pub path: String,
    /// The attribute of it that differs.
    pub attribute: Option<String>,
    pub kind: Kind,
}

/// How two objects or attributes differ.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// It is in the first file only.
    OnlyInFirst,
    /// It is in the second file only.
    OnlyInSecond,
    /// One is a group, say, and the other a dataset.
    Sort { first: String, second: String },
    /// Shapes differ.
    Shape { first: Vec<usize>, second: Vec<usize> },
    /// Types or byte orders differ.
    Type { first: String, second: String },
    /// `count` of `of` values differ in a bit; the first is at `index`.
    Values {
        index: Vec<usize>,
        first: String,
        second: String,
        count: usize,
        of: usize,
        /// The largest absolute difference; `None` of texts, and where one of the values is no number.
        largest: Option<f64>,
    },
    /// The type is none that can be compared.
    NotCompared { reason: String },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(attribute) = &self.attribute {
            write!(f, "attribute `{attribute}` of ")?;
        }
        write!(f, "{}: ", self.path)?;
        match &self.kind {
            Kind::OnlyInFirst => write!(f, "only in the first file"),
            Kind::OnlyInSecond => write!(f, "only in the second file"),
            Kind::Sort { first, second } => write!(f, "a {first} in the first file, a {second} in the second"),
            Kind::Shape { first, second } => write!(f, "the shape is {first:?} in the first file, {second:?} in the second"),
            Kind::Type { first, second } => write!(f, "the type is {first} in the first file, {second} in the second"),
            Kind::Values { index, first, second, count, of, largest } => {
                write!(f, "{count} of {of} values differ, first at {index:?}: {first} and {second}")?;
                match largest {
                    Some(largest) => write!(f, "; the largest difference is {largest:e}"),
                    None => Ok(()),
                }
            }
            Kind::NotCompared { reason } => write!(f, "could not be compared: {reason}"),
        }
    }
}

/// All differences of two HDF5 files outside `/ronchi/run`; none if they are the same. NaN equals NaN of the same bits, and
/// 0 differs from −0.
pub fn compare_exact(a: &Path, b: &Path) -> Result<Vec<Difference>> {
    let (first, second) = (read::open(a)?, read::open(b)?);
    let mut walk = Walk { differences: Vec::new() };
    walk.groups("", &first, &second)
        .map_err(|error| Error::Read { path: format!("{} or {}", a.display(), b.display()), reason: error.to_string() })?;
    Ok(walk.differences)
}

struct Walk {
    differences: Vec<Difference>,
}

impl Walk {
    fn tell(&mut self, path: &str, attribute: Option<&str>, kind: Kind) {
        self.differences.push(Difference {
            path: if path.is_empty() { "/".into() } else { path.into() },
            attribute: attribute.map(str::to_owned),
            kind,
        });
    }

    fn groups(&mut self, path: &str, a: &Group, b: &Group) -> hdf5::Result<()> {
        self.attributes(path, a, b)?;
        let (links_a, links_b) = (links(a)?, links(b)?);
        let names: BTreeSet<&str> = links_a.iter().chain(&links_b).map(|(name, _)| name.as_str()).collect();
        for name in names {
            let below = format!("{path}/{name}");
            if below == RUN {
                continue;
            }
            let of = |links: &[(String, LinkType)]| links.iter().find(|(n, _)| n == name).map(|(_, kind)| *kind);
            match (of(&links_a), of(&links_b)) {
                (Some(LinkType::Hard), Some(LinkType::Hard)) => self.objects(&below, name, a, b)?,
                (Some(_), None) => self.tell(&below, None, Kind::OnlyInFirst),
                (None, _) => self.tell(&below, None, Kind::OnlyInSecond),
                (Some(x), Some(y)) if x == y => {
                    self.tell(&below, None, Kind::NotCompared { reason: format!("it is a {x:?} link") });
                }
                (Some(x), Some(y)) => {
                    self.tell(&below, None, Kind::Sort { first: format!("{x:?} link"), second: format!("{y:?} link") });
                }
            }
        }
        Ok(())
    }

    fn objects(&mut self, path: &str, name: &str, a: &Group, b: &Group) -> hdf5::Result<()> {
        match (a.loc_type_by_name(name)?, b.loc_type_by_name(name)?) {
            (LocationType::Group, LocationType::Group) => self.groups(path, &a.group(name)?, &b.group(name)?),
            (LocationType::Dataset, LocationType::Dataset) => {
                let (a, b) = (a.dataset(name)?, b.dataset(name)?);
                self.attributes(path, &a, &b)?;
                self.values(path, None, &a, &b)
            }
            (x, y) if x == y => {
                self.tell(path, None, Kind::NotCompared { reason: format!("it is a {x:?}") });
                Ok(())
            }
            (x, y) => {
                let kind = Kind::Sort { first: format!("{x:?}").to_lowercase(), second: format!("{y:?}").to_lowercase() };
                self.tell(path, None, kind);
                Ok(())
            }
        }
    }

    fn attributes(&mut self, path: &str, a: &hdf5::Location, b: &hdf5::Location) -> hdf5::Result<()> {
        let (names_a, names_b) = (a.attr_names()?, b.attr_names()?);
        for name in names_a.iter().chain(&names_b).collect::<BTreeSet<_>>() {
            match (names_a.contains(name), names_b.contains(name)) {
                (true, true) => {
                    let (a, b) = (a.attr(name)?, b.attr(name)?);
                    self.values(path, Some(name), &a, &b)?;
                }
                (true, false) => self.tell(path, Some(name), Kind::OnlyInFirst),
                _ => self.tell(path, Some(name), Kind::OnlyInSecond),
            }
        }
        Ok(())
    }

    fn values(&mut self, path: &str, attribute: Option<&str>, a: &Container, b: &Container) -> hdf5::Result<()> {
        if a.shape() != b.shape() {
            self.tell(path, attribute, Kind::Shape { first: a.shape(), second: b.shape() });
            return Ok(());
        }
        let types = (a.dtype()?, b.dtype()?);
        let descriptors = (types.0.to_descriptor(), types.1.to_descriptor());
        let (Ok(ty), Ok(other)) = &descriptors else {
            self.tell(path, attribute, Kind::NotCompared { reason: "its type is unknown".into() });
            return Ok(());
        };
        let orders = (types.0.byte_order(), types.1.byte_order());
        if ty != other || orders.0 != orders.1 {
            let kind = Kind::Type { first: format!("{ty} ({:?})", orders.0), second: format!("{other} ({:?})", orders.1) };
            self.tell(path, attribute, kind);
            return Ok(());
        }
        if let Some(kind) = value_difference(ty, a, b)? {
            self.tell(path, attribute, kind);
        }
        Ok(())
    }
}

fn links(group: &Group) -> hdf5::Result<Vec<(String, LinkType)>> {
    let mut found = Vec::new();
    group.iter_visit_default(|name, info| {
        found.push((name.to_owned(), info.link_type));
        Ok(())
    })?;
    Ok(found)
}

/// How the values of two datasets or attributes of the same shape and type differ.
fn value_difference(ty: &TypeDescriptor, a: &Container, b: &Container) -> hdf5::Result<Option<Kind>> {
    use TypeDescriptor as T;
    Ok(match ty {
        T::Integer(_) => numbers::<i64>(a, b, |x| *x as u64, |x| *x as f64)?,
        T::Unsigned(_) => numbers::<u64>(a, b, |x| *x, |x| *x as f64)?,
        T::Float(FloatSize::U4) => numbers::<f32>(a, b, |x| u64::from(x.to_bits()), |x| f64::from(*x))?,
        T::Float(FloatSize::U8) => numbers::<f64>(a, b, |x| x.to_bits(), |x| *x)?,
        T::Boolean => numbers::<bool>(a, b, |x| u64::from(*x), |x| f64::from(u8::from(*x)))?,
        T::VarLenUnicode => texts(&a.read_raw::<VarLenUnicode>()?, &b.read_raw::<VarLenUnicode>()?, &a.shape()),
        T::VarLenAscii => texts(&a.read_raw::<VarLenAscii>()?, &b.read_raw::<VarLenAscii>()?, &a.shape()),
        // HDF5 lengthens what is shorter.
        T::FixedAscii(..=256) => texts(&a.read_raw::<FixedAscii<256>>()?, &b.read_raw::<FixedAscii<256>>()?, &a.shape()),
        T::FixedUnicode(..=256) => texts(&a.read_raw::<FixedUnicode<256>>()?, &b.read_raw::<FixedUnicode<256>>()?, &a.shape()),
        T::Compound(_) => match (hdf::read_complex(a)?, hdf::read_complex(b)?) {
            (Some(ArrayData::Complex32(a_values)), Some(ArrayData::Complex32(b_values))) => {
                differing(&a_values, &b_values, &a.shape(), |z| (z.re.to_bits(), z.im.to_bits()), |x, y| (x - y).norm().into())
            }
            (Some(ArrayData::Complex64(a_values)), Some(ArrayData::Complex64(b_values))) => {
                differing(&a_values, &b_values, &a.shape(), |z| (z.re.to_bits(), z.im.to_bits()), |x, y| (x - y).norm())
            }
            _ => Some(Kind::NotCompared { reason: format!("its type is {ty}") }),
        },
        _ => Some(Kind::NotCompared { reason: format!("its type is {ty}") }),
    })
}

fn numbers<T: H5Type + fmt::Debug>(
    a: &Container,
    b: &Container,
    bits: impl Fn(&T) -> u64,
    number: impl Fn(&T) -> f64,
) -> hdf5::Result<Option<Kind>> {
    Ok(differing(&a.read_raw()?, &b.read_raw()?, &a.shape(), bits, |x, y| (number(x) - number(y)).abs()))
}

fn texts<T: PartialEq + fmt::Debug>(a: &[T], b: &[T], shape: &[usize]) -> Option<Kind> {
    differing(a, b, shape, |x| x, |_, _| f64::NAN)
}

/// Compares by `bits`; a `distance` that is no number leaves the largest difference untold.
fn differing<'a, T: fmt::Debug, B: PartialEq>(
    a: &'a [T],
    b: &'a [T],
    shape: &[usize],
    bits: impl Fn(&'a T) -> B,
    distance: impl Fn(&T, &T) -> f64,
) -> Option<Kind> {
    let mut differing = a.iter().zip(b).enumerate().filter(|(_, (x, y))| bits(x) != bits(y));
    let (place, (x, y)) = differing.next()?;
    let mut largest = distance(x, y);
    let mut count = 1;
    for (_, (x, y)) in differing {
        count += 1;
        let this = distance(x, y);
        largest = if largest.is_nan() || this.is_nan() { f64::NAN } else { largest.max(this) };
    }
    Some(Kind::Values {
        index: unravel(place, shape),
        first: format!("{x:?}"),
        second: format!("{y:?}"),
        count,
        of: a.len(),
        largest: Some(largest).filter(|x| !x.is_nan()),
    })
}

fn unravel(mut place: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&length| {
            let at = place % length;
            place /= length;
            at
        })
        .collect();
    index.reverse();
    index
}
