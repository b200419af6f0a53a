//! Kernel `gather_pixels`: some pixels of successive frames become scan windows, two of them in each.

use std::ops::Range;

use rayon::prelude::*;

use super::CpuFrames;
use super::bright_field::CpuBrightField;
use super::lanes::Scalar;
use super::pixel::{Pixel, row, with_pixel};
use super::planes::Planes;

/// Frames whose pixels are written together, so that whole cache lines are.
const TOGETHER: usize = 64;

/// Windows of one task.
const WINDOWS: usize = 32;

/// Writes the pixels' counts to the frames' places in the windows.
pub(super) fn gather_pixels<R: Scalar>(
    frames: &CpuFrames,
    first: usize,
    bright: &CpuBrightField<R>,
    pixels: Range<usize>,
    out: &mut Planes<R>,
) {
    with_pixel!(frames.stack.dtype, P => gather::<R, P>(frames, first, bright, &bright.plan.pixels[pixels], out));
}

fn gather<R: Scalar, P: Pixel>(frames: &CpuFrames, first: usize, bright: &CpuBrightField<R>, pixels: &[u32], out: &mut Planes<R>) {
    let (n, columns, shape) = (bright.plan.scan_len(), bright.plan.positions[1], bright.plan.frame_shape);
    let place = |frame: usize| (first + frame) / columns * bright.plan.scan[1] + (first + frame) % columns;
    let windows = pixels.len().div_ceil(2);
    let (re, im) = (&mut out.re[..windows * n], &mut out.im[..windows * n]);
    re.par_chunks_mut(n * WINDOWS).zip(im.par_chunks_mut(n * WINDOWS)).zip(pixels.par_chunks(2 * WINDOWS)).for_each(
        |((re, im), pixels)| {
            for start in (0..frames.len()).step_by(TOGETHER) {
                let group = start..(start + TOGETHER).min(frames.len());
                let mut bytes: [&[u8]; TOGETHER] = [&[]; TOGETHER];
                let mut places = [0; TOGETHER];
                for (k, frame) in group.clone().enumerate() {
                    (bytes[k], places[k]) = (frames.frame(frame), place(frame));
                }
                let (bytes, places) = (&bytes[..group.len()], &places[..group.len()]);
                for ((re, im), pair) in re.chunks_exact_mut(n).zip(im.chunks_exact_mut(n)).zip(pixels.chunks(2)) {
                    for (part, pixel) in [re, im].into_iter().zip([pair.first(), pair.get(1)]) {
                        let Some(&pixel) = pixel else {
                            places.iter().for_each(|&p| part[p] = R::zero());
                            continue;
                        };
                        let (y, x) = (pixel as usize / shape[1], pixel as usize % shape[1]);
                        for (frame, &p) in bytes.iter().zip(places) {
                            part[p] = row::<P>(frame, shape, y)[x].real();
                        }
                    }
                }
            }
        },
    );
}
