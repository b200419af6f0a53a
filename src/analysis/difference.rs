//! In what two images that lie in one place differ.

/// A constant and a ramp over an image: `constant` in its middle, `slope` (y, x) a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Plane {
    pub constant: f64,
    pub slope: [f64; 2],
}

impl Plane {
    /// The plane nearest to an image (y, x) by least squares.
    ///
    /// # Panics
    /// If the image does not have the shape's length.
    pub fn of(image: &[f64], shape: [usize; 2]) -> Self {
        assert_eq!(image.len(), shape[0] * shape[1], "an image of {}×{} pixels", shape[0], shape[1]);
        let mut sums = [0.0; 3];
        for (at, v) in image.iter().enumerate() {
            let [y, x] = from_middle(at, shape);
            sums.iter_mut().zip([1.0, y, x]).for_each(|(sum, by)| *sum += by * v);
        }
        let count = image.len().max(1) as f64;
        // The squares of 1, y and x over a full grid, on which they are orthogonal.
        let slope = [0, 1].map(|a| {
            let n = shape[a] as f64;
            let squares = count * (n * n - 1.0) / 12.0;
            if squares > 0.0 { sums[a + 1] / squares } else { 0.0 }
        });
        Self { constant: sums[0] / count, slope }
    }

    /// Its value at pixel `at` of an image of `shape`.
    fn at(&self, at: usize, shape: [usize; 2]) -> f64 {
        let [y, x] = from_middle(at, shape);
        self.constant + self.slope[0] * y + self.slope[1] * x
    }
}

fn from_middle(at: usize, shape: [usize; 2]) -> [f64; 2] {
    [(at / shape[1]) as f64 - 0.5 * (shape[0] as f64 - 1.0), (at % shape[1]) as f64 - 0.5 * (shape[1] as f64 - 1.0)]
}

/// An image (y, x) less the plane nearest to it.
///
/// # Panics
/// If the image does not have the shape's length.
pub fn without_plane(image: &[f64], shape: [usize; 2]) -> Vec<f64> {
    let plane = Plane::of(image, shape);
    image.iter().enumerate().map(|(at, v)| v - plane.at(at, shape)).collect()
}

/// What two images may differ in and still be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Free {
    /// Nothing: counts, angles.
    Nothing,
    /// A constant and a ramp: a phase is known but for these.
    Plane,
}

/// In what image a differs from image b.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Pearson's correlation, after the constant (and the ramp, where it is free) of each was removed; 0 where an image has nothing else.
    pub correlation: f64,
    /// √(Σ(a − b − free)²/n), `free` being what is free by least squares.
    pub rms: f64,
    /// The factor g of the least Σ(a − g·b − free)²; `None` where b is 0 but for what is free.
    pub gain: Option<f64>,
    /// √(Σ(a − g·b − free)²/n).
    pub rms_with_gain: f64,
    /// The standard deviation of b, less what is free.
    pub deviation: f64,
    /// What has to be added to b: the plane of a − b, nothing where nothing is free.
    pub free: Plane,
    /// b with it.
    pub levelled: Vec<f64>,
}

