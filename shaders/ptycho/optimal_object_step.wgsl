// gain = Σ|n|²/D over Σ|n|²d/D² with the numerators n, the denominators d and D = own·d + (1 − own)·peak of the touched tiles; 1 of nothing.
// Reads `numerator`, `denominator`, `peak` and `plan`, writes `gain`; one workgroup, the tiles in order.
#import complex
#import sum
#import tiles

struct Params {
    own: f32,
    tiles: u32,
    // Where the tiles' origins begin in `plan`.
    origins: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> numerator: array<vec2f>;
@group(0) @binding(2) var<storage, read> denominator: array<f32>;
@group(0) @binding(3) var<storage, read> peak: array<f32>;
@group(0) @binding(4) var<storage, read> plan: array<u32>;
@group(0) @binding(5) var<storage, read_write> gain: array<f32>;

@compute @workgroup_size(WIDTH)
fn optimal_object_step(@builtin(local_invocation_index) lane: u32) {
    var sums = vec2f();
    for (var tile = 0u; tile < params.tiles; tile++) {
        let pixel = tile_pixel(params.origins, tile, lane);
        if in_object(pixel) {
            let at = pixel.x * OBJECT_NX + pixel.y;
            let divisor = params.own * denominator[at] + (1.0 - params.own) * peak[0];
            if divisor > 0.0 {
                let won = power(numerator[at]) / divisor;
                sums += vec2f(won, won * (denominator[at] / divisor));
            }
        }
    }
    sums = workgroup_sum(lane, sums);
    if lane == 0u {
        gain[0] = select(1.0, sums.x / sums.y, sums.y > 0.0);
    }
}
