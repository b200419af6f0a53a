// Indexing of stacks of windows (batch, MODES, NY, NX) and of the object (OBJECT_NY, OBJECT_NX) they lie in.

override NY: u32;
override NX: u32;
override OBJECT_NY: u32;
override OBJECT_NX: u32;
// Incoherent modes of a position.
override MODES: u32 = 1u;

// What the first mode varies by from position to position.
override VARIATIONS: u32 = 0u;

struct Pixel {
    // Position of the stack.
    b: u32,
    mode: u32,
    y: u32,
    x: u32,
}

// The pixel that is the index-th of a stack.
fn pixel_of(index: u32) -> Pixel {
    let in_window = index % (NY * NX);
    let window = index / (NY * NX);
    return Pixel(window / MODES, window % MODES, in_window / NX, in_window % NX);
}

// The object's pixel (y, x) of a window whose first pixel is at `corner` (row, col).
fn object_index(corner: vec2u, y: u32, x: u32) -> u32 {
    return (corner.x + y) * OBJECT_NX + corner.y + x;
}

// 2πf of the k-th of n frequencies in FFT order.
fn angular_frequency(k: u32, n: u32) -> f32 {
    return 6.283185307179586 * f32(i32(k) - select(0, i32(n), k >= (n + 1u) / 2u)) / f32(n);
}
