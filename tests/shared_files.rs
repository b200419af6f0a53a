//! Real files open with the shape and calibration that their makers gave them, or are refused in words.
//!
//! They are not part of the repository: they lie in `../shared/data`, or where `RONCHI_SHARED_DATA` says. Where they are missing the tests
//! are reported as ignored.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(non_snake_case, reason = "units in names")]

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use ronchi::compute::{HostFrames, SampleType};
use ronchi::data::{self, CubeInfo, FrameSource, OpenOptions};

fn main() {
    let arguments = Arguments::from_args();
    let root =
        std::env::var_os("RONCHI_SHARED_DATA").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let mut trials = Vec::new();
    for (set, scan, step_A, mrad_per_px) in [
        ("010_300", 60, 0.4, 0.984_374_44),
        ("010_1000", 60, 0.4, 0.984_374_44),
        ("010_3000", 60, 0.4, 0.984_374_44),
        ("010_10000", 60, 0.4, 0.984_374_44),
        ("010_100000", 60, 0.4, 0.984_374_44),
        ("100_1000", 64, 0.35, 1.253_967_02),
        ("100_10000", 64, 0.35, 1.253_967_02),
        ("100_100000", 64, 0.35, 1.253_967_02),
        ("100thin_1000", 64, 0.2, 0.984_374_44),
        ("100thin_5000", 64, 0.2, 0.984_374_44),
        ("100thin_1000000", 64, 0.2, 0.984_374_44),
        ("100focus_1000", 64, 0.2, 0.984_374_44),
        ("100focus_10000", 64, 0.2, 0.984_374_44),
        ("100focus_1000000", 64, 0.2, 0.984_374_44),
    ] {
        let file = format!("na3ni2sbo6/na3ni2sbo6_{set}.h5");
        trials.push(trial(&root, &file, "opens with its calibration", move |path| simulation(path, scan, step_A, mrad_per_px)));
    }
    trials.push(trial(&root, "rotavirus/rotavirus_64x64x128x128_u8.h5", "opens with its calibration", rotavirus));
    trials.push(trial(&root, "formats/emd/py4DSTEM_size2x3x4x5.h5", "opens with its calibration", py4dstem));
    trials.push(trial(&root, "formats/cxi/PETRAIII_P25_Near_Field_Ptycho.cxi", "is a stack with a scan shape", cxi));
    for (file, words) in [
        ("formats/emd/Si100_4D.emd", &["data.dataset", "CBED_array_depth0001/datacube (11×11×8×8)"][..]),
        ("formats/cxi/PETRAIII_P25_Near_Field_Ptycho.cxi", &["200 frames", "data.scan_shape", "[10, 20]"]),
        ("formats/arina/au_145mm_68kx_microprobe_01_master.h5", &["/entry/data/data_000001", "cannot be opened", "_data_000001.h5"]),
        ("formats/arina/test_00_master.h5", &["bitshuffle", "32008"]),
        ("formats/merlin/001_4x2_6bit.mib", &["Merlin"]),
        ("formats/blockfile/test2.blo", &["block file"]),
        ("formats/dm/dmTest_3D_int16_64,65,66.dm4", &["Gatan"]),
        ("formats/empad/map4x4.xml", &["XML"]),
        ("formats/sample_dp_1.mat", &["no 4-D dataset", "/dp (256×256)"]),
    ] {
        trials.push(trial(&root, file, "is refused in words", move |path| refused(path, words)));
    }
    let mut others = Vec::new();
    list(&root.join("formats"), &mut others);
    others.sort();
    for path in others {
        let file = path.strip_prefix(&root).unwrap().display().to_string();
        trials.push(trial(&root, &file, "gives frames or a sentence", frames_or_sentence));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A test of one file; ignored, with the reason in its kind, where the file is missing.
fn trial(root: &Path, file: &str, promise: &str, test: impl FnOnce(&Path) -> Result<(), Failed> + Send + 'static) -> Trial {
    let path = root.join(file);
    let missing = !path.exists();
    let trial = Trial::test(format!("{file} {promise}"), move || test(&path));
    if missing { trial.with_kind("no shared data").with_ignored_flag(true) } else { trial }
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn open(path: &Path) -> Result<Box<dyn FrameSource>, Failed> {
    Ok(data::open(path, &OpenOptions::default())?)
}

fn ensure(holds: bool, what: &str, info: &CubeInfo) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(format!("{what}: {info:#?}").into()) }
}

fn near(a: [f64; 2], b: f64) -> bool {
    a.iter().all(|a| (a - b).abs() < 1e-6 * b)
}

fn total(source: &dyn FrameSource) -> Result<u64, Failed> {
    let info = source.info();
    let mut frames = HostFrames::zeros(info.dtype, info.frame_shape, info.frames());
    source.read(0, info.frames(), &mut frames, 0)?;
    Ok(bytemuck::cast_slice::<u32, u8>(&frames.words).iter().map(|&b| u64::from(b)).sum())
}

fn simulation(path: &Path, scan: usize, step_A: f64, mrad_per_px: f64) -> Result<(), Failed> {
    let source = open(path)?;
    let info = source.info();
    let known = &info.calibration;
    ensure(info.format == "py4DSTEM EMD 1.0", "format", info)?;
    ensure(info.scan_shape == [scan; 2] && info.frame_shape == [128; 2], "shape", info)?;
    ensure(info.dataset == "/datacube_root/datacube/data", "dataset", info)?;
    ensure(known.step_A.as_ref().is_some_and(|k| near(k.value, step_A)), "step", info)?;
    ensure(known.mrad_per_px.as_ref().is_some_and(|k| near(k.value, mrad_per_px) && k.origin.contains("Q_pixel_size")), "sampling", info)?;
    ensure(known.inverse_A_per_px.is_none() && known.voltage_kV.is_none() && known.extra.is_empty(), "nothing else", info)?;
    ensure(known.qr_flip.as_ref().is_some_and(|k| !k.value), "flip", info)?;
    if info.dtype == SampleType::U8 {
        // Counts are Poisson, of the mean that the dose in the file's name gives: dose · step² a frame, less what leaves the detector.
        let dose: f64 = path.file_stem().unwrap().to_str().unwrap().rsplit('_').next().unwrap().parse().unwrap();
        let expected = dose * step_A * step_A * (scan * scan) as f64;
        let share = total(&*source)? as f64 / expected;
        ensure((0.8..1.02).contains(&share), &format!("counts: {share} of those that the dose gives"), info)?;
    }
    Ok(())
}

fn rotavirus(path: &Path) -> Result<(), Failed> {
    let source = open(path)?;
    let info = source.info();
    let known = &info.calibration;
    ensure(info.scan_shape == [64; 2] && info.frame_shape == [128; 2] && info.dtype == SampleType::U8, "shape", info)?;
    ensure(info.chunks == Some(vec![1, 16, 128, 128]) && info.filters == ["gzip"] && source.preferred_run() == 16, "chunks", info)?;
    ensure(known.step_A.as_ref().is_some_and(|k| near(k.value, 31.25)), "step", info)?;
    ensure(known.inverse_A_per_px.as_ref().is_some_and(|k| near(k.value, 0.001_680_107_526_881_720_2)), "sampling", info)?;
    ensure(known.voltage_kV.as_ref().is_some_and(|k| k.value == 300.0 && k.origin.contains("accelerating_voltage_kV")), "voltage", info)?;
    ensure(known.convergence_mrad.as_ref().is_some_and(|k| k.value == 1.03), "convergence", info)?;
    ensure(known.qr_rotation_deg.as_ref().is_some_and(|k| k.value == -126.0), "rotation", info)?;
    ensure(known.extra.iter().any(|k| k.value == "defocus_nm_as_given_by_source = -13500"), "extra", info)
}

fn py4dstem(path: &Path) -> Result<(), Failed> {
    let source = open(path)?;
    let info = source.info();
    ensure(info.scan_shape == [2, 3] && info.frame_shape == [4, 5] && info.dtype == SampleType::F32, "shape", info)?;
    ensure(info.calibration.step_A.as_ref().is_some_and(|k| near(k.value, 1.267_968_75)), "step in nm", info)?;
    ensure(info.calibration.inverse_A_per_px.as_ref().is_some_and(|k| near(k.value, 0.044_251_566_616_087)), "sampling", info)
}

fn cxi(path: &Path) -> Result<(), Failed> {
    let options = OpenOptions { scan_shape: Some([10, 20]), ..OpenOptions::default() };
    let source = data::open(path, &options)?;
    let info = source.info();
    ensure(info.scan_shape == [10, 20] && info.frame_shape == [100; 2] && info.dtype == SampleType::F32, "shape", info)?;
    ensure(total(&*source)? > 0, "counts", info)
}

fn refused(path: &Path, words: &[&str]) -> Result<(), Failed> {
    let Err(error) = data::open(path, &OpenOptions::default()) else { return Err("it was opened".into()) };
    let message = error.to_string();
    match words.iter().find(|w| !message.contains(**w)) {
        Some(word) => Err(format!("\"{word}\" is not in: {message}").into()),
        None => Ok(()),
    }
}

fn frames_or_sentence(path: &Path) -> Result<(), Failed> {
    match data::open(path, &OpenOptions::default()) {
        Ok(source) => total(&*source).map(|_| ()),
        Err(error) => {
            let (message, file) = (error.to_string(), path.file_name().unwrap().to_str().unwrap());
            let is_sentence = message.contains(file) && message.ends_with('.') && message.len() > 60;
            if is_sentence { Ok(()) } else { Err(message.into()) }
        }
    }
}
