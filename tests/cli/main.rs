//! The promises of the command line, through the real program.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up fails")]

mod bench;
#[path = "../cli_support/mod.rs"]
mod cli_support;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod map;
mod reconstruct;
mod simulate;
mod starts;

use std::fs;
use std::path::Path;

use cli_support::Place;
use ronchi::output::{Attr, Results};

const JOB: &str = "[data]\npath = \"scan.h5\"\n[optics]\ndefocus_A = 100\n[ptychography]\niterations = 2\nbatch = 8\n";

fn place_with_job() -> Place {
    let place = Place::new();
    place.scan();
    place.write("job.toml", JOB);
    place
}

fn job_of(result: &Path) -> String {
    match Results::open(result).unwrap().attr("job") {
        Some(Attr::Text(text)) => text,
        other => panic!("the result has the job {other:?}"),
    }
}

#[test]
fn every_command_has_a_help_that_ends_with_an_example() {
    let place = Place::new();
    for command in ["devices", "info", "init", "calibrate", "image", "reconstruct", "map", "run", "compare", "simulate", "bench", "demo"] {
        let ran = place.done(&[command, "--help"]);
        let example = ran.stdout.find(&format!("Example: ronchi {command}"));
        assert!(example.is_some_and(|at| at > ran.stdout.find("Options:").unwrap()), "{}", ran.stdout);
    }
}

#[test]
fn the_crystal_of_a_cif_is_shown_and_what_is_wrong_with_one_is_told_with_its_line() {
    let place = Place::new();
    let cell = "data_x\n_cell_length_a 4.2\n_cell_length_b 4.2\n_cell_length_c 4.2\n_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n";
    let operations = "loop_\n_space_group_symop_operation_xyz\nx,y,z\n\"x+1/2, y+1/2, z\"\n";
    let atoms = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nMg1 0 0 0\nO1 0 0 0.5\n";
    place.write("good.cif", &format!("{cell}{operations}{atoms}"));
    let shown = place.done(&["info", "good.cif"]).stdout;
    assert!(shown.contains("Mg2 O2") && shown.contains("74.09 Å³"), "{shown}");
    let json: serde_json::Value = serde_json::from_str(&place.done(&["info", "good.cif", "--json"]).stdout).unwrap();
    assert_eq!(json["sites"][3], serde_json::json!({ "element": "O", "at": [0.5, 0.5, 0.5], "occupancy": 1.0, "b_A2": 0.8 }));

    place.write("bad.cif", &format!("{cell}{operations}{}", atoms.replace("O1", "Qq1")));
    let refused = place.run(&["info", "bad.cif"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("bad.cif, line 18: \"Qq1\" is no element"), "{}", refused.stderr);
    let missing = place.run(&["info", "nothing.cif"]);
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("nothing.cif could not be read"), "{}", missing.stderr);
}

#[test]
fn a_job_becomes_a_result_with_its_pictures() {
    let place = place_with_job();
    let ran = place.done(&["run", "job.toml"]);
    assert_eq!(ran.stdout, "", "words go to stderr");
    assert!(ran.stderr.contains("written  job.emd\nwritten  job_images\n"), "{}", ran.stderr);
    let result = Results::open(&place.path("job.emd")).unwrap();
    for path in ["images/bf", "images/abf", "images/eabf", "images/adf", "images/com_y", "images/com_x", "images/idpc"] {
        let image = result.array(path).unwrap();
        assert_eq!((&image.shape[..], image.axes[0].step, image.axes[0].units.as_str()), (&[8, 8][..], 0.8, "Å"), "{path}");
    }
    assert_eq!(result.array("images/idpc").unwrap().units, "rad");
    for path in ["object", "phase", "amplitude", "phase_scan", "probe", "positions", "error"] {
        result.array(&format!("ptychography/{path}")).unwrap();
    }
    assert_eq!(result.array("ptychography/error").unwrap().shape, [2]);
    for picture in ["bf.png", "idpc.png", "phase_scan.png", "com.png", "mean_pattern.png", "overview.png"] {
        assert!(place.path("job_images").join(picture).is_file(), "{picture}");
    }
}

