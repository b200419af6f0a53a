// For pattern id i, out[(3 + VARIATIONS)·i..] = Σ_m Re Σ_k X*Ĝ · {1, 2πi·f_y, 2πi·f_x} with X = P̂_m · ramp_b and the frequencies f in cycles a pixel. Variations add theirs to those of
// the first mode, times their weights, and leave Re Σ_k (V̂ · ramp_b)*Ĝ each.
// Reads `probe_hat`, the ramps, `gradients`, `weights` and the ids in `plan`; a workgroup is one pattern and writes its numbers: any order,
// while no pattern is twice in a batch.
#import complex
#import grid
#import windows
#import sum

struct Params {
    // Patterns done here, and where they begin in each array.
    count: u32,
    first_ramp_y: u32,
    first_ramp_x: u32,
    first_gradient: u32,
    // The first pattern's id in `plan`.
    ids: u32,
    // The first position of the batch that is done here.
    first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> probe_hat: array<vec2f>;
@group(0) @binding(2) var<storage, read> ramps_y: array<vec2f>;
@group(0) @binding(3) var<storage, read> ramps_x: array<vec2f>;
@group(0) @binding(4) var<storage, read> gradients: array<vec2f>;
@group(0) @binding(5) var<storage, read> plan: array<u32>;
@group(0) @binding(6) var<storage, read> weights: array<f32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WIDTH)
fn moments(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let b = flat_group(group, groups);
    if b >= params.count {
        return;
    }
    let at = (3u + VARIATIONS) * plan[params.ids + b];
    var strength = 0.0;
    var along = vec2f();
    for (var window = 0u; window < MODES + VARIATIONS; window++) {
        let mode = select(0u, window, window < MODES);
        var own = 0.0;
        var own_along = vec2f();
        for (var p = lane; p < NY * NX; p += WIDTH) {
            let y = p / NX;
            let x = p % NX;
            let ramp = mul(ramps_y[(params.first_ramp_y + b) * NY + y], ramps_x[(params.first_ramp_x + b) * NX + x]);
            let gradient = gradients[((params.first_gradient + b) * MODES + mode) * NY * NX + p];
            let product = conj_mul(mul(probe_hat[window * NY * NX + p], ramp), gradient);
            own += product.x;
            // Re(i·f·z) = −f·Im z
            own_along -= product.y * vec2f(angular_frequency(y, NY), angular_frequency(x, NX));
        }
        var weight = 1.0;
        if window >= MODES {
            weight = weights[(params.first + b) * VARIATIONS + window - MODES];
            workgroupBarrier();
            let sum = workgroup_sum(lane, vec2f(own, 0.0)).x;
            if lane == 0u {
                out[at + 3u + window - MODES] = sum;
            }
        }
        strength += weight * own;
        along += weight * own_along;
    }
    workgroupBarrier();
    along = workgroup_sum(lane, along);
    workgroupBarrier();
    strength = workgroup_sum(lane, vec2f(strength, 0.0)).x;
    if lane == 0u {
        out[at] = strength;
        out[at + 1u] = along.x;
        out[at + 2u] = along.y;
    }
}
