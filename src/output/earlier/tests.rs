//! Files in the layouts of each program, and what is read from them.

use hdf5::types::VarLenUnicode;
use hdf5::{File, Group, H5Type};
use num_complex::{Complex32, Complex64};

use super::*;
use crate::output::{Array, ArrayData, Axis, Frame, Header, ResultFile};

fn put<T: H5Type>(group: &Group, name: &str, shape: &[usize], values: &[T]) {
    group.new_dataset::<T>().shape(shape).create(name).unwrap().write_raw(values).unwrap();
}

fn put_complex(group: &Group, name: &str, shape: &[usize], values: &[Complex32]) {
    hdf::write_dataset(group, name, shape, &ArrayData::Complex32(values.to_vec())).unwrap();
}

fn waves(count: usize) -> Vec<Complex32> {
    (0..count).map(|n| Complex32::from_polar(1.0 + 0.01 * n as f32, n as f32)).collect()
}

fn near(a: Complex64, b: Complex32) -> bool {
    (a - Complex64::new(f64::from(b.re), f64::from(b.im))).norm() < 1e-6
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn refusal(&self, name: &str) -> String {
        read_earlier(&self.path(name)).unwrap_err().to_string()
    }
}

/// Two object modes, two slices of 5×6, two probe modes of 4×3, three positions.
fn write_ptyrad(file: &File) {
    let tensors = file.create_group("optimizable_tensors").unwrap();
    let amplitude: Vec<f32> = (0..120).map(|n| 1.0 + 0.001 * n as f32).collect();
    let phase: Vec<f32> = (0..120).map(|n| 0.02 * n as f32).collect();
    put(&tensors, "obja", &[2, 2, 5, 6], &amplitude);
    put(&tensors, "objp", &[2, 2, 5, 6], &phase);
    put_complex(&tensors, "probe", &[2, 4, 3], &waves(24));
    put(&tensors, "probe_pos_shifts", &[3, 2], &[0.25f32, -0.25, 0.0, 0.0, 0.5, 0.125]);
    put(&tensors, "slice_thickness", &[], &[8.5f32]);
    let attributes = file.create_group("model_attributes").unwrap();
    put(&attributes, "dx", &[], &[0.25f32]);
    put(&attributes, "crop_pos", &[3, 2], &[0i32, 1, 0, 2, 1, 3]);
    put(&attributes, "omode_occu", &[2], &[0.75f32, 0.25]);
    put(&attributes, "slice_thickness", &[], &[10f32]);
}

#[test]
fn a_model_of_ptyrad_is_read() {
    let folder = Folder::new();
    let file = File::create(folder.path("model_iter0010.hdf5")).unwrap();
    write_ptyrad(&file);
    file.close().unwrap();
    let earlier = read_earlier(&folder.path("model_iter0010.hdf5")).unwrap();
    assert_eq!((earlier.program, earlier.turned, earlier.to_scan), ("PtyRAD", true, None));
    // The windows' first pixels, their shifts, and half a window of 4×3.
    assert_eq!(earlier.positions_px.unwrap(), [[2.25, 1.75], [2.0, 3.0], [3.5, 4.125]]);
    let object = earlier.object.unwrap();
    assert_eq!((object.slices, object.shape, object.pixel_A, object.slice_thickness_A), (2, [5, 6], [0.25; 2], 8.5));
    for p in [0usize, 7, 59] {
        let of = |n: usize| Complex32::from_polar(1.0 + 0.001 * n as f32, 0.02 * n as f32);
        assert!(near(object.values[p], of(p) * 0.75 + of(p + 60) * 0.25), "{p}");
    }
    let probe = earlier.probe.unwrap();
    assert_eq!((probe.modes, probe.window, probe.pixel_A), (2, [4, 3], [0.25; 2]));
    assert!(probe.values.iter().zip(waves(24)).all(|(a, b)| near(*a, b)));
}

fn write_phaser(file: &File, grouped: bool) {
    let text = |name: &str, value: &str| {
        let value: VarLenUnicode = value.parse().unwrap();
        file.new_dataset::<VarLenUnicode>().create(name).unwrap().write_scalar(&value).unwrap();
    };
    text("type", "phaser_state");
    text("version", if grouped { "0.2" } else { "0.1" });
    let object = file.create_group("object").unwrap();
    put_complex(&object, "data", &[3, 8, 9], &waves(216));
    put(&object, "sampling", &[2], &[0.5, 0.4]);
    put(&object, "corner", &[2], &[-2.0, -1.0]);
    put(&object, "thicknesses", &[3], &[10f32, 12.0, 99.0]);
    let probe = file.create_group("probe").unwrap();
    put_complex(&probe, "data", &[1, 4, 5], &waves(20));
    put(&probe, "extent", &[2], &[2.0, 2.0]);
    let scan = [0.0, 0.0, 0.0, 0.4, 0.5, 0.0, 0.5, 0.4];
    if grouped {
        put(&file.create_group("scan").unwrap(), "data", &[2, 2, 2], &scan);
    } else {
        put(file, "scan", &[2, 2, 2], &scan);
    }
}

#[test]
fn a_state_of_phaser_is_read_in_both_versions() {
    let folder = Folder::new();
    for grouped in [false, true] {
        let file = File::create(folder.path("iter010.h5")).unwrap();
        write_phaser(&file, grouped);
        file.close().unwrap();
        let earlier = read_earlier(&folder.path("iter010.h5")).unwrap();
        assert_eq!((earlier.program, earlier.turned), ("phaser", true));
        let object = earlier.object.unwrap();
        assert_eq!((object.slices, object.shape, object.pixel_A, object.slice_thickness_A), (3, [8, 9], [0.5, 0.4], 11.0));
        assert!(object.values.iter().zip(waves(216)).all(|(a, b)| near(*a, b)));
        let probe = earlier.probe.unwrap();
        assert_eq!((probe.modes, probe.window, probe.pixel_A), (1, [4, 5], [0.5, 0.4]));
        // 2 Å are 4 pixels; of the even side's 4 pixels the middle lies half a pixel before pixel 2.
        let places = earlier.positions_px.unwrap();
        let expected = [[4.5, 2.5], [4.5, 3.5], [5.5, 2.5], [5.5, 3.5]];
        assert!(places.iter().flatten().zip(expected.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-12), "{places:?}");
    }
}

