//! From fitted amplitudes to atoms, occupancies and what they prove.

use super::statistics::{normal_below, normal_quantile, q_values};

/// The curve from true atoms n to fitted ones, learnt from images whose columns are known, and how far columns lie from it without any noise. Between the fewest and the most atoms that were seen,
/// a and b, it is intercept + slope·n + bend·(n − a)(n − b); beyond them it goes on straight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// From end to end.
    pub slope: f64,
    pub intercept: f64,
    /// Per atom; 0 where a line does as well.
    pub bend: f64,
    /// Standard deviation in fitted atoms: what the method itself gets wrong.
    pub scatter: f64,
    /// By which part all atoms may be too many or too few together: a relative standard deviation.
    pub scale: f64,
    /// The range of atoms that was seen.
    pub range: [f64; 2],
    pub columns: usize,
}

/// A curve bends only where that takes so much off the squares that are left, in units of what is left for a freedom (F at 2 % with some tens of columns).
const BENT: f64 = 6.0;
/// Nowhere is it flatter than this part of its slope from end to end.
const FLATTEST: f64 = 0.6;

impl Calibration {
    /// From pairs of true and fitted atoms; `None` where they tell no rising line.
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let pairs: Vec<(f64, f64)> = pairs.iter().copied().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
        if pairs.len() < 4 {
            return None;
        }
        let range = pairs.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |r, p| [r[0].min(p.0), r[1].max(p.0)]);
        let bow = |n: f64| (n - range[0]) * (n - range[1]);
        let bent = |bend: f64| {
            let straight: Vec<(f64, f64)> = pairs.iter().map(|p| (p.0, p.1 - bend * bow(p.0))).collect();
            let (slope, intercept, left) = line(&straight)?;
            let scatter = (left / (pairs.len() as f64 - 2.0)).sqrt();
            (slope > 0.0).then_some((Self { slope, intercept, bend, scatter, scale: 0.0, range, columns: pairs.len() }, left))
        };
        let (straight, left) = bent(0.0)?;
        // What of the bow is no line, and how far the line's residuals follow it.
        let bows: Vec<(f64, f64)> = pairs.iter().map(|p| (p.0, bow(p.0))).collect();
        let (slope, intercept, size) = line(&bows)?;
        let off = |p: &(f64, f64)| (bow(p.0) - intercept - slope * p.0) * (p.1 - straight.intercept - straight.slope * p.0);
        let least = pairs.iter().map(off).sum::<f64>() / size;
        let freedoms = pairs.len() as f64 - 3.0;
        if freedoms < 3.0 || size < 1e-9 || least * least * size < BENT * (left - least * least * size).max(0.0) / freedoms {
            return Some(straight);
        }
        let bend = |of: &Self| {
            let most = (1.0 - FLATTEST) * of.slope / (range[1] - range[0]);
            least.clamp(-most, most)
        };
        // The slope changes with the bend, which its bounds follow.
        let (first, _) = bent(bend(&straight))?;
        let (curve, left) = bent(bend(&first))?;
        Some(Self { scatter: (left / freedoms).sqrt(), ..curve })
    }

    /// What so many atoms are fitted as.
    pub fn fitted(&self, atoms: f64) -> f64 {
        let near = atoms.clamp(self.range[0], self.range[1]);
        let on = self.intercept + self.slope * near + self.bend * (near - self.range[0]) * (near - self.range[1]);
        on + (atoms - near) * self.slope_at(near)
    }

    /// Fitted atoms per atom.
    pub fn slope_at(&self, atoms: f64) -> f64 {
        self.slope + self.bend * (2.0 * atoms.clamp(self.range[0], self.range[1]) - self.range[0] - self.range[1])
    }

    /// Atoms and their standard error.
    pub fn atoms(&self, fitted: f64, se: f64) -> (f64, f64) {
        let ends = self.range.map(|end| (end, self.fitted(end)));
        let near = ends.iter().find(|(end, at)| if *end == self.range[0] { fitted <= *at } else { fitted >= *at });
        let atoms = match near {
            Some((end, at)) => end + (fitted - at) / self.slope_at(*end),
            None => {
                // The root of the rising branch, written so that it holds for a bend of 0.
                let (slope, over) = (self.slope_at(self.range[0]), fitted - ends[0].1);
                self.range[0] + 2.0 * over / (slope + (slope * slope + 4.0 * self.bend * over).max(0.0).sqrt())
            }
        };
        (atoms, self.error(se, atoms) / self.slope_at(atoms))
    }

    /// The standard error of fitted atoms where so many are.
    fn error(&self, se: f64, atoms: f64) -> f64 {
        se.hypot(self.scatter).hypot(self.scale * atoms * self.slope_at(atoms))
    }
}

