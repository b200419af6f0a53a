//! Simulated scans of the known crystal, put through the very job that made the image: what columns look like in it, and what its noise is.

use std::path::Path;

use super::scene::Scene;
use crate::analysis::columns::{Amplitudes, Evidence, Field, Fit, Known, Learnt, Lesson, Noise, Projection, Site, learn, settle};
use crate::compute::Backend;
use crate::compute::cpu::Cpu;
use crate::job::device::Device;
use crate::job::values::{DetectorList, DetectorSpec, HalvesKind, MapPotential, MapVibration};
use crate::job::{Entry, Error, Job, Place, Prepared, Start, Tasks};
use crate::optics::{ScanGrid, apply};
use crate::output::{Datacube, Results, write_datacube};
use crate::run::{CancelToken, Event, RngState, Run};
use crate::simulate::{
    Cut, Defect, Element, Exposed, Instrument, Layout, Method, Parametrisation, Specimen, Structure, Vibration, counts, diffract,
};

/// The known crystal, and how it lies.
pub(super) struct Crystal {
    pub(super) structure: Structure,
    pub(super) cut: Cut,
    pub(super) projection: Projection,
    /// Whose atoms are counted.
    pub(super) element: Element,
}

/// Makes simulated images for a job.
pub(super) struct Teacher<'a> {
    pub(super) job: &'a Job,
    pub(super) scene: &'a Scene,
    pub(super) crystal: &'a Crystal,
    pub(super) device: &'a str,
    /// For datacubes and results that nobody else sees.
    pub(super) folder: &'a Path,
    pub(super) cancel: &'a CancelToken,
}

/// A simulated scan.
pub(super) struct Scan {
    grid: ScanGrid,
    /// Mean frames of one electron.
    means: Vec<f32>,
    pub(super) columns: Vec<Known>,
}

/// A simulated image whose columns are known.
pub(super) struct Example {
    pub(super) image: Image,
    pub(super) columns: Vec<Known>,
}

/// What is learnt from simulated images.
pub(super) struct Taught {
    pub(super) thickness_A: f64,
    pub(super) learnt: Learnt,
    pub(super) noise: Noise,
    /// Simulated images without noise or nearly so, and what each tells.
    pub(super) examples: Vec<Example>,
    /// The first of them as it was counted.
    pub(super) drawn: Vec<Image>,
    evidence: Vec<Evidence>,
}

impl Example {
    /// The sites of its columns in a crystal of this thickness.
    pub(super) fn sites(&self, projection: &Projection, thickness_A: f64) -> Vec<Site> {
        let site = |c: &Known| Site { kind: c.kind, at_A: c.at_A, expected: thickness_A * projection.atoms_per_A(c.kind) };
        self.columns.iter().map(site).collect()
    }

    pub(super) fn lesson(&self) -> Lesson<'_> {
        Lesson { field: self.image.field(), columns: &self.columns, margin_A: MARGIN_A }
    }
}

impl Taught {
    /// What the examples but for one teach.
    pub(super) fn without(&self, left_out: usize) -> Option<Learnt> {
        let others: Vec<&Evidence> = self.evidence.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, e)| e).collect();
        learn(&others, self.learnt.templates.len())
    }
}

/// An image along a scan.
pub(super) struct Image {
    pub(super) values: Vec<f64>,
    pub(super) shape: [usize; 2],
    pub(super) pixel_A: [f64; 2],
}

impl Image {
    /// Columns at these places, fitted by what was learnt.
    pub(super) fn fitted(&self, sites: &[Site], learnt: &Learnt, noise: &Noise) -> Result<Amplitudes, Error> {
        let fit = Fit { field: self.field(), templates: &learnt.templates, noise, margin_A: MARGIN_A };
        Ok(fit.amplitudes(sites)?)
    }

    /// Columns placed and fitted, as those of an image whose lattice is known.
    pub(super) fn counted(&self, sites: &[Site], learnt: &Learnt, noise: &Noise) -> Result<Amplitudes, Error> {
        let fit = Fit { field: self.field(), templates: &learnt.templates, noise, margin_A: MARGIN_A };
        Ok(fit.amplitudes(&settle(&fit, sites)?.sites)?)
    }

    pub(super) fn field(&self) -> Field<'_> {
        Field { values: &self.values, shape: self.shape, pixel_A: self.pixel_A }
    }
}

