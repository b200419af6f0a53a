//! Files are read as they were written, whatever their types, chunks and crops, and refused in words where they cannot be.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod fixtures;

use std::path::{Path, PathBuf};

use fixtures::{Fixture, TYPES, Type, cropped, fresh_rng, samples};
use hdf5::filters::Filter;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use ronchi::compute::{HostFrames, SampleType};
use ronchi::data::{self, Error, FrameSource, OpenOptions};

fn read_all(source: &dyn FrameSource) -> HostFrames {
    let info = source.info();
    let mut frames = HostFrames::zeros(info.dtype, info.frame_shape, info.frames());
    source.read(0, info.frames(), &mut frames, 0).unwrap();
    frames
}

/// A cut of 0..n that is not empty.
fn cut(n: usize) -> impl Strategy<Value = (usize, usize)> {
    (0..n).prop_flat_map(move |a| (Just(a), a + 1..=n))
}

#[derive(Debug, Clone)]
struct Case {
    fixture: Fixture,
    crop: [[usize; 4]; 2],
    as_stack: bool,
    seed: u64,
    requests: Vec<(f64, f64)>,
}

fn cases() -> impl Strategy<Value = Case> {
    let shape = (1usize..6, 1usize..7, 1usize..9, 1usize..9);
    let pipeline = prop_oneof![
        2 => Just(vec![]),
        2 => Just(vec![Filter::Deflate(4)]),
        3 => Just(vec![Filter::Shuffle, Filter::Deflate(1)]),
        1 => Just(vec![Filter::Shuffle]),
        1 => Just(vec![Filter::Deflate(2), Filter::Fletcher32]),
        1 => Just(vec![Filter::LZF]),
    ];
    (
        shape,
        0..TYPES.len(),
        any::<(bool, bool, bool)>(),
        pipeline,
        any::<u64>(),
        proptest::collection::vec((0.0..1.0, 0.0..1.0), 4),
        prop_oneof![9 => Just(0u64), 1 => Just(512)],
    )
        .prop_flat_map(|((a, b, y, x), sample, (big_endian, is_chunked, as_stack), filters, seed, requests, user_block)| {
            let crops = (cut(a), cut(b), cut(y), cut(x));
            let chunk = (1..=a, 1..=b, 1..=y, 1..=x);
            (crops, chunk).prop_map(move |((i, j, ys, xs), (ca, cb, cy, cx))| {
                let (shape, chunk) =
                    if as_stack { (vec![a * b, y, x], vec![ca * cb, cy, cx]) } else { (vec![a, b, y, x], vec![ca, cb, cy, cx]) };
                let fixture = Fixture {
                    shape,
                    sample: TYPES[sample],
                    big_endian,
                    chunk: is_chunked.then_some(chunk),
                    filters: filters.clone(),
                    user_block,
                };
                let crop = [[i.0, i.1, j.0, j.1], [ys.0, ys.1, xs.0, xs.1]];
                // The scan of a stack is told by its scan shape, which is put behind the crops.
                Case {
                    fixture,
                    crop,
                    as_stack,
                    seed,
                    requests: requests.clone().into_iter().chain(as_stack.then_some((a as f64, b as f64))).collect(),
                }
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_type_order_chunking_and_crop_reads_back_what_was_written(case in cases()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cube.h5");
        let values = case.fixture.write(&path, &mut ChaCha8Rng::seed_from_u64(case.seed));
        let (requests, scan) = case.requests.split_at(4);
        let shape: [usize; 4] = match case.fixture.shape[..] {
            [a, b, y, x] => [a, b, y, x],
            [_, y, x] => [scan[0].0 as usize, scan[0].1 as usize, y, x],
            _ => unreachable!(),
        };
        let options = OpenOptions {
            scan_shape: case.as_stack.then_some([shape[0], shape[1]]),
            crop_scan: Some(case.crop[0]),
            crop_detector: Some(case.crop[1]),
            ..OpenOptions::default()
        };
        let source = data::open(&path, &options).unwrap();
        let expected = cropped(&values, shape, case.crop);
        prop_assert_eq!(samples(&read_all(&*source)), expected.clone());
        // Again in parts, and into other places of a block.
        let info = source.info();
        let pixels = info.frame_shape[0] * info.frame_shape[1];
        for &(from, part) in requests {
            let first = (from * info.frames() as f64) as usize;
            let count = 1 + (part * (info.frames() - first) as f64) as usize;
            let count = count.min(info.frames() - first);
            let mut block = HostFrames::zeros(info.dtype, info.frame_shape, count + 3);
            source.read(first, count, &mut block, 2).unwrap();
            let got = samples(&block);
            prop_assert_eq!(&got[2 * pixels..(2 + count) * pixels], &expected[first * pixels..(first + count) * pixels]);
            prop_assert!(got[..2 * pixels].iter().chain(&got[(2 + count) * pixels..]).all(|&v| v == 0));
        }
    }
}

#[test]
fn a_cube_says_its_shape_type_and_chunks() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), fresh_rng());
    let path = directory.path().join("cube.h5");
    let fixture = Fixture {
        big_endian: true,
        ..Fixture::chunked(&[4, 6, 8, 10], Type::U16, &[1, 3, 8, 10], vec![Filter::Shuffle, Filter::Deflate(1)])
    };
    fixture.write(&path, &mut rng);
    let source = data::open(&path, &OpenOptions { crop_scan: Some([1, 3, 0, 5]), ..OpenOptions::default() }).unwrap();
    let info = source.info();
    assert_eq!((info.scan_shape, info.frame_shape, info.dtype), ([2, 5], [8, 10], SampleType::U16));
    assert_eq!((info.format.as_str(), info.dataset.as_str()), ("HDF5 dataset", "/cube"));
    assert_eq!(info.stored_dtype, "uint16, big-endian");
    assert_eq!(info.chunks, Some(vec![1, 3, 8, 10]));
    assert_eq!(info.filters, ["shuffle", "gzip"]);
    assert_eq!(source.preferred_run(), 3);
}

#[test]
fn integers_that_a_float_does_not_hold_are_refused_unless_rounding_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cube.h5");
    let mut values = ndarray::Array4::<i32>::zeros((2, 3, 4, 4));
    values[[1, 1, 2, 2]] = -(1 << 24) - 1;
    hdf5::File::create(&path).unwrap().new_dataset_builder().with_data(&values).create("cube").unwrap();
    let source = data::open(&path, &OpenOptions::default()).unwrap();
    let mut frames = HostFrames::zeros(SampleType::F32, [4, 4], 6);
    let error = source.read(0, 6, &mut frames, 0).unwrap_err();
    assert!(matches!(error, Error::Rounding { frame: 4, value: -16777217, .. }), "{error}");
    let source = data::open(&path, &OpenOptions { allow_rounding: true, ..OpenOptions::default() }).unwrap();
    source.read(0, 6, &mut frames, 0).unwrap();
}

