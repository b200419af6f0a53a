//! Every bad input gets one clear sentence and the right exit code, and leaves nothing behind.

mod cli_support;

use std::fs;
use std::process::Command;

use cli_support::{Place, Ran, ran};

/// Runs the program on bad input: what it says must end in one sentence that holds each of `told`.
fn refused(place: &Place, arguments: &[&str], code: i32, told: &[&str]) {
    let before = place.listing();
    let ran = place.run(arguments);
    complains(&ran, code, told, arguments);
    assert_eq!(place.listing(), before, "{arguments:?} left something");
}

fn complains(ran: &Ran, code: i32, told: &[&str], arguments: &[&str]) {
    let Ran { stdout, stderr, .. } = ran;
    assert_eq!(ran.code, code, "{arguments:?}: {stderr}");
    assert_eq!(stdout, "", "{arguments:?}: nothing belongs on stdout");
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "{arguments:?}: {stderr}");
    assert_eq!(stderr.trim_end().lines().next_back(), Some(errors[0]), "{arguments:?}: the error is the last word: {stderr}");
    assert!(errors[0].ends_with(['.', '?']), "{arguments:?}: {}", errors[0]);
    for part in told {
        assert!(errors[0].contains(part), "{arguments:?}: no \"{part}\" in: {}", errors[0]);
    }
    for noise in ["panicked", "RUST_BACKTRACE", "Err(", "Some(", "{ ", "ronchi made a mistake"] {
        assert!(!stderr.contains(noise), "{arguments:?}: \"{noise}\" in: {stderr}");
    }
}

#[test]
fn a_missing_or_foreign_file_is_named() {
    let place = Place::new();
    place.write("notes.txt", "not a datacube, whatever its name may be");
    fs::create_dir(place.path("folder")).unwrap();
    let image = |file| ["image", file, "-o", "out.emd"];
    refused(&place, &image("none.h5"), 1, &["there is no file none.h5"]);
    refused(&place, &image("notes.txt"), 1, &["notes.txt", "not HDF5"]);
    refused(&place, &image("folder"), 1, &["folder is a directory"]);
    refused(&place, &["info", "none.h5"], 1, &["there is no file none.h5"]);
    refused(&place, &["init", "notes.txt"], 1, &["not HDF5"]);
    refused(&place, &["run", "none.toml"], 2, &["cannot read the job file none.toml"]);
    refused(&place, &["compare", "--exact", "none.emd", "notes.txt"], 1, &["none.emd"]);
}

#[test]
fn a_truncated_file_is_told_to_be_incomplete() {
    let place = Place::new();
    place.dataset("scan.h5", &[4, 4, 32, 32], &vec![1u16; 4 * 4 * 32 * 32]);
    let bytes = fs::read(place.path("scan.h5")).unwrap();
    for part in [bytes.len() - 100, bytes.len() / 2, 600] {
        fs::write(place.path("cut.h5"), &bytes[..part]).unwrap();
        let told = format!("cut.h5 is not complete: it has {part} of the {} bytes", bytes.len());
        refused(&place, &["image", "cut.h5", "-o", "out.emd"], 1, &[&told]);
    }
    fs::write(place.path("cut.h5"), &bytes[..20]).unwrap();
    refused(&place, &["image", "cut.h5", "-o", "out.emd"], 1, &["cut.h5 could not be read", "Check that it is complete"]);
}

#[test]
fn a_dataset_of_the_wrong_shape_is_refused_with_what_was_expected() {
    let place = Place::new();
    place.dataset("flat.h5", &[8, 8], &[1u16; 64]);
    place.dataset("deep.h5", &[2, 2, 2, 8, 8], &[1u16; 512]);
    place.dataset("empty.h5", &[0, 4, 8, 8], &[] as &[u16]);
    place.dataset("stack.h5", &[12, 8, 8], &[1u16; 768]);
    let image = |file| ["image", file, "-o", "out.emd", "--set", "data.dataset=/cube"];
    refused(&place, &image("flat.h5"), 1, &["2 dimensions", "a datacube has 4"]);
    refused(&place, &image("deep.h5"), 1, &["5 dimensions", "a datacube has 4"]);
    refused(&place, &image("empty.h5"), 1, &["is empty"]);
    refused(&place, &image("stack.h5"), 2, &["12 frames", "data.scan_shape"]);
    let shaped = ["image", "stack.h5", "-o", "out.emd", "--set", "data.scan_shape=[3, 5]"];
    refused(&place, &shaped, 2, &["data.scan_shape = [3, 5] needs 15 frames", "12"]);
}

