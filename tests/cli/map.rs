//! `ronchi map` as a user runs it.

use ronchi::output::{ArrayData, Attr, Results, Table};

use crate::cli_support::Place;

const SPECIFICATION: &str = r#"
seed = 5
[specimen]
structure = "Na3Ni2SbO6"
thickness_A = 5.3
offset_A = [1.1, 0.7]
defects = [{ kind = "thinned", element = "Na", columns = 0.3 }]
[optics]
voltage_kV = 300
convergence_mrad = 25
[scan]
shape = [44, 44]
step_A = 0.3
[detector]
side_px = 48
mrad_per_px = 2.0
dose_e_per_A2 = 2e4
"#;

/// A simulated scan with its images.
fn imaged() -> Place {
    imaged_of(44)
}

/// The same of so many positions along y and x.
fn imaged_of(side: usize) -> Place {
    let place = Place::new();
    image(&place, "scan", &SPECIFICATION.replace("[44, 44]", &format!("[{side}, {side}]")));
    place
}

/// Simulates a specification, and makes the images of its scan in NAME.emd.
fn image(place: &Place, name: &str, specification: &str) {
    let [spec, scan, result] = ["toml", "h5", "emd"].map(|kind| format!("{name}.{kind}"));
    place.write(&spec, specification);
    place.done(&["simulate", &spec, "-o", &scan]);
    place.done(&["image", &scan, "-o", &result, "-d", "bf,ssb", "--set", "scan.rotation_deg=0", "--set", "output.png=false"]);
}

fn reals(table: &Table, name: &str) -> Vec<f64> {
    table.columns.iter().find(|c| c.name == name).unwrap().data.reals().unwrap()
}

