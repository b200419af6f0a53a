// `residual` between two transforms along columns: waves in (y, kx) become −∂L/∂ψ̂* in (y, kx), and each workgroup leaves what its columns add to L and Σ I.
// Reads `frames` and `valid`; a workgroup rewrites its columns of all modes of a pattern in `waves` and writes its place of `parts`: any order.
#import bands
#import frames
#import likelihood

// 1 where the spectra of all modes stay in workgroup memory; else they wait in `waves`.
override KEEP: u32;
// LINES · SIDE
override POINTS: u32;

struct Params {
    // Patterns done here, and where they begin in each array.
    count: u32,
    first_wave: u32,
    first_frame: u32,
    first_part: u32,
    // The detector pixel of the zero angle.
    centre_y: u32,
    centre_x: u32,
    // Calculated intensities up to this are 0 but for rounding.
    faintest: f32,
    // Poisson's ε or 1/σ².
    number: f32,
    // 1 where the waves are of no use any more.
    metrics_only: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> twiddles: array<vec2f>;
@group(0) @binding(2) var<storage, read> frames: array<u32>;
// One bit a detector pixel, set where it counts.
@group(0) @binding(3) var<storage, read> valid: array<u32>;
@group(0) @binding(4) var<storage, read_write> waves: array<vec2f>;
// (pattern, workgroup of the pattern)
@group(0) @binding(5) var<storage, read_write> parts: array<vec2f>;

// The calculated intensities, then the factors of the waves: a point of a line has the place that it has in a slot.
var<workgroup> intensities: array<f32, POINTS>;
var<workgroup> sums: array<vec2f, THREADS>;

// The pattern.
var<private> b: u32;

// A tag is a mode on its way to reciprocal space, or MODES + a mode on its way back.
fn wave_at(mode: u32, line: u32, i: u32) -> u32 {
    return ((params.first_wave + b) * MODES + mode) * NY * NX + pixel_at(line, i);
}

fn source(tag: u32, line: u32, i: u32) -> vec2f {
    if !is_line(line) {
        return vec2f();
    }
    if tag < MODES {
        return waves[wave_at(tag, line, i)];
    }
    let factor = intensities[i * LINES + line];
    if KEEP == 1u {
        return factor * conj(store[spot(tag - MODES, line, i)]);
    }
    return factor * conj(waves[wave_at(tag - MODES, line, i)]);
}

fn sink(tag: u32, line: u32, i: u32, value: vec2f) {
    if tag >= MODES {
        if is_line(line) {
            waves[wave_at(tag - MODES, line, i)] = SCALE * conj(value);
        }
        return;
    }
    let wave = SCALE * value;
    // The same invocation has this point in every mode.
    let p = i * LINES + line;
    var calculated = power(wave);
    if tag > 0u {
        calculated += intensities[p];
    }
    intensities[p] = calculated;
    if KEEP == 1u {
        store[spot(tag, line, i)] = wave;
    } else if is_line(line) {
        waves[wave_at(tag, line, i)] = wave;
    }
}

// Intensities become factors. Returns what this invocation adds to L and Σ I.
fn compare_all(lane: u32) -> vec2f {
    var sum = vec2f();
    for (var p = lane; p < POINTS; p += THREADS) {
        let line = p % LINES;
        let y = (p / LINES + params.centre_y) % NY;
        let x = (first_line + line + params.centre_x) % NX;
        let pixel = y * NX + x;
        var factor = 0.0;
        if is_line(line) && ((valid[pixel / 32u] >> (pixel % 32u)) & 1u) != 0u {
            let counts = max(intensity(((params.first_frame + b) * NY + y) * ROW_WORDS, x), 0.0);
            let calculated = intensities[p];
            let compared = compare(calculated, counts, params.number);
            if calculated > params.faintest {
                factor = compared.x;
            }
            sum += vec2f(compared.y, counts);
        }
        intensities[p] = factor;
    }
    return sum;
}

@compute @workgroup_size(THREADS)
fn residual_columns(
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
    let end = select(2u * MODES, MODES, params.metrics_only == 1u);
    for (var turn = 0u; turn < end; turn++) {
        workgroupBarrier();
        // Back in the opposite order: the slot behind a mode's own is free by then.
        let tag = select(turn, 3u * MODES - 1u - turn, turn >= MODES);
        let home = select(0u, tag % MODES, KEEP == 1u);
        let first = select(home + 1u, first_slot(home, home + 1u), tag < MODES);
        transform(tag, first, 2u * home + 1u - first, lane);
        if turn + 1u == MODES {
            workgroupBarrier();
            sums[lane] = compare_all(lane);
            storageBarrier();
        }
    }
    // THREADS is a power of two.
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            sums[lane] += sums[lane + half];
        }
    }
    if lane == 0u {
        parts[params.first_part * bands() + place] = sums[0];
    }
}