/// 4×4 frames of 32×32 with a disk of radius 8 about (15.5, 15.5), in f32.
fn disk() -> Vec<f32> {
    let lit = |p: usize| ((p / 32) as f32 - 15.5).hypot((p % 32) as f32 - 15.5) < 8.0;
    (0..16 * 1024).map(|at| if lit(at % 1024) { 20.0 } else { 0.0 }).collect()
}

#[test]
fn samples_that_are_no_counts_are_masked_told_or_refused() {
    let place = Place::new();
    let image = ["image", "scan.h5", "-o", "out.emd"];

    let mut many = disk();
    many.iter_mut().step_by(97).for_each(|x| *x = f32::NAN);
    place.dataset("scan.h5", &[4, 4, 32, 32], &many);
    refused(&place, &image, 1, &["scan.h5: frame 0 holds NaN at detector pixel"]);

    let mut infinite = disk();
    infinite[5 * 1024..6 * 1024].fill(f32::INFINITY);
    place.dataset("scan.h5", &[4, 4, 32, 32], &infinite);
    refused(&place, &image, 1, &["frame 5 holds inf"]);

    // A dead pixel and some negative samples are no reason to stop.
    let mut dead = disk();
    dead.iter_mut().skip(100).step_by(1024).for_each(|x| *x = f32::NAN);
    dead[7] = -2.5;
    place.dataset("scan.h5", &[4, 4, 32, 32], &dead);
    let said = place.done(&image).stderr;
    assert!(said.contains("warning: 0.006 % of all samples are negative, the lowest is -2.5"), "{said}");
    assert!(said.contains("the 1 detector pixels where they occur are masked as bad"), "{said}");
}

#[test]
fn an_all_dark_cube_is_told_to_be_dark() {
    let place = Place::new();
    place.dataset("ints.h5", &[4, 4, 32, 32], &[0u16; 16 * 1024]);
    place.dataset("floats.h5", &[4, 4, 32, 32], &[0f32; 16 * 1024]);
    refused(&place, &["image", "ints.h5", "-o", "out.emd"], 1, &["dark"]);
    refused(&place, &["image", "floats.h5", "-o", "out.emd"], 1, &["not one of its 16 frames has a count"]);
}

#[test]
fn what_cannot_be_calibrated_is_refused_or_told() {
    let place = Place::new();
    place.dataset("dark.h5", &[4, 4, 32, 32], &[0u16; 16 * 1024]);
    refused(&place, &["calibrate", "dark.h5"], 1, &["dark"]);
    refused(&place, &["calibrate", "none.h5"], 1, &["there is no file none.h5"]);
    refused(&place, &["calibrate", "dark.h5", "-o", "nowhere/job.toml"], 2, &["nowhere"]);
    refused(&place, &["calibrate", "dark.h5", "-o", "dark.h5", "--force"], 2, &["dark.h5 is the data file"]);
    let outside = ["calibrate", "dark.h5", "--set", "data.bad_pixels=[[3, 32]]"];
    refused(&place, &outside, 2, &["data.bad_pixels is [3, 32] among others, expected pixels of the 32 × 32 frame"]);

    let frames = |scan: &[usize], name: &str, pixel: &dyn Fn(usize, f64, f64) -> f32| {
        let n = scan[0] * scan[1];
        let at = |k: usize, p: usize| pixel(k, (p / 32) as f64, (p % 32) as f64);
        let values: Vec<f32> = (0..n).flat_map(|k| (0..1024).map(move |p| (k, p))).map(|(k, p)| at(k, p)).collect();
        place.dataset(name, &[scan[0], scan[1], 32, 32], &values);
    };
    let lit = |y: f64, x: f64, centre: [f64; 2]| if (y - centre[0]).hypot(x - centre[1]) < 8.0 { 20.0 } else { 0.0 };
    frames(&[1, 1], "point.h5", &|_, y, x| lit(y, x, [15.5, 15.5]));
    frames(&[1, 30], "line.h5", &|_, y, x| lit(y, x, [15.5, 15.5]));
    frames(&[8, 8], "flat.h5", &|_, y, x| lit(y, x, [15.5, 15.5]));
    frames(&[8, 8], "cut.h5", &|_, y, x| lit(y, x, [3.0, 15.5]));
    frames(&[8, 8], "bright.h5", &|_, _, _| 65535.0);
    frames(&[8, 8], "missing.h5", &|k, y, x| if k == 20 { 0.0 } else { lit(y, x, [15.5, 15.5]) });
    for (file, told) in [
        ("point.h5", "rotation and transposition are not determined: a scan of 1×1 positions has no curl"),
        ("line.h5", "rotation and transposition are not determined: a scan of 1×30 positions has no curl"),
        ("flat.h5", "the scan's rotation and transposition are not determined: the centre of mass does not change over the scan"),
        ("cut.h5", "is cut by the frame's edge"),
        ("bright.h5", "the bright-field disk was not found"),
        ("missing.h5", "1 of 64 frames have no counts (the first at scan position 2, 4)"),
    ] {
        let ran = place.done(&["calibrate", file, "--json"]);
        assert!(ran.stderr.contains(&format!("warning: {told}")) || ran.stderr.contains(told), "{file}: {}", ran.stderr);
        assert!(ran.stdout.contains("\"determined\": false"), "{file}: {}", ran.stdout);
        let text = place.done(&["calibrate", file]).stdout;
        assert!(text.contains("# not determined: ") && !text.contains("\nrotation_deg"), "{file}: {text}");
    }
}

