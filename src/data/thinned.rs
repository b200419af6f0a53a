//! Frames made from others by chance: halves of the same electrons, and frames without structure.
//!
//! Both are for the Fourier ring correlation: of reconstructions of two halves, and of what is left of it where there is nothing to find. Every frame has a random
//! stream of its own, known by seed and frame alone, so frames are the same whatever blocks they are read in, by which thread and in which order.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::weighted::WeightedAliasIndex;
use rand_distr::{Binomial, Distribution, Poisson};

use super::{CubeInfo, Error, FrameSource, Result, check_request};
use crate::compute::{HostFrames, SampleType};

/// Up to so many electrons are drawn bit by bit, which is faster.
const FEW: u64 = 512;
/// Up to so many electrons a pixel a frame's electrons are thrown at the pixels one by one, which is faster.
const SPARSE: f64 = 4.0;
/// So far from a whole number of electrons a sample may be, for data.counts_per_electron that is not exact.
const INEXACT: f64 = 0.01;
/// 32-bit floats hold all whole numbers up to here.
const EXACT: f64 = 16_777_216.0;

/// One of two halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    First,
    Second,
}

/// Half of the electrons of every frame of a source: of n electrons in a pixel, the first half has Binomial(n, ½), the second one the others. Of Poisson distributed counts
/// the halves are independent. With one seed both halves together are the frames, exactly (with floats and a `counts_per_electron` that is no whole number, to their
/// rounding).
///
/// NaN and infinity stay what they are.
pub struct Thinned {
    source: Box<dyn FrameSource>,
    half: Half,
    counts_per_electron: f64,
    seed: u64,
}

impl Thinned {
    /// `counts_per_electron` are the counts that an electron makes, above 0: 1 for counting detectors.
    ///
    /// Reading fails at the first sample that is not a whole number of electrons.
    pub fn new(source: Box<dyn FrameSource>, half: Half, counts_per_electron: f64, seed: u64) -> Self {
        Self { source, half, counts_per_electron, seed }
    }

    /// Thins the samples of a row; at the first that is no number of electrons stops with its column and value.
    fn thin<T: Sample>(&self, row: &mut [u8], coins: &mut Coins) -> std::result::Result<(), (usize, f64)> {
        let is_first = self.half == Half::First;
        for (x, sample) in bytemuck::cast_slice_mut::<u8, T>(row).iter_mut().enumerate() {
            if !sample.number().is_finite() {
                continue;
            }
            *sample = if self.counts_per_electron == 1.0 {
                let electrons = sample.whole().ok_or((x, sample.number()))?;
                let first = coins.heads(electrons);
                T::count(if is_first { first } else { electrons - first })
            } else {
                let (value, gain) = (sample.number(), self.counts_per_electron);
                let electrons = (value / gain).round();
                if value < 0.0 || (value / gain - electrons).abs() > INEXACT || electrons > EXACT {
                    return Err((x, value));
                }
                let first = T::nearest(coins.heads(electrons as u64) as f64 * gain);
                if is_first { first } else { T::nearest(value - first.number()) }
            };
        }
        Ok(())
    }
}

impl FrameSource for Thinned {
    fn info(&self) -> &CubeInfo {
        self.source.info()
    }

    fn read(&self, first: usize, count: usize, out: &mut HostFrames, at: usize) -> Result<()> {
        self.source.read(first, count, out, at)?;
        let (dtype, width) = (out.dtype, out.shape[1] * out.dtype.bytes());
        let row_bytes = 4 * HostFrames::row_words(dtype, out.shape[1]);
        for frame in first..first + count {
            let mut coins = Coins { rng: stream(*b"binomial halves of count", self.seed, frame), word: 0, left: 0 };
            for (y, row) in out.frame_bytes_mut(at + frame - first).chunks_exact_mut(row_bytes).enumerate() {
                let row = &mut row[..width];
                let thinned = match dtype {
                    SampleType::U8 => self.thin::<u8>(row, &mut coins),
                    SampleType::U16 => self.thin::<u16>(row, &mut coins),
                    SampleType::U32 => self.thin::<u32>(row, &mut coins),
                    SampleType::F32 => self.thin::<f32>(row, &mut coins),
                };
                thinned.map_err(|(x, value)| {
                    let path = self.info().path.display().to_string();
                    Error::NotCounts { path, frame, y, x, value, counts_per_electron: self.counts_per_electron }
                })?;
            }
        }
        Ok(())
    }

