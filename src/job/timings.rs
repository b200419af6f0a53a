//! How long the parts of a run took, read off its events.

use std::sync::{Mutex, PoisonError};

use crate::run::{Event, Stage};

/// Listens to a run.
#[derive(Debug, Default)]
pub(super) struct Stopwatch(Mutex<Heard>);

/// Wall times in seconds.
#[derive(Debug, Default)]
struct Heard {
    stages: Vec<(Stage, f64)>,
    iterations: Vec<f64>,
}

impl Stopwatch {
    pub(super) fn hear(&self, event: &Event) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Iteration { seconds, .. } => heard.iterations.push(*seconds),
            Event::StageFinished { stage, seconds } => heard.stages.push((*stage, *seconds)),
            _ => {}
        }
    }

    /// What the result file says of it.
    pub(super) fn report(&self, seconds: f64, device: &str) -> serde_json::Value {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::json!({ "seconds": seconds, "device": device, "stages_s": heard.stages, "iterations_s": heard.iterations })
    }
}
