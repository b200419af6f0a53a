// For pattern id i, metrics[2i] = L and metrics[2i + 1] = Σ I: the sums of a pattern's parts, in their order.
// Reads `parts` and the ids in `plan`; an invocation is a pattern: any order, while no pattern is twice in a batch.
#import grid

struct Params {
    // Patterns done here, and where they begin in `parts`.
    count: u32,
    first_part: u32,
    // The parts of a pattern.
    parts: u32,
    // The first pattern's id in `plan`.
    ids: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<vec2f>;
@group(0) @binding(2) var<storage, read> plan: array<u32>;
@group(0) @binding(3) var<storage, read_write> metrics: array<f32>;

@compute @workgroup_size(WIDTH)
fn add_metrics(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let b = flat_group(group, groups) * WIDTH + lane;
    if b >= params.count {
        return;
    }
    var sum = vec2f();
    for (var part = 0u; part < params.parts; part++) {
        sum += parts[(params.first_part + b) * params.parts + part];
    }
    let id = plan[params.ids + b];
    metrics[2u * id] = sum.x;
    metrics[2u * id + 1u] = sum.y;
}
