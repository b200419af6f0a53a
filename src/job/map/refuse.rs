//! What is refused, with the reason: images that no map, or no trustworthy one, can be made of.

use super::lessons::{Taught, Teacher};
use super::mapped::deviation;
use crate::analysis::columns::{Amplitudes, Field, Found, Site, Template, coarse, find_lattice};
use crate::job::Error;

/// A crystal is looked at more closely where it explains so many times what it explains laid over the image at random (over noise: 18 times at most in 48 images), or so much of the image's variance.
const TIMES_CHANCE: f64 = 20.0;
const EXPLAINED: f64 = 0.1;
/// Part of the variance beyond the noise that columns on a lattice have to explain, or else other crystals are tried; and the part that another one has to explain to be named.
const EXPLAINED_OF_SIGNAL: f64 = 0.4;
const BETTER: f64 = 0.55;
/// Noise may be as much as this times what was simulated.
const NOISE_KNOWN: f64 = 1.05;
/// Part of the variance beyond the noise that columns as simulated have to explain once each is fitted, where what is left is so many times the noise's.
const FITTED: f64 = 0.5;
const LEFT: f64 = 1.5;
/// Columns of the element whose error grows by more than this through their neighbours are not resolved.
const RESOLVED: f64 = 4.0;
/// Columns nearer than this part of the finest spacing that a bright field carries are not resolved in an image that is linear in it.
const NEAREST: f64 = 0.75;
/// The fewest columns that a map is made of.
const FEWEST: usize = 4;

