//! `ronchi simulate`: from a specification to a datacube, with its truth and a job for it beside it.

mod spec;
mod truth;

use std::path::{Path, PathBuf};

use super::device::Device;
use super::run::same_file;
use super::{Error, beside, facts};
use crate::compute::Backend;
use crate::compute::cpu::Cpu;
use crate::output::{self, Datacube, DatacubeWriter, EventsWriter};
use crate::run::{CancelToken, Event, RngState, Run};
use crate::simulate::{self, Exposed, Instrument, Layout, Method, Specimen, diffract, needed_bytes};
use spec::{Matter, Spec, StoreSpec};

pub use spec::TEMPLATE;

/// A simulation that can run.
pub struct Simulation {
    /// The specification as its file has it.
    text: String,
    spec: Spec,
    specimen: Specimen,
    instrument: Instrument,
    method: Method,
    layout: Layout,
    output: PathBuf,
    force: bool,
}

/// The files that a simulation writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulationFiles {
    pub data: PathBuf,
    pub truth: PathBuf,
    pub job: PathBuf,
}

/// No specification is larger, and no file of atoms.
const MOST_BYTES: u64 = 1 << 30;

impl Simulation {
    /// Reads a specification and builds its specimen.
    ///
    /// # Errors
    /// If the file says what cannot be, or an output is in the way.
    pub fn new(path: &Path, output: &Path, force: bool) -> Result<Self, Error> {
        let text = read(path)?;
        let spec = Spec::parse(&text, path)?;
        Self::of(text, spec, path, output, force).map_err(|error| match error {
            // The others say their file.
            Error::Simulate(
                error @ (simulate::Error::BadNumber { .. }
                | simulate::Error::UnknownCrystal { .. }
                | simulate::Error::UnknownElement { .. }),
            ) => Error::Simulation { path: path.to_owned(), error },
            error => error,
        })
    }

