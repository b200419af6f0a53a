//! The coarse verb of ptychography with everything between two transforms done where they end, on lines in workgroup memory.
//!
//! A transform forward is one along rows, then one along columns, and the other way round back. So waves wait between two dispatches in (y, kx), half of the way, and are read and written
//! once a dispatch: rows go to real space, through a slice, and on; columns go to reciprocal space, to the next slice or into the comparison with the pattern, and back.
//! What the detector's spread, the propagator's refinement or tilts of single positions need of whole spectra is done by the kernels that do it elsewhere.

use super::kernels::exit_rows::exit_rows;
use super::kernels::fft2::fft_axis;
use super::kernels::gradient_rows::gradient_rows;
use super::kernels::lines::{Axis, Plan};
use super::kernels::object_sum::object_sum;
use super::kernels::probe_columns::probe_columns;
use super::kernels::probe_sum_columns::probe_sum_columns;
use super::kernels::propagate_columns::propagate_columns;
use super::kernels::residual_columns::residual_columns;
use super::{Gpu, GpuBatch, GpuComplexes, GpuReals};
use crate::compute::{
    Backend, DeviceBlock, Direction, Exposure, Gradients, KernelWork, Likelihood, Model, ModelShape, Result, Sensor, Wanted, WavePair,
    diffract_of_kernels,
};

/// Work memory of the GPU's coarse verb.
pub enum GpuWork {
    Fused(Box<FusedWork>),
    /// Where the lines of a window do not fit into the device's workgroup memory.
    Kernels(KernelWork<Gpu>),
}

/// The work arrays of a batch: stacks of (batch, mode, y, x).
pub struct FusedWork {
    plan: Plan,
    /// The waves that fall on each slice, in (y, kx).
    incident: Vec<GpuComplexes>,
    waves: GpuComplexes,
    /// (batch, y, x): ψ*Δψ and |ψ|² of a slice, summed over modes.
    products: GpuComplexes,
    powers: GpuReals,
    /// What each workgroup adds to a pattern's metrics.
    parts: GpuComplexes,
    /// (group, mode and variation, ky, kx): what groups of positions add to the probe's numerator.
    sums: GpuComplexes,
}

impl GpuWork {
    /// For batches of up to `batch` positions.
    pub(super) fn new(gpu: &Gpu, shape: &ModelShape, batch: usize) -> Result<Self> {
        let Some(plan) = Plan::new(gpu.device.limits().max_compute_workgroup_storage_size, shape.window, shape.modes) else {
            return KernelWork::new(gpu, shape, batch).map(Self::Kernels);
        };
        let (len, windows) = (batch * shape.modes * shape.pixels(), batch * shape.pixels());
        Ok(Self::Fused(Box::new(FusedWork {
            incident: (0..shape.slices).map(|_| gpu.complex_zeros(len)).collect::<Result<_>>()?,
            waves: gpu.complex_zeros(len)?,
            products: gpu.complex_zeros(windows)?,
            powers: gpu.real_zeros(windows)?,
            parts: gpu.complex_zeros(batch * plan.parts(shape.window))?,
            sums: gpu.complex_zeros(plan.sums(batch) * shape.probe_len())?,
            plan,
        })))
    }
}

/// [`Backend::diffract`].
pub(super) fn diffract(
    gpu: &Gpu,
    batch: &GpuBatch,
    model: &Model<Gpu>,
    sensor: &Sensor<Gpu>,
    exposure: Exposure,
    waves: &mut WavePair<Gpu>,
    out: &mut GpuReals,
) -> Result<()> {
    let ModelShape { modes, window, .. } = model.shape;
    let windows = modes * batch.len;
    let Gpu { device, transforms } = gpu;
    let Some(plan) = Plan::new(device.limits().max_compute_workgroup_storage_size, window, modes) else {
        return diffract_of_kernels(gpu, batch, model, sensor, exposure, waves, out);
    };
    let WavePair(here, next) = waves;
    probe_columns(device, transforms, &plan.columns, &model.probe_hat, modes, batch, here)?;
    for (s, slice) in model.object.iter().enumerate() {
        exit_rows(device, transforms, &plan.rows, here, slice, modes, batch, next)?;
        std::mem::swap(here, next);
        if s + 1 < model.object.len() {
            propagate_columns(device, transforms, &plan.columns, here, &model.propagator, window, windows, false)?;
        }
    }
    fft_axis(device, transforms, here, window, windows, Direction::Forward, Axis::Columns)?;
    gpu.expose(here, modes, sensor, batch, exposure, out)
}