fn ours(path: &Path, object: Vec<Complex32>) {
    let length = |name: &str, origin, step| Axis::new(name, "Å", origin, step);
    let array = |path: &str, shape: &[usize], data: ArrayData, axes: Vec<Axis>, to_scan| Array {
        path: format!("ptychography/{path}"),
        shape: shape.to_vec(),
        data,
        axes,
        units: String::new(),
        frame: Frame::Object,
        to_scan,
        extra: Vec::new(),
    };
    let plane = || vec![length("y", -3.0, 0.5), length("x", -2.0, 0.25)];
    let stack = vec![length("z", 0.0, 7.0)].into_iter().chain(plane()).collect();
    let modes = vec![Axis::index("mode"), length("y", -1.0, 0.5), length("x", -0.5, 0.25)];
    let turned = [[0.0, 0.25, -2.0], [-0.5, 0.0, 3.0]];
    let mut file = ResultFile::create(path, true).unwrap();
    file.array(&array("object", &[2, 6, 5], ArrayData::Complex32(object), stack, Some(turned))).unwrap();
    file.array(&array("probe", &[1, 4, 4], ArrayData::Complex32(waves(16)), modes, None)).unwrap();
    let list = vec![Axis::index("position"), Axis::index("component")];
    file.array(&array("positions", &[2, 2], ArrayData::F64(vec![0.0, 0.0, 0.25, -0.5]), list, None)).unwrap();
    let header = Header {
        version: "0".to_owned(),
        job: "[data]\ncrop_scan = [2, 9, 4, 8]\n".to_owned(),
        device: "cpu".to_owned(),
        input: None,
        seed: 0,
        uuid: String::new(),
    };
    file.header(&header).unwrap();
    file.finish().unwrap();
}

#[test]
fn a_result_of_ours_is_read() {
    let folder = Folder::new();
    ours(&folder.path("a.emd"), waves(60));
    let earlier = read_earlier(&folder.path("a.emd")).unwrap();
    assert_eq!((earlier.program, earlier.turned, earlier.first_position), ("ronchi", false, [2, 4]));
    assert_eq!(earlier.to_scan, Some([[0.0, 0.25, -2.0], [-0.5, 0.0, 3.0]]));
    assert_eq!(earlier.positions_px.unwrap(), [[6.0, 8.0], [6.5, 6.0]]);
    let object = earlier.object.unwrap();
    assert_eq!((object.slices, object.shape, object.pixel_A, object.slice_thickness_A), (2, [6, 5], [0.5, 0.25], 7.0));
    let probe = earlier.probe.unwrap();
    assert_eq!((probe.modes, probe.window, probe.pixel_A), (1, [4, 4], [0.5, 0.25]));
}

#[test]
fn what_is_no_reconstruction_or_a_broken_one_is_refused_by_name() {
    let folder = Folder::new();
    std::fs::write(folder.path("notes.h5"), "no HDF5").unwrap();
    assert!(folder.refusal("notes.h5").contains("it is no HDF5 file"));
    assert!(folder.refusal("none.h5").contains("none.h5 could not be read: there is no such file"));
    std::fs::write(folder.path("model.pt"), "torch").unwrap();
    assert!(folder.refusal("model.pt").contains("is a file of PyTorch. Have PtyRAD write its model as .hdf5"));
    let file = File::create(folder.path("cube.h5")).unwrap();
    put(&file, "frames", &[2], &[1.0, 2.0]);
    file.close().unwrap();
    let message = folder.refusal("cube.h5");
    assert!(message.contains("is no reconstruction that is known here") && message.contains("It holds: frames"), "{message}");

    let mut object = waves(60);
    object[17].im = f32::NAN;
    ours(&folder.path("nan.emd"), object);
    let message = folder.refusal("nan.emd");
    assert!(message.contains("nan.emd has an object that is not a number everywhere (value 17 is"), "{message}");

    let file = File::create(folder.path("unsized.hdf5")).unwrap();
    write_ptyrad(&file);
    file.unlink("model_attributes/dx").unwrap();
    file.close().unwrap();
    assert!(folder.refusal("unsized.hdf5").contains("has no dataset /model_attributes/dx"));
    let file = File::create(folder.path("odd.hdf5")).unwrap();
    write_ptyrad(&file);
    file.unlink("optimizable_tensors/obja").unwrap();
    put(&file.group("optimizable_tensors").unwrap(), "obja", &[2, 60], &[1f32; 120]);
    file.close().unwrap();
    assert!(folder.refusal("odd.hdf5").contains("expected one shape (mode, slice, y, x)"));

    let mut results = ResultFile::create(&folder.path("images.emd"), true).unwrap();
    let axes = vec![Axis::new("y", "Å", 0.0, 1.0), Axis::new("x", "Å", 0.0, 1.0)];
    let image = Array {
        path: "images/bf".to_owned(),
        shape: vec![2, 2],
        data: ArrayData::F64(vec![0.0; 4]),
        axes,
        units: String::new(),
        frame: Frame::Scan,
        to_scan: None,
        extra: Vec::new(),
    };
    results.array(&image).unwrap();
    results.finish().unwrap();
    assert!(folder.refusal("images.emd").contains("has images but no reconstruction"));
}
