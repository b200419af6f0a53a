//! The detectors that a user asks for.

use std::sync::Arc;

use super::{Error, Result};

/// An angle of a detector, from the zero angle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Angle {
    Mrad(f64),
    /// Of the bright-field disk's radius.
    Disk(f64),
    /// In pixels (of the geometric mean of a pixel's sides).
    Px(f64),
    /// The largest circle inside the frame.
    Edge,
}

/// A ring of angles, [inner, outer).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ring {
    pub inner: Angle,
    pub outer: Angle,
}

impl Ring {
    /// The bright-field disk.
    pub const DISK: Self = Self { inner: Angle::Disk(0.0), outer: Angle::Disk(1.0) };
}

/// What a detector makes of the frames.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The sum of the pixels whose centre lies in the ring.
    Annulus(Ring),
    /// Segment `index` of `count` equal ones of a ring. Segment 0 begins at the azimuth `first_deg`; azimuths run from +column towards +row.
    Segment { ring: Ring, index: usize, count: usize, first_deg: f64 },
    /// The sum of the chosen pixels of the frame (row-major), inside a ring if there is one.
    Mask { pixels: Arc<[bool]>, ring: Option<Ring> },
    /// I_ABF − k·I_centre, [0.5, 1) and [0, 0.5) of the disk (Findlay et al., Ultramicroscopy 136 (2014) 31). By default k is the
    /// plan's, or else the ratio of the two masks' areas inside the disk, so that vacuum is 0.
    Eabf { k: Option<f64> },
    /// The shift of the disk along one axis of the detector (0: rows, 1: columns) from the frame's two halves, (πα/4)(I₊ − I₋)/ΣI, in the unit of the
    /// angles: exact to first order for an evenly filled disk, and 0 for one at the zero angle.
    HalfPlanes { axis: usize },
    /// The gradient of the phase along one axis of the detector, 2π/λ times the shift of the disk that 16 segments of the frame see, in rad/Å.
    PhaseGradient { axis: usize },
    /// The centre of mass along one axis of the detector, relative to the zero angle.
    Com { axis: usize },
    /// The length of the centre of mass's vector.
    ComMagnitude,
    /// Its azimuth in degrees in the *scan's* frame, from +column towards +row: where it points in the picture.
    ComDirection,
    /// The integral of the centre of mass over the scan (iDPC, iCoM).
    Idpc,
    /// The divergence of the centre of mass over the scan (dDPC), 2π∇·C in rad/Å²: atoms are negative.
    Ddpc,
    /// The largest value of each pixel over the frames.
    MaxPattern,
    /// The variance of each pixel over the frames.
    VariancePattern,
}

/// An image to make, with its name in the result.
#[derive(Debug, Clone, PartialEq)]
pub struct Detector {
    pub name: String,
    pub kind: Kind,
}

/// Which detectors are wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Requested {
    /// The default set; what does not fit the frame or the scan is left out with a note.
    Default,
    /// All that have a name: as above.
    All,
    /// These, in this order; what does not fit is refused, or clipped with a warning that tells its coverage.
    Named(Vec<Detector>),
}

/// The names of images: those that [`Detector::named`] knows, those of direct ptychography, and `all`.
const KNOWN: [&str; 30] = [
    "bf",
    "abf",
    "eabf",
    "adf",
    "haadf",
    "com",
    "com_y",
    "com_x",
    "com_magnitude",
    "com_direction",
    "dpc",
    "dpc_y",
    "dpc_x",
    "dphase",
    "dphase_y",
    "dphase_x",
    "idpc",
    "icom",
    "ddpc",
    "segments4",
    "segments8",
    "segments16",
    "mean",
    "max",
    "variance",
    "parallax",
    "ssb",
    "obf",
    "wdd",
    "all",
];
const DEFAULTS: [&str; 8] = ["bf", "abf", "eabf", "adf", "haadf", "com", "idpc", "ddpc"];
const ALL: [&str; 16] = [
    "bf",
    "abf",
    "eabf",
    "adf",
    "haadf",
    "com",
    "com_magnitude",
    "com_direction",
    "dpc",
    "dphase",
    "idpc",
    "ddpc",
    "segments4",
    "segments8",
    "segments16",
    "max",
];

