//! The result file: what is written is read back, whole or not at all, and the same inputs make the same file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are no #[test] functions")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use num_complex::{Complex32, Complex64};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ronchi::output::{
    Array, ArrayData, Attr, Axis, Claim, Column, Error, Frame, Header, Input, Kind, ResultFile, Results, RunFacts, Table, compare_exact,
    read_complex,
};

fn rng() -> ChaCha8Rng {
    let seed = rand::random();
    println!("seed {seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

fn floats(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1e3..1e3)).collect()
}

fn header(rng: &mut ChaCha8Rng) -> Header {
    Header {
        version: "0.1.0".into(),
        // Longer than the 64 KiB that an HDF5 attribute holds by itself.
        job: "[data]\npath = \"a µ.h5\"\n".repeat(4000),
        device: "cpu (2 threads)".into(),
        input: Some(Input { path: "a µ.h5".into(), size: rng.random(), hash: "blake3:0123".into() }),
        seed: rng.random(),
        uuid: "00000000-0000-8000-8000-000000000001".into(),
    }
}

fn facts(start: &str) -> RunFacts {
    RunFacts { start: start.into(), end: "2025-01-02T04:00:00Z".into(), host: "a".into(), timings: r#"{"read_s":1.5}"#.into() }
}

fn image(path: &str, shape: [usize; 2], data: ArrayData) -> Array {
    Array {
        path: path.into(),
        shape: shape.to_vec(),
        data,
        axes: vec![Axis::new("y", "Å", 0.0, 0.4), Axis::new("x", "Å", 0.0, 0.4)],
        units: "e⁻".into(),
        frame: Frame::Scan,
        to_scan: Some([[0.4, 0.0, 0.0], [0.0, 0.4, 0.0]]),
        extra: vec![],
    }
}

/// One of each thing that a job writes.
fn arrays(rng: &mut ChaCha8Rng) -> Vec<Array> {
    let [rows, columns, slices] = [rng.random_range(3..40), rng.random_range(3..40), rng.random_range(1..3)];
    let pixels = rows * columns;
    let complex = |rng: &mut ChaCha8Rng, n| (0..n).map(|_| Complex32::new(rng.random(), rng.random())).collect::<Vec<_>>();
    let stack = |path: &str, first: &str, data: ArrayData| Array {
        shape: vec![slices, rows, columns],
        axes: vec![Axis::index(first), Axis::new("y", "Å", -12.3, 0.17), Axis::new("x", "Å", -9.9, 0.17)],
        frame: Frame::Object,
        to_scan: Some([[0.16, -0.05, 1.5], [0.05, 0.16, -2.5]]),
        ..image(path, [1, 1], data)
    };
    let mut bf = image("images/bf", [rows, columns], ArrayData::F32(floats(rng, pixels)));
    bf.extra = vec![("incident".into(), Attr::Number(rng.random())), ("radii_mrad".into(), Attr::Numbers(vec![0.0, 21.4]))];
    let error = Array {
        axes: vec![Axis::new("iteration", "", 1.0, 1.0)],
        frame: Frame::None,
        to_scan: None,
        shape: vec![5],
        ..image("ptychography/error", [1, 1], ArrayData::F64(vec![5.0, 4.0, 3.0, f64::NAN, 1.0]))
    };
    let positions = Array {
        axes: vec![Axis::index("position"), Axis::index("y, x")],
        to_scan: None,
        ..image("ptychography/positions", [pixels, 2], ArrayData::F64((0..2 * pixels).map(|_| rng.random()).collect()))
    };
    let probe = (0..slices * pixels).map(|_| Complex64::new(rng.random(), rng.random())).collect();
    vec![
        bf,
        image("images/bf_2", [columns, rows], ArrayData::U32((0..pixels).map(|_| rng.random()).collect())),
        image("images/idpc", [rows, columns], ArrayData::F64((0..pixels).map(|_| rng.random()).collect())),
        stack("ptychography/object", "slice", ArrayData::Complex32(complex(rng, slices * pixels))),
        stack("ptychography/phase", "slice", ArrayData::F32(floats(rng, slices * pixels))),
        image("ptychography/phase_scan", [columns, rows], ArrayData::F32(floats(rng, pixels))),
        stack("ptychography/probe", "mode", ArrayData::Complex64(probe)),
        error,
        positions,
    ]
}

fn table(rng: &mut ChaCha8Rng) -> Table {
    let n = rng.random_range(0..50);
    let column = |name: &str, units: &str, data| Column { name: name.into(), units: units.into(), data };
    Table {
        path: "truth/columns".into(),
        columns: vec![
            column("element", "", ArrayData::U32((0..n).map(|_| rng.random_range(1..90)).collect())),
            column("site", "", ArrayData::I64((0..n).map(|_| rng.random()).collect())),
            column("x", "Å", ArrayData::F64((0..n).map(|_| rng.random()).collect())),
            column("y", "Å", ArrayData::F32(floats(rng, n as usize))),
        ],
        extra: vec![("cells".into(), Attr::Integer(7))],
    }
}

fn write(path: &Path, header: &Header, arrays: &[Array], tables: &[Table], run: &RunFacts) -> Result<PathBuf, Error> {
    let mut file = ResultFile::create(path, false)?;
    file.header(header)?;
    for array in arrays {
        file.array(array)?;
    }
    for table in tables {
        file.table(table)?;
    }
    file.run(run)?;
    file.finish()
}

/// The names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn bits(data: &ArrayData) -> Vec<[u64; 2]> {
    data.complexes().iter().map(|z| [z.re.to_bits(), z.im.to_bits()]).collect()
}

