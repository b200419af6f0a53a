//! `ronchi compare`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Usage, words};
use crate::job::{self, Agreement, ColumnPair, Comparing, Comparison, ElementErrors, ImagePair};
use crate::output;

/// Compare two results, or a result with its truth: FRC, SSIM, phase error, Bragg spots, column by column
#[derive(clap::Args)]
#[command(after_help = "Example: ronchi compare monday.emd tuesday.emd\n\
    Example: ronchi compare result.emd scan_truth.emd --image phase_scan\n\
    Example: ronchi compare result.emd other.emd --image ssb:phase_scan --json\n\
    Example: ronchi compare --exact monday.emd tuesday.emd\n\n\
    Exit code 0: the files were compared; 1: a file can't be read, or there is nothing to compare.\n\
    With --exact 0: every dataset and attribute outside /ronchi/run is the same, bit by bit; 1: something differs, each thing on a line.")]
pub(super) struct Args {
    first: PathBuf,
    second: PathBuf,
    /// Images to compare, all that both files have unless it is said; where their names differ that of the first and of the second with a colon between
    #[arg(long, value_name = "NAME[:NAME]", value_delimiter = ',', conflicts_with = "exact")]
    image: Vec<String>,
    /// How far in Å images may lie apart; 0 leaves them in their place [default: 0.5, or a pixel]
    #[arg(long = "reach-A", value_name = "A", conflicts_with = "exact")]
    reach_A: Option<f64>,
    /// Blur a truth, or without one both images, by a Gaussian of this standard deviation in Å
    #[arg(long = "blur-A", value_name = "A", default_value_t = 0.0, conflicts_with = "exact")]
    blur_A: f64,
    /// Multiply the second image by the gain before RMS and SSIM
    #[arg(long, conflicts_with = "exact")]
    gain: bool,
    /// How far in Å columns of the two files may lie apart
    #[arg(long = "tolerance-A", value_name = "A", default_value_t = 0.5, conflicts_with = "exact")]
    tolerance_A: f64,
    /// Bit by bit
    #[arg(long)]
    exact: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Exact {
    same: bool,
    differences: Vec<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.exact {
        return exact(args);
    }
    let comparison = job::compare(&args.first, &args.second, &how(args)?)?;
    if args.json {
        words::print_json(&comparison)?;
    } else {
        words::print(&page(&comparison))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn exact(args: &Args) -> anyhow::Result<ExitCode> {
    let differences = output::compare_exact(&args.first, &args.second).map_err(job::Error::from)?;
    let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
    let same = lines.is_empty();
    if args.json {
        words::print_json(&Exact { same, differences: lines })?;
    } else if same {
        words::say(&format!("{} and {} are the same", args.first.display(), args.second.display()));
    } else {
        words::print(&(lines.join("\n") + "\n"))?;
    }
    Ok(ExitCode::from(u8::from(!same)))
}

fn how(args: &Args) -> Result<Comparing, Usage> {
    let checked = |name: &str, value: f64, may_be_0: bool| {
        if value.is_finite() && (value > 0.0 || (may_be_0 && value == 0.0)) {
            return Ok(value);
        }
        let least = if may_be_0 { "a number of Å, 0 or more" } else { "a number of Å above 0" };
        Err(Usage(format!("{name} is {value}, expected {least}.")))
    };
    let names = |text: &String| {
        let (first, second) = text.split_once(':').unwrap_or((text, text));
        match first.is_empty() || second.is_empty() {
            true => Err(Usage(format!("--image {text} is not a name, or two with a colon between, such as ssb:phase_scan."))),
            false => Ok([first.to_owned(), second.to_owned()]),
        }
    };
    Ok(Comparing {
        images: args.image.iter().map(names).collect::<Result<_, _>>()?,
        reach_A: args.reach_A.map(|reach| checked("--reach-A", reach, true)).transpose()?,
        blur_A: checked("--blur-A", args.blur_A, true)?,
        gain: args.gain,
        tolerance_A: checked("--tolerance-A", args.tolerance_A, false)?,
    })
}

/// Rows of cells as text: the first cell of each to the left, the others to the right, without blanks at the ends.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(n, (cell, &width))| if n == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn page(comparison: &Comparison) -> String {
    let mut text = format!("A  {}\nB  {}\n", comparison.first, comparison.second);
    if !comparison.images.is_empty() {
        text.push('\n');
        text.push_str(&table(&images(&comparison.images)));
        text.push_str("rms of A − B, and of B's standard deviation σ; FRC (its thresholds) and Bragg spots as the finest periods\n\n");
        comparison.images.iter().for_each(|pair| text.push_str(&how_compared(pair)));
    }
    if let Some(columns) = &comparison.columns {
        text.push('\n');
        text.push_str(&column_page(columns));
    }
    if !comparison.notes.is_empty() {
        text.push('\n');
        comparison.notes.iter().for_each(|note| text.push_str(&format!("note  {note}\n")));
    }
    if !comparison.left_out.is_empty() {
        text.push('\n');
        comparison.left_out.iter().for_each(|why| text.push_str(&format!("left out  {why}\n")));
    }
    text
}

/// The last part of a path.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn names(pair: &ImagePair) -> String {
    if pair.first == pair.second { name(&pair.first).to_owned() } else { format!("{}:{}", name(&pair.first), name(&pair.second)) }
}

/// A line an image.
fn images(pairs: &[ImagePair]) -> Vec<Vec<String>> {
    let with_truth = pairs.iter().any(|pair| pair.truth.is_some());
    let mut header = vec!["image", "r", "rms", "of σ", "gain", "SSIM"];
    header.extend(with_truth.then_some("FRC 0.5"));
    header.extend(["1/2 bit", "1/7", "Bragg A", "Bragg B"]);
    let mut rows = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for pair in pairs {
        let length = pair.length_unit;
        let agreement = |agreement: &Option<Agreement>| {
            agreement.map_or("nowhere".to_owned(), |a| format!("{}{:.2} {length}", if a.everywhere { "≤ " } else { "" }, a.resolution))
        };
        let mut row = vec![
            names(pair),
            format!("{:.4}", pair.correlation),
            format!("{} {}", figures(pair.rms), pair.units).trim().to_owned(),
            pair.rms_of_deviation.map_or("–".to_owned(), |part| format!("{:.0} %", 100.0 * part)),
            pair.gain.map_or("–".to_owned(), |gain| format!("{gain:.3}")),
            pair.ssim.map_or("–".to_owned(), |ssim| format!("{ssim:.3}")),
        ];
        row.extend(with_truth.then(|| if pair.truth.is_some() { agreement(&pair.frc.one_half) } else { "–".to_owned() }));
        row.extend([agreement(&pair.frc.half_bit), agreement(&pair.frc.one_seventh)]);
        row.extend(pair.bragg.map(|spot| spot.map_or("none".to_owned(), |s| format!("{:.2} {length}", s.spacing))));
        rows.push(row);
    }
    rows
}

/// A number with three figures that count.
fn figures(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let before = value.abs().log10().floor();
    if !(-5.0..6.0).contains(&before) {
        return format!("{value:.2e}");
    }
    format!("{value:.*}", (2.0 - before).max(0.0) as usize)
}

/// What was done with an image, and what the table has no room for.
fn how_compared(pair: &ImagePair) -> String {
    let length = pair.length_unit;
    let [rows, columns] = pair.shape;
    let [py, px] = pair.pixel;
    let mut text = format!("{}\n", names(pair));
    let mut line = |what: String| text.push_str(&format!("  {what}\n"));
    let size = if (py - px).abs() < 1e-6 * py { figures(py) } else { format!("{} × {}", figures(py), figures(px)) };
    let share = pair.share.map(|s| format!("{:.0} %", 100.0 * s));
    let other = if pair.grid == "A" { "B" } else { "A" };
    let brought = if length == "px" { "pixel on pixel".to_owned() } else { format!("{other} brought to the pixels of {}", pair.grid) };
    line(format!(
        "{brought}: {rows} × {columns} of {size} {length}, {:.1} × {:.1} {length}, {} of A and {} of B",
        rows as f64 * py,
        columns as f64 * px,
        share[0],
        share[1]
    ));
    if let Some(truth) = pair.truth {
        let blur = if pair.blur > 0.0 { format!(", blurred by {} Å", figures(pair.blur)) } else { String::new() };
        let limit = if truth == pair.grid {
            String::new()
        } else {
            format!(", without what is finer than {} {length}, which these pixels do not hold", figures(2.0 * py.max(px)))
        };
        line(format!("{truth} is a truth, the phase of the whole thickness{blur}{limit}"));
    } else if pair.blur > 0.0 {
        line(format!("both blurred by {} Å", figures(pair.blur)));
    }
    let (factor, unit, digits) = if length == "Å" { (100.0, "pm", 1) } else { (1.0, "px", 3) };
    let [sy, sx] = pair.shift.map(|s| format!("{:+.digits$}", factor * s));
    let shift = if pair.reach > 0.0 {
        format!("a shift of B by (y, x) = ({sy}, {sx}) {unit}, looked for up to {} {length}", figures(pair.reach))
    } else {
        "no shift".to_owned()
    };
    let free = match (pair.constant, pair.ramp) {
        (Some(constant), Some([y, x])) => format!(
            ", a constant of {} {} and a ramp of ({}, {}) {}/{length}",
            figures(-constant),
            pair.units,
            figures(-y),
            figures(-x),
            pair.units
        ),
        _ => "; no constant and no ramp".to_owned(),
    };
    line(format!("removed from B: {shift}{free}"));
    if let Some(gain) = pair.gain {
        let applied = if pair.gain_applied { "applied" } else { "not applied" };
        line(format!("gain: A = {gain:.4}·B fits best, with an rms of {} {}; {applied}", figures(pair.rms_with_gain), pair.units));
    }
    if pair.ssim.is_some() {
        line(format!("SSIM: Gaussian window of 11 pixels, σ 1.5, K 0.01 and 0.03, range {} {}", figures(pair.ssim_range), pair.units));
    }
    let samples = |name: &str, agreement: &Option<Agreement>| agreement.map(|a| format!("{:.0} at {name}", a.samples));
    let told = [samples("0.5", &pair.frc.one_half), samples("1/2 bit", &pair.frc.half_bit), samples("1/7", &pair.frc.one_seventh)];
    let told: Vec<String> = told.into_iter().flatten().collect();
    if !told.is_empty() {
        let rings = pair.frc.frequency.len();
        let finest = pair.frc.frequency.last().map_or(0.0, |f| 1.0 / f);
        line(format!("FRC: {rings} rings to {finest:.2} {length}; independent samples: {}", told.join(", ")));
    }
    let spots: Vec<String> = ["A", "B"].iter().zip(pair.bragg).filter_map(|(n, spot)| spot.map(|s| format!("{n} {:.1}", s.snr))).collect();
    if !spots.is_empty() {
        line(format!("SNR of the Bragg spots: {}", spots.join(", ")));
    }
    pair.notes.iter().for_each(|note| line(note.clone()));
    text
}

fn column_page(columns: &ColumnPair) -> String {
    let mut rows = vec![
        [
            "columns",
            "pairs",
            "only A",
            "only B",
            "rms (pm)",
            "shift y, x (pm)",
            "about it (pm)",
            "over s.e.",
            "occupancies",
            "rms",
            "bias",
            "over s.e.",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let number = |value: Option<f64>, digits: usize| value.map_or("–".to_owned(), |v| format!("{v:.digits$}"));
    let signed = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:+.3}"));
    for ElementErrors {
        element,
        pairs,
        unmatched,
        rms_pm,
        rms_about_shift_pm,
        shift_pm,
        place_over_se,
        occupancies,
        occupancy_rms,
        occupancy_bias,
        occupancy_over_se,
    } in &columns.elements
    {
        rows.push(vec![
            element.unwrap_or("all").to_owned(),
            pairs.to_string(),
            unmatched[0].to_string(),
            unmatched[1].to_string(),
            number(*rms_pm, 1),
            shift_pm.map_or("–".to_owned(), |[y, x]| format!("{y:+.1}, {x:+.1}")),
            number(*rms_about_shift_pm, 1),
            number(*place_over_se, 2),
            occupancies.to_string(),
            number(*occupancy_rms, 3),
            signed(*occupancy_bias),
            number(*occupancy_over_se, 2),
        ]);
    }
    let mut text = table(&rows);
    text.push_str(&format!(
        "{} of A with {} of B: the nearest of the same element within {} Å; A − B, along the scan\n",
        columns.first,
        columns.second,
        figures(columns.tolerance_A)
    ));
    if columns.untrusted != [0, 0] {
        text.push_str(&format!("not trusted and left out: {} of A, {} of B\n", columns.untrusted[0], columns.untrusted[1]));
    }
    text
}
