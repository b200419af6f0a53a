//! Symmetry operations as CIF writes them: "-y, x-y, z+1/3".

/// A place's image: a matrix and a shift, in parts of the cell's edges.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operation {
    matrix: [[f64; 3]; 3],
    shift: [f64; 3],
}

impl Operation {
    pub(super) const IDENTITY: Self = Self { matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], shift: [0.0; 3] };

    /// None where it is not one.
    pub(super) fn read(text: &str) -> Option<Self> {
        if !text.is_ascii() {
            return None;
        }
        let mut operation = Self { matrix: [[0.0; 3]; 3], shift: [0.0; 3] };
        let mut parts = text.split(',');
        for axis in 0..3 {
            let part: String = parts.next()?.chars().filter(|c| !c.is_whitespace()).collect();
            operation.axis(axis, &part.to_ascii_lowercase())?;
        }
        let [a, b, c] = operation.matrix;
        let volume = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0]);
        // A symmetry keeps the cell's volume.
        (parts.next().is_none() && (volume.abs() - 1.0).abs() < 1e-9).then_some(operation)
    }

    /// One of the three sums of ±x, ±y, ±z and numbers.
    fn axis(&mut self, axis: usize, part: &str) -> Option<()> {
        let mut rest = part;
        while !rest.is_empty() {
            let (sign, unsigned) = match rest.split_at(1) {
                ("+", unsigned) => (1.0, unsigned),
                ("-", unsigned) => (-1.0, unsigned),
                // Only the first term may do without a sign.
                _ if rest.len() == part.len() => (1.0, rest),
                _ => return None,
            };
            let (term, behind) = unsigned.split_at(unsigned.find(['+', '-']).unwrap_or(unsigned.len()));
            match term {
                "x" => self.matrix[axis][0] += sign,
                "y" => self.matrix[axis][1] += sign,
                "z" => self.matrix[axis][2] += sign,
                _ => self.shift[axis] += sign * fraction(term)?,
            }
            rest = behind;
        }
        (!part.is_empty()).then_some(())
    }

    /// This operation after another one.
    pub(super) fn after(&self, other: &Self) -> Self {
        let column = |m: usize| [0, 1, 2].map(|n| other.matrix[n][m]);
        let turned = [0, 1, 2].map(|m| self.turn(column(m)));
        Self { matrix: [0, 1, 2].map(|n| [0, 1, 2].map(|m| turned[m][n])), shift: self.apply(other.shift) }
    }

    /// Whether both are one operation but for whole cells; shifts may have been written with three digits.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let shift = |n: usize| self.shift[n] - other.shift[n];
        self.matrix == other.matrix && (0..3).all(|n| (shift(n) - shift(n).round()).abs() < 3e-3)
    }

    fn turn(&self, at: [f64; 3]) -> [f64; 3] {
        self.matrix.map(|row| (0..3).map(|m| row[m] * at[m]).sum())
    }

    pub(super) fn apply(&self, at: [f64; 3]) -> [f64; 3] {
        let turned = self.turn(at);
        [0, 1, 2].map(|n| self.shift[n] + turned[n])
    }
}

/// "1/2" or "0.5".
fn fraction(term: &str) -> Option<f64> {
    let plain = |text: &str| text.bytes().all(|c| c.is_ascii_digit() || c == b'.').then(|| text.parse::<f64>().ok()).flatten();
    match term.split_once('/') {
        Some((above, below)) => plain(above).zip(plain(below)).filter(|&(_, below)| below > 0.0).map(|(above, below)| above / below),
        None => plain(term),
    }
}
