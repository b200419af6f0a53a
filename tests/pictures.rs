//! TIFF and PNG: the numbers and sizes that other programs read, and the pixels that people see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are no #[test] functions")]

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use num_complex::Complex32;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ronchi::output::{Array, ArrayData, Axis, ColorMap, Error, Frame, Look, write_png, write_tiff};
use tiff::decoder::ifd::Value;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

fn rng() -> ChaCha8Rng {
    let seed = rand::random();
    println!("seed {seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

fn image(name: &str, shape: [usize; 2], steps: [f64; 2], units: &str, data: ArrayData) -> Array {
    Array {
        path: format!("images/{name}"),
        shape: shape.to_vec(),
        data,
        axes: vec![Axis::new("y", units, -3.0, steps[0]), Axis::new("x", units, 7.0, steps[1])],
        units: "rad".into(),
        frame: Frame::Scan,
        to_scan: None,
        extra: vec![],
    }
}

/// A PNG's pixels: height, width and (y, x, channel).
fn decode(path: &Path) -> (usize, usize, Vec<u8>) {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    (info.height as usize, info.width as usize, pixels)
}

/// The bounds (top, left, height, width) of the largest rectangle of the frame's gray, which lies around the image.
fn image_place(height: usize, width: usize, pixels: &[u8]) -> (usize, usize, usize, usize) {
    let at = |y: usize, x: usize| &pixels[(y * width + x) * 3..][..3];
    let framed = |y: usize, x: usize| at(y, x) == [128; 3];
    let (top, left) = (0..height).flat_map(|y| (0..width).map(move |x| (y, x))).find(|&(y, x)| framed(y, x)).unwrap();
    let tall = (top..height).take_while(|&y| framed(y, left)).count();
    let wide = (left..width).take_while(|&x| framed(top, x)).count();
    (top + 1, left + 1, tall - 2, wide - 2)
}

/// The length of the longest black run of the rows below the image: the scale bar.
fn bar_length(height: usize, width: usize, pixels: &[u8], below: usize) -> usize {
    let mut longest = 0;
    for row in pixels.chunks(width * 3).take(height).skip(below) {
        let mut run = 0;
        for pixel in row.chunks(3) {
            run = if pixel == [0; 3] { run + 1 } else { 0 };
            longest = longest.max(run);
        }
    }
    longest
}

#[test]
fn a_tiff_holds_the_values_and_fijis_calibration() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), rng());
    let path = directory.path().join("bf.tif");
    let shape @ [rows, columns] = [rng.random_range(1..300), rng.random_range(1..300)];
    let steps = [rng.random_range(0.01..30.0), rng.random_range(0.01..30.0)];
    let values: Vec<f32> = (0..rows * columns).map(|_| rng.random_range(-1e6..1e6)).collect();
    write_tiff(&path, false, &image("bf", shape, steps, "Å", ArrayData::F32(values.clone()))).unwrap();

    let mut decoder = Decoder::new(BufReader::new(File::open(&path).unwrap())).unwrap();
    assert_eq!(decoder.dimensions().unwrap(), (columns as u32, rows as u32));
    for (tag, step) in [(Tag::YResolution, steps[0]), (Tag::XResolution, steps[1])] {
        let Value::Rational(n, d) = decoder.get_tag(tag).unwrap() else { panic!() };
        assert!(n.max(d) <= i32::MAX as u32, "signed in ImageJ");
        let step_nm = f64::from(d) / f64::from(n);
        assert!((step_nm * 10.0 / step - 1.0).abs() < 1e-6, "{step_nm} nm, {step} Å");
    }
    assert_eq!(decoder.get_tag(Tag::ResolutionUnit).unwrap().into_u16().unwrap(), 1);
    let description = decoder.get_tag_ascii_string(Tag::ImageDescription).unwrap();
    assert!(description.starts_with("ImageJ=1.") && description.contains("\nunit=nm\n"), "{description}");
    let told = |key: &str| description.lines().find_map(|line| line.strip_prefix(key)?.parse::<f64>().ok()).unwrap();
    let (least, most) = values.iter().fold((f32::MAX, f32::MIN), |(least, most), &x| (least.min(x), most.max(x)));
    assert!(told("min=") >= f64::from(least) && told("max=") <= f64::from(most) && told("min=") <= told("max="));
    match decoder.read_image().unwrap() {
        DecodingResult::F32(read) => assert_eq!(read, values),
        _ => panic!("not float32"),
    }
}

