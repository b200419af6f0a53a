//! Which dataset of an HDF5 file is the datacube.

use hdf5::datatype::ByteOrder;
use hdf5::types::{FloatSize, IntSize, TypeDescriptor};
use hdf5::{Dataset, File, Group, IndexType, IterationOrder, LinkType, LocationInfo, LocationType};

use crate::data::error::{Error, by};
use crate::data::sample::{Kind, Stored};
use crate::data::{OpenOptions, Result};

/// Groups nested deeper, and objects beyond that number, are not looked at.
const DEPTH: usize = 32;
const OBJECTS: usize = 100_000;

/// A dataset of numbers.
struct Candidate {
    path: String,
    shape: Vec<usize>,
}

/// What a walk through a file has found.
#[derive(Default)]
struct Walk {
    numeric: Vec<Candidate>,
    /// Links whose target is not there: (where, what HDF5 says of the target).
    broken: Vec<(String, String)>,
    seen: usize,
}

/// The datacube of a file: the one that is named, or the only one there is.
pub(super) fn cube(path: &str, file: &File, options: &OpenOptions) -> Result<(String, Dataset)> {
    if let Some(name) = &options.dataset {
        let name = format!("/{}", name.trim_matches('/'));
        return named(path, file, &name).map(|d| (name, d));
    }
    let walk = walk(file);
    let of_rank = |rank| walk.numeric.iter().filter(|c| c.shape.len() == rank).collect::<Vec<_>>();
    let (cubes, stacks) = (of_rank(4), of_rank(3));
    let candidates = if !cubes.is_empty() { cubes } else { stacks };
    match candidates.as_slice() {
        [one] => Ok((one.path.clone(), open(path, file, &one.path)?)),
        [] => match walk.broken.first() {
            Some((link, target)) => Err(Error::Link { path: path.into(), link: link.clone(), target: target.clone() }),
            None => Err(Error::NoCube { path: path.into(), found: found(&walk.numeric) }),
        },
        many => {
            let candidates = many.iter().map(|c| format!("{} ({})", c.path, by(&c.shape))).collect::<Vec<_>>().join(", ");
            Err(Error::SeveralCubes { path: path.into(), count: many.len(), candidates })
        }
    }
}

fn named(path: &str, file: &File, name: &str) -> Result<Dataset> {
    let missing = || {
        let walk = walk(file);
        let inside = walk.broken.iter().find(|(link, _)| name == link || name.starts_with(&format!("{link}/")));
        match inside {
            Some((link, target)) => Error::Link { path: path.into(), link: link.clone(), target: target.clone() },
            None => Error::NoDataset { path: path.into(), dataset: name.into(), candidates: found(&walk.numeric) },
        }
    };
    match file.loc_type_by_name(name) {
        Ok(LocationType::Dataset) => open(path, file, name),
        _ => Err(missing()),
    }
}

fn open(path: &str, file: &File, name: &str) -> Result<Dataset> {
    file.dataset(name).map_err(|e| Error::Hdf5 { path: path.into(), reason: format!("dataset {name}: {e}") })
}

/// The datasets of numbers, as a sentence.
fn found(numeric: &[Candidate]) -> String {
    const SHOWN: usize = 12;
    let mut large: Vec<_> = numeric.iter().filter(|c| c.shape.len() >= 2).collect();
    large.sort_by_key(|c| std::cmp::Reverse(c.shape.len()));
    if large.is_empty() {
        return "It holds no dataset with two or more dimensions.".into();
    }
    let mut list = large.iter().take(SHOWN).map(|c| format!("{} ({})", c.path, by(&c.shape))).collect::<Vec<_>>().join(", ");
    if large.len() > SHOWN {
        list += &format!(" and {} more", large.len() - SHOWN);
    }
    format!("It holds {list}.")
}

fn walk(file: &File) -> Walk {
    let mut walk = Walk::default();
    descend(file, "", &mut Vec::new(), &mut walk);
    walk.numeric.sort_by(|a, b| a.path.cmp(&b.path));
    walk
}

fn descend(group: &Group, path: &str, above: &mut Vec<LocationInfo>, walk: &mut Walk) {
    let Ok(links) = group.links(IndexType::Name, IterationOrder::Increasing) else { return };
    for (name, link) in links {
        walk.seen += 1;
        if walk.seen > OBJECTS {
            return;
        }
        let full = format!("{path}/{name}");
        let info = match group.loc_info_by_name(&name) {
            Ok(info) => info,
            Err(error) => {
                if link.link_type != LinkType::Hard {
                    walk.broken.push((full, target(&error)));
                }
                continue;
            }
        };
        match info.loc_type {
            LocationType::Group if above.len() < DEPTH && !above.iter().any(|a| (a.fileno, a.token) == (info.fileno, info.token)) => {
                if let Ok(inner) = group.group(&name) {
                    above.push(info);
                    descend(&inner, &full, above, walk);
                    above.pop();
                }
            }
            LocationType::Dataset if link.link_type != LinkType::Soft => {
                if let Some(candidate) = group.dataset(&name).ok().and_then(|d| numeric(&d, full)) {
                    walk.numeric.push(candidate);
                }
            }
            _ => {}
        }
    }
}

fn numeric(dataset: &Dataset, path: String) -> Option<Candidate> {
    match dataset.dtype().ok()?.to_descriptor().ok()? {
        TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) | TypeDescriptor::Float(_) => {
            Some(Candidate { path, shape: dataset.shape() })
        }
        _ => None,
    }
}

/// Where a link points to, from what HDF5 says when it fails to follow it.
fn target(error: &hdf5::Error) -> String {
    let named = error.stack().and_then(|stack| {
        stack.iter().find_map(|frame| {
            let (_, name) = frame.desc().split_once("external link file name = '")?;
            Some(format!("the file {}", name.trim_end_matches('\'')))
        })
    });
    named.unwrap_or_else(|| "an object".into())
}

/// The type of a dataset's samples.
pub(super) fn stored(path: &str, name: &str, dataset: &Dataset) -> Result<Stored> {
    let refuse = |dtype: String| Error::SampleType { path: path.into(), dataset: name.into(), dtype };
    let dtype = dataset.dtype().map_err(|e| refuse(format!("an unknown type ({e})")))?;
    let kind = match dtype.to_descriptor() {
        Ok(TypeDescriptor::Unsigned(size)) => match size {
            IntSize::U1 => Kind::U8,
            IntSize::U2 => Kind::U16,
            IntSize::U4 => Kind::U32,
            IntSize::U8 => Kind::U64,
        },
        Ok(TypeDescriptor::Integer(size)) => match size {
            IntSize::U1 => Kind::I8,
            IntSize::U2 => Kind::I16,
            IntSize::U4 => Kind::I32,
            IntSize::U8 => Kind::I64,
        },
        Ok(TypeDescriptor::Float(FloatSize::U4)) => Kind::F32,
        Ok(TypeDescriptor::Float(FloatSize::U8)) => Kind::F64,
        Ok(other) => return Err(refuse(other.to_string())),
        Err(error) => return Err(refuse(format!("a type of {} bytes ({error})", dtype.size()))),
    };
    let big_endian = match dtype.byte_order() {
        _ if matches!(kind, Kind::U8 | Kind::I8) => false,
        ByteOrder::LittleEndian => false,
        ByteOrder::BigEndian => true,
        other => return Err(refuse(format!("numbers of byte order {other:?}"))),
    };
    Ok(Stored { kind, big_endian })
}
