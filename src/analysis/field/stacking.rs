//! How oxygen lies on the two sides of each alkali layer: face to face (P, prisms) or staggered (O, octahedra).

use std::f64::consts::TAU;

use num_complex::Complex64;

use super::rows::{Harmonic, METAL, OXYGEN, harmonic};
use super::unrolled::{SMOOTHED, Unrolled};
use super::{Layers, Measured, Noise, Picture, Result, wrapped};

/// A layer is called P or O where that is at least so likely.
const SURE: f64 = 0.99;
/// What the model's places are worth beyond noise, in turns of the row's phase, and its heights in parts of themselves.
const LOOSE_TURNS: f64 = 0.05;
const LOOSE_HEIGHT: f64 = 0.3;
/// Oxygen is seen where its harmonic is so many errors high over the whole image.
const SEEN: f64 = 4.0;
/// A shift that is measured to better than a twelfth of a row and lies further than this from what its layer was called contradicts it.
const CONTRADICTION_TURNS: f64 = 0.13;

/// How close-packed oxygen layers that are shifted against each other look in projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glide {
    /// By a third of a row's spacing: the beam runs along a close-packed row, ⟨100⟩ of a hexagonal cell of 120° ([100], [010] and [110] are
    /// equivalent), [010] of the monoclinic honeycomb oxides. Columns along a layer are a·√3/2 apart.
    Third,
    /// Not at all: across close-packed rows, ⟨210⟩ of a hexagonal cell ([210], [120], [1-10]), [100] of the monoclinic ones. Columns are
    /// a/2 apart, and the three positions of close packing project into the same columns: P and O look alike.
    None,
}

impl Glide {
    /// By the spacing of columns along a layer and the in-plane distance a of neighbouring transition metals; `None` where it is neither
    /// a·√3/2 nor a/2 to 6 %.
    #[allow(non_snake_case)]
    pub fn of(row_A: f64, neighbours_A: f64) -> Option<Self> {
        let near = |part: f64| (row_A / (part * neighbours_A) - 1.0).abs() < 0.06;
        if near(3f64.sqrt() / 2.0) {
            Some(Self::Third)
        } else if near(0.5) {
            Some(Self::None)
        } else {
            None
        }
    }
}

/// How oxygen lies on the two sides of an alkali layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layering {
    /// Octahedra: staggered.
    O,
    /// Prisms: face to face.
    P,
}

/// What is known of the transition metal slabs, for images that do not show oxygen: slabs glide by 0 or a third of a row against each
/// other, and what that means depends on how their octahedra are turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slabs {
    /// Nothing: without oxygen no layer is decided.
    Unknown,
    /// Octahedra turn from slab to slab (P2, O2): no glide is P, a third is O.
    Alternating,
    /// All are turned alike (O3, P3, O1), and most alkali layers are so: the commoner third is those, the other one the other kind, and no
    /// glide is O.
    Alike { mostly: Layering },
}

/// An alkali layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alkali {
    pub depth_A: f64,
    /// `None` where the data do not tell.
    pub layering: Option<Layering>,
    /// How likely it is P.
    pub probability_p: f64,
    /// How far the oxygen row beyond lies from the one before along the layer, from −½ to ½ row: 0 for P, ±⅓ for O. Unknown where it is not
    /// at least four errors high.
    pub oxygen_shift_rows: Measured,
    /// The same of the transition metal rows.
    pub metal_shift_rows: Measured,
}

/// The stacking of an image's layers.
#[derive(Debug, Clone)]
pub struct Stacking {
    pub layers: Vec<Alkali>,
    /// How likely each layer is P in each segment along it: [layer · segments + segment].
    pub map_probability_p: Vec<f64>,
    /// Whether oxygen was seen, and how many errors its harmonic is high on the mean.
    pub oxygen_seen: bool,
    pub oxygen_snr: f64,
    /// The share of P among the layers that are decided, with the binomial error of so many layers and that of their calls.
    pub share_p: Measured,
    /// P : O.
    pub ratio_p_to_o: Measured,
    /// Layers that are not decided.
    pub undetermined: usize,
}

