//! Frames of another size made from those of a source: with dark pixels around them, and pixels added up to larger ones.

use super::{CubeInfo, FrameSource, Result, check_request};
use crate::compute::{HostFrames, SampleType};

/// Frames with `pad` dark pixels on each side, of which `bin` × `bin` pixels are then added up to one; what is left at the far edges is dropped.
///
/// Sums are handed on in a type that holds them: those of u8 as u16, of u16 as u32. What u32 does not hold becomes its largest number.
pub struct Resized {
    source: Box<dyn FrameSource>,
    info: CubeInfo,
    pad: usize,
    bin: usize,
}

/// Sums of up to so many pixels a side of u8 fit u16, and of u16 u32.
pub const MOST_BINNED: usize = 16;

impl Resized {
    /// # Panics
    /// If `bin` is 0 or beyond [`MOST_BINNED`], or larger than the padded frame.
    pub fn new(source: Box<dyn FrameSource>, pad: usize, bin: usize) -> Self {
        assert!((1..=MOST_BINNED).contains(&bin), "1 to {MOST_BINNED} pixels become one");
        let of = source.info();
        let frame_shape = of.frame_shape.map(|n| (n + 2 * pad) / bin);
        assert!(frame_shape.iter().all(|&n| n > 0), "frames keep a pixel");
        let dtype = match (of.dtype, bin) {
            (same, 1) => same,
            (SampleType::U8, _) => SampleType::U16,
            (SampleType::U16 | SampleType::U32, _) => SampleType::U32,
            (SampleType::F32, _) => SampleType::F32,
        };
        let info = CubeInfo { frame_shape, dtype, ..of.clone() };
        Self { source, info, pad, bin }
    }

    /// Which pixels of a resized frame count, row-major, where `valid` says so of the source's: those of which all pixels do. Padding does not.
    pub fn valid(shape: [usize; 2], valid: Option<&[bool]>, pad: usize, bin: usize) -> Option<Vec<bool>> {
        if valid.is_none() && pad == 0 {
            return None;
        }
        let [ny, nx] = shape.map(|n| (n + 2 * pad) / bin);
        let counts = |p: usize| {
            let (y, x) = (p / nx * bin, p % nx * bin);
            let mut pixels = (0..bin * bin).map(|k| [y + k / bin, x + k % bin]);
            pixels.all(|[y, x]| {
                let inside = (pad..pad + shape[0]).contains(&y) && (pad..pad + shape[1]).contains(&x);
                inside && valid.is_none_or(|valid| valid[(y - pad) * shape[1] + x - pad])
            })
        };
        Some((0..ny * nx).map(counts).collect())
    }

    /// Where a place (y, x) of a source's frame lies in a resized one.
    pub fn place_px(place: [f64; 2], pad: usize, bin: usize) -> [f64; 2] {
        place.map(|c| (c + pad as f64 + 0.5) / bin as f64 - 0.5)
    }
}

impl FrameSource for Resized {
    fn info(&self) -> &CubeInfo {
        &self.info
    }

    fn read(&self, first: usize, count: usize, out: &mut HostFrames, at: usize) -> Result<()> {
        check_request(&self.info, first, count, out, at)?;
        let of = self.source.info();
        let mut frames = HostFrames::zeros(of.dtype, of.frame_shape, count);
        self.source.read(first, count, &mut frames, 0)?;
        let ([ny, nx], [height, width]) = (of.frame_shape, self.info.frame_shape);
        let (from_row, to_row) = (4 * HostFrames::row_words(of.dtype, nx), 4 * HostFrames::row_words(self.info.dtype, width));
        let mut sums = vec![0.0; width];
        for frame in 0..count {
            let from = frames.frame_bytes(frame);
            for (y, to) in out.frame_bytes_mut(at + frame).chunks_exact_mut(to_row).take(height).enumerate() {
                sums.fill(0.0);
                for row in (y * self.bin..(y + 1) * self.bin).filter_map(|y| y.checked_sub(self.pad)).filter(|&y| y < ny) {
                    self.add_row(&from[row * from_row..][..nx * of.dtype.bytes()], of.dtype, &mut sums);
                }
                put_row(&sums, self.info.dtype, &mut to[..width * self.info.dtype.bytes()]);
            }
        }
        Ok(())
    }

    fn preferred_run(&self) -> usize {
        self.source.preferred_run()
    }
}

impl Resized {
    /// Adds a row of the source's pixels to the sums that they belong to.
    fn add_row(&self, row: &[u8], dtype: SampleType, sums: &mut [f64]) {
        let mut add = |x: usize, value: f64| {
            if let Some(sum) = sums.get_mut((x + self.pad) / self.bin) {
                *sum += value;
            }
        };
        match dtype {
            SampleType::U8 => row.iter().enumerate().for_each(|(x, &v)| add(x, f64::from(v))),
            SampleType::U16 => bytemuck::cast_slice::<u8, u16>(row).iter().enumerate().for_each(|(x, &v)| add(x, f64::from(v))),
            SampleType::U32 => bytemuck::cast_slice::<u8, u32>(row).iter().enumerate().for_each(|(x, &v)| add(x, f64::from(v))),
            SampleType::F32 => bytemuck::cast_slice::<u8, f32>(row).iter().enumerate().for_each(|(x, &v)| add(x, f64::from(v))),
        }
    }
}

