// The scan's spectra of pixels to detector windows, one a frequency: out[f][place of p] = Ĩ_p(f).
// Reads `spectra` and the pixels' places in `places`; each place of `out` is written once: any order.
#import grid
#import spectra

struct Params {
    // Pixels done here, the first one's window, and its place in `places`.
    count: u32,
    first_window: u32,
    first_place: u32,
    // Frequencies done here, the first of them, and where its window begins in `out`.
    frequencies: u32,
    first_frequency: u32,
    first_out: u32,
    // Numbers of a detector window.
    window: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> spectra: array<vec2f>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn detector_windows(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    if index >= params.count * params.frequencies {
        return;
    }
    let p = index / params.frequencies;
    let f = index % params.frequencies;
    let frequency = params.first_frequency + f;
    let value = spectrum_at(params.first_window + p / 2u, p % 2u == 1u, frequency / OUTPUT_NX, frequency % OUTPUT_NX);
    out[(params.first_out + f) * params.window + places[params.first_place + p]] = value;
}
