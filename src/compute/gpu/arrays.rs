//! What algorithms hold of the device: arrays, frames, batches and detectors.

use std::sync::Arc;

use num_complex::{Complex32, Complex64};

use super::device::Device;
use super::memory::Array;
use crate::compute::{BatchPlan, BrightField, DetectorLayout, DetectorSet, HostFrames, Result, SampleType, Spread};

/// A device array of complex numbers (8 bytes each).
pub struct GpuComplexes(pub(super) Array);

/// A device array of f32.
pub struct GpuReals(pub(super) Array);

/// A stack of frames in device memory, in the type they have on disk.
#[derive(Clone)]
pub struct GpuFrames(pub(super) Arc<FrameStack>);

/// The frames themselves, as words of packed pixels.
pub(super) struct FrameStack {
    pub(super) dtype: SampleType,
    pub(super) shape: [usize; 2],
    pub(super) count: usize,
    pub(super) words: Array,
}

/// A batch with its lists and ramps in device memory.
pub struct GpuBatch {
    pub(super) len: usize,
    pub(super) window: [usize; 2],
    pub(super) object_shape: [usize; 2],
    /// (batch, ny) and (batch, nx).
    pub(super) ramps_y: Array,
    pub(super) ramps_x: Array,
    pub(super) variations: usize,
    /// (batch, variation)
    pub(super) weights: Array,
    /// (batch, ny) and (batch, nx), where positions have a tilt of their own.
    pub(super) tilts: Option<[Array; 2]>,
    pub(super) tiles: usize,
    /// One after the other: pattern ids, corners, tile origins, tile offsets, tile members.
    pub(super) lists: Array,
    /// One a tile: scratch of `object_gradient`.
    pub(super) peaks: Array,
}

/// A detector layout with its mask in device memory.
pub struct GpuDetector {
    pub(super) shape: [usize; 2],
    pub(super) centre: [usize; 2],
    /// One bit a pixel, set where it counts.
    pub(super) valid: Array,
    pub(super) spread: Spread,
    /// See [`Spread::weights`].
    pub(super) weights: Array,
}

/// A detector set in device memory.
pub struct GpuDetectorSet {
    pub(super) shape: [usize; 2],
    pub(super) detectors: usize,
    /// The sums of a frame.
    pub(super) width: usize,
    pub(super) statistics: bool,
    pub(super) bits: Array,
}

/// A bright field in device memory.
pub struct GpuBrightField {
    pub(super) plan: BrightField,
    /// Of χ/2π.
    pub(super) degree: usize,
    /// One after the other: Horner's coefficients, the frequencies along both axes, the foci, and for each pixel its tilt (y, x), its amplitude, its turns
    /// and their gradient.
    pub(super) numbers: Array,
    /// One after the other: each pixel's place in the frame, and in the detector window.
    pub(super) places: Array,
}

/// Complex numbers of the host as the device stores them.
pub(super) fn narrow(values: &[Complex64]) -> Vec<Complex32> {
    values.iter().map(|z| Complex32::new(z.re as f32, z.im as f32)).collect()
}

impl FrameStack {
    /// Frames of zeros.
    pub(super) fn zeros(device: &Device, dtype: SampleType, shape: [usize; 2], count: usize) -> Result<Self> {
        let frame = shape[0] * HostFrames::row_words(dtype, shape[1]);
        let words = Array::zeros(device, "a stack of frames", 4, count * frame, frame)?;
        Ok(Self { dtype, shape, count, words })
    }

    pub(super) fn of(device: &Device, frames: &HostFrames) -> Result<Self> {
        let words = Array::of(device, "a stack of frames", &frames.words, frames.frame_words())?;
        Ok(Self { dtype: frames.dtype, shape: frames.shape, count: frames.count, words })
    }

    /// The words of a row.
    pub(super) fn row_words(&self) -> usize {
        HostFrames::row_words(self.dtype, self.shape[1])
    }

