// What detector pixels receive: out[b, ky, kx] (+)= weight · Σ_m Σ_j Σ_i t[|j|]·t[|i|]·|ψ̂[b, m]|² around reciprocal pixel step·(k − frame/2).
// Reads `waves` (batch, MODES, NY, NX) in FFT order and the taps t; writes each pixel of `out` (batch, frame_y, frame_x) once: any order.
#import complex
#import grid
#import windows

struct Params {
    // Pixels of the detector done here, and where the positions begin in each array.
    count: u32,
    first_wave: u32,
    first_out: u32,
    frame_y: u32,
    frame_x: u32,
    // Reciprocal pixels from one detector pixel to the next.
    step: u32,
    // The farthest that a detector pixel reaches along an axis.
    reach: u32,
    weight: f32,
    // 1: what is in `out` has no meaning.
    fresh: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> waves: array<vec2f>;
@group(0) @binding(2) var<storage, read> taps: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WIDTH)
fn expose(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    if index >= params.count {
        return;
    }
    let pixels = params.frame_y * params.frame_x;
    let b = index / pixels;
    let y = index % pixels / params.frame_x;
    let x = index % params.frame_x;
    let reach = i32(params.reach);
    // The host sees to it that no detector pixel reaches farther than half of a window.
    let centre_y = i32(params.step) * (i32(y) - i32(params.frame_y / 2u)) + i32(NY);
    let centre_x = i32(params.step) * (i32(x) - i32(params.frame_x / 2u)) + i32(NX);
    var total = 0.0;
    for (var mode = 0u; mode < MODES; mode++) {
        let window = ((params.first_wave + b) * MODES + mode) * NY * NX;
        for (var j = -reach; j <= reach; j++) {
            let row = window + u32(centre_y + j) % NY * NX;
            var along = 0.0;
            for (var i = -reach; i <= reach; i++) {
                along += taps[abs(i)] * power(waves[row + u32(centre_x + i) % NX]);
            }
            total += taps[abs(j)] * along;
        }
    }
    let at = (params.first_out + b) * pixels + index % pixels;
    out[at] = select(out[at], 0.0, params.fresh == 1u) + params.weight * total;
}