    fn of(text: String, spec: Spec, path: &Path, output: &Path, force: bool) -> Result<Self, Error> {
        let files = SimulationFiles::of(output);
        for file in [&files.data, &files.truth, &files.job] {
            if !force && file.symlink_metadata().is_ok() {
                return Err(output::Error::Exists { path: file.display().to_string() }.into());
            }
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        for read in std::iter::once(path.to_owned()).chain(spec.matter_file(folder)) {
            if [&files.data, &files.truth, &files.job].into_iter().any(|file| same_file(file, &read)) {
                return Err(Error::OutputIsRead { path: read });
            }
        }
        let (instrument, method) = (spec.instrument(), spec.method());
        let mut rng = RngState::new(spec.seed).generator();
        let (specimen, layout) = match spec.matter(folder)? {
            Matter::Crystal(crystal, cut) => {
                let layout = instrument.layout(cut.thickness_A, &method, &mut rng)?;
                let high = [0, 1].map(|axis| layout.origin_A[axis] + layout.shape[axis] as f64 * layout.pixel_A);
                (Specimen::cut(&crystal, &cut, layout.origin_A, high, &mut rng)?, layout)
            }
            Matter::Atoms { path, offset_A, thickness_A } => {
                let specimen = Specimen::from_xyz(&read(&path)?, &path.display().to_string(), offset_A, thickness_A)?;
                let layout = instrument.layout(specimen.thickness_A, &method, &mut rng)?;
                (specimen, layout)
            }
        };
        let simulation = Self { text, spec, specimen, instrument, method, layout, output: output.to_owned(), force };
        simulation.check_counts()?;
        simulation.check_memory()?;
        Ok(simulation)
    }

    /// Refuses a dose at which the empty beam alone fills pixels: the run would end in the first frame.
    fn check_counts(&self) -> Result<(), Error> {
        let Instrument { optics, mrad_per_px, counts_per_electron, .. } = &self.instrument;
        let disk_px = std::f64::consts::PI * (optics.convergence_mrad / mrad_per_px).powi(2);
        let counts = self.layout.electrons * counts_per_electron / disk_px.max(1.0);
        if counts > f64::from(u16::MAX) {
            return Err(simulate::Error::BadNumber {
                what: "the dose",
                value: format!("{:.3e} electrons a frame", self.layout.electrons),
                expected: format!("pixels of the disk would have {counts:.0} counts and hold 65535: lower dose_e_per_A2, step_A or counts_per_electron, or mrad_per_px"),
            }
            .into());
        }
        Ok(())
    }

    /// Refuses what this machine has no memory for.
    fn check_memory(&self) -> Result<(), Error> {
        const GIB: f64 = (1u64 << 30) as f64;
        let needed = needed_bytes(&self.specimen, &self.instrument, &self.method, &self.layout) as f64;
        match facts::free_memory_bytes() {
            Some(free) if needed > 0.9 * free as f64 => Err(simulate::Error::BadNumber {
                what: "the memory needed",
                value: format!("{:.1} GiB", needed / GIB),
                expected: format!(
                    "{:.1} GiB are free: lower the scan's field, the specimen's thickness or the detector's oversampling, or raise sampling_A or slice_thickness_A",
                    free as f64 / GIB
                ),
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// What will be calculated, in a sentence.
    pub fn summary(&self) -> String {
        let Layout { window, pixel_A, shape, positions_A, electrons, .. } = &self.layout;
        let slices = self.method.slices(self.specimen.thickness_A);
        let dose = self.instrument.dose_e_per_A2.map_or("no counting noise".to_owned(), |_| format!("{electrons:.1} electrons a frame"));
        let modes = match self.layout.modes() {
            1 => String::new(),
            n => format!(" and {n} coherent modes"),
        };
        format!(
            "{} atoms in {slices} slices of {} × {} pixels of {pixel_A:.4} Å; {} frames of windows of {window} × {window} pixels{modes}, {dose}",
            self.specimen.atoms.len(),
            shape[0],
            shape[1],
            positions_A.len(),
        )
    }

    /// Calculates the scan and writes it, its truth and a job for it.
    ///
    /// # Errors
    /// If the device or the disk has no room, a count does not fit into 16 bits, or the run was cancelled.
    pub fn run(&self, device: &str, events: &(dyn Fn(Event) + Sync), cancel: &CancelToken) -> Result<SimulationFiles, Error> {
        let run = Run { events, cancel, rng: RngState::new(self.spec.seed) };
        run.note(self.summary());
        let width_A = self.layout.window as f64 * self.layout.pixel_A;
        if width_A < self.layout.needed_A {
            run.warn(format!(
                "the beam needs a field of about {:.0} Å, and detector.oversampling = {} makes one of {width_A:.0} Å: the beam wraps around in it. Raise detector.oversampling or leave it out.",
                self.layout.needed_A, self.layout.oversampling
            ));
        }
        let engine = Device::open(device)?;
        engine.tell(device, &run);
        let written = match &engine {
            Device::Cpu => self.write(&run, &Cpu::<f32>::new()),
            Device::Gpu(gpu) => self.write(&run, gpu.as_ref()),
        };
        written.map_err(|error| match error {
            Error::Simulate(simulate::Error::Interrupted) => Error::Interrupted { path: self.output.clone() },
            error => error,
        })
    }

    fn write<B: Backend>(&self, run: &Run, backend: &B) -> Result<SimulationFiles, Error> {
        let (instrument, files) = (&self.instrument, SimulationFiles::of(&self.output));
        let cube = Datacube {
            scan_shape: instrument.scan.shape,
            frame_shape: [instrument.frame; 2],
            step_A: instrument.scan.step_A,
            mrad_per_px: instrument.mrad_per_px,
            voltage_kV: instrument.optics.voltage_kV,
            convergence_mrad: instrument.optics.convergence_mrad,
            deflate: 1,
        };
        let mut writer = match (self.spec.store(), instrument.dose_e_per_A2) {
            (StoreSpec::Events, _) => Writer::Events(EventsWriter::create(&files.data, self.force, &cube)?),
            (StoreSpec::Frames, Some(_)) if instrument.readout_counts == 0.0 => {
                Writer::Frames(DatacubeWriter::create::<u16>(&files.data, self.force, &cube)?)
            }
            (StoreSpec::Frames, _) => Writer::Frames(DatacubeWriter::create::<f32>(&files.data, self.force, &cube)?),
        };
        let take = |frames: Exposed<'_>| -> Result<(), Error> {
            match (&mut writer, frames) {
                (Writer::Frames(writer), Exposed::Counts(counts)) => writer.frames(counts)?,
                (Writer::Frames(writer), Exposed::Numbers(numbers)) => writer.frames(numbers)?,
                (Writer::Events(writer), Exposed::Counts(counts)) => writer.frames(counts)?,
                // The specification was checked: events have neither gain nor noise of reading.
                (Writer::Events(_), Exposed::Numbers(_)) => {}
            }
            Ok(())
        };
        diffract(run, backend, &self.specimen, instrument, &self.method, &self.layout, take)?;
        truth::write(&files.truth, self.force, self)?;
        self.write_job(&files)?;
        match writer {
            Writer::Frames(writer) => writer.finish()?,
            Writer::Events(writer) => writer.finish()?,
        };
        for path in [&files.data, &files.truth, &files.job] {
            run.emit(Event::Written { path: path.clone() });
        }
        Ok(files)
    }

    /// A job of what the data file does not say.
    fn write_job(&self, files: &SimulationFiles) -> Result<(), Error> {
        let Instrument { optics, scan, .. } = &self.instrument;
        let defocus: f64 = optics.aberrations.terms.iter().filter(|t| (t.n, t.m) == (1, 0)).map(|t| -t.magnitude_A).sum();
        let name =
            |path: &Path| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\""));
        let result = files.data.with_extension("result.emd");
        let mut text = format!(
            "# A job for a simulated scan. What is not said here, the data file says.\n\n[data]\npath = \"{}\"\n",
            name(&files.data)
        );
        if self.instrument.counts_per_electron != 1.0 && self.instrument.dose_e_per_A2.is_some() {
            text.push_str(&format!("counts_per_electron = {}\n", self.instrument.counts_per_electron));
        }
        text.push_str(&format!("\n[optics]\ndefocus_A = {defocus}\n"));
        if let Some(further) = self.spec.further_aberrations() {
            text.push_str(&format!("aberrations = {further}\n"));
        }
        text.push_str(&format!(
            "\n[scan]\nrotation_deg = {}\ntranspose = {}\n\n[ptychography]\niterations = 20\n\n[output]\npath = \"{}\"\n",
            scan.rotation_deg,
            scan.transpose,
            name(&result)
        ));
        output::Claim::new(&files.job, self.force)?.write(text.as_bytes())?;
        Ok(())
    }
}

/// What takes the frames.
enum Writer {
    Frames(DatacubeWriter),
    Events(EventsWriter),
}

impl SimulationFiles {
    fn of(output: &Path) -> Self {
        Self { data: output.to_owned(), truth: beside(output, "_truth.emd"), job: beside(output, "_job.toml") }
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let failed = |why: String| Error::Files { path: path.to_owned(), done: "read", why };
    let bytes = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if bytes > MOST_BYTES {
        return Err(failed(format!("it has {bytes} bytes, far more than it needs")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))
}
