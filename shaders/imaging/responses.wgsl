// The spectra of what a count of each pixel does to an image, of two pixels together in each window: SSB and OBF −iΓ* (divided by |Γ|) and parallax
// e^{−i∇χ·q}, times a filter that all pixels share.
// Reads `numbers` and `filters`; each place of `out` is written once: any order.
#import grid
#import aperture

struct Params {
    // Windows done here, where they begin in `out`, the first pixel's tilt in `numbers`, and pixels from there on.
    count: u32,
    first_out: u32,
    first_tilt: u32,
    pixels: u32,
    // Of a result.
    ny: u32,
    nx: u32,
    // 0: parallax, 1: SSB, 2: OBF.
    response: u32,
    // Where they begin in `numbers`, and the one focus.
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
@group(0) @binding(1) var<storage, read> numbers: array<f32>;
// Of half a spectrum.
@group(0) @binding(2) var<storage, read> filters: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec2f>;

// One pixel's response at a frequency of the first half.
fn response_of(p: u32, y: u32, x: u32) -> vec2f {
    if p >= params.pixels {
        return vec2f();
    }
    let fy = numbers[params.rows + y];
    let fx = numbers[params.columns + x];
    let qy = params.turn_yy * fy + params.turn_yx * fx;
    let qx = params.turn_xy * fy + params.turn_xx * fx;
    let focus = numbers[params.focus];
    let tilt = params.first_tilt + 6u * p;
    let ky = numbers[tilt];
    let kx = numbers[tilt + 1u];
    let level = filters[y * params.nx + x];
    if params.response == 0u {
        let slope_y = numbers[tilt + 4u] + 2.0 * focus * ky;
        let slope_x = numbers[tilt + 5u] + 2.0 * focus * kx;
        return level * cis(-(slope_y * qy + slope_x * qx));
    }
    let scale = params.scale * numbers[tilt + 2u];
    let turns = numbers[tilt + 3u] + focus * (ky * ky + kx * kx);
    let below = aperture(ky - qy, kx - qx);
    let above = aperture(ky + qy, kx + qx);
    let here = scale * below.amplitude * cis(turns - below.turns - focus * below.square);
    let there = scale * above.amplitude * cis(turns - above.turns - focus * above.square);
    let gamma = vec2f(here.x - there.x, here.y + there.y);
    var factor = level;
    if params.response == 1u {
        factor = level / max(sqrt(dot(gamma, gamma)), params.faintest);
    }
    return vec2f(-gamma.y, -gamma.x) * factor;
}

@compute @workgroup_size(WIDTH)
fn responses(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    let size = params.ny * params.nx;
    if index >= params.count * size {
        return;
    }
    let w = index / size;
    var y = index % size / params.nx;
    var x = index % params.nx;
    // What is real has the conjugate spectrum at the opposite frequency.
    let second_half = y > params.ny / 2u;
    if second_half {
        y = params.ny - y;
        x = (params.nx - x) % params.nx;
    }
    let sign = select(1.0, -1.0, second_half);
    let a = response_of(2u * w, y, x);
    let b = response_of(2u * w + 1u, y, x);
    out[params.first_out * size + index] = vec2f(a.x - sign * b.y, sign * a.y + b.x);
}