#[test]
fn a_job_that_cannot_be_right_is_refused_with_its_line() {
    let place = Place::new();
    place.scan();
    let job = |text: &str, told: &[&str]| {
        place.write("job.toml", &format!("[data]\npath = \"scan.h5\"\n{text}\n"));
        refused(&place, &["run", "job.toml"], 2, told);
    };
    job("[optics]\nconvergence_mrad = 80", &["job.toml, line 4: optics.convergence_mrad is 80, expected an angle from 3.5", "to 56"]);
    job("[optics]\nvoltage_kV = -300", &["job.toml, line 4: optics.voltage_kV is -300", "above 0"]);
    job("[optics]\nvoltage_kv = 300", &["job.toml, line 4: unknown key optics.voltage_kv; the nearest known one is voltage_kV"]);
    job("[ptychography]\nbatch = 0", &["job.toml, line 4: ptychography.batch is 0, expected a whole number from 1"]);
    job("[ptychography]\nbatch = 65", &["at most the 64 patterns"]);
    job("[ptychography]\nprobe = \"scan.h5:/datacube_root/datacube/dim0\"", &["ptychography.probe", "[2]", "(32, 32)"]);
    job("[scan]\npositions = \"scan.h5:/datacube_root/datacube/dim0\"\n[ptychography]", &["scan.positions", "(64, 2)"]);
    job("[images]\ndetectors = [\"bff\"]", &["bff", "Did you mean \"bf\"?"]);
    job("[compute]\nmemory_limit_GiB = 0.0625\n[data.crop]", &["unknown key data.crop; the nearest known one is crop_scan"]);
    job("path = \"twice\"", &["job.toml, line 3: not valid TOML"]);
}

#[test]
fn what_only_a_run_can_see_is_told_in_a_sentence() {
    let place = Place::new();
    place.scan();
    let run = |set: &str, code: i32, told: &[&str]| {
        let arguments = ["reconstruct", "scan.h5", "-o", "out.emd", "--set", set];
        refused(&place, &arguments, code, told);
    };
    run("scan.step_A=1e6", 2, &["object pixels", "scan.step_A"]);
    run("data.crop_scan=[0, 9, 0, 8]", 2, &["data.crop_scan = [0, 9, 0, 8] does not lie inside the scan"]);
    run("scan.positions=none.h5:/xy", 1, &["none.h5", "there is no such file"]);
}

#[test]
fn a_device_that_does_not_exist_is_refused_with_those_that_do() {
    let place = Place::new();
    place.scan();
    for device in ["gpu:99", "voodoo"] {
        let arguments = ["image", "scan.h5", "-o", "out.emd", "--device", device];
        refused(&place, &arguments, 2, &[&format!("no device is called \"{device}\""), "cpu"]);
    }
}

