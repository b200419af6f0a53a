//! Electron optics in f64: wavelength, interaction constant, aberrations, probes, sampling. Imports nothing of ours.

mod aberrations;
pub(crate) mod hermitian;
mod probe;
mod scan;

pub use aberrations::{Aberration, Aberrations, Polynomial};
pub use probe::ProbeOptics;
pub use scan::{ScanGrid, apply};

/// Planck's constant in J·s (exact, SI 2019).
const PLANCK: f64 = 6.626_070_15e-34;
/// The elementary charge in C (exact, SI 2019).
const CHARGE: f64 = 1.602_176_634e-19;
/// The electron's rest mass in kg (CODATA 2018).
const MASS: f64 = 9.109_383_701_5e-31;
/// The speed of light in m/s (exact).
const LIGHT: f64 = 299_792_458.0;

/// The relativistic electron wavelength in Å: λ = h / √(2meU(1 + eU/2mc²)).
pub fn wavelength_A(voltage_kV: f64) -> f64 {
    let energy = CHARGE * voltage_kV * 1e3;
    let momentum = (2.0 * MASS * energy * (1.0 + energy / (2.0 * MASS * LIGHT * LIGHT))).sqrt();
    PLANCK / momentum * 1e10
}

/// The interaction constant σ = 2πm′eλ/h² in rad/(V·Å), with the relativistic mass m′ (Kirkland, Advanced Computing in
/// Electron Microscopy, eq. 5.6).
pub fn interaction_constant(voltage_kV: f64) -> f64 {
    let mass = MASS + CHARGE * voltage_kV * 1e3 / (LIGHT * LIGHT);
    std::f64::consts::TAU * mass * CHARGE * (wavelength_A(voltage_kV) * 1e-10) / (PLANCK * PLANCK) * 1e-10
}

/// The side of an object pixel in Å, λ/(N·Δθ), for windows of `n` pixels of `mrad_per_px`.
pub fn object_pixel_A(wavelength_A: f64, n: usize, mrad_per_px: f64) -> f64 {
    wavelength_A / (n as f64 * mrad_per_px * 1e-3)
}

/// The signed frequency index of place `k` in FFT order of length `n`: 0, 1, …, −2, −1.
pub fn fft_index(k: usize, n: usize) -> f64 {
    if k < n.div_ceil(2) { k as f64 } else { k as f64 - n as f64 }
}

/// The smallest number from `n` on that has no prime factors but these: transforms of such lengths are fast.
pub fn smooth(n: usize, primes: &[usize]) -> usize {
    let rest = |n: usize| {
        primes.iter().fold(n, |mut rest, p| {
            while rest.is_multiple_of(*p) {
                rest /= p;
            }
            rest
        })
    };
    (n.max(1)..).find(|&n| rest(n) == 1).unwrap_or(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smooth_lengths_are_the_next_ones_without_other_primes() {
        assert_eq!([1, 17, 97, 400, 401].map(|n| smooth(n, &[2, 3, 5])), [1, 18, 100, 400, 405]);
        assert_eq!(smooth(401, &[2, 3, 5, 7]), 405);
        assert_eq!(smooth(0, &[2]), 1);
    }

    #[test]
    fn wavelengths_and_interaction_constants_match_the_published_table() {
        // Kirkland's table, to its digits.
        for (kv, lambda, sigma) in [(300.0, 0.019687, 6.5262e-4), (200.0, 0.025079, 7.2884e-4), (80.0, 0.041757, 10.0871e-4)] {
            assert!((wavelength_A(kv) - lambda).abs() < 1e-6, "{kv} kV: {}", wavelength_A(kv));
            assert!((interaction_constant(kv) - sigma).abs() < 1e-8, "{kv} kV: {}", interaction_constant(kv));
        }
    }
}
