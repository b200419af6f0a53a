//! The result file: HDF5 in the EMD 1.0 layout.
//!
//! An array is a group with its `data` and an axis `dim0`, `dim1`, … a dimension; `units`, `frame`, `to_scan` and what else is
//! told of it are attributes of `data`.
//!
//! What each reader needs:
//! - emdfile and py4DSTEM: the tags `emd_group_type` and `python_class`; the file's version as integers; `units` on `data`,
//!   `name` and `units` on every `dim`; an axis as its first 2 values or all of them; the columns of a PointList with their
//!   NumPy type as a fixed-length (bytes) attribute `dtype`.
//! - HyperSpy: the ending `.emd`; 2 values even for an axis of length 1 (its step is their mean difference); units that
//!   pint knows; and it *stacks* every array whose path contains the path of another (`phase` and `phase_scan`), which
//!   fails where the shapes differ. Such an array lies below `/ronchi/aside/N/`, which HyperSpy comes to first, and its
//!   proper path is a hard link to it. That group carries no EMD tag, so the other readers see the array once.

use std::path::{Path, PathBuf};

use hdf5::{Group, Location};

use super::{Array, ArrayData, Attr, Axis, Claim, Error, Result, Table, hdf};

/// The name of the root group.
pub(super) const ROOT: &str = "ronchi";

/// Where the data of a run came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// With the name of the hash, such as `blake3:…`.
    pub hash: String,
}

/// What made the results: the attributes of the root group. Equal headers and arrays make equal files.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Of this program.
    pub version: String,
    /// The resolved job as TOML.
    pub job: String,
    pub device: String,
    pub input: Option<Input>,
    pub seed: u64,
    /// Derived from the hash of job and input.
    pub uuid: String,
}

/// What differs from run to run: the attributes of `/ronchi/run`.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFacts {
    /// ISO 8601.
    pub start: String,
    pub end: String,
    pub host: String,
    /// JSON.
    pub timings: String,
}

/// A result file that is being written. It appears in its place with [`ResultFile::finish`]; dropped, it leaves nothing.
pub struct ResultFile {
    // Before the claim: HDF5 closes the file first, then the claim removes it.
    file: hdf5::File,
    claim: Claim,
    /// Of the arrays written, with the number of their group below `aside`.
    arrays: Vec<(String, usize)>,
}

impl ResultFile {
    /// Claims `path`, which must not exist unless `force` is given.
    pub fn create(path: &Path, force: bool) -> Result<Self> {
        let claim = Claim::new(path, force)?;
        let (file, _) = create_emd(&claim, ROOT).map_err(|error| Error::write_hdf(path, &error))?;
        Ok(Self { file, claim, arrays: Vec::new() })
    }

    /// Writes what made the results; once.
    pub fn header(&self, header: &Header) -> Result<()> {
        self.hdf(|| {
            hdf::write_text(&self.file, "UUID", &header.uuid)?;
            let root = self.file.group(ROOT)?;
            hdf::write_text(&root, "version", &header.version)?;
            hdf::write_text(&root, "job", &header.job)?;
            hdf::write_text(&root, "device", &header.device)?;
            hdf::write_attr(&root, "seed", &Attr::Unsigned(header.seed))?;
            if let Some(input) = &header.input {
                hdf::write_text(&root, "input_path", &input.path)?;
                hdf::write_attr(&root, "input_size", &Attr::Unsigned(input.size))?;
                hdf::write_text(&root, "input_hash", &input.hash)?;
            }
            Ok(())
        })
    }

    /// Writes an array; each path once.
    pub fn array(&mut self, array: &Array) -> Result<()> {
        array.check()?;
        let aside = self.arrays.iter().filter(|(path, _)| stacked(path, &array.path)).map(|(_, aside)| aside + 1).max().unwrap_or(0);
        self.hdf(|| {
            let (parent, name) = self.parent(&array.path)?;
            let group = if aside == 0 {
                hdf::create_group(&parent, name)?
            } else {
                let number = aside.to_string();
                let mut parts = vec!["aside", &number];
                parts.extend(array.path.split('/'));
                parts.pop();
                let home = descend(&self.file.group(ROOT)?, &parts, None)?;
                let group = hdf::create_group(&home, name)?;
                self.file.link_hard(&group.name(), &format!("/{ROOT}/{}", array.path))?;
                group
            };
            write_array(&group, array)
        })?;
        self.arrays.push((array.path.clone(), aside));
        Ok(())
    }

    /// Writes a table as an EMD PointList; each path once.
    pub fn table(&mut self, table: &Table) -> Result<()> {
        table.check()?;
        self.hdf(|| {
            let (parent, name) = self.parent(&table.path)?;
            let group = hdf::create_group(&parent, name)?;
            tag(&group, "pointlist", "PointList")?;
            for (name, value) in &table.extra {
                hdf::write_attr(&group, name, value)?;
            }
            for column in &table.columns {
                let dataset = hdf::write_dataset(&group, &column.name, &[column.data.len()], &column.data)?;
                hdf::write_bytes(&dataset, "dtype", numpy_type(&column.data))?;
                hdf::write_text(&dataset, "units", &column.units)?;
            }
            Ok(())
        })
    }

    /// Writes what differs from run to run; once.
    pub fn run(&self, run: &RunFacts) -> Result<()> {
        self.hdf(|| {
            let group = hdf::create_group(&self.file.group(ROOT)?, "run")?;
            hdf::write_text(&group, "start", &run.start)?;
            hdf::write_text(&group, "end", &run.end)?;
            hdf::write_text(&group, "host", &run.host)?;
            hdf::write_text(&group, "timings", &run.timings)
        })
    }

