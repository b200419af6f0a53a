//! Calibrations of made-up scans.

use libtest_mimic::{Failed, Trial};
use rand::RngExt;
use ronchi::compute::SampleType;
use ronchi::imaging::calibrate::{CalibrationPlan, Fault};
use ronchi::imaging::{Descan, find_disk};

use crate::memory::{frames, fresh};
use crate::microscope::{Microscope, calibrated};

/// A test with its name.
type Test = (&'static str, fn() -> Result<(), Failed>);

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [Test; 13] = [
        ("rotation, hand and half turn are found whatever they are", rotations),
        ("the errors of centre and radius are true", disk_errors),
        ("an ellipse is told from a circle", ellipses),
        ("the gain is found whatever it is", gains),
        ("dead, dim, hot and flickering pixels are found and no others", bad_pixels),
        ("a hot pixel moves nothing", hot_pixel),
        ("descan is found as a plane, as a parabola, or not at all", descans),
        ("a flat specimen tells nothing of the rotation", flat),
        ("a hand that is known is taken", known_hand),
        ("lines and points are calibrated but for the rotation", lines_and_points),
        ("missing frames are left out", missing_frames),
        ("without a disk the rest is still told", no_disk),
        ("rows that jitter and columns of the flyback are seen", distorted),
    ];
    tests.into_iter().map(|(name, test)| Trial::test(name, test)).collect()
}

fn off(found: f64, true_value: f64) -> f64 {
    (found - true_value + 180.0).rem_euclid(360.0) - 180.0
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what().into()) }
}

fn rotations() -> Result<(), Failed> {
    let mut rng = fresh();
    let mut scores = Vec::new();
    for _ in 0..24 {
        // In the frame's middle: where the frame cuts the dark field on one side, what is cut moves the centre of mass.
        let microscope = Microscope { centre: [19.5, 17.5], ..Microscope::random(&mut rng) };
        let found = microscope.calibrated(SampleType::U16, &microscope.counts(&mut rng));
        let rotation = found.rotation.clone()?;
        ensure(rotation.is_determined() && rotation.transpose == microscope.transpose, || format!("{microscope:?}: {rotation:?}"))?;
        let error = off(rotation.angle_deg.value, microscope.rotation_deg);
        scores.push(error / rotation.angle_deg.se);
        ensure(rotation.half_turn.settled && rotation.half_turn.correlation > 0.4, || format!("{microscope:?}: {rotation:?}"))?;
        ensure(error.abs() < 5.5 * rotation.angle_deg.se && rotation.angle_deg.se < 3.0, || {
            format!("{error}: {microscope:?}: {rotation:?}")
        })?;
    }
    let rms = (scores.iter().map(|s| s * s).sum::<f64>() / scores.len() as f64).sqrt();
    // Of 24 draws: 1 ± 0.15.
    ensure((0.3..1.8).contains(&rms), || format!("errors are {rms} of what is told: {scores:?}"))
}

fn disk_errors() -> Result<(), Failed> {
    let mut rng = fresh();
    let mut scores = Vec::new();
    for _ in 0..40 {
        let microscope = Microscope { scan: [2, 2], electrons: 2000.0, deflection: 0.0, ..Microscope::random(&mut rng) };
        let counts = microscope.counts(&mut rng);
        let pixels = microscope.frame[0] * microscope.frame[1];
        let mean: Vec<f64> = (0..pixels).map(|p| counts.iter().skip(p).step_by(pixels).sum::<f64>()).collect();
        let disk = find_disk(&mean, microscope.frame, None, [1.0; 2])?;
        scores.extend([0, 1].map(|a| (disk.centre[a] - microscope.centre[a]) / disk.se.centre[a]));
        scores.push((disk.radius - microscope.radius) / disk.se.radius);
    }
    let rms = (scores.iter().map(|s| s * s).sum::<f64>() / scores.len() as f64).sqrt();
    ensure((0.4..1.5).contains(&rms), || format!("errors are {rms} of what is told"))
}

