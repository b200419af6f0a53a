//! What the centre of mass tells of the scan's rotation.

use super::found::{Found, HalfTurn};
use super::words::{rounded, words};
use crate::imaging::calibrate::{Calibration, Estimate, Rotation};
use crate::job::Place;
use crate::job::schema::{Entry, Job};

/// The rotation's part of a calibration.
pub(super) fn rotation(
    job: &mut Job,
    measured: &Calibration,
    warnings: &mut Vec<String>,
    open: &mut Vec<(&'static str, String)>,
) -> (Found<f64>, Option<HalfTurn>, Found<bool>) {
    let said = job.scan.transpose.place != Place::Default;
    let known = Found::known(job.scan.transpose.value, job.scan.transpose.place.to_string());
    let rotation = match &measured.rotation {
        Ok(rotation) => rotation,
        Err(why) => {
            warnings.push(format!(
                "the scan's rotation and transposition are not determined: {why}. Virtual detectors need neither; idpc and ptychography do."
            ));
            open.push(("scan", format!("rotation_deg and transpose: {why}")));
            return (Found::unknown(why.clone()), None, if said { known } else { Found::unknown(why.clone()) });
        }
    };
    let half = rotation.half_turn;
    let angle = rotation.angle_deg;
    let from = rotation_origin(rotation, measured.frames);
    let determined = rotation.is_determined();
    if determined {
        let place = Place::Measured(from.clone());
        if job.scan.rotation_deg.place != Place::Default
            && (angle.value - job.scan.rotation_deg.value).abs() > f64::max(3.0, 5.0 * angle.se)
        {
            warnings.push(format!(
                "the measured rotation of {} is not the {}° of scan.rotation_deg ({}).",
                words(angle, "°"),
                job.scan.rotation_deg.value,
                job.scan.rotation_deg.place
            ));
        }
        if job.scan.rotation_deg.place == Place::Default {
            job.scan.rotation_deg = Entry { value: rounded(angle.value, angle.se), place: place.clone() };
        }
        if !said {
            let sigmas = rotation.hand_sigmas.unwrap_or(0.0);
            job.scan.transpose =
                Entry { value: rotation.transpose, place: Place::Measured(format!("the hand with less curl, {sigmas:.1} σ")) };
        }
        if !half.settled {
            warnings.push(half_turn_open(rotation));
        }
    } else {
        let why = not_determined(rotation);
        warnings.push(format!("the scan's rotation is not determined: {why}. Virtual detectors need none; idpc and ptychography do."));
        open.push(("scan", format!("rotation_deg and transpose: {why}")));
    }
    let transpose = match rotation.hand_sigmas {
        None => known,
        Some(sigmas) => Found {
            value: Some(rotation.transpose),
            se: None,
            determined: rotation.hand_is_determined(),
            from: format!("the hand with less curl, {sigmas:.1} σ"),
        },
    };
    let half_turn = HalfTurn { settled: half.settled, sigmas: half.sigmas, correlation: half.correlation };
    (Found { value: Some(angle.value), se: Some(angle.se), determined, from }, Some(half_turn), transpose)
}

pub(super) fn not_determined(rotation: &Rotation) -> String {
    if !rotation.hand_is_determined() {
        let sigmas = rotation.hand_sigmas.unwrap_or(0.0);
        return format!("transposed and not transposed explain the centre of mass alike ({:.1} σ)", sigmas.abs());
    }
    format!("the centre of mass gives {}", words(rotation.angle_deg, "°"))
}

pub(super) fn half_turn_open(rotation: &Rotation) -> String {
    let Estimate { value, .. } = rotation.angle_deg;
    let half = rotation.half_turn;
    format!(
        "whether the scan's rotation is {value:.2}° or {:.2}° is not settled (the integrated centre of mass and the dark field correlate by {:.2}, {:.1} σ): {value:.2}° is taken. With the other, phases change sign. Set scan.rotation_deg if it is known.",
        if value > 0.0 { value - 180.0 } else { value + 180.0 },
        half.correlation,
        half.sigmas
    )
}

pub(super) fn rotation_origin(rotation: &Rotation, frames: usize) -> String {
    let half = rotation.half_turn;
    format!(
        "least curl of the centre of mass of {frames} frames, {}, {}",
        words(rotation.angle_deg, "°"),
        if half.settled {
            format!("half turn settled by the dark field ({:.0} σ)", half.sigmas)
        } else {
            "half turn not settled".to_owned()
        }
    )
}