/// The line y = intercept + slope·x through pairs by least squares, and the squares that are left; `None` where all x are the same.
fn line(pairs: &[(f64, f64)]) -> Option<(f64, f64, f64)> {
    let n = pairs.len() as f64;
    let mean = pairs.iter().fold((0.0, 0.0), |m, p| (m.0 + p.0 / n, m.1 + p.1 / n));
    let spread: f64 = pairs.iter().map(|p| (p.0 - mean.0).powi(2)).sum();
    if spread < 1e-9 {
        return None;
    }
    let slope = pairs.iter().map(|p| (p.0 - mean.0) * (p.1 - mean.1)).sum::<f64>() / spread;
    let intercept = mean.1 - slope * mean.0;
    Some((slope, intercept, pairs.iter().map(|p| (p.1 - intercept - slope * p.0).powi(2)).sum()))
}

/// A column's content. All NaN where it can't be trusted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Occupancy {
    pub atoms: f64,
    pub atoms_se: f64,
    pub occupancy: f64,
    pub occupancy_se: f64,
    /// How many standard errors above full; vacancies are below 0.
    pub z: f64,
    /// [`q_values`] of the one-sided test against a full column.
    pub q: f64,
}

/// Contents of columns with `sites` sites each. Amplitudes of NaN stay NaN.
pub fn occupancies(fitted: &[f64], se: &[f64], sites: &[f64], calibration: &Calibration) -> Vec<Occupancy> {
    let mut all: Vec<Occupancy> = fitted
        .iter()
        .zip(se)
        .zip(sites)
        .map(|((&fitted, &se), &sites)| {
            let (atoms, atoms_se) = calibration.atoms(fitted, se);
            Occupancy {
                atoms,
                atoms_se,
                occupancy: atoms / sites,
                occupancy_se: atoms_se / sites,
                z: (fitted - calibration.fitted(sites)) / calibration.error(se, atoms),
                q: f64::NAN,
            }
        })
        .collect();
    let p: Vec<f64> = all.iter().map(|o| normal_below(o.z)).collect();
    all.iter_mut().zip(q_values(&p)).for_each(|(o, q)| o.q = q);
    all
}

/// The mean occupancy of a row of columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Where it lies along the profile.
    pub at_A: f64,
    pub columns: usize,
    pub occupancy: f64,
    pub se: f64,
    /// The ends of the 95 % band.
    pub band: [f64; 2],
}

/// Rows of columns, from each column's place along the profile (NaN leaves it out), with the covariances of fitted atoms between columns. Columns nearer than `apart_A` along the profile are one row. The mean is weighted
/// by 1/se² of what is each column's own: a calibration's scatter is, its scale is all columns'.
pub fn rows(
    places: &[f64],
    occupancies: &[Occupancy],
    sites: &[f64],
    covariances: &[(usize, usize, f64)],
    calibration: &Calibration,
    apart_A: f64,
) -> Vec<Row> {
    let usable = |k: usize| places[k].is_finite() && occupancies[k].occupancy.is_finite() && occupancies[k].occupancy_se > 0.0;
    let mut order: Vec<usize> = (0..places.len()).filter(|&k| usable(k)).collect();
    order.sort_by(|&a, &b| places[a].total_cmp(&places[b]));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for k in order {
        match groups.last_mut().filter(|g| g.last().is_some_and(|&l| places[k] - places[l] < apart_A)) {
            Some(group) => group.push(k),
            None => groups.push(vec![k]),
        }
    }
    let of = |group: Vec<usize>| {
        let whole = |k: usize| occupancies[k].occupancy_se.powi(2);
        // Without the scale's error, which is as large as the column is full and would draw the mean to empty ones. Never quite 0.
        let alone = |k: usize| (whole(k) - (calibration.scale * occupancies[k].occupancy).powi(2)).max(1e-9 * whole(k));
        let weight = |k: usize| alone(k).recip();
        let sum: f64 = group.iter().map(|&k| weight(k)).sum();
        let occupancy = group.iter().map(|&k| weight(k) * occupancies[k].occupancy).sum::<f64>() / sum;
        let slope = |k: usize| calibration.slope_at(occupancies[k].atoms);
        let own: f64 = group.iter().map(|&k| weight(k).powi(2) * alone(k)).sum();
        let shared: f64 = covariances
            .iter()
            .filter(|(a, b, _)| group.contains(a) && group.contains(b))
            .map(|&(a, b, c)| 2.0 * weight(a) * weight(b) * c / (slope(a) * slope(b) * sites[a] * sites[b]))
            .sum();
        let se = ((own + shared).max(0.0).sqrt() / sum).hypot(calibration.scale * occupancy);
        let at_A = group.iter().map(|&k| places[k]).sum::<f64>() / group.len() as f64;
        let reach = normal_quantile(0.975) * se;
        Row { at_A, columns: group.len(), occupancy, se, band: [occupancy - reach, occupancy + reach] }
    };
    groups.into_iter().map(of).collect()
}

