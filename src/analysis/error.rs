//! What can go wrong with the analysis of images.

/// An error of the analysis room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Compute(#[from] crate::compute::Error),
    #[error(transparent)]
    Field(#[from] super::field::Error),
    #[error(
        "the {which} of the two images holds {value} at pixel (y, x) = ({y}, {x}), so their correlation is no number. Crop both to where they \
         are known."
    )]
    NotFinite { which: &'static str, y: usize, x: usize, value: f64 },
}

impl Error {
    /// 1, or what the device says.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Compute(e) => e.exit_code(),
            Self::Field(e) => e.exit_code(),
            Self::NotFinite { .. } => 1,
        }
    }
}
