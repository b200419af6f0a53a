//! Counted electrons as stempy writes them: of each frame a list of the pixels that they fell on.
//!
//! `/electron_events/frames` has a row of variable length a frame (or rows of several exposures along a second axis); a number y·Ny + x is an electron in row y and column x, and one that comes twice is two.
//! Attributes Nx and Ny are the rows and columns of the detector, and on `scan_positions`, which holds the position of each row, those of the scan
//! (<https://github.com/OpenChemistry/stempy>).

use std::path::Path;

use hdf5::types::{TypeDescriptor, VarLenArray};
use hdf5::{Dataset, File, Group};

use super::scalar;
use crate::compute::{HostFrames, SampleType};
use crate::data::error::Error;
use crate::data::view::View;
use crate::data::{Calibration, CubeInfo, FrameSource, Known, OpenOptions, Result, check_request};

const GROUP: &str = "electron_events";
const FRAMES: &str = "/electron_events/frames";
/// Detectors wider than this are taken for a damaged header.
const SIDE: usize = 16384;
/// Rows that are read at once.
const TOGETHER: usize = 1024;

/// Lists of electrons as a source of frames.
pub(super) struct Events {
    info: CubeInfo,
    path: String,
    view: View,
    dataset: Dataset,
    /// (position, row), by positions.
    rows: Vec<(u32, u32)>,
}

impl Events {
    /// The events of a file; `None` where it holds none, or another dataset is named.
    pub(super) fn open(path: &Path, file: &File, options: &OpenOptions) -> Result<Option<Self>> {
        let named = options.dataset.as_ref().map(|name| format!("/{}", name.trim_matches('/')));
        if named.is_some_and(|name| name != FRAMES) {
            return Ok(None);
        }
        let Ok(dataset) = file.dataset(FRAMES) else { return Ok(None) };
        if !dataset.dtype().and_then(|t| t.to_descriptor()).is_ok_and(|t| matches!(t, TypeDescriptor::VarLenArray(_))) {
            return Ok(None);
        }
        let shown = path.display().to_string();
        let failed = |e: hdf5::Error| Error::Hdf5 { path: shown.clone(), reason: format!("dataset {FRAMES}: {e}") };
        let group = file.group(GROUP).map_err(failed)?;
        let extents = |at: &hdf5::Location, whose: &str| {
            let number =
                |name: &str| at.attr(name).ok().and_then(|a| scalar::number(&a)).filter(|n| *n >= 1.0 && *n <= f64::from(u32::MAX));
            match (number("Nx"), number("Ny")) {
                (Some(rows), Some(columns)) => Ok([rows as usize, columns as usize]),
                _ => {
                    let reason = format!("{whose} does not say its rows and columns in attributes Nx and Ny");
                    Err(Error::Hdf5 { path: shown.clone(), reason })
                }
            }
        };
        let frame = extents(&dataset, FRAMES)?;
        let positions = group.dataset("scan_positions").map_err(failed)?;
        let scan = extents(&positions, "/electron_events/scan_positions")?;
        let implausible = |what: String| {
            let file_bytes = std::fs::metadata(path).map_or(0, |m| m.len());
            Err(Error::Implausible { path: shown.clone(), dataset: FRAMES.into(), what, file_bytes })
        };
        if frame.iter().any(|&n| n > SIDE) {
            return implausible(format!("frames of {}×{} pixels", frame[0], frame[1]));
        }
        let stored_shape = vec![scan[0], scan[1], frame[0], frame[1]];
        let view = View::new(&shown, FRAMES, &stored_shape, options)?;
        let (lists, exposures) = match dataset.shape()[..] {
            [lists] => (lists, 1),
            [frames, exposures] => (frames * exposures, exposures),
            _ => return implausible(format!("lists of {} dimensions", dataset.ndim())),
        };
        let count = scan[0] * scan[1];
        if lists > u32::MAX as usize || lists < count {
            return implausible(format!("{lists} lists of electrons for {count} frames"));
        }
        let given: Vec<u64> = positions.read_raw().map_err(failed)?;
        let position = |row: usize| given.get(row / exposures).map_or((row / exposures) as u64, |p| *p);
        let mut rows = Vec::with_capacity(lists);
        for row in 0..lists {
            match u32::try_from(position(row)) {
                Ok(position) if (position as usize) < count => rows.push((position, row as u32)),
                _ => return implausible(format!("a frame at scan position {} of {count}", position(row))),
            }
        }
        rows.sort_unstable();
        let info = CubeInfo {
            path: path.to_owned(),
            format: "stempy electron events".to_owned(),
            dataset: FRAMES.to_owned(),
            stored_shape,
            scan_shape: view.scan,
            frame_shape: view.frame,
            stored_dtype: "electrons, one number each".to_owned(),
            dtype: SampleType::U16,
            chunks: None,
            filters: Vec::new(),
            calibration: calibration(&group),
        };
        Ok(Some(Self { info, path: shown, view, dataset, rows }))
    }

