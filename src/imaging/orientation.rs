//! How the scan lies in the detector's (= the object's) frame.

/// Scan position (i, j) sits in the object's frame at (row, col) = R(rotation)·S·(i·step_y, j·step_x), where S swaps the two if
/// `transpose` and R = [[cos, −sin], [sin, cos]]: the step belongs to the scan's own axes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Orientation {
    pub rotation_deg: f64,
    pub transpose: bool,
}

impl Orientation {
    /// Takes a vector (y, x) of the scan's frame into the object's: R·S·v.
    pub fn to_object(self, v: [f64; 2]) -> [f64; 2] {
        let [y, x] = if self.transpose { [v[1], v[0]] } else { v };
        let (sin, cos) = self.rotation_deg.to_radians().sin_cos();
        [cos * y - sin * x, sin * y + cos * x]
    }

    /// Takes a vector (y, x) of the object's frame, such as a centre of mass, into the scan's: (R·S)ᵀ·v.
    ///
    /// With an image f_scan(u) = f(R·S·u), ∇f_scan = (R·S)ᵀ·∇f; R·S is orthogonal (its determinant is −1 if `transpose`).
    pub fn to_scan(self, v: [f64; 2]) -> [f64; 2] {
        let (sin, cos) = self.rotation_deg.to_radians().sin_cos();
        let [y, x] = [cos * v[0] + sin * v[1], cos * v[1] - sin * v[0]];
        if self.transpose { [x, y] } else { [y, x] }
    }
}
