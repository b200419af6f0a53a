//! From the tables of `ptychography.constraints` to the engine's constraints.

use num_complex::Complex64;

use crate::job::Error;
use crate::job::schema::Job;
use crate::job::values::{ConstraintKind, ConstraintSpec, JobValue};
use crate::ptycho::{Constraint, Scheduled, State, Vacuum};

/// The name of the probe's amplitude at the stage's start in the state's memory.
const AMPLITUDE: &str = "stage_amplitude";

/// Keeps what constraints have to know of the stage's start, so that a run that goes on from a checkpoint knows it, too.
pub(super) fn remember(state: &mut State) {
    let amplitude = total_amplitude(state);
    state.memory.insert(AMPLITUDE.to_owned(), amplitude);
}

/// What constraints keep.
struct Kept<'a> {
    amplitude: &'a [f64],
    electrons: f64,
}

/// The constraints of a stage that began with `state`, of frames with so many electrons.
pub(super) fn scheduled(job: &Job, state: &State, electrons: f64) -> Result<Vec<Scheduled>, Error> {
    let Some(list) = &job.ptychography.constraints else { return Ok(Vec::new()) };
    let kept = Kept { amplitude: state.memory.get(AMPLITUDE).map_or(&[], Vec::as_slice), electrons };
    list.value.0.iter().map(|spec| one(spec, &kept)).collect()
}

/// Refuses tables that lack what their kind needs, or have what it does not take.
pub(super) fn check(job: &Job) -> Result<(), Error> {
    let Some(list) = &job.ptychography.constraints else { return Ok(()) };
    list.value.0.iter().try_for_each(|spec| Fields::new(spec).constraint(None).map(drop))
}

fn one(spec: &ConstraintSpec, kept: &Kept<'_>) -> Result<Scheduled, Error> {
    let constraint = Fields::new(spec).constraint(Some(kept))?;
    Ok(Scheduled {
        constraint,
        start: spec.from.unwrap_or(1),
        every: spec.every.unwrap_or(1),
        end: spec.until.filter(|&until| until > 0),
        strength: spec.strength.unwrap_or(1.0),
    })
}

/// What a table says, and what of it was asked for.
struct Fields<'a> {
    spec: &'a ConstraintSpec,
    taken: Vec<&'static str>,
    example: &'static str,
}

impl<'a> Fields<'a> {
    fn new(spec: &'a ConstraintSpec) -> Self {
        Self { spec, taken: Vec::new(), example: "{ kind = \"pure_phase\" }" }
    }

    fn refuse(&self, why: String) -> Error {
        let kind = match self.spec.kind.toml() {
            toml::Value::String(kind) => kind,
            other => other.to_string(),
        };
        Error::Constraint { kind, why, example: self.example }
    }

    /// A number that the kind needs.
    fn need(&mut self, key: &'static str, value: Option<f64>, holds: impl Fn(f64) -> bool, expected: &str) -> Result<f64, Error> {
        self.taken.push(key);
        match value {
            Some(x) if holds(x) => Ok(x),
            Some(x) => Err(self.refuse(format!("{key} is {x}, expected {expected}."))),
            None => Err(self.refuse(format!("{key} is missing, {expected}."))),
        }
    }

    /// A number that the kind can do without.
    fn may(
        &mut self,
        key: &'static str,
        value: Option<f64>,
        default: f64,
        holds: impl Fn(f64) -> bool,
        expected: &str,
    ) -> Result<f64, Error> {
        self.need(key, Some(value.unwrap_or(default)), holds, expected)
    }

    fn order(&mut self) -> Result<u32, Error> {
        let order = self.may("order", self.spec.order.map(f64::from), 4.0, |n| (1.0..=32.0).contains(&n), "a whole number from 1 to 32")?;
        Ok(order as u32)
    }

