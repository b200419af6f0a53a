//! Which graphics device the tests run on.

use ronchi::compute::gpu::{Gpu, GpuOptions, Selection, adapters};

/// Opens a real GPU, else a software renderer, or says why there is none. `limit` lowers its largest buffer, in bytes.
pub(crate) fn gpu(limit: Option<u64>) -> Result<Gpu, String> {
    let found = adapters();
    let place = found.iter().position(|a| !a.is_software).or(if found.is_empty() { None } else { Some(0) });
    let place = place.ok_or("no adapter was found: install a Vulkan driver such as Mesa's lavapipe")?;
    Gpu::new(&Selection::Nth(place), &GpuOptions { limit_override: limit, ..GpuOptions::default() }).map_err(|e| e.to_string())
}

/// Must the tests fail where there is no adapter?
pub(crate) fn gpu_is_required() -> bool {
    std::env::var_os("RONCHI_REQUIRE_GPU").is_some_and(|value| value == "1")
}
