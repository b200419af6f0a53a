//! TIFF and PNG pictures in a folder beside the result.

use std::path::{Path, PathBuf};

use super::Error;
use super::schema::Output;
use crate::output::{Array, Look, write_png, write_tiff};

/// The folder of a result's pictures: `scan_images` beside `scan.emd`.
pub(super) fn folder(result: &Path) -> PathBuf {
    let stem = result.file_stem().unwrap_or_default().to_string_lossy();
    result.with_file_name(format!("{stem}_images"))
}

/// Refuses a folder of pictures that is there already, before any work.
pub(super) fn check(output: &Output, result: &Path, force: bool) -> Result<(), Error> {
    let folder = folder(result);
    let wanted = output.png.value || output.tiff.value;
    if wanted && folder.symlink_metadata().is_ok() && !(force && folder.is_dir()) {
        return Err(crate::output::Error::Exists { path: folder.display().to_string() }.into());
    }
    Ok(())
}

/// Writes the pictures; the folder appears whole. One that is there already (and may be replaced) gets each picture in its place.
pub(super) fn write(output: &Output, result: &Path, arrays: &[&Array], force: bool) -> Result<Option<PathBuf>, Error> {
    if !output.png.value && !output.tiff.value {
        return Ok(None);
    }
    let folder = folder(result);
    let failed = |e: std::io::Error| Error::Files { path: folder.clone(), done: "written", why: e.to_string() };
    if folder.is_dir() {
        fill(output, &folder, arrays, force)?;
        return Ok(Some(folder));
    }
    let parent = folder.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unfinished = tempfile::Builder::new().prefix(".ronchi-pictures.").tempdir_in(parent).map_err(failed)?;
    fill(output, unfinished.path(), arrays, force)?;
    open_to_readers(unfinished.path()).map_err(failed)?;
    std::fs::rename(unfinished.path(), &folder).map_err(failed)?;
    // It is no longer under its temporary name, so that there is nothing to remove.
    let _ = unfinished.keep();
    Ok(Some(folder))
}

fn fill(output: &Output, folder: &Path, arrays: &[&Array], force: bool) -> Result<(), Error> {
    for array in arrays {
        let name = array.name();
        if output.png.value {
            write_png(&folder.join(format!("{name}.png")), force, array, Look::of(name))?;
        }
        if output.tiff.value {
            write_tiff(&folder.join(format!("{name}.tiff")), force, array)?;
        }
    }
    Ok(())
}

/// A temporary folder is closed to others; a result's is as open as any new one.
fn open_to_readers(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let parent = folder.parent().map_or(Ok(0o755), |parent| parent.metadata().map(|m| m.permissions().mode()))?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(parent & 0o777 | 0o700))?;
    }
    Ok(())
}
