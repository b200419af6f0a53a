//! What a map leaves: tables, arrays, sentences, CSV and pictures.

use std::path::{Path, PathBuf};

use super::lessons::Crystal;
use super::mapped::Mapped;
use super::scene::{Arrays, Scene};
use super::{Outcome, layers};
use crate::analysis::columns::{Noise, grown, peaks};
use crate::job::{Error, Job, beside};
use crate::output::{
    Array, ArrayData, Attr, Axis, Band, ColorMap, Column, Frame, Legend, Look, Mark, Profile, RingWidth, Table, write_overlay_png,
    write_png, write_profile_png,
};
use crate::run::Run;

/// What pictures are drawn of.
pub(super) struct Report {
    pub(super) image: Array,
    pub(super) symbol: &'static str,
    pub(super) rate: f64,
    pub(super) marks: Vec<Marked>,
    pub(super) rows: Vec<crate::analysis::columns::Row>,
}

/// A column of the element in question.
pub(super) struct Marked {
    /// (row, col) in pixels.
    pub(super) centre: [f64; 2],
    pub(super) occupancy: f64,
    pub(super) q: f64,
}

/// The radius of a column's mark, and the q value below which its ring is thick.
const MARK_A: f64 = 0.45;
const STRONG: f64 = 0.01;
/// The width of the band-pass that bright spots are looked for with.
const PEAK_A: f64 = 0.45;

/// The folder of CSV and pictures that belongs to a result.
pub(super) fn folder(result: &Path) -> PathBuf {
    beside(result, "_tables")
}

/// Writes a picture of signed values, no change in white; the ends hold all but the outermost hundredth.
pub(super) fn signed_picture(array: &Array, folder: &Path, force: bool) -> Result<(), Error> {
    let mut sizes: Vec<f64> = array.data.reals().unwrap_or_default().into_iter().map(f64::abs).filter(|v| v.is_finite()).collect();
    sizes.sort_by(f64::total_cmp);
    let Some(&end) = sizes.get(sizes.len().saturating_sub(1) * 99 / 100) else { return Ok(()) };
    let look = Look { range: Some((-end, end)), ..Look::plain(ColorMap::Diverging) };
    write_png(&folder.join(format!("{}.png", array.name())), force, array, look)?;
    Ok(())
}

pub(super) fn column(name: &str, units: &str, values: Vec<f64>) -> Column {
    Column { name: name.to_owned(), units: units.to_owned(), data: ArrayData::F64(values) }
}

/// The image that was measured, as it is in the result.
pub(super) fn image(scene: &Scene, path: &str, values: Vec<f64>) -> Array {
    let [y, x] = scene.pixel_A;
    Array {
        path: path.to_owned(),
        shape: scene.shape.to_vec(),
        data: ArrayData::F64(values),
        axes: vec![Axis::new("y", "Å", 0.0, y), Axis::new("x", "Å", 0.0, x)],
        units: "rad".to_owned(),
        frame: Frame::Scan,
        to_scan: Some([[y, 0.0, 0.0], [0.0, x, 0.0]]),
        extra: vec![("image".to_owned(), Attr::Text(scene.path.clone()))],
    }
}

