//! Where the probe stood: the scan grid, and the two frames that images lie in.

/// A regular scan and how it lies on the detector's axes.
///
/// The (row, col) of scan position (i, j) in the object's frame is R(rotation)·(i′, j′)·step with R = [[cos, −sin], [sin, cos]] and
/// (i′, j′) = (j, i) if transposed, else (i, j). The step belongs to the scan axes (i, j).
#[derive(Debug, Clone, PartialEq)]
pub struct ScanGrid {
    /// (i, j), slow axis first.
    pub shape: [usize; 2],
    /// (i, j).
    pub step_A: [f64; 2],
    pub rotation_deg: f64,
    pub transpose: bool,
}

impl ScanGrid {
    /// The matrix that turns a vector (i, j) in Å along the scan into (row, col) in Å in the object's frame.
    pub fn scan_to_object(&self) -> [[f64; 2]; 2] {
        let (sin, cos) = self.rotation_deg.to_radians().sin_cos();
        if self.transpose { [[-sin, cos], [cos, sin]] } else { [[cos, -sin], [sin, cos]] }
    }

    /// Its inverse, which is its transpose.
    pub fn object_to_scan(&self) -> [[f64; 2]; 2] {
        let [[a, b], [c, d]] = self.scan_to_object();
        [[a, c], [b, d]]
    }

    /// The positions in scan order, (row, col) in Å in the object's frame, the first at (0, 0).
    pub fn positions_A(&self) -> Vec<[f64; 2]> {
        let matrix = self.scan_to_object();
        let [rows, cols] = self.shape;
        (0..rows)
            .flat_map(|i| (0..cols).map(move |j| [i as f64, j as f64]))
            .map(|[i, j]| apply(matrix, [i * self.step_A[0], j * self.step_A[1]]))
            .collect()
    }
}

/// The product of a matrix and a vector.
pub fn apply(matrix: [[f64; 2]; 2], vector: [f64; 2]) -> [f64; 2] {
    matrix.map(|row| row[0] * vector[0] + row[1] * vector[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_follow_the_written_convention() {
        let mut scan = ScanGrid { shape: [2, 3], step_A: [2.0, 3.0], rotation_deg: 90.0, transpose: false };
        let near = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs() < 1e-12 && (a[1] - b[1]).abs() < 1e-12;
        assert!(near(scan.positions_A()[3], [0.0, 2.0]), "one slow step is turned from row to column");
        assert!(near(scan.positions_A()[1], [-3.0, 0.0]), "one fast step is turned from column to minus row");
        scan.rotation_deg = 0.0;
        scan.transpose = true;
        assert!(near(scan.positions_A()[3], [0.0, 2.0]), "transposed, a slow step runs along the columns");
    }

    #[test]
    fn the_two_frames_are_inverse_to_each_other() {
        for transpose in [false, true] {
            let scan = ScanGrid { shape: [1, 1], step_A: [1.0, 1.0], rotation_deg: 33.0, transpose };
            let there = apply(scan.scan_to_object(), [0.3, -0.7]);
            let back = apply(scan.object_to_scan(), there);
            assert!((back[0] - 0.3).abs() < 1e-12 && (back[1] + 0.7).abs() < 1e-12);
        }
    }
}
