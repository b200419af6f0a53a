// Workgroups that hold LINES neighbouring lines (rows, or columns where ACROSS is 1) of a window (NY, NX) each.
// The importing shader declares `twiddles`, `source` and `sink` as `stages` asks for.
#import grid
#import stages
#import windows

// The first line of the workgroup.
var<private> first_line: u32;

// Workgroups of a window.
fn bands() -> u32 {
    return (select(NY, NX, ACROSS == 1u) + LINES - 1u) / LINES;
}

// Is there such a line? The last workgroup of a window may have too many.
fn is_line(line: u32) -> bool {
    return first_line + line < select(NY, NX, ACROSS == 1u);
}

// A point of a line in the window.
fn point_of(line: u32, i: u32) -> vec2u {
    if ACROSS == 1u {
        return vec2u(i, first_line + line);
    }
    return vec2u(first_line + line, i);
}

// Its place among the window's pixels.
fn pixel_at(line: u32, i: u32) -> u32 {
    let point = point_of(line, i);
    return point.x * NX + point.y;
}
