//! Virtual images and centres of mass against a naive sum.

use rand::{Rng, RngExt};
use ronchi::compute::{SampleType, cpu::Cpu};
use ronchi::imaging::{Angle, Detector, Error, Images, ImagingPlan, Kind, Requested, Ring, image};
use ronchi::run::{CancelToken, RngState, Run};

use crate::memory::{Memory, frames, fresh, listened, told};

const SCAN: [usize; 2] = [13, 17];
const SHAPE: [usize; 2] = [22, 19];
const DTYPES: [SampleType; 4] = [SampleType::U8, SampleType::U16, SampleType::U32, SampleType::F32];

fn annulus(name: &str, inner: f64, outer: f64) -> Detector {
    Detector { name: name.into(), kind: Kind::Annulus(Ring { inner: Angle::Mrad(inner), outer: Angle::Mrad(outer) }) }
}

/// A plan with everything given, on oblong pixels, and random frames of a type.
fn example(dtype: SampleType, rng: &mut impl Rng) -> (ImagingPlan, Vec<f64>) {
    let mut plan = ImagingPlan::new(SCAN);
    plan.step_A = Some([0.5, 0.25]);
    plan.convergence_mrad = Some(4.0);
    plan.mrad_per_px = Some([0.9, 1.1]);
    plan.centre_px = Some([rng.random_range(8.0..12.0), rng.random_range(7.0..11.0)]);
    plan.counts_per_electron = 2.5;
    plan.valid = Some((0..SHAPE[0] * SHAPE[1]).map(|_| rng.random_bool(0.95)).collect());
    let list =
        [Detector::named("com").unwrap(), vec![annulus("inner", 0.0, 3.3), annulus("outer", 2.0, 7.7)], Detector::named("eabf").unwrap()];
    plan.detectors = Requested::Named(list.concat());
    let top = match dtype {
        SampleType::U8 => 256.0,
        SampleType::U16 => 65536.0,
        SampleType::U32 => 4294967296.0,
        SampleType::F32 => 10.0,
    };
    let value = |v: f64| if dtype == SampleType::F32 { f64::from(v as f32 - 0.5) } else { v.floor() };
    let values = (0..SCAN[0] * SCAN[1] * SHAPE[0] * SHAPE[1]).map(|_| value(rng.random_range(0.0..top))).collect();
    (plan, values)
}

fn made(plan: &ImagingPlan, dtype: SampleType, values: &[f64], block: usize) -> Images {
    let engine = Cpu::<f32>::new();
    let patterns = Memory::new(&engine, frames(dtype, SHAPE, values), block);
    listened(0, |run| image(run, &engine, &patterns, plan)).0.unwrap()
}

#[test]
fn virtual_images_of_every_sample_type_equal_a_naive_sum_that_leaves_bad_pixels_out() {
    let mut rng = fresh();
    for dtype in DTYPES {
        let (plan, values) = example(dtype, &mut rng);
        let images = made(&plan, dtype, &values, 64);
        let (valid, centre) = (plan.valid.unwrap(), plan.centre_px.unwrap());
        let pixels = SHAPE[0] * SHAPE[1];
        let angle = |p: usize| (0.9 * ((p / SHAPE[1]) as f64 - centre[0])).hypot(1.1 * ((p % SHAPE[1]) as f64 - centre[1]));
        let scale = values.iter().fold(0.0, |a: f64, b| a.max(b.abs())) * pixels as f64;
        // Integers below 2⁵³ are exact; f32 pixels are summed in f64.
        let tolerance = if dtype.is_integer() { 0.0 } else { 1e-13 * scale };
        let near =
            |found: f64, naive: f64, what: &str| assert!((found - naive).abs() <= tolerance, "{dtype:?} {what}: {found} for {naive}");
        let sum = |k: usize, inner: f64, outer: f64| -> f64 {
            (0..pixels).filter(|&p| valid[p] && (inner..outer).contains(&angle(p))).map(|p| values[k * pixels + p]).sum()
        };
        for k in 0..SCAN[0] * SCAN[1] {
            near(images.images[2].values[k], sum(k, 0.0, 3.3), "inner");
            near(images.images[3].values[k], sum(k, 2.0, 7.7), "outer");
            let eabf = &images.images[4];
            let naive = sum(k, 2.0, 4.0) - eabf.k.unwrap() * sum(k, 0.0, 2.0);
            assert!((eabf.values[k] - naive).abs() <= 1e-13 * scale, "{dtype:?} eabf");
        }
        for p in 0..pixels {
            let mean = if valid[p] { (0..221).map(|k| values[k * pixels + p]).sum::<f64>() / 221.0 } else { 0.0 };
            assert!((images.pattern[p] - mean).abs() <= 1e-14 * scale, "{dtype:?} mean pattern");
        }
        let incident = (0..221).map(|k| sum(k, 0.0, f64::INFINITY)).sum::<f64>() / 221.0;
        assert!((images.incident / incident - 1.0).abs() < 1e-12);
        assert!((images.dose_e_per_A2.unwrap() / (incident / 2.5 / 0.125) - 1.0).abs() < 1e-12, "dose is electrons through a scan pixel");
    }
}

