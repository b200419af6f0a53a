//! The demonstration: a simulated datacube with its truth, a job for it, and what can be seen in its result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Error, pictures};
use crate::compute::cpu::Cpu;
use crate::output::{
    self, Array, ArrayData, Axis, ColorMap, Column, Datacube, Frame, Look, ResultFile, Results, Ring, Table, write_datacube,
    write_png_with_rings,
};
use crate::run::{Event, Run};
use crate::simulate::{self, Simulated, Spec, Truth};

const DATA: &str = "na3ni2sbo6.h5";
const TRUTH: &str = "truth.emd";
const JOB: &str = "job.toml";
const RESULT: &str = "result.emd";

/// A sodium column's phase is its mean within this distance.
const COLUMN_RADIUS_A: f64 = 0.5;
/// Columns nearer to the edge of the scanned field are not looked at.
const MARGIN_A: f64 = 1.0;
const RING_RADIUS_A: f64 = 0.75;
const RING_COLOR: [u8; 3] = [214, 39, 40];

/// The files of a demonstration.
pub struct Demo {
    folder: PathBuf,
    truth: Truth,
}

/// The sodium columns that hold so many atoms, and their phase in the reconstruction.
#[derive(Debug, Clone, PartialEq)]
pub struct Sodium {
    pub atoms: u32,
    pub sites: u32,
    pub columns: usize,
    /// Radians.
    pub mean: f64,
    pub deviation: f64,
}

impl Demo {
    /// Simulates the data and writes them with their truth and a job into `folder`, which must be new or empty unless `force` is given.
    pub fn make(folder: &Path, force: bool, run: &Run) -> Result<Self, Error> {
        let failed = |e: std::io::Error| Error::Files { path: folder.to_owned(), done: "written", why: e.to_string() };
        let used = folder.is_file() || folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if used && !(force && folder.is_dir()) {
            return Err(output::Error::Exists { path: folder.display().to_string() }.into());
        }
        let simulated = simulate::simulate(run, &Cpu::<f32>::new(), &Spec::demo()).map_err(|error| match error {
            simulate::Error::Interrupted => Error::Interrupted { path: folder.to_owned() },
            error => error.into(),
        })?;
        std::fs::create_dir_all(folder).map_err(failed)?;
        let (cube, counts) = datacube(&simulated);
        write_datacube(&folder.join(DATA), force, &cube, &counts)?;
        write_truth(&folder.join(TRUTH), force, &simulated.truth)?;
        std::fs::write(folder.join(JOB), job_text(&simulated.spec)).map_err(failed)?;
        for name in [DATA, TRUTH, JOB] {
            run.emit(Event::Written { path: folder.join(name) });
        }
        Ok(Self { folder: folder.to_owned(), truth: simulated.truth })
    }

    /// The job file.
    pub fn job(&self) -> PathBuf {
        self.folder.join(JOB)
    }

    /// Looks up each sodium column of the truth in the reconstructed phase: those with all their atoms first. Draws a picture with a ring around
    /// each column that misses some, and says where it is.
    pub fn judge(&self, force: bool) -> Result<(Vec<Sodium>, PathBuf), Error> {
        let phase = Results::open(&self.folder.join(RESULT))?.array("ptychography/phase_scan")?;
        let values = phase.data.reals().unwrap_or_default();
        let field = Field { shape: [phase.shape[0], phase.shape[1]], pixel: phase.axes[0].step, values: &values };
        let mut phases: BTreeMap<(u32, u32), Vec<f64>> = BTreeMap::new();
        let mut rings = Vec::new();
        for column in self.truth.columns.iter().filter(|c| c.element == "Na") {
            let Some(found) = field.mean_around([column.y_A, column.x_A]) else { continue };
            phases.entry((column.atoms, column.sites)).or_default().push(found);
            if column.atoms < column.sites {
                let centre = [column.y_A, column.x_A].map(|x| x / field.pixel);
                rings.push(Ring { centre, radius: RING_RADIUS_A / field.pixel, color: RING_COLOR, label: String::new() });
            }
        }
        let sodium: Vec<Sodium> = phases.iter().rev().map(|(&(atoms, sites), found)| Sodium::of(atoms, sites, found)).collect();

        // A range in which sodium can be told apart, however bright antimony is.
        let (full, least) = (sodium.first().map_or(1.0, |s| s.mean), sodium.last().map_or(0.0, |s| s.mean));
        let spread = (full - least).abs().max(0.05);
        let look = Look { range: Some((least - spread, full + spread)), ..Look::plain(ColorMap::Gray) };
        let picture = pictures::folder(&self.folder.join(RESULT)).join("missing_sodium.png");
        write_png_with_rings(&picture, force, &Array { path: "missing_sodium".to_owned(), ..phase }, look, &rings)?;
        Ok((sodium, picture))
    }
}

