// Unsigned 64-bit integers as vec2u(low, high).

fn wide_add(a: vec2u, b: vec2u) -> vec2u {
    let low = a.x + b.x;
    return vec2u(low, a.y + b.y + select(0u, 1u, low < a.x));
}

// The whole product of two 32-bit numbers, the second below 2¹⁶.
fn wide_mul(a: u32, b: u32) -> vec2u {
    let low = (a & 0xffffu) * b;
    let high = (a >> 16u) * b;
    return wide_add(vec2u(low, 0u), vec2u(high << 16u, high >> 16u));
}
