// A step of Adam with g = numerator / peak in the touched tiles; nothing where the peak is 0.
// Reads `numerator`, `peak` and `plan`; each number of `x`, `first` and `second` is changed once: any order.
#import adam
#import tiles

struct Params {
    length: f32,
    b1: f32,
    b2: f32,
    correction: f32,
    epsilon: f32,
    tiles: u32,
    // Where the tiles' origins begin in `plan`.
    origins: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> numerator: array<vec2f>;
@group(0) @binding(2) var<storage, read> peak: array<f32>;
@group(0) @binding(3) var<storage, read> plan: array<u32>;
@group(0) @binding(4) var<storage, read_write> x: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> first: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> second: array<f32>;

@compute @workgroup_size(WIDTH)
fn adam_object(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = flat_group(group, groups);
    if tile >= params.tiles {
        return;
    }
    let pixel = tile_pixel(params.origins, tile, lane);
    if in_object(pixel) && peak[0] > 0.0 {
        let at = pixel.x * OBJECT_NX + pixel.y;
        adam_step(at, numerator[at] / peak[0]);
    }
}