/// Tables and sentences of a map.
pub(super) fn outcome(job: &Job, scene: &Scene, crystal: &Crystal, mapped: Mapped, run: &Run) -> Outcome {
    tell(job, crystal, &mapped, run);
    let Mapped { settled, amplitudes, targets, occupancies, calibration, .. } = &mapped;
    let n = settled.sites.len();
    // Columns beyond the edges were fitted for their neighbours' sake alone.
    let end = scene.field().end_A();
    let inside: Vec<usize> =
        (0..n).filter(|&s| (0..2).all(|a| settled.sites[s].at_A[a] >= 0.0 && settled.sites[s].at_A[a] <= end[a])).collect();
    let of_target = |s: usize| targets.binary_search(&s).ok();
    let each = |value: &dyn Fn(usize) -> f64| inside.iter().map(|&s| value(s)).collect::<Vec<f64>>();
    let target = |value: &dyn Fn(usize) -> f64| each(&|s| of_target(s).map_or(f64::NAN, value));
    let projection = &crystal.projection;
    let name = |s: usize| projection.kinds[settled.sites[s].kind].clone();
    // Of other elements the templates alone tell the atoms.
    let atoms = each(&|s| of_target(s).map_or(amplitudes.atoms[s], |k| occupancies[k].atoms));
    let atoms_se = each(&|s| of_target(s).map_or(amplitudes.se[s], |k| occupancies[k].atoms_se));
    let trusted =
        each(&|s| f64::from(u8::from(of_target(s).map_or(amplitudes.atoms[s].is_finite(), |k| occupancies[k].occupancy.is_finite()))));
    let expected = each(&|s| settled.sites[s].expected);
    let ratio = |values: &[f64]| values.iter().zip(&expected).map(|(v, e)| v / e).collect::<Vec<f64>>();
    let (occupancy, occupancy_se) = (ratio(&atoms), ratio(&atoms_se));
    let mut rows = vec![
        Column { name: "element".to_owned(), units: String::new(), data: ArrayData::Names(inside.iter().map(|&s| name(s)).collect()) },
        // Where a column cannot be measured, the crystal tells its place; its error is NaN then.
        column("y_A", "Å", each(&|s| place(&settled.places_A[s], &settled.sites[s].at_A)[0])),
        column("x_A", "Å", each(&|s| place(&settled.places_A[s], &settled.sites[s].at_A)[1])),
        column("y_se_A", "Å", each(&|s| settled.se_A[s][0])),
        column("x_se_A", "Å", each(&|s| settled.se_A[s][1])),
        column("amplitude", "rad Å²", each(&|s| amplitudes.atoms[s] * mapped.taught.learnt.templates[settled.sites[s].kind].integral())),
        column("sites", "", expected.clone()),
        column("atoms", "", atoms),
        column("atoms_se", "", atoms_se),
        column("occupancy", "", occupancy),
        column("occupancy_se", "", occupancy_se),
        column("z", "", target(&|k| occupancies[k].z)),
        column("q", "", target(&|k| occupancies[k].q)),
        column("trusted", "", trusted),
        column("depth_A", "Å", target(&|k| mapped.depths_A[k])),
        column("disc", "rad Å²", each(&|s| mapped.discs[s].value)),
        column("disc_se", "rad Å²", each(&|s| mapped.discs[s].se)),
        column("voronoi", "rad Å²", each(&|s| mapped.cells[s].value)),
        column("voronoi_se", "rad Å²", each(&|s| mapped.cells[s].se)),
    ];
    rows.iter_mut().for_each(|c| {
        if let ArrayData::F64(v) = &mut c.data {
            v.iter_mut().for_each(|x| {
                if x.is_infinite() {
                    *x = f64::NAN
                }
            })
        }
    });
    let number = |name: &str, value: f64| (name.to_owned(), Attr::Number(value));
    let lattice = &mapped.found.lattice;
    // Columns of an element are placed alike, but for their neighbours.
    let of_placing = mapped.targets.iter().map(|&site| mapped.placing[mapped.settled.sites[site].kind]).fold(1.0, f64::max);
    let mut extra = vec![
        ("frame".to_owned(), Attr::Text(Frame::Scan.name().to_owned())),
        ("image".to_owned(), Attr::Text(scene.path.clone())),
        number("thickness_A", mapped.thickness_A),
        number("explained", mapped.found.explained),
        number("times_chance", mapped.found.times_chance),
        number("misfit", amplitudes.misfit),
        number("fit_explained", amplitudes.explained),
        number("rotation_deg", lattice.rotation_deg()),
        ("lattice".to_owned(), Attr::Numbers(lattice.matrix.as_flattened().iter().copied().chain(lattice.origin_A).collect())),
        number("calibration_slope", calibration.slope),
        number("calibration_intercept_atoms", calibration.intercept),
        number("calibration_bend_per_atom", calibration.bend),
        number("calibration_scatter_atoms", calibration.scatter),
        number("calibration_scale", calibration.scale),
        number("placing", of_placing),
        number("noise_rad", mapped.taught.noise.deviation()),
        number("brightness_of_others", mapped.brightness.ratio),
        number("brightness_of_others_se", mapped.brightness.se),
        number("brightness_of_alike", mapped.brightness_of_alike.ratio),
        number("brightness_of_alike_se", mapped.brightness_of_alike.se),
    ];
    if let Some(power) = &mapped.power {
        extra.extend([number("power_single_atoms", power.single_atoms), number("power_mean_occupancy", power.mean_occupancy)]);
    }
    if let Some(check) = &mapped.bootstrap {
        extra.extend([
            number("bootstrap_columns", check.columns as f64),
            number("bootstrap_called", check.calls.called as f64),
            number("bootstrap_within_68", check.within[0]),
            number("bootstrap_within_95", check.within[1]),
            number("bootstrap_error_ratio", check.ratio),
            number("bootstrap_rms_atoms", check.rms_atoms),
            number("bootstrap_false_discovery_rate", check.calls.false_discovery_rate()),
            number("bootstrap_false_share", check.calls.false_share()),
        ]);
    }
    let mut tables = vec![Table { path: "map/columns".to_owned(), columns: rows, extra }];
    if !mapped.rows.is_empty() {
        let each = |value: &dyn Fn(&crate::analysis::columns::Row) -> f64| mapped.rows.iter().map(value).collect::<Vec<f64>>();
        let profile = vec![
            column("depth_A", "Å", each(&|r| r.at_A)),
            column("columns", "", each(&|r| r.columns as f64)),
            column("occupancy", "", each(&|r| r.occupancy)),
            column("occupancy_se", "", each(&|r| r.se)),
            column("low_95", "", each(&|r| r.band[0])),
            column("high_95", "", each(&|r| r.band[1])),
        ];
        tables.push(Table { path: "map/profile".to_owned(), columns: profile, extra: Vec::new() });
    }
    let marks = targets
        .iter()
        .zip(occupancies)
        .filter(|(s, _)| inside.binary_search(s).is_ok())
        .map(|(&s, o)| Marked { centre: [0, 1].map(|a| settled.sites[s].at_A[a] / scene.pixel_A[a]), occupancy: o.occupancy, q: o.q })
        .collect();
    let measured = image(scene, "map/image", scene.values.clone());
    let report = Report {
        image: measured.clone(),
        symbol: crystal.element.symbol(),
        rate: job.map.false_discovery_rate.value,
        marks,
        rows: mapped.rows.clone(),
    };
    let mut arrays = vec![measured, image(scene, "map/residual", amplitudes.residual.clone())];
    layers::add(scene, crystal, &mapped, run, &mut tables, &mut arrays);
    Outcome { arrays, tables, diffraction: None, report: Some(report) }
}