/// What a dose could have shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Power {
    /// The median standard error of a column, in atoms.
    pub se_atoms: f64,
    /// The smallest deficit of one column among all that is found in four of five cases (one-sided, at a rate of false ones of 0.05 where it is the only one), in atoms.
    pub single_atoms: f64,
    /// The smallest deficit of all columns together that is found in four of five cases (one-sided, 5 %), as a part of full.
    pub mean_occupancy: f64,
}

impl Power {
    /// In what part of all cases a column is found that misses so many atoms, where it is the only one.
    pub fn finds(&self, deficit_atoms: f64) -> f64 {
        normal_below((deficit_atoms - self.single_atoms) / self.se_atoms + normal_quantile(FOUND))
    }
}

/// What counts as found: in four of five cases.
const FOUND: f64 = 0.8;

/// The power of a test over these columns, of which `mean` is the mean.
pub fn power(occupancies: &[Occupancy], mean: &Row) -> Option<Power> {
    let mut errors: Vec<f64> = occupancies.iter().map(|o| o.atoms_se).filter(|se| se.is_finite()).collect();
    if errors.is_empty() {
        return None;
    }
    errors.sort_by(f64::total_cmp);
    let se_atoms = errors[errors.len() / 2];
    let found = normal_quantile(FOUND);
    Some(Power {
        se_atoms,
        single_atoms: (normal_quantile(1.0 - 0.05 / errors.len() as f64) + found) * se_atoms,
        mean_occupancy: (normal_quantile(0.95) + found) * mean.se,
    })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::*;

    #[test]
    fn a_row_of_full_and_empty_columns_has_their_mean_however_uncertain_the_scale_is() {
        for scale in [0.0, 0.05, 0.3] {
            let line = Calibration { slope: 1.0, intercept: 0.0, bend: 0.0, scatter: 0.02, scale, range: [0.0, 2.0], columns: 9 };
            let found = occupancies(&[0.0, 2.0, 2.0, 0.5], &[0.05; 4], &[2.0; 4], &line);
            let row = rows(&[0.0; 4], &found, &[2.0; 4], &[], &line, 1.0).pop().unwrap();
            assert!((row.occupancy - 4.5 / 8.0).abs() < 1e-9, "{scale}: {}", row.occupancy);
            // Four errors of 0.05 and 0.02 atoms of 2, and the scale of all of them.
            let expected = (0.5 * 0.05f64.hypot(0.02) / 2.0).hypot(scale * row.occupancy);
            assert!((row.se / expected - 1.0).abs() < 1e-6, "{scale}: {} of {expected}", row.se);
        }
    }

    #[test]
    fn a_lone_deficit_is_found_as_often_as_the_power_says() {
        const COLUMNS: usize = 14;
        const DRAWS: usize = 4000;
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let line = Calibration { slope: 1.0, intercept: 0.0, bend: 0.0, scatter: 0.0, scale: 0.0, range: [0.0, 1.0], columns: 9 };
        for se in [0.25, 0.4, 0.8] {
            let normal = Normal::new(0.0, se).unwrap();
            let mut power = None;
            let found = (0..DRAWS).filter(|_| {
                let fitted: Vec<f64> = (0..COLUMNS).map(|k| f64::from(u8::from(k > 0)) + normal.sample(&mut rng)).collect();
                let all = occupancies(&fitted, &[se; COLUMNS], &[1.0; COLUMNS], &line);
                power = rows(&[0.0; COLUMNS], &all, &[1.0; COLUMNS], &[], &line, 1.0).pop().and_then(|mean| super::power(&all, &mean));
                all[0].q < 0.05
            });
            let share = found.count() as f64 / DRAWS as f64;
            let told = power.unwrap().finds(1.0);
            // Four standard errors of 4000 draws are 0.032 at most. False ones, which make the test a little more lenient, add some hundredths.
            assert!((share - told).abs() < 0.05, "{se}: {share} of draws, {told} told");
        }
        let power = Power { se_atoms: 0.3, single_atoms: 1.1, mean_occupancy: 0.1 };
        assert!((power.finds(1.1) - 0.8).abs() < 1e-6);
    }

    #[test]
    fn a_calibration_undoes_slope_and_intercept_and_keeps_the_scatter() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let normal = Normal::new(0.0, 0.1).unwrap();
        let pairs: Vec<(f64, f64)> = (0..400)
            .map(|_| {
                let atoms: f64 = rng.random_range(0..5).into();
                (atoms, 0.3 + 0.8 * atoms + normal.sample(&mut rng))
            })
            .collect();
        let line = Calibration::of(&pairs).unwrap();
        // 400 columns: the slope to 0.1/√400/1.4 = 0.004, the scatter to 3.5 %.
        assert!((line.slope - 0.8).abs() < 0.02 && (line.intercept - 0.3).abs() < 0.04 && (line.scatter - 0.1).abs() < 0.015, "{line:?}");
        let (atoms, se) = line.atoms(0.3 + 0.8 * 3.0, 0.2);
        assert!((atoms - 3.0).abs() < 0.1 && (se - 0.05f64.sqrt() / 0.8).abs() < 0.01);
        assert_eq!(Calibration::of(&[(1.0, 1.0); 9]), None);
        // A line of so many columns bends by no more than its scatter explains.
        assert!(line.bend.abs() < 0.02, "{line:?}");
    }

    #[test]
    fn a_calibration_follows_atoms_that_count_less_the_more_there_are() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let normal = Normal::new(0.0, 0.15).unwrap();
        for bend in [-0.02, 0.02] {
            let truth = |n: f64| 1.0 + 0.8 * n + bend * n * (n - 16.0);
            let pairs: Vec<(f64, f64)> = (0..60)
                .map(|k| {
                    let atoms = f64::from(if k < 2 { 16 * k } else { rng.random_range(0..17) });
                    (atoms, truth(atoms) + normal.sample(&mut rng))
                })
                .collect();
            let curve = Calibration::of(&pairs).unwrap();
            for n in [0.0, 3.0, 8.0, 14.5, 16.0] {
                // 60 columns with 0.15 each: 0.06 at the ends, where the curve is flattest 0.48 of an atom's worth.
                assert!((curve.fitted(n) - truth(n)).abs() < 0.3, "{n}: {curve:?}");
                let (atoms, se) = curve.atoms(curve.fitted(n), 0.0);
                assert!((atoms - n).abs() < 1e-9, "{atoms} instead of {n}");
                assert!((se * curve.slope_at(n) - curve.scatter).abs() < 1e-12);
            }
            // Beyond the ends it is straight.
            for n in [-2.0, 19.0] {
                assert!((curve.atoms(curve.fitted(n), 0.1).0 - n).abs() < 1e-9);
            }
            // Against full, a deficit counts by what was fitted.
            let half = occupancies(&[curve.fitted(8.0)], &[0.3], &[16.0], &curve)[0];
            let expected = (curve.fitted(8.0) - curve.fitted(16.0)) / 0.3f64.hypot(curve.scatter);
            assert!((half.z - expected).abs() < 1e-9, "{half:?}");
        }
    }

    #[test]
    fn bands_of_rows_cover_the_truth_with_correlated_columns() {
        let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
        let normal = Normal::new(0.0, 1.0).unwrap();
        let calibration = Calibration { slope: 1.0, intercept: 0.0, bend: 0.0, scatter: 0.0, scale: 0.0, range: [0.0, 4.0], columns: 9 };
        let (mut inside, rounds) = (0, 1500);
        for _ in 0..rounds {
            // Errors of neighbours share half of their variance.
            let shared: Vec<f64> = (0..9).map(|_| normal.sample(&mut rng) * 0.5f64.sqrt() * 0.3).collect();
            let fitted: Vec<f64> = (0..8).map(|k| 3.0 + shared[k] + shared[k + 1]).collect();
            let covariances: Vec<_> = (0..7).map(|k| (k, k + 1, 0.5 * 0.09)).collect();
            let found = occupancies(&fitted, &[0.3; 8], &[4.0; 8], &calibration);
            let row = rows(&[1.0; 8], &found, &[4.0; 8], &covariances, &calibration, 0.3);
            assert_eq!((row.len(), row[0].columns), (1, 8));
            inside += usize::from((row[0].band[0]..row[0].band[1]).contains(&0.75));
        }
        // Binomial: 0.95 ± 0.006.
        let share = f64::from(inside as u32) / f64::from(rounds);
        assert!((share - 0.95).abs() < 0.025, "{share}");
    }
}
