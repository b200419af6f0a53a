// out[b, m] = P̂_m · ramp_b, the spectra of each position's sub-pixel shifted probe; P̂_0 has Σ_k w_bk V̂_k added, with the variations V̂_k behind the modes of `probe_hat`.
// Reads `probe_hat`, `ramps_y`, `ramps_x` and `weights`; writes each pixel of `out` once: any order.
#import complex
#import grid
#import windows

struct Params {
    // Positions of the stack that are done here, and where they begin in each array.
    count: u32,
    first_ramp_y: u32,
    first_ramp_x: u32,
    first_out: u32,
    // The first position of the batch that is done here.
    first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> probe_hat: array<vec2f>;
@group(0) @binding(2) var<storage, read> ramps_y: array<vec2f>;
@group(0) @binding(3) var<storage, read> ramps_x: array<vec2f>;
@group(0) @binding(4) var<storage, read> weights: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn shift_probe(
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
    var probe = probe_hat[(at.mode * NY + at.y) * NX + at.x];
    if at.mode == 0u {
        for (var k = 0u; k < VARIATIONS; k++) {
            probe += weights[(params.first + at.b) * VARIATIONS + k] * probe_hat[((MODES + k) * NY + at.y) * NX + at.x];
        }
    }
    out[params.first_out * MODES * NY * NX + index] = mul(probe, ramp);
}
