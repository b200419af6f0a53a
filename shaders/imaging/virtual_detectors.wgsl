// The sums of each frame over each detector, its total and its moments: integers exactly, f32 in an order that never changes.
// Reads `frames` and `bits`; writes its own places of `sums`. A workgroup is a frame and four of its sums: any order.
#import grid
#import frames
#import wide

override NY: u32;
override NX: u32;
override DETECTORS: u32;
// Sums of a frame: DETECTORS + 3, or DETECTORS + 6 with second moments.
override SUMS: u32;
// ⌈SUMS/4⌉
override QUADS: u32;

struct Params {
    // Frames done here, where they begin in `frames` and in `sums`.
    count: u32,
    first_frame: u32,
    first_sum: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> frames: array<u32>;
// 64 a pixel: bit d is set in detector d, bit 63 where the pixel counts in the total and the moments.
@group(0) @binding(2) var<storage, read> bits: array<vec2u>;
// (frame, SUMS): 64-bit integers, or an f32 in the first word.
@group(0) @binding(3) var<storage, read_write> sums: array<vec2u>;

var<workgroup> integers: array<array<vec2u, 4>, WIDTH>;
var<workgroup> floats: array<vec4f, WIDTH>;

// How often a pixel counts in sum s.
fn weight(s: u32, belongs: vec2u, y: u32, x: u32) -> u32 {
    let valid = belongs.y >> 31u;
    if s < DETECTORS {
        return (select(belongs.x, belongs.y, s >= 32u) >> (s % 32u)) & 1u;
    }
    switch s - DETECTORS {
        case 0u: {
            return valid;
        }
        case 1u: {
            return valid * y;
        }
        case 2u: {
            return valid * x;
        }
        case 3u: {
            return valid * y * y;
        }
        case 4u: {
            return valid * x * x;
        }
        case 5u: {
            return valid * y * x;
        }
        default: {
            return 0u;
        }
    }
}

@compute @workgroup_size(WIDTH)
fn virtual_detectors(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let flat = flat_group(group, groups);
    let frame = flat / QUADS;
    let s = 4u * (flat % QUADS);
    if frame >= params.count {
        return;
    }
    var i0 = vec2u();
    var i1 = vec2u();
    var i2 = vec2u();
    var i3 = vec2u();
    var f = vec4f();
    for (var p = lane; p < NY * NX; p += WIDTH) {
        let belongs = bits[p];
        if all(belongs == vec2u()) {
            continue;
        }
        let y = p / NX;
        let x = p % NX;
        let value = raw(((params.first_frame + frame) * NY + y) * ROW_WORDS, x);
        let w = vec4u(weight(s, belongs, y, x), weight(s + 1u, belongs, y, x), weight(s + 2u, belongs, y, x), weight(s + 3u, belongs, y, x));
        if DTYPE == F32 {
            f += bitcast<f32>(value) * vec4f(w);
        } else {
            i0 = wide_add(i0, wide_mul(value, w.x));
            i1 = wide_add(i1, wide_mul(value, w.y));
            i2 = wide_add(i2, wide_mul(value, w.z));
            i3 = wide_add(i3, wide_mul(value, w.w));
        }
    }
    integers[lane] = array<vec2u, 4>(i0, i1, i2, i3);
    floats[lane] = f;
    for (var half = WIDTH / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            if DTYPE == F32 {
                floats[lane] += floats[lane + half];
            } else {
                for (var k = 0u; k < 4u; k++) {
                    integers[lane][k] = wide_add(integers[lane][k], integers[lane + half][k]);
                }
            }
        }
    }
    workgroupBarrier();
    if lane < 4u && s + lane < SUMS {
        var result = integers[0][lane];
        if DTYPE == F32 {
            result = vec2u(bitcast<u32>(floats[0][lane]), 0u);
        }
        sums[(params.first_sum + frame) * SUMS + s + lane] = result;
    }
}
