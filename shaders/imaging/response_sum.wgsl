// out[Y, X] += Σ_p R_p(Y, X)·Ĩ_p(Y, X) over half a spectrum, one pixel after the other.
// Reads `spectra` and `responses`; each frequency of `out` is one invocation's. Workgroups run beside each other; dispatches (parts of the pixels) run one
// after the other, each going on from the one before.
#import complex
#import grid
#import spectra

struct Params {
    // Pixels done here, their first windows, and frequencies of half a spectrum.
    count: u32,
    first_window: u32,
    first_response: u32,
    half: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> spectra: array<vec2f>;
@group(0) @binding(2) var<storage, read> responses: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn response_sum(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    if index >= params.half {
        return;
    }
    let y = index / OUTPUT_NX;
    let x = index % OUTPUT_NX;
    let mirror = (OUTPUT_NY - y) % OUTPUT_NY * OUTPUT_NX + (OUTPUT_NX - x) % OUTPUT_NX;
    var sum = out[index];
    for (var p = 0u; p < params.count; p++) {
        let first = (params.first_response + p / 2u) * OUTPUT_NY * OUTPUT_NX;
        let here = responses[first + index];
        let mirrored = responses[first + mirror];
        var own = 0.5 * vec2f(here.x + mirrored.x, here.y - mirrored.y);
        if p % 2u == 1u {
            own = 0.5 * vec2f(here.y + mirrored.y, mirrored.x - here.x);
        }
        sum += mul(own, spectrum_at(params.first_window + p / 2u, p % 2u == 1u, y, x));
    }
    out[index] = sum;
}