#[test]
fn what_is_written_is_read_back() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), rng());
    let path = directory.path().join("result.emd");
    let (header, arrays, table) = (header(&mut rng), arrays(&mut rng), table(&mut rng));
    assert_eq!(write(&path, &header, &arrays, std::slice::from_ref(&table), &facts("then")).unwrap(), path);

    let results = Results::open(&path).unwrap();
    let mut paths: Vec<_> = arrays.iter().map(|array| array.path.clone()).collect();
    paths.sort();
    assert_eq!(results.arrays(), paths);
    assert_eq!(results.tables(), ["truth/columns"]);
    assert_eq!(results.attr("job"), Some(Attr::Text(header.job)));
    assert_eq!(results.attr("seed"), Some(Attr::Unsigned(header.seed)));
    assert_eq!(results.attr("input_size"), Some(Attr::Unsigned(header.input.unwrap().size)));
    assert_eq!(results.table("truth/columns").unwrap(), table);
    for array in &arrays {
        let back = results.array(&array.path).unwrap();
        assert_eq!(std::mem::discriminant(&back.data), std::mem::discriminant(&array.data), "{}", array.path);
        assert_eq!(bits(&back.data), bits(&array.data), "{}", array.path);
        for (axis, written) in back.axes.iter().zip(&array.axes) {
            assert!((axis.step - written.step).abs() < 1e-12 * (written.step.abs() + written.origin.abs()), "{axis:?}");
        }
        let rest = |array: &Array| Array { data: ArrayData::F32(vec![]), axes: vec![], ..array.clone() };
        assert_eq!(rest(&back), rest(array));
    }
    match results.array("images/adf") {
        Err(error @ Error::Missing { .. }) => assert!(error.to_string().contains("images/bf,"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_probe_is_read_from_any_hdf5_file() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), rng());
    let path = directory.path().join("result.emd");
    let arrays = arrays(&mut rng);
    write(&path, &header(&mut rng), &arrays, &[], &facts("then")).unwrap();
    let probe = arrays.iter().find(|array| array.path == "ptychography/probe").unwrap();
    for inner in ["/ronchi/ptychography/probe", "/ronchi/ptychography/probe/data"] {
        let (shape, values) = read_complex(&format!("{}:{inner}", path.display())).unwrap();
        assert_eq!((&shape, &values), (&probe.shape, &probe.data.complexes()));
    }

    let matlab = directory.path().join("probe.mat");
    #[derive(Clone, Copy, hdf5::H5Type)]
    #[repr(C)]
    struct RealImag {
        real: f32,
        imag: f32,
    }
    let values: Vec<_> = (0..6).map(|_| RealImag { real: rng.random(), imag: rng.random() }).collect();
    let file = hdf5::File::create(&matlab).unwrap();
    file.new_dataset::<RealImag>().shape([2, 3]).create("probe").unwrap().write_raw(&values).unwrap();
    file.close().unwrap();
    let (shape, read) = read_complex(&format!("{}:/probe", matlab.display())).unwrap();
    assert_eq!(shape, [2, 3]);
    assert!(read.iter().zip(&values).all(|(z, v)| z.re == f64::from(v.real) && z.im == f64::from(v.imag)));

    for (place, told) in [
        (matlab.display().to_string(), "after a colon"),
        (format!("{}:/none", matlab.display()), "It holds: probe"),
        (format!("{}:/none", directory.path().join("none.h5").display()), "no such file"),
    ] {
        let error = read_complex(&place).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}

#[test]
fn the_same_inputs_make_the_same_bytes() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), rng());
    let (header, arrays, table) = (header(&mut rng), arrays(&mut rng), table(&mut rng));
    let [first, second] = ["a.emd", "b.emd"].map(|name| directory.path().join(name));
    write(&first, &header, &arrays, std::slice::from_ref(&table), &facts("then")).unwrap();
    // HDF5 counts its times in seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    write(&second, &header, &arrays, std::slice::from_ref(&table), &facts("then")).unwrap();
    assert!(fs::read(first).unwrap() == fs::read(second).unwrap());
}