/// The side of a simulated field, and how many positions it has along an axis.
const SIDE_A: f64 = 16.0;
const POSITIONS: [usize; 2] = [24, 96];
/// Of the element in question so many columns lose atoms; of the others each atom is missing with this probability, so that every column's image is told from its neighbours'. In every second
/// crystal it is less, for a column also looks a little other where its neighbours lack atoms, and most crystals lack few.
const THINNED: [f64; 2] = [0.5, 0.2];
const OTHERS: [f64; 2] = [0.03, 0.0];
/// Pixels nearer to the edge teach nothing.
pub(super) const MARGIN_A: f64 = 1.5;
/// Crystals whose images teach: of images that are linear in the frames, and of those out of iterations, which take longer.
const LESSONS: [usize; 2] = [4, 2];
/// Å of a slice, and the largest pixel.
const SLICE_A: f64 = 2.0;
const SAMPLING_A: f64 = 0.1;

impl Teacher<'_> {
    /// Scans a crystal of this thickness with missing atoms.
    pub(super) fn scan(&self, thickness_A: f64, seed: u64) -> Result<Scan, Error> {
        let map = &self.job.map;
        let shape = [0, 1].map(|a| {
            let step = self.scene.instrument.scan.step_A[a];
            ((SIDE_A / step).ceil() as usize).clamp(POSITIONS[0], POSITIONS[1]).min(self.scene.instrument.scan.shape[a].max(POSITIONS[0]))
        });
        let grid = ScanGrid { shape, ..self.scene.instrument.scan.clone() };
        let instrument = Instrument { scan: grid.clone(), ..self.scene.instrument.clone() };
        let method = Method {
            potential: match map.potential.value {
                MapPotential::Lobato => Parametrisation::Lobato,
                MapPotential::Kirkland => Parametrisation::Kirkland,
            },
            vibration: match map.vibration.value {
                MapVibration::DebyeWaller => Vibration::DebyeWaller,
                MapVibration::None => Vibration::None,
            },
            slice_thickness_A: SLICE_A.min(thickness_A),
            sampling_A: SAMPLING_A,
        };
        let rng = RngState::new(seed);
        let mut generator = rng.generator();
        // Pixels of a detector take in all that falls between their edges, which costs an image some of its contrast.
        let chosen = instrument.layout(thickness_A, &method, &mut RngState::new(seed).generator())?.oversampling;
        let instrument = Instrument { oversampling: Some(chosen.max(2)), ..instrument };
        let layout = instrument.layout(thickness_A, &method, &mut generator)?;
        let high = [0, 1].map(|axis| layout.origin_A[axis] + layout.shape[axis] as f64 * layout.pixel_A);
        let element = self.crystal.element;
        let lacking = (seed % 2) as usize;
        let mut defects = vec![Defect::Thinned { element, columns: THINNED[lacking] }];
        let others = self.crystal.structure.atoms().into_iter().map(|(other, _)| other).filter(|other| *other != element);
        defects.extend(others.map(|element| Defect::Vacancies { element, share: OTHERS[lacking] }));
        // Columns lie elsewhere on the pixels each time.
        let offset_A = [0.37, 0.61].map(|part: f64| (part * (seed + 1) as f64).fract() * 4.0);
        let cut = Cut { thickness_A, offset_A, defects, ..self.crystal.cut.clone() };
        // Nobody knows where in the cell a surface cuts, and what an atom adds depends on how deep it lies: each crystal is cut elsewhere.
        let structure = raised(&self.crystal.structure, cut.zone_axis, (0.29 * (seed + 1) as f64).fract());
        let specimen = Specimen::cut(&structure, &cut, layout.origin_A, high, &mut generator)?;
        let columns = self.known(&specimen, &grid);
        let silent = |_: Event| {};
        let run = Run { events: &silent, cancel: self.cancel, rng };
        let means = match Device::open(self.device)? {
            Device::Cpu => means(&run, &Cpu::<f32>::new(), &specimen, &instrument, &method, &layout),
            Device::Gpu(gpu) => means(&run, gpu.as_ref(), &specimen, &instrument, &method, &layout),
        }?;
        Ok(Scan { grid, means, columns })
    }

    /// The specimen's columns in the scan's frame.
    fn known(&self, specimen: &Specimen, grid: &ScanGrid) -> Vec<Known> {
        const TOGETHER_A: f64 = 0.1;
        let projection = &self.crystal.projection;
        let mut grouped: Vec<([f64; 2], Vec<&crate::simulate::Standing>)> = Vec::new();
        for standing in &specimen.columns {
            let at = [standing.y_A, standing.x_A];
            match grouped.iter_mut().rev().take(64).find(|(there, _)| (there[0] - at[0]).hypot(there[1] - at[1]) < TOGETHER_A) {
                Some((_, group)) => group.push(standing),
                None => grouped.push((at, vec![standing])),
            }
        }
        let kind_of = |group: &[&crate::simulate::Standing]| {
            let sites = |symbol: &str| group.iter().filter(|s| s.element.symbol() == symbol).map(|s| s.sites).sum::<f64>();
            let unlike = |kind: usize| {
                let column = projection.columns.iter().find(|c| c.kind == kind)?;
                let symbols = group.iter().map(|s| s.element.symbol()).chain(column.holds.iter().map(|h| h.0));
                Some(symbols.map(|symbol| (sites(symbol) / specimen.thickness_A - column.per_A(symbol)).abs()).sum::<f64>())
            };
            let kinds = (0..projection.kinds.len()).filter_map(|kind| Some((kind, unlike(kind)?)));
            kinds.min_by(|p, q| p.1.total_cmp(&q.1)).map_or(0, |(kind, _)| kind)
        };
        let back = grid.object_to_scan();
        grouped
            .iter()
            .map(|(at, group)| Known {
                kind: kind_of(group),
                at_A: apply(back, *at),
                atoms: group.iter().map(|s| f64::from(s.atoms)).sum(),
            })
            .collect()
    }

    /// A scan's image, with its columns.
    pub(super) fn example(&self, scan: &Scan, draw: Option<u64>) -> Result<Example, Error> {
        Ok(Example { image: self.image(scan, draw)?, columns: scan.columns.clone() })
    }

    /// The image of frames: of their means, or of counts drawn at the dose.
    pub(super) fn image(&self, scan: &Scan, draw: Option<u64>) -> Result<Image, Error> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let instrument = &self.scene.instrument;
        let cube = Datacube {
            scan_shape: scan.grid.shape,
            frame_shape: [instrument.frame; 2],
            step_A: scan.grid.step_A,
            mrad_per_px: instrument.mrad_per_px,
            voltage_kV: instrument.optics.voltage_kV,
            convergence_mrad: instrument.optics.convergence_mrad,
            deflate: 0,
        };
        let (data, result) = (self.folder.join("scan.h5"), self.folder.join("result.emd"));
        let electrons = self.scene.dose_e_per_A2 * scan.grid.step_A[0] * scan.grid.step_A[1];
        match draw {
            Some(seed) => {
                let counts = counts(&scan.means, instrument.frame * instrument.frame, electrons, seed)?;
                write_datacube(&data, true, &cube, &counts)?
            }
            None => write_datacube(&data, true, &cube, &scan.means)?,
        };
        let tasks = Tasks { images: !self.scene.is_iterative(), ptychography: self.scene.is_iterative(), map: false };
        let silent = |_: Event| {};
        Prepared::new(self.job_for(&data, &result, scan.grid.shape), tasks, true)?.run(&silent, self.cancel)?;
        let array = Results::open(&result)?.array(&self.scene.path)?;
        let (shape, pixel_A) = ([array.shape[0], array.shape[1]], [array.axes[0].step, array.axes[1].step]);
        Ok(Image { values: array.data.reals().unwrap_or_default(), shape, pixel_A })
    }

    /// The job that made the image, for other data of so many positions.
    fn job_for(&self, data: &Path, result: &Path, positions: [usize; 2]) -> Job {
        let typed = |value: std::path::PathBuf| Some(Entry { value, place: Place::Typed });
        let mut job = Job { sweep: None, ..self.job.clone() };
        job.data = crate::job::schema::Data { path: typed(data.to_owned()), ..Default::default() };
        job.detector = crate::job::schema::Detector { blur_px: job.detector.blur_px, ..Default::default() };
        let name = self.scene.path.rsplit('/').next().unwrap_or_default().to_owned();
        job.images.detectors = Some(Entry { value: DetectorList(vec![DetectorSpec::Named(name)]), place: Place::Typed });
        job.images.errors.value = false;
        job.images.field = None;
        job.images.defocus_sweep_A = None;
        let ptychography = &mut job.ptychography;
        ptychography.batch.value = batch_of(ptychography.batch.value, self.scene.instrument.scan.shape, positions);
        ptychography.halves.value = HalvesKind::None;
        ptychography.probe = None;
        ptychography.vacuum = None;
        ptychography.frozen = None;
        if matches!(ptychography.start.value, Start::Earlier(_)) {
            ptychography.start.value = Start::Flat;
        }
        job.output = crate::job::schema::Output { path: typed(result.to_owned()), ..Default::default() };
        job.output.png.value = false;
        job.output.checkpoint_every.value = 0;
        self.device.clone_into(&mut job.compute.device.value);
        job
    }

    /// How many crystals are simulated.
    pub(super) fn lessons(&self) -> usize {
        LESSONS[usize::from(self.scene.is_iterative())]
    }

    /// Templates and noise from simulated scans, the first of them counted `draws` times. An image out of iterations depends on the dose, so that of it the mean of what was counted teaches.
    pub(super) fn teach(&self, thickness_A: f64, draws: usize, seed: u64) -> Result<Taught, Error> {
        let mut examples = Vec::new();
        let (mut noise, mut first) = (None, Vec::new());
        let iterative = self.scene.is_iterative();
        for n in 0..self.lessons() {
            let scan = self.scan(thickness_A, seed + n as u64)?;
            let mut drawn = Vec::new();
            if n == 0 || iterative {
                for draw in 0..draws {
                    drawn.push(self.image(&scan, Some(seed.wrapping_mul(7919) + (n * draws + draw) as u64 + 1))?);
                }
            }
            if n == 0 {
                let fields: Vec<Field<'_>> = drawn.iter().map(Image::field).collect();
                noise = Noise::of(&fields, if iterative { MARGIN_A } else { 0.0 })?;
            }
            let image = if iterative { mean(&drawn) } else { self.image(&scan, None)? };
            if n == 0 {
                first = drawn;
            }
            examples.push(Example { image, columns: scan.columns });
        }
        let Some(noise) = noise else { return Err(self.unlearnt(thickness_A)) };
        let kinds = self.crystal.projection.kinds.len();
        let evidence: Vec<Evidence> = examples.iter().map(|example| Evidence::of(&example.lesson(), kinds)).collect();
        let learnt = learn(&evidence.iter().collect::<Vec<_>>(), kinds).ok_or_else(|| self.unlearnt(thickness_A))?;
        Ok(Taught { thickness_A, learnt, noise, examples, drawn: first, evidence })
    }

    fn unlearnt(&self, thickness_A: f64) -> Error {
        Error::NoMap {
            image: self.scene.path.clone(),
            why: format!("a simulated crystal of {thickness_A:.0} Å shows no columns in it. Check optics.defocus_A and map.zone_axis"),
        }
    }
}

