// out[b, m] = F_x[F_x⁻¹[incident[b, m]] · O[window of b]]: waves in (y, kx) go through a slice.
// Reads `incident`, `object` and the corners in `plan`; a workgroup writes its rows of a window of `out`: any order.
#import bands

struct Params {
    // Positions of the stack that are done here, and where they begin in each array.
    count: u32,
    first_incident: u32,
    first_out: u32,
    // The first position's corner in `plan`.
    corners: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> twiddles: array<vec2f>;
@group(0) @binding(2) var<storage, read> incident: array<vec2f>;
@group(0) @binding(3) var<storage, read> object: array<vec2f>;
@group(0) @binding(4) var<storage, read> plan: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<vec2f>;

// The window in the stack, and its corner in the object.
var<private> window: u32;
var<private> corner: vec2u;

const INVERSE: u32 = 0u;
const FORWARD: u32 = 1u;

fn source(tag: u32, line: u32, i: u32) -> vec2f {
    if tag == FORWARD {
        return store[spot(0u, line, i)];
    }
    if !is_line(line) {
        return vec2f();
    }
    return conj(incident[(params.first_incident * MODES + window) * NY * NX + pixel_at(line, i)]);
}

fn sink(tag: u32, line: u32, i: u32, value: vec2f) {
    if tag == FORWARD {
        if is_line(line) {
            out[(params.first_out * MODES + window) * NY * NX + pixel_at(line, i)] = SCALE * value;
        }
        return;
    }
    var wave = SCALE * conj(value);
    if is_line(line) {
        wave = mul(wave, object[object_index(corner, first_line + line, i)]);
    }
    store[spot(0u, line, i)] = wave;
}

@compute @workgroup_size(THREADS)
fn exit_rows(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let place = flat_group(group, groups);
    window = place / bands();
    if window >= params.count * MODES {
        return;
    }
    first_line = place % bands() * LINES;
    let at = params.corners + 2u * (window / MODES);
    corner = vec2u(plan[at], plan[at + 1u]);
    for (var tag = INVERSE; tag <= FORWARD; tag++) {
        workgroupBarrier();
        let first = select(1u, first_slot(0u, 1u), tag == INVERSE);
        transform(tag, first, 1u - first, lane);
    }
}
