//! The pixels of the disk, and what the kernels have to know of them.

use crate::compute::BrightField;
use crate::imaging::{Error, Result};
use crate::optics::{Polynomial, fft_index, smooth, wavelength_A};
use crate::run::Run;

use super::DirectPlan;

/// Cells across the disk whose pixels are fitted as one tilt.
pub(super) const CELLS: f64 = 11.0;

/// The disk on the detector.
pub(super) struct Disk {
    /// The pixels in order: those of the disk, cell by cell, then those of the window around it.
    pub(super) bright: BrightField,
    /// Pixels of the disk.
    pub(super) count: usize,
    /// The disk's pixels of each cell; even numbers apart from the last.
    pub(super) cells: Vec<std::ops::Range<usize>>,
    /// The part of the disk that lies in the frame and counts.
    pub(super) coverage: f64,
    /// λ/α² in Å: defocus that shifts the image at the disk's edge by λ/α.
    pub(super) defocus_unit_A: f64,
}

/// The next side from `n` on that every engine transforms: 2^a·3^b·5^c·7^d from 16.
pub(super) fn next_side(n: usize) -> usize {
    smooth(n.max(16), &[2, 3, 5, 7])
}

impl Disk {
    /// Lays the disk over frames of `shape`; with `window` the pixels around it too. χ/2π is `turns`, `foci` are added.
    pub(super) fn new(plan: &DirectPlan, shape: [usize; 2], window: bool) -> Result<Self> {
        let lambda = wavelength_A(plan.voltage_kV);
        let alpha = plan.convergence_mrad;
        let step = plan.mrad_per_px.map(|m| m / alpha);
        let radius_px = 1.0 / (step[0] * step[1]).sqrt();
        if radius_px > shape[0].max(shape[1]) as f64 {
            return Err(Error::ConvergenceTooWide { convergence_mrad: alpha, radius_px, shape });
        }
        let k0 = alpha * 1e-3 / lambda;
        let scan = plan.scan.shape.map(next_side);
        let output = scan.map(|n| n * plan.upsample);
        let along = |axis: usize| {
            let unit = 1.0 / (scan[axis] as f64 * plan.scan.step_A[axis] * k0);
            (0..output[axis]).map(|k| fft_index(k, output[axis]) * unit).collect::<Vec<f64>>()
        };
        // Room for the disk and a pixel beside it.
        let sides = step.map(|s| next_side((2.0 / s).ceil() as usize + 3));
        let corner = [0, 1].map(|a| plan.centre_px[a].round() - (sides[a] / 2) as f64);
        let mut bright = BrightField {
            frame_shape: shape,
            pixels: Vec::new(),
            tilts: Vec::new(),
            positions: plan.scan.shape,
            scan,
            output,
            frequencies: [along(0), along(1)],
            turn: plan.scan.scan_to_object(),
            radius_px,
            scale: 1.0,
            turns: Polynomial::default(),
            foci: vec![0.0],
            window: sides,
            places: Vec::new(),
            window_first: [0, 1].map(|a| (corner[a] - plan.centre_px[a]) * step[a]),
            window_step: step,
        };
        let angle =
            |p: usize| [((p / shape[1]) as f64 - plan.centre_px[0]) * step[0], ((p % shape[1]) as f64 - plan.centre_px[1]) * step[1]];
        let cell = |[y, x]: [f64; 2]| [y, x].map(|t| ((t + 1.0) * CELLS / 2.0).floor() as i64);
        let counts = |p: usize| plan.valid.as_ref().is_none_or(|v| v[p]);
        let all: Vec<usize> = (0..shape[0] * shape[1]).filter(|&p| counts(p)).collect();
        let inside = |p: &usize| {
            let [y, x] = angle(*p);
            bright.aperture(y, x) > 0.0
        };
        let mut list: Vec<usize> = all.iter().copied().filter(inside).collect();
        list.sort_by_key(|&p| (cell(angle(p)), p));
        if list.len() < 2 {
            return Err(Error::NoBrightField { convergence_mrad: alpha, centre_px: plan.centre_px, shape });
        }
        let count = list.len();
        let cells = {
            let (mut cells, mut first) = (Vec::new(), 0);
            for members in list.chunk_by(|&a, &b| cell(angle(a)) == cell(angle(b))) {
                cells.push(first..first + members.len());
                first += members.len();
            }
            cells
        };
        let power: f64 = list.iter().map(|&p| angle(p)).map(|[y, x]| bright.aperture(y, x).powi(2)).sum();
        let whole = window_power(&bright);
        if window {
            let place = |p: usize| [(p / shape[1]) as f64 - corner[0], (p % shape[1]) as f64 - corner[1]];
            let in_window = |p: &usize| (0..2).all(|a| (0.0..sides[a] as f64).contains(&place(*p)[a]));
            let beside: Vec<usize> = all.iter().copied().filter(|p| in_window(p) && !inside(p)).collect();
            list.extend(beside);
        }
        let places = list.iter().map(|p| {
            let [y, x] = [0, 1].map(|a| [(p / shape[1]) as f64, (p % shape[1]) as f64][a] - corner[a]);
            (y.max(0.0) * sides[1] as f64 + x.max(0.0)) as u32
        });
        bright.places = places.collect();
        bright.tilts = list.iter().map(|&p| angle(p)).collect();
        bright.pixels = list.iter().map(|&p| p as u32).collect();
        bright.scale = 1.0 / power;
        Ok(Self { bright, count, cells, coverage: power / whole, defocus_unit_A: lambda / (alpha * 1e-3).powi(2) })
    }

    /// Says where the disk is not whole.
    pub(super) fn tell(&self, run: &Run, plan: &DirectPlan) {
        if self.coverage < 0.98 {
            run.warn(format!(
                "{:.0} % of the bright-field disk ({:.1} px about pixel ({:.1}, {:.1})) lie in the frame and count: the images lack what the rest would tell. Check detector.centre_px, data.crop_detector and the bad pixels.",
                100.0 * self.coverage,
                self.bright.radius_px,
                plan.centre_px[0],
                plan.centre_px[1]
            ));
        }
    }

    /// The turns at the edge that a defocus in Å adds to χ/2π: −½·defocus·α²/λ.
    pub(super) fn focus(&self, defocus_A: f64) -> f64 {
        -0.5 * defocus_A / self.defocus_unit_A
    }

    /// The device's view with these aberrations.
    pub(super) fn with(&self, turns: Polynomial, foci: Vec<f64>) -> BrightField {
        BrightField { turns, foci, ..self.bright.clone() }
    }
}

/// Σ|A|² over the window, which holds the whole disk.
fn window_power(bright: &BrightField) -> f64 {
    let angle = |a: usize, k: usize| bright.window_first[a] + k as f64 * bright.window_step[a];
    let rows = (0..bright.window[0]).flat_map(|y| (0..bright.window[1]).map(move |x| (y, x)));
    rows.map(|(y, x)| bright.aperture(angle(0, y), angle(1, x)).powi(2)).sum()
}