#[test]
fn a_picture_shows_every_pixel_as_it_is() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), rng());
    for (n, shape @ [rows, columns]) in [[60, 60], [37, 91], [512, 512], [1, 700], [3, 2]].into_iter().enumerate() {
        let path = directory.path().join(format!("{n}.png"));
        let values: Vec<f64> = (0..rows * columns).map(|_| f64::from(rng.random_range(0..=255_u8))).collect();
        let look = Look { map: ColorMap::Gray, range: Some((0.0, 255.0)) };
        write_png(&path, false, &image("bf", shape, [0.3, 0.3], "Å", ArrayData::F64(values.clone())), look).unwrap();
        let (height, width, pixels) = decode(&path);
        let (top, left, tall, wide) = image_place(height, width, &pixels);
        let enlarged = tall / rows;
        assert_eq!((tall, wide), (rows * enlarged, columns * enlarged));
        assert!(tall.max(wide) >= 512 && (enlarged == 1 || (enlarged - 1) * rows.max(columns) < 512));
        for y in 0..tall {
            for x in 0..wide {
                let value = values[y / enlarged * columns + x / enlarged] as u8;
                assert_eq!(pixels[((top + y) * width + left + x) * 3..][..3], [value; 3], "({y}, {x}) of {shape:?}");
            }
        }
    }
}

#[test]
fn the_scale_bar_has_its_length_in_pixels() {
    let directory = tempfile::tempdir().unwrap();
    // (shape, steps, unit, pixels of the bar): 10 Å of 60, 2 of 10.92 Å, 20 nm of 102.4, half as many rows a length, 20 px.
    let cases: [([usize; 2], [f64; 2], &str, f64); 5] = [
        ([60, 60], [1.0, 1.0], "Å", 10.0 * 9.0),
        ([37, 91], [0.12, 0.12], "Å", 2.0 / 0.12 * 6.0),
        ([512, 512], [2.0, 2.0], "Å", 200.0 / 2.0),
        ([50, 100], [0.4, 0.2], "Å", 5.0 / 0.2 * 6.0),
        ([80, 80], [1.0, 1.0], "", 20.0 * 7.0),
    ];
    for (n, (shape @ [rows, columns], steps, units, bar)) in cases.into_iter().enumerate() {
        let path = directory.path().join(format!("{n}.png"));
        let data = ArrayData::F32((0..rows * columns).map(|i| i as f32).collect());
        write_png(&path, false, &image("adf", shape, steps, units, data), Look::of("adf")).unwrap();
        let (height, width, pixels) = decode(&path);
        let (top, _, tall, wide) = image_place(height, width, &pixels);
        assert!((tall as f64 / wide as f64 - rows as f64 * steps[0] / (columns as f64 * steps[1])).abs() < 0.01);
        let found = bar_length(height, width, &pixels, top + tall + 1);
        assert!((found as f64 - bar).abs() <= 0.5, "{n}: {found}, not {bar} pixels");
        assert!((0.1..0.35).contains(&(found as f64 / wide as f64)), "{n}: {found} of {wide}");
    }
}

#[test]
fn signed_images_are_white_at_zero_and_holes_have_their_own_colour() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("com_x.png");
    let mut values = vec![0.0_f32; 1024];
    values[..100].fill(-3.0);
    values[100..200].fill(1.0);
    values[1023] = f32::NAN;
    write_png(&path, false, &image("com_x", [32, 32], [0.2, 0.2], "Å", ArrayData::F32(values)), Look::of("com_x")).unwrap();
    let (height, width, pixels) = decode(&path);
    let (top, left, tall, wide) = image_place(height, width, &pixels);
    let at = |y: usize, x: usize| -> [u8; 3] { pixels[((top + y) * width + left + x) * 3..][..3].try_into().unwrap() };
    let zero = at(tall / 2, wide / 2);
    assert!(zero.iter().all(|&channel| channel > 235), "{zero:?}");
    let low = at(0, 0);
    assert!(low[2] > low[0] + 50, "negative is blue: {low:?}");
    assert_eq!(at(tall - 1, wide - 1), ColorMap::Diverging.no_value());
    assert!((0..=1000).all(|t| ColorMap::Diverging.color(f64::from(t) / 1000.0) != ColorMap::Diverging.no_value()));
}

