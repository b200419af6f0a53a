//! Order along rows, and what stands in alkali layers that does not belong there.

use std::f64::consts::TAU;

use num_complex::Complex64;

use super::rows::{METAL, harmonic};
use super::unrolled::{SMOOTHED, Unrolled};
use super::{Error, Layered, Layers, Measured, Noise, Picture, Result, Spot, wrapped};

/// Order is told, and has a place, where it is so many errors strong.
const SEEN: f64 = 3.0;

/// The order of every third column in one row of transition metals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Honeycomb {
    pub depth_A: f64,
    /// |h|/m with the harmonic h of a third of the columns' frequency and the mean m: (a − b)/(a + 2b) for columns a, b, b. 0 means none; corrected for what noise adds, √(|h|² − σ²).
    pub strength: Measured,
    /// |h|/σ. Of rows without order 3 is exceeded once in 8000.
    pub snr: f64,
    /// Where the odd column stands (v), up to a period of three columns. Unknown where the snr is below 3.
    pub place_A: Measured,
    /// How many columns the odd one has moved against the last row's, −1, 0 or 1, with what is left of it; `None` where a place is not
    /// known or lies between columns.
    pub step: Option<i8>,
    pub step_rest_A: Measured,
}

/// Honeycomb order from an image: the harmonics 0 and 1/(3·row) of each transition metal row, by least squares over depth beside the other
/// rows' ([`super::stacking()`]), averaged over segments with their places. The harmonic is freed of what the columns' width takes,
/// e^{−2π²σ²f²}. It needs a zone axis with pure columns, as [100] of Na₃Ni₂SbO₆; `layers` is measured with a period of 3.
///
/// # Errors
/// If there is no room.
pub fn honeycomb(picture: &Picture<'_>, layers: &Layers, segment_A: f64) -> Result<Vec<Honeycomb>> {
    let layered = &layers.layered;
    let noise = Noise::of(picture)?;
    let unrolled = Unrolled::of(picture, layered);
    let period = 3.0 * layered.row_A;
    let segments = unrolled.segments(segment_A, period);
    let f = 1.0 / period;
    let lags = ((2.5 * layered.repeat_A / unrolled.step_A[0]).ceil() as usize).min(unrolled.shape[0]);
    let Some(first) = segments.first() else { return Ok(Vec::new()) };
    let by_distance = noise.along(&first.weights, f, unrolled.step_A, SMOOTHED, lags);
    let profiles: Vec<Vec<Complex64>> = segments.iter().map(|s| unrolled.profile(s, f)).collect();
    let attenuation = (-2.0 * (std::f64::consts::PI * layers.widths_A[0] * f).powi(2)).exp();
    let along = &layers.metal_A.along_A;
    let mut found = Vec::new();
    for (k, fits) in layers.fits.iter().enumerate() {
        // Sums over segments with one weight each: the phase is counted from one origin.
        let (mut wave, mut variance, mut mean, mut count) = (Complex64::ZERO, 0.0, 0.0, 0.0);
        for (s, profile) in profiles.iter().enumerate() {
            let distance = |j: &usize| (along[*j] - segments[s].centre_A).abs();
            let near = (0..fits.len()).filter(|j| fits[*j].is_some()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
            let Some(rows) = near.and_then(|j| fits[j].as_ref()) else { continue };
            let Some(h) = harmonic(rows, |row| unrolled.depth_A(row), profile, &by_distance) else { continue };
            wave += h.height[METAL];
            variance += h.variance[METAL];
            mean += rows.area[METAL] / (rows.widths_A[0] * TAU.sqrt());
            count += 1.0;
        }
        if count > 0.0 && mean > 0.0 {
            let scale = 1.0 / (mean * attenuation);
            found.push(row_of(layers.metal_A.depth_A[k], wave * scale, variance * scale * scale, period));
        }
    }
    steps(&mut found, layered);
    Ok(found)
}

/// `variance` is E|δ|² of the harmonic, both parts together.
fn row_of(depth_A: f64, wave: Complex64, variance: f64, period: f64) -> Honeycomb {
    let sigma = variance.sqrt();
    let snr = if sigma > 0.0 { wave.norm() / sigma } else { f64::INFINITY };
    let strength = (wave.norm_sqr() - variance).max(0.0).sqrt();
    let place_A = match snr > SEEN {
        true => Measured::new((-wave.arg() / TAU).rem_euclid(1.0) * period, sigma / (2f64.sqrt() * wave.norm()) / TAU * period),
        false => Measured::UNKNOWN,
    };
    Honeycomb { depth_A, strength: Measured::new(strength, sigma / 2f64.sqrt()), snr, place_A, step: None, step_rest_A: Measured::UNKNOWN }
}

fn steps(rows: &mut [Honeycomb], layered: &Layered) {
    for k in 1..rows.len() {
        let (last, here) = (rows[k - 1].place_A, rows[k].place_A);
        if !last.is_known() || !here.is_known() {
            continue;
        }
        let moved = wrapped((here.value - last.value) / (3.0 * layered.row_A)) * 3.0;
        let whole = moved.round();
        let rest = Measured::new((moved - whole) * layered.row_A, last.se.hypot(here.se));
        // ±1.5 columns is between two steps, and so is anything nearer to the middle than three errors.
        if rest.value.abs() + 3.0 * rest.se < 0.5 * layered.row_A {
            rows[k].step = Some(((whole as i64 + 1).rem_euclid(3) - 1) as i8);
        }
        rows[k].step_rest_A = rest;
    }
}

/// What an alkali layer holds of transition metals, from amplitudes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Migrated {
    pub depth_A: f64,
    /// Mean amplitude of the alkali columns over that of the transition metals next to them.
    pub ratio: Measured,
    /// (ratio − r)/(1 − r), r being the ratio of clean columns: the share of the layer's sites that transition metals have taken, if all
    /// are filled. Vacancies lower it; it tells a share only together with the occupancy.
    pub share: Measured,
}

