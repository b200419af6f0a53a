//! Kernel `tilt_waves`: spectra between slices, shifted by each position's own tilt.

use super::CpuBatch;
use super::lanes::Scalar;
use super::planes::{Part, PartMut, Planes};
use rayon::prelude::*;

/// See [`crate::compute::Backend::tilt_waves`].
pub(super) fn tilt_waves<R: Scalar>(spectra: &mut Planes<R>, modes: usize, batch: &CpuBatch<R>, adjoint: bool) {
    if batch.plan.is_tilted() {
        let windows = spectra.windows_mut(batch.window_len(), modes * batch.plan.len());
        windows.enumerate().for_each(|(w, window)| tilt_window(window, batch.tilt_ramps(w / modes), adjoint));
    }
}

/// A window times its ramps, or times their conjugates.
#[inline(always)]
pub(super) fn tilt_window<R: Scalar>(wave: PartMut<R>, (ramp_y, ramp_x): (Part<R>, Part<R>), adjoint: bool) {
    let (nx, sign) = (ramp_x.re.len(), if adjoint { -R::one() } else { R::one() });
    for ((re, im), (yr, yi)) in wave.re.chunks_exact_mut(nx).zip(wave.im.chunks_exact_mut(nx)).zip(ramp_y.re.iter().zip(ramp_y.im)) {
        for ((re, im), (xr, xi)) in re.iter_mut().zip(im).zip(ramp_x.re.iter().zip(ramp_x.im)) {
            let (hr, hi) = (*yr * *xr - *yi * *xi, (*yr * *xi + *yi * *xr) * sign);
            (*re, *im) = (*re * hr - *im * hi, *re * hi + *im * hr);
        }
    }
}
