//! Reading our own result files, and complex arrays of other people's HDF5 files.

use std::path::{Path, PathBuf};

use hdf5::{Group, IndexType, IterationOrder, LinkType};
use num_complex::Complex64;

use super::result::ROOT;
use super::{Array, Attr, Axis, Column, Error, Frame, Result, Table, hdf};

/// A result file, open for reading.
pub struct Results {
    path: PathBuf,
    root: Group,
}

impl Results {
    pub fn open(path: &Path) -> Result<Self> {
        let file = open(path)?;
        match file.group(ROOT) {
            Ok(root) => Ok(Self { path: path.to_owned(), root }),
            Err(_) => Err(Error::Missing {
                file: path.display().to_string(),
                wanted: format!("group /{ROOT}, so it is no result file of this program"),
                held: list(&file.member_names().unwrap_or_default()),
            }),
        }
    }

    /// The paths of all arrays, such as `images/bf`, in the order of their names.
    pub fn arrays(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.root, "", "array", &mut found);
        found
    }

    /// The paths of all tables.
    pub fn tables(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.root, "", "pointlist", &mut found);
        found
    }

    /// An attribute of the root group, such as `job`.
    pub fn attr(&self, name: &str) -> Option<Attr> {
        hdf::read_attr(&self.root, name)
    }

    /// The array at this path, with its axes and attributes.
    pub fn array(&self, path: &str) -> Result<Array> {
        let group = self.root.group(path).ok().filter(|group| group.link_exists("data"));
        let Some(group) = group else {
            return Err(self.missing(&format!("array {path}"), &self.arrays()));
        };
        self.read(|| {
            let dataset = group.dataset("data")?;
            let shape = dataset.shape();
            let mut axes = Vec::new();
            for n in 0..shape.len() {
                let dim = group.dataset(&format!("dim{n}"))?;
                let values: Vec<f64> = dim.read_raw()?;
                let (origin, step) = match values[..] {
                    [origin, second, ..] => (origin, second - origin),
                    _ => return Err(hdf5::Error::from(format!("{} has less than 2 values", dim.name()))),
                };
                let label = |key| hdf::read_text(&dim, key).unwrap_or_default();
                axes.push(Axis { name: label("name"), units: label("units"), origin, step });
            }
            let data = hdf::read_dataset(&dataset)?.ok_or_else(|| hdf5::Error::from(format!("{} has no known type", dataset.name())))?;
            let to_scan = match dataset.attr("to_scan").and_then(|attr| attr.read_raw::<f64>()).as_deref() {
                Ok(&[a, b, c, d, e, f]) => Some([[a, b, c], [d, e, f]]),
                _ => None,
            };
            Ok(Array {
                path: path.to_owned(),
                shape,
                data,
                axes,
                units: hdf::read_text(&dataset, "units").unwrap_or_default(),
                frame: hdf::read_text(&dataset, "frame").and_then(|name| Frame::from_name(&name)).unwrap_or(Frame::None),
                to_scan,
                extra: extra(&dataset, &["units", "frame", "to_scan"])?,
            })
        })
    }

    /// The shape and the frame of the array at this path, without reading it.
    pub fn outline(&self, path: &str) -> Result<(Vec<usize>, Frame)> {
        let Some(dataset) = self.root.group(path).ok().and_then(|group| group.dataset("data").ok()) else {
            return Err(self.missing(&format!("array {path}"), &self.arrays()));
        };
        let frame = hdf::read_text(&dataset, "frame").and_then(|name| Frame::from_name(&name));
        Ok((dataset.shape(), frame.unwrap_or(Frame::None)))
    }

    /// The table at this path; its columns of numbers are in the order of their names. Those of texts are read by [`Self::texts`].
    pub fn table(&self, path: &str) -> Result<Table> {
        let group = self.table_group(path)?;
        self.read(|| {
            let mut columns = Vec::new();
            for name in group.member_names_by(IndexType::Name, IterationOrder::Increasing)? {
                let dataset = group.dataset(&name)?;
                let Some(data) = hdf::read_dataset(&dataset)? else {
                    if hdf::read_texts(&dataset)?.is_some() {
                        continue;
                    }
                    return Err(hdf5::Error::from(format!("{} has no known type", dataset.name())));
                };
                columns.push(Column { name, units: hdf::read_text(&dataset, "units").unwrap_or_default(), data });
            }
            Ok(Table { path: path.to_owned(), columns, extra: extra(&group, &["emd_group_type", "python_class"])? })
        })
    }

    /// A column of texts of the table at this path; `None` where there is no such column, or one of numbers.
    pub fn texts(&self, path: &str, column: &str) -> Result<Option<Vec<String>>> {
        let group = self.table_group(path)?;
        self.read(|| match group.link_exists(column) {
            true => hdf::read_texts(&group.dataset(column)?),
            false => Ok(None),
        })
    }

    fn table_group(&self, path: &str) -> Result<Group> {
        let is_table = |group: &Group| hdf::read_text(group, "emd_group_type").as_deref() == Some("pointlist");
        self.root.group(path).ok().filter(is_table).ok_or_else(|| self.missing(&format!("table {path}"), &self.tables()))
    }

    fn read<T>(&self, read: impl FnOnce() -> hdf5::Result<T>) -> Result<T> {
        read().map_err(|error| Error::read_hdf(&self.path, &error))
    }

    fn missing(&self, wanted: &str, held: &[String]) -> Error {
        Error::Missing { file: self.path.display().to_string(), wanted: wanted.to_owned(), held: list(held) }
    }
}

