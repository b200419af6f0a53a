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

    /// χ/2π as a polynomial in (y, x), angles divided by `convergence_mrad`; `None` where a term is none of Krivanek's (n + 1 − m must be even
    /// and not negative) or beyond the fifth order.
    pub fn polynomial(&self, wavelength_A: f64, convergence_mrad: f64) -> Option<Polynomial> {
        let mut sum = Polynomial::default();
        for t in &self.terms {
            let order = t.n + 1;
            if order > Polynomial::DEGREE as u32 || t.m > order || (order - t.m) % 2 != 0 {
                return None;
            }
            let size = (convergence_mrad * 1e-3).powi(order as i32) * t.magnitude_A / (wavelength_A * f64::from(order));
            let (sin, cos) = (f64::from(t.m) * t.angle_deg.to_radians()).sin_cos();
            // Re[e^{−imφ}(x + iy)^m] (x² + y²)^p
            let p = (order - t.m) / 2;
            for a in 0..=t.m {
                let part = [cos, sin, -cos, -sin][a as usize % 4] * binomial(t.m, a);
                for b in 0..=p {
                    let (i, j) = (a + 2 * b, t.m - a + 2 * (p - b));
                    sum.coefficients[i as usize][j as usize] += size * part * binomial(p, b);
                }
            }
        }
        Some(sum)
    }
}

/// A polynomial Σ c[i][j] y^i x^j.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Polynomial {
    pub coefficients: [[f64; Self::DEGREE + 1]; Self::DEGREE + 1],
}

impl Polynomial {
    /// The highest degree that it holds: that of a fifth-order aberration.
    pub const DEGREE: usize = 6;

    /// The degree of its highest term.
    pub fn degree(&self) -> usize {
        let places = (0..=Self::DEGREE).flat_map(|i| (0..=Self::DEGREE).map(move |j| (i, j)));
        places.filter(|&(i, j)| self.coefficients[i][j] != 0.0).map(|(i, j)| i + j).max().unwrap_or(0)
    }

    /// Its value.
    pub fn at(&self, y: f64, x: f64) -> f64 {
        let row = |row: &[f64]| row.iter().rev().fold(0.0, |sum, c| sum * x + c);
        self.coefficients.iter().rev().fold(0.0, |sum, c| sum * y + row(c))
    }

    /// Its gradient (∂y, ∂x).
    pub fn gradient(&self, y: f64, x: f64) -> [f64; 2] {
        let mut sum = [0.0; 2];
        for (i, row) in self.coefficients.iter().enumerate() {
            for (j, c) in row.iter().enumerate() {
                if i > 0 {
                    sum[0] += c * i as f64 * y.powi(i as i32 - 1) * x.powi(j as i32);
                }
                if j > 0 {
                    sum[1] += c * j as f64 * y.powi(i as i32) * x.powi(j as i32 - 1);
                }
            }
        }
        sum
    }
}

fn binomial(n: u32, k: u32) -> f64 {
    (0..k).fold(1.0, |b, i| b * f64::from(n - i) / f64::from(i + 1))
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
    fn the_polynomial_of_an_aberration_is_its_function() {
        let term = |n, m| Aberration { n, m, magnitude_A: 100.0 * 10f64.powi(n as i32), angle_deg: 17.0 + 11.0 * f64::from(m) };
        let all = [(1, 0), (1, 2), (2, 1), (2, 3), (3, 0), (3, 2), (3, 4), (4, 1), (4, 3), (4, 5), (5, 0), (5, 2), (5, 4), (5, 6)];
        for (n, m) in all {
            let a = Aberrations { terms: vec![term(n, m)] };
            let p = a.polynomial(0.02, 25.0).unwrap();
            assert_eq!(p.degree(), n as usize + 1);
            for (y, x) in [(0.3, -0.8), (1.0, 0.1), (-0.4, -0.4)] {
                let chi = a.chi(0.02, y * 25e-3, x * 25e-3) / TAU;
                assert!((p.at(y, x) - chi).abs() < 1e-9 * chi.abs().max(1.0), "C{n}{m}");
                let step = 1e-5;
                let slope =
                    [(p.at(y + step, x) - p.at(y - step, x)) / (2.0 * step), (p.at(y, x + step) - p.at(y, x - step)) / (2.0 * step)];
                let gradient = p.gradient(y, x);
                assert!((0..2).all(|i| (gradient[i] - slope[i]).abs() < 1e-5 * gradient[i].abs().max(1.0)), "C{n}{m}");
            }
        }
        assert!(Aberrations { terms: vec![term(2, 2)] }.polynomial(0.02, 25.0).is_none());
    }

    #[test]
    fn astigmatism_is_largest_along_its_azimuth_and_opposite_across_it() {
        let a = Aberrations { terms: vec![Aberration { n: 1, m: 2, magnitude_A: 30.0, angle_deg: 90.0 }] };
        let (along, across) = (a.chi(0.02, 1e-2, 0.0), a.chi(0.02, 0.0, 1e-2));
        assert!(along > 0.0 && (along + across).abs() < 1e-12);
    }
}
