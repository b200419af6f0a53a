//! Single values of a file, read leniently: whoever wrote them chose among all of HDF5's types.

use hdf5::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Container, Location};

/// The one number of a dataset or attribute: integer, float, bool or a text that is a number.
pub(super) fn number(of: &Container) -> Option<f64> {
    match kind(of)? {
        TypeDescriptor::Boolean => Some(f64::from(u8::from(truth(of)?))),
        TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) | TypeDescriptor::Float(_) => of.read_raw::<f64>().ok()?.first().copied(),
        _ => text(of)?.trim().parse().ok(),
    }
    .filter(|x| x.is_finite())
}

/// The one truth value of a dataset or attribute: bool, a number or a word.
pub(super) fn truth(of: &Container) -> Option<bool> {
    match kind(of)? {
        TypeDescriptor::Boolean => of.read_raw::<bool>().ok()?.first().copied(),
        TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) | TypeDescriptor::Float(_) => {
            of.read_raw::<f64>().ok()?.first().map(|&x| x != 0.0)
        }
        _ => match text(of)?.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
    }
}

/// The one text of a dataset or attribute.
pub(super) fn text(of: &Container) -> Option<String> {
    fn first<T: hdf5::H5Type>(of: &Container, text: impl Fn(&T) -> String) -> Option<String> {
        of.read_raw::<T>().ok()?.first().map(text)
    }
    match kind(of)? {
        TypeDescriptor::VarLenUnicode => first::<VarLenUnicode>(of, |s| s.as_str().to_owned()),
        TypeDescriptor::VarLenAscii => first::<VarLenAscii>(of, |s| s.as_str().to_owned()),
        TypeDescriptor::FixedAscii(_) => first::<FixedAscii<1024>>(of, |s| s.as_str().to_owned()),
        TypeDescriptor::FixedUnicode(_) => first::<FixedUnicode<1024>>(of, |s| s.as_str().to_owned()),
        _ => None,
    }
}

/// A value as people write it.
pub(super) fn shown(of: &Container) -> Option<String> {
    match kind(of)? {
        TypeDescriptor::Boolean => truth(of).map(|x| x.to_string()),
        TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) | TypeDescriptor::Float(_) => number(of).map(|x| x.to_string()),
        _ => text(of).filter(|s| !s.is_empty()),
    }
}

/// The text of an attribute.
pub(super) fn attribute(of: &Location, name: &str) -> Option<String> {
    text(&*of.attr(name).ok()?)
}

/// The type of a value, if it is a single one.
fn kind(of: &Container) -> Option<TypeDescriptor> {
    if of.space().ok()?.size() != 1 {
        return None;
    }
    of.dtype().ok()?.to_descriptor().ok()
}
