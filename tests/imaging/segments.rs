//! Segments, halves, masks and patterns against naive sums, and the shifts that they see.

use std::f64::consts::{PI, TAU};

use rand::{Rng, RngExt};
use ronchi::compute::{Backend, SampleType, SparseFrames, cpu::Cpu};
use ronchi::imaging::{Angle, Detector, Images, ImagingPlan, Integration, Kind, Requested, Ring, image};
use ronchi::optics::wavelength_A;
use ronchi::stream;

use crate::memory::{Memory, disk, frames, fresh, listened};

const SHAPE: [usize; 2] = [40, 44];
const CENTRE: [f64; 2] = [19.3, 22.6];
const RADIUS: f64 = 12.4;

fn plan(scan_shape: [usize; 2], names: &[&str]) -> ImagingPlan {
    let mut plan = ImagingPlan::new(scan_shape);
    plan.step_A = Some([0.4, 0.3]);
    plan.voltage_kV = Some(200.0);
    plan.convergence_mrad = Some(RADIUS * 1.5);
    plan.mrad_per_px = Some([1.5; 2]);
    plan.centre_px = Some(CENTRE);
    plan.detectors = Requested::Named(names.iter().flat_map(|name| Detector::named(name).unwrap()).collect());
    plan
}

fn made(plan: &ImagingPlan, values: &[f64], dtype: SampleType) -> Images {
    let engine = Cpu::<f32>::new();
    let patterns = Memory::new(&engine, frames(dtype, SHAPE, values), 64);
    listened(0, |run| image(run, &engine, &patterns, plan)).0.unwrap()
}

fn values<'a>(images: &'a Images, name: &str) -> &'a [f64] {
    &images.images.iter().find(|image| image.name == name).unwrap().values
}

fn counts(rng: &mut impl Rng, frames: usize) -> Vec<f64> {
    (0..frames * SHAPE[0] * SHAPE[1]).map(|_| f64::from(rng.random_range(0..500u32))).collect()
}

#[test]
fn segments_are_the_sectors_of_their_ring_from_column_towards_row_and_make_it_up() {
    let mut rng = fresh();
    let values_in = counts(&mut rng, 6);
    let mut plan = plan([2, 3], &["bf", "segments4", "segments8", "segments16"]);
    let own = Detector::segments("own", 3, Ring { inner: Angle::Disk(0.25), outer: Angle::Mrad(14.0) }, -37.0);
    let Requested::Named(list) = &mut plan.detectors else { unreachable!() };
    list.extend(own);
    let images = made(&plan, &values_in, SampleType::U16);
    let pixels = SHAPE[0] * SHAPE[1];
    for frame in 0..6 {
        let sum = |inside: &dyn Fn(f64, f64) -> bool| -> f64 {
            let place = |p: usize| ((p / SHAPE[1]) as f64 - CENTRE[0], (p % SHAPE[1]) as f64 - CENTRE[1]);
            (0..pixels).filter(|&p| inside(place(p).0, place(p).1)).map(|p| values_in[frame * pixels + p]).sum()
        };
        let azimuth = |y: f64, x: f64, first: f64| (y.atan2(x).to_degrees() - first).rem_euclid(360.0);
        for (name, count, digits) in [("seg4", 4, 1), ("seg8", 8, 1), ("seg16", 16, 2)] {
            let mut all = 0.0;
            for k in 0..count {
                let found = values(&images, &format!("{name}_{k:0digits$}"))[frame];
                let sector = |y: f64, x: f64| y.hypot(x) < RADIUS && (azimuth(y, x, 0.0) / 360.0 * count as f64) as usize == k;
                assert_eq!(found, sum(&sector), "{name} {k}");
                all += found;
            }
            assert_eq!(all, values(&images, "bf")[frame]);
        }
        for k in 0..3 {
            let sector = |y: f64, x: f64| (0.25 * RADIUS..14.0 / 1.5).contains(&y.hypot(x)) && (azimuth(y, x, -37.0) / 120.0) as usize == k;
            assert_eq!(values(&images, &format!("own_{k}"))[frame], sum(&sector), "own {k}");
        }
    }
}

