//! Complex arrays as two planes, so that every lane of a register holds the same part.

use num_complex::Complex64;

use super::aligned::Aligned;
use super::lanes::Scalar;

/// A device array of complex numbers: real parts and imaginary parts.
#[derive(Debug, Clone)]
pub struct Planes<R> {
    pub(super) re: Aligned<R>,
    pub(super) im: Aligned<R>,
}

/// A part of a [`Planes`] that is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a, R> {
    pub(super) re: &'a [R],
    pub(super) im: &'a [R],
}

/// A part of a [`Planes`] that is written.
#[derive(Debug)]
pub(super) struct PartMut<'a, R> {
    pub(super) re: &'a mut [R],
    pub(super) im: &'a mut [R],
}

impl<R: Scalar> Planes<R> {
    pub(super) fn zeros(len: usize) -> Self {
        Self { re: Aligned::zeros(len), im: Aligned::zeros(len) }
    }

    pub(super) fn from_complex(values: &[Complex64]) -> Self {
        let part = |pick: fn(&Complex64) -> f64| Aligned::collect(values.iter().map(|z| R::of(pick(z))));
        Self { re: part(|z| z.re), im: part(|z| z.im) }
    }

    pub(super) fn to_complex(&self) -> Vec<Complex64> {
        self.re.iter().zip(self.im.iter()).map(|(re, im)| Complex64::new(re.f64(), im.f64())).collect()
    }

    pub(super) fn part(&self, range: std::ops::Range<usize>) -> Part<'_, R> {
        Part { re: &self.re[range.clone()], im: &self.im[range] }
    }

    /// The first `count` windows of `n` numbers.
    pub(super) fn windows_mut(&mut self, n: usize, count: usize) -> impl rayon::iter::IndexedParallelIterator<Item = PartMut<'_, R>> {
        use rayon::prelude::*;
        let (re, im) = (&mut self.re[..n * count], &mut self.im[..n * count]);
        re.par_chunks_exact_mut(n).zip(im.par_chunks_exact_mut(n)).map(|(re, im)| PartMut { re, im })
    }

    pub(super) fn part_mut(&mut self, range: std::ops::Range<usize>) -> PartMut<'_, R> {
        PartMut { re: &mut self.re[range.clone()], im: &mut self.im[range] }
    }

    /// Window `b` of `n` numbers, to be written.
    pub(super) fn window_mut(&mut self, n: usize, b: usize) -> PartMut<'_, R> {
        self.part_mut(b * n..(b + 1) * n)
    }

    /// Window `from`, and window `to` behind it to be written, if there is one.
    pub(super) fn window_pair(&mut self, n: usize, from: usize, to: usize) -> (Part<'_, R>, Option<PartMut<'_, R>>) {
        let windows = self.re.len() / n;
        let middle = to.min(windows) * n;
        let ((re, re_behind), (im, im_behind)) = (self.re.split_at_mut(middle), self.im.split_at_mut(middle));
        let here = Part { re: &re[from * n..(from + 1) * n], im: &im[from * n..(from + 1) * n] };
        (here, (to < windows).then(|| PartMut { re: &mut re_behind[..n], im: &mut im_behind[..n] }))
    }

    /// Window `from` to be read and another one, `to`, to be written, of two windows of `n` numbers.
    pub(super) fn two_windows(&mut self, n: usize, from: usize, to: usize) -> (Part<'_, R>, PartMut<'_, R>) {
        let ((re_0, re_1), (im_0, im_1)) = (self.re.split_at_mut(n), self.im.split_at_mut(n));
        let (first, second) = (PartMut { re: re_0, im: im_0 }, PartMut { re: &mut re_1[..n], im: &mut im_1[..n] });
        let (read, write) = if from < to { (first, second) } else { (second, first) };
        (Part { re: read.re, im: read.im }, write)
    }

    /// Window `b` of `n` numbers.
    pub(super) fn window(&self, n: usize, b: usize) -> Part<'_, R> {
        self.part(b * n..(b + 1) * n)
    }
}

impl<R> PartMut<'_, R> {
    pub(super) fn reborrow(&mut self) -> PartMut<'_, R> {
        PartMut { re: self.re, im: self.im }
    }

    pub(super) fn range(&mut self, range: std::ops::Range<usize>) -> PartMut<'_, R> {
        PartMut { re: &mut self.re[range.clone()], im: &mut self.im[range] }
    }

    pub(super) fn as_part(&self) -> Part<'_, R> {
        Part { re: self.re, im: self.im }
    }
}

impl<'a, R> Part<'a, R> {
    pub(super) fn range(&self, range: std::ops::Range<usize>) -> Part<'a, R> {
        Part { re: &self.re[range.clone()], im: &self.im[range] }
    }
}
