//! Which devices there are, which one is meant, and opening it.

use std::sync::OnceLock;

use crate::compute::{Error, Result};

/// Which adapter to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The first that is no software renderer.
    First,
    /// The n-th of [`adapters`].
    Nth(usize),
    /// The first whose name contains this, in any case of letters.
    Named(String),
}

/// How to open a device.
#[derive(Debug, Clone, Default)]
pub struct GpuOptions {
    /// Lowers the largest buffer and binding to this many bytes, so that tests meet the limits with small arrays.
    pub limit_override: Option<u64>,
    /// Asks for time stamps, where the adapter has them, so that kernels can be timed.
    pub profile: bool,
}

/// What `ronchi devices` tells of an adapter.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AdapterSummary {
    pub name: String,
    /// The API it is reached by, such as `Vulkan`.
    pub backend: String,
    /// The driver and its version.
    pub driver: String,
    /// Such as `discrete`.
    pub kind: &'static str,
    /// It runs on the CPU.
    pub is_software: bool,
    /// The largest array in one piece, in bytes.
    pub max_binding_bytes: u64,
    pub max_buffer_bytes: u64,
    pub workgroup_memory_bytes: u32,
}

/// The adapters of this machine, in the order that `gpu:N` counts them.
pub fn adapters() -> Vec<AdapterSummary> {
    found().iter().map(summary).collect()
}

/// The largest buffer that 32-bit shader addresses and signed driver sizes are safe with.
const MAX_BYTES: u64 = (1 << 31) - 256;

/// A device and what it can do.
pub(super) struct Opened {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) summary: AdapterSummary,
    pub(super) limits: wgpu::Limits,
    /// The largest buffer and binding, in bytes.
    pub(super) piece_bytes: u64,
    /// It has time stamps.
    pub(super) timed: bool,
}

/// Opens the selected adapter with its own limits.
pub(super) fn open(selection: &Selection, options: &GpuOptions) -> Result<Opened> {
    let adapters = found();
    let chosen = match selection {
        Selection::First => adapters.iter().find(|a| !is_software(&a.get_info())),
        Selection::Nth(n) => adapters.get(*n),
        Selection::Named(name) => adapters.iter().find(|a| a.get_info().name.to_lowercase().contains(&name.to_lowercase())),
    };
    let Some(adapter) = chosen else {
        return Err(no_such_device(selection, adapters));
    };
    let summary = summary(adapter);
    let mut limits = wanted_limits(&adapter.limits());
    let piece_bytes =
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(options.limit_override.unwrap_or(MAX_BYTES)) & !3;
    if options.limit_override.is_some() {
        limits.max_buffer_size = piece_bytes;
        limits.max_storage_buffer_binding_size = piece_bytes;
    }
    let timed = options.profile && adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY);
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("ronchi"),
        required_features: if timed { wgpu::Features::TIMESTAMP_QUERY } else { wgpu::Features::empty() },
        required_limits: limits.clone(),
        memory_hints: wgpu::MemoryHints::Performance,
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
        .map_err(|error| Error::Kernel { kernel: format!("(opening {})", summary.name), message: error.to_string() })?;
    Ok(Opened { device, queue, summary, limits, piece_bytes, timed })
}

/// The adapters that can compute. OpenGL is left out: its drivers speak on stderr and their compute is slow.
/// They are looked for once: drivers and their layers may write to stderr each time.
fn found() -> &'static [wgpu::Adapter] {
    static FOUND: OnceLock<Vec<wgpu::Adapter>> = OnceLock::new();
    FOUND.get_or_init(look)
}

fn look() -> Vec<wgpu::Adapter> {
    let backends = wgpu::Backends::PRIMARY;
    let descriptor = wgpu::InstanceDescriptor {
        backends,
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    };
    let adapters = pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(backends));
    adapters.into_iter().filter(|a| a.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)).collect()
}

/// The adapter's own limits of what is used here; else as little as possible.
fn wanted_limits(have: &wgpu::Limits) -> wgpu::Limits {
    wgpu::Limits {
        max_storage_buffers_per_shader_stage: have.max_storage_buffers_per_shader_stage.min(8),
        max_storage_buffer_binding_size: have.max_storage_buffer_binding_size.min(MAX_BYTES),
        max_buffer_size: have.max_buffer_size.min(MAX_BYTES),
        max_compute_workgroup_storage_size: have.max_compute_workgroup_storage_size,
        max_compute_workgroups_per_dimension: have.max_compute_workgroups_per_dimension,
        ..wgpu::Limits::downlevel_defaults().or_worse_values_from(have)
    }
}

fn is_software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == wgpu::DeviceType::Cpu
}

fn summary(adapter: &wgpu::Adapter) -> AdapterSummary {
    let info = adapter.get_info();
    let limits = wanted_limits(&adapter.limits());
    AdapterSummary {
        is_software: is_software(&info),
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "software",
            wgpu::DeviceType::Other => "other",
        },
        backend: format!("{:?}", info.backend),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        name: info.name,
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_buffer_bytes: limits.max_buffer_size,
        workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
    }
}

fn no_such_device(selection: &Selection, adapters: &[wgpu::Adapter]) -> Error {
    let name = match selection {
        Selection::First => "gpu".to_owned(),
        Selection::Nth(n) => format!("gpu:{n}"),
        Selection::Named(name) => name.clone(),
    };
    let mut available: Vec<String> = adapters
        .iter()
        .enumerate()
        .map(|(n, adapter)| {
            let info = adapter.get_info();
            let software = if is_software(&info) { ", a software renderer" } else { "" };
            format!("gpu:{n} ({}{software})", info.name)
        })
        .collect();
    available.push("cpu".to_owned());
    Error::NoSuchDevice { name, available: available.join(", ") }
}
