//! Kernel `wiener`: the deconvolution of detector windows in reciprocal space, at the zero angle.

use pulp::Arch;
use rayon::prelude::*;

use super::lanes::Scalar;
use super::planes::Planes;

/// Running sums side by side, so that they fill the lanes of a register.
const SUMS: usize = 16;

/// `out[f] = Σ B*H/(|B|² + ε) / Σ |B|²/(|B|² + ε)`, 0 where the divisor is 0.
pub(super) fn wiener<R: Scalar>(patterns: &Planes<R>, overlaps: &Planes<R>, len: usize, count: usize, epsilon: R, out: &mut Planes<R>) {
    out.windows_mut(1, count).enumerate().for_each(|(f, out)| {
        let (h, b) = (patterns.window(len, f), overlaps.window(len, f));
        let mut sums = [[R::zero(); SUMS]; 3];
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for start in (0..len).step_by(SUMS) {
                    let span = start..(start + SUMS).min(len);
                    let numbers = h.re[span.clone()].iter().zip(&h.im[span.clone()]).zip(b.re[span.clone()].iter().zip(&b.im[span]));
                    let [re, im, weight] = &mut sums;
                    let sums = re.iter_mut().zip(im).zip(weight);
                    for (((re, im), weight), ((&hr, &hi), (&br, &bi))) in sums.zip(numbers) {
                        let power = br * br + bi * bi;
                        let factor = R::one() / (power + epsilon);
                        *re += (br * hr + bi * hi) * factor;
                        *im += (br * hi - bi * hr) * factor;
                        *weight += power * factor;
                    }
                }
            },
        );
        let [re, im, weight] = sums.map(|s| s.into_iter().sum::<R>());
        let divided = |x: R| if weight > R::zero() { x / weight } else { R::zero() };
        (out.re[0], out.im[0]) = (divided(re), divided(im));
    });
}
