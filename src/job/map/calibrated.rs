//! What simulated crystals tell of the fit: how fitted atoms go with true ones, and how often the truth lies within the errors, which it does with columns placed by the image.

use super::lessons::{Example, Taught, Teacher};
use crate::analysis::columns::{Calibration, Learnt, occupancies};
use crate::job::Error;

/// How simulated truths lie beside the estimates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bootstrap {
    pub(super) columns: usize,
    /// The shares of truths within the intervals of 68.3 % and 95 %.
    pub(super) within: [f64; 2],
    /// The root mean square error over the mean standard error.
    pub(super) ratio: f64,
    /// The root mean square error in atoms.
    pub(super) rms_atoms: f64,
    pub(super) calls: Calls,
}

/// Which columns of simulated scans were called to miss atoms.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Calls {
    scans: usize,
    pub(super) called: usize,
    /// Of all that were called, those that miss nothing.
    wrong: usize,
    /// The sum over scans of the part of the called ones that miss nothing, 0 where none is called.
    parts: f64,
}

impl Calls {
    /// A further scan with so many called columns, so many of which miss nothing.
    fn add(&mut self, called: usize, wrong: usize) {
        self.scans += 1;
        self.called += called;
        self.wrong += wrong;
        self.parts += wrong as f64 / called.max(1) as f64;
    }

    /// The false discovery rate as Benjamini and Hochberg define it, E[V/max(R, 1)]: what q values hold, scan by scan.
    pub(super) fn false_discovery_rate(&self) -> f64 {
        self.parts / self.scans.max(1) as f64
    }

    /// The part of all called columns that miss nothing: more than the false discovery rate where few scans have any to call.
    pub(super) fn false_share(&self) -> f64 {
        self.wrong as f64 / self.called.max(1) as f64
    }
}

/// True and fitted atoms, and the standard errors by counting.
type Pairs = (Vec<(f64, f64)>, Vec<f64>);