#[test]
fn a_map_counts_sodium_within_its_standard_errors_and_says_what_it_could_have_shown() {
    let place = imaged();
    let sets = ["--set", "map.structure=Na3Ni2SbO6", "--set", "map.thickness_A=5.3", "--set", "map.draws=4", "--set", "map.bootstrap=4"];
    let ran = place.done(&[&["map", "scan.emd"][..], &sets].concat());
    for words in ["crystal:", "calibration", "Na: ", "power:", "bootstrap:"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    let compared = place.done(&["compare", "scan_map.emd", "scan_truth.emd"]).stdout;
    assert!(compared.contains("map/columns of A with truth/columns of B") && compared.contains("\nNa "), "{compared}");
    let columns = Results::open(&place.path("scan_map.emd")).unwrap().table("map/columns").unwrap();
    let truth = Results::open(&place.path("scan_truth.emd")).unwrap().table("truth/columns").unwrap();
    let [true_y, true_x, number, true_atoms] = ["y", "x", "atomic_number", "atoms"].map(|name| reals(&truth, name));
    let [y, x, atoms, se, trusted, q] = ["y_A", "x_A", "atoms", "atoms_se", "trusted", "q"].map(|name| reals(&columns, name));
    let ArrayData::Names(element) = &columns.columns.iter().find(|c| c.name == "element").unwrap().data else {
        panic!("elements have names")
    };
    let (mut scores, mut empty) = (Vec::new(), 0);
    for k in (0..y.len()).filter(|&k| element[k] == "Na" && trusted[k] > 0.0) {
        let sodium = (0..number.len()).filter(|&t| number[t] == 11.0);
        let away = |t: usize| (true_y[t] - y[k]).hypot(true_x[t] - x[k]);
        let nearest = sodium.min_by(|&a, &b| away(a).total_cmp(&away(b))).unwrap();
        assert!(away(nearest) < 0.6, "a column {} Å from the next sodium", away(nearest));
        scores.push((atoms[k] - true_atoms[nearest]) / se[k]);
        // An empty column stands out by five standard errors or more, a full one never does.
        assert!(true_atoms[nearest] < 1.0 || q[k] > 1e-3, "a full column at q = {}", q[k]);
        empty += usize::from(true_atoms[nearest] < 1.0);
    }
    assert!(scores.len() >= 10, "{scores:?}");
    assert!(scores.iter().all(|z| z.abs() < 4.5), "{scores:?} ({empty} empty)");
    let told = |name: &str| columns.extra.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    // Some 40 simulated columns: 0.95 ± 0.035, and a ratio of 1 ± 0.11.
    assert!(matches!(told("bootstrap_within_95"), Some(Attr::Number(share)) if share > 0.8), "{:?}", told("bootstrap_within_95"));
    assert!(
        matches!(told("bootstrap_error_ratio"), Some(Attr::Number(ratio)) if (0.6..1.5).contains(&ratio)),
        "{:?}",
        told("bootstrap_error_ratio")
    );
    // A column holds one atom and errors are some 0.2, so that empty ones are found.
    assert!(ran.stderr.contains("an empty one of 1.0 atoms in") && !ran.stderr.contains("than q tells"), "{}", ran.stderr);
    for name in ["columns.csv", "profile.csv", "spots.csv", "occupancy.png", "profile.png"] {
        assert!(place.path("scan_map_tables").join(name).is_file(), "{name}");
    }
    let csv = std::fs::read_to_string(place.path("scan_map_tables/columns.csv")).unwrap();
    assert!(csv.starts_with("element,y_A,x_A,y_se_A,x_se_A,amplitude"), "{csv}");
    assert_eq!(csv.lines().count(), y.len() + 1);

    let again = place.run(&["map", "scan.emd"]);
    assert!(again.code != 0 && again.stderr.contains("exists already") && again.stderr.contains("--force"), "{}", again.stderr);
    // What is wrong is said before anything is calculated, and leaves nothing.
    place.write("bad.cif", "data_x\n_cell_length_a 5.3\n_cell_length_b oops\n");
    for (sets, expected) in [
        (&["map.structure=Unobtainium"][..], "Unobtainium"),
        (&["map.structure=bad.cif"], "bad.cif"),
        (&["map.structure=Na3Ni2SbO6", "map.zone_axis=[0, 0, 0]"], "zone axis"),
        (&["map.structure=Na3Ni2SbO6", "map.element=Au"], "holds no Au"),
        (&["map.structure=SrTiO3", "map.element=O"], "shares columns"),
        (&["map.structure=Na3Ni2SbO6", "map.image=bf"], "no phase"),
        (&["map.structure=Na3Ni2SbO6", "map.image=idpc"], "does not hold it"),
        (&["map.structure=Na3Ni2SbO6", "map.thickness_A=-3"], "map.thickness_A"),
        (&["map.strukture=Na3Ni2SbO6"], "structure"),
    ] {
        let mut arguments = vec!["map", "scan.emd", "-o", "other.emd"];
        sets.iter().for_each(|set| arguments.extend(["--set", *set]));
        let ran = place.run(&arguments);
        assert!((1..=2).contains(&ran.code) && ran.stderr.contains(expected), "{sets:?}: {}", ran.stderr);
        assert!(!place.path("other.emd").exists() && !place.path("other_tables").exists());
    }
}

/// A scan of 35 Å with a beam that is too narrow in angle to tell columns 1.5 Å apart.
const BLURRED: &str = r#"
seed = 5
[specimen]
structure = "Na3Ni2SbO6"
thickness_A = 5.3
[optics]
voltage_kV = 300
convergence_mrad = 4
[scan]
shape = [44, 44]
step_A = 0.8
[detector]
side_px = 48
mrad_per_px = 0.4
dose_e_per_A2 = 1e5
"#;

#[test]
fn a_small_field_a_wrong_thickness_a_wrong_zone_axis_dark_columns_and_columns_that_are_not_resolved_are_refused_with_what_is_needed() {
    let place = imaged();
    place.done(&[
        "image",
        "scan.h5",
        "-o",
        "small.emd",
        "-d",
        "ssb",
        "--set",
        "scan.rotation_deg=0",
        "--set",
        "data.crop_scan=[0, 14, 0, 14]",
    ]);
    let crystal = ["--set", "map.structure=Na3Ni2SbO6", "--set", "map.thickness_A=5.3", "--set", "map.draws=3"];
    let small = place.run(&[&["map", "small.emd"][..], &crystal].concat());
    assert!(small.code == 2 && small.stderr.contains("its field of 3.9 × 3.9 Å is too small"), "{}", small.stderr);
    assert!(small.stderr.contains("Scan a field of 8 × 8 Å or more"), "{}", small.stderr);
    let thick = ["--set", "map.structure=Na3Ni2SbO6", "--set", "map.thickness_A=10.6", "--set", "map.draws=3"];
    let thick = place.run(&[&["map", "scan.emd"][..], &thick].concat());
    assert!(thick.code == 2 && thick.stderr.contains("times as bright as those of a simulated crystal of 10.6 Å"), "{}", thick.stderr);
    let turned =
        ["--set", "map.structure=Na3Ni2SbO6", "--set", "map.zone_axis=[0,1,0]", "--set", "map.thickness_A=5.3", "--set", "map.draws=3"];
    let turned = place.run(&[&["map", "scan.emd"][..], &turned].concat());
    assert!(turned.code == 2 && turned.stderr.contains("Na3Ni2SbO6 along [1, 0, 0] fits better"), "{}", turned.stderr);
    assert!(
        turned.stderr.contains("The scan's step of 0.30 Å folds") && turned.stderr.contains("want 0.20 Å or less"),
        "{}",
        turned.stderr
    );
    // A rotation that is off by 180° turns the sign of phases.
    place.done(&["image", "scan.h5", "-o", "dark.emd", "-d", "ssb", "--set", "scan.rotation_deg=180"]);
    let dark = place.run(&[&["map", "dark.emd"][..], &crystal].concat());
    assert!(dark.code == 2 && dark.stderr.contains("its columns are darker than what lies between them"), "{}", dark.stderr);
    assert!(dark.stderr.contains("where scan.rotation_deg is off by 180°"), "{}", dark.stderr);
    image(&place, "blurred", BLURRED);
    let blurred = place.run(&[&["map", "blurred.emd"][..], &crystal].concat());
    assert_eq!(blurred.code, 2, "{}", blurred.stderr);
    assert!(blurred.stderr.contains("are not resolved: their neighbours are 1.5"), "{}", blurred.stderr);
    assert!(blurred.stderr.contains("carries spacings down to 2.46 Å. Take a larger angle (about 6 mrad)"), "{}", blurred.stderr);
}

/// A scan of a lone atom at a dose that does not show it.
fn empty() -> String {
    let (_, instrument) = SPECIFICATION.split_once("[optics]").unwrap();
    format!("seed = 5\n[specimen]\nstructure = \"atom.xyz\"\n[optics]{}", instrument.replace("2e4", "100"))
}

#[test]
fn an_image_without_columns_and_pixels_that_are_too_large_for_any_are_refused_with_what_is_needed() {
    let place = Place::new();
    place.write("atom.xyz", "1\n\nO 5 5 1\n");
    let coarse = SPECIFICATION.replace("[44, 44]", "[16, 16]").replace("step_A = 0.3", "step_A = 5");
    for (name, specification, expected) in [
        ("empty", empty(), &["the crystal's lattice is not found in it", "and 20 times are needed", "map.structure and map.zone_axis"][..]),
        ("coarse", coarse, &["its pixels of 5.00 Å are too large for any spacing of the crystal", "Scan with a step of 0.20 Å or less"]),
    ] {
        image(&place, name, &specification);
        let result = format!("{name}.emd");
        let ran = place.run(&["map", &result, "--set", "map.structure=Na3Ni2SbO6", "--set", "map.thickness_A=5.3", "--set", "map.draws=3"]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        expected.iter().for_each(|words| assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr));
        assert!(!place.path(&format!("{name}_map.emd")).exists() && !place.path(&format!("{name}_map_tables")).exists());
    }
}

#[test]
fn a_map_without_a_crystal_lists_bright_spots() {
    let place = imaged();
    let ran = place.done(&["map", "scan.emd", "-o", "spots.emd"]);
    assert!(ran.stderr.contains("bright spots"), "{}", ran.stderr);
    let peaks = Results::open(&place.path("spots.emd")).unwrap().table("map/peaks").unwrap();
    assert!(reals(&peaks, "y_A").len() > 5);
    assert!(place.path("spots_tables/diffraction.png").exists());
    let refused = place.run(&["map", "scan.emd", "-o", "part.emd", "--set", "map.region_A=[0, 14, 0, 10]"]);
    assert!(refused.code == 2 && refused.stderr.contains("within the image's 13.2 Å along y and 13.2 Å along x"), "{}", refused.stderr);
}

#[test]
fn virtual_diffraction_of_a_region_has_the_crystals_d_spacings() {
    let place = imaged_of(64);
    for (name, region, side) in [("all.emd", "[0, 19.2, 0, 19.2]", [64, 64]), ("part.emd", "[2.1, 19.2, 0, 16.2]", [57, 54])] {
        place.done(&["map", "scan.emd", "-o", name, "--set", &format!("map.region_A={region}")]);
        let result = Results::open(&place.path(name)).unwrap();
        let spots = result.table("map/spots").unwrap();
        let (d_A, se_A) = (reals(&spots, "d_A"), reals(&spots, "d_se_A"));
        // b/6 = 9.1879/6 Å: rows of columns across the layers; half a percent is for the tails of other spots under the window.
        let found = d_A.iter().zip(&se_A).any(|(d, se)| (d - 1.5313).abs() < 4.0 * se + 0.008);
        assert!(found, "{region}: {d_A:?} ± {se_A:?}");
        let pattern = result.array("map/diffraction").unwrap();
        assert_eq!(pattern.shape, side);
        // The middle is zero frequency, where nothing is left; Friedel's law holds about it.
        let power = pattern.data.reals().unwrap();
        let at = |y: i64, x: i64| power[((side[0] / 2) as i64 + y) as usize * side[1] + ((side[1] / 2) as i64 + x) as usize];
        for (y, x) in [(1, 0), (3, -2), (0, 7), (-5, 4)] {
            assert!((at(y, x) / at(-y, -x) - 1.0).abs() < 1e-6, "{region}: ({y}, {x})");
        }
    }
}
