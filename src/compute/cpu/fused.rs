//! The coarse verb fused pattern by pattern, so that a pattern's work stays in one core's cache.

use std::sync::{Mutex, PoisonError};

use pulp::Arch;
use rayon::prelude::*;

use super::aligned::Aligned;
use super::exit_wave::multiply_window;
use super::fft2::{Fft2, Scratch};
use super::lanes::Scalar;
use super::moments::{self, moments_of_position, moments_of_window};
use super::object_gradient::{Summed, add_products, gather};
use super::object_power::object_power;
use super::planes::{Part, PartMut, Planes};
use super::probe_gradient::gradient_window;
use super::probe_sum::probe_sum;
use super::propagate::propagate_window;
use super::propagator_sums;
use super::residual::{self, Comparison, residual_windows};
use super::shift_probe::shift_mode;
use super::tilt_moments::{self, Along};
use super::tilt_waves::tilt_window;
use super::{Cpu, CpuBatch};
use crate::compute::{DeviceBlock, Direction, Gradients, Likelihood, Model, ModelShape, Wanted};

/// Positions whose sums for the propagator are made together, in order: a fixed number, so that sums do not depend on threads.
const GROUP: usize = 8;

/// What a batch's positions add to slices and probe, each for itself, and the work memory of the threads.
pub struct CpuWork<R: Scalar> {
    /// Of each slice, (batch, y, x): Σ_m ψ*Δψ and Σ_m |ψ|².
    products: Vec<Planes<R>>,
    powers: Vec<Aligned<R>>,
    /// (batch, mode, ky, kx): the probe's gradients before they are shifted back.
    probes: Planes<R>,
    arenas: Mutex<Vec<Arena<R>>>,
}

/// The work memory of one pattern.
struct Arena<R: Scalar> {
    scratch: Scratch<R>,
    /// (slice, mode, y, x): the waves that fall on each slice.
    incident: Planes<R>,
    /// (mode, y, x).
    waves: Planes<R>,
    /// Of the comparison.
    intensity: Aligned<R>,
    /// A window where the propagator or tilts are refined.
    spectrum: Planes<R>,
}

impl<R: Scalar> CpuWork<R> {
    pub(super) fn new(shape: &ModelShape, batch: usize) -> Self {
        let n = shape.pixels();
        Self {
            products: (0..shape.slices).map(|_| Planes::zeros(batch * n)).collect(),
            powers: (0..shape.slices).map(|_| Aligned::zeros(batch * n)).collect(),
            probes: Planes::zeros(batch * shape.modes * n),
            arenas: Mutex::default(),
        }
    }
}

impl<R: Scalar> Arena<R> {
    fn new(fft: &Fft2<R>, shape: &ModelShape, spread: bool) -> Self {
        let n = shape.pixels();
        Self {
            scratch: fft.scratch(),
            incident: Planes::zeros(shape.slices * shape.modes * n),
            waves: Planes::zeros(shape.modes * n),
            intensity: Aligned::zeros(Comparison::<R>::work_len(spread, shape.modes, n)),
            spectrum: Planes::zeros(if shape.slices > 1 { n } else { 0 }),
        }
    }
}

/// An arena of the pool for as long as a thread needs one.
struct Lent<'a, R: Scalar> {
    pool: &'a Mutex<Vec<Arena<R>>>,
    arena: Option<Arena<R>>,
}

impl<R: Scalar> Drop for Lent<'_, R> {
    fn drop(&mut self) {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).extend(self.arena.take());
    }
}

/// What one position leaves behind.
struct Place<'a, R> {
    /// Of each slice.
    products: Vec<PartMut<'a, R>>,
    powers: Vec<&'a mut [R]>,
    /// (mode, ky, kx)
    probe: PartMut<'a, R>,
}

/// The sums of a position.
struct Sums<R> {
    metrics: [R; 2],
    /// Empty where they are not wanted.
    moments: Vec<R>,
    tilts: [R; 2],
}

/// What all positions share.
struct Shared<'a, R: Scalar> {
    fft: &'a Fft2<R>,
    batch: &'a CpuBatch<R>,
    block: &'a DeviceBlock<Cpu<R>>,
    model: &'a Model<Cpu<R>>,
    comparison: Comparison<'a, R>,
    wanted: Wanted,
    along: Along<R>,
    /// The propagator for [`Fft2::through`], where nothing is wanted of the spectra that it passes.
    way: Option<Planes<R>>,
}

/// What a group of positions leaves behind beside its windows.
type Group<R> = (Vec<Sums<R>>, Option<PropagatorSums<R>>);
/// Φ̂*ΔΦ̂ and |Φ̂|² of a group of positions.
type PropagatorSums<R> = (Planes<R>, Vec<R>);

