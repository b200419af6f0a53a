//! Detector geometry: which pixels belong, what does not fit, and the vacuum.

use rand::RngExt;
use ronchi::compute::{SampleType, cpu::Cpu};
use ronchi::imaging::{Angle, CentreOrigin, Detector, Error, Images, ImagingPlan, Kind, Requested, Ring, SamplingUnit, image};
use ronchi::run::Event;

use crate::memory::{Memory, disk, frames, fresh, listened, told};

fn annulus(name: &str, inner: Angle, outer: Angle) -> Detector {
    Detector { name: name.into(), kind: Kind::Annulus(Ring { inner, outer }) }
}

/// Images of identical f32 frames.
fn of(frame: &[f64], shape: [usize; 2], plan: &ImagingPlan) -> (Result<Images, Error>, Vec<Event>) {
    let engine = Cpu::<f32>::new();
    let count = plan.scan_shape[0] * plan.scan_shape[1];
    let patterns = Memory::new(&engine, frames(SampleType::F32, shape, &frame.repeat(count)), 64);
    listened(0, |run| image(run, &engine, &patterns, plan))
}

/// 64×64 pixels of 1 mrad about (32, 32), α = 10 mrad, scan of 2×2.
fn plain(detectors: Vec<Detector>) -> ImagingPlan {
    let mut plan = ImagingPlan::new([2, 2]);
    plan.convergence_mrad = Some(10.0);
    plan.mrad_per_px = Some([1.0; 2]);
    plan.centre_px = Some([32.0; 2]);
    plan.detectors = Requested::Named(detectors);
    plan
}

#[test]
fn a_pixel_belongs_to_an_annulus_from_its_inner_angle_up_to_but_not_at_its_outer() {
    // One count where the angle is 5 mrad exactly, (3, 4) from the centre, and one on the axis.
    let mut frame = vec![0.0; 64 * 64];
    frame[35 * 64 + 36] = 1.0;
    frame[32 * 64 + 32] = 2.0;
    let list = vec![
        annulus("below", Angle::Mrad(4.0), Angle::Mrad(5.0)),
        annulus("from", Angle::Mrad(5.0), Angle::Mrad(6.0)),
        annulus("axis", Angle::Mrad(0.0), Angle::Mrad(1.0)),
        annulus("half", Angle::Disk(0.5), Angle::Disk(0.6)),
        annulus("pixels", Angle::Px(5.0), Angle::Px(6.0)),
    ];
    let images = of(&frame, [64, 64], &plain(list)).0.unwrap();
    let values: Vec<f64> = images.images.iter().map(|i| i.values[3]).collect();
    assert_eq!(values, [0.0, 1.0, 2.0, 1.0, 1.0]);
    assert_eq!(images.images[3].range, Some([5.0, 6.0]));
    assert!(images.images.iter().all(|i| i.unit == "counts" && i.coverage == 1.0));
    assert_eq!((images.centre_origin, images.sampling_unit), (CentreOrigin::Given, SamplingUnit::Mrad));
}

