//! The job file: every key with its type, its meaning and its default, stated once.
//!
//! What stands here makes the reader, the defaults, `docs/job-file.md`, the file that `ronchi init` prints and the messages that
//! refuse a wrong value.

use std::path::PathBuf;

use super::error::{Error, Place};
use super::source::{self, Reader};
use super::starts::{ProbeStart, Start};
use super::sweep::Sweep;
use super::values::{
    AberrationSource, Algorithm, Coefficients, ConstraintList, DescanOrder, DetectorList, GroupingKind, HalvesKind, IntegrationRule,
    JobValue, LikelihoodKind, MapPotential, MapVibration, Pair, PixelList, Reference, Side, StageList,
};

/// A value with the place where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<T> {
    pub value: T,
    pub place: Place,
}

/// A value that a job has, as TOML.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub section: &'static str,
    pub key: &'static str,
    pub value: toml::Value,
    pub place: Place,
}

/// What a key has when a job does not say it, or what it could say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The value, as TOML, of a job that does not have the key.
    Default(&'static str),
    /// A key without a fixed default: something it might be set to.
    Example(&'static str),
}

impl Shown {
    pub fn toml(self) -> &'static str {
        match self {
            Self::Default(text) | Self::Example(text) => text,
        }
    }
}

/// What is to be said of a key.
#[derive(Debug, Clone, Copy)]
pub struct KeyDoc {
    pub name: &'static str,
    pub doc: &'static str,
    /// What its value must be, to be read after "expected".
    pub expected: &'static str,
    pub shown: Shown,
    /// The keys of the tables inside its value.
    pub fields: &'static [&'static str],
}

/// A section with its keys.
#[derive(Debug, Clone, Copy)]
pub struct SectionDoc {
    pub name: &'static str,
    pub doc: &'static str,
    pub keys: &'static [KeyDoc],
}

/// A key's place in its section: always filled where it has a default, else optional.
macro_rules! slot {
    (Default $type:ty) => { Entry<$type> };
    (Example $type:ty) => { Option<Entry<$type>> };
    (Default = $shown:literal) => { source::default_entry($shown) };
    (Example = $shown:literal) => { None };
    (Default fill $entry:expr) => { $entry };
    (Example fill $entry:expr) => { Some($entry) };
    (Default from $slot:expr, $other:expr) => { if $other.place != Place::Default { $slot = $other.clone(); } };
    (Example from $slot:expr, $other:expr) => { if $other.is_some() { $slot = $other.clone(); } };
    (Default of $slot:expr) => { Some(&$slot) };
    (Example of $slot:expr) => { $slot.as_ref() };
}

