// As `residual`, where several reciprocal pixels make one of the detector, or its point spread blurs them: C = S·Σ|ψ̂|² with a linear S, and
// −∂L/∂ψ̂* = (Sᵀ(−∂L/∂C))·ψ̂. Reads `frames`, `valid`, the ids in `plan` and the `weights` of the point spread; rewrites `waves` and `work`, and writes two `metrics` a
// pattern. A workgroup is one pattern: any order, while no pattern is twice in a batch.
#import complex
#import grid
#import windows
#import frames
#import sum
#import likelihood

// Reciprocal pixels a side that make a pixel of the detector.
override UPSAMPLE: u32;

struct Params {
    // Patterns done here, and where they begin in each array.
    count: u32,
    first_wave: u32,
    first_frame: u32,
    first_work: u32,
    // The first pattern's id in `plan`.
    ids: u32,
    // The detector's part of a pixel of the zero angle.
    centre_y: u32,
    centre_x: u32,
    // The weights: of a pixel itself and of those further along an axis.
    weights: u32,
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
@group(0) @binding(4) var<storage, read> weights: array<f32>;
@group(0) @binding(5) var<storage, read_write> waves: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> metrics: array<f32>;
// Two numbers a pixel of each pattern: an image in the detector's order, and its like.
@group(0) @binding(7) var<storage, read_write> work: array<f32>;

// Spreads the image at `here` along x into the one at `other`, and back along y.
fn blur(here: u32, other: u32, lane: u32) {
    if params.weights == 1u {
        return;
    }
    for (var p = lane; p < NY * NX; p += WIDTH) {
        let x = p % NX;
        var sum = work[here + p] * weights[0];
        for (var k = 1u; k < params.weights; k++) {
            if k <= x {
                sum += work[here + p - k] * weights[k];
            }
            if x + k < NX {
                sum += work[here + p + k] * weights[k];
            }
        }
        work[other + p] = sum;
    }
    storageBarrier();
    for (var p = lane; p < NY * NX; p += WIDTH) {
        let y = p / NX;
        var sum = work[other + p] * weights[0];
        for (var k = 1u; k < params.weights; k++) {
            if k <= y {
                sum += work[other + p - k * NX] * weights[k];
            }
            if y + k < NY {
                sum += work[other + p + k * NX] * weights[k];
            }
        }
        work[here + p] = sum;
    }
    storageBarrier();
}

@compute @workgroup_size(WIDTH)
fn residual_spread(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let b = flat_group(group, groups);
    if b >= params.count {
        return;
    }
    let here = (params.first_work + b) * 2u * NY * NX;
    let other = here + NY * NX;
    let wave = (params.first_wave + b) * MODES * NY * NX;
    for (var p = lane; p < NY * NX; p += WIDTH) {
        let y = (p / NX + params.centre_y) % NY;
        let x = (p % NX + params.centre_x) % NX;
        var calculated = 0.0;
        for (var mode = 0u; mode < MODES; mode++) {
            calculated += power(waves[wave + mode * NY * NX + p]);
        }
        work[here + y * NX + x] = calculated;
    }
    storageBarrier();
    blur(here, other, lane);
    let frame_nx = NX / UPSAMPLE;
    let frame_ny = NY / UPSAMPLE;
    var sums = vec2f();
    for (var pixel = lane; pixel < frame_ny * frame_nx; pixel += WIDTH) {
        let y = pixel / frame_nx;
        let x = pixel % frame_nx;
        let first = here + y * UPSAMPLE * NX + x * UPSAMPLE;
        var factor = 0.0;
        if ((valid[pixel / 32u] >> (pixel % 32u)) & 1u) != 0u {
            let counts = max(intensity(((params.first_frame + b) * frame_ny + y) * ROW_WORDS, x), 0.0);
            var calculated = 0.0;
            for (var k = 0u; k < UPSAMPLE * UPSAMPLE; k++) {
                calculated += work[first + k / UPSAMPLE * NX + k % UPSAMPLE];
            }
            let compared = compare(calculated, counts, params.number);
            if calculated > params.faintest {
                factor = compared.x;
            }
            sums += vec2f(compared.y, counts);
        }
        for (var k = 0u; k < UPSAMPLE * UPSAMPLE; k++) {
            work[first + k / UPSAMPLE * NX + k % UPSAMPLE] = factor;
        }
    }
    storageBarrier();
    blur(here, other, lane);
    for (var p = lane; p < NY * NX; p += WIDTH) {
        let y = (p / NX + params.centre_y) % NY;
        let x = (p % NX + params.centre_x) % NX;
        for (var mode = 0u; mode < MODES; mode++) {
            waves[wave + mode * NY * NX + p] *= work[here + y * NX + x];
        }
    }
    sums = workgroup_sum(lane, sums);
    if lane == 0u {
        let id = plan[params.ids + b];
        metrics[2u * id] = sums.x;
        metrics[2u * id + 1u] = sums.y;
    }
}
