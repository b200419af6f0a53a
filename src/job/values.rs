//! The types that a job's values have.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::{self, DeserializeOwned, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use toml::Value;

use crate::imaging::Descan;
use crate::optics::Aberration;

/// A type that the value of a key may have.
pub(super) trait JobValue: DeserializeOwned {
    /// The keys of the tables inside the value.
    const FIELDS: &'static [&'static str] = &[];

    /// The value as a job file says it.
    fn toml(&self) -> Value;
}

macro_rules! plain {
    ($($type:ty: |$x:ident| $toml:expr;)*) => {
        $( impl JobValue for $type {
            fn toml(&self) -> Value {
                let $x = self;
                $toml
            }
        } )*
    };
}

plain! {
    f64: |x| Value::Float(*x);
    bool: |x| Value::Boolean(*x);
    u32: |x| Value::Integer(i64::from(*x));
    u64: |x| whole(*x);
    usize: |x| whole(*x as u64);
    String: |x| Value::String(x.clone());
    PathBuf: |x| Value::String(x.display().to_string());
    [f64; 2]: |x| Value::Array(x.iter().map(f64::toml).collect());
    [f64; 4]: |x| Value::Array(x.iter().map(f64::toml).collect());
    [f64; 3]: |x| Value::Array(x.iter().map(f64::toml).collect());
    [i32; 3]: |x| Value::Array(x.iter().map(|&n| Value::Integer(n.into())).collect());
    [usize; 2]: |x| Value::Array(x.iter().map(usize::toml).collect());
    [usize; 4]: |x| Value::Array(x.iter().map(usize::toml).collect());
    Pair: |x| if x.0[0] == x.0[1] { x.0[0].toml() } else { x.0.toml() };
    Reference: |x| Value::String(x.to_string());
}

/// TOML's integers have 64 bits with a sign, so what was read from one fits.
fn whole(x: u64) -> Value {
    Value::Integer(i64::try_from(x).unwrap_or(i64::MAX))
}

/// One number for both axes, or [y, x].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair(pub [f64; 2]);

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Both(f64),
            Each([f64; 2]),
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Both(x) => Self([x, x]),
            Form::Each(pair) => Self(pair),
        })
    }
}

/// A dataset of an HDF5 file, written `file.h5:/group/dataset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub file: PathBuf,
    pub dataset: String,
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl FromStr for Reference {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rfind(":/") {
            Some(colon) if colon > 0 && colon + 2 < text.len() => {
                Ok(Self { file: text[..colon].into(), dataset: text[colon + 1..].to_owned() })
            }
            _ => Err("no dataset"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.dataset)
    }
}

