//! The wave aberration function in Krivanek's notation.

use std::f64::consts::TAU;

/// One coefficient C_nm with its azimuth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aberration {
    /// Order n.
    pub n: u32,
    /// Azimuthal symmetry m.
    pub m: u32,
    pub magnitude_A: f64,
    /// φ_nm in degrees, from +column towards +row; without meaning where m is 0.
    pub angle_deg: f64,
}

/// A set of aberration coefficients.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Aberrations {
    pub terms: Vec<Aberration>,
}

impl Aberrations {
    /// Defocus alone: C10 = −defocus, positive defocus is underfocus.
    pub fn defocus(defocus_A: f64) -> Self {
        Self { terms: vec![Aberration { n: 1, m: 0, magnitude_A: -defocus_A, angle_deg: 0.0 }] }
    }

    /// χ in radians at the angles (`theta_y`, `theta_x`) in rad:
    /// χ = (2π/λ) Σ θ^{n+1} C_nm cos m(φ − φ_nm) / (n + 1) (Krivanek, Dellby & Lupini, Ultramicroscopy 78 (1999) 1).
    pub fn chi(&self, wavelength_A: f64, theta_y: f64, theta_x: f64) -> f64 {
        let (theta, phi) = (theta_y.hypot(theta_x), theta_y.atan2(theta_x));
        let path: f64 = self
            .terms
            .iter()
            .map(|t| {
                let angle = f64::from(t.m) * (phi - t.angle_deg.to_radians());
                theta.powi(t.n as i32 + 1) * t.magnitude_A * angle.cos() / f64::from(t.n + 1)
            })
            .sum();
        TAU / wavelength_A * path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_angstrom_of_underfocus_advances_the_edge_of_a_25_mrad_disk_by_its_textbook_phase() {
        // χ = −π λ k² defocus with k = α/λ.
        let (lambda, alpha, defocus) = (0.019687, 25e-3, 100.0);
        let chi = Aberrations::defocus(defocus).chi(lambda, alpha, 0.0);
        assert!((chi + std::f64::consts::PI * alpha * alpha / lambda * defocus).abs() < 1e-9);
    }

    #[test]
    fn astigmatism_is_largest_along_its_azimuth_and_opposite_across_it() {
        let a = Aberrations { terms: vec![Aberration { n: 1, m: 2, magnitude_A: 30.0, angle_deg: 90.0 }] };
        let (along, across) = (a.chi(0.02, 1e-2, 0.0), a.chi(0.02, 0.0, 1e-2));
        assert!(along > 0.0 && (along + across).abs() < 1e-12);
    }
}
