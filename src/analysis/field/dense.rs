//! Small systems of linear equations.

/// The inverse of a symmetric, positive definite matrix of `n` rows by its Cholesky factor; `None` where it is not positive definite.
pub(super) fn inverse(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    // Scaled to a diagonal of 1, so that units do not decide what is singular.
    let scale: Vec<f64> = (0..n).map(|i| matrix[i * n + i].sqrt().recip()).collect();
    if scale.iter().any(|s| !s.is_finite()) {
        return None;
    }
    let scaled: Vec<f64> = (0..n * n).map(|ij| matrix[ij] * scale[ij / n] * scale[ij % n]).collect();
    let mut factor = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| factor[i * n + k] * factor[j * n + k]).sum();
            let rest = scaled[i * n + j] - known;
            factor[i * n + j] = if i == j {
                if rest < 1e-12 {
                    return None;
                }
                rest.sqrt()
            } else {
                rest / factor[j * n + j]
            };
        }
    }
    // Column by column: L·y = e, Lᵀ·x = y.
    let mut inverse = vec![0.0; n * n];
    for column in 0..n {
        let mut x = vec![0.0; n];
        for i in column..n {
            let known: f64 = (column..i).map(|k| factor[i * n + k] * x[k]).sum();
            x[i] = (f64::from(u8::from(i == column)) - known) / factor[i * n + i];
        }
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|k| factor[k * n + i] * x[k]).sum();
            x[i] = (x[i] - known) / factor[i * n + i];
        }
        (0..n).for_each(|i| inverse[i * n + column] = x[i] * scale[i] * scale[column]);
    }
    Some(inverse)
}

/// A matrix of `n` columns times a vector.
pub(super) fn times(matrix: &[f64], n: usize, vector: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(n.max(1)).map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum()).collect()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::super::testing::fresh_rng;
    use super::*;

    #[test]
    fn an_inverse_times_its_matrix_is_the_identity_and_a_singular_matrix_has_none() {
        let mut rng = fresh_rng();
        let n = 7;
        let root: Vec<f64> = (0..n * n).map(|_| rng.random_range(-1.0..1.0)).collect();
        let mut matrix: Vec<f64> = (0..n * n).map(|at| (0..n).map(|k| root[at / n * n + k] * root[at % n * n + k]).sum::<f64>()).collect();
        (0..n).for_each(|i| matrix[i * n + i] += 0.5);
        let inverted = inverse(&matrix, n).unwrap();
        for column in 0..n {
            let product = times(&matrix, n, &(0..n).map(|i| inverted[i * n + column]).collect::<Vec<_>>());
            // Rounding times a condition of some hundreds.
            assert!((0..n).all(|i| (product[i] - f64::from(u8::from(i == column))).abs() < 1e-11));
        }
        assert!(inverse(&[1.0, 1.0, 1.0, 1.0], 2).is_none());
    }
}
