// peak[0] = the largest of the first `count` values, none of them negative; 0 of none.
// Reads `values`, writes `peak`; one workgroup.
#import maximum

struct Params {
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> peak: array<f32>;

@compute @workgroup_size(WIDTH)
fn reduce_max(@builtin(local_invocation_index) lane: u32) {
    var largest = 0.0;
    for (var i = lane; i < params.count; i += WIDTH) {
        largest = max(largest, values[i]);
    }
    largest = workgroup_maximum(lane, largest);
    if lane == 0u {
        peak[0] = largest;
    }
}
