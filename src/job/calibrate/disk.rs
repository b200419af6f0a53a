//! What the bright-field disk tells.

use super::found::Found;
use super::words::{rounded, words};
use crate::imaging::calibrate::{Calibration, Estimate};
use crate::job::Place;
use crate::job::schema::{Entry, Job};
use crate::job::values::Pair;

/// What the disk tells.
pub(super) struct Disk {
    pub(super) centre_px: Found<[f64; 2]>,
    pub(super) radius_px: Found<f64>,
    pub(super) ellipticity: Found<f64>,
    pub(super) long_axis_deg: Found<f64>,
    pub(super) convergence_mrad: Found<f64>,
    pub(super) mrad_per_px: Found<[f64; 2]>,
}

impl Disk {
    pub(super) fn new(
        job: &mut Job,
        measured: &Calibration,
        warnings: &mut Vec<String>,
        facts: &mut Vec<(&'static str, String)>,
        open: &mut Vec<(&'static str, String)>,
    ) -> Self {
        let known = |entry: &Option<Entry<f64>>| entry.as_ref().map(|e| Found::known(e.value, e.place.to_string()));
        let mut convergence_mrad = known(&job.optics.convergence_mrad);
        let mut mrad_per_px = job.detector.mrad_per_px.as_ref().map(|e| Found::known(e.value.0, e.place.to_string()));
        let disk = match &measured.disk {
            Ok(disk) => disk,
            Err(why) => {
                warnings.push(format!(
                    "the bright-field disk was not found, so that centre, radius and what follows from them stay open: {why}"
                ));
                open.push(("detector", "centre_px and the disk's radius: no disk was found".to_owned()));
                return Self {
                    centre_px: job
                        .detector
                        .centre_px
                        .as_ref()
                        .map_or_else(|| Found::unknown(why.clone()), |entry| Found::known(entry.value, entry.place.to_string())),
                    radius_px: Found::unknown(why.clone()),
                    ellipticity: Found::unknown(why.clone()),
                    long_axis_deg: Found::unknown(why.clone()),
                    convergence_mrad: convergence_mrad.unwrap_or_else(|| Found::unknown(why.clone())),
                    mrad_per_px: mrad_per_px.unwrap_or_else(|| Found::unknown(why.clone())),
                };
            }
        };
        warnings.extend(disk.warning());
        let from = format!("the bright-field disk in the mean of {} frames", measured.frames);
        let place = |what: String| Place::Measured(format!("{what} {from}"));
        let [y, x] = disk.se.centre;
        if job.detector.centre_px.is_none() {
            let centre = [rounded(disk.centre[0], y), rounded(disk.centre[1], x)];
            job.detector.centre_px = Some(Entry { value: centre, place: place(format!("± [{y:.3}, {x:.3}], the centre of")) });
        }
        let radius = Estimate { value: disk.radius, se: disk.se.radius };
        facts.push(("detector", format!("the disk's radius: {}", words(radius, " px"))));
        facts.push((
            "detector",
            format!(
                "its ellipticity e in r = R(1 + e cos 2(φ − φ_e)): {}, long axis at {:.0}° from +column towards +row",
                words(Estimate { value: disk.ellipticity, se: disk.se.ellipticity }, ""),
                disk.long_axis_deg
            ),
        ));
        let relative = radius.se / radius.value;
        let of_px = |pixel: [f64; 2]| (pixel[0] * pixel[1]).sqrt();
        match (&convergence_mrad, &mrad_per_px) {
            (Some(alpha), None) => {
                let mrad = alpha.value.unwrap_or(f64::NAN) / radius.value;
                let told = format!("± {:.5}, optics.convergence_mrad over the radius of", mrad * relative);
                job.detector.mrad_per_px = Some(Entry { value: Pair([rounded(mrad, mrad * relative); 2]), place: place(told) });
                mrad_per_px =
                    Some(Found::measured([mrad; 2], [mrad * relative; 2], format!("optics.convergence_mrad over the radius of {from}")));
            }
            (None, Some(pixel)) => {
                let alpha = radius.value * of_px(pixel.value.unwrap_or([f64::NAN; 2]));
                let told = format!("± {:.3}, detector.mrad_per_px times the radius of", alpha * relative);
                job.optics.convergence_mrad = Some(Entry { value: rounded(alpha, alpha * relative), place: place(told) });
                convergence_mrad =
                    Some(Found::measured(alpha, alpha * relative, format!("detector.mrad_per_px times the radius of {from}")));
            }
            (Some(alpha), Some(pixel)) => {
                let expected = alpha.value.unwrap_or(f64::NAN) / of_px(pixel.value.unwrap_or([f64::NAN; 2]));
                let ratio = radius.value / expected;
                facts.push(("detector", format!("which is {ratio:.4} of convergence_mrad over mrad_per_px ({expected:.2} px)")));
                if (ratio - 1.0).abs() > 0.05 {
                    warnings.push(format!(
                        "the disk's radius of {:.2} px is not the {expected:.2} px of optics.convergence_mrad over detector.mrad_per_px. Check both: every angle depends on them.",
                        radius.value
                    ));
                }
            }
            (None, None) => {
                open.push(("detector", "mrad_per_px: give optics.convergence_mrad to have it measured, or the reverse".to_owned()))
            }
        }
        let open_scale = "neither detector.mrad_per_px nor optics.convergence_mrad is known";
        Self {
            centre_px: Found::measured(disk.centre, disk.se.centre, format!("the centre of {from}")),
            radius_px: Found::measured(radius.value, radius.se, format!("the radius of {from}")),
            ellipticity: Found::measured(disk.ellipticity, disk.se.ellipticity, format!("the rim of {from}")),
            long_axis_deg: Found {
                value: Some(disk.long_axis_deg),
                // Half the phase's error of a vector e with the error se on each component.
                se: Some((0.5 * disk.se.ellipticity / disk.ellipticity).to_degrees()),
                determined: disk.ellipticity > 3.0 * disk.se.ellipticity,
                from: format!("the rim of {from}"),
            },
            convergence_mrad: convergence_mrad.unwrap_or_else(|| Found::unknown(open_scale)),
            mrad_per_px: mrad_per_px.unwrap_or_else(|| Found::unknown(open_scale)),
        }
    }
}
