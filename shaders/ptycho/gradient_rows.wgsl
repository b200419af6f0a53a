// With ψ and Δψ, the inverse transforms along rows of `incident` and `waves` (y, kx): products[b] = Σ_m ψ*Δψ, powers[b] = Σ_m |ψ|², and where the way goes on
// waves[b, m] = F_x[O[window of b]* · Δψ[b, m]].
// Reads `incident`, `object` and the corners in `plan`; a workgroup rewrites its rows of all modes of a position in `waves` and writes those of `products` and
// `powers`: any order.
#import bands

// LINES · SIDE, or 1 where there is one mode.
override POINTS: u32;

struct Params {
    // Positions of the stack that are done here, and where they begin in each array.
    count: u32,
    first_wave: u32,
    first_incident: u32,
    first_product: u32,
    first_power: u32,
    // The first position's corner in `plan`.
    corners: u32,
    // 1 where the way goes on.
    back: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> twiddles: array<vec2f>;
@group(0) @binding(2) var<storage, read> incident: array<vec2f>;
@group(0) @binding(3) var<storage, read> object: array<vec2f>;
@group(0) @binding(4) var<storage, read> plan: array<u32>;
@group(0) @binding(5) var<storage, read_write> waves: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> products: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> powers: array<f32>;

// The sums over the modes so far.
var<workgroup> product_store: array<vec2f, POINTS>;
var<workgroup> power_store: array<f32, POINTS>;

// The position, and its window's corner in the object.
var<private> b: u32;
var<private> corner: vec2u;

// A tag is 3 · mode + one of these.
const INCIDENT: u32 = 0u;
const CHANGE: u32 = 1u;
const GRADIENT: u32 = 2u;

// ψ stays here.
const WAVE_SLOT: u32 = 2u;

fn source(tag: u32, line: u32, i: u32) -> vec2f {
    if tag % 3u == GRADIENT {
        return store[spot(0u, line, i)];
    }
    if !is_line(line) {
        return vec2f();
    }
    let p = tag / 3u * NY * NX + pixel_at(line, i);
    if tag % 3u == INCIDENT {
        return conj(incident[(params.first_incident + b) * MODES * NY * NX + p]);
    }
    return conj(waves[(params.first_wave + b) * MODES * NY * NX + p]);
}

fn sink(tag: u32, line: u32, i: u32, value: vec2f) {
    let mode = tag / 3u;
    if tag % 3u == INCIDENT {
        store[spot(WAVE_SLOT, line, i)] = SCALE * conj(value);
        return;
    }
    let p = pixel_at(line, i);
    if tag % 3u == GRADIENT {
        if is_line(line) {
            waves[((params.first_wave + b) * MODES + mode) * NY * NX + p] = SCALE * value;
        }
        return;
    }
    let wave = store[spot(WAVE_SLOT, line, i)];
    let change = SCALE * conj(value);
    var product = conj_mul(wave, change);
    var strength = power(wave);
    if MODES > 1u {
        // The same invocation has this point in every mode.
        let point = line * SIDE + i;
        if mode > 0u {
            product += product_store[point];
            strength += power_store[point];
        }
        product_store[point] = product;
        power_store[point] = strength;
    }
    var gradient = vec2f();
    if is_line(line) {
        if mode + 1u == MODES {
            products[(params.first_product + b) * NY * NX + p] = product;
            powers[(params.first_power + b) * NY * NX + p] = strength;
        }
        gradient = conj_mul(object[object_index(corner, first_line + line, i)], change);
    }
    store[spot(0u, line, i)] = gradient;
}

@compute @workgroup_size(THREADS)
fn gradient_rows(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let place = flat_group(group, groups);
    b = place / bands();
    if b >= params.count {
        return;
    }
    first_line = place % bands() * LINES;
    let at = params.corners + 2u * b;
    corner = vec2u(plan[at], plan[at + 1u]);
    for (var tag = 0u; tag < 3u * MODES; tag++) {
        if tag % 3u == GRADIENT && params.back == 0u {
            continue;
        }
        workgroupBarrier();
        let first = select(first_slot(0u, 1u), 1u, tag % 3u == GRADIENT);
        transform(tag, first, 1u - first, lane);
    }
}
