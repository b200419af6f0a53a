//! TIFF and PNG: the numbers and sizes that other programs read, and the pixels that people see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are no #[test] functions")]

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use num_complex::Complex32;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ronchi::output::{
    Array, ArrayData, Axis, ColorMap, Error, Frame, Look, Tile, Vectors, slices, write_png, write_sheet, write_tiff, write_vector_png,
};
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
        let look = Look { range: Some((0.0, 255.0)), ..Look::plain(ColorMap::Gray) };
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
        write_png(&path, false, &image("adf", shape, steps, units, data), Look::plain(ColorMap::Gray)).unwrap();
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
    let array = image("com_x", [32, 32], [0.2, 0.2], "Å", ArrayData::F32(values));
    write_png(&path, false, &array, Look::of(&array)).unwrap();
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
    for (map, from, to) in [
        (ColorMap::Gray, 0.0, 1.0),
        (ColorMap::Viridis, 0.0, 1.0),
        (ColorMap::YellowToBlue, 1.0, 0.0),
        (ColorMap::Diverging, 0.0, 0.5),
        (ColorMap::Diverging, 1.0, 0.5),
    ] {
        let rise: Vec<f64> = of(map, from, to).windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = rise.iter().sum::<f64>() / rise.len() as f64;
        assert!(rise.iter().all(|step| (0.4 * mean..1.8 * mean).contains(step)), "{map:?} {rise:?}");
    }
}

/// The places (top, left, height, width) of all that is framed in gray in the row of the topmost frame, from the left.
fn framed_places(height: usize, width: usize, pixels: &[u8]) -> Vec<[usize; 4]> {
    let framed = |y: usize, x: usize| pixels[(y * width + x) * 3..][..3] == [128; 3];
    let top = (0..height).find(|&y| (0..width).filter(|&x| framed(y, x)).count() > 8).unwrap();
    let (mut places, mut x) = (Vec::new(), 0);
    while x < width {
        let wide = (x..width).take_while(|&x| framed(top, x)).count();
        if wide > 8 {
            let tall = (top..height).take_while(|&y| framed(y, x)).count();
            places.push([top + 1, x + 1, tall - 2, wide - 2]);
        }
        x += wide.max(1);
    }
    places
}

/// The part of a picture from (top, left) on, `wide` pixels wide.
fn part(pixels: &[u8], width: usize, [top, left]: [usize; 2], wide: usize) -> Vec<u8> {
    pixels.chunks(width * 3).skip(top).flat_map(|row| row[left * 3..][..wide * 3].to_vec()).collect()
}

#[test]
fn the_spectrum_of_a_lattice_peaks_at_its_frequencies() {
    let directory = tempfile::tempdir().unwrap();
    // (shape, waves across rows and columns): even, odd and oblong images.
    for (n, (shape @ [rows, columns], waves)) in [([64, 64], [0, 8]), ([63, 81], [9, 7]), ([40, 100], [5, -20])].into_iter().enumerate() {
        let path = directory.path().join(format!("{n}.png"));
        let wave = |at: usize| {
            let turns = waves[0] as f64 * (at / columns) as f64 / rows as f64 + waves[1] as f64 * (at % columns) as f64 / columns as f64;
            1000.0 + (std::f64::consts::TAU * turns).cos()
        };
        let array = image("adf", shape, [0.25, 0.25], "Å", ArrayData::F64((0..rows * columns).map(wave).collect()));
        write_png(&path, false, &array, Look { spectrum: true, ..Look::plain(ColorMap::Gray) }).unwrap();
        let (height, width, pixels) = decode(&path);
        let places = framed_places(height, width, &pixels);
        let [_, _, [top, left, tall, wide]] = places[..] else { panic!("image, colour bar and spectrum, not {places:?}") };
        assert!((tall as f64 / wide as f64 - 1.0).abs() < 0.01, "the same frequencies both ways, {tall} × {wide}");
        let at = |y: usize, x: usize| {
            let pixel = [(y as f64 + 0.5) * tall as f64 / rows as f64, (x as f64 + 0.5) * wide as f64 / columns as f64];
            pixels[((top + pixel[0] as usize) * width + left + pixel[1] as usize) * 3]
        };
        for sign in [1, -1] {
            let peak = [rows as i64 / 2 + sign * waves[0], columns as i64 / 2 + sign * waves[1]].map(|n| n as usize);
            assert_eq!(at(peak[0], peak[1]), 255, "{n}: {peak:?}");
        }
        let white = (0..rows * columns).filter(|p| at(p / columns, p % columns) == 255).count();
        assert_eq!(white, 2, "{n}: the two peaks are the brightest");
        assert_eq!(at(rows / 2, columns / 2), 0, "{n}: the mean is gone");
        // 4 cycles an Å from edge to edge; the bar is one of them.
        let below = part(&pixels, width, [top + tall + 1, left], width - left);
        let bar = bar_length(height, width - left, &below, 0);
        assert!((bar as f64 / wide as f64 - 0.25).abs() < 0.005, "{n}: {bar} of {wide}");
    }
    let none = directory.path().join("small.png");
    let small = image("adf", [15, 40], [0.25, 0.25], "Å", ArrayData::F64((0..600).map(f64::from).collect()));
    write_png(&none, false, &small, Look { spectrum: true, ..Look::of(&small) }).unwrap();
    let (height, width, pixels) = decode(&none);
    assert_eq!(framed_places(height, width, &pixels).len(), 2, "an image and a colour bar");
}