fn ellipses() -> Result<(), Failed> {
    let mut rng = fresh();
    for e in [0.0, 0.02, 0.05] {
        let (radius, axis) = (rng.random_range(15.0..25.0), rng.random_range(0.0..180.0f64));
        let centre = [40.3, 39.1];
        let at = |p: usize| ((p / 80) as f64 - centre[0], (p % 80) as f64 - centre[1]);
        let share = |p: usize| {
            let inside = (0..64).filter(|k| {
                let (y, x) = (at(p).0 + (k / 8) as f64 / 8.0 - 0.4375, at(p).1 + (k % 8) as f64 / 8.0 - 0.4375);
                y.hypot(x) < radius * (1.0 + e * (2.0 * (y.atan2(x) - axis.to_radians())).cos())
            });
            inside.count() as f64 / 64.0
        };
        let disk = find_disk(&(0..6400).map(|p| 50.0 * share(p)).collect::<Vec<_>>(), [80, 80], None, [1.0; 2])?;
        ensure((disk.ellipticity - e).abs() < 0.002 && (disk.radius - radius).abs() < 0.06, || format!("{e} {axis}: {disk:?}"))?;
        let turned = (disk.long_axis_deg - axis + 90.0).rem_euclid(180.0) - 90.0;
        ensure(e == 0.0 || turned.abs() < 3.0, || format!("{e} {axis}: {disk:?}"))?;
    }
    Ok(())
}

fn gains() -> Result<(), Failed> {
    let mut rng = fresh();
    for dtype in [SampleType::U16, SampleType::F32] {
        for _ in 0..3 {
            let whole = rng.random_range(1..40);
            let gain = if dtype == SampleType::F32 { f64::from(whole) + 0.37 } else { f64::from(whole) };
            let microscope = Microscope { gain, electrons: 2000.0, ..Microscope::random(&mut rng) };
            let found = microscope.calibrated(dtype, &microscope.counts(&mut rng));
            let told = found.counts_per_electron.ok_or("no gain")?;
            // With a readout noise to be told from the gain, contrast hides more of it.
            let bound = if dtype == SampleType::F32 { 0.1 } else { 0.05 };
            ensure((told.value - gain).abs() < 4.0 * told.se && told.se < bound * gain, || format!("{gain}: {told:?}"))?;
            // Errors in degrees are those of electrons, not of counts.
            let rotation = found.rotation?;
            ensure(rotation.angle_deg.se > 0.2 && rotation.angle_deg.se < 4.0, || format!("{gain}: {rotation:?}"))?;
        }
    }
    Ok(())
}

fn bad_pixels() -> Result<(), Failed> {
    let mut rng = fresh();
    let microscope = Microscope { electrons: 20000.0, ..Microscope::usual() };
    let mut counts = microscope.counts(&mut rng);
    let [ny, nx] = microscope.frame;
    let clean = microscope.calibrated(SampleType::U16, &counts);
    ensure(clean.bad_pixels.is_empty(), || format!("{:?}", clean.bad_pixels))?;
    // A dead row, a dead pixel, a dim one, two hot ones side by side (one in the dark), one that flickers.
    for frame in counts.chunks_exact_mut(ny * nx) {
        (0..nx).for_each(|x| frame[24 * nx + x] = 0.0);
        frame[15 * nx + 14] = 0.0;
        frame[18 * nx + 20] *= 0.3;
        frame[12 * nx + 21] += 200.0;
        frame[3 * nx + 4] += 5.0;
        frame[3 * nx + 5] += 5.0;
    }
    counts.iter_mut().skip(20 * nx + 13).step_by(ny * nx * 17).for_each(|v| *v += 600.0);
    let found = microscope.calibrated(SampleType::U16, &counts).bad_pixels;
    let is = |y: usize, x: usize, fault: Fault| found.iter().any(|bad| bad.place == [y, x] && bad.fault == fault);
    let expected = [(15, 14, Fault::Dead), (18, 20, Fault::Dim), (3, 4, Fault::Hot), (3, 5, Fault::Hot), (20, 13, Fault::Flickering)];
    for (y, x, fault) in expected {
        ensure(is(y, x, fault), || format!("{y} {x} {fault:?} is not among {found:?}"))?;
    }
    ensure(is(12, 21, Fault::Hot), || format!("{found:?}"))?;
    ensure((10..27).all(|x| is(24, x, Fault::Dead)), || format!("the dead row is not whole: {found:?}"))?;
    ensure(found.iter().all(|bad| bad.place[0] == 24 || expected.iter().any(|e| [e.0, e.1] == bad.place) || bad.place == [12, 21]), || {
        format!("more than there is: {found:?}")
    })
}

fn hot_pixel() -> Result<(), Failed> {
    let mut rng = fresh();
    let microscope = Microscope { rotation_deg: 70.0, ..Microscope::usual() };
    let mut counts = microscope.counts(&mut rng);
    let clean = microscope.calibrated(SampleType::U16, &counts).incident.value;
    let pixels = microscope.frame[0] * microscope.frame[1];
    counts.iter_mut().skip(2 * microscope.frame[1] + 3).step_by(pixels).enumerate().for_each(|(k, v)| *v += (k % 211) as f64 * 20.0);
    let found = microscope.calibrated(SampleType::U16, &counts);
    let rotation = found.rotation?;
    ensure(found.bad_pixels.len() == 1 && off(rotation.angle_deg.value, 70.0).abs() < 4.0 * rotation.angle_deg.se, || {
        format!("{rotation:?}")
    })?;
    ensure((found.incident.value / clean - 1.0).abs() < 0.01, || format!("{:?}", found.incident))
}

