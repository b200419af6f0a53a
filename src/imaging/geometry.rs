//! Angles on the detector.

use super::{Angle, Error, Result, Ring};

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
    /// Where pixel p (row-major) lies from the zero angle, (y, x) in the geometry's unit.
    pub(super) fn offset(&self, p: usize) -> [f64; 2] {
        let (y, x) = (p / self.shape[1], p % self.shape[1]);
        [(y as f64 - self.centre[0]) * self.scale[0], (x as f64 - self.centre[1]) * self.scale[1]]
    }

    /// A ring's edges in this geometry's unit.
    pub(super) fn resolve_ring(&self, name: &str, ring: Ring) -> Result<[f64; 2]> {
        Ok([self.resolve(name, ring.inner)?, self.resolve(name, ring.outer)?])
    }

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

    pub(super) fn words(&self, value: f64) -> String {
        format!("{value:.4} {}", self.unit.name())
    }

    /// The part of pixel (y, x) inside the disk, by 16×16 points where the rim crosses it.
    pub(super) fn share_in_disk(&self, y: usize, x: usize) -> f64 {
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