fn place(own: &[f64; 2], crystal: &[f64; 2]) -> [f64; 2] {
    if own.iter().all(|x| x.is_finite()) { *own } else { *crystal }
}

/// Says what was found.
fn tell(job: &Job, crystal: &Crystal, mapped: &Mapped, run: &Run) {
    let symbol = crystal.element.symbol();
    let lattice = &mapped.found.lattice;
    let stretch = lattice.stretch();
    run.note(format!(
        "crystal: turned by {:.1}°{}, {:.2} % longer along its y and {:.2} % along its x than the structure says; it explains {:.1} % of the image but for its finest waves, {:.0} times as much as laid over it at random",
        // Never "-0.0".
        (10.0 * lattice.rotation_deg()).round() / 10.0 + 0.0,
        if lattice.is_mirrored() { ", mirrored" } else { "" },
        100.0 * (stretch[0] - 1.0),
        100.0 * (stretch[1] - 1.0),
        100.0 * mapped.found.explained,
        mapped.found.times_chance
    ));
    let c = &mapped.calibration;
    let [fewest, most] = c.range;
    let bend = if c.bend == 0.0 { String::new() } else { format!(" {:+.4}·(atoms − {fewest})·(atoms − {most})", c.bend) };
    run.note(format!(
        "calibration by simulated crystals of {:.1} Å: fitted = {:.3} + {:.3}·atoms{bend} ± {:.3} over {} columns; {:.1} % of their variance is left",
        mapped.thickness_A,
        c.intercept,
        c.slope,
        c.scatter,
        c.columns,
        100.0 * mapped.taught.learnt.left
    ));
    let rate = job.map.false_discovery_rate.value;
    let known: Vec<_> = mapped.occupancies.iter().filter(|o| o.occupancy.is_finite()).collect();
    let called = known.iter().filter(|o| o.q < rate).count();
    if let Some(mean) = &mapped.mean {
        run.note(format!(
            "{symbol}: {} columns, mean occupancy {:.3} ± {:.3}; {called} hold fewer atoms than a full column (q < {rate})",
            known.len(),
            mean.occupancy,
            mean.se
        ));
    }
    if let Some(power) = &mapped.power {
        let full = mapped.targets.iter().map(|&site| mapped.settled.sites[site].expected).fold(0.0, f64::max);
        let found = power.finds(full);
        // Where few columns are called false ones, which are as rare as ever, are many of them.
        let doubt = if found < 0.5 { ". Of the few columns that such images call, more may be full than q tells" } else { "" };
        run.note(format!(
            "power: this image shows a single column that misses {:.1} atoms or more in four of five cases (a column's standard error is {:.2} atoms), an empty one of {full:.1} atoms in {:.0} % of cases, and a mean occupancy below {:.3}{doubt}",
            power.single_atoms,
            power.se_atoms,
            100.0 * found,
            1.0 - power.mean_occupancy,
        ));
    }
    let left = mapped.amplitudes.misfit;
    if left > 1.5 {
        run.warn(format!(
            "What is left of the image is {:.1} times the noise: the crystal, its thickness or the focus is not quite what was said. Standard errors are {:.1} times those of counting alone for it.",
            left.sqrt(),
            grown(left)
        ));
    } else if left < 0.5 {
        run.warn(format!(
            "What is left of the image is {:.1} times the noise of simulated counts: the image has less noise than its dose tells, as a smoothed one has, or the dose is another. Standard errors are those of that noise, rather too large.",
            left.sqrt()
        ));
    }
    if let Some(check) = &mapped.bootstrap {
        run.note(format!(
            "bootstrap: of {} simulated columns {:.1} % lie within one standard error (68.3) and {:.1} % within the 95 % interval; errors are {:.2} times as large as said. The false discovery rate is {:.1} % (the part of a scan's called columns that are full, 0 where none is called, on the mean); of all {} called ones {:.1} % are full",
            check.columns,
            100.0 * check.within[0],
            100.0 * check.within[1],
            check.ratio,
            100.0 * check.calls.false_discovery_rate(),
            check.calls.called,
            100.0 * check.calls.false_share()
        ));
    }
}

