//! The promises of starts: from an earlier result with other slices, modes, pixels and parts of the scan; from a vacuum measurement; what is refused.

use std::time::Duration;

use num_complex::Complex64;
use ronchi::output::{Array, Results};

use crate::cli_support::{Place, Ran};

const JOB: &str = "[data]\npath = \"scan.h5\"\n[optics]\ndefocus_A = 100\n[scan]\nrotation_deg = 0\n[ptychography]\nbatch = 8\niterations = 15\nstep_end = 1\n[output]\npng = false\n";

/// A scan with a job, of which `first.emd` is the result.
fn begun() -> Place {
    let place = Place::new();
    place.scan();
    place.write("job.toml", JOB);
    place.done(&["reconstruct", "job.toml", "-o", "first.emd"]);
    place
}

fn run(place: &Place, output: &str, sets: &[&str]) -> Ran {
    let mut arguments = vec!["reconstruct", "job.toml", "-o", output];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    place.run(&arguments)
}

fn array(place: &Place, output: &str, name: &str) -> Array {
    Results::open(&place.path(output)).unwrap().array(&format!("ptychography/{name}")).unwrap()
}

/// The errors of the iterations of this job with these values.
fn errors(place: &Place, output: &str, sets: &[&str]) -> Vec<f64> {
    let ran = run(place, output, sets);
    assert_eq!(ran.code, 0, "{sets:?}: {}", ran.stderr);
    array(place, output, "error").data.reals().unwrap()
}

const START: &str = "ptychography.start=first.emd";
const PROBE: &str = "ptychography.probe=first.emd";
const ONE: &str = "ptychography.iterations=1";

#[test]
fn a_reconstruction_goes_on_from_an_earlier_one_with_other_slices_modes_pixels_and_scans() {
    let place = begun();
    let first = array(&place, "first.emd", "error").data.reals().unwrap();
    let (begin, end) = (first[0], first[14]);
    println!("first: {first:?}");
    assert!(end < 0.8 * begin, "there is something to go on from: {first:?}");
    let slices = ["ptychography.slices=3", "ptychography.slice_thickness_A=4"];
    let two = "ptychography.probe_modes=2";
    for (name, most, sets) in [
        ("same.emd", 1.02, vec![]),
        ("slices.emd", 1.02, slices.to_vec()),
        ("modes.emd", 1.02, vec![two, "ptychography.mode_power=0.01"]),
        ("part.emd", 1.02, vec!["data.crop_scan=[2, 8, 1, 8]"]),
    ] {
        let error = errors(&place, name, &[&[START, PROBE, ONE], &sets[..]].concat())[0];
        println!("{name}: {error} after {end}");
        assert!(error < most * end, "{name}: {error} after {end}");
    }
    // Back again: three slices and two modes into one.
    let back = ["ptychography.start=slices.emd", "ptychography.probe=modes.emd", ONE];
    let error = errors(&place, "back.emd", &back)[0];
    assert!(error < 1.02 * end, "{error} after {end}");
    assert_eq!(array(&place, "slices.emd", "object").shape[0], 3);
    assert_eq!(array(&place, "back.emd", "object").shape.len(), 2);
    // Fewer pixels of the detector make wider ones of the object.
    let crop = "data.crop_detector=[4, 28, 4, 28]";
    let cropped = errors(&place, "cropped.emd", &[crop]);
    let goes_on = errors(&place, "goes_on.emd", &[crop, START, PROBE, ONE])[0];
    println!("cropped: {cropped:?}, from the uncropped one {goes_on}");
    assert!(goes_on < 1.03 * cropped[14], "{goes_on} and {cropped:?}");
    let pixel = |name: &str| array(&place, name, "object").axes[0].step;
    assert!((pixel("goes_on.emd") / pixel("first.emd") - 32.0 / 24.0).abs() < 1e-6);
}

