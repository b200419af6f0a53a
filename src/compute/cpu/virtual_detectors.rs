//! Kernel `virtual_detectors`: each frame's sums over all detectors, its moments, and the sum of the frames, in one pass.

use pulp::Arch;
use rayon::prelude::*;

use super::CpuFrames;
use super::pixel::{Pixel, row, with_pixel};
use crate::compute::{BlockSums, DetectorSet, Totals};

/// Frames that one task sums; float sums are grouped by it, so it is part of the result.
const GROUP: usize = 64;

/// A [`DetectorSet`] as runs of pixels that belong to the same detectors.
#[derive(Debug)]
pub struct CpuDetectorSet {
    shape: [usize; 2],
    detectors: usize,
    /// Rows in which every pixel counts.
    row_valid: Vec<bool>,
    /// Row y has the runs `rows[y]..rows[y + 1]`.
    rows: Vec<usize>,
    runs: Vec<SpanOfColumns>,
    /// Which detectors each class of pixels belongs to.
    classes: Vec<u32>,
}

#[derive(Debug)]
struct SpanOfColumns {
    start: usize,
    end: usize,
    class: usize,
}

impl CpuDetectorSet {
    pub(super) fn new(set: &DetectorSet) -> Self {
        let [ny, nx] = set.shape;
        let (mut runs, mut rows, mut classes) = (Vec::<SpanOfColumns>::new(), vec![0], Vec::new());
        for y in 0..ny {
            let first = runs.len();
            for x in 0..nx {
                let bits = set.bits[y * nx + x];
                if bits == 0 {
                    continue;
                }
                let class = classes.iter().position(|&c| c == bits).unwrap_or_else(|| {
                    classes.push(bits);
                    classes.len() - 1
                });
                match runs[first..].last_mut() {
                    Some(run) if run.class == class && run.end == x => run.end = x + 1,
                    _ => runs.push(SpanOfColumns { start: x, end: x + 1, class }),
                }
            }
            rows.push(runs.len());
        }
        let row_valid = set.bits.chunks(nx.max(1)).map(|row| row.iter().all(|b| b & DetectorSet::VALID != 0)).collect();
        Self { shape: set.shape, detectors: set.detectors, row_valid, rows, runs, classes }
    }

    fn runs_of_row(&self, y: usize) -> &[SpanOfColumns] {
        &self.runs[self.rows[y]..self.rows[y + 1]]
    }
}

/// The sums of each frame and the sum of the frames.
pub(super) fn virtual_detectors(frames: &CpuFrames, set: &CpuDetectorSet) -> BlockSums {
    with_pixel!(frames.stack.dtype, P => <P as Summed>::Sum::block::<P>(frames, set))
}

/// A pixel type with the type its sums are made in.
trait Summed: Pixel {
    type Sum: Sum;
    /// A type that holds the sum of 64 frames' pixels, or of a row's, exactly (or in floating point).
    type Partial: Copy + Default + Send + Sync + std::ops::AddAssign + std::ops::Add<Output = Self::Partial>;
    fn partial(self) -> Self::Partial;
    fn widen(partial: Self::Partial) -> Self::Sum;
}

macro_rules! summed {
    ($pixel:ty, $partial:ty, $sum:ty) => {
        impl Summed for $pixel {
            type Sum = $sum;
            type Partial = $partial;
            #[inline(always)]
            fn partial(self) -> $partial {
                <$partial>::from(self)
            }
            #[inline(always)]
            fn widen(partial: $partial) -> $sum {
                <$sum>::from(partial)
            }
        }
    };
}
summed!(u8, u32, u64);
summed!(u16, u32, u64);
summed!(u32, u64, u64);
summed!(f32, f64, f64);

/// The type of a finished sum.
trait Sum: Copy + Default + Send + Sync + std::ops::AddAssign + std::ops::Mul<Output = Self> {
    fn index(i: usize) -> Self;
    fn totals(sums: Vec<Self>) -> Totals;

