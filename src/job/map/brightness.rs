//! How bright the columns of other elements are beside those of a simulated crystal: what tells the thickness, and how far all atoms may be off.

use super::lessons::{Taught, Teacher};
use super::mapped::deviation;
use crate::analysis::columns::{Amplitudes, Evidence, Fit, Found, Noise, Projection, Site, learn};
use crate::job::Error;
use crate::run::Run;
use crate::simulate::Element;

/// The part by which other columns may be brighter or darker than simulated ones.
const UNLIKE: f64 = 0.25;
/// Where nothing is known of the thickness it begins at so many repeats of 5 Å, and it is looked for between these bounds.
const FIRST_A: f64 = 20.0;
const THICKNESSES_A: [f64; 2] = [2.0, 400.0];
/// Elements of half to twice the atomic number scatter alike.
const ALIKE: f64 = 2.0;

/// Fitted over expected atoms of some columns, 1 in a simulated crystal, and the standard error; NaN where there are none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Brightness {
    pub(super) ratio: f64,
    pub(super) se: f64,
}

impl Brightness {
    /// Of columns of some kinds, weighted by 1/se²; the error takes in what neighbours share.
    pub(super) fn of(sites: &[Site], amplitudes: &Amplitudes, kinds: &[usize]) -> Self {
        let counts = |k: usize| kinds.contains(&sites[k].kind) && amplitudes.atoms[k].is_finite();
        let per = |k: usize| sites[k].expected / amplitudes.se[k].powi(2);
        let (mut sum, mut weights) = (0.0, 0.0);
        for k in (0..sites.len()).filter(|&k| counts(k)) {
            sum += per(k) * amplitudes.atoms[k];
            weights += per(k) * sites[k].expected;
        }
        let shared = amplitudes.covariances.iter().filter(|(a, b, _)| counts(*a) && counts(*b)).map(|&(a, b, c)| 2.0 * per(a) * per(b) * c);
        // Neighbours whose errors go against each other are no proof that all do.
        let variance = weights + shared.sum::<f64>().max(0.0);
        Self { ratio: sum / weights, se: variance.sqrt() / weights }
    }

    /// What of |ratio − 1| the error does not explain.
    fn beyond(self) -> f64 {
        if self.ratio.is_finite() { ((self.ratio - 1.0).powi(2) - self.se.powi(2)).max(0.0).sqrt() } else { 0.0 }
    }
}

/// The part by which all atoms of the element may be off: what elements `alike` are off by, where that is known better than what the heavy ones say or is off by more than its error explains; else what the heavy
/// ones are off by beyond theirs.
pub(super) fn scale(heavy: Brightness, alike: Brightness) -> f64 {
    let told = heavy.beyond();
    let off = alike.ratio - 1.0;
    if off.is_finite() && (alike.se <= told || off.abs() > 2.0 * alike.se) { off.hypot(alike.se) } else { told }
}

/// Kinds of columns that hold nothing but other elements that scatter like this one.
pub(super) fn alike(projection: &Projection, element: Element) -> Vec<usize> {
    let number = |symbol: &str| Element::of(symbol).map_or(f64::NAN, |e| e.atomic_number() as f64);
    let own = element.atomic_number() as f64;
    let near = |symbol: &str| symbol != element.symbol() && (1.0 / ALIKE..=ALIKE).contains(&(number(symbol) / own));
    let holds = |kind: usize| projection.columns.iter().find(|c| c.kind == kind).is_some_and(|c| c.holds.iter().all(|h| near(h.0)));
    (0..projection.kinds.len()).filter(|&kind| holds(kind)).collect()
}