/// [`Backend::gradients`].
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
pub(super) fn gradients(
    gpu: &Gpu,
    batch: &GpuBatch,
    block: &DeviceBlock<Gpu>,
    model: &Model<Gpu>,
    likelihood: Likelihood,
    wanted: Wanted,
    work: &mut FusedWork,
    out: &mut Gradients<Gpu>,
) -> Result<()> {
    let ModelShape { modes, slices, window, .. } = model.shape;
    let windows = modes * batch.len;
    let Gpu { device, transforms } = gpu;
    let FusedWork { plan, incident, waves, products, powers, parts, sums } = work;
    let columns = |x: &mut GpuComplexes, direction| fft_axis(device, transforms, x, window, windows, direction, Axis::Columns);

    probe_columns(device, transforms, &plan.columns, &model.probe_hat, modes, batch, &mut incident[0])?;
    for s in 0..slices {
        let (here, behind) = incident.split_at_mut(s + 1);
        let last = behind.is_empty();
        let next = behind.first_mut().unwrap_or(waves);
        exit_rows(device, transforms, &plan.rows, &here[s], &model.object[s], modes, batch, next)?;
        if !last && batch.tilts.is_some() {
            columns(next, Direction::Forward)?;
            gpu.propagate(next, &model.propagator, windows, false)?;
            gpu.tilt_waves(next, modes, batch, false)?;
            columns(next, Direction::Inverse)?;
        } else if !last {
            propagate_columns(device, transforms, &plan.columns, next, &model.propagator, window, windows, false)?;
        }
    }
    if model.detector.spread.is_none() {
        let (lines, keep) = (&plan.residual, plan.keep);
        let (frames, detector, floor, only) = (&block.frames.0, &model.detector, model.floor, wanted.metrics_only);
        let metrics = &mut out.metrics;
        residual_columns(
            device,
            transforms,
            (lines, keep),
            waves,
            modes,
            frames,
            detector,
            likelihood,
            floor,
            only,
            batch,
            parts,
            metrics,
        )?;
    } else {
        columns(waves, Direction::Forward)?;
        gpu.residual(waves, modes, &block.frames, &model.detector, likelihood, model.floor, batch, &mut out.metrics)?;
        if !wanted.metrics_only {
            columns(waves, Direction::Inverse)?;
        }
    }
    if wanted.metrics_only {
        return Ok(());
    }
    let to_probe = wanted.probe || wanted.moments;
    let mut fresh = !wanted.add_propagator;
    for s in (0..slices).rev() {
        let (here, object, back) = (&mut incident[s], &model.object[s], s > 0 || to_probe);
        gradient_rows(device, transforms, &plan.gradient, waves, here, object, modes, back, batch, (products, powers))?;
        object_sum(device, products, powers, batch, !wanted.add, &mut out.object[s])?;
        if s == 0 {
            break;
        }
        if wanted.propagator || wanted.tilts || batch.tilts.is_some() {
            columns(waves, Direction::Forward)?;
            if wanted.propagator || wanted.tilts {
                columns(here, Direction::Forward)?;
            }
            if wanted.propagator {
                gpu.propagator_sums(here, waves, windows, fresh, &mut out.propagator)?;
                fresh = false;
            }
            if wanted.tilts {
                gpu.tilt_moments(here, waves, modes, batch, s + 1 == slices, &mut out.tilts)?;
            }
            gpu.tilt_waves(waves, modes, batch, true)?;
            gpu.propagate(waves, &model.propagator, windows, true)?;
            columns(waves, Direction::Inverse)?;
        } else {
            propagate_columns(device, transforms, &plan.columns, waves, &model.propagator, window, windows, true)?;
        }
    }
    if wanted.moments {
        // They are those of each position's whole spectrum.
        columns(waves, Direction::Forward)?;
        gpu.moments(&model.probe_hat, waves, modes, batch, &mut out.moments)?;
    }
    if wanted.probe {
        let (fresh, numerator) = (!wanted.add, &mut out.probe.numerator);
        if wanted.moments {
            gpu.probe_sum(waves, modes, batch, fresh, numerator)?;
        } else {
            probe_sum_columns(device, transforms, &plan.probe, waves, modes, batch, fresh, sums, numerator)?;
        }
        gpu.object_power(&model.object[0], batch, fresh, &mut out.probe.denominator, &mut out.probe.peak)?;
    }
    Ok(())
}
