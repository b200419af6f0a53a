// One axis of unitary transforms: LINES lines a workgroup.
// Reads and writes `x` in place: the lines of a workgroup are its own, so workgroups run beside each other in any order.
#import grid
#import stages

struct Params {
    // The first line's first point.
    first: u32,
    lines: u32,
    // Lines are the columns of windows of SIDE rows of so many pixels; rows are the columns of windows one pixel wide.
    columns: u32,
    // 1 forward, −1 inverse (done as the conjugate of the forward transform of the conjugate).
    sign: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> twiddles: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> x: array<vec2f>;

// The workgroup's first line.
var<private> first_line: u32;

fn address(line: u32, i: u32) -> u32 {
    return params.first + (line / params.columns) * SIDE * params.columns + i * params.columns + line % params.columns;
}

fn source(tag: u32, line: u32, i: u32) -> vec2f {
    if first_line + line >= params.lines {
        return vec2f();
    }
    let value = x[address(first_line + line, i)];
    return vec2f(value.x, params.sign * value.y);
}

fn sink(tag: u32, line: u32, i: u32, value: vec2f) {
    if first_line + line < params.lines {
        x[address(first_line + line, i)] = SCALE * vec2f(value.x, params.sign * value.y);
    }
}

@compute @workgroup_size(THREADS)
fn fft2(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    first_line = flat_group(group, groups) * LINES;
    transform(0u, 0u, 1u, lane);
}
