// out[Y, X] += Σ_p Ĩ_p(Y, X) · ramps_y[p][Y] · ramps_x[p][X] over half a spectrum, one pixel after the other.
// Reads `spectra`, `ramps_y` and `ramps_x`; each frequency of `out` is one invocation's. Workgroups run beside each other; dispatches (parts of the pixels)
// run one after the other, each going on from the one before.
#import complex
#import grid
#import spectra

struct Params {
    // Pixels done here, the first one's place among those of `spectra`, and its ramp.
    count: u32,
    first_pixel: u32,
    first_ramp: u32,
    // Frequencies of half a spectrum.
    half: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> spectra: array<vec2f>;
@group(0) @binding(2) var<storage, read> ramps_y: array<vec2f>;
@group(0) @binding(3) var<storage, read> ramps_x: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> out: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn tilt_sum(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    if index >= params.half {
        return;
    }
    let y = index / OUTPUT_NX;
    let x = index % OUTPUT_NX;
    var sum = out[index];
    for (var p = 0u; p < params.count; p++) {
        let ramp = params.first_ramp + p;
        let pixel = params.first_pixel + p;
        let turn = mul(ramps_y[ramp * OUTPUT_NY + y], ramps_x[ramp * OUTPUT_NX + x]);
        sum += mul(spectrum_at(pixel / 2u, pixel % 2u == 1u, y, x), turn);
    }
    out[index] = sum;
}
