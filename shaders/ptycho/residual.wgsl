// The waves ψ̂ of each position become −∂L/∂ψ̂* where a pixel counts, 0 elsewhere; and the misfit L and Σ I of each pattern.
// Reads `frames`, `valid` and the ids in `plan`; rewrites `waves` and writes two `metrics` a pattern. A workgroup is one pattern:
// any order, while no pattern is twice in a batch.
#import complex
#import grid
#import windows
#import frames
#import sum
#import likelihood

struct Params {
    // Patterns done here, and where they begin in each array.
    count: u32,
    first_wave: u32,
    first_frame: u32,
    // The first pattern's id in `plan`.
    ids: u32,
    // The detector pixel of the zero angle.
    centre_y: u32,
    centre_x: u32,
    // Calculated intensities up to this are 0 but for rounding.
    faintest: f32,
    // Poisson's ε or 1/σ².
    number: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> frames: array<u32>;
// One bit a detector pixel, set where it counts.
@group(0) @binding(2) var<storage, read> valid: array<u32>;
@group(0) @binding(3) var<storage, read> plan: array<u32>;
@group(0) @binding(4) var<storage, read_write> waves: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> metrics: array<f32>;

@compute @workgroup_size(WIDTH)
fn residual(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let b = flat_group(group, groups);
    if b >= params.count {
        return;
    }
    var sums = vec2f();
    for (var p = lane; p < NY * NX; p += WIDTH) {
        let y = (p / NX + params.centre_y) % NY;
        let x = (p % NX + params.centre_x) % NX;
        let pixel = y * NX + x;
        let at = (params.first_wave + b) * MODES * NY * NX + p;
        var factor = 0.0;
        if ((valid[pixel / 32u] >> (pixel % 32u)) & 1u) != 0u {
            let counts = max(intensity(((params.first_frame + b) * NY + y) * ROW_WORDS, x), 0.0);
            var calculated = 0.0;
            for (var mode = 0u; mode < MODES; mode++) {
                calculated += power(waves[at + mode * NY * NX]);
            }
            let compared = compare(calculated, counts, params.number);
            if calculated > params.faintest {
                factor = compared.x;
            }
            sums += vec2f(compared.y, counts);
        }
        for (var mode = 0u; mode < MODES; mode++) {
            waves[at + mode * NY * NX] *= factor;
        }
    }
    sums = workgroup_sum(lane, sums);
    if lane == 0u {
        let id = plan[params.ids + b];
        metrics[2u * id] = sums.x;
        metrics[2u * id + 1u] = sums.y;
    }
}