/// A structure moved by a part of its repetition along a zone axis, into one cell.
fn raised(structure: &Structure, zone_axis: [i32; 3], part: f64) -> Structure {
    let mut raised = structure.clone();
    for site in &mut raised.sites {
        (0..3).for_each(|k| site.at[k] = (site.at[k] + part * f64::from(zone_axis[k])).rem_euclid(1.0));
    }
    raised
}

/// The batch of a smaller scan of the same steps. How far iterations come depends on how many patterns of a batch overlap, so that it is smaller by as much as the field is.
fn batch_of(batch: usize, all: [usize; 2], positions: [usize; 2]) -> usize {
    ((batch * positions[0] * positions[1]) as f64 / (all[0] * all[1]) as f64).round().max(1.0) as usize
}

/// The mean of images of one shape.
fn mean(images: &[Image]) -> Image {
    let Some(first) = images.first() else { return Image { values: Vec::new(), shape: [0, 0], pixel_A: [1.0; 2] } };
    let mean = |at: usize| images.iter().map(|image| image.values[at]).sum::<f64>() / images.len() as f64;
    Image { values: (0..first.values.len()).map(mean).collect(), ..*first }
}

fn means<B: Backend>(
    run: &Run,
    backend: &B,
    specimen: &Specimen,
    instrument: &Instrument,
    method: &Method,
    layout: &Layout,
) -> Result<Vec<f32>, Error> {
    let mut all = Vec::with_capacity(layout.positions_A.len() * instrument.frame * instrument.frame);
    let take = |frames: Exposed<'_>| -> Result<(), Error> {
        if let Exposed::Numbers(means) = frames {
            all.extend_from_slice(means);
        }
        Ok(())
    };
    diffract(run, backend, specimen, instrument, method, layout, take)?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_patterns_of_a_batch_overlap_in_a_lesson_as_in_the_image() {
        // Patterns of a batch for each position: 64 of 60 × 60 and 28 of 40 × 40.
        assert_eq!(batch_of(64, [60, 60], [40, 40]), 28);
        assert_eq!(batch_of(64, [60, 60], [60, 60]), 64);
        assert_eq!(batch_of(3, [512, 512], [24, 24]), 1, "never an empty one");
    }

    #[test]
    fn a_crystal_cut_elsewhere_has_the_same_columns_with_other_ends() {
        let structure = Structure::named("Na3Ni2SbO6").unwrap();
        let part: f64 = rand::random();
        // Along [012] a site goes nowhere along a, and by so much along b and twice that along c.
        for (site, moved) in structure.sites.iter().zip(raised(&structure, [0, 1, 2], part).sites) {
            let by = [0, 1, 2].map(|k| (moved.at[k] - site.at[k]).rem_euclid(1.0));
            let expected = [0.0, part, (2.0 * part).fract()];
            // Rounding may put 0 at 1.
            let off = [0, 1, 2].map(|k| ((by[k] - expected[k] + 0.5).rem_euclid(1.0) - 0.5).abs());
            assert!(off.iter().all(|d| *d < 1e-12), "{by:?} instead of {expected:?}");
            assert!(moved.at.iter().all(|x| (0.0..=1.0).contains(x)) && moved.element == site.element);
        }
    }
}
