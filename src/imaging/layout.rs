//! The masks of a pass, and the images that its sums make.

use std::f64::consts::{PI, TAU};
use std::sync::Arc;

use crate::compute::DetectorSet;
use crate::run::Event;

use super::geometry::{Geometry, SamplingUnit};
use super::{Angle, Detector, Error, ImagingPlan, Kind, Result};

/// How an image is made of the sums of a pass.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Output {
    Linear(Linear),
    Com { axis: usize },
    ComMagnitude,
    ComDirection,
    Idpc,
    Ddpc,
    MaxPattern,
    VariancePattern,
}

impl Output {
    /// Is it made of centres of mass?
    pub(super) fn is_of_com(&self) -> bool {
        matches!(self, Self::Com { .. } | Self::ComMagnitude | Self::ComDirection | Self::Idpc | Self::Ddpc)
    }

    /// Is it an image along the scan, not a pattern?
    pub(super) fn is_of_scan(&self) -> bool {
        !matches!(self, Self::MaxPattern | Self::VariancePattern)
    }

    fn needs_field(&self) -> bool {
        matches!(self, Self::Idpc | Self::Ddpc)
    }
}

/// Σ w·S over masks that share no pixel, over the frame's sum less a constant if so asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Linear {
    /// Each mask with its weight.
    pub(super) weights: Vec<(usize, f64)>,
    /// What an evenly filled disk at the zero angle makes, over its sum: pixels are whole, a disk's halves are not. Subtracted where values are over the frame's sum.
    pub(super) over_total: Option<f64>,
    pub(super) unit: &'static str,
    /// The factor of eabf.
    pub(super) k: Option<f64>,
}

/// An image to be made, with what is told of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) output: Output,
    /// [inner, outer) in the geometry's unit, of a detector that is a ring or a part of one (eabf: its outer part and centre together).
    pub(super) range: Option<[f64; 2]>,
    /// The part of the detector's pixels that lie in the frame and count.
    pub(super) coverage: f64,
}

/// The masks of all detectors of a pass, and the images made of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    pub(super) set: DetectorSet,
    pub(super) images: Vec<Planned>,
    /// What was left out or clipped.
    pub(super) told: Vec<Event>,
    drawn: Vec<Shape>,
}

/// Which pixels a mask has.
#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Ring([f64; 2]),
    /// Segment (index, count) of a ring (or of the whole frame) from an azimuth in degrees.
    Segment(Option<[f64; 2]>, usize, usize, f64),
    /// The half of the frame on one side of the zero angle along an axis.
    Half(usize, bool),
    Pixels(Arc<[bool]>, Option<[f64; 2]>),
}

impl Shape {
    fn ring(&self) -> Option<[f64; 2]> {
        match self {
            Self::Ring(ring) => Some(*ring),
            Self::Segment(ring, ..) | Self::Pixels(_, ring) => *ring,
            Self::Half(..) => None,
        }
    }

    fn contains(&self, geometry: &Geometry, pixel: usize) -> bool {
        let [y, x] = geometry.offset(pixel);
        if let Some([inner, outer]) = self.ring()
            && !(inner..outer).contains(&y.hypot(x))
        {
            return false;
        }
        match *self {
            Self::Ring(_) => true,
            Self::Segment(_, index, count, first_deg) => {
                let turn = (y.atan2(x).to_degrees() - first_deg).rem_euclid(360.0) / 360.0;
                // An azimuth just below 0 may round to a whole turn.
                (turn * count as f64) as usize % count == index
            }
            Self::Half(axis, positive) => {
                let along = [y, x][axis];
                along != 0.0 && (along > 0.0) == positive
            }
            Self::Pixels(ref pixels, _) => pixels[pixel],
        }
    }

    /// The part of a whole ring that it takes.
    fn share_of_ring(&self) -> f64 {
        match *self {
            Self::Segment(_, _, count, _) => 1.0 / count as f64,
            Self::Ring(_) | Self::Half(..) | Self::Pixels(..) => 1.0,
        }
    }
}