/// The sentence that opening a file ends in.
fn refusal(path: &Path, options: &OpenOptions) -> String {
    match data::open(path, options) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.to_string(),
    }
}

/// A refusal that names the file and all of these.
fn refuses(path: &Path, options: &OpenOptions, words: &[&str]) {
    let message = refusal(path, options);
    let file = path.file_name().unwrap().to_str().unwrap();
    for word in words.iter().chain(&[file]) {
        assert!(message.contains(word), "\"{word}\" is not in: {message}");
    }
}

fn written(directory: &tempfile::TempDir, name: &str, fixture: &Fixture) -> PathBuf {
    let path = directory.path().join(name);
    fixture.write(&path, &mut fresh_rng());
    path
}

#[test]
fn what_is_not_there_or_not_hdf5_is_said_to_be_so() {
    let (directory, plain) = (tempfile::tempdir().unwrap(), OpenOptions::default());
    refuses(&directory.path().join("none.h5"), &plain, &["there is no file"]);
    refuses(directory.path(), &plain, &["is a directory"]);
    for (name, bytes, what) in
        [("a.h5", &b""[..], "empty"), ("b.blo", b"IMGBLO......", "block file"), ("c.h5", b"hello, world", "not HDF5")]
    {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        refuses(&path, &plain, &[what]);
    }
}