#[test]
fn an_object_is_laid_on_the_scan_whatever_its_rotation_and_transposition() {
    let place = begun();
    // The object that lies on a turned scan: the phase along the scan stays.
    for (name, sets) in
        [("turned.emd", vec!["scan.rotation_deg=30"]), ("crossed.emd", vec!["scan.transpose=true", "scan.rotation_deg=-20"])]
    {
        let still = ["ptychography.step_object=1e-9", "ptychography.probe_from=0", START, ONE];
        errors(&place, name, &[&still[..], &sets[..]].concat());
        let (before, after) = (array(&place, "first.emd", "phase_scan"), array(&place, name, "phase_scan"));
        assert_eq!(before.shape, after.shape);
        let centred = |array: Array| {
            let values = array.data.reals().unwrap();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            values.into_iter().map(|v| v - mean).collect::<Vec<f64>>()
        };
        let (before, after) = (centred(before), centred(after));
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let alike = product(&before, &after) / (product(&before, &before) * product(&after, &after)).sqrt();
        assert!(alike > 0.98, "{name}: {alike}");
    }
}

#[test]
fn what_cannot_be_started_from_is_refused_by_name() {
    let place = begun();
    place.done(&["image", "scan.h5", "-o", "images.emd", "--set", "output.png=false"]);
    for (set, told) in [
        ("ptychography.start=none.emd", "none.emd could not be read: there is no such file"),
        ("ptychography.start=scan.h5", "scan.h5 is no reconstruction that is known here"),
        ("ptychography.start=images.emd", "images.emd has images but no reconstruction"),
        ("ptychography.probe=images.emd", "images.emd has images but no reconstruction"),
        ("ptychography.vacuum=first.emd:/ronchi/ptychography/probe", "is no pattern of counts"),
        ("ptychography.vacuum=first.emd:/ronchi/ptychography/error", "expected (32, 32), that of a frame, or (frames, 32, 32)"),
        ("ptychography.probe=first.emd:/ronchi/ptychography/positions", "expected (32, 32), that of a frame, or (modes, 32, 32)"),
        ("ptychography.stages=[{ vacuum = \"x.h5:/v\" }]", "vacuum stands for the whole reconstruction"),
    ] {
        let refused = run(&place, "x.emd", &[set]);
        assert!(refused.code != 0 && refused.stderr.contains(told), "{set}: {}", refused.stderr);
    }
    // The object of another program, without a place for each pattern of this job.
    let file = hdf5::File::create(place.path("model_iter0001.hdf5")).unwrap();
    let put = |name: &str, shape: &[usize], values: &[f32]| {
        let (group, name) = name.rsplit_once('/').unwrap();
        let group = file.group(group).unwrap_or_else(|_| file.create_group(group).unwrap());
        group.new_dataset::<f32>().shape(shape).create(name).unwrap().write_raw(values).unwrap();
    };
    put("optimizable_tensors/obja", &[1, 1, 40, 40], &[1.0; 1600]);
    put("optimizable_tensors/objp", &[1, 1, 40, 40], &[0.1; 1600]);
    put("optimizable_tensors/probe", &[1, 32, 32], &[1.0; 1024]);
    put("model_attributes/dx", &[], &[0.1]);
    put("model_attributes/crop_pos", &[2, 2], &[0.0, 0.0, 4.0, 4.0]);
    file.close().unwrap();
    let refused = run(&place, "x.emd", &["ptychography.start=model_iter0001.hdf5"]);
    let told = "this file of PtyRAD has 2 positions. This job has 64 patterns";
    assert!(refused.code == 2 && refused.stderr.contains(told), "{}", refused.stderr);
    assert!(!place.path("x.emd").exists());
}

#[test]
fn a_checkpoint_is_no_longer_that_of_a_job_whose_start_has_changed() {
    let place = begun();
    let long = [START, "ptychography.iterations=4000", "output.checkpoint_every=1"];
    let mut arguments = vec!["reconstruct", "job.toml", "-o", "a.emd"];
    long.iter().for_each(|set| arguments.extend(["--set", set]));
    let mut child = place.command(&arguments).stderr(std::process::Stdio::null()).spawn().unwrap();
    while !place.path("a.emd.checkpoint").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its first checkpoint");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    place.done(&["reconstruct", "job.toml", "-o", "first.emd", "--force", "--set", ONE]);
    let refused = run(&place, "a.emd", &long);
    assert!(refused.code == 2 && refused.stderr.contains("the file has changed since, or one that it starts from"), "{}", refused.stderr);
}

