//! Kernel `tilt_moments`: the derivatives of a pattern's misfit by a shift from slice to slice.

use rayon::prelude::*;

use super::CpuBatch;
use super::lanes::Scalar;
use super::moments::{angular_frequencies, moments_of_window};
use super::planes::{Part, Planes};

/// See [`crate::compute::Backend::tilt_moments`].
pub(super) fn tilt_moments<R: Scalar>(
    spectra: &Planes<R>,
    gradients: &Planes<R>,
    modes: usize,
    batch: &CpuBatch<R>,
    fresh: bool,
    out: &mut [R],
) {
    let (n, along) = (batch.window_len(), Along::new(batch.plan.window));
    let sums: Vec<[R; 2]> = (0..batch.plan.len())
        .into_par_iter()
        .map(|b| {
            let of_modes = (b * modes..(b + 1) * modes).map(|w| along.of_window(spectra.window(n, w), gradients.window(n, w)));
            of_modes.fold([R::zero(); 2], |sum, of| [sum[0] + of[0], sum[1] + of[1]])
        })
        .collect();
    store(&sums, batch, fresh, out);
}

/// Puts the moments of each position at its pattern's place, or adds them to what is there.
pub(super) fn store<R: Scalar>(sums: &[[R; 2]], batch: &CpuBatch<R>, fresh: bool, out: &mut [R]) {
    for (&id, sum) in batch.plan.ids.iter().zip(sums) {
        for (out, sum) in out[2 * id as usize..][..2].iter_mut().zip(sum) {
            *out = if fresh { *sum } else { *out + *sum };
        }
    }
}

/// What the moments of windows need.
pub(super) struct Along<R: Scalar> {
    pub(super) frequencies: [Vec<R>; 2],
    /// Spectra are shifted already: ramps of 1.
    ramps: [Planes<R>; 2],
}

impl<R: Scalar> Along<R> {
    pub(super) fn new(window: [usize; 2]) -> Self {
        Self { frequencies: angular_frequencies(window), ramps: window.map(|n| Planes::from_complex(&vec![1.0.into(); n])) }
    }

    /// One mode of one position.
    #[inline(always)]
    pub(super) fn of_window(&self, spectrum: Part<R>, gradient: Part<R>) -> [R; 2] {
        let [ny, nx] = [0, 1].map(|axis| self.frequencies[axis].len());
        let ramps = (self.ramps[0].window(ny, 0), self.ramps[1].window(nx, 0));
        let [_, y, x] = moments_of_window(spectrum, gradient, ramps, &self.frequencies);
        [y, x]
    }
}