/// The harmonic of a row's spacing in a layer and segment.
type Found = Option<Harmonic>;

/// Tells P from O in each alkali layer.
///
/// The lateral harmonic C(u) = Σ_v I(u, v)·e^{−2πiv/row} of each segment is, over depth, a sum of Gaussians at the rows' depths; their
/// complex heights follow by least squares, and −arg/2π of each is the row's place. In a transition metal slab close packing puts oxygen's
/// rows a third of a row to either side of the transition metals', the upper one at s/3 and the lower at −s/3 with s = ±1. For both senses
/// the likelihood of the two oxygen rows follows from noise and a looseness of 18° and 30 %; slabs k and k+1, whose transition metals are
/// d/3 apart (measured by strong rows), enclose P where d + s + s′ is a multiple of three, and O else. P and O are equally likely
/// beforehand. A layer is called where one is 99 % likely, both kinds of evidence (this and the measured shift of the oxygen rows) agree,
/// and the glide can be seen along this zone axis.
///
/// Where oxygen is not seen, the glide of the transition metals decides as far as `slabs` says what it means.
///
/// # Errors
/// If there is no room.
pub fn stacking(picture: &Picture<'_>, layers: &Layers, segment_A: f64, glide: Glide, slabs: Slabs) -> Result<Stacking> {
    let layered = &layers.layered;
    let noise = Noise::of(picture)?;
    let unrolled = Unrolled::of(picture, layered);
    let segments = unrolled.segments(segment_A, layered.row_A * layered.period as f64);
    let f = 1.0 / layered.row_A;
    let lags = ((2.5 * layered.repeat_A / unrolled.step_A[0]).ceil() as usize).min(unrolled.shape[0]);
    let by_distance = segments.first().map(|s| noise.along(&s.weights, f, unrolled.step_A, SMOOTHED, lags)).unwrap_or_default();
    let profiles: Vec<Vec<Complex64>> = segments.iter().map(|s| unrolled.profile(s, f)).collect();
    let count = segments.len();
    // Segments are those of `layers` where they were cut by the same length; else each layer's fits are taken from the nearest one.
    let found: Vec<Vec<Found>> = layers
        .fits
        .iter()
        .map(|fits| {
            let near = |s: usize| {
                let along = &layers.metal_A.along_A;
                let distance = |k: &usize| (along[*k] - segments[s].centre_A).abs();
                (0..fits.len())
                    .filter(|k| fits[*k].is_some())
                    .min_by(|a, b| distance(a).total_cmp(&distance(b)))
                    .and_then(|k| fits[k].as_ref())
            };
            (0..count).map(|s| harmonic(near(s)?, |row| unrolled.depth_A(row), &profiles[s], &by_distance)).collect()
        })
        .collect();
    let all = || found.iter().flatten().flatten();
    // Oxygen's height: mean |A|² less what noise adds to it.
    let faces: Vec<(f64, f64)> =
        all().flat_map(|h| OXYGEN.map(|r| (h.height[r].norm_sqr(), h.variance[r]))).filter(|f| f.1.is_finite()).collect();
    let square = faces.iter().map(|f| f.0 - f.1).sum::<f64>() / faces.len().max(1) as f64;
    // |A|² of noise alone has a deviation of its mean.
    let floor = faces.iter().map(|f| f.1.powi(2)).sum::<f64>().sqrt() / faces.len().max(1) as f64;
    let oxygen_snr = if floor > 0.0 { (square.max(0.0) / floor).sqrt() * 2f64.sqrt() } else { 0.0 };
    let oxygen_seen = glide == Glide::Third && oxygen_snr > SEEN;
    let height = square.max(0.0).sqrt();
    let senses: Vec<Vec<[f64; 2]>> = found.iter().map(|row| row.iter().map(|h| sense(h.as_ref(), height)).collect()).collect();
    let shifts = |k: usize, s: usize, from: usize, to: usize| shift_between(found[k][s].as_ref(), from, found[k + 1][s].as_ref(), to);
    let pairs: Vec<usize> = (0..found.len().saturating_sub(1))
        .filter(|&k| {
            let apart = layers.metal_A.depth_A[k + 1] - layers.metal_A.depth_A[k];
            (apart - layered.repeat_A).abs() < 0.4 * layered.repeat_A
        })
        .collect();
    let everything: Vec<usize> = (0..count).collect();
    let mut calls: Vec<Alkali> = pairs
        .iter()
        .map(|&k| {
            let metal = combined(everything.iter().map(|&s| shifts(k, s, METAL, METAL)));
            let oxygen = combined(everything.iter().map(|&s| shifts(k, s, OXYGEN[1], OXYGEN[0])));
            let sum = |k: usize| senses[k].iter().fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
            let probability_p = if oxygen_seen { probability(sum(k), sum(k + 1), metal) } else { 0.5 };
            let depth_A = (layers.metal_A.depth_A[k] + layers.metal_A.depth_A[k + 1]) / 2.0;
            Alkali { depth_A, layering: called(probability_p, oxygen), probability_p, oxygen_shift_rows: oxygen, metal_shift_rows: metal }
        })
        .collect();
    let mut map_probability_p: Vec<f64> = pairs
        .iter()
        .flat_map(|&k| everything.iter().map(move |&s| (k, s)))
        .map(|(k, s)| match oxygen_seen {
            true => probability(senses[k][s], senses[k + 1][s], shifts(k, s, METAL, METAL)),
            false => 0.5,
        })
        .collect();
    if !oxygen_seen && glide == Glide::Third {
        by_glide(&mut calls, slabs);
        map_probability_p = calls.iter().flat_map(|c| vec![c.probability_p; count]).collect();
    }
    Ok(counted(calls, map_probability_p, oxygen_seen, oxygen_snr))
}