    /// Adds the electrons of list `row` to a frame.
    fn put(&self, row: u32, list: &[u64], frame: &mut [u8]) -> std::result::Result<(), String> {
        let ([height, width], [first_y, first_x], [rows, columns]) = (self.view.stored_frame, self.view.first, self.view.frame);
        let row_bytes = 4 * HostFrames::row_words(self.info.dtype, columns);
        for &electron in list {
            if electron >= (height * width) as u64 {
                return Err(format!("list {row} has an electron in pixel {electron}, and a frame has {}", height * width));
            }
            let (y, x) = ((electron as usize / width).wrapping_sub(first_y), (electron as usize % width).wrapping_sub(first_x));
            if y < rows && x < columns {
                let pixel = &mut frame[y * row_bytes + 2 * x..][..2];
                let count = u16::from_ne_bytes([pixel[0], pixel[1]]).checked_add(1);
                let Some(count) = count else { return Err(format!("list {row} has more than 65535 electrons in pixel {electron}")) };
                pixel.copy_from_slice(&count.to_ne_bytes());
            }
        }
        Ok(())
    }

    /// Lists of consecutive rows.
    fn lists(&self, rows: std::ops::Range<usize>) -> hdf5::Result<Vec<VarLenArray<u64>>> {
        match self.dataset.shape()[..] {
            [_, exposures] => {
                let (first, end) = (rows.start / exposures, rows.end.div_ceil(exposures));
                let read = self.dataset.read_slice_2d::<VarLenArray<u64>, _>((first..end, ..))?;
                Ok(read.into_iter().skip(rows.start - first * exposures).take(rows.len()).collect())
            }
            _ => Ok(self.dataset.read_slice_1d::<VarLenArray<u64>, _>(rows)?.to_vec()),
        }
    }
}

impl FrameSource for Events {
    fn info(&self) -> &CubeInfo {
        &self.info
    }

    fn read(&self, first: usize, count: usize, out: &mut HostFrames, at: usize) -> Result<()> {
        check_request(&self.info, first, count, out, at)?;
        let mut done = 0;
        for (stored, count) in self.view.runs(first, count) {
            let place = |position: usize| self.rows.partition_point(|r| (r.0 as usize) < position);
            (done..done + count).for_each(|n| out.frame_bytes_mut(at + n).fill(0));
            let rows = &self.rows[place(stored)..place(stored + count)];
            let failed = |reason: String| Error::Read {
                path: self.path.clone(),
                dataset: FRAMES.into(),
                first: first + done,
                last: first + done + count - 1,
                reason,
            };
            for run in rows.chunk_by(|a, b| b.1 == a.1 + 1).flat_map(|run| run.chunks(TOGETHER)) {
                let from = run[0].1 as usize;
                let lists = self.lists(from..from + run.len()).map_err(|e| failed(e.to_string()))?;
                for (&(position, row), list) in run.iter().zip(&lists) {
                    let to = at + done + position as usize - stored;
                    self.put(row, list, out.frame_bytes_mut(to)).map_err(failed)?;
                }
            }
            done += count;
        }
        Ok(())
    }

    fn preferred_run(&self) -> usize {
        self.view.scan[1]
    }
}

