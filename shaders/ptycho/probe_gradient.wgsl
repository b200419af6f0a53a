// out[b, m] = O[window of b]* · Δψ[b, m].
// Reads `waves`, `object` and the corners in `plan`; writes each pixel of `out` once: any order.
#import complex
#import grid
#import windows

struct Params {
    // Positions of the stack that are done here, and where they begin in each array.
    count: u32,
    first_wave: u32,
    first_out: u32,
    // The first position's corner in `plan`.
    corners: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> waves: array<vec2f>;
@group(0) @binding(2) var<storage, read> object: array<vec2f>;
@group(0) @binding(3) var<storage, read> plan: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn probe_gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    if index >= params.count * MODES * NY * NX {
        return;
    }
    let at = pixel_of(index);
    let corner = vec2u(plan[params.corners + 2u * at.b], plan[params.corners + 2u * at.b + 1u]);
    let wave = waves[params.first_wave * MODES * NY * NX + index];
    out[params.first_out * MODES * NY * NX + index] = conj_mul(object[object_index(corner, at.y, at.x)], wave);
}
