//! From a job and what its data file says to a plan: every value known or to be measured, each with its origin, and what does not fit refused.

use std::path::{Path, PathBuf};

use super::error::{Error, Place, Refusal};
use super::schema::{Entry, Job};
use super::values::{DetectorSpec, Pair, Reference};
use crate::data::{Calibration, CubeInfo, Known};
use crate::optics;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tasks {
    pub images: bool,
    pub ptychography: bool,
    /// The map of columns, of what is made besides.
    pub map: bool,
}

/// Where the probe stood.
#[derive(Debug, Clone, PartialEq)]
pub enum Scan {
    /// A regular raster of this step in Å, (y, x).
    Raster([f64; 2]),
    /// Measured positions.
    Measured(Reference),
}

/// What ptychography can't do without.
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct Geometry {
    pub voltage_kV: f64,
    pub convergence_mrad: f64,
    pub scan: Scan,
}

/// A job that fits its data.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The job with what the data file says filled in; [detector] may still have to be measured.
    pub job: Job,
    pub images: bool,
    /// Present where ptychography is asked for.
    pub ptychography: Option<Geometry>,
    pub map: bool,
}

impl Plan {
    /// Fills in what the data file says and refuses what does not fit it.
    pub fn new(mut job: Job, info: &CubeInfo, tasks: Tasks) -> Result<Self, Error> {
        fill_in(&mut job, &info.calibration);
        check_frame(&job, info)?;
        let batch = &mut job.ptychography.batch;
        if tasks.ptychography && batch.value > info.frames() {
            if batch.place != Place::Default {
                return Err(Refusal {
                    place: batch.place.clone(),
                    key: "ptychography.batch".to_owned(),
                    found: batch.value.to_string(),
                    expected: format!("at most the {} patterns of the scan", info.frames()),
                    remedy: "Take a smaller batch; 32 is a good start.".to_owned(),
                }
                .into());
            }
            batch.value = info.frames();
        }
        let ptychography = if tasks.ptychography { Some(geometry(&job)?) } else { None };
        Ok(Self { job, images: tasks.images, ptychography, map: tasks.map })
    }
}

impl Plan {
    /// The job that was resolved, without what its results do not depend on ([output] and [compute]), as the TOML of a job file.
    pub fn resolved(&self) -> String {
        let tasks = [("images", self.images), ("ptychography", self.ptychography.is_some()), ("map", self.map)];
        let tasks = tasks.into_iter().filter(|(_, asked)| *asked).map(|(section, _)| section);
        self.job.to_toml(&["data", "optics", "scan", "detector"].into_iter().chain(tasks).collect::<Vec<_>>())
    }
}

impl Job {
    /// A job that has nothing but its data.
    pub fn of_data(path: &Path, sets: &[String]) -> Result<Self, Error> {
        let mut job = Self::from_text("", "", sets)?;
        job.data.path = Some(Entry { value: path.to_owned(), place: Place::Typed });
        Ok(job)
    }

    /// The data file.
    pub fn data_path(&self) -> Result<&Path, Error> {
        match &self.data.path {
            Some(entry) => Ok(&entry.value),
            None => Err(Error::Missing { key: "data.path", why: "a job needs data".to_owned(), example: "\"scan.h5\"" }),
        }
    }

    /// The values of `sections` as the TOML of a job file, each that the job did not say itself with its origin.
    pub(super) fn to_toml(&self, sections: &[&str]) -> String {
        let mut text = String::new();
        let mut current = "";
        for row in self.rows().into_iter().filter(|row| sections.contains(&row.section)) {
            if row.section != current {
                text.push_str(&format!("{}[{}]\n", if current.is_empty() { "" } else { "\n" }, row.section));
                current = row.section;
            }
            let origin = match &row.place {
                Place::Line { .. } | Place::Typed => String::new(),
                origin => format!("  # {origin}"),
            };
            text.push_str(&format!("{} = {}{origin}\n", row.key, row.value));
        }
        text
    }

    /// The result file that belongs to a job file by default: beside it, with the ending `.emd`.
    pub fn default_output(job_file: &Path) -> PathBuf {
        job_file.with_extension("emd")
    }
}

/// Takes from the file what the job does not say.
pub(super) fn fill_in(job: &mut Job, calibration: &Calibration) {
    fn take<T: Clone, U>(slot: &mut Option<Entry<U>>, known: &Option<Known<T>>, of: impl Fn(T) -> U) {
        if let (None, Some(known)) = (&*slot, known) {
            *slot = Some(Entry { value: of(known.value.clone()), place: Place::File(known.origin.clone()) });
        }
    }
    take(&mut job.optics.voltage_kV, &calibration.voltage_kV, |x| x);
    take(&mut job.optics.convergence_mrad, &calibration.convergence_mrad, |x| x);
    take(&mut job.scan.step_A, &calibration.step_A, Pair);
    take(&mut job.detector.mrad_per_px, &calibration.mrad_per_px, Pair);
    if let Some(voltage) = &job.optics.voltage_kV {
        let mrad = optics::wavelength_A(voltage.value) * 1e3;
        take(&mut job.detector.mrad_per_px, &calibration.inverse_A_per_px, |q| Pair(q.map(|q| q * mrad)));
    }
}

