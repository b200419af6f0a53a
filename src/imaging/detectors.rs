//! The detectors that a user asks for, and their masks on the frame at hand.

use crate::compute::DetectorSet;
use crate::run::Event;

use super::{Error, ImagingPlan, Result};

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

/// What a detector makes of the frames.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The sum of the pixels whose centre lies at an angle in [inner, outer).
    Annulus { inner: Angle, outer: Angle },
    /// I_ABF − k·I_centre, [0.5, 1) and [0, 0.5) of the disk (Findlay et al., Ultramicroscopy 136 (2014) 31). By default k is the
    /// plan's, or else the ratio of the two masks' areas inside the disk, so that vacuum is 0.
    Eabf { k: Option<f64> },
    /// The centre of mass along the detector's rows, in the detector's frame, relative to the zero angle.
    ComY,
    /// The same along its columns.
    ComX,
    /// The integral of the centre of mass over the scan.
    Idpc,
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
    /// These, in this order; what does not fit is refused, or clipped with a warning that tells its coverage.
    Named(Vec<Detector>),
}

/// The names of images; `com` is both `com_y` and `com_x`, and the last four are no detectors but methods of [`super::direct`].
const KNOWN: [&str; 13] = ["bf", "abf", "eabf", "adf", "haadf", "com", "com_y", "com_x", "idpc", "parallax", "ssb", "obf", "wdd"];

impl Detector {
    /// The detector (or, for `com`, the two) of a name, with its usual angles: bf [0, α), abf [0.5α, α), adf from α and haadf
    /// from 3α to the edge.
    pub fn named(name: &str) -> Result<Vec<Self>> {
        let annulus = |inner, outer| Kind::Annulus { inner, outer };
        let kind = match name {
            "bf" => annulus(Angle::Disk(0.0), Angle::Disk(1.0)),
            "abf" => annulus(Angle::Disk(0.5), Angle::Disk(1.0)),
            "adf" => annulus(Angle::Disk(1.0), Angle::Edge),
            "haadf" => annulus(Angle::Disk(3.0), Angle::Edge),
            "eabf" => Kind::Eabf { k: None },
            "com_y" => Kind::ComY,
            "com_x" => Kind::ComX,
            "idpc" => Kind::Idpc,
            "com" => return Ok([Self::named("com_y")?, Self::named("com_x")?].concat()),
            _ => {
                let near = KNOWN.iter().map(|k| (strsim::damerau_levenshtein(k, name), *k)).min();
                let hint = near.filter(|(d, _)| *d <= 2).map_or(String::new(), |(_, k)| format!(" Did you mean \"{k}\"?"));
                return Err(Error::UnknownDetector { name: name.into(), known: KNOWN.join(", "), hint });
            }
        };
        Ok(vec![Self { name: name.into(), kind }])
    }

    fn defaults() -> Result<Vec<Self>> {
        let names = ["bf", "abf", "eabf", "adf", "haadf", "com", "idpc"];
        names.iter().try_fold(Vec::new(), |all, name| Ok([all, Self::named(name)?].concat()))
    }
}

/// The unit of a [`Geometry`]'s lengths on the detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SamplingUnit {
    Mrad,
    Px,
}

impl SamplingUnit {
    pub fn name(self) -> &'static str {
        match self {
            Self::Mrad => "mrad",
            Self::Px => "px",
        }
    }
}

/// Where angles lie on the detector.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Geometry {
    pub(super) shape: [usize; 2],
    /// The pixel (y, x) of the zero angle.
    pub(super) centre: [f64; 2],
    /// A pixel's sides (y, x) in `unit`.
    pub(super) scale: [f64; 2],
    pub(super) unit: SamplingUnit,
    /// The bright-field disk's radius in `unit`.
    pub(super) radius: f64,
}

impl Geometry {
    /// The angle of the point (y, x).
    fn angle(&self, y: f64, x: f64) -> f64 {
        ((y - self.centre[0]) * self.scale[0]).hypot((x - self.centre[1]) * self.scale[1])
    }

    /// The radius of the largest circle about the centre inside the frame.
    pub(super) fn edge(&self) -> f64 {
        [0, 1]
            .map(|a| (self.centre[a] + 0.5).min(self.shape[a] as f64 - 0.5 - self.centre[a]) * self.scale[a])
            .into_iter()
            .fold(f64::INFINITY, f64::min)
    }

    fn mean_scale(&self) -> f64 {
        (self.scale[0] * self.scale[1]).sqrt()
    }

    /// An angle in this geometry's unit.
    fn resolve(&self, name: &str, angle: Angle) -> Result<f64> {
        match (angle, self.unit) {
            (Angle::Mrad(v), SamplingUnit::Mrad) => Ok(v),
            (Angle::Mrad(_), SamplingUnit::Px) => Err(Error::UnknownAngle { name: name.into() }),
            (Angle::Disk(share), _) => Ok(share * self.radius),
            (Angle::Px(v), _) => Ok(v * self.mean_scale()),
            (Angle::Edge, _) => Ok(self.edge()),
        }
    }

