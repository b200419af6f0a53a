//! Results as the arrays of a result file: where each lies, in which frame and unit.

use num_complex::{Complex32, Complex64};

use crate::imaging::{Image, Images};
use crate::optics::ScanGrid;
use crate::output::{Array, ArrayData, Attr, Axis, Frame};
use crate::ptycho::{self, ObjectFrame, Record, State};

const LENGTH: &str = "Å";
const ITERATION: &str = "iteration";
const FREQUENCY: &str = "spatial_frequency";

/// A virtual image, along the scan, and its standard error if there is one; `step_A` (y, x) where it is known.
pub(super) fn image(image: &Image, images: &Images, step_A: Option<[f64; 2]>) -> Vec<Array> {
    let mut extra = vec![("incident".to_owned(), Attr::Number(images.incident))];
    if let Some(dose) = images.dose_e_per_A2 {
        extra.push(("dose_e_per_A2".to_owned(), Attr::Number(dose)));
    }
    if let Some([inner, outer]) = image.range {
        let unit = images.sampling_unit.name();
        extra.push((format!("inner_{unit}"), Attr::Number(inner)));
        extra.push((format!("outer_{unit}"), Attr::Number(outer)));
        extra.push(("coverage".to_owned(), Attr::Number(image.coverage)));
    }
    if let Some(k) = image.k {
        extra.push(("k".to_owned(), Attr::Number(k)));
    }
    let vectors = ["com", "dpc", "dphase"];
    if vectors.iter().any(|v| image.name.strip_prefix(v).is_some_and(|axis| axis == "_y" || axis == "_x")) {
        extra.push(("component".to_owned(), Attr::Text("along the detector's axis, relative to the zero angle".to_owned())));
    }
    let (unit, step) = step_A.map_or(("px", [1.0; 2]), |step| (LENGTH, step));
    let plane = |name: String, values: &[f64], extra: Vec<(String, Attr)>| Array {
        path: format!("images/{name}"),
        shape: images.scan_shape.to_vec(),
        data: ArrayData::F64(values.to_vec()),
        axes: vec![Axis::new("y", unit, 0.0, step[0]), Axis::new("x", unit, 0.0, step[1])],
        units: image.unit.to_owned(),
        frame: Frame::Scan,
        to_scan: step_A.map(|[y, x]| [[y, 0.0, 0.0], [0.0, x, 0.0]]),
        extra,
    };
    let mut arrays = vec![plane(image.name.clone(), &image.values, extra)];
    if let Some(errors) = &image.errors {
        let what = Attr::Text(format!("the standard error of {} by counting statistics", image.name));
        arrays.push(plane(format!("{}_error", image.name), errors, vec![("what".to_owned(), what)]));
    }
    arrays
}

/// The mean pattern on the detector, and the others that were asked for.
pub(super) fn patterns(images: &Images) -> Vec<Array> {
    let others = [("max_pattern", &images.max_pattern, "counts"), ("variance_pattern", &images.variance_pattern, "counts²")];
    let others = others.into_iter().filter_map(|(name, values, unit)| Some(pattern(images, name, values.as_ref()?, unit)));
    std::iter::once(pattern(images, "mean_pattern", &images.pattern, "counts")).chain(others).collect()
}

fn pattern(images: &Images, name: &str, values: &[f64], counts: &str) -> Array {
    let [y, x] = images.centre_px;
    let (unit, scale) = images.mrad_per_px.map_or(("px", [1.0; 2]), |scale| ("mrad", scale));
    Array {
        path: format!("images/{name}"),
        shape: images.frame_shape.to_vec(),
        data: ArrayData::F64(values.to_vec()),
        axes: vec![Axis::new("ky", unit, -y * scale[0], scale[0]), Axis::new("kx", unit, -x * scale[1], scale[1])],
        units: counts.to_owned(),
        frame: Frame::Detector,
        to_scan: None,
        extra: vec![("centre_px".to_owned(), Attr::Numbers(vec![y, x]))],
    }
}

