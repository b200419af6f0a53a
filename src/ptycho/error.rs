//! What can go wrong in a reconstruction.

/// An error of the ptycho room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Compute(#[from] crate::compute::Error),
    #[error("the checkpoint was not kept: {0} Set output.checkpoint_every = 0 to go without.")]
    Checkpoint(String),
    #[error("there are {patterns} patterns but {positions} scan positions; check data.scan_shape and scan.positions.")]
    PositionCount { patterns: usize, positions: usize },
    #[error(
        "the scan covers {height} × {width} object pixels of {pixel_A:.4} Å, more than can be held. Check scan.step_A, optics.voltage_kV \
         and detector.mrad_per_px."
    )]
    ObjectTooLarge { height: f64, width: f64, pixel_A: f64 },
    #[error("scan position {index} is not a number; check scan.step_A and scan.positions.")]
    BadPosition { index: usize },
}

impl Error {
    /// 2 where the job asks for what cannot be, else 1 or what the device says.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Compute(e) => e.exit_code(),
            Self::Checkpoint(_) => 1,
            Self::PositionCount { .. } | Self::ObjectTooLarge { .. } | Self::BadPosition { .. } => 2,
        }
    }
}
