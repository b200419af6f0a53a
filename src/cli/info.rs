//! `ronchi info`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Common, words};
use crate::data::{CubeInfo, Known};
use crate::job::{self, Job};

/// Show a file's format, shape, type and calibration, with the origin of each value
#[derive(clap::Args)]
#[command(after_help = "Example: ronchi info scan.h5\nExample: ronchi info frames.h5 --set data.scan_shape=[64,64] --json")]
pub(super) struct Args {
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, common: &Common) -> anyhow::Result<ExitCode> {
    let source = job::open(&Job::of_data(&args.file, &common.sets)?)?;
    if args.json {
        words::print_json(source.info())?;
    } else {
        words::print(&describe(source.info()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(info: &CubeInfo) -> String {
    let [rows, columns] = info.scan_shape;
    let [height, width] = info.frame_shape;
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<18} {value}\n"));
    line("file", info.path.display().to_string());
    line("format", info.format.clone());
    line("dataset", info.dataset.clone());
    line("scan", format!("{rows} × {columns}"));
    line("frames", format!("{height} × {width}, {}", info.stored_dtype));
    line("in memory", format!("{:.1} MiB", (info.frames() * info.frame_bytes()) as f64 / f64::from(1 << 20)));
    let filters = if info.filters.is_empty() { String::new() } else { format!(", {}", info.filters.join(", ")) };
    line("storage", info.chunks.as_ref().map_or("contiguous".to_owned(), |chunks| format!("chunks {chunks:?}{filters}")));

    let calibration = &info.calibration;
    line("voltage_kV", known(&calibration.voltage_kV, ToString::to_string));
    line("convergence_mrad", known(&calibration.convergence_mrad, ToString::to_string));
    line("step_A", known(&calibration.step_A, |p| format!("{p:?}")));
    line("mrad_per_px", known(&calibration.mrad_per_px, |p| format!("{p:?}")));
    if calibration.inverse_A_per_px.is_some() {
        line("inverse_A_per_px", known(&calibration.inverse_A_per_px, |p| format!("{p:?}")));
    }
    if calibration.qr_rotation_deg.is_some() {
        line("QR rotation", known(&calibration.qr_rotation_deg, |x| format!("{x}° in the file's own convention, not used")));
    }
    if calibration.qr_flip.is_some() {
        line("QR flip", known(&calibration.qr_flip, |x| format!("{x} in the file's own convention, not used")));
    }
    for extra in &calibration.extra {
        line("also", format!("{} ({}), not used", extra.value, extra.origin));
    }
    text
}

fn known<T>(known: &Option<Known<T>>, show: impl Fn(&T) -> String) -> String {
    known.as_ref().map_or("not in the file".to_owned(), |k| format!("{} ({})", show(&k.value), k.origin))
}