    /// The whole kernel for pixels of type `P`.
    fn block<P: Summed<Sum = Self>>(frames: &CpuFrames, set: &CpuDetectorSet) -> BlockSums {
        let (pixels, width) = (set.shape[0] * set.shape[1], set.detectors + 3);
        let mut sums = vec![Self::default(); frames.len() * width];
        let groups: Vec<Vec<P::Partial>> = sums
            .par_chunks_mut(GROUP * width)
            .enumerate()
            .map(|(g, sums)| {
                let mut pattern = vec![P::Partial::default(); pixels];
                let mut columns = vec![P::Partial::default(); set.shape[1]];
                let mut classes = vec![Self::default(); set.classes.len()];
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        for (k, sums) in sums.chunks_exact_mut(width).enumerate() {
                            sum_frame::<P>(frames.frame(g * GROUP + k), set, &mut pattern, &mut columns, &mut classes, sums);
                        }
                    },
                );
                pattern
            })
            .collect();
        let mut pattern = vec![Self::default(); pixels];
        for group in &groups {
            for (total, &part) in pattern.iter_mut().zip(group) {
                *total += P::widen(part);
            }
        }
        BlockSums { frames: Self::totals(sums), pattern: Self::totals(pattern) }
    }
}

impl Sum for u64 {
    fn index(i: usize) -> Self {
        i as u64
    }
    fn totals(sums: Vec<Self>) -> Totals {
        Totals::Integer(sums)
    }
}

impl Sum for f64 {
    fn index(i: usize) -> Self {
        i as f64
    }
    fn totals(sums: Vec<Self>) -> Totals {
        Totals::Float(sums)
    }
}

/// One frame: its sums over `set`'s detectors and moments into `sums`, its pixels added to `pattern`. `columns` and `classes` are work memory.
#[inline(always)]
fn sum_frame<P: Summed>(
    frame: &[u8],
    set: &CpuDetectorSet,
    pattern: &mut [P::Partial],
    columns: &mut [P::Partial],
    classes: &mut [P::Sum],
    sums: &mut [P::Sum],
) {
    let nx = set.shape[1];
    columns.fill(P::Partial::default());
    classes.fill(P::Sum::default());
    let [mut total, mut moment_y, mut moment_x] = [P::Sum::default(); 3];
    for (y, pattern) in pattern.chunks_exact_mut(nx).enumerate() {
        let row = row::<P>(frame, set.shape, y);
        if set.row_valid[y] {
            add_pixels(row, columns, pattern);
        } else {
            for run in set.runs_of_row(y).iter().filter(|run| set.classes[run.class] & DetectorSet::VALID != 0) {
                add_pixels(&row[run.start..run.end], &mut columns[run.start..run.end], &mut pattern[run.start..run.end]);
            }
        }
        let mut row_sum = P::Sum::default();
        for run in set.runs_of_row(y) {
            let sum = P::widen(row[run.start..run.end].iter().fold(P::Partial::default(), |a, &p| a + p.partial()));
            classes[run.class] += sum;
            if set.classes[run.class] & DetectorSet::VALID != 0 {
                row_sum += sum;
            }
        }
        total += row_sum;
        moment_y += row_sum * P::Sum::index(y);
    }
    for (x, &column) in columns.iter().enumerate() {
        moment_x += P::widen(column) * P::Sum::index(x);
    }
    for (d, sum) in sums[..set.detectors].iter_mut().enumerate() {
        *sum = P::Sum::default();
        for (&class, &class_sum) in set.classes.iter().zip(&*classes) {
            if class >> d & 1 != 0 {
                *sum += class_sum;
            }
        }
    }
    sums[set.detectors..].copy_from_slice(&[total, moment_y, moment_x]);
}

/// Adds a run of pixels to the sums of their columns and to the pattern.
#[inline(always)]
fn add_pixels<P: Summed>(pixels: &[P], columns: &mut [P::Partial], pattern: &mut [P::Partial]) {
    for ((column, pattern), &pixel) in columns.iter_mut().zip(pattern).zip(pixels) {
        let value = pixel.partial();
        *column += value;
        *pattern += value;
    }
}
