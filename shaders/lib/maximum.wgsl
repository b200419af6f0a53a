// The largest number of a workgroup.
#import grid

var<workgroup> maximum_store: array<f32, WIDTH>;

// Called by all invocations of the workgroup; the result is right in invocation 0.
fn workgroup_maximum(lane: u32, value: f32) -> f32 {
    maximum_store[lane] = value;
    for (var half = WIDTH / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            maximum_store[lane] = max(maximum_store[lane], maximum_store[lane + half]);
        }
    }
    return maximum_store[lane];
}