#[test]
fn patterns_of_few_electrons_are_taken_together_in_larger_batches_unless_the_job_says_how_many() {
    let place = Place::new();
    // 38 electrons a pattern: 132 of them hold 5000, and the scan has 64.
    place.scan_of(60.0);
    let job = JOB.replace("batch = 8\n", "");
    place.write("job.toml", &job);
    let batch_told = |sets: &[&str], told: &str| {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let said = place.done(&[&["reconstruct", "job.toml", "--force"], &sets[..]].concat()).stderr;
        let line = said.lines().find(|line| line.contains("ptychography.batch = ")).unwrap_or_default();
        assert!(line.contains(told), "{said}");
    };
    batch_told(&[], "ptychography.batch = 64");
    assert!(job_of(&place.path("job.emd")).contains("\nbatch = 64  # measured, for 5000 electrons an update; patterns hold 3"));
    // Nothing else has to be measured.
    batch_told(&["detector.centre_px=[16,16]", "detector.mrad_per_px=3.5"], "ptychography.batch = 64");
    batch_told(&["ptychography.batch=16"], "");
    assert!(job_of(&place.path("job.emd")).contains("\nbatch = 16\n"), "what the job says stands");
    fs::remove_file(place.path("scan.h5")).unwrap();
    place.scan();
    batch_told(&[], "assumed: ");
    assert!(job_of(&place.path("job.emd")).contains("\nbatch = 32  # default\n"));
}