impl Teacher<'_> {
    /// The line from true atoms to fitted ones over the simulated images.
    pub(super) fn calibration(&self, taught: &Taught) -> Result<Calibration, Error> {
        let symbol = self.crystal.element.symbol();
        let (pairs, counting) = self.pairs(taught, taught.examples.iter().map(|example| (example, &taught.learnt)))?;
        let mut line = Calibration::of(&pairs).ok_or_else(|| {
            self.scene.refuse(format!(
                "{symbol} columns of a simulated crystal do not grow brighter with their atoms in it, so nothing can be said of occupancies. Check optics.defocus_A, map.zone_axis and map.thickness_A",
            ))
        })?;
        // Templates follow the images that they were learnt from; what they get wrong shows in another one.
        let others: Vec<Option<Learnt>> = (0..taught.examples.len()).map(|k| taught.without(k)).collect();
        let unseen = taught.examples.iter().zip(&others).filter_map(|(example, learnt)| Some((example, learnt.as_ref()?)));
        if let Some(other) = Calibration::of(&self.pairs(taught, unseen)?.0) {
            line.scatter = line.scatter.max(other.scatter / other.slope * line.slope);
        }
        if self.scene.is_iterative() {
            // The mean of the counted images still has their noise.
            let left = counting.iter().map(|se| se * se).sum::<f64>() / counting.len() as f64 / self.job.map.draws.value as f64;
            line.scatter = (line.scatter * line.scatter - left).max(0.0).sqrt();
        }
        Ok(line)
    }

    /// True and fitted atoms of the element's columns in simulated images, each with what it is fitted by, and the errors by counting.
    fn pairs<'a>(&self, taught: &Taught, examples: impl Iterator<Item = (&'a Example, &'a Learnt)>) -> Result<Pairs, Error> {
        let (mut pairs, mut counting) = (Vec::new(), Vec::new());
        for (example, learnt) in examples {
            let sites = example.sites(&self.crystal.projection, taught.thickness_A);
            let found = example.image.fitted(&sites, learnt, &taught.noise)?;
            for (k, column) in example.columns.iter().enumerate() {
                if self.crystal.holds(column.kind) && found.atoms[k].is_finite() {
                    pairs.push((column.atoms, found.atoms[k]));
                    counting.push(found.se[k]);
                }
            }
        }
        Ok((pairs, counting))
    }

    /// How many times as large as by counting alone the errors of each kind of column are, since the same noise places them: what atoms vary by from count to count with columns where they are placed, and with
    /// columns where they are.
    pub(super) fn placing(&self, taught: &Taught) -> Result<Vec<f64>, Error> {
        // Both fits of a count share most of their noise, so that few counts tell their ratio.
        const COUNTS: usize = 4;
        let kinds = self.crystal.projection.kinds.len();
        let Some(example) = taught.examples.first() else { return Ok(vec![1.0; kinds]) };
        let sites = example.sites(&self.crystal.projection, taught.thickness_A);
        let (mut known, mut placed) = (Vec::new(), Vec::new());
        for image in taught.drawn.iter().take(COUNTS) {
            known.push(image.fitted(&sites, &taught.learnt, &taught.noise)?.atoms);
            placed.push(image.counted(&sites, &taught.learnt, &taught.noise)?.atoms);
        }
        let varies = |all: &[Vec<f64>], site: usize| {
            let mean = all.iter().map(|atoms| atoms[site]).sum::<f64>() / all.len() as f64;
            all.iter().map(|atoms| (atoms[site] - mean).powi(2)).sum::<f64>()
        };
        let mut sums = vec![[0.0; 2]; kinds];
        for (site, at) in sites.iter().enumerate() {
            let both = [varies(&known, site), varies(&placed, site)];
            if both.iter().all(|v| v.is_finite()) {
                sums[at.kind].iter_mut().zip(both).for_each(|(sum, v)| *sum += v);
            }
        }
        Ok(sums.iter().map(|[known, placed]| if *known > 0.0 { (placed / known).sqrt().max(1.0) } else { 1.0 }).collect())
    }

    /// Maps counted scans of further simulated crystals, whose atoms are known.
    pub(super) fn bootstrap(
        &self,
        draws: usize,
        taught: &Taught,
        calibration: &Calibration,
        placing: &[f64],
    ) -> Result<Option<Bootstrap>, Error> {
        let (seed, thickness_A) = (self.job.map.seed.value, taught.thickness_A);
        let (mut errors, mut calls) = (Vec::new(), Calls::default());
        // A crystal serves for several counts.
        const COUNTS: usize = 10;
        let mut scan = None;
        for draw in 0..draws {
            if draw % COUNTS == 0 {
                scan = Some(self.scan(thickness_A, seed + (self.lessons() + draw / COUNTS) as u64)?);
            }
            let Some(scan) = &scan else { break };
            let example = self.example(scan, Some(seed.wrapping_mul(104_729) + draw as u64 + 1_000_003))?;
            let sites = example.sites(&self.crystal.projection, thickness_A);
            let found = example.image.counted(&sites, &taught.learnt, &taught.noise)?.widened(&sites, placing);
            let own: Vec<usize> =
                (0..scan.columns.len()).filter(|&k| self.crystal.holds(scan.columns[k].kind) && found.atoms[k].is_finite()).collect();
            let (fitted, se): (Vec<f64>, Vec<f64>) = own.iter().map(|&k| (found.atoms[k], found.se[k])).unzip();
            // What a full column of this piece holds.
            let full = own.iter().map(|&k| scan.columns[k].atoms).fold(0.0, f64::max);
            let occupancies = occupancies(&fitted, &se, &vec![full; own.len()], &Calibration { scale: 0.0, ..*calibration });
            for (o, &k) in occupancies.iter().zip(&own) {
                errors.push(((o.atoms - scan.columns[k].atoms) / o.atoms_se, o.atoms - scan.columns[k].atoms, o.atoms_se));
            }
            let called = occupancies.iter().zip(&own).filter(|(o, _)| o.q < self.job.map.false_discovery_rate.value);
            let wrong = called.clone().filter(|(_, k)| scan.columns[**k].atoms >= full).count();
            calls.add(called.count(), wrong);
        }
        if errors.is_empty() {
            return Ok(None);
        }
        let n = errors.len() as f64;
        let within = |z: f64| errors.iter().filter(|e| e.0.abs() < z).count() as f64 / n;
        let rms = (errors.iter().map(|e| e.1 * e.1).sum::<f64>() / n).sqrt();
        let mean = (errors.iter().map(|e| e.2 * e.2).sum::<f64>() / n).sqrt();
        Ok(Some(Bootstrap { columns: errors.len(), within: [within(1.0), within(1.959_964)], ratio: rms / mean, rms_atoms: rms, calls }))
    }
}

#[cfg(test)]
mod tests {
    use super::Calls;

    #[test]
    fn the_false_discovery_rate_is_a_mean_over_scans_and_the_share_of_false_ones_is_one_over_columns() {
        let mut calls = Calls::default();
        for (called, wrong) in [(0, 0), (1, 1), (4, 1), (5, 0), (0, 0)] {
            calls.add(called, wrong);
        }
        // (0 + 1 + 1/4 + 0 + 0)/5, and 2 of 10.
        assert!((calls.false_discovery_rate() - 0.25).abs() < 1e-12, "{calls:?}");
        assert!((calls.false_share() - 0.2).abs() < 1e-12, "{calls:?}");
        assert_eq!(calls.called, 10);
    }
}
