//! The coarse verb of simulations fused pattern by pattern, so that a wave stays in one core's cache on its way through the slices.

use pulp::Arch;
use rayon::prelude::*;

use super::exit_wave::multiply_window;
use super::expose::expose_window;
use super::fft2::{Fft2, Scratch};
use super::lanes::Scalar;
use super::planes::Planes;
use super::propagate::propagate_window;
use super::shift_probe::shift_mode;
use super::through_slices::{Slices, Way, through_slices};
use super::{Cpu, CpuBatch};
use crate::compute::{Direction, Exposure, Model, Sensor};

/// Pieces of a batch for each thread.
const PIECES: usize = 4;

/// [`crate::compute::Backend::diffract`]; the transforms' scales ride on the products beside them.
pub(super) fn diffract<R: Scalar>(
    fft: &Fft2<R>,
    batch: &CpuBatch<R>,
    model: &Model<Cpu<R>>,
    sensor: &Sensor<Cpu<R>>,
    exposure: Exposure,
    out: &mut [R],
) {
    let (n, modes, arch) = (batch.window_len(), model.shape.modes, Arch::new());
    let way = if model.object.len() > 1 { Way::new(fft, model.propagator.window(n, 0)) } else { None };
    let way =
        way.map(|way| (Slices::new(&way, &model.object, batch.plan.object_shape[1], (0..batch.plan.len()).map(|b| batch.corner(b))), way));
    // The step by step way needs a second window.
    let windows = if way.is_some() { 1 } else { 2 };
    // Transforms there and back are scaled with the propagator, the two that are left with the probe, or step by step with the last slice.
    let scale = if way.is_some() { fft.unitary * fft.unitary } else { fft.unitary };
    let pixels = sensor.frame[0] * sensor.frame[1];
    // A piece of the batch has work memory of its own.
    let piece = batch.plan.len().div_ceil(PIECES * rayon::current_num_threads());
    out.par_chunks_exact_mut(pixels).take(batch.plan.len()).enumerate().with_min_len(piece).for_each_init(
        || (fft.scratch(), Planes::zeros(windows * n), vec![R::zero(); sensor.frame[1]], way.as_ref().map(|(_, way)| way.scratch())),
        |(scratch, waves, row, between), (b, frame)| {
            for m in 0..modes {
                let incident = waves.window_mut(n, 0);
                arch.dispatch(
                    #[inline(always)]
                    move || shift_mode(&model.probe_hat, modes, m, batch, b, scale, incident),
                );
                fft.window(waves.window_mut(n, 0), Direction::Inverse, scratch);
                let exit = if let (Some((slices, way)), Some(between)) = (&way, between.as_mut()) {
                    through_slices(waves.window_mut(n, 0), slices, batch.corner(b), way, between);
                    0
                } else {
                    step_by_step(fft, batch, b, model, waves, scratch)
                };
                fft.window(waves.window_mut(n, exit), Direction::Forward, scratch);
                let (wave, row, frame) = (waves.window(n, exit), &mut row[..], &mut frame[..]);
                let exposure = Exposure { fresh: exposure.fresh && m == 0, ..exposure };
                arch.dispatch(
                    #[inline(always)]
                    move || expose_window(wave, batch.plan.window, sensor, exposure, row, frame),
                );
            }
        },
    );
}

/// Takes the first of two windows through the slices in steps of their own, for windows of any size; returns in which one it ends.
fn step_by_step<R: Scalar>(
    fft: &Fft2<R>,
    batch: &CpuBatch<R>,
    b: usize,
    model: &Model<Cpu<R>>,
    waves: &mut Planes<R>,
    scratch: &mut Scratch<R>,
) -> usize {
    let (n, slices, arch) = (batch.window_len(), model.object.len(), Arch::new());
    let [mut here, mut next] = [0, 1];
    for (s, slice) in model.object.iter().enumerate() {
        let last = s + 1 == slices;
        let scale = if last { fft.unitary } else { fft.unitary * fft.unitary };
        let (from, mut to) = waves.two_windows(n, here, next);
        let target = to.reborrow();
        arch.dispatch(
            #[inline(always)]
            move || multiply_window(from, slice, batch, b, scale, target),
        );
        if !last {
            fft.window(to.reborrow(), Direction::Forward, scratch);
            let (spectrum, propagator) = (to.reborrow(), model.propagator.window(n, 0));
            arch.dispatch(
                #[inline(always)]
                move || propagate_window(spectrum, propagator, R::one(), false),
            );
            fft.window(to, Direction::Inverse, scratch);
        }
        std::mem::swap(&mut here, &mut next);
    }
    here
}
