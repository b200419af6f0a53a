//! What a job hands over to be written.

use num_complex::{Complex32, Complex64};

use super::{Error, Result};

/// The frame that an array's axes lie along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Along the scan.
    Scan,
    /// Along the detector's axes, in real space.
    Object,
    /// The detector itself.
    Detector,
    /// No place in space, such as the error of each iteration.
    None,
}

impl Frame {
    /// The value of the attribute `frame`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Object => "object",
            Self::Detector => "detector",
            Self::None => "none",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Scan, Self::Object, Self::Detector, Self::None].into_iter().find(|frame| frame.name() == name)
    }
}

/// One axis of an array: the coordinate of pixel n is `origin + n · step`, in `units`.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub name: String,
    pub units: String,
    pub origin: f64,
    pub step: f64,
}

impl Axis {
    pub fn new(name: &str, units: &str, origin: f64, step: f64) -> Self {
        Self { name: name.to_owned(), units: units.to_owned(), origin, step }
    }

    /// An axis that counts, such as slices or modes.
    pub fn index(name: &str) -> Self {
        Self::new(name, "", 0.0, 1.0)
    }
}

/// The numbers of an array, row-major, in the type they are stored in.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayData {
    F32(Vec<f32>),
    F64(Vec<f64>),
    U32(Vec<u32>),
    I64(Vec<i64>),
    Complex32(Vec<Complex32>),
    Complex64(Vec<Complex64>),
    /// Short names, of tables: up to 16 ASCII characters are kept.
    Names(Vec<String>),
}

impl ArrayData {
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::U32(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::Complex32(v) => v.len(),
            Self::Complex64(v) => v.len(),
            Self::Names(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers as f64; `None` where they are complex, or no numbers.
    pub fn reals(&self) -> Option<Vec<f64>> {
        Some(match self {
            Self::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Self::F64(v) => v.clone(),
            Self::U32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Self::I64(v) => v.iter().map(|&x| x as f64).collect(),
            Self::Complex32(_) | Self::Complex64(_) | Self::Names(_) => return None,
        })
    }

    /// The numbers as complex f64.
    pub fn complexes(&self) -> Vec<Complex64> {
        match self {
            Self::Complex32(v) => v.iter().map(|z| Complex64::new(f64::from(z.re), f64::from(z.im))).collect(),
            Self::Complex64(v) => v.clone(),
            _ => self.reals().unwrap_or_default().into_iter().map(Complex64::from).collect(),
        }
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attr {
    Text(String),
    Integer(i64),
    /// Sizes and seeds, which may exceed what [`Attr::Integer`] holds.
    Unsigned(u64),
    Number(f64),
    Numbers(Vec<f64>),
}

/// An array of a result file, with its axes, units and place.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Below the root group, such as `images/bf`; the last part names the picture too.
    pub path: String,
    pub shape: Vec<usize>,
    pub data: ArrayData,
    /// One a dimension, slow axis first.
    pub axes: Vec<Axis>,
    /// Of the values.
    pub units: String,
    pub frame: Frame,
    /// Maps the pixel index (row, col) to (y, x) in Å of the scan frame, whose origin is scan position (0, 0):
    /// `y = m[0][0]·row + m[0][1]·col + m[0][2]`, and x with `m[1]`.
    pub to_scan: Option<[[f64; 3]; 2]>,
    /// More attributes, such as `incident`.
    pub extra: Vec<(String, Attr)>,
}

impl Array {
    /// The last part of the path.
    pub fn name(&self) -> &str {
        last_part(&self.path)
    }

    /// Do shape, data and axes fit one another, and may the path be used?
    pub(super) fn check(&self) -> Result<()> {
        let bad = |reason: String| Err(Error::array(&self.path, reason));
        check_path(&self.path)?;
        if self.shape.is_empty() || self.shape.contains(&0) {
            return bad(format!("its shape {:?} is empty", self.shape));
        }
        let pixels: usize = self.shape.iter().product();
        if pixels != self.data.len() {
            return bad(format!("its shape {:?} asks for {pixels} values, but it has {}", self.shape, self.data.len()));
        }
        if self.axes.len() != self.shape.len() {
            return bad(format!("it has {} dimensions, but {} axes", self.shape.len(), self.axes.len()));
        }
        match self.axes.iter().find(|axis| !axis.origin.is_finite() || !axis.step.is_finite() || axis.step == 0.0) {
            Some(axis) => bad(format!("the axis {} begins at {} and has the step {}", axis.name, axis.origin, axis.step)),
            None => Ok(()),
        }
    }

    /// The values (y, x) of a real image, for a picture.
    pub(super) fn image(&self) -> Result<(usize, usize, Vec<f64>)> {
        self.check()?;
        let &[rows, columns] = &self.shape[..] else {
            return Err(Error::array(&self.path, format!("a picture has two dimensions, but its shape is {:?}", self.shape)));
        };
        match self.data.reals() {
            Some(values) => Ok((rows, columns, values)),
            None => Err(Error::array(&self.path, "a picture shows real numbers, but its values are complex")),
        }
    }
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    /// Empty where the values have none.
    pub units: String,
    pub data: ArrayData,
}

/// A table of a result file: columns of equal length.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Below the root group, such as `map/columns`.
    pub path: String,
    pub columns: Vec<Column>,
    pub extra: Vec<(String, Attr)>,
}

impl Table {
    pub(super) fn check(&self) -> Result<()> {
        check_path(&self.path)?;
        let Some(first) = self.columns.first() else {
            return Err(Error::array(&self.path, "the table has no columns"));
        };
        for column in &self.columns {
            if column.data.len() != first.data.len() {
                let reason =
                    format!("its columns {} and {} have {} and {} rows", first.name, column.name, first.data.len(), column.data.len());
                return Err(Error::array(&self.path, reason));
            }
            // HyperSpy takes datasets with such names for images.
            let image_like = ["data", "counted_datacube", "diffractionslice", "realslice", "pointlist"];
            if column.name.is_empty() || column.name.contains('/') || image_like.iter().any(|start| column.name.starts_with(start)) {
                return Err(Error::array(&self.path, format!("`{}` cannot name a column", column.name)));
            }
            if matches!(column.data, ArrayData::Complex32(_) | ArrayData::Complex64(_)) {
                return Err(Error::array(&self.path, format!("the column {} is complex", column.name)));
            }
        }
        Ok(())
    }
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn check_path(path: &str) -> Result<()> {
    let reserved = ["run", "aside"];
    let parts: Vec<&str> = path.split('/').collect();
    if parts.iter().any(|part| part.is_empty() || *part == "." || *part == "..") || reserved.contains(&parts[0]) {
        return Err(Error::array(path, "its path is not one below the root group, such as images/bf"));
    }
    Ok(())
}