/// The log-likelihoods of the senses +1 and −1 of a slab: of oxygen's rows, given the transition metals' place and oxygen's usual height.
fn sense(found: Option<&Harmonic>, height: f64) -> [f64; 2] {
    let Some(h) = found.filter(|_| height > 0.0) else { return [0.0; 2] };
    let metal = h.height[METAL];
    if metal.norm_sqr() < 9.0 * h.variance[METAL] {
        return [0.0; 2];
    }
    let direction = metal / metal.norm();
    [1.0, -1.0].map(|s| {
        [(OXYGEN[0], s), (OXYGEN[1], -s)]
            .into_iter()
            .filter(|(r, _)| h.variance[*r].is_finite())
            .map(|(r, side)| {
                // A row at v has the phase −2πv/row.
                let expected = direction * Complex64::cis(-TAU * side / 3.0) * height;
                let loose = height * height * (LOOSE_HEIGHT.powi(2) + (TAU * LOOSE_TURNS).powi(2));
                -(h.height[r] - expected).norm_sqr() / (h.variance[r] + loose)
            })
            .sum()
    })
}

/// How far row `b` of one layer lies beyond row `a` of another, in rows; unknown where one is not seen.
fn shift_between(first: Option<&Harmonic>, a: usize, second: Option<&Harmonic>, b: usize) -> Measured {
    let (Some(first), Some(second)) = (first, second) else { return Measured::UNKNOWN };
    let relative = |h: &Harmonic, r: usize| h.variance[r] / 2.0 / h.height[r].norm_sqr();
    let variance = relative(first, a) + relative(second, b);
    let turns = -(second.height[b] * first.height[a].conj()).arg() / TAU;
    // Beyond this a phase is not Gaussian.
    if variance.sqrt() < 0.7 { Measured::new(turns, variance.sqrt() / TAU) } else { Measured::UNKNOWN }
}

/// The mean of shifts in turns, each of weight 1/se², about the direction of their sum.
fn combined(shifts: impl Iterator<Item = Measured>) -> Measured {
    let known: Vec<Measured> = shifts.filter(Measured::is_known).collect();
    let sum: Complex64 = known.iter().map(|m| Complex64::cis(TAU * m.value) * m.se.powi(-2)).sum();
    let middle = sum.arg() / TAU;
    let mean = Measured::mean(known.iter().map(|m| Measured::new(wrapped(m.value - middle), m.se)));
    Measured::new(wrapped(middle + mean.value), mean.se)
}

