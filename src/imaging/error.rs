//! What can go wrong between frames and images.

/// An error of the imaging room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(
        "the mean pattern is dark: its brightest pixel holds {brightest} counts a frame, so there is no bright-field disk to centre on. Check data.path and data.dataset, data.dark and data.bad_pixels, or give detector.centre_px and optics.convergence_mrad."
    )]
    Dark { brightest: f64 },
    #[error(
        "no bright-field disk was found in the mean pattern of {}×{} pixels: {reason}. Give detector.centre_px with optics.convergence_mrad and detector.mrad_per_px, or crop the scan to a place where the specimen is thin (data.crop_scan).", shape[0], shape[1]
    )]
    NoDisk { shape: [usize; 2], reason: String },
    #[error("{what} is {value}, but {expected}. Set {key}.")]
    BadNumber { what: &'static str, value: String, expected: &'static str, key: &'static str },
    #[error(
        "the convergence angle of {convergence_mrad} mrad is wider than the detector: its disk would have a radius of {radius_px:.1} px on a frame of {}×{} pixels. Check optics.convergence_mrad (a half-angle in mrad) and detector.mrad_per_px.", shape[0], shape[1]
    )]
    ConvergenceTooWide { convergence_mrad: f64, radius_px: f64, shape: [usize; 2] },
    #[error(
        "the scan of {}×{} positions (data.scan_shape) needs {} patterns, but there are {patterns}. Set data.scan_shape to rows and columns whose product is {patterns}.", scan_shape[0], scan_shape[1], scan_shape[0] * scan_shape[1]
    )]
    ScanShape { scan_shape: [usize; 2], patterns: usize },
    #[error(
        "the mask of bad pixels has {found} pixels, a frame has {expected}. Check data.bad_pixels against the frames after data.crop_detector and data.bin_detector."
    )]
    MaskShape { found: usize, expected: usize },
    #[error("no pixel of the frames counts: all {pixels} are masked. Check data.bad_pixels.")]
    AllMasked { pixels: usize },
    #[error("there is no detector called \"{name}\" (images.detectors). There are {known}.{hint}")]
    UnknownDetector { name: String, known: String, hint: String },
    #[error("two detectors are called \"{name}\" (images.detectors). Give each image its own name.")]
    DuplicateDetector { name: String },
    #[error(
        "detector \"{name}\" reaches from {inner} to {outer} (images.detectors): the inner angle must be 0 or more, the outer one finite and larger than the inner one."
    )]
    BadAnnulus { name: String, inner: String, outer: String },
    #[error(
        "detector \"{name}\" is given in mrad (images.detectors), but the angle of a pixel is not known. Set detector.mrad_per_px, or optics.convergence_mrad to measure it by the disk, or give the detector's angles as fractions of the disk."
    )]
    UnknownAngle { name: String },
    #[error(
        "detector \"{name}\" (images.detectors) does not fit the frame: {reason}. Ask for smaller angles; the frame reaches to {edge}."
    )]
    DoesNotFit { name: String, reason: String, edge: String },
    #[error("the {asked} detectors asked for need {masks} masks, at most {limit} fit one pass. Split images.detectors into several jobs.")]
    TooManyMasks { asked: usize, masks: usize, limit: usize },
    #[error(
        "detector \"{name}\" (images.detectors) has the factor k = {k}; it must be a finite number. Leave it out for the vacuum's ratio."
    )]
    BadFactor { name: String, k: f64 },
    #[error(
        "{name} needs a field of at least 2×2 scan positions, this scan has {}×{}. Leave {name} out of images.detectors, or check data.scan_shape.", scan_shape[0], scan_shape[1]
    )]
    ScanTooSmall { name: String, scan_shape: [usize; 2] },
    #[error(
        "detector \"{name}\" (images.detectors) has {count} segments from {first_deg}°: there must be at least one, and a finite azimuth."
    )]
    BadSegments { name: String, count: usize, first_deg: f64 },
    #[error(
        "the mask of detector \"{name}\" (images.detectors) has {found} pixels, a frame has {}×{}. Draw it on the frames after data.crop_detector; `ronchi image` writes their mean as mean_pattern.", shape[0], shape[1]
    )]
    DetectorShape { name: String, found: usize, shape: [usize; 2] },
    #[error(
        "\"{name}\" (images.detectors) is a phase gradient in rad/Å, for which the voltage and the angle of a pixel must be known. Set optics.voltage_kV and detector.mrad_per_px (or optics.convergence_mrad), or ask for dpc."
    )]
    GradientNeedsOptics { name: String },
    #[error(
        "the field to integrate over has {found} positions of which none counts, or not those of the scan ({}×{}). Check images.field.", scan_shape[0], scan_shape[1]
    )]
    FieldMask { found: usize, scan_shape: [usize; 2] },
    #[error("idpc's high-pass of {highpass} Å⁻¹ needs the scan step. Set scan.step_A, or leave images.highpass_inverse_A out.")]
    HighpassNeedsStep { highpass: f64 },
    #[error(
        "frame {frame} (scan position {}, {}) holds values that are not finite. Mask the pixels with data.bad_pixels, or leave the frame out with data.crop_scan.", position[0], position[1]
    )]
    NotFinite { frame: u32, position: [usize; 2] },
    #[error(
        "direct ptychography (parallax, ssb, obf, wdd) needs a field of at least 2×2 scan positions, this scan has {}×{}. Leave these images out of images.detectors, or check data.scan_shape.", scan_shape[0], scan_shape[1]
    )]
    NoField { scan_shape: [usize; 2] },
    #[error(
        "fewer than two pixels of the bright-field disk lie in the frame of {}×{} pixels: its half-angle is {convergence_mrad} mrad about pixel ({:.1}, {:.1}). Check optics.convergence_mrad, detector.mrad_per_px and detector.centre_px.", shape[0], shape[1], centre_px[0], centre_px[1]
    )]
    NoBrightField { convergence_mrad: f64, centre_px: [f64; 2], shape: [usize; 2] },
    #[error(
        "direct ptychography knows the aberrations of Krivanek's notation up to the fifth order (C12 to C56), and others are given. Check optics.aberrations."
    )]
    UnknownAberration,
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Compute(#[from] crate::compute::Error),
}

impl Error {
    /// 2 where the job says what cannot be, 130 after an interruption, 1 where the input or the run failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Dark { .. } | Self::NoDisk { .. } | Self::NotFinite { .. } => 1,
            Self::Interrupted => 130,
            Self::Compute(e) => e.exit_code(),
            _ => 2,
        }
    }
}
