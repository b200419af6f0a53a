// numerator[m] (+)= Σ_b ramp_b* · Ĝ[b, m], in reciprocal space, b in order; behind the modes the variations, Σ_b w_bk · ramp_b* · Ĝ[b, 0].
// Reads `gradients`, `ramps_y`, `ramps_x` and `weights`; each pixel of `numerator` is written by one invocation.
// Workgroups run beside each other; the dispatches of one batch (its parts) run one after the other, each going on from the one before.
#import complex
#import grid
#import windows

struct Params {
    // The part of the batch that is bound here, and where it begins in each array.
    count: u32,
    first_gradient: u32,
    first_ramp_y: u32,
    first_ramp_x: u32,
    // 1 where the sum begins at 0, else it goes on.
    fresh: u32,
    // The first position of the batch that is done here.
    first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradients: array<vec2f>;
@group(0) @binding(2) var<storage, read> ramps_y: array<vec2f>;
@group(0) @binding(3) var<storage, read> ramps_x: array<vec2f>;
@group(0) @binding(4) var<storage, read> weights: array<f32>;
@group(0) @binding(5) var<storage, read_write> numerator: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn probe_sum(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let p = flat_group(group, groups) * WIDTH + lane;
    if p >= (MODES + VARIATIONS) * NY * NX {
        return;
    }
    let y = p / NX % NY;
    let x = p % NX;
    var sum = vec2f();
    if params.fresh == 0u {
        sum = numerator[p];
    }
    let mode = p / (NY * NX);
    let of_mode = select(p % (NY * NX), p, mode < MODES);
    for (var b = 0u; b < params.count; b++) {
        var ramp = mul(ramps_y[(params.first_ramp_y + b) * NY + y], ramps_x[(params.first_ramp_x + b) * NX + x]);
        if mode >= MODES {
            ramp *= weights[(params.first + b) * VARIATIONS + mode - MODES];
        }
        sum += conj_mul(ramp, gradients[(params.first_gradient + b) * MODES * NY * NX + of_mode]);
    }
    numerator[p] = sum;
}
