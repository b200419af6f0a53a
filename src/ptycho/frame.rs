//! The object's pixel grid, sized from the scan positions.

use super::{Error, Result};

/// The most pixels along one side of an object.
const MAX_SIDE: f64 = 65536.0;

/// The grid that an object is reconstructed on, in the object frame (axes along the detector's).
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectFrame {
    /// (y, x), λ/(N·Δθ).
    pub pixel_A: [f64; 2],
    pub shape: [usize; 2],
    pub window: [usize; 2],
    /// Where each window's pixel N/2 sits, (row, col) in object pixels, in scan order.
    pub positions_px: Vec<[f64; 2]>,
    /// Where the origin of `positions_A`, scan position (0, 0), sits, in object pixels.
    pub origin_px: [f64; 2],
}

impl ObjectFrame {
    /// The smallest grid that holds every window, for positions (row, col) in Å relative to scan position (0, 0).
    ///
    /// # Errors
    /// If a position is not finite, or the grid would be absurdly large.
    pub fn enclose(positions_A: &[[f64; 2]], pixel_A: [f64; 2], window: [usize; 2]) -> Result<Self> {
        let mut frame = Self { pixel_A, shape: window, window, positions_px: Vec::with_capacity(positions_A.len()), origin_px: [0.0; 2] };
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for (index, position) in positions_A.iter().enumerate() {
            for axis in 0..2 {
                let p = position[axis] / pixel_A[axis];
                if !p.is_finite() {
                    return Err(Error::BadPosition { index });
                }
                low[axis] = low[axis].min(p);
                high[axis] = high[axis].max(p);
            }
        }
        let mut sides = [0.0; 2];
        for axis in 0..2 {
            let first = low[axis].round() - (window[axis] / 2) as f64;
            frame.origin_px[axis] = -first;
            sides[axis] = high[axis].round() - low[axis].round() + window[axis] as f64;
        }
        if !sides.iter().all(|&s| s <= MAX_SIDE) {
            return Err(Error::ObjectTooLarge { height: sides[0], width: sides[1], pixel_A: pixel_A[0] });
        }
        frame.shape = sides.map(|s| s as usize);
        // Rounding of p + origin may differ from rounding of p at halves: a whole origin keeps them alike.
        frame.positions_px = positions_A.iter().map(|p| [0, 1].map(|a| p[a] / pixel_A[a] + frame.origin_px[a])).collect();
        for position in &mut frame.positions_px {
            for axis in 0..2 {
                let (first, last) = ((window[axis] / 2) as f64, (frame.shape[axis] - window[axis] + window[axis] / 2) as f64);
                position[axis] = position[axis].clamp(first - 0.49, last + 0.49);
            }
        }
        Ok(frame)
    }

    /// The same grid with so many more pixels on each side.
    #[must_use]
    pub fn enlarged(mut self, margin_px: usize) -> Self {
        self.shape = self.shape.map(|side| side + 2 * margin_px);
        for place in self.positions_px.iter_mut().chain(std::iter::once(&mut self.origin_px)) {
            place.iter_mut().for_each(|p| *p += margin_px as f64);
        }
        self
    }

    /// The least and the greatest position (row, col) in object pixels whose window lies inside the object.
    pub fn reach_px(&self) -> [[f64; 2]; 2] {
        let first = [0, 1].map(|a| (self.window[a] / 2) as f64 - 0.49);
        let last = [0, 1].map(|a| (self.shape[a] - self.window[a] + self.window[a] / 2) as f64 + 0.49);
        [first, last]
    }

    /// The (y, x) in Å of object pixel (0, 0), relative to scan position (0, 0).
    pub fn first_pixel_A(&self) -> [f64; 2] {
        [0, 1].map(|a| -self.origin_px[a] * self.pixel_A[a])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compute::BatchPlan;

    proptest! {
        #[test]
        fn every_window_lies_inside_the_object_and_no_smaller_object_would_do(
            positions in prop::collection::vec([-40.0..40.0f64, -40.0..40.0f64], 1..40),
            pixel in 0.1..0.9f64,
            ny in 4usize..20, nx in 4usize..20,
        ) {
            let frame = ObjectFrame::enclose(&positions, [pixel, pixel * 1.3], [ny, nx]).unwrap();
            let ids: Vec<u32> = (0..positions.len() as u32).collect();
            // BatchPlan panics where a window reaches beyond the object.
            let plan = BatchPlan::new(&ids, &frame.positions_px, frame.window, frame.shape);
            for axis in 0..2 {
                prop_assert!(plan.corners.iter().any(|c| c[axis] == 0));
                prop_assert!(plan.corners.iter().any(|c| c[axis] as usize + frame.window[axis] == frame.shape[axis]));
                for (position, p) in positions.iter().zip(&frame.positions_px) {
                    let back = (p[axis] - frame.origin_px[axis]) * frame.pixel_A[axis];
                    prop_assert!((back - position[axis]).abs() < 0.02 * frame.pixel_A[axis]);
                }
            }
        }
    }
}
