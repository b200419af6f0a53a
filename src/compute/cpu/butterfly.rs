//! Small discrete Fourier transforms of complex lanes, e^{−2πi}.

use std::f64::consts::TAU;

use pulp::Simd;

use super::lanes::Scalar;

/// A complex number in every lane.
pub(super) type Pair<R, S> = (<R as Scalar>::Lanes<S>, <R as Scalar>::Lanes<S>);

/// e^{−2πi·j/n}.
pub(super) fn root<R: Scalar>(j: usize, n: usize) -> [R; 2] {
    let angle = -TAU * (j % n) as f64 / n as f64;
    [R::of(angle.cos()), R::of(angle.sin())]
}

#[inline(always)]
fn add<R: Scalar, S: Simd>(simd: S, a: Pair<R, S>, b: Pair<R, S>) -> Pair<R, S> {
    (R::lanes_add(simd, a.0, b.0), R::lanes_add(simd, a.1, b.1))
}

#[inline(always)]
fn sub<R: Scalar, S: Simd>(simd: S, a: Pair<R, S>, b: Pair<R, S>) -> Pair<R, S> {
    (R::lanes_sub(simd, a.0, b.0), R::lanes_sub(simd, a.1, b.1))
}

/// a times a real number.
#[inline(always)]
fn scale<R: Scalar, S: Simd>(simd: S, a: Pair<R, S>, x: R) -> Pair<R, S> {
    let x = R::splat(simd, x);
    (R::lanes_mul(simd, a.0, x), R::lanes_mul(simd, a.1, x))
}

/// a + i·b.
#[inline(always)]
fn add_i<R: Scalar, S: Simd>(simd: S, a: Pair<R, S>, b: Pair<R, S>) -> Pair<R, S> {
    (R::lanes_sub(simd, a.0, b.1), R::lanes_add(simd, a.1, b.0))
}

/// a − i·b.
#[inline(always)]
fn sub_i<R: Scalar, S: Simd>(simd: S, a: Pair<R, S>, b: Pair<R, S>) -> Pair<R, S> {
    (R::lanes_add(simd, a.0, b.1), R::lanes_sub(simd, a.1, b.0))
}

/// a times the same complex number in every lane.
#[inline(always)]
pub(super) fn twiddle<R: Scalar, S: Simd>(simd: S, a: Pair<R, S>, w: [R; 2]) -> Pair<R, S> {
    times::<R, S>(simd, a, (R::splat(simd, w[0]), R::splat(simd, w[1])))
}

/// a·b.
#[inline(always)]
pub(super) fn times<R: Scalar, S: Simd>(simd: S, a: Pair<R, S>, (re, im): Pair<R, S>) -> Pair<R, S> {
    (R::lanes_negate_mul_add(simd, a.1, im, R::lanes_mul(simd, a.0, re)), R::lanes_mul_add(simd, a.1, re, R::lanes_mul(simd, a.0, im)))
}

#[inline(always)]
pub(super) fn radix_2<R: Scalar, S: Simd>(simd: S, x: [Pair<R, S>; 2]) -> [Pair<R, S>; 2] {
    [add::<R, S>(simd, x[0], x[1]), sub::<R, S>(simd, x[0], x[1])]
}

#[inline(always)]
pub(super) fn radix_4<R: Scalar, S: Simd>(simd: S, x: [Pair<R, S>; 4]) -> [Pair<R, S>; 4] {
    let [a, b] = radix_2::<R, S>(simd, [x[0], x[2]]);
    let [c, d] = radix_2::<R, S>(simd, [x[1], x[3]]);
    [add::<R, S>(simd, a, c), sub_i::<R, S>(simd, b, d), sub::<R, S>(simd, a, c), add_i::<R, S>(simd, b, d)]
}

#[inline(always)]
pub(super) fn radix_8<R: Scalar, S: Simd>(simd: S, x: [Pair<R, S>; 8]) -> [Pair<R, S>; 8] {
    let even = radix_4::<R, S>(simd, [x[0], x[2], x[4], x[6]]);
    let odd = radix_4::<R, S>(simd, [x[1], x[3], x[5], x[7]]);
    // e^{−iπ/4} = (1 − i)/√2 and e^{−3iπ/4} = −i·(1 − i)/√2.
    let odd_1 = eighth::<R, S>(simd, odd[1]);
    let odd_3 = eighth::<R, S>(simd, odd[3]);
    [
        add::<R, S>(simd, even[0], odd[0]),
        add::<R, S>(simd, even[1], odd_1),
        sub_i::<R, S>(simd, even[2], odd[2]),
        sub_i::<R, S>(simd, even[3], odd_3),
        sub::<R, S>(simd, even[0], odd[0]),
        sub::<R, S>(simd, even[1], odd_1),
        add_i::<R, S>(simd, even[2], odd[2]),
        add_i::<R, S>(simd, even[3], odd_3),
    ]
}

