// numerator (+)= Σ products and denominator (+)= Σ powers over positions in the touched tiles, members in the plan's order.
// Reads `products`, `powers` and `plan`; writes its tile of `numerator` and `denominator` and the tile's largest denominator to `peaks`.
// Workgroups run beside each other; the dispatches of one batch (its parts) run one after the other, each going on from the one before.
#import maximum
#import tiles

struct Params {
    // The part of the batch that is bound here, and where it begins in each array.
    first: u32,
    count: u32,
    first_product: u32,
    first_power: u32,
    // Where the lists begin in `plan`.
    corners: u32,
    origins: u32,
    offsets: u32,
    members: u32,
    tiles: u32,
    // 1 where the sums begin at 0, else they go on.
    fresh: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<vec2f>;
@group(0) @binding(2) var<storage, read> powers: array<f32>;
@group(0) @binding(3) var<storage, read> plan: array<u32>;
@group(0) @binding(4) var<storage, read_write> numerator: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> denominator: array<f32>;
@group(0) @binding(6) var<storage, read_write> peaks: array<f32>;

@compute @workgroup_size(WIDTH)
fn object_sum(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = flat_group(group, groups);
    if tile >= params.tiles {
        return;
    }
    let pixel = tile_pixel(params.origins, tile, lane);
    let inside = in_object(pixel);
    let at = pixel.x * OBJECT_NX + pixel.y;
    var sum = vec2f();
    var weight = 0.0;
    if inside && params.fresh == 0u {
        sum = numerator[at];
        weight = denominator[at];
    }
    let end = plan[params.offsets + tile + 1u];
    for (var m = plan[params.offsets + tile]; m < end; m++) {
        let b = plan[params.members + m];
        // Both differences wrap to large numbers where the pixel lies before the window.
        let y = pixel.x - plan[params.corners + 2u * b];
        let x = pixel.y - plan[params.corners + 2u * b + 1u];
        let bound = b - params.first;
        if bound < params.count && y < NY && x < NX {
            sum += products[(params.first_product + bound) * NY * NX + y * NX + x];
            weight += powers[(params.first_power + bound) * NY * NX + y * NX + x];
        }
    }
    if inside {
        numerator[at] = sum;
        denominator[at] = weight;
    }
    let peak = workgroup_maximum(lane, select(0.0, weight, inside));
    if lane == 0u {
        peaks[tile] = peak;
    }
}
