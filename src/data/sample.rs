//! The types of stored samples, and what becomes of them on the way to [`HostFrames`](crate::compute::HostFrames).

use crate::compute::SampleType;

/// The type of a number on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

/// A type on disk with its byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) kind: Kind,
    pub(super) big_endian: bool,
}

/// An integer that a 32-bit float does not hold exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inexact(pub(super) i128);

/// Integers up to here are exact in a 32-bit float, and so are all below.
const EXACT: i128 = 1 << 24;

impl Stored {
    /// The size of a stored sample in bytes.
    pub(super) fn bytes(self) -> usize {
        match self.kind {
            Kind::U8 | Kind::I8 => 1,
            Kind::U16 | Kind::I16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 => 8,
        }
    }

    /// The type that it is handed on in.
    pub(super) fn handed_on(self) -> SampleType {
        match self.kind {
            Kind::U8 => SampleType::U8,
            Kind::U16 => SampleType::U16,
            Kind::U32 => SampleType::U32,
            _ => SampleType::F32,
        }
    }

    /// Are its bytes on disk those that are handed on?
    pub(super) fn is_verbatim(self) -> bool {
        !self.big_endian && matches!(self.kind, Kind::U8 | Kind::U16 | Kind::U32 | Kind::F32)
    }

    /// As `uint16, big-endian`.
    pub(super) fn label(self) -> String {
        let name = match self.kind {
            Kind::U8 => return "uint8".into(),
            Kind::I8 => return "int8".into(),
            Kind::U16 => "uint16",
            Kind::U32 => "uint32",
            Kind::U64 => "uint64",
            Kind::I16 => "int16",
            Kind::I32 => "int32",
            Kind::I64 => "int64",
            Kind::F32 => "float32",
            Kind::F64 => "float64",
        };
        format!("{name}, {}-endian", if self.big_endian { "big" } else { "little" })
    }

    /// Turns stored samples into those that are handed on; `to` has room for as many samples as `from` has.
    pub(super) fn convert(self, from: &[u8], to: &mut [u8], allow_rounding: bool) -> Result<(), Inexact> {
        match (self.kind, self.big_endian) {
            (Kind::U8, _) | (Kind::U16 | Kind::U32 | Kind::F32, false) => to.copy_from_slice(from),
            (Kind::U16, true) => map(from, to, |b: [u8; 2]| [b[1], b[0]]),
            (Kind::U32 | Kind::F32, true) => map(from, to, |b: [u8; 4]| [b[3], b[2], b[1], b[0]]),
            (Kind::I8, _) => map(from, to, |b: [u8; 1]| f32::from(b[0] as i8).to_le_bytes()),
            (Kind::I16, false) => map(from, to, |b| f32::from(i16::from_le_bytes(b)).to_le_bytes()),
            (Kind::I16, true) => map(from, to, |b| f32::from(i16::from_be_bytes(b)).to_le_bytes()),
            (Kind::F64, false) => map(from, to, |b| (f64::from_le_bytes(b) as f32).to_le_bytes()),
            (Kind::F64, true) => map(from, to, |b| (f64::from_be_bytes(b) as f32).to_le_bytes()),
            (Kind::I32, false) => integers(from, to, allow_rounding, |b| i128::from(i32::from_le_bytes(b)))?,
            (Kind::I32, true) => integers(from, to, allow_rounding, |b| i128::from(i32::from_be_bytes(b)))?,
            (Kind::I64, false) => integers(from, to, allow_rounding, |b| i128::from(i64::from_le_bytes(b)))?,
            (Kind::I64, true) => integers(from, to, allow_rounding, |b| i128::from(i64::from_be_bytes(b)))?,
            (Kind::U64, false) => integers(from, to, allow_rounding, |b| i128::from(u64::from_le_bytes(b)))?,
            (Kind::U64, true) => integers(from, to, allow_rounding, |b| i128::from(u64::from_be_bytes(b)))?,
        }
        Ok(())
    }
}

fn map<const N: usize, const M: usize>(from: &[u8], to: &mut [u8], f: impl Fn([u8; N]) -> [u8; M]) {
    for (from, to) in from.as_chunks::<N>().0.iter().zip(to.as_chunks_mut::<M>().0) {
        *to = f(*from);
    }
}

fn integers<const N: usize>(from: &[u8], to: &mut [u8], allow_rounding: bool, value: impl Fn([u8; N]) -> i128) -> Result<(), Inexact> {
    for (from, to) in from.as_chunks::<N>().0.iter().zip(to.as_chunks_mut::<4>().0) {
        let v = value(*from);
        if !allow_rounding && !(-EXACT..=EXACT).contains(&v) {
            return Err(Inexact(v));
        }
        *to = (v as f32).to_le_bytes();
    }
    Ok(())
}
