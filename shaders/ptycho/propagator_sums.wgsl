// numerator (+)= Σ_w φ̂*Δφ̂ and denominator (+)= Σ_w |φ̂|² over windows, in their order.
// Reads `spectra` and `gradients`; each pixel of `numerator` and `denominator` is written by one invocation.
// The dispatches of one batch (its parts) run one after the other, each going on from the one before.
#import complex
#import grid

struct Params {
    // Windows done here, and where they begin in each array.
    count: u32,
    first_spectrum: u32,
    first_gradient: u32,
    // Of a window.
    pixels: u32,
    // 1 where the sums begin at 0, else they go on.
    fresh: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> spectra: array<vec2f>;
@group(0) @binding(2) var<storage, read> gradients: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> numerator: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> denominator: array<f32>;

@compute @workgroup_size(WIDTH)
fn propagator_sums(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let p = flat_group(group, groups) * WIDTH + lane;
    if p >= params.pixels {
        return;
    }
    var sum = vec2f();
    var weight = 0.0;
    if params.fresh == 0u {
        sum = numerator[p];
        weight = denominator[p];
    }
    for (var w = 0u; w < params.count; w++) {
        let wave = spectra[(params.first_spectrum + w) * params.pixels + p];
        sum += conj_mul(wave, gradients[(params.first_gradient + w) * params.pixels + p]);
        weight += power(wave);
    }
    numerator[p] = sum;
    denominator[p] = weight;
}
