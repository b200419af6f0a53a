// denominator (+)= Σ_b |O[window of b]|².
// Reads `object` and the corners in `plan`; a workgroup writes 16 pixels of `denominator`, to each of which 16 invocations add: b, b + 16, … each, then their sums in a fixed order.
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

// The pixels of a workgroup.
const PIXELS: u32 = 16u;

var<workgroup> sums: array<f32, WIDTH>;

@compute @workgroup_size(WIDTH)
fn object_power(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let p = flat_group(group, groups) * PIXELS + lane % PIXELS;
    var sum = 0.0;
    if p < NY * NX {
        for (var b = lane / PIXELS; b < params.count; b += WIDTH / PIXELS) {
            let corner = vec2u(plan[params.corners + 2u * b], plan[params.corners + 2u * b + 1u]);
            sum += power(object[object_index(corner, p / NX, p % NX)]);
        }
    }
    sums[lane] = sum;
    for (var half = WIDTH / 2u; half >= PIXELS; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            sums[lane] += sums[lane + half];
        }
    }
    if lane < PIXELS && p < NY * NX {
        denominator[p] = select(denominator[p], 0.0, params.fresh == 1u) + sums[lane];
    }
}
