//! Kernel `propagator_sums`: what refines the way from slice to slice.

use rayon::prelude::*;

use super::Cpu;
use super::lanes::Scalar;
use super::planes::{Part, Planes};
use crate::compute::Update;

/// `numerator (+)= Σ_w φ̂*Δφ̂` and `denominator (+)= Σ_w |φ̂|²`, the windows in order.
pub(super) fn propagator_sums<R: Scalar>(
    spectra: &Planes<R>,
    gradients: &Planes<R>,
    windows: usize,
    fresh: bool,
    update: &mut Update<Cpu<R>>,
) {
    const ROW: usize = 256;
    let n = update.denominator.len();
    let (re, im) = (&mut update.numerator.re[..n], &mut update.numerator.im[..n]);
    re.par_chunks_mut(ROW).zip(im.par_chunks_mut(ROW)).zip(update.denominator.par_chunks_mut(ROW)).enumerate().for_each(
        |(chunk, ((re, im), denominator))| {
            if fresh {
                for sum in [&mut *re, &mut *im, &mut *denominator] {
                    sum.fill(R::zero());
                }
            }
            for w in 0..windows {
                let first = w * n + chunk * ROW;
                add(spectra.part(first..first + re.len()), gradients.part(first..first + re.len()), [re, im, denominator]);
            }
        },
    );
}

/// Adds φ̂*Δφ̂ and |φ̂|² of a part of a window.
#[inline(always)]
pub(super) fn add<R: Scalar>(f: Part<R>, d: Part<R>, [re, im, denominator]: [&mut [R]; 3]) {
    let inputs = f.re.iter().zip(f.im).zip(d.re.iter().zip(d.im));
    for (((re, im), den), ((fr, fi), (dr, di))) in re.iter_mut().zip(im).zip(denominator).zip(inputs) {
        *re += *fr * *dr + *fi * *di;
        *im += *fr * *di - *fi * *dr;
        *den += *fr * *fr + *fi * *fi;
    }
}
