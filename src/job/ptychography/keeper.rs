//! What is done between iterations: constraints, and checkpoints, from which a killed run ends as an unbroken one does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::frozen;
use crate::job::{Error, facts};
use crate::output::Checkpoint;
use crate::ptycho::{self, Hooks, ObjectFrame, Parts, STATE_VERSION, Scheduled, State};
use crate::run::Run;

/// Imposes constraints, and keeps checkpoints beside the result.
pub(in crate::job) struct Keeper {
    path: PathBuf,
    /// Of the reconstruction that is under way: that of the whole job or of one of its parts.
    part: &'static str,
    /// Iterations between two; 0 keeps none.
    every: u32,
    input_hash: String,
    job_hash: String,
    /// Is what is there to be replaced, whatever it is?
    force: bool,
    /// Checkpoints that this run wrote or went on from.
    written: BTreeSet<PathBuf>,
    constraints: Vec<Scheduled>,
    /// What constraints have to know of the object's grid.
    grid: Option<Grid>,
}

struct Grid {
    pixel_A: [f64; 2],
    aperture_inverse_A: f64,
}

impl Keeper {
    /// Of the result at `output`.
    pub(in crate::job) fn new(output: &Path, every: u32, input_hash: String, force: bool) -> Self {
        Self {
            path: Checkpoint::place(output),
            part: "",
            every,
            input_hash,
            job_hash: String::new(),
            force,
            written: BTreeSet::new(),
            constraints: Vec::new(),
            grid: None,
        }
    }

    /// From now on these constraints are imposed.
    pub(super) fn impose(&mut self, constraints: Vec<Scheduled>, frame: &ObjectFrame, aperture_inverse_A: f64) {
        self.constraints = constraints;
        self.grid = Some(Grid { pixel_A: frame.pixel_A, aperture_inverse_A });
    }

    /// The state of a checkpoint of this very job, if there is one.
    pub(super) fn resumed(&mut self, job: &str, run: &Run) -> Result<Option<State>, Error> {
        self.job_hash = facts::hash_of_text(job);
        let path = self.place();
        if !path.exists() {
            return Ok(None);
        }
        let foreign = |whose| Error::ForeignCheckpoint { path: path.clone(), whose };
        let checkpoint = match Checkpoint::read(&path) {
            Ok(checkpoint) => checkpoint,
            Err(_) if self.force => return Ok(None),
            Err(error) => return Err(Error::BrokenCheckpoint { path, why: error.to_string().trim_end_matches('.').to_owned() }),
        };
        let state = if checkpoint.version != STATE_VERSION {
            Err("another version of ronchi")
        } else if checkpoint.job_hash != self.job_hash {
            Err("another job, or this one with other values")
        } else if checkpoint.input_hash != self.input_hash {
            Err("other data: the file has changed since, or one that it starts from")
        } else {
            State::unpack(&checkpoint.lists).ok_or("nobody: its lists do not fit together")
        };
        match state {
            Ok(state) => {
                run.note(format!("going on from {} after iteration {}.", path.display(), state.iteration));
                self.written.insert(path);
                Ok(Some(state))
            }
            Err(_) if self.force => Ok(None),
            Err(whose) => Err(foreign(whose)),
        }
    }

    /// From now on checkpoints are those of this part of the job; "" is the job itself.
    pub(super) fn turn_to(&mut self, part: &'static str) {
        self.part = part;
    }

    /// Where the checkpoint of the part lies.
    fn place(&self) -> PathBuf {
        if self.part.is_empty() {
            return self.path.clone();
        }
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}", self.part));
        self.path.with_file_name(name)
    }

    /// Keeps a state whose stages are all done, where more is to come.
    pub(super) fn keep_finished(&mut self, state: &State, stages: usize) -> Result<(), Error> {
        if self.every > 0 {
            self.keep(State { stage: stages as u32, ..state.clone() })?;
        }
        Ok(())
    }

    fn keep(&mut self, state: State) -> Result<(), crate::output::Error> {
        let (job_hash, input_hash) = (self.job_hash.clone(), self.input_hash.clone());
        let path = self.place();
        Checkpoint { version: STATE_VERSION, job_hash, input_hash, lists: state.pack() }.write(&path)?;
        self.written.insert(path);
        Ok(())
    }

    /// Was a checkpoint kept, in this run or before?
    pub(in crate::job) fn has_checkpoint(&self) -> bool {
        !self.written.is_empty()
    }

    /// Removes the checkpoints that this run wrote or went on from: the result is there. Those of another run stay.
    pub(in crate::job) fn remove(&self) -> Result<(), Error> {
        self.written.iter().try_for_each(|path| match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Files { path: path.clone(), done: "removed", why: e.to_string() })
            }
            _ => Ok(()),
        })
    }
}

impl Hooks for Keeper {
    fn after_iteration(&mut self, state: &mut State) -> ptycho::Result<bool> {
        let Some(grid) = &self.grid else { return Ok(false) };
        let mut changed = false;
        for constraint in self.constraints.iter().filter(|constraint| constraint.due(state.iteration)) {
            let shape = state.shape;
            let mut parts = Parts {
                object: &mut state.object,
                slices: shape.slices,
                object_shape: shape.object,
                probe_hat: &mut state.probe_hat,
                modes: shape.modes,
                window: shape.window,
                pixel_A: grid.pixel_A,
                slice_thickness_A: state.slice_thickness_A,
                positions_px: &state.positions_px,
                aperture_inverse_A: grid.aperture_inverse_A,
            };
            constraint.apply(&mut parts)?;
            changed = true;
        }
        Ok(frozen::restore(state) || changed)
    }

    fn checkpoint_every(&self) -> u32 {
        self.every
    }

    fn checkpoint(&mut self, state: State) -> ptycho::Result<()> {
        self.keep(state).map_err(|e| ptycho::Error::Checkpoint(e.to_string()))
    }
}
