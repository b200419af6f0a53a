//! `ronchi info`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Common, words};
use crate::data::{CubeInfo, Known};
use crate::job::{self, Job};
use crate::simulate::Structure;

/// Show a file's format, shape, type and calibration, with the origin of each value; of a CIF the crystal
#[derive(clap::Args)]
#[command(
    after_help = "Example: ronchi info scan.h5\nExample: ronchi info frames.h5 --set data.scan_shape=[64,64] --json\nExample: ronchi info NaNiO2.cif"
)]
pub(super) struct Args {
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, common: &Common) -> anyhow::Result<ExitCode> {
    if args.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("cif")) {
        let crystal = job::crystal(&args.file)?;
        if args.json {
            words::print_json(&crystal)?;
        } else {
            words::print(&describe_crystal(&args.file, &crystal))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
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

fn describe_crystal(file: &Path, crystal: &Structure) -> String {
    let count = |atoms: f64| if atoms == 1.0 { String::new() } else { ((atoms * 1e3).round() / 1e3).to_string() };
    let formula: Vec<String> = crystal.atoms().iter().map(|(element, atoms)| format!("{}{}", element.symbol(), count(*atoms))).collect();
    let [a, b, c] = crystal.cell.edges_A;
    let [alpha, beta, gamma] = crystal.cell.angles_deg;
    let mut text = format!(
        "file     {}\ncell     a {a}  b {b}  c {c} Å  α {alpha}  β {beta}  γ {gamma}°  {:.2} Å³\natoms    {}\n\n",
        file.display(),
        crystal.volume_A3(),
        formula.join(" ")
    );
    text.push_str("element        x        y        z  occupancy  B (Å²)\n");
    for site in &crystal.sites {
        let [x, y, z] = site.at;
        text.push_str(&format!("{:<7} {x:>8.5} {y:>8.5} {z:>8.5}  {:>9.4}  {:>6.3}\n", site.element.symbol(), site.occupancy, site.b_A2));
    }
    text
}

fn known<T>(known: &Option<Known<T>>, show: impl Fn(&T) -> String) -> String {
    known.as_ref().map_or("not in the file".to_owned(), |k| format!("{} ({})", show(&k.value), k.origin))
}
