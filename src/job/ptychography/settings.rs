//! From the keys of [ptychography] to the settings of the engine.

use rand::seq::index;

use crate::compute::Likelihood;
use crate::job::error::refusal;
use crate::job::schema::{Job, Ptychography};
use crate::job::values::{Algorithm, GroupingKind, JobValue, LikelihoodKind};
use crate::job::{Error, Place};
use crate::ptycho::{Grouping, Options, PositionRefinement, Refinement, Rule, TiltRefinement, Validation};
use crate::run::RngState;

/// The settings of a job, or of one of its stages. `variance` is that of the Gaussian likelihood, in electrons².
pub(super) fn options(job: &Job, wavelength_A: f64, frames: usize, variance: f64) -> Options {
    let keys = &job.ptychography;
    let (alpha, beta) = (keys.alpha.value, keys.beta.value);
    let friction = |default: f64| keys.friction.as_ref().map_or(default, |entry| entry.value);
    let rule = match keys.algorithm.value {
        Algorithm::Epie => Rule::Epie,
        Algorithm::Rpie => Rule::Rpie { alpha },
        Algorithm::Mpie => Rule::Mpie { alpha, friction: friction(0.5), every: keys.momentum_every.value },
        Algorithm::LsqMl => Rule::LsqMl { alpha, friction: friction(0.0) },
        Algorithm::Adam => Rule::Adam,
        Algorithm::DifferenceMap => Rule::DifferenceMap { beta },
        Algorithm::Raar => Rule::Raar { beta },
    };
    let (step_object, step_probe) = match rule {
        Rule::Adam => (0.05, 0.02),
        Rule::LsqMl { .. } => (0.2, 0.5),
        _ => (0.5, 0.5),
    };
    Options {
        rule,
        likelihood: match keys.likelihood.value {
            LikelihoodKind::Amplitude => Likelihood::Amplitude,
            LikelihoodKind::Poisson => Likelihood::Poisson { epsilon: keys.poisson_epsilon.value },
            LikelihoodKind::Gaussian => Likelihood::Gaussian { variance },
        },
        iterations: keys.iterations.value,
        batch: keys.batch.value.min(frames),
        grouping: match keys.grouping.value {
            GroupingKind::Random => Grouping::Random,
            GroupingKind::Compact => Grouping::Compact,
            GroupingKind::Sparse => Grouping::Sparse,
            GroupingKind::Sequential => Grouping::Sequential,
        },
        step_object: keys.step_object.as_ref().map_or(step_object, |entry| entry.value),
        step_probe: keys.step_probe.as_ref().map_or(step_probe, |entry| entry.value),
        step_end: keys.step_end.value,
        probe_from: keys.probe_from.value,
        wavelength_A,
        refinement: refinement(keys),
        validation: validation(keys, frames),
    }
}

fn refinement(keys: &Ptychography) -> Refinement {
    let (from, affine_from, scale_from) = (keys.positions_from.value, keys.affine_from.value, keys.scale_from.value);
    let limit_A = keys.positions_limit_A.value;
    Refinement {
        positions: (from > 0 || affine_from > 0 || scale_from > 0).then_some(PositionRefinement { from, affine_from, scale_from, limit_A }),
        intensities_from: keys.intensities_from.value,
        thickness_from: keys.thickness_from.value,
        tilt_from: keys.tilt_from.value,
        tilts: TiltRefinement { from: keys.tilts_from.value, limit_mrad: keys.tilts_limit_mrad.value, smooth_A: keys.tilts_smooth_A.value },
        defocus_from: keys.defocus_from.value,
        aberrations_from: keys.aberrations_from.value,
        variations_from: keys.variations_from.value,
        step: keys.refinement_step.value,
        momentum: keys.refinement_momentum.value,
    }
}

/// The patterns that are held out: by chance, the same ones with the same seed.
fn validation(keys: &Ptychography, frames: usize) -> Option<Validation> {
    let count = (keys.validation.value * frames as f64).round() as usize;
    if keys.validation.value == 0.0 {
        return None;
    }
    let mut rng = RngState::new(keys.seed.value ^ HELD_OUT).generator();
    let mut ids: Vec<u32> = index::sample(&mut rng, frames, count.clamp(1, frames)).into_iter().map(|id| id as u32).collect();
    ids.sort_unstable();
    Some(Validation { ids, patience: keys.patience.value })
}

