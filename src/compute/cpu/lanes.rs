//! The engine's numbers as vectors of a processor's lanes.

use bytemuck::Pod;
use pulp::Simd;

use crate::compute::Real;

/// A real number that the CPU engine computes with, many at a time.
pub trait Scalar: Real {
    /// As many as the processor's registers hold.
    type Lanes<S: Simd>: Pod;

    fn splat<S: Simd>(simd: S, x: Self) -> Self::Lanes<S>;
    fn lanes_add<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    fn lanes_sub<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    fn lanes_mul<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// Four registers through the processor's own shuffle; see [`transposes_quads`] for what it is on the processors that matter.
    fn shuffle_4<S: Simd>(simd: S, x: [Self::Lanes<S>; 4]) -> [Self::Lanes<S>; 4];
    /// a·b + c.
    fn lanes_mul_add<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>, c: Self::Lanes<S>) -> Self::Lanes<S>;
}

macro_rules! scalar {
    ($real:ty, $lanes:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident, $mul_add:ident, $shuffle:ident) => {
        impl Scalar for $real {
            type Lanes<S: Simd> = S::$lanes;

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
            fn lanes_mul_add<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes, c: S::$lanes) -> S::$lanes {
                simd.$mul_add(a, b, c)
            }
        }
    };
}
scalar!(f32, f32s, splat_f32s, add_f32s, sub_f32s, mul_f32s, mul_add_f32s, deinterleave_shfl_f32s);
scalar!(f64, f64s, splat_f64s, add_f64s, sub_f64s, mul_f64s, mul_add_f64s, deinterleave_shfl_f64s);

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
