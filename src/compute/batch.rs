//! Where a batch of windows sits in the object, planned on the host ahead of the device.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use num_complex::Complex64;

use crate::optics::fft_index;

/// The side of an object tile: an update gathers tile by tile, so no two writers share a pixel.
pub const TILE: usize = 16;

/// The touched object tiles of a batch, each with the windows that reach into it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tiles {
    /// The (row, col) of each touched tile's first pixel, in row-major order.
    pub origins: Vec<[u32; 2]>,
    /// Tile t has the members `offsets[t]..offsets[t + 1]`.
    pub offsets: Vec<u32>,
    /// Places in the batch, in the batch's order.
    pub members: Vec<u32>,
}

/// One batch: its patterns, the windows in the object, the phase ramps of their sub-pixel shifts and the tiles they touch.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchPlan {
    /// The patterns of the batch, in its order.
    pub ids: Vec<u32>,
    /// The object pixel (row, col) of each window's first pixel.
    pub corners: Vec<[u32; 2]>,
    /// (batch, ny): e^{−2πi f_y s_y} in FFT order for the sub-pixel shift s, times what [`BatchPlan::scale`] says.
    pub ramps_y: Vec<Complex64>,
    /// (batch, nx).
    pub ramps_x: Vec<Complex64>,
    /// (batch, variation): what of each variation the first mode of a position has.
    pub weights: Vec<f64>,
    /// (batch, ny) and (batch, nx): e^{−2πi f t} in FFT order for the shift t in pixels from slice to slice that a position's own tilt of the sample makes; empty
    /// where the tilt is everywhere the same.
    pub tilts: [Vec<Complex64>; 2],
    pub window: [usize; 2],
    pub object_shape: [usize; 2],
    pub tiles: Tiles,
}

impl BatchPlan {
    /// Plans the batch `ids` of `positions`, which say in object pixels (row, col) where each window's pixel N/2 sits.
    ///
    /// # Panics
    /// If a window reaches beyond the object: the caller sizes the object from the positions.
    pub fn new(ids: &[u32], positions: &[[f64; 2]], window: [usize; 2], object_shape: [usize; 2]) -> Self {
        let mut corners = Vec::with_capacity(ids.len());
        let mut ramps_y = Vec::with_capacity(ids.len() * window[0]);
        let mut ramps_x = Vec::with_capacity(ids.len() * window[1]);
        for &id in ids {
            let position = positions[id as usize];
            let whole = position.map(f64::round);
            let corner = [0, 1].map(|a| {
                let first = whole[a] - (window[a] / 2) as f64;
                assert!(first >= 0.0 && first as usize + window[a] <= object_shape[a], "window of pattern {id} reaches beyond the object");
                first as u32
            });
            corners.push(corner);
            ramps_y.extend(shift_ramp(window[0], position[0] - whole[0]));
            ramps_x.extend(shift_ramp(window[1], position[1] - whole[1]));
        }
        let tiles = Tiles::touched(&corners, window);
        Self {
            ids: ids.to_vec(),
            corners,
            ramps_y,
            ramps_x,
            weights: Vec::new(),
            tilts: [Vec::new(), Vec::new()],
            window,
            object_shape,
            tiles,
        }
    }

    /// Multiplies the probes by a factor of each pattern.
    pub fn scale(&mut self, factor: impl Fn(u32) -> f64) {
        for (id, ramp) in self.ids.iter().zip(self.ramps_y.chunks_exact_mut(self.window[0])) {
            let factor = factor(*id);
            if factor != 1.0 {
                ramp.iter_mut().for_each(|r| *r *= factor);
            }
        }
    }

    /// Gives each pattern a shift (y, x) in pixels from slice to slice.
    pub fn tilt(&mut self, shift: impl Fn(u32) -> [f64; 2]) {
        let shifts: Vec<[f64; 2]> = self.ids.iter().map(|&id| shift(id)).collect();
        let of = |axis: usize| shifts.iter().flat_map(|shift| shift_ramp(self.window[axis], shift[axis])).collect();
        self.tilts = [of(0), of(1)];
    }

    /// Have positions a tilt of their own?
    pub fn is_tilted(&self) -> bool {
        !self.tilts[0].is_empty()
    }

    /// The variations of the probe.
    pub fn variations(&self) -> usize {
        if self.ids.is_empty() { 0 } else { self.weights.len() / self.ids.len() }
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

impl Tiles {
    /// The tiles that windows of this shape at these corners touch.
    fn touched(corners: &[[u32; 2]], window: [usize; 2]) -> Self {
        let mut members: BTreeMap<[u32; 2], Vec<u32>> = BTreeMap::new();
        for (b, corner) in corners.iter().enumerate() {
            let [rows, cols] = [0, 1].map(|a| {
                let first = corner[a] as usize / TILE;
                let last = (corner[a] as usize + window[a] - 1) / TILE;
                first..=last
            });
            for row in rows {
                for col in cols.clone() {
                    members.entry([(row * TILE) as u32, (col * TILE) as u32]).or_default().push(b as u32);
                }
            }
        }
        let mut tiles = Self { offsets: vec![0], ..Self::default() };
        for (origin, list) in members {
            tiles.origins.push(origin);
            tiles.members.extend(list);
            tiles.offsets.push(tiles.members.len() as u32);
        }
        tiles
    }
}

/// e^{−2πi f s} for the n frequencies f of FFT order: multiplied to a spectrum it shifts the array by +s pixels.
pub fn shift_ramp(n: usize, shift: f64) -> impl Iterator<Item = Complex64> {
    (0..n).map(move |k| Complex64::cis(-TAU * fft_index(k, n) * shift / n as f64))
}
