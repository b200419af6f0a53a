// Spectra times the propagator to the next slice, or times its conjugate.
// Reads `propagator`, rewrites each pixel of `spectra` once: any order.
#import complex
#import grid

struct Params {
    // Numbers done here, and where they begin.
    count: u32,
    first: u32,
    // Of a window.
    pixels: u32,
    // −1 for the conjugate, else 1.
    sign: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> propagator: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> spectra: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn propagate(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    if index >= params.count {
        return;
    }
    let factor = propagator[index % params.pixels];
    let at = params.first + index;
    spectra[at] = mul(spectra[at], vec2f(factor.x, params.sign * factor.y));
}