    /// The words of a frame.
    pub(super) fn frame_words(&self) -> usize {
        self.shape[0] * self.row_words()
    }

    pub(super) fn frame_bytes(&self) -> u64 {
        4 * self.frame_words() as u64
    }

    /// The pipeline constants of `shaders/lib/frames.wgsl`.
    pub(super) fn constants(&self) -> [(&'static str, f64); 2] {
        let dtype = match self.dtype {
            SampleType::U8 => 0.0,
            SampleType::U16 => 1.0,
            SampleType::U32 => 2.0,
            SampleType::F32 => 3.0,
        };
        [("DTYPE", dtype), ("ROW_WORDS", self.row_words() as f64)]
    }

    /// Copies of the frames at these places.
    pub(super) fn gather(&self, device: &Device, slots: &[u32]) -> Result<Self> {
        let dense = Self::zeros(device, self.dtype, self.shape, slots.len())?;
        let (from, to) = (self.words.stack(device, self.frame_words())?, dense.words.stack(device, self.frame_words())?);
        let places = slots.iter().enumerate().map(|(n, &slot)| {
            let ((from, from_byte), (to, to_byte)) = (from.place(slot as usize), to.place(n));
            (from, from_byte, to, to_byte, self.frame_bytes())
        });
        device.copy(&places.collect::<Vec<_>>())?;
        Ok(dense)
    }
}

impl GpuBatch {
    pub(super) fn new(device: &Device, plan: &BatchPlan) -> Result<Self> {
        let tiles = &plan.tiles;
        let mut lists = plan.ids.clone();
        lists.extend(plan.corners.iter().flatten());
        lists.extend(tiles.origins.iter().flatten());
        lists.extend(&tiles.offsets);
        lists.extend(&tiles.members);
        // There is no empty buffer to bind.
        let weights: Vec<f32> = if plan.weights.is_empty() { vec![0.0] } else { plan.weights.iter().map(|&w| w as f32).collect() };
        let ramps = |values: &[Complex64], axis: usize| Array::of(device, "the ramps of a batch", &narrow(values), plan.window[axis]);
        Ok(Self {
            len: plan.len(),
            window: plan.window,
            object_shape: plan.object_shape,
            ramps_y: ramps(&plan.ramps_y, 0)?,
            ramps_x: ramps(&plan.ramps_x, 1)?,
            variations: plan.variations(),
            weights: Array::of(device, "the weights of a batch", &weights, 1)?,
            tilts: if plan.is_tilted() { Some([ramps(&plan.tilts[0], 0)?, ramps(&plan.tilts[1], 1)?]) } else { None },
            tiles: tiles.origins.len(),
            lists: Array::of(device, "the lists of a batch", &lists, 1)?,
            peaks: Array::zeros(device, "the peaks of a batch", 4, tiles.origins.len(), 1)?,
        })
    }

    /// The pixels of a window.
    pub(super) fn pixels(&self) -> usize {
        self.window[0] * self.window[1]
    }

    /// Where the pattern ids, the corners, the tiles' origins, offsets and members begin in the lists.
    pub(super) fn ids(&self) -> u32 {
        0
    }

    pub(super) fn corners(&self) -> u32 {
        self.len as u32
    }

    pub(super) fn origins(&self) -> u32 {
        3 * self.len as u32
    }

    pub(super) fn offsets(&self) -> u32 {
        self.origins() + 2 * self.tiles as u32
    }

    pub(super) fn members(&self) -> u32 {
        self.offsets() + self.tiles as u32 + 1
    }

