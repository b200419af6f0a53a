//! What can go wrong in a simulation.

/// An error of the simulation room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{what} is {value}, but {expected}.")]
    BadNumber { what: &'static str, value: String, expected: String },
    #[error("{path}{}: {what}. {remedy}", if *line > 0 { format!(", line {line}") } else { String::new() })]
    Cif { path: String, line: usize, what: String, remedy: String },
    #[error("{path}, line {line}: {what}. {remedy}")]
    Atoms { path: String, line: usize, what: String, remedy: String },
    #[error("no crystal here is called \"{name}\": there are {}.", super::structure::NAMES.join(", "))]
    UnknownCrystal { name: String },
    #[error("\"{symbol}\" is none of the elements from H to Cf.")]
    UnknownElement { symbol: String },
    #[error(
        "frame {frame} has a pixel of {count} counts, more than the 65535 that its type holds. Lower the dose or the step, or raise the number of pixels across the disk."
    )]
    Overflow { frame: u32, count: f64 },
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Compute(#[from] crate::compute::Error),
}

impl Error {
    /// 2 where the specification says what cannot be, 130 after an interruption, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::BadNumber { .. } | Self::UnknownCrystal { .. } | Self::UnknownElement { .. } | Self::Overflow { .. } => 2,
            Self::Cif { .. } | Self::Atoms { .. } => 1,
            Self::Interrupted => 130,
            Self::Compute(e) => e.exit_code(),
        }
    }
}
