// gain = peak over the mean of the denominators, or 1 where that is 0.
// Reads `denominator` and `peak`, writes `gain`; one workgroup.
#import sum

struct Params {
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> denominator: array<f32>;
@group(0) @binding(2) var<storage, read> peak: array<f32>;
@group(0) @binding(3) var<storage, read_write> gain: array<f32>;

@compute @workgroup_size(WIDTH)
fn optimal_probe_step(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < params.count; i += WIDTH) {
        sum += denominator[i];
    }
    sum = workgroup_sum(lane, vec2f(sum, 0.0)).x;
    if lane == 0u {
        gain[0] = select(1.0, peak[0] * f32(params.count) / sum, sum > 0.0);
    }
}
