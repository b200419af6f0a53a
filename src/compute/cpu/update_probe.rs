//! Kernel `update_probe`: adds a pending update to the probe.

use num_complex::Complex;

use super::Cpu;
use crate::compute::{Real, Update};

/// `probe_hat += step · numerator / peak`.
pub(super) fn update_probe<R: Real>(probe_hat: &mut [Complex<R>], update: &Update<Cpu<R>>, step: R) {
    let peak = update.peak[0];
    if peak <= R::zero() {
        return;
    }
    for (p, n) in probe_hat.iter_mut().zip(&update.numerator) {
        *p += n.scale(step / peak);
    }
}
