//! `ronchi map`: from a result's phase image to columns, atoms and occupancies with standard errors.

mod brightness;
mod calibrated;
mod diffraction;
mod layers;
mod lessons;
mod mapped;
mod refuse;
mod report;
mod scene;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::run::same_file;
use super::{Error, Job, beside, crystal, facts};
use crate::analysis::columns::{CellSite, Projection, find_lattice, plain};
use crate::output::{self, Array, Attr, Claim, Header, ResultFile, Results, RunFacts, Table};
use crate::run::{CancelToken, Event, RngState, Run};
use crate::simulate::{Cut, Element, NAMES, Structure};
use diffraction::Diffraction;
use lessons::{Crystal, Teacher};
use mapped::{Mapped, weights};
use refuse::{beyond_chance, much_more};
use scene::{Arrays, Scene};

/// What a map leaves in a result, and what is said of it.
pub(super) struct Outcome {
    pub(super) arrays: Vec<Array>,
    pub(super) tables: Vec<Table>,
    diffraction: Option<Diffraction>,
    report: Option<report::Report>,
}

/// A map that can be made: its result is open, its place is claimed.
pub struct Mapping {
    job: Job,
    results: Results,
    source: PathBuf,
    result: ResultFile,
    output: PathBuf,
    force: bool,
}

impl Mapping {
    /// Opens a result and reads its job, with what was set beside it. The map goes to `output`, or beside the result as `NAME_map.emd`.
    ///
    /// # Errors
    /// If the file is no result, its job cannot be read, or the output is in the way.
    pub fn new(source: &Path, sets: &[String], output: Option<&Path>, force: bool) -> Result<Self, Error> {
        let results = Results::open(source)?;
        let Some(Attr::Text(text)) = results.attr("job") else {
            return Err(Error::NoMap {
                image: source.display().to_string(),
                why: "it does not carry the job that made it. Give a result of `ronchi run`, `image` or `reconstruct`".to_owned(),
            });
        };
        let job = Job::from_text(&text, &format!("the job of {}", source.display()), sets)?;
        let output = output.map_or_else(|| beside(source, "_map.emd"), Path::to_owned);
        if same_file(&output, source) {
            return Err(Error::OutputIsInput { path: output });
        }
        claimable(&output, force)?;
        let result = ResultFile::create(&output, force)?;
        Ok(Self { job, results, source: source.to_owned(), result, output, force })
    }

    /// The job, as it was resolved.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Makes the map and writes it: tables in the result, the same as CSV and pictures in a folder beside it.
    ///
    /// # Errors
    /// What cannot be mapped, with the reason; and what the simulation or the disk reports.
    pub fn run(self, device: &str, events: &(dyn Fn(Event) + Sync), cancel: &CancelToken) -> Result<PathBuf, Error> {
        let Self { job, results, source, mut result, output, force } = self;
        let start = SystemTime::now();
        let run = Run { events, cancel, rng: RngState::new(job.map.seed.value) };
        let outcome = map(&job, &results, device, &run).map_err(|error| match error.exit_code() {
            130 => Error::Interrupted { path: output.clone() },
            _ => error,
        })?;
        let input = facts::input(&source)?;
        let text = job.to_toml(&["data", "optics", "scan", "detector", "images", "ptychography", "map"]);
        result.header(&Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uuid: facts::uuid(&text, &input.hash),
            device: device.to_owned(),
            seed: job.map.seed.value,
            input: Some(input),
            job: text,
        })?;
        for array in &outcome.arrays {
            result.array(array)?;
        }
        for table in &outcome.tables {
            result.table(table)?;
        }
        let now = SystemTime::now();
        let seconds = now.duration_since(start).map_or(0.0, |d| d.as_secs_f64());
        result.run(&RunFacts {
            start: facts::timestamp(start),
            end: facts::timestamp(now),
            host: facts::host(),
            timings: serde_json::json!({ "seconds": seconds }).to_string(),
        })?;
        let written = result.finish()?;
        let folder = outcome.write_aside(&output, force)?;
        for path in [written.clone(), folder] {
            run.emit(Event::Written { path });
        }
        Ok(written)
    }
}

impl Outcome {
    /// With what virtual diffraction shows.
    fn with(mut self, diffraction: Option<Diffraction>) -> Self {
        if let Some(diffraction) = &diffraction {
            self.arrays.push(diffraction.array.clone());
            self.tables.extend(diffraction.spots.clone());
        }
        Self { diffraction, ..self }
    }

