//! From an image to its columns, their atoms and what they prove.

use super::brightness::{Brightness, alike, scale};
use super::calibrated::Bootstrap;
use super::lessons::{Crystal, Taught, Teacher};
use super::scene::Scene;
use crate::analysis::columns::{
    Amplitudes, Calibration, Field, Fit, Found, Integral, Occupancy, Power, ProjectedColumn, Projection, REACH_A, Row, Settled, Site,
    Template, discs, find_lattice, grown, occupancies, plain, power, rows, settle, voronoi,
};
use crate::job::Error;
use crate::job::values::Side;
use crate::run::{Event, Run, Stage};
use crate::simulate::Element;

/// What was found in an image.
pub(super) struct Mapped {
    pub(super) found: Found,
    pub(super) thickness_A: f64,
    pub(super) taught: Taught,
    pub(super) settled: Settled,
    pub(super) amplitudes: Amplitudes,
    pub(super) calibration: Calibration,
    /// The numbers of the columns of the element in question among the sites.
    pub(super) targets: Vec<usize>,
    /// One for each of the targets.
    pub(super) occupancies: Vec<Occupancy>,
    /// Where each target lies along the layers' normal, from the side that depth is counted from.
    pub(super) depths_A: Vec<f64>,
    pub(super) rows: Vec<Row>,
    /// Of all columns together.
    pub(super) mean: Option<Row>,
    pub(super) power: Option<Power>,
    pub(super) discs: Vec<Integral>,
    pub(super) cells: Vec<Integral>,
    pub(super) bootstrap: Option<Bootstrap>,
    /// How many times as large as by counting the errors of each kind of column are, since the same noise places them.
    pub(super) placing: Vec<f64>,
    /// How bright heavy columns of other elements are beside those of a simulated crystal of this thickness, and those of elements that scatter alike.
    pub(super) brightness: Brightness,
    pub(super) brightness_of_alike: Brightness,
    /// (y, x) of a step along the layers' normal.
    pub(super) normal: [f64; 2],
}

/// A disc's radius.
const DISC_A: f64 = 0.55;
/// Rows nearer than this along the normal are one.
const ROW_A: f64 = 0.8;

impl Scene {
    pub(super) fn field(&self) -> Field<'_> {
        Field { values: &self.values, shape: self.shape, pixel_A: self.pixel_A }
    }

    pub(super) fn refuse(&self, why: String) -> Error {
        Error::NoMap { image: self.path.clone(), why }
    }
}

/// How strongly each kind of column shows.
pub(super) fn weights(projection: &Projection) -> Vec<f64> {
    let number = |symbol: &str| Element::of(symbol).map_or(1, |e| e.atomic_number());
    (0..projection.kinds.len()).map(|kind| projection.weight(kind, number)).collect()
}