#[test]
fn a_file_cut_off_anywhere_is_refused_in_words_or_read_as_far_as_it_is_whole() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), fresh_rng());
    for fixture in [
        Fixture::contiguous(&[3, 4, 16, 16], Type::U16),
        Fixture::chunked(&[3, 4, 16, 16], Type::U16, &[1, 2, 16, 16], vec![Filter::Shuffle, Filter::Deflate(1)]),
    ] {
        let path = directory.path().join("whole.h5");
        fixture.write(&path, &mut rng);
        let whole = std::fs::read(&path).unwrap();
        for step in 0..40 {
            let cut = directory.path().join("cut.h5");
            std::fs::write(&cut, &whole[..whole.len() * step / 40]).unwrap();
            if let Ok(source) = data::open(&cut, &OpenOptions::default()) {
                let mut frames = HostFrames::zeros(SampleType::U16, [16, 16], 12);
                let error = source.read(0, 12, &mut frames, 0).unwrap_err().to_string();
                assert!(error.contains("cut.h5"), "{error}");
            } else {
                refuses(&cut, &OpenOptions::default(), &["cut.h5"]);
            }
        }
    }
}

#[test]
fn a_damaged_file_is_an_error_or_frames_but_never_a_panic() {
    use rand::RngExt;
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), fresh_rng());
    for fixture in [
        Fixture::contiguous(&[3, 4, 8, 8], Type::I32),
        Fixture::chunked(&[3, 4, 8, 8], Type::U16, &[2, 2, 8, 5], vec![Filter::Shuffle, Filter::Deflate(1)]),
    ] {
        let path = directory.path().join("whole.h5");
        fixture.write(&path, &mut rng);
        let whole = std::fs::read(&path).unwrap();
        for _ in 0..600 {
            let mut bytes = whole.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] = rng.random();
            }
            let damaged = directory.path().join("damaged.h5");
            std::fs::write(&damaged, bytes).unwrap();
            if let Ok(source) = data::open(&damaged, &OpenOptions::default()) {
                let info = source.info();
                let count = info.frames().min(16);
                let mut frames = HostFrames::zeros(info.dtype, info.frame_shape, count);
                let _ = source.read(0, count, &mut frames, 0);
            }
        }
    }
}

#[test]
fn the_wrong_dataset_is_refused_with_what_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let plain = OpenOptions::default();
    let named = |name: &str| OpenOptions { dataset: Some(name.into()), ..OpenOptions::default() };
    let path = directory.path().join("many.h5");
    let file = hdf5::File::create(&path).unwrap();
    let group = file.create_group("entry").unwrap();
    for (name, shape) in [("image", vec![5, 7]), ("five", vec![2; 5]), ("a", vec![2, 3, 4, 5]), ("b", vec![2, 3, 4, 6])] {
        group.new_dataset::<u16>().shape(shape).create(name).unwrap().write_raw(&vec![0u16; 0][..]).ok();
    }
    group.dataset("a").unwrap().write(&ndarray::Array4::<u16>::ones((2, 3, 4, 5))).unwrap();
    group.new_dataset::<u8>().chunk((1, 1, 4, 4)).shape((hdf5::Extent::resizable(0), 3, 4, 4)).create("empty").unwrap();
    drop((group, file));
    refuses(&path, &plain, &["/entry/a (2×3×4×5)", "/entry/b (2×3×4×6)", "data.dataset"]);
    refuses(&path, &named("entry/c"), &["no dataset /entry/c", "/entry/a (2×3×4×5)"]);
    refuses(&path, &named("entry"), &["no dataset /entry", "/entry/a"]);
    refuses(&path, &named("/entry/image"), &["2 dimensions", "5×7"]);
    refuses(&path, &named("/entry/five"), &["5 dimensions", "2×2×2×2×2"]);
    refuses(&path, &named("/entry/b"), &["no frame was ever written"]);
    refuses(&path, &named("/entry/empty"), &["empty", "0×3×4×4"]);
    assert_eq!(data::open(&path, &named("entry/a")).unwrap().info().dataset, "/entry/a");
}