/// The spectrum's amplitude of a window in real space at (ky, kx), counted from the zero angle.
fn amplitude(probe: &[Complex64], n: usize, k: [f64; 2]) -> f64 {
    let term = |(p, value): (usize, &Complex64)| {
        let turn = (k[0] * (p / n) as f64 + k[1] * (p % n) as f64) / n as f64;
        value * Complex64::cis(-std::f64::consts::TAU * turn)
    };
    probe.iter().enumerate().map(term).sum::<Complex64>().norm() / n as f64
}

#[test]
fn a_vacuum_measurement_is_the_aperture() {
    let place = begun();
    let file = hdf5::File::create(place.path("vacuum.h5")).unwrap();
    // Two frames of a disk of 7 pixels about the frame's centre, the lower half of it four times as bright.
    let counts = |p: usize| {
        let (y, x) = ((p / 32) as f64 - 15.5, (p % 32) as f64 - 15.5);
        if y.hypot(x) < 7.0 { if y > 0.0 { 400.0f32 } else { 100.0 } } else { 0.0 }
    };
    let values: Vec<f32> = (0..2048).map(|p| counts(p % 1024) * if p < 1024 { 0.5 } else { 1.5 }).collect();
    file.new_dataset::<f32>().shape([2, 32, 32]).create("v").unwrap().write_raw(&values).unwrap();
    file.close().unwrap();
    let sets = ["ptychography.vacuum=vacuum.h5:/v", "ptychography.probe_from=0", "detector.centre_px=[15.5, 15.5]", ONE];
    errors(&place, "v.emd", &sets);
    let probe = array(&place, "v.emd", "probe").data.complexes();
    // 15.5 is rounded to 16: row 16 + k lies at −0.5 pixels and k.
    let at = |ky: f64, kx: f64| amplitude(&probe, 32, [ky, kx]);
    assert!((at(3.0, 0.0) / at(-4.0, 0.0) - 2.0).abs() < 1e-3, "{} and {}", at(3.0, 0.0), at(-4.0, 0.0));
    assert!(at(9.0, 0.0) < 1e-3 * at(3.0, 0.0) && at(0.0, -9.0) < 1e-3 * at(3.0, 0.0));
    let power: f64 = probe.iter().map(|p| p.norm_sqr()).sum();
    let ideal: f64 = array(&place, "first.emd", "probe").data.complexes().iter().map(|p| p.norm_sqr()).sum();
    assert!((power / ideal - 1.0).abs() < 0.05, "a frame's electrons: {power} and {ideal}");
    let both = run(&place, "x.emd", &["ptychography.vacuum=vacuum.h5:/v", PROBE]);
    assert!(both.code == 2 && both.stderr.contains("expected nothing beside ptychography.probe = first.emd"), "{}", both.stderr);
}

#[test]
fn the_best_job_of_a_sweep_finds_what_it_starts_from() {
    let place = begun();
    let sweep = "[sweep]\n\"ptychography.batch\" = [8, 16]\n";
    let keys = "validation = 0.1\nstart = \"first.emd\"\nprobe = \"first.emd\"\n";
    place.write("swept.toml", &format!("{}{sweep}", JOB.replace("iterations = 15\n", &format!("iterations = 1\n{keys}"))));
    place.done(&["run", "swept.toml"]);
    let best = std::fs::read_to_string(place.path("swept_sweep/best.toml")).unwrap();
    let whole = std::path::absolute(place.path("first.emd")).unwrap().display().to_string();
    assert!(best.contains(&format!("start = \"{whole}\"")) && best.contains(&format!("probe = \"{whole}\"")), "{best}");
    place.done(&["reconstruct", "swept_sweep/best.toml", "-o", "best.emd"]);
}