/// Declares an enum whose values are words in a job file.
macro_rules! words {
    ($(#[doc = $about:literal])* $Name:ident { $( $(#[doc = $doc:literal])* $Variant:ident = $word:literal, )* }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        pub enum $Name {
            $( $(#[doc = $doc])* #[serde(rename = $word)] $Variant, )*
        }

        impl JobValue for $Name {
            fn toml(&self) -> Value {
                Value::String(match self { $( Self::$Variant => $word, )* }.to_owned())
            }
        }
    };
}

words! {
    /// How atoms of a simulated crystal move.
    MapVibration {
        /// Their potentials are blurred by their Debye–Waller factors.
        DebyeWaller = "debye_waller",
        /// Not at all.
        None = "none",
    }
}

words! {
    /// Fits of scattering factors.
    MapPotential {
        /// I. Lobato & D. Van Dyck.
        Lobato = "lobato",
        /// E. J. Kirkland.
        Kirkland = "kirkland",
    }
}

words! {
    /// The side of an image from which depth is counted.
    Side {
        /// From the layer that begins the field along the layers' normal.
        First = "first",
        /// Small y.
        Top = "top",
        /// Large y.
        Bottom = "bottom",
        /// Small x.
        Left = "left",
        /// Large x.
        Right = "right",
    }
}

words! {
    /// The update rules of ptychography.
    Algorithm {
        /// ePIE of mini-batches.
        Epie = "epie",
        /// rPIE.
        Rpie = "rpie",
        /// rPIE with momentum.
        Mpie = "mpie",
        /// LSQ-ML.
        LsqMl = "lsq_ml",
        /// Gradient descent with Adam.
        Adam = "adam",
        /// The difference map.
        DifferenceMap = "difference_map",
        /// Relaxed averaged alternating reflections.
        Raar = "raar",
    }
}

words! {
    /// What a calculated and a measured pattern are compared by.
    LikelihoodKind {
        /// Square roots.
        Amplitude = "amplitude",
        /// Counting noise.
        Poisson = "poisson",
        /// Intensities.
        Gaussian = "gaussian",
    }
}

words! {
    /// Which patterns are taken together.
    GroupingKind {
        /// By chance.
        Random = "random",
        /// Neighbours.
        Compact = "compact",
        /// Far from each other.
        Sparse = "sparse",
        /// As they were scanned.
        Sequential = "sequential",
    }
}

words! {
    /// What is learned of a reconstruction from halves of the electrons.
    HalvesKind {
        /// Nothing.
        None = "none",
        /// Their Fourier ring correlation.
        Frc = "frc",
        /// And that of halves without structure.
        NoiseFloor = "noise_floor",
    }
}

words! {
    /// What is known of object and probe beforehand.
    ConstraintKind {
        AmplitudeClamp = "amplitude_clamp",
        PhasePositivity = "phase_positivity",
        PurePhase = "pure_phase",
        ComplexRatio = "complex_ratio",
        LowPass = "low_pass",
        HighPass = "high_pass",
        BandLimit = "band_limit",
        TotalVariation = "total_variation",
        Sparsity = "sparsity",
        KzFilter = "kz_filter",
        IdenticalSlices = "identical_slices",
        PhaseRamp = "phase_ramp",
        ProbeSupport = "probe_support",
        ApertureSupport = "aperture_support",
        ProbeIntensity = "probe_intensity",
        FourierAmplitude = "fourier_amplitude",
        Centring = "centring",
        OrthogonalModes = "orthogonal_modes",
    }
}

/// A constraint as a job asks for it: its kind, when it acts and how strongly, and the numbers that its kind takes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)]
pub struct ConstraintSpec {
    pub kind: ConstraintKind,
    /// The first iteration of the stage, from 1.
    pub from: Option<u32>,
    pub every: Option<u32>,
    /// The last one; 0 is the stage's last.
    pub until: Option<u32>,
    /// From 0 to 1.
    pub strength: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub ratio: Option<f64>,
    pub cutoff_inverse_A: Option<f64>,
    pub order: Option<u32>,
    pub phase_rad: Option<f64>,
    pub amplitude: Option<f64>,
    pub steps: Option<u32>,
    pub threshold_rad: Option<f64>,
    pub beta: Option<f64>,
    pub radius_A: Option<f64>,
    pub edge_A: Option<f64>,
    pub factor: Option<f64>,
    pub vacuum_share: Option<f64>,
}

/// The `constraints` of [ptychography].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct ConstraintList(pub Vec<ConstraintSpec>);

impl ConstraintSpec {
    /// What the table says, by key; without its kind.
    pub(super) fn said(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let whole = [("from", self.from), ("every", self.every), ("until", self.until), ("order", self.order), ("steps", self.steps)];
        let numbers = [
            ("strength", self.strength),
            ("low", self.low),
            ("high", self.high),
            ("ratio", self.ratio),
            ("cutoff_inverse_A", self.cutoff_inverse_A),
            ("phase_rad", self.phase_rad),
            ("amplitude", self.amplitude),
            ("threshold_rad", self.threshold_rad),
            ("beta", self.beta),
            ("radius_A", self.radius_A),
            ("edge_A", self.edge_A),
            ("factor", self.factor),
            ("vacuum_share", self.vacuum_share),
        ];
        let whole = whole.into_iter().filter_map(|(key, x)| Some((key, x?.toml())));
        whole.chain(numbers.into_iter().filter_map(|(key, x)| Some((key, x?.toml()))))
    }
}

impl JobValue for ConstraintList {
    const FIELDS: &'static [&'static str] = &[
        "kind",
        "from",
        "every",
        "until",
        "strength",
        "low",
        "high",
        "ratio",
        "cutoff_inverse_A",
        "order",
        "phase_rad",
        "amplitude",
        "steps",
        "threshold_rad",
        "beta",
        "radius_A",
        "edge_A",
        "factor",
        "vacuum_share",
    ];

    fn toml(&self) -> Value {
        let table = |spec: &ConstraintSpec| {
            let said = spec.said().map(|(key, value)| (key.to_owned(), value));
            Value::Table(std::iter::once(("kind".to_owned(), spec.kind.toml())).chain(said).collect())
        };
        Value::Array(self.0.iter().map(table).collect())
    }
}

/// The stages of a reconstruction: tables of what each changes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct StageList(pub Vec<toml::Table>);

impl JobValue for StageList {
    fn toml(&self) -> Value {
        Value::Array(self.0.iter().cloned().map(Value::Table).collect())
    }
}

words! {
    /// How a field of centres of mass is integrated.
    IntegrationRule {
        /// Mirrored beyond its edges.
        Mirror = "mirror",
        /// Repeating itself.
        Periodic = "periodic",
        /// Over the frames that count alone.
        LeastSquares = "least_squares",
    }
}

words! {
    /// Where the aberrations of direct ptychography come from.
    AberrationSource {
        /// [optics].
        Given = "given",
        /// The shifts of the tilted images.
        Fit = "fit",
        /// The shifts, where neither the job nor the data file says the defocus.
        Auto = "auto",
    }
}

words! {
    /// How the trials of a sweep are chosen.
    SearchMode {
        /// Every combination.
        Grid = "grid",
        /// By chance.
        Random = "random",
    }
}

words! {
    /// What the best trial of a sweep is best in.
    Score {
        /// The error of patterns that the reconstruction does not see.
        Validation = "validation",
        /// The resolution by Fourier ring correlation of two halves.
        Frc = "frc",
    }
}

/// What of the centre of mass is left out of idpc.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DescanOrder {
    None,
    Plane,
    Parabola,
}

