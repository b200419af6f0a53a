//! A claimed place for an output: written beside it, renamed when complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::{Error, Result};

/// How the name of an unfinished file ends; it begins with a dot and the output's name.
const UNFINISHED: &str = ".ronchi-unfinished";

/// The place of one output file while it is written.
///
/// The file grows under a hidden name in the same directory. [`Claim::finish`] puts it in its place; a claim that is
/// dropped leaves nothing. A killed program leaves the hidden file, which the next claim of the same place removes.
pub struct Claim {
    path: PathBuf,
    force: bool,
    unfinished: NamedTempFile,
}

impl Claim {
    /// Checks that `path` can be written, and is free or may be replaced (`force`).
    pub fn new(path: &Path, force: bool) -> Result<Self> {
        let shown = || path.display().to_string();
        let (Some(name), false) = (path.file_name(), path.is_dir()) else {
            return Err(Error::IsDirectory { path: shown() });
        };
        // A link that leads nowhere is in the way too.
        if !force && path.symlink_metadata().is_ok() {
            return Err(Error::Exists { path: shown() });
        }
        let directory = directory_of(path);
        if !directory.is_dir() {
            return Err(Error::NoDirectory { directory: directory.display().to_string(), path: shown() });
        }
        let prefix = format!(".{}.", name.to_string_lossy());
        remove_strays(directory, &prefix);
        let unfinished = new_file(&prefix, directory).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::write_io(path, &error),
            // tempfile tells the path as well; the kind is the reason.
            kind => Error::Unwritable { directory: directory.display().to_string(), path: shown(), reason: kind.to_string() },
        })?;
        // Where the file system knows no locks, strays stay.
        #[cfg(unix)]
        let _ = unfinished.as_file().try_lock();
        Ok(Self { path: path.to_owned(), force, unfinished })
    }

    /// Where the file will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file is until then.
    pub(super) fn unfinished_path(&self) -> &Path {
        self.unfinished.path()
    }

    /// The open file.
    pub fn file(&self) -> &File {
        self.unfinished.as_file()
    }

    /// Writes all of the file and puts it in its place.
    pub fn write(self, bytes: &[u8]) -> Result<PathBuf> {
        self.file().write_all(bytes).map_err(|error| Error::write_io(&self.path, &error))?;
        self.finish()
    }

    /// Waits until the disk has the file and puts it in its place.
    pub fn finish(self) -> Result<PathBuf> {
        let Self { path, force, unfinished } = self;
        unfinished.as_file().sync_all().map_err(|error| Error::write_io(&path, &error))?;
        let placed = if force { unfinished.persist(&path) } else { persist_new(unfinished, &path) };
        placed.map_err(|failed| match failed.error.kind() {
            io::ErrorKind::AlreadyExists if !force => Error::Exists { path: path.display().to_string() },
            _ => Error::write_io(&path, &failed.error),
        })?;
        // The name is in the directory, whose own write may still be pending; not every system can wait for it.
        if let Ok(directory) = File::open(directory_of(&path)) {
            let _ = directory.sync_all();
        }
        Ok(path)
    }
}

/// Renames without replacing. A file system that cannot do both at once gets a look and a rename.
fn persist_new(unfinished: NamedTempFile, path: &Path) -> std::result::Result<File, tempfile::PersistError> {
    unfinished.persist_noclobber(path).or_else(|failed| {
        if failed.error.kind() == io::ErrorKind::AlreadyExists || path.symlink_metadata().is_ok() {
            let error = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(tempfile::PersistError { error, file: failed.file });
        }
        failed.file.persist(path)
    })
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn new_file(prefix: &str, directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(prefix).suffix(UNFINISHED);
    // As any new file, not private as a temporary one; the umask still applies.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory)
}

/// Removes what a killed run left; the file of a run that is still at work is locked and stays.
fn remove_strays(directory: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Between the two is tempfile's random word, without a dot: `.a.emd.` is no prefix of the strays of `a.emd.b`.
        let Some(word) = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(UNFINISHED)) else { continue };
        if word.contains('.') {
            continue;
        }
        #[cfg(unix)]
        if !File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            continue;
        }
        // Elsewhere an open file cannot be removed, which is as good as a lock. What cannot be removed is in nobody's way.
        let _ = fs::remove_file(entry.path());
    }
}