#[test]
fn scan_shapes_and_crops_that_do_not_fit_are_refused_with_what_would() {
    let directory = tempfile::tempdir().unwrap();
    let stack = written(&directory, "stack.h5", &Fixture::contiguous(&[24, 6, 8], Type::U8));
    let cube = written(&directory, "cube.h5", &Fixture::contiguous(&[4, 6, 6, 8], Type::U8));
    refuses(&stack, &OpenOptions::default(), &["data.scan_shape", "[4, 6]"]);
    let shape = |s| OpenOptions { scan_shape: Some(s), ..OpenOptions::default() };
    refuses(&stack, &shape([5, 5]), &["25 frames", "has 24", "[4, 6]"]);
    refuses(&cube, &shape([usize::MAX, 2]), &["has 24"]);
    assert_eq!(data::open(&cube, &shape([2, 12])).unwrap().info().scan_shape, [2, 12]);
    for crop in [[0, 5, 0, 6], [2, 2, 0, 6], [0, 4, 5, 3], [0, 4, 0, usize::MAX]] {
        refuses(&cube, &OpenOptions { crop_scan: Some(crop), ..OpenOptions::default() }, &["data.crop_scan", "4×6"]);
    }
    refuses(&cube, &OpenOptions { crop_detector: Some([0, 6, 0, 9]), ..OpenOptions::default() }, &["data.crop_detector", "6×8"]);
}

#[test]
fn types_that_are_not_counts_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bools.h5");
    let file = hdf5::File::create(&path).unwrap();
    file.new_dataset_builder().with_data(&ndarray::Array4::from_elem((2, 2, 4, 4), true)).create("cube").unwrap();
    drop(file);
    refuses(&path, &OpenOptions { dataset: Some("cube".into()), ..OpenOptions::default() }, &["bool", "expected integers"]);
    refuses(&path, &OpenOptions::default(), &["no 4-D dataset of numbers"]);
}

#[test]
fn a_filter_that_is_missing_is_named() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), fresh_rng());
    let path = directory.path().join("cube.h5");
    Fixture::chunked(&[2, 3, 8, 8], Type::U16, &[1, 1, 8, 8], vec![Filter::Deflate(1)]).write(&path, &mut rng);
    // The pipeline message names filter 1, deflate, with its name's length and flags behind; make it bitshuffle.
    let mut bytes = std::fs::read(&path).unwrap();
    let pipeline = [1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 8, 0];
    let at = (0..bytes.len()).find(|&p| bytes[p..].starts_with(&pipeline)).unwrap();
    bytes[at + 8..at + 10].copy_from_slice(&32008u16.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    refuses(&path, &OpenOptions::default(), &["bitshuffle", "32008", "/cube"]);
}

#[test]
fn links_to_other_files_are_followed_and_missed_by_name() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), fresh_rng());
    let (master, inner) = (directory.path().join("master.h5"), directory.path().join("inner.h5"));
    let values = Fixture::contiguous(&[2, 3, 4, 4], Type::U16).write(&inner, &mut rng);
    hdf5::File::create(&master).unwrap().create_group("entry").unwrap().link_external("inner.h5", "/cube", "data").unwrap();
    let source = data::open(&master, &OpenOptions::default()).unwrap();
    assert_eq!(source.info().dataset, "/entry/data");
    assert_eq!(samples(&read_all(&*source)), values);
    drop(source);
    std::fs::remove_file(&inner).unwrap();
    refuses(&master, &OpenOptions::default(), &["/entry/data", "inner.h5"]);
    refuses(&master, &OpenOptions { dataset: Some("entry/data".into()), ..OpenOptions::default() }, &["/entry/data", "inner.h5"]);
}

