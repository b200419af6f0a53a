//! Where the layers lie: spacings, slabs, and what they hold.

use std::f64::consts::TAU;

use num_complex::Complex64;

use super::rows::{Covariances, Guess, METAL, OXYGEN, Rows, SODIUM, covariance, stretch};
use super::spots::undirected;
use super::unrolled::{SMOOTHED, Unrolled};
use super::{Error, Layered, Measured, Noise, Picture, Result, Spectrum};

/// The normal and the repeats are refined by so much at most.
const TURN_DEG: f64 = 5.0;
const STRETCH: f64 = 0.08;
/// In errors of the spot.
const CERTAIN: f64 = 3.0;
/// What stands out of the noise.
const STANDS_OUT: f64 = 5.0;
/// The local harmonic of noise is so many deviations high once in 2e5 places.
const STANDS_UP: f64 = 3.5;
/// A layer has at least this share of the strongest ones' modulation.
const LEAST_MODULATION: f64 = 0.25;

/// Values by layer (or pair of layers) and segment along the layers.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// The depth u of each layer, pair or slab.
    pub depth_A: Vec<f64>,
    /// The middle v of each segment.
    pub along_A: Vec<f64>,
    /// [layer · segments + segment]
    pub values: Vec<Measured>,
}

impl Grid {
    pub fn row(&self, layer: usize) -> &[Measured] {
        &self.values[layer * self.along_A.len()..(layer + 1) * self.along_A.len()]
    }

    /// The mean of each layer over its segments ([`Measured::mean`]).
    pub fn profile(&self) -> Vec<Measured> {
        (0..self.depth_A.len()).map(|k| Measured::mean(self.row(k).iter().copied())).collect()
    }

    fn of(depth_A: Vec<f64>, along_A: &[f64], value: impl Fn(usize, usize) -> Measured) -> Self {
        let values = (0..depth_A.len()).flat_map(|k| (0..along_A.len()).map(move |s| (k, s))).map(|(k, s)| value(k, s)).collect();
        Self { depth_A, along_A: along_A.to_vec(), values }
    }
}

/// The layers of an image, by themselves and segment by segment.
#[derive(Debug, Clone)]
pub struct Layers {
    /// With the normal and the repeats as they were refined.
    pub layered: Layered,
    /// Depth of each transition metal layer.
    pub metal_A: Grid,
    /// From each transition metal layer to the next.
    pub spacing_A: Grid,
    /// Across each alkali layer, oxygen to oxygen.
    pub alkali_slab_A: Grid,
    /// Across each transition metal layer, oxygen to oxygen.
    pub metal_slab_A: Grid,
    /// Depth of each alkali layer.
    pub alkali_A: Grid,
    /// The projected phase in each alkali layer's row over the mean of the two transition metal rows next to it.
    pub alkali_to_metal: Grid,
    /// The deviations of the Gaussians of transition metal, oxygen and sodium rows, less what the profiles were smoothed by; NaN from
    /// columns.
    pub widths_A: [f64; 3],
    pub(super) fits: Vec<Vec<Option<Rows>>>,
}

impl Layered {
    /// The same with the normal, the repeat and the spacing along rows as the image has them: by up to 5° and 8 %. What does not stand out
    /// stays.
    ///
    /// The normal is that of the spot at 1/repeat; the spacing is 1/f where Σ_u |Σ_v I(u, v)·e^{−2πifv}|² is largest near its frequency,
    /// which does not mind layers that are shifted against each other.
    ///
    /// # Errors
    /// If a number cannot be, or there is no room.
    pub fn refined(&self, picture: &Picture<'_>) -> Result<Self> {
        self.check()?;
        let spectrum = Spectrum::of(picture)?;
        let mut found = *self;
        let g = 1.0 / self.repeat_A;
        if let Some(spot) = spectrum.near(self.normal.map(|n| n * g), g * STRETCH) {
            let [y, x] = spot.q_inverse_A;
            let turn = undirected(y.atan2(x) - self.normal[0].atan2(self.normal[1])).to_degrees();
            let length = y.hypot(x);
            if spot.snr > STANDS_OUT && turn.abs() < TURN_DEG && (length / g - 1.0).abs() < STRETCH {
                // A normal that is given as well as the spot tells it stays.
                if turn.abs() > CERTAIN * spot.angle_deg.se {
                    found.normal = [y / length, x / length];
                }
                found.repeat_A = 1.0 / length;
            }
        }
        let unrolled = Unrolled::of(picture, &found);
        if let Some(f) = unrolled.row_frequency(1.0 / self.row_A, STRETCH) {
            found.row_A = 1.0 / f;
        }
        Ok(found)
    }