    fn words(&self, value: f64) -> String {
        format!("{value:.4} {}", self.unit.name())
    }

    /// The part of pixel (y, x) inside the disk, by 16×16 points where the rim crosses it.
    fn share_in_disk(&self, y: usize, x: usize) -> f64 {
        const POINTS: usize = 16;
        let (angle, reach) = (self.angle(y as f64, x as f64), self.scale[0].hypot(self.scale[1]) / 2.0);
        if (angle - self.radius).abs() > reach {
            return f64::from(u8::from(angle < self.radius));
        }
        let offset = |k: usize| (k as f64 + 0.5) / POINTS as f64 - 0.5;
        let inside =
            (0..POINTS * POINTS).filter(|k| self.angle(y as f64 + offset(k / POINTS), x as f64 + offset(k % POINTS)) < self.radius);
        inside.count() as f64 / (POINTS * POINTS) as f64
    }
}

/// How an image is made of the sums of a pass.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Output {
    Sum { mask: usize },
    Eabf { abf: usize, centre: usize, k: f64 },
    ComY,
    ComX,
    Idpc,
}

/// An image to be made, with what is told of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) output: Output,
    /// [inner, outer) in the geometry's unit, of a detector that is an annulus (eabf: of its outer part and centre together).
    pub(super) range: Option<[f64; 2]>,
    /// The part of the annulus's pixels that lie in the frame and count.
    pub(super) coverage: f64,
}

/// The masks of all detectors of a pass, and the images made of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    pub(super) set: DetectorSet,
    pub(super) images: Vec<Planned>,
    /// What was left out or clipped.
    pub(super) told: Vec<Event>,
}

/// Why a detector is not made.
enum Misfit {
    /// Left out of a default set with a note, refused by name.
    Beyond(String),
    Refused(Error),
}

impl From<Error> for Misfit {
    fn from(e: Error) -> Self {
        Self::Refused(e)
    }
}

impl Layout {
    /// Draws the masks of the detectors that the plan asks for; its scan shape says whether idpc can be made.
    pub(super) fn new(geometry: &Geometry, plan: &ImagingPlan) -> Result<Self> {
        let (valid, scan_shape) = (plan.valid.as_deref(), plan.scan_shape);
        let pixels = geometry.shape[0] * geometry.shape[1];
        let bits = (0..pixels).map(|p| if valid.is_none_or(|v| v[p]) { DetectorSet::VALID } else { 0 }).collect();
        let set = DetectorSet { shape: geometry.shape, detectors: 0, bits };
        let mut layout = Self { set, images: Vec::new(), told: Vec::new() };
        let mut drawn = Vec::new();
        let (mut list, by_name) = match &plan.detectors {
            Requested::Default => (Detector::defaults()?, false),
            Requested::Named(list) => (list.clone(), true),
        };
        for detector in &mut list {
            if let Kind::Eabf { k: k @ None } = &mut detector.kind {
                *k = plan.eabf_k;
            }
        }
        for (k, detector) in list.iter().enumerate() {
            if list[..k].iter().any(|d| d.name == detector.name) {
                return Err(Error::DuplicateDetector { name: detector.name.clone() });
            }
            match layout.add(geometry, detector, by_name, scan_shape, &mut drawn) {
                Ok(()) => {}
                Err(Misfit::Refused(e)) => return Err(e),
                Err(Misfit::Beyond(reason)) if by_name => {
                    return Err(if matches!(detector.kind, Kind::Idpc) {
                        Error::ScanTooSmall { scan_shape }
                    } else {
                        Error::DoesNotFit { name: detector.name.clone(), reason, edge: geometry.words(geometry.edge()) }
                    });
                }
                Err(Misfit::Beyond(reason)) => layout.told.push(Event::Note { text: format!("{} is left out: {reason}.", detector.name) }),
            }
        }
        const LIMIT: usize = 31;
        if drawn.len() > LIMIT {
            return Err(Error::TooManyMasks { asked: list.len(), masks: drawn.len(), limit: LIMIT });
        }
        layout.set.detectors = drawn.len();
        Ok(layout)
    }