    fn preferred_run(&self) -> usize {
        self.source.preferred_run()
    }
}

/// Frames without any structure along the scan: each pixel has Poisson distributed electrons, their mean that of the mean pattern, scaled to the frame's sum. Nothing is read.
///
/// What does not fit the cube's type becomes its largest number.
pub struct Unstructured {
    info: CubeInfo,
    /// Of each pixel in an electron of the mean pattern.
    shares: Vec<f64>,
    /// The same, to throw electrons at; `None` where the mean pattern has none.
    target: Option<WeightedAliasIndex<f64>>,
    /// The mean electrons of each frame.
    electrons: Vec<f64>,
    counts_per_electron: f64,
    seed: u64,
}

impl Unstructured {
    /// Frames for the cube that `info` tells of, from its mean pattern (row-major; what is negative or no number counts as 0) and the sum of each of its frames, both in
    /// counts, of which an electron makes `counts_per_electron`. Half of a frame's sum makes a half: two of these with different seeds are as two of [`Thinned`].
    ///
    /// # Panics
    /// If there is not one mean a pixel and one sum a frame.
    pub fn new(info: CubeInfo, mean: &[f64], sums: &[f64], counts_per_electron: f64, seed: u64) -> Self {
        let [ny, nx] = info.frame_shape;
        assert!(mean.len() == ny * nx && sums.len() == info.frames(), "a mean of {ny}×{nx} pixels and {} sums", info.frames());
        let positive = |v: f64| if v.is_finite() { v.max(0.0) } else { 0.0 };
        let total: f64 = mean.iter().map(|&m| positive(m)).sum();
        let shares: Vec<f64> = mean.iter().map(|&m| if total > 0.0 { positive(m) / total } else { 0.0 }).collect();
        let electrons = sums.iter().map(|&s| positive(s) / counts_per_electron).collect();
        // It fails where no pixel has a share.
        let target = WeightedAliasIndex::new(shares.clone()).ok();
        Self { info, shares, target, electrons, counts_per_electron, seed }
    }

    /// Draws the electrons of a frame, one number a pixel.
    fn draw(&self, frame: usize, pixels: &mut [u64]) {
        pixels.fill(0);
        let mean = self.electrons[frame];
        let Some(target) = self.target.as_ref().filter(|_| mean > 0.0) else { return };
        let mut rng = stream(*b"frames without structure", self.seed, frame);
        // A mean too small for the distribution has no counts.
        let poisson = |mean: f64, rng: &mut ChaCha8Rng| Poisson::new(mean).map_or(0, |p| p.sample(rng) as u64);
        if mean <= SPARSE * pixels.len() as f64 {
            // A Poisson number of electrons, each in a pixel of its own, are Poisson numbers in the pixels.
            for _ in 0..poisson(mean, &mut rng) {
                pixels[target.sample(&mut rng)] += 1;
            }
        } else {
            for (pixel, share) in pixels.iter_mut().zip(&self.shares) {
                *pixel = poisson(mean * share, &mut rng);
            }
        }
    }
}

impl FrameSource for Unstructured {
    fn info(&self) -> &CubeInfo {
        &self.info
    }

    fn read(&self, first: usize, count: usize, out: &mut HostFrames, at: usize) -> Result<()> {
        check_request(&self.info, first, count, out, at)?;
        let (dtype, [ny, nx]) = (out.dtype, out.shape);
        let row_bytes = 4 * HostFrames::row_words(dtype, nx);
        let mut pixels = vec![0; ny * nx];
        for frame in first..first + count {
            self.draw(frame, &mut pixels);
            let rows = out.frame_bytes_mut(at + frame - first).chunks_exact_mut(row_bytes);
            for (row, pixels) in rows.zip(pixels.chunks_exact(nx)) {
                let row = &mut row[..nx * dtype.bytes()];
                match dtype {
                    SampleType::U8 => self.put::<u8>(pixels, row),
                    SampleType::U16 => self.put::<u16>(pixels, row),
                    SampleType::U32 => self.put::<u32>(pixels, row),
                    SampleType::F32 => self.put::<f32>(pixels, row),
                }
            }
        }
        Ok(())
    }