impl Teacher<'_> {
    /// Refuses a field that is too small for the columns that a map is made of, whatever lies in it.
    pub(super) fn check_field(&self) -> Result<(), Error> {
        let projection = &self.crystal.projection;
        let symbol = self.crystal.element.symbol();
        let columns = projection.columns.iter().filter(|c| c.per_A(symbol) > 0.0).count();
        let [a, b] = projection.basis_A;
        let mesh_A2 = (a[0] * b[1] - a[1] * b[0]).abs();
        let end = self.scene.field().end_A();
        let inside_A2: f64 = end.iter().map(|side| (side - 2.0 * self.job.map.margin_A.value).max(0.0)).product();
        let expected = columns as f64 * inside_A2 / mesh_A2;
        if expected < FEWEST as f64 {
            let wanted = (FEWEST as f64 * mesh_A2 / columns as f64).sqrt() + 2.0 * self.job.map.margin_A.value;
            return Err(self.scene.refuse(format!(
                "its field of {:.1} × {:.1} Å is too small: further than map.margin_A from the edges there are about {expected:.0} columns of {symbol}, and {FEWEST} are needed. Scan a field of \
                 {wanted:.0} × {wanted:.0} Å or more",
                end[0], end[1]
            )));
        }
        Ok(())
    }

    /// Why an image without a wave as long as the crystal's longest has no map.
    pub(super) fn too_coarse(&self) -> Error {
        let [y, x] = self.scene.pixel_A;
        self.scene.refuse(format!(
            "its pixels of {:.2} Å are too large for any spacing of the crystal. Scan with a step of {:.2} Å or less",
            y.max(x),
            self.scene.limit_A() / 2.0
        ))
    }

    /// Refuses a lattice that noise could have as well.
    pub(super) fn check_lattice(
        &self,
        found: &Found,
        looks: &[Template],
        better: &dyn Fn(f64) -> Option<(f64, String)>,
    ) -> Result<(), Error> {
        if stands_out(found) {
            return Ok(());
        }
        self.check_sign(found.explained, 1.0, looks)?;
        let hint = fits_better(better, found).unwrap_or_else(|| {
            "Check map.structure and map.zone_axis, and whether columns are to be seen at all; a larger field or a higher dose shows more".to_owned()
        });
        Err(self.scene.refuse(format!(
            "the crystal's lattice is not found in it: laid over it as well as can be it explains {:.1} %, {:.0} times as much as laid at random, and {TIMES_CHANCE:.0} times are needed. {hint}",
            100.0 * found.explained,
            found.times_chance
        )))
    }

    /// Refuses columns that lie closer together than the image can tell. What iterations make of dark field is not bound by the bright field's limit.
    pub(super) fn check_spacing(&self, found: &Found) -> Result<(), Error> {
        let symbol = self.crystal.element.symbol();
        let sites = self.sites(found, 1.0);
        let nearest = nearest_A(&sites, sites.iter().filter(|site| self.crystal.holds(site.kind)));
        let limit = self.scene.limit_A();
        if self.scene.is_iterative() || nearest >= NEAREST * limit {
            return Ok(());
        }
        Err(self.scene.refuse(format!(
            "the columns of {symbol} are not resolved: their neighbours are {nearest:.2} Å away, and a bright field of this convergence angle carries spacings down to {limit:.2} Å. Take a larger angle (about \
             {:.0} mrad), ptychography with dark field, or a zone axis along which columns lie further apart",
            self.scene.instrument.optics.convergence_mrad * limit / nearest
        )))
    }

    /// Refuses a field without enough columns, or one whose columns are not resolved.
    pub(super) fn check_columns(&self, fitted: &[f64], targets: &[usize], sites: &[Site], amplitudes: &Amplitudes) -> Result<(), Error> {
        let symbol = self.crystal.element.symbol();
        let usable: Vec<usize> = (0..fitted.len()).filter(|&k| fitted[k].is_finite()).collect();
        if usable.len() < FEWEST {
            let end = self.scene.field().end_A();
            return Err(self.scene.refuse(format!(
                "its field of {:.1} × {:.1} Å holds {} columns of {symbol} far enough from the edge and inside the crystal, and {FEWEST} are needed. Scan a larger field, or lower map.margin_A",
                end[0], end[1], usable.len()
            )));
        }
        let mut growth: Vec<f64> = usable.iter().map(|&k| amplitudes.se[targets[k]] / amplitudes.alone[targets[k]]).collect();
        growth.sort_by(f64::total_cmp);
        let middle = growth[growth.len() / 2];
        if middle > RESOLVED {
            let nearest = nearest_A(sites, usable.iter().map(|&k| &sites[targets[k]]));
            return Err(self.scene.refuse(format!(
                "the columns of {symbol} are not resolved: their neighbours, {nearest:.2} Å away, make their errors {middle:.1} times as large as they were alone. A bright field of this convergence angle carries spacings down to {:.2} Å; take a larger angle, another image, or a zone axis along which columns lie further apart",
                self.scene.limit_A()
            )));
        }
        Ok(())
    }

    /// Refuses a crystal that explains too little of what is not noise.
    pub(super) fn check_signal(
        &self,
        found: &Found,
        taught: &Taught,
        looks: &[Template],
        better: &dyn Fn(f64) -> Option<(f64, String)>,
    ) -> Result<(), Error> {
        let total = deviation(&coarse(&self.scene.field())?).powi(2);
        // What is surely more than noise, which is known to a few per cent, for the dose is measured; but no less than what the image's own variance is known to (two standard errors, by as many numbers as are
        // independent), or a twentieth.
        let (noise, independent) = taught.noise.coarse(self.scene.shape)?;
        let signal = (total - NOISE_KNOWN * noise).max((2.0 * (2.0 / independent.max(2.0)).sqrt()).min(0.05) * total);
        let share = found.explained * total / signal;
        if share >= EXPLAINED_OF_SIGNAL {
            return Ok(());
        }
        self.check_sign(found.explained, total / signal, looks)?;
        if let Some((explained, other)) = better(found.explained)
            && explained * total / signal > BETTER
        {
            return Err(self.scene.refuse(format!(
                "the crystal explains {:.0} % of what is not noise; {other} fits better ({:.0} %){}",
                100.0 * share,
                100.0 * (explained * total / signal).min(1.0),
                self.of_coarse_steps()
            )));
        }
        if share < 0.25 * EXPLAINED_OF_SIGNAL {
            return Err(self.scene.refuse(format!(
                "the crystal explains {:.0} % of what is not noise. Check map.structure, map.zone_axis and optics.defocus_A{}",
                100.0 * share,
                self.of_coarse_steps()
            )));
        }
        Ok(())
    }

    /// Refuses an image of which the crystal, whose columns look like this, explains much more than so much, `per` times as a part of what is looked at, where bright and dark change places.
    pub(super) fn check_sign(&self, explained: f64, per: f64, looks: &[Template]) -> Result<(), Error> {
        let scene = self.scene;
        let values: Vec<f64> = scene.values.iter().map(|value| -value).collect();
        let turned = Field { values: &values, ..scene.field() };
        match find_lattice(&turned, &self.crystal.projection, looks, None)? {
            Some(dark) if much_more(dark.explained, explained) && dark.explained * per > EXPLAINED_OF_SIGNAL => Err(scene.refuse(format!(
                "its columns are darker than what lies between them: upside down the crystal explains {:.0} % of it, and {:.0} % as it is. So it is where scan.rotation_deg is off by 180°, or the specimen far out of focus: check both, and the sign of optics.defocus_A, or map the phase of ptychography",
                100.0 * (dark.explained * per).min(1.0),
                100.0 * explained * per
            ))),
            _ => Ok(()),
        }
    }

    /// Refuses an image that its columns, each as bright as it comes, do not explain: another crystal, another focus or no phase.
    pub(super) fn check_fit(
        &self,
        amplitudes: &Amplitudes,
        found: &Found,
        better: &dyn Fn(f64) -> Option<(f64, String)>,
    ) -> Result<(), Error> {
        if amplitudes.misfit < LEFT || amplitudes.explained > FITTED {
            return Ok(());
        }
        let direct = ". Far out of focus, or in a thick specimen, direct images have no columns: map the phase of ptychography";
        let hint = fits_better(better, found).map_or_else(
            || {
                let direct = if self.scene.is_iterative() { "" } else { direct };
                format!(". Check map.structure, map.zone_axis, map.thickness_A and optics.defocus_A{direct}")
            },
            |other| format!("; {other}"),
        );
        Err(self.scene.refuse(format!(
            "columns as a simulated crystal has them explain {:.0} % of what is not noise, though each was fitted; {:.0} % are needed{hint}{}",
            100.0 * amplitudes.explained.max(0.0),
            100.0 * FITTED,
            self.of_coarse_steps()
        )))
    }

    /// What is to be said of a scan whose steps are longer than half the finest spacing that a direct image carries, so that fine ones come back as coarse ones.
    fn of_coarse_steps(&self) -> String {
        let (needed, [y, x]) = (self.scene.limit_A() / 2.0, self.scene.instrument.scan.step_A);
        let step = y.max(x);
        // A step may be told with two digits.
        if self.scene.is_iterative() || step < 1.05 * needed {
            return String::new();
        }
        format!(
            ". The scan's step of {step:.2} Å folds fine spacings back to coarse ones: direct images at this convergence angle want {needed:.2} Å or less, ptychography does not"
        )
    }
}