/// Bright spots where no crystal is known.
pub(super) fn peaks_of(scene: &Scene, noise: &Noise) -> Result<Table, Error> {
    let found = peaks(&scene.field(), noise, PEAK_A)?;
    let each = |value: &dyn Fn(&crate::analysis::columns::Peak) -> f64| found.iter().map(value).collect::<Vec<f64>>();
    let columns = vec![
        column("y_A", "Å", each(&|p| p.at_A[0])),
        column("x_A", "Å", each(&|p| p.at_A[1])),
        column("y_se_A", "Å", each(&|p| p.se_A[0])),
        column("x_se_A", "Å", each(&|p| p.se_A[1])),
        column("height", "rad", each(&|p| p.height)),
        column("height_se", "rad", each(&|p| p.height_se)),
    ];
    Ok(Table { path: "map/peaks".to_owned(), columns, extra: vec![("image".to_owned(), Attr::Text(scene.path.clone()))] })
}

/// A map without a crystal: bright spots alone.
pub(super) fn spots(job: &Job, scene: &Scene, arrays: &(impl Arrays + ?Sized), run: &Run) -> Result<Outcome, Error> {
    let errors = arrays.get(&format!("{}_error", scene.path)).and_then(|array| array.data.reals());
    let deviation = match errors {
        Some(errors) => {
            let mut known: Vec<f64> = errors.into_iter().filter(|e| e.is_finite()).collect();
            known.sort_by(f64::total_cmp);
            known.get(known.len() / 2).copied().unwrap_or(0.0)
        }
        None => finest_scale(scene),
    };
    let table = peaks_of(scene, &Noise::white(deviation, scene.pixel_A))?;
    run.note(format!(
        "{} bright spots in {}. Name the crystal (map.structure) to have its columns told apart and their atoms counted{}",
        table.columns[0].data.len(),
        scene.path,
        if job.map.thickness_A.is_some() { "; map.thickness_A serves that alone" } else { "" }
    ));
    Ok(Outcome { arrays: vec![image(scene, "map/image", scene.values.clone())], tables: vec![table], diffraction: None, report: None })
}

