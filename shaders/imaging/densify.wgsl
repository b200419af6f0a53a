// Sparse frames to dense u32 frames.
// Reads the hits' `pixels` and `counts` and the frames' `offsets`; writes the hit pixels of `frames`, which hold 0. A workgroup is a
// frame and no pixel is hit twice: any order.
#import grid

// Pixels of a frame.
override PIXELS: u32;

struct Params {
    // Frames done here, and where they begin in `offsets` and in `frames`.
    count: u32,
    first_offset: u32,
    first_frame: u32,
    // The hit that `pixels` and `counts` begin with.
    first_hit: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> offsets: array<u32>;
@group(0) @binding(2) var<storage, read> pixels: array<u32>;
@group(0) @binding(3) var<storage, read> counts: array<u32>;
@group(0) @binding(4) var<storage, read_write> frames: array<u32>;

@compute @workgroup_size(WIDTH)
fn densify(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let frame = flat_group(group, groups);
    if frame >= params.count {
        return;
    }
    let end = offsets[params.first_offset + frame + 1u] - params.first_hit;
    for (var hit = offsets[params.first_offset + frame] - params.first_hit + lane; hit < end; hit += WIDTH) {
        frames[(params.first_frame + frame) * PIXELS + pixels[hit]] = counts[hit];
    }
}