impl Teacher<'_> {
    /// The thickness of a simulated crystal whose other columns are as bright as the image's: t ← t·(their ratio) until that is 1 within 2 %.
    pub(super) fn thickness(&self, found: &Found, metals: &[usize], run: &Run) -> Result<f64, Error> {
        if metals.is_empty() {
            return Err(Error::Missing {
                key: "map.thickness_A",
                why: format!("no column without {} tells it", self.crystal.element.symbol()),
                example: "53",
            });
        }
        let mut thickness = FIRST_A;
        for _ in 0..6 {
            let scan = self.scan(thickness, self.job.map.seed.value)?;
            let example = self.example(&scan, self.scene.is_iterative().then_some(1))?;
            let kinds = self.crystal.projection.kinds.len();
            let noise = Noise::white(deviation(&self.scene.values), self.scene.pixel_A);
            let Some(learnt) = learn(&[&Evidence::of(&example.lesson(), kinds)], kinds) else { break };
            let (field, margin_A) = (self.scene.field(), self.job.map.margin_A.value);
            let fit = Fit { field, templates: &learnt.templates, noise: &noise, margin_A };
            let sites = self.sites(found, thickness);
            let amplitudes = fit.amplitudes(&sites)?;
            let Brightness { ratio, se } = Brightness::of(&sites, &amplitudes, metals);
            if !ratio.is_finite() || ratio <= 0.0 {
                break;
            }
            let next = thickness * ratio.clamp(0.3, 3.0);
            if !(THICKNESSES_A[0]..=THICKNESSES_A[1]).contains(&next) {
                break;
            }
            if (ratio - 1.0).abs() < 0.02 {
                run.note(format!(
                    "map.thickness_A = {next:.1} by the brightness of the other columns (± {:.1} by counting alone)",
                    se * next
                ));
                return Ok(next);
            }
            thickness = next;
        }
        Err(self.scene.refuse(format!(
            "no thickness from {} to {} Å makes the columns without {} as bright as they are. Set map.thickness_A, and check optics.defocus_A",
            THICKNESSES_A[0],
            THICKNESSES_A[1],
            self.crystal.element.symbol()
        )))
    }

    /// The brightness of columns of these kinds and of those in an image, 1 where they are as bright as in the simulated ones, fitted alike.
    pub(super) fn brightness(
        &self,
        taught: &Taught,
        sites: &[Site],
        amplitudes: &Amplitudes,
        kinds: [&[usize]; 2],
    ) -> Result<[Brightness; 2], Error> {
        let mut simulated = [0.0; 2];
        for example in &taught.examples {
            let mut sites = example.sites(&self.crystal.projection, taught.thickness_A);
            let amplitudes = example.image.fitted(&sites, &taught.learnt, &taught.noise)?;
            sites.iter_mut().zip(&example.columns).for_each(|(site, column)| site.expected = column.atoms);
            simulated.iter_mut().zip(kinds).for_each(|(sum, kinds)| *sum += Brightness::of(&sites, &amplitudes, kinds).ratio);
        }
        Ok([0, 1].map(|n| {
            let (found, by) = (Brightness::of(sites, amplitudes, kinds[n]), simulated[n] / taught.examples.len() as f64);
            Brightness { ratio: found.ratio / by, se: found.se / by }
        }))
    }

    /// Says where an image is brighter or darker than a simulated crystal's, and refuses it where that is so much that its atoms are not to be counted.
    pub(super) fn check_brightness(&self, Brightness { ratio, se }: Brightness, thickness_A: f64, run: &Run) -> Result<(), Error> {
        let beyond = |part: f64| ratio.is_finite() && (ratio - 1.0).abs() > part + 3.0 * se;
        if beyond(UNLIKE) {
            return Err(self.scene.refuse(format!(
                "the other columns are {ratio:.2} ± {se:.2} times as bright as those of a simulated crystal of {thickness_A:.1} Å, so atoms cannot be counted. The thickness is another (leave map.thickness_A out to have \
                 it found), or the focus: check optics.defocus_A, and where the image was corrected for aberrations that were fitted, make it with images.aberrations = \"given\""
            )));
        }
        if beyond(0.1) {
            run.warn(format!(
                "The other columns are {ratio:.2} ± {se:.2} times as bright as those of a simulated crystal of {thickness_A:.1} Å: occupancies are wrong if the thickness is. Leave map.thickness_A out to have it found, and check optics.defocus_A."
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::columns::CellSite;
    use crate::simulate::{Cut, Structure};

    fn bright(ratio: f64, se: f64) -> Brightness {
        Brightness { ratio, se }
    }

    #[test]
    fn light_columns_tell_how_far_atoms_may_be_off_where_they_are_seen_well_and_heavy_ones_where_not() {
        // Oxygen as it should be: that metals are not says nothing of sodium.
        assert!((scale(bright(1.10, 0.003), bright(1.0, 0.01)) - 0.01).abs() < 1e-12);
        // Oxygen too dark, though metals are as they should be.
        assert!((scale(bright(1.001, 0.003), bright(0.96, 0.003)) - 0.04f64.hypot(0.003)).abs() < 1e-12);
        // Oxygen hardly seen: metals tell, less what their own error explains.
        assert!((scale(bright(1.05, 0.03), bright(1.06, 0.08)) - 0.04).abs() < 1e-12);
        assert_eq!(scale(bright(1.02, 0.03), bright(0.97, 0.08)), 0.0);
        // No such columns.
        assert!((scale(bright(1.05, 0.03), bright(f64::NAN, f64::NAN)) - 0.04).abs() < 1e-12);
        assert_eq!(scale(bright(f64::NAN, f64::NAN), bright(f64::NAN, f64::NAN)), 0.0);
    }

    #[test]
    fn oxygen_scatters_like_sodium_and_metals_do_not() {
        let structure = Structure::named("Na3Ni2SbO6").unwrap();
        let cut = Cut {
            zone_axis: [1, 0, 0],
            planes: None,
            thickness_A: 1.0,
            offset_A: [0.0; 2],
            tilt_mrad: [0.0; 2],
            extent_A: None,
            defects: Vec::new(),
        };
        let site = |s: &crate::simulate::Site| CellSite { symbol: s.element.symbol(), at: s.at, occupancy: s.occupancy };
        let sites: Vec<CellSite> = structure.sites.iter().map(site).collect();
        let projection = Projection::new(cut.axes_A(&structure).unwrap(), &sites);
        let kinds = alike(&projection, Element::of("Na").unwrap());
        assert!(!kinds.is_empty());
        for column in &projection.columns {
            assert_eq!(kinds.contains(&column.kind), column.name() == "O", "{}", column.name());
        }
    }
}