    fn add(
        &mut self,
        geometry: &Geometry,
        detector: &Detector,
        by_name: bool,
        scan_shape: [usize; 2],
        drawn: &mut Vec<[f64; 2]>,
    ) -> std::result::Result<(), Misfit> {
        let name = &detector.name;
        let mut range = None;
        let mut coverage = 1.0;
        let output = match detector.kind {
            Kind::ComY => Output::ComY,
            Kind::ComX => Output::ComX,
            Kind::Idpc if scan_shape.contains(&1) => {
                return Err(Misfit::Beyond(format!(
                    "a scan of {}×{} positions is no field to integrate over",
                    scan_shape[0], scan_shape[1]
                )));
            }
            Kind::Idpc => Output::Idpc,
            Kind::Annulus { inner, outer } => {
                let asked = [geometry.resolve(name, inner)?, geometry.resolve(name, outer)?];
                let (mask, covered) = self.annulus(geometry, name, asked, matches!(outer, Angle::Edge), by_name, drawn)?;
                (range, coverage) = (Some(asked), covered);
                Output::Sum { mask }
            }
            Kind::Eabf { k } => {
                if let Some(k) = k.filter(|k| !k.is_finite()) {
                    return Err(Error::BadFactor { name: name.clone(), k }.into());
                }
                let rim = 0.5 * geometry.radius;
                let (centre, _) = self.annulus(geometry, name, [0.0, rim], false, by_name, drawn)?;
                let (abf, covered) = self.annulus(geometry, name, [rim, geometry.radius], false, by_name, drawn)?;
                (range, coverage) = (Some([0.0, geometry.radius]), covered);
                Output::Eabf { abf, centre, k: k.unwrap_or_else(|| self.vacuum_ratio(geometry, abf, centre)) }
            }
        };
        self.images.push(Planned { name: name.clone(), output, range, coverage });
        Ok(())
    }

    /// The bit of the annulus's mask (drawn once), and its coverage.
    fn annulus(
        &mut self,
        geometry: &Geometry,
        name: &str,
        [inner, outer]: [f64; 2],
        to_edge: bool,
        by_name: bool,
        drawn: &mut Vec<[f64; 2]>,
    ) -> std::result::Result<(usize, f64), Misfit> {
        let edge = geometry.edge();
        if to_edge && inner >= edge && inner.is_finite() {
            return Err(Misfit::Beyond(format!("it begins at {}, the frame reaches to {}", geometry.words(inner), geometry.words(edge))));
        }
        if !(inner >= 0.0 && inner < outer && outer.is_finite()) {
            return Err(Error::BadAnnulus { name: name.into(), inner: geometry.words(inner), outer: geometry.words(outer) }.into());
        }
        let nx = geometry.shape[1];
        let inside = |p: usize| (inner..outer).contains(&geometry.angle((p / nx) as f64, (p % nx) as f64));
        let members: Vec<usize> = (0..self.set.bits.len()).filter(|&p| inside(p)).collect();
        let counting = members.iter().filter(|&&p| self.set.bits[p] & DetectorSet::VALID != 0).count();
        let fits = outer <= edge * (1.0 + 1e-12);
        let whole = if fits {
            members.len() as f64
        } else {
            (std::f64::consts::PI * (outer * outer - inner * inner) / (geometry.scale[0] * geometry.scale[1])).max(members.len() as f64)
        };
        if counting == 0 {
            return Err(Misfit::Beyond(format!(
                "no counting pixel's centre lies between {} and {}",
                geometry.words(inner),
                geometry.words(outer)
            )));
        }
        let coverage = counting as f64 / whole;
        if !fits {
            if !by_name {
                return Err(Misfit::Beyond(format!("it ends at {}, the frame reaches to {}", geometry.words(outer), geometry.words(edge))));
            }
            let text = format!(
                "{name} ends at {}, beyond the frame ({}): it is clipped and covers {:.1} % of its annulus.",
                geometry.words(outer),
                geometry.words(edge),
                coverage * 100.0
            );
            self.told.push(Event::Warning { text });
        }
        let mask = drawn.iter().position(|d| *d == [inner, outer]).unwrap_or_else(|| {
            // Beyond the 31 bits of a pass nothing is drawn: the caller refuses.
            let bit = 1u32.checked_shl(drawn.len() as u32).filter(|b| *b != DetectorSet::VALID).unwrap_or(0);
            for p in members {
                if self.set.bits[p] & DetectorSet::VALID != 0 {
                    self.set.bits[p] |= bit;
                }
            }
            drawn.push([inner, outer]);
            drawn.len() - 1
        });
        Ok((mask, coverage))
    }

    /// The ratio of two masks' areas inside the disk, pixels on its rim by their part inside.
    fn vacuum_ratio(&self, geometry: &Geometry, above: usize, below: usize) -> f64 {
        let nx = geometry.shape[1];
        let area = |mask: usize| -> f64 {
            let members = self.set.bits.iter().enumerate().filter(|(_, b)| mask < 31 && **b >> mask & 1 != 0);
            members.map(|(p, _)| geometry.share_in_disk(p / nx, p % nx)).sum()
        };
        area(above) / area(below)
    }
}
