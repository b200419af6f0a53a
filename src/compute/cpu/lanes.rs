//! The engine's numbers as vectors of a processor's lanes.

use bytemuck::Pod;
use pulp::Simd;

#[cfg(target_arch = "x86_64")]
use super::tiles::x86;
use crate::compute::Real;

/// A real number that the CPU engine computes with, many at a time.
pub trait Scalar: Real {
    /// As many as the processor's registers hold.
    type Lanes<S: Simd>: Pod;
    /// A complex number that is kept in as few bytes as it may be: of f32, 16 bits a part.
    type Packed: Pod + Send + Sync;

    fn splat<S: Simd>(simd: S, x: Self) -> Self::Lanes<S>;
    fn lanes_add<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    fn lanes_sub<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    fn lanes_mul<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// Four registers through the processor's own shuffle; see [`transposes_quads`] for what it is on the processors that matter.
    fn shuffle_4<S: Simd>(simd: S, x: [Self::Lanes<S>; 4]) -> [Self::Lanes<S>; 4];
    /// cos and sin of 2πt: f64's own, or polynomials with an error of some 1e-7 that many lanes evaluate at once.
    fn cis(turns: Self) -> [Self; 2];
    /// ln x of a positive, normal x: f64's own, or a series with an error of some 1e-7 that many lanes evaluate at once.
    fn natural_log(x: Self) -> Self;
    /// The largest part of a packed number.
    fn largest_packed() -> Self;
    /// A number whose parts are no larger than that.
    fn packed(re: Self, im: Self) -> Self::Packed;
    /// The parts of as many packed numbers as a register has lanes.
    fn lanes_unpacked<S: Simd>(simd: S, numbers: &[Self::Packed]) -> (Self::Lanes<S>, Self::Lanes<S>);
    /// x where a is no larger than b, 0 elsewhere.
    fn lanes_up_to<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>, x: Self::Lanes<S>) -> Self::Lanes<S>;
    /// c − a·b.
    fn lanes_negate_mul_add<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>, c: Self::Lanes<S>) -> Self::Lanes<S>;
    /// a·b + c.
    fn lanes_mul_add<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>, c: Self::Lanes<S>) -> Self::Lanes<S>;
}

#[inline(always)]
fn cis_f32(turns: f32) -> [f32; 2] {
    // The half angle lies within ±π/2: Taylor's series to x¹³ and x¹² end below 1e-8 there; then the double angle.
    let x = (turns - (turns + 0.5).floor()) * std::f32::consts::PI;
    let z = x * x;
    let sin = x
        * (1.0
            + z * (-1.0 / 6.0
                + z * (1.0 / 120.0
                    + z * (-1.0 / 5040.0 + z * (1.0 / 362_880.0 + z * (-1.0 / 39_916_800.0 + z * (1.0 / 6_227_020_800.0)))))));
    let cos = 1.0
        + z * (-0.5 + z * (1.0 / 24.0 + z * (-1.0 / 720.0 + z * (1.0 / 40_320.0 + z * (-1.0 / 3_628_800.0 + z * (1.0 / 479_001_600.0))))));
    [1.0 - 2.0 * sin * sin, 2.0 * sin * cos]
}

#[inline(always)]
fn ln_f32(x: f32) -> f32 {
    // x = m·2^e with m from √½ to √2; ln m = 2 artanh s with s = (m − 1)/(m + 1), whose series ends below 1e-9 at |s| < 0.172.
    const ROOT_HALF: u32 = 0x3f35_04f3;
    let shifted = x.to_bits().wrapping_sub(ROOT_HALF);
    let exponent = (shifted as i32) >> 23;
    let m = f32::from_bits((shifted & 0x007f_ffff) + ROOT_HALF);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    exponent as f32 * std::f32::consts::LN_2 + 2.0 * s * (1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0)))))
}

#[inline(always)]
fn ln_f64(x: f64) -> f64 {
    x.ln()
}

#[inline(always)]
fn cis_f64(turns: f64) -> [f64; 2] {
    let (sin, cos) = (std::f64::consts::TAU * turns).sin_cos();
    [cos, sin]
}

/// The real part in the lower 16 bits, the imaginary one in the upper ones.
#[inline(always)]
fn pack_f32(re: f32, im: f32) -> u32 {
    // Added to 1.5·2²³, a whole number is in the lower bits, as two's complement.
    let bits = |x: f32| (x + 12_582_912.0).to_bits() & 0xffff;
    bits(re) | bits(im) << 16
}

#[inline(always)]
fn pack_f64(re: f64, im: f64) -> [f64; 2] {
    [re, im]
}

#[inline(always)]
fn unpack_f32<S: Simd>(simd: S, numbers: &[u32]) -> (S::f32s, S::f32s) {
    #[cfg(target_arch = "x86_64")]
    if let (Some(v4), Some(numbers)) = (x86::of_16::<f32, S>(simd), numbers.first_chunk()) {
        return x86::unpack::<S>(v4, numbers);
    }
    unpack::<f32, S>(numbers.iter().map(|bits| [(*bits as u16 as i16).into(), ((bits >> 16) as u16 as i16).into()]))
}

#[inline(always)]
fn unpack_f64<S: Simd>(_: S, numbers: &[[f64; 2]]) -> (S::f64s, S::f64s) {
    unpack::<f64, S>(numbers.iter().copied())
}