impl From<DescanOrder> for Descan {
    fn from(order: DescanOrder) -> Self {
        match order {
            DescanOrder::None => Self::None,
            DescanOrder::Plane => Self::Plane,
            DescanOrder::Parabola => Self::Parabola,
        }
    }
}

impl From<Descan> for DescanOrder {
    fn from(order: Descan) -> Self {
        match order {
            Descan::None => Self::None,
            Descan::Plane => Self::Plane,
            Descan::Parabola => Self::Parabola,
        }
    }
}

impl JobValue for DescanOrder {
    fn toml(&self) -> Value {
        Value::String(Descan::from(*self).name().to_owned())
    }
}

/// Pixels [y, x] of the detector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct PixelList(pub Vec<[usize; 2]>);

impl JobValue for PixelList {
    fn toml(&self) -> Value {
        Value::Array(self.0.iter().map(JobValue::toml).collect())
    }
}

/// Aberration coefficients under their names in Krivanek's notation.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Coefficients(pub BTreeMap<String, f64>);

impl Coefficients {
    /// Each C_nm with its azimuth.
    pub(super) fn terms(&self) -> Vec<Aberration> {
        let of = |(name, &magnitude_A): (&String, &f64)| {
            let nm = name.strip_prefix('C')?.strip_suffix("_A")?;
            let digits: Vec<u32> = nm.chars().filter_map(|c| c.to_digit(10)).collect();
            let [n, m] = digits[..] else { return None };
            Some(Aberration { n, m, magnitude_A, angle_deg: self.0.get(&format!("phi{nm}_deg")).copied().unwrap_or(0.0) })
        };
        self.0.iter().filter_map(of).collect()
    }
}