#[test]
fn frames_that_are_not_there_are_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(&directory, "cube.h5", &Fixture::contiguous(&[2, 3, 4, 4], Type::U16));
    let source = data::open(&path, &OpenOptions::default()).unwrap();
    let mut frames = HostFrames::zeros(SampleType::U16, [4, 4], 4);
    assert!(source.read(3, 4, &mut frames, 0).is_err(), "beyond the cube");
    assert!(source.read(0, 2, &mut frames, 3).is_err(), "beyond the block");
    assert!(source.read(0, 1, &mut HostFrames::zeros(SampleType::U8, [4, 4], 4), 0).is_err(), "another type");
}

#[test]
fn chunks_that_were_never_written_are_dark() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cube.h5");
    let file = hdf5::File::create(&path).unwrap();
    let dataset = file.new_dataset::<u16>().chunk((1, 2, 4, 4)).shape((2, 4, 4, 4)).create("cube").unwrap();
    dataset.write_slice(&ndarray::Array4::<u16>::from_elem((1, 2, 4, 4), 7), ndarray::s![1..2, 0..2, .., ..]).unwrap();
    drop((file, dataset));
    let source = data::open(&path, &OpenOptions::default()).unwrap();
    let expected: Vec<u32> = (0..8 * 16).map(|n| if (4..6).contains(&(n / 16)) { 7 } else { 0 }).collect();
    assert_eq!(samples(&read_all(&*source)), expected);
}

/// An EMD 1.0 file of py4DSTEM's shape, whose calibration `fill` writes.
fn emd(path: &Path, axis_units: [&str; 2], fill: impl Fn(&hdf5::Group)) {
    let file = hdf5::File::create(path).unwrap();
    let text = |at: &hdf5::Location, name: &str, value: &str| {
        let value: hdf5::types::VarLenUnicode = value.parse().unwrap();
        at.new_attr::<hdf5::types::VarLenUnicode>().create(name).unwrap().write_scalar(&value).unwrap();
    };
    text(&file, "emd_group_type", "file");
    file.new_attr::<i64>().create("version_major").unwrap().write_scalar(&1).unwrap();
    let array = file.create_group("root/datacube").unwrap();
    text(&array, "python_class", "DataCube");
    array.new_dataset_builder().with_data(&ndarray::Array4::<u8>::ones((2, 3, 4, 4))).create("data").unwrap();
    for (n, step) in [0.5, 0.25, 2.0, 4.0].into_iter().enumerate() {
        let axis = array.new_dataset_builder().with_data(&ndarray::arr1(&[0.0, step])).create(format!("dim{n}").as_str()).unwrap();
        text(&axis, "units", axis_units[n / 2]);
    }
    fill(&file.create_group("root/metadatabundle/calibration").unwrap());
}

