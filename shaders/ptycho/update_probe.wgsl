// probe_hat += step · gain · numerator / peak; nothing where the peak is 0.
// Reads `numerator`, `peak` and `gain`; each pixel of `probe_hat` is changed once: any order.
#import grid

struct Params {
    step: f32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> numerator: array<vec2f>;
@group(0) @binding(2) var<storage, read> peak: array<f32>;
@group(0) @binding(3) var<storage, read> gain: array<f32>;
@group(0) @binding(4) var<storage, read_write> probe_hat: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn update_probe(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_group(group, groups) * WIDTH + lane;
    if at < params.count && peak[0] > 0.0 {
        probe_hat[at] += params.step * gain[0] * (numerator[at] / peak[0]);
    }
}
