// What lies beyond the scan in a window is set to the mean of what lies in it.
// Reads and writes `x`; a workgroup is a window: any order.
#import sum

struct Params {
    // Windows done here, and where they begin.
    count: u32,
    first: u32,
    // Of a window.
    ny: u32,
    nx: u32,
    // Of the scan.
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec2f>;

var<workgroup> mean: vec2f;

@compute @workgroup_size(WIDTH)
fn fill_margins(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let window = flat_group(group, groups);
    if window >= params.count {
        return;
    }
    let base = (params.first + window) * params.ny * params.nx;
    var sum = vec2f();
    for (var p = lane; p < params.rows * params.columns; p += WIDTH) {
        sum += x[base + p / params.columns * params.nx + p % params.columns];
    }
    sum = workgroup_sum(lane, sum);
    if lane == 0u {
        mean = sum / f32(params.rows * params.columns);
    }
    workgroupBarrier();
    for (var p = lane; p < params.ny * params.nx; p += WIDTH) {
        if p / params.nx >= params.rows || p % params.nx >= params.columns {
            x[base + p] = mean;
        }
    }
}