    fn period_A(&self) -> f64 {
        self.row_A * self.period as f64
    }
}

/// Depths at which a profile's local phase at 1/repeat passes 0 upwards: the transition metal layers, if the profile is larger there. Of
/// the profiles that could be taken the power of the rows' harmonic is the safest: transition metals' is the largest wherever their columns
/// stand, and what images of direct ptychography have at low frequencies counts for nothing.
///
/// The local harmonic is Σ p(u′)·g(u′ − u)·e^{−2πi(u′ − u)/repeat} with a Gaussian g of 0.8 repeats, so that changing spacings are
/// followed.
fn crossings(unrolled: &Unrolled, profile: &[f64], repeat_A: f64, by_distance: &[f64]) -> Vec<f64> {
    let step = unrolled.step_A[0];
    let half = (2.4 * repeat_A / step).ceil() as i64;
    let window: Vec<Complex64> = (-half..=half)
        .map(|k| {
            let away = k as f64 * step / repeat_A;
            Complex64::cis(-TAU * away) * (-0.5 * (away / 0.8).powi(2)).exp()
        })
        .collect();
    let known: Vec<f64> = profile.iter().copied().filter(|v| v.is_finite()).collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let local = |u: usize| -> Complex64 {
        let inside = (-half..=half).filter_map(|k| {
            let at = usize::try_from(u as i64 + k).ok()?;
            profile.get(at).filter(|v| v.is_finite()).map(|v| (v - mean, window[(k + half) as usize]))
        });
        let (sum, weight) = inside.fold((Complex64::ZERO, 0.0), |(s, w), (v, g)| (s + g * v, w + g.norm()));
        sum / weight.max(f64::MIN_POSITIVE)
    };
    let waves: Vec<Complex64> = (0..profile.len()).map(|u| if profile[u].is_finite() { local(u) } else { Complex64::ZERO }).collect();
    // The deviation of such a mean of noise.
    let pairs = |a: &Complex64, rest: &[Complex64]| -> f64 { rest.iter().zip(by_distance).map(|(b, c)| (a * b.conj()).re * c).sum() };
    let once: f64 = window.iter().map(Complex64::norm_sqr).sum::<f64>() * by_distance[0];
    let variance = 2.0 * (0..window.len()).map(|i| pairs(&window[i], &window[i..])).sum::<f64>() - once;
    let floor = STANDS_UP * variance.max(0.0).sqrt() / window.iter().map(|w| w.norm()).sum::<f64>();
    let strongest = waves.iter().map(|w| w.norm()).fold(0.0, f64::max);
    (0..waves.len().saturating_sub(1))
        .filter_map(|u| {
            let (a, b) = (waves[u], waves[u + 1]);
            let passes = a.im <= 0.0 && b.im > 0.0 && a.re > 0.0 && b.re > 0.0;
            let strong = a.norm() > floor.max(LEAST_MODULATION * strongest);
            let part = a.arg() / (a.arg() - b.arg());
            (passes && strong).then(|| unrolled.depth_A(u) + part * step)
        })
        .collect()
}

/// Where rows are looked for around each transition metal layer.
fn guesses(metal: &[f64], layered: &Layered) -> Vec<Guess> {
    let middle = |k: usize, next: Option<&f64>, side: f64| {
        let beyond = metal[k] + side * layered.repeat_A;
        // Where the next layer is missing, a repeat further.
        let next = next.copied().filter(|n| (n - beyond).abs() < 0.3 * layered.repeat_A).unwrap_or(beyond);
        (metal[k] + next) / 2.0
    };
    (0..metal.len())
        .map(|k| Guess {
            metal_A: metal[k],
            oxygen_A: layered.oxygen_A,
            sodium_A: [middle(k, k.checked_sub(1).map(|j| &metal[j]), -1.0), middle(k, metal.get(k + 1), 1.0)],
        })
        .collect()
}

