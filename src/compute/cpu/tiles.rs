//! Transposition in tiles of as many registers as these have lanes.

use pulp::Simd;

use super::lanes::Scalar;

/// Transposes every tile of `from`: its tile t becomes the registers t·`tile_step` + i·`row_step`, of which register i holds lane i. Registers
/// as [`write_quads`] needs them.
#[inline(always)]
pub(super) fn write_tiles<R: Scalar, S: Simd>(simd: S, from: &[R::Lanes<S>], to: &mut [R::Lanes<S>], row_step: usize, tile_step: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(v4) = x86::of_16::<R, S>(simd) {
        return x86::write_tiles(v4, bytemuck::cast_slice(from), bytemuck::cast_slice_mut(to), row_step, tile_step);
    }
    let lanes = size_of::<R::Lanes<S>>() / size_of::<R>();
    write_quads::<R, S>(simd, from, bytemuck::cast_slice_mut(to), row_step * lanes, tile_step * lanes);
}

/// Lane i of the registers of tile t (as many as these have lanes) goes to the numbers from t·`tile_step` + i·`row_step` on, by four registers at a time.
/// Needs registers whose groups of four lanes [`Scalar::shuffle_4`] transposes.
#[inline(always)]
pub(super) fn write_quads<R: Scalar, S: Simd>(simd: S, from: &[R::Lanes<S>], to: &mut [R], row_step: usize, tile_step: usize) {
    let lanes = size_of::<R::Lanes<S>>() / size_of::<R>();
    let (quads, _) = from.as_chunks::<4>();
    for (k, registers) in quads.iter().enumerate() {
        let column = 4 * k / lanes * tile_step + 4 * k % lanes;
        let shuffled = R::shuffle_4(simd, *registers);
        for (i, register) in shuffled.iter().enumerate() {
            let (groups, _) = bytemuck::cast_slice::<_, R>(std::slice::from_ref(register)).as_chunks::<4>();
            for (g, group) in groups.iter().enumerate() {
                let place = (4 * g + i) * row_step + column;
                to[place..place + 4].copy_from_slice(group);
            }
        }
    }
}

/// Has what will be read soon fetched, to the nearest cache or to the one behind it, where the processor takes such advice.
#[inline(always)]
pub(super) fn fetch<const NEAREST: bool, R: Scalar, S: Simd>(simd: S, soon: &[R::Packed]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(v4) = x86::of_16::<R, S>(simd) {
        x86::fetch::<NEAREST>(v4, bytemuck::cast_slice(soon));
    }
}

/// Registers of 16 numbers, whole: their quarters stored one by one take twice as long.
#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use std::any::{Any, TypeId};
    use std::arch::x86_64::{__m512, __m512d, __m512i, _MM_HINT_T0, _MM_HINT_T1};

    use pulp::x86::V4;
    use pulp::{Simd, cast, f32x16};

    use super::Scalar;

    /// The processor's instructions, where these are its registers. To ask the processor for them would be a call, about which every register in use is put by.
    #[inline(always)]
    pub(in super::super) fn of_16<R: Scalar, S: Simd>(simd: S) -> Option<V4> {
        let v4 = <dyn Any>::downcast_ref::<V4>(&simd).copied();
        v4.filter(|_| TypeId::of::<R::Lanes<S>>() == TypeId::of::<f32x16>())
    }

    #[inline(always)]
    pub(super) fn write_tiles(v4: V4, from: &[f32x16], to: &mut [f32x16], row_step: usize, tile_step: usize) {
        let avx = v4.avx512f;
        let (tiles, _) = from.as_chunks::<16>();
        for (t, x) in tiles.iter().enumerate() {
            let to = &mut to[t * tile_step..][..=15 * row_step];
            let quads = [quad(v4, x, 0), quad(v4, x, 4), quad(v4, x, 8), quad(v4, x, 12)];
            for i in 0..4 {
                // The groups of four lanes of four registers change places as their lanes did: first the even and the odd ones of two.
                let (even, odd) = (
                    avx._mm512_shuffle_f32x4::<0b10_00_10_00>(quads[0][i], quads[1][i]),
                    avx._mm512_shuffle_f32x4::<0b11_01_11_01>(quads[0][i], quads[1][i]),
                );
                let (even_2, odd_2) = (
                    avx._mm512_shuffle_f32x4::<0b10_00_10_00>(quads[2][i], quads[3][i]),
                    avx._mm512_shuffle_f32x4::<0b11_01_11_01>(quads[2][i], quads[3][i]),
                );
                to[i * row_step] = cast(avx._mm512_shuffle_f32x4::<0b10_00_10_00>(even, even_2));
                to[(4 + i) * row_step] = cast(avx._mm512_shuffle_f32x4::<0b10_00_10_00>(odd, odd_2));
                to[(8 + i) * row_step] = cast(avx._mm512_shuffle_f32x4::<0b11_01_11_01>(even, even_2));
                to[(12 + i) * row_step] = cast(avx._mm512_shuffle_f32x4::<0b11_01_11_01>(odd, odd_2));
            }
        }
    }

    /// One number of each cache line is enough.
    #[inline(always)]
    pub(super) fn fetch<const NEAREST: bool>(v4: V4, soon: &[u32]) {
        for number in soon.iter().step_by(16) {
            let line = std::ptr::from_ref(number).cast();
            if NEAREST { v4.sse._mm_prefetch::<_MM_HINT_T0>(line) } else { v4.sse._mm_prefetch::<_MM_HINT_T1>(line) }
        }
    }

    /// The parts of complex numbers of 16 bits each, the real ones in the lower ones.
    #[inline(always)]
    pub(in super::super) fn unpack<S: Simd>(v4: V4, numbers: &[u32; 16]) -> (S::f32s, S::f32s) {
        let avx = v4.avx512f;
        let both: __m512i = cast(*numbers);
        let re = avx._mm512_srai_epi32::<16>(avx._mm512_slli_epi32::<16>(both));
        let [re, im] = [re, avx._mm512_srai_epi32::<16>(both)].map(|part| cast::<_, f32x16>(avx._mm512_cvtepi32_ps(part)));
        (bytemuck::cast(re), bytemuck::cast(im))
    }

    /// Four registers from `k` on, transposed in groups of four lanes.
    #[inline(always)]
    fn quad(v4: V4, x: &[f32x16; 16], k: usize) -> [__m512; 4] {
        let avx = v4.avx512f;
        let x: [__m512; 4] = [cast(x[k]), cast(x[k + 1]), cast(x[k + 2]), cast(x[k + 3])];
        let (a, b) = (avx._mm512_unpacklo_ps(x[0], x[1]), avx._mm512_unpackhi_ps(x[0], x[1]));
        let (c, d) = (avx._mm512_unpacklo_ps(x[2], x[3]), avx._mm512_unpackhi_ps(x[2], x[3]));
        let [a, b, c, d]: [__m512d; 4] = [cast(a), cast(b), cast(c), cast(d)];
        [
            cast(avx._mm512_unpacklo_pd(a, c)),
            cast(avx._mm512_unpackhi_pd(a, c)),
            cast(avx._mm512_unpacklo_pd(b, d)),
            cast(avx._mm512_unpackhi_pd(b, d)),
        ]
    }
}
