// object += step · gain · numerator / (own · denominator + (1 − own) · peak) in the touched tiles; nothing where the divisor is 0.
// Reads `numerator`, `denominator`, `peak`, `gain` and `plan`; each pixel of `object` is changed once: any order.
#import tiles

struct Params {
    step: f32,
    own: f32,
    tiles: u32,
    // Where the tiles' origins begin in `plan`.
    origins: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> numerator: array<vec2f>;
@group(0) @binding(2) var<storage, read> denominator: array<f32>;
@group(0) @binding(3) var<storage, read> peak: array<f32>;
@group(0) @binding(4) var<storage, read> gain: array<f32>;
@group(0) @binding(5) var<storage, read> plan: array<u32>;
@group(0) @binding(6) var<storage, read_write> object: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn update_object(
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
        let divisor = params.own * denominator[at] + (1.0 - params.own) * peak[0];
        if divisor > 0.0 {
            object[at] += params.step * gain[0] * (numerator[at] / divisor);
        }
    }
}
