//! `ronchi simulate` as a user types it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use ronchi::data::{self, OpenOptions};
use ronchi::output::{ArrayData, Attr, Results};

use crate::cli_support::Place;

/// A small scan of graphene that takes no time.
const SPEC: &str = "seed = 5\n[specimen]\nstructure = \"graphene\"\nzone_axis = [0, 0, 1]\nthickness_A = 10\ndefects = [{ kind = \"vacancies\", element = \"C\", share = 0.1 }]\n\
    [optics]\nvoltage_kV = 80\nconvergence_mrad = 25\ndefocus_A = 40\naberrations = { C12_A = 5, phi12_deg = 20 }\n[scan]\nshape = [6, 7]\nstep_A = [0.5, 0.4]\nrotation_deg = 10\n\
    [detector]\nside_px = 32\nmrad_per_px = 3.5\noversampling = 2\ndose_e_per_A2 = 5e3\n[method]\nsampling_A = 0.2\n";

fn place_with(spec: &str) -> Place {
    let place = Place::new();
    place.write("spec.toml", spec);
    place
}

#[test]
fn a_specification_becomes_data_with_its_truth_and_a_job_that_runs() {
    let place = place_with(SPEC);
    let said = place.done(&["simulate", "spec.toml", "-o", "scan.h5"]).stderr;
    assert!(said.contains("frames of windows") && said.contains("ronchi run scan_job.toml"), "{said}");
    let mut written = place.listing();
    written.retain(|path| !path.ends_with("spec.toml"));
    assert_eq!(written, ["scan.h5", "scan_job.toml", "scan_truth.emd"].map(|name| place.path(name)));

    let source = data::open(&place.path("scan.h5"), &OpenOptions::default()).unwrap();
    let info = source.info();
    assert_eq!((info.scan_shape, info.frame_shape), ([6, 7], [32, 32]));
    let known = &info.calibration;
    assert_eq!(known.step_A.as_ref().unwrap().value, [0.5, 0.4]);
    assert_eq!(known.mrad_per_px.as_ref().unwrap().value, [3.5, 3.5]);
    assert_eq!([known.voltage_kV.as_ref().unwrap().value, known.convergence_mrad.as_ref().unwrap().value], [80.0, 25.0]);

    let truth = Results::open(&place.path("scan_truth.emd")).unwrap();
    let [phase, potential] = ["truth/phase", "truth/potential"].map(|path| truth.array(path).unwrap());
    assert_eq!([phase.units.as_str(), potential.units.as_str()], ["rad", "V·Å"]);
    // σ of 80 kV, as tables have it (Kirkland): 1.00871e-3 rad/(V·Å).
    let (p, v) = (phase.data.reals().unwrap(), potential.data.reals().unwrap());
    assert!(p.iter().zip(&v).all(|(p, v)| (p - 1.008_71e-3 * v).abs() < 1e-5 * (1.0 + p.abs())));
    // The way to the scan's frame turns back what the scan's rotation turned: a pixel's step along y is (cos 10°, −sin 10°) of it.
    let way = phase.to_scan.unwrap();
    let (sin, cos) = 10f64.to_radians().sin_cos();
    let step = way[0][0].hypot(way[1][0]);
    assert!((way[0][0] / step - cos).abs() < 1e-9 && (way[1][0].abs() / step - sin).abs() < 1e-9, "{way:?}");
    let probe = truth.array("truth/probe").unwrap();
    assert_eq!(probe.shape[0], 1, "a coherent beam is one mode");
    let electrons: f64 = probe.data.complexes().iter().map(|z| z.norm_sqr()).sum();
    assert!((electrons / (5e3 * 0.2) - 1.0).abs() < 1e-5, "{electrons}");
    let table = |path: &str| truth.table(path).unwrap();
    let column = |path: &str, name: &str| match &table(path).columns.iter().find(|c| c.name == name).unwrap().data {
        ArrayData::F64(values) => values.clone(),
        other => panic!("{other:?}"),
    };
    let positions = [column("truth/positions", "y"), column("truth/positions", "x")];
    assert_eq!([positions[0].len(), positions[0][0] as usize, positions[1][0] as usize], [42, 0, 0]);
    assert!((positions[0][7] - 0.5 * cos).abs() < 1e-12 && (positions[1][7] - 0.5 * sin).abs() < 1e-12, "a slow step is turned");
    let (sites, atoms) = (column("truth/columns", "sites"), column("truth/columns", "atoms"));
    assert!(sites.iter().all(|s| *s == 1.0) && atoms.contains(&0.0) && atoms.contains(&1.0), "vacancies are columns without their atom");
    assert_eq!(column("truth/atoms", "z").len() as f64, atoms.iter().sum::<f64>());

    // The job runs as it stands, a little shorter.
    place.done(&["run", "scan_job.toml", "--set", "ptychography.iterations=2"]);
    let result = Results::open(&place.path("scan.result.emd")).unwrap();
    let Some(Attr::Text(job)) = result.attr("job") else { panic!("no job") };
    for words in ["rotation_deg = 10", "defocus_A = 40", "C12_A = 5", "voltage_kV = 80"] {
        assert!(job.contains(words), "{words}: {job}");
    }
}

