// out (+)= Σ_w windows[w], in their order.
// Reads `windows`; each number of `out` is written by one invocation. The dispatches of one sum (its parts) run one after the other, each going on from the one before.
#import grid

struct Params {
    // Windows done here, and where they begin.
    count: u32,
    first: u32,
    // Numbers of a window.
    len: u32,
    // 1 where the sum begins at 0, else it goes on.
    fresh: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> windows: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn add_windows(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let p = flat_group(group, groups) * WIDTH + lane;
    if p >= params.len {
        return;
    }
    var sum = vec2f();
    if params.fresh == 0u {
        sum = out[p];
    }
    for (var w = 0u; w < params.count; w++) {
        sum += windows[(params.first + w) * params.len + p];
    }
    out[p] = sum;
}