#[test]
fn the_maps_rise_evenly_in_lightness() {
    // CIE L*, from sRGB.
    let lightness = |color: [u8; 3]| {
        let [r, g, b] = color.map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        });
        let y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        if y < 0.008_856 { 903.3 * y } else { 116.0 * y.cbrt() - 16.0 }
    };
    let of = |map: ColorMap, from: f64, to: f64| -> Vec<f64> {
        (0..=16).map(|n| lightness(map.color(from + (to - from) * f64::from(n) / 16.0))).collect()
    };
    for (map, from, to) in
        [(ColorMap::Gray, 0.0, 1.0), (ColorMap::Viridis, 0.0, 1.0), (ColorMap::Diverging, 0.0, 0.5), (ColorMap::Diverging, 1.0, 0.5)]
    {
        let rise: Vec<f64> = of(map, from, to).windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = rise.iter().sum::<f64>() / rise.len() as f64;
        assert!(rise.iter().all(|step| (0.4 * mean..1.8 * mean).contains(step)), "{map:?} {rise:?}");
    }
}

#[test]
fn pictures_are_not_overwritten_unless_asked_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let array = image("bf", [4, 4], [1.0, 1.0], "Å", ArrayData::U32(vec![7; 16]));
    let complex = image("object", [1, 1], [1.0, 1.0], "Å", ArrayData::Complex32(vec![Complex32::ZERO]));
    type Write = fn(&Path, bool, &Array) -> Result<PathBuf, Error>;
    let png: Write = |path, force, array| write_png(path, force, array, Look::of(array.name()));
    for (name, write) in [("bf.png", png), ("bf.tif", write_tiff as Write)] {
        let path = directory.path().join(name);
        std::fs::write(&path, "mine").unwrap();
        assert!(matches!(write(&path, false, &array), Err(Error::Exists { .. })));
        assert!(write(&path, true, &complex).unwrap_err().to_string().contains("complex"));
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        write(&path, true, &array).unwrap();
        assert!(std::fs::read(&path).unwrap().len() > 100);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
#[ignore = "writes files into RONCHI_SAMPLES, to be looked at"]
fn samples_to_look_at() {
    let directory = PathBuf::from(std::env::var_os("RONCHI_SAMPLES").expect("RONCHI_SAMPLES"));
    let mut rng = rng();
    type Case<'a> = (&'a str, [usize; 2], [f64; 2], &'a str, &'a str, ColorMap);
    let cases: [Case; 8] = [
        ("bf", [60, 60], [0.4, 0.4], "Å", "e⁻", ColorMap::Gray),
        ("phase", [512, 512], [0.17, 0.17], "Å", "rad", ColorMap::Gray),
        ("idpc", [37, 91], [0.2, 0.2], "Å", "mrad·Å", ColorMap::Viridis),
        ("com_x", [64, 100], [0.4, 0.2], "Å", "mrad", ColorMap::Diverging),
        ("tall_image_with_a_long_name", [300, 40], [12.0, 12.0], "Å", "e⁻/Å²", ColorMap::Gray),
        ("pattern", [128, 128], [0.7, 0.7], "mrad", "e⁻", ColorMap::Viridis),
        ("holes", [80, 80], [1.0, 1.0], "", "", ColorMap::Gray),
        ("large", [3000, 2600], [0.05, 0.05], "Å", "rad", ColorMap::Gray),
    ];
    for (name, shape @ [rows, columns], steps, units, value_units, map) in cases {
        let mut values = Vec::new();
        for y in 0..rows {
            for x in 0..columns {
                let (y, x) = (y as f64 * steps[0], x as f64 * steps[1]);
                let period = columns as f64 * steps[1] / 6.0;
                let wave = |u: f64| (std::f64::consts::TAU * u / period).cos();
                values.push(1e-2 * (wave(x) + wave(0.5 * x + 0.866 * y) + rng.random_range(-0.3..0.3)) as f32);
            }
        }
        if name == "holes" {
            values[1000..1040].fill(f32::NAN);
        }
        let array = Array { units: value_units.into(), ..image(name, shape, steps, units, ArrayData::F32(values)) };
        write_png(&directory.join(format!("{name}.png")), true, &array, Look { map, range: None }).unwrap();
        write_tiff(&directory.join(format!("{name}.tif")), true, &array).unwrap();
    }
    let file = File::create(directory.join("maps.png")).unwrap();
    let mut encoder = png::Encoder::new(BufWriter::new(file), 512, 150);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let maps = [ColorMap::Gray, ColorMap::Viridis, ColorMap::Diverging];
    let pixels: Vec<u8> = (0..150 * 512).flat_map(|i| maps[i / 512 / 50].color((i % 512) as f64 / 511.0)).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
}