/// Refuses a disk, a centre or a ring that the frame cannot hold.
fn check_frame(job: &Job, info: &CubeInfo) -> Result<(), Error> {
    let shape = info.frame_shape;
    let invalid = |place: &Place, key: &str, found: String, expected: String, remedy: &str| {
        Error::from(Refusal { place: place.clone(), key: key.to_owned(), found, expected, remedy: remedy.to_owned() })
    };
    if let Some(centre) = &job.detector.centre_px
        && (0..2).any(|a| centre.value[a] < 0.0 || centre.value[a] > (shape[a] - 1) as f64)
    {
        let [y, x] = centre.value;
        let expected = format!("a pixel of the {} × {} frame", shape[0], shape[1]);
        return Err(invalid(
            &centre.place,
            "detector.centre_px",
            format!("[{y}, {x}]"),
            expected,
            "Leave the key out to have it measured.",
        ));
    }
    if let Some(bad) = &job.data.bad_pixels
        && let Some([y, x]) = bad.value.0.iter().find(|pixel| (0..2).any(|a| pixel[a] >= shape[a]))
    {
        let expected = format!("pixels of the {} × {} frame", shape[0], shape[1]);
        return Err(invalid(
            &bad.place,
            "data.bad_pixels",
            format!("[{y}, {x}] among others"),
            expected,
            "Pixels are counted from 0, after cropping.",
        ));
    }
    let (Some(convergence), Some(sampling)) = (&job.optics.convergence_mrad, &job.detector.mrad_per_px) else { return Ok(()) };
    let widest = (0..2).map(|a| sampling.value.0[a] * shape[a] as f64 / 2.0).fold(f64::INFINITY, f64::min);
    let narrowest = sampling.value.0[0].max(sampling.value.0[1]);
    if convergence.value > widest || convergence.value < narrowest {
        let (y, x) = (shape[0], shape[1]);
        let expected = format!("an angle from {narrowest:.4} (one pixel) to {widest:.4} mrad (half of the {y} × {x} frame)");
        let remedy = format!("Check it and detector.mrad_per_px, which is {} ({}).", sampling.value.0[0], sampling.place);
        return Err(invalid(&convergence.place, "optics.convergence_mrad", convergence.value.to_string(), expected, &remedy));
    }
    let Some(detectors) = &job.images.detectors else { return Ok(()) };
    let reach = {
        let centre = job.detector.centre_px.as_ref().map_or([0, 1].map(|a| (shape[a] / 2) as f64), |entry| entry.value);
        let far = [0, 1].map(|a| centre[a].max((shape[a] - 1) as f64 - centre[a]) * sampling.value.0[a]);
        far[0].hypot(far[1])
    };
    for spec in &detectors.value.0 {
        let DetectorSpec::Annulus(ring) = spec else { continue };
        let inner = ring.inner_mrad.or_else(|| ring.inner_disk.map(|share| share * convergence.value)).unwrap_or(0.0);
        if inner > reach {
            let found = format!("the ring {} with its inner edge at {inner} mrad", ring.name);
            let expected = format!("less than {reach:.1} mrad, the angle of the frame's corner");
            return Err(invalid(&detectors.place, "images.detectors", found, expected, "Take a smaller angle or leave the ring out."));
        }
    }
    Ok(())
}