impl JobValue for Coefficients {
    const FIELDS: &'static [&'static str] = &[
        "C12_A",
        "phi12_deg",
        "C21_A",
        "phi21_deg",
        "C23_A",
        "phi23_deg",
        "C30_A",
        "C32_A",
        "phi32_deg",
        "C34_A",
        "phi34_deg",
        "C41_A",
        "phi41_deg",
        "C43_A",
        "phi43_deg",
        "C45_A",
        "phi45_deg",
        "C50_A",
        "C52_A",
        "phi52_deg",
        "C54_A",
        "phi54_deg",
        "C56_A",
        "phi56_deg",
    ];

    fn toml(&self) -> Value {
        Value::Table(self.0.iter().map(|(name, x)| (name.clone(), Value::Float(*x))).collect())
    }
}

/// A virtual detector as a job asks for it.
#[derive(Debug, Clone, PartialEq)]
pub enum DetectorSpec {
    /// One of the detectors that have a name of their own, such as `bf`.
    Named(String),
    Annulus(Annulus),
}

/// A ring under a name of the user's. Each edge is an angle or a share of the bright-field disk's radius; without an
/// inner edge it begins at the centre, without an outer one it reaches to the frame's edge. It may be cut into segments, or be the
/// pixels of an image.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Annulus {
    pub name: String,
    pub inner_mrad: Option<f64>,
    pub outer_mrad: Option<f64>,
    pub inner_disk: Option<f64>,
    pub outer_disk: Option<f64>,
    /// Cut into so many equal segments, `name_0`, `name_1`, …
    pub segments: Option<usize>,
    /// The azimuth at which the first one begins.
    pub first_deg: Option<f64>,
    /// The pixels of a detector: an image file of the frame's shape, or `file.h5:/dataset`.
    pub mask: Option<PathBuf>,
}

impl Annulus {
    /// Does it have an edge of its own?
    pub(super) fn has_edge(&self) -> bool {
        [self.inner_mrad, self.outer_mrad, self.inner_disk, self.outer_disk].iter().any(Option::is_some)
    }
}

/// The `detectors` of [images].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct DetectorList(pub Vec<DetectorSpec>);

impl JobValue for DetectorList {
    const FIELDS: &'static [&'static str] =
        &["name", "inner_mrad", "outer_mrad", "inner_disk", "outer_disk", "segments", "first_deg", "mask"];

    fn toml(&self) -> Value {
        let spec = |spec: &DetectorSpec| match spec {
            DetectorSpec::Named(name) => Value::String(name.clone()),
            DetectorSpec::Annulus(ring) => {
                let edges = [
                    ("inner_mrad", ring.inner_mrad),
                    ("outer_mrad", ring.outer_mrad),
                    ("inner_disk", ring.inner_disk),
                    ("outer_disk", ring.outer_disk),
                    ("first_deg", ring.first_deg),
                ];
                let numbers = edges.into_iter().filter_map(|(key, x)| Some((key.to_owned(), Value::Float(x?))));
                let segments = ring.segments.map(|count| ("segments".to_owned(), count.toml()));
                let mask = ring.mask.as_ref().map(|mask| ("mask".to_owned(), mask.toml()));
                let name = ("name".to_owned(), Value::String(ring.name.clone()));
                Value::Table(std::iter::once(name).chain(numbers).chain(segments).chain(mask).collect())
            }
        };
        Value::Array(self.0.iter().map(spec).collect())
    }
}

impl<'de> Deserialize<'de> for DetectorSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = DetectorSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a detector's name or a table")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<DetectorSpec, E> {
                Ok(DetectorSpec::Named(name.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<DetectorSpec, A::Error> {
                Annulus::deserialize(MapAccessDeserializer::new(map)).map(DetectorSpec::Annulus)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