/// Why a detector is not made.
enum Misfit {
    /// Left out of a set without names with a note, refused by name.
    Beyond(String),
    Refused(Error),
}

impl From<Error> for Misfit {
    fn from(e: Error) -> Self {
        Self::Refused(e)
    }
}

/// Segments of the frame that [`Kind::PhaseGradient`] uses.
const GRADIENT_SEGMENTS: usize = 16;

impl Layout {
    /// Draws the masks of the detectors that the plan asks for; its scan shape says whether idpc and ddpc can be made.
    pub(super) fn new(geometry: &Geometry, plan: &ImagingPlan) -> Result<Self> {
        let set = DetectorSet::sums_only(geometry.shape, plan.valid.as_deref());
        let mut layout = Self { set, images: Vec::new(), told: Vec::new(), drawn: Vec::new() };
        let (mut list, by_name) = Detector::listed(&plan.detectors)?;
        for detector in &mut list {
            if let Kind::Eabf { k: k @ None } = &mut detector.kind {
                *k = plan.eabf_k;
            }
        }
        for (k, detector) in list.iter().enumerate() {
            if list[..k].iter().any(|d| d.name == detector.name) {
                return Err(Error::DuplicateDetector { name: detector.name.clone() });
            }
            match layout.add(geometry, detector, by_name, plan) {
                Ok(()) => {}
                Err(Misfit::Refused(e)) => return Err(e),
                Err(Misfit::Beyond(reason)) if by_name => {
                    return Err(if matches!(detector.kind, Kind::Idpc | Kind::Ddpc) {
                        Error::ScanTooSmall { name: detector.name.clone(), scan_shape: plan.scan_shape }
                    } else {
                        Error::DoesNotFit { name: detector.name.clone(), reason, edge: geometry.words(geometry.edge()) }
                    });
                }
                Err(Misfit::Beyond(reason)) => layout.told.push(Event::Note { text: format!("{} is left out: {reason}.", detector.name) }),
            }
        }
        if layout.drawn.len() > DetectorSet::MOST {
            return Err(Error::TooManyMasks { asked: list.len(), masks: layout.drawn.len(), limit: DetectorSet::MOST });
        }
        layout.set.detectors = layout.drawn.len();
        let made = |of: fn(&Output) -> bool| layout.images.iter().any(|image| of(&image.output));
        let (statistics, of_com) = (made(|o| !o.is_of_scan()), made(Output::is_of_com));
        layout.set.statistics = statistics;
        layout.set.second_moments = plan.errors && of_com;
        Ok(layout)
    }

