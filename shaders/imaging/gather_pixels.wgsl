// Some pixels of successive frames to scan windows, two of them in each.
// Reads `frames` and the pixels in `places`; each place of `out` is written once: any order.
#import grid
#import frames

// Of a frame.
override FRAME_NY: u32;
override FRAME_NX: u32;

struct Params {
    // Frames done here, where they begin in `frames`, and the scan position of the first.
    count: u32,
    first_frame: u32,
    first_position: u32,
    // Windows done here, where they begin in `out`, the first one's pixel in `places`, and where the pixels end there.
    windows: u32,
    first_window: u32,
    first_pixel: u32,
    end_pixel: u32,
    // Of the scan: columns; of a window: numbers and columns.
    columns: u32,
    window: u32,
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> frames: array<u32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec2f>;

fn counts(frame: u32, index: u32) -> f32 {
    if index >= params.end_pixel {
        return 0.0;
    }
    let pixel = places[index];
    return intensity(((params.first_frame + frame) * FRAME_NY + pixel / FRAME_NX) * ROW_WORDS, pixel % FRAME_NX);
}

@compute @workgroup_size(WIDTH)
fn gather_pixels(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WIDTH + lane;
    if index >= params.count * params.windows {
        return;
    }
    // Neighbouring invocations write neighbouring positions.
    let window = index / params.count;
    let frame = index % params.count;
    let position = params.first_position + frame;
    let at = position / params.columns * params.width + position % params.columns;
    let pixel = params.first_pixel + 2u * window;
    out[(params.first_window + window) * params.window + at] = vec2f(counts(frame, pixel), counts(frame, pixel + 1u));
}
