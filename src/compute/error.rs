//! What can go wrong on a device or with the frames that it is fed.

/// An error of the compute room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("no device is called \"{name}\": there are {available}. Type `ronchi devices` to see them, or use --device cpu.")]
    NoSuchDevice { name: String, available: String },
    #[error(
        "{device} does not have enough memory for {what}: {needed_bytes} bytes are needed in one piece, at most {limit_bytes} are possible. {hint}"
    )]
    TooLarge { device: String, what: String, needed_bytes: u64, limit_bytes: u64, hint: String },
    #[error(
        "{device} is out of memory: {what} needs {needed_bytes} bytes. Close other programs that use it, lower compute.memory_limit_GiB, or use --device cpu."
    )]
    OutOfMemory { device: String, what: String, needed_bytes: u64 },
    #[error("the GPU reported an error in kernel {kernel}: {message}. Try --device cpu, or another driver version.")]
    Kernel { kernel: String, message: String },
    #[error(
        "the GPU was lost while running kernel {kernel}: {message}. Another program may have reset it; try again, or use --device cpu."
    )]
    DeviceLost { kernel: String, message: String },
    #[error("windows of {}×{} pixels cannot be transformed on {device}: sides must be products of 2, 3, 5 and 7 from 16 to 1024. Set data.crop_detector, or use --device cpu.", shape[0], shape[1])]
    UnsupportedWindow { device: String, shape: [usize; 2] },
    /// The frames could not be read.
    #[error(transparent)]
    Source(Box<dyn std::error::Error + Send + Sync>),
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// 2 where the user asked for a device or a size that is not there, 130 after an interruption, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoSuchDevice { .. } | Self::TooLarge { .. } | Self::UnsupportedWindow { .. } => 2,
            Self::Interrupted => 130,
            Self::OutOfMemory { .. } | Self::Kernel { .. } | Self::DeviceLost { .. } | Self::Source(_) => 1,
        }
    }
}
