//! From a device's name to an engine.

use super::Error;
use crate::compute::gpu::{self, Gpu, GpuOptions, Selection};
use crate::run::Run;

/// An engine that was asked for and is there.
pub(super) enum Device {
    Cpu,
    Gpu(Box<Gpu>),
}

impl Device {
    /// Finds the device that `compute.device` names: `auto`, `cpu`, `gpu`, `gpu:N` or a part of an adapter's name.
    pub(super) fn open(name: &str) -> Result<Self, Error> {
        Self::open_with(name, &GpuOptions::default())
    }

    /// The same with other options.
    pub(super) fn open_with(name: &str, options: &GpuOptions) -> Result<Self, Error> {
        let selection = match name {
            "cpu" => return Ok(Self::Cpu),
            "auto" if gpu::adapters().iter().all(|adapter| adapter.is_software) => return Ok(Self::Cpu),
            "auto" | "gpu" => Selection::First,
            _ => match name.strip_prefix("gpu:").and_then(|number| number.parse().ok()) {
                Some(number) => Selection::Nth(number),
                None => Selection::Named(name.to_owned()),
            },
        };
        Ok(Self::Gpu(Box::new(Gpu::new(&selection, options)?)))
    }

    /// Says what will do the work where nobody chose it.
    pub(super) fn tell(&self, asked: &str, run: &Run) {
        if let (Self::Cpu, "auto") = (self, asked) {
            run.note(format!("no GPU was found: the CPU engine does the work with {} threads", rayon::current_num_threads()));
        }
    }
}