#[test]
fn an_output_is_not_overwritten_unless_asked() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), rng());
    let path = directory.path().join("result.emd");
    fs::write(&path, "mine").unwrap();
    let error = ResultFile::create(&path, false).err().unwrap();
    assert!(matches!(error, Error::Exists { .. }) && error.to_string().contains("--force"), "{error}");
    assert_eq!(error.exit_code(), 2);
    assert_eq!(fs::read(&path).unwrap(), b"mine");

    // A file that comes while we write stays too.
    let late = directory.path().join("late.emd");
    let file = ResultFile::create(&late, false).unwrap();
    fs::write(&late, "theirs").unwrap();
    assert!(matches!(file.finish(), Err(Error::Exists { .. })));
    assert_eq!(fs::read(&late).unwrap(), b"theirs");

    let mut file = ResultFile::create(&path, true).unwrap();
    file.array(&arrays(&mut rng)[0]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"mine", "replaced before it was complete");
    file.finish().unwrap();
    assert_eq!(Results::open(&path).unwrap().arrays(), ["images/bf"]);
    assert_eq!(names(directory.path()), ["late.emd", "result.emd"]);
}

#[test]
fn a_place_that_cannot_be_written_is_refused_early() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("none/result.emd");
    for (path, told) in [(directory.path(), "is a directory"), (&missing, "there is no directory")] {
        for force in [false, true] {
            let error = ResultFile::create(path, force).err().unwrap();
            assert!(error.to_string().contains(told), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
    // Not even root makes files here.
    if Path::new("/proc/self").is_dir() {
        let error = ResultFile::create(Path::new("/proc/self/result.emd"), false).err().unwrap();
        assert!(matches!(error, Error::Unwritable { .. }), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}

#[test]
fn nothing_unfinished_is_left() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), rng());
    let path = directory.path().join("result.emd");
    let mut file = ResultFile::create(&path, false).unwrap();
    assert_eq!(names(directory.path()).len(), 1);
    let mut bad = arrays(&mut rng).remove(0);
    bad.axes.pop();
    assert!(file.array(&bad).unwrap_err().to_string().contains("2 dimensions, but 1 axes"));
    drop(file);
    assert!(names(directory.path()).is_empty());
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("result.emd");
    let working = Claim::new(&path, false).unwrap();
    let kept = names(directory.path());
    fs::write(directory.path().join(".result.emd.Xk29Ab.ronchi-unfinished"), "half").unwrap();
    fs::write(directory.path().join(".result.emd.2.Xk29Ab.ronchi-unfinished"), "of another").unwrap();
    ResultFile::create(&path, false).unwrap().finish().unwrap();
    let mut expected = vec![".result.emd.2.Xk29Ab.ronchi-unfinished".to_owned(), "result.emd".to_owned()];
    // The file of a run that is still at work stays; systems without locks keep it by refusing.
    expected.extend(kept);
    expected.sort();
    assert_eq!(names(directory.path()), expected);
    assert!(matches!(working.finish(), Err(Error::Exists { .. })));
}

#[test]
#[cfg(unix)]
fn a_result_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let [plain, result] = ["plain", "result.emd"].map(|name| directory.path().join(name));
    fs::write(&plain, "").unwrap();
    ResultFile::create(&result, false).unwrap().finish().unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&result), mode(&plain));
}

