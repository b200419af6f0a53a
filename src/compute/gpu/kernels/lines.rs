//! How workgroups share the lines that `shaders/lib/stages.wgsl` transforms.

use std::collections::HashMap;
use std::f64::consts::TAU;
use std::sync::{Arc, Mutex, PoisonError};

use num_complex::Complex64;

use super::{gradient_rows, probe_sum_columns, residual_columns};
use crate::compute::Result;
use crate::compute::gpu::arrays::narrow;
use crate::compute::gpu::device::Device;
use crate::compute::gpu::memory::Array;

/// Most stages of a side up to 1024: 3⁶ = 729 has six.
const STAGES: usize = 6;

/// Workgroup memory that a kernel uses where there is more.
const STORE_BYTES: usize = 1 << 15;

/// Most lines of a workgroup: so many columns fill a 64-byte line of memory.
const LINES: usize = 8;

/// Most invocations of a workgroup.
const THREADS: usize = 256;

/// The points of a row between two gaps, where there is room for gaps.
const GAP: usize = 16;

/// The tables of twiddles made so far, one a side.
#[derive(Default)]
pub(in crate::compute::gpu) struct Transforms(Mutex<HashMap<usize, Arc<wgpu::Buffer>>>);

/// An axis of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::compute::gpu) enum Axis {
    Rows,
    Columns,
}

/// What a kernel needs of workgroup memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Room {
    /// Slots that hold all lines once.
    pub(super) slots: usize,
    /// Bytes of each point beside the slots.
    pub(super) point_bytes: usize,
    /// Bytes of each invocation.
    pub(super) invocation_bytes: usize,
}

/// The lines of one axis as workgroups share them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::compute::gpu) struct Lines {
    axis: Axis,
    pub(super) side: usize,
    radices: [usize; STAGES],
    /// Of a workgroup.
    pub(super) lines: usize,
    gap: usize,
    slots: usize,
}

/// The lines of each fused kernel of ptychography.
pub(in crate::compute::gpu) struct Plan {
    /// Of `exit_rows`.
    pub(in crate::compute::gpu) rows: Lines,
    /// Of `probe_columns` and `propagate_columns`.
    pub(in crate::compute::gpu) columns: Lines,
    /// Of `residual_columns`, and whether its spectra stay in workgroup memory.
    pub(in crate::compute::gpu) residual: Lines,
    pub(in crate::compute::gpu) keep: bool,
    /// Of `gradient_rows`.
    pub(in crate::compute::gpu) gradient: Lines,
    /// Of `probe_sum_columns`.
    pub(in crate::compute::gpu) probe: Lines,
}

impl Plan {
    /// `None` where one of them does not fit into workgroup memory of so many bytes.
    pub(in crate::compute::gpu) fn new(device_bytes: u32, window: [usize; 2], modes: usize) -> Option<Self> {
        let two = Room { slots: 2, ..Room::default() };
        let (residual, keep) = residual_columns::fit(device_bytes, window, modes)?;
        Some(Self {
            rows: Lines::fit(device_bytes, window, Axis::Rows, two)?,
            columns: Lines::fit(device_bytes, window, Axis::Columns, two)?,
            residual,
            keep,
            gradient: gradient_rows::fit(device_bytes, window, modes)?,
            probe: probe_sum_columns::fit(device_bytes, window)?,
        })
    }

    /// The workgroups of `residual_columns` of a pattern.
    pub(in crate::compute::gpu) fn parts(&self, window: [usize; 2]) -> usize {
        self.residual.groups(window)
    }

    /// The probes that `probe_sum_columns` leaves of a batch.
    pub(in crate::compute::gpu) fn sums(&self, batch: usize) -> usize {
        probe_sum_columns::groups_of_batch(batch)
    }
}

/// The radices of the stages that transform this side; unused ones are 1. `None` if it is not 2^a·3^b·5^c·7^d from 16 to 1024.
pub(in crate::compute::gpu) fn radices(side: usize) -> Option<[usize; STAGES]> {
    if !(16..=1024).contains(&side) {
        return None;
    }
    let mut radices = [1; STAGES];
    let (mut rest, mut stage) = (side, 0);
    while rest > 1 {
        // 8·2 would be two unequal stages where 4·4 does.
        let radix = [8, 7, 5, 4, 3, 2]
            .into_iter()
            .find(|&r| rest.is_multiple_of(r) && !(r == 8 && rest.is_multiple_of(16) && !rest.is_multiple_of(32)))?;
        radices[stage] = radix;
        rest /= radix;
        stage += 1;
    }
    Some(radices)
}

impl Transforms {
    /// e^{−2πi k/side} for k < side.
    pub(super) fn twiddles(&self, device: &Device, side: usize) -> Result<Arc<wgpu::Buffer>> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&side) {
            return Ok(table.clone());
        }
        let values: Vec<Complex64> = (0..side).map(|k| Complex64::cis(-TAU * k as f64 / side as f64)).collect();
        let table = Arc::new(Array::of(device, "twiddles", &narrow(&values), 1)?.whole(device)?);
        tables.insert(side, table.clone());
        Ok(table)
    }
}

