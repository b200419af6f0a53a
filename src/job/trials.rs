//! The trials of a sweep: a job each, a folder of results, a table and the best job file.

use std::path::{Path, PathBuf};

use toml::Value;

use super::beside;
use super::error::{Error, Place};
use super::ptychography::RESOLUTION;
use super::schema::{Entry, Job};
use super::sweep::Sweep;
use super::values::{HalvesKind, Score};
use crate::output::{Attr, Claim, Results};

/// The part of the patterns that is held out where the job does not say.
const VALIDATION: f64 = 0.05;

/// One trial of a sweep.
pub struct Trial {
    /// What it has other than the job, keys as in `--set`.
    pub values: Vec<(String, Value)>,
    pub job: Job,
    /// Where its result goes.
    pub output: PathBuf,
    score: Score,
}

/// The trials of a job that has a sweep.
pub struct Trials {
    /// Of the results, the table and the best job file: `scan_sweep` beside `scan.emd`.
    pub folder: PathBuf,
    pub trials: Vec<Trial>,
    score: Score,
}

/// A trial with its score; the smaller, the better.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Counted from 1.
    pub number: usize,
    pub score: f64,
}

impl Trials {
    /// Makes the jobs of all trials.
    ///
    /// # Errors
    /// If a trial is no job, the score needs what is not there, or the folder is there already (unless `force`).
    pub fn new(job: &Job, sweep: &Sweep, output: &Path, force: bool) -> Result<Self, Error> {
        let folder = beside(output, "_sweep");
        if folder.symlink_metadata().is_ok() && !(force && folder.is_dir()) {
            return Err(crate::output::Error::Exists { path: folder.display().to_string() }.into());
        }
        let (values, score) = (sweep.trials(), sweep.score);
        let digits = values.len().to_string().len().max(3);
        let trial = |(number, values): (usize, Vec<(String, Value)>)| {
            let output = folder.join(format!("trial_{:0digits$}.emd", number + 1));
            let mut trial = job.with(&values, &format!("trial {}", number + 1))?;
            trial.output.path = Some(Entry { value: output.clone(), place: Place::Default });
            trial.output.png.value = false;
            let keys = &mut trial.ptychography;
            match score {
                Score::Validation if keys.validation.value == 0.0 => keys.validation.value = VALIDATION,
                Score::Frc if keys.halves.value == HalvesKind::None => keys.halves.value = HalvesKind::Frc,
                _ => {}
            }
            Ok(Trial { values, job: trial, output, score })
        };
        let trials = values.into_iter().enumerate().map(trial).collect::<Result<_, Error>>()?;
        Ok(Self { folder, trials, score })
    }

    /// What trials are told apart by, with its unit; the smaller, the better.
    pub fn score_name(&self) -> &'static str {
        match self.score {
            Score::Validation => "validation_error",
            Score::Frc => "resolution (Å)",
        }
    }

    /// What is done to each trial beyond the job for its score, to be told.
    pub fn note(&self) -> String {
        match self.score {
            Score::Validation => {
                format!(
                    "trials are scored by the error of patterns that no update sees: {VALIDATION} of them where ptychography.validation is 0"
                )
            }
            Score::Frc => "trials are scored by the resolution of two halves of the electrons (ptychography.halves)".to_owned(),
        }
    }

    /// Makes the folder.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn begin(&self) -> Result<(), Error> {
        std::fs::create_dir_all(&self.folder).map_err(|e| Error::Files { path: self.folder.clone(), done: "made", why: e.to_string() })
    }

    /// Writes `trials.csv`, all trials with their scores in their order, and `best.toml`, the job of the best one; returns the best one's number.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn finish(&self, job: &Job, scored: &[Scored], force: bool) -> Result<Option<usize>, Error> {
        let Some(first) = self.trials.first() else { return Ok(None) };
        let keys: Vec<&str> = first.values.iter().map(|(key, _)| key.as_str()).collect();
        let mut table = format!("trial,{},{}\n", self.score_name(), keys.join(","));
        for (number, trial) in self.trials.iter().enumerate() {
            let score = scored.iter().find(|s| s.number == number + 1).map_or(String::new(), |s| s.score.to_string());
            let values: Vec<String> = trial.values.iter().map(|(_, value)| quoted(&value.to_string())).collect();
            table.push_str(&format!("{},{score},{}\n", number + 1, values.join(",")));
        }
        Claim::new(&self.folder.join("trials.csv"), force)?.write(table.as_bytes())?;
        let best = scored.iter().min_by(|a, b| a.score.total_cmp(&b.score)).map(|s| s.number);
        if let Some(best) = best {
            let values = &self.trials[best - 1].values;
            // It lies in another folder than the job does.
            let text = job.with(values, "best.toml")?.with_whole_paths().said();
            Claim::new(&self.folder.join("best.toml"), force)?.write(text.as_bytes())?;
        }
        Ok(best)
    }
}

impl Trial {
    /// The least error over the held-out patterns, or the resolution of two halves in Å.
    ///
    /// # Errors
    /// If the result cannot be read.
    pub fn score(&self) -> Result<f64, Error> {
        let result = Results::open(&self.output)?;
        match self.score {
            Score::Validation => {
                let array = result.array("ptychography/validation_error")?;
                let errors = array.data.reals().unwrap_or_default();
                Ok(errors.iter().copied().filter(|e| e.is_finite()).fold(f64::INFINITY, f64::min))
            }
            Score::Frc => {
                let array = result.array("ptychography/frc")?;
                let resolution = array.extra.iter().find(|(name, _)| name == RESOLUTION);
                Ok(resolution.map_or(f64::INFINITY, |(_, value)| if let Attr::Number(x) = value { *x } else { f64::INFINITY }))
            }
        }
    }
}

impl Job {
    /// What was written and typed, as the TOML of a job file.
    pub(super) fn said(&self) -> String {
        let mut text = String::new();
        let mut current = "";
        for row in self.rows().into_iter().filter(|row| matches!(row.place, Place::Line { .. } | Place::Typed)) {
            if row.section != current {
                text.push_str(&format!("{}[{}]\n", if current.is_empty() { "" } else { "\n" }, row.section));
                current = row.section;
            }
            text.push_str(&format!("{} = {}\n", row.key, row.value));
        }
        text
    }

    /// This job with paths that hold in every folder.
    fn with_whole_paths(mut self) -> Self {
        let whole = |path: &mut PathBuf| {
            if let Ok(absolute) = std::path::absolute(&*path) {
                *path = absolute;
            }
        };
        for entry in
            [&mut self.data.path, &mut self.output.path, &mut self.images.field, &mut self.ptychography.frozen].into_iter().flatten()
        {
            whole(&mut entry.value);
        }
        if let Some(entry) = &mut self.scan.positions {
            whole(&mut entry.value.file);
        }
        self.start_files().for_each(|(path, _)| whole(path));
        self
    }

    /// This job with other values, without its sweep; messages call it `name`.
    fn with(&self, values: &[(String, Value)], name: &str) -> Result<Self, Error> {
        let sets: Vec<String> = values.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut job = Self::from_text(&self.said(), name, &sets)?;
        job.ptychography.section = job.ptychography.section.or_else(|| self.ptychography.section.clone());
        Ok(job)
    }
}

/// A value of a CSV table.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
