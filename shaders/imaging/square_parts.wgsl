// Real and imaginary parts, each squared.
// Each number of `x` is changed once: any order.
#import grid

struct Params {
    // Numbers done here, and the first of them.
    count: u32,
    first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn square_parts(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_group(group, groups) * WIDTH + lane;
    if at < params.count {
        let value = x[params.first + at];
        x[params.first + at] = value * value;
    }
}