/// Measures the layers of an image in segments of about `segment_A` along them.
///
/// In each segment and for each layer the five rows Na–O–TM–O–Na of the profile over depth are fitted as Gaussians on a constant by least
/// squares, with widths common to the image and weak knowledge beforehand of where rows lie (0.2 Å for oxygen's distance from the
/// transition metals, 0.25 Å for sodium's from the middle, one deviation). Samples count by the inverse of the noise's covariance. Places
/// are read again, row by row, where the row's harmonic at 1/row_A is three errors high, from the profile that sums along the layer with
/// the weights 1 + 2·cos of that harmonic's phase. A place is told where at least four fifths of the information on it is the image's and
/// its error is below half of what was known. Errors are the noise's ([`Noise`]), and those of spacings know of noise that neighbouring
/// layers share.
///
/// # Errors
/// If a number cannot be, or no layers stand out.
pub fn measure_layers(picture: &Picture<'_>, layered: &Layered, segment_A: f64) -> Result<Layers> {
    if segment_A.is_nan() || segment_A <= 0.0 {
        return Err(Error::Number { what: "the length of a segment", value: format!("{segment_A} Å"), expected: "a length above 0" });
    }
    let layered = layered.refined(picture)?;
    let noise = Noise::of(picture)?;
    let unrolled = Unrolled::of(picture, &layered);
    let depth = |row: usize| unrolled.depth_A(row);
    let none = || Error::NoLayers { repeat_A: layered.repeat_A, normal: layered.normal };
    let segments = unrolled.segments(segment_A, layered.period_A());
    let whole = unrolled.whole_profile();
    let lags = ((2.5 * layered.repeat_A / unrolled.step_A[0]).ceil() as usize).min(unrolled.shape[0]);
    let flat = vec![1.0 / unrolled.shape[1] as f64; unrolled.shape[1]];
    let of_whole = noise.along(&flat, 0.0, unrolled.step_A, SMOOTHED, lags);
    let f = 1.0 / layered.row_A;
    let sample = &segments.first().ok_or_else(none)?.weights;
    let by_segment = Covariances {
        mean: noise.along(sample, 0.0, unrolled.step_A, SMOOTHED, lags),
        harmonic: noise.along(sample, f, unrolled.step_A, SMOOTHED, lags),
    };
    let sums: Vec<[Vec<Complex64>; 2]> = segments.iter().map(|s| [0.0, f].map(|f| unrolled.profile(s, f))).collect();
    let powers: Vec<Vec<f64>> = sums.iter().map(|[_, harmonics]| harmonics.iter().map(Complex64::norm_sqr).collect()).collect();
    // The power of noise has the square of its covariance.
    let of_power: Vec<f64> = by_segment.harmonic.iter().map(|c| c * c).collect();
    let of_mean: Vec<f64> = of_power.iter().map(|c| c / powers.len() as f64).collect();
    let mean = |row: usize| {
        let known: Vec<f64> = powers.iter().map(|p| p[row]).filter(|p| p.is_finite()).collect();
        known.iter().sum::<f64>() / known.len() as f64
    };
    let power: Vec<f64> = (0..unrolled.shape[0]).map(mean).collect();
    let by_rows = crossings(&unrolled, &power, layered.repeat_A, &of_mean);
    // Where columns are not resolved, the rows' brightness has to do.
    let resolved = !by_rows.is_empty();
    let metal = if resolved { by_rows } else { crossings(&unrolled, &whole, layered.repeat_A, &of_whole) };
    if metal.is_empty() {
        return Err(none());
    }
    let first = guesses(&metal, &layered);
    // Widths, and better places, from everything along the layers.
    let mut fitted: Vec<Rows> = first.iter().filter_map(|guess| stretch(depth, &whole, guess, &of_whole)?.fit(guess, None)).collect();
    let median = |fitted: &[Rows], of: &dyn Fn(&Rows) -> f64| {
        let mut of: Vec<f64> = fitted.iter().map(of).collect();
        of.sort_by(f64::total_cmp);
        of.get(of.len() / 2).copied().ok_or_else(none)
    };
    // The local harmonic goes on beyond a surface; what stands there does not.
    let usual = median(&fitted, &|rows| rows.area[METAL])?;
    fitted.retain(|rows| rows.area[METAL] > LEAST_MODULATION * usual);
    let width = |kind: usize| median(&fitted, &|rows| rows.widths_A[kind]);
    let widths = [width(0)?, width(1)?, width(2)?];
    let better: Vec<f64> = fitted.iter().map(|rows| rows.at_A[METAL]).collect();
    let in_segment = |([means, harmonics], power): (&[Vec<Complex64>; 2], &Vec<f64>)| -> Vec<Option<Rows>> {
        let profile: Vec<f64> = means.iter().map(|p| p.re).collect();
        // Layers that are bent or lean are followed.
        let here = match resolved {
            true => crossings(&unrolled, power, layered.repeat_A, &of_power),
            false => crossings(&unrolled, &profile, layered.repeat_A, &by_segment.mean),
        };
        let nearest = |to: &[f64], m: f64| to.iter().copied().min_by(|a, b| (a - m).abs().total_cmp(&(b - m).abs()));
        let moved = |m: f64| {
            let global = nearest(&metal, m)?;
            Some(nearest(&here, global)? - global).filter(|d| d.abs() < 0.3 * layered.repeat_A)
        };
        let starts: Vec<f64> = better.iter().map(|&m| m + moved(m).unwrap_or(0.0)).collect();
        let fit = |guess: &Guess| {
            let rows = stretch(depth, &profile, guess, &by_segment.mean)?.fit(guess, Some(widths))?;
            Some(rows.sharpened(guess, depth, [means, harmonics], &by_segment))
        };
        guesses(&starts, &layered).iter().map(fit).collect()
    };
    let columns: Vec<Vec<Option<Rows>>> = sums.iter().zip(&powers).map(in_segment).collect();
    let fits: Vec<Vec<Option<Rows>>> = (0..better.len()).map(|k| columns.iter().map(|column| column[k].clone()).collect()).collect();
    let along: Vec<f64> = segments.iter().map(|s| s.centre_A).collect();
    let own = widths.map(|w| (w * w - (SMOOTHED * unrolled.step_A[0]).powi(2)).max(0.0).sqrt());
    Ok(assemble(layered, &better, &along, fits, own, &by_segment))
}

