//! What an image shows at the spacings that crystals are told by. Noise at finer ones, of which a direct image has most at the end of its band, would hide it.

use std::f64::consts::TAU;

use num_complex::Complex64;

use super::lattice::{Field, frequency};
use super::noise::Noise;
use super::projection::length;
use super::template::{Template, ring};
use crate::analysis::Result;
use crate::compute::Direction;
use crate::compute::cpu::transformed;

/// Reflections of finer spacings take no part in finding a crystal.
pub(super) const FINEST_A: f64 = 0.9;

/// The part of a wave that is left at a frequency in 1/Å: half at `FINEST_A`, and next to nothing from 0.7 Å on.
fn left(g: f64) -> f64 {
    (-std::f64::consts::LN_2 * (g * FINEST_A).powi(4)).exp()
}

/// The frequencies' lengths of a grid, FFT order.
fn lengths(shape: [usize; 2], pixel_A: [f64; 2]) -> impl Iterator<Item = f64> {
    let [y, x] = [0, 1].map(|a| (0..shape[a]).map(|k| frequency(k, shape[a], pixel_A[a])).collect::<Vec<f64>>());
    y.into_iter().flat_map(move |y| x.clone().into_iter().map(move |x| length([y, x])))
}

/// An image without its finest waves.
///
/// # Errors
/// If there is no room for the transforms.
pub fn coarse(field: &Field<'_>) -> Result<Vec<f64>> {
    let values: Vec<Complex64> = field.values.iter().map(|v| Complex64::from(*v)).collect();
    let mut waves = transformed(&values, field.shape, Direction::Forward)?;
    waves.iter_mut().zip(lengths(field.shape, field.pixel_A)).for_each(|(z, g)| *z *= left(g));
    Ok(transformed(&waves, field.shape, Direction::Inverse)?.iter().map(|z| z.re).collect())
}

impl Template {
    /// The same without its finest waves.
    pub(super) fn coarse(&self) -> Self {
        // Beyond the last frequency a part in 10⁵ is left; steps are a 16th of a wave within the reach.
        let (step, steps) = (0.02, 100);
        let waves: Vec<(f64, f64)> =
            (0..steps).map(|n| (n as f64 + 0.5) * step).map(|g| (g, TAU * g * left(g) * self.transform(g) * step)).collect();
        Self::of(|r| waves.iter().map(|(g, weight)| weight * ring(TAU * g * r)).sum())
    }
}

impl Noise {
    /// The variance of noise without its finest waves in an image of this shape, and how many independent numbers it is made of.
    ///
    /// # Errors
    /// If there is no room for the transform.
    pub fn coarse(&self, shape: [usize; 2]) -> Result<(f64, f64)> {
        let powers = self.spectrum(shape)?.into_iter().zip(lengths(shape, self.pixel_A)).map(|(power, g)| power * left(g).powi(2));
        let (sum, squares) = powers.fold((0.0, 0.0), |(sum, squares), p| (sum + p, squares + p * p));
        Ok((sum / (shape[0] * shape[1]) as f64, sum * sum / squares.max(f64::MIN_POSITIVE)))
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::super::template::around;
    use super::*;

    #[test]
    fn a_column_and_its_template_lose_the_same_waves_and_noise_what_is_told() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let (shape, pixel_A) = ([80, 90], [0.16, 0.15]);
        let width: f64 = rng.random_range(0.2..0.4);
        let template = Template::of(|r| (-r * r / (2.0 * width * width)).exp());
        let at = [rng.random_range(5.0..7.0), rng.random_range(5.0..7.0)];
        let mut values = vec![0.0; 80 * 90];
        let empty = values.clone();
        let empty = Field { values: &empty, shape, pixel_A };
        around(&empty, at).for_each(|(k, away)| values[k] += template.at(length(away)).0);
        let lacking = coarse(&Field { values: &values, shape, pixel_A }).unwrap();
        let template = template.coarse();
        for (k, away) in around(&empty, at) {
            let expected = template.at(length(away)).0;
            // The spline's knots, 0.25 Å apart, cost the narrowest Gaussian a per cent of its height, and its end at 3.25 Å the ripples of the filter.
            assert!((lacking[k] - expected).abs() < 0.01, "{} instead of {expected} at {away:?}", lacking[k]);
        }
        let noise: Vec<f64> = Normal::new(0.0, 3.0).unwrap().sample_iter(&mut rng).take(80 * 90).collect();
        let seen = coarse(&Field { values: &noise, shape, pixel_A }).unwrap();
        let mean = seen.iter().sum::<f64>() / 7200.0;
        let variance = seen.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 7200.0;
        let (told, independent) = Noise::white(3.0, pixel_A).coarse(shape).unwrap();
        // Five standard errors by the independent numbers told.
        assert!((variance / told - 1.0).abs() < 5.0 * (2.0 / independent).sqrt(), "{variance} instead of {told} of {independent}");
        assert!(independent < 1800.0, "{independent} of 7200");
    }
}
