// Spectra between slices times the ramps of their positions' tilts, or times their conjugates.
// Reads the ramps, rewrites each pixel of `spectra` once: any order.
#import complex
#import grid
#import windows

struct Params {
    // Positions of the stack that are done here, and where they begin in each array.
    count: u32,
    first_spectrum: u32,
    first_ramp_y: u32,
    first_ramp_x: u32,
    // −1 for the conjugate, else 1.
    sign: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ramps_y: array<vec2f>;
@group(0) @binding(2) var<storage, read> ramps_x: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> spectra: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn tilt_waves(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    if index >= params.count * MODES * NY * NX {
        return;
    }
    let at = pixel_of(index);
    let ramp = mul(ramps_y[(params.first_ramp_y + at.b) * NY + at.y], ramps_x[(params.first_ramp_x + at.b) * NX + at.x]);
    let place = params.first_spectrum * MODES * NY * NX + index;
    spectra[place] = mul(spectra[place], vec2f(ramp.x, params.sign * ramp.y));
}
