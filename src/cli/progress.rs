//! Draws the events of a run on stderr: a bar with the time left on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::words::{self, Words};
use crate::run::{Event, Stage};

/// How often a long stage is heard of where there is no bar.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Draws events.
pub(super) struct Progress {
    words: Words,
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    total: u64,
    unit: &'static str,
    last_line: Option<Instant>,
}

impl Progress {
    pub(super) fn new(words: Words) -> Self {
        Self { words, terminal: std::io::stderr().is_terminal(), state: Mutex::default() }
    }

    /// Draws one event.
    pub(super) fn draw(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::StageStarted { stage, total, unit } => {
                *state = State { bar: None, total, unit, last_line: Some(Instant::now()) };
                if self.terminal && self.words >= Words::Usual {
                    state.bar = Some(bar(stage, total, unit));
                }
            }
            Event::Progress { stage, done } => match &state.bar {
                Some(bar) => bar.set_position(done),
                None => {
                    if state.last_line.is_some_and(|last| last.elapsed() >= PLAIN_INTERVAL) {
                        state.last_line = Some(Instant::now());
                        let line = format!("{}  {done}/{} {}", name(stage), state.total, state.unit);
                        self.line(&state, Words::Usual, &line);
                    }
                }
            },
            Event::Iteration { iteration, iterations, error, seconds } => {
                self.line(&state, Words::Usual, &format!("iteration {iteration}/{iterations}  error {error:.4}  {seconds:.2} s"));
            }
            Event::StageFinished { stage, seconds } => {
                if let Some(bar) = state.bar.take() {
                    bar.finish_and_clear();
                }
                let line = format!("{}  {} {}  {seconds:.2} s", name(stage), state.total, state.unit);
                self.line(&state, Words::Usual, &line);
            }
            Event::Note { text } => self.line(&state, Words::Usual, &text),
            Event::Warning { text } => self.line(&state, Words::Few, &format!("warning: {text}")),
            Event::Written { path } => self.line(&state, Words::Usual, &format!("written  {}", path.display())),
        }
    }

    /// Takes down a bar that a failed stage left standing.
    pub(super) fn clear(&self) {
        if let Some(bar) = self.state.lock().unwrap_or_else(PoisonError::into_inner).bar.take() {
            bar.finish_and_clear();
        }
    }

    fn line(&self, state: &State, least: Words, line: &str) {
        if self.words < least {
            return;
        }
        match &state.bar {
            Some(bar) => bar.suspend(|| words::say(line)),
            None => words::say(line),
        }
    }
}

fn bar(stage: Stage, total: u64, unit: &'static str) -> ProgressBar {
    let template = format!("{{prefix}} [{{bar:30}}] {{pos}}/{{len}} {unit}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(total).with_style(style.progress_chars("=> ")).with_prefix(name(stage));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Simulate => "simulate",
        Stage::Survey => "survey",
        Stage::Calibrate => "calibrate",
        Stage::Image => "image",
        Stage::Load => "load",
        Stage::Reconstruct => "reconstruct",
        Stage::Map => "map",
        Stage::Write => "write",
    }
}
