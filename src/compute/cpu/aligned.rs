//! Arrays that begin on a cache line, so that no register is loaded across two.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use super::lanes::Scalar;

/// A cache line.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// An array of `R` whose first number is the first of a cache line.
#[derive(Debug, Clone)]
pub(super) struct Aligned<R> {
    lines: Vec<Line>,
    len: usize,
    of: PhantomData<R>,
}

impl<R: Scalar> Aligned<R> {
    pub(super) fn zeros(len: usize) -> Self {
        let lines = vec![Line([0; 64]); (len * size_of::<R>()).div_ceil(size_of::<Line>())];
        Self { lines, len, of: PhantomData }
    }

    pub(super) fn collect(numbers: impl ExactSizeIterator<Item = R>) -> Self {
        let mut array = Self::zeros(numbers.len());
        array.iter_mut().zip(numbers).for_each(|(place, number)| *place = number);
        array
    }
}

impl<R: Scalar> Deref for Aligned<R> {
    type Target = [R];

    #[inline(always)]
    fn deref(&self) -> &[R] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

impl<R: Scalar> DerefMut for Aligned<R> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [R] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}
