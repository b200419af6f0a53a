//! Strain from the phases of two lattice waves.

use std::f64::consts::{PI, TAU};

use num_complex::Complex64;

use super::{Bragg, Error, Measured, Picture, Result, Spectrum};
use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::optics::fft_index;

/// Maps end so many of the mask's deviations in real space from the image's edge and from the crystal's.
const MARGIN: f64 = 3.0;
/// A lattice is there where its wave has at least this part of its usual amplitude.
const LEAST_AMPLITUDE: f64 = 0.35;
/// Waves that are taken unasked stand out of the noise so much.
const STANDS_OUT: f64 = 5.0;

/// How strain is measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GpaOptions {
    /// Two spatial frequencies (y, x) in 1/Å near which the lattice waves are looked for; the image's two strongest that are not collinear
    /// where none are given.
    pub near_inverse_A: Option<[[f64; 2]; 2]>,
    /// The standard deviation of the Gaussian mask about each spot in 1/Å. By default a sixth of the shorter wave vector: details below
    /// 1/(2π·mask), about one fringe, are smoothed.
    pub mask_inverse_A: Option<f64>,
    /// The unstrained pixels [first y, end y, first x, end x]; by default the whole image, so that strains are departures from its mean
    /// lattice.
    pub reference: Option<[usize; 4]>,
    /// The direction of x′ from +x towards +y; y′ lies 90° further, as y does from x.
    pub axis_deg: f64,
}

/// Maps of the strain, (y, x) as the image, in the axes x′ and y′. NaN where the lattice cannot be told or the mask reaches over an edge.
///
/// Displacements are counted from the reference lattice, F = 1 + D being what takes its vectors to those at a place: a stretch is positive,
/// and so is a rotation from x′ towards y′ (clockwise in a picture whose y goes down). Small strains are meant: ε is the symmetric and ω
/// the antisymmetric part of D.
#[derive(Debug, Clone)]
pub struct Gpa {
    pub xx: Vec<f64>,
    pub yy: Vec<f64>,
    pub xy: Vec<f64>,
    /// In radians.
    pub rotation_rad: Vec<f64>,
    pub shape: [usize; 2],
    /// The standard errors of a pixel of ε_xx, ε_yy, ε_xy and ω by the image's noise, in the mean over the maps. Pixels within the
    /// resolution of each other share their noise.
    pub se: [f64; 4],
    /// The mean and its error of ε_xx, ε_yy, ε_xy and ω over the reference: 0 within the error, or the reference is not unstrained.
    pub reference: [Measured; 4],
    /// The two waves as the reference has them.
    pub waves: [Bragg; 2],
    /// The deviation in Å of the Gaussian by which the maps are smoothed.
    pub resolution_A: f64,
    pub axis_deg: f64,
}