#[test]
fn calibrations_are_read_in_the_units_they_are_written_in_and_say_where_they_stand() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("emd.h5");
    let text = |group: &hdf5::Group, name: &str, value: &str| {
        let value: hdf5::types::VarLenUnicode = value.parse().unwrap();
        group.new_dataset::<hdf5::types::VarLenUnicode>().create(name).unwrap().write_scalar(&value).unwrap();
    };
    let known = |fill: &dyn Fn(&hdf5::Group), axes| {
        let _ = std::fs::remove_file(&path);
        emd(&path, axes, fill);
        data::open(&path, &OpenOptions::default()).unwrap().info().clone()
    };
    // Everything in the metadata: integers, bools and fixed-length texts count as well.
    let info = known(
        &|group| {
            group.new_dataset::<i32>().create("R_pixel_size").unwrap().write_scalar(&2).unwrap();
            let unit = hdf5::types::FixedAscii::<4>::from_ascii("nm").unwrap();
            group.new_dataset::<hdf5::types::FixedAscii<4>>().create("R_pixel_units").unwrap().write_scalar(&unit).unwrap();
            group.new_dataset::<f32>().create("Q_pixel_size").unwrap().write_scalar(&0.5).unwrap();
            text(group, "Q_pixel_units", "A^-1");
            group.new_dataset::<bool>().create("QR_flip").unwrap().write_scalar(&true).unwrap();
            group.new_dataset::<f64>().create("QR_rotation_degrees").unwrap().write_scalar(&-12.5).unwrap();
            group.new_dataset::<f64>().create("probe_semiangle").unwrap().write_scalar(&26.25).unwrap();
        },
        ["pixels", "pixels"],
    );
    let calibration = &info.calibration;
    assert_eq!(info.format, "py4DSTEM EMD 1.0");
    assert_eq!(calibration.step_A.as_ref().unwrap().value, [20.0, 20.0]);
    assert_eq!(calibration.step_A.as_ref().unwrap().origin, "dataset `R_pixel_size` of /root/metadatabundle/calibration");
    assert_eq!(calibration.inverse_A_per_px.as_ref().unwrap().value, [0.5, 0.5]);
    assert!(calibration.mrad_per_px.is_none() && calibration.convergence_mrad.is_none());
    assert!(calibration.qr_flip.as_ref().unwrap().value);
    assert_eq!(calibration.qr_rotation_deg.as_ref().unwrap().value, -12.5);
    assert_eq!(calibration.extra.iter().map(|k| k.value.as_str()).collect::<Vec<_>>(), ["probe_semiangle = 26.25"]);
    // Only the axes say something.
    let info = known(&|_| (), ["A", "mrad"]);
    assert_eq!(info.calibration.step_A.as_ref().unwrap().value, [0.5, 0.25]);
    assert_eq!(info.calibration.step_A.as_ref().unwrap().origin, "datasets `dim0` and `dim1` of /root/datacube");
    assert_eq!(info.calibration.mrad_per_px.as_ref().unwrap().value, [2.0, 4.0]);
    // Pixels, or nonsense, are no calibration.
    let info = known(
        &|group| {
            group.new_dataset::<f64>().create("R_pixel_size").unwrap().write_scalar(&1.0).unwrap();
            text(group, "R_pixel_units", "pixels");
            group.new_dataset::<f64>().create("Q_pixel_size").unwrap().write_scalar(&f64::NAN).unwrap();
            text(group, "Q_pixel_units", "mrad");
        },
        ["pixels", "pixels"],
    );
    let calibration = &info.calibration;
    assert!(calibration.step_A.is_none() && calibration.mrad_per_px.is_none() && calibration.inverse_A_per_px.is_none());
}

#[test]
fn virtual_datasets_are_followed_and_their_missing_sources_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let (path, half) = (directory.path().join("virtual.h5"), directory.path().join("half.h5"));
    let values = Fixture::contiguous(&[1, 3, 4, 4], Type::U16).write(&half, &mut fresh_rng());
    let file = hdf5::File::create(&path).unwrap();
    file.new_dataset::<u16>()
        .virtual_map("half.h5", "cube", (1, 3, 4, 4), (.., .., .., ..), (1, 3, 4, 4), (.., .., .., ..))
        .shape((1, 3, 4, 4))
        .create("cube")
        .unwrap();
    drop(file);
    let source = data::open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(samples(&read_all(&*source)), values);
    drop(source);
    std::fs::remove_file(&half).unwrap();
    refuses(&path, &OpenOptions::default(), &["virtual dataset /cube", "half.h5"]);
}