fn geometry(job: &Job) -> Result<Geometry, Error> {
    let missing = |key, example| Error::Missing { key, why: "the data file does not say it and ptychography needs it".to_owned(), example };
    let scan = match (&job.scan.positions, &job.scan.step_A) {
        (Some(positions), _) => Scan::Measured(positions.value.clone()),
        (None, Some(step)) => Scan::Raster(step.value.0),
        (None, None) => return Err(missing("scan.step_A", "0.4")),
    };
    Ok(Geometry {
        voltage_kV: job.optics.voltage_kV.as_ref().ok_or_else(|| missing("optics.voltage_kV", "300"))?.value,
        convergence_mrad: job.optics.convergence_mrad.as_ref().ok_or_else(|| missing("optics.convergence_mrad", "25"))?.value,
        scan,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::compute::SampleType;
    use crate::job::Row;

    /// A cube of which the file says the convergence angle and the sampling.
    pub(in crate::job) fn cube() -> CubeInfo {
        let known = |value| Some(Known { value, origin: "attribute `x`".to_owned() });
        CubeInfo {
            path: "scan.h5".into(),
            format: "HDF5 dataset".to_owned(),
            dataset: "/data".to_owned(),
            stored_shape: vec![6, 8, 64, 64],
            scan_shape: [6, 8],
            frame_shape: [64, 64],
            stored_dtype: "uint16".to_owned(),
            dtype: SampleType::U16,
            chunks: None,
            filters: Vec::new(),
            calibration: Calibration {
                convergence_mrad: known(20.0),
                inverse_A_per_px: Some(Known { value: [0.05, 0.05], origin: "attribute `q`".to_owned() }),
                ..Calibration::default()
            },
        }
    }

    fn plan(sets: &[&str], ptychography: bool) -> Result<Plan, Error> {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        Plan::new(Job::of_data(Path::new("scan.h5"), &sets)?, &cube(), Tasks { images: true, ptychography, map: false })
    }

    #[test]
    fn a_plan_takes_from_the_file_what_the_job_does_not_say() {
        let plan = plan(&["optics.voltage_kV=300", "scan.step_A=0.4"], true).unwrap();
        let convergence = plan.job.optics.convergence_mrad.unwrap();
        assert_eq!((convergence.value, convergence.place), (20.0, Place::File("attribute `x`".to_owned())));
        // λ·q at 300 kV: 0.019687 Å · 0.05 Å⁻¹.
        assert!((plan.job.detector.mrad_per_px.unwrap().value.0[0] - 0.98435).abs() < 1e-4);
        assert_eq!(plan.ptychography.unwrap().scan, Scan::Raster([0.4, 0.4]));
    }

    #[test]
    fn a_job_outranks_its_file() {
        let plan = plan(&["optics.convergence_mrad=10"], false).unwrap();
        assert_eq!(plan.job.optics.convergence_mrad.unwrap(), Entry { value: 10.0, place: Place::Typed });
    }

    #[test]
    fn what_ptychography_needs_and_nobody_says_is_asked_for_by_its_key() {
        let message = plan(&["scan.step_A=1"], true).unwrap_err().to_string();
        assert!(message.starts_with("optics.voltage_kV is not known: the data file does not say it"), "{message}");
        assert!(message.ends_with("Write it under [optics] of the job file or type --set optics.voltage_kV=300."), "{message}");
        assert!(plan(&["optics.voltage_kV=300"], true).unwrap_err().to_string().starts_with("scan.step_A is not known"));
        assert!(plan(&[], false).is_ok());
    }

    #[test]
    fn a_disk_wider_than_the_detector_is_refused() {
        let message = plan(&["optics.voltage_kV=300", "optics.convergence_mrad=40"], false).unwrap_err().to_string();
        assert!(message.contains("optics.convergence_mrad is 40, expected an angle from 0.9844 (one pixel) to 31.5"), "{message}");
        let message = plan(&["optics.voltage_kV=300", "optics.convergence_mrad=0.025"], false).unwrap_err().to_string();
        assert!(message.contains("optics.convergence_mrad is 0.025, expected an angle from"), "{message}");
    }

    #[test]
    fn what_lies_outside_the_frame_or_the_scan_is_refused() {
        assert!(plan(&["detector.centre_px=[64, 3]"], false).unwrap_err().to_string().contains("a pixel of the 64 × 64 frame"));
        let ring = "images.detectors=[{ name = \"far\", inner_mrad = 60 }]";
        assert!(plan(&["optics.voltage_kV=300", ring], false).unwrap_err().to_string().contains("the angle of the frame's corner"));
        let batch = ["ptychography.batch=49", "optics.voltage_kV=300", "scan.step_A=1"];
        assert!(plan(&batch, true).unwrap_err().to_string().contains("at most the 48 patterns of the scan"));
        assert!(plan(&batch, false).is_ok());
    }

    #[test]
    fn a_resolved_job_is_a_job_file_that_says_the_same() {
        let sets = [
            "optics.voltage_kV=300",
            "scan.step_A=[0.4, 0.5]",
            "optics.aberrations={ C12_A = 3, phi12_deg = 40 }",
            "images.detectors=[\"bf\", { name = \"r\", inner_mrad = 3, outer_disk = 2.5 }]",
            "scan.positions=p.h5:/xy",
        ];
        let plan = plan(&sets, true).unwrap();
        let text = plan.resolved();
        let again = Job::from_text(&text, "resolved.toml", &[]).unwrap();
        let science = |row: &Row| !["output", "compute"].contains(&row.section);
        let values = |job: &Job| job.rows().into_iter().filter(science).map(|row| (row.section, row.key, row.value)).collect::<Vec<_>>();
        assert_eq!(values(&again), values(&plan.job));
        assert!(text.contains("convergence_mrad = 20.0  # data file, attribute `x`"), "{text}");
    }
}
