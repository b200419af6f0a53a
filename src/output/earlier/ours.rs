//! Our own results: `/ronchi/ptychography/{object, probe, positions}` as the job room writes them, all in the object's frame in Å.

use std::path::Path;

use super::{Earlier, EarlierObject, EarlierProbe};
use crate::output::{Array, Attr, Error, Result, Results};

pub(super) fn read(path: &Path) -> Result<Earlier> {
    let results = Results::open(path)?;
    let wrong = |problem: &str| Error::Earlier { path: path.display().to_string(), problem: problem.to_owned() };
    if !results.arrays().iter().any(|name| name == "ptychography/object") {
        return Err(wrong(
            "has images but no reconstruction. Run `ronchi reconstruct` or `ronchi run` with a section [ptychography] and start from its result",
        ));
    }
    let array = results.array("ptychography/object")?;
    let ([.., y, x], [.., rows, cols]) = (&array.axes[..], &array.shape[..]) else {
        return Err(wrong("has an object of one dimension. Write it again"));
    };
    let slices = if array.shape.len() > 2 { array.shape[0] } else { 1 };
    let (first, pixel_A) = ([y.origin, x.origin], [y.step, x.step]);
    let object = EarlierObject {
        values: array.data.complexes(),
        slices,
        shape: [*rows, *cols],
        pixel_A,
        slice_thickness_A: if slices > 1 { array.axes[0].step } else { 0.0 },
    };
    let positions = results.array("ptychography/positions")?.data.reals().unwrap_or_default();
    let positions_px = positions.chunks_exact(2).map(|p| [0, 1].map(|a| (p[a] - first[a]) / pixel_A[a])).collect();
    Ok(Earlier {
        path: path.to_owned(),
        program: "ronchi",
        object: Some(object),
        probe: probe(results.array("ptychography/probe")?),
        positions_px: Some(positions_px),
        to_scan: array.to_scan,
        first_position: match results.attr("job") {
            Some(Attr::Text(job)) => first_position(&job),
            _ => [0, 0],
        },
        turned: false,
    })
}

fn probe(array: Array) -> Option<EarlierProbe> {
    let ([modes, ny, nx], [_, y, x]) = (&array.shape[..], &array.axes[..]) else { return None };
    Some(EarlierProbe { modes: *modes, window: [*ny, *nx], pixel_A: [y.step, x.step], values: array.data.complexes() })
}

/// The first row and column that the job of a result took of the scan.
fn first_position(job: &str) -> [usize; 2] {
    let table: Option<toml::Table> = job.parse().ok();
    let crop = table.as_ref().and_then(|job| job.get("data")?.get("crop_scan")?.as_array());
    let place = |n: usize| crop.and_then(|crop| usize::try_from(crop.get(n)?.as_integer()?).ok()).unwrap_or(0);
    [place(0), place(2)]
}
