//! The coarse verb of simulations fused pattern by pattern, so that a wave stays in one core's cache on its way through the slices.

use pulp::Arch;
use rayon::prelude::*;

use super::exit_wave::multiply_window;
use super::expose::expose_window;
use super::fft2::Fft2;
use super::lanes::Scalar;
use super::planes::Planes;
use super::propagate::propagate_window;
use super::shift_probe::shift_mode;
use super::{Cpu, CpuBatch};
use crate::compute::{Direction, Exposure, Model, Sensor};

/// [`crate::compute::Backend::diffract`]; the transforms' scales ride on the products beside them.
pub(super) fn diffract<R: Scalar>(
    fft: &Fft2<R>,
    batch: &CpuBatch<R>,
    model: &Model<Cpu<R>>,
    sensor: &Sensor<Cpu<R>>,
    exposure: Exposure,
    out: &mut [R],
) {
    let (n, slices, modes, arch) = (batch.window_len(), model.object.len(), model.shape.modes, Arch::new());
    let way = if slices > 1 { fft.in_registers(model.propagator.window(n, 0)) } else { None };
    let pixels = sensor.frame[0] * sensor.frame[1];
    out.par_chunks_exact_mut(pixels).take(batch.plan.len()).enumerate().for_each_init(
        || (fft.scratch(), Planes::zeros(2 * n), vec![R::zero(); sensor.frame[1]]),
        |(scratch, waves, row), (b, frame)| {
            for m in 0..modes {
                let [mut here, mut next] = [0, 1];
                let target = waves.window_mut(n, here);
                arch.dispatch(
                    #[inline(always)]
                    move || shift_mode(&model.probe_hat, modes, m, batch, b, fft.unitary, target),
                );
                fft.window(waves.window_mut(n, here), Direction::Inverse, scratch);
                for (s, slice) in model.object.iter().enumerate() {
                    let last = s + 1 == slices;
                    // The transform there and back is scaled in one product, the last one here.
                    let scale = if last { fft.unitary } else { fft.unitary * fft.unitary };
                    let (from, mut to) = waves.two_windows(n, here, next);
                    let target = to.reborrow();
                    arch.dispatch(
                        #[inline(always)]
                        move || multiply_window(from, slice, batch, b, scale, target),
                    );
                    if last {
                        fft.window(to, Direction::Forward, scratch);
                    } else if let Some(way) = &way {
                        fft.through(to, way, false, scratch);
                    } else {
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
                let (wave, row, frame) = (waves.window(n, here), &mut row[..], &mut frame[..]);
                let exposure = Exposure { fresh: exposure.fresh && m == 0, ..exposure };
                arch.dispatch(
                    #[inline(always)]
                    move || expose_window(wave, batch.plan.window, sensor, exposure, row, frame),
                );
            }
        },
    );
}