/// Fills the directory `RONCHI_FULL_DIR`, whose limit the surroundings set.
#[test]
#[ignore = "the child of a_full_disk_is_told_in_one_sentence; also for a small file system mounted by hand"]
fn child_writes_until_the_disk_is_full() {
    let directory = PathBuf::from(std::env::var_os("RONCHI_FULL_DIR").expect("RONCHI_FULL_DIR"));
    let before = names(&directory);
    let big = |n: usize| image("images/big", [n, 1024], ArrayData::F32(vec![1.0; 1024 * n]));
    // Large data fail in the write, small ones in flush or close.
    for rows in [16, 64, 1024, 4096] {
        let path = directory.join("result.emd");
        let write = || -> Result<(), Error> {
            let mut file = ResultFile::create(&path, true)?;
            file.header(&header(&mut rng()))?;
            file.array(&big(rows))?;
            file.finish().map(drop)
        };
        let error = write().unwrap_err();
        println!("{rows} rows: {error}");
        assert!(matches!(error, Error::NoSpace { .. }), "{error}");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(names(&directory), before);
        let tiff = ronchi::output::write_tiff(&directory.join("big.tif"), false, &big(1024)).unwrap_err();
        assert!(matches!(tiff, Error::NoSpace { .. }), "{tiff}");
        assert_eq!(names(&directory), before);
    }
    // The library works on, where there is room.
    let elsewhere = tempfile::tempdir().unwrap();
    if std::env::var_os("RONCHI_FULL_ONLY_THERE").is_some() {
        ResultFile::create(&elsewhere.path().join("result.emd"), false).unwrap().finish().unwrap();
    }
}

#[test]
#[cfg(unix)]
fn a_full_disk_is_told_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("result.emd"), "mine").unwrap();
    let child = Command::new("sh")
        .args(["-c", r#"trap '' XFSZ; ulimit -f 32; exec "$0" --ignored --exact child_writes_until_the_disk_is_full --nocapture"#])
        .arg(std::env::current_exe().unwrap())
        .env("RONCHI_FULL_DIR", directory.path())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && out.contains("1 passed"), "{out}\n{err}");
    assert!(!err.contains("HDF5-DIAG") && !out.contains("HDF5-DIAG"), "{err}");
    assert_eq!(fs::read(directory.path().join("result.emd")).unwrap(), b"mine");
    assert_eq!(names(directory.path()), ["result.emd"]);
}

