//! Structural similarity: how alike two images look.

use rayon::prelude::*;

/// Of the Gaussian window, in pixels, and how far it reaches: 11 pixels in all.
const SIGMA: f64 = 1.5;
const REACH: usize = 5;
const K1: f64 = 0.01;
const K2: f64 = 0.03;

/// The pixels along a side of the window, which an image has to hold.
pub const SSIM_WINDOW: usize = 2 * REACH + 1;

/// The mean structural similarity of two images (y, x) of one shape, −1 to 1 (Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, IEEE Trans. Image Process. 13 (2004) 600, eqs. 13 to 17):
/// the mean over all places where the window lies inside the images of
///
/// (2μ_a·μ_b + C₁)·(2σ_ab + C₂) / ((μ_a² + μ_b² + C₁)·(σ_a² + σ_b² + C₂)),
///
/// with means, variances and covariance under a Gaussian of 1.5 pixels cut to 11 × 11 and normalised, C₁ = (0.01·range)² and C₂ = (0.03·range)². `range` is what values may span; the measure
/// is made for images that begin at 0. `None` where an image is narrower than the window or the range is not above 0.
///
/// # Panics
/// If the images do not have the shape's length.
pub fn ssim(a: &[f64], b: &[f64], shape: [usize; 2], range: f64) -> Option<f64> {
    assert!(a.len() == shape[0] * shape[1] && b.len() == a.len(), "two images of {}×{} pixels", shape[0], shape[1]);
    if shape.iter().any(|&n| n < SSIM_WINDOW) || range.is_nan() || range <= 0.0 {
        return None;
    }
    let products = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).collect::<Vec<_>>();
    let [mean_a, mean_b, aa, bb, ab] =
        [a.to_vec(), b.to_vec(), products(a, a), products(b, b), products(a, b)].map(|image| smoothed(&image, shape));
    let (c1, c2) = ((K1 * range).powi(2), (K2 * range).powi(2));
    let at = |n: usize| {
        let (ma, mb) = (mean_a[n], mean_b[n]);
        let (va, vb, cov) = (aa[n] - ma * ma, bb[n] - mb * mb, ab[n] - ma * mb);
        (2.0 * ma * mb + c1) * (2.0 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
    };
    Some((0..mean_a.len()).map(at).sum::<f64>() / mean_a.len() as f64)
}

/// The means of an image under the window, at all places where it lies inside.
fn smoothed(image: &[f64], [rows, columns]: [usize; 2]) -> Vec<f64> {
    let weight = |k: usize| (-0.5 * ((k as f64 - REACH as f64) / SIGMA).powi(2)).exp();
    let total: f64 = (0..SSIM_WINDOW).map(weight).sum();
    let weights: Vec<f64> = (0..SSIM_WINDOW).map(|k| weight(k) / total).collect();
    let width = columns + 1 - SSIM_WINDOW;
    let along = |row: &[f64]| row.windows(SSIM_WINDOW).map(|w| w.iter().zip(&weights).map(|(v, w)| v * w).sum::<f64>()).collect::<Vec<_>>();
    let lines: Vec<Vec<f64>> = image.par_chunks_exact(columns).map(along).collect();
    let across = |row: usize| (0..width).map(move |x| (row, x));
    (0..rows + 1 - SSIM_WINDOW)
        .flat_map(across)
        .map(|(row, x)| weights.iter().zip(&lines[row..]).map(|(w, line)| w * line[x]).sum())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two images that anyone can draw: waves, and the same with other ones, brighter or darker by `offset`.
    fn pair(shape: [usize; 2], offset: f64) -> [Vec<f64>; 2] {
        let place = |at: usize| ((at / shape[1]) as f64, (at % shape[1]) as f64);
        let first = |y: f64, x: f64| (0.7 * y).sin() * (0.5 * x).cos() + 0.3 * (0.11 * y * x).sin();
        let second = |y: f64, x: f64| 0.8 * (0.7 * y + 0.2).sin() * (0.5 * x).cos() + 0.25 * (1.9 * x - 0.3 * y).cos() + offset;
        let drawn = |f: &dyn Fn(f64, f64) -> f64| (0..shape[0] * shape[1]).map(|at| f(place(at).0, place(at).1)).collect();
        [drawn(&first), drawn(&second)]
    }

    #[test]
    fn the_similarity_is_that_of_scikit_image() {
        // skimage.metrics.structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=range), version 0.26.0.
        let published = [
            ([11, 11], 0.0, 2.0, 0.7968982083371383),
            ([40, 31], 0.1, 2.6, 0.408120144761407),
            ([64, 80], -0.5, 3.0, -0.047700584249680864),
        ];
        for (shape, offset, range, expected) in published {
            let [a, b] = pair(shape, offset);
            let found = ssim(&a, &b, shape, range).unwrap();
            assert!((found - expected).abs() < 1e-12, "{shape:?}: {found}, expected {expected}");
        }
    }

    #[test]
    fn an_image_is_like_itself_and_too_small_a_one_like_nothing() {
        let [a, b] = pair([11, 17], 0.0);
        assert_eq!(ssim(&a, &a, [11, 17], 2.0), Some(1.0));
        assert!(ssim(&a, &b, [11, 17], 2.0).unwrap() < 0.9);
        assert_eq!(ssim(&a[..170], &b[..170], [10, 17], 2.0), None);
        assert_eq!(ssim(&a, &b, [11, 17], 0.0), None);
    }

    proptest! {
        #[test]
        fn the_similarity_is_the_same_either_way_and_within_its_bounds(seed in 0u64..1000, offset in -1.0..1.0f64, range in 0.1..10.0f64) {
            let shape = [11 + (seed % 7) as usize, 12 + (seed % 5) as usize];
            let [a, b] = pair(shape, offset);
            let (there, back) = (ssim(&a, &b, shape, range).unwrap(), ssim(&b, &a, shape, range).unwrap());
            prop_assert!((there - back).abs() < 1e-12 && there.abs() <= 1.0 + 1e-12);
        }
    }
}
