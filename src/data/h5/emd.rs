//! What EMD 1.0 files, as py4DSTEM and emdfile write them, say of their geometry.

use hdf5::{Dataset, File, Group};

use super::scalar;
use crate::data::{Calibration, Known};

/// Names under `calibration` that say nothing of the data.
const PRIVATE: [&str; 2] = ["_root_treepath", "_target_paths"];

/// The format and calibration of the dataset at `path`, if it is an array of an EMD 1.0 file.
pub(super) fn read(file: &File, path: &str) -> Option<(String, Calibration)> {
    let is = |group: &Group, kind: &str| scalar::attribute(group, "emd_group_type").is_some_and(|k| k == kind);
    let version = file.attr("version_major").ok().and_then(|a| scalar::number(&a))?;
    if !is(file, "file") || version != 1.0 {
        return None;
    }
    let (array_path, _) = path.rsplit_once('/')?;
    let array = file.group(array_path).ok()?;
    let format = match scalar::attribute(&array, "python_class").as_deref() {
        Some("DataCube") => "py4DSTEM EMD 1.0".to_owned(),
        _ => "EMD 1.0".to_owned(),
    };
    let mut calibration = Calibration::default();
    // The root's metadata hold for all below it; an array may have its own.
    let mut above = array_path;
    while !above.is_empty() {
        let place = format!("{above}/metadatabundle/calibration");
        if let Ok(group) = file.group(&place) {
            from_metadata(&group, &place, &mut calibration);
            break;
        }
        above = above.rsplit_once('/').map_or("", |(a, _)| a);
    }
    from_axes(&array, array_path, &mut calibration);
    Some((format, calibration))
}

fn from_metadata(group: &Group, place: &str, into: &mut Calibration) {
    let mut read: Vec<&str> = PRIVATE.to_vec();
    let dataset = |name: &str| group.dataset(name).ok();
    let origin = |name: &str| format!("dataset `{name}` of {place}");
    let number = |name: &str| dataset(name).and_then(|d| scalar::number(&d));
    let known = |name: &str, value: f64| Known { value, origin: origin(name) };

    if let (Some(size), Some(unit)) = (number("R_pixel_size"), dataset("R_pixel_units").and_then(|d| scalar::text(&d)))
        && let Some(angstrom) = length_in_angstrom(&unit)
    {
        into.step_A = positive(size * angstrom).map(|s| Known { value: [s, s], origin: origin("R_pixel_size") });
        read.extend(["R_pixel_size", "R_pixel_units"]);
    }
    if let (Some(size), Some(unit)) = (number("Q_pixel_size"), dataset("Q_pixel_units").and_then(|d| scalar::text(&d))) {
        let two = |s: f64| positive(s).map(|s| Known { value: [s, s], origin: origin("Q_pixel_size") });
        match reciprocal(&unit) {
            Some(Reciprocal::Angle(mrad)) => into.mrad_per_px = two(size * mrad),
            Some(Reciprocal::Frequency(inverse)) => into.inverse_A_per_px = two(size * inverse),
            None => {}
        }
        if reciprocal(&unit).is_some() {
            read.extend(["Q_pixel_size", "Q_pixel_units"]);
        }
    }
    if let Some(deg) = number("QR_rotation_degrees") {
        into.qr_rotation_deg = Some(known("QR_rotation_degrees", deg));
        read.extend(["QR_rotation_degrees", "QR_rotation"]);
    } else if let Some(rad) = number("QR_rotation") {
        into.qr_rotation_deg = Some(known("QR_rotation", rad.to_degrees()));
        read.push("QR_rotation");
    }
    if let Some(flip) = dataset("QR_flip").and_then(|d| scalar::truth(&d)) {
        into.qr_flip = Some(Known { value: flip, origin: origin("QR_flip") });
        read.push("QR_flip");
    }
    // Only names that carry their unit: others, such as `probe_semiangle` (pixels in py4DSTEM, mrad in some writers), go to `extra`.
    for name in ["convergence_semiangle_mrad", "probe_convergence_semiangle_mrad"] {
        if into.convergence_mrad.is_none()
            && let Some(mrad) = number(name).and_then(positive)
        {
            into.convergence_mrad = Some(known(name, mrad));
            read.push(name);
        }
    }
    for name in ["accelerating_voltage_kV", "beam_energy_keV"] {
        if into.voltage_kV.is_none()
            && let Some(kilovolt) = number(name).and_then(positive)
        {
            into.voltage_kV = Some(known(name, kilovolt));
            read.push(name);
        }
    }
    for name in group.member_names().unwrap_or_default() {
        if !read.contains(&name.as_str())
            && let Some(value) = dataset(&name).and_then(|d| scalar::shown(&d))
        {
            into.extra.push(Known { value: format!("{name} = {value}"), origin: origin(&name) });
        }
    }
}