    fn preferred_run(&self) -> usize {
        1
    }
}

impl Unstructured {
    /// Electrons as the counts of a row.
    fn put<T: Sample>(&self, electrons: &[u64], row: &mut [u8]) {
        for (sample, &n) in bytemuck::cast_slice_mut::<u8, T>(row).iter_mut().zip(electrons) {
            *sample = if self.counts_per_electron == 1.0 { T::count(n) } else { T::nearest(n as f64 * self.counts_per_electron) };
        }
    }
}

/// A sample of a frame.
trait Sample: bytemuck::Pod + PartialEq {
    fn number(self) -> f64;

    /// The number, where it is whole and not beyond what the type counts exactly.
    fn whole(self) -> Option<u64>;

    /// A number of this type, or the largest one.
    fn count(n: u64) -> Self;

    /// The nearest number of this type.
    fn nearest(x: f64) -> Self;
}

macro_rules! integers {
    ($($type:ty)*) => {
        $( impl Sample for $type {
            fn number(self) -> f64 {
                f64::from(self)
            }

            fn whole(self) -> Option<u64> {
                Some(u64::from(self))
            }

            fn count(n: u64) -> Self {
                n.min(u64::from(Self::MAX)) as Self
            }

            fn nearest(x: f64) -> Self {
                x.round() as Self
            }
        } )*
    };
}

integers! { u8 u16 u32 }

impl Sample for f32 {
    fn number(self) -> f64 {
        f64::from(self)
    }

    fn whole(self) -> Option<u64> {
        // What is negative becomes 0.
        let n = self as u64;
        (n as f32 == self && n <= EXACT as u64).then_some(n)
    }

    fn count(n: u64) -> Self {
        n as Self
    }

    fn nearest(x: f64) -> Self {
        x as Self
    }
}

/// Coins to toss.
struct Coins {
    rng: ChaCha8Rng,
    /// Bits not yet used, `left` of them.
    word: u64,
    left: u32,
}

impl Coins {
    /// How many of so many coins show heads: Binomial(n, ½).
    fn heads(&mut self, n: u64) -> u64 {
        if n > FEW {
            // ½ is a probability that every distribution takes.
            return Binomial::new(n, 0.5).map_or(n / 2, |b| b.sample(&mut self.rng));
        }
        let (mut heads, mut open) = (0, n);
        while open > u64::from(u32::BITS) {
            heads += self.toss(u32::BITS);
            open -= u64::from(u32::BITS);
        }
        heads + self.toss(open as u32)
    }

    /// The same of up to 32 coins; without a branch that depends on their number.
    fn toss(&mut self, n: u32) -> u64 {
        if self.left < u32::BITS {
            self.word |= u64::from(self.rng.next_u32()) << self.left;
            self.left += u32::BITS;
        }
        let heads = (self.word & ((1 << n) - 1)).count_ones();
        self.word >>= n;
        self.left -= n;
        u64::from(heads)
    }
}

