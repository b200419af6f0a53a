//! States of phaser (release 0.3.1; layout versions 0.1 and 0.2 as its `utils/io.py` writes and `utils/object.py` uses them), lengths in Å.
//!
//! `/type` is "phaser_state". `/object`: `data` (z, y, x), complex, `sampling` and `corner` (y, x), the pixel's size and the place of pixel (0, 0), `thicknesses` of its
//! slices. `/probe`: `data` (mode, y, x), complex, in real space with its axis at pixel N/2, `extent` (y, x) of the window. `/scan` (…, 2), from version 0.2 on
//! `/scan/data`: where the middle of each window, between its pixels where N is even, lies.

use hdf5::types::VarLenUnicode;

use super::{Earlier, EarlierObject, EarlierProbe, Source};
use crate::output::Result;

/// Is it a state of phaser?
pub(super) fn wrote(source: &Source) -> bool {
    matches!(source.raw::<VarLenUnicode>("type"), Ok(Some((_, text))) if text.first().is_some_and(|text| text.as_str() == "phaser_state"))
}

pub(super) fn read(source: &Source) -> Result<Earlier> {
    let pair = |name: &str| -> Result<[f64; 2]> { source.needed(name, source.pairs(name)?.and_then(|pairs| pairs.first().copied())) };
    let probe = match source.complexes("probe/data")? {
        Some((shape, values)) => match shape[..] {
            [modes, ny, nx] => {
                let extent = pair("probe/extent")?;
                Some(EarlierProbe { values, modes, window: [ny, nx], pixel_A: [extent[0] / ny as f64, extent[1] / nx as f64] })
            }
            _ => None,
        },
        None => None,
    };
    let (mut object, mut positions_px) = (None, None);
    if let Some((shape, values)) = source.complexes("object/data")? {
        let [slices, ny, nx] = shape[..] else {
            return Err(source.wrong(format!("has an object of shape {shape:?}, expected (slice, y, x). Write it again")));
        };
        let (pixel_A, corner) = (pair("object/sampling")?, pair("object/corner")?);
        let thicknesses = source.reals("object/thicknesses")?.map_or(Vec::new(), |(_, values)| values);
        // One distance for all; that after the last slice is of no account.
        let between = &thicknesses[..thicknesses.len().min(slices.saturating_sub(1))];
        let slice_thickness_A = if between.is_empty() { 0.0 } else { between.iter().sum::<f64>() / between.len() as f64 };
        let scan = if source.has("scan/data") { source.pairs("scan/data")? } else { source.pairs("scan")? };
        if let (Some(scan), Some(probe)) = (scan, &probe) {
            // From the middle of the window to its pixel N/2.
            let beyond = probe.window.map(|n| if n % 2 == 0 { 0.5 } else { 0.0 });
            positions_px = Some(scan.iter().map(|p| [0, 1].map(|a| (p[a] - corner[a]) / pixel_A[a] + beyond[a])).collect());
        }
        object = Some(EarlierObject { values, slices, shape: [ny, nx], pixel_A, slice_thickness_A });
    }
    Ok(Earlier {
        path: source.path.to_owned(),
        program: "phaser",
        object,
        probe,
        positions_px,
        to_scan: None,
        first_position: [0, 0],
        turned: true,
    })
}
