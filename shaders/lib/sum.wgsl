// The sum of a pair of numbers over a workgroup, in an order that never changes.
#import grid

var<workgroup> sum_store: array<vec2f, WIDTH>;

// Called by all invocations of the workgroup; the result is right in invocation 0.
fn workgroup_sum(lane: u32, value: vec2f) -> vec2f {
    sum_store[lane] = value;
    for (var half = WIDTH / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            sum_store[lane] += sum_store[lane + half];
        }
    }
    return sum_store[lane];
}