/// The axes `dim0..3` fill in what the metadata leave open; where the two disagree, that is told.
fn from_axes(array: &Group, place: &str, into: &mut Calibration) {
    let axis = |n: usize| {
        let dataset = array.dataset(&format!("dim{n}")).ok()?;
        let unit = scalar::attribute(&dataset, "units")?;
        Some((step(&dataset)?, unit))
    };
    let pair = |a: usize| axis(a).zip(axis(a + 1));
    let origin = |a: usize| format!("datasets `dim{a}` and `dim{}` of {place}", a + 1);

    if let Some(((y, unit_y), (x, unit_x))) = pair(0)
        && let (Some(to_y), Some(to_x)) = (length_in_angstrom(&unit_y), length_in_angstrom(&unit_x))
    {
        settle(&mut into.step_A, [y * to_y, x * to_x], origin(0), "step_A", &mut into.extra);
    }
    if let Some(((y, unit_y), (x, unit_x))) = pair(2) {
        match (reciprocal(&unit_y), reciprocal(&unit_x)) {
            (Some(Reciprocal::Angle(to_y)), Some(Reciprocal::Angle(to_x))) => {
                settle(&mut into.mrad_per_px, [y * to_y, x * to_x], origin(2), "mrad_per_px", &mut into.extra);
            }
            (Some(Reciprocal::Frequency(to_y)), Some(Reciprocal::Frequency(to_x))) => {
                settle(&mut into.inverse_A_per_px, [y * to_y, x * to_x], origin(2), "inverse_A_per_px", &mut into.extra);
            }
            _ => {}
        }
    }
}

fn settle(known: &mut Option<Known<[f64; 2]>>, value: [f64; 2], origin: String, name: &str, extra: &mut Vec<Known<String>>) {
    if !value.iter().all(|v| positive(*v).is_some()) {
        return;
    }
    match known {
        None => *known = Some(Known { value, origin }),
        Some(k) if k.value.iter().zip(value).any(|(a, b)| (a - b).abs() > 1e-6 * a.abs()) => {
            extra.push(Known { value: format!("{name} = [{}, {}], which disagrees with the {}", value[0], value[1], k.origin), origin });
        }
        Some(_) => {}
    }
}

/// The step of an axis, given as its first values.
fn step(axis: &Dataset) -> Option<f64> {
    let [n] = axis.shape()[..] else { return None };
    if n < 2 {
        return None;
    }
    let values = axis.read_slice_1d::<f64, _>(0..2).ok()?;
    Some(values.get(1)? - values.get(0)?)
}

fn positive(x: f64) -> Option<f64> {
    (x.is_finite() && x > 0.0).then_some(x)
}

/// How many Å a unit of length has.
fn length_in_angstrom(unit: &str) -> Option<f64> {
    match unit.trim() {
        "A" | "Å" | "\u{212b}" | "angstrom" | "Angstrom" | "Angstroms" | "angstroms" => Some(1.0),
        "nm" | "nanometer" | "n_m" | "[n_m]" => Some(10.0),
        "pm" => Some(0.01),
        "um" | "µm" | "μm" => Some(1e4),
        _ => None,
    }
}

/// What a unit of the detector's axes measures, in ours.
enum Reciprocal {
    /// In mrad.
    Angle(f64),
    /// In 1/Å.
    Frequency(f64),
}

fn reciprocal(unit: &str) -> Option<Reciprocal> {
    match unit.trim() {
        "mrad" => Some(Reciprocal::Angle(1.0)),
        "rad" => Some(Reciprocal::Angle(1000.0)),
        "A^-1" | "1/A" | "Å^-1" | "1/Å" | "Å⁻¹" | "[A^-1]" => Some(Reciprocal::Frequency(1.0)),
        "nm^-1" | "1/nm" | "n_m^-1" | "[n_m^-1]" => Some(Reciprocal::Frequency(0.1)),
        _ => None,
    }
}
