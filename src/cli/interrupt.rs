//! Ctrl-C: the first asks the run to stop where nothing is lost, the second ends the program.

use std::sync::atomic::{AtomicBool, Ordering};

use super::words;
use crate::run::CancelToken;

/// The exit code of an interrupted run.
pub(super) const INTERRUPTED: u8 = 130;

/// Ties the signals that end a program to a token.
pub(super) fn watch(token: CancelToken) -> anyhow::Result<()> {
    let asked = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        words::say("stopping after the current piece of work; press Ctrl-C again to end at once");
        token.cancel();
    })?;
    Ok(())
}