#[test]
fn the_smallest_difference_is_found() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), rng());
    let (header, arrays, table) = (header(&mut rng), arrays(&mut rng), table(&mut rng));
    let base = directory.path().join("base.emd");
    write(&base, &header, &arrays, std::slice::from_ref(&table), &facts("then")).unwrap();
    let differences = |name: &str, header: &Header, arrays: &[Array], tables: &[Table]| {
        let path = directory.path().join(name);
        write(&path, header, arrays, tables, &facts("now")).unwrap();
        compare_exact(&base, &path).unwrap()
    };
    let tables = [table];
    assert_eq!(differences("same.emd", &header, &arrays, &tables), [], "only /ronchi/run differs");

    for (n, array) in arrays.iter().enumerate() {
        let mut changed = arrays.clone();
        let place = rng.random_range(0..array.data.len());
        match &mut changed[n].data {
            ArrayData::F32(v) => v[place] = f32::from_bits(v[place].to_bits() ^ 1),
            ArrayData::F64(v) => v[place] = f64::from_bits(v[place].to_bits() ^ 1),
            ArrayData::U32(v) => v[place] ^= 1,
            ArrayData::I64(v) => v[place] ^= 1,
            ArrayData::Complex32(v) => v[place].im = f32::from_bits(v[place].im.to_bits() ^ 1),
            ArrayData::Complex64(v) => v[place].im = f64::from_bits(v[place].im.to_bits() ^ 1),
            ArrayData::Names(v) => v[place].push('x'),
        }
        let found = differences(&format!("{n}.emd"), &header, &changed, &tables);
        let path = format!("/ronchi/{}/data", array.path);
        let found: Vec<_> = found.iter().filter(|d| !d.path.starts_with("/ronchi/aside")).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((&found[0].path, &found[0].attribute), (&path, &None));
        let Kind::Values { index, count: 1, of, .. } = &found[0].kind else { panic!("{found:?}") };
        assert_eq!(*of, array.data.len());
        let at = index.iter().zip(&array.shape).fold(0, |at, (i, length)| at * length + i);
        assert_eq!((at, index.len()), (place, array.shape.len()));
    }

    let mut changed = arrays.clone();
    changed[0].to_scan.as_mut().unwrap()[1][2] = -0.0;
    let found = differences("attr.emd", &header, &changed, &tables);
    assert_eq!((found.len(), found[0].attribute.as_deref()), (1, Some("to_scan")), "{found:?}");
    changed[0].to_scan = None;
    changed[0].units = "e".into();
    changed.pop();
    let found = differences("less.emd", &header, &changed, &[]);
    let told: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "attribute `to_scan` of /ronchi/images/bf/data: only in the first file",
            "attribute `units` of /ronchi/images/bf/data: 1 of 1 values differ, first at []: \"e⁻\" and \"e\"",
            "/ronchi/ptychography/positions: only in the first file",
            "/ronchi/truth: only in the first file",
        ]
    );

    let other = Header { seed: header.seed ^ 1, ..header };
    let found = differences("seed.emd", &other, &arrays, &tables);
    assert_eq!((found.len(), found[0].path.as_str(), found[0].attribute.as_deref()), (1, "/ronchi", Some("seed")), "{found:?}");
}

/// The paths that a program comes to which visits every object once, in the order of names, as h5py does.
fn visited(group: &hdf5::Group, path: &str, seen: &mut Vec<String>, found: &mut Vec<String>) {
    let names = group.member_names_by(hdf5::IndexType::Name, hdf5::IterationOrder::Increasing).unwrap();
    for name in names {
        let info = group.loc_info_by_name(&name).unwrap();
        let token = format!("{:?}", info.token);
        if !seen.contains(&token) {
            seen.push(token);
            found.push(format!("{path}/{name}"));
            if info.loc_type == hdf5::LocationType::Group {
                visited(&group.group(&name).unwrap(), &format!("{path}/{name}"), seen, found);
            }
        }
    }
}

#[test]
fn hyperspy_stacks_no_arrays() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), rng());
    let path = directory.path().join("result.emd");
    let arrays = [
        "images/adf_10_20",
        "images/adf",
        "images/adf_1",
        "images/phase",
        "images/phase_scan",
        "ptychography/phase",
        "ptychography/phase_scan",
    ]
    .map(|path| image(path, [2, 2], ArrayData::F32(floats(&mut rng, 4))));
    write(&path, &header(&mut rng), &arrays, &[], &facts("then")).unwrap();
    let mut found = Vec::new();
    visited(&hdf5::File::open(&path).unwrap(), "", &mut vec![], &mut found);
    let groups: Vec<_> = found.iter().filter_map(|path| path.strip_suffix("/data")).collect();
    assert_eq!(groups.len(), arrays.len(), "{found:?}");
    for (n, group) in groups.iter().enumerate() {
        // It takes every later array whose path contains this one's.
        assert!(groups[n + 1..].iter().all(|later| !later.contains(group)), "{groups:?}");
    }
    let mut expected: Vec<_> = arrays.iter().map(|array| array.path.clone()).collect();
    expected.sort();
    assert_eq!(Results::open(&path).unwrap().arrays(), expected);
}

#[test]
#[ignore = "writes files into RONCHI_SAMPLES, to be opened with other programs"]
fn samples_for_other_programs() {
    let directory = PathBuf::from(std::env::var_os("RONCHI_SAMPLES").expect("RONCHI_SAMPLES"));
    let mut rng = rng();
    let (header, arrays, table) = (header(&mut rng), arrays(&mut rng), table(&mut rng));
    write(&directory.join("sample.emd"), &header, &arrays, &[table], &facts("then")).unwrap();
}
