//! What lies around a column, simply added up: within a disc, and within what is nearer to it than to any other column.

use super::lattice::Field;
use super::noise::Noise;

/// An integral over a part of the image, in the image's unit times Å², and its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Integral {
    pub value: f64,
    pub se: f64,
}

/// How far a column's cell reaches at most where no other column bounds it.
const FARTHEST_A: f64 = 1.5;

/// Over the disc of a radius around each place; NaN where it does not lie in the image.
pub fn discs(field: &Field<'_>, noise: &Noise, places: &[[f64; 2]], radius_A: f64) -> Vec<Integral> {
    let end = field.end_A();
    places
        .iter()
        .map(|at| {
            if (0..2).any(|a| at[a] < radius_A || at[a] > end[a] - radius_A) {
                return Integral { value: f64::NAN, se: f64::NAN };
            }
            let pixels = near(field, *at, radius_A).map(|(pixel, _)| pixel).collect::<Vec<_>>();
            integral(field, noise, &pixels)
        })
        .collect()
}

/// Over the Voronoi cell of each place, up to 1.5 Å from it; NaN where that does not lie in the image.
pub fn voronoi(field: &Field<'_>, noise: &Noise, places: &[[f64; 2]]) -> Vec<Integral> {
    let end = field.end_A();
    let mut owner: Vec<(f64, usize)> = vec![(f64::INFINITY, usize::MAX); field.values.len()];
    for (n, at) in places.iter().enumerate() {
        for (pixel, away) in near(field, *at, FARTHEST_A) {
            let number = pixel[0] * field.shape[1] + pixel[1];
            if away < owner[number].0 {
                owner[number] = (away, n);
            }
        }
    }
    places
        .iter()
        .enumerate()
        .map(|(n, at)| {
            if (0..2).any(|a| at[a] < FARTHEST_A || at[a] > end[a] - FARTHEST_A) {
                return Integral { value: f64::NAN, se: f64::NAN };
            }
            let own = near(field, *at, FARTHEST_A).map(|(pixel, _)| pixel).filter(|p| owner[p[0] * field.shape[1] + p[1]].1 == n);
            integral(field, noise, &own.collect::<Vec<_>>())
        })
        .collect()
}

fn near<'a>(field: &'a Field<'_>, at: [f64; 2], radius: f64) -> impl Iterator<Item = ([usize; 2], f64)> + 'a {
    let range = move |a: usize| {
        let low = ((at[a] - radius) / field.pixel_A[a]).ceil().max(0.0) as usize;
        let high = ((at[a] + radius) / field.pixel_A[a]).floor().min(field.shape[a] as f64 - 1.0);
        low..(high + 1.0).max(0.0) as usize
    };
    range(0).flat_map(move |i| {
        range(1).filter_map(move |j| {
            let away = (i as f64 * field.pixel_A[0] - at[0]).hypot(j as f64 * field.pixel_A[1] - at[1]);
            (away <= radius).then_some(([i, j], away))
        })
    })
}

fn integral(field: &Field<'_>, noise: &Noise, pixels: &[[usize; 2]]) -> Integral {
    let area = field.pixel_A[0] * field.pixel_A[1];
    let sum: f64 = pixels.iter().map(|p| field.values[p[0] * field.shape[1] + p[1]]).sum();
    let lag = |p: &[usize; 2], q: &[usize; 2]| [p[0] as i64 - q[0] as i64, p[1] as i64 - q[1] as i64];
    let variance: f64 = pixels.iter().flat_map(|p| pixels.iter().map(move |q| noise.covariance(lag(p, q)))).sum();
    Integral { value: sum * area, se: variance.max(0.0).sqrt() * area }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discs_and_cells_add_up_what_lies_in_them() {
        let (shape, pixel_A) = ([80, 80], [0.1; 2]);
        let places = [[4.0, 3.2], [4.0, 4.8]];
        let values: Vec<f64> = (0..6400)
            .map(|at| {
                let (y, x) = ((at / 80) as f64 * 0.1, (at % 80) as f64 * 0.1);
                places.iter().map(|p| (-((y - p[0]).powi(2) + (x - p[1]).powi(2)) / (2.0 * 0.09)).exp()).sum()
            })
            .collect();
        let field = Field { values: &values, shape, pixel_A };
        let noise = Noise::white(0.02, pixel_A);
        let whole = std::f64::consts::TAU * 0.09;
        for found in voronoi(&field, &noise, &places) {
            // 0.8 Å to the boundary is 2.7 σ: what crosses it on one side comes back from the other.
            assert!((found.value - whole).abs() < 0.01 * whole, "{found:?}");
        }
        for found in discs(&field, &noise, &places, 0.6) {
            // Within 2 σ lie 1 − e⁻² of it; the pixels of the disc's rim are worth ±2 %.
            assert!((found.value / whole - (1.0 - (-2f64).exp())).abs() < 0.03, "{found:?}");
            // √(113 pixels)·0.02·0.01, but for pixels on the rim.
            assert!((found.se - 113f64.sqrt() * 2e-4).abs() < 6e-5, "{found:?}");
        }
        assert!(discs(&field, &noise, &[[0.3, 4.0]], 0.6)[0].value.is_nan());
    }
}