/// What is to be said where another crystal fits better than the one that was found.
fn fits_better(better: &dyn Fn(f64) -> Option<(f64, String)>, found: &Found) -> Option<String> {
    better(found.explained).map(|(_, other)| format!("{other} fits better"))
}

/// Is a lattice there, or may it be, so that it is looked at more closely?
fn stands_out(found: &Found) -> bool {
    beyond_chance(found) || found.explained > EXPLAINED
}

/// Does a crystal explain what no chance does? In an image of few pixels chance explains more than a tenth.
pub(super) fn beyond_chance(found: &Found) -> bool {
    found.times_chance > TIMES_CHANCE
}

/// Does one crystal explain so much more of an image than another that chance is not why?
pub(super) fn much_more(explained: f64, than: f64) -> bool {
    explained > 1.3 * than + 0.02
}

/// How far the nearest neighbour of any of these sites is.
fn nearest_A<'a>(sites: &[Site], of: impl Iterator<Item = &'a Site>) -> f64 {
    let away = |at: [f64; 2], s: &Site| (s.at_A[0] - at[0]).hypot(s.at_A[1] - at[1]);
    of.flat_map(|site| sites.iter().map(move |other| away(site.at_A, other))).filter(|d| *d > 0.05).fold(f64::INFINITY, f64::min)
}