impl Difference {
    /// Compares two images (y, x) of one shape.
    ///
    /// # Panics
    /// If the images do not have the shape's length.
    pub fn of(a: &[f64], b: &[f64], shape: [usize; 2], free: Free) -> Self {
        assert!(a.len() == shape[0] * shape[1] && b.len() == a.len(), "two images of {}×{} pixels", shape[0], shape[1]);
        let n = a.len().max(1) as f64;
        let mean_less = |image: &[f64]| {
            let mean = image.iter().sum::<f64>() / n;
            image.iter().map(|v| v - mean).collect::<Vec<f64>>()
        };
        let level = |image: &[f64]| match free {
            Free::Nothing => mean_less(image),
            Free::Plane => without_plane(image, shape),
        };
        let (flat_a, flat_b) = (level(a), level(b));
        let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let [aa, ab, bb] = [product(&flat_a, &flat_a), product(&flat_a, &flat_b), product(&flat_b, &flat_b)];
        let correlation = if aa > 0.0 && bb > 0.0 { (ab / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0) } else { 0.0 };
        let (plane, of_gain) = match free {
            Free::Nothing => (Plane::default(), [a, b]),
            Free::Plane => {
                let apart: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
                (Plane::of(&apart, shape), [&flat_a[..], &flat_b[..]])
            }
        };
        let levelled: Vec<f64> = b.iter().enumerate().map(|(at, v)| v + plane.at(at, shape)).collect();
        let power = product(of_gain[1], of_gain[1]);
        let gain = (power > 0.0).then(|| product(of_gain[0], of_gain[1]) / power);
        let rms = |apart: f64| (apart / n).sqrt();
        let squares = |g: f64| of_gain[0].iter().zip(of_gain[1]).map(|(a, b)| (a - g * b).powi(2)).sum::<f64>();
        Self {
            correlation,
            rms: rms(squares(1.0)),
            gain,
            rms_with_gain: rms(squares(gain.unwrap_or(1.0))),
            deviation: rms(bb),
            free: plane,
            levelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn fresh_rng() -> ChaCha8Rng {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        ChaCha8Rng::seed_from_u64(seed)
    }

    #[test]
    fn a_planted_constant_ramp_and_gain_are_found_and_only_the_noise_is_left() {
        let mut rng = fresh_rng();
        for shape in [[40, 55], [1, 60], [64, 3]] {
            let n = shape[0] * shape[1];
            // Flat but for rounding, so that what is planted is what is found.
            let noise = |rng: &mut ChaCha8Rng| without_plane(&(0..n).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<_>>(), shape);
            let (b, raw) = (noise(&mut rng), noise(&mut rng));
            let along = raw.iter().zip(&b).map(|(x, y)| x * y).sum::<f64>() / b.iter().map(|v| v * v).sum::<f64>();
            let error: Vec<f64> = raw.iter().zip(&b).map(|(x, y)| 0.1 * (x - along * y)).collect();
            let (gain, constant) = (rng.random_range(0.5..2.0), rng.random_range(-3.0..3.0));
            let slope = [0, 1].map(|a| if shape[a] > 1 { rng.random_range(-0.1..0.1) } else { 0.0 });
            let plane = Plane { constant, slope };
            let a: Vec<f64> = (0..n).map(|at| gain * b[at] + error[at] + plane.at(at, shape)).collect();
            let mean_square = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>() / n as f64;
            let found = Difference::of(&a, &b, shape, Free::Plane);
            let (noise, signal) = (mean_square(&error), mean_square(&b));
            // Rounding of sums of some thousand numbers of size 1.
            let near = |x: f64, y: f64| (x - y).abs() < 1e-10;
            assert!(near(found.gain.unwrap(), gain) && near(found.rms_with_gain, noise.sqrt()), "{shape:?}: {found:?}");
            assert!(near(found.rms, (noise + (gain - 1.0).powi(2) * signal).sqrt()), "{shape:?}");
            assert!(
                near(found.correlation, gain * (signal / (gain * gain * signal + noise)).sqrt()) && near(found.deviation, signal.sqrt())
            );
            assert!(near(found.free.constant, constant) && (0..2).all(|i| near(found.free.slope[i], slope[i])), "{:?}", found.free);
            let left: Vec<f64> = a.iter().zip(&found.levelled).map(|(a, b)| a - b).collect();
            assert!(near(mean_square(&left).sqrt(), found.rms), "what was levelled is what was compared");
        }
    }

    #[test]
    fn of_counts_nothing_is_free_and_the_gain_goes_through_zero() {
        let b = [1.0, 2.0, 3.0, 6.0];
        let a = b.map(|v| 2.0 * v);
        let found = Difference::of(&a, &b, [2, 2], Free::Nothing);
        assert_eq!((found.gain, found.rms_with_gain, found.free), (Some(2.0), 0.0, Plane::default()));
        assert!((found.rms - 12.5f64.sqrt()).abs() < 1e-12 && (found.correlation - 1.0).abs() < 1e-12);
        assert_eq!(found.levelled, b);
    }

    #[test]
    fn an_image_of_nothing_correlates_with_nothing() {
        for free in [Free::Nothing, Free::Plane] {
            let found = Difference::of(&[0.5, -0.5, 1.0, 0.0], &[0.0; 4], [2, 2], free);
            assert_eq!((found.correlation, found.gain), (0.0, None), "{free:?}");
        }
    }
}
