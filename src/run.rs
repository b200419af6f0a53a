//! What a long verb is handed: where to tell of its progress, how it is stopped, its random numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// The version of [`Event`]'s serialised form.
pub const EVENT_VERSION: u32 = 1;

/// Something that happened in a run: the sole source of progress, log and live view.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A stage begins; `total` steps of `unit` are ahead.
    StageStarted { stage: Stage, total: u64, unit: &'static str },
    /// `done` of the stage's steps are finished.
    Progress { stage: Stage, done: u64 },
    /// One pass over all patterns is finished: the normalised amplitude error and its wall time.
    Iteration { iteration: u32, iterations: u32, error: f64, seconds: f64 },
    /// A stage is finished.
    StageFinished { stage: Stage, seconds: f64 },
    /// A fact that the user should know and that stops nothing.
    Note { text: String },
    /// Something was assumed, clipped or left out that the user may want to change.
    Warning { text: String },
    /// A file is complete and in its place.
    Written { path: std::path::PathBuf },
}

/// The parts of a run that have progress of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Simulate,
    Survey,
    Calibrate,
    Image,
    Load,
    Reconstruct,
    Map,
    Write,
}

/// A flag that asks a run to stop; looked at between submissions and blocks.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A random stream that is known by two numbers, so that it can be stored and taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RngState {
    pub seed: u64,
    /// Words of 32 bits already drawn from the stream.
    pub counter: u128,
}

impl RngState {
    pub fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }

    /// The generator at this point of its stream.
    pub fn generator(self) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_word_pos(self.counter);
        rng
    }
}

/// The surroundings of a long verb.
pub struct Run<'a> {
    pub events: &'a (dyn Fn(Event) + Sync),
    pub cancel: &'a CancelToken,
    pub rng: RngState,
}

impl Run<'_> {
    pub fn emit(&self, event: Event) {
        (self.events)(event);
    }

    pub fn note(&self, text: impl Into<String>) {
        self.emit(Event::Note { text: text.into() });
    }

    pub fn warn(&self, text: impl Into<String>) {
        self.emit(Event::Warning { text: text.into() });
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}
