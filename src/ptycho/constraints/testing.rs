//! Random objects and probes, and their patterns by transforms written out.

use std::f64::consts::TAU;

use num_complex::Complex64;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Constraint, Parts, Scheduled};

/// A random stream that a failed test prints the seed of.
pub(super) fn rng() -> ChaCha8Rng {
    let seed = rand::random();
    println!("seed {seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// max |a − b|.
pub(super) fn largest(a: &[Complex64], b: &[Complex64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let difference = |(a, b): (&Complex64, &Complex64)| (a - b).norm();
    // A NaN is no small number.
    a.iter().zip(b).map(difference).fold(0.0, |most, d| if d <= most { most } else { d })
}

/// What [`Parts`] borrow.
pub(super) struct Sample {
    pub(super) object: Vec<Complex64>,
    pub(super) slices: usize,
    pub(super) object_shape: [usize; 2],
    pub(super) probe_hat: Vec<Complex64>,
    pub(super) modes: usize,
    pub(super) window: [usize; 2],
    pub(super) pixel_A: [f64; 2],
    pub(super) slice_thickness_A: f64,
    pub(super) positions: Vec<[f64; 2]>,
    pub(super) aperture_inverse_A: f64,
    rng: ChaCha8Rng,
}

impl Sample {
    /// Amplitudes of 0.6 to 1.3, phases of −0.5 to 1.5, two slices and two modes.
    pub(super) fn random() -> Self {
        let mut sample = Self {
            object: Vec::new(),
            slices: 2,
            object_shape: [20, 18],
            probe_hat: Vec::new(),
            modes: 2,
            window: [8, 10],
            pixel_A: [0.21, 0.23],
            slice_thickness_A: 1.7,
            positions: Vec::new(),
            aperture_inverse_A: 1.1,
            rng: rng(),
        };
        sample.fill();
        sample
    }

    pub(super) fn with_slices(mut self, slices: usize) -> Self {
        self.slices = slices;
        self.fill();
        self
    }

    pub(super) fn with_modes(mut self, modes: usize) -> Self {
        self.modes = modes;
        self.fill();
        self
    }

    pub(super) fn with_window(mut self, window: [usize; 2]) -> Self {
        self.window = window;
        self.object_shape = [window[0] + 12, window[1] + 8];
        self.fill();
        self
    }

    fn fill(&mut self) {
        let Self { rng, object_shape, window, .. } = self;
        let object = (0..self.slices * object_shape[0] * object_shape[1])
            .map(|_| Complex64::from_polar(rng.random_range(0.6..1.3), rng.random_range(-0.5..1.5)));
        self.object = object.collect();
        let probes =
            (0..self.modes * window[0] * window[1]).map(|_| Complex64::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0)));
        self.probe_hat = probes.collect();
        // The corners of what the windows may reach, and some in between.
        let [y, x] = [0, 1].map(|a| ((window[a] / 2) as f64, (object_shape[a] - window[a]) as f64));
        self.positions = (0..5).map(|_| [y.0 + y.1 * rng.random::<f64>(), x.0 + x.1 * rng.random::<f64>()]).collect();
        self.positions.extend([[y.0, x.0], [y.0 + y.1, x.0 + x.1]]);
    }

    pub(super) fn parts(&mut self) -> Parts<'_> {
        Parts {
            object: &mut self.object,
            slices: self.slices,
            object_shape: self.object_shape,
            probe_hat: &mut self.probe_hat,
            modes: self.modes,
            window: self.window,
            pixel_A: self.pixel_A,
            slice_thickness_A: self.slice_thickness_A,
            positions_px: &self.positions,
            aperture_inverse_A: self.aperture_inverse_A,
        }
    }

    pub(super) fn apply(&mut self, constraint: &Constraint, strength: f64) {
        Scheduled { strength, ..Scheduled::always(constraint.clone()) }.apply(&mut self.parts()).unwrap();
    }

    pub(super) fn area(&self) -> usize {
        self.object_shape[0] * self.object_shape[1]
    }

    /// The pixels of a slice within the rectangle of the positions.
    pub(super) fn field(&self) -> Vec<usize> {
        let inside = |a: usize, p: usize| {
            let of = |p: &[f64; 2]| p[a].round() as usize;
            (self.positions.iter().map(of).min() <= Some(p)) && (Some(p) <= self.positions.iter().map(of).max())
        };
        let width = self.object_shape[1];
        (0..self.area()).filter(|p| inside(0, p / width) && inside(1, p % width)).collect()
    }

    /// The direction of the mean object under the positions, slice by slice.
    pub(super) fn mean_directions(&self) -> Vec<Complex64> {
        let under = |slice: &[Complex64]| -> Complex64 {
            self.positions.iter().map(|p| slice[p[0].round() as usize * self.object_shape[1] + p[1].round() as usize]).sum()
        };
        self.object.chunks(self.area()).map(|slice| under(slice) / under(slice).norm()).collect()
    }

    /// Makes each slice the wave e^{2πi(k_y·y/n_y + k_x·x/n_x)}; its frequency in 1/Å.
    pub(super) fn put_wave(&mut self, k: [i32; 2]) -> f64 {
        let (k, shape, pixel) = (k.map(f64::from), self.object_shape.map(|n| n as f64), self.pixel_A);
        for (p, o) in self.object.iter_mut().enumerate() {
            let [y, x] = [p / self.object_shape[1] % self.object_shape[0], p % self.object_shape[1]];
            *o = Complex64::cis(TAU * (k[0] * y as f64 / shape[0] + k[1] * x as f64 / shape[1]));
        }
        ((k[0] / (shape[0] * pixel[0])).powi(2) + (k[1] / (shape[1] * pixel[1])).powi(2)).sqrt()
    }

    /// The modes in real space.
    pub(super) fn probes(&self) -> Vec<Complex64> {
        self.probe_hat.chunks(self.window[0] * self.window[1]).flat_map(|mode| sums(mode, self.window, 1.0)).collect()
    }

    /// Sets the modes by what they are in real space.
    pub(super) fn put_probes(&mut self, probes: &[Complex64]) {
        self.probe_hat = probes.chunks(self.window[0] * self.window[1]).flat_map(|mode| sums(mode, self.window, -1.0)).collect();
    }

    /// The pattern of each position through all slices as one: Σ over modes |DFT(P·O)|².
    pub(super) fn patterns(&self) -> Vec<Complex64> {
        let ([ny, nx], width) = (self.window, self.object_shape[1]);
        let mut patterns = Vec::new();
        for position in &self.positions {
            let mut pattern = vec![Complex64::ZERO; ny * nx];
            let corner = [0, 1].map(|a| position[a].round() as usize - self.window[a] / 2);
            for mode in self.probe_hat.chunks(ny * nx) {
                let shifted: Vec<_> = (0..ny * nx)
                    .map(|p| {
                        let turns = |k: usize, n: usize, a: usize| {
                            let k = if k < n.div_ceil(2) { k as f64 } else { k as f64 - n as f64 };
                            k * (position[a] - position[a].round()) / n as f64
                        };
                        mode[p] * Complex64::cis(-TAU * (turns(p / nx, ny, 0) + turns(p % nx, nx, 1)))
                    })
                    .collect();
                let mut wave = sums(&shifted, self.window, 1.0);
                for (p, w) in wave.iter_mut().enumerate() {
                    let place = (corner[0] + p / nx) * width + corner[1] + p % nx;
                    *w *= (0..self.slices).map(|s| self.object[s * self.area() + place]).product::<Complex64>();
                }
                sums(&wave, self.window, -1.0).iter().zip(&mut pattern).for_each(|(w, i)| *i += w.norm_sqr());
            }
            patterns.extend(pattern);
        }
        patterns
    }
}

/// The unitary transform Σ f·e^{±2πi(…)}, an axis after the other, by its definition.
fn sums(values: &[Complex64], [ny, nx]: [usize; 2], sign: f64) -> Vec<Complex64> {
    let wave = |k: usize, x: usize, n: usize| Complex64::cis(sign * TAU * ((k * x) % n) as f64 / n as f64) / (n as f64).sqrt();
    let rows: Vec<Complex64> = (0..ny * nx).map(|p| (0..nx).map(|x| values[p / nx * nx + x] * wave(p % nx, x, nx)).sum()).collect();
    (0..ny * nx).map(|p| (0..ny).map(|y| rows[y * nx + p % nx] * wave(p / nx, y, ny)).sum()).collect()
}
