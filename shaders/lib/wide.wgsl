// Unsigned 64-bit integers as vec2u(low, high).

fn wide_add(a: vec2u, b: vec2u) -> vec2u {
    let low = a.x + b.x;
    return vec2u(low, a.y + b.y + select(0u, 1u, low < a.x));
}

// The whole product of two 32-bit numbers.
fn wide_mul(a: u32, b: u32) -> vec2u {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let crossed = (a >> 16u) * (b & 0xffffu);
    let across = (a & 0xffffu) * (b >> 16u);
    let high = (a >> 16u) * (b >> 16u);
    let sum = wide_add(vec2u(low, high), vec2u(crossed << 16u, crossed >> 16u));
    return wide_add(sum, vec2u(across << 16u, across >> 16u));
}