macro_rules! sections {
    ($(
        $(#[doc = $about:literal])*
        $section:ident: $Section:ident {
            $( $(#[doc = $doc:literal])* $key:ident: $type:ty, $expected:literal, $kind:ident $shown:literal; )*
        }
    )*) => {
        $(
            $(#[doc = $about])*
            #[derive(Debug, Clone, PartialEq)]
            #[allow(non_snake_case)]
            pub struct $Section {
                /// Where the section begins, if the job has it.
                pub section: Option<Place>,
                $( $(#[doc = $doc])* pub $key: slot!($kind $type), )*
            }

            impl Default for $Section {
                fn default() -> Self {
                    Self { section: None, $( $key: slot!($kind = $shown), )* }
                }
            }

            impl $Section {
                /// Reads the key; false where the section has no such key.
                fn assign(&mut self, key: &str, value: source::Value<'_>, reader: &Reader<'_>) -> Result<bool, Error> {
                    match key {
                        $( stringify!($key) => {
                            let entry = reader.entry(concat!(stringify!($section), ".", stringify!($key)), $expected, value)?;
                            self.$key = slot!($kind fill entry);
                        } )*
                        _ => return Ok(false),
                    }
                    Ok(true)
                }

                /// Takes over what another job says of this section beyond defaults.
                fn take_from(&mut self, other: &Self) {
                    $( slot!($kind from self.$key, other.$key); )*
                }

                fn rows(&self, rows: &mut Vec<Row>) {
                    $( if let Some(entry) = slot!($kind of self.$key) {
                        rows.push(Row {
                            section: stringify!($section),
                            key: stringify!($key),
                            value: entry.value.toml(),
                            place: entry.place.clone(),
                        });
                    } )*
                }
            }
        )*

        /// A job: what was written or typed, and the defaults of what was not.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Job {
            $( pub $section: $Section, )*
            /// The trials to make of it, if it has a section [sweep].
            pub sweep: Option<Sweep>,
        }

        impl Job {
            pub(super) fn begin(&mut self, section: &str, place: Place) -> bool {
                match section {
                    $( stringify!($section) => self.$section.section = Some(place), )*
                    _ => return false,
                }
                true
            }

            pub(super) fn assign(&mut self, section: &str, key: &str, value: source::Value<'_>, reader: &Reader<'_>) -> Result<bool, Error> {
                match section {
                    $( stringify!($section) => self.$section.assign(key, value, reader), )*
                    _ => Ok(false),
                }
            }

            /// Takes over what another job says beyond defaults.
            pub(super) fn take_from(&mut self, other: &Self) {
                $( self.$section.take_from(&other.$section); )*
            }

            /// All values that are known, in the order of [`SECTIONS`].
            pub fn rows(&self) -> Vec<Row> {
                let mut rows = Vec::new();
                $( self.$section.rows(&mut rows); )*
                rows
            }
        }

        /// The sections of a job file, in the order in which they are documented.
        pub const SECTIONS: &[SectionDoc] = &[
            $( SectionDoc {
                name: stringify!($section),
                doc: concat!($($about, "\n",)*),
                keys: &[
                    $( KeyDoc {
                        name: stringify!($key),
                        doc: concat!($($doc, "\n",)*),
                        expected: $expected,
                        shown: Shown::$kind($shown),
                        fields: <$type as JobValue>::FIELDS,
                    }, )*
                ],
            }, )*
        ];
    };
}

sections! {
    /// The datacube.
    data: Data {
        /// The file of frames. A path in a job file is relative to the job file, one typed is relative to the current directory.
        path: PathBuf, "a path in double quotes", Example "\"scan.h5\"";
        /// The dataset inside the file. Needed only where a file holds several datacubes.
        dataset: String, "the path of a dataset in double quotes", Example "\"/entry/data/data\"";
        /// The scan's shape [rows, columns]. Needed where the file stores its frames as one list; otherwise it overrides the file.
        scan_shape: [usize; 2], "two whole numbers [rows, columns]", Example "[64, 64]";
        /// The part of the scan to use: first row, row after the last, first column, column after the last. By default all of it.
        crop_scan: [usize; 4], "[first row, end row, first column, end column] in whole numbers", Example "[0, 64, 0, 64]";
        /// The part of each frame to use, in detector pixels: first row, row after the last, first column, column after the last.
        /// By default all of it.
        crop_detector: [usize; 4], "[first row, end row, first column, end column] in whole numbers", Example "[0, 128, 0, 128]";
        /// Detector pixels [y, x] that count for nothing, after cropping. `ronchi calibrate` lists dead, dim, hot and flickering ones.
        bad_pixels: PixelList, "a list of pixels [y, x] in whole numbers such as [[12, 7], [63, 64]]", Example "[[12, 7], [63, 64]]";
        /// The counts that an electron makes, for doses and standard errors. `ronchi calibrate` measures it by the noise.
        counts_per_electron: f64, "a number above 0", Default "1";
        /// Round integers that a 32-bit float does not hold, instead of refusing them.
        allow_rounding: bool, "true or false", Default "false";
    }

    /// The illumination.
    optics: Optics {
        /// Acceleration voltage in kV. By default from the file.
        voltage_kV: f64, "a number of kV", Example "300";
        /// Convergence semi-angle in mrad: the radius of the bright-field disk. By default from the file.
        convergence_mrad: f64, "a number of mrad", Example "25";
        /// Defocus in Å, −C10; positive is underfocus. The probe's defocus at the entrance surface of the object.
        defocus_A: f64, "a number of Å", Default "0";
        /// Further aberration coefficients in Krivanek's notation: magnitudes C12_A, C21_A, C23_A, C30_A, … in Å, azimuths
        /// phi12_deg, phi21_deg, … in degrees. C10 is `defocus_A`.
        aberrations: Coefficients, "a table of coefficients such as { C12_A = 20, phi12_deg = 45, C30_A = 1e4 }", Default "{}";
        /// Full width at half maximum of the electron source's image on the specimen in Å (Gaussian), which blurs the probe: the modes of ptychography's probe begin as those of the blurred
        /// probe.
        source_size_A: f64, "a number of Å from 0", Default "0";
    }

    /// The scan.
    scan: Scan {
        /// Scan step in Å, a number or [y, x]. By default from the file.
        step_A: Pair, "a number of Å or [y, x]", Example "0.4";
        /// The angle in degrees from the scan's axes to the detector's:
        /// (row, column) in the object's frame = R(rotation_deg)·(i, j)·step_A with R = [[cos, −sin], [sin, cos]]. Where it is not said and something depends on it,
        /// it and `transpose` are measured as by `ronchi calibrate`; the default stands where the frames agree with it or do not tell.
        rotation_deg: f64, "a number of degrees", Default "0";
        /// Exchange the scan's two axes before the rotation.
        transpose: bool, "true or false", Default "false";
        /// Measured probe positions instead of a regular raster: a dataset of shape (N, 2), y and x in Å in the object's frame,
        /// written `file.h5:/dataset`.
        positions: Reference, "a dataset written \"file.h5:/dataset\"", Example "\"positions.h5:/positions\"";
    }

    /// The detector.
    detector: Detector {
        /// Angle of a detector pixel in mrad, a number or [y, x]. By default from the file, or else measured: `convergence_mrad` over the
        /// radius of the bright-field disk.
        mrad_per_px: Pair, "a number of mrad or [y, x]", Example "0.98";
        /// The detector pixel [y, x] of the zero angle, counted from 0 at the middle of the first pixel, after cropping. By default measured: the centre of
        /// the bright-field disk.
        centre_px: [f64; 2], "two numbers [y, x] in pixels", Example "[63.5, 63.5]";
        /// The standard deviation of the detector's point spread in its pixels (Gaussian), which ptychography blurs calculated patterns by; 0 is none.
        blur_px: f64, "a number from 0", Default "0";
    }

    /// Virtual detectors.
    images: Images {
        /// The images to make. Sums over rings: bf, abf, eabf, adf, haadf. Of the disk's halves and segments: dpc (dpc_y, dpc_x: its shift in mrad),
        /// dphase (dphase_y, dphase_x: the phase's gradient in rad/Å), segments4, segments8, segments16. Of the centre of mass: com (com_y, com_x), com_magnitude,
        /// com_direction, idpc (also called icom), ddpc. Patterns: max, variance (the mean is always written). Direct ptychography: parallax, ssb,
        /// obf, wdd. "all" is every one of these that fits the frame.
        /// Or rings of your own such as `{ name = "ring", inner_mrad = 30, outer_mrad = 60 }`: edges are angles (`inner_mrad`, `outer_mrad`) or shares of the
        /// bright-field disk's radius (`inner_disk`, `outer_disk`); `segments = 8` cuts a ring into segments, the first of which begins at the azimuth `first_deg` (0: +column, rising towards +row);
        /// `mask = "mask.png"` (PNG, TIFF or `file.h5:/dataset`, of the frame's shape) takes the pixels above half of the image's largest value, inside the edges if there are any.
        /// By default bf, abf, eabf, adf, haadf, com, idpc and ddpc, as far as they fit the frame.
        detectors: DetectorList, "a list of names or tables such as [\"bf\", { name = \"ring\", inner_mrad = 30, outer_mrad = 60 }]",
            Example "[\"bf\", \"idpc\", { name = \"ring\", inner_mrad = 30, outer_mrad = 60 }]";
        /// What of the centre of mass over the scan is descan and left out of idpc: "none" (only its mean), "plane" or "parabola".
        descan: DescanOrder, "\"none\", \"plane\" or \"parabola\"", Default "\"none\"";
        /// The factor k of eABF = ABF − k·centre. By default the ratio of the two detectors' areas, with which vacuum is 0.
        eabf_k: f64, "a number", Example "3";
        /// How idpc is integrated. "mirror": in Fourier space, the image mirrored beyond its edges. "periodic": the image repeating itself, right for a scan over whole unit cells.
        /// "least_squares": mirrored, over the frames that have counts (and lie in `field`) alone.
        integration: IntegrationRule, "\"mirror\", \"periodic\" or \"least_squares\"", Default "\"mirror\"";
        /// The part of the scan that "least_squares" looks at: an image of the scan's shape (PNG, TIFF or `file.h5:/dataset`), where it is above half of its largest
        /// value.
        field: PathBuf, "a path in double quotes", Example "\"field.png\"";
        /// A high-pass for idpc: its spectrum is multiplied by q²/(q² + highpass²). In 1/Å. By default none.
        highpass_inverse_A: f64, "a number of 1/Å", Example "0.02";
        /// Aberrations of direct ptychography (parallax, ssb, obf, wdd): "given" in [optics], "fit" to the shifts of the images that the parts of the
        /// disk make (defocus and twofold astigmatism), or "auto": fitted where neither the job nor the data file says `defocus_A`.
        aberrations: AberrationSource, "\"given\", \"fit\" or \"auto\"", Default "\"auto\"";
        /// Pixels of direct ptychography along a scan step: the tilted images resolve beyond the scan step where they are shifted against each other.
        upsample: usize, "a whole number from 1 to 16", Default "1";
        /// Also make a series of each image of direct ptychography: defocus from, to and step in Å.
        defocus_sweep_A: [f64; 3], "three numbers [from, to, step] in Å", Example "[-200, 200, 20]";
        /// The noise of Wigner distribution deconvolution (wdd), relative to the largest power of the aperture's transform.
        wdd_epsilon: f64, "a number above 0", Default "0.01";
        /// Also write the standard error of each image by counting statistics, as `NAME_error`.
        errors: bool, "true or false", Default "false";
    }

    /// Ptychography. `ronchi run` reconstructs where the job has this section, be it empty.
    ptychography: Ptychography {
        /// The update rule. "epie"; "rpie" (updates are divided by a mean of the power that falls on a pixel and the largest one, see `alpha`); "mpie" (rpie with
        /// momentum); "lsq_ml" (rpie's direction with the step that fits the batch best, and momentum); "adam" (gradient descent with Adam); "difference_map" and "raar"
        /// (every pattern keeps its exit wave, which takes memory: 8 bytes times pixels, modes and patterns).
        algorithm: Algorithm, "\"epie\", \"rpie\", \"mpie\", \"lsq_ml\", \"adam\", \"difference_map\" or \"raar\"", Default "\"epie\"";
        /// What counts as misfit of a calculated and a measured pattern: "amplitude" (the difference of the square roots), "poisson" (counting noise) or
        /// "gaussian" (the difference of intensities).
        likelihood: LikelihoodKind, "\"amplitude\", \"poisson\" or \"gaussian\"", Default "\"amplitude\"";
        /// Passes over all patterns.
        iterations: u32, "a whole number from 1", Default "10";
        /// Patterns of one update. Where the job does not say and 32 patterns hold less than 5000 electrons, as many as do (64, 128, … up to 1024): fewer follow the
        /// counting noise.
        batch: usize, "a whole number from 1", Default "32";
        /// Which patterns are taken together: "random" ones, neighbours ("compact"), such as lie far from each other ("sparse"), or in the order of the scan
        /// ("sequential").
        grouping: GroupingKind, "\"random\", \"compact\", \"sparse\" or \"sequential\"", Default "\"random\"";
        /// Seed of the order in which patterns are taken.
        seed: u64, "a whole number from 0", Default "0";
        /// Step of the object's update, above 0 and up to 2; with several slices they share it. By default 0.5; 0.2 for "lsq_ml" (of the step that fits a batch best, with its noise); 0.05 (in rad) for
        /// "adam".
        step_object: f64, "a number above 0 and up to 2", Example "0.5";
        /// Step of the probe's update, above 0 and up to 2. By default 0.5; 0.02 (of the brightest amplitude) for "adam".
        step_probe: f64, "a number above 0 and up to 2", Example "0.5";
        /// The part of both steps that is left in the last iteration (of the stage): they fall by the same factor from each iteration to the next, so that what chance
        /// and counting noise put into single batches averages out towards the end. 1 keeps them as they are.
        step_end: f64, "a number above 0 and up to 1", Default "0.1";
        /// Of "rpie", "mpie" and "lsq_ml": updates are divided by (1 − alpha)·(power on the pixel) + alpha·(largest power); 1 is "epie". By default 0.25.
        alpha: f64, "a number above 0 and up to 1", Default "0.25";
        /// Of "mpie" and "lsq_ml": the part of the mean way that object and probe go on by. By default 0.5, and 0 for "lsq_ml".
        friction: f64, "a number from 0, below 1", Example "0.5";
        /// Of "mpie": after so many batches object and probe go on along their mean way.
        momentum_every: u32, "a whole number from 1", Default "20";
        /// The relaxation of "difference_map" and "raar".
        beta: f64, "a number above 0 and up to 1", Default "0.9";
        /// Of the "poisson" likelihood, in electrons: keeps a count where nothing was expected from outweighing all others.
        poisson_epsilon: f64, "a number above 0", Default "0.1";
        /// The first iteration, counted from 1, that refines the probe; 0 never does.
        probe_from: u32, "a whole number from 0", Default "1";
        /// Incoherent modes of the probe (partial coherence). Their patterns add up.
        probe_modes: usize, "a whole number from 1 to 64", Default "1";
        /// The electrons of each further mode to begin with, as a part of the first one's.
        mode_power: f64, "a number above 0 and below 1", Default "0.02";
        /// What the probe may vary by from position to position (orthogonal probe relaxation): so many images, of which the first mode of each position has its own share; 0 keeps the probe the
        /// same everywhere.
        probe_variations: usize, "a whole number from 0 to 16", Default "0";
        /// The first iteration that refines the variations and their shares.
        variations_from: u32, "a whole number from 1", Default "3";
        /// Slices of the object (multislice).
        slices: usize, "a whole number from 1 to 256", Default "1";
        /// From one slice to the next in Å. Needed where there are several.
        slice_thickness_A: f64, "a number of Å above 0", Example "10";
        /// The first iteration, counted from 1, that refines the slices' distance; 0 never does.
        thickness_from: u32, "a whole number from 0", Default "0";
        /// Tilt of the sample's normal against the beam [y, x] in mrad, in the object's frame: from slice to slice what was passed shifts by its tangent times the distance.
        tilt_mrad: [f64; 2], "two numbers [y, x] in mrad", Default "[0, 0]";
        /// The first iteration that refines the tilt; 0 never does.
        tilt_from: u32, "a whole number from 0", Default "0";
        /// The first iteration that refines the tilt of each position on its own, as a bent sample has it: what it differs by from the common one, which stays the mean. 0 never does. What is
        /// everywhere the same, or changes slowly, is also a sample whose slices lie askew: say what is known of them (constraint "identical_slices" or "kz_filter").
        tilts_from: u32, "a whole number from 0", Default "0";
        /// How far in Å neighbours have a say in a position's tilt: the standard deviation of a Gaussian. 0 takes each on its own.
        tilts_smooth_A: f64, "a number of Å from 0", Default "5";
        /// The most that a position's tilt may differ from the common one, in mrad.
        tilts_limit_mrad: f64, "a number of mrad above 0 and up to 200", Default "20";
        /// The first iteration that refines the probe's defocus; 0 never does. While the lens is refined the probe stays the one of a lens: nothing but its coefficients changes.
        defocus_from: u32, "a whole number from 0", Default "0";
        /// The first iteration that refines C12, C21, C23 and C30 of the lens; 0 never does.
        aberrations_from: u32, "a whole number from 0", Default "0";
        /// The first iteration that refines the scan's positions one by one; 0 never does.
        positions_from: u32, "a whole number from 0", Default "0";
        /// The first iteration that refines one map of all positions (rotation and shear; with `scale_from` that of a steady drift, too); 0 never does. `positions_from` alone leaves
        /// this map as it is.
        affine_from: u32, "a whole number from 0", Default "0";
        /// The first iteration that refines the scale of the scan, by a trial every tenth iteration that takes the time of 18 more; 0 never does. The rim moves as far as `positions_limit_A` lets it. It takes `likelihood` "poisson" (the
        /// amplitude's misfit widens a scan by percents at 10⁵ e⁻/Å²), and finds most where the probe is known (`probe_from` 0).
        scale_from: u32, "a whole number from 0", Default "0";
        /// The farthest that a position may move from where it began, in Å.
        positions_limit_A: f64, "a number of Å above 0", Default "1";
        /// Step of what is refined: positions, thickness, tilts, lens.
        refinement_step: f64, "a number above 0 and up to 2", Default "1";
        /// The part of their last movement that is added to the next.
        refinement_momentum: f64, "a number from 0, below 1", Default "0.9";
        /// The first iteration that refines the electrons of each pattern; 0 never does.
        intensities_from: u32, "a whole number from 0", Default "0";
        /// The part of the patterns that no update sees; the error over them is in the result, and tells when noise begins to be fitted.
        validation: f64, "a number from 0, below 0.5", Default "0";
        /// Stop after so many iterations in which the validation error became no smaller, and keep the best; 0 never stops.
        patience: u32, "a whole number from 0", Default "0";
        /// What is known of object and probe beforehand, imposed after iterations in this order: a list of tables with `kind`, and where wanted `from`, `every` and `until`
        /// (iterations of the stage, counted from 1) and `strength` (0 to 1). Of the object: "amplitude_clamp" (low, high), "phase_positivity" (vacuum is phase 0, or with
        /// `vacuum_share` the level below which this share of the field lies), "pure_phase", "complex_ratio" (ratio), "low_pass" and "high_pass" (cutoff_inverse_A, order),
        /// "band_limit" (cutoff_inverse_A), "total_variation" (phase_rad, amplitude, steps), "sparsity" (threshold_rad), "kz_filter" (beta), "identical_slices", "phase_ramp". Of the
        /// probe: "probe_support" (radius_A, edge_A), "aperture_support" (factor), "probe_intensity" (its electrons stay), "fourier_amplitude" (its amplitude over the angles
        /// stays as it began), "centring", "orthogonal_modes". See docs/theory.md.
        constraints: ConstraintList, "a list of tables such as [{ kind = \"kz_filter\", beta = 1 }, { kind = \"pure_phase\", from = 3 }]",
            Example "[{ kind = \"kz_filter\", beta = 1 }, { kind = \"pure_phase\", from = 3 }]";
        /// Named stages, one after the other, each with keys of this section that it changes, such as
        /// [{ name = "rough", iterations = 5 }, { name = "thick", slices = 6, iterations = 10 }]. A stage begins with the object, the probe and the positions of the one
        /// before; what it does not say is as in this section.
        stages: StageList, "a list of tables such as [{ name = \"rough\", iterations = 5 }, { name = \"thick\", slices = 6 }]",
            Example "[{ name = \"rough\", iterations = 5 }, { name = \"thick\", slices = 6 }]";
        /// Also reconstruct two halves of the electrons (each count divided by chance), and tell up to which spatial frequency they agree: "frc" (their Fourier ring correlation and the
        /// resolution that follows from it), "noise_floor" (the same of two halves without any structure as well: what of the correlation is the method's own), or "none". It takes two or
        /// four more reconstructions. Halves begin with a flat object where `start` is not made of their own electrons.
        halves: HalvesKind, "\"none\", \"frc\" or \"noise_floor\"", Default "\"none\"";
        /// Detector pixels of which n × n are added up to one before the reconstruction: faster, with a smaller window around the probe. For a first, rough stage.
        bin: usize, "a whole number from 1 to 16", Default "1";
        /// Pixels added around every frame, which count for nothing: the object's pixels become finer, and waves may be scattered beyond the detector's edge.
        pad_px: usize, "a whole number from 0", Default "0";
        /// Reciprocal pixels a side that make up a detector pixel: the window around the probe becomes so many times wider, for probes that are wider than the detector's pixel allows
        /// (up-sampling).
        upsample: usize, "a whole number from 1 to 8", Default "1";
        /// The part of the object that stays as it began: an image of the scan's shape (PNG, TIFF or `file.h5:/dataset`), where it is above half of its largest value.
        frozen: PathBuf, "a path in double quotes", Example "\"vacuum.png\"";
        /// Object pixels that receive less than this part of the largest exposure stay as they began; 0 freezes none.
        frozen_below: f64, "a number from 0, below 1", Default "0";
        /// What the object begins as: "flat" is 1 everywhere, "ssb" and "parallax" have the phase of these images, made with the aberrations of [optics]. Or the path of an
        /// earlier reconstruction, a result of ronchi, PtyRAD's `model_iter….hdf5` or a state of phaser: its object is brought onto this job's grid by the scan's positions,
        /// whatever its pixels and its rotation, and into this job's slices; beyond it the object is 1. A result of ronchi may be of another part of the scan
        /// (`data.crop_scan`). Only the object is taken: give `probe` and `scan.positions` to start from these too.
        start: Start, "\"flat\", \"ssb\", \"parallax\" or the path of an earlier result such as \"earlier.emd\"", Default "\"flat\"";
        /// A complex probe to start from instead of the one that [optics] describes: the file of an earlier reconstruction, as of `start`, whose modes are brought into this job's
        /// window; or a dataset in real space, its axis at pixel N/2, of the frame's shape (y, x) or (mode, y, x), written `file.h5:/dataset`.
        probe: ProbeStart, "an earlier result such as \"earlier.emd\", or a dataset written \"file.h5:/dataset\"", Example "\"earlier.emd\"";
        /// A measurement without a sample, in counts: a dataset of the frame's shape (y, x), or of several frames (N, y, x) that are averaged, written `file.h5:/dataset`. Its
        /// root is the amplitude of the probe's aperture instead of an ideal disk; the phase is that of [optics]. Not together with `probe`.
        vacuum: Reference, "a dataset written \"file.h5:/dataset\"", Example "\"vacuum.h5:/data\"";
    }

    /// The map of atomic columns: their places, their atoms, and which are missing some, with standard errors. `ronchi run` makes it where the job has this section.
    map: Map {
        /// The crystal: "Na3Ni2SbO6", "P2-NaNiMnO2", "O3-NaNiFeMnO2", "SrTiO3", "MoS2", "graphene", or the path of a CIF. Without it bright spots are found and nothing is said of their atoms.
        structure: String, "a crystal's name or a CIF's path in double quotes", Example "\"Na3Ni2SbO6\"";
        /// The direction along the beam, in multiples of the cell's edges.
        zone_axis: [i32; 3], "three whole numbers [u, v, w]", Default "[1, 0, 0]";
        /// (hkl) of the layers: planes that the beam runs along. By default (001) where the beam may run along it, else planes of small indices.
        planes: [i32; 3], "three whole numbers [h, k, l]", Example "[0, 0, 1]";
        /// The element whose occupancy is asked for.
        element: String, "an element's symbol in double quotes", Default "\"Na\"";
        /// The thickness of the specimen. By default as thick as a simulated crystal whose other columns are as bright.
        thickness_A: f64, "a number of Å above 0", Example "53";
        /// The image that is measured, a phase: an array of the result. By default the phase of ptychography, or else the first of ssb, obf, wdd, parallax and idpc that there is.
        image: String, "the name of an image such as \"ssb\" or \"ptychography/phase_scan\"", Example "\"ssb\"";
        /// The scattering factors of the simulated crystal.
        potential: MapPotential, "\"lobato\" or \"kirkland\"", Default "\"lobato\"";
        /// How its atoms move.
        vibration: MapVibration, "\"debye_waller\" or \"none\"", Default "\"debye_waller\"";
        /// The simulated scan is counted so many times, which tells the image's noise.
        draws: usize, "a whole number from 3", Default "16";
        /// Further simulated scans with missing atoms, on which the standard errors are checked (parametric bootstrap).
        bootstrap: usize, "a whole number from 0", Default "0";
        /// The rate of false ones among the columns that are called.
        false_discovery_rate: f64, "a number above 0 and below 1", Default "0.05";
        /// Pixels nearer to the edge of the field do not count; columns have to lie 1 Å further inside.
        margin_A: f64, "a number of Å from 0", Default "1";
        /// The side that depth is counted from in profiles: "first" is the layer that begins the field.
        surface: Side, "\"first\", \"top\", \"bottom\", \"left\" or \"right\"", Default "\"first\"";
        /// The part of the image whose virtual diffraction is made, and its spots: first y, end y, first x, end x in Å. By default all of it.
        region_A: [f64; 4], "[first y, end y, first x, end x] in Å", Example "[0, 20, 0, 40]";
        /// Seed of the simulated crystals and their counts.
        seed: u64, "a whole number from 0", Default "0";
    }

    /// What is written.
    output: Output {
        /// The result file. By default the job file's name with `.emd` instead of its ending, beside it.
        path: PathBuf, "a path in double quotes", Example "\"result.emd\"";
        /// Also write each image as a 32-bit TIFF, into a folder beside the result.
        tiff: bool, "true or false", Default "false";
        /// Also write each image as a PNG with a scale bar, and all of them on one sheet, `overview.png`, into a folder beside the result. What a reconstruction's iterations came to is
        /// written there in any case, as `convergence.csv`.
        png: bool, "true or false", Default "true";
        /// Iterations of ptychography between two checkpoints, kept beside the result as `RESULT.checkpoint` until it is written: from one the same job goes on where it was
        /// interrupted. 0 keeps none.
        checkpoint_every: u32, "a whole number from 0", Default "10";
        /// In the PNG of an image along the scan, put its power spectrum beside it.
        fft: bool, "true or false", Default "true";
    }

    /// Where the work is done.
    compute: Compute {
        /// "auto", "cpu", "gpu", "gpu:N" or the name of an adapter as `ronchi devices` prints it. "auto" takes a GPU where there is one.
        device: String, "a device's name in double quotes", Default "\"auto\"";
        /// Host memory for frames in GiB. By default half of what is free. The results do not depend on it.
        memory_limit_GiB: f64, "a number of GiB", Example "4";
        /// Threads of the CPU. By default as many as there are processors. The results do not depend on it.
        threads: usize, "a whole number from 1", Example "8";
    }
}
