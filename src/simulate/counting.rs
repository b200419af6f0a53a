//! Counts of mean electrons.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, Poisson};
use rayon::prelude::*;

use super::instrument::Instrument;
use super::{Error, Result};

/// A normal distribution about 0.
pub(super) fn normal(deviation: f64) -> Result<Normal<f64>> {
    Normal::new(0.0, deviation).map_err(|_| Error::BadNumber {
        what: "a standard deviation",
        value: deviation.to_string(),
        expected: "it must be finite and not below 0".into(),
    })
}

/// The largest count that a frame holds.
const MOST: f64 = u16::MAX as f64;

/// Draws the counts of frames of so many pixels with these mean electrons, in place of what `counts` held. Each frame has a random stream of its own.
pub(super) fn counted(means: &[f32], pixels: usize, ids: &[u32], instrument: &Instrument, seed: u64, counts: &mut Vec<u16>) -> Result<()> {
    drawn(means, pixels, ids, [1.0, instrument.counts_per_electron], seed, counts)
}

/// Poisson counts of frames of so many pixels whose means are `scale` times these numbers; each frame has a random stream of its own.
///
/// # Errors
/// If a count does not fit into 16 bits.
pub fn counts(means: &[f32], pixels: usize, scale: f64, seed: u64) -> Result<Vec<u16>> {
    let ids: Vec<u32> = (0..means.len().div_ceil(pixels) as u32).collect();
    let mut counts = Vec::new();
    drawn(means, pixels, &ids, [scale, 1.0], seed, &mut counts)?;
    Ok(counts)
}

/// Counts of `scale` times the means, each electron of which is `gain` of them.
fn drawn(means: &[f32], pixels: usize, ids: &[u32], [scale, gain]: [f64; 2], seed: u64, counts: &mut Vec<u16>) -> Result<()> {
    counts.resize(means.len(), 0);
    counts.par_chunks_mut(pixels).zip(means.par_chunks(pixels)).zip(ids).try_for_each(|((counts, means), &id)| {
        let mut rng = stream(seed, id);
        for (count, &mean) in counts.iter_mut().zip(means) {
            let value = (draw(f64::from(mean) * scale, &mut rng) * gain).round();
            if value > MOST {
                return Err(Error::Overflow { frame: id, count: value });
            }
            *count = value as u16;
        }
        Ok(())
    })
}

/// Draws counts with the noise of reading, which leaves whole numbers that may lie below 0.
pub(super) fn read_out(means: &mut [f32], pixels: usize, ids: &[u32], instrument: &Instrument, seed: u64) -> Result<()> {
    let (gain, noise) = (instrument.counts_per_electron, normal(instrument.readout_counts)?);
    means.par_chunks_mut(pixels).zip(ids).try_for_each(|(values, &id)| {
        let mut rng = stream(seed, id);
        for value in values {
            let read = (draw(f64::from(*value), &mut rng) * gain + noise.sample(&mut rng)).round();
            if read > MOST {
                return Err(Error::Overflow { frame: id, count: read });
            }
            *value = read as f32;
        }
        Ok(())
    })
}

fn stream(seed: u64, id: u32) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(id) + 1);
    rng
}

/// A Poisson number. A mean of 0 (or one too small for the distribution) has none.
fn draw(mean: f64, rng: &mut impl Rng) -> f64 {
    // Most pixels expect far less than an electron: one number and no exponential where it says "none", as 1 − m ≤ e^{−m}.
    if mean < 0.5 {
        let u: f64 = rng.random();
        if u <= 1.0 - mean {
            return 0.0;
        }
        let (mut k, mut term) = (0.0, (-mean).exp());
        let mut below = term;
        while u > below && k < 40.0 {
            k += 1.0;
            term *= mean / k;
            below += term;
        }
        return k;
    }
    Poisson::new(mean).map_or(0.0, |p| p.sample(rng))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optics::{Aberrations, ProbeOptics, ScanGrid};

    fn instrument(counts_per_electron: f64, readout_counts: f64) -> Instrument {
        Instrument {
            optics: ProbeOptics { voltage_kV: 300.0, convergence_mrad: 20.0, aberrations: Aberrations::defocus(0.0) },
            focal_spread_A: 0.0,
            source_size_A: 0.0,
            scan: ScanGrid { shape: [1, 1], step_A: [1.0; 2], rotation_deg: 0.0, transpose: false },
            jitter_A: 0.0,
            drift_A: [0.0; 2],
            frame: 1,
            mrad_per_px: 1.0,
            oversampling: None,
            blur_px: 0.0,
            dose_e_per_A2: Some(1.0),
            counts_per_electron,
            readout_counts,
        }
    }

    fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let n = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / n;
        (mean, values.map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0))
    }

    #[test]
    fn counts_have_the_mean_and_the_variance_of_poisson_times_the_gain_and_reading_adds_its_own() {
        const N: usize = 40_000;
        let seed = rand::random();
        // Both ways of drawing, and where they meet.
        for mean in [0.02, 0.3, 0.49, 0.51, 7.0, 400.0] {
            for (gain, readout) in [(1.0, 0.0), (12.0, 0.0), (12.0, 3.0)] {
                let (of, ids) = (instrument(gain, readout), [3u32]);
                let mut means = vec![mean as f32; N];
                let (found, variance) = if readout > 0.0 {
                    read_out(&mut means, N, &ids, &of, seed).unwrap();
                    moments(means.iter().map(|&v| f64::from(v)))
                } else {
                    let mut drawn = Vec::new();
                    counted(&means, N, &ids, &of, seed, &mut drawn).unwrap();
                    moments(drawn.into_iter().map(f64::from))
                };
                // Rounding adds a twelfth where the numbers were not whole.
                let expected = gain * gain * mean + if readout > 0.0 { readout * readout + 1.0 / 12.0 } else { 0.0 };
                // Five standard deviations: of the mean √(variance/N); of the variance √((μ₄ − σ⁴)/N), where Poisson's μ₄ is m + 3m², normal noise adding 2s⁴.
                let strays = 5.0 * (expected / N as f64).sqrt();
                assert!((found - gain * mean).abs() < strays, "seed {seed}: mean {found} of {} at {gain}, {readout}", gain * mean);
                let fourth = gain.powi(4) * mean + 2.0 * expected * expected;
                let strays = 5.0 * (fourth / N as f64).sqrt();
                assert!(
                    (variance - expected).abs() < strays,
                    "seed {seed}: variance {variance} of {expected} at {mean}, {gain}, {readout}"
                );
            }
        }
    }

    #[test]
    fn what_16_bits_do_not_hold_is_refused_with_the_frame() {
        let error = counted(&[9e4], 1, &[17], &instrument(1.0, 0.0), 1, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("frame 17") && error.contains("65535"), "{error}");
        assert!(read_out(&mut [9e4], 1, &[17], &instrument(1.0, 1.0), 1).is_err());
    }
}