/// How likely P is, given the senses of the slabs around a layer and the shift of their transition metals.
fn probability(first: [f64; 2], second: [f64; 2], metal: Measured) -> f64 {
    if !metal.is_known() {
        return 0.5;
    }
    let spread = metal.se.hypot(LOOSE_TURNS);
    let mut logs = Vec::with_capacity(12);
    for (i, s) in [1i32, -1].into_iter().enumerate() {
        for (j, t) in [1i32, -1].into_iter().enumerate() {
            for d in [0i32, 1, -1] {
                let off = wrapped(metal.value - f64::from(d) / 3.0) / spread;
                let is_p = (d + s + t).rem_euclid(3) == 0;
                // Of twelve cases four are P, and both kinds are equally likely.
                let prior = if is_p { 1.0 / 8.0 } else { 1.0 / 16.0 };
                logs.push((first[i] + second[j] - 0.5 * off * off + f64::ln(prior), is_p));
            }
        }
    }
    let most = logs.iter().map(|l| l.0).fold(f64::NEG_INFINITY, f64::max);
    let sum = |of_p: bool| logs.iter().filter(|l| l.1 || !of_p).map(|l| (l.0 - most).exp()).sum::<f64>();
    sum(true) / sum(false)
}

fn called(probability_p: f64, oxygen: Measured) -> Option<Layering> {
    let layering = if probability_p >= SURE {
        Layering::P
    } else if probability_p <= 1.0 - SURE {
        Layering::O
    } else {
        return None;
    };
    let expected = match layering {
        Layering::P => 0.0,
        Layering::O => 1.0 / 3.0,
    };
    let contradicted = oxygen.is_known()
        && oxygen.se < 1.0 / 12.0
        && (wrapped(oxygen.value).abs() - expected).abs() > CONTRADICTION_TURNS.max(4.0 * oxygen.se);
    (!contradicted).then_some(layering)
}

/// Calls layers by the glide of the transition metals.
fn by_glide(calls: &mut [Alkali], slabs: Slabs) {
    let step = |call: &Alkali| {
        let metal = call.metal_shift_rows;
        let third = (metal.value * 3.0).round() as i32;
        let off = (metal.value - f64::from(third) / 3.0).abs();
        (metal.is_known() && off + 3.0 * metal.se < 1.0 / 6.0).then(|| (third + 1).rem_euclid(3) - 1)
    };
    let steps: Vec<Option<i32>> = calls.iter().map(step).collect();
    let of = |d: i32| steps.iter().filter(|s| **s == Some(d)).count();
    // A tie does not say which third is the commoner one.
    let commoner = match of(1).cmp(&of(-1)) {
        std::cmp::Ordering::Greater => Some(1),
        std::cmp::Ordering::Less => Some(-1),
        std::cmp::Ordering::Equal => None,
    };
    for (call, step) in calls.iter_mut().zip(&steps) {
        let layering = match (slabs, *step) {
            (Slabs::Unknown, _) | (_, None) => None,
            (Slabs::Alternating, Some(0)) => Some(Layering::P),
            (Slabs::Alternating, Some(_)) | (Slabs::Alike { .. }, Some(0)) => Some(Layering::O),
            (Slabs::Alike { mostly }, Some(d)) => commoner.map(|c| match (d == c, mostly) {
                (true, kind) => kind,
                (false, Layering::O) => Layering::P,
                (false, Layering::P) => Layering::O,
            }),
        };
        call.layering = layering;
        call.probability_p = match layering {
            Some(Layering::P) => SURE,
            Some(Layering::O) => 1.0 - SURE,
            None => 0.5,
        };
    }
}