/// All that a reconstruction writes, but for its phase along the scan. `grid` turns the object's axes into the scan's; with `raster` the patterns lie along it.
pub(super) fn reconstruction(state: &State, frame: &ObjectFrame, grid: &ScanGrid, raster: bool, probe: &[Complex64]) -> Vec<Array> {
    let pixel = frame.pixel_A;
    let plane = |name: &str, data: ArrayData, units: &str| {
        let first = frame.first_pixel_A();
        Array {
            path: format!("ptychography/{name}"),
            shape: frame.shape.to_vec(),
            data,
            axes: vec![Axis::new("y", LENGTH, first[0], pixel[0]), Axis::new("x", LENGTH, first[1], pixel[1])],
            units: units.to_owned(),
            frame: Frame::Object,
            to_scan: Some(to_scan(grid, pixel, first)),
            extra: Vec::new(),
        }
    };
    let slices = state.shape.slices;
    let stack = |name: &str, data: ArrayData, units: &str| {
        let mut stack = plane(name, data, units);
        if slices > 1 {
            stack.shape.insert(0, slices);
            stack.axes.insert(0, Axis::new("z", LENGTH, 0.0, state.slice_thickness_A));
        }
        stack
    };
    let phase = ptycho::phase(state, frame);
    let mut arrays = vec![
        stack("object", complex(&state.object), ""),
        plane("phase", real(&phase), "rad"),
        plane("amplitude", real(&ptycho::amplitude(state)), ""),
        probe_array("probe", "mode", probe, state.shape.modes, frame, grid),
        listed("positions", vec![state.positions_px.len(), 2], positions_A(state, frame), ["position", "component"], LENGTH, Frame::Object),
    ];
    if slices > 1 {
        arrays.push(stack("slices", real(&ptycho::slice_phases(state, frame).concat()), "rad"));
    }
    arrays.extend(convergence(state));
    arrays.push(Array {
        path: "ptychography/pattern_error".to_owned(),
        shape: grid.shape.to_vec(),
        data: real(&state.pattern_errors),
        axes: vec![Axis::new("y", LENGTH, 0.0, grid.step_A[0]), Axis::new("x", LENGTH, 0.0, grid.step_A[1])],
        units: String::new(),
        frame: if raster { Frame::Scan } else { Frame::None },
        to_scan: raster.then_some([[grid.step_A[0], 0.0, 0.0], [0.0, grid.step_A[1], 0.0]]),
        extra: Vec::new(),
    });
    arrays
}

/// An image of the object's phase, or another one on its grid, along the scan and cropped to its field.
pub(super) fn phase_in_scan(path: &str, phase: &[f64], frame: &ObjectFrame, grid: &ScanGrid) -> Array {
    let scan = ptycho::phase_in_scan_frame(phase, frame, grid);
    Array {
        path: path.to_owned(),
        shape: scan.shape.to_vec(),
        data: real(&scan.phase),
        axes: vec![Axis::new("y", LENGTH, 0.0, scan.pixel_A[0]), Axis::new("x", LENGTH, 0.0, scan.pixel_A[1])],
        units: "rad".to_owned(),
        frame: Frame::Scan,
        to_scan: Some([[scan.pixel_A[0], 0.0, 0.0], [0.0, scan.pixel_A[1], 0.0]]),
        extra: Vec::new(),
    }
}

/// The correlation of two halves, ring by ring: a curve of this name over the spatial frequency.
pub(super) fn curve(name: &str, frequency_inverse_A: &[f64], values: &[f64], extra: Vec<(String, Attr)>) -> Array {
    let first = frequency_inverse_A.first().copied().unwrap_or(0.0);
    let step = frequency_inverse_A.get(1).map_or(first, |second| second - first);
    Array {
        path: format!("ptychography/{name}"),
        shape: vec![values.len()],
        data: ArrayData::F64(values.to_vec()),
        axes: vec![Axis::new(FREQUENCY, "1/Å", first, step)],
        units: String::new(),
        frame: Frame::None,
        to_scan: None,
        extra,
    }
}