/// Parts to the lanes of two registers.
#[inline(always)]
fn unpack<R: Scalar, S: Simd>(numbers: impl Iterator<Item = [R; 2]>) -> (R::Lanes<S>, R::Lanes<S>) {
    let mut registers: [R::Lanes<S>; 2] = bytemuck::Zeroable::zeroed();
    let [re, im] = &mut registers;
    let lanes = |register| bytemuck::cast_slice_mut::<_, R>(std::slice::from_mut(register)).iter_mut();
    for (number, (re, im)) in numbers.zip(lanes(re).zip(lanes(im))) {
        [*re, *im] = number;
    }
    (registers[0], registers[1])
}

macro_rules! scalar {
    ($cis:ident, $ln:ident, $real:ty, $packed:ty, $largest:expr, $pack:ident, $unpack:ident, $up_to:ident, $select:ident, $lanes:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident, $mul_add:ident, $nmul_add:ident, $shuffle:ident) => {
        impl Scalar for $real {
            type Lanes<S: Simd> = S::$lanes;
            type Packed = $packed;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$lanes {
                simd.$splat(x)
            }
            #[inline(always)]
            fn lanes_add<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn lanes_sub<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$sub(a, b)
            }
            #[inline(always)]
            fn lanes_mul<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$mul(a, b)
            }
            #[inline(always)]
            fn shuffle_4<S: Simd>(simd: S, x: [S::$lanes; 4]) -> [S::$lanes; 4] {
                simd.$shuffle(x)
            }
            #[inline(always)]
            fn cis(turns: Self) -> [Self; 2] {
                $cis(turns)
            }
            #[inline(always)]
            fn natural_log(x: Self) -> Self {
                $ln(x)
            }
            #[inline(always)]
            fn largest_packed() -> Self {
                $largest
            }
            #[inline(always)]
            fn packed(re: Self, im: Self) -> $packed {
                $pack(re, im)
            }
            #[inline(always)]
            fn lanes_unpacked<S: Simd>(simd: S, numbers: &[$packed]) -> (S::$lanes, S::$lanes) {
                $unpack::<S>(simd, numbers)
            }
            #[inline(always)]
            fn lanes_up_to<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes, x: S::$lanes) -> S::$lanes {
                simd.$select(simd.$up_to(a, b), x, simd.$splat(0.0))
            }
            #[inline(always)]
            fn lanes_negate_mul_add<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes, c: S::$lanes) -> S::$lanes {
                simd.$nmul_add(a, b, c)
            }
            #[inline(always)]
            fn lanes_mul_add<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes, c: S::$lanes) -> S::$lanes {
                simd.$mul_add(a, b, c)
            }
        }
    };
}
#[rustfmt::skip]
scalar!(cis_f32, ln_f32, f32, u32, 32767.0, pack_f32, unpack_f32, less_than_or_equal_f32s, select_f32s, f32s, splat_f32s, add_f32s, sub_f32s, mul_f32s, mul_add_f32s, negate_mul_add_f32s, deinterleave_shfl_f32s);
#[rustfmt::skip]
scalar!(cis_f64, ln_f64, f64, [f64; 2], 1.0, pack_f64, unpack_f64, less_than_or_equal_f64s, select_f64s, f64s, splat_f64s, add_f64s, sub_f64s, mul_f64s, mul_add_f64s, negate_mul_add_f64s, deinterleave_shfl_f64s);

/// Whether [`Scalar::shuffle_4`] transposes each group of four lanes: register i, group g, lane j becomes register j, group g, lane i.
#[inline(always)]
pub(super) fn transposes_quads<R: Scalar, S: Simd>(simd: S) -> bool {
    let lanes = size_of::<R::Lanes<S>>() / size_of::<R>();
    if !lanes.is_multiple_of(4) {
        return false;
    }
    let mut x = [R::splat(simd, R::zero()); 4];
    for (place, number) in bytemuck::cast_slice_mut::<_, R>(&mut x).iter_mut().enumerate() {
        *number = R::of(place as f64);
    }
    let y = R::shuffle_4(simd, x);
    bytemuck::cast_slice::<_, R>(&y).iter().enumerate().all(|(place, number)| {
        let (register, lane) = (place / lanes, place % lanes);
        *number == R::of((lane % 4 * lanes + lane / 4 * 4 + register) as f64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_factor_of_f32_is_that_of_f64() {
        let worst = (-40_000..40_000).map(|n| n as f32 * 1.37e-4).map(|turns| {
            let (near, exact) = (f32::cis(turns), f64::cis(f64::from(turns)));
            (f64::from(near[0]) - exact[0]).hypot(f64::from(near[1]) - exact[1])
        });
        // Roundings of the angle, of the sine and of its square, of 6e-8 each, doubled twice.
        assert!(worst.fold(0.0, f64::max) < 8e-7);
    }

    #[test]
    fn the_logarithm_of_f32_is_that_of_f64() {
        let worst = (0..80_000).map(|n| 1e-20 * 1.0011f32.powi(n)).map(|x| {
            let exact = f64::from(x).ln();
            (f64::from(f32::natural_log(x)) - exact).abs() / exact.abs().max(1.0)
        });
        // Roundings of the quotient, the sum and the product with ln 2.
        assert!(worst.fold(0.0, f64::max) < 3e-7);
    }
}
