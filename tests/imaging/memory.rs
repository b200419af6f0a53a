//! Patterns from memory, random numbers that can be repeated, and a scan over a phase object.

use std::sync::{Arc, Mutex};

use num_complex::Complex64;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ronchi::compute::{Backend, BatchPlan, DeviceBlock, Direction, HostFrames, Patterns, Result, SampleType, cpu::Cpu};
use ronchi::optics::{ProbeOptics, ScanGrid, object_pixel_A, wavelength_A};
use ronchi::run::{CancelToken, Event, RngState, Run};

/// A generator from a fresh seed (or RONCHI_TEST_SEED), which is printed.
pub(super) fn fresh() -> ChaCha8Rng {
    let seed = std::env::var("RONCHI_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random::<u64>);
    println!("RONCHI_TEST_SEED={seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// Frames in memory, handed out in blocks of a chosen number.
pub(super) struct Memory<'a, B: Backend> {
    pub(super) backend: &'a B,
    pub(super) frames: Arc<HostFrames>,
    pub(super) block: usize,
}

impl<'a, B: Backend> Memory<'a, B> {
    pub(super) fn new(backend: &'a B, frames: HostFrames, block: usize) -> Self {
        Self { backend, frames: Arc::new(frames), block }
    }
}

impl<B: Backend> Patterns<B> for Memory<'_, B> {
    fn len(&self) -> usize {
        self.frames.count
    }
    fn frame_shape(&self) -> [usize; 2] {
        self.frames.shape
    }
    fn dtype(&self) -> SampleType {
        self.frames.dtype
    }
    fn batch(&self, ids: &[u32]) -> Result<DeviceBlock<B>> {
        let all = self.backend.frames(self.frames.clone())?;
        Ok(DeviceBlock { ids: ids.to_vec(), frames: self.backend.gather(&all, ids)? })
    }
    fn prefetch(&self, _: &[u32]) {}
    fn pass(&self) -> Result<Box<dyn Iterator<Item = Result<DeviceBlock<B>>> + '_>> {
        let count = self.frames.count;
        Ok(Box::new((0..count).step_by(self.block).map(move |first| {
            let ids: Vec<u32> = (first..(first + self.block).min(count)).map(|k| k as u32).collect();
            self.batch(&ids)
        })))
    }
}

/// Frames of this type with these values, rounded to it.
pub(super) fn frames(dtype: SampleType, shape: [usize; 2], values: &[f64]) -> HostFrames {
    let pixels = shape[0] * shape[1];
    let mut frames = HostFrames::zeros(dtype, shape, values.len() / pixels);
    let stride = 4 * HostFrames::row_words(dtype, shape[1]);
    for (k, frame) in values.chunks(pixels).enumerate() {
        let bytes = frames.frame_bytes_mut(k);
        for (p, &v) in frame.iter().enumerate() {
            let at = p / shape[1] * stride + p % shape[1] * dtype.bytes();
            match dtype {
                SampleType::U8 => bytes[at] = v as u8,
                SampleType::U16 => bytes[at..at + 2].copy_from_slice(&(v as u16).to_le_bytes()),
                SampleType::U32 => bytes[at..at + 4].copy_from_slice(&(v as u32).to_le_bytes()),
                SampleType::F32 => bytes[at..at + 4].copy_from_slice(&(v as f32).to_le_bytes()),
            }
        }
    }
    frames
}

/// Runs `f` and hands back what it said with its events.
pub(super) fn listened<T>(seed: u64, f: impl FnOnce(&Run) -> T) -> (T, Vec<Event>) {
    let heard = Mutex::new(Vec::new());
    let cancel = CancelToken::default();
    let events = |e: Event| heard.lock().unwrap().push(e);
    let result = f(&Run { events: &events, cancel: &cancel, rng: RngState::new(seed) });
    (result, heard.into_inner().unwrap())
}

