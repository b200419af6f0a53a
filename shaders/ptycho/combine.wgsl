// out = out_factor · out + x_factor · x + y_factor · y.
// Reads `x` and `y`, rewrites each number of `out` once: any order.
#import grid

struct Params {
    // Numbers done here, and where they begin in each array.
    count: u32,
    first_out: u32,
    first_x: u32,
    first_y: u32,
    out_factor: f32,
    x_factor: f32,
    y_factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec2f>;
@group(0) @binding(2) var<storage, read> y: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn combine(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    if index >= params.count {
        return;
    }
    let at = params.first_out + index;
    // A factor of 0 leaves nothing of what was there, be it no number.
    var sum = params.x_factor * x[params.first_x + index] + params.y_factor * y[params.first_y + index];
    if params.out_factor != 0.0 {
        sum += params.out_factor * out[at];
    }
    out[at] = sum;
}