#[test]
fn a_vector_has_the_colour_that_the_wheel_shows_in_its_direction() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("com.png");
    // The four quadrants point up, right, down and left; the middle rows are 0.
    let n = 32;
    let vector = |at: usize| match (at / n, at % n) {
        (14..18, _) => [0.0, 0.0],
        (0..16, 0..16) => [-2.0, 0.0],
        (0..16, _) => [0.0, 2.0],
        (_, 0..16) => [2.0, 0.0],
        _ => [0.0, -2.0],
    };
    let component = |a: usize| image("com", [n, n], [0.2, 0.2], "Å", ArrayData::F64((0..n * n).map(|at| vector(at)[a]).collect()));
    let ([y, x], notes) = ([0, 1].map(component), ["along the scan".to_owned()]);
    write_vector_png(&path, false, &Vectors { name: "com", y: &y, x: &x, notes: &notes }).unwrap();
    let (height, width, pixels) = decode(&path);
    let (top, left, tall, wide) = image_place(height, width, &pixels);
    let at = |y: usize, x: usize| -> [u8; 3] { pixels[(y * width + x) * 3..][..3].try_into().unwrap() };
    assert_eq!(at(top + tall / 2, left + wide / 2), [0; 3], "zero is black");
    // The wheel begins where the image does; its middle row is its widest.
    let wheel_left = (left + wide + 2..width).find(|&x| at(top + 80, x) != [255; 3]).unwrap();
    let wheel_wide = (wheel_left..width).take_while(|&x| at(top + 80, x) != [255; 3]).count();
    let centre = [top + wheel_wide / 2, wheel_left + wheel_wide / 2];
    assert!(at(centre[0], centre[1]).iter().all(|&c| c < 8), "{:?}", at(centre[0], centre[1]));
    for (direction, quadrant) in [([-1, 0], [1, 1]), ([0, 1], [1, 3]), ([1, 0], [3, 1]), ([0, -1], [3, 3])] {
        // A pixel or two inside of the rim, where the wheel is a little darker.
        let rim = [0, 1].map(|a| (centre[a] as i64 + direction[a] * (wheel_wide as i64 / 2 - 2)) as usize);
        let [seen, shown] = [at(top + quadrant[0] * tall / 4, left + quadrant[1] * wide / 4), at(rim[0], rim[1])];
        assert!((0..3).all(|c| seen[c].abs_diff(shown[c]) <= 12), "{direction:?}: {seen:?} in the image, {shown:?} in the wheel");
    }
    let other = image("com", [n, 16], [0.2, 0.2], "Å", ArrayData::F64(vec![0.0; n * 16]));
    let refused = write_vector_png(&path, true, &Vectors { name: "com", y: &y, x: &other, notes: &[] }).unwrap_err();
    assert!(refused.to_string().contains("shape"), "{refused}");
}

#[test]
fn all_directions_are_equally_light_and_turn_evenly() {
    // CIE L*a*b* of sRGB under D65.
    let lab = |color: [u8; 3]| {
        let [r, g, b] = color.map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        });
        let xyz = [
            (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
            0.2126 * r + 0.7152 * g + 0.0722 * b,
            (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
        ];
        let [x, y, z] = xyz.map(|v| if v > 0.008_856 { v.cbrt() } else { 7.787 * v + 16.0 / 116.0 });
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    };
    let colors: Vec<[f64; 3]> = (0..36).map(|n| lab(ColorMap::Cyclic.color(f64::from(n) / 36.0))).collect();
    let lightness = colors.iter().map(|c| c[0]);
    assert!(lightness.clone().fold(0.0, f64::max) - lightness.fold(100.0, f64::min) < 8.0, "{colors:?}");
    let step = |n: usize| (0..3).map(|c| (colors[n][c] - colors[(n + 1) % 36][c]).powi(2)).sum::<f64>().sqrt();
    let mean = (0..36).map(step).sum::<f64>() / 36.0;
    assert!((0..36).map(step).all(|step| (0.5 * mean..1.8 * mean).contains(&step)), "{colors:?}");
    assert_eq!(ColorMap::Cyclic.color(0.0), ColorMap::Cyclic.color(1.0), "half a turn either way is one direction");
}