#[test]
fn halves_and_segments_see_the_shift_of_a_disk_in_their_units() {
    let mut rng = fresh();
    let plan = plan([3, 3], &["dpc", "dphase", "com", "com_magnitude", "com_direction"]);
    let shifts: Vec<[f64; 2]> = (0..9).map(|_| [rng.random_range(-0.6..0.6), rng.random_range(-0.6..0.6)]).collect();
    let frames: Vec<f64> = shifts.iter().flat_map(|s| disk(SHAPE, [CENTRE[0] + s[0], CENTRE[1] + s[1]], RADIUS)).collect();
    let images = made(&plan, &frames, SampleType::F32);
    let per_A = TAU * 1e-3 / wavelength_A(200.0);
    for (k, shift) in shifts.iter().enumerate() {
        for (axis, a) in [("y", 0), ("x", 1)] {
            let mrad = 1.5 * shift[a];
            let found = |name: &str| values(&images, &format!("{name}_{axis}"))[k];
            // The sharp mask cuts the disk's rim to whole pixels: about 500 of them see a few tenths of a pixel of shift, the rim's pixels
            // all or nothing.
            assert!((found("dpc") - mrad).abs() < 0.12, "dpc {} for {mrad}", found("dpc"));
            assert!((found("dphase") / per_A - mrad).abs() < 0.25, "dphase {} for {mrad}", found("dphase") / per_A);
            assert!((found("com") - mrad).abs() < 2e-3, "com {} for {mrad}", found("com"));
        }
        let (y, x) = (values(&images, "com_y")[k], values(&images, "com_x")[k]);
        assert!((values(&images, "com_magnitude")[k] - y.hypot(x)).abs() < 1e-12);
        assert!((values(&images, "com_direction")[k] - y.atan2(x).to_degrees()).abs() < 1e-9);
    }
}

#[test]
fn the_direction_points_where_it_does_in_the_picture() {
    // A scan turned by 90°: (row, col) of the object's frame = (−j, i), so along +column of the detector is +row of the scan.
    let mut plan = plan([1, 1], &["com_direction"]);
    plan.rotation_deg = 90.0;
    let frame = disk(SHAPE, [CENTRE[0], CENTRE[1] + 2.0], RADIUS);
    assert!((values(&made(&plan, &frame, SampleType::F32), "com_direction")[0] - 90.0).abs() < 0.1);
}

#[test]
fn a_mask_of_ones_own_sums_its_pixels_inside_its_edges() {
    let mut rng = fresh();
    let values_in = counts(&mut rng, 4);
    let pixels = SHAPE[0] * SHAPE[1];
    let drawn: Vec<bool> = (0..pixels).map(|_| rng.random_bool(0.3)).collect();
    let mut plan = plan([2, 2], &[]);
    let mask = |name: &str, ring| Detector { name: name.into(), kind: Kind::Mask { pixels: drawn.clone().into(), ring } };
    plan.detectors = Requested::Named(vec![mask("all", None), mask("disk", Some(Ring::DISK))]);
    let images = made(&plan, &values_in, SampleType::U16);
    for frame in 0..4 {
        let sum = |radius: f64| -> f64 {
            let angle = |p: usize| ((p / SHAPE[1]) as f64 - CENTRE[0]).hypot((p % SHAPE[1]) as f64 - CENTRE[1]);
            (0..pixels).filter(|&p| drawn[p] && angle(p) < radius).map(|p| values_in[frame * pixels + p]).sum()
        };
        assert_eq!((values(&images, "all")[frame], values(&images, "disk")[frame]), (sum(f64::INFINITY), sum(RADIUS)));
    }
    let wrong = Kind::Mask { pixels: vec![true; 7].into(), ring: None };
    plan.detectors = Requested::Named(vec![Detector { name: "wrong".into(), kind: wrong }]);
    let engine = Cpu::<f32>::new();
    let patterns = Memory::new(&engine, frames(SampleType::U16, SHAPE, &values_in), 64);
    let refused = listened(0, |run| image(run, &engine, &patterns, &plan)).0.unwrap_err().to_string();
    assert!(refused.contains("has 7 pixels, a frame has 40×44"), "{refused}");
}

