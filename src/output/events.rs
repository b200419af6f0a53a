//! Counted electrons as stempy writes them, an entry an electron; `data` reads them back and says how they lie.

use std::path::{Path, PathBuf};

use hdf5::types::VarLenArray;

use super::datacube::Datacube;
use super::result::create_file;
use super::{Attr, Claim, Error, Result, hdf};

/// Lists that are handed to HDF5 at once.
const TOGETHER: usize = 256;

/// Lists of electrons that are being written, frame by frame in scan order. The file appears in its place with [`EventsWriter::finish`]; dropped, it leaves nothing.
pub struct EventsWriter {
    // Before the claim: HDF5 closes the file first, then the claim removes it.
    file: hdf5::File,
    dataset: hdf5::Dataset,
    claim: Claim,
    cube: Datacube,
    frames: usize,
}

impl EventsWriter {
    /// Claims `path`, which must not exist unless `force` is given.
    ///
    /// # Errors
    /// If the cube has no frames or pixels, or the file cannot be written.
    pub fn create(path: &Path, force: bool, cube: &Datacube) -> Result<Self> {
        cube.check()?;
        let claim = Claim::new(path, force)?;
        let begin = || -> hdf5::Result<(hdf5::File, hdf5::Dataset)> {
            let file = create_file(&claim)?;
            let group = hdf::create_group(&file, "electron_events")?;
            for (name, value) in [
                ("voltage_kV", cube.voltage_kV),
                ("convergence_mrad", cube.convergence_mrad),
                ("step_y_A", cube.step_A[0]),
                ("step_x_A", cube.step_A[1]),
                ("mrad_per_px", cube.mrad_per_px),
            ] {
                hdf::write_attr(&group, name, &Attr::Number(value))?;
            }
            let count = cube.scan_shape[0] * cube.scan_shape[1];
            let dataset =
                group.new_dataset::<VarLenArray<u32>>().obj_track_times(false).chunk([count.min(1024)]).shape([count]).create("frames")?;
            let positions: Vec<u32> = (0..count as u32).collect();
            let scan = group.new_dataset::<u32>().obj_track_times(false).shape([count]).create("scan_positions")?;
            scan.write_raw(&positions)?;
            for (at, [rows, columns]) in [(&dataset, cube.frame_shape), (&scan, cube.scan_shape)] {
                hdf::write_attr(at, "Nx", &Attr::Integer(rows as i64))?;
                hdf::write_attr(at, "Ny", &Attr::Integer(columns as i64))?;
            }
            Ok((file, dataset))
        };
        let (file, dataset) = begin().map_err(|error| Error::write_hdf(path, &error))?;
        Ok(Self { file, dataset, claim, cube: cube.clone(), frames: 0 })
    }

    /// Writes the electrons of the next frames, row-major.
    ///
    /// # Errors
    /// If they are not whole frames or more than the scan has, or the file cannot be written.
    pub fn frames(&mut self, counts: &[u16]) -> Result<()> {
        let pixels = self.cube.frame_shape[0] * self.cube.frame_shape[1];
        let (count, wanted) = (counts.len() / pixels, self.cube.scan_shape[0] * self.cube.scan_shape[1]);
        if counts.len() != count * pixels || self.frames + count > wanted {
            let reason = format!("{} numbers follow {} of {wanted} frames", counts.len(), self.frames);
            return Err(Error::array("electron_events", reason));
        }
        for frames in counts.chunks(TOGETHER * pixels) {
            let lists: Vec<VarLenArray<u32>> = frames
                .chunks_exact(pixels)
                .map(|frame| {
                    let electrons = frame.iter().enumerate().flat_map(|(pixel, &n)| std::iter::repeat_n(pixel as u32, usize::from(n)));
                    VarLenArray::from_slice(&electrons.collect::<Vec<_>>())
                })
                .collect();
            let end = self.frames + lists.len();
            let written = self.dataset.write_slice(&ndarray::Array1::from(lists), self.frames..end);
            written.map_err(|error| Error::write_hdf(self.claim.path(), &error))?;
            self.frames = end;
        }
        Ok(())
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// If frames are missing, or the file cannot be written.
    pub fn finish(self) -> Result<PathBuf> {
        let wanted = self.cube.scan_shape[0] * self.cube.scan_shape[1];
        if self.frames != wanted {
            return Err(Error::array("electron_events", format!("it has {} of {wanted} frames", self.frames)));
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

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::compute::HostFrames;

    #[test]
    fn electrons_read_back_as_the_counts_that_they_were_with_their_calibration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.h5");
        let cube = Datacube {
            scan_shape: [20, 15],
            frame_shape: [6, 8],
            step_A: [0.4, 0.5],
            mrad_per_px: 1.5,
            voltage_kV: 300.0,
            convergence_mrad: 25.0,
            deflate: 1,
        };
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        let counts: Vec<u16> = (0..300 * 48).map(|_| if rng.random_bool(0.2) { rng.random_range(0..5) } else { 0 }).collect();
        let mut writer = EventsWriter::create(&path, false, &cube).unwrap();
        writer.frames(&counts[..48 * 7]).unwrap();
        writer.frames(&counts[48 * 7..]).unwrap();
        assert!(writer.frames(&counts[..48]).unwrap_err().to_string().contains("300 of 300 frames"));
        writer.finish().unwrap();
        let source = crate::data::open(&path, &crate::data::OpenOptions::default()).unwrap();
        let info = source.info();
        assert_eq!((info.scan_shape, info.frame_shape, info.format.as_str()), ([20, 15], [6, 8], "stempy electron events"));
        let known = &info.calibration;
        assert_eq!(known.step_A.as_ref().unwrap().value, [0.4, 0.5]);
        assert_eq!(known.mrad_per_px.as_ref().unwrap().value, [1.5; 2]);
        assert_eq!([known.voltage_kV.as_ref().unwrap().value, known.convergence_mrad.as_ref().unwrap().value], [300.0, 25.0]);
        let mut frames = HostFrames::zeros(info.dtype, info.frame_shape, 300);
        source.read(0, 300, &mut frames, 0).unwrap();
        let read: Vec<u16> = (0..300).flat_map(|f| bytemuck::cast_slice::<u8, u16>(frames.frame_bytes(f)).to_vec()).collect();
        assert_eq!(read, counts);
    }
}
