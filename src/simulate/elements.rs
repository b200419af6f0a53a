//! Elements: their electron scattering factors and projected potentials.

use super::kirkland::TABLE;
use super::lobato;
use super::{Error, Result};

/// Fits of the electron scattering factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parametrisation {
    /// Σ a/(q² + b) + Σ c·e^{−d·q²} (E. J. Kirkland, Advanced Computing in Electron Microscopy).
    Kirkland,
    /// Σ a(2 + bq²)/(1 + bq²)² (I. Lobato & D. Van Dyck, Acta Cryst. A70 (2014) 636).
    Lobato,
}

/// One of the elements 1 to 98, with its electron scattering factors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Element {
    row: &'static (&'static str, [f64; 12]),
}

impl Element {
    /// The element of this symbol, such as "Na".
    pub fn of(symbol: &str) -> Result<Self> {
        let row = TABLE.iter().find(|row| row.0 == symbol).ok_or_else(|| Error::UnknownElement { symbol: symbol.into() })?;
        Ok(Self { row })
    }

    /// The element of this Z, from 1 on.
    pub fn numbered(atomic_number: usize) -> Option<Self> {
        atomic_number.checked_sub(1).and_then(|n| TABLE.get(n)).map(|row| Self { row })
    }

    /// Such as "Na".
    pub fn symbol(&self) -> &'static str {
        self.row.0
    }

    /// Z.
    pub fn atomic_number(&self) -> usize {
        // The table's rows lie one behind the other.
        TABLE.iter().position(|row| std::ptr::eq(row, self.row)).map_or(0, |n| n + 1)
    }

    /// The scattering factor f_e in Å at the squared spatial frequency q² (Å⁻²).
    pub(super) fn scattering_A(&self, fit: Parametrisation, q2: f64) -> f64 {
        match fit {
            Parametrisation::Kirkland => {
                let [a, b, c, d] = [0, 3, 6, 9].map(|first| &self.row.1[first..first + 3]);
                (0..3).map(|i| a[i] / (q2 + b[i]) + c[i] * (-d[i] * q2).exp()).sum()
            }
            Parametrisation::Lobato => {
                let row = &lobato::TABLE[self.atomic_number() - 1];
                (0..5).map(|i| row[i] * (2.0 + row[5 + i] * q2) / (1.0 + row[5 + i] * q2).powi(2)).sum()
            }
        }
    }

    /// The Fourier transform of one atom's projected potential in V·Å³, blurred by a thermal motion of B = 8π²⟨u²⟩ (Å²): (h²/2πm₀e)·f_e·e^{−Bq²/4}.
    pub fn potential(&self, fit: Parametrisation, q2: f64, b_A2: f64) -> f64 {
        /// h²/(2πm₀e) in V·Å².
        const PER_SCATTERING_FACTOR: f64 = 47.878;
        PER_SCATTERING_FACTOR * self.scattering_A(fit, q2) * (-b_A2 * q2 / 4.0).exp()
    }
}

impl serde::Serialize for Element {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.symbol())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattering_factors_at_zero_angle_match_the_published_table() {
        // International Tables C, table 4.3.1.1, f_e(0) in Å: fits agree within about 2 %.
        for (symbol, f0) in [("O", 1.983), ("Na", 4.778), ("Ni", 6.569)] {
            for fit in [Parametrisation::Kirkland, Parametrisation::Lobato] {
                let found = Element::of(symbol).unwrap().scattering_A(fit, 0.0);
                assert!((found / f0 - 1.0).abs() < 0.03, "{symbol} by {fit:?}: {found}");
            }
        }
    }

    #[test]
    fn at_large_angles_every_element_scatters_by_its_nucleus() {
        // Mott and Bethe: f_e = (Z − f_x)/(2π²a₀q²), and of f_x, the electrons' part, hardly anything is left at 12 Å⁻¹. Neighbours in the table have nearly the same share of it: at most 0.0033 of Z
        // apart from Al on, while neighbours in each other's place would be 0.0088 apart.
        let per_charge = 1.0 / (2.0 * std::f64::consts::PI.powi(2) * 0.529_177);
        let seen = |n: usize, q: f64| {
            Element { row: &TABLE[n] }.scattering_A(Parametrisation::Kirkland, q * q) * q * q / per_charge / (n + 1) as f64
        };
        for (n, (symbol, _)) in TABLE.iter().enumerate() {
            assert!((0.94..1.03).contains(&seen(n, 12.0)), "{symbol}: {}", seen(n, 12.0));
            for q in [6.0, 8.0, 10.0, 12.0] {
                let step = (seen(n, q) - seen(n.max(4) - 1, q)).abs();
                let bound = if n < 12 { 0.01 } else { 0.0045 };
                assert!(n < 5 || step < bound, "{symbol}: {step} at {q}");
            }
        }
    }

    #[test]
    fn both_fits_say_the_same_of_every_element() {
        // Where cells of oxides scatter, from 0.1 to 6 Å⁻¹; fits to calculations of different authors differ by several per cent at the smallest angles.
        for (n, row) in TABLE.iter().enumerate() {
            let element = Element { row };
            assert_eq!(element.atomic_number(), n + 1);
            for q in [0.5f64, 1.0, 2.0, 4.0, 6.0] {
                let [a, b] = [Parametrisation::Kirkland, Parametrisation::Lobato].map(|fit| element.scattering_A(fit, q * q));
                assert!((a / b - 1.0).abs() < 0.06, "{} at {q}: {a} and {b}", row.0);
            }
        }
    }

    #[test]
    fn what_is_no_element_is_not_found() {
        assert!(["", "na", "Xx", "Na+"].iter().all(|symbol| Element::of(symbol).is_err()));
    }
}