/// What the iterations came to: the error, and what else changed.
fn convergence(state: &State) -> Vec<Array> {
    let history = &state.history;
    if history.is_empty() {
        return Vec::new();
    }
    let array = |name: &str, columns: &[&str], units: &str, of: &dyn Fn(&Record) -> Vec<f64>| {
        let mut shape = vec![history.len()];
        let mut axes = vec![Axis::new(ITERATION, "", 1.0, 1.0)];
        if let [column] = columns {
            axes.push(Axis::index(column));
            shape.push(of(&history[0]).len());
        }
        Array {
            path: format!("ptychography/{name}"),
            shape,
            data: ArrayData::F64(history.iter().flat_map(of).collect()),
            axes,
            units: units.to_owned(),
            frame: Frame::None,
            to_scan: None,
            extra: Vec::new(),
        }
    };
    let mut arrays = vec![array("error", &[], "", &|r| vec![r.error])];
    if history.iter().any(|r| r.validation.is_some()) {
        arrays.push(array("validation_error", &[], "", &|r| vec![r.validation.unwrap_or(f64::NAN)]));
    }
    // Stages may have other numbers of modes.
    let modes = history.iter().map(|r| r.powers.len()).max().unwrap_or(1);
    if modes > 1 {
        let powers = |r: &Record| (0..modes).map(|m| r.powers.get(m).copied().unwrap_or(0.0)).collect();
        arrays.push(array("mode_power", &["mode"], "", &powers));
    }
    let first = &history[0];
    if history.iter().any(|r| r.shift_rms_A > 0.0) {
        arrays.push(array("shift_rms", &[], LENGTH, &|r| vec![r.shift_rms_A]));
    }
    if history.iter().any(|r| r.slice_thickness_A != first.slice_thickness_A) {
        arrays.push(array("slice_thickness", &[], LENGTH, &|r| vec![r.slice_thickness_A]));
    }
    if history.iter().any(|r| r.tilt_mrad != first.tilt_mrad) {
        arrays.push(array("tilt", &["component"], "mrad", &|r| r.tilt_mrad.to_vec()));
    }
    for (n, (name, ..)) in ptycho::LENS_TERMS.iter().enumerate() {
        let change = |r: &Record| r.lens_A.get(n).copied().unwrap_or(0.0);
        if history.iter().any(|r| change(r) != 0.0) {
            arrays.push(array(&format!("{name}_change"), &[], LENGTH, &|r| vec![change(r)]));
        }
    }
    if state.intensities.iter().any(|&i| i != 1.0) {
        arrays.push(Array {
            shape: vec![state.intensities.len()],
            data: ArrayData::F64(state.intensities.clone()),
            axes: vec![Axis::index("position")],
            ..array("intensity", &[], "", &|_| Vec::new())
        });
    }
    arrays
}

/// The convergence of a reconstruction as CSV, a line an iteration.
pub(super) fn convergence_csv(arrays: &[Array]) -> Option<String> {
    csv(arrays, ITERATION)
}

/// The correlation of halves as CSV, a line a spatial frequency.
pub(super) fn frc_csv(arrays: &[Array]) -> Option<String> {
    csv(arrays, FREQUENCY)
}

/// All arrays whose first axis has this name, as the columns of a table.
fn csv(arrays: &[Array], along: &str) -> Option<String> {
    let of_it: Vec<&Array> = arrays.iter().filter(|array| array.axes.first().is_some_and(|axis| axis.name == along)).collect();
    let axis = of_it.first()?.axes.first()?;
    let in_unit = |name: &str, unit: &str| if unit.is_empty() { name.to_owned() } else { format!("{name} ({unit})") };
    let mut columns = Vec::new();
    for array in &of_it {
        let name = array.path.rsplit('/').next().unwrap_or_default();
        let ArrayData::F64(values) = &array.data else { continue };
        let width = array.shape.get(1).copied().unwrap_or(1);
        for n in 0..width {
            let number = if array.shape.len() > 1 { format!("_{n}") } else { String::new() };
            let column: Vec<f64> = values.iter().skip(n).step_by(width).copied().collect();
            columns.push((in_unit(&format!("{name}{number}"), &array.units), column));
        }
    }
    let rows = columns.first()?.1.len();
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = format!("{},{}\n", in_unit(&axis.name, &axis.units), names.join(","));
    for row in 0..rows {
        let values: Vec<String> = columns.iter().map(|(_, values)| values.get(row).map_or(String::new(), |x| format!("{x}"))).collect();
        text.push_str(&format!("{},{}\n", axis.origin + row as f64 * axis.step, values.join(",")));
    }
    Some(text)
}