#[test]
fn the_centre_of_mass_equals_a_naive_one() {
    let mut rng = fresh();
    for dtype in DTYPES {
        let (plan, values) = example(dtype, &mut rng);
        let images = made(&plan, dtype, &values, 128);
        let (valid, centre) = (plan.valid.unwrap(), plan.centre_px.unwrap());
        let pixels = SHAPE[0] * SHAPE[1];
        for (axis, mrad) in [(0, 0.9), (1, 1.1)] {
            for (k, frame) in values.chunks(pixels).enumerate() {
                let (mut total, mut moment) = (0.0, 0.0);
                for p in (0..pixels).filter(|&p| valid[p]) {
                    let place = [p / SHAPE[1], p % SHAPE[1]][axis] as f64;
                    total += frame[p];
                    moment += frame[p] * (place - centre[axis]);
                }
                // Both are f64 sums of some hundred pixels: 1e-9 px leaves three digits.
                let found = images.images[axis].values[k] / mrad;
                assert!((found - moment / total).abs() < 1e-9, "{dtype:?}, frame {k}: {found} for {}", moment / total);
            }
        }
        assert_eq!(images.images[0].name, "com_y");
        assert_eq!(images.images[0].unit, "mrad");
    }
}

#[test]
fn the_images_do_not_depend_on_how_the_pass_is_cut_into_blocks() {
    let mut rng = fresh();
    for dtype in DTYPES {
        let (plan, mut values) = example(dtype, &mut rng);
        if dtype == SampleType::F32 {
            // Numbers so unlike that the order of their sum shows.
            values.iter_mut().for_each(|v| *v = (4.0 * *v).exp());
        }
        let whole = made(&plan, dtype, &values, 256);
        for block in [64, 128, 192] {
            assert!(made(&plan, dtype, &values, block) == whole, "{dtype:?} in blocks of {block}");
        }
    }
}

#[test]
fn frames_without_counts_have_a_centre_of_mass_of_0_and_are_counted() {
    let mut rng = fresh();
    let (mut plan, mut values) = example(SampleType::U8, &mut rng);
    let list = ["com_y", "com_x", "idpc"].map(|n| Detector::named(n).unwrap()).concat();
    plan.detectors = Requested::Named(list);
    let pixels = SHAPE[0] * SHAPE[1];
    for k in [20, 40, 77] {
        values[k * pixels..(k + 1) * pixels].fill(0.0);
    }
    let engine = Cpu::<f32>::new();
    let patterns = Memory::new(&engine, frames(SampleType::U8, SHAPE, &values), 64);
    let (images, events) = listened(0, |run| image(run, &engine, &patterns, &plan).unwrap());
    assert_eq!(images.empty_frames, 3);
    assert!([20, 40, 77].iter().all(|&k| images.images[0].values[k] == 0.0 && images.images[1].values[k] == 0.0));
    assert!(images.images.iter().all(|i| i.values.iter().all(|v| v.is_finite())));
    assert!(
        told(&events).iter().any(|t| t.contains("3 of 221 frames have no counts (the first at scan position 1, 3)")),
        "{:?}",
        told(&events)
    );
}

#[test]
fn values_that_are_not_finite_are_refused_with_their_frame() {
    let mut rng = fresh();
    let (plan, mut values) = example(SampleType::F32, &mut rng);
    let pixel = plan.valid.as_ref().unwrap().iter().position(|v| *v).unwrap();
    values[30 * SHAPE[0] * SHAPE[1] + pixel] = f64::NAN;
    let engine = Cpu::<f32>::new();
    let patterns = Memory::new(&engine, frames(SampleType::F32, SHAPE, &values), 64);
    let error = listened(0, |run| image(run, &engine, &patterns, &plan)).0.unwrap_err();
    assert!(matches!(error, Error::NotFinite { frame: 30, position: [1, 13] }), "{error}");
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn a_cancelled_run_stops_as_interrupted() {
    let mut rng = fresh();
    let (plan, values) = example(SampleType::U8, &mut rng);
    let engine = Cpu::<f32>::new();
    let patterns = Memory::new(&engine, frames(SampleType::U8, SHAPE, &values), 64);
    let cancel = CancelToken::default();
    cancel.cancel();
    let run = Run { events: &|_| {}, cancel: &cancel, rng: RngState::new(0) };
    assert_eq!(image(&run, &engine, &patterns, &plan).unwrap_err().exit_code(), 130);
}