impl Sodium {
    fn of(atoms: u32, sites: u32, phases: &[f64]) -> Self {
        let n = phases.len().max(1) as f64;
        let mean = phases.iter().sum::<f64>() / n;
        let variance = phases.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / n;
        Self { atoms, sites, columns: phases.len(), mean, deviation: variance.sqrt() }
    }
}

/// An image of square pixels whose pixel (0, 0) lies at (0, 0) Å.
struct Field<'a> {
    shape: [usize; 2],
    pixel: f64,
    values: &'a [f64],
}

impl Field<'_> {
    /// The mean of the pixels around (y, x) in Å; `None` at the edge of the field and beyond.
    fn mean_around(&self, at: [f64; 2]) -> Option<f64> {
        let inside = (0..2).all(|a| at[a] >= MARGIN_A && at[a] <= (self.shape[a] - 1) as f64 * self.pixel - MARGIN_A);
        if !inside {
            return None;
        }
        let near = |a: usize| {
            let last = ((at[a] + COLUMN_RADIUS_A) / self.pixel).floor() as usize;
            ((at[a] - COLUMN_RADIUS_A) / self.pixel).ceil() as usize..=last
        };
        let (mut sum, mut count) = (0.0, 0.0);
        for row in near(0) {
            for col in near(1) {
                if (row as f64 * self.pixel - at[0]).hypot(col as f64 * self.pixel - at[1]) <= COLUMN_RADIUS_A {
                    sum += self.values[row * self.shape[1] + col];
                    count += 1.0;
                }
            }
        }
        (count > 0.0).then(|| sum / count)
    }
}

/// A job of what the data file does not say.
fn job_text(spec: &Spec) -> String {
    let defocus = spec.optics.aberrations.terms.iter().find(|term| (term.n, term.m) == (1, 0)).map_or(0.0, |c10| -c10.magnitude_A);
    format!(
        "# The demonstration's job. What is not said here, the data file says.\n\n\
         [data]\npath = \"{DATA}\"\n\n\
         [optics]\ndefocus_A = {defocus}\n\n\
         [scan]\nrotation_deg = {}\ntranspose = {}\n\n\
         [ptychography]\niterations = 5\n\n\
         [output]\npath = \"{RESULT}\"\n",
        spec.scan.rotation_deg, spec.scan.transpose
    )
}

fn datacube(simulated: &Simulated) -> (Datacube, Vec<u16>) {
    let (spec, frames) = (&simulated.spec, &simulated.frames);
    let row_bytes = frames.frame_words() / frames.shape[0] * 4;
    let row = |row: &[u8]| row[..2 * frames.shape[1]].chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect::<Vec<_>>();
    let counts = (0..frames.count).flat_map(|f| frames.frame_bytes(f).chunks_exact(row_bytes).flat_map(row)).collect();
    let cube = Datacube {
        scan_shape: spec.scan.shape,
        frame_shape: frames.shape,
        step_A: spec.scan.step_A,
        mrad_per_px: spec.mrad_per_px,
        voltage_kV: spec.optics.voltage_kV,
        convergence_mrad: spec.optics.convergence_mrad,
        deflate: 1,
    };
    (cube, counts)
}

/// The projected phase and all columns, in the object's frame.
fn write_truth(path: &Path, force: bool, truth: &Truth) -> Result<(), Error> {
    let mut file = ResultFile::create(path, force)?;
    let (pixel, [y, x]) = (truth.pixel_A, truth.origin_A);
    file.array(&Array {
        path: "truth/phase".to_owned(),
        shape: truth.phase_shape.to_vec(),
        data: ArrayData::F32(truth.phase.iter().map(|&p| p as f32).collect()),
        axes: vec![Axis::new("y", "Å", y, pixel), Axis::new("x", "Å", x, pixel)],
        units: "rad".to_owned(),
        frame: Frame::Object,
        to_scan: Some([[pixel, 0.0, y], [0.0, pixel, x]]),
        extra: Vec::new(),
    })?;
    let column = |name: &str, units: &str, value: &dyn Fn(&simulate::Column) -> f64| Column {
        name: name.to_owned(),
        units: units.to_owned(),
        data: ArrayData::F64(truth.columns.iter().map(value).collect()),
    };
    let atomic_number = |c: &simulate::Column| match c.element {
        "O" => 8.0,
        "Na" => 11.0,
        "Ni" => 28.0,
        _ => 51.0,
    };
    file.table(&Table {
        path: "truth/columns".to_owned(),
        columns: vec![
            column("y", "Å", &|c| c.y_A),
            column("x", "Å", &|c| c.x_A),
            column("atomic_number", "", &atomic_number),
            column("sites", "", &|c| f64::from(c.sites)),
            column("atoms", "", &|c| f64::from(c.atoms)),
        ],
        extra: Vec::new(),
    })?;
    file.finish()?;
    Ok(())
}