/// Geometric phase analysis (M. J. Hÿtch, E. Snoeck and R. Kilaas, Ultramicroscopy 74 (1998) 131).
///
/// The image's spectrum times a Gaussian about g leaves H_g(r) = A·e^{i(2πg·r + P)}. The local wave vector is k_g = Im(H*∇H)/(2π|H|²),
/// which needs no unwrapping. With the reference's two vectors as rows of G and the local ones as rows of K the deformation is F = K⁻¹·G:
/// exact for homogeneous strain, and −∇P/2π = (g·∇)u to first order. The reference's vectors are the means of k over it. Noise of density S
/// about g leaves ∂P the variance ½∫(2πq_j)²·M(q)²·S d²q/|H|², q being counted from g.
///
/// # Errors
/// If there are no two waves, or an option cannot be.
pub fn gpa(picture: &Picture<'_>, options: &GpaOptions) -> Result<Gpa> {
    let shape = picture.shape;
    let [y0, y1, x0, x1] = options.reference.unwrap_or([0, shape[0], 0, shape[1]]);
    if y0 >= y1 || x0 >= x1 || y1 > shape[0] || x1 > shape[1] {
        return Err(Error::Number {
            what: "the reference [first y, end y, first x, end x]",
            value: format!("{:?}", [y0, y1, x0, x1]),
            expected: "pixels within the image",
        });
    }
    let spectrum = Spectrum::of(picture)?;
    let waves = waves(&spectrum, options.near_inverse_A)?;
    let lengths = waves.map(|w| w.q_inverse_A[0].hypot(w.q_inverse_A[1]));
    let mask = options.mask_inverse_A.unwrap_or(lengths[0].min(lengths[1]) / 6.0);
    if !(mask > 0.0 && mask < lengths[0].min(lengths[1])) {
        return Err(Error::Number {
            what: "the mask's deviation",
            value: format!("{mask} 1/Å"),
            expected: "above 0 and below the shorter wave vector",
        });
    }
    let resolution_A = 1.0 / (TAU * mask);
    let mean = picture.mean();
    // Other waves' ends at an edge reach into the mask, unless they fade; what fades is not told.
    let margin = MARGIN * resolution_A;
    let edge_A = |at: usize, a: usize| {
        let place = [at / shape[1], at % shape[1]][a];
        (place.min(shape[a] - 1 - place) as f64 + 0.5) * picture.pixel_A[a]
    };
    let fade = |at: usize, a: usize| {
        let inside = (edge_A(at, a) / margin).min(1.0);
        inside - (TAU * inside).sin() / TAU
    };
    let faded = picture.values.iter().enumerate().map(|(at, v)| Complex64::from((v - mean) * fade(at, 0) * fade(at, 1)));
    let image: Vec<Complex64> = faded.collect();
    let forward = transformed(&image, shape, Direction::Forward)?;
    let fields = [
        Wave::of(&forward, picture, &spectrum, waves[0].q_inverse_A, mask)?,
        Wave::of(&forward, picture, &spectrum, waves[1].q_inverse_A, mask)?,
    ];
    // Where both are strong, and so far from where they are not.
    let usual = fields.each_ref().map(Wave::usual);
    let strong = |at: usize| (0..2).all(|w| fields[w].power[at].sqrt() > LEAST_AMPLITUDE * usual[w]);
    let inside = |at: usize| (0..2).all(|a| edge_A(at, a) >= margin);
    let there: Vec<bool> = (0..image.len()).map(|at| inside(at) && strong(at)).collect();
    let within = |at: usize| (y0..y1).contains(&(at / shape[1])) && (x0..x1).contains(&(at % shape[1]));
    let trusted: Vec<usize> = (0..image.len()).filter(|&at| there[at] && within(at)).collect();
    if trusted.is_empty() {
        let what = format!("in the reference {:?} nothing of the lattice lies {margin:.1} Å or more from the edges", [y0, y1, x0, x1]);
        return Err(Error::NoSpots { what, remedy: "Choose a larger reference or a wider mask." });
    }
    let count = trusted.len() as f64;
    let g = fields.each_ref().map(|f| [0, 1].map(|a| trusted.iter().map(|&at| f.vector[at][a]).sum::<f64>() / count));
    let (sin, cos) = options.axis_deg.to_radians().sin_cos();
    // D in y and x, then its parts along x′ and y′.
    let parts = |d: [[f64; 2]; 2]| {
        let (px, py) = ([sin, cos], [cos, -sin]);
        let form = |a: [f64; 2], b: [f64; 2]| (0..2).map(|i| (0..2).map(|j| a[i] * d[i][j] * b[j]).sum::<f64>()).sum::<f64>();
        let (dxy, dyx) = (form(px, py), form(py, px));
        [form(px, px), form(py, py), (dxy + dyx) / 2.0, (dyx - dxy) / 2.0]
    };
    let mut maps: [Vec<f64>; 4] = [0; 4].map(|_| vec![f64::NAN; image.len()]);
    for at in (0..image.len()).filter(|&at| there[at]) {
        if let Some(d) = deformation(g, [fields[0].vector[at], fields[1].vector[at]]) {
            maps.iter_mut().zip(parts(d)).for_each(|(map, part)| map[at] = part);
        }
    }
    // Each local vector's component has its own noise; D's parts are linear in them.
    let mut variance = [0.0; 4];
    for (w, wave) in fields.iter().enumerate() {
        for a in 0..2 {
            let mut moved = g;
            let small = 1e-6 * lengths[0];
            moved[w][a] += small;
            if let Some(d) = deformation(g, moved) {
                variance.iter_mut().zip(parts(d)).for_each(|(v, part)| *v += (part / small).powi(2) * wave.noise[a] / usual[w].powi(2));
            }
        }
    }
    let se = variance.map(f64::sqrt);
    // Noise of the maps is as wide as the mask in real space: (4πσ²) a sample that counts.
    let area = picture.pixel_A[0] * picture.pixel_A[1] * count;
    let independent = (area / (4.0 * PI * resolution_A * resolution_A)).max(1.0);
    let reference = [0, 1, 2, 3].map(|k| {
        let known: Vec<f64> = trusted.iter().map(|&at| maps[k][at]).filter(|v| v.is_finite()).collect();
        Measured::new(known.iter().sum::<f64>() / known.len() as f64, se[k] / independent.sqrt())
    });
    let [xx, yy, xy, rotation_rad] = maps;
    let waves = [0, 1].map(|w| Bragg { q_inverse_A: g[w], ..waves[w] });
    Ok(Gpa { xx, yy, xy, rotation_rad, shape, se, reference, waves, resolution_A, axis_deg: options.axis_deg })
}