/// White noise by what the finest scale holds: the image less its four neighbours, where smooth images have nothing (J. Immerkær, Comput. Vis. Image Underst. 64 (1996) 300).
fn finest_scale(scene: &Scene) -> f64 {
    let [rows, columns] = scene.shape;
    let at = |i: usize, j: usize| scene.values[i * columns + j];
    let (mut sum, mut count) = (0.0, 0.0);
    for i in 1..rows.saturating_sub(1) {
        for j in 1..columns.saturating_sub(1) {
            let corners = at(i - 1, j - 1) + at(i - 1, j + 1) + at(i + 1, j - 1) + at(i + 1, j + 1);
            let sides = at(i - 1, j) + at(i + 1, j) + at(i, j - 1) + at(i, j + 1);
            sum += (corners - 2.0 * sides + 4.0 * at(i, j)).powi(2);
            count += 1.0;
        }
    }
    // The mask's squares add up to 36.
    (sum / (36.0 * f64::max(count, 1.0))).sqrt()
}

/// A table as comma-separated values, a line of names first, units in brackets.
pub(super) fn csv(table: &Table) -> String {
    let head = |c: &Column| if c.units.is_empty() || c.name.ends_with("_A") { c.name.clone() } else { format!("{} ({})", c.name, c.units) };
    let mut text = table.columns.iter().map(head).collect::<Vec<_>>().join(",") + "\n";
    let rows = table.columns.first().map_or(0, |c| c.data.len());
    for row in 0..rows {
        let cell = |c: &Column| match &c.data {
            ArrayData::Names(names) => names[row].clone(),
            data => data.reals().map_or_else(String::new, |v| if v[row].is_nan() { String::new() } else { format!("{:.6}", v[row]) }),
        };
        text.push_str(&(table.columns.iter().map(cell).collect::<Vec<_>>().join(",") + "\n"));
    }
    text
}

impl Report {
    /// Draws the map and its profile.
    pub(super) fn pictures(&self, folder: &Path, force: bool) -> Result<(), Error> {
        let pixel = self.image.axes[0].step.min(self.image.axes[1].step);
        let ring = |q: f64| match q {
            q if q < STRONG.min(self.rate) => Some(RingWidth::Thick),
            q if q < self.rate => Some(RingWidth::Thin),
            _ => None,
        };
        let marks: Vec<Mark> =
            self.marks.iter().map(|m| Mark { centre: m.centre, radius: MARK_A / pixel, value: m.occupancy, ring: ring(m.q) }).collect();
        let legend = Legend {
            title: format!("{} occupancy", self.symbol),
            range: (0.0, 1.0),
            map: ColorMap::YellowToBlue,
            thin: format!("ringed: fewer atoms than full, q < {}", self.rate),
            thick: format!("thick: q < {STRONG}"),
            untrusted: "grey circles: not to be trusted".to_owned(),
        };
        write_overlay_png(&folder.join("occupancy.png"), force, &self.image, &marks, &legend)?;
        if self.rows.len() > 1 {
            let profile = Profile {
                title: format!("{} occupancy, row by row", self.symbol),
                x_label: "depth (Å)".to_owned(),
                y_label: format!("{} occupancy", self.symbol),
                band_label: "mean of a row, 95 % band".to_owned(),
                points: self.rows.iter().map(|r| Band { at: r.at_A, value: r.occupancy, low: r.band[0], high: r.band[1] }).collect(),
                reference: Some((1.0, "full".to_owned())),
            };
            write_profile_png(&folder.join("profile.png"), force, &profile)?;
        }
        Ok(())
    }
}