#[test]
fn patterns_are_logarithmic_and_have_no_spectrum() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mean_pattern.png");
    let mut values = vec![0.0; 1024];
    values[..512].fill(1e-2);
    values[512..768].fill(1.0);
    values[768..896].fill(100.0);
    let pattern = Array { frame: Frame::Detector, ..image("mean_pattern", [32, 32], [1.0, 1.0], "mrad", ArrayData::F64(values)) };
    let look = Look::of(&pattern);
    assert!(look.log && !look.spectrum);
    write_png(&path, false, &pattern, look).unwrap();
    let (height, width, pixels) = decode(&path);
    let (top, left, tall, wide) = image_place(height, width, &pixels);
    let at = |row: usize| -> [u8; 3] { pixels[((top + row * tall / 32 + 2) * width + left) * 3..][..3].try_into().unwrap() };
    assert_eq!([at(0), at(20), at(25), at(30)], [0.0, 0.5, 1.0, 0.0].map(|t| ColorMap::Viridis.color(t)));
    // 5 mrad of 32.
    assert_eq!(bar_length(height, width, &pixels, top + tall + 1), wide * 5 / 32);
}

#[test]
fn a_sheet_shows_every_image_with_its_own_contrast_and_scale_bar() {
    let directory = tempfile::tempdir().unwrap();
    for count in [2, 4, 11, 40] {
        let path = directory.path().join(format!("{count}.png"));
        // Image n is a step from −n to n, so that a contrast shared by all would show the first ones as gray.
        let arrays: Vec<Array> = (1..=count)
            .map(|n| {
                let size = 20 + 10 * n;
                let half = |at: usize| if at % size < size / 2 { -(n as f64) } else { n as f64 };
                image(&format!("image_{n}"), [size; 2], [0.2, 0.2], "Å", ArrayData::F64((0..size * size).map(half).collect()))
            })
            .collect();
        let tiles: Vec<Tile> = arrays.iter().map(|array| Tile::Image(array, Look::of(array))).collect();
        write_sheet(&path, false, "result.emd", &tiles).unwrap();
        let (height, width, pixels) = decode(&path);
        assert!(width <= 2400, "{width}");
        let (mut found, mut from) = (Vec::new(), 0);
        while found.len() < count {
            let places = framed_places(height - from, width, &pixels[from * width * 3..]);
            let lowest = from + places[0][0] + places[0][2] + 2;
            found.extend(places.into_iter().map(|[top, left, tall, wide]| [from + top, left, tall, wide]));
            from = lowest;
        }
        assert_eq!(found.len(), count);
        for [top, left, tall, wide] in found {
            assert!(wide >= 300 && tall == wide, "{tall} × {wide}");
            let at = |x: usize| pixels[((top + tall / 2) * width + left + x) * 3];
            assert_eq!((at(wide / 4), at(3 * wide / 4)), (0, 255));
            let below = part(&pixels, width, [top + tall + 2, left], wide);
            let bar = bar_length(24, wide, &below, 0);
            assert!((0.1..0.4).contains(&(bar as f64 / wide as f64)), "{bar} of {wide}");
        }
    }
}

#[test]
fn a_large_image_is_averaged_on_a_sheet() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sheet.png");
    // A checkerboard finer than the tile: any one of its pixels is black or white.
    let size = 1920;
    let checkers = (0..size * size).map(|at| ((at / size + at % size) % 2) as f64).collect();
    let fine = image("fine", [size; 2], [0.1, 0.1], "Å", ArrayData::F64(checkers));
    write_sheet(&path, false, "", &[Tile::Image(&fine, Look::of(&fine))]).unwrap();
    let (height, width, pixels) = decode(&path);
    let (top, left, tall, wide) = image_place(height, width, &pixels);
    assert!((0..tall * wide).all(|at| (126..=129).contains(&pixels[((top + at / wide) * width + left + at % wide) * 3])));
}

#[test]
fn the_slices_of_a_stack_are_named_by_their_place() {
    let stack = Array {
        path: "images/ssb_sweep".to_owned(),
        shape: vec![100, 2, 2],
        data: ArrayData::F64((0..400).map(|at| f64::from(at / 4)).collect()),
        axes: vec![Axis::new("defocus", "Å", -50.0, 1.0), Axis::new("y", "Å", 0.0, 0.2), Axis::new("x", "Å", 0.0, 0.2)],
        ..image("", [1, 1], [1.0, 1.0], "Å", ArrayData::F64(vec![0.0]))
    };
    let seen = slices(&stack);
    assert_eq!(seen.len(), 49);
    assert_eq!((seen[0].name(), seen[48].name()), ("defocus -50 Å", "defocus 49 Å"));
    assert_eq!(seen[48].data, ArrayData::F64(vec![99.0; 4]));
    assert_eq!(slices(&seen[0]), []);
}

#[test]
fn pictures_are_not_overwritten_unless_asked_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let array = image("bf", [4, 4], [1.0, 1.0], "Å", ArrayData::U32(vec![7; 16]));
    let complex = image("object", [1, 1], [1.0, 1.0], "Å", ArrayData::Complex32(vec![Complex32::ZERO]));
    type Write = fn(&Path, bool, &Array) -> Result<PathBuf, Error>;
    let png: Write = |path, force, array| write_png(path, force, array, Look::of(array));
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
        write_png(&directory.join(format!("{name}.png")), true, &array, Look { spectrum: true, ..Look::plain(map) }).unwrap();
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