/// The notes and warnings among events.
pub(super) fn told(events: &[Event]) -> Vec<String> {
    let text = |e: &Event| match e {
        Event::Note { text } | Event::Warning { text } => Some(text.clone()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

/// f32 frames (electrons, without noise) of a scan over the object exp(iφ), by the f64 engine. `phase(y, x)` is in radians at Å of the object's frame. Frames
/// have sides of `n` pixels of `mrad`, the zero angle at (n/2, n/2).
pub(super) fn scan_of(optics: &ProbeOptics, scan: &ScanGrid, n: usize, mrad: f64, phase: impl Fn(f64, f64) -> f64) -> HostFrames {
    let engine = Cpu::<f64>::new();
    let pixel = object_pixel_A(wavelength_A(optics.voltage_kV), n, mrad);
    let positions = scan.positions_A();
    let low = [0, 1].map(|a| positions.iter().map(|p| p[a]).fold(0.0, f64::min) - (n / 2 + 1) as f64 * pixel);
    let high = [0, 1].map(|a| positions.iter().map(|p| p[a]).fold(0.0, f64::max) + (n / 2 + 1) as f64 * pixel);
    let shape = [0, 1].map(|a| ((high[a] - low[a]) / pixel).ceil() as usize + 1);
    let object: Vec<Complex64> = (0..shape[0] * shape[1])
        .map(|p| Complex64::cis(phase(low[0] + (p / shape[1]) as f64 * pixel, low[1] + (p % shape[1]) as f64 * pixel)))
        .collect();
    let object = engine.complexes(&object).unwrap();
    let probe = engine.complexes(&optics.spectrum([n, n], [mrad; 2], [0.0; 2], 1000.0)).unwrap();
    let in_pixels: Vec<[f64; 2]> = positions.iter().map(|p| [0, 1].map(|a| (p[a] - low[a]) / pixel)).collect();
    let mut values = Vec::with_capacity(positions.len() * n * n);
    for id in 0..positions.len() as u32 {
        let batch = engine.batch(BatchPlan::new(&[id], &in_pixels, [n, n], shape)).unwrap();
        let (mut probes, mut waves) = (engine.complex_zeros(n * n).unwrap(), engine.complex_zeros(n * n).unwrap());
        engine.shift_probe(&probe, 1, &batch, &mut probes).unwrap();
        engine.fft2(&mut probes, [n, n], 1, Direction::Inverse).unwrap();
        engine.exit_wave(&probes, &object, 1, &batch, &mut waves).unwrap();
        engine.fft2(&mut waves, [n, n], 1, Direction::Forward).unwrap();
        let wave = engine.read_complexes(&waves).unwrap();
        values.extend((0..n * n).map(|p| wave[(p / n + n - n / 2) % n * n + (p % n + n - n / 2) % n].norm_sqr()));
    }
    frames(SampleType::F32, [n, n], &values)
}

/// The intensity of each pixel of a disk of height 1, by 32×32 points a pixel where the rim may cross it.
pub(super) fn disk(shape: [usize; 2], centre: [f64; 2], radius: f64) -> Vec<f64> {
    (0..shape[0] * shape[1])
        .map(|p| {
            let (y, x) = ((p / shape[1]) as f64 - centre[0], (p % shape[1]) as f64 - centre[1]);
            if (y.hypot(x) - radius).abs() > 1.0 {
                return f64::from(u8::from(y.hypot(x) < radius));
            }
            let offset = |k: usize| (k as f64 + 0.5) / 32.0 - 0.5;
            (0..1024).filter(|k| (y + offset(k / 32)).hypot(x + offset(k % 32)) < radius).count() as f64 / 1024.0
        })
        .collect()
}

/// A number of counts, Poisson distributed about `mean`.
pub(super) fn poisson(mean: f64, rng: &mut impl Rng) -> f64 {
    use rand_distr::Distribution;
    rand_distr::Poisson::new(mean).map_or(0.0, |p| p.sample(rng))
}
