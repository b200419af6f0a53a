//! Kernels `adam_object` and `adam_probe`: steps along a mean gradient, each number's measured by its own mean size.

use rayon::prelude::*;

use super::lanes::Scalar;
use super::planes::{Part, PartMut, Planes};
use super::{Cpu, CpuBatch};
use crate::compute::{AdamMoments, AdamStep, TILE, Update};

/// In the touched tiles.
pub(super) fn adam_object<R: Scalar>(
    object: &mut Planes<R>,
    update: &Update<Cpu<R>>,
    moments: &mut AdamMoments<Cpu<R>>,
    step: &AdamStep,
    batch: &CpuBatch<R>,
) {
    let (width, origins, peak) = (batch.plan.object_shape[1], &batch.plan.tiles.origins, update.peak[0]);
    if peak <= R::zero() {
        return;
    }
    let strip = TILE * width;
    let object = object.re.par_chunks_mut(strip).zip(object.im.par_chunks_mut(strip));
    let first = moments.first.re.par_chunks_mut(strip).zip(moments.first.im.par_chunks_mut(strip));
    object.zip(first).zip(moments.second.par_chunks_mut(strip)).enumerate().for_each(|(s, (((re, im), (m_re, m_im)), second))| {
        let first_row = (s * TILE) as u32;
        let begin = origins.partition_point(|o| o[0] < first_row);
        for [_, col] in origins[begin..].iter().take_while(|o| o[0] == first_row) {
            let (col, end) = (*col as usize, (*col as usize + TILE).min(width));
            for y in 0..second.len() / width {
                let (row, place) = (y * width + col..y * width + end, s * strip + y * width);
                let x = PartMut { re: &mut re[row.clone()], im: &mut im[row.clone()] };
                let m = PartMut { re: &mut m_re[row.clone()], im: &mut m_im[row.clone()] };
                adam(x, update.numerator.part(place + col..place + end), m, &mut second[row], peak, step);
            }
        }
    });
}

pub(super) fn adam_probe<R: Scalar>(
    probe_hat: &mut Planes<R>,
    update: &Update<Cpu<R>>,
    moments: &mut AdamMoments<Cpu<R>>,
    step: &AdamStep,
) {
    let (peak, n) = (update.peak[0], probe_hat.re.len());
    if peak > R::zero() {
        let first = moments.first.part_mut(0..n);
        adam(probe_hat.part_mut(0..n), update.numerator.part(0..n), first, &mut moments.second, peak, step);
    }
}

fn adam<R: Scalar>(x: PartMut<R>, numerator: Part<R>, first: PartMut<R>, second: &mut [R], peak: R, step: &AdamStep) {
    let [b1, b2, length, correction, epsilon] = [step.b1, step.b2, step.length, step.correction, step.epsilon].map(R::of);
    let numbers = x.re.iter_mut().zip(x.im).zip(first.re.iter_mut().zip(first.im)).zip(second);
    for ((((re, im), (m_re, m_im)), v), (n_re, n_im)) in numbers.zip(numerator.re.iter().zip(numerator.im)) {
        let (g_re, g_im) = (*n_re / peak, *n_im / peak);
        *m_re = b1 * *m_re + (R::one() - b1) * g_re;
        *m_im = b1 * *m_im + (R::one() - b1) * g_im;
        *v = b2 * *v + (R::one() - b2) * (g_re * g_re + g_im * g_im);
        let factor = length / ((*v * correction).sqrt() + epsilon);
        *re += factor * *m_re;
        *im += factor * *m_im;
    }
}
