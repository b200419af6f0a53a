//! Device arrays: lists of buffers, each within what the device binds at once.

use std::sync::{Mutex, PoisonError};

use super::device::Device;
use crate::compute::{Error, Result};

/// The most that one dispatch covers of a stack, so that no single one takes long.
const SPAN_BYTES: u64 = 1 << 28;

/// An array on the device. One that needs several buffers is split at whole windows, of the size that it was last used with.
pub(super) struct Array {
    what: &'static str,
    element_bytes: u64,
    len: usize,
    pieces: Mutex<Pieces>,
}

#[derive(Clone)]
struct Pieces {
    /// Elements of each buffer but the last.
    piece_len: usize,
    buffers: Vec<wgpu::Buffer>,
}

/// A view of an array as a stack of windows.
pub(super) struct Stack {
    /// Windows of each buffer but the last.
    per_piece: usize,
    window_bytes: u64,
    buffers: Vec<wgpu::Buffer>,
}

/// Some successive windows of several stacks, each of which lies in one buffer.
pub(super) struct Span<const N: usize> {
    /// The first window, in the stacks.
    pub(super) first: usize,
    pub(super) count: usize,
    /// Of each stack, the buffer and the window's place in it.
    pub(super) at: [(wgpu::Buffer, u32); N],
}

impl Array {
    /// Zeros, split at multiples of `window` elements.
    pub(super) fn zeros(device: &Device, what: &'static str, element_bytes: u64, len: usize, window: usize) -> Result<Self> {
        let pieces = Pieces::new(device, what, element_bytes, len, window)?;
        Ok(Self { what, element_bytes, len, pieces: Mutex::new(pieces) })
    }

    /// An array of these values, split at multiples of `window` elements.
    pub(super) fn of<T: bytemuck::Pod>(device: &Device, what: &'static str, values: &[T], window: usize) -> Result<Self> {
        let array = Self::zeros(device, what, size_of::<T>() as u64, values.len(), window)?;
        let pieces = array.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        for (buffer, values) in pieces.buffers.iter().zip(values.chunks(pieces.piece_len)) {
            device.upload(buffer, bytemuck::cast_slice(values))?;
        }
        drop(pieces);
        Ok(array)
    }

    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The values, read back after all recorded work.
    pub(super) fn read<T: bytemuck::Pod>(&self, device: &Device) -> Result<Vec<T>> {
        let pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut out = vec![T::zeroed(); self.len];
        for (buffer, values) in pieces.buffers.iter().zip(out.chunks_mut(pieces.piece_len)) {
            let bytes = device.read(buffer, size_of_val(values) as u64)?;
            bytemuck::cast_slice_mut(values).copy_from_slice(&bytes);
        }
        Ok(out)
    }

    /// Copies the first `len` elements to another array.
    pub(super) fn copy_to(&self, device: &Device, to: &Self, len: usize) -> Result<()> {
        let from = self.pieces.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let to = to.pieces.lock().unwrap_or_else(PoisonError::into_inner).clone();
        from.copy_to(device, &to, self.element_bytes, len)
    }

    /// The array in one buffer, or a refusal.
    pub(super) fn whole(&self, device: &Device) -> Result<wgpu::Buffer> {
        let pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        match pieces.buffers.as_slice() {
            [buffer] => Ok(buffer.clone()),
            _ => Err(too_large(device, self.what, self.len as u64 * self.element_bytes)),
        }
    }

    /// The array as windows of `window` elements, none of which lies in two buffers: it is copied to other buffers if need be.
    pub(super) fn stack(&self, device: &Device, window: usize) -> Result<Stack> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        if pieces.buffers.len() > 1 && !pieces.piece_len.is_multiple_of(window) {
            let split = Pieces::new(device, self.what, self.element_bytes, self.len, window)?;
            pieces.copy_to(device, &split, self.element_bytes, self.len)?;
            *pieces = split;
        }
        let per_piece = if pieces.buffers.len() > 1 { pieces.piece_len / window } else { usize::MAX };
        Ok(Stack { per_piece, window_bytes: window as u64 * self.element_bytes, buffers: pieces.buffers.clone() })
    }
}

impl Pieces {
    fn new(device: &Device, what: &'static str, element_bytes: u64, len: usize, window: usize) -> Result<Self> {
        let most = (device.piece_bytes() / element_bytes) as usize;
        let piece_len = if len <= most { len.max(1) } else { most / window.max(1) * window };
        if piece_len == 0 {
            return Err(too_large(device, what, window as u64 * element_bytes));
        }
        let buffers = (0..len.max(1))
            .step_by(piece_len)
            .map(|first| device.buffer(what, (len - first).min(piece_len) as u64 * element_bytes))
            .collect::<Result<_>>()?;
        Ok(Self { piece_len, buffers })
    }

    fn copy_to(&self, device: &Device, to: &Self, element_bytes: u64, len: usize) -> Result<()> {
        let mut copies = Vec::new();
        let mut first = 0;
        while first < len {
            let (from_at, to_at) = (first % self.piece_len, first % to.piece_len);
            let count = (self.piece_len - from_at).min(to.piece_len - to_at).min(len - first);
            let (from, into) = (&self.buffers[first / self.piece_len], &to.buffers[first / to.piece_len]);
            copies.push((from, from_at as u64 * element_bytes, into, to_at as u64 * element_bytes, count as u64 * element_bytes));
            first += count;
        }
        device.copy(&copies)
    }
}

impl Stack {
    /// The buffer of a window, and the window's first byte in it.
    pub(super) fn place(&self, window: usize) -> (&wgpu::Buffer, u64) {
        (&self.buffers[window / self.per_piece], (window % self.per_piece) as u64 * self.window_bytes)
    }

    /// The windows from this one on that lie in the same buffer.
    fn rest(&self, window: usize) -> usize {
        self.per_piece - window % self.per_piece
    }
}

/// Splits the first `count` windows of stacks where one of them goes over to another buffer.
pub(super) fn spans<const N: usize>(stacks: [&Stack; N], count: usize) -> Vec<Span<N>> {
    let largest = stacks.iter().map(|s| s.window_bytes).max().unwrap_or(1).max(1);
    let most = ((SPAN_BYTES / largest) as usize).max(1);
    let mut spans = Vec::new();
    let mut first = 0;
    while first < count {
        let here = stacks.iter().map(|s| s.rest(first)).min().unwrap_or(count).min(most).min(count - first);
        let at = stacks.map(|s| (s.buffers[first / s.per_piece].clone(), (first % s.per_piece) as u32));
        spans.push(Span { first, count: here, at });
        first += here;
    }
    spans
}

pub(super) fn too_large(device: &Device, what: &str, needed_bytes: u64) -> Error {
    Error::TooLarge {
        device: device.name().to_owned(),
        what: what.to_owned(),
        needed_bytes,
        limit_bytes: device.piece_bytes(),
        hint: "Make it smaller, or use --device cpu.".to_owned(),
    }
}
