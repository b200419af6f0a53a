//! What an iteration has to move and to compute at least, by formulas that a report can be checked with.
//!
//! P patterns of n pixels in batches, S slices, M modes, an object of O pixels a slice. The probe is refined. Complex numbers are 8 bytes (two f32), real ones 4.

/// The size of an iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) patterns: u64,
    pub(super) batch: u64,
    pub(super) slices: u64,
    pub(super) modes: u64,
    /// Of a window.
    pub(super) pixels: u64,
    /// Of a slice.
    pub(super) object: u64,
    /// Of a count, in bytes.
    pub(super) sample_bytes: u64,
}

const COMPLEX: u64 = 8;
const REAL: u64 = 4;

impl Size {
    /// The patterns of each batch.
    fn batches(&self) -> impl Iterator<Item = u64> {
        let Self { patterns, batch, .. } = *self;
        (0..patterns.div_ceil(batch)).map(move |n| batch.min(patterns - n * batch))
    }

    /// The pixels of a slice that a batch of b patterns can touch at most: min(O, b·n).
    fn touched(&self, batch: u64) -> u64 {
        self.object.min(batch * self.pixels)
    }

    /// The least bytes of an iteration, each thing taken once:
    ///
    /// - each pattern: P·n·(bytes of a count);
    /// - ψ and Δψ of each slice and mode: P·S·M·n·(8 + 8);
    /// - in each batch of b patterns, of the T = min(O, b·n) pixels that it touches in each slice, the object (8), the numerator (8) and the denominator (4) of its update: S·T·20;
    /// - in each batch the probe (8) and the numerator (8) of its update, M·n·16, and the one denominator, n·4.
    ///
    /// Over the copy bandwidth this is the floor of the time.
    pub(super) fn least_bytes(&self) -> u64 {
        let Self { patterns, slices, modes, pixels, sample_bytes, .. } = *self;
        let frames = patterns * pixels * sample_bytes;
        let waves = patterns * slices * modes * pixels * 2 * COMPLEX;
        let object = self.batches().map(|batch| slices * self.touched(batch) * (2 * COMPLEX + REAL)).sum::<u64>();
        let probe = patterns.div_ceil(self.batch) * (modes * pixels * 2 * COMPLEX + pixels * REAL);
        frames + waves + object + probe
    }