fn waves(spectrum: &Spectrum, near: Option<[[f64; 2]; 2]>) -> Result<[Bragg; 2]> {
    if let Some(near) = near {
        let reach = |g: [f64; 2]| 0.15 * g[0].hypot(g[1]);
        let found = near.map(|g| spectrum.near(g, reach(g)).filter(|spot| spot.snr > STANDS_OUT));
        return match found {
            [Some(a), Some(b)] if Spectrum::basis(&[a, b]).is_some() => Ok([a, b]),
            _ => Err(Error::NoSpots {
                what: format!(
                    "near the spatial frequencies {near:?} 1/Å (y, x) no two spots stand out of the noise that are not collinear"
                ),
                remedy: "Look at the list of spots, and name two of them.",
            }),
        };
    }
    let spots = spectrum.spots(STANDS_OUT);
    let pair = Spectrum::basis(&spots).and_then(|basis| {
        let of = |q: [f64; 2]| spots.iter().find(|s| s.q_inverse_A == q).copied();
        Some([of(basis[0])?, of(basis[1])?])
    });
    pair.ok_or_else(|| Error::NoSpots {
        what: "the image's spectrum has no two spots that stand out of its noise and are not collinear".to_owned(),
        remedy: "Strain needs a lattice: choose another image or a field with more of it.",
    })
}

/// D = K⁻¹·G − 1 with the vectors (y, x) of the reference and the local ones as rows.
fn deformation(g: [[f64; 2]; 2], k: [[f64; 2]; 2]) -> Option<[[f64; 2]; 2]> {
    let determinant = k[0][0] * k[1][1] - k[0][1] * k[1][0];
    let inverse = [[k[1][1], -k[0][1]], [-k[1][0], k[0][0]]].map(|row| row.map(|x| x / determinant));
    let product = [0, 1].map(|i| [0, 1].map(|j| inverse[i][0] * g[0][j] + inverse[i][1] * g[1][j] - f64::from(u8::from(i == j))));
    product.iter().flatten().all(|x| x.is_finite()).then_some(product)
}

/// A lattice wave: its local vector (y, x) in 1/Å and its power.
struct Wave {
    vector: Vec<[f64; 2]>,
    power: Vec<f64>,
    /// The variance of a vector's components times the power.
    noise: [f64; 2],
}

impl Wave {
    fn of(forward: &[Complex64], picture: &Picture<'_>, spectrum: &Spectrum, g: [f64; 2], mask: f64) -> Result<Self> {
        let (shape, pixel) = (picture.shape, picture.pixel_A);
        let side = picture.side_A();
        let away = |at: usize| {
            let q = [0, 1].map(|a| fft_index([at / shape[1], at % shape[1]][a], shape[a]) / side[a]);
            // The nearest of the frequencies that a sample stands for.
            [0, 1].map(|a| {
                let d = q[a] - g[a];
                d - (d * pixel[a]).round() / pixel[a]
            })
        };
        let gain = |d: [f64; 2]| (-0.5 * (d[0] * d[0] + d[1] * d[1]) / (mask * mask)).exp();
        let density = spectrum.noise().density(g[0].hypot(g[1]));
        let n = forward.len() as f64;
        let mut noise = [0.0; 2];
        let mut masked = vec![Complex64::ZERO; forward.len()];
        let mut slopes = [masked.clone(), masked.clone()];
        for (at, value) in forward.iter().enumerate() {
            let d = away(at);
            let m = gain(d);
            masked[at] = value * m;
            for ((slope, noise), d) in slopes.iter_mut().zip(&mut noise).zip(d) {
                slope[at] = value * (m * d);
                *noise += 0.5 * (m * d).powi(2) * density / n;
            }
        }
        let back = |values: &[Complex64]| transformed(values, shape, Direction::Inverse);
        let (wave, dy, dx) = (back(&masked)?, back(&slopes[0])?, back(&slopes[1])?);
        let power: Vec<f64> = wave.iter().map(Complex64::norm_sqr).collect();
        let vector = (0..wave.len())
            .map(|at| [g[0] + (wave[at].conj() * dy[at]).re / power[at], g[1] + (wave[at].conj() * dx[at]).re / power[at]])
            .collect();
        Ok(Self { vector, power, noise })
    }

