//! What a benchmark asks of an engine beyond its work.

use super::copy::{self, CopyRate};
use super::report::DeviceFacts;
use crate::compute::cpu::Cpu;
use crate::compute::gpu::{Gpu, Seen, Watch};
use crate::compute::{self, Backend};

/// An engine that can be measured.
pub(super) trait Metered: Backend {
    fn facts(&self) -> DeviceFacts;

    /// Does it compute on the host's processor?
    fn by_host(&self) -> bool;

    fn copy_rates(&self, array_bytes: u64) -> compute::Result<Vec<CopyRate>>;

    /// What is kept of each of the iterations after the timed ones.
    fn afterwards(&self) -> &'static [Watch];

    fn watch(&self, watch: Watch) -> compute::Result<()>;

    /// What was kept; `None` where there is nothing to keep.
    fn seen(&self) -> Option<Seen>;
}

impl Metered for Cpu<f32> {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts { name: self.device_name(), kind: "cpu", backend: None, driver: None, timestamps: false }
    }

    fn by_host(&self) -> bool {
        true
    }

    fn copy_rates(&self, array_bytes: u64) -> compute::Result<Vec<CopyRate>> {
        Ok(vec![copy::on_host(array_bytes)])
    }

    fn afterwards(&self) -> &'static [Watch] {
        &[]
    }

    fn watch(&self, _watch: Watch) -> compute::Result<()> {
        Ok(())
    }

    fn seen(&self) -> Option<Seen> {
        None
    }
}

impl Metered for Gpu {
    fn facts(&self) -> DeviceFacts {
        let adapter = self.summary();
        let [backend, driver] = [&adapter.backend, &adapter.driver].map(|text| Some(text.clone()));
        DeviceFacts { name: adapter.name.clone(), kind: adapter.kind, backend, driver, timestamps: self.has_clock() }
    }

    fn by_host(&self) -> bool {
        self.summary().is_software
    }

    fn copy_rates(&self, array_bytes: u64) -> compute::Result<Vec<CopyRate>> {
        copy::on_device(self, array_bytes)
    }

    fn afterwards(&self) -> &'static [Watch] {
        if self.has_clock() { &[Watch::Counts, Watch::Kernels] } else { &[Watch::Counts] }
    }

    fn watch(&self, watch: Watch) -> compute::Result<()> {
        Self::watch(self, watch)
    }

    fn seen(&self) -> Option<Seen> {
        Some(Self::seen(self))
    }
}
