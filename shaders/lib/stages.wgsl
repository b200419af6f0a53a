// Forward transforms of LINES lines of SIDE points by one workgroup, unscaled: mixed-radix Stockham in slots of workgroup memory, each of which holds all lines once.
// The importing shader declares `twiddles: array<vec2f>`, e^{−2πi k/SIDE} for k < SIDE, and the functions that the first stage reads and the last one writes by:
// source(tag, line, i) -> vec2f and sink(tag, line, i, value), where `tag` is what `transform` was called with.
#import butterflies

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
// 1 where the lines are columns, whose neighbours in memory are neighbouring lines; 0 where they are rows.
override ACROSS: u32;
// Rows have a gap after so many points, so that the strides of the stages do not meet in one bank.
override GAP: u32;
// Places of a slot, and of all slots.
override SLOT: u32;
override STORE: u32;

var<workgroup> store: array<vec2f, STORE>;

// Instead of a slot: `source` or `sink`.
const OUTSIDE: u32 = 0xffffffffu;

struct Stage {
    tag: u32,
    // The product of the radices before.
    done: u32,
    from_slot: u32,
    to_slot: u32,
}

// The butterfly at hand: its line, and the exponent of the twiddle of its second input.
struct Butterfly {
    line: u32,
    exponent: u32,
}

// The place of a point in the store.
fn spot(slot: u32, line: u32, i: u32) -> u32 {
    if ACROSS == 1u {
        return slot * SLOT + i * LINES + line;
    }
    return slot * SLOT + line * (SLOT / LINES) + i + i / GAP;
}

fn fetch(stage: Stage, butterfly: Butterfly, i: u32) -> vec2f {
    if stage.from_slot == OUTSIDE {
        return source(stage.tag, butterfly.line, i);
    }
    return store[spot(stage.from_slot, butterfly.line, i)];
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
    if stage.to_slot == OUTSIDE {
        sink(stage.tag, butterfly.line, i, value);
    } else {
        store[spot(stage.to_slot, butterfly.line, i)] = value;
    }
}

fn run(radix: u32, s: Stage, lane: u32) {
    let n = SIDE / radix;
    for (var t = lane; t < LINES * n; t += THREADS) {
        // Neighbours in memory go to neighbouring invocations.
        var line = t / n;
        var i = t % n;
        if ACROSS == 1u {
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

// Where a stage writes: outside if no other follows.
fn target_of(next_radix: u32, slot: u32) -> u32 {
    return select(slot, OUTSIDE, next_radix == 1u);
}

// Transforms all lines by way of two slots. The first stage writes to slot a; what `source` reads must be no part of it, and what `sink` writes no part of the slot
// that the last stage reads. Called by all invocations of the workgroup, with a barrier before.
fn transform(tag: u32, a: u32, b: u32, lane: u32) {
    run(RADIX_0, Stage(tag, 1u, OUTSIDE, a), lane);
    workgroupBarrier();
    run(RADIX_1, Stage(tag, RADIX_0, a, target_of(RADIX_2, b)), lane);
    if RADIX_2 > 1u {
        workgroupBarrier();
        run(RADIX_2, Stage(tag, RADIX_0 * RADIX_1, b, target_of(RADIX_3, a)), lane);
    }
    if RADIX_3 > 1u {
        workgroupBarrier();
        run(RADIX_3, Stage(tag, RADIX_0 * RADIX_1 * RADIX_2, a, target_of(RADIX_4, b)), lane);
    }
    if RADIX_4 > 1u {
        workgroupBarrier();
        run(RADIX_4, Stage(tag, RADIX_0 * RADIX_1 * RADIX_2 * RADIX_3, b, target_of(RADIX_5, a)), lane);
    }
    if RADIX_5 > 1u {
        workgroupBarrier();
        run(RADIX_5, Stage(tag, RADIX_0 * RADIX_1 * RADIX_2 * RADIX_3 * RADIX_4, a, OUTSIDE), lane);
    }
}

// The slot to begin with, of two, so that the last stage reads `spare` and may write to `home`.
fn first_slot(home: u32, spare: u32) -> u32 {
    let odd = (RADIX_2 > 1u && RADIX_3 == 1u) || (RADIX_4 > 1u && RADIX_5 == 1u);
    return select(spare, home, odd);
}