/// What attributes of the group say in names that carry their units, as ronchi writes them; stempy says nothing.
fn calibration(group: &Group) -> Calibration {
    let number = |name: &str| group.attr(name).ok().and_then(|a| scalar::number(&a)).filter(|n| n.is_finite() && *n > 0.0);
    let known = |name: &str| number(name).map(|value| Known { value, origin: format!("attribute `{name}` of /{GROUP}") });
    let both = |y: &str, x: &str| {
        let (y, x) = (known(y)?, known(x)?);
        Some(Known { value: [y.value, x.value], origin: y.origin })
    };
    Calibration {
        voltage_kV: known("voltage_kV"),
        convergence_mrad: known("convergence_mrad"),
        step_A: both("step_y_A", "step_x_A"),
        mrad_per_px: both("mrad_per_px", "mrad_per_px"),
        ..Calibration::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path, shape: &[usize], positions: &[u32], lists: &[&[u32]], nx: u32) {
        let file = File::create(path).unwrap();
        let group = file.create_group(GROUP).unwrap();
        let frames = group.new_dataset::<VarLenArray<u32>>().shape(shape).create("frames").unwrap();
        let lists: Vec<VarLenArray<u32>> = lists.iter().map(|l| VarLenArray::from_slice(l)).collect();
        frames.write_raw(&lists).unwrap();
        let scan = group.new_dataset::<u32>().shape([positions.len()]).create("scan_positions").unwrap();
        scan.write_raw(positions).unwrap();
        for (at, x, y) in [(&frames, nx, 4u32), (&scan, 2, 2)] {
            at.new_attr::<u32>().create("Nx").unwrap().write_scalar(&x).unwrap();
            at.new_attr::<u32>().create("Ny").unwrap().write_scalar(&y).unwrap();
        }
    }

    fn frames(path: &Path, options: &OpenOptions) -> Vec<Vec<u16>> {
        let source = crate::data::open(path, options).unwrap();
        let mut out = HostFrames::zeros(SampleType::U16, source.info().frame_shape, source.info().frames());
        // What was there before must not stay.
        out.words.fill(u32::MAX);
        source.read(0, out.count, &mut out, 0).unwrap();
        let [rows, columns] = out.shape;
        let row_bytes = 4 * HostFrames::row_words(out.dtype, columns);
        (0..out.count)
            .map(|f| {
                let bytes = out.frame_bytes(f);
                (0..rows * columns)
                    .map(|p| {
                        let at = p / columns * row_bytes + 2 * (p % columns);
                        u16::from_ne_bytes([bytes[at], bytes[at + 1]])
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn electrons_are_counted_where_they_fell_whether_rows_are_in_order_or_say_their_positions() {
        let folder = tempfile::tempdir().unwrap();
        let expected = [vec![0; 12], vec![0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], vec![0; 12], vec![1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]];
        let lists: [&[u32]; 4] = [&[], &[1, 11, 1], &[], &[0, 5]];
        let path = folder.path().join("plain.h5");
        file(&path, &[4], &[0, 1, 2, 3], &lists, 3);
        let whole = OpenOptions::default();
        assert_eq!(frames(&path, &whole), expected);
        let cropped = OpenOptions { crop_scan: Some([0, 2, 1, 2]), crop_detector: Some([0, 2, 1, 4]), ..OpenOptions::default() };
        assert_eq!(frames(&path, &cropped), [vec![2, 0, 0, 0, 0, 0], vec![0, 0, 0, 1, 0, 0]]);
        // Two exposures a position, and rows of positions in any order.
        let path = folder.path().join("exposures.h5");
        file(&path, &[4, 2], &[0, 1, 2, 3], &[&[], &[], &[11, 1], &[1], &[], &[], &[5], &[0]], 3);
        assert_eq!(frames(&path, &whole), expected);
        let path = folder.path().join("mixed.h5");
        file(&path, &[5], &[3, 1, 0, 1, 2], &[&[0, 5], &[1], &[], &[11, 1], &[]], 3);
        assert_eq!(frames(&path, &whole), expected);
    }

    #[test]
    fn lists_that_cannot_be_are_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.h5");
        let refusal = |path: &Path| match crate::data::open(path, &OpenOptions::default()) {
            Err(error) => error.to_string(),
            Ok(source) => {
                let mut out = HostFrames::zeros(SampleType::U16, source.info().frame_shape, 4);
                source.read(0, 4, &mut out, 0).unwrap_err().to_string()
            }
        };
        file(&path, &[4], &[0, 1, 2, 3], &[&[], &[12], &[], &[]], 3);
        assert!(refusal(&path).contains("list 1 has an electron in pixel 12"), "{}", refusal(&path));
        file(&path, &[4], &[0, 1, 2, 4], &[&[], &[], &[], &[]], 3);
        assert!(refusal(&path).contains("scan position 4 of 4"), "{}", refusal(&path));
        file(&path, &[3], &[0, 1, 2], &[&[], &[], &[]], 3);
        assert!(refusal(&path).contains("3 lists of electrons for 4 frames"), "{}", refusal(&path));
        file(&path, &[4], &[0, 1, 2, 3], &[&[], &[], &[], &[]], 3_000_000);
        assert!(refusal(&path).contains("3000000×4 pixels"), "{}", refusal(&path));
    }
}
