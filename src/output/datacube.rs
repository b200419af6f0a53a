//! A datacube in the EMD 1.0 layout, as py4DSTEM writes one.

use std::path::{Path, PathBuf};

use hdf5::types::VarLenUnicode;
use hdf5::{Group, H5Type};

use super::result::{create_emd, tag};
use super::{Attr, Claim, Error, Result, hdf};

/// Frames of counts with what their file says of them.
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct Datacube {
    /// (i, j), slow axis first.
    pub scan_shape: [usize; 2],
    /// (ky, kx).
    pub frame_shape: [usize; 2],
    /// Row-major over the scan and each frame.
    pub counts: Vec<u16>,
    pub step_A: f64,
    pub mrad_per_px: f64,
    pub voltage_kV: f64,
    pub convergence_mrad: f64,
}

/// Writes a datacube with its calibration.
pub fn write_datacube(path: &Path, force: bool, cube: &Datacube) -> Result<PathBuf> {
    let ([i, j], [y, x]) = (cube.scan_shape, cube.frame_shape);
    if i * j * y * x != cube.counts.len() || cube.counts.is_empty() {
        let reason = format!("its shape {i}×{j}×{y}×{x} asks for {} counts, but it has {}", i * j * y * x, cube.counts.len());
        return Err(Error::array("datacube", reason));
    }
    let claim = Claim::new(path, force)?;
    let write = || -> hdf5::Result<()> {
        let (file, root) = create_emd(&claim, "datacube_root")?;
        write_frames(&hdf::create_group(&root, "datacube")?, cube)?;
        let bundle = hdf::create_group(&root, "metadatabundle")?;
        hdf::write_text(&bundle, "emd_group_type", "metadatabundle")?;
        write_calibration(&hdf::create_group(&bundle, "calibration")?, cube)?;
        file.flush()?;
        file.close()
    };
    write().map_err(|error| Error::write_hdf(path, &error))?;
    claim.finish()
}

fn write_frames(group: &Group, cube: &Datacube) -> hdf5::Result<()> {
    tag(group, "array", "DataCube")?;
    let ([i, j], [y, x]) = (cube.scan_shape, cube.frame_shape);
    let dataset = group
        .new_dataset::<u16>()
        .obj_track_times(false)
        .chunk([1, j.min(8), y, x])
        .shuffle()
        .deflate(1)
        .shape([i, j, y, x])
        .create("data")?;
    dataset.write_raw(&cube.counts)?;
    hdf::write_text(&dataset, "units", "counts")?;
    for (n, (name, units, step)) in
        [("Rx", "A", cube.step_A), ("Ry", "A", cube.step_A), ("Qx", "mrad", cube.mrad_per_px), ("Qy", "mrad", cube.mrad_per_px)]
            .into_iter()
            .enumerate()
    {
        let dim = group.new_dataset::<f64>().obj_track_times(false).shape([2]).create(format!("dim{n}").as_str())?;
        dim.write_raw(&[0.0, step])?;
        hdf::write_text(&dim, "name", name)?;
        hdf::write_text(&dim, "units", units)?;
    }
    Ok(())
}

fn write_calibration(group: &Group, cube: &Datacube) -> hdf5::Result<()> {
    tag(group, "metadata", "Calibration")?;
    for (name, value) in [
        ("Q_pixel_size", cube.mrad_per_px),
        ("R_pixel_size", cube.step_A),
        ("accelerating_voltage_kV", cube.voltage_kV),
        ("convergence_semiangle_mrad", cube.convergence_mrad),
    ] {
        write_item(group, name, "number", &value)?;
    }
    let text = |value: &str| value.parse::<VarLenUnicode>().unwrap_or_default();
    for (name, value) in [("Q_pixel_units", "mrad"), ("R_pixel_units", "A"), ("_root_treepath", "")] {
        write_item(group, name, "string", &text(value))?;
    }
    // Without them py4DSTEM reads the calibration but does not apply it.
    let targets = hdf::create_group(group, "_target_paths")?;
    hdf::write_text(&targets, "type", "list_of_strings")?;
    hdf::write_attr(&targets, "length", &Attr::Integer(1))?;
    targets.new_dataset::<VarLenUnicode>().obj_track_times(false).create("0")?.write_scalar(&text("/datacube"))
}

fn write_item<T: H5Type>(group: &Group, name: &str, kind: &str, value: &T) -> hdf5::Result<()> {
    let dataset = group.new_dataset::<T>().obj_track_times(false).create(name)?;
    dataset.write_scalar(value)?;
    hdf::write_text(&dataset, "type", kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::HostFrames;

    #[test]
    fn a_datacube_reads_back_with_its_calibration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cube.h5");
        let cube = Datacube {
            scan_shape: [2, 3],
            frame_shape: [4, 6],
            counts: (0..144).collect(),
            step_A: 0.4,
            mrad_per_px: 1.5,
            voltage_kV: 300.0,
            convergence_mrad: 25.0,
        };
        write_datacube(&path, false, &cube).unwrap();
        let source = crate::data::open(&path, &crate::data::OpenOptions::default()).unwrap();
        let info = source.info();
        assert_eq!((info.scan_shape, info.frame_shape, info.format.as_str()), ([2, 3], [4, 6], "py4DSTEM EMD 1.0"));
        let known = &info.calibration;
        assert_eq!(known.step_A.as_ref().unwrap().value, [0.4, 0.4]);
        assert_eq!(known.mrad_per_px.as_ref().unwrap().value, [1.5, 1.5]);
        assert_eq!(known.voltage_kV.as_ref().unwrap().value, 300.0);
        assert_eq!(known.convergence_mrad.as_ref().unwrap().value, 25.0);
        let mut frames = HostFrames::zeros(info.dtype, info.frame_shape, 6);
        source.read(0, 6, &mut frames, 0).unwrap();
        let read: Vec<u16> = (0..6).flat_map(|f| bytemuck::cast_slice::<u8, u16>(frames.frame_bytes(f)).to_vec()).collect();
        assert_eq!(read, cube.counts);
        assert!(matches!(write_datacube(&path, false, &cube), Err(Error::Exists { .. })));
    }
}
