//! The difference map and RAAR: every pattern keeps its exit wave, and object and probe are what all of them agree on best.

use num_complex::Complex64;

use super::{Result, Rule};
use crate::compute::cpu::transformed;
use crate::compute::{
    Backend, DeviceBlock, Direction, Gradients, KernelWork, Likelihood, Model, ModelShape, Update, exit_waves_of_kernels,
};

/// Where less than this part of the largest power fell, object and probe rather stay as they are.
const FAINT: f64 = 1e-2;

/// The exit waves of all batches, which are the same ones in every iteration.
pub(super) struct Projections<B: Backend> {
    /// (position, mode, y, x) of each batch; none before its first turn.
    pub(super) waves: Vec<Option<B::Complexes>>,
    /// The batches that had their turn in this iteration.
    batches: Vec<B::Batch>,
    work: KernelWork<B>,
    /// The reflected waves of a batch.
    reflected: B::Complexes,
    /// Ψ becomes a·Ψ + b·Π_F(2Π_OΨ − Ψ) + c·Π_OΨ.
    relaxation: [f64; 3],
}

impl<B: Backend> Projections<B> {
    /// Of a rule that keeps waves, for `batches` batches of up to `batch` positions.
    pub(super) fn new(backend: &B, rule: Rule, shape: &ModelShape, batches: usize, batch: usize) -> Result<Self> {
        let relaxation = match rule {
            // Ψ + β(Π_F(2Π_O − 1) − Π_O)Ψ (Thibault et al., Science 321 (2008) 379).
            Rule::DifferenceMap { beta } => [1.0, beta, -beta],
            // β/2·(R_F R_O + 1)Ψ + (1 − β)·Π_OΨ with R = 2Π − 1 (Luke, Inverse Problems 21 (2005) 37).
            Rule::Raar { beta } => [beta, beta, 1.0 - 2.0 * beta],
            _ => [0.0; 3],
        };
        let len = batch * shape.modes * shape.pixels();
        Ok(Self {
            waves: (0..batches).map(|_| None).collect(),
            batches: Vec::new(),
            work: KernelWork::new(backend, shape, batch)?,
            reflected: backend.complex_zeros(len)?,
            relaxation,
        })
    }

    /// One batch: its waves go on, and what they say of the object is added to the sums of `out`.
    #[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
    pub(super) fn step(
        &mut self,
        backend: &B,
        number: usize,
        batch: B::Batch,
        block: &DeviceBlock<B>,
        model: &Model<B>,
        likelihood: Likelihood,
        out: &mut Gradients<B>,
    ) -> Result<()> {
        if number == 0 {
            self.batches.clear();
        }
        self.batches.push(batch);
        let batch = &self.batches[number];
        let (modes, window) = (model.shape.modes, model.shape.window);
        let windows = modes * backend.batch_len(batch);
        let len = windows * model.shape.pixels();
        let [a, b, c] = self.relaxation;
        exit_waves_of_kernels(backend, batch, model, &mut self.work)?;
        let waves = match &mut self.waves[number] {
            Some(waves) => waves,
            none => {
                let mut first = backend.complex_zeros(len)?;
                backend.copy(&self.work.waves, &mut first, len)?;
                none.insert(first)
            }
        };
        let overlap = &self.work.waves;
        backend.combine(&mut self.reflected, 0.0, (overlap, 2.0), (waves, -1.0), len)?;
        backend.fft2(&mut self.reflected, window, windows, Direction::Forward)?;
        backend.residual(&mut self.reflected, modes, &block.frames, &model.detector, likelihood, model.floor, batch, &mut out.metrics)?;
        backend.fft2(&mut self.reflected, window, windows, Direction::Inverse)?;
        // What is left is Π_F f − f with f = 2Π_OΨ − Ψ.
        backend.combine(waves, a - b, (overlap, 2.0 * b + c), (&self.reflected, b), len)?;
        backend.object_gradient(waves, &self.work.incident[0], modes, batch, false, &mut out.object[0])?;
        // The error told is that of the model, as with other rules.
        backend.copy(overlap, &mut self.reflected, len)?;
        backend.fft2(&mut self.reflected, window, windows, Direction::Forward)?;
        backend.residual(&mut self.reflected, modes, &block.frames, &model.detector, likelihood, model.floor, batch, &mut out.metrics)?;
        Ok(())
    }

    /// What all waves say of the probe is added to its sums. The object of `model` is the one that they agree on already: were both told by what they were before, each would
    /// take up all that waves and model differ in, twice as much as there is, and the waves would swing ever farther.
    pub(super) fn probe_sums(&mut self, backend: &B, model: &Model<B>, probe: &mut Update<B>) -> Result<()> {
        let (modes, window) = (model.shape.modes, model.shape.window);
        for (waves, batch) in self.waves.iter().flatten().zip(&self.batches) {
            backend.probe_gradient(waves, &model.object[0], modes, batch, &mut self.work.waves)?;
            backend.fft2(&mut self.work.waves, window, modes * backend.batch_len(batch), Direction::Forward)?;
            backend.probe_sum(&self.work.waves, modes, batch, false, &mut probe.numerator)?;
            backend.object_power(&model.object[0], batch, false, &mut probe.denominator, &mut probe.peak)?;
        }
        Ok(())
    }
}

/// The object that all waves agree on best: Σ P*Ψ / Σ|P|².
pub(super) fn agreed_object<B: Backend>(backend: &B, update: &Update<B>, object: &mut [Complex64]) -> Result<()> {
    let (numerator, denominator) = (backend.read_complexes(&update.numerator)?, backend.read_reals(&update.denominator)?);
    divide(&numerator, &denominator, object);
    Ok(())
}

/// The probe that all waves agree on best: Σ O*Ψ / Σ|O|², in real space.
pub(super) fn agreed_probe<B: Backend>(backend: &B, update: &Update<B>, window: [usize; 2], probe_hat: &mut [Complex64]) -> Result<()> {
    let (numerator, denominator) = (backend.read_complexes(&update.numerator)?, backend.read_reals(&update.denominator)?);
    let (sums, mut probe) = (transformed(&numerator, window, Direction::Inverse)?, transformed(probe_hat, window, Direction::Inverse)?);
    let pixels = window[0] * window[1];
    for (sums, mode) in sums.chunks_exact(pixels).zip(probe.chunks_exact_mut(pixels)) {
        divide(sums, &denominator, mode);
    }
    probe_hat.copy_from_slice(&transformed(&probe, window, Direction::Forward)?);
    Ok(())
}

/// x becomes n/d, or stays the more the fainter d is.
fn divide(numerator: &[Complex64], denominator: &[f64], x: &mut [Complex64]) {
    let faint = FAINT * denominator.iter().copied().fold(0.0, f64::max);
    if faint > 0.0 {
        for ((x, n), d) in x.iter_mut().zip(numerator).zip(denominator) {
            *x = (n + faint * *x) / (d + faint);
        }
    }
}