/// [`crate::compute::Backend::gradients`]; the transforms' scales ride on the products beside them.
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
pub(super) fn gradients<R: Scalar>(
    fft: &Fft2<R>,
    batch: &CpuBatch<R>,
    block: &DeviceBlock<Cpu<R>>,
    model: &Model<Cpu<R>>,
    likelihood: Likelihood,
    wanted: Wanted,
    work: &mut CpuWork<R>,
    out: &mut Gradients<Cpu<R>>,
) {
    let (shape, n, count) = (&model.shape, batch.window_len(), batch.plan.len());
    let comparison = Comparison::new(&model.detector, likelihood, model.floor);
    let spread = !comparison.weights.is_empty();
    let several = shape.slices > 1 && !batch.plan.is_tilted();
    let way = if several { fft.in_registers(model.propagator.window(n, 0)) } else { None };
    let shared = Shared { fft, batch, block, model, comparison, wanted, along: Along::new(shape.window), way };
    let CpuWork { products, powers, probes, arenas } = work;
    let arenas: &Mutex<_> = arenas;
    let mut places = places(products, powers, probes, shape, count);
    let refine = wanted.propagator && shape.slices > 1 && !wanted.metrics_only;
    let groups: Vec<Group<R>> = places
        .par_chunks_mut(if refine { GROUP } else { 1 })
        .enumerate()
        .map_init(
            || {
                let kept = arenas.lock().unwrap_or_else(PoisonError::into_inner).pop();
                Lent { pool: arenas, arena: Some(kept.unwrap_or_else(|| Arena::new(fft, shape, spread))) }
            },
            |lent, (group, places)| {
                let mut propagator = refine.then(|| (Planes::zeros(n), vec![R::zero(); n]));
                let first = group * if refine { GROUP } else { 1 };
                let sums = match &mut lent.arena {
                    Some(arena) => places
                        .iter_mut()
                        .enumerate()
                        .map(|(i, place)| shared.position(first + i, place, arena, propagator.as_mut()))
                        .collect(),
                    None => Vec::new(),
                };
                (sums, propagator)
            },
        )
        .collect();
    drop(places);
    let sums = || groups.iter().flat_map(|(sums, _)| sums);
    residual::store(&sums().map(|s| s.metrics).collect::<Vec<_>>(), batch, &mut out.metrics);
    if wanted.metrics_only {
        return;
    }
    for ((products, powers), update) in products.iter().zip(powers.iter()).zip(&mut out.object) {
        gather(&Summed { products, powers, ny: shape.window[0] }, batch, !wanted.add, update);
    }
    if wanted.probe {
        probe_sum(probes, shape.modes, batch, !wanted.add, &mut out.probe.numerator);
        object_power(&model.object[0], batch, !wanted.add, &mut out.probe.denominator, &mut out.probe.peak);
    }
    if wanted.moments {
        moments::store(&sums().map(|s| s.moments.clone()).collect::<Vec<_>>(), batch, &mut out.moments);
    }
    if wanted.tilts {
        tilt_moments::store(&sums().map(|s| s.tilts).collect::<Vec<_>>(), batch, true, &mut out.tilts);
    }
    if refine {
        add_groups(groups.into_iter().filter_map(|(_, sums)| sums), R::one() / fft.unitary, !wanted.add_propagator, &mut out.propagator);
    }
}

/// The arrays of the work, position by position.
fn places<'a, R: Scalar>(
    products: &'a mut [Planes<R>],
    powers: &'a mut [Aligned<R>],
    probes: &'a mut Planes<R>,
    shape: &ModelShape,
    count: usize,
) -> Vec<Place<'a, R>> {
    let (n, probe) = (shape.pixels(), shape.pixels() * shape.modes);
    let mut places: Vec<Place<'a, R>> = probes
        .re
        .chunks_exact_mut(probe)
        .zip(probes.im.chunks_exact_mut(probe))
        .take(count)
        .map(|(re, im)| Place {
            products: Vec::with_capacity(shape.slices),
            powers: Vec::with_capacity(shape.slices),
            probe: PartMut { re, im },
        })
        .collect();
    for (products, powers) in products.iter_mut().zip(powers) {
        let windows = products.re.chunks_exact_mut(n).zip(products.im.chunks_exact_mut(n)).zip(powers.chunks_exact_mut(n));
        for (place, ((re, im), power)) in places.iter_mut().zip(windows) {
            place.products.push(PartMut { re, im });
            place.powers.push(power);
        }
    }
    places
}

