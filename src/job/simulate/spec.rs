//! The file that says what is simulated.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::error::Place;
use super::super::source::nearest;
use super::super::values::{Coefficients, JobValue, Pair};
use super::super::{Error, crystal};
use crate::optics::{Aberrations, ProbeOptics, ScanGrid};
use crate::simulate::{Cut, Defect, Element, Instrument, Layering, Method, Parametrisation, Structure, Vibration};

/// What `ronchi simulate --template` prints: every key, with its default where it has one.
pub const TEMPLATE: &str = include_str!("template.toml");

/// A simulation as its file says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    #[serde(default)]
    pub(super) seed: u64,
    specimen: SpecimenSpec,
    optics: OpticsSpec,
    scan: ScanSpec,
    detector: DetectorSpec,
    #[serde(default)]
    method: MethodSpec,
    #[serde(default)]
    output: OutputSpec,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)]
struct SpecimenSpec {
    structure: String,
    #[serde(default = "along_a")]
    zone_axis: [i32; 3],
    planes: Option<[i32; 3]>,
    thickness_A: Option<f64>,
    #[serde(default)]
    offset_A: [f64; 2],
    #[serde(default)]
    tilt_mrad: [f64; 2],
    extent_A: Option<[f64; 4]>,
    #[serde(default)]
    defects: Vec<DefectSpec>,
}

fn along_a() -> [i32; 3] {
    [1, 0, 0]
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
#[allow(non_snake_case)]
enum DefectSpec {
    Vacancies {
        element: String,
        share: f64,
    },
    Thinned {
        element: String,
        columns: f64,
    },
    Gradient {
        element: String,
        share: f64,
        decay_A: f64,
    },
    Ordered {
        element: String,
        every: [usize; 2],
    },
    Migration {
        from: String,
        to: String,
        share: f64,
    },
    Stacking {
        #[serde(default = "sodium")]
        element: String,
        near_y_A: f64,
        to: LayeringSpec,
    },
    Shift {
        beyond_y_A: f64,
        by_A: [f64; 3],
    },
    Strain {
        from_y_A: f64,
        #[serde(default)]
        over_A: f64,
        #[serde(default)]
        yy: f64,
        #[serde(default)]
        xx: f64,
        #[serde(default)]
        yx: f64,
    },
}

fn sodium() -> String {
    "Na".to_owned()
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum LayeringSpec {
    O,
    P,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)]
struct OpticsSpec {
    voltage_kV: f64,
    convergence_mrad: f64,
    #[serde(default)]
    defocus_A: f64,
    #[serde(default)]
    aberrations: Coefficients,
    #[serde(default)]
    focal_spread_A: f64,
    #[serde(default)]
    source_size_A: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)]
struct ScanSpec {
    shape: [usize; 2],
    step_A: Pair,
    #[serde(default)]
    rotation_deg: f64,
    #[serde(default)]
    transpose: bool,
    #[serde(default)]
    jitter_A: f64,
    #[serde(default)]
    drift_A: [f64; 2],
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)]
struct DetectorSpec {
    side_px: usize,
    mrad_per_px: f64,
    oversampling: Option<usize>,
    #[serde(default)]
    blur_px: f64,
    dose_e_per_A2: Option<f64>,
    #[serde(default = "one")]
    counts_per_electron: f64,
    #[serde(default)]
    readout_counts: f64,
}

fn one() -> f64 {
    1.0
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(non_snake_case)]
struct MethodSpec {
    potential: PotentialSpec,
    vibration: VibrationSpec,
    configurations: usize,
    slice_thickness_A: f64,
    sampling_A: f64,
}