/// Keeps the choice of held-out patterns apart from the order of the others.
const HELD_OUT: u64 = 0x76a1_1da7_e0f5_3c21;

/// Windows with fewer pixels a side hold no probe.
const SMALLEST_WINDOW: usize = 8;

/// A stage of a reconstruction.
pub(in crate::job) struct Stage {
    /// Empty where the job names none.
    pub(in crate::job) name: String,
    pub(in crate::job) job: Job,
}

/// Refuses what cannot be done together, for frames of this shape.
pub(super) fn check(stage: &Stage, frame_shape: [usize; 2]) -> Result<(), Error> {
    let keys = &stage.job.ptychography;
    let (bin, padded) = (keys.bin.value, frame_shape.map(|n| n + 2 * keys.pad_px.value));
    if padded.iter().any(|n| !n.is_multiple_of(bin) || n / bin < SMALLEST_WINDOW) {
        let (expected, remedy) = (
            &format!("a divisor of the frame's sides, {} and {} pixels, that leaves {SMALLEST_WINDOW} pixels", padded[0], padded[1]),
            "Take another one, or cut frames to sides that it divides (data.crop_detector).",
        );
        return Err(refusal(keys.bin.place.clone(), "ptychography.bin", bin.to_string(), expected, remedy));
    }
    let slices = keys.slices.value;
    if slices > 1 && keys.slice_thickness_A.is_none() {
        let why = format!("there are {slices} slices and nobody says how far they lie from each other");
        return Err(Error::Missing { key: "ptychography.slice_thickness_A", why, example: "10" });
    }
    if bin > 1 && keys.upsample.value > 1 {
        let (expected, remedy) = ("1 where ptychography.bin adds pixels up", "Do either of them; in stages one after the other.");
        return Err(refusal(keys.upsample.place.clone(), "ptychography.upsample", keys.upsample.value.to_string(), expected, remedy));
    }
    let projects = matches!(keys.algorithm.value, Algorithm::DifferenceMap | Algorithm::Raar);
    if projects && keys.likelihood.value != LikelihoodKind::Amplitude {
        let (expected, remedy) = (
            "\"amplitude\" with the difference map and RAAR, which project waves to the measured amplitudes",
            "Take another algorithm for other likelihoods, such as \"lsq_ml\" or \"adam\".",
        );
        return Err(refusal(
            keys.likelihood.place.clone(),
            "ptychography.likelihood",
            keys.likelihood.value.toml().to_string(),
            expected,
            remedy,
        ));
    }
    if projects && keys.probe_variations.value > 0 {
        let (expected, remedy) =
            ("0 with the difference map and RAAR, whose waves share one probe", "Take another algorithm, such as \"lsq_ml\" or \"adam\".");
        return Err(refusal(
            keys.probe_variations.place.clone(),
            "ptychography.probe_variations",
            keys.probe_variations.value.to_string(),
            expected,
            remedy,
        ));
    }
    let refined = [
        ("positions_from", &keys.positions_from),
        ("affine_from", &keys.affine_from),
        ("scale_from", &keys.scale_from),
        ("intensities_from", &keys.intensities_from),
    ];
    if let Some((key, entry)) = refined.into_iter().find(|(_, entry)| projects && entry.value > 0) {
        let (expected, remedy) = (
            "0 with the difference map and RAAR, whose waves belong to fixed positions",
            "Refine in a stage with another algorithm, such as \"lsq_ml\" or \"adam\".",
        );
        return Err(refusal(entry.place.clone(), &format!("ptychography.{key}"), entry.value.to_string(), expected, remedy));
    }
    if keys.scale_from.value > 0 && keys.likelihood.value != LikelihoodKind::Poisson {
        let (expected, remedy) = (
            "0 where ptychography.likelihood is another than \"poisson\", whose bias at low counts widens the scan",
            "Say likelihood = \"poisson\" in the stage that refines the scale, and best hold the probe there (probe_from = 0).",
        );
        return Err(refusal(keys.scale_from.place.clone(), "ptychography.scale_from", keys.scale_from.value.to_string(), expected, remedy));
    }
    if projects && slices > 1 {
        let (expected, remedy) = (
            "1 with the difference map and RAAR, which keep one exit wave a pattern",
            "Take another algorithm for several slices, such as \"lsq_ml\" or \"adam\".",
        );
        return Err(refusal(keys.slices.place.clone(), "ptychography.slices", slices.to_string(), expected, remedy));
    }
    Ok(())
}