impl Lines {
    /// As many lines a workgroup as there is room for, a power of two up to eight, in 32 KiB or, if not even one fits there, in what `device_bytes` the device has.
    /// `None` if the side cannot be transformed or one line does not fit.
    pub(super) fn fit(device_bytes: u32, shape: [usize; 2], axis: Axis, room: Room) -> Option<Self> {
        let side = if axis == Axis::Columns { shape[0] } else { shape[1] };
        let radices = radices(side)?;
        let device_bytes = device_bytes as usize;
        let with = |lines, gap| Self { axis, side, radices, lines, gap, slots: room.slots };
        let fits = |lines: &Self, most: usize| lines.bytes(room) <= most;
        let usual =
            [LINES, LINES / 2, LINES / 4, 1].map(|lines| with(lines, GAP)).into_iter().find(|l| fits(l, device_bytes.min(STORE_BYTES)));
        // A gap of 1024 is none.
        usual.or_else(|| [GAP, 1024].map(|gap| with(1, gap)).into_iter().find(|l| fits(l, device_bytes)))
    }

    fn bytes(&self, room: Room) -> usize {
        8 * self.slots * self.slot() + room.point_bytes * self.lines * self.side + room.invocation_bytes * self.threads()
    }

    /// Places of a slot.
    fn slot(&self) -> usize {
        match self.axis {
            Axis::Columns => self.lines * self.side,
            Axis::Rows => self.lines * (self.side + self.side.div_ceil(self.gap)),
        }
    }

    fn threads(&self) -> usize {
        (self.lines * self.side / 8).next_power_of_two().clamp(64, THREADS)
    }

    /// The workgroups of a window of this shape.
    pub(super) fn groups(&self, shape: [usize; 2]) -> usize {
        let lines = if self.axis == Axis::Columns { shape[1] } else { shape[0] };
        lines.div_ceil(self.lines)
    }

    /// The pipeline constants of `shaders/lib/stages.wgsl`.
    pub(super) fn constants(&self) -> [(&'static str, f64); 14] {
        let radices = self.radices.map(|r| r as f64);
        [
            ("SIDE", self.side as f64),
            ("LINES", self.lines as f64),
            ("THREADS", self.threads() as f64),
            ("RADIX_0", radices[0]),
            ("RADIX_1", radices[1]),
            ("RADIX_2", radices[2]),
            ("RADIX_3", radices[3]),
            ("RADIX_4", radices[4]),
            ("RADIX_5", radices[5]),
            ("SCALE", 1.0 / (self.side as f64).sqrt()),
            ("ACROSS", if self.axis == Axis::Columns { 1.0 } else { 0.0 }),
            ("GAP", self.gap as f64),
            ("SLOT", self.slot() as f64),
            ("STORE", (self.slots * self.slot()) as f64),
        ]
    }
}

/// Constants of `shaders/lib/bands.wgsl` to translate shaders with, where a workgroup has so many slots and these further constants.
macro_rules! bands_example {
    ($lines:literal, $slots:literal $(, $name:literal: $value:literal)*) => {
        &[
            ("NY", 80.0),
            ("NX", 80.0),
            ("OBJECT_NY", 300.0),
            ("OBJECT_NX", 417.0),
            ("MODES", 3.0),
            ("SIDE", 80.0),
            ("LINES", $lines as f64),
            ("THREADS", 64.0),
            ("RADIX_0", 5.0),
            ("RADIX_1", 4.0),
            ("RADIX_2", 4.0),
            ("RADIX_3", 1.0),
            ("RADIX_4", 1.0),
            ("RADIX_5", 1.0),
            ("SCALE", 0.1),
            ("ACROSS", 1.0),
            ("GAP", 16.0),
            ("SLOT", 80.0 * $lines as f64),
            ("STORE", 80.0 * $lines as f64 * $slots as f64),
            $(($name, $value)),*
        ]
    };
}
pub(super) use bands_example;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_whose_lines_do_not_fit_has_no_plan() {
        let plan = |bytes, window, modes| Plan::new(bytes, window, modes);
        let usual = plan(49152, [128; 2], 1).unwrap();
        assert!(usual.keep && usual.residual.lines == 8 && usual.gradient.lines == 8);
        assert_eq!(plan(32768, [128; 2], 3).map(|p| (p.keep, p.residual.lines, p.gradient.lines)), Some((true, 4, 4)));
        assert_eq!(plan(32768, [128; 2], 12).map(|p| (p.keep, p.residual.lines)), Some((false, 8)));
        assert!(plan(16352, [512; 2], 1).is_some());
        assert!(plan(16352, [1024; 2], 1).is_none());
        assert!(plan(32768, [64, 1024], 2).is_none());
        assert!(plan(49152, [64, 1024], 2).is_some());
    }

    #[test]
    fn lines_fit_into_what_there_is() {
        let room = Room { slots: 2, point_bytes: 4, invocation_bytes: 8 };
        let fit = |bytes, side, axis| Lines::fit(bytes, [side; 2], axis, room).map(|l| (l.lines, l.gap));
        assert_eq!(fit(49152, 128, Axis::Columns), Some((8, GAP)));
        assert_eq!(fit(16352, 128, Axis::Columns), Some((4, GAP)));
        assert_eq!(fit(32768, 1024, Axis::Columns), Some((1, GAP)));
        assert_eq!(fit(16352, 1024, Axis::Columns), None);
        assert_eq!(fit(16352, 17, Axis::Columns), None);
        // Without gaps where there is no room for them.
        let room = Room { slots: 2, ..Room::default() };
        assert_eq!(Lines::fit(16352, [1008; 2], Axis::Rows, room).map(|l| (l.lines, l.gap)), Some((1, 1024)));
        for side in (16..=1024).filter(|&side| radices(side).is_some()) {
            for axis in [Axis::Rows, Axis::Columns] {
                let lines = Lines::fit(16384, [side; 2], axis, Room { slots: 1, ..Room::default() }).unwrap();
                assert!(lines.bytes(Room { slots: 1, ..Room::default() }) <= 16384 && lines.groups([side; 2]) * lines.lines >= side);
            }
        }
    }
}
