//! A datacube in the EMD 1.0 layout, as py4DSTEM writes one.

use std::path::{Path, PathBuf};

use hdf5::types::VarLenUnicode;
use hdf5::{Group, H5Type};

use super::result::{create_emd, tag};
use super::{Attr, Claim, Error, Result, hdf};

/// What a datacube's file says of its frames.
#[derive(Debug, Clone, PartialEq)]
#[allow(non_snake_case)]
pub struct Datacube {
    /// (i, j), slow axis first.
    pub scan_shape: [usize; 2],
    /// (ky, kx).
    pub frame_shape: [usize; 2],
    /// Along i and j.
    pub step_A: [f64; 2],
    pub mrad_per_px: f64,
    pub voltage_kV: f64,
    pub convergence_mrad: f64,
    /// How hard frames are compressed, from 0 (not at all) to 9.
    pub deflate: u8,
}

impl Datacube {
    /// Refuses what has no frames or pixels.
    pub(super) fn check(&self) -> Result<()> {
        if self.scan_shape.contains(&0) || self.frame_shape.contains(&0) {
            return Err(Error::array("datacube", format!("its shape {:?}×{:?} holds nothing", self.scan_shape, self.frame_shape)));
        }
        Ok(())
    }
}

/// A datacube that is being written, frame by frame in scan order. It appears in its place with [`DatacubeWriter::finish`]; dropped, it leaves nothing.
pub struct DatacubeWriter {
    // Before the claim: HDF5 closes the file first, then the claim removes it.
    file: hdf5::File,
    dataset: hdf5::Dataset,
    claim: Claim,
    cube: Datacube,
    frames: usize,
}

impl DatacubeWriter {
    /// Claims `path`, which must not exist unless `force` is given, for frames of `u16` counts or of `f32`.
    ///
    /// # Errors
    /// If the cube has no frames or pixels, or the file cannot be written.
    pub fn create<T: H5Type>(path: &Path, force: bool, cube: &Datacube) -> Result<Self> {
        cube.check()?;
        let claim = Claim::new(path, force)?;
        let begin = || -> hdf5::Result<(hdf5::File, hdf5::Dataset)> {
            let (file, root) = create_emd(&claim, "datacube_root")?;
            let dataset = create_frames::<T>(&hdf::create_group(&root, "datacube")?, cube)?;
            let bundle = hdf::create_group(&root, "metadatabundle")?;
            hdf::write_text(&bundle, "emd_group_type", "metadatabundle")?;
            write_calibration(&hdf::create_group(&bundle, "calibration")?, cube)?;
            Ok((file, dataset))
        };
        let (file, dataset) = begin().map_err(|error| Error::write_hdf(path, &error))?;
        Ok(Self { file, dataset, claim, cube: cube.clone(), frames: 0 })
    }