    /// The amplitude that three quarters of the image have at most.
    fn usual(&self) -> f64 {
        let mut power = self.power.clone();
        let at = power.len() * 3 / 4;
        power.select_nth_unstable_by(at, f64::total_cmp).1.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_chacha::ChaCha8Rng;

    use super::super::testing::{fresh_rng, side_band_noise, smoothed_noise};
    use super::*;

    /// Gaussian atoms of the lattice (y, x) moved by `displace`, on 240×240 pixels of 0.25 Å.
    const SHAPE: [usize; 2] = [240, 240];
    const PIXEL: [f64; 2] = [0.25, 0.25];

    fn image(lattice: [[f64; 2]; 2], displace: impl Fn([f64; 2]) -> [f64; 2]) -> Vec<f64> {
        let mut blobs = Vec::new();
        for i in -60..60 {
            for j in -60..60 {
                let at = [0, 1].map(|a| 30.0 + f64::from(i) * lattice[0][a] + f64::from(j) * lattice[1][a]);
                let moved = displace(at);
                if moved.iter().all(|x| (-3.0..63.0).contains(x)) {
                    blobs.push((moved, 0.3, 0.4));
                }
            }
        }
        super::super::testing::drawn(&blobs, SHAPE, PIXEL)
    }

    fn lattice(rng: &mut ChaCha8Rng) -> [[f64; 2]; 2] {
        [[2.6, rng.random_range(-0.3..0.3)], [rng.random_range(-0.3..0.3), 2.9]]
    }

    fn over(map: &[f64], region: [usize; 4]) -> (f64, f64) {
        let [y0, y1, x0, x1] = region;
        let values: Vec<f64> =
            (y0..y1).flat_map(|y| map[y * SHAPE[1] + x0..y * SHAPE[1] + x1].to_vec()).filter(|v| v.is_finite()).collect();
        assert!(values.len() > 500, "{} pixels are told", values.len());
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let worst = values.iter().map(|v| (v - mean).abs()).fold(0.0, f64::max);
        (mean, worst)
    }

    #[test]
    fn a_planted_strain_of_one_percent_is_recovered_to_a_tenth_in_every_component_and_sign() {
        let mut rng = fresh_rng();
        let lattice = lattice(&mut rng);
        // (∂u_x/∂x, ∂u_y/∂y, ∂u_x/∂y, ∂u_y/∂x) beyond y = 30 Å.
        for [xx, yy, xy, yx] in [[0.0, 0.01, 0.0, 0.0], [0.0, -0.01, 0.0, 0.0], [0.0, 0.0, 0.01, 0.0]] {
            let displace = |[y, x]: [f64; 2]| {
                let beyond = (y - 30.0).max(0.0);
                [y + yy * beyond + yx * x, x + xy * beyond + xx * x]
            };
            let image = image(lattice, displace);
            let picture = Picture::new(&image, SHAPE, PIXEL).unwrap();
            let options = GpaOptions { reference: Some([0, 90, 0, 240]), ..GpaOptions::default() };
            let found = gpa(&picture, &options).unwrap();
            let expected = [xx, yy, (xy + yx) / 2.0, (yx - xy) / 2.0];
            let maps = [&found.xx, &found.yy, &found.xy, &found.rotation_rad];
            for (k, map) in maps.into_iter().enumerate() {
                let ((near, noise), (far, rest)) = (over(map, [0, 90, 0, 240]), over(map, [145, 240, 0, 240]));
                assert!(near.abs() < 3e-4 && noise < 1e-3, "component {k} of the reference: {near} ± {noise}");
                assert!((far - expected[k]).abs() < 1e-3 && rest < 1e-3, "component {k}: {far} ± {rest}, expected {}", expected[k]);
            }
            // Nothing is told where the mask reaches over the edge.
            assert!(found.xx[..SHAPE[1]].iter().all(|v| v.is_nan()) && found.resolution_A > 0.5);
        }
    }

    #[test]
    fn strain_along_x_and_a_rotation_keep_their_signs_in_turned_axes() {
        let mut rng = fresh_rng();
        let lattice = lattice(&mut rng);
        let (e, w) = (0.01, 0.006);
        // The right half is stretched along x, and turned from x towards y.
        let displace = |[y, x]: [f64; 2]| {
            let beyond = (x - 30.0).max(0.0);
            [y + w * beyond, x + e * beyond]
        };
        let image = image(lattice, displace);
        let picture = Picture::new(&image, SHAPE, PIXEL).unwrap();
        let of = |axis_deg| gpa(&picture, &GpaOptions { reference: Some([0, 240, 0, 90]), axis_deg, ..GpaOptions::default() }).unwrap();
        let right = [0, 240, 145, 240];
        let along = of(0.0);
        for (map, expected) in [(&along.xx, e), (&along.yy, 0.0), (&along.xy, w / 2.0), (&along.rotation_rad, w / 2.0)] {
            let (mean, worst) = over(map, right);
            assert!((mean - expected).abs() < 1e-3 && worst < 1e-3, "{mean} ± {worst}, expected {expected}");
        }
        // x′ along y, y′ along −x.
        let turned = of(90.0);
        for (map, expected) in [(&turned.xx, 0.0), (&turned.yy, e), (&turned.xy, -w / 2.0), (&turned.rotation_rad, w / 2.0)] {
            let (mean, _) = over(map, right);
            assert!((mean - expected).abs() < 1e-3, "turned: {mean}, expected {expected}");
        }
    }

    #[test]
    fn the_error_that_is_told_is_the_scatter_by_noise_and_a_thousand_electrons_still_tell_a_percent() {
        let mut rng = fresh_rng();
        let clean = image(lattice(&mut rng), |[y, x]| [y + 0.01 * (y - 30.0).max(0.0), x]);
        let options = GpaOptions { reference: Some([0, 90, 0, 240]), mask_inverse_A: Some(0.05), ..GpaOptions::default() };
        let of = |image: &[f64]| gpa(&Picture::new(image, SHAPE, PIXEL).unwrap(), &options).unwrap();
        let maps = |g: &Gpa| [g.xx.clone(), g.yy.clone(), g.xy.clone(), g.rotation_rad.clone()];
        let without = maps(&of(&clean));
        let (mut scatter, mut told) = ([0.0; 4], [0.0; 4]);
        for _ in 0..6 {
            let noise = side_band_noise(&mut rng, SHAPE, PIXEL, 1000.0, 1.27);
            let with = of(&clean.iter().zip(noise).map(|(v, n)| v + n).collect::<Vec<f64>>());
            for (k, (a, b)) in without.iter().zip(&maps(&with)).enumerate() {
                let off: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).filter(|d| d.is_finite()).collect();
                scatter[k] += off.iter().map(|d| d * d).sum::<f64>() / off.len() as f64;
                told[k] += with.se[k].powi(2);
            }
            let (mean, _) = over(&with.yy, [145, 240, 0, 240]);
            assert!((mean - 0.01).abs() < 5.0 * with.reference[1].se + 1e-3, "{mean} ± {}", with.reference[1].se);
        }
        for k in 0..4 {
            let ratio = f64::sqrt(scatter[k] / told[k]);
            // Two hundred independent patches scatter by a twentieth; the noise's density is known to a tenth, and told too large where spots fill the rings.
            assert!((ratio - 1.0).abs() < 0.5, "component {k}: {ratio}");
        }
        let alone = smoothed_noise(&mut rng, SHAPE, PIXEL, 0.3, 0.3);
        let refused = gpa(&Picture::new(&alone, SHAPE, PIXEL).unwrap(), &options).unwrap_err().to_string();
        assert!(refused.contains("no two spots"), "{refused}");
    }
}