/// e^{−iπ/4} = (1 − i)/√2 times a.
#[inline(always)]
fn eighth<R: Scalar, S: Simd>(simd: S, a: Pair<R, S>) -> Pair<R, S> {
    scale::<R, S>(simd, (R::lanes_add(simd, a.0, a.1), R::lanes_sub(simd, a.1, a.0)), R::of(std::f64::consts::FRAC_1_SQRT_2))
}

/// a + x·b.
#[inline(always)]
fn add_scaled<R: Scalar, S: Simd>(simd: S, a: Pair<R, S>, b: Pair<R, S>, x: R) -> Pair<R, S> {
    let x = R::splat(simd, x);
    (R::lanes_mul_add(simd, b.0, x, a.0), R::lanes_mul_add(simd, b.1, x, a.1))
}

/// a − x·b.
#[inline(always)]
fn sub_scaled<R: Scalar, S: Simd>(simd: S, a: Pair<R, S>, b: Pair<R, S>, x: R) -> Pair<R, S> {
    let x = R::splat(simd, x);
    (R::lanes_negate_mul_add(simd, b.0, x, a.0), R::lanes_negate_mul_add(simd, b.1, x, a.1))
}

/// a + i·x·b and a − i·x·b.
#[inline(always)]
fn add_and_sub_i<R: Scalar, S: Simd>(simd: S, a: Pair<R, S>, b: Pair<R, S>, x: R) -> [Pair<R, S>; 2] {
    let x = R::splat(simd, x);
    [
        (R::lanes_negate_mul_add(simd, b.1, x, a.0), R::lanes_mul_add(simd, b.0, x, a.1)),
        (R::lanes_mul_add(simd, b.1, x, a.0), R::lanes_negate_mul_add(simd, b.0, x, a.1)),
    ]
}

/// With a = 2π/5: cos a + cos 2a = −1/2, cos a − cos 2a = √5/2, and sin 2a = sin a·(√5 − 1)/2.
#[inline(always)]
pub(super) fn radix_5<R: Scalar, S: Simd>(simd: S, x: [Pair<R, S>; 5]) -> [Pair<R, S>; 5] {
    const ROOT_5: f64 = 2.236_067_977_499_79;
    const SIN: f64 = 0.951_056_516_295_153_5;
    let [near, near_apart] = radix_2::<R, S>(simd, [x[1], x[4]]);
    let [far, far_apart] = radix_2::<R, S>(simd, [x[2], x[3]]);
    let [all, apart] = radix_2::<R, S>(simd, [near, far]);
    let middle = sub_scaled::<R, S>(simd, x[0], all, R::of(0.25));
    let even = add_scaled::<R, S>(simd, middle, apart, R::of(ROOT_5 / 4.0));
    let even_2 = sub_scaled::<R, S>(simd, middle, apart, R::of(ROOT_5 / 4.0));
    let odd = add_scaled::<R, S>(simd, near_apart, far_apart, R::of((ROOT_5 - 1.0) / 2.0));
    let minus_odd_2 = sub_scaled::<R, S>(simd, far_apart, near_apart, R::of((ROOT_5 - 1.0) / 2.0));
    let [fourth, first] = add_and_sub_i::<R, S>(simd, even, odd, R::of(SIN));
    let [second, third] = add_and_sub_i::<R, S>(simd, even_2, minus_odd_2, R::of(SIN));
    [add::<R, S>(simd, x[0], all), first, second, third, fourth]
}

/// A transform of odd length `N`, from the sums and differences of the points k and N − k.
#[inline(always)]
pub(super) fn radix_odd<const N: usize, R: Scalar, S: Simd>(simd: S, x: [Pair<R, S>; N], roots: &[[R; 2]]) -> [Pair<R, S>; N] {
    let mut out = x;
    let half = N / 2;
    for k in 1..=half {
        out[0] = add::<R, S>(simd, out[0], x[k]);
        out[0] = add::<R, S>(simd, out[0], x[N - k]);
    }
    for k in 1..=half {
        // X_k = x_0 + Σ_j cos(2πjk/N)(x_j + x_{N−j}) − i Σ_j sin(2πjk/N)(x_j − x_{N−j}), and X_{N−k} with +i.
        let (mut even, mut odd) = (x[0], (R::splat(simd, R::zero()), R::splat(simd, R::zero())));
        for j in 1..=half {
            let root = roots[j * k % N];
            let (sum, difference) = (add::<R, S>(simd, x[j], x[N - j]), sub::<R, S>(simd, x[j], x[N - j]));
            let (cos, sin) = (R::splat(simd, root[0]), R::splat(simd, -root[1]));
            even = (R::lanes_mul_add(simd, cos, sum.0, even.0), R::lanes_mul_add(simd, cos, sum.1, even.1));
            odd = (R::lanes_mul_add(simd, sin, difference.0, odd.0), R::lanes_mul_add(simd, sin, difference.1, odd.1));
        }
        out[k] = sub_i::<R, S>(simd, even, odd);
        out[N - k] = add_i::<R, S>(simd, even, odd);
    }
    out
}