/// A complex array of any HDF5 file, given as `file.h5:/path/to/dataset` (or to a group that holds it as `data`): its shape
/// and values. Compounds (r, i) and (real, imag) are complex; real numbers are taken as such.
pub fn read_complex(place: &str) -> Result<(Vec<usize>, Vec<Complex64>)> {
    let Some((file, path)) = place.rsplit_once(":/").filter(|(file, path)| file.len() > 1 && !path.is_empty()) else {
        return Err(Error::Read {
            path: place.to_owned(),
            reason: "the dataset inside the file is not told; write it after a colon, such as probe.h5:/ronchi/ptychography/probe".into(),
        });
    };
    let opened = open(Path::new(file))?;
    let dataset = match opened.group(path) {
        Ok(group) => group.dataset("data"),
        Err(_) => opened.dataset(path),
    };
    let Ok(dataset) = dataset else {
        let held = opened.member_names().unwrap_or_default();
        return Err(Error::Missing { file: file.to_owned(), wanted: format!("dataset /{path}"), held: list(&held) });
    };
    let data = hdf::read_dataset(&dataset).map_err(|error| Error::read_hdf(Path::new(file), &error))?;
    let Some(data) = data else {
        return Err(Error::Unfit {
            file: file.to_owned(),
            dataset: format!("/{path}"),
            found: dataset
                .dtype()
                .and_then(|dtype| dtype.to_descriptor())
                .map_or("of an unknown type".into(), |ty| format!("of the type {ty}")),
            expected: "a complex array, as the compound (r, i) or (real, imag),".into(),
        });
    };
    Ok((dataset.shape(), data.complexes()))
}

pub(super) fn open(path: &Path) -> Result<hdf5::File> {
    let shown = || path.display().to_string();
    if !path.is_file() {
        return Err(Error::Read { path: shown(), reason: "there is no such file".into() });
    }
    hdf5::File::open(path).map_err(|error| {
        let reason = match error.contains_minor(hdf5::MinorErrorCode::NotHdf5) {
            true => "it is no HDF5 file, or a damaged one".into(),
            false => error.to_string(),
        };
        Error::Read { path: shown(), reason }
    })
}

fn extra(at: &hdf5::Location, known: &[&str]) -> hdf5::Result<Vec<(String, Attr)>> {
    let names = at.attr_names()?.into_iter().filter(|name| !known.contains(&name.as_str()));
    Ok(names.filter_map(|name| hdf::read_attr(at, &name).map(|value| (name, value))).collect())
}

/// The paths below a group of EMD objects of a kind.
fn collect(group: &Group, path: &str, kind: &str, found: &mut Vec<String>) {
    let mut names = Vec::new();
    let visited = group.iter_visit(IndexType::Name, IterationOrder::Increasing, |name, info| {
        if info.link_type == LinkType::Hard {
            names.push(name.to_owned());
        }
        Ok(())
    });
    if visited.is_err() {
        return;
    }
    for name in names {
        let Ok(child) = group.group(&name) else { continue };
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        match hdf::read_text(&child, "emd_group_type") {
            Some(tag) if tag == kind => found.push(path),
            Some(tag) if tag == "node" => collect(&child, &path, kind, found),
            _ => (),
        }
    }
}

pub(super) fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing of the kind".into() } else { names.join(", ") }
}