impl Default for MethodSpec {
    fn default() -> Self {
        Self {
            potential: PotentialSpec::Lobato,
            vibration: VibrationSpec::DebyeWaller,
            configurations: 8,
            slice_thickness_A: 2.0,
            sampling_A: 0.1,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PotentialSpec {
    Lobato,
    Kirkland,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VibrationSpec {
    None,
    DebyeWaller,
    FrozenPhonons,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OutputSpec {
    store: StoreSpec,
}

/// What the data file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoreSpec {
    /// Every pixel of every frame.
    #[default]
    Frames,
    /// A number for each electron.
    Events,
}

/// What stands under the beam.
pub(super) enum Matter {
    Crystal(Structure, Box<Cut>),
    /// The file, where its origin lies, and how thick it is.
    Atoms {
        path: PathBuf,
        offset_A: [f64; 2],
        thickness_A: Option<f64>,
    },
}

/// What is wrong with a file's text, and where.
fn unreadable(text: &str, path: &Path, error: &toml::de::Error) -> Error {
    let line = |at: usize| text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1;
    let place = Place::Line { file: path.display().to_string().into(), line: error.span().map_or(1, |span| line(span.start)) };
    let message = error.message().to_owned();
    // "unknown field `a`, expected `b`, `c`" or "expected one of `b`, `c`".
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((name, known)) if message.starts_with("unknown ") && !known.is_empty() => {
            let kind = if message.starts_with("unknown field") { "key" } else { "value" };
            Error::Unknown { place, kind, name: (*name).to_owned(), nearest: nearest(name, known.iter().copied()) }
        }
        _ => Error::Specification { place, why: message },
    }
}

impl Spec {
    /// Reads a file's text; `path` is for errors.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let spec: Self = toml::from_str(text).map_err(|error| unreadable(text, path, &error))?;
        let place = |word: &str| {
            let before = &text[..text.find(word).unwrap_or(0)];
            Place::Line { file: path.display().to_string().into(), line: before.matches('\n').count() + 1 }
        };
        if let Some(name) = spec.optics.aberrations.0.keys().find(|name| !Coefficients::FIELDS.contains(&name.as_str())) {
            let nearest = nearest(name, Coefficients::FIELDS.iter().copied());
            return Err(Error::Unknown { place: place(name), kind: "key", name: format!("{name} in optics.aberrations"), nearest });
        }
        let detector = &spec.detector;
        if spec.output.store == StoreSpec::Events {
            let counting = detector.counts_per_electron == 1.0 && detector.readout_counts == 0.0;
            let why = match detector.dose_e_per_A2 {
                None => Some("events are single electrons, and without detector.dose_e_per_A2 none are counted"),
                Some(_) if !counting => Some("events are single electrons, which have no counts_per_electron and no readout_counts"),
                Some(_) => None,
            };
            if let Some(why) = why {
                return Err(Error::Specification { place: place("store"), why: why.to_owned() });
            }
        }
        let specimen = &spec.specimen;
        if spec.is_of_atoms() && (specimen.extent_A.is_some() || specimen.planes.is_some() || !specimen.defects.is_empty()) {
            let why =
                "zone_axis, planes, extent_A, tilt_mrad and defects are of crystals: an .xyz file has its atoms where they are".to_owned();
            return Err(Error::Specification { place: place("[specimen]"), why });
        }
        if !spec.is_of_atoms() && !specimen.thickness_A.is_some_and(|t| t > 0.0 && t.is_finite()) {
            let why = match specimen.thickness_A {
                None => "a crystal needs a thickness_A".to_owned(),
                Some(thickness) => format!("thickness_A is {thickness}, expected a number of Å above 0"),
            };
            return Err(Error::Specification { place: place("[specimen]"), why });
        }
        Ok(spec)
    }

    fn ends_with(&self, ending: &str) -> bool {
        Path::new(&self.specimen.structure).extension().is_some_and(|e| e.eq_ignore_ascii_case(ending))
    }

    pub(super) fn store(&self) -> StoreSpec {
        self.output.store
    }

    /// The file of the crystal or the atoms, where it is one; `folder` is what paths are relative to.
    pub(super) fn matter_file(&self, folder: &Path) -> Option<PathBuf> {
        (self.is_of_atoms() || self.ends_with("cif")).then(|| folder.join(&self.specimen.structure))
    }

    /// Single atoms instead of a crystal?
    fn is_of_atoms(&self) -> bool {
        self.ends_with("xyz")
    }

    /// What lies under the beam; `folder` is what paths are relative to.
    pub(super) fn matter(&self, folder: &Path) -> Result<Matter, Error> {
        let spec = &self.specimen;
        let path = folder.join(&spec.structure);
        if self.is_of_atoms() {
            return Ok(Matter::Atoms { path, offset_A: spec.offset_A, thickness_A: spec.thickness_A });
        }
        let structure = if self.ends_with("cif") { crystal(&path)? } else { Structure::named(&spec.structure)? };
        let element = |symbol: &String| Element::of(symbol);
        let defects = spec.defects.iter().map(|defect| -> Result<Defect, crate::simulate::Error> {
            Ok(match defect {
                DefectSpec::Vacancies { element: e, share } => Defect::Vacancies { element: element(e)?, share: *share },
                DefectSpec::Thinned { element: e, columns } => Defect::Thinned { element: element(e)?, columns: *columns },
                DefectSpec::Gradient { element: e, share, decay_A } => {
                    Defect::Gradient { element: element(e)?, share: *share, decay_A: *decay_A }
                }
                DefectSpec::Ordered { element: e, every } => Defect::Ordered { element: element(e)?, every: *every },
                DefectSpec::Migration { from, to, share } => Defect::Migration { from: element(from)?, to: element(to)?, share: *share },
                DefectSpec::Stacking { element: e, near_y_A, to } => {
                    let to = match to {
                        LayeringSpec::O => Layering::O,
                        LayeringSpec::P => Layering::P,
                    };
                    Defect::Stacking { sodium: element(e)?, near_y_A: *near_y_A, to }
                }
                DefectSpec::Shift { beyond_y_A, by_A } => Defect::Shift { beyond_y_A: *beyond_y_A, by_A: *by_A },
                DefectSpec::Strain { from_y_A, over_A, yy, xx, yx } => {
                    Defect::Strain { from_y_A: *from_y_A, over_A: *over_A, yy: *yy, xx: *xx, yx: *yx }
                }
            })
        });
        let cut = Cut {
            zone_axis: spec.zone_axis,
            planes: spec.planes,
            thickness_A: spec.thickness_A.unwrap_or_default(),
            offset_A: spec.offset_A,
            tilt_mrad: spec.tilt_mrad,
            extent_A: spec.extent_A,
            defects: defects.collect::<Result<_, _>>()?,
        };
        Ok(Matter::Crystal(structure, Box::new(cut)))
    }

    /// The coefficients beyond defocus as TOML, if there are any.
    pub(super) fn further_aberrations(&self) -> Option<String> {
        let coefficients = &self.optics.aberrations;
        (!coefficients.0.is_empty()).then(|| coefficients.toml().to_string())
    }

    pub(super) fn instrument(&self) -> Instrument {
        let (optics, scan, detector) = (&self.optics, &self.scan, &self.detector);
        let mut aberrations = Aberrations::defocus(optics.defocus_A);
        aberrations.terms.extend(optics.aberrations.terms());
        Instrument {
            optics: ProbeOptics { voltage_kV: optics.voltage_kV, convergence_mrad: optics.convergence_mrad, aberrations },
            focal_spread_A: optics.focal_spread_A,
            source_size_A: optics.source_size_A,
            scan: ScanGrid { shape: scan.shape, step_A: scan.step_A.0, rotation_deg: scan.rotation_deg, transpose: scan.transpose },
            jitter_A: scan.jitter_A,
            drift_A: scan.drift_A,
            frame: detector.side_px,
            mrad_per_px: detector.mrad_per_px,
            oversampling: detector.oversampling,
            blur_px: detector.blur_px,
            dose_e_per_A2: detector.dose_e_per_A2,
            counts_per_electron: detector.counts_per_electron,
            readout_counts: detector.readout_counts,
        }
    }

    pub(super) fn method(&self) -> Method {
        let method = &self.method;
        Method {
            potential: match method.potential {
                PotentialSpec::Lobato => Parametrisation::Lobato,
                PotentialSpec::Kirkland => Parametrisation::Kirkland,
            },
            vibration: match method.vibration {
                VibrationSpec::None => Vibration::None,
                VibrationSpec::DebyeWaller => Vibration::DebyeWaller,
                VibrationSpec::FrozenPhonons => Vibration::FrozenPhonons { configurations: method.configurations },
            },
            slice_thickness_A: method.slice_thickness_A,
            sampling_A: method.sampling_A,
        }
    }
}
