//! Every shader is valid, translates to what each platform speaks, and has the uniforms that the Rust side writes.

use naga::back::pipeline_constants::process_overrides;
use naga::back::{PipelineConstants, hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, TypeInner};
use ronchi::compute::gpu::shaders::{Kernel, kernels};

/// The shader as a module with its overrides left open.
fn parsed(kernel: &Kernel) -> (Module, ModuleInfo) {
    let source = kernel.wgsl();
    let module = naga::front::wgsl::parse_str(&source).unwrap_or_else(|e| panic!("{}: {}", kernel.name, e.emit_to_string(&source)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .unwrap_or_else(|e| panic!("{}: {}", kernel.name, e.emit_to_string(&source)));
    (module, info)
}

/// Calls `translate` with each shader, its overrides set to the kernel's example.
fn for_each_shader(translate: impl Fn(&Kernel, &Module, &ModuleInfo)) {
    for kernel in kernels() {
        let (module, info) = parsed(kernel);
        let constants: PipelineConstants = kernel.example.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        let (module, info) = process_overrides(&module, &info, Some((ShaderStage::Compute, kernel.name)), &constants)
            .unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
        translate(kernel, &module, &info);
    }
}

#[test]
fn every_shader_is_valid_and_has_the_entry_point_it_is_named_for() {
    for kernel in kernels() {
        let (module, _) = parsed(kernel);
        let names: Vec<_> = module.entry_points.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, [kernel.name]);
    }
}

#[test]
fn every_shader_translates_to_spir_v() {
    for_each_shader(|kernel, module, info| {
        let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: kernel.name.to_owned() };
        let words = spv::write_vec(module, info, &spv::Options::default(), Some(&pipeline));
        assert!(!words.unwrap_or_else(|e| panic!("{}: {e}", kernel.name)).is_empty());
    });
}

#[test]
fn every_shader_translates_to_metal() {
    for_each_shader(|kernel, module, info| {
        let options = msl::Options { fake_missing_bindings: true, ..msl::Options::default() };
        let (text, translation) =
            msl::write_string(module, info, &options, &msl::PipelineOptions::default()).unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
        assert!(text.contains("kernel void") && translation.entry_point_names.iter().all(Result::is_ok), "{}", kernel.name);
    });
}

#[test]
fn every_shader_translates_to_hlsl() {
    for_each_shader(|kernel, module, info| {
        let options = hlsl::Options { fake_missing_bindings: true, ..hlsl::Options::default() };
        let pipeline = hlsl::PipelineOptions::default();
        let mut text = String::new();
        let reflection =
            hlsl::Writer::new(&mut text, &options, &pipeline).write(module, info, None).unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
        assert!(text.contains("numthreads") && reflection.entry_point_names.iter().all(Result::is_ok), "{}", kernel.name);
    });
}

#[test]
fn uniforms_lie_in_rust_as_they_do_in_the_shader() {
    for kernel in kernels() {
        let (module, _) = parsed(kernel);
        let uniforms: Vec<_> = module.global_variables.iter().filter(|(_, v)| v.space == AddressSpace::Uniform).collect();
        let [(_, uniform)] = uniforms.as_slice() else {
            panic!("{} has {} uniforms, not one", kernel.name, uniforms.len());
        };
        let TypeInner::Struct { members, span } = &module.types[uniform.ty].inner else {
            panic!("the uniforms of {} are no struct", kernel.name);
        };
        let fields: Vec<_> = members.iter().map(|m| (m.name.as_deref().unwrap_or_default(), m.offset as usize)).collect();
        assert_eq!(fields, kernel.params.fields, "{}", kernel.name);
        assert_eq!(*span as usize, kernel.params.size, "{}", kernel.name);
    }
}

/// Older and mobile devices offer no more than eight storage buffers and 16 352 bytes of workgroup memory; `fft2` takes what there is.
#[test]
fn no_shader_binds_or_shares_more_than_any_device_offers() {
    for_each_shader(|kernel, module, _| {
        let storage = module.global_variables.iter().filter(|(_, v)| matches!(v.space, AddressSpace::Storage { .. })).count();
        assert!(storage <= 8, "{} binds {storage} storage buffers", kernel.name);
        let shared: u32 = module
            .global_variables
            .iter()
            .filter(|(_, v)| v.space == AddressSpace::WorkGroup)
            .map(|(_, v)| module.types[v.ty].inner.size(module.to_ctx()))
            .sum();
        assert!(shared <= 16352, "{} shares {shared} bytes", kernel.name);
    });
}
