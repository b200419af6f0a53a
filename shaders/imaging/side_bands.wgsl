// Adds the side bands of pixels, one after the other, in phase: SSB −iĨΓ*/|Γ| and |Γ|, OBF −iĨΓ* and |Γ|².
// Reads `spectra` and `numbers`; each frequency of `numerators` and `weights` is one invocation's. Workgroups run beside each other; dispatches (parts of the
// pixels) run one after the other, each going on from the one before.
#import grid
#import aperture
#import spectra

struct Params {
    // Pixels done here, the first one's window, and its tilt in `numbers`.
    count: u32,
    first_window: u32,
    first_tilt: u32,
    // Frequencies of half a spectrum, and foci.
    half: u32,
    foci: u32,
    // Where they begin in `numbers`.
    rows: u32,
    columns: u32,
    focus: u32,
    // The turn of frequencies along the scan into the detector's frame.
    turn_yy: f32,
    turn_yx: f32,
    turn_xy: f32,
    turn_xx: f32,
    // 1/Σ|A|²
    scale: f32,
    // The least |Γ| that is divided by.
    faintest: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> spectra: array<vec2f>;
@group(0) @binding(2) var<storage, read> numbers: array<f32>;
@group(0) @binding(3) var<storage, read_write> numerators: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> weights: array<f32>;

@compute @workgroup_size(WIDTH)
fn side_bands(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    if index >= params.half * params.foci {
        return;
    }
    let f = index / params.half;
    let y = index % params.half / OUTPUT_NX;
    let x = index % OUTPUT_NX;
    let fy = numbers[params.rows + y];
    let fx = numbers[params.columns + x];
    let qy = params.turn_yy * fy + params.turn_yx * fx;
    let qx = params.turn_xy * fy + params.turn_xx * fx;
    let focus = numbers[params.focus + f];
    let ssb = ((y * params.foci + f) * 2u) * OUTPUT_NX + x;
    let obf = ssb + OUTPUT_NX;
    var ssb_sum = numerators[ssb];
    var obf_sum = numerators[obf];
    var ssb_weight = weights[ssb];
    var obf_weight = weights[obf];
    for (var p = 0u; p < params.count; p++) {
        let tilt = params.first_tilt + 6u * p;
        let ky = numbers[tilt];
        let kx = numbers[tilt + 1u];
        let scale = params.scale * numbers[tilt + 2u];
        let turns = numbers[tilt + 3u] + focus * (ky * ky + kx * kx);
        let below = aperture(ky - qy, kx - qx);
        let above = aperture(ky + qy, kx + qx);
        if scale == 0.0 || (below.amplitude == 0.0 && above.amplitude == 0.0) {
            continue;
        }
        // Γ = A*(k)A(k − q) − A(k)A*(k + q)
        let here = scale * below.amplitude * cis(turns - below.turns - focus * below.square);
        let there = scale * above.amplitude * cis(turns - above.turns - focus * above.square);
        let gamma = vec2f(here.x - there.x, here.y + there.y);
        let spectrum = spectrum_at(params.first_window + p / 2u, p % 2u == 1u, y, x);
        // −iĨΓ*
        let side = vec2f(spectrum.y * gamma.x - spectrum.x * gamma.y, -spectrum.x * gamma.x - spectrum.y * gamma.y);
        let power = dot(gamma, gamma);
        let factor = 1.0 / max(sqrt(power), params.faintest);
        ssb_sum += side * factor;
        obf_sum += side;
        ssb_weight += power * factor;
        obf_weight += power;
    }
    numerators[ssb] = ssb_sum;
    numerators[obf] = obf_sum;
    weights[ssb] = ssb_weight;
    weights[obf] = obf_weight;
}
