// velocity = friction · velocity + (x − previous), x += friction · velocity, previous = x.
// Rewrites each number of the three arrays once: any order.
#import grid

struct Params {
    // Numbers done here, and where they begin in each array.
    count: u32,
    first_x: u32,
    first_previous: u32,
    first_velocity: u32,
    friction: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> previous: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> velocity: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn momentum(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    if index >= params.count {
        return;
    }
    let here = x[params.first_x + index];
    let speed = params.friction * velocity[params.first_velocity + index] + (here - previous[params.first_previous + index]);
    let there = here + params.friction * speed;
    velocity[params.first_velocity + index] = speed;
    x[params.first_x + index] = there;
    previous[params.first_previous + index] = there;
}
