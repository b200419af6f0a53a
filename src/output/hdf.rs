//! HDF5 in terms of the model: attributes and datasets of its types.

use hdf5::types::{FixedAscii, FixedUnicode, FloatSize, IntSize, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Container, Dataset, Group, H5Type, Location};
use num_complex::{Complex, Complex32, Complex64};

use super::{ArrayData, Attr};

/// The compound that h5py takes for complex numbers.
#[derive(Debug, Clone, Copy, PartialEq, H5Type, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Ri32 {
    r: f32,
    i: f32,
}

/// The same of f64.
#[derive(Debug, Clone, Copy, PartialEq, H5Type, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Ri64 {
    r: f64,
    i: f64,
}

/// The compound that MATLAB and fold_slice write.
#[derive(Debug, Clone, Copy, H5Type)]
#[repr(C)]
struct RealImag {
    real: f64,
    imag: f64,
}

/// A group without times, so that equal contents are equal bytes.
pub(super) fn create_group(parent: &Group, name: &str) -> hdf5::Result<Group> {
    parent.create_group_builder().obj_track_times(false).create(name)
}

/// A string as HDF5 holds it; it ends where it has a NUL.
fn text(value: &str) -> VarLenUnicode {
    let value = value.split('\0').next().unwrap_or_default();
    value.parse().unwrap_or_default()
}

pub(super) fn write_text(at: &Location, name: &str, value: &str) -> hdf5::Result<()> {
    at.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&text(value))
}

pub(super) fn write_attr(at: &Location, name: &str, value: &Attr) -> hdf5::Result<()> {
    match value {
        Attr::Text(value) => write_text(at, name, value),
        Attr::Integer(value) => at.new_attr::<i64>().create(name)?.write_scalar(value),
        Attr::Unsigned(value) => at.new_attr::<u64>().create(name)?.write_scalar(value),
        Attr::Number(value) => at.new_attr::<f64>().create(name)?.write_scalar(value),
        Attr::Numbers(values) => at.new_attr::<f64>().shape(values.len()).create(name)?.write_raw(values),
    }
}

/// A fixed-length string, which h5py hands out as bytes.
pub(super) fn write_bytes(at: &Location, name: &str, value: &str) -> hdf5::Result<()> {
    let value = FixedAscii::<8>::from_ascii(value).unwrap_or_default();
    at.new_attr::<FixedAscii<8>>().create(name)?.write_scalar(&value)
}

pub(super) fn write_dataset(group: &Group, name: &str, shape: &[usize], data: &ArrayData) -> hdf5::Result<Dataset> {
    fn write<T: H5Type>(group: &Group, name: &str, shape: &[usize], data: &[T]) -> hdf5::Result<Dataset> {
        let dataset = group.new_dataset::<T>().obj_track_times(false).shape(shape).create(name)?;
        // An empty table has nothing to write.
        if !data.is_empty() {
            dataset.write_raw(data)?;
        }
        Ok(dataset)
    }
    match data {
        ArrayData::F32(v) => write(group, name, shape, v),
        ArrayData::F64(v) => write(group, name, shape, v),
        ArrayData::U32(v) => write(group, name, shape, v),
        ArrayData::I64(v) => write(group, name, shape, v),
        ArrayData::Complex32(v) => write(group, name, shape, bytemuck::cast_slice::<Complex32, Ri32>(v)),
        ArrayData::Complex64(v) => write(group, name, shape, bytemuck::cast_slice::<Complex64, Ri64>(v)),
        ArrayData::Names(v) => {
            let names: Vec<FixedAscii<16>> = v.iter().map(|name| FixedAscii::from_ascii(name).unwrap_or_default()).collect();
            write(group, name, shape, &names)
        }
    }
}

