//! What can go wrong with a file of frames.

/// An error of the data room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("there is no file {path}. Check the path; a job file's paths are relative to the job file.")]
    Missing { path: String },
}

impl Error {
    /// 1: the input failed.
    pub fn exit_code(&self) -> u8 {
        1
    }
}