/// The random stream of a frame. The purpose keeps it apart from those of other uses of the seed, such as the simulation of the very frames.
fn stream(purpose: [u8; 24], seed: u64, frame: usize) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..].copy_from_slice(&purpose);
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(frame as u64);
    rng
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::data::Calibration;

    /// Frames in memory.
    struct Kept {
        info: CubeInfo,
        frames: HostFrames,
    }

    impl FrameSource for Kept {
        fn info(&self) -> &CubeInfo {
            &self.info
        }

        fn read(&self, first: usize, count: usize, out: &mut HostFrames, at: usize) -> Result<()> {
            check_request(&self.info, first, count, out, at)?;
            for k in 0..count {
                out.frame_bytes_mut(at + k).copy_from_slice(self.frames.frame_bytes(first + k));
            }
            Ok(())
        }

        fn preferred_run(&self) -> usize {
            7
        }
    }

    fn fresh_rng() -> ChaCha8Rng {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        ChaCha8Rng::seed_from_u64(seed)
    }

    fn info(dtype: SampleType, scan_shape: [usize; 2], frame_shape: [usize; 2]) -> CubeInfo {
        CubeInfo {
            path: "scan.h5".into(),
            format: "HDF5 dataset".into(),
            dataset: "/cube".into(),
            stored_shape: vec![scan_shape[0], scan_shape[1], frame_shape[0], frame_shape[1]],
            scan_shape,
            frame_shape,
            stored_dtype: String::new(),
            dtype,
            chunks: None,
            filters: vec![],
            calibration: Calibration::default(),
        }
    }

    /// Where the pixels of all frames lie in the bytes of a stack.
    fn places(dtype: SampleType, frames: usize, [ny, nx]: [usize; 2]) -> impl Iterator<Item = usize> {
        let row = 4 * HostFrames::row_words(dtype, nx);
        (0..frames * ny).flat_map(move |y| (0..nx).map(move |x| y * row + x * dtype.bytes()))
    }

    /// The pixels of all frames in row-major order.
    fn numbers(frames: &HostFrames) -> Vec<f64> {
        let bytes: &[u8] = bytemuck::cast_slice(&frames.words);
        let number = |at: usize| match frames.dtype {
            SampleType::U8 => f64::from(bytes[at]),
            SampleType::U16 => f64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])),
            SampleType::U32 => f64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())),
            SampleType::F32 => f64::from(f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())),
        };
        places(frames.dtype, frames.count, frames.shape).map(number).collect()
    }

    /// A stack whose pixels are `value(pixel, in all frames)`.
    fn stack(dtype: SampleType, frames: usize, shape: [usize; 2], mut value: impl FnMut(usize) -> f64) -> HostFrames {
        let mut stack = HostFrames::zeros(dtype, shape, frames);
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut stack.words);
        for (p, at) in places(dtype, frames, shape).enumerate() {
            let v = value(p);
            match dtype {
                SampleType::U8 => bytes[at] = v as u8,
                SampleType::U16 => bytes[at..at + 2].copy_from_slice(&(v as u16).to_le_bytes()),
                SampleType::U32 => bytes[at..at + 4].copy_from_slice(&(v as u32).to_le_bytes()),
                SampleType::F32 => bytes[at..at + 4].copy_from_slice(&(v as f32).to_le_bytes()),
            }
        }
        stack
    }

    fn kept(dtype: SampleType, scan: [usize; 2], shape: [usize; 2], value: impl FnMut(usize) -> f64) -> Kept {
        Kept { info: info(dtype, scan, shape), frames: stack(dtype, scan[0] * scan[1], shape, value) }
    }

    fn all(source: &dyn FrameSource) -> HostFrames {
        let info = source.info();
        let mut frames = HostFrames::zeros(info.dtype, info.frame_shape, info.frames());
        source.read(0, info.frames(), &mut frames, 0).unwrap();
        frames
    }

    fn halves(make: impl Fn() -> Kept, gain: f64, seed: u64) -> [HostFrames; 2] {
        [Half::First, Half::Second].map(|half| all(&Thinned::new(Box::new(make()), half, gain, seed)))
    }

    const TYPES: [(SampleType, f64); 4] =
        [(SampleType::U8, 255.0), (SampleType::U16, 65535.0), (SampleType::U32, 4294967295.0), (SampleType::F32, 16777216.0)];

    #[test]
    fn both_halves_together_are_the_frames_exactly_in_every_type() {
        let mut rng = fresh_rng();
        for (dtype, most) in TYPES {
            let (scan, shape) = ([3, 4], [5, 7]);
            let mut draw = || match rng.random_range(0..4) {
                0 => 0.0,
                1 => f64::from(rng.random_range(0..9u32)),
                2 => most,
                _ => f64::floor(most.powf(rng.random_range(0.0..1.0))),
            };
            let values: Vec<f64> = (0..12 * 35).map(|_| draw()).collect();
            let [first, second] = halves(|| kept(dtype, scan, shape, |p| values[p]), 1.0, 5);
            for ((a, b), n) in numbers(&first).iter().zip(numbers(&second)).zip(&values) {
                assert!(a + b == *n && a.fract() == 0.0 && *a >= 0.0 && b >= 0.0, "{dtype:?}: {a} + {b} of {n}");
            }
        }
    }

    #[test]
    fn a_frame_is_the_same_whatever_was_read_before_it_and_with_it() {
        let mut rng = fresh_rng();
        for (dtype, _) in TYPES {
            let (scan, shape) = ([6, 7], [5, 5]);
            let values: Vec<f64> = (0..42 * 25).map(|_| f64::from(rng.random_range(0..100u32))).collect();
            let mean: Vec<f64> = (0..25).map(f64::from).collect();
            let sums: Vec<f64> = (0..42).map(|f| f64::from(f) * 4.0).collect();
            let seed = rng.random();
            let thinned = Thinned::new(Box::new(kept(dtype, scan, shape, |p| values[p])), Half::Second, 1.0, seed);
            let noise = Unstructured::new(info(dtype, scan, shape), &mean, &sums, 1.0, seed);
            assert_eq!((thinned.preferred_run(), thinned.info().frames()), (7, 42));
            for source in [&thinned as &dyn FrameSource, &noise] {
                let whole = all(source);
                let n = whole.frame_words();
                for _ in 0..40 {
                    let first = rng.random_range(0..42);
                    let count = rng.random_range(0..=42 - first);
                    let at = rng.random_range(0..3);
                    let mut block = HostFrames::zeros(dtype, shape, at + count + 1);
                    // What stands in padding and in other places stays.
                    block.words.fill(0x0505_0505);
                    source.read(first, count, &mut block, at).unwrap();
                    assert_eq!(numbers(&block)[at * 25..(at + count) * 25], numbers(&whole)[first * 25..(first + count) * 25]);
                    assert!(block.words[..at * n].iter().chain(&block.words[(at + count) * n..]).all(|w| *w == 0x0505_0505));
                }
                let mut block = HostFrames::zeros(dtype, shape, 2);
                assert!(matches!(source.read(41, 2, &mut block, 0), Err(Error::Range { .. })));
            }
        }
    }

    #[test]
    fn seeds_frames_and_uses_have_random_streams_of_their_own() {
        let constant = || kept(SampleType::U16, [1, 2], [16, 16], |_| 20.0);
        let [first, _] = halves(constant, 1.0, 1);
        let [other, _] = halves(constant, 1.0, 2);
        assert_ne!(first.words, other.words);
        assert_ne!(first.frame_bytes(0), first.frame_bytes(1));
        let mut words = [*b"binomial halves of count", *b"frames without structure"].map(|purpose| stream(purpose, 1, 0).next_u64());
        words.sort_unstable();
        assert_ne!(words[0], words[1]);
    }

    /// χ² of how often each value occurred against how often it should, those expected fewer than 8 times together.
    fn chi_square(observed: &[f64], expected: &[f64]) -> (f64, f64) {
        let (mut sum, mut cells, mut rest) = (0.0, 0.0, [0.0; 2]);
        for (o, e) in observed.iter().zip(expected) {
            if *e < 8.0 {
                rest = [rest[0] + o, rest[1] + e];
            } else {
                sum += (o - e).powi(2) / e;
                cells += 1.0;
            }
        }
        if rest[1] > 8.0 {
            sum += (rest[0] - rest[1]).powi(2) / rest[1];
            cells += 1.0;
        }
        (sum, cells - 1.0)
    }

    /// Far in the tail of χ²: a normal approximation of it passes 6 deviations in no run of a million.
    fn is_plausible((sum, degrees): (f64, f64)) -> bool {
        sum < degrees + 6.0 * (2.0 * degrees).sqrt() + 12.0
    }

    /// ln k!, from the product.
    fn ln_factorial(k: usize) -> f64 {
        (1..=k).map(|i| (i as f64).ln()).sum()
    }

    #[test]
    fn the_first_half_of_n_electrons_is_binomial_whichever_way_it_is_drawn() {
        let _ = fresh_rng();
        // Below and beyond the number that is drawn bit by bit, and both sides of a word.
        for n in [1usize, 2, 3, 7, 63, 64, 65, 130, 512, 513, 900] {
            let pixels = 40_000;
            let seed = rand::random();
            println!("n {n}, seed {seed}");
            let frames = || kept(SampleType::U16, [2, 2], [100, 100], |_| n as f64);
            let [first, second] = halves(frames, 1.0, seed);
            let mut observed = vec![0.0; n + 1];
            numbers(&first).iter().for_each(|&k| observed[k as usize] += 1.0);
            let ln_n = ln_factorial(n);
            let probability = |k: usize| (ln_n - ln_factorial(k) - ln_factorial(n - k) - n as f64 * 2f64.ln()).exp();
            let expected: Vec<f64> = (0..=n).map(|k| pixels as f64 * probability(k)).collect();
            let chi = chi_square(&observed, &expected);
            assert!(is_plausible(chi), "{n} electrons: χ² {chi:?}");

            // Mean n/2 and variance n/4; of the mean's square deviations five deviations.
            let half = n as f64 / 2.0;
            let mean = numbers(&first).iter().sum::<f64>() / pixels as f64;
            assert!((mean - half).abs() < 5.0 * (n as f64 / 4.0 / pixels as f64).sqrt(), "{n}: mean {mean}");
            let variance = numbers(&first).iter().map(|k| (k - half).powi(2)).sum::<f64>() / pixels as f64;
            assert!((variance * 4.0 / n as f64 - 1.0).abs() < 5.0 * (2.0 / pixels as f64).sqrt(), "{n}: variance {variance}");
            assert!(numbers(&first).iter().zip(numbers(&second)).all(|(a, b)| a + b == n as f64));
        }
    }

    #[test]
    fn halves_of_poisson_counts_are_independent() {
        let mut rng = fresh_rng();
        let pixels = 40_000;
        for mean in [0.2, 3.0, 40.0] {
            let draw = Poisson::new(mean).unwrap();
            let counts: Vec<f64> = (0..pixels).map(|_| draw.sample(&mut rng)).collect();
            let [first, second] = halves(|| kept(SampleType::F32, [2, 2], [100, 100], |p| counts[p]), 1.0, rng.random());
            let cross: f64 = numbers(&first).iter().zip(numbers(&second)).map(|(a, b)| (a - mean / 2.0) * (b - mean / 2.0)).sum();
            let correlation = cross / pixels as f64 / (mean / 2.0);
            // The standard deviation of a correlation of independent numbers is 1/√n; halves that share anything have much more.
            assert!(correlation.abs() < 5.0 / f64::from(pixels).sqrt(), "mean {mean}: {correlation}");
        }
    }

    #[test]
    fn electrons_of_many_counts_are_thinned_as_electrons() {
        let mut rng = fresh_rng();
        for (dtype, gain) in [(SampleType::U16, 37.0), (SampleType::U16, 22.6), (SampleType::F32, 0.25), (SampleType::F32, 12.34567)] {
            let electrons: Vec<f64> = (0..40_000).map(|_| f64::from(rng.random_range(0..40u32))).collect();
            let rounded = |n: f64| if dtype == SampleType::U16 { (n * gain).round() } else { n * gain };
            let counts = || kept(dtype, [2, 2], [100, 100], |p| rounded(electrons[p]));
            // Whole counts of 22.6 an electron are off by up to 0.4 counts, 0.018 electrons: more than is let pass.
            if gain == 22.6 {
                let thinned = Thinned::new(Box::new(counts()), Half::First, gain, 0);
                assert!(matches!(thinned.read(0, 1, &mut HostFrames::zeros(dtype, [100, 100], 1), 0), Err(Error::NotCounts { .. })));
                continue;
            }
            let [first, second] = halves(counts, gain, rng.random());
            let (mut deviations, mut variance) = (0.0, 0.0);
            for ((a, b), n) in numbers(&first).iter().zip(numbers(&second)).zip(&electrons) {
                // Rounding of 32-bit floats.
                assert!((a / gain - (a / gain).round()).abs() < 1e-4, "{a} is a number of electrons");
                assert!((a + b - rounded(*n)).abs() <= 1e-6 * rounded(*n));
                deviations += (a / gain - n / 2.0).powi(2);
                variance += n / 4.0;
            }
            // The mean of 40000 squares, each of relative standard deviation √2 or a little less.
            assert!((deviations / variance - 1.0).abs() < 0.05, "{dtype:?} {gain}: {}", deviations / variance);
        }
    }

    #[test]
    fn what_is_no_count_is_refused_with_its_place_and_what_to_do() {
        let shape = [4, 3];
        for value in [0.5, -2.0, 16_777_218.0] {
            let source = kept(SampleType::F32, [2, 2], shape, |p| if p == 2 * 12 + 7 { value } else { 3.0 });
            let thinned = Thinned::new(Box::new(source), Half::First, 1.0, 0);
            let mut out = HostFrames::zeros(SampleType::F32, shape, 4);
            thinned.read(0, 2, &mut out, 0).unwrap();
            let error = thinned.read(0, 4, &mut out, 0).unwrap_err();
            let message = error.to_string();
            assert_eq!(error.exit_code(), 2);
            for part in ["frame 2", "(2, 1)", &value.to_string(), "data.counts_per_electron", "counted electrons"] {
                assert!(message.contains(part), "{part}: {message}");
            }
        }
        let holes = |p: usize| [f64::NAN, f64::INFINITY, 4.0][p % 3];
        let [first, second] = halves(|| kept(SampleType::F32, [1, 1], shape, holes), 1.0, 0);
        for half in [first, second] {
            assert!(numbers(&half).chunks(3).all(|v| v[0].is_nan() && v[1] == f64::INFINITY && v[2] <= 4.0));
        }
    }

    #[test]
    fn frames_without_structure_are_poisson_about_the_scaled_mean_at_any_dose() {
        let mut rng = fresh_rng();
        // Electrons thrown one by one, and drawn pixel by pixel; a pixel without any and one that is masked.
        for (electrons, gain) in [(3.0, 1.0), (30.0, 1.0), (30.0, 3.0)] {
            let (scan, shape) = ([100, 100], [2, 3]);
            let mean = [1.0, 2.0, 0.0, 4.0, f64::NAN, 5.0];
            let sums: Vec<f64> = (0..10_000).map(|f| gain * electrons * if f % 2 == 0 { 1.0 } else { 2.0 }).collect();
            let source = Unstructured::new(info(SampleType::U16, scan, shape), &mean, &sums, gain, rng.random());
            let drawn = numbers(&all(&source));
            for (p, m) in mean.iter().enumerate() {
                for parity in 0..2 {
                    let expected = if m.is_nan() { 0.0 } else { m / 12.0 * electrons * (1 + parity) as f64 };
                    let mut observed = vec![0.0; 200];
                    drawn.chunks(6).skip(parity).step_by(2).for_each(|frame| {
                        assert_eq!(frame[p] % gain, 0.0);
                        observed[(frame[p] / gain) as usize] += 1.0;
                    });
                    let probability = |k: usize| {
                        if expected == 0.0 {
                            f64::from(u8::from(k == 0))
                        } else {
                            (k as f64 * expected.ln() - expected - ln_factorial(k)).exp()
                        }
                    };
                    let chi = chi_square(&observed, &(0..200).map(|k| 5000.0 * probability(k)).collect::<Vec<_>>());
                    assert!(is_plausible(chi), "{electrons} electrons, pixel {p}: χ² {chi:?}");
                }
            }
            // Neighbouring pixels share nothing: of independent numbers the correlation is 1/√n.
            let at = |f: usize, p: usize| drawn[f * 6 + p] / gain - mean[p] / 12.0 * electrons;
            let cross: f64 = (0..10_000).step_by(2).map(|f| at(f, 3) * at(f, 5)).sum();
            let correlation = cross / 5000.0 / (electrons / 12.0 * 20f64.sqrt());
            assert!(correlation.abs() < 5.0 / 5000f64.sqrt(), "{electrons} electrons: {correlation}");
        }
        let dark = Unstructured::new(info(SampleType::U8, [1, 2], [2, 2]), &[0.0; 4], &[5.0, 0.0], 1.0, 0);
        assert!(numbers(&all(&dark)).iter().all(|v| *v == 0.0));
        let bright = Unstructured::new(info(SampleType::U8, [1, 1], [2, 2]), &[1.0; 4], &[1e5], 1.0, 0);
        assert_eq!(numbers(&all(&bright)), [255.0; 4], "the type's largest number");
    }
}
