//! `ronchi compare`, on files whose differences are planted.

use std::path::Path;

use hdf5::types::FixedAscii;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ronchi::output::{Array, ArrayData, Axis, Column, Frame, Header, ResultFile, Table};
use serde_json::Value;

use crate::cli_support::Place;

#[allow(clippy::print_stdout, reason = "the seed of a failure")]
fn fresh_rng() -> ChaCha8Rng {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// Atoms of a standard deviation of 0.4 Å at random places of 30 × 30 Å, as a function of the place (y, x) in Å along the scan: nothing in it is finer than 0.7 Å.
fn atoms(rng: &mut ChaCha8Rng) -> impl Fn([f64; 2]) -> f64 + use<> {
    let places: Vec<[f64; 3]> =
        (0..250).map(|_| [rng.random_range(-5.0..25.0), rng.random_range(-5.0..25.0), rng.random_range(0.2..1.0)]).collect();
    move |[y, x]| places.iter().map(|[py, px, height]| height * (-((y - py).powi(2) + (x - px).powi(2)) / 0.32).exp()).sum()
}

/// An image at this path: what `value` is at the place along the scan that `to_scan` takes each pixel to.
fn image(path: &str, units: &str, frame: Frame, shape: [usize; 2], to_scan: [[f64; 3]; 2], value: impl Fn([f64; 2]) -> f64) -> Array {
    let place = |at: usize| to_scan.map(|m| m[0] * (at / shape[1]) as f64 + m[1] * (at % shape[1]) as f64 + m[2]);
    let [y, x] = [0, 1].map(|a| to_scan[0][a].hypot(to_scan[1][a]));
    Array {
        path: path.to_owned(),
        shape: shape.to_vec(),
        data: ArrayData::F64((0..shape[0] * shape[1]).map(|at| value(place(at))).collect()),
        axes: vec![Axis::new("y", "Å", 0.0, y), Axis::new("x", "Å", 0.0, x)],
        units: units.to_owned(),
        frame,
        to_scan: Some(to_scan),
        extra: Vec::new(),
    }
}

fn straight(pixel_A: f64) -> [[f64; 3]; 2] {
    [[pixel_A, 0.0, 0.0], [0.0, pixel_A, 0.0]]
}

fn phase(shape: [usize; 2], to_scan: [[f64; 3]; 2], value: impl Fn([f64; 2]) -> f64) -> Array {
    image("ptychography/phase_scan", "rad", Frame::Scan, shape, to_scan, value)
}

fn write(path: &Path, arrays: &[Array], tables: &[Table]) {
    let mut file = ResultFile::create(path, false).unwrap();
    let text = String::new;
    file.header(&Header { version: text(), job: text(), device: text(), input: None, seed: 0, uuid: text() }).unwrap();
    arrays.iter().for_each(|array| file.array(array).unwrap());
    tables.iter().for_each(|table| file.table(table).unwrap());
    file.finish().unwrap();
}

fn compared(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&place.done(&[&["compare", "a.emd", "b.emd", "--json"], arguments].concat()).stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn pair(value: &Value) -> [f64; 2] {
    [number(&value[0]), number(&value[1])]
}

fn near(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance, "{what} is {found}, expected {expected} ± {tolerance}");
}

#[test]
fn what_is_planted_between_two_phases_is_told_and_only_the_gain_is_left_in() {
    let mut rng = fresh_rng();
    let place = Place::new();
    let scene = atoms(&mut rng);
    let shift = [0, 1].map(|_| rng.random_range(-0.3..0.3));
    let (gain, constant, ramp) =
        (rng.random_range(0.7..1.3), rng.random_range(-2.0..2.0), [rng.random_range(-0.05..0.05), rng.random_range(-0.05..0.05)]);
    let of_b = |[y, x]: [f64; 2]| (scene([y - shift[0], x - shift[1]]) + ramp[0] * y + ramp[1] * x + constant) / gain;
    // Wider pixels in A, in other places, and another field.
    write(&place.path("a.emd"), &[phase([66, 70], straight(0.3), &scene)], &[]);
    write(&place.path("b.emd"), &[phase([81, 84], [[0.24, 0.0, 0.7], [0.0, 0.24, 0.5]], of_b)], &[]);
    for (arguments, gain_applied) in [(&[][..], false), (&["--gain"][..], true)] {
        let found = compared(&place, arguments);
        let found = &found["images"][0];
        assert_eq!((found["grid"].as_str(), found["gain_applied"].as_bool()), (Some("A"), Some(gain_applied)));
        // B begins at 0.7 and 0.5 Å and ends 19.2 and 19.9 Å further on: 3 to 64 or 65 of A's rows.
        let shape = pair(&found["shape"]);
        assert!((62.0..=65.0).contains(&shape[0]) && (64.0..=68.0).contains(&shape[1]), "{shape:?}");
        // A sixtieth of a pixel.
        (0..2).for_each(|a| near(pair(&found["shift"])[a], shift[a], 5e-3, "the shift in Å"));
        near(number(&found["gain"]), gain, 0.01, "the gain");
        let deviation = number(&found["rms"]) / number(&found["rms_of_deviation"]);
        // Of what the gain leaves, and a hundredth for what is interpolated.
        let expected = if gain_applied { 0.0 } else { (gain - 1.0f64).abs() * deviation };
        near(number(&found["rms"]), expected, 0.015 * deviation, "the rms");
        assert!(number(&found["correlation"]) > 0.9995 && number(&found["rms_with_gain"]) < 0.015 * deviation, "{found}");
        assert!(number(&found["ssim"]) > if gain_applied { 0.995 } else { 0.7 }, "{}", found["ssim"]);
        let slope = pair(&found["ramp"]);
        let left = if gain_applied { 1.0 } else { 1.0 / gain };
        // What is added to B: its ramp with the other sign, and that of the scene itself where the gain is not applied.
        (0..2).for_each(|a| near(slope[a], -left * ramp[a], 0.01, "the ramp in rad/Å"));
    }
    let page = place.done(&["compare", "a.emd", "b.emd"]).stdout;
    for told in ["phase_scan", "FRC", "removed from B", "not applied", "independent samples", "Å"] {
        assert!(page.contains(told), "no \"{told}\" in:\n{page}");
    }
    // The other way round: B's place from A, on the same grid.
    let back: Value = serde_json::from_str(&place.done(&["compare", "b.emd", "a.emd", "--json"]).stdout).unwrap();
    let back = &back["images"][0];
    assert_eq!(back["grid"].as_str(), Some("B"));
    (0..2).for_each(|a| near(pair(&back["shift"])[a], -shift[a], 5e-3, "the shift back"));
    near(number(&back["gain"]), 1.0 / gain, 0.02, "the gain back");
    let left: Value = compared(&place, &["--reach-A", "0"]);
    assert_eq!(pair(&left["images"][0]["shift"]), [0.0; 2]);
    assert!(number(&left["images"][0]["correlation"]) < number(&back["correlation"]));
}

#[test]
fn a_truth_in_the_object_s_frame_is_turned_into_the_scan_s_and_held_against_every_phase() {
    let mut rng = fresh_rng();
    let place = Place::new();
    let scene = atoms(&mut rng);
    let (angle, transposed): (f64, bool) = (rng.random_range(-3.0..3.0), rng.random());
    let (sin, cos) = angle.sin_cos();
    let turn = if transposed { [[-sin, cos], [cos, sin]] } else { [[cos, sin], [-sin, cos]] };
    // Pixels of 0.1 Å that hold the whole field, the scan's middle in their middle.
    let to_scan = turn.map(|[a, b]| [0.1 * a, 0.1 * b, 10.0 - 15.0 * (a + b)]);
    let truth = image("truth/phase", "rad", Frame::Object, [301, 301], to_scan, &scene);
    let phases = [
        phase([60, 64], straight(0.3), |p| 0.9 * scene(p)),
        image("images/ssb", "rad", Frame::Scan, [60, 64], straight(0.3), |p| 0.4 * scene(p)),
        image("images/adf", "counts", Frame::Scan, [60, 64], straight(0.3), |p| 100.0 + scene(p)),
    ];
    write(&place.path("a.emd"), &phases, &[]);
    write(&place.path("b.emd"), &[truth], &[]);
    let found = compared(&place, &[]);
    let images = found["images"].as_array().unwrap();
    let first: Vec<&str> = images.iter().map(|i| i["first"].as_str().unwrap()).collect();
    assert_eq!(first, ["ptychography/phase_scan", "images/ssb"], "counts are no phase");
    for (image, gain) in images.iter().zip([0.9, 0.4]) {
        assert_eq!(image["truth"].as_str(), Some("B"));
        // Every pixel of A, whatever the rotation.
        assert_eq!(pair(&image["shape"]), [60.0, 64.0]);
        assert!(number(&image["correlation"]) > 0.9995, "{image}");
        near(number(&image["gain"]), gain, 0.01, "the gain");
        (0..2).for_each(|a| near(pair(&image["shift"])[a], 0.0, 3e-3, "the shift"));
        let half = &image["frc"]["one_half"];
        assert!(number(&half["resolution"]) < 0.75 && number(&half["samples"]) > 50.0, "{half}");
    }
    let one = compared(&place, &["--image", "adf"]);
    assert_eq!((one["images"][0]["first"].as_str(), one["images"][0]["second"].as_str()), (Some("images/adf"), Some("truth/phase")));
    let blurred = compared(&place, &["--image", "phase_scan:phase", "--blur-A", "0.3"]);
    // Of atoms at random places: 0.9·(2·0.25)/(0.16 + 0.25), with variances 0.16 Å² and 0.25 Å² blurred; the few there are vary by some hundredths.
    near(number(&blurred["images"][0]["gain"]), 0.9 * 0.5 / 0.41, 0.07, "the gain over a blurred truth");
}

#[test]
fn a_file_compared_with_itself_has_perfect_scores() {
    let place = Place::new();
    let scene = atoms(&mut fresh_rng());
    let arrays =
        [phase([50, 40], straight(0.25), &scene), image("images/bf", "counts", Frame::Scan, [30, 31], straight(0.4), |p| 9.0 - scene(p))];
    let columns = table("map/columns", &[("y_A", vec![1.0, 2.0]), ("x_A", vec![3.0, 5.0]), ("atomic_number", vec![11.0, 8.0])]);
    write(&place.path("a.emd"), &arrays, &[columns]);
    std::fs::copy(place.path("a.emd"), place.path("b.emd")).unwrap();
    let found = compared(&place, &[]);
    for image in found["images"].as_array().unwrap() {
        // Rounding of square roots.
        ["correlation", "ssim", "gain"].iter().for_each(|score| near(number(&image[score]), 1.0, 1e-12, score));
        assert_eq!((number(&image["rms"]), pair(&image["shift"]), pair(&image["share"])), (0.0, [0.0; 2], [1.0; 2]));
        assert_eq!(image["frc"]["half_bit"]["everywhere"].as_bool(), Some(true));
    }
    assert_eq!(found["columns"]["elements"][0]["pairs"], 2);
    assert_eq!(number(&found["columns"]["elements"][0]["rms_pm"]), 0.0);
}

fn table(path: &str, columns: &[(&str, Vec<f64>)]) -> Table {
    let column =
        |(name, values): &(&str, Vec<f64>)| Column { name: (*name).to_owned(), units: String::new(), data: ArrayData::F64(values.clone()) };
    Table { path: path.to_owned(), columns: columns.iter().map(column).collect(), extra: Vec::new() }
}

#[test]
fn columns_are_paired_by_element_through_the_frames_and_those_without_partner_or_trust_are_counted() {
    let mut rng = fresh_rng();
    let place = Place::new();
    let (sin, cos) = 0.6f64.sin_cos();
    // (row, col) in Å along the object's axes of a place along the scan, and the way back as a map of pixels of 0.1 Å.
    let object = |[y, x]: [f64; 2]| [cos * y - sin * x, sin * y + cos * x];
    let to_scan = [[0.1 * cos, 0.1 * sin, -12.0 * (cos + sin) + 6.0], [-0.1 * sin, 0.1 * cos, -12.0 * (cos - sin) + 6.0]];
    let sites: Vec<[f64; 2]> = (0..144).map(|n| [(n / 12) as f64 * 1.0, (n % 12) as f64 * 1.1]).collect();
    let element = |n: usize| if n.is_multiple_of(3) { 11.0 } else { 8.0 };
    let occupancy: Vec<f64> = sites.iter().map(|_| rng.random_range(0.0..1.0)).collect();
    let (shift, bias) = ([0.05, -0.08], -0.04);
    let truth: Vec<[f64; 2]> = sites.iter().map(|&s| object(s)).collect();
    // A truth reaches beyond the field: two columns that no map could have.
    let beyond = [object([-3.0, 0.0]), object([40.0, 4.0])];
    let of = |axis: usize| truth.iter().chain(&beyond).map(|p| p[axis]).collect::<Vec<_>>();
    let numbers: Vec<f64> = (0..144).map(element).chain([11.0, 11.0]).collect();
    let full: Vec<f64> = occupancy.iter().copied().chain([1.0, 1.0]).collect();
    let truth = table("truth/columns", &[("y", of(0)), ("x", of(1)), ("atomic_number", numbers), ("occupancy", full)]);
    write(&place.path("b.emd"), &[image("truth/phase", "rad", Frame::Object, [241, 241], to_scan, |_| 0.0)], &[truth]);
    // Column 0 is not trusted, 5 is not found, and 2 is found far from its place.
    let kept: Vec<usize> = (0..144).filter(|&n| n != 5).collect();
    let errors: Vec<[f64; 2]> = kept.iter().map(|_| [0, 1].map(|_| rng.random_range(-0.02..0.02))).collect();
    let wrong: Vec<f64> = kept.iter().map(|_| rng.random_range(-0.1..0.1)).collect();
    let at = |k: usize, a: usize| sites[kept[k]][a] + shift[a] + errors[k][a] + if kept[k] == 2 { 0.5 } else { 0.0 };
    let of = |value: &dyn Fn(usize) -> f64| (0..kept.len()).map(value).collect::<Vec<f64>>();
    let map = table(
        "map/columns",
        &[
            ("y_A", of(&|k| at(k, 0))),
            ("x_A", of(&|k| at(k, 1))),
            ("y_se_A", of(&|_| 0.02 / 3f64.sqrt())),
            ("x_se_A", of(&|_| 0.02 / 3f64.sqrt())),
            ("occupancy", of(&|k| occupancy[kept[k]] + bias + wrong[k])),
            ("trusted", of(&|k| if kept[k] == 0 { 0.0 } else { 1.0 })),
        ],
    );
    let seen = phase([45, 45], straight(0.3), |_| 0.0);
    write(&place.path("a.emd"), &[seen], &[map]);
    // Elements as texts of a fixed length.
    let file = hdf5::File::open_rw(place.path("a.emd")).unwrap();
    let symbols: Vec<FixedAscii<4>> =
        kept.iter().map(|&n| FixedAscii::from_ascii(if element(n) == 11.0 { "Na" } else { "O" }).unwrap()).collect();
    file.group("ronchi/map/columns").unwrap().new_dataset_builder().with_data(&symbols).create("element").unwrap();
    file.close().unwrap();

    let found = compared(&place, &["--tolerance-A", "0.3"]);
    let columns = &found["columns"];
    assert_eq!(columns["untrusted"], serde_json::json!([1, 0]));
    let rows = columns["elements"].as_array().unwrap();
    let names: Vec<Option<&str>> = rows.iter().map(|row| row["element"].as_str()).collect();
    assert_eq!(names, [None, Some("O"), Some("Na")]);
    let all = &rows[0];
    // 144 without the three.
    assert_eq!((&all["pairs"], &all["unmatched"]), (&serde_json::json!(141), &serde_json::json!([1, 3])));
    assert_eq!(number(&rows[1]["pairs"]) + number(&rows[2]["pairs"]), 141.0);
    let mean = |axis: usize| kept.iter().zip(&errors).filter(|(n, _)| ![0, 2].contains(*n)).map(|(_, e)| e[axis]).sum::<f64>() / 141.0;
    (0..2).for_each(|a| near(pair(&all["shift_pm"])[a], 100.0 * (shift[a] + mean(a)), 1e-6, "the mean shift in pm"));
    let squares: f64 = kept
        .iter()
        .zip(&errors)
        .filter(|(n, _)| ![0, 2].contains(*n))
        .map(|(_, e)| (0..2).map(|a| (shift[a] + e[a]).powi(2)).sum::<f64>())
        .sum();
    near(number(&all["rms_pm"]), 100.0 * (squares / 141.0).sqrt(), 1e-6, "the rms in pm");
    // √2·2/√3 pm; that of 282 uniform numbers strays by 0.044.
    near(number(&all["rms_about_shift_pm"]), 1.63, 0.25, "the rms about the shift in pm");
    let apart: Vec<f64> = kept.iter().zip(&wrong).filter(|(n, _)| ![0, 2].contains(*n)).map(|(_, w)| bias + w).collect();
    near(number(&all["occupancy_bias"]), apart.iter().sum::<f64>() / 141.0, 1e-9, "the bias");
    near(number(&all["occupancy_rms"]), (apart.iter().map(|w| w * w).sum::<f64>() / 141.0).sqrt(), 1e-9, "the occupancy's rms");
    assert!(number(&all["place_over_se"]) > 3.0, "the shift is many standard errors: {all}");
    assert!(all["occupancy_over_se"].is_null(), "nobody tells its errors");
    let page = place.done(&["compare", "a.emd", "b.emd", "--tolerance-A", "0.3"]).stdout;
    assert!(page.contains("not trusted and left out: 1 of A, 0 of B") && page.contains("within 0.300 Å"), "{page}");
}

#[test]
fn of_files_without_a_step_pixels_are_compared_with_pixels() {
    let place = Place::new();
    let scene = atoms(&mut fresh_rng());
    let bf = |value: &dyn Fn([f64; 2]) -> f64| {
        let mut array = image("images/bf", "counts", Frame::Scan, [40, 44], straight(0.3), value);
        array.to_scan = None;
        array
    };
    write(&place.path("a.emd"), &[bf(&scene)], &[]);
    write(&place.path("b.emd"), &[bf(&|[y, x]: [f64; 2]| 2.0 * scene([y, x - 0.15]))], &[]);
    let found = compared(&place, &[]);
    let found = &found["images"][0];
    assert_eq!((found["length_unit"].as_str(), pair(&found["pixel"])), (Some("px"), [1.0; 2]));
    near(number(&found["gain"]), 0.5, 0.01, "the gain");
    near(pair(&found["shift"])[1], 0.5, 0.02, "the shift in pixels");
    assert!(found["ramp"].is_null(), "counts have no free plane");
}
