//! The shaders' text: one entry point a file, with `#import` lines that pull in files of `shaders/lib` once each.

/// A shader as its wrapper declares it.
#[derive(Debug)]
pub struct Kernel {
    /// The name of the file, of the entry point and of the wrapper.
    pub name: &'static str,
    pub(super) text: &'static str,
    /// Values of its pipeline constants such as a job would set: what the tests translate it with.
    pub example: &'static [(&'static str, f64)],
    /// Its uniforms.
    pub params: Layout,
}

impl Kernel {
    /// The shader with its imports.
    pub fn wgsl(&self) -> String {
        let mut seen = Vec::new();
        expand(self.text, &mut seen)
    }
}

/// The Rust twin of a shader's `Params`.
#[derive(Debug)]
pub struct Layout {
    pub size: usize,
    /// The fields in order, with their offsets.
    pub fields: &'static [(&'static str, usize)],
}

/// A value of a kernel's uniforms.
pub(super) trait Uniforms: bytemuck::Pod {}

/// Declares the Rust twin of a shader's `Params`, and its `LAYOUT`.
macro_rules! params {
    ($($field:ident: $kind:ty),+ $(,)?) => {
        #[repr(C)]
        #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
        struct Params {
            $($field: $kind),+
        }

        impl $crate::compute::gpu::shaders::Uniforms for Params {}

        const LAYOUT: $crate::compute::gpu::shaders::Layout = $crate::compute::gpu::shaders::Layout {
            size: size_of::<Params>(),
            fields: &[$((stringify!($field), std::mem::offset_of!(Params, $field))),+],
        };
    };
}
pub(super) use params;

const LIBRARY: [(&str, &str); 15] = [
    ("adam", include_str!("../../../shaders/lib/adam.wgsl")),
    ("aperture", include_str!("../../../shaders/lib/aperture.wgsl")),
    ("bands", include_str!("../../../shaders/lib/bands.wgsl")),
    ("butterflies", include_str!("../../../shaders/lib/butterflies.wgsl")),
    ("complex", include_str!("../../../shaders/lib/complex.wgsl")),
    ("frames", include_str!("../../../shaders/lib/frames.wgsl")),
    ("grid", include_str!("../../../shaders/lib/grid.wgsl")),
    ("likelihood", include_str!("../../../shaders/lib/likelihood.wgsl")),
    ("maximum", include_str!("../../../shaders/lib/maximum.wgsl")),
    ("spectra", include_str!("../../../shaders/lib/spectra.wgsl")),
    ("stages", include_str!("../../../shaders/lib/stages.wgsl")),
    ("sum", include_str!("../../../shaders/lib/sum.wgsl")),
    ("tiles", include_str!("../../../shaders/lib/tiles.wgsl")),
    ("wide", include_str!("../../../shaders/lib/wide.wgsl")),
    ("windows", include_str!("../../../shaders/lib/windows.wgsl")),
];

/// All kernels.
pub fn kernels() -> [&'static Kernel; 46] {
    super::kernels::ALL
}

/// Replaces each line `#import NAME` by that file of the library, the first time it is named. An unknown name stays as it is,
/// and no WGSL parser takes it.
fn expand(text: &'static str, seen: &mut Vec<&'static str>) -> String {
    let mut out = String::with_capacity(2 * text.len());
    for line in text.lines() {
        let import = line.strip_prefix("#import ").and_then(|name| LIBRARY.iter().find(|(known, _)| *known == name));
        match import {
            Some((name, library)) if !seen.contains(name) => {
                seen.push(name);
                out.push_str(&expand(library, seen));
            }
            Some(_) => {}
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}