impl Detector {
    /// The detector (or detectors: `com` is both `com_y` and `com_x`, `segments4` is `seg4_0` to `seg4_3`) of a name, with its usual angles: bf and
    /// segments [0, α), abf [0.5α, α), adf from α and haadf from 3α to the edge. `mean` is the pattern that is always made: no detector.
    pub fn named(name: &str) -> Result<Vec<Self>> {
        let ring = |inner, outer| Kind::Annulus(Ring { inner, outer });
        let both = |name: &str| Ok([Self::named(&format!("{name}_y"))?, Self::named(&format!("{name}_x"))?].concat());
        let kind = match name {
            "bf" => Kind::Annulus(Ring::DISK),
            "abf" => ring(Angle::Disk(0.5), Angle::Disk(1.0)),
            "adf" => ring(Angle::Disk(1.0), Angle::Edge),
            "haadf" => ring(Angle::Disk(3.0), Angle::Edge),
            "eabf" => Kind::Eabf { k: None },
            "com_y" => Kind::Com { axis: 0 },
            "com_x" => Kind::Com { axis: 1 },
            "com_magnitude" => Kind::ComMagnitude,
            "com_direction" => Kind::ComDirection,
            "dpc_y" => Kind::HalfPlanes { axis: 0 },
            "dpc_x" => Kind::HalfPlanes { axis: 1 },
            "dphase_y" => Kind::PhaseGradient { axis: 0 },
            "dphase_x" => Kind::PhaseGradient { axis: 1 },
            "idpc" | "icom" => Kind::Idpc,
            "ddpc" => Kind::Ddpc,
            "max" => Kind::MaxPattern,
            "variance" => Kind::VariancePattern,
            "com" | "dpc" | "dphase" => return both(name),
            "segments4" => return Ok(Self::segments("seg4", 4, Ring::DISK, 0.0)),
            "segments8" => return Ok(Self::segments("seg8", 8, Ring::DISK, 0.0)),
            "segments16" => return Ok(Self::segments("seg16", 16, Ring::DISK, 0.0)),
            "mean" => return Ok(Vec::new()),
            _ => {
                let near = KNOWN.iter().map(|k| (strsim::damerau_levenshtein(k, name), *k)).min();
                let hint = near.filter(|(d, _)| *d <= 2).map_or(String::new(), |(_, k)| format!(" Did you mean \"{k}\"?"));
                return Err(Error::UnknownDetector { name: name.into(), known: KNOWN.join(", "), hint });
            }
        };
        Ok(vec![Self { name: name.into(), kind }])
    }

    /// `count` segments of a ring, called `name_0`, `name_1`, … (`name_00` where there are more than ten).
    pub fn segments(name: &str, count: usize, ring: Ring, first_deg: f64) -> Vec<Self> {
        let digits = count.saturating_sub(1).to_string().len();
        let segment = |index| Self { name: format!("{name}_{index:0digits$}"), kind: Kind::Segment { ring, index, count, first_deg } };
        (0..count).map(segment).collect()
    }

    /// The detectors of a set that is asked for without names.
    pub(super) fn listed(requested: &Requested) -> Result<(Vec<Self>, bool)> {
        let all =
            |names: &[&str]| -> Result<Vec<Self>> { Ok(names.iter().map(|name| Self::named(name)).collect::<Result<Vec<_>>>()?.concat()) };
        match requested {
            Requested::Default => Ok((all(&DEFAULTS)?, false)),
            Requested::All => Ok(([all(&ALL)?, Self::named("variance")?].concat(), false)),
            Requested::Named(list) => Ok((list.clone(), true)),
        }
    }
}
