//! Crystals from files.

use std::path::Path;

use super::Error;
use crate::simulate::Structure;

/// No crystal's CIF is larger.
const MOST_BYTES: u64 = 64 << 20;

/// The crystal of a CIF.
pub fn crystal(path: &Path) -> Result<Structure, Error> {
    let failed = |why: String| Error::Files { path: path.to_owned(), done: "read", why };
    let bytes = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if bytes > MOST_BYTES {
        return Err(failed(format!("it has {bytes} bytes, far more than a crystal needs")));
    }
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    // Old CIFs have names of authors in other encodings; what is read from them is ASCII.
    Ok(Structure::from_cif(&String::from_utf8_lossy(&bytes), &path.display().to_string())?)
}