/// Writes sums as samples; beyond a type's range its largest number.
fn put_row(sums: &[f64], dtype: SampleType, row: &mut [u8]) {
    match dtype {
        SampleType::U8 => row.iter_mut().zip(sums).for_each(|(to, &v)| *to = v as u8),
        SampleType::U16 => bytemuck::cast_slice_mut::<u8, u16>(row).iter_mut().zip(sums).for_each(|(to, &v)| *to = v as u16),
        SampleType::U32 => bytemuck::cast_slice_mut::<u8, u32>(row).iter_mut().zip(sums).for_each(|(to, &v)| *to = v as u32),
        SampleType::F32 => bytemuck::cast_slice_mut::<u8, f32>(row).iter_mut().zip(sums).for_each(|(to, &v)| *to = v as f32),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::Calibration;

    /// Frames whose pixels count up from one to the next.
    struct Counting(CubeInfo);

    fn counting(dtype: SampleType, frame_shape: [usize; 2], frames: usize) -> Counting {
        Counting(CubeInfo {
            path: "counting".into(),
            format: String::new(),
            dataset: String::new(),
            stored_shape: Vec::new(),
            scan_shape: [1, frames],
            frame_shape,
            stored_dtype: String::new(),
            dtype,
            chunks: None,
            filters: Vec::new(),
            calibration: Calibration::default(),
        })
    }

    fn value(dtype: SampleType, pixel: usize) -> f64 {
        let scale = match dtype {
            SampleType::U8 => 1.0,
            SampleType::U16 => 200.0,
            SampleType::U32 => 1e5,
            SampleType::F32 => -0.5,
        };
        (pixel * 37 % 251) as f64 * scale
    }

    impl FrameSource for Counting {
        fn info(&self) -> &CubeInfo {
            &self.0
        }

        fn read(&self, first: usize, count: usize, out: &mut HostFrames, at: usize) -> Result<()> {
            let ([ny, nx], dtype) = (out.shape, out.dtype);
            let row_bytes = 4 * HostFrames::row_words(dtype, nx);
            for frame in 0..count {
                for (y, row) in out.frame_bytes_mut(at + frame).chunks_exact_mut(row_bytes).enumerate() {
                    let values: Vec<f64> = (0..nx).map(|x| value(dtype, ((first + frame) * ny + y) * nx + x)).collect();
                    put_row(&values, dtype, &mut row[..nx * dtype.bytes()]);
                }
            }
            Ok(())
        }

        fn preferred_run(&self) -> usize {
            1
        }
    }

    fn sample(frames: &HostFrames, frame: usize, y: usize, x: usize) -> f64 {
        let row = &frames.frame_bytes(frame)[4 * HostFrames::row_words(frames.dtype, frames.shape[1]) * y..];
        match frames.dtype {
            SampleType::U8 => f64::from(row[x]),
            SampleType::U16 => f64::from(u16::from_le_bytes([row[2 * x], row[2 * x + 1]])),
            SampleType::U32 => f64::from(u32::from_le_bytes(row[4 * x..4 * x + 4].try_into().unwrap())),
            SampleType::F32 => f64::from(f32::from_le_bytes(row[4 * x..4 * x + 4].try_into().unwrap())),
        }
    }

    proptest! {
        #[test]
        fn a_pixel_is_the_sum_of_those_it_is_made_of_and_padding_is_dark(
            ny in 1usize..20, nx in 1usize..20, pad in 0usize..5, bin in 1usize..5, which in 0usize..4, skip in 0usize..2,
        ) {
            prop_assume!(ny + 2 * pad >= bin && nx + 2 * pad >= bin);
            let dtype = [SampleType::U8, SampleType::U16, SampleType::U32, SampleType::F32][which];
            let resized = Resized::new(Box::new(counting(dtype, [ny, nx], 3)), pad, bin);
            let [height, width] = resized.info().frame_shape;
            let mut out = HostFrames::zeros(resized.info().dtype, [height, width], 4);
            resized.read(skip, 2, &mut out, 1).unwrap();
            let valid = Resized::valid([ny, nx], None, pad, bin);
            for frame in 0..2 {
                for y in 0..height {
                    for x in 0..width {
                        let inside: Vec<f64> = (0..bin * bin)
                            .map(|k| (y * bin + k / bin, x * bin + k % bin))
                            .filter(|&(y, x)| y >= pad && y < pad + ny && x >= pad && x < pad + nx)
                            .map(|(y, x)| value(dtype, ((skip + frame) * ny + y - pad) * nx + x - pad))
                            .collect();
                        prop_assert_eq!(sample(&out, 1 + frame, y, x), inside.iter().sum::<f64>());
                        let counts = valid.as_ref().is_none_or(|v| v[y * width + x]);
                        prop_assert_eq!(counts, pad == 0 || inside.len() == bin * bin);
                    }
                }
            }
        }
    }

    #[test]
    fn the_middle_of_a_frame_stays_the_middle() {
        for (pad, bin) in [(0, 1), (0, 2), (3, 1), (2, 4)] {
            let place = Resized::place_px([15.5, 7.5], pad, bin);
            let shape = [32, 16].map(|n| (n + 2 * pad) / bin);
            assert_eq!(place, shape.map(|n| (n as f64 - 1.0) / 2.0));
        }
    }
}