impl Teacher<'_> {
    /// Maps the scene's image. `better` names a crystal that fits better, if there is one, and what it explains.
    pub(super) fn map(&self, run: &Run, better: &dyn Fn(f64) -> Option<(f64, String)>) -> Result<Mapped, Error> {
        let (scene, crystal, map) = (self.scene, self.crystal, &self.job.map);
        let begun = std::time::Instant::now();
        let projection = &crystal.projection;
        let mut step = 0;
        let mut progress = || {
            step += 1;
            run.emit(Event::Progress { stage: Stage::Map, done: step });
        };
        run.emit(Event::StageStarted { stage: Stage::Map, total: 5, unit: "steps" });
        self.check_field()?;
        let weights = weights(projection);
        let bright = plain(&weights);
        let Some(found) = find_lattice(&scene.field(), projection, &bright, None)? else {
            return Err(self.too_coarse());
        };
        self.check_lattice(&found, &bright, better)?;
        self.check_spacing(&found)?;
        progress();
        let others: Vec<usize> = (0..weights.len()).filter(|&kind| !crystal.holds(kind)).collect();
        let brightest = others.iter().map(|&kind| weights[kind]).fold(0.0, f64::max);
        let metals: Vec<usize> = others.into_iter().filter(|&kind| weights[kind] >= 0.4 * brightest).collect();
        let thickness_A = match &map.thickness_A {
            Some(entry) => entry.value,
            None => self.thickness(&found, &metals, run)?,
        };
        progress();
        let taught = self.teach(thickness_A, map.draws.value, map.seed.value)?;
        // Far out of focus heavy columns may be dark, and light ones bright: where the crystal lies, its own image tells.
        let looks = self.looks(&taught);
        let found = find_lattice(&scene.field(), projection, &looks, Some(&found.lattice))?.unwrap_or(found);
        progress();
        self.check_signal(&found, &taught, &looks, better)?;
        let sites = self.sites(&found, thickness_A);
        let fit = Fit { field: scene.field(), templates: &taught.learnt.templates, noise: &taught.noise, margin_A: map.margin_A.value };
        let mut settled = settle(&fit, &sites)?;
        let placing = self.placing(&taught)?;
        let amplitudes = fit.amplitudes(&settled.sites)?.widened(&settled.sites, &placing);
        let by = grown(amplitudes.misfit);
        settled.se_A.iter_mut().flatten().for_each(|se| *se *= by);
        progress();
        let mut calibration = self.calibration(&taught)?;
        let kinds = [&metals[..], &alike(projection, crystal.element)];
        let [brightness, brightness_of_alike] = self.brightness(&taught, &settled.sites, &amplitudes, kinds)?;
        calibration.scale = scale(brightness, brightness_of_alike);
        self.check_fit(&amplitudes, &found, better)?;
        self.check_brightness(brightness, thickness_A, run)?;
        let targets: Vec<usize> = (0..sites.len()).filter(|&s| crystal.holds(sites[s].kind)).collect();
        let trusted = |s: usize| amplitudes.atoms[s].is_finite() && stands_in_crystal(s, &settled.sites, &amplitudes, &metals);
        let fitted: Vec<f64> = targets.iter().map(|&s| if trusted(s) { amplitudes.atoms[s] } else { f64::NAN }).collect();
        self.check_columns(&fitted, &targets, &sites, &amplitudes)?;
        let se: Vec<f64> = targets.iter().map(|&s| amplitudes.se[s]).collect();
        let full: Vec<f64> = targets.iter().map(|&s| sites[s].expected).collect();
        let occupancies = occupancies(&fitted, &se, &full, &calibration);
        let normal = found.lattice.direction([1.0, 0.0]);
        let depths_A = depths(&settled.sites, &targets, &fitted, normal, map.surface.value);
        let of_targets: Vec<(usize, usize, f64)> = amplitudes
            .covariances
            .iter()
            .filter_map(|&(a, b, c)| Some((targets.binary_search(&a).ok()?, targets.binary_search(&b).ok()?, c)))
            .collect();
        let profile = rows(&depths_A, &occupancies, &full, &of_targets, &calibration, ROW_A);
        let mean = rows(&vec![0.0; full.len()], &occupancies, &full, &of_targets, &calibration, ROW_A).pop();
        let power = mean.as_ref().and_then(|mean| power(&occupancies, mean));
        let places: Vec<[f64; 2]> = settled.sites.iter().map(|s| s.at_A).collect();
        let discs = discs(&scene.field(), &taught.noise, &places, DISC_A);
        let cells = voronoi(&scene.field(), &taught.noise, &places);
        let bootstrap = match map.bootstrap.value {
            0 => None,
            n => self.bootstrap(n, &taught, &calibration, &placing)?,
        };
        progress();
        run.emit(Event::StageFinished { stage: Stage::Map, seconds: begun.elapsed().as_secs_f64() });
        Ok(Mapped {
            found,
            thickness_A,
            taught,
            settled,
            amplitudes,
            calibration,
            targets,
            occupancies,
            depths_A,
            rows: profile,
            mean,
            power,
            discs,
            cells,
            bootstrap,
            placing,
            brightness,
            brightness_of_alike,
            normal,
        })
    }

    /// What full columns of each kind look like.
    fn looks(&self, taught: &Taught) -> Vec<Template> {
        let atoms = |kind: usize| taught.thickness_A * self.crystal.projection.atoms_per_A(kind);
        taught.learnt.templates.iter().enumerate().map(|(kind, template)| template.times(atoms(kind))).collect()
    }

    /// Every column of the crystal where the lattice has it.
    pub(super) fn sites(&self, found: &Found, thickness_A: f64) -> Vec<Site> {
        let projection = &self.crystal.projection;
        let places = found.lattice.places(projection, self.scene.field().end_A(), REACH_A - 0.25);
        places.iter().map(|p| Site { kind: p.kind, at_A: p.at_A, expected: thickness_A * projection.atoms_per_A(p.kind) }).collect()
    }
}