    /// The pipeline constants of `shaders/lib/windows.wgsl`.
    pub(super) fn constants(&self, modes: usize) -> [(&'static str, f64); 5] {
        let ([ny, nx], [object_ny, object_nx]) = (self.window, self.object_shape);
        [("NY", ny as f64), ("NX", nx as f64), ("OBJECT_NY", object_ny as f64), ("OBJECT_NX", object_nx as f64), ("MODES", modes as f64)]
    }

    /// The same with the variations of the first mode.
    pub(super) fn varied(&self, modes: usize) -> [(&'static str, f64); 6] {
        let [ny, nx, object_ny, object_nx, modes] = self.constants(modes);
        [ny, nx, object_ny, object_nx, modes, ("VARIATIONS", self.variations as f64)]
    }
}

impl GpuBrightField {
    pub(super) fn new(device: &Device, plan: &BrightField) -> Result<Self> {
        let degree = plan.turns.degree().max(2);
        let mut numbers = plan.horner(degree);
        numbers.extend(plan.frequencies.iter().flatten().chain(&plan.foci));
        numbers.extend(plan.tilts.iter().flat_map(|&[y, x]| {
            let slope = plan.turns.gradient(y, x);
            [y, x, plan.aperture(y, x), plan.turns.at(y, x), slope[0], slope[1]]
        }));
        let numbers: Vec<f32> = numbers.into_iter().map(|x| x as f32).collect();
        let places: Vec<u32> = plan.pixels.iter().chain(&plan.places).copied().collect();
        Ok(Self {
            degree,
            numbers: Array::of(device, "the numbers of the bright field", &numbers, 1)?,
            places: Array::of(device, "the pixels of the bright field", &places, 1)?,
            plan: plan.clone(),
        })
    }

    /// Where the frequencies along rows and columns and the foci begin in the numbers.
    pub(super) fn rows(&self) -> u32 {
        ((self.degree + 1) * (self.degree + 2) / 2) as u32
    }

    pub(super) fn columns(&self) -> u32 {
        self.rows() + self.plan.output[0] as u32
    }

    pub(super) fn foci(&self) -> u32 {
        self.columns() + self.plan.output[1] as u32
    }

    /// Where the numbers of a pixel begin.
    pub(super) fn tilt(&self, pixel: usize) -> u32 {
        self.foci() + (self.plan.foci.len() + 6 * pixel) as u32
    }

    /// The pipeline constants of `shaders/lib/aperture.wgsl`.
    pub(super) fn constants(&self) -> [(&'static str, f64); 2] {
        [("DEGREE", self.degree as f64), ("RADIUS", self.plan.radius_px)]
    }

    /// The pipeline constants of `shaders/lib/spectra.wgsl`.
    pub(super) fn shapes(&self) -> [(&'static str, f64); 4] {
        let ([ny, nx], [output_ny, output_nx]) = (self.plan.scan, self.plan.output);
        [("NY", ny as f64), ("NX", nx as f64), ("OUTPUT_NY", output_ny as f64), ("OUTPUT_NX", output_nx as f64)]
    }
}

impl GpuDetector {
    pub(super) fn new(device: &Device, layout: &DetectorLayout) -> Result<Self> {
        let pixels = layout.shape[0] * layout.shape[1];
        let mut valid = vec![0u32; pixels.div_ceil(32)];
        for p in 0..pixels {
            let counts = layout.valid.as_ref().is_none_or(|v| v[p]);
            valid[p / 32] |= u32::from(counts) << (p % 32);
        }
        let valid = Array::of(device, "the detector's mask", &valid, 1)?;
        let weights: Vec<f32> = layout.spread.weights().into_iter().map(|w| w as f32).collect();
        let weights = Array::of(device, "the detector's point spread", &weights, 1)?;
        Ok(Self { shape: layout.shape, centre: layout.centre, valid, spread: layout.spread, weights })
    }
}

impl GpuDetectorSet {
    pub(super) fn new(device: &Device, set: &DetectorSet) -> Result<Self> {
        let bits = Array::of(device, "the detectors' masks", &set.bits, 1)?;
        Ok(Self { shape: set.shape, detectors: set.detectors, width: set.width(), statistics: set.statistics, bits })
    }
}