#[test]
fn iterations_are_told_in_lines_off_a_terminal_and_quiet_tells_nothing() {
    let place = place_with_job();
    let said = place.done(&["reconstruct", "job.toml"]).stderr;
    let line = said.lines().find(|line| line.starts_with("iteration 2/2  error 0.")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.ends_with(" s"), "{line}");
    assert!(!said.contains('\u{1b}'), "no control sequences off a terminal");
    assert!(said.contains("assumed: ") && said.contains("scan.rotation_deg = 0"), "{said}");
    assert!(said.contains("measured: detector.centre_px"), "{said}");
    assert!(said.contains("warning: the scan's rotation is not known"), "8×8 positions do not tell it: {said}");
    let quiet = place.done(&["run", "job.toml", "--force", "--quiet", "--set", "scan.rotation_deg=0"]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn the_same_job_gives_the_same_result_whatever_threads_and_memory() {
    let place = place_with_job();
    place.done(&["run", "job.toml"]);
    let other = ["compute.threads=1", "compute.memory_limit_GiB=0.07", "output.path=other.emd"];
    place.done(&["run", "job.toml", "--set", other[0], "--set", other[1], "--set", other[2]]);
    let same = place.done(&["compare", "--exact", "job.emd", "other.emd"]);
    assert_eq!(same.stdout, "");
    assert!(same.stderr.contains("are the same"));

    place.done(&["run", "job.toml", "--set", "output.path=third.emd", "--set", "ptychography.seed=5"]);
    let differ = place.run(&["compare", "--exact", "job.emd", "third.emd"]);
    assert_eq!(differ.code, 1);
    assert!(differ.stdout.contains("/ronchi/ptychography/object"), "{}", differ.stdout);
    let json: serde_json::Value =
        serde_json::from_str(&place.run(&["compare", "--exact", "--json", "job.emd", "third.emd"]).stdout).unwrap();
    assert_eq!(json["same"], false);
}

#[test]
fn the_job_in_a_result_makes_that_result_again() {
    let place = place_with_job();
    place.done(&["run", "job.toml"]);
    let job = job_of(&place.path("job.emd"));
    assert!(job.contains("voltage_kV = 300.0  # data file, dataset `accelerating_voltage_kV`"), "{job}");
    assert!(job.contains("# measured, the centre of the bright-field disk"), "{job}");
    place.write("again.toml", &job);
    place.done(&["run", "again.toml"]);
    let [first, again] = ["job.emd", "again.emd"].map(|name| Results::open(&place.path(name)).unwrap());
    for path in first.arrays().iter().filter(|path| path.starts_with("images")) {
        assert_eq!(first.array(path).unwrap(), again.array(path).unwrap(), "{path}");
    }
}

#[test]
fn reconstruct_and_run_reconstruct_alike() {
    let place = place_with_job();
    place.done(&["run", "job.toml"]);
    place.done(&["reconstruct", "job.toml", "-o", "phase.emd"]);
    let [run, alone] = ["job.emd", "phase.emd"].map(|name| Results::open(&place.path(name)).unwrap().array("ptychography/object").unwrap());
    assert_eq!(run, alone);
}

#[test]
fn images_come_from_a_data_file_alone() {
    let place = place_with_job();
    let ran = place.done(&["image", "scan.h5", "-o", "i.emd", "-d", "bf,com", "--set", "output.png=false", "--set", "output.tiff=true"]);
    assert_eq!(Results::open(&place.path("i.emd")).unwrap().arrays(), ["images/bf", "images/com_x", "images/com_y", "images/mean_pattern"]);
    assert!(place.path("i_images/bf.tiff").is_file() && !place.path("i_images/bf.png").exists(), "{}", ran.stderr);
    let ring = "images.detectors=[\"adf\", { name = \"ring\", inner_disk = 1, outer_mrad = 40 }]";
    place.done(&["image", "scan.h5", "-o", "r.emd", "--set", ring]);
    let ring = Results::open(&place.path("r.emd")).unwrap().array("images/ring").unwrap();
    assert!(ring.extra.contains(&("inner_mrad".to_owned(), Attr::Number(25.0))), "{:?}", ring.extra);
    assert!(ring.extra.contains(&("outer_mrad".to_owned(), Attr::Number(40.0))), "{:?}", ring.extra);
}

/// 24×24 frames of 24×24 of a disk whose centre of mass is the gradient of peaks along the scan, transposed and turned by 60°, in a dark field
/// that is brightest at the peaks; one pixel is dead.
fn turned_scan() -> Vec<u16> {
    let (sin, cos) = 60f64.to_radians().sin_cos();
    let peak = |i: f64, j: f64, a: f64, b: f64| (-((i - a).powi(2) + (j - b).powi(2)) / 6.0).exp();
    let mut counts = Vec::new();
    for k in 0..24 * 24 {
        let (i, j) = ((k / 24) as f64, (k % 24) as f64);
        let peaks = [(4.0, 5.0), (9.0, 14.0), (17.0, 8.0), (19.0, 19.0), (7.0, 21.0), (13.0, 2.0)];
        let [f, di, dj] = peaks.iter().fold([0.0; 3], |[f, di, dj], &(a, b)| {
            let p = peak(i, j, a, b);
            [f + p, di - (i - a) * p, dj - (j - b) * p]
        });
        // (i′, j′) = (j, i), then R(60°).
        let (row, col) = (cos * dj - sin * di, sin * dj + cos * di);
        for p in 0..24 * 24 {
            let (y, x) = ((p / 24) as f64 - 11.0, (p % 24) as f64 - 12.0);
            let inside = y.hypot(x) < 7.0;
            let mean = if inside { 100.0 * (1.0 + 0.08 * (row * y + col * x)) } else { 3.0 * f + 1.0 };
            // Noise of the right size without a generator.
            let noise = ((k * 7919 + p * 104_729) as f64 * 0.618_033_988_75).fract() - 0.5;
            let count = (mean + noise * (12.0 * mean).sqrt()).max(0.0).round() as u16;
            counts.push(if p == 10 * 24 + 12 { 0 } else { count });
        }
    }
    counts
}

#[test]
fn a_calibration_is_a_job_file_and_json_with_every_value_s_error() {
    let place = Place::new();
    place.dataset("scan.h5", &[24, 24, 24, 24], &turned_scan());
    let sets = ["--set", "optics.convergence_mrad=20", "--set", "scan.step_A=0.5", "--set", "optics.voltage_kV=300"];
    let with = |first: &[&'static str]| [first, &sets].concat();
    let json: serde_json::Value = serde_json::from_str(&place.done(&with(&["calibrate", "scan.h5", "--json"])).stdout).unwrap();
    for name in
        ["centre_px", "radius_px", "ellipticity", "mrad_per_px", "rotation_deg", "transpose", "counts_per_electron", "dose_e_per_A2"]
    {
        for key in ["value", "se", "determined", "from"] {
            assert!(json[name].get(key).is_some(), "{name} has no {key}: {json}");
        }
    }
    let rotation = json["rotation_deg"]["value"].as_f64().unwrap();
    assert!((rotation - 60.0).abs() < 2.0 && json["transpose"]["value"] == true && json["half_turn"]["settled"] == true, "{json}");
    assert_eq!(json["bad_pixels"]["value"], serde_json::json!([[10, 12]]));
    assert_eq!(json["descan"]["value"], "none");

    let ran = place.done(&with(&["calibrate", "scan.h5", "-o", "job.toml"]));
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("written  job.toml"), "{}", ran.stderr);
    let text = fs::read_to_string(place.path("job.toml")).unwrap();
    assert!(text.contains("transpose = true  # measured") && text.contains("bad_pixels = [[10, 12]]  # measured"), "{text}");
    assert_eq!(place.done(&with(&["calibrate", "scan.h5"])).stdout, text, "what is printed is what is written");
    let refused = place.run(&with(&["calibrate", "scan.h5", "-o", "job.toml"]));
    assert_eq!((refused.code, refused.stderr.contains("job.toml")), (2, true), "{}", refused.stderr);
    let said = place.done(&["run", "job.toml"]).stderr;
    assert!(!said.contains("warning"), "nothing is open: {said}");
    let job = job_of(&place.path("job.emd"));
    assert!(job.contains("transpose = true") && job.contains("bad_pixels = [[10, 12]]"), "{job}");
}

#[test]
fn the_rotation_that_nobody_says_is_measured_where_something_depends_on_it() {
    let place = Place::new();
    place.dataset("scan.h5", &[24, 24, 24, 24], &turned_scan());
    let image = |output: &str, more: &[&str]| {
        let ran = place.done(&[&["image", "scan.h5", "-o", output, "--set", "scan.step_A=0.5"], more].concat());
        (job_of(&place.path(output)), ran.stderr)
    };
    let (job, said) = image("measured.emd", &[]);
    assert!(job.contains("transpose = true  # measured, least curl of the centre of mass"), "{job}");
    assert!(said.contains("set data.bad_pixels"), "{said}");
    let (job, _) = image("masks.emd", &["-d", "bf,com"]);
    assert!(job.contains("rotation_deg = 0.0  # default"), "{job}");
    let (job, _) = image("said.emd", &["--set", "scan.rotation_deg=10"]);
    assert!(job.contains("rotation_deg = 10.0\n"), "{job}");
}

#[test]
fn bad_pixels_and_descan_of_the_job_are_heeded() {
    let place = Place::new();
    let mut counts = turned_scan();
    // Descan: the disk's brighter side turns with the row.
    for (at, count) in counts.iter_mut().enumerate() {
        let (i, y) = ((at / (24 * 576)) as f64, ((at % 576) / 24) as f64 - 11.0);
        *count = (f64::from(*count) * (1.0 + 0.002 * i * y).max(0.0)).round() as u16;
    }
    counts.iter_mut().skip(3 * 24 + 3).step_by(576).for_each(|count| *count = 5000);
    place.dataset("scan.h5", &[24, 24, 24, 24], &counts);
    let value = |name: &str, more: &[&str]| {
        let fixed = ["image", "scan.h5", "-o", name, "--set", "scan.rotation_deg=60", "--set", "scan.transpose=true"];
        place.done(&[&fixed[..], more].concat());
        Results::open(&place.path(name)).unwrap()
    };
    let plain = value("plain.emd", &[]).array("images/mean_pattern").unwrap().data.reals().unwrap();
    assert_eq!(plain[3 * 24 + 3], 5000.0);
    let masked = ["--set", "data.bad_pixels=[[3, 3], [10, 12]]"];
    let pattern = value("masked.emd", &masked).array("images/mean_pattern").unwrap().data.reals().unwrap();
    assert_eq!(pattern[3 * 24 + 3], 0.0);
    let idpc = |name: &str, descan: &str| {
        let image = value(name, &[masked[0], masked[1], "--set", descan]).array("images/idpc").unwrap().data.reals().unwrap();
        // The curvature along the rows that descan leaves in the integral.
        let row = |i: usize| image[i * 24..(i + 1) * 24].iter().sum::<f64>() / 24.0;
        row(0) + row(23) - 2.0 * row(12)
    };
    let (with, without) = (idpc("none.emd", "images.descan=none"), idpc("plane.emd", "images.descan=plane"));
    assert!(without.abs() < 0.5 * with.abs(), "{without} after {with}");
}

#[test]
fn the_factor_of_eabf_is_the_job_s() {
    let place = place_with_job();
    place.done(&["image", "scan.h5", "-o", "i.emd", "--set", "images.eabf_k=2.5"]);
    let eabf = Results::open(&place.path("i.emd")).unwrap().array("images/eabf").unwrap();
    assert!(eabf.extra.contains(&("k".to_owned(), Attr::Number(2.5))), "{:?}", eabf.extra);
}

#[test]
fn a_probe_of_an_earlier_result_starts_a_later_one() {
    let place = place_with_job();
    place.done(&["reconstruct", "job.toml"]);
    let probe = "ptychography.probe=job.emd:/ronchi/ptychography/probe/data";
    place.done(&["reconstruct", "job.toml", "-o", "next.emd", "--set", probe]);
    let error = |name: &str| Results::open(&place.path(name)).unwrap().array("ptychography/error").unwrap().data.reals().unwrap()[0];
    assert!(error("next.emd") < error("job.emd"), "{} is not below {}", error("next.emd"), error("job.emd"));
}

#[test]
fn measured_positions_stand_for_the_raster() {
    let place = place_with_job();
    place.done(&["reconstruct", "job.toml"]);
    // The raster's own positions, from the first result.
    let positions = "scan.positions=job.emd:/ronchi/ptychography/positions/data";
    place.done(&["reconstruct", "job.toml", "-o", "listed.emd", "--set", positions]);
    let object = |name: &str| Results::open(&place.path(name)).unwrap().array("ptychography/object").unwrap().data.complexes();
    let (raster, listed) = (object("job.emd"), object("listed.emd"));
    assert_eq!(raster.len(), listed.len());
    let far = raster.iter().zip(&listed).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max);
    // Positions are stored in Å and turned back into pixels: the last bits may differ.
    assert!(far < 1e-3, "objects differ by {far}");
}

#[test]
fn a_job_file_from_init_runs_after_what_it_asks_for_is_known() {
    let place = place_with_job();
    let text = place.done(&["init", "scan.h5"]).stdout;
    assert!(text.contains("convergence_mrad = 25.0  # from the data file, dataset `convergence_semiangle_mrad`"), "{text}");
    place.write("init.toml", &text);
    place.done(&["run", "init.toml", "--set", "ptychography.iterations=1"]);
    assert!(place.path("init.emd").is_file());
}

#[test]
fn programs_can_read_what_is_printed() {
    let place = place_with_job();
    let info: serde_json::Value = serde_json::from_str(&place.done(&["info", "scan.h5", "--json"]).stdout).unwrap();
    assert_eq!(info["scan_shape"], serde_json::json!([8, 8]));
    assert_eq!(info["calibration"]["voltage_kV"]["value"], 300.0);
    let devices: serde_json::Value = serde_json::from_str(&place.done(&["devices", "--json"]).stdout).unwrap();
    assert!(devices["cpu_threads"].as_u64().unwrap() >= 1);
    let info = place.done(&["info", "scan.h5"]).stdout;
    assert!(info.contains("scan               8 × 8\n") && info.contains("frames             32 × 32, "), "{info}");
}

#[test]
fn all_jobs_are_checked_before_the_first_begins() {
    let place = place_with_job();
    place.write("bad.toml", "[data]\npath = \"none.h5\"\n");
    let ran = place.run(&["run", "job.toml", "bad.toml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("none.h5") && !ran.stderr.contains("iteration"), "{}", ran.stderr);
    assert!(!place.path("job.emd").exists());
    let twice = place.run(&["run", "job.toml", "job.toml"]);
    assert_eq!((twice.code, twice.stderr.contains("two jobs write job.emd")), (2, true), "{}", twice.stderr);
    place.write("second.toml", JOB);
    place.done(&["run", "job.toml", "second.toml"]);
    assert!(place.path("job.emd").is_file() && place.path("second.emd").is_file());
}

/// A child that does not outlive its test.
#[cfg(unix)]
struct Ended(std::process::Child);

#[cfg(unix)]
impl Drop for Ended {
    fn drop(&mut self) {
        // One that has ended is none to be ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_keeps_its_whole_iterations_and_says_so() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};

    let place = place_with_job();
    let child = place.command(&["run", "job.toml", "--set", "ptychography.iterations=1000000"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut child = Ended(child);
    let mut words = BufReader::new(child.0.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("iteration 1/") {
        line.clear();
        assert_ne!(words.read_line(&mut line).unwrap(), 0, "the run ended before it could be interrupted");
    }
    assert!(Command::new("kill").args(["-INT", &child.0.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    words.read_to_string(&mut rest).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(130), "{rest}");
    let kept = rest.split("error: interrupted after iteration ").nth(1).unwrap_or_else(|| panic!("{rest}"));
    let finished: usize = kept.split(' ').next().unwrap().parse().unwrap();
    assert!(finished >= 1 && kept.contains("of 1000000: job.emd holds what was finished until then, and a checkpoint beside it"), "{rest}");
    let results = ronchi::output::Results::open(&place.path("job.emd")).unwrap();
    assert_eq!(results.array("ptychography/error").unwrap().shape, [finished]);
    assert!(place.listing().iter().all(|path| !path.to_string_lossy().contains("unfinished")), "{:?}", place.listing());
}

#[cfg(unix)]
#[test]
fn a_kill_at_any_moment_leaves_the_old_result_or_the_new_one() {
    use rand::RngExt;
    use std::time::{Duration, Instant};

    let place = place_with_job();
    let arguments = ["run", "job.toml", "--force", "--set", "ptychography.iterations=1"];
    let times = (0..3).map(|_| {
        let clock = Instant::now();
        place.done(&arguments);
        clock.elapsed()
    });
    let mut whole = times.min().unwrap();
    let result = place.path("job.emd");
    let arrays = ronchi::output::Results::open(&result).unwrap().arrays();
    let (mut killed, mut rng) = (0, rand::rng());
    for _ in 0..12 {
        let old = fs::read(&result).unwrap();
        let mut child = Ended(place.command(&arguments).stderr(std::process::Stdio::null()).spawn().unwrap());
        // The result is written at the end: half of the kills come in the last third.
        let from = if rng.random_bool(0.5) { 0.65 } else { 0.0 };
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * rng.random_range(from..1.05)));
        let _ = child.0.kill();
        if child.0.wait().unwrap().code().is_none() {
            killed += 1;
        } else {
            // Runs have become faster than they were.
            whole = whole.mul_f64(0.7);
        }
        if fs::read(&result).unwrap() != old {
            assert_eq!(ronchi::output::Results::open(&result).unwrap().arrays(), arrays);
        }
    }
    assert!(killed > 0, "no run was killed before its end");
    place.done(&arguments);
    assert!(place.listing().iter().all(|path| !path.to_string_lossy().contains("unfinished")), "{:?}", place.listing());
}

#[test]
fn the_demonstration_needs_no_input_and_shows_missing_sodium() {
    let place = Place::new();
    let ran = place.done(&["demo", "-o", "seen"]);
    for file in ["na3ni2sbo6.h5", "truth.emd", "job.toml", "result.emd", "result_images/phase_scan.png", "result_images/missing_sodium.png"]
    {
        assert!(place.path("seen").join(file).is_file(), "{file}");
    }
    let phase = |atoms: u32| -> f64 {
        let start = format!("{atoms} of 4 atoms");
        let line = ran.stdout.lines().find(|line| line.trim_start().starts_with(&start)).unwrap_or_else(|| panic!("{}", ran.stdout));
        line.split_whitespace().nth(4).unwrap().parse().unwrap()
    };
    assert!(phase(4) > phase(2) && phase(2) > phase(0), "{}", ran.stdout);
    let again = place.run(&["demo", "-o", "seen"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("seen exists already"), "{}", again.stderr);
    // The job that it leaves is one to start from.
    fs::copy(place.path("seen/job.toml"), place.path("seen/mine.toml")).unwrap();
    place.done(&["run", "seen/mine.toml", "--set", "ptychography.iterations=1", "--set", "output.path=mine.emd"]);
}