fn counted(layers: Vec<Alkali>, map_probability_p: Vec<f64>, oxygen_seen: bool, oxygen_snr: f64) -> Stacking {
    let decided: Vec<&Alkali> = layers.iter().filter(|c| c.layering.is_some()).collect();
    let n = decided.len() as f64;
    let p = decided.iter().filter(|c| c.layering == Some(Layering::P)).count() as f64;
    let calls: f64 = decided.iter().map(|c| c.probability_p * (1.0 - c.probability_p)).sum();
    // The binomial error about the share that one more layer of each kind would make, so that it is not 0 where all are alike (E. B.
    // Wilson's point, J. Am. Stat. Assoc. 22 (1927) 209).
    let smooth = (p + 1.0) / (n + 2.0);
    let se = (smooth * (1.0 - smooth) / n + calls / (n * n)).sqrt();
    let share = p / n;
    let share_p = if n > 0.0 { Measured::new(share, se) } else { Measured::UNKNOWN };
    let ratio_p_to_o = if n > 0.0 && p < n { Measured::new(p / (n - p), se / (1.0 - share).powi(2)) } else { Measured::UNKNOWN };
    let undetermined = layers.len() - decided.len();
    Stacking { layers, map_probability_p, oxygen_seen, oxygen_snr, share_p, ratio_p_to_o, undetermined }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::super::testing::{Oxide, drawn, fresh_rng, side_band_noise};
    use super::super::{Layered, measure_layers};
    use super::*;

    /// Layers of alternating or equal senses with the alkali layers' kinds as given: depth, third, sense.
    fn stacked(kinds: &[Layering], alternating: bool, spacing: impl Fn(Layering) -> f64) -> Vec<(f64, i32, i32)> {
        let mut layers = vec![(4.0, 0, 1)];
        for &kind in kinds {
            let (depth, third, s) = layers[layers.len() - 1];
            let t = if alternating { -s } else { s };
            // d + s + t = 0 for P; for O one of the two others, that of O3 or O2.
            let d = match kind {
                Layering::P => -s - t,
                Layering::O => -s - t + if alternating { 1 } else { s },
            };
            layers.push((depth + spacing(kind), third + d, t));
        }
        layers
    }

    fn image(rng: &mut rand_chacha::ChaCha8Rng, oxide: &Oxide, kinds: &[Layering], alternating: bool, dose: f64) -> (Vec<f64>, [usize; 2]) {
        let shape = [200, 110];
        let layers = stacked(kinds, alternating, |k| if k == Layering::P { 5.55 } else { 5.34 });
        let clean = drawn(&oxide.blobs(&layers, [-40.0, 60.0]), shape, [0.3, 0.3]);
        let noise = side_band_noise(rng, shape, [0.3, 0.3], dose, 1.27);
        (clean.iter().zip(noise).map(|(v, n)| v + n).collect(), shape)
    }

    fn told(rng: &mut rand_chacha::ChaCha8Rng, oxide: &Oxide, kinds: &[Layering], alternating: bool, dose: f64, slabs: Slabs) -> Stacking {
        let (values, shape) = image(rng, oxide, kinds, alternating, dose);
        let picture = Picture::new(&values, shape, [0.3, 0.3]).unwrap();
        let layered = Layered { normal: oxide.normal(), repeat_A: 5.4, row_A: 2.55, period: 1, oxygen_A: 1.0 };
        let layers = measure_layers(&picture, &layered, 8.0).unwrap();
        stacking(&picture, &layers, 8.0, Glide::Third, slabs).unwrap()
    }

    #[test]
    fn planted_faults_of_both_kinds_are_all_found_and_nothing_else_is() {
        let mut rng = fresh_rng();
        for alternating in [false, true] {
            let kinds: Vec<Layering> = (0..9).map(|_| if rng.random_bool(0.4) { Layering::P } else { Layering::O }).collect();
            for turn in [0.0, rng.random_range(-0.12..0.12)] {
                let oxide = Oxide { turn, ..Oxide::close_packed() };
                let found = told(&mut rng, &oxide, &kinds, alternating, 10_000.0, Slabs::Unknown);
                assert!(found.oxygen_seen, "{}", found.oxygen_snr);
                let calls: Vec<_> = found.layers.iter().map(|l| l.layering).collect();
                // A turned image loses a layer at a corner.
                let lost = kinds.len() - calls.len();
                assert!(lost <= if turn == 0.0 { 0 } else { 3 }, "{lost} layers are not told at all");
                let fits = (0..=lost).any(|from| calls.iter().zip(&kinds[from..]).all(|(c, k)| *c == Some(*k)));
                assert!(fits, "turned by {turn}: {calls:?}, planted {kinds:?}");
                let p = kinds.iter().filter(|k| **k == Layering::P).count();
                if lost == 0 {
                    assert_eq!(found.share_p.value, p as f64 / 9.0);
                    assert!(found.share_p.se > 0.05 && found.share_p.se < 0.25, "{:?}", found.share_p);
                }
                for layer in &found.layers {
                    let expected = if layer.layering == Some(Layering::P) { 0.0 } else { 1.0 / 3.0 };
                    let shift = layer.oxygen_shift_rows;
                    assert!((shift.value.abs() - expected).abs() < 0.03 + 5.0 * shift.se, "{layer:?}");
                }
            }
        }
    }

    #[test]
    fn at_a_low_dose_no_layer_is_called_wrongly() {
        let mut rng = fresh_rng();
        let kinds: Vec<Layering> = (0..9).map(|_| if rng.random_bool(0.5) { Layering::P } else { Layering::O }).collect();
        let (mut right, mut wrong) = (0, 0);
        for dose in [700.0, 1000.0] {
            for layer in told(&mut rng, &Oxide::close_packed(), &kinds, false, dose, Slabs::Unknown).layers {
                let k = ((layer.depth_A - 4.0) / 5.45) as usize;
                match layer.layering {
                    Some(found) if found == kinds[k.min(8)] => right += 1,
                    Some(_) => wrong += 1,
                    None => {}
                }
            }
        }
        // One in a hundred calls may be wrong.
        assert!(wrong <= 1, "{right} right, {wrong} wrong");
    }

    #[test]
    fn without_oxygen_the_glide_decides_only_where_the_slabs_are_known() {
        let mut rng = fresh_rng();
        use Layering::{O, P};
        let bare = Oxide { heights: [0.5, 0.0, 0.18], ..Oxide::close_packed() };
        let kinds = [O, O, P, O, O, O, P, O, O];
        let found = told(&mut rng, &bare, &kinds, false, 10_000.0, Slabs::Unknown);
        assert!(!found.oxygen_seen && found.undetermined == 9 && !found.share_p.is_known(), "{found:?}");
        let found = told(&mut rng, &bare, &kinds, false, 10_000.0, Slabs::Alike { mostly: O });
        assert_eq!(found.layers.iter().map(|l| l.layering).collect::<Vec<_>>(), kinds.map(Some));
        let kinds = [P, P, O, P, P, P, P, O, P];
        let found = told(&mut rng, &bare, &kinds, true, 10_000.0, Slabs::Alternating);
        assert_eq!(found.layers.iter().map(|l| l.layering).collect::<Vec<_>>(), kinds.map(Some));
    }

    #[test]
    fn a_zone_axis_across_the_close_packed_rows_tells_nothing() {
        assert_eq!(
            [Glide::of(2.576, 2.975), Glide::of(1.487, 2.975), Glide::of(2.0, 2.975)],
            [Some(Glide::Third), Some(Glide::None), None]
        );
        let mut rng = fresh_rng();
        let oxide = Oxide { row: 1.49, ..Oxide::close_packed() };
        // All rows at the same places.
        let blobs = oxide.blobs(&(0..8).map(|k| (4.0 + 5.4 * f64::from(k), 0, 0)).collect::<Vec<_>>(), [-5.0, 40.0]);
        let shape = [170, 110];
        let noise = side_band_noise(&mut rng, shape, [0.3, 0.3], 10_000.0, 1.27);
        let values: Vec<f64> = drawn(&blobs, shape, [0.3, 0.3]).iter().zip(noise).map(|(v, n)| v + n).collect();
        let picture = Picture::new(&values, shape, [0.3, 0.3]).unwrap();
        let layered = Layered { normal: [1.0, 0.0], repeat_A: 5.4, row_A: 1.49, period: 1, oxygen_A: 1.0 };
        let layers = measure_layers(&picture, &layered, 8.0).unwrap();
        let found = stacking(&picture, &layers, 8.0, Glide::None, Slabs::Alternating).unwrap();
        assert_eq!(found.undetermined, found.layers.len());
    }
}
