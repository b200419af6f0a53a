// The waves ψ̂ of each position become −∂L/∂ψ̂* where a pixel counts, 0 elsewhere; and the misfit L and Σ I of each pattern.
// Reads `frames`, `valid` and the ids in `plan`; rewrites `waves` and writes two `metrics` a pattern. A workgroup is one pattern:
// any order, while no pattern is twice in a batch.
#import complex
#import grid
#import windows
#import frames
#import sum

// 0: amplitude, 1: Poisson, 2: Gaussian.
override LIKELIHOOD: u32;

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

// ln x of a positive x: the devices' own is too loose. x = m·2^e with m from √½ to √2, and ln m = 2 artanh s with s = (m − 1)/(m + 1).
fn natural_log(x: f32) -> f32 {
    const ROOT_HALF: u32 = 0x3f3504f3u;
    let shifted = bitcast<u32>(x) - ROOT_HALF;
    let exponent = bitcast<i32>(shifted) >> 23u;
    let m = bitcast<f32>((shifted & 0x007fffffu) + ROOT_HALF);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = 1.0 + z * (0.3333333333333333 + z * (0.2 + z * (0.14285714285714285 + z * 0.1111111111111111)));
    return f32(exponent) * 0.6931471805599453 + 2.0 * s * series;
}

// The factor of the waves and the misfit.
fn compare(calculated: f32, counts: f32) -> vec2f {
    switch LIKELIHOOD {
        case 0u: {
            let size = sqrt(calculated);
            let lacking = sqrt(counts) - size;
            return vec2f(lacking / size, lacking * lacking);
        }
        case 1u: {
            let over = calculated + params.number;
            let under = counts + params.number;
            let misfit = calculated - counts - under * natural_log(over / under);
            return vec2f((counts - calculated) / over, misfit);
        }
        default: {
            let lacking = counts - calculated;
            return vec2f(lacking * params.number, 0.5 * lacking * lacking * params.number);
        }
    }
}

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
            let compared = compare(calculated, counts);
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
