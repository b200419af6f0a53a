//! The promises of reconstructions: stages, checkpoints, everything that is refined, and what is refused.

use std::time::{Duration, Instant};

use rand::RngExt;
use ronchi::output::Results;

use crate::cli_support::Place;

/// A job of three stages with kept waves, slices, modes, momentum, held-out patterns, constraints, positions and a scale that move.
const LONG: &str = "[data]\npath = \"scan.h5\"\n[optics]\ndefocus_A = 100\n[scan]\nrotation_deg = 0\n[ptychography]\nbatch = 7\nvalidation = 0.1\nstages = [\n  \
    { name = \"waves\", algorithm = \"raar\", iterations = 12 },\n  \
    { name = \"thin\", algorithm = \"mpie\", momentum_every = 3, iterations = 40, positions_from = 5 },\n  \
    { name = \"thick\", algorithm = \"adam\", slices = 2, slice_thickness_A = 5, probe_modes = 2, iterations = 60, thickness_from = 20, likelihood = \"poisson\", scale_from = 35, \
    constraints = [{ kind = \"kz_filter\", beta = 0.5, every = 3 }, { kind = \"orthogonal_modes\" }] },\n]\n\
    [output]\npng = false\ncheckpoint_every = 3\n";

#[test]
fn a_reconstruction_that_is_killed_goes_on_as_if_it_had_not_been() {
    let place = Place::new();
    place.scan();
    place.write("job.toml", LONG);
    place.done(&["reconstruct", "job.toml", "-o", "whole.emd"]);
    assert!(!place.path("whole.emd.checkpoint").exists(), "a finished run leaves its checkpoint");
    let mut rng = rand::rng();
    let (mut killed, mut resumed) = (0, 0);
    for attempt in 0..10 {
        let name = format!("part{attempt}.emd");
        // Until it ends by itself it is killed a while after its start, each time later.
        for patience in 1.. {
            let mut child = place.command(&["reconstruct", "job.toml", "-o", &name]).stderr(std::process::Stdio::piped()).spawn().unwrap();
            let wait = Duration::from_millis(rng.random_range(20..200) * patience);
            let begun = Instant::now();
            while begun.elapsed() < wait && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(2));
            }
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
            }
            let output = child.wait_with_output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            resumed += u32::from(told.contains("going on from"));
            if output.status.success() {
                break;
            }
            assert!(output.status.code().is_none(), "it ended with an error: {told}");
            killed += 1;
            // Killed on its way out, with nothing left to do.
            if place.path(&name).exists() {
                break;
            }
        }
        let compared = place.run(&["compare", "--exact", "whole.emd", &name]);
        assert_eq!(compared.code, 0, "{}{}", compared.stdout, compared.stderr);
    }
    println!("killed {killed} times, went on {resumed} times");
    assert!(killed >= 10 && resumed >= 5, "killed {killed} times, went on {resumed} times");
}

