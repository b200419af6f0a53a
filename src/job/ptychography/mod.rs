//! The ptychography of a job.

mod constraints;
mod frozen;
mod geometry;
mod halves;
mod keeper;
mod settings;
mod setup;
mod starts;

use std::sync::Arc;

pub(super) use self::halves::RESOLUTION;
pub(super) use self::keeper::Keeper;
pub(super) use self::settings::Stage;
use self::setup::Electrons;
pub(super) use self::setup::{Setup, check};
use self::starts::Starts;
use super::measure::Measured;
use super::plan::{Plan, Scan};
use super::schema::Job;
use super::values::HalvesKind;
use super::{Error, facts, mask};
use crate::compute::Backend;
use crate::data::CubeInfo;
use crate::optics::{Aberrations, ScanGrid};
use crate::output::{self, Array};
use crate::run::Run;
use crate::stream::Stream;

/// What a reconstruction reads besides the frames.
pub(super) struct Inputs {
    /// (y, x) in Å in the object's frame.
    positions: Option<Vec<[f64; 2]>>,
    starts: Starts,
    /// Of the scan's shape, true where the object stays as it is.
    frozen: Option<Vec<bool>>,
}

impl Inputs {
    /// Reads the datasets that the job names.
    pub(super) fn read(plan: &Plan, info: &CubeInfo) -> Result<Self, Error> {
        let (mut positions, mut frozen) = (None, None);
        let Some(needs) = &plan.ptychography else { return Ok(Self { positions, starts: Starts::read(plan, info)?, frozen }) };
        for stage in settings::stages(&plan.job)? {
            constraints::check(&stage.job)?;
            settings::check(&stage, info.frame_shape)?;
        }
        if let Scan::Measured(reference) = &needs.scan {
            let (shape, values) = output::read_complex(&reference.to_string())?;
            if shape != [info.frames(), 2] {
                let expected = format!("({}, 2): y and x of each pattern in Å", info.frames());
                return Err(Error::Shape { key: "scan.positions", reference: reference.clone(), found: shape, expected });
            }
            positions = Some(values.chunks_exact(2).map(|p| [p[0].re, p[1].re]).collect());
        }
        if let Some(entry) = &plan.job.ptychography.frozen {
            frozen = Some(mask::read(&entry.value, "ptychography.frozen", info.scan_shape)?);
        }
        Ok(Self { positions, starts: Starts::read(plan, info)?, frozen })
    }

    /// The hash of the data and of all that is read beside them.
    pub(super) fn hash(&self, data: &str) -> String {
        let hash = self.starts.hash(data);
        let Some(frozen) = &self.frozen else { return hash };
        let pixels: String = frozen.iter().map(|&frozen| if frozen { '1' } else { '0' }).collect();
        facts::hash_of_text(&format!("{hash}\n{pixels}"))
    }
}

/// How a reconstruction ended.
pub(super) enum Ended {
    Whole,
    /// Asked to stop, after this many iterations of the stage that it was in.
    Stopped {
        iteration: u32,
        iterations: u32,
    },
    Diverged {
        iteration: u32,
        why: String,
        /// What to set otherwise.
        advice: &'static str,
    },
}

/// What a reconstruction came to.
pub(super) struct Reconstructed {
    pub(super) arrays: Vec<Array>,
    pub(super) ended: Ended,
}

/// Reconstructs the object and the probe, and where the job asks for it both again from each half of the electrons.
pub(super) fn run<B: Backend>(
    setup: &Setup,
    measured: &Measured,
    backend: &Arc<B>,
    stream: &Stream<B>,
    keeper: &mut Keeper,
    run: &Run,
) -> Result<Reconstructed, Error> {
    settings::idle(&setup.stages).into_iter().for_each(|text| run.warn(text));
    let incident = match measured.incident {
        Some(incident) => incident,
        None => setup.mean_frame(&**backend, stream, run)?.incident,
    };
    let whole = || super::open(setup.job);
    let electrons = Electrons { stream, source: &whole, incident, whole: true };
    let (state, mut ended) = setup.reconstruct(backend, &electrons, keeper, run)?;
    if let Ended::Stopped { .. } = ended
        && state.history.is_empty()
    {
        return Err(crate::compute::Error::Interrupted.into());
    }
    let mut arrays = setup.arrays(&state)?;
    if let (Ended::Whole, halves @ (HalvesKind::Frc | HalvesKind::NoiseFloor)) = (&ended, setup.job.ptychography.halves.value) {
        keeper.keep_finished(&state, setup.stages.len())?;
        match halves::run(setup, backend, &electrons, halves == HalvesKind::NoiseFloor, keeper, run)? {
            halves::Found::Arrays(more) => arrays.extend(more),
            halves::Found::Stopped(stopped) => ended = stopped,
        }
    }
    // On the sheet of pictures the phase comes last.
    arrays.extend(setup.phase_in_scan(&state));
    Ok(Reconstructed { arrays, ended })
}

/// The raster of the scan; its step counts only where positions are not measured.
pub(super) fn scan_grid(job: &Job, shape: [usize; 2]) -> ScanGrid {
    let step_A = job.scan.step_A.as_ref().map_or([1.0; 2], |entry| entry.value.0);
    ScanGrid { shape, step_A, rotation_deg: job.scan.rotation_deg.value, transpose: job.scan.transpose.value }
}

/// The coefficients beyond defocus, C_nm under their names.
pub(super) fn further_aberrations(job: &Job) -> Aberrations {
    Aberrations { terms: job.optics.aberrations.value.terms() }
}