#[test]
fn impossible_angles_names_and_numbers_are_refused_with_the_key_to_change() {
    let frame = disk([64, 64], [32.0; 2], 10.0);
    let refused = |plan: ImagingPlan, words: &[&str]| {
        let error = of(&frame, [64, 64], &plan).0.unwrap_err();
        let text = error.to_string();
        assert!(words.iter().all(|w| text.contains(w)), "{text}");
        assert_eq!(error.exit_code(), 2, "{text}");
    };
    let ring = |inner, outer| plain(vec![annulus("ring", inner, outer)]);
    refused(ring(Angle::Mrad(7.0), Angle::Mrad(7.0)), &["ring", "7.0000 mrad", "images.detectors"]);
    refused(ring(Angle::Mrad(-1.0), Angle::Mrad(7.0)), &["ring", "-1.0000 mrad"]);
    refused(ring(Angle::Mrad(1.0), Angle::Mrad(f64::INFINITY)), &["finite"]);
    refused(ring(Angle::Mrad(f64::NAN), Angle::Edge), &["ring"]);
    refused(ring(Angle::Mrad(50.0), Angle::Mrad(60.0)), &["does not fit", "31.5000 mrad"]);
    refused(ring(Angle::Mrad(31.5), Angle::Edge), &["does not fit"]);
    refused(plain([Detector::named("bf").unwrap(), Detector::named("bf").unwrap()].concat()), &["two detectors", "bf"]);
    refused(plain(vec![Detector { name: "e".into(), kind: Kind::Eabf { k: Some(f64::NAN) } }]), &["k = NaN"]);
    let mut plan = ring(Angle::Mrad(1.0), Angle::Mrad(2.0));
    (plan.mrad_per_px, plan.convergence_mrad) = (None, None);
    refused(plan, &["ring", "detector.mrad_per_px"]);
    let change = |f: &dyn Fn(&mut ImagingPlan)| {
        let mut plan = ring(Angle::Mrad(1.0), Angle::Mrad(2.0));
        f(&mut plan);
        plan
    };
    refused(change(&|p| p.convergence_mrad = Some(40.0)), &["wider than the detector", "optics.convergence_mrad"]);
    refused(change(&|p| p.mrad_per_px = Some([1.0, 0.0])), &["detector.mrad_per_px"]);
    refused(change(&|p| p.centre_px = Some([64.0, 3.0])), &["detector.centre_px"]);
    refused(change(&|p| p.step_A = Some([-0.4, 0.4])), &["scan.step_A", "-0.4"]);
    refused(change(&|p| p.rotation_deg = f64::NAN), &["scan.rotation_deg"]);
    refused(change(&|p| p.valid = Some(vec![true; 9])), &["9", "4096", "data.bad_pixels"]);
    refused(change(&|p| p.valid = Some(vec![false; 4096])), &["4096", "data.bad_pixels"]);
    let mut plan = plain(Detector::named("idpc").unwrap());
    plan.highpass_inverse_A = Some(0.1);
    refused(plan, &["scan.step_A"]);
    let engine = Cpu::<f32>::new();
    let patterns = Memory::new(&engine, frames(SampleType::F32, [64, 64], &frame.repeat(5)), 64);
    let error = listened(0, |run| image(run, &engine, &patterns, &plain(vec![]))).0.unwrap_err();
    assert!(error.to_string().contains("data.scan_shape"), "{error}");
    let error = Detector::named("abff").unwrap_err();
    assert!(error.to_string().contains("Did you mean \"abf\""), "{error}");
    let many = (0..63).map(|k| annulus(&format!("d{k}"), Angle::Mrad(0.45 * f64::from(k)), Angle::Mrad(0.45 * f64::from(k) + 0.9)));
    let last = annulus("more", Angle::Mrad(0.5), Angle::Mrad(3.0));
    refused(plain(many.chain([last]).collect()), &["64 masks", "63"]);
}

#[test]
fn what_does_not_fit_is_left_out_of_the_defaults_and_clipped_by_name_with_its_coverage_told() {
    // A disk of 20 px on 64: haadf would begin at 60 px.
    let frame = disk([64, 64], [32.0; 2], 20.0);
    let mut plan = plain(vec![annulus("wide", Angle::Mrad(25.0), Angle::Mrad(40.0))]);
    plan.convergence_mrad = Some(20.0);
    let (images, events) = of(&frame, [64, 64], &plan);
    let image = &images.unwrap().images[0];
    // Naively: the share of the whole annulus's pixels that the frame holds.
    let ring = |y: i32, x: i32| (25.0..40.0).contains(&f64::from(y - 32).hypot(f64::from(x - 32)));
    let count = |range: std::ops::Range<i32>| {
        range.clone().flat_map(|y| range.clone().map(move |x| (y, x))).filter(|&(y, x)| ring(y, x)).count() as f64
    };
    let share = count(0..64) / count(-64..128);
    assert!((image.coverage - share).abs() < 0.01, "{} for {share}", image.coverage);
    assert!(told(&events).iter().any(|t| t.contains("wide") && t.contains("clipped")), "{:?}", told(&events));
    plan.detectors = Requested::Default;
    let (images, events) = of(&frame, [64, 64], &plan);
    let names: Vec<String> = images.unwrap().images.into_iter().map(|i| i.name).collect();
    assert_eq!(names, ["bf", "abf", "eabf", "adf", "com_y", "com_x", "idpc", "ddpc"]);
    assert!(told(&events).iter().any(|t| t.starts_with("haadf is left out")), "{:?}", told(&events));
}

