//! Arrays that begin on a cache line, so that no register is loaded across two.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::{MmapMut, MmapOptions};

/// A cache line.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// An array of `R` whose first number is the first of a cache line.
#[derive(Debug)]
pub(super) struct Aligned<R> {
    memory: Memory,
    len: usize,
    of: PhantomData<R>,
}

#[derive(Debug)]
enum Memory {
    Lines(Vec<Line>),
    /// The array begins at byte `first`.
    Pages {
        mapped: MmapMut,
        first: usize,
    },
}

/// A large page.
const PAGE: usize = 2 << 20;

impl Memory {
    fn zeros(bytes: usize) -> Self {
        Self::Lines(vec![Line([0; 64]); bytes.div_ceil(size_of::<Line>())])
    }

    /// Whole large pages, if the system gives them.
    fn large(bytes: usize) -> Option<Self> {
        let mapped = MmapOptions::new().len(bytes.checked_next_multiple_of(PAGE)?.checked_add(PAGE)?).map_anon().ok()?;
        // Without them the memory is as good as any.
        #[cfg(target_os = "linux")]
        let _ = mapped.advise(memmap2::Advice::HugePage);
        let first = mapped.as_ptr().align_offset(PAGE);
        (first <= PAGE).then_some(Self::Pages { mapped, first })
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Lines(lines) => bytemuck::cast_slice(lines),
            Self::Pages { mapped, first } => &mapped[*first..],
        }
    }

    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Lines(lines) => bytemuck::cast_slice_mut(lines),
            Self::Pages { mapped, first } => &mut mapped[*first..],
        }
    }
}

impl<R: Pod> Aligned<R> {
    pub(super) fn zeros(len: usize) -> Self {
        Self { memory: Memory::zeros(len * size_of::<R>()), len, of: PhantomData }
    }

    /// In pages of 2 MiB where the system has them, for what is read far apart or is larger than the caches, again and again: where a page of 4 KiB lies takes longer to look up than its 64
    /// lines to read. They take longer to be had, too.
    pub(super) fn large(len: usize) -> Self {
        let bytes = len * size_of::<R>();
        Self { memory: Memory::large(bytes).unwrap_or_else(|| Memory::zeros(bytes)), len, of: PhantomData }
    }

    pub(super) fn collect(numbers: impl ExactSizeIterator<Item = R>) -> Self {
        let mut array = Self::zeros(numbers.len());
        array.iter_mut().zip(numbers).for_each(|(place, number)| *place = number);
        array
    }
}

impl<R> Clone for Aligned<R> {
    fn clone(&self) -> Self {
        let bytes = self.len * size_of::<R>();
        let mut memory = Memory::zeros(bytes);
        memory.bytes_mut()[..bytes].copy_from_slice(&self.memory.bytes()[..bytes]);
        Self { memory, len: self.len, of: PhantomData }
    }
}

impl<R: Pod> Deref for Aligned<R> {
    type Target = [R];

    #[inline(always)]
    fn deref(&self) -> &[R] {
        bytemuck::cast_slice(&self.memory.bytes()[..self.len * size_of::<R>()])
    }
}

impl<R: Pod> DerefMut for Aligned<R> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [R] {
        bytemuck::cast_slice_mut(&mut self.memory.bytes_mut()[..self.len * size_of::<R>()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_begin_on_a_cache_line_with_zeros_and_are_copied_whole() {
        for (len, large) in [0, 1, 17, 3 * PAGE / 4 + 5].into_iter().flat_map(|len| [(len, false), (len, true)]) {
            let mut array = if large { Aligned::<f32>::large(len) } else { Aligned::zeros(len) };
            assert!(array.len() == len && array.iter().all(|x| *x == 0.0), "{len}, large {large}");
            assert!(array.as_ptr().align_offset(64) == 0, "{len}, large {large}");
            array.iter_mut().enumerate().for_each(|(n, x)| *x = n as f32);
            let copy = array.clone();
            array.fill(0.0);
            assert!(copy.iter().enumerate().all(|(n, x)| *x == n as f32), "{len}, large {large}");
        }
    }
}
