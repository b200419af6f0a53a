//! Which part of the stored frames is handed on: scan shape and crops.

use super::error::Error;
use super::{OpenOptions, Result};

/// The part of a stored cube that is handed on, as places in the stored one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// Columns of the whole scan.
    scan_columns: usize,
    /// First row and column of the scan that is handed on.
    scan_first: [usize; 2],
    /// Its rows and columns.
    pub(super) scan: [usize; 2],
    /// First row and column of the detector that is handed on.
    pub(super) first: [usize; 2],
    /// Its rows and columns.
    pub(super) frame: [usize; 2],
    /// The whole detector.
    pub(super) stored_frame: [usize; 2],
}

impl View {
    /// `shape` is the dataset's: 4-D, or 3-D with a scan shape given.
    pub(super) fn new(path: &str, dataset: &str, shape: &[usize], options: &OpenOptions) -> Result<Self> {
        let (path, dataset) = (path.to_owned(), dataset.to_owned());
        let (stored_scan, stored_frame) = match *shape {
            [_, _, _, _] | [_, _, _] if shape.contains(&0) => return Err(Error::Empty { path, dataset, shape: shape.to_vec() }),
            [a, b, y, x] => (Some([a, b]), [y, x]),
            [_, y, x] => (None, [y, x]),
            _ => return Err(Error::Dimensions { path, dataset, shape: shape.to_vec() }),
        };
        let frames = shape[..shape.len() - 2].iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| u32::try_from(n).is_ok());
        let Some(frames) = frames else {
            return Err(Error::TooMany { path, dataset, scan: shape[..shape.len() - 2].to_vec() });
        };
        let scan = match (options.scan_shape, stored_scan) {
            (Some(scan), _) if scan[0].checked_mul(scan[1]) == Some(frames) => scan,
            (Some(shape), _) => return Err(Error::ScanShape { path, dataset, shape, frames, hint: fitting(frames) }),
            (None, Some(scan)) => scan,
            (None, None) => return Err(Error::NeedsScanShape { path, dataset, frames, hint: fitting(frames) }),
        };
        let check = |key, of, crop: Option<[usize; 4]>, shape: [usize; 2]| {
            let crop = crop.unwrap_or([0, shape[0], 0, shape[1]]);
            if crop[0] < crop[1] && crop[1] <= shape[0] && crop[2] < crop[3] && crop[3] <= shape[1] {
                Ok(([crop[0], crop[2]], [crop[1] - crop[0], crop[3] - crop[2]]))
            } else {
                Err(Error::Crop { path: path.clone(), key, of, crop, shape })
            }
        };
        let (scan_first, cropped_scan) = check("data.crop_scan", "scan", options.crop_scan, scan)?;
        let (first, frame) = check("data.crop_detector", "detector", options.crop_detector, stored_frame)?;
        Ok(Self { scan_columns: scan[1], scan_first, scan: cropped_scan, first, frame, stored_frame })
    }

    /// The frame as it is stored of a frame as it is handed on.
    pub(super) fn stored_index(&self, frame: usize) -> usize {
        let (i, j) = (frame / self.scan[1], frame % self.scan[1]);
        (self.scan_first[0] + i) * self.scan_columns + self.scan_first[1] + j
    }

    /// Frames `first..first + count` as runs of stored frames that follow one another: (stored first, count).
    pub(super) fn runs(&self, first: usize, count: usize) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        let (mut at, end) = (first, first + count);
        while at < end {
            let n = (self.scan[1] - at % self.scan[1]).min(end - at);
            let stored = self.stored_index(at);
            match runs.last_mut() {
                Some((s, c)) if *s + *c == stored => *c += n,
                _ => runs.push((stored, n)),
            }
            at += n;
        }
        runs
    }

    /// Are frames handed on with their whole detector?
    pub(super) fn is_whole_frame(&self) -> bool {
        self.frame == self.stored_frame
    }
}

/// `: 64×64, 32×128`: the scan shapes nearest to a square that so many frames fill.
fn fitting(frames: usize) -> String {
    let mut rows = (frames as f64).sqrt() as usize + 1;
    let mut shapes = Vec::new();
    while rows > 0 && shapes.len() < 3 {
        if frames.is_multiple_of(rows) && rows <= frames / rows {
            shapes.push(format!("[{rows}, {}]", frames / rows));
        }
        rows -= 1;
    }
    format!(": {}", shapes.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_are_the_frames_one_by_one(rows in 1usize..9, columns in 1usize..9, cuts in proptest::array::uniform4(0usize..9), part in (0.0..1.0, 0.0..1.0)) {
            let (a, b) = (cuts[0] % rows, cuts[2] % columns);
            let crop = [a, a + 1 + cuts[1] % (rows - a), b, b + 1 + cuts[3] % (columns - b)];
            let options = OpenOptions { crop_scan: Some(crop), ..OpenOptions::default() };
            let view = View::new("f", "d", &[rows, columns, 4, 4], &options).unwrap();
            let frames = view.scan[0] * view.scan[1];
            let first = (part.0 * frames as f64) as usize;
            let count = (part.1 * (frames - first) as f64) as usize;
            let one_by_one: Vec<usize> = (first..first + count).map(|f| {
                let (i, j) = (f / (crop[3] - crop[2]), f % (crop[3] - crop[2]));
                (crop[0] + i) * columns + crop[2] + j
            }).collect();
            let of_runs: Vec<usize> = view.runs(first, count).into_iter().flat_map(|(s, n)| s..s + n).collect();
            prop_assert_eq!(of_runs, one_by_one);
        }
    }

    #[test]
    fn a_wrong_scan_shape_is_told_what_would_fit() {
        let options = OpenOptions { scan_shape: Some([5, 5]), ..OpenOptions::default() };
        let error = View::new("a.h5", "/x", &[24, 8, 8], &options).unwrap_err().to_string();
        assert!(error.contains("needs 25 frames") && error.contains("has 24") && error.contains("[4, 6]"), "{error}");
    }
}