#[test]
fn the_vacuum_is_0_in_eabf_wherever_the_disk_lies_and_whichever_pixels_are_bad() {
    let mut rng = fresh();
    for _ in 0..10 {
        let (centre, radius) = ([rng.random_range(28.0..36.0), rng.random_range(28.0..36.0)], rng.random_range(7.0..24.0));
        let frame: Vec<f64> = disk([64, 64], centre, radius).iter().map(|v| 100.0 * v).collect();
        let mut plan = plain([Detector::named("eabf").unwrap(), Detector::named("abf").unwrap()].concat());
        (plan.centre_px, plan.convergence_mrad) = (Some(centre), Some(radius));
        plan.valid = Some((0..64 * 64).map(|_| rng.random_bool(0.9)).collect());
        let images = of(&frame, [64, 64], &plan).0.unwrap();
        let [eabf, abf] = [0, 1].map(|k| images.images[k].values[0]);
        let k = images.images[0].k.unwrap();
        println!("radius {radius:.2}: eabf {eabf:.3} of abf {abf:.0}, k = {k:.4}");
        // Rim pixels are weighted by 256 points here, by 1024 in the test's disk.
        assert!(eabf.abs() < 2e-3 * abf, "{eabf} of {abf}");
        assert!((1.8..4.8).contains(&k), "about 3, the continuum's ratio: {k}");
        plan.detectors = Requested::Named(vec![Detector { name: "eabf".into(), kind: Kind::Eabf { k: Some(1.0) } }]);
        assert!(of(&frame, [64, 64], &plan).0.unwrap().images[0].values[0] > 0.3 * abf, "k is taken as given");
    }
}

#[test]
fn the_zero_angle_and_a_pixel_s_angle_come_from_the_disk_where_they_are_not_given() {
    let frame: Vec<f64> = disk([64, 64], [30.3, 33.8], 12.5).iter().map(|v| 50.0 * v).collect();
    let mut plan = plain(Detector::named("bf").unwrap());
    (plan.centre_px, plan.mrad_per_px) = (None, None);
    let (images, events) = of(&frame, [64, 64], &plan);
    let images = images.unwrap();
    assert_eq!(images.centre_origin, CentreOrigin::Disk);
    assert!((images.centre_px[0] - 30.3).abs() < 0.05 && (images.centre_px[1] - 33.8).abs() < 0.05, "{:?}", images.centre_px);
    assert!((images.mrad_per_px.unwrap()[0] - 10.0 / 12.5).abs() < 0.005);
    assert!(told(&events).iter().any(|t| t.contains("detector.mrad_per_px")), "{:?}", told(&events));
    // A wrong convergence angle is told of.
    plan.mrad_per_px = Some([1.0; 2]);
    assert!(told(&of(&frame, [64, 64], &plan).1).iter().any(|t| t.contains("optics.convergence_mrad")));
    plan.centre_px = Some([30.3, 37.0]);
    assert!(told(&of(&frame, [64, 64], &plan).1).iter().any(|t| t.contains("from the zero angle used")));
}

#[test]
fn scans_of_one_line_or_one_point_make_what_they_can_and_say_the_rest() {
    let frame = disk([64, 64], [32.0; 2], 10.0);
    for scan_shape in [[1, 1], [1, 7], [7, 1]] {
        let mut plan = plain(vec![]);
        (plan.scan_shape, plan.detectors, plan.step_A) = (scan_shape, Requested::Default, Some([1.0; 2]));
        let (images, events) = of(&frame, [64, 64], &plan);
        let images = images.unwrap();
        assert_eq!(images.images.len(), 7, "all but idpc");
        assert!(images.images.iter().all(|i| i.values.len() == scan_shape[0] * scan_shape[1]));
        assert!(told(&events).iter().any(|t| t.starts_with("idpc is left out")), "{:?}", told(&events));
        plan.detectors = Requested::Named(Detector::named("idpc").unwrap());
        let error = of(&frame, [64, 64], &plan).0.unwrap_err();
        assert!(matches!(error, Error::ScanTooSmall { .. }), "{error}");
    }
}