pub(super) fn deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt()
}

/// Are the metals around a column there? Beyond a surface none is.
fn stands_in_crystal(target: usize, sites: &[Site], amplitudes: &Amplitudes, metals: &[usize]) -> bool {
    const AROUND_A: f64 = 4.5;
    let at = sites[target].at_A;
    let near = |(k, s): &(usize, &Site)| {
        metals.contains(&s.kind) && amplitudes.atoms[*k].is_finite() && (s.at_A[0] - at[0]).hypot(s.at_A[1] - at[1]) < AROUND_A
    };
    let (mut there, mut full) = (0.0, 0.0);
    for (k, site) in sites.iter().enumerate().filter(near) {
        there += amplitudes.atoms[k];
        full += site.expected;
    }
    full == 0.0 || there > 0.5 * full
}

/// Where columns lie along the layers' normal from a side on; NaN of those that are not trusted.
fn depths(sites: &[Site], targets: &[usize], fitted: &[f64], normal: [f64; 2], side: Side) -> Vec<f64> {
    let length = normal[0].hypot(normal[1]);
    let sign = match side {
        Side::First => 1.0,
        Side::Top => normal[0].signum(),
        Side::Bottom => -normal[0].signum(),
        Side::Left => normal[1].signum(),
        Side::Right => -normal[1].signum(),
    };
    let along = |s: usize| sign * (sites[s].at_A[0] * normal[0] + sites[s].at_A[1] * normal[1]) / length;
    let all: Vec<f64> = targets.iter().zip(fitted).map(|(&s, f)| if f.is_finite() { along(s) } else { f64::NAN }).collect();
    let first = all.iter().copied().filter(|d| d.is_finite()).fold(f64::INFINITY, f64::min);
    all.into_iter().map(|d| d - first).collect()
}

impl Crystal {
    /// Do columns of this kind hold the element in question?
    pub(super) fn holds(&self, kind: usize) -> bool {
        let symbol = self.element.symbol();
        self.projection.columns.iter().any(|c| c.kind == kind && c.per_A(symbol) > 0.0)
    }

    /// Refuses an element that has no columns of its own.
    pub(super) fn check(&self, image: &str) -> Result<(), Error> {
        let symbol = self.element.symbol();
        let with: Vec<&ProjectedColumn> = self.projection.columns.iter().filter(|c| c.per_A(symbol) > 0.0).collect();
        let why = if with.is_empty() {
            format!("the crystal holds no {symbol} (map.element)")
        } else if let Some(mixed) = with.iter().find(|c| c.holds.len() > 1) {
            format!(
                "along this zone axis {symbol} shares columns with other elements ({}), so that its atoms cannot be told. Take another map.zone_axis",
                mixed.name()
            )
        } else {
            return Ok(());
        };
        Err(Error::NoMap { image: image.to_owned(), why })
    }
}
