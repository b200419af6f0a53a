//! Calibrations of multislice simulations whose truth is known, and of one experiment.

use std::path::Path;

use libtest_mimic::Failed;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};
use rayon::prelude::*;
use ronchi::compute::{HostFrames, SampleType};
use ronchi::data::{self, OpenOptions};
use ronchi::imaging::calibrate::{CalibrationPlan, Rotation};

use crate::microscope::calibrated as calibration_of;

/// Simulations that differ in dose only.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) doses: &'static [u32],
    step_A: f64,
    radius_px: f64,
    rotation_deg: f64,
}

const fn set(name: &'static str, doses: &'static [u32], step_A: f64, radius_px: f64, rotation_deg: f64) -> Set {
    Set { name, doses, step_A, radius_px, rotation_deg }
}

pub(crate) static SETS: [Set; 4] = [
    set("010", &[300, 1000, 3000, 10000, 100_000], 0.4, 25.0 / 0.984_374_44, 0.0),
    set("100", &[1000, 10000, 100_000], 0.35, 21.4 / 1.253_967_02, -12.0),
    set("100thin", &[1000, 5000, 1_000_000], 0.2, 25.0 / 0.984_374_44, 0.0),
    set("100focus", &[1000, 10000, 1_000_000], 0.2, 25.0 / 0.984_374_44, 0.0),
];

/// The scan's shape and all frames of a file.
fn read(path: &Path) -> Result<([usize; 2], HostFrames), Failed> {
    let source = data::open(path, &OpenOptions::default())?;
    let info = source.info();
    let mut frames = HostFrames::zeros(info.dtype, info.frame_shape, info.frames());
    source.read(0, info.frames(), &mut frames, 0)?;
    Ok((info.scan_shape, frames))
}

/// The counts of one frame, row-major.
fn counts(frames: &HostFrames, index: usize) -> Vec<f64> {
    let bytes = frames.frame_bytes(index);
    let row = bytes.len() / frames.shape[0];
    let of = |row: &[u8]| -> Vec<f64> {
        match frames.dtype {
            SampleType::U8 => row[..frames.shape[1]].iter().map(|b| f64::from(*b)).collect(),
            SampleType::U16 => row[..2 * frames.shape[1]].chunks_exact(2).map(|b| f64::from(u16::from_le_bytes([b[0], b[1]]))).collect(),
            other => panic!("{other:?}"),
        }
    };
    bytes.chunks_exact(row).flat_map(of).collect()
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what().into()) }
}

/// The angle's distance from the truth in degrees.
fn off(rotation: &Rotation, true_deg: f64) -> f64 {
    (rotation.angle_deg.value - true_deg + 180.0).rem_euclid(360.0) - 180.0
}

pub(crate) fn calibrated(path: &Path, set: &Set, dose: u32) -> Result<(), Failed> {
    let (scan, frames) = read(path)?;
    let found = calibration_of(frames, &CalibrationPlan::new(scan))?;
    let disk = found.disk?;
    ensure(disk.centre.iter().all(|c| (c - 64.0).abs() < 0.1), || format!("{disk:?}"))?;
    ensure((disk.radius / set.radius_px - 1.0).abs() < 0.005, || format!("{} instead of {}", disk.radius, set.radius_px))?;
    ensure(disk.ellipticity < (4.0 * disk.se.ellipticity).max(0.004), || format!("a circle: {disk:?}"))?;
    let gain = found.counts_per_electron.ok_or("no gain")?;
    ensure((gain.value - 1.0).abs() < 3.0 * gain.se && gain.se < 0.02, || format!("counts are electrons: {gain:?}"))?;
    let measured = found.incident.value / (set.step_A * set.step_A);
    ensure((measured / f64::from(dose) - 1.0).abs() < 0.02, || format!("{measured} e/Å²"))?;
    ensure(found.bad_pixels.is_empty() && found.flyback_columns == 0, || format!("{:?}", found.bad_pixels))?;
    let rotation = found.rotation?;
    let limit = f64::max(0.5, 3.0 * rotation.angle_deg.se);
    eprintln!("{} {dose}: {:.3} ± {:.3}°", set.name, rotation.angle_deg.value, rotation.angle_deg.se);
    ensure(!rotation.transpose && off(&rotation, set.rotation_deg).abs() < limit, || format!("{rotation:?}"))?;
    // Far out of focus in a thick crystal the integral is no picture of the atoms: it must not be taken for one.
    let settled = set.name != "010";
    ensure(rotation.half_turn.settled == settled, || format!("{rotation:?}"))?;
    ensure(dose < 3000 && set.name == "010" || rotation.is_determined(), || format!("{rotation:?}"))
}