/// The numbers that the fits of neighbouring layers make together.
fn assemble(
    layered: Layered,
    metal: &[f64],
    along: &[f64],
    fits: Vec<Vec<Option<Rows>>>,
    widths_A: [f64; 3],
    by_distance: &Covariances,
) -> Layers {
    let pairs: Vec<usize> = (0..metal.len().saturating_sub(1))
        .filter(|&k| (metal[k + 1] - metal[k] - layered.repeat_A).abs() < 0.4 * layered.repeat_A)
        .collect();
    let between: Vec<f64> = pairs.iter().map(|&k| (metal[k] + metal[k + 1]) / 2.0).collect();
    let placed = |rows: &Rows, r: usize| rows.placed(r, by_distance).map(|se| Measured::new(rows.at_A[r], se));
    let apart = |a: &Rows, p: usize, b: &Rows, r: usize| {
        let (Some(first), Some(second)) = (placed(a, p), placed(b, r)) else { return Measured::UNKNOWN };
        let variance = first.se.powi(2) + second.se.powi(2) - 2.0 * a.shared(p, b, r, by_distance);
        Measured::new(second.value - first.value, variance.max(0.0).sqrt())
    };
    let of = |k: usize, s: usize| fits[k][s].as_ref();
    let both = |k: usize, s: usize| Some((of(pairs[k], s)?, of(pairs[k] + 1, s)?));
    let spacing_A = Grid::of(between.clone(), along, |k, s| both(k, s).map_or(Measured::UNKNOWN, |(a, b)| apart(a, METAL, b, METAL)));
    let alkali_slab_A =
        Grid::of(between.clone(), along, |k, s| both(k, s).map_or(Measured::UNKNOWN, |(a, b)| apart(a, OXYGEN[1], b, OXYGEN[0])));
    let metal_A = Grid::of(metal.to_vec(), along, |k, s| of(k, s).and_then(|rows| placed(rows, METAL)).unwrap_or(Measured::UNKNOWN));
    let metal_slab_A =
        Grid::of(metal.to_vec(), along, |k, s| of(k, s).map_or(Measured::UNKNOWN, |rows| apart(rows, OXYGEN[0], rows, OXYGEN[1])));
    // Both layers see the alkali row between them, in nearly the same samples.
    let alkali_A = Grid::of(between.clone(), along, |k, s| {
        let Some((a, b)) = both(k, s) else { return Measured::UNKNOWN };
        match (placed(a, SODIUM[1]), placed(b, SODIUM[0])) {
            (Some(a), Some(b)) => Measured::new((a.value + b.value) / 2.0, (a.se + b.se) / 2.0),
            _ => Measured::UNKNOWN,
        }
    });
    let alkali_to_metal = Grid::of(between, along, |k, s| {
        let Some((a, b)) = both(k, s) else { return Measured::UNKNOWN };
        let sodium = (a.area[SODIUM[1]] + b.area[SODIUM[0]]) / 2.0;
        let metals = (a.area[METAL] + b.area[METAL]) / 2.0;
        let ratio = sodium / metals;
        // The ratio's weights by the rule of products, layer by layer, and what the two share.
        let weights = |rows: &Rows, r: usize| -> Vec<f64> {
            rows.area_weights[r].iter().zip(&rows.area_weights[METAL]).map(|(n, m)| (n - ratio * m) / (2.0 * metals)).collect()
        };
        let (wa, wb) = (weights(a, SODIUM[1]), weights(b, SODIUM[0]));
        let (wa, wb) = ((a.first, wa.as_slice()), (b.first, wb.as_slice()));
        let of = |a, b| covariance(a, b, &by_distance.mean);
        let variance = of(wa, wa) + of(wb, wb) + 2.0 * of(wa, wb);
        let se = variance.max(0.0).sqrt();
        if metals > 0.0 && ratio.is_finite() { Measured::new(ratio, se) } else { Measured::UNKNOWN }
    });
    Layers { layered, metal_A, spacing_A, alkali_slab_A, metal_slab_A, alkali_A, alkali_to_metal, widths_A, fits }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::super::testing::{Oxide, drawn, fresh_rng, side_band_noise};
    use super::*;

    const PIXEL: [f64; 2] = [0.3, 0.3];

    /// O3 stacking with these spacings, the first layer at 4 Å.
    fn stack(spacings: &[f64]) -> Vec<(f64, i32, i32)> {
        let mut layers = vec![(4.0, 0, 1)];
        for spacing in spacings {
            let (depth, third, sense) = layers[layers.len() - 1];
            layers.push((depth + spacing, third - sense, sense));
        }
        layers
    }

    fn image(rng: &mut rand_chacha::ChaCha8Rng, oxide: &Oxide, layers: &[(f64, i32, i32)], shape: [usize; 2], dose: f64) -> Vec<f64> {
        let noise = side_band_noise(rng, shape, PIXEL, dose, 1.27);
        drawn(&oxide.blobs(layers, [-40.0, 80.0]), shape, PIXEL).iter().zip(noise).map(|(v, n)| v + n).collect()
    }

    fn mean(of: &[Measured]) -> f64 {
        of.iter().map(|m| m.value).sum::<f64>() / of.len() as f64
    }

    #[test]
    fn a_spacing_that_grows_from_5_33_to_5_40_is_told_to_a_hundredth_at_a_thousand_electrons() {
        let mut rng = fresh_rng();
        let spacings = [[5.33; 6], [5.40; 6]].concat();
        let shape = [240, 260];
        let oxide = Oxide::close_packed();
        let values = image(&mut rng, &oxide, &stack(&spacings), shape, 1000.0);
        let picture = Picture::new(&values, shape, PIXEL).unwrap();
        let layered = Layered { normal: [1.0, 0.0], repeat_A: 5.3, row_A: 2.55, period: 1, oxygen_A: 1.0 };
        let found = measure_layers(&picture, &layered, 10.0).unwrap();
        let profile = found.spacing_A.profile();
        assert_eq!(profile.len(), 12, "{profile:?}");
        // A layer of 78 Å is told to 1 pm, so six spacings together to 0.25: a hundredth is four of their errors, and a seventh of that more leaves nothing to chance.
        let [first, second] = [&profile[..6], &profile[6..]].map(mean);
        assert!((first - 5.33).abs() < 0.0145 && (second - 5.40).abs() < 0.0145, "{first} and {second}");
        assert!(profile.iter().all(|m| m.se < 0.05), "{profile:?}");
        // Pairs and segments one by one lie about the truth as their errors say: 12 × 7 of them, χ² within five deviations and what the
        // noise's density is off.
        let chi2: f64 =
            (0..12).map(|k| found.spacing_A.row(k).iter().map(|m| ((m.value - spacings[k]) / m.se).powi(2)).sum::<f64>()).sum::<f64>()
                / found.spacing_A.values.len() as f64;
        assert!((0.3..2.2).contains(&chi2), "χ² = {chi2} a number");
    }

    #[test]
    fn slabs_sodium_and_the_ratio_of_rows_are_those_that_were_drawn_in_a_turned_image_too() {
        let mut rng = fresh_rng();
        for turn in [0.0, rng.random_range(0.05..0.15)] {
            let oxide = Oxide { turn, ..Oxide::close_packed() };
            let shape = [200, 140];
            let values = image(&mut rng, &oxide, &stack(&[5.36; 11]), shape, 50_000.0);
            let picture = Picture::new(&values, shape, PIXEL).unwrap();
            let layered = Layered { normal: oxide.normal(), repeat_A: 5.3, row_A: 2.55, period: 1, oxygen_A: 1.0 };
            let found = measure_layers(&picture, &layered, 10.0).unwrap();
            let near = |what: &str, grid: &Grid, expected: f64, tolerance: f64| {
                let profile: Vec<Measured> = grid.profile().into_iter().filter(Measured::is_known).collect();
                assert!(profile.len() >= 3, "{what}: {profile:?}");
                for m in &profile {
                    // Five errors and what interpolation and the widths' fit leave.
                    assert!((m.value - expected).abs() < 5.0 * m.se + tolerance, "{what}, turned by {turn}: {m:?}, expected {expected}");
                }
            };
            near("spacing", &found.spacing_A, 5.36, 0.004);
            near("transition metal slab", &found.metal_slab_A, 2.0 * 1.04, 0.02);
            near("sodium slab", &found.alkali_slab_A, 5.36 - 2.0 * 1.04, 0.02);
            // Areas of rows go as the height times the square of the width.
            let ratio = 0.18 * 0.36f64.powi(2) / (0.50 * 0.30f64.powi(2));
            near("ratio", &found.alkali_to_metal, ratio, 0.08);
            assert!((found.layered.row_A - 2.576).abs() < 0.01, "{:?}", found.layered);
        }
    }

    #[test]
    fn an_image_without_layers_is_refused_and_says_what_to_do() {
        let mut rng = fresh_rng();
        let layered = Layered { normal: [1.0, 0.0], repeat_A: 5.3, row_A: 2.55, period: 1, oxygen_A: 1.0 };
        // Noise alone passes for layers in some of a thousand images, for near an image's ends the window is cut and the noise of the harmonic larger.
        let images: Vec<Vec<f64>> = (0..6).map(|_| side_band_noise(&mut rng, [80, 80], PIXEL, 1000.0, 1.27)).collect();
        let refusals: Vec<String> = images
            .iter()
            .filter_map(|values| measure_layers(&Picture::new(values, [80, 80], PIXEL).unwrap(), &layered, 10.0).err())
            .map(|error| error.to_string())
            .collect();
        assert!(refusals.len() >= 3, "{} of 6", refusals.len());
        assert!(refusals.iter().any(|r| r.contains("5.30 Å apart") && r.contains("Check the normal")), "{refusals:?}");
        let picture = Picture::new(&images[0], [80, 80], PIXEL).unwrap();
        assert!(measure_layers(&picture, &Layered { normal: [1.0, 1.0], ..layered }, 10.0).is_err());
        assert!(measure_layers(&picture, &layered, f64::NAN).is_err());
    }
}