fn descans() -> Result<(), Failed> {
    let mut rng = fresh();
    let of = |descan: fn(f64, f64) -> [f64; 2], rng: &mut rand_chacha::ChaCha8Rng| {
        let microscope =
            Microscope { descan, rotation_deg: 33.0, scan: [32, 32], deflection: 0.1, electrons: 20000.0, ..Microscope::usual() };
        microscope.calibrated(SampleType::U16, &microscope.counts(rng))
    };
    // Six terms at five errors of 64 blocks: one scan in five thousand has one by chance, two in a row none.
    let mut none = of(|_, _| [0.0; 2], &mut rng).descan?;
    if none.order != Descan::None {
        none = of(|_, _| [0.0; 2], &mut rng).descan?;
    }
    ensure(none.order == Descan::None, || format!("{none:?}"))?;
    let sloping = |rng: &mut _| of(|i, j| [0.03 * i - 0.4, 0.02 * i - 0.03 * j], rng);
    let mut plane = sloping(&mut rng);
    if !matches!(&plane.descan, Ok(fit) if fit.order == Descan::Plane) {
        plane = sloping(&mut rng);
    }
    let fit = plane.descan?;
    ensure(fit.order == Descan::Plane, || format!("{fit:?}"))?;
    for (found, slope) in [(fit.coefficients[0][1], 0.03), (fit.coefficients[1][1], 0.02), (fit.coefficients[1][2], -0.03)] {
        ensure((found.value / slope - 1.0).abs() < 0.2 && (found.value - slope).abs() < 5.0 * found.se, || format!("{slope}: {fit:?}"))?;
    }
    let turned = plane.rotation?;
    ensure(off(turned.angle_deg.value, 33.0).abs() < 4.5 * turned.angle_deg.se, || format!("descan turns nothing: {turned:?}"))?;
    let parabola = of(|i, j| [0.002 * (i - 15.5) * (j - 15.5), 0.003 * (j - 15.5) * (j - 15.5)], &mut rng).descan?;
    ensure(parabola.order == Descan::Parabola, || format!("{parabola:?}"))?;
    for (found, bend) in [(parabola.coefficients[0][4], 0.002), (parabola.coefficients[1][5], 0.003)] {
        ensure((found.value / bend - 1.0).abs() < 0.2 && (found.value - bend).abs() < 5.0 * found.se, || format!("{bend}: {parabola:?}"))?;
    }
    Ok(())
}

fn flat() -> Result<(), Failed> {
    let mut rng = fresh();
    let mut by_chance = 0;
    for _ in 0..10 {
        let microscope = Microscope { deflection: 0.0, electrons: 500.0, ..Microscope::random(&mut rng) };
        let found = microscope.calibrated(SampleType::U16, &microscope.counts(&mut rng));
        ensure(found.rotation.as_ref().map_or(true, |r| !r.half_turn.settled), || format!("{:?}", found.rotation))?;
        by_chance += found.rotation.as_ref().map_or(0, |r| usize::from(r.is_determined()));
        ensure(found.disk.is_ok(), || "the disk is there".to_owned())?;
    }
    // One scan in some thousand has a hand of three errors and an angle by chance.
    ensure(by_chance <= 1, || format!("{by_chance} of 10 rotations of nothing"))
}

fn known_hand() -> Result<(), Failed> {
    let mut rng = fresh();
    let microscope = Microscope { transpose: true, rotation_deg: -50.0, ..Microscope::usual() };
    let counts = microscope.counts(&mut rng);
    let plan = CalibrationPlan { transpose: Some(true), ..CalibrationPlan::new(microscope.scan) };
    let rotation = calibrated(frames(SampleType::U16, microscope.frame, &counts), &plan)?.rotation?;
    ensure(rotation.transpose && rotation.hand_sigmas.is_none() && rotation.is_determined(), || format!("{rotation:?}"))?;
    ensure(off(rotation.angle_deg.value, -50.0).abs() < 4.5 * rotation.angle_deg.se, || format!("{rotation:?}"))
}