    fn add(&mut self, geometry: &Geometry, detector: &Detector, by_name: bool, plan: &ImagingPlan) -> std::result::Result<(), Misfit> {
        let name = &detector.name;
        let mut range = None;
        let mut coverage = 1.0;
        let counts = |weights| Linear { weights, over_total: None, unit: "counts", k: None };
        let output = match &detector.kind {
            Kind::Com { axis } => Output::Com { axis: *axis },
            Kind::ComMagnitude => Output::ComMagnitude,
            Kind::ComDirection => Output::ComDirection,
            Kind::MaxPattern => Output::MaxPattern,
            Kind::VariancePattern => Output::VariancePattern,
            Kind::Idpc => Output::Idpc,
            Kind::Ddpc => Output::Ddpc,
            Kind::Annulus(ring) => {
                let asked = geometry.resolve_ring(name, *ring)?;
                let (mask, covered) = self.mask(geometry, name, Shape::Ring(asked), ring.outer == Angle::Edge, by_name)?;
                (range, coverage) = (Some(asked), covered);
                Output::Linear(counts(vec![(mask, 1.0)]))
            }
            Kind::Segment { ring, index, count, first_deg } => {
                if *count == 0 || index >= count || !first_deg.is_finite() {
                    return Err(Error::BadSegments { name: name.clone(), count: *count, first_deg: *first_deg }.into());
                }
                let asked = geometry.resolve_ring(name, *ring)?;
                let shape = Shape::Segment(Some(asked), *index, *count, *first_deg);
                let (mask, covered) = self.mask(geometry, name, shape, ring.outer == Angle::Edge, by_name)?;
                (range, coverage) = (Some(asked), covered);
                Output::Linear(counts(vec![(mask, 1.0)]))
            }
            Kind::Mask { pixels, ring } => {
                let found = pixels.len();
                let expected = geometry.shape[0] * geometry.shape[1];
                if found != expected {
                    return Err(Error::DetectorShape { name: name.clone(), found, shape: geometry.shape }.into());
                }
                range = ring.map(|ring| geometry.resolve_ring(name, ring)).transpose()?;
                let (mask, covered) = self.mask(geometry, name, Shape::Pixels(pixels.clone(), range), true, by_name)?;
                coverage = covered;
                Output::Linear(counts(vec![(mask, 1.0)]))
            }
            Kind::Eabf { k } => {
                if let Some(k) = k.filter(|k| !k.is_finite()) {
                    return Err(Error::BadFactor { name: name.clone(), k }.into());
                }
                let rim = 0.5 * geometry.radius;
                let (centre, _) = self.mask(geometry, name, Shape::Ring([0.0, rim]), false, by_name)?;
                let (abf, covered) = self.mask(geometry, name, Shape::Ring([rim, geometry.radius]), false, by_name)?;
                (range, coverage) = (Some([0.0, geometry.radius]), covered);
                let k = k.unwrap_or_else(|| self.vacuum_ratio(geometry, abf, centre));
                Output::Linear(Linear { k: Some(k), ..counts(vec![(abf, 1.0), (centre, -k)]) })
            }
            Kind::HalfPlanes { axis } => {
                let (above, _) = self.mask(geometry, name, Shape::Half(*axis, true), false, by_name)?;
                let (below, _) = self.mask(geometry, name, Shape::Half(*axis, false), false, by_name)?;
                let shift = PI / 4.0 * geometry.radius;
                self.shift(geometry, vec![(above, shift), (below, -shift)], geometry.unit.name())
            }
            Kind::PhaseGradient { axis } => {
                let mut weights = Vec::new();
                for index in 0..GRADIENT_SEGMENTS {
                    let (mask, _) = self.mask(geometry, name, Shape::Segment(None, index, GRADIENT_SEGMENTS, 0.0), false, by_name)?;
                    weights.push((mask, segment_response(index, GRADIENT_SEGMENTS)[*axis]));
                }
                // The shift nearest in least squares to what the segments see: all their responses have one sum of squares along each axis.
                let norm: f64 = weights.iter().map(|(_, r)| r * r).sum();
                let (factor, unit) = match (geometry.unit, plan.voltage_kV) {
                    (SamplingUnit::Mrad, Some(voltage)) => (TAU * 1e-3 / crate::optics::wavelength_A(voltage), "rad/Å"),
                    _ if by_name => return Err(Error::GradientNeedsOptics { name: name.clone() }.into()),
                    _ => return Err(Misfit::Beyond("a phase gradient in rad/Å needs the voltage and the angle of a pixel".to_owned())),
                };
                weights.iter_mut().for_each(|(_, r)| *r *= factor * geometry.radius / norm);
                self.shift(geometry, weights, unit)
            }
        };
        if output.needs_field() && plan.scan_shape.contains(&1) {
            let [rows, columns] = plan.scan_shape;
            return Err(Misfit::Beyond(format!("a scan of {rows}×{columns} positions is no field to integrate or differentiate over")));
        }
        self.images.push(Planned { name: name.clone(), output, range, coverage });
        Ok(())
    }