#[test]
fn an_existing_output_stays_unless_force_is_given() {
    let place = Place::new();
    place.scan();
    let image = ["image", "scan.h5", "-o", "out.emd"];
    place.write("out.emd", "mine");
    refused(&place, &image, 2, &["out.emd exists already", "--force"]);
    assert_eq!(fs::read_to_string(place.path("out.emd")).unwrap(), "mine");
    fs::remove_file(place.path("out.emd")).unwrap();

    fs::create_dir(place.path("out_images")).unwrap();
    refused(&place, &image, 2, &["out_images exists already", "--force"]);
    place.done(&["image", "scan.h5", "-o", "out.emd", "--force"]);
    place.done(&["image", "scan.h5", "-o", "out.emd", "--force"]);
    refused(&place, &["image", "scan.h5", "-o", "scan.h5", "--force"], 2, &["scan.h5 is the data file"]);
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_the_work() {
    let place = Place::new();
    place.scan();
    refused(&place, &["image", "scan.h5", "-o", "none/out.emd"], 2, &["there is no directory none"]);
    refused(&place, &["image", "scan.h5", "-o", "."], 2, &["is a directory"]);
    // Not even root makes files here.
    if cfg!(target_os = "linux") {
        let arguments = ["image", "scan.h5", "-o", "/proc/self/out.emd"];
        let ran = place.run(&arguments);
        complains(&ran, 1, &["nothing can be written in /proc/self"], &arguments);
        assert!(!ran.stderr.contains("image  "), "refused only after the work: {}", ran.stderr);
    }
    refused(&place, &["image", "scan.h5"], 2, &["no output is named", "-o"]);
}

/// No file may grow beyond 16 KiB: to the program it is a disk that is full.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let place = Place::new();
    place.scan();
    let before = place.listing();
    let script = "trap '' XFSZ; ulimit -f 32; exec \"$0\" \"$@\"";
    let arguments = ["reconstruct", "scan.h5", "-o", "out.emd", "--device", "cpu", "--set", "ptychography.iterations=1"];
    let program = place.command(&[]).get_program().to_owned();
    let mut command = Command::new("sh");
    command.current_dir(place.path("")).args(["-c", script]).arg(program).args(arguments);
    complains(&ran(&mut command), 1, &["out.emd could not be written", "Nothing of it is left"], &arguments);
    assert_eq!(place.listing(), before);
}

#[test]
fn bad_usage_is_exit_code_2() {
    let place = Place::new();
    place.scan();
    for arguments in [&["imgae", "scan.h5"][..], &["image"], &["run"], &["image", "scan.h5", "--nonsense"]] {
        let ran = place.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}");
        assert!(ran.stderr.contains("error: ") && ran.stderr.contains("Usage: "), "{}", ran.stderr);
    }
    refused(&place, &["image", "scan.h5", "-o", "o.emd", "--set", "batch"], 2, &["section.key=value"]);
    refused(&place, &["compare", "a.emd", "b.emd", "--tolerance-A", "0"], 2, &["--tolerance-A is 0"]);
    refused(&place, &["compare", "a.emd", "b.emd", "--image", "ssb:"], 2, &["ssb:", "ssb:phase_scan"]);
}

#[test]
fn files_that_cannot_be_compared_say_what_they_hold() {
    use ronchi::output::{Array, ArrayData, Axis, Frame, ResultFile};

    let place = Place::new();
    place.scan();
    place.write("notes.txt", "no result");
    let write = |name: &str, path: &str, first_A: f64, value: f64| {
        let array = Array {
            path: path.to_owned(),
            shape: vec![20, 30],
            data: ArrayData::F64((0..600).map(|n| if n == 65 { value } else { f64::from(n % 7) }).collect()),
            axes: vec![Axis::new("y", "Å", first_A, 0.5), Axis::new("x", "Å", 0.0, 0.5)],
            units: "rad".to_owned(),
            frame: if path.ends_with("pattern") { Frame::Detector } else { Frame::Scan },
            to_scan: Some([[0.5, 0.0, first_A], [0.0, 0.5, 0.0]]),
            extra: Vec::new(),
        };
        let mut file = ResultFile::create(&place.path(name), false).unwrap();
        file.array(&array).unwrap();
        file.finish().unwrap();
    };
    write("phase.emd", "ptychography/phase_scan", 0.0, 0.0);
    write("ssb.emd", "images/ssb", 0.0, 0.0);
    write("far.emd", "images/ssb", 30.0, 0.0);
    write("nan.emd", "images/ssb", 0.0, f64::NAN);
    write("pattern.emd", "images/mean_pattern", 0.0, 0.0);
    let compare = |second, told: &[&str]| refused(&place, &["compare", "ssb.emd", second], 1, told);
    compare("none.emd", &["none.emd", "there is no such file"]);
    compare("notes.txt", &["notes.txt", "it is no HDF5 file"]);
    compare("scan.h5", &["scan.h5 holds no group /ronchi"]);
    compare("phase.emd", &["A holds images/ssb; B holds ptychography/phase_scan", "--image"]);
    compare("pattern.emd", &["B holds no image of the specimen"]);
    compare("far.emd", &["images/ssb: they show no place that both have; A covers y from 0.0 to 9.5 Å", "B y from 30.0 to 39.5 Å"]);
    compare("nan.emd", &["images/ssb of nan.emd holds NaN at pixel (y, x) = (2, 5)"]);
    refused(
        &place,
        &["compare", "ssb.emd", "phase.emd", "--image", "sbb"],
        1,
        &["ssb.emd holds no image sbb", "the nearest held one is ssb"],
    );
    refused(&place, &["compare", "ssb.emd", "phase.emd", "--image", "ssb:idpc"], 1, &["phase.emd holds no image idpc", "phase_scan"]);
}
