//! Electron scattering factors of the elements of the demonstration crystal, and their projected potential.

/// An element with its scattering factor and thermal motion.
#[derive(Debug, PartialEq)]
pub(super) struct Element {
    pub(super) symbol: &'static str,
    a: [f64; 3],
    b: [f64; 3],
    c: [f64; 3],
    d: [f64; 3],
    /// The Debye–Waller factor B = 8π²⟨u²⟩.
    thermal_A2: f64,
}

// Kirkland, Advanced Computing in Electron Microscopy, 2nd ed., appendix C.5 (a in Å⁻¹, b in Å⁻², c in Å, d in Å²).

pub(super) static O: Element = Element {
    symbol: "O",
    a: [3.39969204e-1, 3.07570172e-1, 1.30369072e-1],
    b: [3.81570280e-1, 3.81571436e-1, 1.91919745e1],
    c: [8.83326058e-2, 1.96586700e-1, 9.96220028e-4],
    d: [7.60635525e-1, 2.07401094e0, 3.03266869e-2],
    thermal_A2: 0.8,
};

pub(super) static NA: Element = Element {
    symbol: "Na",
    a: [1.36471662e-1, 7.70677865e-1, 1.56862014e-1],
    b: [4.99965301e-2, 8.81899664e-1, 1.61768579e1],
    c: [9.96821513e-1, 3.80304670e-2, 1.27685089e-1],
    d: [2.00132610e1, 2.60516254e-1, 6.99559329e-1],
    thermal_A2: 1.5,
};

pub(super) static NI: Element = Element {
    symbol: "Ni",
    a: [1.72254630e0, 3.29543044e-1, 6.23007200e-1],
    b: [7.76606908e-1, 1.02262360e-1, 1.94156207e1],
    c: [9.43496513e-3, 8.54063515e-1, 2.21073515e-1],
    d: [3.98684596e-2, 1.04078166e1, 5.10869330e-1],
    thermal_A2: 0.4,
};

pub(super) static SB: Element = Element {
    symbol: "Sb",
    a: [1.73662114e0, 9.99871380e-1, 2.13972409e0],
    b: [8.84334719e-1, 1.38462121e-1, 1.19666432e1],
    c: [5.60566526e-1, 9.93772747e-1, 7.37374982e-2],
    d: [6.72672880e-1, 8.72330411e0, 8.78577715e-2],
    thermal_A2: 0.4,
};

impl Element {
    /// The scattering factor f_e in Å at the squared spatial frequency q² (Å⁻²): Σ a/(q² + b) + Σ c·e^{−d·q²}.
    pub(super) fn scattering_A(&self, q2: f64) -> f64 {
        (0..3).map(|i| self.a[i] / (q2 + self.b[i]) + self.c[i] * (-self.d[i] * q2).exp()).sum()
    }

    /// The Fourier transform of one atom's projected potential in V·Å³, blurred by its thermal motion: (h²/2πm₀e)·f_e·e^{−Bq²/4}.
    pub(super) fn potential(&self, q2: f64) -> f64 {
        /// h²/(2πm₀e) in V·Å².
        const PER_SCATTERING_FACTOR: f64 = 47.878;
        PER_SCATTERING_FACTOR * self.scattering_A(q2) * (-self.thermal_A2 * q2 / 4.0).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattering_factors_at_zero_angle_match_the_published_table() {
        // International Tables C, table 4.3.1.1, f_e(0) in Å: fits agree within about 2 %.
        for (element, f0) in [(&O, 1.983), (&NA, 4.778), (&NI, 6.569)] {
            let fit = element.scattering_A(0.0);
            assert!((fit / f0 - 1.0).abs() < 0.03, "{}: {fit}", element.symbol);
        }
    }
}
