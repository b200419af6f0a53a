//! Kernel `propagate`: spectra on their way to the next slice, or back.

use rayon::prelude::*;

use super::lanes::Scalar;
use super::planes::{Part, PartMut, Planes};

/// The first `windows` spectra times the propagator, or times its conjugate.
pub(super) fn propagate<R: Scalar>(spectra: &mut Planes<R>, propagator: &Planes<R>, windows: usize, adjoint: bool) {
    let n = propagator.re.len();
    spectra.windows_mut(n, windows).for_each(|window| propagate_window(window, propagator.window(n, 0), R::one(), adjoint));
}

/// One window of the kernel, times `scale`.
#[inline(always)]
pub(super) fn propagate_window<R: Scalar>(wave: PartMut<R>, propagator: Part<R>, scale: R, adjoint: bool) {
    let sign = if adjoint { -scale } else { scale };
    for ((re, im), (hr, hi)) in wave.re.iter_mut().zip(wave.im).zip(propagator.re.iter().zip(propagator.im)) {
        let (hr, hi) = (*hr * scale, *hi * sign);
        (*re, *im) = (*re * hr - *im * hi, *re * hi + *im * hr);
    }
}