/// The values of a dataset in the model's type nearest to the stored one; `None` where there is none.
pub(super) fn read_dataset(dataset: &Dataset) -> hdf5::Result<Option<ArrayData>> {
    Ok(Some(match dataset.dtype()?.to_descriptor()? {
        TypeDescriptor::Float(FloatSize::U4) => ArrayData::F32(dataset.read_raw()?),
        TypeDescriptor::Float(_) => ArrayData::F64(dataset.read_raw()?),
        TypeDescriptor::Unsigned(IntSize::U1 | IntSize::U2 | IntSize::U4) => ArrayData::U32(dataset.read_raw()?),
        TypeDescriptor::Integer(_) => ArrayData::I64(dataset.read_raw()?),
        TypeDescriptor::Boolean => ArrayData::U32(dataset.read_raw::<bool>()?.into_iter().map(u32::from).collect()),
        TypeDescriptor::Compound(_) => return read_complex(dataset),
        TypeDescriptor::FixedAscii(16) => {
            ArrayData::Names(dataset.read_raw::<FixedAscii<16>>()?.iter().map(|name| name.as_str().to_owned()).collect())
        }
        _ => return Ok(None),
    }))
}

/// The values of a dataset or attribute of a complex compound; `None` where it is none.
pub(super) fn read_complex(from: &Container) -> hdf5::Result<Option<ArrayData>> {
    let TypeDescriptor::Compound(compound) = from.dtype()?.to_descriptor()? else { return Ok(None) };
    let names: Vec<&str> = compound.fields.iter().map(|field| field.name.as_str()).collect();
    let single = compound.fields.iter().all(|field| field.ty == TypeDescriptor::Float(FloatSize::U4));
    Ok(match (&names[..], single) {
        (["r", "i"], true) => Some(ArrayData::Complex32(from.read_raw::<Ri32>()?.iter().map(|z| Complex::new(z.r, z.i)).collect())),
        (["r", "i"], false) => Some(ArrayData::Complex64(from.read_raw::<Ri64>()?.iter().map(|z| Complex::new(z.r, z.i)).collect())),
        (["real", "imag"], _) => {
            Some(ArrayData::Complex64(from.read_raw::<RealImag>()?.iter().map(|z| Complex::new(z.real, z.imag)).collect()))
        }
        _ => None,
    })
}

/// The texts of a dataset; `None` where it holds none, or longer ones than names are.
pub(super) fn read_texts(dataset: &Dataset) -> hdf5::Result<Option<Vec<String>>> {
    fn read<T: H5Type + ToString>(dataset: &Dataset) -> hdf5::Result<Option<Vec<String>>> {
        Ok(Some(dataset.read_raw::<T>()?.iter().map(|text| text.to_string()).collect()))
    }
    match dataset.dtype()?.to_descriptor()? {
        // HDF5 lengthens what is shorter.
        TypeDescriptor::FixedAscii(..=64) => read::<FixedAscii<64>>(dataset),
        TypeDescriptor::FixedUnicode(..=64) => read::<FixedUnicode<64>>(dataset),
        TypeDescriptor::VarLenAscii => read::<VarLenAscii>(dataset),
        TypeDescriptor::VarLenUnicode => read::<VarLenUnicode>(dataset),
        _ => Ok(None),
    }
}

/// The attribute, where there is one of the model's types.
pub(super) fn read_attr(at: &Location, name: &str) -> Option<Attr> {
    let attr = at.attr(name).ok()?;
    let scalar = attr.is_scalar();
    Some(match attr.dtype().ok()?.to_descriptor().ok()? {
        TypeDescriptor::VarLenUnicode if scalar => Attr::Text(attr.read_scalar::<VarLenUnicode>().ok()?.to_string()),
        TypeDescriptor::Integer(_) if scalar => Attr::Integer(attr.read_scalar().ok()?),
        TypeDescriptor::Unsigned(_) if scalar => Attr::Unsigned(attr.read_scalar().ok()?),
        TypeDescriptor::Float(_) if scalar => Attr::Number(attr.read_scalar().ok()?),
        TypeDescriptor::Float(_) => Attr::Numbers(attr.read_raw().ok()?),
        _ => return None,
    })
}

pub(super) fn read_text(at: &Location, name: &str) -> Option<String> {
    match read_attr(at, name) {
        Some(Attr::Text(value)) => Some(value),
        _ => None,
    }
}
