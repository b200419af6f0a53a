// One axis of unitary transforms: mixed-radix Stockham, LINES lines a workgroup.
// Reads and writes `x` in place: the lines of a workgroup are its own, so workgroups run beside each other in any order.
// Reads `twiddles`: e^{−2πi k/SIDE} for k < SIDE.
#import butterflies
#import grid

// Points of a line.
override SIDE: u32;
override LINES: u32;
override THREADS: u32;
// The radices, whose product is SIDE; the unused ones are 1. There are at least two.
override RADIX_0: u32;
override RADIX_1: u32;
override RADIX_2: u32;
override RADIX_3: u32;
override RADIX_4: u32;
override RADIX_5: u32;
// 1/√SIDE
override SCALE: f32;
// 2 · LINES · SIDE
override STORE: u32;

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

// Two halves: each stage reads one place and writes another.
var<workgroup> store: array<vec2f, STORE>;
const A: u32 = 0u;
const B: u32 = 1u;
const MEMORY: u32 = 2u;

// Which stage of the workgroup's transform this is.
struct Stage {
    // The product of the radices before.
    done: u32,
    from_place: u32,
    to_place: u32,
    first_line: u32,
}

// The butterfly at hand: line of the workgroup, exponent of the twiddle of its second input.
struct Butterfly {
    line: u32,
    exponent: u32,
}

fn address(line: u32, i: u32) -> u32 {
    return params.first + (line / params.columns) * SIDE * params.columns + i * params.columns + line % params.columns;
}

fn fetch(stage: Stage, butterfly: Butterfly, i: u32) -> vec2f {
    if stage.from_place != MEMORY {
        return store[(stage.from_place * LINES + butterfly.line) * SIDE + i];
    }
    let line = stage.first_line + butterfly.line;
    if line >= params.lines {
        return vec2f();
    }
    let value = x[address(line, i)];
    return vec2f(value.x, params.sign * value.y);
}

// Input r of the butterfly, turned.
fn input(stage: Stage, butterfly: Butterfly, i: u32, r: u32) -> vec2f {
    let value = fetch(stage, butterfly, i);
    if stage.done == 1u {
        return value;
    }
    return mul(value, twiddles[r * butterfly.exponent]);
}

fn put(stage: Stage, butterfly: Butterfly, i: u32, value: vec2f) {
    if stage.to_place != MEMORY {
        store[(stage.to_place * LINES + butterfly.line) * SIDE + i] = value;
        return;
    }
    let line = stage.first_line + butterfly.line;
    if line < params.lines {
        x[address(line, i)] = SCALE * vec2f(value.x, params.sign * value.y);
    }
}

