// sums[g, m] = Σ_b ramp_b* · F_y[waves[b, m]] over the GROUP successive positions b of group g of the batch, in their order; behind the modes the variations,
// Σ_b w_bk · ramp_b* · F_y[waves[b, 0]].
// Reads `waves` (y, kx), the ramps and `weights`; a workgroup writes its columns of a window of `sums`: any order. The dispatches of one batch (its parts) run one after the other, and
// go on with a group from the one before.
#import bands

// Positions of a group.
override GROUP: u32;
// LINES · SIDE
override POINTS: u32;

struct Params {
    // The part of the batch that is bound here, and where it begins in each array.
    first: u32,
    count: u32,
    first_wave: u32,
    first_ramp_y: u32,
    first_ramp_x: u32,
    // Groups done here: the first one, in the batch and in `sums`.
    first_group: u32,
    first_sum: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> twiddles: array<vec2f>;
@group(0) @binding(2) var<storage, read> waves: array<vec2f>;
@group(0) @binding(3) var<storage, read> ramps_y: array<vec2f>;
@group(0) @binding(4) var<storage, read> ramps_x: array<vec2f>;
@group(0) @binding(5) var<storage, read> weights: array<f32>;
@group(0) @binding(6) var<storage, read_write> sums: array<vec2f>;

// A point of a line has the place that it has in a slot.
var<workgroup> so_far: array<vec2f, POINTS>;

// The mode, or MODES + a variation.
var<private> window: u32;

// A tag is a position, counted from the first that is bound.
fn source(tag: u32, line: u32, i: u32) -> vec2f {
    if !is_line(line) {
        return vec2f();
    }
    let mode = select(0u, window, window < MODES);
    return waves[((params.first_wave + tag) * MODES + mode) * NY * NX + pixel_at(line, i)];
}

fn sink(tag: u32, line: u32, i: u32, value: vec2f) {
    if !is_line(line) {
        return;
    }
    var ramp = mul(ramps_y[(params.first_ramp_y + tag) * NY + i], ramps_x[(params.first_ramp_x + tag) * NX + first_line + line]);
    if window >= MODES {
        ramp *= weights[(params.first + tag) * VARIATIONS + window - MODES];
    }
    // The same invocation has this point for every position.
    so_far[i * LINES + line] += conj_mul(ramp, SCALE * value);
}

@compute @workgroup_size(THREADS)
fn probe_sum_columns(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let place = flat_group(group, groups);
    let windows = MODES + VARIATIONS;
    let g = place / bands() / windows;
    if g >= params.groups {
        return;
    }
    window = place / bands() % windows;
    first_line = place % bands() * LINES;
    let sum = ((params.first_sum + g) * windows + window) * NY * NX;
    let begin = (params.first_group + g) * GROUP;
    for (var p = lane; p < POINTS; p += THREADS) {
        var value = vec2f();
        if begin < params.first && is_line(p % LINES) {
            value = sums[sum + pixel_at(p % LINES, p / LINES)];
        }
        so_far[p] = value;
    }
    let end = min(begin + GROUP, params.first + params.count) - params.first;
    for (var b = max(begin, params.first) - params.first; b < end; b++) {
        workgroupBarrier();
        transform(b, 0u, 1u, lane);
    }
    workgroupBarrier();
    for (var p = lane; p < POINTS; p += THREADS) {
        if is_line(p % LINES) {
            sums[sum + pixel_at(p % LINES, p / LINES)] = so_far[p];
        }
    }
}
