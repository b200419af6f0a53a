//! Compute pipelines, made once for each kernel and set of constants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::shaders::Kernel;

/// A kernel's pipeline constants.
pub(super) type Constants<'a> = &'a [(&'static str, f64)];

/// A kernel ready to run.
pub(super) struct Pipeline {
    pub(super) compute: wgpu::ComputePipeline,
    pub(super) bindings: wgpu::BindGroupLayout,
}

/// A kernel's name, and its constants by name and bits.
type Key = (&'static str, Vec<(&'static str, u64)>);

/// The pipelines made so far.
#[derive(Default)]
pub(super) struct Pipelines {
    modules: Mutex<HashMap<&'static str, wgpu::ShaderModule>>,
    pipelines: Mutex<HashMap<Key, Arc<Pipeline>>>,
}

impl Pipelines {
    pub(super) fn get(&self, device: &wgpu::Device, kernel: &Kernel, constants: Constants<'_>) -> Arc<Pipeline> {
        let key = (kernel.name, constants.iter().map(|&(name, value)| (name, value.to_bits())).collect());
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        pipelines.entry(key).or_insert_with(|| Arc::new(self.make(device, kernel, constants))).clone()
    }

    fn make(&self, device: &wgpu::Device, kernel: &Kernel, constants: Constants<'_>) -> Pipeline {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let module = modules.entry(kernel.name).or_insert_with(|| {
            let source = wgpu::ShaderSource::Wgsl(kernel.wgsl().into());
            device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(kernel.name), source })
        });
        let compute = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name),
            layout: None,
            module,
            entry_point: Some(kernel.name),
            // Every kernel writes its workgroup memory before it reads it.
            compilation_options: wgpu::PipelineCompilationOptions { constants, zero_initialize_workgroup_memory: false },
            cache: None,
        });
        let bindings = compute.get_bind_group_layout(0);
        tracing::debug!(kernel = kernel.name, ?constants, "pipeline made");
        Pipeline { compute, bindings }
    }
}