    fn constraint(&mut self, kept: Option<&Kept<'_>>) -> Result<Constraint, Error> {
        let spec = self.spec;
        let above_0 = |x: f64| x > 0.0 && x.is_finite();
        let from_0 = |x: f64| x >= 0.0 && x.is_finite();
        let frequency = "a number of 1/Å above 0";
        let constraint = match spec.kind {
            ConstraintKind::AmplitudeClamp => {
                self.example = "{ kind = \"amplitude_clamp\", low = 0.9, high = 1.1 }";
                let low = self.may("low", spec.low, 0.0, from_0, "a number from 0")?;
                let high = self.may("high", spec.high, 1.0, |x| above_0(x) && x >= low, "a number not below `low`")?;
                Constraint::AmplitudeClamp { low, high }
            }
            ConstraintKind::PhasePositivity => {
                self.example = "{ kind = \"phase_positivity\", vacuum_share = 0.05 }";
                self.taken.push("vacuum_share");
                match spec.vacuum_share {
                    None => Constraint::PhasePositivity(Vacuum::One),
                    Some(share) if (0.0..1.0).contains(&share) => Constraint::PhasePositivity(Vacuum::Lowest { share }),
                    Some(share) => return Err(self.refuse(format!("vacuum_share is {share}, expected a number from 0, below 1."))),
                }
            }
            ConstraintKind::PurePhase => Constraint::PurePhase,
            ConstraintKind::ComplexRatio => {
                self.example = "{ kind = \"complex_ratio\", ratio = 0.1 }";
                Constraint::ComplexRatio { ratio: self.need("ratio", spec.ratio, f64::is_finite, "a number")? }
            }
            ConstraintKind::LowPass => {
                self.example = "{ kind = \"low_pass\", cutoff_inverse_A = 2, order = 4 }";
                let cutoff_inverse_A = self.need("cutoff_inverse_A", spec.cutoff_inverse_A, above_0, frequency)?;
                Constraint::LowPass { cutoff_inverse_A, order: self.order()? }
            }
            ConstraintKind::HighPass => {
                self.example = "{ kind = \"high_pass\", cutoff_inverse_A = 0.05, order = 4 }";
                let cutoff_inverse_A = self.need("cutoff_inverse_A", spec.cutoff_inverse_A, above_0, frequency)?;
                Constraint::HighPass { cutoff_inverse_A, order: self.order()? }
            }
            ConstraintKind::BandLimit => {
                self.example = "{ kind = \"band_limit\", cutoff_inverse_A = 2 }";
                Constraint::BandLimit { cutoff_inverse_A: self.need("cutoff_inverse_A", spec.cutoff_inverse_A, above_0, frequency)? }
            }
            ConstraintKind::TotalVariation => {
                self.example = "{ kind = \"total_variation\", phase_rad = 0.01 }";
                let phase_rad = self.may("phase_rad", spec.phase_rad, 0.0, from_0, "a number of rad from 0")?;
                let amplitude = self.may("amplitude", spec.amplitude, 0.0, from_0, "a number from 0")?;
                if phase_rad == 0.0 && amplitude == 0.0 {
                    return Err(self.refuse("both weights are 0.".to_owned()));
                }
                let steps =
                    self.may("steps", spec.steps.map(f64::from), 50.0, |n| (1.0..=10_000.0).contains(&n), "a whole number from 1")?;
                Constraint::TotalVariation { phase_rad, amplitude, steps: steps as u32 }
            }
            ConstraintKind::Sparsity => {
                self.example = "{ kind = \"sparsity\", threshold_rad = 0.01 }";
                Constraint::Sparsity { threshold_rad: self.need("threshold_rad", spec.threshold_rad, from_0, "a number of rad from 0")? }
            }
            ConstraintKind::KzFilter => {
                self.example = "{ kind = \"kz_filter\", beta = 1 }";
                Constraint::KzFilter { beta: self.may("beta", spec.beta, 1.0, from_0, "a number from 0")? }
            }
            ConstraintKind::IdenticalSlices => Constraint::IdenticalSlices,
            ConstraintKind::PhaseRamp => Constraint::PhaseRamp,
            ConstraintKind::ProbeSupport => {
                self.example = "{ kind = \"probe_support\", radius_A = 8, edge_A = 1 }";
                let radius_A = self.need("radius_A", spec.radius_A, above_0, "a number of Å above 0")?;
                let edge_A = self.may("edge_A", spec.edge_A, 0.1 * radius_A, from_0, "a number of Å from 0")?;
                Constraint::ProbeSupport { radius_A, edge_A }
            }
            ConstraintKind::ApertureSupport => {
                self.example = "{ kind = \"aperture_support\", factor = 1.05 }";
                Constraint::ApertureSupport { factor: self.may("factor", spec.factor, 1.05, above_0, "a number above 0")? }
            }
            ConstraintKind::ProbeIntensity => Constraint::ProbeIntensity { electrons: kept.map_or(0.0, |kept| kept.electrons) },
            ConstraintKind::FourierAmplitude => {
                Constraint::FourierAmplitude { amplitude: kept.map_or(Vec::new(), |kept| kept.amplitude.to_vec()) }
            }
            ConstraintKind::Centring => Constraint::Centring,
            ConstraintKind::OrthogonalModes => Constraint::OrthogonalModes,
        };
        self.check_rest()?;
        Ok(constraint)
    }

    /// Refuses numbers that the kind does not take, and a strength or a schedule that cannot be.
    fn check_rest(&self) -> Result<(), Error> {
        let spec = self.spec;
        const OF_ALL: [&str; 4] = ["from", "every", "until", "strength"];
        let mut keys = spec.said().map(|(key, _)| key);
        if let Some(key) = keys.find(|key| !OF_ALL.contains(key) && !self.taken.contains(key)) {
            return Err(self.refuse(format!("{key} is no number of this kind.")));
        }
        if let Some(strength) = spec.strength.filter(|s| !(0.0..=1.0).contains(s)) {
            return Err(self.refuse(format!("strength is {strength}, expected a number from 0 to 1.")));
        }
        if spec.from == Some(0) || spec.every == Some(0) {
            return Err(self.refuse("from and every count from 1.".to_owned()));
        }
        let (from, until) = (spec.from.unwrap_or(1), spec.until.unwrap_or(0));
        if until > 0 && until < from {
            return Err(self.refuse(format!("until is {until}, before from, which is {from}: it would never act.")));
        }
        Ok(())
    }
}

/// √Σ_m|P̂_m|², (ky, kx).
fn total_amplitude(state: &State) -> Vec<f64> {
    let pixels = state.shape.pixels();
    let power = |k: usize| state.probe_hat.iter().skip(k).step_by(pixels).map(Complex64::norm_sqr).sum::<f64>();
    (0..pixels).map(|k| power(k).sqrt()).collect()
}
