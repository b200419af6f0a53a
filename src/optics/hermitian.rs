//! Eigenvalues of small Hermitian matrices, such as the overlaps of a probe's modes.

use num_complex::Complex64;

/// Sweeps after which the off-diagonal is what rounding leaves, whatever the matrix: they converge quadratically, and six serve for 16 × 16.
const SWEEPS: usize = 40;

/// The eigenvalues of a Hermitian matrix, largest first, with their orthonormal eigenvectors.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Eigen {
    pub(crate) values: Vec<f64>,
    /// (eigenvalue, component).
    pub(crate) vectors: Vec<Vec<Complex64>>,
}

/// The eigenvalues of the Hermitian `matrix` (row, column) by Jacobi's rotations, row by row (G. E. Forsythe and P. Henrici, Trans. Am.
/// Math. Soc. 94 (1960) 1).
///
/// Of a diagonal matrix with falling values the vectors are the axes.
pub(crate) fn eigen(matrix: &[Vec<Complex64>]) -> Eigen {
    let n = matrix.len();
    let mut a = matrix.to_vec();
    let mut vectors: Vec<Vec<Complex64>> = (0..n).map(|i| (0..n).map(|j| Complex64::from(f64::from(u8::from(i == j)))).collect()).collect();
    let size: f64 = matrix.iter().flatten().map(Complex64::norm_sqr).sum();
    for _ in 0..SWEEPS {
        let left: f64 = (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q))).map(|(p, q)| a[p][q].norm_sqr()).sum();
        if left <= f64::EPSILON * f64::EPSILON * size {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut vectors, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j][j].re.total_cmp(&a[i][i].re));
    Eigen { values: order.iter().map(|&i| a[i][i].re).collect(), vectors: order.iter().map(|&i| vectors[i].clone()).collect() }
}

/// Turns axes `p` and `q` such that a[p][q] is 0: p′ = c·p − s·e^{−iθ}·q and q′ = s·e^{iθ}·p + c·q, θ being the phase of a[p][q].
fn rotate(a: &mut [Vec<Complex64>], vectors: &mut [Vec<Complex64>], p: usize, q: usize) {
    let size = a[p][q].norm();
    if size == 0.0 {
        return;
    }
    let phase = a[p][q] / size;
    let tau = (a[q][q].re - a[p][p].re) / (2.0 * size);
    // The smaller of the two angles that do it.
    let tan = tau.signum() / (tau.abs() + tau.hypot(1.0));
    let cos = 1.0 / tan.hypot(1.0);
    let sin = phase * (tan * cos);
    let turn = |x: Complex64, y: Complex64, sin: Complex64| (x * cos - sin.conj() * y, sin * x + y * cos);
    for row in a.iter_mut() {
        (row[p], row[q]) = turn(row[p], row[q], sin);
    }
    for k in 0..a.len() {
        (a[p][k], a[q][k]) = turn(a[p][k], a[q][k], sin.conj());
        (vectors[p][k], vectors[q][k]) = turn(vectors[p][k], vectors[q][k], sin);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn complexes(n: usize) -> impl Strategy<Value = Vec<Complex64>> {
        prop::collection::vec((-1.0..1.0f64, -1.0..1.0f64).prop_map(|(re, im)| Complex64::new(re, im)), n)
    }

    fn product(a: &[Complex64], b: &[Complex64]) -> Complex64 {
        a.iter().zip(b).map(|(a, b)| a.conj() * b).sum()
    }

    proptest! {
        #[test]
        fn each_vector_is_only_stretched_by_the_matrix_and_they_are_orthonormal(n in 1usize..17, random in complexes(256)) {
            let matrix: Vec<Vec<_>> = (0..n).map(|i| (0..n).map(|j| random[i * 16 + j] + random[j * 16 + i].conj()).collect()).collect();
            let Eigen { values, vectors } = eigen(&matrix);
            prop_assert!(values.is_sorted_by(|a, b| a >= b));
            for (i, v) in vectors.iter().enumerate() {
                for (row, x) in matrix.iter().zip(v) {
                    let stretched: Complex64 = row.iter().zip(v).map(|(a, x)| a * x).sum();
                    // Rounding of f64 over a few hundred rotations of matrices of norm below 50.
                    prop_assert!((stretched - x * values[i]).norm() < 1e-12);
                }
                for (j, w) in vectors.iter().enumerate() {
                    prop_assert!((product(v, w) - f64::from(u8::from(i == j))).norm() < 1e-13);
                }
            }
        }
    }

    #[test]
    fn equal_values_and_zeros_are_no_trouble() {
        let one = Complex64::from(1.0);
        // All ones: 3 and twice 0.
        let Eigen { values, vectors } = eigen(&vec![vec![one; 3]; 3]);
        assert!((values[0] - 3.0).abs() < 1e-14 && values[1].abs() < 1e-14 && values[2].abs() < 1e-14);
        assert!((vectors[0][0].norm_sqr() - 1.0 / 3.0).abs() < 1e-14);
        assert_eq!(eigen(&vec![vec![Complex64::ZERO; 3]; 3]).values, [0.0; 3]);
        assert!(eigen(&[]).values.is_empty());
    }
}
