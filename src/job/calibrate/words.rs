//! Values in words, and the job file of a calibration.

use std::path::Path;

use crate::imaging::calibrate::{Calibration, Estimate};
use crate::job::Place;
use crate::job::schema::Job;
use crate::job::values::PixelList;

/// A value and its error to the digits that the error leaves.
pub(super) fn words(Estimate { value, se }: Estimate, unit: &str) -> String {
    let digits = digits(se);
    format!("{value:.digits$} ± {se:.digits$}{unit}")
}

/// Decimals with which a standard error shows two digits.
fn digits(se: f64) -> usize {
    if se > 0.0 && se.is_finite() { (1.0 - se.log10().floor()).clamp(0.0, 8.0) as usize } else { 3 }
}

/// A value to two digits more than its error has.
pub(super) fn rounded(value: f64, se: f64) -> f64 {
    if !(se > 0.0 && se.is_finite()) {
        return value;
    }
    let scale = 10f64.powi(digits(se) as i32 + 1);
    (value * scale).round() / scale
}

pub(super) fn bad_pixels_told(measured: &Calibration) -> String {
    let list = PixelList(measured.bad_pixels.iter().map(|bad| bad.place).collect());
    let shown: Vec<String> = list.0.iter().take(8).map(|[y, x]| format!("[{y}, {x}]")).collect();
    let more = if list.0.len() > 8 { ", …" } else { "" };
    format!(
        "{} detector pixels do not count as their neighbours do ({}{more}): set data.bad_pixels, such as from `ronchi calibrate`, to leave them out.",
        list.0.len(),
        shown.join(", ")
    )
}

/// A job file of what is known, each value with its origin, what follows from it and what is open as comments.
pub(super) fn job_file(job: &Job, facts: &[(&str, String)], open: &[(&str, String)]) -> String {
    let mut text = format!(
        "# Calibration by ronchi {}. This is a job file: ronchi run takes it.\n# Values carry ± one standard error. A line that begins with # has no effect.\n",
        env!("CARGO_PKG_VERSION")
    );
    let rows = job.rows();
    for section in ["data", "optics", "scan", "detector", "images"] {
        let values: Vec<String> = rows
            .iter()
            .filter(|row| row.section == section && row.place != Place::Default)
            .map(|row| {
                let value = match &row.value {
                    toml::Value::String(path) if (section, row.key) == ("data", "path") => toml::Value::String(absolute(path)),
                    value => value.clone(),
                };
                format!("{} = {value}{}\n", row.key, origin(&row.place))
            })
            .collect();
        let comments = |of: &[(&str, String)], mark: &str| -> Vec<String> {
            of.iter().filter(|(at, _)| *at == section).map(|(_, text)| format!("# {mark}{text}\n")).collect()
        };
        let lines = [values, comments(facts, ""), comments(open, "not determined: ")].concat();
        if !lines.is_empty() {
            text.push_str(&format!("\n[{section}]\n{}", lines.concat()));
        }
    }
    text
}

fn origin(place: &Place) -> String {
    match place {
        Place::Line { .. } | Place::Typed | Place::Default => String::new(),
        origin => format!("  # {origin}"),
    }
}

/// The path from the root, so that the job file may lie anywhere.
fn absolute(path: &str) -> String {
    Path::new(path).canonicalize().map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}