/// 50 draws at `tail` of a file's dose: the spread of the angle is what each draw tells as its error, and at most twice the bound that counting sets.
pub(crate) fn spread(path: &Path, tail: f64, bound_deg: f64) -> Result<(), Failed> {
    const DRAWS: u64 = 50;
    let (scan, expected) = read(path)?;
    let cumulative: Vec<Vec<(f64, u32)>> = (0..expected.count)
        .map(|f| {
            let mut sum = 0.0;
            let lit = counts(&expected, f).into_iter().enumerate().filter(|(_, v)| *v > 0.0);
            lit.map(|(p, v)| {
                sum += v;
                (sum, p as u32)
            })
            .collect()
        })
        .collect();
    let row = 4 * HostFrames::row_words(SampleType::U16, expected.shape[1]);
    let mut found = Vec::new();
    // The same draws each time: 50 tell a spread to 10 % only.
    for draw in 0..DRAWS {
        let mut frames = HostFrames::zeros(SampleType::U16, expected.shape, expected.count);
        let words = frames.frame_words();
        frames.words.par_chunks_mut(words).zip(&cumulative).enumerate().for_each(|(f, (frame, sums))| {
            let mut rng = ChaCha8Rng::seed_from_u64(draw * 1_000_003 + f as u64);
            let total = sums.last().map_or(0.0, |s| s.0);
            let electrons = Poisson::new(total * tail).map_or(0.0, |p| p.sample(&mut rng)) as usize;
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(frame);
            for _ in 0..electrons {
                let at = rng.random_range(0.0..total);
                let p = sums[sums.partition_point(|s| s.0 <= at)].1 as usize;
                let place = p / expected.shape[1] * row + p % expected.shape[1] * 2;
                let count = u16::from_le_bytes([bytes[place], bytes[place + 1]]) + 1;
                bytes[place..place + 2].copy_from_slice(&count.to_le_bytes());
            }
        });
        found.push(calibration_of(frames, &CalibrationPlan { transpose: Some(false), ..CalibrationPlan::new(scan) })?.rotation?);
    }
    // About their own mean, half turns aside: what the crystal itself adds is the same in all.
    let angles: Vec<f64> = found.iter().map(|r| (r.angle_deg.value + 90.0).rem_euclid(180.0) - 90.0).collect();
    let n = DRAWS as f64;
    let mean = angles.iter().sum::<f64>() / n;
    let spread = (angles.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let told = (found.iter().map(|r| r.angle_deg.se.powi(2)).sum::<f64>() / n).sqrt();
    eprintln!("{} × {tail}: mean {mean:.3}°, spread {spread:.3}°, told {told:.3}°, bound {bound_deg}°", path.display());
    ensure((told / spread - 1.0).abs() < 0.25, || format!("the spread is {spread}°, told is {told}°"))?;
    ensure(told < 2.0 * bound_deg && spread < 2.0 * bound_deg, || format!("{spread}° and {told}° for a bound of {bound_deg}°"))
}

pub(crate) fn sevenfold(path: &Path) -> Result<(), Failed> {
    let (scan, frames) = read(path)?;
    let values: Vec<f64> = (0..frames.count).flat_map(|f| counts(&frames, f)).map(|v| 7.0 * v).collect();
    let seven = crate::memory::frames(SampleType::F32, frames.shape, &values);
    let of_one = calibration_of(frames, &CalibrationPlan::new(scan))?;
    let found = calibration_of(seven, &CalibrationPlan::new(scan))?;
    let gain = found.counts_per_electron.ok_or("no gain")?;
    ensure((gain.value / 7.0 - 1.0).abs() < 3.0 * gain.se / 7.0 && gain.se < 0.2, || format!("{gain:?}"))?;
    let (one, seven) = (of_one.rotation?.angle_deg, found.rotation?.angle_deg);
    ensure((one.value - seven.value).abs() < 0.1 && (one.se / seven.se - 1.0).abs() < 0.05, || format!("{one:?} {seven:?}"))?;
    Ok(())
}

/// The centre of mass, the shift of the disk's images with angle (parallax) and the error of a reconstruction all have their best at 120 to 121°.
pub(crate) fn rotavirus(path: &Path) -> Result<(), Failed> {
    let (scan, frames) = read(path)?;
    let found = calibration_of(frames, &CalibrationPlan::new(scan))?;
    let disk = found.disk?;
    ensure((disk.centre[0] - 63.6).abs() < 0.5 && (disk.centre[1] - 63.0).abs() < 0.5, || format!("{disk:?}"))?;
    ensure((29.5..31.4).contains(&disk.radius) && disk.ellipticity > 5.0 * disk.se.ellipticity, || format!("slightly elliptic: {disk:?}"))?;
    let rotation = found.rotation?;
    ensure(rotation.transpose && rotation.is_determined() && rotation.half_turn.settled, || format!("{rotation:?}"))?;
    ensure(off(&rotation, 120.7).abs() < f64::max(0.5, 3.0 * rotation.angle_deg.se), || format!("{rotation:?}"))?;
    // The counts of this file are not electrons.
    let gain = found.counts_per_electron.ok_or("no gain")?;
    ensure((1.8..2.2).contains(&gain.value), || format!("{gain:?}"))
}