#[test]
fn a_checkpoint_of_another_job_or_of_other_data_is_refused() {
    let place = Place::new();
    place.scan();
    place.write("job.toml", LONG);
    let mut child = place.command(&["reconstruct", "job.toml", "-o", "a.emd"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let checkpoint = place.path("a.emd.checkpoint");
    while !checkpoint.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = child.kill();
    child.wait().unwrap();
    if !checkpoint.exists() {
        // It was faster than the look: nothing is left to refuse.
        return;
    }
    let kept = std::fs::read(&checkpoint).unwrap();
    let other = place.run(&["reconstruct", "job.toml", "-o", "a.emd", "--set", "ptychography.seed=5"]);
    assert_eq!(other.code, 2, "{}", other.stderr);
    assert!(other.stderr.contains("belongs to another job"), "{}", other.stderr);
    let mut data = std::fs::read(place.path("scan.h5")).unwrap();
    // Frames are compressed with a check of their own: what is added behind them changes the file and no frame.
    data.push(1);
    std::fs::write(place.path("scan.h5"), data).unwrap();
    let changed = place.run(&["reconstruct", "job.toml", "-o", "a.emd"]);
    assert_eq!(changed.code, 2, "{}", changed.stderr);
    assert!(changed.stderr.contains("has changed since"), "{}", changed.stderr);
    std::fs::write(&checkpoint, &kept[..kept.len() / 2]).unwrap();
    let cut = place.run(&["reconstruct", "job.toml", "-o", "a.emd"]);
    assert_eq!(cut.code, 1, "{}", cut.stderr);
    assert!(cut.stderr.contains("the checkpoint cannot be read (") && cut.stderr.contains("Delete it, or give --force"), "{}", cut.stderr);
    place.done(&["reconstruct", "job.toml", "-o", "a.emd", "--force"]);
    assert!(!checkpoint.exists());
}

#[test]
fn every_rule_and_what_it_refines_is_in_the_result() {
    let place = Place::new();
    place.scan();
    place.write(
        "job.toml",
        "[data]\npath = \"scan.h5\"\n[optics]\ndefocus_A = 100\n[scan]\nrotation_deg = 0\n[ptychography]\niterations = 3\nbatch = 8\n",
    );
    for algorithm in ["epie", "rpie", "mpie", "lsq_ml", "adam", "difference_map", "raar"] {
        let projects = ["difference_map", "raar"].contains(&algorithm);
        for likelihood in ["amplitude", "poisson", "gaussian"].into_iter().take(if projects { 1 } else { 3 }) {
            let name = format!("{algorithm}_{likelihood}.emd");
            let (rule, misfit) = (format!("ptychography.algorithm={algorithm}"), format!("ptychography.likelihood={likelihood}"));
            place.done(&["reconstruct", "job.toml", "-o", &name, "--set", &rule, "--set", &misfit, "--set", "output.png=false"]);
            let errors = Results::open(&place.path(&name)).unwrap().array("ptychography/error").unwrap();
            let errors = errors.data.reals().unwrap();
            let table = std::fs::read_to_string(place.path(&format!("{algorithm}_{likelihood}_images/convergence.csv"))).unwrap();
            assert!(table.starts_with("iteration,error") && table.lines().count() == 4, "{table}");
            assert!(errors.len() == 3 && errors.iter().all(|e| e.is_finite()) && errors[2] < errors[0], "{name}: {errors:?}");
        }
    }
    let sets = [
        "probe_modes=2",
        "slices=3",
        "slice_thickness_A=4",
        "positions_from=1",
        "thickness_from=1",
        "tilt_from=1",
        "tilts_from=2",
        "intensities_from=1",
        "probe_variations=2",
        "variations_from=1",
        "defocus_from=2",
        "aberrations_from=3",
        "likelihood=poisson",
        "affine_from=1",
        "scale_from=2",
        "validation=0.1",
    ];
    let sets: Vec<String> = sets.iter().map(|set| format!("ptychography.{set}")).collect();
    let mut arguments = vec!["reconstruct", "job.toml", "-o", "all.emd"];
    sets.iter().for_each(|set| arguments.extend(["--set", set.as_str()]));
    place.done(&arguments);
    let results = Results::open(&place.path("all.emd")).unwrap();
    let shape = |name: &str| results.array(&format!("ptychography/{name}")).unwrap().shape;
    assert_eq!(shape("object")[0], 3);
    assert_eq!(shape("slices")[0], 3);
    assert_eq!(shape("probe"), [2, 32, 32]);
    assert_eq!(shape("mode_power"), [3, 2]);
    assert_eq!(shape("pattern_error"), [8, 8]);
    assert_eq!(shape("intensity"), [64]);
    assert_eq!((shape("probe_variations"), shape("variation_weights")), (vec![2, 32, 32], vec![64, 2]));
    for name in ["error", "validation_error", "shift_rms", "slice_thickness", "defocus_change", "C12_cos_change", "C30_change"] {
        assert_eq!(shape(name), [3], "{name}");
    }
    let table = std::fs::read_to_string(place.path("all_images/convergence.csv")).unwrap();
    assert!(table.starts_with("iteration,error,validation_error,mode_power_0,mode_power_1,") && table.lines().count() == 4, "{table}");
}

#[test]
fn what_a_reconstruction_cannot_do_is_refused_before_it_begins() {
    let place = Place::new();
    place.scan();
    place.write("job.toml", "[data]\npath = \"scan.h5\"\n[scan]\nrotation_deg = 0\n[ptychography]\n");
    for (set, expected) in [
        ("ptychography.slices=3", "ptychography.slice_thickness_A is not known: there are 3 slices"),
        ("ptychography.constraints=[{ kind = \"low_pass\" }]", "low_pass: cutoff_inverse_A is missing"),
        ("ptychography.constraints=[{ kind = \"pure_phase\", beta = 1 }]", "beta is no number of this kind"),
        ("ptychography.constraints=[{ kind = \"pure_fase\" }]", "ptychography.constraints"),
        ("ptychography.constraints=[{ kind = \"pure_phase\", from = 4, until = 3 }]", "until is 3, before from, which is 4"),
        ("ptychography.stages=[{ name = \"x\", iteration = 3 }]", "stage x"),
        ("ptychography.stages=[{ seed = 3 }]", "seed stands for the whole reconstruction"),
        ("ptychography.probe_modes=0", "ptychography.probe_modes is 0, expected a whole number from 1 to 64"),
        ("ptychography.validation=0.7", "ptychography.validation is 0.7"),
        ("ptychography.bin=3", "a divisor of the frame's sides, 32 and 32 pixels"),
        ("ptychography.bin=17", "ptychography.bin is 17, expected a whole number from 1 to 16"),
        ("ptychography.upsample=0", "ptychography.upsample is 0, expected a whole number from 1 to 8"),
        ("ptychography.frozen_below=1", "ptychography.frozen_below is 1, expected"),
        ("ptychography.halves=yes", "ptychography.halves"),
        ("optics.source_size_A=-1", "optics.source_size_A is -1, expected"),
        ("detector.blur_px=-1", "detector.blur_px is -1, expected"),
    ] {
        let refused = place.run(&["reconstruct", "job.toml", "-o", "x.emd", "--set", set]);
        assert_eq!(refused.code, 2, "{set}: {}", refused.stderr);
        assert!(refused.stderr.contains(expected), "{set}: {}", refused.stderr);
    }
    let wider = place.run(&["reconstruct", "job.toml", "-o", "x.emd", "--set", "ptychography.scale_from=2"]);
    assert!(wider.code == 2 && wider.stderr.contains("Say likelihood = \"poisson\" in the stage"), "{}", wider.stderr);
    let thick = ["--set", "ptychography.algorithm=raar", "--set", "ptychography.slices=2", "--set", "ptychography.slice_thickness_A=5"];
    let refused = place.run(&[["reconstruct", "job.toml", "-o", "x.emd"].as_slice(), &thick].concat());
    assert!(refused.code == 2 && refused.stderr.contains("1 with the difference map and RAAR"), "{}", refused.stderr);
    let unfit = ["--set", "ptychography.algorithm=raar", "--set", "ptychography.likelihood=poisson"];
    let refused = place.run(&[["reconstruct", "job.toml", "-o", "x.emd"].as_slice(), &unfit].concat());
    assert!(refused.code == 2 && refused.stderr.contains("which project waves to the measured amplitudes"), "{}", refused.stderr);
    let wide = ["--set", "ptychography.probe_modes=64", "--set", "ptychography.slices=256", "--set", "ptychography.slice_thickness_A=1"];
    let limit = ["--set", "compute.memory_limit_GiB=0.0625"];
    let refused = place.run(&[["reconstruct", "job.toml", "-o", "x.emd"].as_slice(), &wide, &limit].concat());
    assert!(refused.code == 2 && refused.stderr.contains("an object of 256 slices, 64 modes of the probe"), "{}", refused.stderr);
    let many = [&wide[2..], &limit].concat();
    let refused = place.run(&[["reconstruct", "job.toml", "-o", "x.emd"].as_slice(), &many].concat());
    assert!(refused.code == 2 && refused.stderr.contains("or what would fit: ptychography."), "{}", refused.stderr);
    // No frame is read before.
    assert!(!refused.stderr.contains("survey"), "{}", refused.stderr);
    for (set, expected) in [
        ("data.crop_scan=[0, 3, 0, 3]", "at least 10 patterns that overlap, and the scan has 9 patterns"),
        ("scan.step_A=1e-9", "less than a pixel of the object"),
        ("scan.step_A=80", "64 of 64 scan positions"),
        ("scan.step_A=5", "do not overlap"),
        ("optics.defocus_A=3000", "the probe is wider than its window"),
    ] {
        let refused = place.run(&["reconstruct", "job.toml", "-o", "x.emd", "--set", set]);
        assert!(refused.code == 2 && refused.stderr.contains(expected), "{set}: {}", refused.stderr);
    }
    assert!(!place.path("x.emd").exists());
    // What has no stages is one.
    place.done(&["reconstruct", "job.toml", "-o", "one.emd", "--set", "ptychography.stages=[]", "--set", "ptychography.iterations=1"]);
}

#[test]
fn a_sweep_finds_the_focus_and_leaves_its_job_file() {
    let place = Place::new();
    place.scan();
    place.write(
        "job.toml",
        "[data]\npath = \"scan.h5\"\n[scan]\nrotation_deg = 0\n[ptychography]\nbatch = 8\niterations = 12\nprobe_from = 0\nvalidation = 0.2\n\
         [sweep]\n\"optics.defocus_A\" = [-100, 0, 50, 100]\n",
    );
    let refused = place.run(&["reconstruct", "job.toml", "-o", "x.emd"]);
    assert!(refused.code == 2 && refused.stderr.contains("which `ronchi run` does"), "{}", refused.stderr);
    let told = place.done(&["run", "job.toml"]).stderr;
    // The defocus that the scan was simulated with.
    assert!(told.contains("optics.defocus_A = 100"), "{told}");
    let table = std::fs::read_to_string(place.path("job_sweep/trials.csv")).unwrap();
    let scores: Vec<f64> = table.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
    assert!(table.starts_with("trial,validation_error,optics.defocus_A\n") && scores.len() == 4, "{table}");
    assert!(scores.iter().all(|s| scores[3] <= *s), "{table}");
    assert!(place.run(&["run", "job.toml"]).stderr.contains("job_sweep exists already"));
    // The best job runs in its own folder and comes to the same.
    place.done(&["reconstruct", "job_sweep/best.toml", "-o", "best.emd"]);
    let object = |name: &str| Results::open(&place.path(name)).unwrap().array("ptychography/object").unwrap().data;
    assert!(object("best.emd") == object("job_sweep/trial_004.emd"));
}

/// A job with a rough stage (in focus, since its window is small), padded frames, a blurred probe and detector, a frozen edge and two halves.
const HALVES: &str = "[data]\npath = \"scan.h5\"\n[optics]\nsource_size_A = 0.4\n[scan]\nrotation_deg = 0\n[detector]\nblur_px = 0.5\n\
    [ptychography]\nbatch = 8\npad_px = 4\nprobe_modes = 3\nfrozen = \"edge.h5:/cube\"\nhalves = \"noise_floor\"\nstages = [\n  \
    { name = \"rough\", bin = 2, iterations = 4 },\n  { name = \"fine\", iterations = 6 },\n  { name = \"wide\", upsample = 2, iterations = 3 },\n]\n\
    [output]\ncheckpoint_every = 1\n";

#[test]
fn halves_tell_up_to_where_they_agree_and_what_is_frozen_stays() {
    let place = Place::new();
    place.scan();
    let edge: Vec<u8> = (0..64).map(|p| u8::from(p % 8 == 0)).collect();
    place.dataset("edge.h5", &[8, 8], &edge);
    place.write("job.toml", HALVES);
    let told = place.done(&["reconstruct", "job.toml", "-o", "whole.emd"]).stderr;
    for words in
        ["stage rough (1 of 3)", "stage wide (3 of 3)", "half 2 of 2", "half without structure 2 of 2", "two halves of the electrons agree"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
    let results = Results::open(&place.path("whole.emd")).unwrap();
    let array = |name: &str| results.array(&format!("ptychography/{name}")).unwrap();
    assert_eq!(array("probe").shape, [3, 80, 80], "frames of 32 + 2·4 pixels, twice up-sampled");
    assert_eq!(array("error").shape, [13]);
    let rings = array("frc").shape[0];
    assert!(array("frc_half_bit").shape == [rings] && array("frc_noise_floor").shape == [rings] && rings > 5);
    assert_eq!(array("phase_half_1").shape, array("phase_scan").shape);
    let correlation = array("frc").data.reals().unwrap();
    assert!(correlation.iter().all(|c| (-1.0..=1.0).contains(c)));
    let table = std::fs::read_to_string(place.path("whole_images/frc.csv")).unwrap();
    assert!(
        table.starts_with("spatial_frequency (1/Å),frc,frc_half_bit,frc_noise_floor\n") && table.lines().count() == rings + 1,
        "{table}"
    );
    for picture in ["frc.png", "convergence.png", "phase_half_2.png", "pattern_error.png", "overview.png"] {
        assert!(place.path("whole_images").join(picture).exists(), "{picture}");
    }
    // The scan's first column, a pixel of 0.14 Å each: what is nearest to it is frozen.
    let (object, amplitude) = (array("object"), array("amplitude").data.reals().unwrap());
    let [y, x] = [0, 1].map(|a| (-object.axes[a].origin / object.axes[a].step).round() as usize);
    let along = |row: usize, col: usize| amplitude[row * object.shape[1] + col];
    assert!((y..y + 30).all(|row| along(row, x) == 1.0), "the first column of the scan stays empty");
    assert!((y..y + 30).any(|row| along(row, x + 20) != 1.0), "the rest does not");

    let left: Vec<_> = place.listing().into_iter().filter(|p| p.to_string_lossy().contains("checkpoint")).collect();
    assert!(left.is_empty(), "{left:?}");

    // Killed at any time, also within a half, it goes on.
    let (mut killed, mut rng) = (0, rand::rng());
    for patience in 1.. {
        let mut child = place.command(&["reconstruct", "job.toml", "-o", "part.emd"]).stderr(std::process::Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        let wait = Duration::from_millis(rng.random_range(50..150) * patience);
        while begun.elapsed() < wait && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let done = child.try_wait().unwrap();
        if done.is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        // Killed on its way out it has nothing left to do.
        if child.wait().unwrap().success() || place.path("part.emd").exists() {
            break;
        }
    }
    let compared = place.run(&["compare", "--exact", "whole.emd", "part.emd"]);
    assert_eq!(compared.code, 0, "killed {killed} times: {}{}", compared.stdout, compared.stderr);
}

#[test]
fn a_sweep_is_scored_by_the_resolution_of_halves() {
    let place = Place::new();
    place.scan();
    place.write(
        "job.toml",
        "[data]\npath = \"scan.h5\"\n[scan]\nrotation_deg = 0\n[ptychography]\nbatch = 8\niterations = 6\nprobe_from = 0\n\
         [sweep]\nscore = \"frc\"\n\"optics.defocus_A\" = [-100, 100]\n",
    );
    let told = place.done(&["run", "job.toml"]).stderr;
    assert!(told.contains("scored by the resolution of two halves"), "{told}");
    let table = std::fs::read_to_string(place.path("job_sweep/trials.csv")).unwrap();
    let scores: Vec<f64> = table.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
    assert!(table.starts_with("trial,resolution (Å),optics.defocus_A\n") && scores.len() == 2, "{table}");
    let frc = Results::open(&place.path("job_sweep/trial_002.emd")).unwrap().array("ptychography/frc").unwrap();
    let told = frc.extra.iter().find(|(name, _)| name == "resolution_half_bit_A").unwrap();
    assert_eq!(told.1, ronchi::output::Attr::Number(scores[1]));
}

#[test]
fn another_job_on_the_same_result_leaves_the_checkpoint_of_a_reconstruction() {
    let place = Place::new();
    place.scan();
    std::fs::write(place.path("x.emd.checkpoint"), "a night").unwrap();
    place.done(&["image", "scan.h5", "-o", "x.emd", "--set", "scan.rotation_deg=0"]);
    assert!(place.path("x.emd.checkpoint").exists());
}

#[test]
fn a_key_that_no_stage_makes_use_of_is_told() {
    let place = Place::new();
    place.scan();
    place.write("job.toml", "[data]\npath = \"scan.h5\"\n[scan]\nrotation_deg = 0\n[ptychography]\niterations = 2\nbatch = 8\n");
    let told = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|set| format!("ptychography.{set}")).collect();
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let said = place.done(&[&["reconstruct", "job.toml", "--force"], &sets[..]].concat()).stderr;
        said.lines().filter(|line| line.contains("does nothing")).map(str::to_owned).collect::<Vec<_>>()
    };
    for key in ["thickness_from", "tilt_from", "tilts_from"] {
        let key = format!("{key}=2");
        let name = key.trim_end_matches("=2");
        assert_eq!(told(&[&key]), [format!("warning: ptychography.{name} does nothing with one slice.")]);
        assert_eq!(told(&[&key, "slices=2", "slice_thickness_A=5"]), [""; 0]);
        let stages = "stages=[{iterations=1}, {iterations=1, slices=2, slice_thickness_A=5}]";
        assert_eq!(told(&[&key, stages]), [""; 0], "the second stage makes use of it");
    }
    assert_eq!(told(&["patience=3"]), ["warning: ptychography.patience does nothing where validation is 0."]);
    assert_eq!(told(&["patience=3", "validation=0.1"]), [""; 0]);
    let late = "constraints=[{ kind = \"pure_phase\", from = 3 }]";
    assert_eq!(told(&[late]).len(), 1, "two iterations end before the third");
    assert_eq!(told(&[late, "stages=[{iterations=1}, {iterations=3}]"]), [""; 0]);
    let projects = "algorithm=\"raar\"";
    assert_eq!(told(&[projects, "step_end=0.5"]), ["warning: ptychography.step_end does nothing with the difference map and RAAR."]);
    assert_eq!(told(&[projects]), [""; 0]);
}
