// Waves in (y, kx) go to the next slice, or back: F_y⁻¹[F_y[waves] · propagator], or times its conjugate.
// Reads `propagator`; a workgroup rewrites its columns of a window of `waves`: any order.
#import bands

struct Params {
    // Windows done here, and where they begin.
    count: u32,
    first: u32,
    // −1 for the conjugate, else 1.
    sign: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> twiddles: array<vec2f>;
@group(0) @binding(2) var<storage, read> propagator: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> waves: array<vec2f>;

var<private> window: u32;

const FORWARD: u32 = 0u;
const INVERSE: u32 = 1u;

fn source(tag: u32, line: u32, i: u32) -> vec2f {
    if tag == INVERSE {
        return store[spot(0u, line, i)];
    }
    if !is_line(line) {
        return vec2f();
    }
    return waves[window * NY * NX + pixel_at(line, i)];
}

fn sink(tag: u32, line: u32, i: u32, value: vec2f) {
    if tag == INVERSE {
        if is_line(line) {
            waves[window * NY * NX + pixel_at(line, i)] = SCALE * conj(value);
        }
        return;
    }
    var wave = SCALE * value;
    if is_line(line) {
        let factor = propagator[pixel_at(line, i)];
        wave = mul(wave, vec2f(factor.x, params.sign * factor.y));
    }
    store[spot(0u, line, i)] = conj(wave);
}

@compute @workgroup_size(THREADS)
fn propagate_columns(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let place = flat_group(group, groups);
    if place / bands() >= params.count {
        return;
    }
    window = params.first + place / bands();
    first_line = place % bands() * LINES;
    for (var tag = FORWARD; tag <= INVERSE; tag++) {
        workgroupBarrier();
        let first = select(1u, first_slot(0u, 1u), tag == FORWARD);
        transform(tag, first, 1u - first, lane);
    }
}