/// The tilt of the sample at each position, the common one and its own.
pub(super) fn tilts(state: &State) -> Array {
    let of = |own: &[f64; 2]| [0, 1].map(|axis| state.tilt_mrad[axis] + own[axis]);
    let tilts: Vec<f64> = state.tilts_mrad.iter().flat_map(of).collect();
    listed("tilts", vec![state.tilts_mrad.len(), 2], tilts, ["position", "component"], "mrad", Frame::Object)
}

/// What the probe varies by in real space, (variation, y, x), and the weights of each position.
pub(super) fn variations(state: &State, frame: &ObjectFrame, grid: &ScanGrid, variations: &[Complex64]) -> [Array; 2] {
    let count = state.shape.variations;
    let windows = probe_array("probe_variations", "variation", variations, count, frame, grid);
    let shape = vec![state.positions_px.len(), count];
    [windows, listed("variation_weights", shape, state.weights.clone(), ["position", "variation"], "", Frame::None)]
}

/// The probe's modes or variations in real space, (mode, y, x), their optic axis in the window's middle.
fn probe_array(name: &str, kind: &str, probe: &[Complex64], modes: usize, frame: &ObjectFrame, grid: &ScanGrid) -> Array {
    let first = [0, 1].map(|a| -((frame.window[a] / 2) as f64) * frame.pixel_A[a]);
    Array {
        path: format!("ptychography/{name}"),
        shape: vec![modes, frame.window[0], frame.window[1]],
        data: complex(probe),
        axes: vec![
            Axis::index(kind),
            Axis::new("y", LENGTH, first[0], frame.pixel_A[0]),
            Axis::new("x", LENGTH, first[1], frame.pixel_A[1]),
        ],
        units: "sqrt(electrons)".to_owned(),
        frame: Frame::Object,
        to_scan: Some(to_scan(grid, frame.pixel_A, first)),
        extra: Vec::new(),
    }
}

fn listed(name: &str, shape: Vec<usize>, values: Vec<f64>, axes: [&str; 2], units: &str, frame: Frame) -> Array {
    Array {
        path: format!("ptychography/{name}"),
        shape,
        data: ArrayData::F64(values),
        axes: axes.map(Axis::index).to_vec(),
        units: units.to_owned(),
        frame,
        to_scan: None,
        extra: Vec::new(),
    }
}

fn positions_A(state: &State, frame: &ObjectFrame) -> Vec<f64> {
    state.positions_px.iter().flat_map(|p| [0, 1].map(|a| (p[a] - frame.origin_px[a]) * frame.pixel_A[a])).collect()
}

/// Pixel (row, col) of the object's frame to (y, x) in Å of the scan's; the first pixel lies at `first` Å.
pub(super) fn to_scan(grid: &ScanGrid, pixel: [f64; 2], first: [f64; 2]) -> [[f64; 3]; 2] {
    grid.object_to_scan().map(|[a, b]| [a * pixel[0], b * pixel[1], a * first[0] + b * first[1]])
}

fn real(values: &[f64]) -> ArrayData {
    ArrayData::F32(values.iter().map(|&x| x as f32).collect())
}

fn complex(values: &[Complex64]) -> ArrayData {
    ArrayData::Complex32(values.iter().map(|z| Complex32::new(z.re as f32, z.im as f32)).collect())
}
