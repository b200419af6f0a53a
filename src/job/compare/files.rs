//! What two files have that can be compared.

use std::path::Path;

use crate::analysis::{Free, PixelMap};
use crate::job::Error;
use crate::job::source::nearest;
use crate::output::{Frame, Results};

const PHASE: &str = "ptychography/phase";
const PHASE_SCAN: &str = "ptychography/phase_scan";
const TRUTH: &str = "truth/phase";

/// A file of ours, open for reading.
pub(super) struct File {
    /// Its path.
    pub(super) shown: String,
    pub(super) results: Results,
    /// The paths of images along the specimen.
    pub(super) comparable: Vec<String>,
    pub(super) is_truth: bool,
}

/// An image of a file.
pub(super) struct Image {
    /// Below the root group.
    pub(super) path: String,
    pub(super) shape: [usize; 2],
    pub(super) values: Vec<f64>,
    pub(super) units: String,
    pub(super) to_scan: Option<PixelMap>,
    pub(super) frame: Frame,
    pub(super) is_truth: bool,
}

impl Image {
    /// What is not known of such an image.
    pub(super) fn free(&self) -> Free {
        if ["rad", "mrad·Å", "mrad·px"].contains(&self.units.as_str()) { Free::Plane } else { Free::Nothing }
    }

    /// Its pixels (y, x): in Å, or 1 where that is not known.
    pub(super) fn pixel(&self) -> [f64; 2] {
        self.to_scan.map_or([1.0; 2], |m| [0, 1].map(|a| m[0][a].hypot(m[1][a])))
    }
}

impl File {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let results = Results::open(path)?;
        let mut comparable = Vec::new();
        let all = results.arrays();
        for array in &all {
            let (shape, frame) = results.outline(array)?;
            if shape.len() == 2 && matches!(frame, Frame::Scan | Frame::Object) {
                comparable.push(array.clone());
            }
        }
        Ok(Self { shown: path.display().to_string(), results, comparable, is_truth: all.iter().any(|array| array.starts_with("truth/")) })
    }

    /// Were both made from one data file?
    pub(super) fn is_of_the_data_of(&self, other: &Self) -> bool {
        let hash = |file: &Self| file.results.attr("input_hash");
        hash(self).is_some() && hash(self) == hash(other)
    }

    fn has(&self, path: &str) -> bool {
        self.comparable.iter().any(|held| held == path)
    }

    /// The path of the image of this name: a path, or its last part.
    fn find(&self, name: &str) -> Option<String> {
        let name = name.trim_start_matches("/ronchi/").trim_matches('/');
        let named = |held: &&String| *held == name || held.rsplit('/').next() == Some(name);
        self.comparable.iter().find(named).cloned()
    }

    fn missing(&self, name: &str) -> Error {
        let names = || self.comparable.iter().map(|path| path.rsplit('/').next().unwrap_or(path));
        let nearest = if self.comparable.is_empty() { "it holds none at all".to_owned() } else { nearest(name, names()) };
        Error::NoImage { file: self.shown.clone(), name: name.to_owned(), nearest: nearest.replace("known", "held") }
    }

    /// Reads an image; or says what keeps it from being compared.
    pub(super) fn image(&self, path: &str) -> Result<Result<Image, String>, Error> {
        let array = self.results.array(path)?;
        let &[rows, columns] = &array.shape[..] else {
            return Ok(Err(format!("{path} of {} has the shape {:?}, and an image has two dimensions", self.shown, array.shape)));
        };
        let Some(values) = array.data.reals() else {
            return Ok(Err(format!("{path} of {} is complex; its phase is an image", self.shown)));
        };
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            let (y, x) = (at / columns, at % columns);
            return Ok(Err(format!("{path} of {} holds {} at pixel (y, x) = ({y}, {x})", self.shown, values[at])));
        }
        let to_scan = array.to_scan.filter(|m| (m[0][0] * m[1][1] - m[0][1] * m[1][0]).is_normal());
        let (units, frame) = (array.units, array.frame);
        Ok(Ok(Image { path: path.to_owned(), shape: [rows, columns], values, units, to_scan, frame, is_truth: self.is_truth }))
    }
}

/// The images that both files have; against a truth all phases of the other.
pub(super) fn common(a: &File, b: &File) -> Result<Vec<[String; 2]>, Error> {
    // Errors are no images of the specimen.
    let is_image = |path: &&String| path.starts_with("images/") && !path.ends_with("_error");
    let mut pairs = Vec::new();
    let phase = |file: &File| [PHASE_SCAN, PHASE].into_iter().find(|path| file.has(path)).map(str::to_owned);
    match (a.is_truth, b.is_truth) {
        (false, false) => {
            let both = |path: &str| (a.has(path) && b.has(path)).then(|| [path.to_owned(), path.to_owned()]);
            pairs.extend(both(PHASE_SCAN).or_else(|| Some([phase(a)?, phase(b)?])));
            pairs.extend(a.comparable.iter().filter(is_image).filter_map(|path| both(path)));
        }
        (true, true) => pairs.extend((a.has(TRUTH) && b.has(TRUTH)).then(|| [TRUTH.to_owned(), TRUTH.to_owned()])),
        _ => {
            let (result, truth) = if a.is_truth { (b, a) } else { (a, b) };
            if truth.has(TRUTH) {
                let mut seen: Vec<String> = phase(result).into_iter().collect();
                for path in result.comparable.iter().filter(is_image) {
                    if result.image(path)?.is_ok_and(|image| image.units == "rad") {
                        seen.push(path.clone());
                    }
                }
                let with_truth = |path| if a.is_truth { [TRUTH.to_owned(), path] } else { [path, TRUTH.to_owned()] };
                pairs.extend(seen.into_iter().map(with_truth));
            }
        }
    }
    Ok(pairs)
}

/// The images of these names; the phase of a truth stands for what it has no image of.
pub(super) fn named(a: &File, b: &File, names: &[[String; 2]]) -> Result<Vec<[String; 2]>, Error> {
    let of = |file: &File, name: &str, alone: bool| {
        let stands_in = || (alone && file.is_truth && file.has(TRUTH)).then(|| TRUTH.to_owned());
        file.find(name).or_else(stands_in).ok_or_else(|| file.missing(name))
    };
    names.iter().map(|[of_a, of_b]| Ok([of(a, of_a, of_a == of_b)?, of(b, of_b, of_a == of_b)?])).collect()
}

/// Names in a sentence.
pub(super) fn list(names: &[String]) -> String {
    if names.is_empty() { "no image of the specimen".to_owned() } else { names.join(", ") }
}
