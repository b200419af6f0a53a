//! Earlier reconstructions: our own results and those of other programs, a file a program.

mod ours;
mod phaser;
mod ptyrad;

use std::path::{Path, PathBuf};

use hdf5::{File, H5Type};
use num_complex::Complex64;

use super::{Error, Result, hdf, read};

/// What a file of an earlier reconstruction holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    pub path: PathBuf,
    /// Who wrote it, as messages say it.
    pub program: &'static str,
    pub object: Option<EarlierObject>,
    pub probe: Option<EarlierProbe>,
    /// Where the probe's optic axis stood for each pattern, (row, col) in object pixels, in scan order.
    pub positions_px: Option<Vec<[f64; 2]>>,
    /// Object pixel (row, col) to (y, x) in Å along the scan, from its first position.
    pub to_scan: Option<[[f64; 3]; 2]>,
    /// The scan position (i, j) of the data that the reconstruction counted as its first.
    pub first_position: [usize; 2],
    /// May its axes be turned or mirrored against those of the frames as we read them?
    pub turned: bool,
}

/// An object in an earlier reconstruction.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlierObject {
    /// (slice, y, x), in the order in which the beam passes the slices.
    pub values: Vec<Complex64>,
    pub slices: usize,
    pub shape: [usize; 2],
    pub pixel_A: [f64; 2],
    /// From one slice to the next; 0 where there is one.
    pub slice_thickness_A: f64,
}

/// A probe in an earlier reconstruction, its optic axis at pixel N/2.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlierProbe {
    /// (mode, y, x), in real space.
    pub values: Vec<Complex64>,
    pub modes: usize,
    pub window: [usize; 2],
    pub pixel_A: [f64; 2],
}

/// Reads an earlier reconstruction, whoever of those we know wrote it.
///
/// # Errors
/// If it is none of these, or holds what no reconstruction does.
pub fn read_earlier(path: &Path) -> Result<Earlier> {
    if path.extension().is_some_and(|e| e == "pt") && path.is_file() {
        let problem = "is a file of PyTorch. Have PtyRAD write its model as .hdf5 and start from that".to_owned();
        return Err(Error::Earlier { path: path.display().to_string(), problem });
    }
    let source = Source { path, file: read::open(path)? };
    let earlier = if source.has("ronchi") {
        ours::read(path)?
    } else if source.has("optimizable_tensors") {
        ptyrad::read(&source)?
    } else if phaser::wrote(&source) {
        phaser::read(&source)?
    } else {
        let held = source.file.member_names().unwrap_or_default();
        return Err(source.wrong(format!(
            "is no reconstruction that is known here: a result of ronchi has a group /ronchi, PtyRAD's model_iter….hdf5 /optimizable_tensors, a state of phaser \
             /type \"phaser_state\". It holds: {}. Start from one of these",
            read::list(&held)
        )));
    };
    check(&source, earlier)
}

/// Refuses what is no number and what does not fit together.
fn check(source: &Source, earlier: Earlier) -> Result<Earlier> {
    let whole = |name: &str, values: &[Complex64], expected: usize| {
        if values.len() != expected || expected == 0 {
            return Err(source.wrong(format!("has {name} that is not complete. Write it again")));
        }
        match values.iter().position(|z| !(z.re.is_finite() && z.im.is_finite())) {
            Some(place) => Err(source.wrong(format!(
                "has {name} that is not a number everywhere (value {place} is {}). Start from an earlier state of it",
                values[place]
            ))),
            None => Ok(()),
        }
    };
    let sized = |name: &str, pixel_A: [f64; 2]| match pixel_A.iter().all(|a| *a > 0.0 && a.is_finite()) {
        true => Ok(()),
        false => Err(source.wrong(format!("has {name} of pixels of {pixel_A:?} Å, expected sizes above 0"))),
    };
    if let Some(object) = &earlier.object {
        whole("an object", &object.values, object.slices * object.shape[0] * object.shape[1])?;
        sized("an object", object.pixel_A)?;
    }
    if let Some(probe) = &earlier.probe {
        whole("a probe", &probe.values, probe.modes * probe.window[0] * probe.window[1])?;
        sized("a probe", probe.pixel_A)?;
    }
    if earlier.positions_px.iter().flatten().flatten().any(|p| !p.is_finite()) {
        return Err(source.wrong("has positions that are not numbers everywhere. Start from an earlier state of it".to_owned()));
    }
    Ok(earlier)
}

/// A file that is being read.
struct Source<'a> {
    path: &'a Path,
    file: File,
}

impl Source<'_> {
    fn wrong(&self, problem: String) -> Error {
        Error::Earlier { path: self.path.display().to_string(), problem }
    }

    fn has(&self, name: &str) -> bool {
        name.match_indices('/').map(|(at, _)| &name[..at]).chain([name]).all(|part| self.file.link_exists(part))
    }

    /// A dataset of complex or real numbers with its shape, if it is there.
    fn complexes(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<Complex64>)>> {
        if !self.has(name) {
            return Ok(None);
        }
        let read = || {
            let dataset = self.file.dataset(name)?;
            Ok((dataset.shape(), hdf::read_dataset(&dataset)?))
        };
        match read().map_err(|error| Error::read_hdf(self.path, &error))? {
            (shape, Some(data)) => Ok(Some((shape, data.complexes()))),
            (_, None) => Err(self.wrong(format!("has a dataset /{name} of no known type; expected numbers"))),
        }
    }

    /// A dataset of real numbers with its shape, if it is there.
    fn reals(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<f64>)>> {
        self.raw(name)
    }

    fn raw<T: H5Type>(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<T>)>> {
        if !self.has(name) {
            return Ok(None);
        }
        let read = || {
            let dataset = self.file.dataset(name)?;
            Ok((dataset.shape(), dataset.read_raw::<T>()?))
        };
        read().map(Some).map_err(|error: hdf5::Error| self.wrong(format!("has a dataset /{name} that could not be read: {error}")))
    }

    /// What the reconstruction cannot be understood without.
    fn needed<T>(&self, name: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| {
            self.wrong(format!(
                "has no dataset /{name}, without which its arrays have no size. Write it again with the program that made it"
            ))
        })
    }

    /// Rows of (y, x), whatever dimensions they are laid out in.
    fn pairs(&self, name: &str) -> Result<Option<Vec<[f64; 2]>>> {
        let Some((shape, values)) = self.reals(name)? else { return Ok(None) };
        if shape.last() != Some(&2) {
            return Err(self.wrong(format!("has a dataset /{name} of shape {shape:?}, expected (…, 2): y and x of each position")));
        }
        Ok(Some(values.chunks_exact(2).map(|p| [p[0], p[1]]).collect()))
    }
}

#[cfg(test)]
mod tests;
