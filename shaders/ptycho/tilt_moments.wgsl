// For pattern id i, out[2·i..] (+)= Σ_m Re Σ_k φ̂*Δφ̂ · {2πi·f_y, 2πi·f_x} with the frequencies f in cycles a pixel.
// Reads `spectra`, `gradients` and the ids in `plan`; a workgroup is one pattern and writes its numbers: any order, while no pattern is twice in a batch.
#import complex
#import grid
#import windows
#import sum

struct Params {
    // Patterns done here, and where they begin in each array.
    count: u32,
    first_spectrum: u32,
    first_gradient: u32,
    // The first pattern's id in `plan`.
    ids: u32,
    // 1: what is in `out` has no meaning.
    fresh: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> spectra: array<vec2f>;
@group(0) @binding(2) var<storage, read> gradients: array<vec2f>;
@group(0) @binding(3) var<storage, read> plan: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WIDTH)
fn tilt_moments(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let b = flat_group(group, groups);
    if b >= params.count {
        return;
    }
    var along = vec2f();
    for (var mode = 0u; mode < MODES; mode++) {
        for (var p = lane; p < NY * NX; p += WIDTH) {
            let spectrum = spectra[((params.first_spectrum + b) * MODES + mode) * NY * NX + p];
            let gradient = gradients[((params.first_gradient + b) * MODES + mode) * NY * NX + p];
            // Re(i·f·z) = −f·Im z
            along -= conj_mul(spectrum, gradient).y * vec2f(angular_frequency(p / NX, NY), angular_frequency(p % NX, NX));
        }
    }
    along = workgroup_sum(lane, along);
    if lane == 0u {
        let at = 2u * plan[params.ids + b];
        if params.fresh == 1u {
            out[at] = along.x;
            out[at + 1u] = along.y;
        } else {
            out[at] += along.x;
            out[at + 1u] += along.y;
        }
    }
}