    /// Writes the next frames, row-major, in the type that the cube was created with.
    ///
    /// # Errors
    /// If they are not whole frames or more than the scan has, or the file cannot be written.
    pub fn frames<T: H5Type>(&mut self, values: &[T]) -> Result<()> {
        let ([rows, columns], [y, x]) = (self.cube.scan_shape, self.cube.frame_shape);
        let count = values.len() / (y * x);
        if values.len() != count * y * x || self.frames + count > rows * columns {
            let reason = format!("{} numbers follow {} of {} frames", values.len(), self.frames, rows * columns);
            return Err(Error::array("datacube", reason));
        }
        let mut done = 0;
        while done < count {
            let (i, j) = ((self.frames + done) / columns, (self.frames + done) % columns);
            let here = (columns - j).min(count - done);
            let part = &values[done * y * x..(done + here) * y * x];
            let write = || -> hdf5::Result<()> {
                let view = ndarray::ArrayView4::from_shape((1, here, y, x), part).map_err(|error| error.to_string())?;
                self.dataset.write_slice(view, (i..i + 1, j..j + here, .., ..))
            };
            write().map_err(|error| Error::write_hdf(self.claim.path(), &error))?;
            done += here;
        }
        self.frames += count;
        Ok(())
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// If frames are missing, or the file cannot be written.
    pub fn finish(self) -> Result<PathBuf> {
        let wanted = self.cube.scan_shape[0] * self.cube.scan_shape[1];
        if self.frames != wanted {
            return Err(Error::array("datacube", format!("it has {} of {wanted} frames", self.frames)));
        }
        let Self { file, dataset, claim, .. } = self;
        let close = || -> hdf5::Result<()> {
            drop(dataset);
            file.flush()?;
            file.close()
        };
        close().map_err(|error| Error::write_hdf(claim.path(), &error))?;
        claim.finish()
    }
}

/// Writes a whole datacube of counts, row-major over the scan and each frame.
///
/// # Errors
/// If there are not as many counts as the cube has pixels, or the file cannot be written.
pub fn write_datacube<T: H5Type>(path: &Path, force: bool, cube: &Datacube, counts: &[T]) -> Result<PathBuf> {
    let mut writer = DatacubeWriter::create::<T>(path, force, cube)?;
    writer.frames(counts)?;
    writer.finish()
}

fn create_frames<T: H5Type>(group: &Group, cube: &Datacube) -> hdf5::Result<hdf5::Dataset> {
    tag(group, "array", "DataCube")?;
    let ([i, j], [y, x]) = (cube.scan_shape, cube.frame_shape);
    let chunked = group.new_dataset::<T>().obj_track_times(false).chunk([1, j.min(8), y, x]);
    let compressed = if cube.deflate > 0 { chunked.shuffle().deflate(cube.deflate) } else { chunked };
    let dataset = compressed.shape([i, j, y, x]).create("data")?;
    hdf::write_text(&dataset, "units", "counts")?;
    let [step_i, step_j] = cube.step_A;
    for (n, (name, units, step)) in
        [("Rx", "A", step_i), ("Ry", "A", step_j), ("Qx", "mrad", cube.mrad_per_px), ("Qy", "mrad", cube.mrad_per_px)]
            .into_iter()
            .enumerate()
    {
        let dim = group.new_dataset::<f64>().obj_track_times(false).shape([2]).create(format!("dim{n}").as_str())?;
        dim.write_raw(&[0.0, step])?;
        hdf::write_text(&dim, "name", name)?;
        hdf::write_text(&dim, "units", units)?;
    }
    Ok(dataset)
}

fn write_calibration(group: &Group, cube: &Datacube) -> hdf5::Result<()> {
    tag(group, "metadata", "Calibration")?;
    let mut numbers = vec![
        ("Q_pixel_size", cube.mrad_per_px),
        ("accelerating_voltage_kV", cube.voltage_kV),
        ("convergence_semiangle_mrad", cube.convergence_mrad),
    ];
    let mut texts = vec![("Q_pixel_units", "mrad"), ("_root_treepath", "")];
    // It is one number for both axes: where they differ, only the axes themselves say it.
    if cube.step_A[0] == cube.step_A[1] {
        numbers.push(("R_pixel_size", cube.step_A[0]));
        texts.push(("R_pixel_units", "A"));
    }
    for (name, value) in numbers {
        write_item(group, name, "number", &value)?;
    }
    let text = |value: &str| value.parse::<VarLenUnicode>().unwrap_or_default();
    for (name, value) in texts {
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
    fn a_datacube_reads_back_with_its_calibration_whether_steps_are_equal_or_not() {
        [[0.4, 0.5], [0.4, 0.4]].into_iter().for_each(reads_back);
    }

    fn reads_back(step_A: [f64; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cube.h5");
        let cube = Datacube {
            scan_shape: [2, 3],
            frame_shape: [4, 6],
            step_A,
            mrad_per_px: 1.5,
            voltage_kV: 300.0,
            convergence_mrad: 25.0,
            deflate: 1,
        };
        let counts: Vec<u16> = (0..144).collect();
        let mut writer = DatacubeWriter::create::<u16>(&path, false, &cube).unwrap();
        // Blocks that begin and end within rows.
        writer.frames(&counts[..48]).unwrap();
        writer.frames(&counts[48..]).unwrap();
        assert!(writer.frames(&counts[..24]).unwrap_err().to_string().contains("6 of 6 frames"));
        writer.finish().unwrap();
        let source = crate::data::open(&path, &crate::data::OpenOptions::default()).unwrap();
        let info = source.info();
        assert_eq!((info.scan_shape, info.frame_shape, info.format.as_str()), ([2, 3], [4, 6], "py4DSTEM EMD 1.0"));
        let known = &info.calibration;
        assert_eq!(known.step_A.as_ref().unwrap().value, step_A);
        assert_eq!(known.mrad_per_px.as_ref().unwrap().value, [1.5, 1.5]);
        assert_eq!(known.voltage_kV.as_ref().unwrap().value, 300.0);
        assert_eq!(known.convergence_mrad.as_ref().unwrap().value, 25.0);
        let mut frames = HostFrames::zeros(info.dtype, info.frame_shape, 6);
        source.read(0, 6, &mut frames, 0).unwrap();
        let read: Vec<u16> = (0..6).flat_map(|f| bytemuck::cast_slice::<u8, u16>(frames.frame_bytes(f)).to_vec()).collect();
        assert_eq!(read, counts);
        assert!(matches!(write_datacube(&path, false, &cube, &counts), Err(Error::Exists { .. })));
    }
}
