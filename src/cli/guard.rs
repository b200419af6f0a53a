//! A mistake in the program ends as a sentence, not as a panic's text.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

/// Where the first panic was, and what it said.
static FIRST: Mutex<Option<String>> = Mutex::new(None);

/// Runs `work`; a panic in it, on whatever thread, becomes an error.
pub(super) fn unwinding<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    panic::set_hook(Box::new(|info| {
        let said =
            info.payload().downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| info.payload().downcast_ref::<String>().cloned());
        let place = info.location().map_or_else(String::new, |l| format!(" ({}:{})", l.file(), l.line()));
        let text = format!("{}{place}", said.unwrap_or_else(|| "no reason given".to_owned()));
        FIRST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
    }));
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let text = FIRST.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        Err(anyhow::anyhow!(
            "ronchi made a mistake and stopped: {text}. Please report it with the command that you typed; outputs are complete or absent."
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_one_sentence() {
        let error = unwinding(|| -> anyhow::Result<()> { panic!("index out of range") }).unwrap_err().to_string();
        assert!(error.starts_with("ronchi made a mistake and stopped: index out of range (src/cli/guard.rs:"), "{error}");
        let _ = panic::take_hook();
    }
}
