// The sum of frames, of their squares, or their maximum, pixel by pixel, in fixed groups of GROUP frames: integers exactly, f32 in the
// frames' order.
// Reads `frames` and `bits`; each place of `sums` is written by one invocation. Workgroups run beside each other; the dispatches over
// the parts of a block run one after the other, each going on from the one before.
#import grid
#import frames
#import wide

override NY: u32;
override NX: u32;
// Frames of a group.
override GROUP: u32;
// 0: the sum, 1: the sum of squares, 2: the maximum.
override OF: u32;

struct Params {
    // The frames [begin, end) of the block are bound here, `begin` as the first_frame-th frame of the binding.
    begin: u32,
    end: u32,
    first_frame: u32,
    // The groups [first_group, first_group + groups) of the block are done here.
    first_group: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> frames: array<u32>;
// 64 a pixel: bit 63 is set where the pixel counts.
@group(0) @binding(2) var<storage, read> bits: array<vec2u>;
// (group, NY, NX): 64-bit integers, or an f32 in the first word.
@group(0) @binding(3) var<storage, read_write> sums: array<vec2u>;

@compute @workgroup_size(WIDTH)
fn sum_pattern(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    if index >= params.groups * NY * NX {
        return;
    }
    let p = index % (NY * NX);
    let group_begin = (params.first_group + index / (NY * NX)) * GROUP;
    let begin = max(group_begin, params.begin);
    let end = min(group_begin + GROUP, params.end);
    if begin >= end {
        return;
    }
    var integer = vec2u();
    var float = 0.0;
    if begin > group_begin {
        integer = sums[index];
        float = bitcast<f32>(integer.x);
    }
    if (bits[p].y >> 31u) == 1u {
        for (var frame = begin; frame < end; frame++) {
            let value = raw(((params.first_frame + frame - params.begin) * NY + p / NX) * ROW_WORDS, p % NX);
            let number = bitcast<f32>(value);
            if OF == 2u {
                float = select(max(float, number), number, frame == group_begin);
                integer = vec2u(max(integer.x, value), 0u);
            } else if DTYPE == F32 {
                float += select(number, number * number, OF == 1u);
            } else if OF == 1u {
                integer = wide_add(integer, wide_mul(value, value));
            } else {
                integer = wide_add(integer, vec2u(value, 0u));
            }
        }
    }
    if DTYPE == F32 {
        integer = vec2u(bitcast<u32>(float), 0u);
    }
    sums[index] = integer;
}
