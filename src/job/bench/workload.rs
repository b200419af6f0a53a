//! What is run: the standard workloads, at three sizes.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Slices of the object and modes of the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Depth {
    pub slices: usize,
    pub modes: usize,
}

/// How much is run where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Seconds: to see that it runs.
    Quick,
    /// About a minute. Fewer patterns on the CPU.
    Usual,
    /// 16384 patterns on whatever device.
    Full,
}

/// What was asked for; what is `None` is as the extent and the device have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub extent: Extent,
    pub patterns: Option<usize>,
    /// The side of a pattern, in pixels.
    pub window: Option<usize>,
    pub batches: Option<Vec<usize>>,
    pub depths: Option<Vec<Depth>>,
    /// Timed ones.
    pub iterations: Option<u32>,
}

/// What is run on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) patterns: usize,
    pub(super) window: usize,
    pub(super) iterations: u32,
    pub(super) workloads: Vec<Workload>,
    /// An array of the copies that measure the bandwidth, in bytes.
    pub(super) copy_bytes: u64,
}

/// A batch and a depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Workload {
    pub(super) batch: usize,
    pub(super) depth: Depth,
}

const SIMPLE: Depth = Depth { slices: 1, modes: 1 };
const DEPTHS: [Depth; 3] = [SIMPLE, Depth { slices: 6, modes: 6 }, Depth { slices: 6, modes: 12 }];
const BATCHES: [usize; 3] = [16, 256, 1024];

impl Wish {
    /// `by_host`: the device is the CPU, or a renderer that runs on it.
    pub(super) fn plan(&self, by_host: bool) -> Plan {
        let (patterns, window, batches, depths, iterations, copy_bytes) = match (self.extent, by_host) {
            (Extent::Quick, _) => (64, 64, vec![16, 64], vec![SIMPLE, Depth { slices: 2, modes: 2 }], 2, 1 << 24),
            (Extent::Usual, true) => (256, 128, vec![16, 256], DEPTHS.to_vec(), 3, 1 << 28),
            (Extent::Usual, false) => (4096, 128, BATCHES.to_vec(), DEPTHS.to_vec(), 5, 1 << 28),
            (Extent::Full, _) => (16384, 128, BATCHES.to_vec(), DEPTHS.to_vec(), 5, 1 << 28),
        };
        let patterns = self.patterns.unwrap_or(patterns);
        // A batch of more patterns than there are is one of all of them.
        let mut batches: Vec<usize> = self.batches.clone().unwrap_or(batches).into_iter().map(|batch| batch.min(patterns)).collect();
        batches.dedup();
        let depths = self.depths.clone().unwrap_or(depths);
        let workloads = depths.iter().flat_map(|&depth| batches.iter().map(move |&batch| Workload { batch, depth })).collect();
        let (window, iterations) = (self.window.unwrap_or(window), self.iterations.unwrap_or(iterations));
        Plan { patterns, window, iterations, workloads, copy_bytes }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize, word: &str| if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") };
        let Depth { slices, modes } = self.depth;
        write!(f, "{}, {}, batch {}", plural(slices, "slice"), plural(modes, "mode"), self.batch)
    }
}

impl FromStr for Depth {
    type Err = String;

    /// SLICESxMODES.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse().ok().filter(|n| (1..=64).contains(n));
        match text.split_once(['x', '×']).map(|(slices, modes)| (number(slices), number(modes))) {
            Some((Some(slices), Some(modes))) => Ok(Self { slices, modes }),
            _ => Err("write slices x modes, each from 1 to 64, such as 6x12".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(extent: Extent) -> Wish {
        Wish { extent, patterns: None, window: None, batches: None, depths: None, iterations: None }
    }

    #[test]
    fn the_full_list_is_that_of_the_promise() {
        let plan = wish(Extent::Full).plan(false);
        assert_eq!((plan.patterns, plan.window), (16384, 128));
        let listed: Vec<_> = plan.workloads.iter().map(|w| (w.depth.slices, w.depth.modes, w.batch)).collect();
        let promised = [(1, 1), (6, 6), (6, 12)].iter().flat_map(|&(s, m)| [16, 256, 1024].map(|batch| (s, m, batch)));
        assert_eq!(listed, promised.collect::<Vec<_>>());
        assert_eq!(wish(Extent::Full).plan(true), plan, "on whatever device");
    }

    #[test]
    fn what_is_asked_for_is_run_and_batches_are_no_larger_than_the_set() {
        let asked = Wish { patterns: Some(100), batches: Some(vec![7, 100, 4000]), depths: Some(vec![SIMPLE]), ..wish(Extent::Usual) };
        let plan = asked.plan(false);
        assert_eq!(plan.workloads.iter().map(|w| w.batch).collect::<Vec<_>>(), [7, 100]);
        assert_eq!(plan.iterations, 5);
    }

    #[test]
    fn depths_are_slices_times_modes() {
        assert_eq!("6x12".parse(), Ok(Depth { slices: 6, modes: 12 }));
        assert_eq!("2 × 3".parse(), Ok(Depth { slices: 2, modes: 3 }));
        for wrong in ["6", "x", "0x1", "1x65", "1x2x3", "-1x2"] {
            assert!(wrong.parse::<Depth>().is_err(), "{wrong}");
        }
    }
}