    /// Writes tables as CSV, and pictures, into the folder that belongs to a result; where there is something to write.
    pub(super) fn write_aside(&self, result: &Path, force: bool) -> Result<PathBuf, Error> {
        let folder = report::folder(result);
        std::fs::create_dir_all(&folder).map_err(|e| Error::Files { path: folder.clone(), done: "made", why: e.to_string() })?;
        for table in &self.tables {
            let name = table.path.rsplit('/').next().unwrap_or("table");
            Claim::new(&folder.join(format!("{name}.csv")), force)?.write(report::csv(table).as_bytes())?;
        }
        for array in self.arrays.iter().filter(|array| array.name().starts_with("strain_")) {
            report::signed_picture(array, &folder, force)?;
        }
        if let Some(diffraction) = &self.diffraction {
            diffraction.picture(&folder, force)?;
        }
        if let Some(report) = &self.report {
            report.pictures(&folder, force)?;
        }
        Ok(folder)
    }
}

/// Makes the map of a job whose arrays are there.
pub(super) fn map(job: &Job, arrays: &(impl Arrays + ?Sized), device: &str, run: &Run) -> Result<Outcome, Error> {
    let scene = Scene::of(job, arrays)?;
    let diffraction = Diffraction::of(job, &scene, run)?;
    let Some(name) = &job.map.structure else {
        return Ok(report::spots(job, &scene, arrays, run)?.with(diffraction));
    };
    let crystal = known(job, &name.value)?;
    crystal.check(&scene.path)?;
    let folder = tempfile::tempdir().map_err(|e| Error::Files { path: std::env::temp_dir(), done: "written", why: e.to_string() })?;
    let teacher = Teacher { job, scene: &scene, crystal: &crystal, device, folder: folder.path(), cancel: run.cancel };
    let mapped: Mapped = teacher.map(run, &|explained| better(job, &scene, &crystal, explained))?;
    Ok(report::outcome(job, &scene, &crystal, mapped, run).with(diffraction))
}

/// Refuses before the work begins what no image could make right: the crystal, its cut, the element, and a folder in the way.
pub(super) fn check(job: &Job, output: &Path, force: bool) -> Result<(), Error> {
    claimable(output, force)?;
    if let Some(name) = &job.map.structure {
        known(job, &name.value)?.check("the image")?;
    }
    Ok(())
}

/// The crystal that a job names.
fn known(job: &Job, name: &str) -> Result<Crystal, Error> {
    let structure = structure(name)?;
    let cut = cut(job, &structure)?;
    Ok(Crystal { projection: projection(&structure, &cut)?, element: Element::of(&job.map.element.value)?, structure, cut })
}

/// Refuses a folder that exists already.
fn claimable(output: &Path, force: bool) -> Result<(), Error> {
    let folder = report::folder(output);
    if !force && folder.symlink_metadata().is_ok() {
        return Err(output::Error::Exists { path: folder.display().to_string() }.into());
    }
    Ok(())
}

/// A crystal by its name or its CIF.
fn structure(name: &str) -> Result<Structure, Error> {
    if Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("cif")) {
        crystal(Path::new(name))
    } else {
        Ok(Structure::named(name)?)
    }
}

fn cut(job: &Job, structure: &Structure) -> Result<Cut, Error> {
    let cut = Cut {
        zone_axis: job.map.zone_axis.value,
        planes: job.map.planes.as_ref().map(|e| e.value),
        thickness_A: 1.0,
        offset_A: [0.0; 2],
        tilt_mrad: [0.0; 2],
        extent_A: None,
        defects: Vec::new(),
    };
    cut.axes_A(structure)?;
    Ok(cut)
}

fn projection(structure: &Structure, cut: &Cut) -> Result<Projection, Error> {
    let sites: Vec<CellSite> =
        structure.sites.iter().map(|s| CellSite { symbol: s.element.symbol(), at: s.at, occupancy: s.occupancy }).collect();
    Ok(Projection::new(cut.axes_A(structure)?, &sites))
}

/// The crystal and zone axis that explain much more of an image than so much, if there are any: the given one along other axes, and the named ones.
fn better(job: &Job, scene: &Scene, given: &Crystal, explained: f64) -> Option<(f64, String)> {
    const AXES: [[i32; 3]; 6] = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [1, 1, 1]];
    let said = job.map.structure.as_ref().map_or("", |s| s.value.as_str());
    let named = NAMES.iter().filter(|name| **name != said).filter_map(|name| Some((*name, Structure::named(name).ok()?)));
    let mut best: Option<(f64, String)> = None;
    for (name, structure) in std::iter::once((said, given.structure.clone())).chain(named) {
        for zone_axis in AXES {
            let cut = Cut { zone_axis, planes: None, ..given.cut.clone() };
            if (name == said && zone_axis == given.cut.zone_axis) || cut.axes_A(&structure).is_err() {
                continue;
            }
            let Ok(projection) = projection(&structure, &cut) else { continue };
            let Ok(Some(found)) = find_lattice(&scene.field(), &projection, &plain(&weights(&projection)), None) else { continue };
            if beyond_chance(&found) && best.as_ref().is_none_or(|(most, _)| found.explained > *most) {
                best = Some((found.explained, format!("{name} along {zone_axis:?}")));
            }
        }
    }
    best.filter(|(most, _)| much_more(*most, explained))
}
