//! What can go wrong with measuring a field.

/// An error of the field's measurements.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Compute(#[from] crate::compute::Error),
    #[error("the image holds {value} at pixel (y, x) = ({y}, {x}). Crop it to where it is known.")]
    NotFinite { y: usize, x: usize, value: f64 },
    #[error("the image has {}×{} pixels, but at least {least} a side are needed. Scan or crop a larger field.", shape[0], shape[1])]
    Small { shape: [usize; 2], least: usize },
    #[error("{what} is {value}, expected {expected}")]
    Number { what: &'static str, value: String, expected: &'static str },
    #[error(
        "no layers {repeat_A:.2} Å apart stand out of the image's noise along the normal (y, x) = ({:.3}, {:.3}). Check the normal, the repeat \
         and the image's pixel size, or look at its power spectrum.",
        normal[0],
        normal[1]
    )]
    #[allow(non_snake_case)]
    NoLayers { repeat_A: f64, normal: [f64; 2] },
    #[error("{what}. {remedy}")]
    NoSpots { what: String, remedy: &'static str },
}

impl Error {
    /// 1, or what the device says.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Compute(e) => e.exit_code(),
            _ => 1,
        }
    }
}
