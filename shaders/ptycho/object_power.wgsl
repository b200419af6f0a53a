// denominator (+)= Σ_b |O[window of b]|², b in order.
// Reads `object` and the corners in `plan`; each pixel of `denominator` is written by one invocation: any order.
#import complex
#import grid
#import windows

struct Params {
    count: u32,
    // The first window's corner in `plan`.
    corners: u32,
    // 1 where the sum begins at 0, else it goes on.
    fresh: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> object: array<vec2f>;
@group(0) @binding(2) var<storage, read> plan: array<u32>;
@group(0) @binding(3) var<storage, read_write> denominator: array<f32>;

@compute @workgroup_size(WIDTH)
fn object_power(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let p = flat_group(group, groups) * WIDTH + lane;
    if p >= NY * NX {
        return;
    }
    var sum = 0.0;
    if params.fresh == 0u {
        sum = denominator[p];
    }
    for (var b = 0u; b < params.count; b++) {
        let corner = vec2u(plan[params.corners + 2u * b], plan[params.corners + 2u * b + 1u]);
        sum += power(object[object_index(corner, p / NX, p % NX)]);
    }
    denominator[p] = sum;
}