/// The share of transition metals in each alkali layer by the amplitudes of columns. `clean` is the amplitude of a full alkali column over
/// that of a full transition metal column of the same depth, from the structure or a region that is known to be clean.
///
/// # Errors
/// If the ratio is not from 0 up to 1, or a number cannot be.
pub fn migrated(spots: &[Spot], layered: &Layered, clean: Measured) -> Result<Vec<Migrated>> {
    layered.check()?;
    if !(0.0..0.95).contains(&clean.value) {
        return Err(Error::Number {
            what: "the ratio of clean alkali to transition metal columns",
            value: clean.value.to_string(),
            expected: "a number from 0 up to 0.95",
        });
    }
    // Depth and amplitude.
    let of = |wanted: &dyn Fn(&Spot) -> bool| -> Vec<(f64, Measured)> {
        let seen = spots.iter().filter(|s| wanted(s) && s.amplitude.is_finite());
        seen.map(|s| (layered.unrolled(s.at_A)[0], Measured::new(s.amplitude, s.amplitude_se))).collect()
    };
    let (metals, mut alkali) = (of(&Spot::is_metal), of(&Spot::is_alkali));
    alkali.sort_by(|a, b| a.0.total_cmp(&b.0));
    let layer = |row: &[(f64, Measured)]| {
        let depth_A = row.iter().map(|(u, _)| u).sum::<f64>() / row.len() as f64;
        let here = mean_of(row.iter().map(|(_, amplitude)| *amplitude));
        let metal = mean_of(metals.iter().filter(|(u, _)| (u - depth_A).abs() < 0.75 * layered.repeat_A).map(|(_, amplitude)| *amplitude));
        let ratio = Measured::new(
            here.value / metal.value,
            (here.value / metal.value).abs() * (here.se / here.value).hypot(metal.se / metal.value),
        );
        let left = 1.0 - clean.value;
        // ∂share/∂clean = (ratio − 1)/(1 − clean)².
        let of_clean = if clean.se.is_finite() { (ratio.value - 1.0) / (left * left) * clean.se } else { 0.0 };
        Migrated { depth_A, ratio, share: Measured::new((ratio.value - clean.value) / left, (ratio.se / left).hypot(of_clean)) }
    };
    Ok(alkali.chunk_by(|a, b| b.0 - a.0 < 0.35 * layered.repeat_A).map(layer).collect())
}

