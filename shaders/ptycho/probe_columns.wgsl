// out[b, m] = the inverse transform along columns of P̂_m · ramp_b, with the variations of the first mode as `shift_probe` has them: (y, kx).
// Reads `probe_hat`, the ramps and `weights`; a workgroup writes its columns of a window of `out`: any order.
#import bands

struct Params {
    // Positions of the stack that are done here, and where they begin in each array.
    count: u32,
    first_ramp_y: u32,
    first_ramp_x: u32,
    first_out: u32,
    // The first position of the batch that is done here.
    first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> twiddles: array<vec2f>;
@group(0) @binding(2) var<storage, read> probe_hat: array<vec2f>;
@group(0) @binding(3) var<storage, read> ramps_y: array<vec2f>;
@group(0) @binding(4) var<storage, read> ramps_x: array<vec2f>;
@group(0) @binding(5) var<storage, read> weights: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<vec2f>;

var<private> b: u32;
var<private> mode: u32;

fn source(tag: u32, line: u32, i: u32) -> vec2f {
    if !is_line(line) {
        return vec2f();
    }
    let p = pixel_at(line, i);
    let ramp = mul(ramps_y[(params.first_ramp_y + b) * NY + i], ramps_x[(params.first_ramp_x + b) * NX + first_line + line]);
    var probe = probe_hat[mode * NY * NX + p];
    if mode == 0u {
        for (var k = 0u; k < VARIATIONS; k++) {
            probe += weights[(params.first + b) * VARIATIONS + k] * probe_hat[(MODES + k) * NY * NX + p];
        }
    }
    return conj(mul(probe, ramp));
}

fn sink(tag: u32, line: u32, i: u32, value: vec2f) {
    if is_line(line) {
        out[((params.first_out + b) * MODES + mode) * NY * NX + pixel_at(line, i)] = SCALE * conj(value);
    }
}

@compute @workgroup_size(THREADS)
fn probe_columns(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let place = flat_group(group, groups);
    let window = place / bands();
    if window >= params.count * MODES {
        return;
    }
    b = window / MODES;
    mode = window % MODES;
    first_line = place % bands() * LINES;
    transform(0u, 0u, 1u, lane);
}
