//! The power spectrum of an image.

use std::f64::consts::PI;

use num_complex::Complex64;
use rustfft::FftPlanner;

use super::{Array, Axis};

/// The fewest pixels of a side of an image whose spectrum says anything.
const SMALLEST: usize = 16;
/// The darkest shade lies no further below the brightest than this many decades.
const DECADES: f64 = 8.0;
/// The share of the spectrum below the darkest shade.
const DARK: f64 = 0.25;

/// log₁₀ of the power at each frequency (y, x), zero at pixel (rows/2, columns/2).
pub(super) struct Spectrum {
    pub(super) shape: [usize; 2],
    pub(super) log_power: Vec<f64>,
    /// In cycles a unit of the image's axes.
    pub(super) axes: [Axis; 2],
    /// The values of the darkest and the brightest shade.
    pub(super) range: (f64, f64),
}

impl Spectrum {
    /// Of a real image less its mean, under a Hann window, which keeps the image's edges from drawing a cross; `None` of images below 16 pixels
    /// and of those that are one value. Pixels without a value count as the mean.
    pub(super) fn of(array: &Array, rows: usize, columns: usize, values: &[f64]) -> Option<Self> {
        if rows.min(columns) < SMALLEST {
            return None;
        }
        let window = |k: usize, n: usize| (PI * (k as f64 + 0.5) / n as f64).sin().powi(2);
        let weight = |at: usize| window(at / columns, rows) * window(at % columns, columns);
        let (mut sum, mut weights) = (0.0, 0.0);
        for (at, value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            sum += weight(at) * value;
            weights += weight(at);
        }
        // With the mean under the window nothing is left at zero frequency.
        let mean = sum / weights;
        let off = |value: f64| if value.is_finite() { value - mean } else { 0.0 };
        let mut spectrum: Vec<Complex64> = values.iter().enumerate().map(|(at, &value)| (weight(at) * off(value)).into()).collect();
        let mut planner = FftPlanner::new();
        planner.plan_fft_forward(columns).process(&mut spectrum);
        let mut turned: Vec<Complex64> = (0..rows * columns).map(|at| spectrum[at % rows * columns + at / rows]).collect();
        planner.plan_fft_forward(rows).process(&mut turned);

        let power: Vec<f64> = (0..rows * columns)
            .map(|at| {
                let [y, x] = [at / columns, at % columns];
                turned[(x + columns.div_ceil(2)) % columns * rows + (y + rows.div_ceil(2)) % rows].norm_sqr()
            })
            .collect();
        let most = power.iter().copied().fold(0.0, f64::max);
        if most.is_nan() || most <= 0.0 {
            return None;
        }
        let floor = most * 10_f64.powf(-2.0 * DECADES);
        let log_power: Vec<f64> = power.iter().map(|p| p.max(floor).log10()).collect();
        let mut sorted = log_power.clone();
        let dark = (sorted.len() as f64 * DARK) as usize;
        let (_, low, _) = sorted.select_nth_unstable_by(dark, f64::total_cmp);
        let range = (low.max(most.log10() - DECADES), most.log10());
        let axis = |axis: &Axis, n: usize| {
            let units = match axis.units.as_str() {
                "" => "1/px".to_owned(),
                "A" => "1/Å".to_owned(),
                unit => format!("1/{unit}"),
            };
            let step = 1.0 / (n as f64 * axis.step.abs());
            Axis::new(&format!("q{}", axis.name), &units, -((n / 2) as f64) * step, step)
        };
        Some(Self { shape: [rows, columns], log_power, axes: [axis(&array.axes[0], rows), axis(&array.axes[1], columns)], range })
    }
}
