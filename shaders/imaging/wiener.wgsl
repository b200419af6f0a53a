// out[f] = Σ B*H/(|B|² + ε) / Σ |B|²/(|B|² + ε) over windows H of `patterns` and B of `overlaps`; 0 where the divisor is 0.
// A workgroup is a frequency: any order.
#import complex
#import sum

struct Params {
    // Frequencies done here, and where they begin in each array.
    count: u32,
    first_pattern: u32,
    first_overlap: u32,
    first_out: u32,
    // Numbers of a window.
    window: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> patterns: array<vec2f>;
@group(0) @binding(2) var<storage, read> overlaps: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn wiener(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let f = flat_group(group, groups);
    if f >= params.count {
        return;
    }
    var sum = vec2f();
    var weight = 0.0;
    for (var p = lane; p < params.window; p += WIDTH) {
        let pattern = patterns[(params.first_pattern + f) * params.window + p];
        let overlap = overlaps[(params.first_overlap + f) * params.window + p];
        let factor = 1.0 / (power(overlap) + params.epsilon);
        sum += conj_mul(overlap, pattern) * factor;
        weight += power(overlap) * factor;
    }
    sum = workgroup_sum(lane, sum);
    // The second sum uses the same memory.
    workgroupBarrier();
    let weights = workgroup_sum(lane, vec2f(weight, 0.0));
    if lane == 0u {
        var result = vec2f();
        if weights.x > 0.0 {
            result = sum / weights.x;
        }
        out[params.first_out + f] = result;
    }
}
