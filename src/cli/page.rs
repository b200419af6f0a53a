//! `ronchi job-file-page`: the page of the documentation that is made from the schema.

use std::process::ExitCode;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    super::words::print(&crate::job::page())?;
    Ok(ExitCode::SUCCESS)
}