    /// Closes the file and puts it in its place.
    pub fn finish(self) -> Result<PathBuf> {
        let Self { file, claim, .. } = self;
        let closed = file.flush().and_then(|()| file.close());
        closed.map_err(|error| Error::write_hdf(claim.path(), &error))?;
        claim.finish()
    }

    fn hdf<T>(&self, write: impl FnOnce() -> hdf5::Result<T>) -> Result<T> {
        write().map_err(|error| Error::write_hdf(self.claim.path(), &error))
    }

    /// The group that the last part of a path belongs in, and that part.
    fn parent<'a>(&self, path: &'a str) -> hdf5::Result<(Group, &'a str)> {
        let mut parts: Vec<&str> = path.split('/').collect();
        let name = parts.pop().unwrap_or(path);
        Ok((descend(&self.file.group(ROOT)?, &parts, Some("node"))?, name))
    }
}

/// Would HyperSpy stack these two?
fn stacked(a: &str, b: &str) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

/// The group below `from`; groups that are missing are made, as EMD nodes or without a tag.
fn descend(from: &Group, parts: &[&str], node: Option<&str>) -> hdf5::Result<Group> {
    let mut group = from.clone();
    for part in parts {
        group = if group.link_exists(part) {
            group.group(part)?
        } else {
            let made = hdf::create_group(&group, part)?;
            if let Some(kind) = node {
                tag(&made, kind, "Node")?;
            }
            made
        };
    }
    Ok(group)
}

/// An empty HDF5 file at a claim's place, without times.
pub(super) fn create_file(claim: &Claim) -> hdf5::Result<hdf5::File> {
    hdf5::File::with_options()
        .with_fcpl(|p| p.obj_track_times(false))
        // The claim holds the lock.
        .with_fapl(|p| p.file_locking(false))
        .create(claim.unfinished_path())
}

/// A new EMD 1.0 file in the claim's unfinished place, and its root group.
pub(super) fn create_emd(claim: &Claim, root: &str) -> hdf5::Result<(hdf5::File, Group)> {
    let file = create_file(claim)?;
    hdf::write_text(&file, "emd_group_type", "file")?;
    hdf::write_attr(&file, "version_major", &Attr::Integer(1))?;
    hdf::write_attr(&file, "version_minor", &Attr::Integer(0))?;
    hdf::write_text(&file, "authoring_program", "ronchi")?;
    hdf::write_text(&file, "authoring_user", "")?;
    let root = hdf::create_group(&file, root)?;
    tag(&root, "root", "Root")?;
    Ok((file, root))
}

/// The tags that make a group an EMD object.
pub(super) fn tag(group: &Location, kind: &str, class: &str) -> hdf5::Result<()> {
    hdf::write_text(group, "emd_group_type", kind)?;
    hdf::write_text(group, "python_class", class)
}

fn write_array(group: &Group, array: &Array) -> hdf5::Result<()> {
    tag(group, "array", "Array")?;
    let data = hdf::write_dataset(group, "data", &array.shape, &array.data)?;
    hdf::write_text(&data, "units", &array.units)?;
    hdf::write_text(&data, "frame", array.frame.name())?;
    if let Some(to_scan) = array.to_scan {
        let attr = data.new_attr::<f64>().shape([2, 3]).create("to_scan")?;
        attr.write_raw(to_scan.as_flattened())?;
    }
    for (name, value) in &array.extra {
        hdf::write_attr(&data, name, value)?;
    }
    for (n, (axis, &length)) in array.axes.iter().zip(&array.shape).enumerate() {
        let values = ArrayData::F64(axis_values(axis, length));
        let dim = hdf::write_dataset(group, &format!("dim{n}"), &[values.len()], &values)?;
        hdf::write_text(&dim, "name", &axis.name)?;
        hdf::write_text(&dim, "units", &axis.units)?;
    }
    Ok(())
}

/// An axis as EMD stores it: its first 2 values. emdfile draws them out with `arange`, which may come to one value too many
/// for its rounding; where it would, all values are stored.
fn axis_values(axis: &Axis, length: usize) -> Vec<f64> {
    let value = |n: usize| axis.origin + n as f64 * axis.step;
    let step = value(1) - axis.origin;
    let drawn_out = ((axis.origin + step * length as f64 - axis.origin) / step).ceil();
    let stored = if length > 2 && drawn_out != length as f64 { length } else { 2 };
    (0..stored).map(value).collect()
}

/// NumPy's name of a column's type.
fn numpy_type(data: &ArrayData) -> &'static str {
    match data {
        ArrayData::F32(_) => "<f4",
        ArrayData::F64(_) => "<f8",
        ArrayData::U32(_) => "<u4",
        ArrayData::I64(_) => "<i8",
        ArrayData::Complex32(_) => "<c8",
        ArrayData::Complex64(_) => "<c16",
        ArrayData::Names(_) => "|S16",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emdfile_draws_axes_out_to_their_length() {
        let mut in_full = 0;
        for n in 0..20_000 {
            let n = f64::from(n);
            let axis = Axis::new("x", "Å", (n * 0.618).fract() * 100.0 - 50.0, 0.01 + (n * 0.414).fract());
            let length = 2 + ((n * 0.732).fract() * 500.0) as usize;
            let values = axis_values(&axis, length);
            // numpy.arange(start, start + step · length, step), as in emdfile's classes/array.py.
            let (start, step) = (values[0], values[1] - values[0]);
            let drawn_out = ((start + step * length as f64 - start) / step).ceil() as usize;
            assert!(values.len() == length || (values.len() == 2 && drawn_out == length), "{axis:?} of {length}");
            in_full += usize::from(values.len() > 2);
        }
        assert!((1..10_000).contains(&in_full), "{in_full}");
        assert_eq!(axis_values(&Axis::index("slice"), 1), [0.0, 1.0]);
    }
}
