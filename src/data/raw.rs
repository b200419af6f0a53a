//! Bytes of a file at a place, read from several threads at once.

use std::fs::File;
use std::io;
use std::path::Path;

/// A file that is only ever read, each time at a place of its own.
#[derive(Debug)]
pub(super) struct RawFile {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: std::sync::Mutex<File>,
    len: u64,
}

impl RawFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        #[cfg(not(unix))]
        let file = std::sync::Mutex::new(file);
        Ok(Self { file, len })
    }

    /// The length when it was opened, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    #[cfg(unix)]
    pub(super) fn read_exact_at(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, to, offset)
    }

    #[cfg(not(unix))]
    pub(super) fn read_exact_at(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(to)
    }
}