/// A sentence for each key that was said and that none of the stages makes use of.
pub(super) fn idle(stages: &[Stage]) -> Vec<String> {
    let one_slice = |keys: &Ptychography| keys.slices.value == 1;
    let projects = |keys: &Ptychography| matches!(keys.algorithm.value, Algorithm::DifferenceMap | Algorithm::Raar);
    // Of each stage: is it said, and does it do nothing?
    let of = |what: &dyn Fn(&Ptychography) -> [bool; 2]| stages.iter().map(|stage| what(&stage.job.ptychography)).collect::<Vec<_>>();
    let (slice, waves) = ("with one slice", "with the difference map and RAAR");
    let goes_on = |keys: &Ptychography| matches!(keys.algorithm.value, Algorithm::Mpie | Algorithm::LsqMl);
    let keys = [
        ("thickness_from", of(&|keys| [keys.thickness_from.value > 0, one_slice(keys)]), slice),
        ("tilt_from", of(&|keys| [keys.tilt_from.value > 0, one_slice(keys)]), slice),
        ("tilts_from", of(&|keys| [keys.tilts_from.value > 0, one_slice(keys)]), slice),
        ("tilt_mrad", of(&|keys| [keys.tilt_mrad.value != [0.0; 2], one_slice(keys)]), slice),
        ("step_end", of(&|keys| [keys.step_end.place != Place::Default, projects(keys)]), waves),
        ("friction", of(&|keys| [keys.friction.is_some(), !goes_on(keys)]), "with other algorithms than mpie and lsq_ml"),
        ("patience", of(&|keys| [keys.patience.value > 0, keys.validation.value == 0.0]), "where validation is 0"),
    ];
    let idle = |stages: &[[bool; 2]]| stages.iter().any(|[said, _]| *said) && stages.iter().all(|[said, idle]| *idle || !said);
    let told = keys.into_iter().filter(|(_, stages, _)| idle(stages));
    let mut told: Vec<String> = told.map(|(key, _, why)| format!("ptychography.{key} does nothing {why}.")).collect();
    told.extend(too_late(stages));
    told
}

/// A sentence for each constraint that begins after the last iteration of every stage that has it.
fn too_late(stages: &[Stage]) -> Vec<String> {
    let of = |stage: &Stage| stage.job.ptychography.constraints.as_ref().map_or(Vec::new(), |list| list.value.0.clone());
    let mut told = Vec::new();
    for spec in stages.iter().flat_map(of) {
        let (from, kind) = (spec.from.unwrap_or(1), spec.kind.toml());
        let last = stages.iter().filter(|stage| of(stage).contains(&spec)).map(|stage| stage.job.ptychography.iterations.value).max();
        let sentence =
            format!("ptychography.constraints: {kind} does nothing from iteration {from} on, where a stage has {}.", last.unwrap_or(0));
        if last.is_some_and(|last| from > last) && !told.contains(&sentence) {
            told.push(sentence);
        }
    }
    told
}

/// The stages of a job; one where it has none.
pub(super) fn stages(job: &Job) -> Result<Vec<Stage>, Error> {
    let list = match &job.ptychography.stages {
        Some(list) if !list.value.0.is_empty() => list,
        _ => return Ok(vec![Stage { name: String::new(), job: job.clone() }]),
    };
    list.value.0.iter().enumerate().map(|(number, table)| stage(job, number, table)).collect()
}

fn stage(job: &Job, number: usize, table: &toml::Table) -> Result<Stage, Error> {
    let name = match table.get("name") {
        Some(toml::Value::String(name)) => name.clone(),
        _ => format!("{}", number + 1),
    };
    let refuse = |why: String| Error::Stage { stage: name.clone(), why };
    if let Some(key) = ["stages", "seed", "validation", "start", "probe", "vacuum", "pad_px", "frozen", "halves"]
        .into_iter()
        .find(|key| table.contains_key(*key))
    {
        return Err(refuse(format!("{key} stands for the whole reconstruction, not for a stage")));
    }
    let sets: Vec<String> =
        table.iter().filter(|(key, _)| *key != "name").map(|(key, value)| format!("ptychography.{key}={value}")).collect();
    let changed = Job::from_text("", "", &sets).map_err(|e| refuse(e.to_string()))?;
    let mut stage = job.clone();
    stage.take_from(&changed);
    stage.ptychography.stages = None;
    Ok(Stage { name, job: stage })
}
