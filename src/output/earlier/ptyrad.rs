//! PtyRAD's `model_iter….hdf5` (release 1.0.0; layout as its `io/save.py` writes and `core/models/ptycho.py` uses it).
//!
//! `/optimizable_tensors`: `obja` and `objp` (object mode, slice, y, x), amplitude and phase; `probe` (mode, y, x), complex, in real space
//! with its axis at pixel N/2; `slice_thickness` in Å; `probe_pos_shifts` (N, 2) in pixels. `/model_attributes`: `dx`, the pixel in Å;
//! `crop_pos` (N, 2), the first pixel of each window; `omode_occu`, the shares of the object's modes. A window's position is the sum of
//! `crop_pos` and `probe_pos_shifts`.

use num_complex::Complex64;

use super::{Earlier, EarlierObject, EarlierProbe, Source};
use crate::output::Result;

pub(super) fn read(source: &Source) -> Result<Earlier> {
    let dx = source.reals("model_attributes/dx")?;
    let dx = source.needed("model_attributes/dx", dx.and_then(|(_, values)| values.first().copied()))?;
    let probe = source.complexes("optimizable_tensors/probe")?.and_then(|(shape, values)| match shape[..] {
        [modes, ny, nx] => Some(EarlierProbe { values, modes, window: [ny, nx], pixel_A: [dx; 2] }),
        _ => None,
    });
    let middle = probe.as_ref().map(|probe| probe.window.map(|n| (n / 2) as f64));
    let corners = source.pairs("model_attributes/crop_pos")?;
    let shifts = source.pairs("optimizable_tensors/probe_pos_shifts")?;
    let positions_px = match (corners, middle) {
        (Some(corners), Some(middle)) => {
            let shift = |n: usize, a: usize| shifts.as_ref().and_then(|s| s.get(n)).map_or(0.0, |s| s[a]);
            Some(corners.iter().enumerate().map(|(n, c)| [0, 1].map(|a| c[a] + shift(n, a) + middle[a])).collect())
        }
        _ => None,
    };
    Ok(Earlier {
        path: source.path.to_owned(),
        program: "PtyRAD",
        object: object(source, dx)?,
        probe,
        positions_px,
        to_scan: None,
        first_position: [0, 0],
        turned: true,
    })
}

/// The object; of several modes their mean by their shares.
fn object(source: &Source, dx: f64) -> Result<Option<EarlierObject>> {
    let parts = (source.reals("optimizable_tensors/obja")?, source.reals("optimizable_tensors/objp")?);
    let (Some((shape, amplitude)), Some((phases_shape, phase))) = parts else { return Ok(None) };
    let ([modes, slices, ny, nx], true) = (&shape[..], shape == phases_shape) else {
        let found = format!("has an object of the shapes {shape:?} (obja) and {phases_shape:?} (objp)");
        return Err(source.wrong(format!("{found}, expected one shape (mode, slice, y, x). Write it again")));
    };
    let pixels = slices * ny * nx;
    let shares = source.reals("model_attributes/omode_occu")?.map(|(_, shares)| shares).filter(|shares| shares.len() == *modes);
    let total: f64 = shares.as_ref().map_or(*modes as f64, |shares| shares.iter().sum());
    let mut values = vec![Complex64::default(); pixels];
    for mode in 0..*modes {
        let share = shares.as_ref().map_or(1.0, |shares| shares[mode]) / total;
        for (p, value) in values.iter_mut().enumerate() {
            *value += Complex64::from_polar(share * amplitude[mode * pixels + p], phase[mode * pixels + p]);
        }
    }
    let names = ["optimizable_tensors/slice_thickness", "model_attributes/slice_thickness"];
    let mut thickness = None;
    for name in names {
        if thickness.is_none() {
            thickness = source.reals(name)?.and_then(|(_, values)| values.first().copied());
        }
    }
    let slice_thickness_A = if *slices > 1 { source.needed(names[0], thickness)? } else { 0.0 };
    Ok(Some(EarlierObject { values, slices: *slices, shape: [*ny, *nx], pixel_A: [dx; 2], slice_thickness_A }))
}