/// Adds the groups in their order, their numerators times `scale`.
fn add_groups<R: Scalar>(groups: impl Iterator<Item = PropagatorSums<R>>, scale: R, fresh: bool, out: &mut crate::compute::Update<Cpu<R>>) {
    if fresh {
        out.numerator.re.fill(R::zero());
        out.numerator.im.fill(R::zero());
        out.denominator.fill(R::zero());
    }
    let add = |to: &mut [R], from: &[R], scale: R| to.iter_mut().zip(from).for_each(|(to, from)| *to += *from * scale);
    for (numerator, denominator) in groups {
        add(&mut out.numerator.re, &numerator.re, scale);
        add(&mut out.numerator.im, &numerator.im, scale);
        add(&mut out.denominator, &denominator, R::one());
    }
}

impl<R: Scalar> Shared<'_, R> {
    /// One position, from its probe to what it adds to everything.
    fn position(&self, b: usize, place: &mut Place<R>, arena: &mut Arena<R>, propagator: Option<&mut PropagatorSums<R>>) -> Sums<R> {
        let metrics = self.forward(b, arena);
        let mut sums = Sums { metrics, moments: Vec::new(), tilts: [R::zero(); 2] };
        if !self.wanted.metrics_only {
            sums.tilts = self.backward(b, place, arena, propagator);
            if self.wanted.moments {
                sums.moments = self.moments(b, place.probe.as_part());
            }
        }
        sums
    }

    /// Fills the arena with the waves that fall on each slice and with the residuals in reciprocal space.
    fn forward(&self, b: usize, arena: &mut Arena<R>) -> [R; 2] {
        let Self { fft, batch, model, .. } = *self;
        let ModelShape { modes, slices, .. } = model.shape;
        let (n, arch) = (batch.window_len(), Arch::new());
        let Arena { scratch, incident, waves, intensity, .. } = arena;
        for m in 0..modes {
            let mut probe = incident.window_mut(n, m);
            let target = probe.reborrow();
            arch.dispatch(
                #[inline(always)]
                move || shift_mode(&model.probe_hat, modes, m, batch, b, fft.unitary, target),
            );
            fft.window(probe, Direction::Inverse, scratch);
            for s in 0..slices {
                let last = s + 1 == slices;
                // The transform there and back is scaled in one product, the last one here.
                let scale = if last { fft.unitary } else { fft.unitary * fft.unitary };
                let (here, next) = incident.window_pair(n, s * modes + m, (s + 1) * modes + m);
                let mut wave = match next {
                    Some(next) if !last => next,
                    _ => waves.window_mut(n, m),
                };
                let target = wave.reborrow();
                arch.dispatch(
                    #[inline(always)]
                    move || multiply_window(here, &model.object[s], batch, b, scale, target),
                );
                if last {
                    fft.window(wave, Direction::Forward, scratch);
                } else if let Some(way) = &self.way {
                    fft.through(wave, way, false, scratch);
                } else {
                    fft.window(wave.reborrow(), Direction::Forward, scratch);
                    self.propagate(wave.reborrow(), b, false);
                    fft.window(wave, Direction::Inverse, scratch);
                }
            }
        }
        let (waves, frames, comparison) = (waves.part_mut(0..modes * n), &self.block.frames, &self.comparison);
        let intensity: &mut [R] = intensity;
        arch.dispatch(
            #[inline(always)]
            move || residual_windows(waves, frames, b, comparison, fft.unitary, intensity),
        )
    }

    /// A spectrum on its way to the next slice or back, shifted by its position's own tilt.
    fn propagate(&self, wave: PartMut<R>, b: usize, adjoint: bool) {
        let (batch, propagator) = (self.batch, self.model.propagator.window(self.batch.window_len(), 0));
        Arch::new().dispatch(
            #[inline(always)]
            move || {
                let mut wave = wave;
                propagate_window(wave.reborrow(), propagator, R::one(), adjoint);
                if batch.plan.is_tilted() {
                    tilt_window(wave, batch.tilt_ramps(b), adjoint);
                }
            },
        );
    }

    /// What the residuals of the arena add to each slice and to the probe; gives the moments of the position's tilt.
    fn backward(&self, b: usize, place: &mut Place<R>, arena: &mut Arena<R>, mut propagator: Option<&mut PropagatorSums<R>>) -> [R; 2] {
        let Self { fft, batch, model, wanted, .. } = *self;
        let ModelShape { modes, slices, .. } = model.shape;
        let (n, arch) = (batch.window_len(), Arch::new());
        let Arena { scratch, incident, waves, spectrum, .. } = arena;
        let to_probe = wanted.probe || wanted.moments;
        let mut tilts = [R::zero(); 2];
        for m in 0..modes {
            fft.window(waves.window_mut(n, m), Direction::Inverse, scratch);
        }
        // Slice by slice, so that what the modes add to one stays in the cache.
        for s in (0..slices).rev() {
            for m in 0..modes {
                let here = incident.window(n, s * modes + m);
                let mut wave = waves.window_mut(n, m);
                let sums = Collected { product: place.products[s].reborrow(), power: &mut *place.powers[s], first: m == 0 };
                if s == 0 {
                    let change = wave.as_part();
                    arch.dispatch(
                        #[inline(always)]
                        move || collect(here, change, sums),
                    );
                    if to_probe {
                        let mut gradient = place.probe.range(m * n..(m + 1) * n);
                        let target = gradient.reborrow();
                        arch.dispatch(
                            #[inline(always)]
                            move || gradient_window(change, &model.object[0], batch, b, fft.unitary, target),
                        );
                        fft.window(gradient, Direction::Forward, scratch);
                    }
                    continue;
                }
                let target = wave.reborrow();
                arch.dispatch(
                    #[inline(always)]
                    move || collect_and_conjugate(here, target, sums, &model.object[s], batch, b, fft.unitary * fft.unitary),
                );
                if let Some(way) = self.way.as_ref().filter(|_| propagator.is_none() && !wanted.tilts) {
                    fft.through(wave, way, true, scratch);
                    continue;
                }
                if propagator.is_some() || wanted.tilts {
                    let mut copy = spectrum.part_mut(0..n);
                    let scaled = |to: &mut [R], from: &[R]| to.iter_mut().zip(from).for_each(|(to, from)| *to = *from * fft.unitary);
                    scaled(copy.re, here.re);
                    scaled(copy.im, here.im);
                    fft.window(copy.reborrow(), Direction::Forward, scratch);
                }
                fft.window(wave.reborrow(), Direction::Forward, scratch);
                if let Some((numerator, denominator)) = propagator.as_deref_mut() {
                    // The second is too small by 1/√(ny·nx), which is made up for when all are added.
                    let (f, d, out) =
                        (spectrum.window(n, 0), wave.as_part(), [&mut *numerator.re, &mut *numerator.im, denominator.as_mut_slice()]);
                    arch.dispatch(
                        #[inline(always)]
                        move || propagator_sums::add(f, d, out),
                    );
                }
                if wanted.tilts {
                    let (f, d, along) = (spectrum.window(n, 0), wave.as_part(), &self.along);
                    let moments = arch.dispatch(
                        #[inline(always)]
                        move || along.of_window(f, d),
                    );
                    (0..2).for_each(|axis| tilts[axis] += moments[axis] / fft.unitary);
                }
                self.propagate(wave.reborrow(), b, true);
                fft.window(wave, Direction::Inverse, scratch);
            }
        }
        tilts
    }

    fn moments(&self, b: usize, gradients: Part<R>) -> Vec<R> {
        let (model, frequencies) = (self.model, &self.along.frequencies);
        moments_of_position(&model.probe_hat, gradients, model.shape.modes, self.batch, b, |probe, gradient, ramps| {
            Arch::new().dispatch(
                #[inline(always)]
                move || moments_of_window(probe, gradient, ramps, frequencies),
            )
        })
    }
}