#[test]
fn maximum_and_variance_are_those_of_each_pixel_over_all_frames() {
    let mut rng = fresh();
    let pixels = SHAPE[0] * SHAPE[1];
    for (dtype, offset) in [(SampleType::U8, 0.0), (SampleType::U16, 0.0), (SampleType::U32, 0.0), (SampleType::F32, -300.0)] {
        let values_in: Vec<f64> = (0..150 * pixels).map(|_| f64::from(rng.random_range(0..250u32)) + offset).collect();
        let mut plan = plan([10, 15], &["max", "variance", "mean"]);
        let valid: Vec<bool> = (0..pixels).map(|_| rng.random_bool(0.97)).collect();
        plan.valid = Some(valid.clone());
        let images = made(&plan, &values_in, dtype);
        assert!(images.images.is_empty());
        let (max, variance) = (images.max_pattern.unwrap(), images.variance_pattern.unwrap());
        for p in 0..pixels {
            let column: Vec<f64> = (0..150).map(|f| if valid[p] { values_in[f * pixels + p] } else { 0.0 }).collect();
            let mean = column.iter().sum::<f64>() / 150.0;
            let naive = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 149.0;
            assert_eq!(max[p], column.iter().copied().fold(f64::NEG_INFINITY, f64::max), "{dtype:?} pixel {p}");
            // Σ I² of 150 values up to 300 is rounded to 1e-16 of itself.
            assert!((variance[p] - naive).abs() <= 1e-9 * (1.0 + naive), "{dtype:?} pixel {p}: {} for {naive}", variance[p]);
        }
    }
}

#[test]
fn sparse_frames_make_the_same_images_as_the_dense_frames_they_stand_for() {
    let mut rng = fresh();
    let pixels = SHAPE[0] * SHAPE[1];
    let values_in: Vec<f64> =
        (0..130 * pixels).map(|_| if rng.random_bool(0.05) { f64::from(rng.random_range(1..9u32)) } else { 0.0 }).collect();
    let mut sparse = SparseFrames { shape: SHAPE, count: 130, offsets: vec![0], pixels: Vec::new(), counts: Vec::new() };
    for frame in values_in.chunks(pixels) {
        for (p, &v) in frame.iter().enumerate().filter(|(_, v)| **v > 0.0) {
            sparse.pixels.push(p as u32);
            sparse.counts.push(v as u32);
        }
        sparse.offsets.push(sparse.pixels.len() as u32);
    }
    let mut plan = plan([10, 13], &[]);
    plan.detectors = Requested::All;
    plan.errors = true;
    let engine = std::sync::Arc::new(Cpu::<f32>::new());
    let patterns = stream::Memory::sparse(engine.clone(), &sparse).unwrap();
    let found = listened(0, |run| image(run, &*engine, &patterns, &plan)).0.unwrap();
    assert!(found.images.len() > 40);
    assert!(found == made(&plan, &values_in, SampleType::U16));
    assert!(engine.device_name().starts_with("CPU"));
}

#[test]
fn the_divergence_is_that_of_central_differences_in_the_scans_frame() {
    let mut rng = fresh();
    let mut plan = plan([5, 6], &["com", "ddpc"]);
    plan.transpose = true;
    plan.rotation_deg = -30.0;
    let images = made(&plan, &counts(&mut rng, 30), SampleType::U16);
    let factor = TAU * 1e-3 / wavelength_A(200.0);
    let turn = ronchi::optics::ScanGrid { shape: [5, 6], step_A: [0.4, 0.3], rotation_deg: -30.0, transpose: true }.object_to_scan();
    let turned: Vec<[f64; 2]> =
        (0..30).map(|p| ronchi::optics::apply(turn, [values(&images, "com_y")[p], values(&images, "com_x")[p]])).collect();
    for row in 0..5usize {
        for col in 0..6usize {
            let (up, down) = (row.saturating_sub(1), (row + 1).min(4));
            let (left, right) = (col.saturating_sub(1), (col + 1).min(5));
            let along_y = (turned[down * 6 + col][0] - turned[up * 6 + col][0]) / ((down - up) as f64 * 0.4);
            let along_x = (turned[row * 6 + right][1] - turned[row * 6 + left][1]) / ((right - left) as f64 * 0.3);
            let found = values(&images, "ddpc")[row * 6 + col];
            assert!((found - factor * (along_y + along_x)).abs() < 1e-12 * factor, "({row}, {col})");
        }
    }
}

