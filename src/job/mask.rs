//! Masks that a user drew.

use std::path::Path;

use super::Error;
use crate::output::read_raster;

/// The pixels of an image of this shape that lie above half of its largest value; `key` is the job's key that names it.
pub(super) fn read(path: &Path, key: &'static str, shape: [usize; 2]) -> Result<Vec<bool>, Error> {
    let (found, values) = read_raster(path)?;
    if found != shape {
        return Err(Error::MaskShape { key, path: path.to_owned(), found, expected: shape });
    }
    let most = values.iter().copied().filter(|v| v.is_finite()).fold(0.0, f64::max);
    if most <= 0.0 {
        return Err(Error::MaskEmpty { key, path: path.to_owned() });
    }
    Ok(values.iter().map(|&v| v > 0.5 * most).collect())
}