fn run(radix: u32, s: Stage, lane: u32) {
    let n = SIDE / radix;
    for (var t = lane; t < LINES * n; t += THREADS) {
        // Neighbours in memory go to neighbouring invocations.
        var line = t / n;
        var i = t % n;
        if params.columns > 1u {
            line = t % LINES;
            i = t / LINES;
        }
        let k = i % s.done;
        let f = Butterfly(line, k * (n / s.done));
        let o = (i / s.done) * s.done * radix + k;
        let d = s.done;
        switch radix {
            case 2u: {
                let v = dft2(array<vec2f, 2>(fetch(s, f, i), input(s, f, i + n, 1u)));
                put(s, f, o, v[0]);
                put(s, f, o + d, v[1]);
            }
            case 3u: {
                let v = dft3(array<vec2f, 3>(fetch(s, f, i), input(s, f, i + n, 1u), input(s, f, i + 2u * n, 2u)));
                put(s, f, o, v[0]);
                put(s, f, o + d, v[1]);
                put(s, f, o + 2u * d, v[2]);
            }
            case 4u: {
                let v = dft4(array<vec2f, 4>(
                    fetch(s, f, i),
                    input(s, f, i + n, 1u),
                    input(s, f, i + 2u * n, 2u),
                    input(s, f, i + 3u * n, 3u),
                ));
                put(s, f, o, v[0]);
                put(s, f, o + d, v[1]);
                put(s, f, o + 2u * d, v[2]);
                put(s, f, o + 3u * d, v[3]);
            }
            case 5u: {
                let v = dft5(array<vec2f, 5>(
                    fetch(s, f, i),
                    input(s, f, i + n, 1u),
                    input(s, f, i + 2u * n, 2u),
                    input(s, f, i + 3u * n, 3u),
                    input(s, f, i + 4u * n, 4u),
                ));
                put(s, f, o, v[0]);
                put(s, f, o + d, v[1]);
                put(s, f, o + 2u * d, v[2]);
                put(s, f, o + 3u * d, v[3]);
                put(s, f, o + 4u * d, v[4]);
            }
            case 7u: {
                let v = dft7(array<vec2f, 7>(
                    fetch(s, f, i),
                    input(s, f, i + n, 1u),
                    input(s, f, i + 2u * n, 2u),
                    input(s, f, i + 3u * n, 3u),
                    input(s, f, i + 4u * n, 4u),
                    input(s, f, i + 5u * n, 5u),
                    input(s, f, i + 6u * n, 6u),
                ));
                put(s, f, o, v[0]);
                put(s, f, o + d, v[1]);
                put(s, f, o + 2u * d, v[2]);
                put(s, f, o + 3u * d, v[3]);
                put(s, f, o + 4u * d, v[4]);
                put(s, f, o + 5u * d, v[5]);
                put(s, f, o + 6u * d, v[6]);
            }
            default: {
                let v = dft8(array<vec2f, 8>(
                    fetch(s, f, i),
                    input(s, f, i + n, 1u),
                    input(s, f, i + 2u * n, 2u),
                    input(s, f, i + 3u * n, 3u),
                    input(s, f, i + 4u * n, 4u),
                    input(s, f, i + 5u * n, 5u),
                    input(s, f, i + 6u * n, 6u),
                    input(s, f, i + 7u * n, 7u),
                ));
                put(s, f, o, v[0]);
                put(s, f, o + d, v[1]);
                put(s, f, o + 2u * d, v[2]);
                put(s, f, o + 3u * d, v[3]);
                put(s, f, o + 4u * d, v[4]);
                put(s, f, o + 5u * d, v[5]);
                put(s, f, o + 6u * d, v[6]);
                put(s, f, o + 7u * d, v[7]);
            }
        }
    }
}

// Where a stage writes: to memory if no other follows.
fn target_of(next_radix: u32, half: u32) -> u32 {
    return select(half, MEMORY, next_radix == 1u);
}

@compute @workgroup_size(THREADS)
fn fft2(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = flat_group(group, groups) * LINES;
    run(RADIX_0, Stage(1u, MEMORY, A, first), lane);
    workgroupBarrier();
    run(RADIX_1, Stage(RADIX_0, A, target_of(RADIX_2, B), first), lane);
    if RADIX_2 > 1u {
        workgroupBarrier();
        run(RADIX_2, Stage(RADIX_0 * RADIX_1, B, target_of(RADIX_3, A), first), lane);
    }
    if RADIX_3 > 1u {
        workgroupBarrier();
        run(RADIX_3, Stage(RADIX_0 * RADIX_1 * RADIX_2, A, target_of(RADIX_4, B), first), lane);
    }
    if RADIX_4 > 1u {
        workgroupBarrier();
        run(RADIX_4, Stage(RADIX_0 * RADIX_1 * RADIX_2 * RADIX_3, B, target_of(RADIX_5, A), first), lane);
    }
    if RADIX_5 > 1u {
        workgroupBarrier();
        run(RADIX_5, Stage(RADIX_0 * RADIX_1 * RADIX_2 * RADIX_3 * RADIX_4, A, MEMORY, first), lane);
    }
}