fn lines_and_points() -> Result<(), Failed> {
    let mut rng = fresh();
    for scan in [[1, 1], [1, 40], [40, 1], [2, 2], [5, 30]] {
        let microscope = Microscope { scan, ..Microscope::usual() };
        let found = microscope.calibrated(SampleType::U16, &microscope.counts(&mut rng));
        let disk = found.disk?;
        ensure((disk.radius - 9.0).abs() < 0.4, || format!("{scan:?}: {disk:?}"))?;
        let why = found.rotation.err().ok_or("a rotation of a line")?;
        ensure(why.contains("has no curl"), || why.clone())?;
        ensure(found.rows.is_none() && found.descan.is_err(), || format!("{scan:?}"))?;
        ensure(scan != [5, 30] || found.counts_per_electron.is_some(), || format!("{scan:?}: no gain"))?;
    }
    Ok(())
}

fn missing_frames() -> Result<(), Failed> {
    let mut rng = fresh();
    let microscope = Microscope { rotation_deg: 20.0, ..Microscope::usual() };
    let mut counts = microscope.counts(&mut rng);
    let pixels = microscope.frame[0] * microscope.frame[1];
    counts[70 * pixels..75 * pixels].fill(0.0);
    let found = microscope.calibrated(SampleType::U16, &counts);
    ensure(found.empty_frames == 5 && found.first_empty == Some(70), || format!("{found:?}"))?;
    let rotation = found.rotation?;
    ensure(off(rotation.angle_deg.value, 20.0).abs() < 4.5 * rotation.angle_deg.se, || format!("{rotation:?}"))?;
    counts[..600 * pixels].fill(0.0);
    let found = microscope.calibrated(SampleType::U16, &counts);
    let why = found.rotation.err().ok_or("a rotation of a third of a scan")?;
    ensure(why.contains("frames have no counts"), || why.clone())
}

fn no_disk() -> Result<(), Failed> {
    let mut rng = fresh();
    let pixels = 24 * 24;
    // Bright all over, with noise.
    let saturated: Vec<f64> = (0..100 * pixels).map(|_| rng.random_range(60000.0..65535.0f64).floor()).collect();
    let found = calibrated(frames(SampleType::U16, [24, 24], &saturated), &CalibrationPlan::new([10, 10]))?;
    let why = found.disk.err().ok_or("a disk")?;
    ensure(why.contains("no bright-field disk"), || why.clone())?;
    ensure(found.rows.is_none() && found.rotation.as_ref().map_or(true, |r| !r.is_determined()), || format!("{:?}", found.rotation))?;
    // One value everywhere has neither noise nor centre of mass.
    let found = calibrated(frames(SampleType::U16, [24, 24], &vec![65535.0; 100 * pixels]), &CalibrationPlan::new([10, 10]))?;
    ensure(found.disk.is_err() && found.counts_per_electron.is_none(), || format!("{found:?}"))?;
    let dark = calibrated(frames(SampleType::U16, [24, 24], &vec![0.0; 100 * pixels]), &CalibrationPlan::new([10, 10])).unwrap_err();
    ensure(dark.to_string().contains("dark"), || dark.to_string())?;
    // A disk that the frame cuts off.
    let cut = Microscope { centre: [5.0, 17.0], ..Microscope::usual() };
    let disk = cut.calibrated(SampleType::U16, &cut.counts(&mut rng)).disk?;
    ensure(disk.warning().is_some() && disk.inside < 0.9, || format!("{disk:?}"))
}

fn distorted() -> Result<(), Failed> {
    let mut rng = fresh();
    let microscope = Microscope { scan: [40, 48], electrons: 40000.0, ..Microscope::usual() };
    let pixels = microscope.frame[0] * microscope.frame[1];
    // One steady scan in four hundred has a column that stands out by six deviations.
    let mut draws = (0..3).map(|_| {
        let counts = microscope.counts(&mut rng);
        let steady = microscope.calibrated(SampleType::U16, &counts);
        (counts, steady)
    });
    let (counts, steady) = draws.find(|(_, steady)| steady.flyback_columns == 0).ok_or("flyback in three steady scans")?;
    let steady_rows = steady.rows.ok_or("no rows")?;
    // Every fourth row two steps late; the first two columns brighter.
    let row = 48 * pixels;
    let mut bent = counts.clone();
    for i in (0..40).step_by(4) {
        bent[i * row + pixels..(i + 1) * row].copy_from_slice(&counts[i * row..(i + 1) * row - pixels]);
    }
    for i in 0..40 {
        bent[i * row..i * row + 2 * pixels].iter_mut().for_each(|v| *v *= 3.0);
    }
    let found = microscope.calibrated(SampleType::U16, &bent);
    ensure(found.flyback_columns >= 2, || format!("{} columns", found.flyback_columns))?;
    let rows = found.rows.ok_or("no rows")?;
    ensure(rows.jitter.value > steady_rows.jitter.value, || format!("{rows:?} after {steady_rows:?}"))
}
