// The aperture times itself shifted by the scan's frequencies, over detector windows: out[f](k) = A*(k)A(k − f) / Σ|A|².
// Reads `numbers`; each place of `out` is written once: any order.
#import grid
#import aperture

struct Params {
    // Frequencies done here, the first of them, and where its window begins in `out`.
    count: u32,
    first_frequency: u32,
    first_out: u32,
    // Of a result, and of a detector window.
    output_nx: u32,
    ny: u32,
    nx: u32,
    // Where they begin in `numbers`, and the one focus.
    rows: u32,
    columns: u32,
    focus: u32,
    // The angle of the window's first pixel and of one pixel.
    first_y: f32,
    first_x: f32,
    step_y: f32,
    step_x: f32,
    // The turn of frequencies along the scan into the detector's frame.
    turn_yy: f32,
    turn_yx: f32,
    turn_xy: f32,
    turn_xx: f32,
    // 1/Σ|A|²
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> numbers: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec2f>;

@compute @workgroup_size(WIDTH)
fn overlaps(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    let window = params.ny * params.nx;
    if index >= params.count * window {
        return;
    }
    let frequency = params.first_frequency + index / window;
    let fy = numbers[params.rows + frequency / params.output_nx];
    let fx = numbers[params.columns + frequency % params.output_nx];
    let y = params.first_y + f32(index % window / params.nx) * params.step_y;
    let x = params.first_x + f32(index % params.nx) * params.step_x;
    let focus = numbers[params.focus];
    let own = aperture(y, x);
    let shifted = aperture(y - (params.turn_yy * fy + params.turn_yx * fx), x - (params.turn_xy * fy + params.turn_xx * fx));
    let turns = own.turns - shifted.turns + focus * (own.square - shifted.square);
    out[params.first_out * window + index] = params.scale * own.amplitude * shifted.amplitude * cis(turns);
}