/// The length of these values at positions of 20 columns after the best plane is taken away: the mean of a gradient, 0 over all frames, is not quite 0 over those that are left.
fn levelled(kept: &[usize], values: &[f64]) -> f64 {
    let terms = |p: usize| [1.0, (p / 20) as f64 / 24.0 - 0.5, (p % 20) as f64 / 20.0 - 0.5];
    // Gram and Schmidt: each term less what those before it hold.
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let along = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let without = |mut v: Vec<f64>, basis: &[Vec<f64>]| {
        for b in basis {
            let share = along(&v, b);
            v.iter_mut().zip(b).for_each(|(x, y)| *x -= share * y);
        }
        v
    };
    for k in 0..3 {
        let term = without(kept.iter().map(|&p| terms(p)[k]).collect(), &basis);
        let length = along(&term, &term).sqrt();
        basis.push(term.iter().map(|x| x / length).collect());
    }
    let rest = without(values.to_vec(), &basis);
    along(&rest, &rest).sqrt()
}

#[test]
fn least_squares_leaves_missing_frames_out_and_equals_the_mirrored_integral_without_any() {
    let mut rng = fresh();
    // Disks whose shifts are the gradient (of mean 0) of a smooth mirrored phase; some frames are lost.
    let scan = [24, 20];
    let waves: Vec<([f64; 2], f64)> = (0..6)
        .map(|_| ([f64::from(rng.random_range(1..4u32)), f64::from(rng.random_range(1..4u32))], rng.random_range(0.05..0.1)))
        .collect();
    let at = |i: usize, j: usize| [(i as f64 + 0.5) / 24.0, (j as f64 + 0.5) / 20.0];
    let phase = |u: [f64; 2]| waves.iter().map(|(m, a)| a * (PI * m[0] * u[0]).cos() * (PI * m[1] * u[1]).cos()).sum::<f64>();
    let gradient = |u: [f64; 2]| -> [f64; 2] {
        let part = |a: usize| {
            let term = |(m, amplitude): &([f64; 2], f64)| {
                let other = 1 - a;
                -amplitude * PI * m[a] * (PI * m[a] * u[a]).sin() * (PI * m[other] * u[other]).cos()
            };
            waves.iter().map(term).sum::<f64>() / [24.0 * 0.4, 20.0 * 0.3][a]
        };
        [part(0), part(1)]
    };
    let per_px = TAU * 1e-3 / wavelength_A(200.0) * 1.5;
    let mut plan = plan(scan, &["idpc"]);
    let lost: Vec<bool> = (0..480).map(|_| rng.random_bool(0.1)).collect();
    let whole: Vec<f64> = (0..480)
        .flat_map(|p| {
            let shift = gradient(at(p / 20, p % 20)).map(|g| g / per_px);
            disk(SHAPE, [CENTRE[0] + shift[0], CENTRE[1] + shift[1]], RADIUS)
        })
        .collect();
    let mirrored = made(&plan, &whole, SampleType::F32);
    plan.integration = Integration::LeastSquares;
    let (a, b) = (values(&mirrored, "idpc").to_vec(), values(&made(&plan, &whole, SampleType::F32), "idpc").to_vec());
    let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-6, "without holes the two differ by {worst}");
    let pixels = SHAPE[0] * SHAPE[1];
    let holed: Vec<f64> = whole.iter().enumerate().map(|(k, v)| if lost[k / pixels] { 0.0 } else { *v }).collect();
    let error = |found: &[f64]| {
        let truth: Vec<f64> = (0..480).map(|p| phase(at(p / 20, p % 20))).collect();
        let kept: Vec<usize> = (0..480).filter(|&p| !lost[p]).collect();
        let rest: Vec<f64> = kept.iter().map(|&p| found[p] - truth[p]).collect();
        let whole: Vec<f64> = kept.iter().map(|&p| truth[p]).collect();
        levelled(&kept, &rest) / levelled(&kept, &whole)
    };
    let least = error(values(&made(&plan, &holed, SampleType::F32), "idpc"));
    plan.integration = Integration::Mirror;
    let fourier = error(values(&made(&plan, &holed, SampleType::F32), "idpc"));
    assert!(least < 0.03 && fourier > 1.2 * least, "least squares is off by {least:.4}, the mirrored integral by {fourier:.4}");
}