#[test]
fn the_template_is_a_specification_with_every_key() {
    let place = Place::new();
    let template = place.done(&["simulate", "--template"]).stdout;
    // Made small, and with every line that has no effect made to have one, but for examples of what cannot all be.
    let small = template
        .replace("shape = [64, 64]", "shape = [2, 2]")
        .replace("side_px = 128", "side_px = 48")
        .replace("mrad_per_px = 1.0", "mrad_per_px = 2.5");
    place.write("plain.toml", &small);
    place.done(&["simulate", "plain.toml", "-o", "plain.h5"]);
    let is_key = |line: &str| {
        line.strip_prefix("# ")
            .is_some_and(|rest| rest.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')))
    };
    let all: String = small.lines().map(|line| format!("{}\n", if is_key(line) { &line[2..] } else { line })).collect();
    for key in [
        "seed",
        "offset_A",
        "tilt_mrad",
        "extent_A",
        "focal_spread_A",
        "jitter_A",
        "drift_A",
        "blur_px",
        "readout_counts",
        "configurations",
        "store",
    ] {
        assert!(all.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}: {all}");
    }
    place.write("all.toml", &all.replace("extent_A = [5, ", "extent_A = [-30, "));
    place.done(&["simulate", "all.toml", "-o", "all.h5"]);
    // What is said as a default is the default.
    let frames = |name: &str| std::fs::read(place.path(name)).unwrap();
    place.write(
        "defaults.toml",
        &all.lines()
            .filter(|l| !["extent_A", "aberrations", "oversampling"].iter().any(|key| l.starts_with(key)))
            .collect::<Vec<_>>()
            .join("\n"),
    );
    place.done(&["simulate", "defaults.toml", "-o", "defaults.h5"]);
    assert!(frames("defaults.h5") == frames("plain.h5"), "a default differs from what the template says");
}

#[test]
fn the_same_specification_gives_the_same_files_on_any_number_of_threads_and_another_seed_others() {
    let place = place_with(SPEC);
    place.write("other.toml", &SPEC.replace("seed = 5", "seed = 6"));
    for (spec, output, threads) in [("spec.toml", "a.h5", "1"), ("spec.toml", "b.h5", "3"), ("other.toml", "c.h5", "2")] {
        let mut command = place.command(&["simulate", spec, "-o", output]);
        assert!(command.env("RAYON_NUM_THREADS", threads).stderr(Stdio::null()).status().unwrap().success());
    }
    let bytes = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(bytes("a.h5") == bytes("b.h5") && bytes("a_truth.emd") == bytes("b_truth.emd"));
    assert!(bytes("a.h5") != bytes("c.h5"));
}

#[test]
fn an_output_that_is_there_is_only_replaced_by_force_and_never_what_is_read() {
    let place = place_with(SPEC);
    place.write("scan_truth.emd", "mine");
    let refused = place.run(&["simulate", "spec.toml", "-o", "scan.h5"]);
    assert!(refused.code == 2 && refused.stderr.contains("scan_truth.emd") && refused.stderr.contains("--force"), "{refused:?}");
    assert!(!place.path("scan.h5").exists());
    assert_eq!(std::fs::read_to_string(place.path("scan_truth.emd")).unwrap(), "mine");
    place.done(&["simulate", "spec.toml", "-o", "scan.h5", "--force"]);
    assert_ne!(std::fs::read(place.path("scan_truth.emd")).unwrap(), b"mine");
    for output in ["spec.toml", "./spec.toml"] {
        let refused = place.run(&["simulate", "spec.toml", "-o", output, "--force"]);
        assert!(refused.code == 2 && refused.stderr.contains("made from"), "{refused:?}");
    }
    assert_eq!(std::fs::read_to_string(place.path("spec.toml")).unwrap(), SPEC);
    let refused = place.run(&["simulate", "spec.toml", "-o", "nowhere/scan.h5"]);
    assert!(refused.code != 0 && refused.stderr.contains("nowhere"), "{refused:?}");
}

#[test]
fn events_are_the_electrons_of_the_frames_and_can_be_reconstructed_from() {
    let place = place_with(SPEC);
    place.write("events.toml", &format!("{SPEC}[output]\nstore = \"events\"\n"));
    place.done(&["simulate", "spec.toml", "-o", "scan.h5"]);
    place.done(&["simulate", "events.toml", "-o", "events.h5"]);
    let shown = place.done(&["info", "events.h5"]).stdout;
    assert!(shown.contains("stempy electron events") && shown.contains("6 × 7"), "{shown}");
    let mut images = Vec::new();
    for name in ["scan", "events"] {
        let result = format!("{name}.emd");
        place.done(&["image", &format!("{name}.h5"), "-o", &result, "-d", "bf,com"]);
        images.push(Results::open(&place.path(&result)).unwrap().array("images/bf").unwrap().data);
    }
    assert_eq!(images[0], images[1]);
    place.done(&["run", "events_job.toml", "--set", "ptychography.iterations=1"]);
    for (key, words) in [("counts_per_electron = 2", "single electrons"), ("readout_counts = 1", "single electrons")] {
        place.write("bad.toml", &format!("{}[output]\nstore = \"events\"\n", SPEC.replace("side_px", &format!("{key}\nside_px"))));
        let refused = place.run(&["simulate", "bad.toml", "-o", "bad.h5"]);
        assert!(refused.code == 2 && refused.stderr.contains(words), "{refused:?}");
    }
}

#[test]
fn what_a_specification_cannot_say_is_refused_with_its_line_and_what_was_meant() {
    let place = Place::new();
    place.write("bad.cif", "data_x\n_cell_length_a oops\n");
    place.write("atoms.xyz", "1\n\nC 0 0 20\n");
    let with = |from: &str, to: &str| SPEC.replace(from, to);
    let crystal = "structure = \"graphene\"";
    for (text, code, words) in [
        (with("defocus_A", "defocuss_A"), 2, &["spec.toml, line 10", "unknown key defocuss_A", "defocus_A"][..]),
        (with("C12_A", "C12"), 2, &["line 11", "C12 in optics.aberrations", "C12_A"]),
        (with("share = 0.1", "shares = 0.1"), 2, &["shares", "share"]),
        (with("kind = \"vacancies\"", "kind = \"vacancy\""), 2, &["vacancy", "vacancies"]),
        (with("[scan]", "[scann]"), 2, &["scann"]),
        (with("sampling_A = 0.2", "potential = \"moliere\""), 2, &["moliere", "kirkland"]),
        (with("shape = [6, 7]", "shape = [6]"), 2, &["line 13"]),
        (with("shape = [6, 7]", "shape = [6, -7]"), 2, &["line 13"]),
        (with("voltage_kV = 80\n", ""), 2, &["voltage_kV"]),
        (with("thickness_A = 10\n", ""), 2, &["thickness_A"]),
        (with("thickness_A = 10", "thickness_A = -1"), 2, &["thickness_A is -1"]),
        (with("thickness_A = 10", "thickness_A = 1e9"), 2, &["at most 2e7"]),
        (with(crystal, "structure = \"graphite\""), 2, &["graphite", "graphene"]),
        (with(crystal, "structure = \"none.cif\""), 1, &["none.cif"]),
        (with(crystal, "structure = \"bad.cif\""), 1, &["bad.cif"]),
        (with("zone_axis = [0, 0, 1]", "zone_axis = [0, 0, 0]"), 2, &["spec.toml: ", "zone axis is [0, 0, 0]"]),
        (with("zone_axis = [0, 0, 1]", "zone_axis = [0, 0, 1]\nplanes = [0, 0, 1]"), 2, &["(hkl)", "h·u + k·v + l·w"]),
        (with("dose_e_per_A2 = 5e3", "dose_e_per_A2 = -5"), 2, &["dose", "-5"]),
        (with("dose_e_per_A2 = 5e3", "dose_e_per_A2 = nan"), 2, &["dose", "NaN"]),
        (with("dose_e_per_A2 = 5e3", "dose_e_per_A2 = 5e9"), 2, &["65535"]),
        (with("element = \"C\"", "element = \"Na\""), 2, &["Na"]),
        (with("element = \"C\"", "element = \"Qq\""), 2, &["Qq"]),
        (with("share = 0.1", "share = 1.5"), 2, &["1.5"]),
        (
            with(
                "{ kind = \"vacancies\", element = \"C\", share = 0.1 }",
                "{ kind = \"gradient\", element = \"C\", share = 0.1, decay_A = 5 }",
            ),
            2,
            &["extent_A"],
        ),
        (with("step_A = [0.5, 0.4]", "step_A = 0"), 2, &["step"]),
        (with("convergence_mrad = 25", "convergence_mrad = 90"), 2, &["leave room"]),
        (with("shape = [6, 7]", "shape = [60000, 70000]"), 2, &["positions"]),
        (with("sampling_A = 0.2", "sampling_A = 1e-9"), 2, &["4096"]),
        ("{}".to_owned(), 2, &["spec.toml"]),
        (String::new(), 2, &["spec.toml"]),
        (
            "[specimen]\nstructure = \"atoms.xyz\"\nthickness_A = 10\n".to_owned() + SPEC.split_once("share = 0.1 }]\n").unwrap().1,
            1,
            &["atoms.xyz, line 3", "z = 20"],
        ),
    ] {
        place.write("spec.toml", &text);
        let refused = place.run(&["simulate", "spec.toml", "-o", "scan.h5"]);
        assert!(refused.code == code && words.iter().all(|word| refused.stderr.contains(word)), "{words:?}: {refused:?}");
        assert!(refused.stderr.matches("error: ").count() == 1 && !refused.stderr.contains("panicked"), "{refused:?}");
        assert!(!place.path("scan.h5").exists() && !place.path("scan_truth.emd").exists());
    }
    let refused = place.run(&["simulate", "nothing.toml", "-o", "scan.h5"]);
    assert!(refused.code == 1 && refused.stderr.contains("nothing.toml"), "{refused:?}");
    assert_eq!(place.run(&["simulate", "spec.toml"]).code, 2);
    assert_eq!(place.run(&["simulate", "spec.toml", "-o", "scan.h5", "--set", "a.b=1"]).code, 2);
}

#[test]
fn an_interrupt_leaves_nothing() {
    let spec = SPEC
        .replace("[6, 7]", "[200, 200]")
        .replace("step_A = [0.5, 0.4]", "step_A = 0.1")
        .replace("side_px = 32", "side_px = 128")
        .replace("3.5", "1.0");
    let place = place_with(&spec);
    let before = place.listing();
    let mut child = place.command(&["simulate", "spec.toml", "-o", "scan.h5", "--verbose"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut words = BufReader::new(child.stderr.take().unwrap());
    // The first line comes when the specimen is there; the frames take much longer.
    let mut line = String::new();
    assert_ne!(words.read_line(&mut line).unwrap(), 0);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut words, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{line}{rest}");
    assert!(rest.contains("interrupted"), "{rest}");
    assert_eq!(place.listing(), before);
}