/// ψ*Δψ and |ψ|² of a slice, to which the modes add theirs one after the other.
struct Collected<'a, R> {
    product: PartMut<'a, R>,
    power: &'a mut [R],
    /// The first mode's, which does not add to what is there.
    first: bool,
}

/// Adds a mode's.
#[inline(always)]
fn collect<R: Scalar>(incident: Part<R>, change: Part<R>, sums: Collected<R>) {
    let Collected { mut product, power, first } = sums;
    if first {
        product.re.fill(R::zero());
        product.im.fill(R::zero());
        power.fill(R::zero());
    }
    add_products(incident, change, product.reborrow(), power);
}

/// Adds a mode's, row by row, and Δψ becomes O*Δψ, times `scale`.
#[inline(always)]
fn collect_and_conjugate<R: Scalar>(
    incident: Part<R>,
    mut wave: PartMut<R>,
    mut sums: Collected<R>,
    object: &Planes<R>,
    batch: &CpuBatch<R>,
    b: usize,
    scale: R,
) {
    let [ny, nx] = batch.plan.window;
    for y in 0..ny {
        let row = y * nx..(y + 1) * nx;
        let (mut wave, o) = (wave.range(row.clone()), object.part(batch.object_row(b, y)));
        let of_row = Collected { product: sums.product.range(row.clone()), power: &mut sums.power[row.clone()], first: sums.first };
        collect(incident.range(row), wave.as_part(), of_row);
        let wave = wave.reborrow();
        for ((re, im), (or, oi)) in wave.re.iter_mut().zip(wave.im).zip(o.re.iter().zip(o.im)) {
            let (or, oi) = (*or * scale, *oi * scale);
            (*re, *im) = (or * *re + oi * *im, or * *im - oi * *re);
        }
    }
}
