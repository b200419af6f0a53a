//! Kernel `update_probe`: adds a pending update to the probe.

use super::Cpu;
use super::lanes::Scalar;
use super::planes::Planes;
use crate::compute::Update;

/// `probe_hat += step · gain · numerator / peak`.
pub(super) fn update_probe<R: Scalar>(probe_hat: &mut Planes<R>, update: &Update<Cpu<R>>, step: R) {
    let peak = update.peak[0];
    if peak <= R::zero() {
        return;
    }
    let factor = step * update.gain[0] / peak;
    probe_hat.re.iter_mut().zip(update.numerator.re.iter()).for_each(|(p, n)| *p += *n * factor);
    probe_hat.im.iter_mut().zip(update.numerator.im.iter()).for_each(|(p, n)| *p += *n * factor);
}