    /// The flops of an iteration of ePIE. A transform of n pixels takes 5·n·log₂n, a product of complex numbers 6, a sum of them 2, |z|² 3, a complex times a real number 2, any real operation 1.
    ///
    /// Of each pattern and mode: 4S transforms (to and fro between the slices, to the detector, and all the way back), and at each of n pixels
    ///
    /// - 12 for the shifted probe (the ramp of two factors, times the probe);
    /// - 6S for the exit waves, 12(S − 1) for the propagators there and back;
    /// - 6 for the residual: |ψ̂|² added up, ψ̂ scaled;
    /// - 12S for the object's sums ψ*Δψ and |ψ|²;
    /// - 6S for O*Δψ, and 14 for the probe's sum (the ramp, its product, added up).
    ///
    /// Of each pattern and pixel, whatever the modes: 7 for the comparison of amplitudes, (√I − √C)/√C, its square and the two sums; 4 for the power of the object.
    /// Of each batch 4 (scaled, added) at each of T pixels of S slices and at n pixels of M modes.
    pub(super) fn flops(&self) -> f64 {
        let Self { patterns, slices, modes, pixels, .. } = *self;
        let transform = 5.0 * pixels as f64 * (pixels as f64).log2();
        let of_mode = 12 + 6 * slices + 12 * (slices - 1) + 6 + 12 * slices + 6 * slices + 14;
        let of_pattern = modes as f64 * (4.0 * slices as f64 * transform + (of_mode * pixels) as f64) + (11 * pixels) as f64;
        let updates: u64 = self.batches().map(|batch| 4 * (slices * self.touched(batch) + modes * pixels)).sum();
        patterns as f64 * of_pattern + updates as f64
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const SIZES: [Size; 4] = [
        Size { patterns: 1, batch: 1, slices: 1, modes: 1, pixels: 16, object: 16, sample_bytes: 1 },
        Size { patterns: 10, batch: 4, slices: 1, modes: 3, pixels: 16, object: 40, sample_bytes: 1 },
        Size { patterns: 7, batch: 3, slices: 4, modes: 1, pixels: 64, object: 150, sample_bytes: 2 },
        Size { patterns: 9, batch: 16, slices: 3, modes: 2, pixels: 64, object: 200, sample_bytes: 1 },
    ];

    type Complex = [f32; 2];

    #[test]
    fn the_least_bytes_are_those_of_arrays_that_hold_everything_once() {
        for size in SIZES {
            let [p, batch, s, m, n, object, sample] =
                [size.patterns, size.batch, size.slices, size.modes, size.pixels, size.object, size.sample_bytes].map(|x| x as usize);
            let mut bytes = vec![vec![0u8; n * sample]; p].concat().len();
            let patterns: Vec<usize> = (0..p).collect();
            for batch in patterns.chunks(batch) {
                let waves: Vec<Complex> = vec![[0.0; 2]; batch.len() * s * m * n];
                bytes += size_of_val(&waves[..]) + size_of_val(&waves.clone()[..]);
                let touched = (batch.len() * n).min(object);
                for _ in 0..s {
                    let (slice, numerator): (Vec<Complex>, Vec<Complex>) = (vec![[0.0; 2]; touched], vec![[0.0; 2]; touched]);
                    let denominator = vec![0f32; touched];
                    bytes += size_of_val(&slice[..]) + size_of_val(&numerator[..]) + size_of_val(&denominator[..]);
                }
                let (probe, numerator): (Vec<Complex>, Vec<Complex>) = (vec![[0.0; 2]; m * n], vec![[0.0; 2]; m * n]);
                let denominator = vec![0f32; n];
                bytes += size_of_val(&probe[..]) + size_of_val(&numerator[..]) + size_of_val(&denominator[..]);
            }
            assert_eq!(size.least_bytes(), bytes as u64, "{size:?}");
        }
    }

    thread_local! {
        static FLOPS: Cell<f64> = const { Cell::new(0.0) };
    }

    /// Numbers that count what is done with them; their values are of no matter.
    #[derive(Clone, Copy)]
    struct Z;
    #[derive(Clone, Copy)]
    struct R;

    fn count(flops: f64) {
        FLOPS.set(FLOPS.get() + flops);
    }
    impl std::ops::Mul for Z {
        type Output = Z;
        fn mul(self, _: Z) -> Z {
            // Four products and two sums.
            count(6.0);
            Z
        }
    }
    impl std::ops::Mul<R> for Z {
        type Output = Z;
        fn mul(self, _: R) -> Z {
            count(2.0);
            Z
        }
    }
    impl std::ops::AddAssign for Z {
        fn add_assign(&mut self, _: Z) {
            count(2.0);
        }
    }
    impl std::ops::AddAssign for R {
        fn add_assign(&mut self, _: R) {
            count(1.0);
        }
    }
    impl std::ops::Sub for R {
        type Output = R;
        fn sub(self, _: R) -> R {
            count(1.0);
            R
        }
    }
    impl std::ops::Mul for R {
        type Output = R;
        fn mul(self, _: R) -> R {
            count(1.0);
            R
        }
    }
    impl std::ops::Div for R {
        type Output = R;
        fn div(self, _: R) -> R {
            count(1.0);
            R
        }
    }
    impl Z {
        fn conj(self) -> Z {
            Z
        }
        fn power(self) -> R {
            count(3.0);
            R
        }
    }
    impl R {
        fn sqrt(self) -> R {
            count(1.0);
            R
        }
    }

    fn done<T>(_: T) {}

    fn pixels(n: usize, work: impl Fn()) {
        (0..n).for_each(|_| work());
    }

    /// An iteration as the engine's kernels have it, pixel by pixel.
    fn iteration(size: &Size) {
        let n = size.pixels as usize;
        let transform = || count(5.0 * n as f64 * (n as f64).log2());
        let patterns: Vec<u64> = (0..size.patterns).collect();
        for batch in patterns.chunks(size.batch as usize) {
            for _ in batch {
                for _ in 0..size.modes {
                    pixels(n, || done(Z * (Z * Z)));
                    transform();
                    for s in 0..size.slices {
                        pixels(n, || done(Z * Z));
                        transform();
                        if s + 1 < size.slices {
                            pixels(n, || done(Z * Z));
                            transform();
                        }
                    }
                }
                pixels(n, || {
                    let mut calculated = R;
                    (0..size.modes).for_each(|_| calculated += Z.power());
                    let root = calculated.sqrt();
                    let lacking = R.sqrt() - root;
                    let (mut misfit, mut counts) = (R, R);
                    misfit += lacking * lacking;
                    counts += R;
                    let factor = lacking / root;
                    (0..size.modes).for_each(|_| done(Z * factor));
                });
                for _ in 0..size.modes {
                    transform();
                    for s in (0..size.slices).rev() {
                        pixels(n, || {
                            let (mut numerator, mut denominator) = (Z, R);
                            numerator += Z.conj() * Z;
                            denominator += Z.power();
                        });
                        pixels(n, || done(Z.conj() * Z));
                        transform();
                        if s > 0 {
                            pixels(n, || done(Z * Z));
                            transform();
                        }
                    }
                    pixels(n, || {
                        let mut sum = Z;
                        sum += (Z * Z).conj() * Z;
                    });
                }
                pixels(n, || {
                    let mut power = R;
                    power += Z.power();
                });
            }
            let touched = size.object.min(batch.len() as u64 * size.pixels);
            for _ in 0..size.slices * touched + size.modes * size.pixels {
                let mut at = Z;
                at += Z * R;
            }
        }
    }

    #[test]
    fn the_flops_are_those_of_numbers_that_count() {
        for size in SIZES {
            FLOPS.set(0.0);
            iteration(&size);
            assert!((size.flops() / FLOPS.get() - 1.0).abs() < 1e-12, "{size:?}: {} {}", size.flops(), FLOPS.get());
        }
    }
}