    /// The bit of a mask (drawn once), and its coverage.
    fn mask(
        &mut self,
        geometry: &Geometry,
        name: &str,
        shape: Shape,
        to_edge: bool,
        by_name: bool,
    ) -> std::result::Result<(usize, f64), Misfit> {
        let edge = geometry.edge();
        let ring = shape.ring();
        let [inner, outer] = ring.unwrap_or([0.0, f64::MAX]);
        if to_edge && ring.is_some() && inner >= edge && inner.is_finite() {
            return Err(Misfit::Beyond(format!("it begins at {}, the frame reaches to {}", geometry.words(inner), geometry.words(edge))));
        }
        if !(inner >= 0.0 && inner < outer && outer.is_finite()) {
            return Err(Error::BadAnnulus { name: name.into(), inner: geometry.words(inner), outer: geometry.words(outer) }.into());
        }
        let members: Vec<usize> = (0..self.set.bits.len()).filter(|&p| shape.contains(geometry, p)).collect();
        let counting = members.iter().filter(|&&p| self.set.bits[p] & DetectorSet::VALID != 0).count();
        let fits = ring.is_none() || outer <= edge * (1.0 + 1e-12);
        let whole = if fits {
            members.len() as f64
        } else {
            let area = PI * (outer * outer - inner * inner) / (geometry.scale[0] * geometry.scale[1]);
            (area * shape.share_of_ring()).max(members.len() as f64)
        };
        if counting == 0 {
            let which = match ring {
                Some(_) => format!("no counting pixel's centre lies between {} and {}", geometry.words(inner), geometry.words(outer)),
                None => "its mask has no counting pixel".to_owned(),
            };
            return Err(Misfit::Beyond(which));
        }
        let coverage = counting as f64 / whole;
        if !fits && !matches!(shape, Shape::Pixels(..)) {
            if !by_name {
                return Err(Misfit::Beyond(format!("it ends at {}, the frame reaches to {}", geometry.words(outer), geometry.words(edge))));
            }
            let text = format!(
                "{name} ends at {}, beyond the frame ({}): it is clipped and covers {:.1} % of its angles.",
                geometry.words(outer),
                geometry.words(edge),
                coverage * 100.0
            );
            self.told.push(Event::Warning { text });
        }
        let mask = self.drawn.iter().position(|d| *d == shape).unwrap_or_else(|| {
            let own = bit(self.drawn.len());
            for p in members {
                if self.set.bits[p] & DetectorSet::VALID != 0 {
                    self.set.bits[p] |= own;
                }
            }
            self.drawn.push(shape);
            self.drawn.len() - 1
        });
        Ok((mask, coverage))
    }

    /// An image of shifts of the disk, 0 where the disk lies at the zero angle.
    fn shift(&self, geometry: &Geometry, weights: Vec<(usize, f64)>, unit: &'static str) -> Output {
        let response: f64 = weights.iter().map(|&(mask, weight)| weight * self.area_in_disk(geometry, bit(mask))).sum();
        let offset = response / self.area_in_disk(geometry, DetectorSet::VALID);
        Output::Linear(Linear { weights, over_total: Some(offset), unit, k: None })
    }

    /// The ratio of two masks' areas inside the disk.
    fn vacuum_ratio(&self, geometry: &Geometry, above: usize, below: usize) -> f64 {
        self.area_in_disk(geometry, bit(above)) / self.area_in_disk(geometry, bit(below))
    }

    /// How much of the disk the pixels with these bits cover, in pixels; pixels on its rim count by their part inside.
    fn area_in_disk(&self, geometry: &Geometry, bits: u64) -> f64 {
        let nx = geometry.shape[1];
        let members = self.set.bits.iter().enumerate().filter(|(_, b)| **b & bits != 0);
        members.map(|(p, _)| geometry.share_in_disk(p / nx, p % nx)).sum()
    }
}

/// The bit of a mask. Beyond the bits of a pass there is none, and nothing is drawn: the layout is refused.
fn bit(mask: usize) -> u64 {
    1u64.checked_shl(mask as u32).filter(|b| *b != DetectorSet::VALID).unwrap_or(0)
}

/// How much of an evenly filled disk of radius 1 and sum 1 enters a segment, (y, x), for a small shift of 1: the integral of its rim's normal over π.
fn segment_response(index: usize, count: usize) -> [f64; 2] {
    let azimuth = |k: usize| TAU * k as f64 / count as f64;
    let (from, to) = (azimuth(index), azimuth(index + 1));
    [(from.cos() - to.cos()) / PI, (to.sin() - from.sin()) / PI]
}