/// The mean of numbers whose errors may be unknown: then their scatter tells it, from three on.
fn mean_of(of: impl Iterator<Item = Measured>) -> Measured {
    let all: Vec<Measured> = of.collect();
    if all.iter().all(|m| m.se.is_finite() && m.se > 0.0) {
        return Measured::mean(all);
    }
    if all.len() < 3 {
        return Measured::UNKNOWN;
    }
    let n = all.len() as f64;
    let value = all.iter().map(|m| m.value).sum::<f64>() / n;
    let variance = all.iter().map(|m| (m.value - value).powi(2)).sum::<f64>() / (n - 1.0);
    Measured::new(value, (variance / n).sqrt())
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::{Distribution, Normal};

    use super::super::measure_layers;
    use super::super::testing::{drawn, fresh_rng, side_band_noise};
    use super::*;

    const LAYERED: Layered = Layered { normal: [1.0, 0.0], repeat_A: 5.34, row_A: 1.531, period: 3, oxygen_A: 1.06 };

    /// Columns of layers whose odd column stands at these places; heights of odd and other columns.
    fn columns(steps: &[i32], [odd, other]: [f64; 2]) -> Vec<Spot> {
        let mut spots = Vec::new();
        let mut spot =
            |element, u: f64, v: f64, amplitude| spots.push(Spot { element, at_A: [u, v], se_A: [0.02; 2], amplitude, amplitude_se: 0.01 });
        for (k, step) in steps.iter().enumerate() {
            let u = 5.0 + 5.34 * k as f64;
            for n in 0..26 {
                let v = n as f64 * 1.531 - 0.4;
                let is_odd = (n - step).rem_euclid(3) == 0;
                spot(if is_odd { "Sb" } else { "Ni" }, u, v, if is_odd { odd } else { other });
                spot("O", u - 1.06, v, 0.09);
                spot("O", u + 1.06, v, 0.09);
                spot("Na", u + 2.67, v, 0.1);
            }
        }
        spots
    }

    #[test]
    fn honeycomb_order_and_its_stacking_are_found_and_absent_order_is_not() {
        let mut rng = fresh_rng();
        let steps: Vec<i32> = (0..8).map(|_| rng.random_range(0..3)).collect();
        for heights in [[0.5, 0.3], [0.36, 0.36]] {
            let spots = columns(&steps, heights);
            let blobs: Vec<_> = spots.iter().map(|s| (s.at_A, s.amplitude, 0.3)).collect();
            let shape = [160, 128];
            let noise = side_band_noise(&mut rng, shape, [0.3, 0.3], 10_000.0, 1.27);
            let values: Vec<f64> = drawn(&blobs, shape, [0.3, 0.3]).iter().zip(noise).map(|(v, n)| v + n).collect();
            let picture = Picture::new(&values, shape, [0.3, 0.3]).unwrap();
            let layers = measure_layers(&picture, &LAYERED, 12.0).unwrap();
            let found = honeycomb(&picture, &layers, 12.0).unwrap();
            let planted = (heights[0] - heights[1]) / (heights[0] + 2.0 * heights[1]);
            assert_eq!(found.len(), 8);
            for (k, row) in found.iter().enumerate() {
                if planted == 0.0 {
                    assert!(row.snr < 4.5 && row.strength.value < 0.1, "{row:?}");
                    continue;
                }
                // Five errors, and 5 % of what the widths' fit leaves.
                assert!((row.strength.value - planted).abs() < 5.0 * row.strength.se + 0.05 * planted, "{row:?}, planted {planted}");
                let place = (f64::from(steps[k]) * 1.531 - 0.4).rem_euclid(4.593);
                let off = wrapped((row.place_A.value - place) / 4.593) * 4.593;
                assert!(off.abs() < 5.0 * row.place_A.se + 0.03, "{row:?}, planted at {place}");
                if k > 0 {
                    let step = (steps[k] - steps[k - 1] + 1).rem_euclid(3) - 1;
                    assert_eq!(row.step.map(i32::from), Some(step), "{row:?}");
                }
            }
        }
    }

    #[test]
    fn planted_shares_of_transition_metals_in_alkali_layers_are_found_with_their_errors() {
        let mut rng = fresh_rng();
        let scatter = Normal::new(0.0, 0.01).unwrap();
        let shares: Vec<f64> = (0..8).map(|_| rng.random_range(0.0..0.2)).collect();
        let mut spots = columns(&[0; 8], [0.3, 0.3]);
        for spot in &mut spots {
            let k = ((spot.at_A[0] - 5.0) / 5.34) as usize;
            if spot.is_alkali() {
                spot.amplitude = 0.1 * (1.0 - shares[k.min(7)]) + 0.3 * shares[k.min(7)];
            }
            spot.amplitude += scatter.sample(&mut rng);
        }
        let found = migrated(&spots, &LAYERED, Measured::new(1.0 / 3.0, 0.0)).unwrap();
        assert_eq!(found.len(), 8);
        for (layer, share) in found.iter().zip(&shares) {
            // 26 columns of 0.01 in 0.3 make 0.01 of a share.
            assert!((0.005..0.02).contains(&layer.share.se), "{layer:?}");
            assert!((layer.share.value - share).abs() < 5.0 * layer.share.se, "{layer:?}, planted {share}");
        }
        assert!(migrated(&spots, &LAYERED, Measured::new(1.2, 0.0)).is_err());
    }
}
