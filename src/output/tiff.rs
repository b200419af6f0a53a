//! Images as 32-bit float TIFF, calibrated for Fiji.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tiff::TiffError;
use tiff::encoder::{Rational, TiffEncoder, colortype};
use tiff::tags::{ResolutionUnit, Tag};

use super::plot::robust_range;
use super::{Array, Axis, Claim, Error, Result};

/// Writes a real image (y, x) as a float32 TIFF with its pixel size.
///
/// The calibration is ImageJ's: pixels a unit as the resolution with no resolution unit, the unit's name in the
/// description. Lengths are told in nm: ImageJ's scale bar and most macros know nm, while Å and µ reach it through
/// an ASCII tag only in escapes that versions read differently.
pub fn write_tiff(path: &Path, force: bool, array: &Array) -> Result<PathBuf> {
    let (rows, columns, values) = array.image()?;
    let (low, high) = robust_range(&values);
    let (unit, steps) = calibration(&array.axes[0], &array.axes[1]);
    let description = format!("ImageJ=1.54f\nunit={unit}\nmin={low}\nmax={high}\n");
    let pixels: Vec<f32> = values.iter().map(|&x| x as f32).collect();

    let claim = Claim::new(path, force)?;
    let write = || -> std::result::Result<(), TiffError> {
        let mut file = BufWriter::new(claim.file());
        let mut encoder = TiffEncoder::new(&mut file)?;
        let size = |n: usize| u32::try_from(n).map_err(|_| TiffError::IntSizeError);
        let mut image = encoder.new_image::<colortype::Gray32Float>(size(columns)?, size(rows)?)?;
        image.resolution_unit(ResolutionUnit::None);
        image.x_resolution(pixels_per_unit(steps[1]));
        image.y_resolution(pixels_per_unit(steps[0]));
        image.encoder().write_tag(Tag::ImageDescription, description.as_str())?;
        image.encoder().write_tag(Tag::Software, "ronchi")?;
        image.write_data(&pixels)?;
        // Dropped, it would keep a full disk to itself.
        Ok(file.flush()?)
    };
    write().map_err(|error| match error {
        TiffError::IoError(error) => Error::write_io(path, &error),
        error => Error::Write { path: path.display().to_string(), reason: error.to_string() },
    })?;
    claim.finish()
}

/// The unit that ImageJ is told, and the pixel size (y, x) in it.
fn calibration(y: &Axis, x: &Axis) -> (String, [f64; 2]) {
    let steps = [y.step.abs(), x.step.abs()];
    match y.units.as_str() {
        "Å" | "A" if y.units == x.units => ("nm".into(), steps.map(|step| step / 10.0)),
        unit if unit == x.units && !unit.is_empty() && unit.is_ascii() => (unit.into(), steps),
        _ => ("pixel".into(), [1.0, 1.0]),
    }
}

/// 1/step with as many decimals as two i32 hold: ImageJ has read the parts of a rational as signed.
fn pixels_per_unit(step: f64) -> Rational {
    let value = 1.0 / step;
    let mut d = 1_000_000_000_u32;
    while d > 1 && value * f64::from(d) > f64::from(i32::MAX) {
        d /= 10;
    }
    Rational { n: (value * f64::from(d)).round() as u32, d }
}
